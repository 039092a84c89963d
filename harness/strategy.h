// Who runs next: the strategies that look for schedules with bugs in them.

#ifndef REENACT_HARNESS_STRATEGY_H_
#define REENACT_HARNESS_STRATEGY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/harness/choices.h"

namespace reenact::harness {

// A task that could go on, and what it is about to do.
struct Candidate {
  std::uint64_t task = 0;
  const char* site = "";
  const void* object = nullptr;
  bool write = false;
};

// What earlier runs of the scenario were like, for strategies that spread their
// efforts.
struct Shape {
  std::uint64_t points = 200;     // that tasks pass in a run, on average
  std::uint64_t decisions = 100;  // of them with more than one task to choose
                                  // from, on average
  std::uint64_t decisions_most = 200;
  std::uint64_t tasks = 4;  // at most
};

// Thread safety: none; one for each run.
class Strategy {
 public:
  virtual ~Strategy() = default;
  // Which of `ready` goes on; `ready[0]` is the task that runs now, if
  // `current_ready`. REQUIRES: !ready.empty().
  virtual std::size_t Pick(const std::vector<Candidate>& ready,
                           bool current_ready, Choices& choices) = 0;
};

enum class StrategyKind {
  kSerial,      // the current task as long as it can
  kRoundRobin,  // each in turn, a point each
  kRandomWalk,  // evenly among those that could go on
  kPct,         // priorities with d - 1 changes: Burckhardt et al., "A
                // randomized scheduler with probabilistic guarantees of finding
                // bugs", ASPLOS 2010
  kPos,         // priorities of events, drawn anew by those that race: Yuan et
                // al., "Partial order aware concurrency sampling", CAV 2018
  kUniform,     // about evenly among interleavings, by how much each task has
                // left: Zhao et al., "Selectively uniform concurrency testing",
                // ASPLOS 2025
  kStarve,      // one task does not run for a long while
  kSwizzle,     // tasks are stopped one by one and let go in another order
  kPortfolio,   // another one for each run, by weight
};

// "random", "pct" ...; InvalidArgument lists those there are.
absl::StatusOr<StrategyKind> StrategyFromName(std::string_view name);
std::string_view StrategyName(StrategyKind kind);

// `depth`: of PCT; 0: drawn from 1 to 5. A portfolio becomes one of the others.
std::unique_ptr<Strategy> MakeStrategy(StrategyKind kind, int depth,
                                       const Shape& shape, Choices& choices);

// How likely `runs` runs of PCT(d) are to miss a bug of depth `d`, at most:
// (1 - 1 / (n k^(d-1)))^runs for n tasks and k decisions. A change of priority
// where one task alone can go on is one at the next decision.
double MissedAtMost(std::uint64_t tasks, std::uint64_t decisions, int depth,
                    double runs);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_STRATEGY_H_
