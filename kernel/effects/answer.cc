#include "reenact/kernel/effects/answer.h"

#include <limits>
#include <utility>

namespace reenact {
namespace {

using cbor::Value;

Value UsageValue(const Amounts& usage) {
  Value map = Value::Map();
  for (const Amounts::Item& item : usage.items()) {
    map.Set(item.dimension, item.value);
  }
  return map;
}

Value EvidenceValue(const std::vector<Evidence>& evidence) {
  Value list = Value::Array();
  for (const Evidence& each : evidence) {
    list.Append(Value::Array(
        {each.name, Value::ByteString(Bytes(each.digest.view())), each.size}));
  }
  return list;
}

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError("answer: " + std::string(what));
}

absl::StatusOr<Digest> DigestAt(const Value& map, std::string_view key) {
  const Value* const value = map.Find(key);
  if (value == nullptr) return Malformed("there is no digest");
  REENACT_ASSIGN_OR_RETURN(const BytesView bytes, value->AsBytes());
  return Digest::FromBytes(bytes);
}

absl::StatusOr<ReceiptStatus> StatusNamed(std::string_view name) {
  for (const ReceiptStatus status :
       {ReceiptStatus::kOk, ReceiptStatus::kError, ReceiptStatus::kTimeout,
        ReceiptStatus::kDenied, ReceiptStatus::kCancelled}) {
    if (ReceiptStatusName(status) == name) return status;
  }
  return Malformed("no such status");
}

// Amounts go up to 2^64 - 1, which AsInteger() does not.
absl::StatusOr<Amounts> AmountsOf(const Value& map) {
  const Bytes item = map.Encode();
  cbor::Reader reader(item);
  Amounts amounts = Amounts::Decode(reader);
  REENACT_RETURN_IF_ERROR(reader.status());
  return amounts;
}

absl::StatusOr<Evidence> EvidenceOf(const Value& value) {
  if (!value.IsArray() || value.size() != 3) {
    return Malformed("evidence is not [name, digest, size]");
  }
  Evidence evidence;
  REENACT_ASSIGN_OR_RETURN(evidence.name, value.items()[0].AsText());
  REENACT_ASSIGN_OR_RETURN(const BytesView digest, value.items()[1].AsBytes());
  REENACT_ASSIGN_OR_RETURN(evidence.digest, Digest::FromBytes(digest));
  REENACT_ASSIGN_OR_RETURN(const std::int64_t size,
                           value.items()[2].AsInteger());
  evidence.size = static_cast<std::uint64_t>(size);
  return evidence;
}

absl::Status ParseOptional(const Value& map, EffectAnswer* answer) {
  if (const Value* payload = map.Find("payload")) answer->payload = *payload;
  if (const Value* usage = map.Find("usage")) {
    REENACT_ASSIGN_OR_RETURN(answer->usage, AmountsOf(*usage));
  }
  if (map.Find("executor") != nullptr) {
    REENACT_ASSIGN_OR_RETURN(answer->executor, map.GetText("executor"));
  }
  if (map.Find("reason") != nullptr) {
    REENACT_ASSIGN_OR_RETURN(answer->reason, map.GetText("reason"));
  }
  if (const Value* cached = map.Find("cached")) {
    REENACT_ASSIGN_OR_RETURN(answer->cached, cached->AsBool());
  }
  if (const Value* list = map.Find("evidence")) {
    if (!list->IsArray()) return Malformed("the evidence is no array");
    for (const Value& each : list->items()) {
      REENACT_ASSIGN_OR_RETURN(Evidence evidence, EvidenceOf(each));
      answer->evidence.push_back(std::move(evidence));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Bytes EffectAnswer::Encode() const {
  Value map = Value::Map({
      {"intent", Value::ByteString(Bytes(intent_hash.view()))},
      {"event", event_id.value},
      {"index", std::uint64_t{index}},
      {"kind", kind},
      {"status", ReceiptStatusName(status)},
  });
  if (!payload.IsNull()) map.Set("payload", payload);
  if (!usage.empty()) map.Set("usage", UsageValue(usage));
  if (!executor.empty()) map.Set("executor", executor);
  if (!evidence.empty()) map.Set("evidence", EvidenceValue(evidence));
  if (!reason.empty()) map.Set("reason", reason);
  if (cached) map.Set("cached", true);
  return map.Encode();
}

absl::StatusOr<EffectAnswer> EffectAnswer::Parse(BytesView payload) {
  REENACT_ASSIGN_OR_RETURN(const Value map, Value::Parse(payload));
  if (!map.IsMap()) return Malformed("it is no map");
  EffectAnswer answer;
  REENACT_ASSIGN_OR_RETURN(answer.intent_hash, DigestAt(map, "intent"));
  REENACT_ASSIGN_OR_RETURN(const std::int64_t event, map.GetInteger("event"));
  REENACT_ASSIGN_OR_RETURN(const std::int64_t index, map.GetInteger("index"));
  if (event < 1 || index < 0 ||
      index > std::numeric_limits<std::uint32_t>::max()) {
    return Malformed("no step intended it");
  }
  answer.event_id = EventId{static_cast<std::uint64_t>(event)};
  answer.index = static_cast<std::uint32_t>(index);
  REENACT_ASSIGN_OR_RETURN(answer.kind, map.GetText("kind"));
  REENACT_ASSIGN_OR_RETURN(const std::string_view status,
                           map.GetText("status"));
  REENACT_ASSIGN_OR_RETURN(answer.status, StatusNamed(status));
  REENACT_RETURN_IF_ERROR(ParseOptional(map, &answer));
  return answer;
}

}  // namespace reenact
