#include "reenact/replay/run.h"

#include <limits>
#include <utility>

#include "reenact/journal/block_stream.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/workers/pool.h"
#include "reenact/workers/step_run.h"
#include "reenact/world/forward.h"
#include "reenact/world/rollback.h"

namespace reenact {

absl::StatusOr<std::unique_ptr<ReplayRun>> ReplayRun::Open(Options options) {
  std::unique_ptr<ReplayRun> run(new ReplayRun(std::move(options)));
  REENACT_RETURN_IF_ERROR(run->Init());
  return run;
}

absl::Status ReplayRun::Init() {
  auto cells = std::make_unique<ReplayCells>();
  cells_ = cells.get();
  if (start_.place) REENACT_RETURN_IF_ERROR(LoadBase());
  if (options_.begins_at) REENACT_RETURN_IF_ERROR(GoForward());
  if (!start_.place) {
    genesis_ = std::make_unique<KeptBlock>();
    REENACT_ASSIGN_OR_RETURN(const Bytes stored, options_.blocks->ReadBlock(0));
    REENACT_RETURN_IF_ERROR(genesis_->Set(stored));
  }
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<BlockStream> stream, OpenStream());
  script_ = std::make_unique<BlockScript>(std::move(stream), start_.block(),
                                          start_.config());
  script_->EndUnless(options_.may_run);
  WorldOptions world;
  world.config = start_.config();
  world.modules = options_.modules;
  WorldInternals internals;
  internals.pool =
      options_.workers == 0 ? NewInlinePool() : NewThreadPool(options_.workers);
  internals.store = std::move(cells);
  internals.make_writer = [this](Store*) { return MakeWriter(); };
  internals.script = script_.get();
  internals.rollback_target = [this](const entry::RolledBack& back,
                                     std::uint64_t block) {
    return RecomputeRollbackTarget(Scan(), back.to, back.round, block);
  };
  internals.start = start_.place;
  internals.config_as_is = true;
  internals.want_open_work = options_.snapshots != nullptr;
  if (options_.record != nullptr) {
    internals.open_work_block =
        options_.record->contents.header.block_count - 1;
  }
  internals.observer = options_.observer;
  internals.run_twice = options_.run_twice;
  internals.impure = &impure_;
  REENACT_ASSIGN_OR_RETURN(world_,
                           OpenWorld(std::move(world), std::move(internals)));
  return absl::OkStatus();
}

BlockStream::Scan ReplayRun::Scan() const {
  return [blocks = options_.blocks](std::uint64_t from,
                                    const RecordedBlocks::Visit& visit) {
    return blocks->Scan(from, visit);
  };
}

absl::StatusOr<std::unique_ptr<BlockStream>> ReplayRun::OpenStream() const {
  ChainEnd before;
  if (start_.place) {
    const Checkpoint& place = *start_.place;
    before = ChainEndBefore(place.block_count, place.round, place.event_id,
                            place.block_hash);
  } else {
    before = {genesis_->header(), genesis_->hash()};
  }
  return BlockStream::Start(Scan(), before, options_.end, options_.read_ahead);
}

// Applies what is recorded, without running reducers, up to the place that the
// caller chooses.
absl::Status ReplayRun::GoForward() {
  if (!start_.place) {
    REENACT_ASSIGN_OR_RETURN(start_.place, AfterGenesis());
  }
  ForwardOptions forward;
  forward.stop = options_.begins_at;
  forward.read_ahead = options_.read_ahead;
  REENACT_RETURN_IF_ERROR(
      FastForward(Scan(), cells_, options_.end, &*start_.place, forward));
  began_ = Boundary{*start_.place, cells_->Fingerprint()};
  return absl::OkStatus();
}

absl::StatusOr<Checkpoint> ReplayRun::AfterGenesis() const {
  REENACT_ASSIGN_OR_RETURN(const Bytes stored, options_.blocks->ReadBlock(0));
  REENACT_ASSIGN_OR_RETURN(const BlockView genesis, DecodeBlock(stored));
  Checkpoint place;
  place.config = start_.genesis;
  place.block_count = 1;
  place.block_hash = genesis.hash;
  return place;
}

absl::Status ReplayRun::LoadBase() {
  return ReadSnapshotFile(
             start_.path,
             [this](ReducerId reducer, std::string_view key, BytesView state) {
               cells_->Put(reducer, key, EventId{0}, state);
               return absl::OkStatus();
             })
      .status();
}

std::unique_ptr<JournalWriter> ReplayRun::MakeWriter() {
  ComparingWriter::Options writer;
  writer.recorded = [this] { return Recorded(); };
  writer.snapshots = options_.snapshots;
  writer.record = options_.record;
  writer.progress = options_.progress;
  writer.cancelled = options_.cancelled;
  if (start_.place) {
    writer.block_count = start_.place->block_count;
    writer.last_event = start_.place->event_id;
    writer.hash = start_.place->block_hash;
  }
  return std::make_unique<ComparingWriter>(std::move(writer), cells_,
                                           &findings_);
}

// The world writes its genesis first; all other blocks come from the script.
std::unique_ptr<KeptBlock> ReplayRun::Recorded() {
  if (genesis_ != nullptr) return std::move(genesis_);
  return script_->TakePlayed();
}

absl::Status ReplayRun::RunBefore(std::uint64_t end) {
  script_->EndBefore(end);
  return world_->Run();
}

absl::StatusOr<Checkpoint> ReplayRun::Place() const {
  return dynamic_cast<CheckpointSource&>(*world_).Place();
}

absl::StatusOr<ReplayRun::Boundary> ReplayRun::Here() const {
  REENACT_ASSIGN_OR_RETURN(Checkpoint place, Place());
  return Boundary{std::move(place), cells_->Fingerprint()};
}

absl::StatusOr<std::map<CellRef, Bytes>> ReplayRun::Cells() const {
  return dynamic_cast<CheckpointSource&>(*world_).Cells();
}

}  // namespace reenact
