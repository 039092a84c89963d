// Bytes to entries: nothing is read that the encoder does not write.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/entry_codec.h"

namespace reenact {
namespace {

using entry_codec::HasBounds;
using entry_codec::HasNumber;
using entry_codec::IsKind;

inline void FailIf(cbor::Reader& reader, bool wrong, std::string_view what) {
  if (wrong && reader.ok()) reader.Fail(what);
}

std::uint64_t UnsignedUpTo(cbor::Reader& reader, std::uint64_t max,
                           std::string_view what) {
  const std::uint64_t value = reader.Unsigned();
  FailIf(reader, value > max, what);
  return reader.ok() ? value : 0;
}

// A number that counts from 1.
std::uint64_t Ordinal(cbor::Reader& reader, std::string_view what) {
  const std::uint64_t value = reader.Unsigned();
  FailIf(reader, value == 0, what);
  return value;
}

EventId ReadEventId(cbor::Reader& reader) {
  return EventId{Ordinal(reader, "event_id is 0")};
}

InputId ReadInputId(cbor::Reader& reader) {
  return InputId{Ordinal(reader, "input id is 0")};
}

LaneId ReadLane(cbor::Reader& reader) {
  return LaneId{static_cast<std::uint32_t>(
      UnsignedUpTo(reader, std::numeric_limits<std::uint32_t>::max(),
                   "lane_id is above 2^32 - 1"))};
}

ReducerId ReadReducer(cbor::Reader& reader) {
  return static_cast<ReducerId>(
      UnsignedUpTo(reader, kNoReducer - 1, "reducer id is above 2^32 - 2"));
}

// [reducer id, key] or null.
std::optional<entry::CellRefView> ReadCell(cbor::Reader& reader) {
  if (reader.Peek() == cbor::Type::kNull) {
    reader.Null();
    return std::nullopt;
  }
  entry::CellRefView cell;
  reader.ExpectArray(2);
  cell.reducer = ReadReducer(reader);
  cell.key = reader.Text();
  return cell;
}

Cause ReadCause(cbor::Reader& reader) {
  Cause cause;
  if (reader.Peek() != cbor::Type::kArray) {
    cause.input = ReadInputId(reader);
    return cause;
  }
  reader.ExpectArray(2);
  cause.parent = ReadEventId(reader);
  cause.index = static_cast<std::uint32_t>(
      UnsignedUpTo(reader, std::numeric_limits<std::uint32_t>::max(),
                   "index of a cause is above 2^32 - 1"));
  return cause;
}

entry::UpdateView ReadUpdate(cbor::Reader& reader) {
  entry::UpdateView update;
  const std::uint64_t size = reader.Array();
  update.op = static_cast<Update::Op>(
      UnsignedUpTo(reader, static_cast<std::uint64_t>(Update::Op::kAppend),
                   "update's operation is not known"));
  update.field = reader.Text();
  if (HasNumber(update.op)) {
    update.number = reader.Integer();
  } else {
    update.item = reader.Item();
  }
  if (size == 3 || !reader.ok()) return update;
  FailIf(reader, size != 5 || update.op != Update::Op::kAdd,
         "update has a wrong number of items");
  update.low = reader.Integer();
  update.high = reader.Integer();
  FailIf(reader, !HasBounds(update),
         "the bounds hold every number; omit the key");
  return update;
}

void ReadDiff(cbor::Reader& reader, entry::DiffView* diff) {
  const std::uint64_t size = reader.Array();
  diff->op = static_cast<Diff::Op>(
      UnsignedUpTo(reader, static_cast<std::uint64_t>(Diff::Op::kUpdate),
                   "diff's operation is not known"));
  FailIf(reader, size != (diff->op == Diff::Op::kDelete ? 2U : 3U),
         "diff has a wrong number of items");
  diff->cell = ReadCell(reader);
  diff->state = diff->op == Diff::Op::kPut ? reader.Item() : BytesView();
  if (diff->op == Diff::Op::kUpdate) diff->update = ReadUpdate(reader);
}

void ReadRaised(cbor::Reader& reader, entry::RaisedEventView* event) {
  const std::uint64_t size = reader.Array();
  FailIf(reader, size != 4 && size != 5, "event has a wrong number of items");
  event->reducer = ReadReducer(reader);
  event->key = reader.Text();
  event->schema = reader.Text();
  event->payload = reader.Item();
  event->due.reset();
  if (size == 5) event->due = LogicalTime{reader.Integer()};
}

// {0: reserve, 1: must_pass, 2: deadline, 3: cache scope, 10: identity, 12:
// retry rule}, what says nothing left out.
void ReadEffectOptions(cbor::Reader& reader, entry::EffectIntentView* effect) {
  EntryFields fields;
  const std::uint64_t size = reader.Map();
  FailIf(reader, size == 0, "an effect without options leaves them out");
  fields.Begin(&reader, size);
  if (fields.Has(0)) {
    effect->reserve = Amounts::DecodeRecorded(reader);
    FailIf(reader, effect->reserve.empty(), "reserve is empty; omit the key");
  }
  if (fields.Has(1)) {
    effect->must_pass = reader.Bool();
    FailIf(reader, !effect->must_pass, "must_pass is false; omit the key");
  }
  if (fields.Has(2)) effect->deadline = LogicalTime{reader.Integer()};
  if (fields.Has(3)) {
    effect->cache_scope = reader.Text();
    FailIf(reader, effect->cache_scope.empty(),
           "the cache scope is empty; omit the key");
  }
  if (fields.Has(10)) {
    effect->identity = reader.ByteString();
    FailIf(reader, effect->identity.empty(),
           "the identity is empty; omit the key");
  }
  if (fields.Has(12)) effect->retry = RetryRule::Decode(reader);
  fields.End();
}

void ReadEffect(cbor::Reader& reader, entry::EffectIntentView* effect) {
  *effect = {};
  const std::uint64_t size = reader.Array();
  FailIf(reader, size != 4 && size != 5, "effect has a wrong number of items");
  effect->kind = reader.Text();
  effect->capability = reader.Text();
  effect->params = reader.Item();
  effect->idempotency = reader.ByteString();
  if (size == 5) ReadEffectOptions(reader, effect);
}

entry::RoundOpened ReadRoundOpened(cbor::Reader& reader, EntryFields& fields) {
  entry::RoundOpened round;
  fields.Need(1);
  round.round = Round{Ordinal(reader, "round is 0")};
  fields.Need(2);
  round.time = LogicalTime{reader.Integer()};
  fields.Need(3);
  round.first = ReadEventId(reader);
  fields.Need(4);
  round.count = reader.Unsigned();
  if (fields.Has(5)) round.source = DecodeSourceRead(reader);
  return round;
}

// What stands behind the payload, if anything does.
void ReadInputTail(cbor::Reader& reader, EntryFields& fields,
                   entry::InputAdmittedView* input) {
  if (fields.Has(6)) {
    input->submission_id = reader.ByteString();
    FailIf(reader, input->submission_id.empty(),
           "the submission id is empty; omit the key");
    FailIf(reader, input->submission_id.size() > kSubmissionIdBytesMax,
           "a submission id has more than 64 bytes");
  }
  if (fields.Has(7)) {
    input->priority = static_cast<std::uint8_t>(
        UnsignedUpTo(reader, kPriorities - 1, "priority is above 3"));
    FailIf(reader, input->priority == kPriorityDefault,
           "the priority is the default; omit the key");
  }
  if (fields.Has(8)) {
    input->time = LogicalTime{reader.Integer()};
    FailIf(reader, input->time.value == 0, "the time is 0; omit the key");
  }
  if (fields.Has(9)) {
    input->position = Ordinal(reader, "the position is 0; omit the key");
  }
}

entry::InputAdmittedView ReadInputAdmitted(cbor::Reader& reader,
                                           EntryFields& fields) {
  entry::InputAdmittedView input;
  fields.Need(1);
  input.input = ReadInputId(reader);
  fields.Need(2);
  input.reducer = ReadReducer(reader);
  fields.Need(3);
  input.key = reader.Text();
  if (fields.Has(4)) {
    input.schema = reader.Text();
    FailIf(reader, input.schema.empty(), "the schema is empty; omit the key");
  }
  fields.Need(5);
  input.payload = reader.Item();
  ReadInputTail(reader, fields, &input);
  return input;
}

entry::StepScheduledView ReadStepScheduled(cbor::Reader& reader,
                                           EntryFields& fields) {
  entry::StepScheduledView step;
  fields.Need(1);
  step.event_id = ReadEventId(reader);
  fields.Need(2);
  step.lane_id = ReadLane(reader);
  fields.Need(3);
  step.kind = static_cast<UnitKind>(
      UnsignedUpTo(reader, static_cast<std::uint64_t>(UnitKind::kReceipt),
                   "kind of unit is not known"));
  fields.Need(4);
  step.subject = ReadCell(reader);
  FailIf(reader, step.subject.has_value() == (step.kind == UnitKind::kControl),
         "a control command has no cell, and every other unit has one");
  fields.Need(5);
  step.cause = ReadCause(reader);
  return step;
}

entry::StepCommittedHead ReadStepCommittedHead(cbor::Reader& reader,
                                               EntryFields& fields) {
  entry::StepCommittedHead step;
  fields.Need(1);
  step.event_id = ReadEventId(reader);
  fields.Need(2);
  step.lane_id = ReadLane(reader);
  return step;
}

entry::StepFailed ReadStepFailed(cbor::Reader& reader, EntryFields& fields) {
  entry::StepFailed step;
  fields.Need(1);
  step.event_id = ReadEventId(reader);
  fields.Need(2);
  step.lane_id = ReadLane(reader);
  fields.Need(3);
  // Any number: codes are added without a new format.
  step.code = static_cast<FailureCode>(
      UnsignedUpTo(reader, std::numeric_limits<std::uint32_t>::max(),
                   "failure code is above 2^32 - 1"));
  if (fields.Has(4)) {
    step.detail = reader.Text();
    FailIf(reader, step.detail.empty(), "the detail is empty; omit the key");
  }
  return step;
}

entry::SnapshotTaken ReadSnapshotTaken(cbor::Reader& reader,
                                       EntryFields& fields) {
  entry::SnapshotTaken snapshot;
  fields.Need(1);
  snapshot.round = Round{reader.Unsigned()};
  fields.Need(2);
  snapshot.event_id = EventId{reader.Unsigned()};
  return snapshot;
}

// Nothing is reserved: a declared size is only a claim.
std::vector<std::string> ReadNames(cbor::Reader& reader) {
  std::vector<std::string> names;
  const std::uint64_t size = reader.Array();
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    names.emplace_back(reader.Text());
  }
  return names;
}

entry::ModuleChanged ReadModuleChanged(cbor::Reader& reader,
                                       EntryFields& fields) {
  entry::ModuleChanged change;
  fields.Need(1);
  change.input = ReadInputId(reader);
  fields.Need(2);
  change.modules = DecodeModules(reader);
  fields.Need(3);
  change.reducers = ReadNames(reader);
  return change;
}

entry::ConfigChanged ReadConfigChanged(cbor::Reader& reader,
                                       EntryFields& fields) {
  entry::ConfigChanged change;
  fields.Need(1);
  change.input = ReadInputId(reader);
  fields.Need(2);
  change.scheduling = DecodeScheduling(reader);
  if (fields.Has(3)) {
    change.snapshot_every =
        Ordinal(reader, "snapshot_every is 0; omit the key");
  }
  return change;
}

entry::SnapshotRequested ReadSnapshotRequested(cbor::Reader& reader,
                                               EntryFields& fields) {
  entry::SnapshotRequested request;
  fields.Need(1);
  request.input = ReadInputId(reader);
  return request;
}

Digest ReadDigest(cbor::Reader& reader) {
  const BytesView bytes = reader.ByteString();
  FailIf(reader, bytes.size() != kDigestSize, "a digest has 32 bytes");
  return reader.ok() ? *Digest::FromBytes(bytes) : Digest();
}

std::string TextIfThere(cbor::Reader& reader, EntryFields& fields,
                        std::uint64_t key) {
  if (!fields.Has(key)) return std::string();
  std::string text(reader.Text());
  FailIf(reader, text.empty(), "the text is empty; omit the key");
  return text;
}

entry::EffectQueued ReadEffectQueued(cbor::Reader& reader,
                                     EntryFields& fields) {
  entry::EffectQueued effect;
  fields.Need(1);
  effect.event_id = ReadEventId(reader);
  fields.Need(2);
  effect.lane_id = ReadLane(reader);
  fields.Need(3);
  effect.index = static_cast<std::uint32_t>(
      UnsignedUpTo(reader, std::numeric_limits<std::uint32_t>::max(),
                   "index of an effect is above 2^32 - 1"));
  fields.Need(4);
  effect.intent_hash = ReadDigest(reader);
  fields.Need(5);
  effect.idempotency_key = ReadDigest(reader);
  if (fields.Has(6)) {
    effect.verdict = static_cast<EffectVerdict>(
        UnsignedUpTo(reader, static_cast<std::uint64_t>(EffectVerdict::kJoined),
                     "verdict is not known"));
    FailIf(reader, effect.verdict == EffectVerdict::kOpen,
           "the verdict is open; omit the key");
  }
  if (fields.Has(7)) {
    effect.reserved = Amounts::Decode(reader);
    FailIf(reader, effect.reserved.empty(), "reserved is empty; omit the key");
  }
  effect.reason = TextIfThere(reader, fields, 8);
  if (fields.Has(9)) effect.answered_by = ReadInputId(reader);
  if (fields.Has(10)) effect.joins = ReadDigest(reader);
  FailIf(reader,
         effect.joins.has_value() != (effect.verdict == EffectVerdict::kJoined),
         "what it joins goes with the verdict joined");
  if (fields.Has(12)) {
    effect.retry = RetryRule::Decode(reader);
    FailIf(reader,
           effect.verdict == EffectVerdict::kDenied ||
               effect.verdict == EffectVerdict::kAnswered,
           "a retry rule goes with what may go out");
  }
  return effect;
}

// Under key 2. With room for a payload that is too deep: DecodeReceipt() says
// so.
absl::StatusOr<Receipt> ReadReceipt(cbor::Reader& reader, EntryFields& fields) {
  fields.Need(2);
  const BytesView item = reader.WrappedItem();
  REENACT_RETURN_IF_ERROR(reader.status());
  return DecodeReceipt(item);
}

absl::StatusOr<entry::ReceiptAppended> ReadReceiptAppended(
    cbor::Reader& reader, EntryFields& fields) {
  entry::ReceiptAppended appended;
  fields.Need(1);
  appended.input = ReadInputId(reader);
  REENACT_ASSIGN_OR_RETURN(appended.receipt, ReadReceipt(reader, fields));
  return appended;
}

absl::StatusOr<entry::ReceiptShared> ReadReceiptShared(cbor::Reader& reader,
                                                       EntryFields& fields) {
  entry::ReceiptShared shared;
  fields.Need(1);
  shared.intent_hash = ReadDigest(reader);
  REENACT_ASSIGN_OR_RETURN(shared.receipt, ReadReceipt(reader, fields));
  return shared;
}

entry::GrantChanged ReadGrantChanged(cbor::Reader& reader,
                                     EntryFields& fields) {
  entry::GrantChanged change;
  fields.Need(1);
  change.input = ReadInputId(reader);
  fields.Need(2);
  change.change = DecodeGrantChange(reader);
  return change;
}

entry::PolicyChanged ReadPolicyChanged(cbor::Reader& reader,
                                       EntryFields& fields) {
  entry::PolicyChanged change;
  fields.Need(1);
  change.input = ReadInputId(reader);
  fields.Need(2);
  change.document = Bytes(reader.Item());
  return change;
}

entry::ReceiptRefused ReadReceiptRefused(cbor::Reader& reader,
                                         EntryFields& fields) {
  entry::ReceiptRefused refused;
  fields.Need(1);
  refused.input = ReadInputId(reader);
  if (fields.Has(2)) {
    refused.intent_hash = ReadDigest(reader);
    FailIf(reader, refused.intent_hash == Digest(),
           "the intent hash is all zeros; omit the key");
  }
  refused.executor = TextIfThere(reader, fields, 3);
  fields.Need(4);
  refused.reason = reader.Text();
  fields.Need(5);
  refused.digest = ReadDigest(reader);
  return refused;
}

entry::EffectClosed ReadEffectClosed(cbor::Reader& reader,
                                     EntryFields& fields) {
  entry::EffectClosed closed;
  fields.Need(1);
  closed.intent_hash = ReadDigest(reader);
  fields.Need(2);
  closed.status = static_cast<ReceiptStatus>(UnsignedUpTo(
      reader, static_cast<std::uint64_t>(ReceiptStatus::kCancelled),
      "status is not known"));
  closed.reason = TextIfThere(reader, fields, 3);
  return closed;
}

entry::EffectJudged ReadEffectJudged(cbor::Reader& reader,
                                     EntryFields& fields) {
  entry::EffectJudged word;
  fields.Need(1);
  word.input = ReadInputId(reader);
  fields.Need(2);
  word.intent_hash = ReadDigest(reader);
  fields.Need(3);
  word.approved = reader.Bool();
  word.by = TextIfThere(reader, fields, 4);
  word.note = TextIfThere(reader, fields, 5);
  return word;
}

entry::EffectsCancelled ReadEffectsCancelled(cbor::Reader& reader,
                                             EntryFields& fields) {
  entry::EffectsCancelled cancel;
  fields.Need(1);
  cancel.input = ReadInputId(reader);
  if (fields.Has(2)) {
    cancel.intent_hash = ReadDigest(reader);
  } else {
    fields.Need(3);
    const std::optional<entry::CellRefView> cell = ReadCell(reader);
    FailIf(reader, !cell, "what to cancel is missing");
    if (cell) cancel.cell = cell->Own();
  }
  cancel.by = TextIfThere(reader, fields, 4);
  return cancel;
}

entry::RolledBack ReadRolledBack(cbor::Reader& reader, EntryFields& fields) {
  entry::RolledBack back;
  fields.Need(1);
  back.input = ReadInputId(reader);
  fields.Need(2);
  back.to = EventId{reader.Unsigned()};
  fields.Need(3);
  back.round = Round{reader.Unsigned()};
  FailIf(reader, back.round.value == 0, "rounds count from 1");
  back.by = TextIfThere(reader, fields, 4);
  back.reason = TextIfThere(reader, fields, 5);
  if (fields.Has(6)) back.sources = DecodeSources(reader);
  return back;
}

entry::FailureOrdered ReadFailureOrdered(cbor::Reader& reader,
                                         EntryFields& fields) {
  entry::FailureOrdered order;
  fields.Need(1);
  order.event_id = ReadEventId(reader);
  order.by = TextIfThere(reader, fields, 2);
  fields.Need(3);
  order.reason = reader.Text();
  FailIf(reader, order.reason.empty(), "a failure is ordered without a reason");
  return order;
}

absl::StatusOr<entry::Genesis> ReadGenesis(cbor::Reader& reader,
                                           EntryFields& fields) {
  fields.Need(1);
  REENACT_RETURN_IF_ERROR(reader.status());
  REENACT_ASSIGN_OR_RETURN(WorldConfig config, DecodeConfig(reader));
  return entry::Genesis{std::move(config)};
}

// The map's head, key 0 and the kind: its number, with the map's size in
// `size`. Whether this version knows the number is the caller's to ask.
std::uint64_t ReadKind(cbor::Reader& reader, std::uint64_t* size) {
  *size = reader.Map();
  FailIf(reader, *size == 0, "an entry without a kind");
  reader.ExpectKey(0);
  return reader.Unsigned();
}

absl::Status UnknownKind(std::uint64_t kind) {
  return absl::UnimplementedError("entry kind " + std::to_string(kind) +
                                  " is not known to this version");
}

}  // namespace

// --- EntryFields -------------------------------------------------------------

void EntryFields::Miss(std::uint64_t key) {
  if (left_ != 0) reader_->Unsigned();  // something that is no key comes first
  if (!reader_->ok()) return;
  reader_->Fail("key " + std::to_string(key) + " is missing");
}

void EntryFields::Exceed() {
  const std::uint64_t key = reader_->Unsigned();
  if (!reader_->ok()) return;
  reader_->Fail("key " + std::to_string(key) + " is not expected here");
}

// --- EntryReader -------------------------------------------------------------

std::optional<EntryKind> EntryReader::Next() {
  Finish();
  if (!failure_.ok() || reader_->AtEnd()) return std::nullopt;
  begin_ = reader_->offset();
  std::uint64_t size = 0;
  const std::uint64_t kind = ReadKind(*reader_, &size);
  if (!reader_->ok()) return std::nullopt;
  if (!IsKind(kind)) {
    failure_ = UnknownKind(kind);
    reader_->Fail(ToStd(failure_.message()));
    return std::nullopt;
  }
  kind_ = static_cast<EntryKind>(kind);
  inside_ = true;
  state_ = State::kAnnounced;
  fields_.Begin(reader_, size - 1);
  return kind_;
}

void EntryReader::Read(EntryKind kind) {
  REENACT_CHECK(state_ == State::kAnnounced && kind_ == kind);
}

void EntryReader::End() {
  fields_.End();
  state_ = State::kBetween;
  if (reader_->ok()) inside_ = false;
}

entry::RoundOpened EntryReader::RoundOpened() {
  Read(EntryKind::kRoundOpened);
  entry::RoundOpened round = ReadRoundOpened(*reader_, fields_);
  End();
  return round;
}

entry::InputAdmittedView EntryReader::InputAdmitted() {
  Read(EntryKind::kInputAdmitted);
  const entry::InputAdmittedView input = ReadInputAdmitted(*reader_, fields_);
  End();
  return input;
}

entry::StepScheduledView EntryReader::StepScheduled() {
  Read(EntryKind::kStepScheduled);
  const entry::StepScheduledView step = ReadStepScheduled(*reader_, fields_);
  End();
  return step;
}

entry::StepFailed EntryReader::StepFailed() {
  Read(EntryKind::kStepFailed);
  const entry::StepFailed step = ReadStepFailed(*reader_, fields_);
  End();
  return step;
}

entry::StepCommittedHead EntryReader::StepCommitted() {
  Read(EntryKind::kStepCommitted);
  state_ = State::kItems;
  next_group_ = static_cast<std::uint64_t>(StepGroup::kDiffs);
  items_left_ = 0;
  return ReadStepCommittedHead(*reader_, fields_);
}

bool EntryReader::NextItem(StepGroup group) {
  REENACT_CHECK(state_ == State::kItems);
  while (reader_->ok()) {
    if (items_left_ != 0) {
      if (group_ > group) return false;
      --items_left_;
      if (group_ == group) return true;
      SkipItem();
    } else if (next_group_ <= static_cast<std::uint64_t>(group)) {
      OpenGroup();
    } else {
      return false;
    }
  }
  return false;
}

void EntryReader::OpenGroup() {
  group_ = static_cast<StepGroup>(next_group_);
  if (!fields_.Has(next_group_++)) return;
  items_left_ = reader_->Array();
  FailIf(*reader_, items_left_ == 0, "the group is empty; omit the key");
}

void EntryReader::SkipItem() {
  entry::DiffView diff;
  entry::RaisedEventView event;
  entry::EffectIntentView effect;
  switch (group_) {
    case StepGroup::kDiffs:
      return ReadDiff(*reader_, &diff);
    case StepGroup::kEvents:
      return ReadRaised(*reader_, &event);
    case StepGroup::kEffects:
      return ReadEffect(*reader_, &effect);
  }
}

bool EntryReader::NextDiff(entry::DiffView* diff) {
  if (!NextItem(StepGroup::kDiffs)) return false;
  ReadDiff(*reader_, diff);
  return reader_->ok();
}

bool EntryReader::NextEvent(entry::RaisedEventView* event) {
  if (!NextItem(StepGroup::kEvents)) return false;
  ReadRaised(*reader_, event);
  return reader_->ok();
}

bool EntryReader::NextEffect(entry::EffectIntentView* effect) {
  if (!NextItem(StepGroup::kEffects)) return false;
  ReadEffect(*reader_, effect);
  return reader_->ok();
}

entry::StepCommitted EntryReader::WholeStep() {
  const entry::StepCommittedHead head = StepCommitted();
  entry::StepCommitted step{head.event_id, head.lane_id, {}, {}, {}};
  entry::DiffView diff;
  while (NextDiff(&diff)) step.diffs.push_back(diff.Own());
  entry::RaisedEventView event;
  while (NextEvent(&event)) step.events.push_back(event.Own());
  entry::EffectIntentView effect;
  while (NextEffect(&effect)) step.effects.push_back(effect.Own());
  return step;
}

absl::StatusOr<Entry> EntryReader::ReadAny() {
  switch (kind_) {
    case EntryKind::kGenesis:
      return ReadGenesis(*reader_, fields_);
    case EntryKind::kRoundOpened:
      return ReadRoundOpened(*reader_, fields_);
    case EntryKind::kInputAdmitted:
      return ReadInputAdmitted(*reader_, fields_).Own();
    case EntryKind::kStepScheduled:
      return ReadStepScheduled(*reader_, fields_).Own();
    case EntryKind::kStepCommitted:
      return WholeStep();
    case EntryKind::kStepFailed:
      return ReadStepFailed(*reader_, fields_);
    case EntryKind::kSnapshotTaken:
      return ReadSnapshotTaken(*reader_, fields_);
    case EntryKind::kModuleChanged:
      return ReadModuleChanged(*reader_, fields_);
    case EntryKind::kConfigChanged:
      return ReadConfigChanged(*reader_, fields_);
    case EntryKind::kSnapshotRequested:
      return ReadSnapshotRequested(*reader_, fields_);
    case EntryKind::kEffectQueued:
      return ReadEffectQueued(*reader_, fields_);
    case EntryKind::kReceiptAppended:
      return ReadReceiptAppended(*reader_, fields_);
    case EntryKind::kReceiptShared:
      return ReadReceiptShared(*reader_, fields_);
    case EntryKind::kGrantChanged:
      return ReadGrantChanged(*reader_, fields_);
    case EntryKind::kPolicyChanged:
      return ReadPolicyChanged(*reader_, fields_);
    case EntryKind::kReceiptRefused:
      return ReadReceiptRefused(*reader_, fields_);
    case EntryKind::kEffectClosed:
      return ReadEffectClosed(*reader_, fields_);
    case EntryKind::kEffectJudged:
      return ReadEffectJudged(*reader_, fields_);
    case EntryKind::kEffectsCancelled:
      return ReadEffectsCancelled(*reader_, fields_);
    case EntryKind::kRolledBack:
      return ReadRolledBack(*reader_, fields_);
    case EntryKind::kFailureOrdered:
      return ReadFailureOrdered(*reader_, fields_);
  }
  return absl::InternalError("not a kind of entry");
}

absl::StatusOr<Entry> EntryReader::Any() {
  Read(kind_);
  absl::StatusOr<Entry> entry = ReadAny();
  // What the reader itself refused is its to say.
  if (!entry.ok() && reader_->ok()) {
    failure_ = Annotate(entry.status(), EntryKindName(kind_));
  }
  End();
  REENACT_RETURN_IF_ERROR(status());
  return entry;
}

BytesView EntryReader::Finish() {
  if (state_ == State::kAnnounced) {
    Pass();
  } else if (state_ == State::kItems) {
    PassItems();
  }
  return reader_->Since(begin_);
}

// Passes over an entry of which nothing has been read.
void EntryReader::Pass() {
  switch (kind_) {
    case EntryKind::kInputAdmitted:
      InputAdmitted();
      return;
    case EntryKind::kStepScheduled:
      StepScheduled();
      return;
    case EntryKind::kStepCommitted:
      StepCommitted();
      PassItems();
      return;
    default:
      Any().IgnoreError();
  }
}

void EntryReader::PassItems() {
  while (NextItem(StepGroup::kEffects)) SkipItem();
  End();
}

absl::Status EntryReader::status() const {
  if (!failure_.ok()) return failure_;
  if (reader_->ok() || !inside_) return reader_->status();
  return Annotate(reader_->status(), EntryKindName(kind_));
}

// --- whole entries -----------------------------------------------------------

absl::StatusOr<Entry> DecodeEntry(cbor::Reader& reader) {
  EntryReader entries(&reader);
  if (entries.Next()) return entries.Any();
  if (reader.ok()) reader.Map();  // says that nothing is there
  return entries.status();
}

absl::StatusOr<Entry> DecodeEntry(BytesView bytes) {
  cbor::Reader reader(bytes);
  REENACT_ASSIGN_OR_RETURN(Entry entry, DecodeEntry(reader));
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(reader.status());
  return entry;
}

absl::StatusOr<EntryKind> PeekEntryKind(BytesView bytes) {
  cbor::Reader reader(bytes);
  std::uint64_t size = 0;
  const std::uint64_t kind = ReadKind(reader, &size);
  REENACT_RETURN_IF_ERROR(reader.status());
  if (!IsKind(kind)) return UnknownKind(kind);
  return static_cast<EntryKind>(kind);
}

// --- views -------------------------------------------------------------------

namespace entry {

InputAdmitted InputAdmittedView::Own() const {
  return {input,
          reducer,
          std::string(key),
          std::string(schema),
          Bytes(payload),
          std::string(submission_id),
          priority,
          time,
          position};
}

StepScheduled StepScheduledView::Own() const {
  StepScheduled step{event_id, lane_id, kind, std::nullopt, cause};
  if (subject) step.subject = subject->Own();
  return step;
}

Update UpdateView::Own() const {
  return {op, std::string(field), number, Bytes(item), low, high};
}

Diff DiffView::Own() const {
  Diff diff;
  diff.op = op;
  if (cell) diff.cell = cell->Own();
  if (op == Diff::Op::kPut) diff.state = Bytes(state);
  if (op == Diff::Op::kUpdate) diff.update = update.Own();
  return diff;
}

RaisedEvent RaisedEventView::Own() const {
  return {reducer, std::string(key), std::string(schema), Bytes(payload), due};
}

EffectIntent EffectIntentView::Own() const {
  return {std::string(kind), std::string(capability),
          Bytes(params),     Bytes(idempotency),
          reserve,           must_pass,
          deadline,          std::string(cache_scope),
          Bytes(identity),   retry};
}

}  // namespace entry

}  // namespace reenact
