// History cut into parts that are run again beside each other.
//
// Each part but the first begins where recorded changes lead to, applied
// without running reducers from the beginning or from a snapshot as it is on
// disk. The part before it ends there, having compared each of those changes,
// byte for byte, and that snapshot; and where it ends, cells and queues, must
// be where the next one began. So if all parts are clean, one run over all of
// history would be; and the first that is not goes wrong where that one run
// would.

#ifndef REENACT_REPLAY_SEGMENTS_H_
#define REENACT_REPLAY_SEGMENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/replay/run.h"
#include "reenact/replay/writer.h"
#include "reenact/world/world_internal.h"

namespace reenact {

// What running history again came to, up to its end or to the first thing that
// is wrong.
struct ReplayOutcome {
  absl::Status opened;  // not OK: it could not start
  absl::Status status;
  ComparingWriter::Findings findings;
  std::optional<WorldInternals::Impure> impure;
  std::uint64_t tickets = 0;
  std::uint64_t failed_steps = 0;
  std::uint64_t reruns = 0;
  // Of the script: the block read last, whether it has control commands, and
  // what is wrong with its inputs.
  std::uint64_t block = 0;
  bool controls = false;
  std::string problem;
  std::vector<ModuleRecord> modules;  // that history went on with
  // Where it began, if recorded changes led there, and where it ended, if that
  // is not the end of history: if all is well.
  std::optional<ReplayRun::Boundary> began, ended;
  Digest state;  // at the end of history, if all is well

  bool clean() const { return opened.ok() && status.ok(); }
};

// Runs what `options` say on this thread.
ReplayOutcome RunOnce(const ReplayRun::Options& options);

// The same on up to `threads` threads, 0: as many as there are cores (but one
// alone if there are workers, or little to do). How fast each of them is says
// where the parts begin, and does not show in the outcome: that is RunOnce()'s,
// counts included. Callbacks in `options` are called on
// any of the threads: `progress` by one at a time, with the number of tickets
// done wherever they are; `cancelled` by several.
//
// Each part holds its cells in memory.
ReplayOutcome RunInSegments(const ReplayRun::Options& options,
                            std::size_t threads);

}  // namespace reenact

#endif  // REENACT_REPLAY_SEGMENTS_H_
