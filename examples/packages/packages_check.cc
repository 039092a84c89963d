// Compares the states of the packages example with what dpkg says now:
//
//   packages_check --world DIR [--dpkg FILE]
//   ... | packages_check [--dpkg FILE]
//
// Without --world, standard input has a line "name:arch<TAB>status<TAB>version"
// for each cell. Exit code: 0 all agree, 1 some do not (each is printed), 2
// something could not be read.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "examples/packages/check.h"
#include "reenact/journal/archive.h"

namespace {

using reenact::examples::PackageState;
using reenact::examples::PackageTable;

constexpr char kQuery[] =
    "dpkg-query -W "
    "-f='${Package}:${Architecture}\\t${db:Status-Status}\\t${Version}\\n'";

std::string ReadAll(std::istream& in) {
  return std::string(std::istreambuf_iterator<char>(in), {});
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError("cannot read " + path);
  return ReadAll(in);
}

absl::StatusOr<std::string> QueryDpkg() {
  std::FILE* pipe = popen(kQuery, "r");
  if (pipe == nullptr) return absl::InternalError("cannot run dpkg-query");
  std::string output;
  char buffer[65536];
  while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) {
    output.append(buffer, size);
  }
  if (pclose(pipe) != 0) return absl::InternalError("dpkg-query failed");
  return output;
}

absl::StatusOr<PackageTable> ReadDpkg(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const std::string text,
                           path.empty() ? QueryDpkg() : ReadFile(path));
  const auto table = reenact::examples::ParsePackageTable(text);
  if (table.ok()) return table;
  return reenact::Annotate(table.status(), path.empty() ? "dpkg-query" : path);
}

absl::StatusOr<PackageTable> ReadWorld(const std::string& directory) {
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<reenact::Archive> archive,
                           reenact::Archive::Open(directory));
  const std::optional<reenact::ReducerId> reducer =
      archive->FindReducer("package");
  if (!reducer) return absl::NotFoundError("the world has no packages");
  PackageTable table;
  REENACT_RETURN_IF_ERROR(archive->ScanStateAt(
      reducer, std::nullopt,
      [&](reenact::ReducerId, std::string_view key, reenact::BytesView bytes) {
        absl::StatusOr<PackageState> state =
            reenact::examples::DecodePackageState(bytes);
        if (state.ok()) table[std::string(key)] = *std::move(state);
        return state.status();
      }));
  return table;
}

absl::StatusOr<PackageTable> ReadStandardInput() {
  const auto table = reenact::examples::ParsePackageTable(ReadAll(std::cin));
  if (!table.ok()) return reenact::Annotate(table.status(), "standard input");
  return table;
}

int Fail(const absl::Status& status) {
  std::cerr << "packages_check: " << status.message() << "\n";
  return 2;
}

int Compare(const PackageTable& world, const PackageTable& dpkg) {
  const std::vector<std::string> mismatches =
      reenact::examples::Mismatches(world, dpkg);
  for (const std::string& line : mismatches) std::cout << line << "\n";
  std::cout << world.size() << " packages compared, " << mismatches.size()
            << " differ\n";
  return mismatches.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compares a world of packages with what dpkg says.");
  std::string directory;
  std::string dpkg_path;
  app.add_option("--world", directory,
                 "The world's directory, instead of lines on standard input");
  app.add_option("--dpkg", dpkg_path,
                 "Lines in the same form to compare with, instead of asking "
                 "dpkg-query");
  CLI11_PARSE(app, argc, argv);
  const auto world =
      directory.empty() ? ReadStandardInput() : ReadWorld(directory);
  if (!world.ok()) return Fail(world.status());
  if (world->empty()) return Fail(absl::NotFoundError("no packages"));
  const auto dpkg = ReadDpkg(dpkg_path);
  if (!dpkg.ok()) return Fail(dpkg.status());
  return Compare(*world, *dpkg);
}
