// Fast-forward: history applied from what it recorded, without running
// reducers.

#ifndef REENACT_WORLD_FORWARD_H_
#define REENACT_WORLD_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "reenact/base/status.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/checkpoint.h"

namespace reenact {

struct ForwardOptions {
  // Changed cells are kept in memory and written to the store when they take
  // about so many bytes, and at the end.
  std::size_t unwritten_bytes_max = 64 << 20;
  // Runs the scheduling rules for every block. Otherwise a block that begins
  // and ends with nothing waiting, and tickets just its own inputs, is passed
  // over: what is left of it in the sequencer is the same.
  bool always_schedule = false;
  // Asked before each block with the place that has been reached, whose
  // sequencer is not filled in: true ends there, an error ends it with that.
  // May be empty.
  std::function<absl::StatusOr<bool>(const Checkpoint& place)> stop;
  // A thread of its own reads and checks blocks ahead, if there is a core.
  bool read_ahead = true;
};

// Where a world stands after its first block, which is checked: with what that
// says and nothing else. DataLoss: it is not there, damaged, or no Genesis.
absl::StatusOr<Checkpoint> CheckpointAfterGenesis(
    const BlockStream::Scan& blocks);

// Moves `place` from where it is to the end of block `block_count` - 1 of
// `store`: applies the recorded diffs to the store's cells (those of blocks
// that cells_through() says are in them already are not applied again) and
// tells a sequencer what the recorded one was told. Hashes and chain are
// checked on the way, ahead of it on another thread if there is a core for it.
//
// A crash on the way leaves cells that are as of cells_through(), from which
// the same can be done again.
//
// DataLoss: a block is damaged, does not follow the one before it, or has
// tickets that the scheduling rules do not give (as far as they are run); the
// message names it.
//
// Thread safety: nobody else uses `store` or `place` meanwhile.
absl::Status FastForward(Store* store, std::uint64_t block_count,
                         Checkpoint* place, const ForwardOptions& options = {});

// The same with blocks from elsewhere; `cells` has none.
absl::Status FastForward(const BlockStream::Scan& blocks, Store* cells,
                         std::uint64_t block_count, Checkpoint* place,
                         const ForwardOptions& options = {});

}  // namespace reenact

#endif  // REENACT_WORLD_FORWARD_H_
