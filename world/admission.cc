#include "reenact/world/admission.h"

#include <algorithm>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/kernel/authority/admission.h"

namespace reenact {
namespace {

// Rows that the ordered role pulls before it looks round.
constexpr std::size_t kPullBurst = 64;

}  // namespace

absl::Status NoSuchReducer(std::string_view name) {
  return absl::NotFoundError("no reducer is called \"" +
                             std::string(name.substr(0, 64)) + "\"");
}

absl::Status ForEvent(const absl::Status& status, std::string_view reducer,
                      std::string_view key) {
  return Annotate(status, "event for " + std::string(reducer) + "/" +
                              std::string(key.substr(0, 64)));
}

Admission::Admission(std::size_t ingress_capacity, const Parts& parts)
    : parts_(parts),
      ingress_(ingress_capacity),
      feed_(parts.rules),
      input_time_(parts.state->at().time),
      position_(parts.state->at().position) {}

// --- pulling -----------------------------------------------------------------

absl::StatusOr<bool> Admission::Pull(const std::atomic<bool>& interrupt) {
  if (parts_.script != nullptr) return PullScript();
  pulling_ = true;
  for (std::size_t i = 0; i < kPullBurst; ++i) {
    // A round that has begun to admit is filled, interrupted or not: where it
    // is cut would decide what later rounds hold.
    const bool interrupted =
        interrupt && (entry_count_ == 0 ||
                      REENACT_PLANTED("an interrupt cuts a round short"));
    const bool full = !parts_.state->queues().WantsInput();
    if (!controls_.empty() || full || interrupted ||
        (!receipts_.empty() &&
         receipts_.size() >= parts_.state->config().scheduling.round_limit)) {
      pulling_ = false;
      REENACT_PROBE_IF(!controls_.empty(), "world: a command closes the round");
      REENACT_PROBE_IF(full, "world: a round has all it can take");
      REENACT_PROBE_IF(interrupted, "world: interrupted between rounds");
      break;
    }
    instrument::Yield("world.pull", this);
    pulling_ = PullRow();
    if (!pulling_) break;
  }
  return true;
}

// Pulls one row; false if there is none now.
bool Admission::PullRow() {
  if (!ingress_.empty()) {
    PullIncoming(*ingress_.Take());
    return true;
  }
  if (!feed_.Pull()) return false;
  auto reducer = feed_.reducers().begin();
  for (Input& input : feed_.row()) Admit(std::move(input), *reducer++, nullptr);
  return true;
}

void Admission::PullIncoming(Incoming& incoming) {
  if (auto* input = std::get_if<Input>(&incoming.what)) {
    // Submit() found that there is such a reducer.
    const ReducerId reducer = *parts_.rules->Find(input->event.reducer);
    Admit(std::move(*input), reducer, &incoming.state);
  } else if (auto* receipt = std::get_if<IncomingReceipt>(&incoming.what)) {
    REENACT_PROBE("world: a receipt comes in");
    receipts_.push_back(std::move(*receipt));
  } else {
    AddControl(std::move(std::get<Bytes>(incoming.what)),
               std::move(incoming.state));
  }
}

absl::StatusOr<bool> Admission::PullScript() {
  if (scripted_pending_) return true;
  scripted_.Clear();
  REENACT_ASSIGN_OR_RETURN(bool more, parts_.script->Next(&scripted_));
  if (!more) return false;
  REENACT_RETURN_IF_ERROR(CheckScripted());
  for (const entry::InputAdmittedView& input : scripted_.inputs) {
    AdmitScripted(input);
  }
  for (Bytes& control : scripted_.controls) {
    AddControl(std::move(control), nullptr);
  }
  for (Entry& entry : scripted_.receipts) {
    if (auto* appended = std::get_if<entry::ReceiptAppended>(&entry)) {
      receipts_.push_back({std::move(appended->receipt), nullptr});
    } else {
      receipts_.push_back(
          {std::get<entry::ReceiptRefused>(std::move(entry)), nullptr});
    }
  }
  if (parts_.state->config().format_version >= kFormatVersionFailures) {
    for (entry::FailureOrdered& order : scripted_.failures) {
      parts_.failures->Add(std::move(order));
    }
  }
  scripted_pending_ = true;
  return true;
}

// As a feed's rows are checked. The inputs have been read as entries: what an
// entry cannot hold is not in them.
absl::Status Admission::CheckScripted() const {
  for (const entry::InputAdmittedView& input : scripted_.inputs) {
    const absl::Status status =
        parts_.rules->Has(input.reducer)
            ? CheckEventSizes(input.key, input.payload, parts_.rules->limits)
            : NoSuchReducer(NameOf(input.reducer));
    if (!status.ok()) {
      return ForEvent(status, NameOf(input.reducer), input.key);
    }
  }
  return absl::OkStatus();
}

std::string Admission::NameOf(ReducerId reducer) const {
  const std::vector<std::string>& names = parts_.state->config().reducers;
  return reducer < names.size() ? names[reducer]
                                : "?" + std::to_string(reducer);
}

// --- inputs ------------------------------------------------------------------

void Admission::Admit(Input&& input, ReducerId reducer,
                      SubmissionState* state) {
  Sequencer& queues = parts_.state->queues();
  if (IsDuplicate(input.submission_id)) {
    if (state != nullptr) {
      REENACT_PROBE("world: a submission twice");
      (*state)->End(absl::AlreadyExistsError(
          "the submission id was admitted before, with input " +
          std::to_string(queues.FindSubmission(input.submission_id)->value)));
    }
    return;
  }
  const InputId id = NextInput(input.time, input.position);
  writer_.InputAdmitted(id, reducer, input);
  Unit* const unit = parts_.state->NewInput(reducer, input.priority, id);
  unit->key = std::move(input.event.key);
  if (!input.event.schema.empty()) {
    unit->schema = std::move(input.event.schema);
  }
  unit->payload = std::move(input.event.payload);
  queues.Admit(unit, input.submission_id, parts_.state->next_ticket());
  if (state != nullptr) parts_.submissions->Add(id, std::move(*state));
}

// After CheckScripted().
void Admission::AdmitScripted(const entry::InputAdmittedView& input) {
  if (IsDuplicate(input.submission_id)) return;
  const InputId id = NextInput(input.time, input.position);
  writer_.InputAdmitted(id, input);
  parts_.state->Admit(input, id);
}

bool Admission::IsDuplicate(std::string_view submission_id) {
  if (REENACT_PLANTED("submission ids are forgotten")) return false;
  if (submission_id.empty() ||
      !parts_.state->queues().FindSubmission(submission_id)) {
    return false;
  }
  ++counts_.duplicates;
  return true;
}

// Numbers an input, whose entry is the next to be written.
InputId Admission::NextInput(LogicalTime time, std::uint64_t position) {
  ++counts_.inputs;
  ++entry_count_;
  if (position != 0) position_.store(position, std::memory_order_release);
  input_time_ = std::max(input_time_, time);
  return parts_.state->TakeInput(position);
}

// --- receipts and deadlines --------------------------------------------------

void Admission::AdmitReceipts() {
  for (IncomingReceipt& incoming : receipts_) {
    AdmitReceipt(std::move(incoming));
  }
  receipts_.clear();
}

void Admission::AdmitReceipt(IncomingReceipt incoming) {
  absl::Status verdict;
  if (const auto* receipt = std::get_if<Receipt>(&incoming.what)) {
    verdict = parts_.state->AdmitReceipt(*receipt, &consequences_);
  } else {
    auto& refused = std::get<entry::ReceiptRefused>(incoming.what);
    verdict = absl::InvalidArgumentError(refused.reason);
    parts_.state->AdmitRefusal(std::move(refused), &consequences_);
  }
  ++(verdict.ok()                     ? counts_.receipts
     : absl::IsAlreadyExists(verdict) ? counts_.receipts_duplicate
                                      : counts_.receipts_refused);
  if (consequences_.entries.empty()) {
    // Nothing is recorded, so there is nothing to wait for.
    if (incoming.done) incoming.done(verdict);
    return;
  }
  REENACT_FAILPOINT("D15 receipt admitted, not durable");
  ++counts_.inputs;
  if (incoming.done) {
    parts_.notifier->AddVerdict(std::move(incoming.done), verdict);
  }
  RecordConsequences();
}

// What time ends goes on record before the round's tickets, and is answered in
// it.
void Admission::CloseDue(Round round, LogicalTime time) {
  parts_.state->CloseDue(round, time, &consequences_);
  RecordConsequences();
}

void Admission::RecordConsequences() {
  REENACT_PROBE_IF(consequences_.answers.size() > 1,
                   "world: several answers at once");
  writer_.Flush();
  for (const Entry& entry : consequences_.entries) {
    EncodeEntry(entry, &entries_);
    ++entry_count_;
  }
  parts_.state->AdmitAnswers(&consequences_);
  consequences_.Clear();
}

// --- control commands --------------------------------------------------------

void Admission::AddControl(Bytes bytes, SubmissionState state) {
  absl::StatusOr<Entry> entry = DecodeEntry(bytes);
  REENACT_CHECK(entry.ok());
  controls_.push_back({*std::move(entry), std::move(state)});
}

Unit* Admission::AdmitControl(PendingControl control) {
  const InputId input = parts_.state->TakeInput();
  ++counts_.inputs;
  std::visit(
      [input](auto& entry) {
        if constexpr (requires { entry.input; }) entry.input = input;
      },
      control.entry);
  Unit* const unit = parts_.state->queues().NewUnit();
  unit->kind = UnitKind::kControl;
  unit->cause = Cause{input, EventId{0}, 0};
  EncodeEntry(control.entry, &unit->payload);
  writer_.Flush();
  entries_ += unit->payload;
  ++entry_count_;
  if (control.state != nullptr) {
    parts_.submissions->Add(input, std::move(control.state));
  }
  return unit;
}

// --- the round ---------------------------------------------------------------

std::optional<SourceRead> Admission::TakeSourceRead() {
  if (parts_.state->config().format_version < kFormatVersionSources) {
    return std::nullopt;
  }
  std::optional<SourceRead> read = std::exchange(scripted_.source, {});
  if (std::optional<SourceRead> fed = feed_.TakeRead()) return fed;
  return read;
}

std::uint64_t Admission::TakeEntries(Bytes* entries) {
  scripted_pending_ = false;
  writer_.Flush();
  *entries += entries_;
  entries_.clear();
  return std::exchange(entry_count_, 0);
}

void Admission::End(const absl::Status& why) {
  for (PendingControl& control : controls_) {
    if (control.state != nullptr) control.state->End(why);
  }
  controls_.clear();
  for (IncomingReceipt& receipt : receipts_) {
    if (receipt.done) receipt.done(why);
  }
  receipts_.clear();
  while (Incoming* const incoming = ingress_.Take()) {
    if (auto* receipt = std::get_if<IncomingReceipt>(&incoming->what)) {
      if (receipt->done) receipt->done(why);
    } else {
      incoming->state->End(why);
    }
  }
}

}  // namespace reenact
