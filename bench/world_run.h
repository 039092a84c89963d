// One run of a world, timed.

#ifndef REENACT_BENCH_WORLD_RUN_H_
#define REENACT_BENCH_WORLD_RUN_H_

#include <cstddef>
#include <filesystem>
#include <string>

#include "load.h"
#include "measure.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/status.h"
#include "reenact/kernel/world.h"

namespace reenact::bench {

struct RunOptions {
  std::size_t workers = 0;
  std::filesystem::path directory;  // empty: in memory
  SyncPolicy sync;
};

struct RunResult {
  Timing time;  // of feeding, until all is committed and durable
  Digest journal;
  WorldStats stats;
};

// Options of a world for `load`.
WorldOptions MakeOptions(const BusyWork& work, const Load& load,
                         const RunOptions& options);

// Makes a world, feeds it the load, and closes it. Only the feeding is timed.
// Internal: a step failed.
absl::StatusOr<RunResult> RunWorld(const BusyWork& work, const Load& load,
                                   const RunOptions& options);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_WORLD_RUN_H_
