// `reenact fuzz`, as its users call it.

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/journal/temporary_directory.h"
#include "tests/tools/command.h"

namespace reenact::tests {
namespace {

std::string ModulePath(const std::string& name) {
  return REENACT_BINARY_DIR "/tests/modules/" + name + ".so";
}

std::string Clicks(const TemporaryDirectory& directory) {
  const std::string path = directory / "clicks.jsonl";
  std::ofstream file(path);
  for (int i = 0; i < 20; ++i) {
    file << R"({"counter": "c)" << i % 3 << R"(", "add": )" << i << "}\n";
  }
  return path;
}

// The string after --replay.
std::string ReplayIn(const std::string& text) {
  const std::size_t at = text.find("--replay ");
  if (at == text.npos) return "";
  return text.substr(at + 9, text.find('\n', at) - at - 9);
}

TEST_CASE("a module that is impure is caught and named, with a string that "
          "gives it again",
          "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = Clicks(directory);
  for (const std::string name :
       {"impure_static", "impure_unordered", "impure_getenv", "impure_clock"}) {
#ifdef REENACT_SANITIZED
    // Without probes: sanitizers intercept the same functions.
    if (name == "impure_getenv") continue;
#endif
    CAPTURE(name);
    const CommandResult found =
        RunReenact({"fuzz", "--module", ModulePath(name), "--events", events,
                    "--runs", "100"});
    REQUIRE(found.code == 1);
    CHECK(found.out.find("a step gives the same twice") != std::string::npos);
    CHECK(found.out.find("counter/c") != std::string::npos);
    CHECK(found.out.find("first at byte ") != std::string::npos);
    const std::string replay = ReplayIn(found.out);
    REQUIRE(replay.rfind("run:v1:counter:", 0) == 0);
    const CommandResult again =
        RunReenact({"fuzz", "--module", ModulePath(name), "--events", events,
                    "--replay", replay});
    CHECK(again.code == 1);
    CHECK(again.out.find("a step gives the same twice") != std::string::npos);
  }
}

TEST_CASE("the function that a step called is named", "[fuzz]") {
#ifdef REENACT_SANITIZED
  WARN("sanitizers intercept the same functions, so there are no probes");
#else
  const TemporaryDirectory directory;
  const CommandResult found =
      RunReenact({"fuzz", "--module", ModulePath("impure_getenv"), "--events",
                  Clicks(directory), "--runs", "100"});
  CHECK(found.out.find("reducer counter called getenv()") !=
        std::string::npos);
#endif
}

TEST_CASE("modules that are in order hold", "[fuzz]") {
  const TemporaryDirectory directory;
  const CommandResult counter = RunReenact(
      {"fuzz", "--module", "counter", "--events", Clicks(directory), "--runs",
       "300"});
  CHECK(counter.code == 0);
  CHECK(counter.out.find("held: every property, in every run") !=
        std::string::npos);
  const CommandResult cases = RunReenact(
      {"fuzz", "--module", "cases", "--events",
       REENACT_SOURCE_DIR "/examples/cases/sample.jsonl", "--clock", "input",
       "--runs", "200"});
  CHECK(cases.code == 0);
  const CommandResult events =
      RunProgram({REENACT_BINARY_DIR "/bin/bank_events", "--variant",
                  "undeclared", "--accounts", "5", "--transfers", "100"});
  REQUIRE(events.code == 0);
  std::ofstream(directory / "bank.jsonl") << events.out;
  const CommandResult bank =
      RunReenact({"fuzz", "--module", "bank", "--events",
                  directory / "bank.jsonl", "--runs", "200"});
  CHECK(bank.code == 0);
}

TEST_CASE("a report is written, as JSON and as a page", "[fuzz]") {
  const TemporaryDirectory directory;
  const CommandResult held = RunReenact(
      {"fuzz", "--module", "counter", "--events", Clicks(directory), "--runs",
       "50", "--report", directory / "r.json", "--report",
       directory / "r.html"});
  REQUIRE(held.code == 0);
  const auto json = nlohmann::json::parse(ReadWholeFile(directory / "r.json"));
  CHECK(json["verdict"] == "held");
  CHECK(json["runs"] == 50);
  CHECK(json["reducers"]["counter"]["steps"].get<int>() > 0);
  const std::string page = ReadWholeFile(directory / "r.html");
  CHECK(page.rfind("<!DOCTYPE html>", 0) == 0);
  CHECK(page.find("http") == page.npos);
}

TEST_CASE("what is wrong with a call is said, and the exit code is 2",
          "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = Clicks(directory);
  const auto refused = [](std::vector<std::string> arguments,
                          const std::string& why) {
    arguments.insert(arguments.begin(), "fuzz");
    const CommandResult result = RunReenact(arguments);
    CAPTURE(result.err);
    CHECK(result.code == 2);
    CHECK(result.err.find(why) != std::string::npos);
  };
  refused({}, "--module");
  refused({"--module", "counter"}, "--events");
  refused({"--module", "nothing", "--events", events}, "nothing");
  refused({"--module", "counter", "--events", directory / "none"}, "none");
  refused({"--module", "counter", "--events", events, "--strategy", "luck"},
          "there are serial");
  refused({"--module", "counter", "--events", events, "--faults", "fire"},
          "there are crash");
  refused({"--module", "counter", "--events", events, "--replay", "run:x"},
          "not a replay string");
  refused({"--module", "counter", "--events", events, "--report", "r.txt"},
          ".html or .json");
  std::ofstream(directory / "bad.jsonl") << "{\"add\": 1}\n";
  refused({"--module", "counter", "--events", directory / "bad.jsonl"},
          "bad.jsonl:1");
  CHECK(RunReenact({"fuzz", "--help"}).out.find("Exit codes: 0") !=
        std::string::npos);
}

TEST_CASE("trial 19: fuzz answers wrong calls as the other commands do",
          "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = Clicks(directory);
  const auto call = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"fuzz", "--module", "counter"});
    const CommandResult result = RunReenact(arguments);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    return std::to_string(result.code) + " " + result.err;
  };
  CHECK_THAT(call({"--events", ""}), Catch::StartsWith("2 ") &&
                                         Catch::Contains("empty"));
  CHECK_THAT(call({"--events", directory / "none.jsonl"}),
             Catch::StartsWith("9 ") && Catch::Contains("no such file"));
  CHECK_THAT(call({"--events", events, "--time", "-1"}),
             Catch::StartsWith("2 ") && Catch::Contains("30s"));
  CHECK_THAT(call({"--events", events, "--limit", "0"}),
             Catch::StartsWith("2 ") && Catch::Contains("from 1 to"));
  CHECK_THAT(call({"--event", events}),
             Catch::StartsWith("2 ") && Catch::Contains("no option --event"));
}

}  // namespace
}  // namespace reenact::tests
