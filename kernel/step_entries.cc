#include "reenact/kernel/step_entries.h"

#include <cstddef>

#include "reenact/journal/entry.h"

namespace reenact {
namespace {

void EncodeDiffs(const Slot& slot, const StepResult& result, Bytes* out) {
  const std::size_t count = result.writes.size() + result.updates.size();
  if (count == 0) return;
  BeginGroup(StepGroup::kDiffs, count, out);
  for (const StepResult::Write& write : result.writes) {
    const bool own = write.cell == slot.own;
    const auto state = write.version->state();
    if (state) {
      EncodePut(own, write.cell->reducer, write.cell->key, *state, out);
    } else {
      EncodeDelete(own, write.cell->reducer, write.cell->key, out);
    }
  }
  for (const StepResult::Pending& pending : result.updates) {
    EncodeUpdate(pending.cell == slot.own, pending.cell->reducer,
                 pending.cell->key, pending.update, out);
  }
}

}  // namespace

void EncodeScheduled(const Ticket& ticket, Bytes* out) {
  EncodeStepScheduled(ticket.event_id, LaneId{0}, ticket.kind, ticket.reducer,
                      ticket.event.key, ticket.cause, out);
}

void EncodeResult(const Slot& slot, StepResult* result) {
  Bytes* out = &result->entries;
  const EventId id = slot.ticket.event_id;
  EncodeScheduled(slot.ticket, out);
  if (result->outcome.failure) {
    EncodeStepFailed(id, LaneId{0}, *result->outcome.failure, out);
    return;
  }
  const StepOutcome& outcome = result->outcome;
  EncodeStepCommittedHead(id, LaneId{0},
                          result->writes.size() + result->updates.size(),
                          outcome.raised.size(), outcome.effects.size(), out);
  EncodeDiffs(slot, *result, out);
  if (!outcome.raised.empty()) {
    BeginGroup(StepGroup::kEvents, outcome.raised.size(), out);
    for (const RaisedEvent& event : outcome.raised) EncodeRaised(event, out);
  }
  if (!outcome.effects.empty()) {
    BeginGroup(StepGroup::kEffects, outcome.effects.size(), out);
    for (const EffectIntent& effect : outcome.effects) {
      EncodeEffect(effect, out);
    }
  }
}

}  // namespace reenact
