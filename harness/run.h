// One run of a scenario: a world from its beginning to its end, conducted, with
// everything checked.

#ifndef REENACT_HARNESS_RUN_H_
#define REENACT_HARNESS_RUN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reenact/harness/choices.h"
#include "reenact/harness/recorded_check.h"
#include "reenact/harness/scenario.h"
#include "reenact/harness/simulator.h"
#include "reenact/harness/strategy.h"
#include "reenact/harness/task_host.h"
#include "reenact/world/world.h"

namespace reenact::harness {

// What runs of one exploration have in common. What of it decides what is drawn
// is part of a replay string.
struct RunSettings {
  EngineKind engine = EngineKind::kFibers;
  StrategyKind strategy = StrategyKind::kPortfolio;
  int depth = 0;  // of PCT; 0: drawn
  std::uint32_t workers_max = 4;
  bool crashes = true;    // the power is cut, up to twice in a run
  bool io_errors = true;  // a write fails
  // Sizes are not drawn: workers_max workers, every block synced, all else as
  // it comes; so that runs differ in their schedules alone.
  bool plain = false;
  std::uint64_t steps_max = 200'000;
};

struct RunResult {
  // Nullopt: everything held.
  std::optional<Violation> violation;
  absl::Status drift;  // of a replay
  ChoiceLog log;
  // What happened, for reports.
  std::uint64_t steps = 0;      // points that tasks passed
  std::uint64_t decisions = 0;  // of them with a choice
  std::uint64_t switches = 0;   // from tasks that could have gone on
  std::uint64_t tasks = 0;
  std::uint64_t digest = 0;
  std::uint64_t tickets = 0;
  std::uint64_t longest_cell = 0;  // tickets of the cell that has most
  std::uint64_t workers = 0;
  std::uint64_t lives = 0;
  std::uint64_t faults = 0;
  std::uint64_t effects = 0;
  bool model_applied = false;
  std::string journal;  // the hash of its last block
  WorldStats stats;     // of the last life
  std::map<std::string, ReducerTally> reducers;
  std::vector<Bytes> blocks;     // if asked for
  std::vector<TraceStep> trace;  // if asked for
  std::vector<std::string> task_names;
  // Of a run that ended its process: the steps that it began, as lines.
  std::string begun;
};

class SharedRecord;

// Runs it once. `shape`: what earlier runs were like. `keep`: fills in trace
// and blocks. `record`: told how far it has come; may be null.
//
// Thread safety: several threads may run at the same time, each with choices of
// its own.
RunResult RunOnce(const Scenario& scenario, const RunSettings& settings,
                  const Shape& shape, Choices choices, bool keep = false,
                  SharedRecord* record = nullptr);

// Runs the steps from block `from` on of what the run of `choices`, a script,
// has recorded, behind what is recorded before, and compares.
std::optional<Violation> ReplayPart(const Scenario& scenario,
                                    const RunSettings& settings,
                                    Choices choices,
                                    const std::vector<Bytes>& blocks,
                                    std::uint64_t from, SharedRecord* record);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_RUN_H_
