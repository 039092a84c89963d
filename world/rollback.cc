#include "reenact/world/rollback.h"

#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "reenact/base/posix_file.h"
#include "reenact/committer/ledger.h"
#include "reenact/journal/block.h"
#include "reenact/journal/memory/replay_cells.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/world/forward.h"
#include "reenact/world/state.h"

namespace reenact {
namespace {

std::string Name(EventId to) { return "ticket " + std::to_string(to.value); }

// Those of the block's entries that end effects: the answers to what is open
// in `then`.
absl::Status AddAnswers(const KeptBlock& block, const Ledger& then,
                        std::vector<RaisedEvent>* events) {
  cbor::Reader reader(block.entries());
  EntryReader entries(&reader);
  while (const std::optional<EntryKind> kind = entries.Next()) {
    if (*kind != EntryKind::kReceiptAppended &&
        *kind != EntryKind::kReceiptShared &&
        *kind != EntryKind::kEffectClosed) {
      continue;
    }
    REENACT_ASSIGN_OR_RETURN(const Entry end, entries.Any());
    std::optional<Ledger::Answer> answer = then.AnswerTo(end);
    if (!answer) continue;
    events->push_back({answer->cell.reducer, std::move(answer->cell.key),
                       std::string(kAnswerSchema), std::move(answer->payload),
                       std::nullopt});
  }
  return entries.status();
}

// What waits at the place, and what has come since for it, in the blocks from
// there to `end`.
absl::StatusOr<std::vector<RaisedEvent>> EventsAt(const Checkpoint& place,
                                                  const BlockStream::Scan& scan,
                                                  std::uint64_t end) {
  REENACT_ASSIGN_OR_RETURN(const State state, State::At(place));
  std::vector<RaisedEvent> events = state.queues().Waiting();
  if (state.ledger().open().empty()) return events;
  const std::unique_ptr<BlockStream> blocks =
      BlockStream::Start(scan,
                         ChainEndBefore(place.block_count, place.round,
                                        place.event_id, place.block_hash),
                         end, /*ahead=*/false);
  for (;;) {
    REENACT_ASSIGN_OR_RETURN(const auto block, blocks->Next());
    if (block == nullptr) return events;
    REENACT_RETURN_IF_ERROR(AddAnswers(*block, state.ledger(), &events));
  }
}

// How many blocks there are, and whether the one before the place is its own.
absl::StatusOr<std::uint64_t> CheckHistory(const Checkpoint& place,
                                           const BlockStream::Scan& scan) {
  std::uint64_t count = place.block_count;
  bool same = false;
  REENACT_RETURN_IF_ERROR(scan(
      place.block_count - 1,
      [&](std::uint64_t index, BytesView stored) -> absl::Status {
        count = index + 1;
        if (count != place.block_count) return absl::OkStatus();
        REENACT_ASSIGN_OR_RETURN(const BlockView block, DecodeBlock(stored));
        same = CheckIsAfter(HeaderOf(place), place.sequencer, block).ok();
        return absl::OkStatus();
      }));
  if (same) return count;
  return absl::DataLossError("the snapshot of " + Name(place.event_id) +
                             " is of another history");
}

}  // namespace

absl::StatusOr<RollbackTarget> ReadRollbackTarget(
    const std::string& path, const BlockStream::Scan& blocks) {
  REENACT_ASSIGN_OR_RETURN(const posix::Kind kind, posix::KindOfPath(path));
  if (kind != posix::Kind::kFile) {
    return absl::NotFoundError(posix::Shown(path) +
                               ": there is no such snapshot to go back to");
  }
  RollbackTarget target;
  REENACT_ASSIGN_OR_RETURN(
      SnapshotContents contents,
      ReadSnapshotFile(path, [&target](ReducerId reducer, std::string_view key,
                                       BytesView state) {
        target.cells.emplace_hint(target.cells.end(),
                                  CellRef{reducer, std::string(key)}, state);
        return absl::OkStatus();
      }));
  if (contents.header.block_count == 0) {
    return absl::DataLossError(posix::Shown(path) +
                               ": it stands before any block");
  }
  target.place = CheckpointOf(std::move(contents));
  REENACT_ASSIGN_OR_RETURN(const std::uint64_t end,
                           CheckHistory(target.place, blocks));
  REENACT_ASSIGN_OR_RETURN(target.events, EventsAt(target.place, blocks, end));
  return target;
}

absl::StatusOr<RollbackTarget> RecomputeRollbackTarget(
    const BlockStream::Scan& blocks, EventId to, Round round,
    std::uint64_t end) {
  RollbackTarget target;
  REENACT_ASSIGN_OR_RETURN(target.place, CheckpointAfterGenesis(blocks));
  ReplayCells cells;
  ForwardOptions options;
  options.read_ahead = false;
  options.stop = [round](const Checkpoint& place) {
    return absl::StatusOr<bool>(place.round >= round);
  };
  REENACT_RETURN_IF_ERROR(
      FastForward(blocks, &cells, end, &target.place, options));
  if (target.place.round != round || target.place.event_id != to) {
    return absl::DataLossError(
        "a rollback goes back to " + Name(to) + " at the end of round " +
        std::to_string(round.value) + ", and there is no such place");
  }
  REENACT_RETURN_IF_ERROR(
      cells.View()->ScanAll([&target](ReducerId reducer, std::string_view key,
                                      EventId, BytesView state) {
        target.cells.emplace_hint(target.cells.end(),
                                  CellRef{reducer, std::string(key)}, state);
        return absl::OkStatus();
      }));
  REENACT_ASSIGN_OR_RETURN(target.events, EventsAt(target.place, blocks, end));
  return target;
}

}  // namespace reenact
