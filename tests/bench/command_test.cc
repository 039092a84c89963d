// `reenact bench` from outside.

#include "tests/tools/command.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/well_formed.h"
#include "tests/journal/temporary_directory.h"

namespace reenact::tests {
namespace {

using Catch::Contains;
using nlohmann::json;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("bench: a quick run measures every group and writes it down",
          "[bench]") {
  const TemporaryDirectory directory;
  const std::string json_path = directory.path() + "/figures.json";
  const std::string page_path = directory.path() + "/figures.html";
  const CommandResult result =
      RunReenact({"bench", "--quick", "--dir", directory.path(), "--json",
                  json_path, "--report", page_path});
  CAPTURE(result.out, result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out, Contains("targets") && Contains("others had"));

  const json parsed = json::parse(Contents(json_path));
  std::set<std::string> groups;
  for (const json& figure : parsed["figures"]) {
    const std::string id = figure["id"];
    groups.insert(id.substr(0, id.find('.')));
    CHECK(figure["values"].size() >= 1);
  }
  CHECK(groups == std::set<std::string>{"durable", "latency", "memory",
                                        "neighbour", "parallel", "replay",
                                        "scaling", "workloads"});
  CHECK_FALSE(parsed["stopped"]);
  CHECK(NotWellFormed(Contents(page_path)) == "");

  // Nothing is left but what was asked for.
  const auto left = std::filesystem::directory_iterator(directory.path());
  CHECK(std::distance(begin(left), end(left)) == 2);
}

TEST_CASE("bench: one group is measured alone, with the workers asked for",
          "[bench]") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/figures.json";
  const CommandResult result =
      RunReenact({"bench", "--quick", "--quiet", "--only", "parallel",
                  "--workers", "3", "--pairs", "1", "--json", path});
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  CHECK(result.out == "");
  const json figures = json::parse(Contents(path))["figures"];
  for (const json& figure : figures) {
    CHECK_THAT(figure["id"].get<std::string>(), Catch::StartsWith("parallel."));
    CHECK_THAT(figure["name"].get<std::string>(), Contains("3 workers"));
  }
}

TEST_CASE("bench: bad options are usage errors that name what is wrong",
          "[bench]") {
  const std::vector<std::vector<std::string>> bad = {
      {"--only", "speed"},      {"--pairs", "0"},
      {"--pairs", "many"},      {"--seconds", "0"},
      {"--seconds", "-1"},      {"--workers", "1,x"},
      {"--workers", "999"},     {"--big-cells", "1"},
      {"--crash-tickets", "0"}, {"--dir", "/nonexistent/directory"},
      {"--counts", "/nowhere"}, {"--no-such-option"},
  };
  for (std::vector<std::string> arguments : bad) {
    const std::string option = arguments[0];
    arguments.insert(arguments.begin(), "bench");
    CAPTURE(arguments);
    const CommandResult result = RunReenact(arguments);
    CHECK(result.code == 2);
    CHECK(result.out == "");
    CHECK_THAT(result.err, Contains(option));
  }
}

TEST_CASE("bench: what cannot be written is found out before measuring",
          "[bench]") {
  const CommandResult result =
      RunReenact({"bench", "--json", "/nonexistent/figures.json"});
  CHECK(result.code == 9);
  CHECK(result.out == "");
  CHECK_THAT(result.err, Contains("/nonexistent/figures.json"));
}

TEST_CASE("bench: Ctrl-C ends it with what there is", "[bench]") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/figures.json";
  Command command(Reenact({"bench", "--only", "parallel", "--dir",
                           directory.path(), "--json", path}));
  // The file is opened once signals are heeded.
  while (!std::filesystem::exists(path)) std::this_thread::yield();
  command.Signal(SIGINT);
  const CommandResult result = command.Finish();
  CHECK(result.code == 130);
  CHECK_THAT(result.out, Contains("targets"));
  CHECK_THAT(result.err, Contains("stopped"));
  CHECK(json::parse(Contents(path))["stopped"] == true);
  const auto left = std::filesystem::directory_iterator(directory.path());
  CHECK(std::distance(begin(left), end(left)) == 1);
}

TEST_CASE("bench: its help names groups, method and exit codes", "[bench]") {
  const CommandResult result = RunReenact({"bench", "--help"});
  CHECK(result.code == 0);
  for (const char* word : {"parallel", "durable", "latency", "replay", "memory",
                           "--report", "--seconds", "Exit codes", "by cpu"}) {
    CHECK_THAT(result.out, Contains(word));
  }
}

}  // namespace
}  // namespace reenact::tests
