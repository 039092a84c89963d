# shellcheck shell=bash disable=SC2154
# Shell functions that tools/check and tools/demo share. Source it with `root`
# set to the directory of the sources.

say() { printf '\n== %s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 2
}

# Runs a command as root: as it is, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root, or sudo, for: $*"
  fi
}

is_installed() {
  dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null |
    grep -qx installed
}

# Installs what is missing of tools/lib/packages; silent if nothing is.
install_packages() {
  local package
  local missing=()
  command -v dpkg-query >/dev/null || return 0  # no Debian: hope for the best
  while read -r package; do
    case $package in '' | '#'*) continue ;; esac
    is_installed "$package" || missing+=("$package")
  done <"$root/tools/lib/packages"
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
    --no-install-recommends "${missing[@]}"
}

# How many compilers to run at once: one for each processor, as far as there is
# memory for them (a large file takes up to 1 GiB).
build_jobs() {
  local processors gigabytes
  processors=$(nproc)
  gigabytes=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  [ "$gigabytes" -ge 1 ] || gigabytes=1
  echo $((processors < gigabytes ? processors : gigabytes))
}

# So that clones in different places share what they compiled.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
# It looks into precompiled headers, then, instead of giving up.
export CCACHE_SLOPPINESS=pch_defines,time_macros

# configure PRESET [CMAKE OPTIONS]: with ccache if there is one.
configure() {
  local preset=$1
  shift
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache
              -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  (cd "$root" && cmake --preset "$preset" "${launcher[@]}" "$@" >/dev/null)
}

# build PRESET [TARGETS]: everything, or these.
build() {
  local preset=$1
  shift
  local targets=()
  [ $# = 0 ] || targets=(--target "$@")
  (cd "$root" &&
    cmake --build --preset "$preset" -j "$(build_jobs)" "${targets[@]}")
}
