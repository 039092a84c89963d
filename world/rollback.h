// Back to a snapshot: what a rollback makes of a world's state.

#ifndef REENACT_WORLD_ROLLBACK_H_
#define REENACT_WORLD_ROLLBACK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/outcome.h"

namespace reenact {

// The state that a rollback goes back to. The same whether it is read from the
// snapshot's file, as a world does that is told to roll back, or worked out
// from the journal, as a replay does, for which the file may be gone.
// spec/effects.md has the rules.
struct RollbackTarget {
  Checkpoint place;
  std::map<CellRef, Bytes> cells;
  // The events that the rollback's step raises: what waited at the place, and
  // after that the answers, in the order in which they came, to effects that
  // were open there and have ended since.
  std::vector<RaisedEvent> events;
};

// From the file. `blocks` is the world's journal, all of it written.
//
// NotFound: there is no snapshot of that ticket. DataLoss: it is damaged, or of
// another history.
absl::StatusOr<RollbackTarget> ReadRollbackTarget(
    const std::string& path, const BlockStream::Scan& blocks);

// From the blocks before block `end` alone, of which the first is genesis:
// recorded changes are applied up to the end of `round`, no reducer runs.
//
// DataLoss: a block is damaged, or that round does not end with ticket `to`.
absl::StatusOr<RollbackTarget> RecomputeRollbackTarget(
    const BlockStream::Scan& blocks, EventId to, Round round,
    std::uint64_t end);

}  // namespace reenact

#endif  // REENACT_WORLD_ROLLBACK_H_
