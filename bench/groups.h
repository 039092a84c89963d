// The groups of measures: a file for each.

#ifndef REENACT_BENCH_GROUPS_H_
#define REENACT_BENCH_GROUPS_H_

#include <string_view>
#include <vector>

#include "bench/bench.h"
#include "reenact/base/status.h"

namespace reenact::bench {

struct Group {
  std::string_view name;  // for --only
  std::string_view what;  // for --help
  // How many runs it makes per repetition, near enough to plan with.
  double (*runs)(const Settings&);
  // Cancelled: stopped; what was complete has been added.
  absl::Status (*measure)(Bench&);
};

// In the order that they run in.
const std::vector<Group>& AllGroups();
bool Wanted(const Group& group, const Settings& settings);

absl::Status MeasureParallel(Bench& bench);   // parallel.cc
absl::Status MeasureDurable(Bench& bench);    // durable.cc
absl::Status MeasureWorkloads(Bench& bench);  // workload_runs.cc
absl::Status MeasureNeighbour(Bench& bench);  // workload_runs.cc
absl::Status MeasureLatency(Bench& bench);    // latency.cc
absl::Status MeasureReplay(Bench& bench);     // replay.cc
absl::Status MeasureMemory(Bench& bench);     // memory.cc
absl::Status MeasureScaling(Bench& bench);    // scaling.cc
double ParallelRuns(const Settings& settings);
double WorkloadRuns(const Settings& settings);

// Threads other than the base's, in the order given, each once.
std::vector<std::size_t> WorkersBesideSerial(const Settings& settings);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_GROUPS_H_
