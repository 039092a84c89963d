#include "reenact/kernel/forward.h"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor.h"
#include "reenact/kernel/check.h"
#include "reenact/kernel/outcome.h"
#include "reenact/sequencer/sequencer.h"

namespace reenact {
namespace {

// Applies recorded blocks to a place in history, without running reducers.
class Forwarder {
 public:
  Forwarder(Store* store, StartingPlace* place, Sequencer sequencer)
      : store_(store), place_(place), sequencer_(std::move(sequencer)) {}

  absl::Status Apply(const BlockView& block) {
    next_unit_ = 0;
    opened_ = false;
    control_ = false;
    block_ = &block;
    cells_.Clear();
    overlay_.clear();
    cbor::Reader reader(block.entries);
    for (std::uint64_t i = 0; i < block.header.entry_count; ++i) {
      REENACT_ASSIGN_OR_RETURN(Entry entry, DecodeEntry(reader));
      REENACT_RETURN_IF_ERROR(
          std::visit([this](auto& e) { return On(e); }, entry));
    }
    return Finish();
  }

  Sequencer Take() { return std::move(sequencer_); }

 private:
  absl::Status Wrong(std::string_view what) const {
    return absl::DataLossError("block " + std::to_string(block_->header.index) +
                               ": " + std::string(what));
  }

  absl::Status On(entry::Genesis&) { return Wrong("a second Genesis"); }

  absl::Status On(entry::RoundOpened& e) {
    opened_ = true;
    round_ = e.round;
    time_ = e.time;
    first_ = e.first;
    return absl::OkStatus();
  }

  absl::Status On(entry::InputAdmitted& e) {
    if (e.input.value != place_->last_input.value + 1) {
      return Wrong("input " + std::to_string(e.input.value) +
                   " is out of order");
    }
    if (e.submission_id.size() > kSubmissionIdBytesMax) {
      return Wrong("input " + std::to_string(e.input.value) +
                   " has a submission id of more than 64 bytes");
    }
    place_->last_input = e.input;
    if (e.position != 0) place_->position = e.position;
    Unit* unit = sequencer_.NewUnit();
    unit->kind = UnitKind::kEvent;
    unit->priority = e.priority;
    unit->reducer = e.reducer;
    unit->key = std::move(e.key);
    unit->schema = std::move(e.schema);
    unit->payload = std::move(e.payload);
    unit->cause = Cause{e.input, EventId{0}, 0};
    sequencer_.Admit(unit, e.submission_id, place_->event_id.Next());
    return absl::OkStatus();
  }

  absl::Status OnControl(InputId input) {
    place_->last_input = input;
    control_ = true;
    return absl::OkStatus();
  }
  absl::Status On(entry::ModuleChanged& e) {
    place_->config.modules = e.modules;
    place_->config.reducers = e.reducers;
    return OnControl(e.input);
  }
  absl::Status On(entry::ConfigChanged& e) {
    place_->config.scheduling = e.scheduling;
    place_->config.snapshot_every = e.snapshot_every;
    sequencer_.SetScheduling(e.scheduling);
    return OnControl(e.input);
  }
  absl::Status On(entry::SnapshotRequested& e) { return OnControl(e.input); }
  absl::Status On(entry::SnapshotTaken&) { return absl::OkStatus(); }

  absl::Status On(entry::StepScheduled& e) {
    own_ = e.subject;
    if (control_) return absl::OkStatus();
    REENACT_RETURN_IF_ERROR(ComposeOnce());
    if (next_unit_ >= composed_.size() ||
        composed_[next_unit_]->cause != e.cause) {
      return Wrong("ticket " + std::to_string(e.event_id.value) +
                   " is not the one that the scheduling rules give");
    }
    ++next_unit_;
    return absl::OkStatus();
  }

  absl::Status On(entry::StepFailed&) { return absl::OkStatus(); }

  absl::Status On(entry::StepCommitted& e) {
    if (block_->header.index >= store_->cells_through()) {
      for (const Diff& diff : e.diffs) {
        REENACT_RETURN_IF_ERROR(ApplyDiff(e.event_id, diff));
      }
    }
    for (std::size_t i = 0; i < e.events.size(); ++i) {
      Unit* const unit = sequencer_.NewUnit();
      FillRaised(std::move(e.events[i]), e.event_id,
                 static_cast<std::uint32_t>(i), unit);
      raised_.push_back(unit);
    }
    return absl::OkStatus();
  }

  absl::Status ApplyDiff(EventId by, const Diff& diff) {
    const CellRef& cell = diff.cell ? *diff.cell : *own_;
    std::optional<Bytes>& state = overlay_[cell];
    versions_[cell] = by;
    switch (diff.op) {
      case Diff::Op::kPut:
        state = diff.state;
        known_.insert(cell);
        return absl::OkStatus();
      case Diff::Op::kDelete:
        state.reset();
        known_.insert(cell);
        return absl::OkStatus();
      case Diff::Op::kUpdate:
        break;
    }
    REENACT_ASSIGN_OR_RETURN(std::optional<Bytes> before, Present(cell));
    REENACT_ASSIGN_OR_RETURN(
        state,
        ApplyUpdate(before ? std::optional<BytesView>(*before) : std::nullopt,
                    diff.update));
    known_.insert(cell);
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<Bytes>> Present(const CellRef& cell) {
    if (known_.contains(cell)) return overlay_[cell];
    REENACT_ASSIGN_OR_RETURN(std::optional<StoredCell> stored,
                             store_->ReadCell(cell.reducer, cell.key));
    if (!stored) return std::optional<Bytes>();
    return std::optional<Bytes>(std::move(stored->state));
  }

  absl::Status ComposeOnce() {
    if (!opened_) return Wrong("a step before RoundOpened");
    if (composed_.empty()) {
      sequencer_.Compose(round_, time_, first_, &composed_);
    }
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (!control_) {
      REENACT_RETURN_IF_ERROR(ComposeOnce());
      if (next_unit_ != composed_.size()) {
        return Wrong("it has fewer tickets than the scheduling rules give");
      }
    }
    for (Unit* unit : composed_) sequencer_.Recycle(unit);
    composed_.clear();
    sequencer_.HandOver(round_, &raised_);
    place_->round = round_;
    place_->time = time_;
    place_->event_id = block_->header.last();
    place_->block_count = block_->header.index + 1;
    place_->block_hash = block_->hash;
    return WriteCells();
  }

  absl::Status WriteCells() {
    if (overlay_.empty()) return absl::OkStatus();
    for (const auto& [cell, state] : overlay_) {
      cells_.Add(cell.reducer, cell.key, versions_[cell],
                 state ? std::optional<BytesView>(*state) : std::nullopt);
    }
    CommitGroup group;
    group.first_index = place_->block_count;
    group.cells.push_back(&cells_);
    overlay_.clear();
    known_.clear();
    versions_.clear();
    return store_->Commit(group, false);
  }

  Store* const store_;
  StartingPlace* const place_;
  Sequencer sequencer_;
  const BlockView* block_ = nullptr;
  bool opened_ = false;
  bool control_ = false;
  Round round_;
  LogicalTime time_;
  EventId first_;
  std::optional<CellRef> own_;
  std::vector<Unit*> composed_;
  std::size_t next_unit_ = 0;
  std::vector<Unit*> raised_;
  std::map<CellRef, std::optional<Bytes>> overlay_;
  std::set<CellRef> known_;
  std::map<CellRef, EventId> versions_;
  CellBatch cells_;
};

}  // namespace

absl::Status FastForward(Store* store, std::uint64_t block_count,
                         StartingPlace* place) {
  Sequencer sequencer(place->config.scheduling);
  if (!place->sequencer.empty()) {
    REENACT_ASSIGN_OR_RETURN(
        sequencer,
        Sequencer::Decode(place->config.scheduling, place->sequencer));
  }
  BlockHeader last;
  last.index = place->block_count - 1;
  last.round = place->round;
  last.first = place->event_id.Next();  // as if it had no ticket
  Forwarder forwarder(store, place, std::move(sequencer));
  REENACT_RETURN_IF_ERROR(store->ScanBlocks(
      place->block_count,
      [&](std::uint64_t index, BytesView stored) -> absl::Status {
        REENACT_CHECK(index < block_count);
        REENACT_ASSIGN_OR_RETURN(BlockView block, DecodeBlock(stored));
        REENACT_RETURN_IF_ERROR(
            CheckFollows(last, place->block_hash, block.header));
        last = block.header;
        return forwarder.Apply(block);
      }));
  place->sequencer.clear();
  forwarder.Take().Encode(&place->sequencer);
  return absl::OkStatus();
}

}  // namespace reenact
