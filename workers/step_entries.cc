#include "reenact/workers/step_entries.h"

#include <cstddef>
#include <optional>

#include "reenact/journal/entry.h"

namespace reenact {
namespace {

void WriteScheduled(const Ticket& ticket, EntryWriter& writer) {
  writer.StepScheduled(ticket.event_id, LaneId{0}, ticket.kind, ticket.reducer,
                       ticket.event.key, ticket.cause);
}

void WriteDiffs(const Slot& slot, const StepResult& result,
                EntryWriter& writer) {
  const std::size_t count = result.writes.size() + result.updates.size();
  writer.BeginGroup(StepGroup::kDiffs, count);
  for (const StepResult::Write& write : result.writes) {
    const bool own = write.cell == slot.own;
    const auto state = write.version->state();
    if (state) {
      writer.Put(own, write.cell->reducer, write.cell->key, *state);
    } else {
      writer.Delete(own, write.cell->reducer, write.cell->key);
    }
  }
  for (const StepResult::Pending& pending : result.updates) {
    writer.Update(pending.cell == slot.own, pending.cell->reducer,
                  pending.cell->key, pending.update);
  }
}

// The new state of the step's own cell, if that is all that came of the step.
std::optional<BytesView> OnlyPut(const Slot& slot, const StepResult& result) {
  const StepOutcome& outcome = result.outcome;
  if (outcome.failure || result.writes.size() != 1 ||
      result.writes[0].cell != slot.own || !result.updates.empty() ||
      !outcome.raised.empty() || !outcome.effects.empty()) {
    return std::nullopt;
  }
  return result.writes[0].version->state();
}

}  // namespace

void EncodeScheduled(const Ticket& ticket, Bytes* out) {
  EntryWriter writer(out);
  WriteScheduled(ticket, writer);
}

void EncodeResult(const Slot& slot, const StepResult& result, Bytes* out) {
  EntryWriter writer(out);
  if (const auto state = OnlyPut(slot, result)) {
    const Ticket& ticket = slot.ticket;
    writer.StepWithOnePut(ticket.event_id, LaneId{0}, ticket.kind,
                          ticket.reducer, ticket.event.key, ticket.cause,
                          *state);
    return;
  }
  const EventId id = slot.ticket.event_id;
  WriteScheduled(slot.ticket, writer);
  if (result.outcome.failure) {
    const std::string* const detail = slot.ticket.failure;
    writer.StepFailed(id, LaneId{0}, *result.outcome.failure,
                      detail == nullptr ? std::string_view() : *detail);
    return;
  }
  const StepOutcome& outcome = result.outcome;
  writer.StepCommittedHead(id, LaneId{0},
                           result.writes.size() + result.updates.size(),
                           outcome.raised.size(), outcome.effects.size());
  WriteDiffs(slot, result, writer);
  writer.BeginGroup(StepGroup::kEvents, outcome.raised.size());
  for (const RaisedEvent& event : outcome.raised) writer.Raised(event);
  writer.BeginGroup(StepGroup::kEffects, outcome.effects.size());
  for (const EffectIntent& effect : outcome.effects) writer.Effect(effect);
}

}  // namespace reenact
