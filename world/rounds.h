// The rounds of a world: how one begins, and what it leaves.

#ifndef REENACT_WORLD_ROUNDS_H_
#define REENACT_WORLD_ROUNDS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/writer.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/source.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/workers/cells.h"
#include "reenact/workers/slot.h"
#include "reenact/world/admission.h"
#include "reenact/world/parts.h"
#include "reenact/world/rollback_step.h"
#include "reenact/world/state.h"

namespace reenact {

// A round that was composed and is not all committed.
struct RoundInFlight {
  Round round;
  LogicalTime time;
  EventId first;
  std::vector<Unit*> units;  // the sequencer's, recycled with the round
  std::vector<Cell*> cells;  // the units' own
  std::size_t issued = 0;
  std::size_t committed = 0;
  bool snapshot = false;   // a snapshot is taken at its end
  bool open_work = false;  // the open work is recorded at its end
  State::RoundEnd end;
  std::uint64_t block = 0;
  std::uint64_t opened_ns = 0;  // a metric
  std::unique_ptr<FinishedRound> record;

  // Nothing is composed beyond it until it is committed.
  bool barrier() const { return end.control || snapshot || open_work; }

  // As new, with the memory that it has.
  void Clear() {
    units.clear();
    cells.clear();
    end.Clear();
    issued = committed = 0;
    snapshot = open_work = false;
  }
};

// What waits and what ended, for World::stats(). REQUIRES:
// CellTable::exclusive().
void PublishCounts(WorldParts* parts);

// Composes rounds while there is something for one, and finishes those whose
// tickets are all committed. The rounds that are in between are in_flight().
//
// Thread safety: none; it belongs to the ordered role.
class Rounds {
 public:
  // `parts` outlives it.
  explicit Rounds(WorldParts* parts) : parts_(*parts) {}

  // Pulls what there is for the next round, and composes it if that may be yet.
  // Whether there may be more to do at once. Sets parts->progress.idle if there
  // is nothing for a round, nor in flight.
  bool Compose();

  std::deque<RoundInFlight>& in_flight() { return rounds_; }
  // All tickets of the first round in flight are committed.
  bool FrontIsCommitted() const;
  // Finishes such rounds, in order. REQUIRES: CellTable::exclusive().
  void FinishRounds();
  // The records of finished rounds, for the writer. The caller takes them.
  std::vector<std::unique_ptr<FinishedRound>>& finished() { return finished_; }
  // How long the last of them took to be made, from its beginning.
  std::uint64_t made_ns() const { return made_ns_; }

  // Puts what a rollback changes into its command's slot; see RollbackStep.
  void FillRollback(Slot* slot) { rollback_.Fill(slot, parts_.cells.get()); }

  // The logical time of a round that would begin now.
  LogicalTime TimeFor(Round round) const;

 private:
  std::optional<Round> FirstEligible(LogicalTime time) const;
  std::optional<Round> ChooseRound(LogicalTime* time);
  bool IsBeyondLast(Round round);
  void AdmitReceipts();
  bool ComposeControls();
  std::deque<PendingControl> TakeControls();
  absl::Status PrepareRollback(const entry::RolledBack& back);
  RoundInFlight NewRound();
  void FindCells(RoundInFlight& round);
  std::optional<SourceRead> NoteSourceRead();
  void OpenRound(RoundInFlight round);
  void FinishRound(RoundInFlight& round);
  void RecordOpenWork(const RoundInFlight& round);

  WorldParts& parts_;
  std::deque<RoundInFlight> rounds_;
  std::vector<RoundInFlight> spare_rounds_;  // for their memory
  std::vector<std::unique_ptr<FinishedRound>> finished_;
  RollbackStep rollback_;      // that its round holds
  std::uint64_t made_ns_ = 0;  // what the last round took to be made
};

}  // namespace reenact

#endif  // REENACT_WORLD_ROUNDS_H_
