// One run of a world, timed.

#ifndef REENACT_BENCH_WORLD_RUN_H_
#define REENACT_BENCH_WORLD_RUN_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include "bench/load.h"
#include "bench/measure.h"
#include "reenact/base/status.h"
#include "reenact/kernel/hash.h"
#include "reenact/world/world.h"

namespace reenact::bench {

struct RunOptions {
  std::size_t workers = 0;
  std::filesystem::path directory;  // empty: in memory
  SyncPolicy sync;
  // Touches each cell that the load may touch, untimed, before it is fed.
  bool warm = true;
  // Told of the world while it runs, and null before it goes; may be empty.
  std::function<void(World*)> running;
};

struct RunResult {
  Timing time;  // of feeding, until all is committed and durable
  Digest journal;
  WorldStats before, after;  // the timed part

  double Grown(std::uint64_t WorldStats::*count) const {
    return static_cast<double>(after.*count - before.*count);
  }
};

// Options of a world for `load`. Its cache holds all cells of any load here.
WorldOptions MakeOptions(const BusyWork& work, const Load& load,
                         const RunOptions& options);

// Tells `running`, if there is one, of a world as long as this lives.
class RunningWorld {
 public:
  RunningWorld(const std::function<void(World*)>& running, World* world)
      : running_(running) {
    if (running_) running_(world);
  }
  ~RunningWorld() {
    if (running_) running_(nullptr);
  }
  RunningWorld(const RunningWorld&) = delete;
  RunningWorld& operator=(const RunningWorld&) = delete;

 private:
  const std::function<void(World*)>& running_;
};

// Feeds the world, timed; the rest of the result is filled in, too.
absl::StatusOr<RunResult> TimeFeed(World& world, InputSource& source);

// Makes a world, warms it up, feeds it the load, and closes it. Only the
// feeding is timed. Internal: a step failed. Cancelled: it was interrupted.
absl::StatusOr<RunResult> RunWorld(const BusyWork& work, const Load& load,
                                   const RunOptions& options);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_WORLD_RUN_H_
