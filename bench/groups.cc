#include "bench/groups.h"

#include <algorithm>

namespace reenact::bench {
namespace {

template <int kRuns>
double Fixed(const Settings&) {
  return kRuns;
}

}  // namespace

const std::vector<Group>& AllGroups() {
  static const auto* groups = new std::vector<Group>{
      // First, while the process is small.
      {"memory",
       "bytes per cell, per slot in flight and per input in line; journal "
       "bytes per ticket; with --big a world larger than its cache",
       Fixed<10>, MeasureMemory},
      {"parallel",
       "parallel / serial for steps of 0 to 100 us on cells that are chosen "
       "evenly, by Zipf's law, half or all of them the same, or that are read "
       "undeclared",
       ParallelRuns, MeasureParallel},
      {"durable",
       "sync none, interval and every block / the same bytes written straight "
       "to RocksDB and to a raw file",
       Fixed<12>, MeasureDurable},
      {"workloads",
       "YCSB, TPC-C and transfers, parallel / serial, checked at the end",
       WorkloadRuns, MeasureWorkloads},
      {"neighbour",
       "the same while a process that does nothing takes one of the cores",
       WorkloadRuns, MeasureNeighbour},
      {"latency",
       "from submitting to durable: one client, an open loop at 50 and 90 % "
       "of the peak, 32 submitters",
       Fixed<9>, MeasureLatency},
      {"replay",
       "applying and verifying history / making it; opening after a crash",
       Fixed<13>, MeasureReplay},
      {"scaling",
       "what a model predicts for 1 to 64 cores out of stage costs measured "
       "here, and whether it is right at 1 and 2",
       Fixed<8>, MeasureScaling},
  };
  return *groups;
}

bool Wanted(const Group& group, const Settings& settings) {
  const auto& names = settings.groups;
  return names.empty() ||
         std::find(names.begin(), names.end(), group.name) != names.end();
}

std::vector<std::size_t> WorkersBesideSerial(const Settings& settings) {
  std::vector<std::size_t> workers;
  for (const std::size_t count : settings.workers) {
    const bool known =
        std::find(workers.begin(), workers.end(), count) != workers.end();
    if (count > 0 && !known) workers.push_back(count);
  }
  return workers;
}

}  // namespace reenact::bench
