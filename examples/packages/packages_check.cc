// Compares the states of the packages example with what dpkg says now:
//
//   ... | packages_check [--dpkg FILE]
//
// Standard input has a line "name:arch<TAB>status<TAB>version" for each cell.
// Exit code: 0 all agree, 1 some do not (each is printed), 2 something could
// not be read.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "examples/packages/check.h"

namespace {

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
  const absl::StatusOr<std::string> text =
      path.empty() ? QueryDpkg() : ReadFile(path);
  if (!text.ok()) return text.status();
  return reenact::examples::ParsePackageTable(*text);
}

int Fail(const char* place, const absl::Status& status) {
  std::cerr << "packages_check: " << place << ": " << status.message() << "\n";
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
  CLI::App app("Compares package states on standard input with dpkg's.");
  std::string path;
  app.add_option("--dpkg", path,
                 "Lines in the same form to compare with, instead of asking "
                 "dpkg-query");
  CLI11_PARSE(app, argc, argv);
  const auto world = reenact::examples::ParsePackageTable(ReadAll(std::cin));
  if (!world.ok()) return Fail("standard input", world.status());
  if (world->empty()) {
    return Fail("standard input", absl::InvalidArgumentError("no packages"));
  }
  const auto dpkg = ReadDpkg(path);
  if (!dpkg.ok()) return Fail("dpkg", dpkg.status());
  return Compare(*world, *dpkg);
}
