// One stretch of history, run again.

#ifndef REENACT_REPLAY_RUN_H_
#define REENACT_REPLAY_RUN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/journal/memory/replay_cells.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/module.h"
#include "reenact/replay/blocks.h"
#include "reenact/replay/script.h"
#include "reenact/replay/writer.h"
#include "reenact/world/world.h"
#include "reenact/world/world_internal.h"

namespace reenact {

// The same world over again, with its inputs from recorded blocks and a writer
// that compares what comes of them with what was recorded.
//
// Thread safety: none, but runs of one history may be on several threads.
class ReplayRun {
 public:
  // Where a run begins: at genesis, or with a snapshot's cells and queues.
  struct Start {
    WorldConfig genesis;
    std::optional<Checkpoint> place;  // set: a snapshot's
    std::string path;                 // of the snapshot

    const WorldConfig& config() const {
      return place ? place->config : genesis;
    }
    std::uint64_t block() const { return place ? place->block_count : 1; }
    EventId event_id() const { return place ? place->event_id : EventId{0}; }
  };
  struct Options {
    const RecordedBlocks* blocks = nullptr;
    const KnownSnapshots* snapshots = nullptr;  // to compare; may be null
    const KnownSnapshot* record = nullptr;      // of open work; the same
    std::vector<Module> modules;
    Start start;
    std::uint64_t end = 0;  // ends before this block
    std::size_t workers = 0;
    // Asked with each place that recorded changes lead to, from `start` on
    // (its sequencer is not filled in), whether the run begins there; an error
    // ends it. Empty: it begins at `start`.
    std::function<absl::StatusOr<bool>(const Checkpoint&)> begins_at;
    // Asked before each block; no: the run ends there. May be empty.
    std::function<bool(std::uint64_t block)> may_run;
    bool run_twice = false;
    bool read_ahead = false;
    StepObserver* observer = nullptr;  // may be null
    std::function<void(EventId)> progress;
    std::function<bool()> cancelled;
    // Work beside the replay that a thread does which has no more of it, if all
    // has gone well there; called once at most. May be empty.
    std::function<void()> meanwhile;
  };

  // A place, and what the cells are there.
  struct Boundary {
    Checkpoint place;
    std::uint64_t cells = 0;  // ReplayCells::Fingerprint()

    friend bool operator==(const Boundary&, const Boundary&) = default;
  };

  // Opens the world. Errors: as OpenWorld(), of reading the snapshot, and of
  // going forward from it.
  static absl::StatusOr<std::unique_ptr<ReplayRun>> Open(Options options);

  // Runs to the end of block `end` - 1. Once it has failed it stays so.
  absl::Status RunBefore(std::uint64_t end);
  // Runs to the end.
  absl::Status Run() { return RunBefore(options_.end); }

  // --- what came of it -------------------------------------------------------

  const ComparingWriter::Findings& findings() const { return findings_; }
  const std::optional<WorldInternals::Impure>& impure() const {
    return impure_;
  }
  const BlockScript& script() const { return *script_; }
  WorldStats stats() const { return world_->stats(); }
  // When it has ended.
  absl::StatusOr<Digest> StateDigest() const {
    return cells_->LastStateDigest();
  }
  // Where it began, if recorded changes led there; and where it is now.
  const std::optional<Boundary>& began() const { return began_; }
  absl::StatusOr<Boundary> Here() const;
  absl::StatusOr<Checkpoint> Place() const;
  absl::StatusOr<std::map<CellRef, Bytes>> Cells() const;

 private:
  explicit ReplayRun(Options options)
      : options_(std::move(options)), start_(options_.start) {}

  absl::Status Init();
  absl::Status LoadBase();
  absl::Status GoForward();
  absl::StatusOr<Checkpoint> AfterGenesis() const;
  BlockStream::Scan Scan() const;
  absl::StatusOr<std::unique_ptr<BlockStream>> OpenStream() const;
  std::unique_ptr<JournalWriter> MakeWriter();
  std::unique_ptr<KeptBlock> Recorded();

  const Options options_;
  Start start_;  // where it begins in the end
  std::optional<Boundary> began_;
  std::unique_ptr<BlockScript> script_;
  ComparingWriter::Findings findings_;
  std::optional<WorldInternals::Impure> impure_;
  std::unique_ptr<KeptBlock> genesis_;  // until it has been compared
  ReplayCells* cells_ = nullptr;        // the world's
  std::unique_ptr<World> world_;
};

}  // namespace reenact

#endif  // REENACT_REPLAY_RUN_H_
