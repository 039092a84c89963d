// A CBOR item as a tree: what reducers use when a state has parts.

#ifndef REENACT_KERNEL_CBOR_CBOR_VALUE_H_
#define REENACT_KERNEL_CBOR_CBOR_VALUE_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact::cbor {

// A value type: null, bool, integer (the whole CBOR range), double, text, byte
// string, array or map. Maps hold their pairs in canonical order whatever the
// order they were set in, so Encode() is canonical by construction.
//
//   Value state = Value::Parse(bytes).value();
//   state.Set("events", state.GetInteger("events").value_or(0) + 1);
//   Bytes bytes = state.Encode();
//
// Thread safety: as for an int: const calls may run together.
class Value {
 public:
  Value();  // null
  Value(bool value);
  Value(std::int64_t value);
  Value(int value);
  Value(std::uint64_t value);
  Value(double value);
  Value(std::string_view text);
  Value(const char* text);
  Value(std::string text);
  static Value ByteString(Bytes bytes);
  static Value Array(std::vector<Value> items = {});
  static Value Map();
  static Value Map(
      std::initializer_list<std::pair<std::string_view, Value>> pairs);

  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();

  // One canonical item, and nothing after it; else InvalidArgument.
  static absl::StatusOr<Value> Parse(BytesView item);
  // One canonical item, if text is UTF-8 and there are at most kDepthMax
  // levels. Of another tree it gives bytes that are none: a step, a receipt or
  // a row that has them is refused, by name.
  Bytes Encode() const;

  bool IsNull() const;
  bool IsBool() const;
  bool IsInteger() const;  // any integer, even beyond int64_t
  bool IsDouble() const;
  bool IsText() const;
  bool IsBytes() const;
  bool IsArray() const;
  bool IsMap() const;
  // "integer", "text" ...: for messages.
  std::string_view TypeName() const;

  // InvalidArgument: another type, or an integer that int64_t cannot hold.
  absl::StatusOr<bool> AsBool() const;
  absl::StatusOr<std::int64_t> AsInteger() const;
  absl::StatusOr<double> AsDouble() const;
  absl::StatusOr<std::string_view> AsText() const;
  absl::StatusOr<BytesView> AsBytes() const;

  // What follows throws std::logic_error if this is not what it REQUIRES, so
  // that a step which does not ask fails with FailureCode::kException.

  // REQUIRES: IsArray() or IsMap().
  std::size_t size() const;
  // Arrays. REQUIRES: IsArray().
  const std::vector<Value>& items() const;
  void Append(Value item);

  // Maps. Find: null if this is no map or has no such key.
  const Value* Find(std::string_view key) const;
  Value* Find(std::string_view key);
  // REQUIRES: IsMap(). Adds or replaces; Erase: nothing if there is no such
  // key.
  void Set(Value key, Value value);
  void Erase(std::string_view key);
  const std::vector<std::pair<Value, Value>>& pairs() const;

  // NotFound: no such key. InvalidArgument: another type, or this is no map.
  // Both name the key.
  absl::StatusOr<std::int64_t> GetInteger(std::string_view key) const;
  absl::StatusOr<std::string_view> GetText(std::string_view key) const;

  // Whether the encodings are equal: NaN equals NaN, 0.0 differs from -0.0.
  friend bool operator==(const Value& a, const Value& b);

 private:
  struct Integer {  // negative ? -1 - magnitude : magnitude
    bool negative = false;
    std::uint64_t magnitude = 0;
    friend bool operator==(const Integer&, const Integer&) = default;
  };
  struct ByteData {
    Bytes bytes;
    friend bool operator==(const ByteData&, const ByteData&) = default;
  };

  friend class Parser;
  friend class Writer;
  friend class KeyOrder;

  std::variant<std::monostate, bool, Integer, double, std::string, ByteData,
               std::vector<Value>, std::vector<std::pair<Value, Value>>>
      data_;
};

}  // namespace reenact::cbor

#endif  // REENACT_KERNEL_CBOR_CBOR_VALUE_H_
