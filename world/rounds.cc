#include "reenact/world/rounds.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/committer/read_back.h"
#include "reenact/journal/block.h"
#include "reenact/journal/cell_changes.h"
#include "reenact/journal/snapshot_file.h"

namespace reenact {
namespace {

// The last time that the clock `rounds` can show.
constexpr LogicalTime kTimeMax{static_cast<std::int64_t>(kRoundMax)};

// Whether a world can be opened from what was written of its open work.
absl::Status ReadBackOpenWork(BytesView bytes) {
  REENACT_ASSIGN_OR_RETURN(SnapshotContents contents, DecodeOpenWork(bytes));
  return State::At(CheckpointOf(std::move(contents))).status();
}

// The header of what is taken right after the block with this header and hash.
SnapshotHeader HeaderAfter(const Checkpoint& place, const BlockHeader& block,
                           const Digest& hash) {
  SnapshotHeader header = HeaderOf(place);
  header.block_count = block.index + 1;
  header.block_hash = hash;
  return header;
}

}  // namespace

void PublishCounts(WorldParts* parts) {
  WorldStats& counts = parts->progress.counts;
  counts.external_waiting = parts->state->queues().external_count();
  counts.derived_waiting = parts->state->queues().derived_count();
  counts.timers_waiting = parts->state->queues().timer_count();
  counts.effects_open = parts->state->ledger().open().size();
  for (std::size_t i = 0; i < kReceiptStatuses; ++i) {
    counts.effects_ended[i] =
        parts->state->ledger().ended()[i] - parts->progress.ended_before[i];
  }
  const Admission::Counts& admitted = parts->admission->counts();
  counts.inputs = admitted.inputs;
  counts.duplicates = admitted.duplicates;
  counts.receipts = admitted.receipts;
  counts.receipts_duplicate = admitted.receipts_duplicate;
  counts.receipts_refused = admitted.receipts_refused;
  counts.self_checks = parts->committer->self_checks().checked;
  counts.nondeterministic = parts->committer->self_checks().impure;
  counts.inline_steps = parts->window->inline_count();
  parts->progress.published = counts;
}

LogicalTime Rounds::TimeFor(Round round) const {
  if (REENACT_PLANTED("logical time depends on what is in flight")) {
    return LogicalTime{static_cast<std::int64_t>(round.value + rounds_.size())};
  }
  if (const ScriptedRound* const scripted = parts_.admission->scripted();
      scripted != nullptr && parts_.clock == ClockKind::kWall) {
    return std::max(parts_.state->at().time, scripted->time);
  }
  switch (parts_.clock) {
    case ClockKind::kRounds:
      return LogicalTime{static_cast<std::int64_t>(round.value)};
    case ClockKind::kInput:
      return std::max(parts_.state->at().time, parts_.admission->input_time());
    case ClockKind::kWall:
      return std::max(parts_.state->at().time, parts_.WallTime());
  }
  return parts_.state->at().time;
}

// The first round that has something which is eligible in it at `time`.
std::optional<Round> Rounds::FirstEligible(LogicalTime time) const {
  const auto unit = parts_.state->queues().NextRound(time);
  const auto due = parts_.state->ledger().NextDue(parts_.state->depth(), time);
  return unit && due ? std::min(*unit, *due) : unit ? unit : due;
}

// The number and the time of the next round; nullopt if nothing is eligible, or
// if that depends on a round that is not committed yet.
std::optional<Round> Rounds::ChooseRound(LogicalTime* time) {
  const Round next = parts_.state->next_round();
  *time = TimeFor(next);
  if (parts_.state->queues().external_count() > 0 ||
      parts_.admission->has_entries())
    return next;
  std::optional<Round> round = FirstEligible(*time);
  if (round && *round <= next) return next;
  if (!rounds_.empty()) return std::nullopt;
  if (parts_.clock == ClockKind::kRounds) {
    // Of two timers the one that is due later may be handed over sooner, so the
    // rounds in which that can be are looked at one by one.
    const bool timers = parts_.state->queues().NextTimer() ||
                        parts_.state->ledger().NextTimer();
    const Round settled{parts_.state->at().round.value + parts_.state->depth()};
    for (Round at = next; timers && at < settled && (!round || at < *round);
         at = Round{at.value + 1}) {
      const std::optional<Round> first = FirstEligible(TimeFor(at));
      if (first && *first <= at) round = at;
    }
    // A timer makes the round of its number eligible.
    const auto consider = [&](std::optional<LogicalTime> timer,
                              const auto& eligible_at) {
      // Those of older formats may be due when no round can be any more.
      if (!timer || timer->value <= time->value || *timer > kTimeMax) return;
      const std::optional<Round> due = eligible_at(*timer);
      REENACT_CHECK(due.has_value());
      const Round at{
          std::max(due->value, static_cast<std::uint64_t>(timer->value))};
      if (!round || at < *round) round = at;
    };
    consider(parts_.state->queues().NextTimer(), [this](LogicalTime at) {
      return parts_.state->queues().NextRound(at);
    });
    consider(parts_.state->ledger().NextTimer(), [this](LogicalTime at) {
      return parts_.state->ledger().NextDue(parts_.state->depth(), at);
    });
    if (REENACT_SEEN(round, "world: a timer makes its own round"))
      *time = TimeFor(*round);
  }
  return round;
}

bool Rounds::Compose() {
  if (parts_.failed()) return false;
  instrument::Yield("world.compose", this);
  if (!parts_.admission->feed().status().ok()) {
    if (rounds_.empty()) parts_.progress.idle = true;
    return false;
  }
  // What a barrier captures includes nothing of the next round.
  if (REENACT_SEEN(!rounds_.empty() && rounds_.back().barrier(),
                   "world: a barrier is on its way"))
    return false;
  if (parts_.interrupted && !parts_.admission->has_entries() &&
      parts_.admission->scripted() == nullptr) {
    if (rounds_.empty()) parts_.progress.idle = true;
    return false;
  }
  const absl::StatusOr<bool> pulled =
      parts_.admission->Pull(parts_.interrupted);
  if (!pulled.ok()) {
    parts_.Fail(pulled.status());
    return false;
  }
  if (parts_.internals.script != nullptr && !*pulled) {
    if (rounds_.empty()) parts_.progress.idle = true;
    return false;
  }
  if (parts_.admission->pulling()) return true;
  // Round r is composed from rounds up to r - depth, all committed.
  if (!rounds_.empty() &&
      (parts_.sharing->in_line() ||
       rounds_.front().round.value + parts_.state->depth() <=
           parts_.state->next_round().value)) {
    REENACT_PROBE("world: the pipeline is full");
    return false;
  }
  if (parts_.admission->has_receipts()) {
    // They are judged by what all rounds before this one came to.
    if (REENACT_SEEN(!rounds_.empty(),
                     "world: receipts wait for the rounds before"))
      return false;
    AdmitReceipts();
    // Duplicates leave nothing; what waits behind them has not been looked at.
    if (REENACT_SEEN(!parts_.admission->has_entries(),
                     "world: receipts that leave nothing"))
      return true;
  }
  if (!parts_.admission->controls().empty() &&
      !parts_.admission->has_entries()) {
    return ComposeControls();
  }

  LogicalTime time;
  const std::optional<Round> number = ChooseRound(&time);
  if (!number) {
    if (rounds_.empty()) {
      if (const ScriptedRound* const scripted = parts_.admission->scripted()) {
        parts_.Fail(absl::DataLossError(
            "round " + std::to_string(scripted->round.value) +
            ": nothing is eligible in it by the scheduling rules"));
      }
      parts_.progress.idle = true;
    }
    return false;
  }
  if (IsBeyondLast(*number)) return false;
  if (parts_.state->HasDue(*number, time)) {
    REENACT_PROBE("world: time ends an effect");
    if (!rounds_.empty()) return false;
    MutexLock lock(parts_.cells->exclusive());
    parts_.admission->CloseDue(*number, time);
  }
  RoundInFlight round = NewRound();
  round.round = *number;
  round.time = time;
  parts_.state->queues().Compose(*number, time, parts_.state->next_ticket(),
                                 &round.units);
  OpenRound(std::move(round));
  return true;
}

// Others look at the ledger meanwhile.
void Rounds::AdmitReceipts() {
  MutexLock lock(parts_.cells->exclusive());
  parts_.admission->AdmitReceipts();
  PublishCounts(&parts_);
}

// Whether there is no such round any more; then the world has ended.
bool Rounds::IsBeyondLast(Round round) {
  if (round.value <= kRoundMax) return false;
  parts_.Fail(absl::OutOfRangeError("the world has come to its last round, " +
                                    std::to_string(kRoundMax)));
  return true;
}

// A round that has control commands has nothing else, so that every other
// ticket is entirely before or entirely after a change.
bool Rounds::ComposeControls() {
  if (REENACT_SEEN(!rounds_.empty(),
                   "world: a command waits for the rounds before"))
    return false;
  if (IsBeyondLast(parts_.state->next_round())) return false;
  if (const auto* back = std::get_if<entry::RolledBack>(
          &parts_.admission->controls().front().entry)) {
    if (absl::Status wrong = PrepareRollback(*back); !wrong.ok()) {
      if (parts_.internals.script != nullptr) {
        // It was recorded, so the world could go back then.
        parts_.Fail(AsDataLoss(wrong));
        return false;
      }
      parts_.admission->controls().front().state->End(wrong);
      parts_.admission->controls().pop_front();
      return true;
    }
  }
  std::deque<PendingControl> controls = TakeControls();
  RoundInFlight round = NewRound();
  round.round = parts_.state->next_round();
  round.time = TimeFor(round.round);
  round.end.control = true;
  for (PendingControl& control : controls) {
    round.units.push_back(parts_.admission->AdmitControl(std::move(control)));
  }
  OpenRound(std::move(round));
  return true;
}

// Those of the next round. A rollback is alone in its own: what it changes is
// worked out against the state before that.
std::deque<PendingControl> Rounds::TakeControls() {
  const auto is_rollback = [](const PendingControl& control) {
    return std::holds_alternative<entry::RolledBack>(control.entry);
  };
  std::deque<PendingControl>& all = parts_.admission->controls();
  auto end = std::find_if(all.begin(), all.end(), is_rollback);
  if (end == all.begin()) ++end;
  std::deque<PendingControl> taken(std::make_move_iterator(all.begin()),
                                   std::make_move_iterator(end));
  all.erase(all.begin(), end);
  return taken;
}

// Works out what the rollback changes and raises. Nothing is on its way, and
// nothing else will be before it.
absl::Status Rounds::PrepareRollback(const entry::RolledBack& back) {
  RollbackTarget target;
  if (parts_.internals.rollback_target) {
    REENACT_ASSIGN_OR_RETURN(target, parts_.internals.rollback_target(
                                         back, parts_.progress.next_block));
  } else {
    REENACT_RETURN_IF_ERROR(parts_.writer->Flush());
    REENACT_ASSIGN_OR_RETURN(target, parts_.storage->ReadTarget(back.to));
    if (target.place.round != back.round || target.place.event_id != back.to) {
      return absl::AbortedError(
          "another snapshot has taken its place; try again");
    }
  }
  if (target.place.sources != back.sources) {
    return absl::DataLossError(
        "the sources that a rollback goes back to are not those of the "
        "snapshot");
  }
  for (const RaisedEvent& event : target.events) {
    if (parts_.rules.Has(event.reducer)) continue;
    return absl::FailedPreconditionError(
        "at the snapshot an event for \"" +
        parts_.admission->NameOf(event.reducer) +
        "\" waited, a reducer that the modules no longer have");
  }
  return rollback_.Plan(std::move(target),
                        parts_.state->config().reducers.size(),
                        parts_.cells.get());
}

RoundInFlight Rounds::NewRound() {
  if (spare_rounds_.empty()) return RoundInFlight();
  RoundInFlight round = std::move(spare_rounds_.back());
  spare_rounds_.pop_back();
  round.Clear();
  return round;
}

// All at once: the searches do not wait for each other's memory, and what they
// find is on its way when its turn comes.
void Rounds::FindCells(RoundInFlight& round) {
  round.cells.reserve(round.units.size());
  EventId user = round.first;
  for (const Unit* unit : round.units) {
    Cell* cell =
        parts_.cells->Find(unit->reducer, unit->key, unit->cell_hash, user);
    round.cells.push_back(cell);
    user = user.Next();
  }
  for (const Cell* cell : round.cells) {
    __builtin_prefetch(cell->committed.load(std::memory_order_relaxed));
  }
}

// What the round takes in of a source with a name, which any thread asks about.
std::optional<SourceRead> Rounds::NoteSourceRead() {
  std::optional<SourceRead> read = parts_.admission->TakeSourceRead();
  if (!read) return std::nullopt;
  MutexLock lock(&parts_.sources_mutex);
  parts_.state->TakeSource(*read);
  return read;
}

void Rounds::OpenRound(RoundInFlight round) {
  REENACT_FAILPOINT("D02 round composed, not recorded");
  round.first = parts_.state->next_ticket();
  round.opened_ns = instrument::NowNs();
  if (!round.end.control) FindCells(round);
  const std::uint64_t block = parts_.progress.next_block++;
  round.block = block;
  round.snapshot = parts_.state->config().snapshot_every != 0 &&
                   block % parts_.state->config().snapshot_every == 0;
  round.open_work =
      parts_.internals.open_work_block == block ||
      (block % kOpenWorkEvery == 0 &&
       (parts_.binds_open_work() || parts_.storage->keeps_snapshots()));
  parts_.state->Advance(round.round, round.time, round.units.size());
  ++parts_.progress.counts.rounds;
  parts_.progress.counts.tickets += round.units.size();

  round.record = parts_.writer->Recycle();
  FinishedRound& record = *round.record;
  record.round = round.round;
  record.first = round.first;
  record.ticket_count = round.units.size();
  EncodeRoundOpened({round.round, round.time, round.first, round.units.size(),
                     NoteSourceRead()},
                    &record.entries);
  record.entry_count = 1;
  // A control command runs no code of a module's, so there is no reason to keep
  // it from being carried out.
  if (!parts_.failures.empty() && !round.end.control) {
    record.entry_count += parts_.failures.Record(
        round.first, round.units.size(), &record.entries);
  }
  record.entry_count += parts_.admission->TakeEntries(&record.entries);
  rounds_.push_back(std::move(round));
  parts_.progress.in_flight = true;
}

bool Rounds::FrontIsCommitted() const {
  return !rounds_.empty() &&
         rounds_.front().committed == rounds_.front().units.size();
}

void Rounds::FinishRounds() {
  while (!parts_.failed() && FrontIsCommitted()) {
    FinishRound(rounds_.front());
    if (kReadBack && parts_.failed()) break;  // nothing that is not read again
    finished_.push_back(std::move(rounds_.front().record));
    spare_rounds_.push_back(std::move(rounds_.front()));
    rounds_.pop_front();
  }
  parts_.progress.in_flight = !rounds_.empty();
}

void Rounds::FinishRound(RoundInFlight& round) {
  made_ns_ = instrument::NowNs() - round.opened_ns;
  const EventId last{round.first.value + round.units.size() - 1};
  parts_.failures.Forget(last);
  std::vector<Unit*>& raised = round.end.raised;
  if (REENACT_PLANTED("raised events go by where they lie")) {
    std::sort(raised.begin(), raised.end());
  }
  if (!raised.empty() && REENACT_PLANTED("a raised event is lost")) {
    parts_.state->queues().Recycle(raised.back());
    raised.pop_back();
  }
  parts_.state->EndRound(round.round, &round.end);
  parts_.progress.last_time.store(round.time.value, std::memory_order_relaxed);
  if (!parts_.state->ledger().unused()) {
    parts_.notifier->Collect(round.block, round.time);
  }
  for (Unit* unit : round.units) parts_.state->queues().Recycle(unit);
  FinishedRound& record = *round.record;
  if (round.snapshot) {
    EncodeEntry(entry::SnapshotTaken{round.round, last}, &record.entries);
    ++record.entry_count;
    ++parts_.progress.counts.snapshots;
  }
  if (kReadBack) parts_.Fail(ReadBack(record.entries));
  std::vector<Cell*>* changed = parts_.cells->changed();
  for (const Cell* cell : *changed) {
    if (cell == changed->front() && changed->size() > 1 &&
        REENACT_PLANTED("a changed cell is not stored")) {
      continue;
    }
    const Version* version = cell->committed.load(std::memory_order_relaxed);
    record.cells.Add(cell->reducer, cell->key, version->written_by(),
                     version->state());
    if (kReadBack && version->state()) {
      parts_.Fail(
          Annotate(ReadBackCell(cell->reducer, cell->key, *version->state()),
                   "a snapshot of " + parts_.admission->NameOf(cell->reducer) +
                       "/" + cell->key));
    }
  }
  changed->clear();
  parts_.progress.counts.journal_bytes += record.entries.size();
  if (round.barrier()) RecordOpenWork(round);
  parts_.cells->Advance(last, parts_.writer->written());
  REENACT_FAILPOINT("round finished, not handed over");
}

// Nothing was composed beyond this round, so what is open now is so at its end:
// for its record, and for a snapshot. Where blocks bind it, nothing else is
// stored.
void Rounds::RecordOpenWork(const RoundInFlight& round) {
  if (parts_.binds_open_work() && !round.snapshot && !round.open_work) return;
  const bool stored = parts_.storage->records_open_work();
  if (!stored && !parts_.binds_open_work()) return;
  FinishedRound& record = *round.record;
  const auto place = std::make_shared<const Checkpoint>(parts_.state->Encode());
  if (parts_.binds_open_work() &&
      (round.snapshot || round.block % kOpenWorkEvery == 0)) {
    BlockHeader block;
    block.index = round.block;
    record.open_work_digest =
        OpenWorkDigest(HeaderAfter(*place, block, Digest()), place->sequencer);
  }
  if (!stored) return;
  record.open_work = [this, place](const BlockHeader& header,
                                   const Digest& hash) {
    Bytes bytes =
        EncodeOpenWork(HeaderAfter(*place, header, hash), place->sequencer);
    if (kReadBack) parts_.Fail(ReadBackOpenWork(bytes));
    return bytes;
  };
  if (!round.snapshot || !parts_.storage->keeps_snapshots()) return;
  record.after_commit = [this, place](const BlockHeader& header,
                                      const Digest& hash) {
    return parts_.storage->WriteSnapshot(*place,
                                         HeaderAfter(*place, header, hash));
  };
}

}  // namespace reenact
