// What a world is between two rounds, apart from its cells, and what a round
// does to it.

#ifndef REENACT_WORLD_STATE_H_
#define REENACT_WORLD_STATE_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/committer/ledger.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/source.h"
#include "reenact/sequencer/sequencer.h"

namespace reenact {

// The queues, the ledger, the configuration and the clocks of a world. A world
// that runs, fast-forward over recorded blocks, a rollback's search for its
// target and a replay all change them through this class, so that what a round
// does is written once.
//
// A round goes through it in this order:
//
//   Admit(), AdmitReceipt(), CloseDue()   what it admits, before its tickets
//   queues().Compose()                    its tickets
//   Raise(), TakeConsequences(),          what each ticket leads to
//   ApplyConfig(), ApplyRollback()
//   Advance()                             the clocks show it
//   EndRound()                            what its tickets raised is in line
//
// A pure value: equal calls give equal states, and Encode() of both gives the
// same bytes.
//
// Thread safety: none; it belongs to whoever has the ordered role.
class State {
 public:
  // What a round leaves behind for later ones.
  struct RoundEnd {
    std::vector<Unit*> raised;  // the queues' units, in ticket order
    std::vector<CellRef> timers_dropped;
    bool control = false;      // it holds control commands, so nothing is
                               // composed beyond it
    bool rolled_back = false;  // one of them was a rollback

    void Clear() {
      raised.clear();
      timers_dropped.clear();
      control = rolled_back = false;
    }
  };

  // The state at `checkpoint`. That its queues and its ledger are the right
  // ones is for a replay to say; that a world can go on with them is known
  // afterwards.
  //
  // DataLoss: they are of another form, or no world has them at the end of that
  // round: of a later one, for a reducer that the table does not have.
  static absl::StatusOr<State> At(Checkpoint checkpoint);

  // Where it is. Its encoded queues and ledger are empty: Encode() makes them.
  const Checkpoint& at() const { return at_; }
  const WorldConfig& config() const { return at_.config; }
  EventId next_ticket() const { return at_.event_id.Next(); }
  Round next_round() const { return Round{at_.round.value + 1}; }
  Sequencer& queues() { return queues_; }
  const Sequencer& queues() const { return queues_; }
  Ledger& ledger() { return ledger_; }
  const Ledger& ledger() const { return ledger_; }
  bool has_effects() const {
    return at_.config.format_version >= kFormatVersionEffects;
  }
  std::uint64_t depth() const { return at_.config.scheduling.pipeline_depth; }

  // All of it. What the journal's end is, is as SetJournalEnd() said.
  Checkpoint Encode() const;

  // --- before a round's tickets ----------------------------------------------

  // The number that the next input has.
  InputId next_input() const { return InputId{at_.last_input.value + 1}; }
  // Numbers an input. `position`: where its source stood; 0: not known.
  InputId TakeInput(std::uint64_t position = 0) {
    ++at_.last_input.value;
    if (position != 0) at_.position = position;
    return at_.last_input;
  }
  // The same of all up to `last`.
  void TakeInputs(InputId last, std::uint64_t position) {
    at_.last_input = last;
    if (position != 0) at_.position = position;
  }
  // An input's unit: the caller sets its key, schema and payload, and then
  // calls queues().Admit() with next_ticket().
  Unit* NewInput(ReducerId reducer, std::uint8_t priority, InputId input) {
    Unit* const unit = queues_.NewUnit();
    unit->kind = UnitKind::kEvent;
    unit->priority = priority;
    unit->reducer = reducer;
    unit->cause = Cause{input, EventId{0}, 0};
    return unit;
  }
  // The same and all of that, as an entry has it but for its number.
  void Admit(const entry::InputAdmittedView& input, InputId id);

  // Takes a receipt, or what came in its place, as input next_input(); what it
  // leads to is appended to `into`. The input is taken only if that is
  // anything. Returns what the sender is told. See Ledger::AdmitReceipt().
  absl::Status AdmitReceipt(const Receipt& receipt, Ledger::Consequences* into);
  void AdmitRefusal(entry::ReceiptRefused refused, Ledger::Consequences* into);
  // Whether time ends an effect in a round `round` at `time`, and its ending.
  bool HasDue(Round round, LogicalTime time) const {
    return ledger_.HasDue(round, depth(), time);
  }
  void CloseDue(Round round, LogicalTime time, Ledger::Consequences* into) {
    ledger_.CloseDue(round, depth(), time, into);
  }
  // Puts the answers in line that `from` has of these, and forgets them there.
  void AdmitAnswers(Ledger::Consequences* from);

  // --- its tickets -----------------------------------------------------------

  // An event that ticket `parent` raised as its `index`-th.
  void Raise(RaisedEvent&& event, EventId parent, std::uint32_t index,
             RoundEnd* into) {
    into->raised.push_back(queues_.NewUnit());
    FillRaised(std::move(event), parent, index, into->raised.back());
  }
  // Takes over what a ticket led to, behind the events that it raised: answers
  // and dropped timers; forgets them in `from`, and leaves its entries.
  void TakeConsequences(Ledger::Consequences* from, RoundEnd* into);
  // Makes a command's change of the configuration; other entries change none.
  // InvalidArgument: no world records such a change.
  absl::Status ApplyConfig(const Entry& command);
  // A rollback has committed, and the ledger has been told.
  void ApplyRollback(const entry::RolledBack& back, RoundEnd* into);
  // A round took in of a source with a name. See kSourcesMax.
  void TakeSource(const SourceRead& read) {
    at_.sources.insert_or_assign(read.name, read.mark);
  }

  // --- its end ---------------------------------------------------------------

  // The clocks show `round`, which has so many tickets.
  void Advance(Round round, LogicalTime time, std::uint64_t tickets) {
    at_.round = round;
    at_.time = time;
    at_.event_id.value += tickets;
  }
  // What the round leaves behind is in line. Rounds end in order. Leaves `end`
  // empty but for its flags.
  void EndRound(Round round, RoundEnd* end);
  // The blocks up to here are in the journal, the last one with this hash.
  void SetJournalEnd(std::uint64_t block_count, const Digest& hash) {
    at_.block_count = block_count;
    at_.block_hash = hash;
  }

 private:
  State(Checkpoint at, Sequencer queues, Ledger ledger)
      : at_(std::move(at)),
        queues_(std::move(queues)),
        ledger_(std::move(ledger)) {}
  Unit* UnitFor(Ledger::Answer&& answer);

  Checkpoint at_;
  Sequencer queues_;
  Ledger ledger_;
};

}  // namespace reenact

#endif  // REENACT_WORLD_STATE_H_
