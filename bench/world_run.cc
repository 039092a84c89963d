#include "world_run.h"

#include <memory>

namespace reenact::bench {

WorldOptions MakeOptions(const BusyWork& work, const Load& load,
                         const RunOptions& options) {
  WorldOptions world;
  world.path = options.directory.string();
  world.modules.push_back(CounterModule(work, load.step_us));
  world.workers = options.workers;
  world.sync = options.sync;
  SetIdentity(0, world.config);
  return world;
}

absl::StatusOr<RunResult> RunWorld(const BusyWork& work, const Load& load,
                                   const RunOptions& options) {
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           World::Open(MakeOptions(work, load, options)));
  LoadSource source(load);
  RunResult result;
  const Stopwatch watch;
  REENACT_RETURN_IF_ERROR(world->Feed(source));
  result.time = watch.Read();
  result.journal = world->journal_digest();
  result.stats = world->stats();
  REENACT_RETURN_IF_ERROR(world->Close());
  if (result.stats.committed != load.size()) {
    return absl::InternalError("not every step was committed");
  }
  return result;
}

}  // namespace reenact::bench
