// Entries to bytes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "reenact/base/check.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/entry_codec.h"

namespace reenact {
namespace {

using entry_codec::HasBounds;
using entry_codec::HasNumber;

char* Unsigned(char* at, std::uint64_t value) {
  return cbor::StoreHead(at, cbor::kMajorUnsigned, value);
}

char* Integer(char* at, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  return value >= 0 ? Unsigned(at, bits)
                    : cbor::StoreHead(at, cbor::kMajorNegative, ~bits);
}

char* Array(char* at, std::uint64_t size) {
  return cbor::StoreHead(at, cbor::kMajorArray, size);
}

constexpr std::uint64_t kNull = 0xf6;

// One byte: a key, or another number below 24.
char* Small(char* at, std::uint64_t value) {
  *at = static_cast<char>(value);
  return at + 1;
}

// A head that is stored more than once.
struct Head {
  explicit Head(std::uint64_t value)
      : size(static_cast<std::size_t>(Unsigned(bytes, value) - bytes)) {}

  char* Store(char* at) const {
    std::memcpy(at, bytes, sizeof bytes);
    return at + size;
  }

  char bytes[cbor::kHeadBytesMax] = {};
  std::size_t size;
};

// The head of an entry's map of `size` members, the first of them, which is the
// kind, and key 1, whose value follows.
char* EntryHead(char* at, EntryKind kind, std::uint64_t size) {
  at = Small(at, 0xa0 | size);
  at = Small(at, 0);
  at = Small(at, static_cast<std::uint64_t>(kind));
  return Small(at, 1);
}

void WriteDiff(const Diff& diff, EntryWriter& writer) {
  const bool own = !diff.cell.has_value();
  const ReducerId reducer = own ? kNoReducer : diff.cell->reducer;
  const std::string_view key =
      own ? std::string_view() : std::string_view(diff.cell->key);
  switch (diff.op) {
    case Diff::Op::kPut:
      return writer.Put(own, reducer, key, diff.state);
    case Diff::Op::kDelete:
      return writer.Delete(own, reducer, key);
    case Diff::Op::kUpdate:
      return writer.Update(own, reducer, key, diff.update);
  }
  REENACT_CHECK(false);
}

// The head of a rare entry, whose rest an encoder writes.
cbor::Encoder RareHead(EntryKind kind, std::uint64_t size, Bytes* out) {
  cbor::Encoder encoder(out);
  encoder.Map(size);
  encoder.Unsigned(0);
  encoder.Unsigned(static_cast<std::uint64_t>(kind));
  encoder.Unsigned(1);
  return encoder;
}

void Append(const entry::Genesis& genesis, Bytes* out) {
  cbor::Encoder encoder = RareHead(EntryKind::kGenesis, 2, out);
  EncodeConfig(genesis.config, encoder);
}

void Append(const entry::RoundOpened& round, Bytes* out) {
  EntryWriter(out).RoundOpened(round);
}

void Append(const entry::InputAdmitted& input, Bytes* out) {
  EntryWriter(out).InputAdmitted(input);
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
  EntryWriter writer(out);
  writer.StepCommittedHead(step.event_id, step.lane_id, step.diffs.size(),
                           step.events.size(), step.effects.size());
  writer.BeginGroup(StepGroup::kDiffs, step.diffs.size());
  for (const Diff& diff : step.diffs) WriteDiff(diff, writer);
  writer.BeginGroup(StepGroup::kEvents, step.events.size());
  for (const RaisedEvent& event : step.events) writer.Raised(event);
  writer.BeginGroup(StepGroup::kEffects, step.effects.size());
  for (const EffectIntent& effect : step.effects) writer.Effect(effect);
}

void Append(const entry::StepFailed& step, Bytes* out) {
  EncodeStepFailed(step.event_id, step.lane_id, step.code, step.detail, out);
}

void Append(const entry::SnapshotTaken& snapshot, Bytes* out) {
  cbor::Encoder encoder = RareHead(EntryKind::kSnapshotTaken, 3, out);
  encoder.Unsigned(snapshot.round.value);
  encoder.Unsigned(2);
  encoder.Unsigned(snapshot.event_id.value);
}

void Append(const entry::ModuleChanged& change, Bytes* out) {
  cbor::Encoder encoder = RareHead(EntryKind::kModuleChanged, 4, out);
  encoder.Unsigned(change.input.value);
  encoder.Unsigned(2);
  EncodeModules(change.modules, encoder);
  encoder.Unsigned(3);
  encoder.Array(change.reducers.size());
  for (const std::string& name : change.reducers) encoder.Text(name);
}

void Append(const entry::ConfigChanged& change, Bytes* out) {
  cbor::Encoder encoder = RareHead(EntryKind::kConfigChanged,
                                   change.snapshot_every == 0 ? 3 : 4, out);
  encoder.Unsigned(change.input.value);
  encoder.Unsigned(2);
  EncodeScheduling(change.scheduling, encoder);
  if (change.snapshot_every == 0) return;
  encoder.Unsigned(3);
  encoder.Unsigned(change.snapshot_every);
}

void Append(const entry::SnapshotRequested& request, Bytes* out) {
  cbor::Encoder encoder = RareHead(EntryKind::kSnapshotRequested, 2, out);
  encoder.Unsigned(request.input.value);
}

// The members of a rare entry that are there only if they say something.
class OptionalFields {
 public:
  // `needed`: members that are always there, the kind among them.
  OptionalFields(EntryKind kind, std::uint64_t needed,
                 std::initializer_list<bool> there, Bytes* out)
      : encoder_(RareHead(kind, needed + Count(there), out)) {}

  cbor::Encoder& first() { return encoder_; }
  cbor::Encoder& At(std::uint64_t key) {
    encoder_.Unsigned(key);
    return encoder_;
  }
  void Text(std::uint64_t key, std::string_view text) {
    if (!text.empty()) At(key).Text(text);
  }
  void Digest(std::uint64_t key, const reenact::Digest& digest) {
    At(key).ByteString(digest.view());
  }

 private:
  static std::uint64_t Count(std::initializer_list<bool> there) {
    return static_cast<std::uint64_t>(
        std::count(there.begin(), there.end(), true));
  }

  cbor::Encoder encoder_;
};

void Append(const entry::EffectQueued& effect, Bytes* out) {
  const bool open = effect.verdict == EffectVerdict::kOpen;
  OptionalFields fields(EntryKind::kEffectQueued, 6,
                        {!open, !effect.reserved.empty(),
                         !effect.reason.empty(), effect.answered_by.value != 0,
                         effect.joins.has_value(), !effect.retry.empty()},
                        out);
  fields.first().Unsigned(effect.event_id.value);
  fields.At(2).Unsigned(effect.lane_id.value);
  fields.At(3).Unsigned(effect.index);
  fields.Digest(4, effect.intent_hash);
  fields.Digest(5, effect.idempotency_key);
  if (!open) fields.At(6).Unsigned(static_cast<std::uint64_t>(effect.verdict));
  if (!effect.reserved.empty()) effect.reserved.Encode(fields.At(7));
  fields.Text(8, effect.reason);
  if (effect.answered_by.value != 0) {
    fields.At(9).Unsigned(effect.answered_by.value);
  }
  if (effect.joins) fields.Digest(10, *effect.joins);
  if (!effect.retry.empty()) effect.retry.Encode(fields.At(12));
}

void Append(const entry::ReceiptAppended& receipt, Bytes* out) {
  OptionalFields fields(EntryKind::kReceiptAppended, 3, {}, out);
  fields.first().Unsigned(receipt.input.value);
  EncodeReceipt(receipt.receipt, fields.At(2));
}

void Append(const entry::GrantChanged& change, Bytes* out) {
  OptionalFields fields(EntryKind::kGrantChanged, 3, {}, out);
  fields.first().Unsigned(change.input.value);
  EncodeGrantChange(change.change, fields.At(2));
}

void Append(const entry::PolicyChanged& change, Bytes* out) {
  OptionalFields fields(EntryKind::kPolicyChanged, 3, {}, out);
  fields.first().Unsigned(change.input.value);
  fields.At(2).Raw(change.document);
}

void Append(const entry::ReceiptRefused& refused, Bytes* out) {
  const bool intent = refused.intent_hash != Digest();
  OptionalFields fields(EntryKind::kReceiptRefused, 4,
                        {intent, !refused.executor.empty()}, out);
  fields.first().Unsigned(refused.input.value);
  if (intent) fields.Digest(2, refused.intent_hash);
  fields.Text(3, refused.executor);
  fields.At(4).Text(refused.reason);
  fields.Digest(5, refused.digest);
}

void Append(const entry::ReceiptShared& shared, Bytes* out) {
  OptionalFields fields(EntryKind::kReceiptShared, 3, {}, out);
  fields.first().ByteString(shared.intent_hash.view());
  EncodeReceipt(shared.receipt, fields.At(2));
}

void Append(const entry::EffectClosed& closed, Bytes* out) {
  OptionalFields fields(EntryKind::kEffectClosed, 3, {!closed.reason.empty()},
                        out);
  fields.first().ByteString(closed.intent_hash.view());
  fields.At(2).Unsigned(static_cast<std::uint64_t>(closed.status));
  fields.Text(3, closed.reason);
}

void Append(const entry::EffectJudged& word, Bytes* out) {
  OptionalFields fields(EntryKind::kEffectJudged, 4,
                        {!word.by.empty(), !word.note.empty()}, out);
  fields.first().Unsigned(word.input.value);
  fields.Digest(2, word.intent_hash);
  fields.At(3).Bool(word.approved);
  fields.Text(4, word.by);
  fields.Text(5, word.note);
}

void Append(const entry::EffectsCancelled& cancel, Bytes* out) {
  OptionalFields fields(EntryKind::kEffectsCancelled, 3, {!cancel.by.empty()},
                        out);
  fields.first().Unsigned(cancel.input.value);
  if (cancel.intent_hash) {
    fields.Digest(2, *cancel.intent_hash);
  } else {
    cbor::Encoder& cell = fields.At(3);
    cell.Array(2);
    cell.Unsigned(cancel.cell->reducer);
    cell.Text(cancel.cell->key);
  }
  fields.Text(4, cancel.by);
}

void Append(const entry::RolledBack& back, Bytes* out) {
  OptionalFields fields(
      EntryKind::kRolledBack, 4,
      {!back.by.empty(), !back.reason.empty(), !back.sources.empty()}, out);
  fields.first().Unsigned(back.input.value);
  fields.At(2).Unsigned(back.to.value);
  fields.At(3).Unsigned(back.round.value);
  fields.Text(4, back.by);
  fields.Text(5, back.reason);
  if (!back.sources.empty()) EncodeSources(back.sources, fields.At(6));
}

void Append(const entry::FailureOrdered& order, Bytes* out) {
  OptionalFields fields(EntryKind::kFailureOrdered, 3, {!order.by.empty()},
                        out);
  fields.first().Unsigned(order.event_id.value);
  fields.Text(2, order.by);
  fields.At(3).Text(order.reason);
}

}  // namespace

// --- EntryWriter -------------------------------------------------------------

inline char* EntryWriter::Copy(char* at, BytesView bytes) {
  const std::size_t size = bytes.size();
  if (size > 16 || at + size > buffer_ + kBuffer) return CopyLong(at, bytes);
  // Two copies that overlap, since a call of memcpy() costs more than most
  // keys and states are long.
  const char* const from = bytes.data();
  if (size >= 8) {
    std::memcpy(at, from, 8);
    std::memcpy(at + size - 8, from + size - 8, 8);
  } else if (size >= 4) {
    std::memcpy(at, from, 4);
    std::memcpy(at + size - 4, from + size - 4, 4);
  } else if (size > 0) {
    at[0] = from[0];
    at[size / 2] = from[size / 2];
    at[size - 1] = from[size - 1];
  }
  return at + size;
}

[[gnu::noinline]] char* EntryWriter::CopyLong(char* at, BytesView bytes) {
  const char* const limit = buffer_ + kBuffer;
  if (at < limit && bytes.size() <= static_cast<std::size_t>(limit - at)) {
    return at + bytes.copy(at, bytes.size());
  }
  next_ = at;
  Flush();
  out_->append(bytes);
  return next_;
}

inline char* EntryWriter::Text(char* at, std::string_view text) {
  return Copy(cbor::StoreHead(at, cbor::kMajorText, text.size()), text);
}

void EntryWriter::RoundOpened(const entry::RoundOpened& round) {
  char* at = EntryHead(Room(), EntryKind::kRoundOpened, round.source ? 6 : 5);
  at = Unsigned(at, round.round.value);
  at = Integer(Small(at, 2), round.time.value);
  at = Unsigned(Small(at, 3), round.first.value);
  next_ = Unsigned(Small(at, 4), round.count);
  if (!round.source) return;
  Flush();
  cbor::Encoder encoder(out_);
  encoder.Unsigned(5);
  EncodeSourceRead(round.source->name, round.source->mark, encoder);
}

// `event` holds key, schema and payload; `input` what the outside said of it.
//
// Every ticket takes this and StepWithOnePut(), so all that they call is put
// into them; how much g++ does of that by itself depends on the rest of the
// file.
template <typename EventPart, typename InputPart>
[[gnu::flatten]] void EntryWriter::Admitted(InputId id, ReducerId reducer,
                                            const EventPart& event,
                                            const InputPart& input) {
  char* const head = Room();
  const std::uint64_t size = 5U + (event.schema.empty() ? 0U : 1U) +
                             (input.submission_id.empty() ? 0U : 1U) +
                             (input.priority == kPriorityDefault ? 0U : 1U) +
                             (input.time.value == 0 ? 0U : 1U) +
                             (input.position == 0 ? 0U : 1U);
  char* at = EntryHead(head, EntryKind::kInputAdmitted, size);
  at = Unsigned(at, id.value);
  at = Unsigned(Small(at, 2), reducer);
  at = Text(Small(at, 3), event.key);
  if (!event.schema.empty()) at = Text(Small(at, 4), event.schema);
  at = Copy(Small(at, 5), event.payload);
  if (!input.submission_id.empty()) {
    at = cbor::StoreHead(Small(at, 6), cbor::kMajorBytes,
                         input.submission_id.size());
    at = Copy(at, input.submission_id);
  }
  if (input.priority != kPriorityDefault) {
    at = Unsigned(Small(at, 7), input.priority);
  }
  if (input.time.value != 0) at = Integer(Small(at, 8), input.time.value);
  if (input.position != 0) at = Unsigned(Small(at, 9), input.position);
  next_ = at;
}

void EntryWriter::InputAdmitted(InputId id, ReducerId reducer,
                                const Input& input) {
  Admitted(id, reducer, input.event, input);
}

void EntryWriter::InputAdmitted(const entry::InputAdmitted& input) {
  Admitted(input.input, input.reducer, input, input);
}

void EntryWriter::InputAdmitted(InputId id,
                                const entry::InputAdmittedView& input) {
  Admitted(id, input.reducer, input, input);
}

inline char* EntryWriter::Scheduled(char* at, LaneId lane_id, UnitKind kind,
                                    ReducerId reducer, std::string_view key,
                                    const Cause& cause) {
  at = Unsigned(Small(at, 2), lane_id.value);
  at = Small(Small(at, 3), static_cast<std::uint64_t>(kind));
  at = Small(at, 4);
  if (reducer == kNoReducer) {
    at = Small(at, kNull);
  } else {
    at = Text(Unsigned(Array(at, 2), reducer), key);
  }
  at = Small(at, 5);
  if (cause.is_input()) return Unsigned(at, cause.input.value);
  return Unsigned(Unsigned(Array(at, 2), cause.parent.value), cause.index);
}

void EntryWriter::StepScheduled(EventId event_id, LaneId lane_id, UnitKind kind,
                                ReducerId reducer, std::string_view key,
                                const Cause& cause) {
  char* const at = EntryHead(Room(), EntryKind::kStepScheduled, 6);
  next_ = Scheduled(Unsigned(at, event_id.value), lane_id, kind, reducer, key,
                    cause);
}

[[gnu::flatten]] void EntryWriter::StepWithOnePut(
    EventId event_id, LaneId lane_id, UnitKind kind, ReducerId reducer,
    std::string_view key, const Cause& cause, BytesView state) {
  const Head id(event_id.value);
  char* at = EntryHead(Room(), EntryKind::kStepScheduled, 6);
  at = Scheduled(id.Store(at), lane_id, kind, reducer, key, cause);
  next_ = at;
  at = EntryHead(Room(), EntryKind::kStepCommitted, 4);
  at = Unsigned(Small(id.Store(at), 2), lane_id.value);
  at = Small(at, static_cast<std::uint64_t>(StepGroup::kDiffs));
  at = Array(Array(at, 1), 3);
  at = Small(at, static_cast<std::uint64_t>(Diff::Op::kPut));
  next_ = Copy(Small(at, kNull), state);
}

void EntryWriter::StepFailed(EventId event_id, LaneId lane_id, FailureCode code,
                             std::string_view detail) {
  char* at = EntryHead(Room(), EntryKind::kStepFailed, detail.empty() ? 4 : 5);
  at = Unsigned(at, event_id.value);
  at = Unsigned(Small(at, 2), lane_id.value);
  at = Unsigned(Small(at, 3), static_cast<std::uint64_t>(code));
  next_ = detail.empty() ? at : Text(Small(at, 4), detail);
}

void EntryWriter::StepCommittedHead(EventId event_id, LaneId lane_id,
                                    std::size_t diff_count,
                                    std::size_t event_count,
                                    std::size_t effect_count) {
  const std::uint64_t size = 3U + (diff_count == 0 ? 0U : 1U) +
                             (event_count == 0 ? 0U : 1U) +
                             (effect_count == 0 ? 0U : 1U);
  char* at = EntryHead(Room(), EntryKind::kStepCommitted, size);
  at = Unsigned(at, event_id.value);
  next_ = Unsigned(Small(at, 2), lane_id.value);
}

void EntryWriter::BeginGroup(StepGroup group, std::size_t count) {
  if (count == 0) return;
  next_ = Array(Small(Room(), static_cast<std::uint64_t>(group)), count);
}

// The head of an array [op, cell, ...], and the cell.
inline char* EntryWriter::DiffHead(Diff::Op op, std::uint64_t size, bool own,
                                   ReducerId reducer, std::string_view key) {
  char* const at = Small(Array(Room(), size), static_cast<std::uint64_t>(op));
  if (own) return Small(at, kNull);
  return Text(Unsigned(Array(at, 2), reducer), key);
}

void EntryWriter::Put(bool own, ReducerId reducer, std::string_view key,
                      BytesView state) {
  next_ = Copy(DiffHead(Diff::Op::kPut, 3, own, reducer, key), state);
}

void EntryWriter::Delete(bool own, ReducerId reducer, std::string_view key) {
  next_ = DiffHead(Diff::Op::kDelete, 2, own, reducer, key);
}

void EntryWriter::Update(bool own, ReducerId reducer, std::string_view key,
                         const reenact::Update& update) {
  const bool bounds = HasBounds(update);
  char* at = DiffHead(Diff::Op::kUpdate, 3, own, reducer, key);
  at = Small(Array(at, bounds ? 5 : 3), static_cast<std::uint64_t>(update.op));
  at = Text(at, update.field);
  if (!HasNumber(update.op)) {
    next_ = Copy(at, update.item);
    return;
  }
  at = Integer(at, update.number);
  if (bounds) at = Integer(Integer(at, update.low), update.high);
  next_ = at;
}

void EntryWriter::Raised(const RaisedEvent& event) {
  char* at = Unsigned(Array(Room(), event.due ? 5 : 4), event.reducer);
  at = Text(at, event.key);
  at = Text(at, event.schema);
  at = Copy(at, event.payload);
  next_ = event.due ? Integer(at, event.due->value) : at;
}

void EntryWriter::Effect(const EffectIntent& effect) {
  const bool reserve = !effect.reserve.empty();
  const bool scope = !effect.cache_scope.empty();
  const bool identity = !effect.identity.empty();
  const bool retry = !effect.retry.empty();
  const std::uint64_t options =
      (reserve ? 1U : 0U) + (effect.must_pass ? 1U : 0U) +
      (effect.deadline ? 1U : 0U) + (scope ? 1U : 0U) + (identity ? 1U : 0U) +
      (retry ? 1U : 0U);
  char* at = Text(Array(Room(), options == 0 ? 4 : 5), effect.kind);
  at = Text(at, effect.capability);
  at = Copy(at, effect.params);
  at = cbor::StoreHead(at, cbor::kMajorBytes, effect.idempotency.size());
  next_ = Copy(at, effect.idempotency);
  if (options == 0) return;
  Bytes rest;
  cbor::Encoder encoder(&rest);
  encoder.Map(options);
  if (reserve) {
    encoder.Unsigned(0);
    effect.reserve.Encode(encoder);
  }
  if (effect.must_pass) {
    encoder.Unsigned(1);
    encoder.Bool(true);
  }
  if (effect.deadline) {
    encoder.Unsigned(2);
    encoder.Integer(effect.deadline->value);
  }
  if (scope) {
    encoder.Unsigned(3);
    encoder.Text(effect.cache_scope);
  }
  if (identity) {
    encoder.Unsigned(10);
    encoder.ByteString(effect.identity);
  }
  if (retry) {
    encoder.Unsigned(12);
    effect.retry.Encode(encoder);
  }
  next_ = Copy(Room(), rest);
}

// --- one at a time -----------------------------------------------------------

void EncodeEntry(const Entry& entry, Bytes* out) {
  std::visit([out](const auto& alternative) { Append(alternative, out); },
             entry);
}

void EncodeRoundOpened(const entry::RoundOpened& round, Bytes* out) {
  EntryWriter(out).RoundOpened(round);
}

void EncodeInputAdmitted(InputId id, ReducerId reducer, const Input& input,
                         Bytes* out) {
  EntryWriter(out).InputAdmitted(id, reducer, input);
}

void EncodeStepScheduled(EventId event_id, LaneId lane_id, UnitKind kind,
                         ReducerId reducer, std::string_view key,
                         const Cause& cause, Bytes* out) {
  EntryWriter(out).StepScheduled(event_id, lane_id, kind, reducer, key, cause);
}

void EncodeStepFailed(EventId event_id, LaneId lane_id, FailureCode code,
                      std::string_view detail, Bytes* out) {
  EntryWriter(out).StepFailed(event_id, lane_id, code, detail);
}

void EncodeStepCommittedHead(EventId event_id, LaneId lane_id,
                             std::size_t diff_count, std::size_t event_count,
                             std::size_t effect_count, Bytes* out) {
  EntryWriter(out).StepCommittedHead(event_id, lane_id, diff_count, event_count,
                                     effect_count);
}

void BeginGroup(StepGroup group, std::size_t count, Bytes* out) {
  EntryWriter(out).BeginGroup(group, count);
}

void EncodePut(bool own, ReducerId reducer, std::string_view key,
               BytesView state, Bytes* out) {
  EntryWriter(out).Put(own, reducer, key, state);
}

void EncodeDelete(bool own, ReducerId reducer, std::string_view key,
                  Bytes* out) {
  EntryWriter(out).Delete(own, reducer, key);
}

void EncodeUpdate(bool own, ReducerId reducer, std::string_view key,
                  const Update& update, Bytes* out) {
  EntryWriter(out).Update(own, reducer, key, update);
}

void EncodeRaised(const RaisedEvent& event, Bytes* out) {
  EntryWriter(out).Raised(event);
}

void EncodeEffect(const EffectIntent& effect, Bytes* out) {
  EntryWriter(out).Effect(effect);
}

}  // namespace reenact
