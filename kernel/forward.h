// Fast-forward: history applied from what it recorded, without running
// reducers.

#ifndef REENACT_KERNEL_FORWARD_H_
#define REENACT_KERNEL_FORWARD_H_

#include <cstdint>

#include "reenact/journal/store.h"
#include "reenact/kernel/starting_place.h"
#include "reenact/kernel/status.h"

namespace reenact {

// Moves `place` from where it is to the end of block `block_count` - 1 of
// `store`: applies the recorded diffs to the store's cells (those of blocks
// that cells_through() says are in them already are not applied again) and
// tells a sequencer what the recorded one was told. The chain of hashes is
// checked on the way.
//
// DataLoss: a block is damaged, does not follow the one before it, or has
// tickets that the scheduling rules do not give; the message names it.
//
// Thread safety: nobody else uses `store` or `place` meanwhile.
absl::Status FastForward(Store* store, std::uint64_t block_count,
                         StartingPlace* place);

}  // namespace reenact

#endif  // REENACT_KERNEL_FORWARD_H_
