#include "reenact/kernel/replay_run.h"

#include <limits>
#include <utility>

#include "reenact/journal/block_stream.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/workers/pool.h"
#include "reenact/workers/step_run.h"

namespace reenact {

absl::StatusOr<std::unique_ptr<ReplayRun>> ReplayRun::Open(Options options) {
  std::unique_ptr<ReplayRun> run(new ReplayRun(std::move(options)));
  REENACT_RETURN_IF_ERROR(run->Init());
  return run;
}

absl::Status ReplayRun::Init() {
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<BlockStream> stream, OpenStream());
  const Start& start = options_.start;
  script_ = std::make_unique<BlockScript>(std::move(stream), start.block(),
                                          start.config());
  auto cells = std::make_unique<ReplayCells>();
  cells_ = cells.get();
  if (start.place) {
    REENACT_RETURN_IF_ERROR(LoadBase());
  } else {
    genesis_ = std::make_unique<KeptBlock>();
    REENACT_ASSIGN_OR_RETURN(const Bytes stored, options_.blocks->ReadBlock(0));
    REENACT_RETURN_IF_ERROR(genesis_->Set(stored));
  }
  WorldOptions world;
  world.config = start.config();
  world.modules = options_.modules;
  WorldInternals internals;
  internals.pool =
      options_.workers == 0 ? NewInlinePool() : NewThreadPool(options_.workers);
  internals.store = std::move(cells);
  internals.make_writer = [this](Store*) { return MakeWriter(); };
  internals.script = script_.get();
  internals.start = start.place;
  internals.config_as_is = true;
  internals.want_open_work = options_.snapshots != nullptr;
  internals.observer = options_.observer;
  internals.run_twice = options_.run_twice;
  internals.impure = &impure_;
  REENACT_ASSIGN_OR_RETURN(world_,
                           OpenWorld(std::move(world), std::move(internals)));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BlockStream>> ReplayRun::OpenStream() const {
  const RecordedBlocks* blocks = options_.blocks;
  const auto scan = [blocks](std::uint64_t from,
                             const RecordedBlocks::Visit& visit) {
    return blocks->Scan(from, visit);
  };
  ChainEnd before;
  if (options_.start.place) {
    const StartingPlace& place = *options_.start.place;
    before = ChainEndBefore(place.block_count, place.round, place.event_id,
                            place.block_hash);
  } else {
    REENACT_ASSIGN_OR_RETURN(const Bytes stored, blocks->ReadBlock(0));
    REENACT_ASSIGN_OR_RETURN(const BlockView genesis, DecodeBlock(stored));
    before = {genesis.header, genesis.hash};
  }
  return BlockStream::Start(scan, before, options_.end, options_.read_ahead);
}

absl::Status ReplayRun::LoadBase() {
  return ReadSnapshotFile(
             options_.start.path,
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
  writer.progress = options_.progress;
  writer.cancelled = options_.cancelled;
  if (options_.start.place) {
    writer.block_count = options_.start.place->block_count;
    writer.last_event = options_.start.place->event_id;
    writer.hash = options_.start.place->block_hash;
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

absl::StatusOr<StartingPlace> ReplayRun::Place() const {
  return dynamic_cast<WorldPlace&>(*world_).Place();
}

absl::StatusOr<std::map<CellRef, Bytes>> ReplayRun::Cells() const {
  return dynamic_cast<WorldPlace&>(*world_).Cells();
}

}  // namespace reenact
