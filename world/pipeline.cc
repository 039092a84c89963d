#include "reenact/world/pipeline.h"

#include <algorithm>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "absl/base/attributes.h"
#include "reenact/base/check.h"
#include "reenact/base/instrument.h"

namespace reenact {
namespace {

// How long the ordered role runs steps itself before it looks round: inputs
// that arrive meanwhile wait that long.
constexpr std::uint64_t kInlineNs = 100'000;
// Tickets that the ordered role commits before it looks round.
constexpr std::size_t kBurst = 256;

}  // namespace

LogicalTime Pipeline::NextTime() {
  return rounds_.TimeFor(parts_.state->next_round());
}

absl::Status Pipeline::Drive() {
  parts_.progress.idle = false;
  parts_.sharing->Begin(Seen());
  try {
    parts_.pool->Drive(this);
  } catch (const std::bad_alloc&) {
    // In a step, or in what its thread does around it.
    parts_.Fail(OutOfMemory());
  }
  parts_.sharing->Pause(Seen());
  if (parts_.failed()) {
    REENACT_PROBE("world: it has failed");
    return parts_.status();
  }
  parts_.notifier->DeliverOpen(NextTime());
  return absl::OkStatus();
}

bool Pipeline::Order() {
  bool did = CommitSteps();
  did |= WriteFinished();
  ChooseThreads();
  did |= IssueAndCompose();
  return did;
}

bool Pipeline::CommitSteps() {
  MutexLock lock(parts_.cells->exclusive());
  const bool in_order =
      parts_.sharing->in_line() ||
      (!rounds_.in_flight().empty() && rounds_.in_flight().front().end.control);
  const bool in_turn =
      in_order && parts_.window->issued() == parts_.window->committed();
  const bool did = in_turn ? RunInOrder() : CommitDone();
  rounds_.FinishRounds();
  PublishCounts(&parts_);
  return did;
}

bool Pipeline::WriteFinished() {
  const bool did = !rounds_.finished().empty();
  for (std::unique_ptr<FinishedRound>& record : rounds_.finished()) {
    handed_over_ = record->first.value + record->ticket_count - 1;
    if (ShouldWriteInline(*record)) {
      WriteInline(std::move(record));
    } else {
      parts_.writer->Append(std::move(record));
    }
  }
  rounds_.finished().clear();
  if (!parts_.writer->status().ok()) parts_.Fail(parts_.writer->status());
  return did;
}

void Pipeline::ChooseThreads() {
  const Committer::Counts& counts = parts_.committer->counts();
  parts_.sharing->Choose(counts.committed + counts.failed,
                         [this] { return Seen(); });
}

bool Pipeline::IssueAndCompose() {
  bool did = false;
  bool composed = false;
  do {
    if (!parts_.sharing->in_line()) {
      if (!parts_.sharing->drains()) did |= IssueTickets();
      parts_.sharing->WakeOthers();
    }
    composed = !parts_.failed() && rounds_.Compose();
    did |= composed;
  } while (composed &&
           (parts_.sharing->in_line() || !parts_.admission->pulling()));
  return did;
}

// What it was at when memory ran out is half done.
bool Pipeline::OrderOrFail() {
  try {
    return Order();
  } catch (const std::bad_alloc&) {
    parts_.Fail(OutOfMemory());
    return false;
  }
}

bool Pipeline::Work(std::size_t worker) {
  bool did = TryOrder();
  if (parts_.sharing->shares() && RunSomeOrFail(worker)) did = true;
  return did;
}

// Whoever finds the role taken may have just finished what the one who has it
// looked for in vain; so that one looks again, or this one does.
bool Pipeline::TryOrder() {
  if (!role_.TryLock()) {
    if (!REENACT_PLANTED("nobody looks again")) look_again_.store(true);
    REENACT_PROBE("world: the ordered role was taken");
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!role_.TryLock()) return false;
  }
  bool did = false;
  if (!parts_.progress.idle && !parts_.failed()) did = OrderOrFail();
  role_.Unlock();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (look_again_.load(std::memory_order_relaxed)) {
    REENACT_PROBE("world: somebody has to look again");
    did |= look_again_.exchange(false);
  }
  return did;
}

bool Pipeline::RunSomeOrFail(std::size_t worker) {
  try {
    return parts_.sharing->RunSome(worker);
  } catch (const std::bad_alloc&) {
    parts_.Fail(OutOfMemory());
    return false;
  }
}

bool Pipeline::Finished() {
  return parts_.failed() ||
         (parts_.progress.idle && !parts_.progress.in_flight);
}

std::size_t Pipeline::Choices() { return 1 + parts_.window->ReadyCount(); }

void Pipeline::Choose(std::size_t index) {
  if (index == 0) {
    MutexLock lock(&role_);
    Order();
  } else {
    parts_.window->RunReady(index - 1);
  }
}

void Pipeline::FillTicket(RoundInFlight& round) {
  const std::size_t index = round.issued++;
  const Unit& unit = *round.units[index];
  Ticket& ticket = *parts_.window->NextTicket();
  ticket.event_id = EventId{round.first.value + index};
  ticket.round = round.round;
  ticket.time = round.time;
  ticket.kind = unit.kind;
  ticket.cause = unit.cause;
  ticket.reducer = unit.reducer;
  ticket.event = EventView{{}, unit.key, unit.schema, unit.payload};
  ticket.code = nullptr;
  ticket.failure = nullptr;
  ticket.own = nullptr;
  if (unit.kind != UnitKind::kControl) {
    // Null: what the modules no longer have; then the step fails.
    ticket.code = parts_.rules.reducer(unit.reducer);
    ticket.event.reducer = parts_.rules.name(unit.reducer);
    ticket.own = round.cells[index];
    if (!parts_.failures.empty()) parts_.failures.Apply(&ticket);
  }
  if (unit.cause.is_input()) {
    parts_.submissions.Ticketed(unit.cause.input, ticket.event_id);
  }
}

bool Pipeline::IssueTickets() {
  bool issued = false;
  for (RoundInFlight& round : rounds_.in_flight()) {
    if (round.end.control) break;  // run by RunInOrder()
    while (round.issued < round.units.size()) {
      if (REENACT_SEEN(!parts_.window->HasRoom(), "world: the window is full"))
        return issued;
      FillTicket(round);
      parts_.window->Issue(/*serial=*/false);
      REENACT_FAILPOINT("D01 ticket issued");
      issued = true;
    }
  }
  return issued;
}

void Pipeline::LetReadersIn() {
  REENACT_PROBE("world: a reader is let in");
  parts_.cells->exclusive()->Unlock();
  while (parts_.cells->readers_waiting()->load() > 0) {
    std::this_thread::yield();
    instrument::Yield("world.let_readers_in");
  }
  parts_.cells->exclusive()->Lock();
}

bool Pipeline::CommitDone() {
  // A round without tickets, which records that receipts were refused, ends
  // before a ticket of the next one commits, or it would be given that.
  if (REENACT_SEEN(rounds_.FrontIsCommitted(),
                   "world: a round without tickets ends"))
    rounds_.FinishRounds();
  bool done = false;
  for (std::size_t i = 0; i < kBurst && !parts_.failed(); ++i) {
    Slot* slot = parts_.window->Next();
    if (slot == nullptr || !slot->done()) break;
    CommitSlot(slot);
    if (rounds_.FrontIsCommitted()) rounds_.FinishRounds();
    if (ReadersWait()) LetReadersIn();
    done = true;
  }
  return done;
}

// Runs and commits tickets one after the other, on this thread.
bool Pipeline::RunInOrder() {
  bool done = false;
  for (std::size_t i = 0;
       i < kBurst && !parts_.failed() && !rounds_.in_flight().empty(); ++i) {
    RoundInFlight& round = rounds_.in_flight().front();
    if (round.issued == round.units.size()) break;
    if (i * parts_.window->step_cost_ns() > kInlineNs) break;
    FillTicket(round);
    Slot* slot = parts_.window->Issue(/*serial=*/true);
    parts_.window->RunInTurn(slot);
    CommitSlot(slot);
    if (rounds_.FrontIsCommitted()) rounds_.FinishRounds();
    if (ReadersWait()) LetReadersIn();
    done = true;
  }
  return done;
}

ABSL_ATTRIBUTE_NOINLINE void Pipeline::FailAsImpure(const Ticket& ticket,
                                                    const StepResult& result) {
  const std::string reducer(ticket.code->name());
  const std::string key(ticket.event.key);
  if (parts_.internals.impure != nullptr) {
    parts_.internals.impure->emplace(WorldInternals::Impure{ticket.event_id,
                                                            {reducer, key},
                                                            result.entries,
                                                            result.other,
                                                            std::nullopt});
    if (result.touched != nullptr) {
      (*parts_.internals.impure)->touched = *result.touched;
    }
  }
  parts_.Fail(absl::InternalError(
      "two runs of one step differ: reducer \"" + reducer + "\", key \"" + key +
      "\", at ticket " + std::to_string(ticket.event_id.value)));
}

void Pipeline::CommitSlot(Slot* slot) {
  instrument::Yield("world.commit", slot);
  RoundInFlight& round = rounds_.in_flight().front();
  const Ticket& ticket = slot->ticket;
  // What a rollback changes is known before its ticket.
  if (ticket.kind == UnitKind::kControl) rounds_.FillRollback(slot);
  REENACT_FAILPOINT("D04 before validation");
  const Committer::Result result =
      parts_.committer->Commit(slot, &round.record->entries);
  REENACT_FAILPOINT("D06 entry encoded");
  parts_.Fail(parts_.committer->halt());
  if (!parts_.cells->ok()) return parts_.Fail(parts_.cells->status());
  round.record->entry_count += 2;
  if (result.step->impure && !parts_.options.on_nondeterminism) {
    return FailAsImpure(ticket, *result.step);
  }
  if (!result.failure && !result.step->outcome.raised.empty()) {
    TakeRaised(ticket.event_id, *result.step, round);
  }
  if (result.consequences != nullptr) {
    TakeConsequences(result.consequences, round);
  }
  if (ticket.kind == UnitKind::kControl && !result.failure) {
    CommitControl(slot, round);
  }
  if (ticket.cause.is_input()) {
    parts_.submissions.Committed(ticket.cause.input, result.failure);
  }
  ++round.committed;
  parts_.window->Committed(slot);
}

void Pipeline::TakeRaised(EventId by, StepResult& step, RoundInFlight& round) {
  std::vector<RaisedEvent>& raised = step.outcome.raised;
  for (std::size_t i = 0; i < raised.size(); ++i) {
    parts_.state->Raise(std::move(raised[i]), by, static_cast<std::uint32_t>(i),
                        &round.end);
  }
  parts_.progress.counts.raised += raised.size();
}

// Behind the events that the step raised.
void Pipeline::TakeConsequences(Ledger::Consequences* consequences,
                                RoundInFlight& round) {
  if (!consequences->empty()) {
    REENACT_FAILPOINT("D05 budget debited in memory");
  }
  round.record->entry_count += consequences->entries.size();
  parts_.state->TakeConsequences(consequences, &round.end);
  consequences->Clear();
}

void Pipeline::CommitControl(Slot* slot, RoundInFlight& round) {
  const absl::StatusOr<Entry> command = DecodeEntry(slot->ticket.event.payload);
  REENACT_CHECK(command.ok());
  parts_.Fail(parts_.state->ApplyConfig(*command));
  if (std::holds_alternative<entry::ModuleChanged>(*command)) {
    REENACT_PROBE("world: the modules change");
    parts_.Fail(parts_.UseReducers());
  } else if (std::holds_alternative<entry::SnapshotRequested>(*command)) {
    REENACT_PROBE("world: a snapshot is asked for");
    round.snapshot = true;
  } else if (const auto* back = std::get_if<entry::RolledBack>(&*command)) {
    {
      MutexLock lock(&parts_.sources_mutex);
      parts_.state->ApplyRollback(*back, &round.end);
    }
    // What was submitted and has no ticket will never have one.
    parts_.submissions.Abandon(
        slot->ticket.cause.input,
        absl::AbortedError(
            "the world was rolled back before this had its turn; "
            "submit it again, under another submission id, if it "
            "is still wanted"));
  }
}

Throttle::Seen Pipeline::Seen() const {
  const Committer::Counts& counts = parts_.committer->counts();
  return {instrument::NowNs(), counts.committed + counts.failed, counts.reruns,
          parts_.progress.next_block, parts_.window->step_cost_ns()};
}

// Whether this thread may as well write the round: nothing else is under way,
// and making the next one takes no longer than a sync, during which what it
// will hold arrives.
bool Pipeline::ShouldWriteInline(const FinishedRound& record) {
  if (!rounds_.in_flight().empty() || rounds_.finished().size() != 1 ||
      parts_.admission->feed().active() || record.after_commit) {
    return false;
  }
  return inline_writes_.ShouldWrite(rounds_.made_ns());
}

void Pipeline::WriteInline(std::unique_ptr<FinishedRound> record) {
  REENACT_PROBE("world: a round is written by who committed it");
  const std::uint64_t start = instrument::NowNs();
  parts_.writer->AppendHere(std::move(record));
  inline_writes_.Observe(instrument::NowNs() - start);
}

}  // namespace reenact
