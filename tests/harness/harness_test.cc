// The harness itself: what it draws, how it runs tasks, and that it would see
// what is wrong.

#include <catch2/catch.hpp>
#include <cstdint>
#include <deque>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "reenact/base/mutex.h"
#include "reenact/harness/explore.h"
#include "reenact/harness/main.h"
#include "reenact/harness/report.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/harness/scenarios.h"
#include "tests/support/status_matchers.h"

namespace reenact::harness {
namespace {

// --- choices -----------------------------------------------------------------

Choices DrawSome(Choices choices) {
  for (std::uint32_t bound = 1; bound < 40; ++bound) {
    (void)choices.Below(bound, "some");
    (void)choices.OneIn(5, "rare");
  }
  return choices;
}

TEST_CASE("what was drawn is a string, and the string draws it again",
          "[harness]") {
  const Choices drawn = DrawSome(Choices(7));
  const auto script = DecodeLog(EncodeLog(drawn.log()));
  REQUIRE_OK(script);
  const Choices again = DrawSome(Choices(*script));
  REQUIRE(again.log().size() == drawn.log().size());
  for (std::size_t i = 0; i < drawn.log().size(); ++i) {
    CHECK(again.log()[i].value == drawn.log()[i].value);
  }
  REQUIRE_OK(again.Drift());
}

TEST_CASE("a string that was mistyped or cut is refused", "[harness]") {
  const std::string text = EncodeLog(DrawSome(Choices(7)).log());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string wrong = text;
    wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
    const auto script = DecodeLog(wrong);
    // The last letter has bits that mean nothing; all else must show.
    if (script.ok()) CHECK(i + 1 == text.size());
    CHECK_FALSE(DecodeLog(text.substr(0, i)).ok());
  }
  CHECK(absl::IsInvalidArgument(DecodeLog("no base 32!").status()));
  CHECK(absl::IsInvalidArgument(ParseReplay("run:v1:x:w4").status()));
  CHECK(absl::IsInvalidArgument(ParseReplay("run:v2:x:w4:aaaa").status()));
}

TEST_CASE("draws that do not fit the string are drift, never a pass",
          "[harness]") {
  const auto script = DecodeLog(EncodeLog(DrawSome(Choices(3)).log()));
  REQUIRE_OK(script);
  Choices shorter(*script);
  (void)shorter.Below(1, "some");
  CHECK(absl::IsFailedPrecondition(shorter.Drift()));
  Choices other(*script);
  for (std::uint32_t bound = 1; bound < 40; ++bound) {
    (void)other.Below(bound, "another place");
    (void)other.OneIn(5, "rare");
  }
  CHECK(absl::IsFailedPrecondition(other.Drift()));
}

// --- tasks -------------------------------------------------------------------

Simulator::End Simulate(std::uint64_t seed, StrategyKind kind,
                        EngineKind engine, const std::function<void()>& body,
                        std::string* tasks = nullptr) {
  Choices choices(seed);
  const auto strategy = MakeStrategy(kind, 0, Shape(), choices);
  Simulator::Options options;
  options.engine = engine;
  Simulator simulator(&choices, strategy.get(), options);
  const Simulator::End end = simulator.Run(body);
  if (tasks != nullptr) *tasks = simulator.DescribeTasks();
  return end;
}

constexpr StrategyKind kStrategies[] = {
    StrategyKind::kSerial, StrategyKind::kRoundRobin, StrategyKind::kRandomWalk,
    StrategyKind::kPct,    StrategyKind::kPos,        StrategyKind::kUniform,
    StrategyKind::kStarve, StrategyKind::kSwizzle};

TEST_CASE("an update that others may undo is lost under some schedule",
          "[harness]") {
  for (const EngineKind engine : {EngineKind::kFibers, EngineKind::kThreads}) {
    std::set<int> sums;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      int sum = 0;
      const auto add = [&sum] {
        const int seen = sum;
        instrument::Yield("test.add", &sum);
        sum = seen + 1;
      };
      REQUIRE(Simulate(seed, StrategyKind::kRandomWalk, engine, [&] {
                instrument::Thread one("one", add);
                instrument::Thread two("two", add);
                one.join();
                two.join();
              }) == Simulator::End::kFinished);
      sums.insert(sum);
    }
    CHECK(sums == std::set<int>{1, 2});
  }
}

TEST_CASE("a lock keeps it, under every strategy", "[harness]") {
  for (const StrategyKind kind : kStrategies) {
    CAPTURE(StrategyName(kind));
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      int sum = 0;
      Mutex mutex;
      const auto add = [&] {
        for (int i = 0; i < 3; ++i) {
          MutexLock lock(&mutex);
          const int seen = sum;
          instrument::Yield("test.add", &sum);
          sum = seen + 1;
        }
      };
      REQUIRE(Simulate(seed, kind, EngineKind::kFibers, [&] {
                instrument::Thread one("one", add);
                instrument::Thread two("two", add);
                one.join();
                two.join();
              }) == Simulator::End::kFinished);
      REQUIRE(sum == 6);
    }
  }
}

TEST_CASE("two who wait for each other are found, with what they wait for",
          "[harness]") {
  bool found = false;
  for (std::uint64_t seed = 0; seed < 200 && !found; ++seed) {
    // Abandoned tasks keep them.
    static auto& mutexes = *new std::deque<Mutex>;
    Mutex* const a = &mutexes.emplace_back();
    Mutex* const b = &mutexes.emplace_back();
    const auto both = [](Mutex* first, Mutex* second) {
      MutexLock one(first);
      MutexLock two(second);
    };
    std::string tasks;
    const auto end = Simulate(
        seed, StrategyKind::kRandomWalk, EngineKind::kFibers,
        [&] {
          instrument::Thread one("one", [&] { both(a, b); });
          instrument::Thread two("two", [&] { both(b, a); });
          one.join();
          two.join();
        },
        &tasks);
    if (end != Simulator::End::kDeadlock) continue;
    found = true;
    CHECK(tasks.find("(one) waits at mutex.wait") != tasks.npos);
    CHECK(tasks.find("(two) waits at mutex.wait") != tasks.npos);
  }
  CHECK(found);
}

TEST_CASE("a wait with a time-out takes no time", "[harness]") {
  Mutex mutex;
  CondVar never;
  std::uint64_t took = 0;
  REQUIRE(Simulate(1, StrategyKind::kSerial, EngineKind::kFibers, [&] {
            const std::uint64_t start = instrument::NowNs();
            MutexLock lock(&mutex);
            CHECK_FALSE(never.WaitFor(&mutex, 3'600'000));
            took = instrument::NowNs() - start;
          }) == Simulator::End::kFinished);
  CHECK(took >= 3'600'000'000'000ULL);
}

TEST_CASE("an exception belongs to its task", "[harness]") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    int caught = 0;
    const auto body = [&caught](const char* name) {
      try {
        throw std::runtime_error(name);
      } catch (const std::runtime_error&) {
        instrument::Yield("test.caught");
        try {
          throw;  // this task's, whatever others threw meanwhile
        } catch (const std::runtime_error& again) {
          if (std::string(again.what()) == name) ++caught;
        }
      }
    };
    REQUIRE(Simulate(seed, StrategyKind::kRandomWalk, EngineKind::kFibers, [&] {
              instrument::Thread one("one", [&] { body("one"); });
              instrument::Thread two("two", [&] { body("two"); });
              one.join();
              two.join();
            }) == Simulator::End::kFinished);
    REQUIRE(caught == 2);
  }
}

// --- runs --------------------------------------------------------------------

TEST_CASE("a seed gives the same run, with fibers and with threads",
          "[harness]") {
  for (const Scenario& scenario : AllScenarios()) {
    CAPTURE(scenario.name);
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      CAPTURE(seed);
      RunSettings settings;
      const RunResult one =
          RunOnce(scenario, settings, Shape(), Choices(seed), true);
      settings.engine = EngineKind::kThreads;
      const RunResult two =
          RunOnce(scenario, settings, Shape(), Choices(seed), true);
      REQUIRE(one.violation == std::nullopt);
      REQUIRE(two.violation == std::nullopt);
      REQUIRE(one.digest == two.digest);
      REQUIRE(one.blocks == two.blocks);
      REQUIRE(EncodeLog(one.log) == EncodeLog(two.log));
    }
  }
}

TEST_CASE(
    "chaos 63: schedules, sizes, workers, cuts of the power and failing writes "
    "drawn together: the scenarios hold, and what they are for happens",
    "[harness]") {
  Exploration all;
  for (const Scenario& scenario : AllScenarios()) {
    CAPTURE(scenario.name);
    ExploreOptions options;
    options.runs = ForTier(400, 20'000);
    const Exploration found = Explore(scenario, options);
    INFO((found.found ? found.found->replay : std::string()));
    REQUIRE_OK(found.problem);
    REQUIRE_FALSE(found.found.has_value());
    CHECK(found.runs == options.runs);
    all.reruns += found.reruns;
    all.recoveries += found.recoveries;
    all.effects += found.effects;
    all.model_runs += found.model_runs;
    Score("whole-kernel schedules", found.runs);
  }
  CHECK(all.reruns > 0);
  CHECK(all.recoveries > 0);
  CHECK(all.effects > 0);
  CHECK(all.model_runs > 0);
}

TEST_CASE("chaos 61: threads that run freely give what a serial replay gives",
          "[harness]") {
  for (const Scenario& scenario : AllScenarios()) {
    CAPTURE(scenario.name);
    ExploreOptions options;
    options.settings.engine = EngineKind::kFree;
    options.settings.workers_max = 16;
    options.runs = ForTier(80, 600);
    options.double_run_one_in = 0;
    const Exploration found = Explore(scenario, options);
    if (found.found) FAIL(found.found->result.violation->detail);
    Score("runs with real threads", found.runs);
  }
}

TEST_CASE("all schedules of the reference with two preemptions hold",
          "[harness]") {
  ExploreOptions options;
  options.runs = 1'000'000;
  options.settings.workers_max = 2;
  options.settings.plain = true;
  options.settings.crashes = options.settings.io_errors = false;
  bool complete = false;
  const Exploration found = ExploreAll(
      Reference(), options, static_cast<int>(ForTier(2, 3)), &complete);
  CHECK(complete);
  CHECK_FALSE(found.found.has_value());
  CHECK(found.runs > 1000);
  Score("schedules tried exhaustively", found.runs);
}

// --- canaries ----------------------------------------------------------------

Scenario Canary() {
  return {"canary", [](Case& run) {
            Reference().set_up(run);
            run.AddInvariant("there is no b", [](const World& world) {
              const auto b = world.Read("adder", "b");
              return b.ok() && b->has_value()
                         ? absl::InternalError("there is a b")
                         : absl::OkStatus();
            });
          }};
}

TEST_CASE(
    "an invariant that cannot hold is a failure, made small, that can be "
    "had again",
    "[harness]") {
  ExploreOptions options;
  options.runs = 100;
  const Exploration found = Explore(Canary(), options);
  REQUIRE(found.found.has_value());
  const Found& canary = *found.found;
  REQUIRE(canary.result.violation.has_value());
  CHECK(canary.result.violation->property == "invariant there is no b");
  CHECK(canary.result.faults == 0);
  CHECK(canary.result.switches == 0);
  const auto again = RunReplay(Canary(), canary.replay);
  REQUIRE_OK(again);
  REQUIRE(again->violation.has_value());
  CHECK(again->blocks == canary.result.blocks);
  CHECK(WhyNotHeld(Canary(), canary.replay).find("there is a b") !=
        std::string::npos);
  // The same log in another scenario proves nothing, and says so.
  CHECK(absl::IsFailedPrecondition(
      RunReplay(Reference(), canary.replay).status()));
}

TEST_CASE("a replay of a program that has changed is drift", "[harness]") {
  ExploreOptions options;
  options.runs = 100;
  const Exploration found = Explore(Canary(), options);
  REQUIRE(found.found.has_value());
  Scenario changed = Canary();
  changed.set_up = [](Case& run) {
    (void)run.choices().Below(7, "new");
    Canary().set_up(run);
  };
  const auto run = RunReplay(changed, found.found->replay);
  REQUIRE(absl::IsFailedPrecondition(run.status()));
  CHECK(std::string(run.status().message()).find("drift") != std::string::npos);
}

TEST_CASE("trial 23: pure steps give the same where less of their history runs",
          "[harness]") {
  for (const Scenario& scenario : AllScenarios()) {
    CAPTURE(scenario.name);
    for (std::uint64_t seed = 100; seed < 108; ++seed) {
      CAPTURE(seed);
      const RunResult run =
          RunOnce(scenario, RunSettings(), Shape(), Choices(seed), true);
      REQUIRE(run.violation == std::nullopt);
      Script script;
      for (const Choice& choice : run.log)
        script.values.push_back(choice.value);
      for (std::size_t from = 2; from < run.blocks.size();
           from += 1 + run.blocks.size() / 4) {
        CAPTURE(from, run.blocks.size());
        const auto violation =
            ReplayPart(scenario, RunSettings(), Choices(script), run.blocks,
                       from, nullptr);
        CAPTURE(violation ? violation->detail : "");
        CHECK_FALSE(violation);
      }
    }
  }
}

TEST_CASE("a scenario that asks something that is not drawn is the problem",
          "[harness]") {
  ExploreOptions options;
  options.runs = 50;
  options.threads = 1;
  options.double_run_one_in = 1;
  int calls = 0;
  const Exploration found = Explore(
      {"unsteady",
       [&calls](Case& run) {
         run.UseModule(
             *MakeModule("m", "1", {MakeReducer("m", [](StepContext&) {
                           return absl::OkStatus();
                         })}));
         std::vector<Input> inputs(static_cast<std::size_t>(1 + calls++ % 3));
         for (Input& input : inputs) {
           input.event = {"m", "k", "", cbor::EncodeInteger(1)};
         }
         run.Feed(inputs);
       }},
      options);
  CHECK_FALSE(found.problem.ok());
}

TEST_CASE("reports say what was found, and escape what they quote",
          "[harness]") {
  ExploreOptions options;
  options.runs = 100;
  const Scenario scenario = Canary();
  const Exploration found = Explore(scenario, options);
  ReportInput input;
  input.scenario = &scenario;
  input.options = &options;
  input.exploration = &found;
  input.command = "a<b> & c";
  const std::string text = TextReport(input);
  CHECK(text.find("violated: invariant there is no b") != text.npos);
  CHECK(text.find("a<b> & c --replay run:v1:canary:w4ci:") != text.npos);
  CHECK(text.find("TEST_CASE(\"canary: invariant there is no b\")") !=
        text.npos);
  CHECK(JsonReport(input).find("\"verdict\": \"violated\"") !=
        std::string::npos);
  const std::string page = HtmlReport(input);
  CHECK(page.find("a&lt;b&gt; &amp; c") != page.npos);
  CHECK(page.find("<svg") != page.npos);
  CHECK(page.find("http") == page.npos);  // it needs no network
}

TEST_CASE("what was missed is said with a probability", "[harness]") {
  // 1 - 1/(2*10): a hundred runs leave 0.6 %.
  CHECK(MissedAtMost(2, 10, 2, 100) == Approx(0.00592).epsilon(0.01));
  CHECK(MissedAtMost(2, 10, 1, 1) == Approx(0.5));
}

}  // namespace
}  // namespace reenact::harness
