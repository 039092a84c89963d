// Many runs of a scenario, and what to make of one that fails.

#ifndef REENACT_HARNESS_EXPLORE_H_
#define REENACT_HARNESS_EXPLORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/harness/run.h"
#include "reenact/harness/scenario.h"

namespace reenact::harness {

struct ExploreOptions {
  RunSettings settings;
  std::uint64_t runs = 10'000;
  double seconds = 0;  // ends it earlier; 0: no limit
  std::uint64_t seed = 1;
  std::size_t threads = 0;  // 0: as many as there are cores
  // One in so many runs is made twice, which must be alike to the last step.
  std::uint64_t double_run_one_in = 20;
  std::uint64_t shrink_runs = 5'000;  // at most, for one failure; 0: none
  // In processes: a step that takes longer has no end. 0: for ever.
  double step_seconds = 10;
  // Told the runs done, now and then, by one thread at a time. May be empty.
  std::function<void(std::uint64_t runs)> progress;
  // Asked now and then; true ends it. May be empty. Any thread.
  std::function<bool()> cancelled;
};

// So many runs are made before what is typical of them says what others draw.
inline constexpr std::uint64_t kTrialRuns = 64;
// What run `number` draws its numbers from.
std::uint64_t SeedOf(const ExploreOptions& options, std::uint64_t number);

// A failure, made as small as could be.
struct Found {
  RunResult result;    // of the smallest run, with trace and blocks
  std::string replay;  // the string that gives it again
  std::string first;   // the same of the run that failed first
  std::uint64_t seed = 0;
  std::uint64_t shrink_runs = 0;
  // What it takes to have it again, if a fresh process alone does not.
  std::string reproduction;
};

struct Exploration {
  std::uint64_t runs = 0;
  double seconds = 0;
  bool cancelled = false;
  std::uint64_t double_runs = 0;
  std::uint64_t model_runs = 0;
  std::uint64_t steps = 0;
  std::uint64_t switches = 0;
  std::uint64_t tickets = 0;
  std::uint64_t reruns = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t recoveries = 0;
  std::uint64_t faults = 0;
  std::uint64_t effects = 0;
  std::uint64_t tickets_most = 0;  // in one run
  std::uint64_t longest_cell = 0;  // tickets of one cell in one run, at most
  std::uint64_t decisions = 0;
  std::uint64_t decisions_most = 0;  // in one run
  // What strategies counted on; 0: nothing yet.
  std::uint64_t decisions_assumed = 0;
  std::uint64_t tasks_most = 0;
  std::map<std::string, ReducerTally> reducers;
  std::optional<Found> found;
  // Not OK: the harness itself cannot be trusted (two equal runs differed), or
  // the scenario is at fault.
  absl::Status problem;

  // Typical for a run, for the probability that a bug was missed.
  Shape shape() const;
};

Exploration Explore(const Scenario& scenario, const ExploreOptions& options);

// All schedules of the scenario's plainest run (every other choice 0) with at
// most `preemptions` of them; up to `options.runs`. `complete` says whether
// those were all.
Exploration ExploreAll(const Scenario& scenario, const ExploreOptions& options,
                       int preemptions, bool* complete);

// Adds what is counted of a run.
void AddUp(const RunResult& run, Exploration* sum);

// What ExploreAll() runs: `visit` gets each run until one breaks a property or
// the budget is spent. Whether those were all.
bool VisitAllSchedules(const Scenario& scenario, const ExploreOptions& options,
                       int preemptions, SharedRecord* record,
                       const std::function<void(RunResult)>& visit);

// Makes the failure `failed` smaller: what `run` makes of a script counts, as
// long as the same property breaks.
RunResult ShrinkWith(RunResult failed,
                     const std::function<RunResult(Script)>& run,
                     std::uint64_t runs_max,
                     const std::function<bool()>& cancelled,
                     std::uint64_t* runs);

// "run:v1:SCENARIO:SETTINGS:LOG".
std::string ReplayString(const Scenario& scenario, const RunSettings& settings,
                         const ChoiceLog& log);
// The same with runs that are made before it, in its process: "LOG+LOG".
std::string ReplayStringBehind(const Scenario& scenario,
                               const RunSettings& settings,
                               const std::vector<Script>& before,
                               const ChoiceLog& log);
struct Replay {
  std::string scenario;
  RunSettings settings;
  std::vector<Script> before;
  Script script;
};
// FailedPrecondition: it is of another one.
absl::Status CheckScenario(const Scenario& scenario, const Replay& replay);
// InvalidArgument: not such a string.
absl::StatusOr<Replay> ParseReplay(std::string_view text);

// Runs a replay once, with trace and blocks. FailedPrecondition: it is of
// another scenario, or has drifted, so that the run proves nothing.
absl::StatusOr<RunResult> RunReplay(const Scenario& scenario,
                                    std::string_view replay);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_EXPLORE_H_
