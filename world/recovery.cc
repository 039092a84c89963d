#include "reenact/world/recovery.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/journal/block.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/world/forward.h"
#include "reenact/world/state.h"

namespace reenact {
namespace {

// Whether a world that began as `genesis` says can have come to `config`.
bool IsOfWorld(const WorldConfig& genesis, const WorldConfig& config) {
  return CheckConfig(config).ok() &&
         config.format_version == genesis.format_version &&
         config.world_id == genesis.world_id && config.seed == genesis.seed &&
         config.clock == genesis.clock && config.limits == genesis.limits &&
         config.scheduling.pipeline_depth == genesis.scheduling.pipeline_depth;
}

class Recovery {
 public:
  Recovery(const WorldPaths& paths, const Findings& findings, Store* store,
           OpenReport* report)
      : paths_(paths), findings_(findings), store_(store), report_(report) {}

  absl::StatusOr<Checkpoint> Run(OpenDecision decision);

 private:
  absl::Status CutTail();
  absl::StatusOr<Checkpoint> FindPlace(bool rebuild);
  absl::StatusOr<Checkpoint> Rebuild(const std::vector<EventId>& snapshots);
  absl::StatusOr<Checkpoint> Genesis() const;
  std::optional<Checkpoint> FromOpenWork();
  std::optional<Checkpoint> FromSnapshot(EventId event_id);
  absl::StatusOr<Checkpoint> TryOpenWork(BytesView record) const;
  absl::StatusOr<Checkpoint> TrySnapshot(const std::string& path) const;
  absl::Status CheckPlace(const Checkpoint& place) const;
  absl::Status LoadCells(const std::string& path, const Checkpoint& place);

  // Whether the stored cells are as of this place or a later one.
  bool CellsReach(const Checkpoint& place) const {
    return place.block_count <= store_->cells_through();
  }

  const WorldPaths& paths_;
  const Findings& findings_;
  Store* const store_;
  OpenReport* const report_;
};

absl::StatusOr<Checkpoint> Recovery::Run(OpenDecision decision) {
  REENACT_RETURN_IF_ERROR(RemoveTemporarySnapshots(paths_.snapshots));
  REENACT_FAILPOINT_RETURN("recovery: before the tail is cut");
  REENACT_RETURN_IF_ERROR(CutTail());
  const std::uint64_t keep = findings_.kept_blocks();
  const bool ahead = decision == OpenDecision::kOpenRebuildCells ||
                     store_->cells_through() > keep;
  REENACT_ASSIGN_OR_RETURN(Checkpoint place, FindPlace(ahead));
  REENACT_FAILPOINT_RETURN("recovery: before going forward");
  const EventId started_at = place.event_id;
  REENACT_RETURN_IF_ERROR(
      Annotate(FastForward(store_, keep, &place), posix::Shown(paths_.db)));
  report_->snapshot_used = started_at;
  report_->tickets_replayed = place.event_id.value - started_at.value;
  report_->blocks = keep;
  report_->head = place.event_id;
  report_->position = place.position;
  return place;
}

absl::Status Recovery::CutTail() {
  const std::uint64_t keep = findings_.kept_blocks();
  report_->blocks_extended = findings_.tail_valid_blocks;
  if (store_->block_count() <= keep) return absl::OkStatus();
  report_->blocks_cut = store_->block_count() - keep;
  return store_->CutBlocks(keep);
}

// The latest place that the cells reach. Where the cells are of no use, or
// would have to be followed from the beginning although there is a snapshot,
// they are rebuilt.
absl::StatusOr<Checkpoint> Recovery::FindPlace(bool rebuild) {
  if (!rebuild) {
    if (std::optional<Checkpoint> place = FromOpenWork()) {
      return *std::move(place);
    }
  }
  REENACT_ASSIGN_OR_RETURN(const std::vector<EventId> snapshots,
                           ListSnapshots(paths_.snapshots));
  if (rebuild) return Rebuild(snapshots);
  bool too_late = false;
  for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it) {
    std::optional<Checkpoint> place = FromSnapshot(*it);
    if (place && CellsReach(*place)) return *std::move(place);
    too_late = too_late || place;
  }
  if (too_late) return Rebuild(snapshots);
  // A loading of cells that was cut short may have left some.
  if (store_->cells_through() == 0) {
    REENACT_RETURN_IF_ERROR(store_->ClearCells());
  }
  return Genesis();
}

// Clears the cells and loads those of the newest snapshot that is whole.
absl::StatusOr<Checkpoint> Recovery::Rebuild(
    const std::vector<EventId>& snapshots) {
  report_->cells_rebuilt = true;
  REENACT_RETURN_IF_ERROR(store_->ClearCells());
  REENACT_FAILPOINT_RETURN("recovery: cells cleared");
  for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it) {
    std::optional<Checkpoint> place = FromSnapshot(*it);
    if (!place) continue;
    REENACT_RETURN_IF_ERROR(LoadCells(paths_.Snapshot(*it), *place));
    return *std::move(place);
  }
  return Genesis();
}

absl::StatusOr<Checkpoint> Recovery::Genesis() const {
  REENACT_CHECK(findings_.genesis.has_value());
  Checkpoint genesis;
  genesis.config = *findings_.genesis;
  genesis.block_count = 1;
  REENACT_ASSIGN_OR_RETURN(Bytes stored, store_->ReadBlock(0));
  REENACT_ASSIGN_OR_RETURN(BlockView block, DecodeBlock(stored));
  genesis.block_hash = block.hash;
  return genesis;
}

// Nullopt: there is none, it is of no use, or the cells do not reach it.
std::optional<Checkpoint> Recovery::FromOpenWork() {
  const absl::StatusOr<Bytes> record = store_->ReadOpenWork();
  if (record.ok() && record->empty()) return std::nullopt;
  absl::StatusOr<Checkpoint> place =
      record.ok() ? TryOpenWork(*record) : record.status();
  if (!place.ok()) {
    report_->warnings.push_back("passed over the record of open work: " +
                                std::string(place.status().message()));
    return std::nullopt;
  }
  if (!CellsReach(*place)) return std::nullopt;
  return *std::move(place);
}

absl::StatusOr<Checkpoint> Recovery::TryOpenWork(BytesView record) const {
  REENACT_ASSIGN_OR_RETURN(SnapshotContents contents, DecodeOpenWork(record));
  Checkpoint place = CheckpointOf(std::move(contents));
  REENACT_RETURN_IF_ERROR(CheckPlace(place));
  return place;
}

// Nullopt: it is damaged, or of another history.
std::optional<Checkpoint> Recovery::FromSnapshot(EventId event_id) {
  absl::StatusOr<Checkpoint> place = TrySnapshot(paths_.Snapshot(event_id));
  if (place.ok()) return *std::move(place);
  report_->warnings.push_back("passed over a snapshot: " +
                              std::string(place.status().message()));
  return std::nullopt;
}

absl::StatusOr<Checkpoint> Recovery::TrySnapshot(
    const std::string& path) const {
  REENACT_ASSIGN_OR_RETURN(SnapshotContents contents, ReadSnapshotFile(path));
  Checkpoint place = CheckpointOf(std::move(contents));
  REENACT_RETURN_IF_ERROR(Annotate(CheckPlace(place), posix::Shown(path)));
  return place;
}

// DataLoss unless the journal has, at the place, the block that it names, and a
// world can go on with what is open there.
absl::Status Recovery::CheckPlace(const Checkpoint& place) const {
  if (place.block_count == 0 || place.block_count > findings_.kept_blocks()) {
    return absl::DataLossError("it is ahead of the journal");
  }
  REENACT_ASSIGN_OR_RETURN(Bytes stored,
                           store_->ReadBlock(place.block_count - 1));
  REENACT_ASSIGN_OR_RETURN(BlockView block, DecodeBlock(stored));
  REENACT_RETURN_IF_ERROR(
      CheckIsAfter(HeaderOf(place), place.sequencer, block));
  if (!IsOfWorld(*findings_.genesis, place.config)) {
    return absl::DataLossError("it is of another world");
  }
  return State::At(place).status();
}

// The snapshot was looked through before, so that it is known to be whole.
// Cells come in parts; until the last one they are as of no block.
absl::Status Recovery::LoadCells(const std::string& path,
                                 const Checkpoint& place) {
  constexpr std::size_t kPartBytes = 1 << 20;
  CellBatch batch;
  CommitGroup group;
  group.cells.push_back(&batch);
  const auto visit = [&](ReducerId reducer, std::string_view key,
                         BytesView state) {
    batch.Add(reducer, key, EventId{0}, state);
    if (batch.byte_size() < kPartBytes) return absl::OkStatus();
    const absl::Status status = store_->Commit(group, false);
    batch.Clear();
    return status;
  };
  REENACT_RETURN_IF_ERROR(ReadSnapshotFile(path, visit).status());
  group.first_index = place.block_count;
  REENACT_FAILPOINT_RETURN("recovery: before the last part of the cells");
  return store_->Commit(group, false);
}

}  // namespace

absl::StatusOr<Checkpoint> Recover(const WorldPaths& paths,
                                   OpenDecision decision,
                                   const Findings& findings, Store* store,
                                   OpenReport* report) {
  return Recovery(paths, findings, store, report).Run(decision);
}

}  // namespace reenact
