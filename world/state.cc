#include "reenact/world/state.h"

#include <variant>

#include "reenact/base/test_points.h"
#include "reenact/journal/cell_changes.h"
#include "reenact/journal/recorded_config.h"

namespace reenact {
namespace {

absl::StatusOr<Sequencer> ReadQueues(const Checkpoint& checkpoint) {
  const Scheduling& scheduling = checkpoint.config.scheduling;
  if (checkpoint.sequencer.empty()) return Sequencer(scheduling);
  return Sequencer::Decode(scheduling, checkpoint.sequencer);
}

}  // namespace

absl::StatusOr<State> State::At(Checkpoint checkpoint) {
  const std::size_t reducers = checkpoint.config.reducers.size();
  absl::StatusOr<Sequencer> queues = ReadQueues(checkpoint);
  absl::Status status = queues.status();
  if (status.ok()) status = queues->CheckAt(checkpoint.round, reducers);
  if (!status.ok()) return Annotate(AsDataLoss(status), "queues");
  absl::StatusOr<Ledger> ledger =
      Ledger::Decode(checkpoint.config.world_id, checkpoint.ledger,
                     checkpoint.config.format_version);
  status = ledger.status();
  if (status.ok()) {
    status = ledger->CheckAt(checkpoint.event_id, checkpoint.round, reducers);
  }
  if (!status.ok()) return Annotate(AsDataLoss(status), "ledger");
  checkpoint.sequencer.clear();
  checkpoint.ledger.clear();
  return State(std::move(checkpoint), *std::move(queues), *std::move(ledger));
}

Checkpoint State::Encode() const {
  Checkpoint checkpoint = at_;
  queues_.Encode(&checkpoint.sequencer);
  ledger_.Encode(&checkpoint.ledger);
  return checkpoint;
}

void State::Admit(const entry::InputAdmittedView& input, InputId id) {
  Unit* const unit = NewInput(input.reducer, input.priority, id);
  unit->key.assign(input.key);
  if (!input.schema.empty()) unit->schema.assign(input.schema);
  unit->payload.assign(input.payload);
  queues_.Admit(unit, input.submission_id, next_ticket());
}

absl::Status State::AdmitReceipt(const Receipt& receipt,
                                 Ledger::Consequences* into) {
  const absl::Status verdict =
      ledger_.AdmitReceipt(next_input(), receipt, at_.time, into);
  if (!into->entries.empty()) TakeInput();
  return verdict;
}

void State::AdmitRefusal(entry::ReceiptRefused refused,
                         Ledger::Consequences* into) {
  refused.input = next_input();
  ledger_.AdmitRefusal(std::move(refused), into);
  if (!into->entries.empty()) TakeInput();
}

void State::AdmitAnswers(Ledger::Consequences* from) {
  for (Ledger::Answer& answer : from->answers) {
    queues_.Admit(UnitFor(std::move(answer)), {}, next_ticket());
  }
  from->answers.clear();
}

Unit* State::UnitFor(Ledger::Answer&& answer) {
  Unit* const unit = queues_.NewUnit();
  FillAnswer(std::move(answer.cell), answer.cause, std::move(answer.payload),
             unit);
  return unit;
}

void State::TakeConsequences(Ledger::Consequences* from, RoundEnd* into) {
  for (Ledger::Answer& answer : from->answers) {
    REENACT_PROBE("world: a ticket has an answer for a cell");
    into->raised.push_back(UnitFor(std::move(answer)));
  }
  for (CellRef& cell : from->timers_dropped) {
    into->timers_dropped.push_back(std::move(cell));
  }
  from->answers.clear();
  from->timers_dropped.clear();
}

absl::Status State::ApplyConfig(const Entry& command) {
  REENACT_RETURN_IF_ERROR(ApplyConfigChange(command, &at_.config));
  if (std::holds_alternative<entry::ConfigChanged>(command)) {
    queues_.SetScheduling(at_.config.scheduling);
  }
  return absl::OkStatus();
}

void State::ApplyRollback(const entry::RolledBack& back, RoundEnd* into) {
  into->rolled_back = true;
  at_.sources = back.sources;
}

void State::EndRound(Round round, RoundEnd* end) {
  if (end->rolled_back) queues_.DropAll();
  for (CellRef& cell : end->timers_dropped) {
    // Nothing was composed beyond a control command.
    if (REENACT_SEEN(end->control, "world: a command drops timers")) {
      queues_.DropTimersNow(cell);
    } else {
      queues_.DropTimers(round, std::move(cell));
    }
  }
  end->timers_dropped.clear();
  queues_.EnqueueRaised(round, &end->raised);
}

}  // namespace reenact
