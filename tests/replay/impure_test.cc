// Reducers that depend on more than their step.

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cfenv>
#include <chrono>
#include <clocale>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "reenact/world/load_module.h"
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

TEST_CASE("chaos 29: a reducer that differs from run to run is impure",
          "[replay]") {
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

// What each of these comes to depends on something that is not its step. Some
// depend on it for certain from run to run, one after the other on one thread.
TEST_CASE("chaos 29: nothing that a step may look at by mistake escapes",
          "[replay]") {
  using Look = std::function<std::uint64_t()>;
  std::vector<std::unique_ptr<char[]>> kept;  // so that addresses differ
  std::mutex mutex;
  const std::vector<std::pair<const char*, Look>> looks = {
      {"steady clock",
       [] {
         return static_cast<std::uint64_t>(
             std::chrono::steady_clock::now().time_since_epoch().count());
       }},
      {"system clock",
       [] {
         return static_cast<std::uint64_t>(
             std::chrono::system_clock::now().time_since_epoch().count());
       }},
      {"processor time",
       [] {
         timespec now{};
         clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
         return static_cast<std::uint64_t>(now.tv_nsec);
       }},
      {"random_device", [] { return std::uint64_t{std::random_device()()}; }},
      {"rand", [] { return static_cast<std::uint64_t>(std::rand()); }},
      {"an engine of its own",
       [] {
         static std::mt19937_64 engine;
         return engine();
       }},
      {"static counter",
       [] {
         static std::atomic<std::uint64_t> counter{0};
         return ++counter;
       }},
      {"counter of the thread",
       [] {
         thread_local std::uint64_t counter = 0;
         return ++counter;
       }},
      {"address on the heap",
       [&kept, &mutex] {
         const std::lock_guard<std::mutex> lock(mutex);
         kept.push_back(std::make_unique<char[]>(64));
         return static_cast<std::uint64_t>(
             reinterpret_cast<std::uintptr_t>(kept.back().get()));
       }},
      {"order of addresses in a set",
       [&kept, &mutex] {
         const std::lock_guard<std::mutex> lock(mutex);
         std::unordered_set<const char*> set;
         for (int i = 0; i < 8; ++i) {
           kept.push_back(std::make_unique<char[]>(64));
           set.insert(kept.back().get());
         }
         // How far from the first one the one lies that comes first.
         return static_cast<std::uint64_t>(
             reinterpret_cast<std::uintptr_t>(*set.begin()));
       }},
      {"how many files are open",
       [] {
         return static_cast<std::uint64_t>(dup(0));  // one more each time
       }},
      {"rounding mode",
       [] {
         // Left as it was not found.
         std::fesetround(std::fegetround() == FE_UPWARD ? FE_TONEAREST
                                                        : FE_UPWARD);
         return static_cast<std::uint64_t>(std::fegetround());
       }},
      {"locale", [] {
         static std::atomic<bool> dotted{false};
         dotted = !dotted;
         std::setlocale(LC_ALL, dotted ? "C" : "C.UTF-8");
         return std::uint64_t{std::setlocale(LC_ALL, nullptr)[1] == '\0'};
       }}};
  for (const auto& [name, look] : looks) {
    CAPTURE(name);
    const auto reducer =
        MakeReducer("counter", [look = look](StepContext& step) {
          step.SetState(cbor::EncodeInteger(
              static_cast<std::int64_t>(look() % (std::uint64_t{1} << 62))));
          return absl::OkStatus();
        });
    const Module module = MakeModule("looks", "1", {reducer}).value();
    const TemporaryDirectory directory;
    RunCounter(directory / "world", module);
    const VerifyReport report =
        MustVerify(directory / "world", module, 0, true);
    CHECK(report.verdict == Verdict::kImpure);
    REQUIRE(report.divergence);
    CHECK(report.divergence->event_id > EventId{0});
  }
  std::fesetround(FE_TONEAREST);
  std::setlocale(LC_ALL, "C");
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
