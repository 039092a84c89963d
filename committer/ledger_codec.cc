// How a ledger is written in a snapshot, and what is held against one that is
// read.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "reenact/committer/ledger.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact {

// ledger  = [grants, policy / null, rates, [*open], [*settled], [*cached],
//            [*refused digest], [*identity]]
// open    = [event_id, index, intent hash, idempotency key, reducer, key, kind,
//            capability, params as bytes, reserved, queued, deadline / null,
//            round, held, rule, cache scope, identity,
//            null / [event_id, index] that it joins, ? retry rule]
// settled = [intent hash, receipt digest, status]
// cached  = [of, expires, input, receipt as bytes]
// identity = [idempotency key, wish, null / [input, receipt as bytes]]
//
// Before format 3 there are no identities, and an open one ends with its scope.

namespace {

using cbor::Value;

void EncodeDigest(const Digest& digest, cbor::Encoder& encoder) {
  encoder.ByteString(digest.view());
}

Digest DecodeDigest(cbor::Reader& reader) {
  const BytesView bytes = reader.ByteString();
  if (reader.ok() && bytes.size() != kDigestSize) {
    reader.Fail("a digest has 32 bytes");
  }
  return reader.ok() ? *Digest::FromBytes(bytes) : Digest();
}

void EncodeOpen(const Ledger::Open& open, bool shares, cbor::Encoder& encoder) {
  const OpenEffect& effect = open.effect;
  const bool retry = !effect.retry.empty();
  encoder.Array(retry ? 19 : shares ? 18 : 16);
  encoder.Unsigned(effect.event_id.value);
  encoder.Unsigned(effect.index);
  EncodeDigest(effect.intent_hash, encoder);
  EncodeDigest(effect.idempotency_key, encoder);
  encoder.Unsigned(open.reducer);
  encoder.Text(effect.origin.key);
  encoder.Text(effect.kind);
  encoder.Text(effect.capability);
  // Byte strings, so that an item of any depth fits.
  encoder.ByteString(effect.params);
  effect.reserved.Encode(encoder);
  encoder.Integer(effect.queued.value);
  if (effect.deadline) {
    encoder.Integer(effect.deadline->value);
  } else {
    encoder.Null();
  }
  encoder.Unsigned(open.round.value);
  encoder.Bool(open.held);
  encoder.Text(open.rule);
  encoder.Text(open.cache_scope);
  if (!shares) return;
  encoder.Bool(open.identity);
  if (open.joins) {
    encoder.Array(2);
    encoder.Unsigned(open.joins->first.value);
    encoder.Unsigned(open.joins->second);
  } else {
    encoder.Null();
  }
  if (retry) effect.retry.Encode(encoder);
}

template <typename Integer>
Integer Narrow(cbor::Reader& reader) {
  const std::uint64_t value = reader.Unsigned();
  if (value > std::numeric_limits<Integer>::max()) {
    reader.Fail("a number is out of range");
    return 0;
  }
  return static_cast<Integer>(value);
}

std::optional<Ledger::Place> DecodeJoins(cbor::Reader& reader) {
  if (reader.Peek() == cbor::Type::kNull) {
    reader.Null();
    return std::nullopt;
  }
  reader.ExpectArray(2);
  const EventId event_id{reader.Unsigned()};
  return Ledger::Place{event_id, Narrow<std::uint32_t>(reader)};
}

Ledger::Open DecodeOpen(bool shares, cbor::Reader& reader) {
  Ledger::Open open;
  OpenEffect& effect = open.effect;
  const std::uint64_t size = reader.Array();
  const bool retry = shares && size == 19;
  if (!retry && size != (shares ? 18 : 16)) {
    reader.Fail("an open effect has another number of items");
  }
  effect.event_id = EventId{reader.Unsigned()};
  effect.index = Narrow<std::uint32_t>(reader);
  effect.intent_hash = DecodeDigest(reader);
  effect.idempotency_key = DecodeDigest(reader);
  open.reducer = Narrow<ReducerId>(reader);
  effect.origin.key = reader.Text();
  effect.kind = reader.Text();
  effect.capability = reader.Text();
  effect.params = Bytes(reader.ByteString());
  effect.reserved = Amounts::Decode(reader);
  effect.queued = LogicalTime{reader.Integer()};
  if (reader.Peek() == cbor::Type::kNull) {
    reader.Null();
  } else {
    effect.deadline = LogicalTime{reader.Integer()};
  }
  open.round = Round{reader.Unsigned()};
  open.held = reader.Bool();
  open.rule = reader.Text();
  open.cache_scope = reader.Text();
  if (shares) {
    open.identity = reader.Bool();
    open.joins = DecodeJoins(reader);
  }
  if (retry) effect.retry = RetryRule::Decode(reader);
  if (reader.ok() &&
      (open.reducer == kNoReducer || !cbor::Validate(effect.params).ok() ||
       (effect.kind == kTimerKind && !effect.deadline))) {
    reader.Fail("no such effect can be open");
  }
  return open;
}

void EncodeWhole(const Receipt& receipt, cbor::Encoder& encoder) {
  Bytes bytes;
  cbor::Encoder inner(&bytes);
  EncodeReceipt(receipt, inner);
  encoder.ByteString(bytes);
}

}  // namespace

std::size_t Ledger::SizeOf(const Receipt& receipt) {
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  EncodeReceipt(receipt, encoder);
  return bytes.size();
}

void Ledger::Encode(Bytes* out) const {
  if (unused()) return;
  cbor::Encoder encoder(out);
  encoder.Array(shares_ ? 8 : 7);
  grants_.Encode(encoder);
  if (policy_.none()) {
    encoder.Null();
  } else {
    encoder.Raw(policy_.content());
  }
  rates_.Encode(encoder);
  encoder.Array(open_.size());
  for (const auto& [place, open] : open_) EncodeOpen(open, shares_, encoder);
  encoder.Array(settled_.size());
  for (const Settled& settled : settled_) {
    encoder.Array(3);
    EncodeDigest(settled.intent_hash, encoder);
    EncodeDigest(settled.receipt, encoder);
    encoder.Unsigned(static_cast<std::uint64_t>(settled.status));
  }
  encoder.Array(cached_.size());
  for (const auto& [number, cached] : cached_.items()) {
    encoder.Array(4);
    EncodeDigest(cached.of, encoder);
    encoder.Integer(cached.value.expires.value);
    encoder.Unsigned(cached.value.heard->input.value);
    EncodeWhole(cached.value.heard->receipt, encoder);
  }
  encoder.Array(refused_.size());
  for (const Digest& digest : refused_) EncodeDigest(digest, encoder);
  if (!shares_) return;
  encoder.Array(identities_.size());
  for (const auto& [number, identity] : identities_.items()) {
    encoder.Array(3);
    EncodeDigest(identity.of, encoder);
    EncodeDigest(identity.value.wish, encoder);
    if (identity.value.heard == nullptr) {
      encoder.Null();
      continue;
    }
    encoder.Array(2);
    encoder.Unsigned(identity.value.heard->input.value);
    EncodeWhole(identity.value.heard->receipt, encoder);
  }
}

Ledger::HeardShare Ledger::DecodeHeard(cbor::Reader& reader) {
  const InputId input{reader.Unsigned()};
  const absl::StatusOr<Receipt> receipt = DecodeReceipt(reader.ByteString());
  if (!reader.ok()) return nullptr;
  if (receipt.ok()) {
    return std::make_shared<const Heard>(Heard{input, *receipt});
  }
  reader.Fail("no such receipt is kept");
  return nullptr;
}

void Ledger::DecodeCached(cbor::Reader& reader) {
  const std::uint64_t count = reader.Array();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.ExpectArray(4);
    const Digest of = DecodeDigest(reader);
    const LogicalTime expires{reader.Integer()};
    const HeardShare heard = DecodeHeard(reader);
    if (!reader.ok()) return;
    if (cached_.Find(of) != nullptr ||
        i >= static_cast<std::uint64_t>(Policy::kCacheCountMax)) {
      return reader.Fail("no such receipts are kept");
    }
    cached_.Put(of, {expires, heard}, SizeOf(heard->receipt));
  }
}

void Ledger::DecodeIdentities(cbor::Reader& reader) {
  const std::uint64_t count = reader.Array();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.ExpectArray(3);
    const Digest key = DecodeDigest(reader);
    Identity identity;
    identity.wish = DecodeDigest(reader);
    if (reader.Peek() == cbor::Type::kNull) {
      reader.Null();
    } else {
      reader.ExpectArray(2);
      identity.heard = DecodeHeard(reader);
    }
    if (!reader.ok()) return;
    if (identities_.Find(key) != nullptr || i >= kIdentitiesMax) {
      return reader.Fail("no such identities are remembered");
    }
    const std::size_t size =
        identity.heard != nullptr ? SizeOf(identity.heard->receipt) : 0;
    identities_.Put(key, std::move(identity), size);
  }
}

// Whether each one that joins another may.
bool Ledger::JoinsAreSound() const {
  return std::all_of(joined_.begin(), joined_.end(), [this](const auto& pair) {
    const auto flight = open_.find(pair.first);
    const Open& open = open_.at(pair.second);
    return flight != open_.end() && !open.held && !flight->second.held &&
           !flight->second.joins && FlightKey(open) &&
           FlightKey(open) == FlightKey(flight->second);
  });
}

bool Ledger::ReservesWhatIsOpen() const {
  std::map<std::string_view, Amounts> reserved;
  for (const auto& [place, open] : open_) {
    const OpenEffect& effect = open.effect;
    if (effect.capability.empty() && effect.reserved.empty()) continue;
    if (grants_.accounts().count(effect.capability) == 0) return false;
    if (!reserved[effect.capability].Add(effect.reserved)) return false;
  }
  for (const auto& [name, account] : grants_.accounts()) {
    if (account.reserved != reserved[name]) return false;
  }
  return true;
}

absl::Status Ledger::CheckAt(EventId last, Round round,
                             std::size_t reducers) const {
  for (const auto& [place, open] : open_) {
    if (place.first > last || open.round > round) {
      return absl::InvalidArgumentError(
          "an effect is open that a later ticket than " +
          std::to_string(last.value) + " intends");
    }
    if (open.reducer >= reducers) {
      return absl::InvalidArgumentError(
          "an effect is open of a reducer that is not in the table");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Ledger> Ledger::Decode(Bytes world_id, BytesView item,
                                      std::uint64_t format) {
  Ledger ledger(std::move(world_id), format);
  if (item.empty()) return ledger;
  cbor::Reader reader(item);
  reader.ExpectArray(ledger.shares_ ? 8 : 7);
  ledger.grants_ = Grants::Decode(reader);
  const BytesView policy = reader.Item();
  ledger.rates_ = Rates::Decode(reader);
  const std::uint64_t open_count = reader.Array();
  Place last;
  for (std::uint64_t i = 0; i < open_count && reader.ok(); ++i) {
    Open open = DecodeOpen(ledger.shares_, reader);
    const Place place{open.effect.event_id, open.effect.index};
    if (!reader.ok()) break;
    if (place <= last && i != 0) {
      reader.Fail("effects are out of order");
      break;
    }
    last = place;
    ledger.Insert(std::move(open));
  }
  ledger.notices_.clear();
  if (reader.ok() && !ledger.JoinsAreSound()) {
    reader.Fail("an effect joins what it cannot join");
  }
  if (reader.ok() && !ledger.ReservesWhatIsOpen()) {
    reader.Fail("what is reserved is not what open effects reserve");
  }
  const std::uint64_t settled_count = reader.Array();
  for (std::uint64_t i = 0; i < settled_count && reader.ok(); ++i) {
    Settled settled;
    reader.ExpectArray(3);
    settled.intent_hash = DecodeDigest(reader);
    settled.receipt = DecodeDigest(reader);
    const std::uint64_t status = reader.Unsigned();
    if (reader.ok() && (status > 4 || i >= kSettledMax)) {
      reader.Fail("no effect ends so");
    }
    settled.status = static_cast<ReceiptStatus>(status);
    if (reader.ok()) ledger.Settle(settled);
  }
  ledger.DecodeCached(reader);
  const std::uint64_t refused_count = reader.Array();
  for (std::uint64_t i = 0; i < refused_count && reader.ok(); ++i) {
    const Digest digest = DecodeDigest(reader);
    if (i >= kRefusedMax || !ledger.refused_set_.insert(digest).second) {
      reader.Fail("no such refusals are remembered");
    }
    ledger.refused_.push_back(digest);
  }
  if (ledger.shares_) ledger.DecodeIdentities(reader);
  reader.ExpectEnd();
  if (!reader.ok()) {
    return absl::InvalidArgumentError(
        absl::string_view(reader.status().message()));
  }
  REENACT_ASSIGN_OR_RETURN(const Value document, Value::Parse(policy));
  if (!document.IsNull()) {
    REENACT_ASSIGN_OR_RETURN(ledger.policy_, Policy::Parse(document));
  }
  return ledger;
}

}  // namespace reenact
