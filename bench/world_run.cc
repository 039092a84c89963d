#include "bench/world_run.h"

#include <memory>

namespace reenact::bench {

WorldOptions MakeOptions(const BusyWork& work, const Load& load,
                         const RunOptions& options) {
  WorldOptions world;
  world.path = options.directory.string();
  world.modules.push_back(CounterModule(work, load.step_us));
  world.workers = options.workers;
  world.sync = options.sync;
  world.cache_bytes = 256ULL << 20;
  SetIdentity(0, world.config);
  return world;
}

absl::StatusOr<RunResult> TimeFeed(World& world, InputSource& source) {
  RunResult result;
  result.before = world.stats();
  const Stopwatch watch;
  REENACT_RETURN_IF_ERROR(world.Feed(source));
  result.time = watch.Read();
  result.journal = world.journal_digest();
  result.after = world.stats();
  return result;
}

absl::StatusOr<RunResult> RunWorld(const BusyWork& work, const Load& load,
                                   const RunOptions& options) {
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           World::Open(MakeOptions(work, load, options)));
  const RunningWorld running(options.running, world.get());
  LoadSource source(load);
  if (options.warm) {
    WarmUpSource warm_up(load);
    REENACT_RETURN_IF_ERROR(world->Feed(warm_up));
    source.StartAfter(world->position());
  }
  REENACT_ASSIGN_OR_RETURN(RunResult result, TimeFeed(*world, source));
  REENACT_RETURN_IF_ERROR(world->Close());
  if (result.Grown(&WorldStats::committed) !=
      static_cast<double>(load.size())) {
    return absl::InternalError("not every step was committed");
  }
  return result;
}

}  // namespace reenact::bench
