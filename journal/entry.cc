#include "reenact/journal/entry.h"

#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "reenact/kernel/check.h"

namespace reenact {
namespace {

constexpr std::uint64_t kKindLast =
    static_cast<std::uint64_t>(EntryKind::kSnapshotRequested);

constexpr unsigned kMajorUnsigned = 0;
constexpr unsigned kMajorNegative = 1;
constexpr unsigned kMajorBytes = 2;
constexpr unsigned kMajorText = 3;
constexpr unsigned kMajorArray = 4;
constexpr unsigned kMajorMap = 5;

// --- writing ---

// Heads gathered on the stack and appended at once: entries are mostly short
// heads, and growing a string byte by byte is what would cost.
class Heads {
 public:
  Heads& Add(unsigned major, std::uint64_t argument) {
    if (argument < 24) {
      bytes_[size_++] = static_cast<char>(major << 5 | argument);
    } else {
      AddLong(major, argument);
    }
    return *this;
  }
  Heads& Unsigned(std::uint64_t value) { return Add(kMajorUnsigned, value); }
  Heads& Integer(std::int64_t value) {
    return value >= 0 ? Unsigned(static_cast<std::uint64_t>(value))
                      : Add(kMajorNegative, ~static_cast<std::uint64_t>(value));
  }
  Heads& Array(std::uint64_t size) { return Add(kMajorArray, size); }
  Heads& Map(std::uint64_t size) { return Add(kMajorMap, size); }
  Heads& Null() {
    bytes_[size_++] = '\xf6';
    return *this;
  }
  // A string's bytes do not fit here; the caller appends them.
  Heads& TextHead(std::string_view text) {
    return Add(kMajorText, text.size());
  }
  Heads& BytesHead(BytesView bytes) { return Add(kMajorBytes, bytes.size()); }

  void AppendTo(Bytes* out) const { out->append(bytes_, size_); }

 private:
  void AddLong(unsigned major, std::uint64_t argument) {
    const unsigned log = argument <= 0xff         ? 0
                         : argument <= 0xffff     ? 1
                         : argument <= 0xffffffff ? 2
                                                  : 3;
    bytes_[size_++] = static_cast<char>(major << 5 | (24 + log));
    for (unsigned shift = 8U << log; shift != 0; shift -= 8) {
      bytes_[size_++] = static_cast<char>(argument >> (shift - 8) & 0xff);
    }
  }

  char bytes_[96];  // no caller adds more than ten heads
  std::size_t size_ = 0;
};

void AppendText(std::string_view text, Bytes* out) {
  Heads().TextHead(text).AppendTo(out);
  out->append(text);
}

void AppendByteString(BytesView bytes, Bytes* out) {
  Heads().BytesHead(bytes).AppendTo(out);
  out->append(bytes);
}

// The head of an array [op, cell, ...], and the cell.
void AppendDiffHead(Diff::Op op, std::uint64_t size, bool own,
                    ReducerId reducer, std::string_view key, Bytes* out) {
  Heads heads;
  heads.Array(size).Unsigned(static_cast<std::uint64_t>(op));
  if (own) {
    heads.Null().AppendTo(out);
    return;
  }
  heads.Array(2).Unsigned(reducer).TextHead(key).AppendTo(out);
  out->append(key);
}

bool HasNumber(Update::Op op) {
  return op == Update::Op::kAdd || op == Update::Op::kMax ||
         op == Update::Op::kMin;
}

constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();

template <typename AnyUpdate>
bool HasBounds(const AnyUpdate& update) {
  return update.op == Update::Op::kAdd &&
         (update.low != kLowest || update.high != kHighest);
}

void AppendUpdate(const Update& update, Bytes* out) {
  const bool bounds = HasBounds(update);
  Heads()
      .Array(bounds ? 5 : 3)
      .Unsigned(static_cast<std::uint64_t>(update.op))
      .TextHead(update.field)
      .AppendTo(out);
  out->append(update.field);
  if (!HasNumber(update.op)) {
    out->append(update.item);
    return;
  }
  Heads heads;
  heads.Integer(update.number);
  if (bounds) heads.Integer(update.low).Integer(update.high);
  heads.AppendTo(out);
}

void AppendDiff(const Diff& diff, Bytes* out) {
  const bool own = !diff.cell.has_value();
  const ReducerId reducer = own ? kNoReducer : diff.cell->reducer;
  const std::string_view key =
      own ? std::string_view() : std::string_view(diff.cell->key);
  switch (diff.op) {
    case Diff::Op::kPut:
      return EncodePut(own, reducer, key, diff.state, out);
    case Diff::Op::kDelete:
      return EncodeDelete(own, reducer, key, out);
    case Diff::Op::kUpdate:
      return EncodeUpdate(own, reducer, key, diff.update, out);
  }
  REENACT_CHECK(false);
}

void AppendNames(const std::vector<std::string>& names, Bytes* out) {
  Heads().Array(names.size()).AppendTo(out);
  for (const std::string& name : names) AppendText(name, out);
}

// A map's head and its kind; `size` counts the kind.
Heads EntryHead(EntryKind kind, std::uint64_t size) {
  Heads heads;
  heads.Map(size).Unsigned(0).Unsigned(static_cast<std::uint64_t>(kind));
  return heads;
}

void Append(const entry::Genesis& genesis, Bytes* out) {
  EntryHead(EntryKind::kGenesis, 2).Unsigned(1).AppendTo(out);
  cbor::Encoder encoder(out);
  EncodeConfig(genesis.config, encoder);
}

void Append(const entry::RoundOpened& round, Bytes* out) {
  EntryHead(EntryKind::kRoundOpened, 5)
      .Unsigned(1)
      .Unsigned(round.round.value)
      .Unsigned(2)
      .Integer(round.time.value)
      .Unsigned(3)
      .Unsigned(round.first.value)
      .Unsigned(4)
      .Unsigned(round.count)
      .AppendTo(out);
}

// `event` holds key, schema and payload; `input` what the outside said of it.
template <typename EventPart, typename InputPart>
void AppendInput(InputId id, ReducerId reducer, const EventPart& event,
                 const InputPart& input, Bytes* out) {
  const std::uint64_t size = 5U + (event.schema.empty() ? 0U : 1U) +
                             (input.submission_id.empty() ? 0U : 1U) +
                             (input.priority == kPriorityDefault ? 0U : 1U) +
                             (input.time.value == 0 ? 0U : 1U) +
                             (input.position == 0 ? 0U : 1U);
  EntryHead(EntryKind::kInputAdmitted, size)
      .Unsigned(1)
      .Unsigned(id.value)
      .Unsigned(2)
      .Unsigned(reducer)
      .Unsigned(3)
      .TextHead(event.key)
      .AppendTo(out);
  out->append(event.key);
  if (!event.schema.empty()) {
    Heads().Unsigned(4).AppendTo(out);
    AppendText(event.schema, out);
  }
  Heads().Unsigned(5).AppendTo(out);
  out->append(event.payload);
  if (!input.submission_id.empty()) {
    Heads().Unsigned(6).AppendTo(out);
    AppendByteString(input.submission_id, out);
  }
  Heads tail;
  if (input.priority != kPriorityDefault) {
    tail.Unsigned(7).Unsigned(input.priority);
  }
  if (input.time.value != 0) tail.Unsigned(8).Integer(input.time.value);
  if (input.position != 0) tail.Unsigned(9).Unsigned(input.position);
  tail.AppendTo(out);
}

void Append(const entry::InputAdmitted& input, Bytes* out) {
  AppendInput(input.input, input.reducer, input, input, out);
}

void Append(const entry::StepScheduled& step, Bytes* out) {
  const bool control = !step.subject.has_value();
  EncodeStepScheduled(
      step.event_id, step.lane_id, step.kind,
      control ? kNoReducer : step.subject->reducer,
      control ? std::string_view() : std::string_view(step.subject->key),
      step.cause, out);
}

void Append(const entry::StepCommitted& step, Bytes* out) {
  EncodeStepCommittedHead(step.event_id, step.lane_id, step.diffs.size(),
                          step.events.size(), step.effects.size(), out);
  BeginGroup(StepGroup::kDiffs, step.diffs.size(), out);
  for (const Diff& diff : step.diffs) AppendDiff(diff, out);
  BeginGroup(StepGroup::kEvents, step.events.size(), out);
  for (const RaisedEvent& event : step.events) EncodeRaised(event, out);
  BeginGroup(StepGroup::kEffects, step.effects.size(), out);
  for (const EffectIntent& effect : step.effects) EncodeEffect(effect, out);
}

void Append(const entry::StepFailed& step, Bytes* out) {
  EncodeStepFailed(step.event_id, step.lane_id, step.code, out);
}

void Append(const entry::SnapshotTaken& snapshot, Bytes* out) {
  EntryHead(EntryKind::kSnapshotTaken, 3)
      .Unsigned(1)
      .Unsigned(snapshot.round.value)
      .Unsigned(2)
      .Unsigned(snapshot.event_id.value)
      .AppendTo(out);
}

void Append(const entry::ModuleChanged& change, Bytes* out) {
  EntryHead(EntryKind::kModuleChanged, 4)
      .Unsigned(1)
      .Unsigned(change.input.value)
      .Unsigned(2)
      .AppendTo(out);
  cbor::Encoder encoder(out);
  EncodeModules(change.modules, encoder);
  Heads().Unsigned(3).AppendTo(out);
  AppendNames(change.reducers, out);
}

void Append(const entry::ConfigChanged& change, Bytes* out) {
  EntryHead(EntryKind::kConfigChanged, change.snapshot_every == 0 ? 3 : 4)
      .Unsigned(1)
      .Unsigned(change.input.value)
      .Unsigned(2)
      .AppendTo(out);
  cbor::Encoder encoder(out);
  EncodeScheduling(change.scheduling, encoder);
  if (change.snapshot_every == 0) return;
  Heads().Unsigned(3).Unsigned(change.snapshot_every).AppendTo(out);
}

void Append(const entry::SnapshotRequested& request, Bytes* out) {
  EntryHead(EntryKind::kSnapshotRequested, 2)
      .Unsigned(1)
      .Unsigned(request.input.value)
      .AppendTo(out);
}

// --- reading ---

void FailIf(cbor::Reader& reader, bool wrong, std::string_view what) {
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
  FailIf(reader, !HasBounds(update), "bounds that bound nothing are left out");
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

void ReadEffect(cbor::Reader& reader, entry::EffectIntentView* effect) {
  reader.ExpectArray(4);
  effect->kind = reader.Text();
  effect->capability = reader.Text();
  effect->params = reader.Item();
  effect->idempotency = reader.ByteString();
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
  return round;
}

// What stands behind the payload, if anything does.
void ReadInputTail(cbor::Reader& reader, EntryFields& fields,
                   entry::InputAdmittedView* input) {
  if (fields.Has(6)) {
    input->submission_id = reader.ByteString();
    FailIf(reader, input->submission_id.empty(),
           "an empty submission id is left out");
  }
  if (fields.Has(7)) {
    input->priority = static_cast<std::uint8_t>(
        UnsignedUpTo(reader, kPriorities - 1, "priority is above 3"));
    FailIf(reader, input->priority == kPriorityDefault,
           "the default priority is left out");
  }
  if (fields.Has(8)) {
    input->time = LogicalTime{reader.Integer()};
    FailIf(reader, input->time.value == 0, "time 0 is left out");
  }
  if (fields.Has(9)) {
    input->position = Ordinal(reader, "position 0 is left out");
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
    FailIf(reader, input.schema.empty(), "an empty schema is left out");
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
      UnsignedUpTo(reader, static_cast<std::uint64_t>(UnitKind::kControl),
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
    change.snapshot_every = Ordinal(reader, "snapshot_every 0 is left out");
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

absl::StatusOr<entry::Genesis> ReadGenesis(cbor::Reader& reader,
                                           EntryFields& fields) {
  fields.Need(1);
  REENACT_RETURN_IF_ERROR(reader.status());
  REENACT_ASSIGN_OR_RETURN(WorldConfig config, DecodeConfig(reader));
  return entry::Genesis{std::move(config)};
}

// The map's head, key 0 and the kind, with the map's size in `size`.
absl::StatusOr<EntryKind> ReadKind(cbor::Reader& reader, std::uint64_t* size) {
  *size = reader.Map();
  FailIf(reader, *size == 0, "an entry without a kind");
  reader.ExpectKey(0);
  const std::uint64_t kind = reader.Unsigned();
  REENACT_RETURN_IF_ERROR(reader.status());
  if (kind > kKindLast) {
    const std::string what =
        "entry kind " + std::to_string(kind) + " is not known to this version";
    reader.Fail(what);
    return absl::UnimplementedError(ToAbsl(what));
  }
  return static_cast<EntryKind>(kind);
}

}  // namespace

std::string_view EntryKindName(EntryKind kind) {
  static constexpr std::string_view kNames[] = {
      "Genesis",       "RoundOpened",      "InputAdmitted", "StepScheduled",
      "StepCommitted", "StepFailed",       "SnapshotTaken", "ModuleChanged",
      "ConfigChanged", "SnapshotRequested"};
  const auto index = static_cast<std::size_t>(kind);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

EntryKind KindOf(const Entry& entry) {
  return static_cast<EntryKind>(entry.index());
}

void EncodeEntry(const Entry& entry, Bytes* out) {
  std::visit([out](const auto& alternative) { Append(alternative, out); },
             entry);
}

void EncodeRoundOpened(const entry::RoundOpened& round, Bytes* out) {
  Append(round, out);
}

void EncodeInputAdmitted(InputId id, ReducerId reducer, const Input& input,
                         Bytes* out) {
  AppendInput(id, reducer, input.event, input, out);
}

void EncodeStepScheduled(EventId event_id, LaneId lane_id, UnitKind kind,
                         ReducerId reducer, std::string_view key,
                         const Cause& cause, Bytes* out) {
  Heads heads = EntryHead(EntryKind::kStepScheduled, 6);
  heads.Unsigned(1)
      .Unsigned(event_id.value)
      .Unsigned(2)
      .Unsigned(lane_id.value);
  heads.Unsigned(3).Unsigned(static_cast<std::uint64_t>(kind)).Unsigned(4);
  if (reducer == kNoReducer) {
    heads.Null().AppendTo(out);
  } else {
    heads.Array(2).Unsigned(reducer).TextHead(key).AppendTo(out);
    out->append(key);
  }
  Heads tail;
  tail.Unsigned(5);
  if (cause.is_input()) {
    tail.Unsigned(cause.input.value);
  } else {
    tail.Array(2).Unsigned(cause.parent.value).Unsigned(cause.index);
  }
  tail.AppendTo(out);
}

void EncodeStepFailed(EventId event_id, LaneId lane_id, FailureCode code,
                      Bytes* out) {
  EntryHead(EntryKind::kStepFailed, 4)
      .Unsigned(1)
      .Unsigned(event_id.value)
      .Unsigned(2)
      .Unsigned(lane_id.value)
      .Unsigned(3)
      .Unsigned(static_cast<std::uint64_t>(code))
      .AppendTo(out);
}

void EncodeStepCommittedHead(EventId event_id, LaneId lane_id,
                             std::size_t diff_count, std::size_t event_count,
                             std::size_t effect_count, Bytes* out) {
  const std::uint64_t size = 3U + (diff_count == 0 ? 0U : 1U) +
                             (event_count == 0 ? 0U : 1U) +
                             (effect_count == 0 ? 0U : 1U);
  EntryHead(EntryKind::kStepCommitted, size)
      .Unsigned(1)
      .Unsigned(event_id.value)
      .Unsigned(2)
      .Unsigned(lane_id.value)
      .AppendTo(out);
}

void BeginGroup(StepGroup group, std::size_t count, Bytes* out) {
  if (count == 0) return;
  Heads()
      .Unsigned(static_cast<std::uint64_t>(group))
      .Array(count)
      .AppendTo(out);
}

void EncodePut(bool own, ReducerId reducer, std::string_view key,
               BytesView state, Bytes* out) {
  AppendDiffHead(Diff::Op::kPut, 3, own, reducer, key, out);
  out->append(state);
}

void EncodeDelete(bool own, ReducerId reducer, std::string_view key,
                  Bytes* out) {
  AppendDiffHead(Diff::Op::kDelete, 2, own, reducer, key, out);
}

void EncodeUpdate(bool own, ReducerId reducer, std::string_view key,
                  const Update& update, Bytes* out) {
  AppendDiffHead(Diff::Op::kUpdate, 3, own, reducer, key, out);
  AppendUpdate(update, out);
}

void EncodeRaised(const RaisedEvent& event, Bytes* out) {
  Heads()
      .Array(event.due ? 5 : 4)
      .Unsigned(event.reducer)
      .TextHead(event.key)
      .AppendTo(out);
  out->append(event.key);
  AppendText(event.schema, out);
  out->append(event.payload);
  if (event.due) Heads().Integer(event.due->value).AppendTo(out);
}

void EncodeEffect(const EffectIntent& effect, Bytes* out) {
  Heads().Array(4).TextHead(effect.kind).AppendTo(out);
  out->append(effect.kind);
  AppendText(effect.capability, out);
  out->append(effect.params);
  AppendByteString(effect.idempotency, out);
}

// --- EntryFields -----------------------------------------------------------

bool EntryFields::Has(std::uint64_t key) {
  if (!peeked_ && left_ != 0) {
    next_ = reader_->Unsigned();
    peeked_ = true;
    --left_;
  }
  if (!peeked_ || next_ != key || !reader_->ok()) return false;
  peeked_ = false;
  return true;
}

void EntryFields::Need(std::uint64_t key) {
  if (Has(key) || !reader_->ok()) return;
  reader_->Fail("key " + std::to_string(key) + " is missing");
}

void EntryFields::End() {
  if (!peeked_ && left_ != 0) {
    next_ = reader_->Unsigned();
    peeked_ = true;
  }
  if (!peeked_ || !reader_->ok()) return;
  reader_->Fail("key " + std::to_string(next_) + " is not expected here");
}

// --- EntryReader -----------------------------------------------------------

std::optional<EntryKind> EntryReader::Next() {
  Finish();
  if (!failure_.ok() || reader_->AtEnd()) return std::nullopt;
  begin_ = reader_->offset();
  std::uint64_t size = 0;
  const absl::StatusOr<EntryKind> kind = ReadKind(*reader_, &size);
  if (!kind.ok()) {
    if (absl::IsUnimplemented(kind.status())) failure_ = kind.status();
    return std::nullopt;
  }
  kind_ = *kind;
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
  const entry::RoundOpened round = ReadRoundOpened(*reader_, fields_);
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
  FailIf(*reader_, items_left_ == 0, "an empty group is left out");
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

// --- whole entries ---------------------------------------------------------

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
  return ReadKind(reader, &size);
}

// --- views -----------------------------------------------------------------

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
  return {std::string(kind), std::string(capability), Bytes(params),
          Bytes(idempotency)};
}

}  // namespace entry

}  // namespace reenact
