// `reenact fuzz`, as its users call it.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

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

TEST_CASE(
    "a module that is impure is caught and named, with a string that "
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
    CHECK(found.out.find("reducer:       counter\n") != std::string::npos);
    CHECK(found.out.find("field:         state of counter/c") !=
          std::string::npos);
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
  CHECK(found.out.find("reducer counter called getenv()") != std::string::npos);
#endif
}

TEST_CASE("modules that are in order hold", "[fuzz]") {
  const TemporaryDirectory directory;
  const CommandResult counter =
      RunReenact({"fuzz", "--module", "counter", "--events", Clicks(directory),
                  "--runs", "300"});
  CHECK(counter.code == 0);
  CHECK(counter.out.find("held: every property, in every run") !=
        std::string::npos);
  const CommandResult cases =
      RunReenact({"fuzz", "--module", "cases", "--events",
                  REENACT_SOURCE_DIR "/examples/cases/sample.jsonl", "--clock",
                  "input", "--runs", "200"});
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

TEST_CASE(
    "trial 26b: states, reserves and timers as far as they go are fuzzed "
    "to an end",
    "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = Clicks(directory);
  for (const std::string clock : {"rounds", "input"}) {
    CAPTURE(clock);
    const CommandResult held =
        RunReenact({"fuzz", "--module", ModulePath("reaching"), "--events",
                    events, "--clock", clock, "--runs", "30"});
    INFO(held.out << held.err);
    CHECK(held.code == 0);
    CHECK(held.out.find("held: every property, in every run") !=
          std::string::npos);
  }
}

TEST_CASE("a report is written, as JSON and as a page", "[fuzz]") {
  const TemporaryDirectory directory;
  const CommandResult held =
      RunReenact({"fuzz", "--module", "counter", "--events", Clicks(directory),
                  "--runs", "50", "--report", directory / "r.json", "--report",
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

TEST_CASE("a file of events that is not there is the system's answer, 9",
          "[fuzz]") {
  const TemporaryDirectory directory;
  const CommandResult result = RunReenact(
      {"fuzz", "--module", "counter", "--events", directory / "none"});
  CHECK(result.code == 9);
  CHECK(result.err.find("none") != std::string::npos);
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
  CHECK_THAT(call({"--events", ""}),
             Catch::StartsWith("2 ") && Catch::Contains("empty"));
  CHECK_THAT(call({"--events", directory / "none.jsonl"}),
             Catch::StartsWith("9 ") && Catch::Contains("no such file"));
  CHECK_THAT(call({"--events", events, "--time", "-1"}),
             Catch::StartsWith("2 ") && Catch::Contains("30s"));
  CHECK_THAT(call({"--events", events, "--limit", "0"}),
             Catch::StartsWith("2 ") && Catch::Contains("from 1 to"));
  CHECK_THAT(call({"--event", events}),
             Catch::StartsWith("2 ") && Catch::Contains("no option --event"));
}

// An environment variable for the commands that run while it lives.
class With {
 public:
  With(const char* name, const std::string& value) : name_(name) {
    REQUIRE(setenv(name, value.c_str(), 1) == 0);
  }
  ~With() { unsetenv(name_); }

 private:
  const char* const name_;
};

TEST_CASE(
    "trial 05: what a step does to its process is survived, and is a "
    "failure with event, reducer, key and a string that gives it again",
    "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = Clicks(directory);
  const std::vector<std::string> fuzz = {
      "fuzz",     "--module", ModulePath("deadly"), "--events", events,
      "--shrink", "3",        "--step-timeout",     "1"};
  for (const auto& [death, word] :
       std::vector<std::pair<std::string, std::string>>{
           {"SIGSEGV", "SIGSEGV"},
           {"abort()", "SIGABRT"},
           {"stack overflow", "SIGSEGV"},
           {"exit(0)", "exit code"},
           {"a loop", "no end after 1 s"}}) {
#ifdef REENACT_SANITIZED
    // Which end a process that a sanitizer watches, in their own way.
    if (word.rfind("SIG", 0) == 0) continue;
#endif
    const With with("REENACT_DEATH", death);
    std::vector<std::string> explore = fuzz;
    explore.insert(explore.end(), {"--runs", "200"});
    const CommandResult found = RunReenact(explore);
    CAPTURE(death, found.out, found.err);
    REQUIRE(found.code == 1);
    const std::string property = death == "a loop"
                                     ? "violated: a step comes to an end"
                                     : "violated: a step leaves its process";
    CHECK(found.out.find(property) != std::string::npos);
    CHECK(found.out.find(", counter/c1: ") != std::string::npos);
    CHECK(found.out.find(word) != std::string::npos);
    CHECK(found.out.find("counter/c1 13\n") != std::string::npos);
    std::vector<std::string> replay = fuzz;
    replay.insert(replay.end(), {"--replay", ReplayIn(found.out)});
    const CommandResult again = RunReenact(replay);
    CAPTURE(again.out, again.err);
    CHECK(again.code == 1);
    CHECK(again.out.find(property) != std::string::npos);
  }
}

TEST_CASE(
    "trial 05: what a step does to its process in a later run is made small, "
    "and given again",
    "[fuzz]") {
#ifndef REENACT_SANITIZED
  const TemporaryDirectory directory;
  const std::string events = directory / "two.jsonl";
  WriteWholeFile(events,
                 "{\"counter\": \"c0\", \"add\": 1}\n"
                 "{\"counter\": \"c1\", \"add\": 13}\n");
  const With with("REENACT_DEATH", "abort()");
  bool later = false;
  for (const std::string seed : {"1", "2", "3", "4"}) {
    const std::vector<std::string> fuzz = {
        "fuzz",     "--module", ModulePath("deadly"), "--events", events,
        "--shrink", "20"};
    std::vector<std::string> explore = fuzz;
    explore.insert(explore.end(), {"--runs", "60", "--seed", seed});
    const CommandResult found = RunReenact(explore);
    CAPTURE(seed, found.out, found.err);
    REQUIRE(found.code == 1);
    later |= found.out.find("(run 0,") == std::string::npos;
    CHECK(found.out.find("fresh processes") == std::string::npos);
    std::vector<std::string> replay = fuzz;
    replay.insert(replay.end(), {"--replay", ReplayIn(found.out)});
    const CommandResult again = RunReenact(replay);
    CAPTURE(again.out, again.err);
    CHECK(again.code == 1);
  }
  CHECK(later);
#endif
}

TEST_CASE(
    "trial 23: what a step keeps in its process is found, and the string "
    "gives it again",
    "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = Clicks(directory);
  const std::vector<std::string> fuzz = {
      "fuzz",     "--module", ModulePath("impure_kinds"), "--events", events,
      "--shrink", "20"};
  for (const std::string kind :
       {"a thread_local memo", "the first value, kept in a static",
        "the order of pointers", "the address of a global"}) {
    const With with("REENACT_KIND", kind);
    std::vector<std::string> explore = fuzz;
    explore.insert(explore.end(), {"--runs", "200"});
    const CommandResult found = RunReenact(explore);
    CAPTURE(kind, found.out, found.err);
    REQUIRE(found.code == 1);
    CHECK(found.out.find("reducer:       counter\n") != std::string::npos);
    std::vector<std::string> replay = fuzz;
    replay.insert(replay.end(), {"--replay", ReplayIn(found.out)});
    const CommandResult again = RunReenact(replay);
    CAPTURE(again.out, again.err);
    CHECK(again.code == 1);
  }
}

TEST_CASE("trial 23: a replay string may have runs that are made before it",
          "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = Clicks(directory);
  const CommandResult found =
      RunReenact({"fuzz", "--module", ModulePath("impure_static"), "--events",
                  events, "--runs", "20", "--shrink", "5"});
  const std::string replay = ReplayIn(found.out);
  const std::size_t colon = replay.rfind(':') + 1;
  REQUIRE(colon > 1);
  const CommandResult again =
      RunReenact({"fuzz", "--module", "counter", "--events", events, "--replay",
                  replay.substr(0, colon) + replay.substr(colon) + "+" +
                      replay.substr(colon)});
  CAPTURE(again.out, again.err);
  CHECK(again.code == 0);
}

TEST_CASE("trial 25: a run is long now and then, and the report says how long",
          "[fuzz]") {
  const TemporaryDirectory directory;
  const std::string events = directory / "many.jsonl";
  std::ofstream file(events);
  for (int i = 0; i < 400; ++i) {
    file << R"({"counter": "c)" << i % 3 << R"(", "add": )" << i << "}\n";
  }
  file.close();
  const CommandResult held = RunReenact(
      {"fuzz", "--module", "counter", "--events", events, "--runs", "200"});
  CAPTURE(held.out, held.err);
  REQUIRE(held.code == 0);
  const std::size_t at = held.out.find("histories of up to ");
  REQUIRE(at != held.out.npos);
  CHECK(std::stoi(held.out.substr(at + 19)) > 100);
#ifndef REENACT_SANITIZED
  const With with("REENACT_KIND", "a clock, at every 64th event");
  const CommandResult found =
      RunReenact({"fuzz", "--module", ModulePath("impure_kinds"), "--events",
                  events, "--runs", "400", "--shrink", "20"});
  CAPTURE(found.out, found.err);
  CHECK(found.code == 1);
  CHECK(found.out.find("called clock_gettime()") != std::string::npos);
#endif
}

TEST_CASE(
    "trial 26: a failure is told as verify does: the events, what "
    "differs, then the schedule",
    "[fuzz]") {
  const TemporaryDirectory directory;
  const CommandResult found =
      RunReenact({"fuzz", "--module", ModulePath("impure_static"), "--events",
                  Clicks(directory), "--runs", "50", "--shrink", "200"});
  CAPTURE(found.out);
  REQUIRE(found.code == 1);
  const std::size_t events =
      found.out.find("\nevents, in ticket order:\n  1  ");
  const std::size_t differs = found.out.find("\nwhat differs:\n  event_id:");
  const std::size_t schedule = found.out.find("\nwho ran when:\n");
  REQUIRE(events != found.out.npos);
  REQUIRE(differs != found.out.npos);
  REQUIRE(schedule != found.out.npos);
  CHECK(events < differs);
  CHECK(differs < schedule);
  CHECK(found.out.find("  first run:     ") != found.out.npos);
  CHECK(found.out.find("[[") == found.out.npos);
}

}  // namespace
}  // namespace reenact::tests
