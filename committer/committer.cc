#include "reenact/committer/committer.h"

#include <algorithm>
#include <variant>

#include "absl/base/attributes.h"
#include "reenact/base/check.h"
#include "reenact/base/test_points.h"
#include "reenact/committer/read_back.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/workers/step_entries.h"

namespace reenact {
namespace {

std::string CellNameOf(const Ticket& ticket) {
  return std::string(ticket.event.reducer) + "/" +
         std::string(ticket.event.key.substr(0, 64));
}

}  // namespace

Committer::Committer(EventId next, const Parts& parts,
                     SelfCheck::Options self_check)
    : parts_(parts), next_(next), self_check_(std::move(self_check)) {}

absl::Status Committer::SetInvariants(
    const std::vector<std::shared_ptr<const Reducer>>& reducers,
    const CellInvariants::Scan& scan) {
  return invariants_.Set(reducers, scan);
}

// --- the stages, in their order ----------------------------------------------

bool Committer::IsStale(const Slot& slot) const {
  if (REENACT_PLANTED("reads are not validated")) return false;
  const StepResult& result = slot.result();
  return !parts_.window->IsCurrent(slot, result) ||
         (!result.asked.empty() && !WasToldRight(slot.ticket, result));
}

inline void Committer::Validate(Slot* slot) {
  // In its turn a step reads what is there.
  if (slot->in_turn) return;
  // What most steps come to, without a call.
  const StepResult& result = slot->result();
  if (result.asked.empty() && parts_.window->IsCurrent(*slot, result)) return;
  if (!IsStale(*slot)) return;
  ++counts_.conflicts;
  ++counts_.reruns;
  parts_.window->DiscardWrites(*slot, &slot->results[0]);
  parts_.window->RunAgain(slot);
  REENACT_CHECK(!IsStale(*slot));
}

inline std::optional<FailureCode> Committer::Settle(const Slot& slot) {
  for (const StepResult::Pending& pending : slot.result().updates) {
    const absl::StatusOr<Bytes> applied =
        ApplyUpdate(Present(pending.cell)->state(), pending.update);
    if (!applied.ok()) return UpdateFailure(applied.status());
    // An operand as deep as an item may be is too deep inside an array.
    if (!pending.update.item.empty() && !cbor::Validate(*applied).ok()) {
      return FailureCode::kInvalidOutput;
    }
    const std::uint64_t redone =
        slot.state.load() == Slot::State::kRedone ? 1 : 0;
    AddSettled(pending.cell,
               parts_.cells->NewVersion(next_.value << 1 | redone, *applied));
  }
  return std::nullopt;
}

inline std::optional<FailureCode> Committer::Judge(Slot* slot) {
  const StepResult& result = slot->result();
  if (result.outcome.failure) return result.outcome.failure;
  if (const auto unsettled = Settle(*slot)) return unsettled;
  // All that a step without invariants and effects pays for them.
  if (invariants_.none() && result.outcome.effects.empty() &&
      slot->ticket.kind != UnitKind::kControl) {
    return std::nullopt;
  }
  return Gate(*slot);
}

inline void Committer::Record(Slot* slot, std::optional<FailureCode> failure,
                              Bytes* entries) {
  if (self_check_.enabled()) self_check_.Check(parts_.window, slot);
  const StepResult& result = slot->result();
  if (failure && !result.outcome.failure) {
    return RecordRefusal(slot->ticket, *failure, entries);
  }
  if (result.encoded) {
    entries->append(result.entries);
  } else {
    EncodeResult(*slot, result, entries);
  }
  if (asked_gate_) RecordConsequences(entries);
}

inline void Committer::Publish(Slot* slot) {
  StepResult* const result = &slot->result();
  const Round round = slot->ticket.round;
  for (const StepResult::Write& write : result->writes) {
    parts_.cells->Publish(write.cell, write.version, next_, round);
  }
  for (const auto& [cell, version] : settled_) {
    parts_.cells->Publish(cell, version, next_, round);
  }
  result->settled = true;
}

void Committer::Discard(Slot* slot) {
  if (REENACT_PLANTED("a failed step leaves its writes")) return Publish(slot);
  parts_.window->DiscardWrites(*slot, &slot->result());
  for (const auto& [cell, version] : settled_) Version::Free(version);
}

Committer::Result Committer::Commit(Slot* slot, Bytes* entries) {
  REENACT_CHECK(slot->ticket.event_id == next_);
  asked_gate_ = false;
  settled_.clear();
  detail_.clear();
  Validate(slot);
  const std::optional<FailureCode> failure = Judge(slot);
  const std::size_t before = entries->size();
  Record(slot, failure, entries);
  if (failure) {
    Discard(slot);
    CountFailure(*failure);
  } else {
    Publish(slot);
    ++counts_.committed;
  }
  CheckOutcome(next_, failure, BytesView(*entries).substr(before));
  next_ = next_.Next();
  return {failure, &slot->result(), asked_gate_ ? &consequences_ : nullptr};
}

// --- what the stages ask -----------------------------------------------------

// Whether what the step was told of budgets is so right before its ticket.
bool Committer::WasToldRight(const Ticket& ticket,
                             const StepResult& result) const {
  if (REENACT_PLANTED("what a step was told of budgets is trusted")) {
    return true;
  }
  return std::all_of(result.asked.begin(), result.asked.end(),
                     [&](const StepResult::Asked& asked) {
                       return asked.affords ==
                              parts_.ledger->Affords(
                                  asked.capability, asked.amounts, ticket.time);
                     });
}

ABSL_ATTRIBUTE_NOINLINE std::optional<FailureCode> Committer::Gate(
    const Slot& slot) {
  asked_gate_ = true;
  const bool declared = !invariants_.none();
  if (declared && BreaksInvariant(slot)) return FailureCode::kInvariant;
  if (std::optional<Ledger::Refusal> refusal = AskLedger(slot)) {
    KeepDetail(std::move(refusal->detail));
    return refusal->code;
  }
  if (declared) invariants_.Commit();
  return std::nullopt;
}

bool Committer::BreaksInvariant(const Slot& slot) {
  changes_.clear();
  const auto add = [this](Cell* cell, const Version* version) {
    changes_.push_back({cell->reducer, cell->key,
                        parts_.cells->Load(cell)->state(), version->state()});
  };
  for (const StepResult::Write& write : slot.result().writes) {
    add(write.cell, write.version);
  }
  for (const auto& [cell, version] : settled_) add(cell, version);
  std::optional<CellInvariants::Broken> broken = invariants_.Check(changes_);
  if (!broken) return false;
  KeepDetail(std::move(broken->name));
  if (broken->on_break == OnBreak::kHalt) {
    halt_.Update(absl::FailedPreconditionError(
        "invariant \"" + detail_ + "\" would break at ticket " +
        std::to_string(next_.value) + ", of " + CellNameOf(slot.ticket) +
        "; the world halts, as declared"));
  }
  return true;
}

// Judged right before the ticket, after everything that came before it.
std::optional<Ledger::Refusal> Committer::AskLedger(const Slot& slot) {
  const Ticket& ticket = slot.ticket;
  if (ticket.kind == UnitKind::kControl) {
    const absl::StatusOr<Entry> command = DecodeEntry(ticket.event.payload);
    REENACT_CHECK(command.ok());
    if (std::holds_alternative<entry::GrantChanged>(*command)) {
      REENACT_FAILPOINT("grant about to change");
    }
    const absl::Status changed =
        parts_.ledger->Apply(*command, ticket.event_id, ticket.time,
                             parts_.config->reducers, &consequences_);
    if (!REENACT_SEEN(!changed.ok(),
                      "world: a command makes no sense at its ticket")) {
      return std::nullopt;
    }
    return Ledger::Refusal{static_cast<FailureCode>(changed.raw_code()),
                           std::string(ToStd(changed.message()))};
  }
  const std::vector<EffectIntent>& effects = slot.result().outcome.effects;
  if (effects.empty() ||
      parts_.config->format_version < kFormatVersionEffects) {
    return std::nullopt;
  }
  Ledger::Step step;
  step.event_id = ticket.event_id;
  step.round = ticket.round;
  step.time = ticket.time;
  step.reducer = ticket.reducer;
  step.reducer_name = ticket.event.reducer;
  step.key = ticket.event.key;
  step.due_max = parts_.rules->due_max;
  return parts_.ledger->Judge(step, effects, &consequences_);
}

ABSL_ATTRIBUTE_NOINLINE void Committer::RecordRefusal(const Ticket& ticket,
                                                      FailureCode failure,
                                                      Bytes* entries) const {
  EncodeScheduled(ticket, entries);
  EncodeStepFailed(ticket.event_id, LaneId{0}, failure, detail_, entries);
}

ABSL_ATTRIBUTE_NOINLINE void Committer::RecordConsequences(
    Bytes* entries) const {
  for (const Entry& entry : consequences_.entries) EncodeEntry(entry, entries);
}

void Committer::CountFailure(FailureCode code) {
  REENACT_PROBE("committer: a step has failed");
  ++counts_.failed;
  ++counts_.failures[code];
}

// An invariant may have any name; what is recorded is a text.
void Committer::KeepDetail(std::string&& detail) {
  detail_ = cbor::IsUtf8(detail) ? std::move(detail) : cbor::ToUtf8(detail);
}

// Of a cell that is updated more than once only the last version is ever
// published: others see no value between, and stamps stay distinct.
void Committer::AddSettled(Cell* cell, const Version* version) {
  for (auto& [settled, old] : settled_) {
    if (settled != cell) continue;
    Version::Free(std::exchange(old, version));
    return;
  }
  settled_.emplace_back(cell, version);
}

// The newest version of a cell, with what this step has settled already.
const Version* Committer::Present(Cell* cell) const {
  for (const auto& [settled, version] : settled_) {
    if (settled == cell) return version;
  }
  return parts_.cells->Load(cell);
}

}  // namespace reenact
