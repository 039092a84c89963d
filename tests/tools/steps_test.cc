// Steps that do not come back, as the command has it: they crash, end the
// process, or run for ever.

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/journal/temporary_directory.h"
#include "tests/tools/command.h"

namespace reenact::tests {
namespace {

using Catch::Contains;
using Catch::StartsWith;

// A world in rounds of ten, fed with forty rows of which one does something
// special where the module is `dies`.
struct StepsWorld {
  static std::string Module(const std::string& name) {
    return REENACT_BINARY_DIR "/tests/modules/" + name + ".so";
  }

  // Row 35, which is event 38, adds `add`, others one.
  static std::string Rows(int add) {
    std::string rows;
    for (int i = 1; i <= 40; ++i) {
      rows += R"({"counter": "c)" + std::to_string(i % 7) + R"(", "add": )" +
              std::to_string(i == 35 ? add : 1) + "}\n";
    }
    return rows;
  }

  CommandResult Run(const std::string& module, const std::string& rows,
                    std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"run", "--module", module, "--world",
                                    path,  "--events", "-",    "--round-limit",
                                    "10"};
    all.insert(all.end(), more.begin(), more.end());
    return RunReenact(std::move(all), rows);
  }
  CommandResult Ask(const std::string& command,
                    std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {command, path});
    return RunReenact(std::move(more));
  }
  std::uint64_t Head() const {
    const CommandResult digest = Ask("digest", {"--json"});
    INFO(digest.err);
    REQUIRE(digest.code == 0);
    return nlohmann::json::parse(digest.out)["head"].get<std::uint64_t>();
  }

  TemporaryDirectory directory;
  std::string path = directory / "world";
};

TEST_CASE(
    "trial 05: a step that crashes is named, with a code of its own, and what "
    "was complete before it stays",
    "[tools][cli]") {
  const auto& [add, says] = GENERATE(table<int, std::string>({
      {101, "SIGSEGV at address 0x0"},
      {102, "its stack has overflowed"},
      {103, "SIGABRT"},
      {104, "SIGFPE"},
      {105, "SIGILL"},
      {106, "SIGBUS"},
      {107, "SIGABRT"},
  }));
  const std::string workers = GENERATE(as<std::string>(), "0", "2");
  const StepsWorld world;
  const CommandResult crashed =
      world.Run(StepsWorld::Module("dies"), StepsWorld::Rows(add),
                {"--workers", workers});
  CAPTURE(add, workers, crashed.err);
  CHECK(crashed.code == 12);
  CHECK_THAT(crashed.err,
             Contains("reenact: " + world.path +
                      ": event 38 (reducer 'counter', key 'c0') crashed: ") &&
                 Contains(says) && Contains("is not recorded"));
  // Which rounds other workers had complete is theirs; one worker has them all.
  if (workers == "0") CHECK(world.Head() == 30);
  // It is tried again until it is mended.
  if (add != 101) return;
  CHECK(world.Run(StepsWorld::Module("dies"), StepsWorld::Rows(add)).code ==
        12);
  CHECK(world.Run("counter", StepsWorld::Rows(add), {"--accept-module-change"})
            .code == 0);
  // Verified with what crashes, too.
  CHECK(world.Ask("verify", {"-m", StepsWorld::Module("dies")}).code == 12);
  CHECK(world.Ask("verify", {"-q", "-m", "counter", "--allow-module-change"})
            .code == 0);
}

TEST_CASE("trial 05: a step that ends the process does not end a run well",
          "[tools][cli]") {
  const auto& [add, says] = GENERATE(table<int, std::string>({
      {111, "called exit()"},
      {112, "called _exit()"},
      {113, "called exit()"},
      {114, "called exit()"},
  }));
#ifdef REENACT_SANITIZED  // there a function of the C library stays as it is
  if (add == 112) return;
#endif
  const std::string workers = GENERATE(as<std::string>(), "0", "2");
  const StepsWorld world;
  const CommandResult ended =
      world.Run(StepsWorld::Module("dies"), StepsWorld::Rows(add),
                {"--workers", workers});
  CAPTURE(add, workers, ended.err);
  CHECK(ended.code == 12);
  CHECK_THAT(ended.err,
             Contains("event 38 (reducer 'counter', key 'c0') " + says));
  if (workers == "0") CHECK(world.Head() == 30);
}

TEST_CASE("trial 05: a mapper that ends the process is named with its row",
          "[tools][cli]") {
  const StepsWorld world;
  const CommandResult ended =
      world.Run(StepsWorld::Module("dies"),
                StepsWorld::Rows(1) + R"({"counter": "exit"})" + "\n");
  CAPTURE(ended.err);
  CHECK(ended.code == 12);
  CHECK_THAT(ended.err,
             Contains("the module's mapper, at row 41 called exit()"));
  CHECK(world.Ask("verify", {"-q", "-m", StepsWorld::Module("dies")}).code ==
        0);
}

TEST_CASE(
    "trial 05: who wants to stop is told which step is waited for, and a "
    "second signal ends at once",
    "[tools][cli]") {
  const std::string workers = GENERATE(as<std::string>(), "0", "2");
  const StepsWorld world;
  const CommandResult stopped =
      world.Run(StepsWorld::Module("dies"), StepsWorld::Rows(121),
                {"--workers", workers});
  CAPTURE(workers, stopped.err);
  CHECK(stopped.code == 143);
  CHECK_THAT(stopped.err,
             Contains("reenact: waiting for event 38 (reducer 'counter', key "
                      "'c0'); a second signal ends at once\n"));
}

TEST_CASE("trial 05: verify ends a step that does not return, and names it",
          "[tools][cli]") {
  const StepsWorld world;
  REQUIRE(world.Run("counter", StepsWorld::Rows(13)).code == 0);
  const CommandResult stuck = world.Ask(
      "verify", {"-m", StepsWorld::Module("endless"), "--step-timeout", "0.3"});
  CAPTURE(stuck.err);
  CHECK(stuck.code == 11);
  CHECK_THAT(stuck.err, Contains("event 38 (reducer 'counter', key 'c0') has "
                                 "been running for more than 0.3 s"));
}

TEST_CASE(
    "trial 05: an event that crashes whatever runs it is made to fail, on "
    "record with who and why",
    "[tools][cli]") {
  const StepsWorld world;
  const std::string dies = StepsWorld::Module("dies");
  const std::string rows = StepsWorld::Rows(101);
  REQUIRE_THAT(world.Run(dies, rows).err, Contains("--fail-event 38"));
  const StepsWorld twin;
  std::filesystem::copy(world.path, twin.path,
                        std::filesystem::copy_options::recursive);

  const std::vector<std::string> order = {
      "--fail-event", "38", "--by", "ann", "--reason", "null, ticket 4711"};
  const CommandResult past = world.Run(dies, rows, order);
  INFO(past.err);
  REQUIRE(past.code == 0);
  CHECK_THAT(past.out, Contains("failed_by_order 1"));
  CHECK(world.Head() == 40);
  const CommandResult why = world.Ask("why", {"38"});
  CHECK_THAT(why.out, Contains("failed: failed_by_order"));
  const CommandResult log = world.Ask("log", {"--kind", "FailureOrdered"});
  CHECK_THAT(log.out, Contains("38") && Contains("ann") &&
                          Contains("null, ticket 4711"));

  SECTION("replay does not run it either, nor does opening") {
    CHECK(world.Ask("verify", {"-q", "-m", dies}).code == 0);
    const CommandResult more = world.Run(dies, rows + StepsWorld::Rows(1));
    INFO(more.err);
    CHECK(more.code == 0);
    CHECK(world.Head() == 80);
    CHECK(world.Ask("verify", {"-q", "-m", dies, "-j", "2"}).code == 0);
  }
  SECTION("the bytes do not depend on workers") {
    std::vector<std::string> parallel = order;
    parallel.insert(parallel.end(), {"--workers", "2"});
    REQUIRE(twin.Run(dies, rows, parallel).code == 0);
    CHECK(twin.Ask("digest", {"--json"}).out ==
          world.Ask("digest", {"--json"}).out);
  }
}

TEST_CASE(
    "trial 05: an order to fail that makes no sense is refused, and one "
    "that has no event yet is said",
    "[tools][cli]") {
  const StepsWorld world;
  const auto run = [&world](std::vector<std::string> more) {
    return world.Run("counter", StepsWorld::Rows(1), std::move(more));
  };
  CHECK(run({"--fail-event", "5"}).code == 2);
  CHECK(run({"--reason", "why not"}).code == 2);
  CHECK(run({"--by", "ann"}).code == 2);
  const CommandResult early = run({"--fail-event", "41", "--reason", "dear"});
  CHECK(early.code == 0);
  CHECK_THAT(early.err, Contains("event 41 has not come up"));
  const CommandResult late = run({"--fail-event", "40", "--reason", "dear"});
  CHECK(late.code == 8);
  CHECK_THAT(late.err, Contains("event 40 is history; the next is 41"));
  CHECK(world.Ask("verify", {"-q"}).code == 0);
}

}  // namespace
}  // namespace reenact::tests
