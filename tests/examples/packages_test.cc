#include "examples/packages/packages.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "examples/packages/check.h"
#include "tests/support/status_matchers.h"
#include "tests/support/step_double.h"

namespace reenact::examples {
namespace {

using cbor::Value;

Value Row(std::string_view line) { return Value::Map({{"line", line}}); }

SerialDouble AfterLog(const std::vector<const char*>& lines) {
  SerialDouble world({std::make_shared<PackageReducer>()});
  for (const char* line : lines) {
    CAPTURE(line);
    const auto inputs = MapPackageRow(Row(line));
    REQUIRE_OK(inputs);
    for (const Input& input : *inputs) REQUIRE_OK(world.Step(input.event));
  }
  return world;
}

std::string Diagnosis(const Value& value) {
  return cbor::Diagnose(value.Encode());
}

TEST_CASE("a package is as its last status line says", "[examples][packages]") {
  const SerialDouble world = AfterLog({
      "2026-01-31 04:05:49 startup archives unpack",
      "2026-01-31 04:05:49 install tree:amd64 <none> 2.1.0-1",
      "2026-01-31 04:05:49 status half-installed tree:amd64 2.1.0-1",
      "2026-01-31 04:05:50 status unpacked tree:amd64 2.1.0-1",
      "2026-01-31 04:05:50 configure tree:amd64 2.1.0-1 <none>",
      "2026-01-31 04:05:50 status installed tree:amd64 2.1.0-1",
      "2026-02-01 10:00:00 upgrade tree:amd64 2.1.0-1 2.1.0-2",
      "2026-02-01 10:00:01 status installed tree:amd64 2.1.0-2",
  });
  REQUIRE(world.cells.size() == 1);
  REQUIRE(world.Show("package", "tree:amd64") ==
          Diagnosis(Value::Map({{"status", "installed"},
                                {"version", "2.1.0-2"},
                                {"installs", 1},
                                {"upgrades", 1},
                                {"removes", 0},
                                {"events", 6}})));
}

TEST_CASE("a removed package keeps its version until it is purged",
          "[examples][packages]") {
  std::vector<const char*> lines = {
      "2026-01-31 04:05:49 status installed netbase:all 6.4",
      "2026-01-31 04:05:50 remove netbase:all 6.4 <none>",
      "2026-01-31 04:05:50 status config-files netbase:all 6.4",
  };
  REQUIRE(AfterLog(lines).Show("package", "netbase:all") ==
          Diagnosis(Value::Map({{"status", "config-files"},
                                {"version", "6.4"},
                                {"installs", 0},
                                {"upgrades", 0},
                                {"removes", 1},
                                {"events", 3}})));
  lines.push_back("2026-01-31 04:05:51 purge netbase:all 6.4 <none>");
  lines.push_back(
      "2026-01-31 04:05:51 status not-installed netbase:all <none>");
  REQUIRE(AfterLog(lines).Show("package", "netbase:all") ==
          Diagnosis(Value::Map({{"status", "not-installed"},
                                {"version", Value()},
                                {"installs", 0},
                                {"upgrades", 0},
                                {"removes", 1},
                                {"events", 5}})));
}

TEST_CASE("the same package of two architectures is two cells",
          "[examples][packages]") {
  const SerialDouble world = AfterLog({
      "2026-01-31 04:05:49 status installed libc6:amd64 2.36-9",
      "2026-01-31 04:05:49 status installed libc6:i386 2.36-9",
  });
  REQUIRE(world.cells.size() == 2);
}

TEST_CASE("lines about other things give no event", "[examples][packages]") {
  const std::string line = GENERATE(
      as<std::string>(), "", " ", "2026-01-31 04:05:49 startup archives unpack",
      "2026-01-31 04:05:49 startup packages configure",
      "2026-01-31 04:05:49 trigproc libc-bin:amd64 2.36-9 <none>",
      "2026-01-31 04:05:49 configure tree:amd64 2.1.0-1 <none>",
      "2026-01-31 04:05:49 conffile /etc/a file with blanks keep");
  CAPTURE(line);
  const auto inputs = MapPackageRow(Row(line));
  REQUIRE_OK(inputs);
  REQUIRE(inputs->empty());
}

TEST_CASE("what is no line of dpkg's log is refused", "[examples][packages]") {
  const std::string line =
      GENERATE(as<std::string>(), "hello", "2026-01-31 04:05:49",
               "2026-01-31 04:05 status installed tree:amd64 2.1.0-1",
               "2026-01-31 25:05:49 status installed tree:amd64 2.1.0-1",
               "2026-01-31 04:05:49 status installed tree:amd64",
               "2026-01-31 04:05:49 status installed tree:amd64 1 2",
               "2026-01-31 04:05:49 status fine tree:amd64 2.1.0-1",
               "2026-01-31 04:05:49 upgrade tree:amd64 2.1.0-1",
               "2026-01-31 04:05:49 configure tree:amd64",
               "2026-01-31 04:05:49 vanish tree:amd64 1 2");
  CAPTURE(line);
  const absl::Status status = MapPackageRow(Row(line)).status();
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(std::string(status.message()).rfind("no line of dpkg's log: ", 0) ==
          0);
}

TEST_CASE("a row of something else than a line is refused",
          "[examples][packages]") {
  REQUIRE(MapPackageRow(Value("text")).status().code() ==
          absl::StatusCode::kInvalidArgument);
  REQUIRE(MapPackageRow(Value::Map({{"line", 5}})).status().message() ==
          "field \"line\": expected text, found integer");
}

TEST_CASE("a line's time is its input's, taken as UTC",
          "[examples][packages]") {
  const auto inputs = MapPackageRow(
      Row("2026-11-21 04:05:50 status installed tree:amd64 2.1.0-1"));
  REQUIRE_OK(inputs);
  REQUIRE(inputs->front().time.value == 1'795'233'950'000'000);
  REQUIRE(inputs->front().event.key == "tree:amd64");
}

TEST_CASE("a cell is compared by its status and version",
          "[examples][packages]") {
  const SerialDouble world = AfterLog({
      "2026-01-31 04:05:49 status installed a:all 1.0",
      "2026-01-31 04:05:49 status not-installed b:all <none>",
  });
  REQUIRE(DecodePackageState(world.cells.at({"package", "a:all"})).value() ==
          PackageState{"installed", "1.0"});
  REQUIRE(DecodePackageState(world.cells.at({"package", "b:all"})).value() ==
          PackageState{"not-installed", ""});
  REQUIRE_FALSE(DecodePackageState(cbor::EncodeInteger(1)).ok());
}

TEST_CASE("tables are read with and without versions", "[examples][packages]") {
  const auto table = ParsePackageTable(
      "a:all\tinstalled\t1.0\n"
      "b:amd64\tnot-installed\tnull\n"
      "c:amd64\tnot-installed\t<none>\n"
      "d:amd64\tnot-installed\t");
  REQUIRE_OK(table);
  REQUIRE(*table == PackageTable{{"a:all", {"installed", "1.0"}},
                                 {"b:amd64", {"not-installed", ""}},
                                 {"c:amd64", {"not-installed", ""}},
                                 {"d:amd64", {"not-installed", ""}}});
}

TEST_CASE("a table that is none is refused by line", "[examples][packages]") {
  const std::string text =
      GENERATE(as<std::string>(), "a:all\tinstalled\t1\nb:all installed 1\n",
               "a:all\tinstalled\t1\na:all\tinstalled\t1\n",
               "a:all\tinstalled\t1\n\tinstalled\t1\n",
               "a:all\tinstalled\t1\nb:all\tinstalled\t1\t1\n");
  CAPTURE(text);
  const absl::Status status = ParsePackageTable(text).status();
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(std::string(status.message()).rfind("line 2: ", 0) == 0);
}

TEST_CASE("a world that agrees with dpkg has no mismatch",
          "[examples][packages]") {
  const PackageTable dpkg = {{"a:amd64", {"installed", "1"}},
                             {"older:amd64", {"installed", "1"}}};
  REQUIRE(Mismatches({{"a:amd64", {"installed", "1"}},
                      {"gone:amd64", {"not-installed", ""}}},
                     dpkg)
              .empty());
}

TEST_CASE("each disagreement with dpkg is told", "[examples][packages]") {
  const PackageTable dpkg = {{"a:amd64", {"installed", "2"}},
                             {"c:amd64", {"installed", "1"}}};
  REQUIRE(Mismatches({{"a:amd64", {"installed", "1"}},
                      {"b:amd64", {"installed", "1"}},
                      {"c:amd64", {"not-installed", ""}}},
                     dpkg) ==
          std::vector<std::string>{
              "a:amd64: the world says installed 1, dpkg says installed 2",
              "b:amd64: the world says installed 1, dpkg says not-installed",
              "c:amd64: the world says not-installed, dpkg says installed 1"});
}

TEST_CASE("a package that gave up its architecture lives on under all",
          "[examples][packages]") {
  const PackageTable world = {{"a:amd64", {"half-installed", "1"}},
                              {"a:all", {"installed", "2"}}};
  REQUIRE(Mismatches(world, {{"a:all", {"installed", "2"}}}).empty());
  // Not so if the log never told of the other one.
  REQUIRE(Mismatches({{"a:amd64", {"half-installed", "1"}}},
                     {{"a:all", {"installed", "2"}}})
              .size() == 1);
}

}  // namespace
}  // namespace reenact::examples
