#include "reenact/committer/read_back.h"

#include <string>
#include <variant>

#include "reenact/base/check.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {

#if defined(NDEBUG) && !defined(REENACT_INSTRUMENTED)

void CheckOutcome(EventId, std::optional<FailureCode>, BytesView) {}

#else

void CheckOutcome(EventId event_id, std::optional<FailureCode> failure,
                  BytesView appended) {
  cbor::Reader reader(appended);

  // A ticket leaves two entries: that it was scheduled, and what came of it;
  // behind them what became of its effects, and of those that it ended.
  const absl::StatusOr<Entry> scheduled = DecodeEntry(reader);
  const absl::StatusOr<Entry> outcome = DecodeEntry(reader);
  // Of what cannot be read ReadBack() speaks, with the round.
  if (!scheduled.ok() || !outcome.ok()) return;
  while (!reader.AtEnd()) {
    const absl::StatusOr<Entry> effect = DecodeEntry(reader);
    if (!effect.ok()) return;
    REENACT_CHECK(!failure);
    const auto* queued = std::get_if<entry::EffectQueued>(&*effect);
    REENACT_CHECK(
        queued != nullptr
            ? queued->event_id == event_id
            : std::holds_alternative<entry::EffectClosed>(*effect) ||
                  std::holds_alternative<entry::ReceiptShared>(*effect));
  }

  // Both are the ticket's own.
  const auto* ticket = std::get_if<entry::StepScheduled>(&*scheduled);
  REENACT_CHECK(ticket != nullptr && ticket->event_id == event_id);

  // The outcome says what the committer decided, and nothing else.
  if (failure) {
    const auto* failed = std::get_if<entry::StepFailed>(&*outcome);
    REENACT_CHECK(failed != nullptr && failed->event_id == event_id &&
                  failed->code == *failure);
  } else {
    const auto* committed = std::get_if<entry::StepCommitted>(&*outcome);
    REENACT_CHECK(committed != nullptr && committed->event_id == event_id);
  }

  // A ticket's cause lies before it.
  REENACT_CHECK(ticket->cause.is_input() || (ticket->cause.parent.value > 0 &&
                                             ticket->cause.parent < event_id));
}

#endif

absl::Status ReadBack(BytesView entries) {
  cbor::Reader reader(entries);
  while (!reader.AtEnd()) {
    const std::size_t begin = reader.offset();
    const absl::StatusOr<Entry> entry = DecodeEntry(reader);
    if (entry.ok()) {
      Bytes again;
      EncodeEntry(*entry, &again);
      if (again == reader.Since(begin)) continue;
    }
    return absl::InternalError(
        "what was written is not read again: " +
        (entry.ok() ? "other bytes" : std::string(entry.status().message())) +
        ", of " + cbor::Diagnose(entries.substr(begin)).substr(0, 400));
  }
  return absl::OkStatus();
}

}  // namespace reenact
