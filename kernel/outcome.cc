#include "reenact/kernel/outcome.h"

#include <algorithm>

#include "reenact/base/test_points.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

absl::Status Mismatch(BytesView item, std::string_view wanted) {
  REENACT_PROBE("outcome: an update of another type");
  return absl::InvalidArgumentError("an update for " + std::string(wanted) +
                                    " meets " + cbor::Diagnose(item));
}

absl::StatusOr<Bytes> Add(std::int64_t number, const Update& update) {
  std::int64_t sum = 0;
  const bool overflows = __builtin_add_overflow(number, update.number, &sum);
  const bool outside = sum < update.low || sum > update.high;
  if (overflows || (outside && !REENACT_PLANTED("updates have no bounds"))) {
    REENACT_PROBE("outcome: a sum leaves its bounds");
    return absl::OutOfRangeError(std::to_string(number) + " + " +
                                 std::to_string(update.number) +
                                 " is not from " + std::to_string(update.low) +
                                 " to " + std::to_string(update.high));
  }
  return cbor::EncodeInteger(sum);
}

absl::StatusOr<Bytes> ApplyToNumber(std::optional<BytesView> item,
                                    const Update& update) {
  if (!item.has_value()) {
    REENACT_PROBE("outcome: a number where there was none");
    return update.op == Update::Op::kAdd ? Add(0, update)
                                         : cbor::EncodeInteger(update.number);
  }
  cbor::Reader reader(*item);
  const std::int64_t number = reader.Integer();
  if (!reader.ok()) return Mismatch(*item, "an integer of 64 bits");
  switch (update.op) {
    case Update::Op::kMax:
      REENACT_PROBE("outcome: a maximum");
      return cbor::EncodeInteger(std::max(number, update.number));
    case Update::Op::kMin:
      REENACT_PROBE("outcome: a minimum");
      return cbor::EncodeInteger(std::min(number, update.number));
    default:
      return Add(number, update);
  }
}

// An array with its items still together.
struct Items {
  std::uint64_t count = 0;
  BytesView bytes;
};

// The array with `added` put in at `place` of its bytes.
Bytes Insert(const Items& items, std::size_t place, BytesView added) {
  Bytes out;
  out.reserve(items.bytes.size() + added.size() + 9);
  cbor::Encoder encoder(&out);
  encoder.Array(items.count + 1);
  encoder.Raw(items.bytes.substr(0, place));
  encoder.Raw(added);
  encoder.Raw(items.bytes.substr(place));
  return out;
}

absl::StatusOr<Items> ReadArray(std::optional<BytesView> item) {
  if (!item.has_value()) return Items();
  cbor::Reader reader(*item);
  const std::uint64_t count = reader.Array();
  if (!reader.ok()) return Mismatch(*item, "an array");
  return Items{count, item->substr(reader.offset())};
}

absl::StatusOr<Bytes> Append(std::optional<BytesView> item,
                             const Update& update) {
  const auto items = ReadArray(item);
  if (!items.ok()) return items.status();
  return Insert(*items, items->bytes.size(), update.item);
}

absl::StatusOr<Bytes> Union(std::optional<BytesView> item,
                            const Update& update) {
  const auto items = ReadArray(item);
  if (!items.ok()) return items.status();
  cbor::Reader reader(items->bytes);
  std::size_t place = 0;  // behind the items that are less
  bool there = false;
  BytesView last;
  while (!reader.AtEnd()) {
    const BytesView next = reader.Item();
    if (next <= last) return Mismatch(*item, "a set, sorted");
    if (next < update.item) place = reader.offset();
    there = there || next == update.item;
    last = next;
  }
  if (there) return Bytes(*item);
  return Insert(*items, place, update.item);
}

absl::StatusOr<Bytes> ApplyToItem(std::optional<BytesView> item,
                                  const Update& update) {
  switch (update.op) {
    case Update::Op::kAdd:
    case Update::Op::kMax:
    case Update::Op::kMin:
      return ApplyToNumber(item, update);
    case Update::Op::kUnion:
      return Union(item, update);
    case Update::Op::kAppend:
      return Append(item, update);
  }
  return absl::InvalidArgumentError("an update of an unknown kind");
}

// A map around the place of one key.
struct Surroundings {
  std::uint64_t count = 0;  // pairs, that of the key included
  BytesView before;         // the pairs whose keys are less
  std::optional<BytesView> value;
  BytesView after;  // those whose keys are greater
};

absl::StatusOr<Surroundings> FindKey(BytesView map, BytesView key) {
  cbor::Reader reader(map);
  Surroundings around;
  around.count = reader.Map();
  if (!reader.ok()) return Mismatch(map, "a member of a map");
  const std::size_t begin = reader.offset();
  std::size_t place = begin;
  while (!reader.AtEnd()) {
    const BytesView next = reader.Item();
    if (next > key) break;
    const BytesView value = reader.Item();
    if (next == key) {
      around.value = value;
      around.before = map.substr(begin, place - begin);
      around.after = map.substr(reader.offset());
      return around;
    }
    place = reader.offset();
  }
  ++around.count;
  around.before = map.substr(begin, place - begin);
  around.after = map.substr(place);
  return around;
}

absl::StatusOr<Bytes> ApplyToField(std::optional<BytesView> state,
                                   const Update& update) {
  const Bytes key = cbor::EncodeText(update.field);
  Surroundings around;
  around.count = 1;
  if (state.has_value()) {
    REENACT_ASSIGN_OR_RETURN(around, FindKey(*state, key));
  }
  REENACT_ASSIGN_OR_RETURN(const Bytes value,
                           ApplyToItem(around.value, update));
  Bytes out;
  cbor::Encoder encoder(&out);
  encoder.Map(around.count);
  encoder.Raw(around.before);
  encoder.Raw(key);
  encoder.Raw(value);
  encoder.Raw(around.after);
  return out;
}

}  // namespace

std::string_view UnitKindName(UnitKind kind) {
  switch (kind) {
    case UnitKind::kEvent:
      return "event";
    case UnitKind::kDerived:
      return "derived";
    case UnitKind::kTimer:
      return "timer";
    case UnitKind::kControl:
      return "control";
    case UnitKind::kReceipt:
      return "receipt";
  }
  return "unknown";
}

absl::StatusOr<Bytes> ApplyUpdate(std::optional<BytesView> state,
                                  const Update& update) {
  return update.field.empty() ? ApplyToItem(state, update)
                              : ApplyToField(state, update);
}

}  // namespace reenact
