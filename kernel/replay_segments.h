// History cut at snapshots, so that its parts can be run again beside each
// other.
//
// Each part starts from a snapshot as it is on disk, and the part before it
// ends by comparing that very snapshot, cells and queues, with what it came to.
// So if all parts are clean, one run over all of history would be; and the
// first that is not goes wrong where that one run would.

#ifndef REENACT_KERNEL_REPLAY_SEGMENTS_H_
#define REENACT_KERNEL_REPLAY_SEGMENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reenact/kernel/config.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/replay_run.h"
#include "reenact/kernel/replay_writer.h"
#include "reenact/kernel/status.h"
#include "reenact/kernel/world_internal.h"

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
  Digest state;                       // at the end, if all is well

  bool clean() const { return opened.ok() && status.ok(); }
};

// Runs what `options` say on this thread.
ReplayOutcome RunOnce(const ReplayRun::Options& options);

// The same on up to `threads` threads, 0: as many as there are cores (but one
// alone if there are workers), cut at the snapshots in `options`. The outcome
// is that of RunOnce(), counts included. Callbacks in `options` are called on
// any of the threads: `progress` by one at a time, with the number of tickets
// done wherever they are; `cancelled` by several.
//
// Each part holds its cells in memory.
ReplayOutcome RunInSegments(const ReplayRun::Options& options,
                            std::size_t threads);

}  // namespace reenact

#endif  // REENACT_KERNEL_REPLAY_SEGMENTS_H_
