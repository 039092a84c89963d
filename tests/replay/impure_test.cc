// Reducers that depend on more than their step.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "reenact/kernel/cbor.h"
#include "reenact/kernel/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/plays.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

Module LoadImpure(const std::string& name) {
  auto module =
      LoadModule(REENACT_BINARY_DIR "/tests/modules/" + name + ".so", {});
  REQUIRE_OK(module);
  return *std::move(module);
}

void RunCounter(const std::string& path, const Module& module) {
  WorldOptions options;
  options.path = path;
  options.modules.push_back(module);
  const auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  InputList source(CounterPlay(40).inputs);
  REQUIRE_OK((*world)->Feed(source));
  REQUIRE_OK((*world)->Close());
}

VerifyReport MustVerify(const std::string& path, const Module& module,
                        std::size_t workers, bool run_twice) {
  VerifyOptions options;
  options.path = path;
  options.modules.push_back(module);
  options.workers = workers;
  options.run_twice = run_twice;
  const auto report = Verify(options);
  REQUIRE_OK(report);
  return *report;
}

TEST_CASE("a reducer that differs from run to run is impure", "[replay]") {
  const std::string name =
      GENERATE(as<std::string>(), "impure_clock", "impure_rand",
               "impure_static", "impure_unordered");
  CAPTURE(name);
  const Module module = LoadImpure(name);
  const TemporaryDirectory directory;
  RunCounter(directory / "world", module);
  for (const std::size_t workers : {0U, 2U}) {
    const VerifyReport report =
        MustVerify(directory / "world", module, workers, true);
    CHECK(report.verdict == Verdict::kImpure);
    REQUIRE(report.divergence);
    CHECK(report.divergence->reducer == "counter");
    CHECK(report.divergence->event_id > EventId{0});
    CHECK_FALSE(report.divergence->key.empty());
    CHECK_FALSE(report.divergence->cause_text.empty());
  }
}

// Without the second run of each step it is found out by its record, and then
// mostly by the replay that explains it.
TEST_CASE("an impure reducer is no less caught when steps run once",
          "[replay]") {
  const std::string name =
      GENERATE(as<std::string>(), "impure_clock", "impure_rand",
               "impure_static", "impure_unordered");
  CAPTURE(name);
  const Module module = LoadImpure(name);
  const TemporaryDirectory directory;
  RunCounter(directory / "world", module);
  const VerifyReport report = MustVerify(directory / "world", module, 0, false);
  const bool caught = report.verdict == Verdict::kDiverged ||
                      report.verdict == Verdict::kImpure;
  CHECK(caught);
  CHECK(report.divergence->reducer == "counter");
}

TEST_CASE("a reducer that asks the environment differs with it", "[replay]") {
  const Module module = LoadImpure("impure_getenv");
  const TemporaryDirectory directory;
  REQUIRE(setenv("REENACT_IMPURE", "abc", 1) == 0);
  RunCounter(directory / "world", module);
  // One process, one environment: only the command's probes can tell.
  CHECK(MustVerify(directory / "world", module, 0, true).verdict ==
        Verdict::kIdentical);
  REQUIRE(unsetenv("REENACT_IMPURE") == 0);
  const VerifyReport report = MustVerify(directory / "world", module, 0, true);
  CHECK(report.verdict == Verdict::kDiverged);
  CHECK(report.divergence->event_id == EventId{1});
}

TEST_CASE("what depends on how often it ran is impure, even in what it raises",
          "[replay]") {
  const auto runs = std::make_shared<std::uint64_t>(0);
  const std::string how = GENERATE(as<std::string>(), "event", "effect",
                                   "failure", "update", "own cell");
  CAPTURE(how);
  const auto reducer = MakeReducer("moody", [runs, how](StepContext& step) {
    const bool odd = ++*runs % 2 == 1;
    const Bytes item = cbor::EncodeInteger(odd ? 1 : 2);
    if (step.cause().is_input() && how == "event") {
      step.Raise({"moody", "child", "", item});
    }
    if (how == "effect") step.Intend({"mail", "", item, ""});
    if (how == "failure" && odd) return absl::NotFoundError("odd");
    if (how == "update") {
      Update update;
      update.number = odd ? 1 : 2;
      step.Apply("moody", "sum", update);
    }
    if (how == "own cell") step.SetState(item);
    return absl::OkStatus();
  });
  const Module module = MakeModule("moody", "1", {reducer}).value();
  const TemporaryDirectory directory;
  WorldOptions options;
  options.path = directory / "world";
  options.modules.push_back(module);
  const auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  for (int i = 0; i < 3; ++i) {
    REQUIRE_OK((*world)->Submit(InputFor("moody", "k", Bytes("\x01"))));
  }
  REQUIRE_OK((*world)->Run());
  REQUIRE_OK((*world)->Close());
  const VerifyReport report = MustVerify(directory / "world", module, 0, true);
  CHECK(report.verdict == Verdict::kImpure);
  CHECK(report.divergence->event_id == EventId{1});
  CHECK(report.divergence->reducer == "moody");
  CHECK(report.divergence->key == "k");
}

}  // namespace
}  // namespace reenact
