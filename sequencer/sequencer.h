// Who is next: composes rounds from what is waiting.
//
// spec/scheduling.md gives the rules exactly, with a worked example. In short:
//   - a unit waits in the queue of its entity (its cell; control commands are
//     one entity of their own), first in, first out;
//   - entities belong to a class by the origin of their units: 0 due timers,
//     receipts and control; 1 derived events; 2.. external events by priority.
//     The same cell is a separate entity in each class it has units in;
//   - a round is filled by deficit round robin over the classes, and within a
//     class by deficit round robin over its entities, up to round_limit units
//     and entity_round_limit units of one entity;
//   - units that have waited for aging_tickets tickets go first.

#ifndef REENACT_SEQUENCER_SEQUENCER_H_
#define REENACT_SEQUENCER_SEQUENCER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"

namespace reenact {

// Something ready to run, or that will be.
//
// The units of a world belong to its sequencer's pool, from
// Sequencer::NewUnit() to Sequencer::Recycle(); one on its own is a plain
// value.
struct Unit {
  UnitKind kind = UnitKind::kEvent;
  std::uint8_t priority = kPriorityDefault;  // kEvent only
  ReducerId reducer = kNoReducer;            // kNoReducer: kControl
  std::string key;
  std::string schema;
  Bytes payload;  // kControl: the entry of the control input
  Cause cause;
  LogicalTime due;  // kTimer only
  // CellHash() of reducer and key, from Admit() or EnqueueRaised() on; 0:
  // kControl. Says nothing that they don't, so it is not compared.
  std::uint64_t cell_hash = 0;

  friend bool operator==(const Unit& a, const Unit& b) {
    return a.kind == b.kind && a.priority == b.priority &&
           a.reducer == b.reducer && a.key == b.key && a.schema == b.schema &&
           a.payload == b.payload && a.cause == b.cause && a.due == b.due;
  }
};

// Makes `unit`, which is new, what an event raised by ticket `parent` as its
// `index`-th becomes.
void FillRaised(RaisedEvent&& event, EventId parent, std::uint32_t index,
                Unit* unit);

// Makes `unit`, which is new, the answer to an effect that `cell` intended.
void FillAnswer(CellRef&& cell, const Cause& cause, Bytes&& payload,
                Unit* unit);

// The queues of one world, and the rules that empty them.
//
// A pure value: what it composes depends on the calls made so far and on
// nothing else, so two sequencers that were told the same things compose the
// same rounds, and Encode() of both gives the same bytes.
//
// EnqueueRaised() of a round and Compose() of a later one may come in either
// order as long as the earlier round's units are not eligible in the later one;
// the rounds are the same. So may EnqueueRaised() and Admit().
//
// Thread safety: none.
class Sequencer {
 public:
  // The start of history. A rule that is 0 where that would stop the world
  // counts as 1; CheckConfig() refuses such rules long before.
  explicit Sequencer(const Scheduling& scheduling);
  ~Sequencer();
  Sequencer(Sequencer&&) noexcept;
  Sequencer& operator=(Sequencer&&) noexcept;

  // Changes the rules for rounds composed from now on. A change that step of
  // round r asked for has to be made at one place among the calls of Compose(),
  // such as right before the first round >= r + pipeline_depth, or history
  // would depend on how fast r was committed. REQUIRES: pipeline_depth, a
  // constant of the world, stays as it is.
  void SetScheduling(const Scheduling& scheduling);
  const Scheduling& scheduling() const;

  // --- units -----------------------------------------------------------------

  // A unit whose fields have their defaults; its strings are empty and keep
  // what memory they had, within reason. It is the caller's to fill, up to
  // Admit() or EnqueueRaised(), and again from Compose() to Recycle(). Its
  // place in memory stays the same, also if the sequencer moves, and ends with
  // the sequencer. O(1), and nothing is allocated once enough have been
  // recycled.
  Unit* NewUnit();

  // Takes back a unit that is the caller's.
  void Recycle(Unit* unit);

  // --- what comes from outside -----------------------------------------------

  // Whether the next round would have room for more external units: fewer than
  // round_limit of them could be ticketed in it, and fewer than backlog_limit
  // wait. Whoever feeds a world pulls input while this holds, so that rounds
  // are as full as they can be whatever the speed of the input. Depends on
  // Admit() and Compose() alone. O(1).
  bool WantsInput() const;

  // The number under which the latest input with this submission id was
  // admitted; nullopt if none was within the horizon, and for the empty id.
  std::optional<InputId> FindSubmission(std::string_view submission_id) const;

  // Puts an external unit or a control command in its queue; the age of its
  // wait counts from `next`, the first ticket not handed out yet.
  // `submission_id` may be empty. Takes what it is given: whether the backlog
  // has room or the id is known is for the caller to ask before.
  // REQUIRES: the unit is the caller's; kind is kEvent or kControl and the
  // cause is an input, or kReceipt; priority < kPriorities; an event or a
  // receipt has a reducer.
  void Admit(Unit* unit, std::string_view submission_id, EventId next);

  // --- what comes from steps -------------------------------------------------

  // Hands over the events that the tickets of `round` raised, in order of
  // parent and index: they become eligible in round + pipeline_depth, timers
  // not before logical time has reached them. Called at most once per round,
  // in order of rounds; a round that raised nothing may be left out. Leaves
  // `raised` empty.
  // REQUIRES: the units are the caller's; kind is kDerived, kTimer or kReceipt;
  // the cause is a parent; there is a reducer; no round >= round +
  // pipeline_depth has been composed.
  void EnqueueRaised(Round round, std::vector<Unit*>* raised);

  // A step of `round` wants the timers of a cell gone: those that rounds before
  // it raised and that are not due before round + pipeline_depth. Before
  // EnqueueRaised() of that round. O(timers), then.
  // REQUIRES: as for EnqueueRaised().
  void DropTimers(Round round, CellRef cell);
  // The same for whoever has seen to it that every round composed so far has
  // been handed over: all of the cell's timers go at once.
  void DropTimersNow(const CellRef& cell);

  // --- rolling back ----------------------------------------------------------

  // Everything that waits, as events to be raised again: what is in queues in
  // order of admission, what was handed over by rounds, then timers as they are
  // due.
  std::vector<RaisedEvent> Waiting() const;

  // Forgets everything that waits. What was admitted under which submission id
  // is remembered, and the number of the last round. Whoever calls it has seen
  // to it that every round composed so far has been handed over.
  void DropAll();

  // --- composing -------------------------------------------------------------

  // The next round's number: the first one after the last composed for which
  // something is eligible, given that its logical time is `now`. Nullopt:
  // nothing waits but timers later than `now`, or nothing at all.
  //
  // Answers from what has been handed over. The answer r is final once every
  // composed round up to r - pipeline_depth has been; Nullopt, once all have.
  std::optional<Round> NextRound(LogicalTime now) const;

  // The round number that comes next if something external is eligible; the
  // last composed, plus one.
  Round next_number() const;

  // The earliest timer that is not in a queue yet, if there is any.
  std::optional<LogicalTime> NextTimer() const;

  // Composes round `round`, whose logical time is `now` and whose first ticket
  // is `first`: appends its units to `units` in ticket order and removes them
  // from the queues. They are the caller's from then on, to recycle.
  // REQUIRES: round >= next_number(). May compose nothing.
  void Compose(Round round, LogicalTime now, EventId first,
               std::vector<Unit*>* units);

  // As if Compose() had taken, in `round`, all that there was: for one who has
  // it on record that each unit admitted for this round had its ticket in it.
  // What is left is what Encode() shows of such a round: its number, and the
  // submission ids, which RememberSubmission() is told in order of admission
  // before or after. REQUIRES: empty(); round >= next_number().
  void SkipRound(Round round);
  // The part of Admit() that outlives the unit. REQUIRES: the id is not empty.
  void RememberSubmission(std::string_view submission_id, InputId input);

  // --- sizes -----------------------------------------------------------------

  std::size_t external_count() const;  // external units and control commands
  std::size_t derived_count() const;   // derived, eligible or not yet
  std::size_t timer_count() const;     // timers, due or not yet
  std::size_t receipt_count() const;   // answers to effects
  bool empty() const;                  // all four are 0

  // --- snapshots -------------------------------------------------------------

  // Appends the whole of it as one canonical CBOR item: equal sequencers, equal
  // bytes. The rules are not part of it. spec/scheduling.md has the grammar.
  // REQUIRES: keys and schemas are valid UTF-8.
  void Encode(Bytes* out) const;
  // `scheduling`: the rules in force when it was encoded.
  // InvalidArgument: not such an item, or one that no sequencer with these
  // rules would have encoded.
  static absl::StatusOr<Sequencer> Decode(const Scheduling& scheduling,
                                          BytesView item);
  // OK, or InvalidArgument: a world with so many reducers has no such queues at
  // the end of `round`. O(units that wait).
  absl::Status CheckAt(Round round, std::size_t reducers) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Rounds in which a unit gets its ticket at the latest, counted from its being
// put in its queue, with `before_own` units before it in that queue and
// `before_all` in all; whatever comes behind it. Why: spec/scheduling.md,
// "Nothing starves".
std::uint64_t RoundsAtMost(const Scheduling& rules, std::uint64_t before_own,
                           std::uint64_t before_all);

}  // namespace reenact

#endif  // REENACT_SEQUENCER_SEQUENCER_H_
