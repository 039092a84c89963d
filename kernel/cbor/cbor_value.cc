#include "reenact/kernel/cbor/cbor_value.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <compare>
#include <limits>

#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact::cbor {
namespace {

using Pair = std::pair<Value, Value>;

// One value for equal values: all NaNs are encoded alike.
std::uint64_t DoubleBits(double value) {
  return std::bit_cast<std::uint64_t>(
      std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value);
}

}  // namespace

// Builds a tree from an item, with a stack of its own.
class Parser {
 public:
  // REQUIRES: `item` is canonical.
  explicit Parser(BytesView item) : reader_(item) {}

  Value Parse() {
    while (true) {
      Value value = Next();
      const std::uint64_t left = left_of_next_;
      if (left > 0) {
        stack_.push_back(Frame{std::move(value), left, Value(), false});
        continue;
      }
      while (true) {
        if (stack_.empty()) return value;
        Frame& frame = stack_.back();
        Attach(std::move(value), frame);
        if (--frame.left > 0) break;
        value = std::move(frame.container);
        stack_.pop_back();
      }
    }
  }

 private:
  struct Frame {
    Value container;
    std::uint64_t left;  // items, a pair counting as two
    Value key;
    bool has_key;
  };

  // The next item; of a container, the head, with left_of_next_ set.
  Value Next() {
    left_of_next_ = 0;
    Value value;
    switch (reader_.Peek()) {
      case Type::kUnsigned:
        value.data_ = Value::Integer{false, reader_.Unsigned()};
        break;
      case Type::kNegative:
        value.data_ = Value::Integer{true, reader_.Negative()};
        break;
      case Type::kBytes:
        value.data_ = Value::ByteData{Bytes(reader_.ByteString())};
        break;
      case Type::kText:
        value.data_ = std::string(reader_.Text());
        break;
      case Type::kArray:
        left_of_next_ = reader_.Array();
        value.data_ = std::vector<Value>();
        break;
      case Type::kMap:
        left_of_next_ = 2 * reader_.Map();
        value.data_ = std::vector<Pair>();
        break;
      case Type::kBool:
        value.data_ = reader_.Bool();
        break;
      case Type::kDouble:
        value.data_ = reader_.Double();
        break;
      case Type::kNull:
        reader_.Null();
        break;
      case Type::kEnd:
        REENACT_CHECK(false);
    }
    return value;
  }

  static void Attach(Value value, Frame& frame) {
    if (auto* items = std::get_if<std::vector<Value>>(&frame.container.data_)) {
      items->push_back(std::move(value));
    } else if (!frame.has_key) {
      frame.key = std::move(value);
      frame.has_key = true;
    } else {
      std::get<std::vector<Pair>>(frame.container.data_)
          .emplace_back(std::move(frame.key), std::move(value));
      frame.has_key = false;
    }
  }

  Reader reader_;
  std::vector<Frame> stack_;
  std::uint64_t left_of_next_ = 0;
};

// Writes a tree, with a stack of its own.
class Writer {
 public:
  explicit Writer(Bytes* out) : encoder_(out) {}

  void Write(const Value& root) {
    const Value* next = &root;
    while (next != nullptr) {
      Begin(*next);
      next = Following();
    }
  }

 private:
  struct Frame {
    const Value* container;
    std::size_t index;  // of the next item, a pair counting as two
    std::size_t size;
  };

  void Begin(const Value& value) {
    std::visit([this, &value](const auto& data) { Put(value, data); },
               value.data_);
  }

  void Put(const Value&, std::monostate) { encoder_.Null(); }
  void Put(const Value&, bool data) { encoder_.Bool(data); }
  void Put(const Value&, double data) { encoder_.Double(data); }
  void Put(const Value&, const std::string& data) { encoder_.Text(data); }
  void Put(const Value&, const Value::ByteData& data) {
    encoder_.ByteString(data.bytes);
  }
  void Put(const Value&, const Value::Integer& data) {
    if (data.negative) {
      encoder_.Negative(data.magnitude);
    } else {
      encoder_.Unsigned(data.magnitude);
    }
  }
  void Put(const Value& value, const std::vector<Value>& data) {
    encoder_.Array(data.size());
    Push(Frame{&value, 0, data.size()});
  }
  void Put(const Value& value, const std::vector<Pair>& data) {
    encoder_.Map(data.size());
    Push(Frame{&value, 0, 2 * data.size()});
  }

  // A tree may be deeper than an item: whoever reads the bytes says so.
  void Push(Frame frame) {
    if (depth_ < kDepthMax) {
      stack_[depth_++] = frame;
    } else {
      deeper_.push_back(frame);
    }
  }

  // The next item of the innermost container that has one.
  const Value* Following() {
    while (!deeper_.empty()) {
      Frame& frame = deeper_.back();
      if (frame.index < frame.size) return &At(frame, frame.index++);
      deeper_.pop_back();
    }
    while (depth_ > 0) {
      Frame& frame = stack_[depth_ - 1];
      if (frame.index < frame.size) return &At(frame, frame.index++);
      --depth_;
    }
    return nullptr;
  }

  static const Value& At(const Frame& frame, std::size_t index) {
    const auto& data = frame.container->data_;
    if (const auto* items = std::get_if<std::vector<Value>>(&data)) {
      return (*items)[index];
    }
    const Pair& pair = std::get<std::vector<Pair>>(data)[index / 2];
    return index % 2 == 0 ? pair.first : pair.second;
  }

  Encoder encoder_;
  std::size_t depth_ = 0;
  Frame stack_[kDepthMax];
  std::vector<Frame> deeper_;
};

// The order of keys: that of their encodings, found without encoding them in
// the usual case of texts. A longer text has a greater head.
class KeyOrder {
 public:
  static std::strong_ordering Compare(const Value& a, std::string_view b) {
    const auto* text = std::get_if<std::string>(&a.data_);
    if (text == nullptr) return a.Encode() <=> EncodeText(b);
    if (text->size() != b.size()) return text->size() <=> b.size();
    return std::string_view(*text) <=> b;
  }

  static std::strong_ordering Compare(const Value& a, const Value& b) {
    const auto* text = std::get_if<std::string>(&b.data_);
    if (text != nullptr) return Compare(a, std::string_view(*text));
    return a.Encode() <=> b.Encode();
  }

  // The first pair whose key is not less than `key`.
  template <typename Pairs, typename Key>
  static auto Find(Pairs& pairs, const Key& key) {
    return std::lower_bound(pairs.begin(), pairs.end(), key,
                            [](const Pair& pair, const Key& wanted) {
                              return Compare(pair.first, wanted) < 0;
                            });
  }
};

namespace {

absl::Status WrongType(const Value& value, std::string_view wanted) {
  return absl::InvalidArgumentError(std::string(value.TypeName()) + " where " +
                                    std::string(wanted) + " is expected");
}

absl::Status NoSuchKey(std::string_view key) {
  return absl::NotFoundError("no member " + Diagnose(EncodeText(key)));
}

absl::Status AnnotateKey(const absl::Status& status, std::string_view key) {
  return Annotate(status, "member " + Diagnose(EncodeText(key)));
}

}  // namespace

Value::Value() = default;
Value::Value(bool value) : data_(value) {}
Value::Value(std::int64_t value)
    : data_(Integer{value < 0,
                    static_cast<std::uint64_t>(value < 0 ? ~value : value)}) {}
Value::Value(int value) : Value(std::int64_t{value}) {}
Value::Value(std::uint64_t value) : data_(Integer{false, value}) {}
Value::Value(double value) : data_(value) {}
Value::Value(std::string_view text) : data_(std::string(text)) {}
Value::Value(const char* text) : data_(std::string(text)) {}
Value::Value(std::string text) : data_(std::move(text)) {}

Value Value::ByteString(Bytes bytes) {
  Value value;
  value.data_ = ByteData{std::move(bytes)};
  return value;
}

Value Value::Array(std::vector<Value> items) {
  Value value;
  value.data_ = std::move(items);
  return value;
}

Value Value::Map() {
  Value value;
  value.data_ = std::vector<Pair>();
  return value;
}

Value Value::Map(
    std::initializer_list<std::pair<std::string_view, Value>> pairs) {
  Value value = Map();
  for (const auto& [key, member] : pairs) value.Set(key, member);
  return value;
}

Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

absl::StatusOr<Value> Value::Parse(BytesView item) {
  REENACT_RETURN_IF_ERROR(Validate(item));
  return Parser(item).Parse();
}

Bytes Value::Encode() const {
  Bytes out;
  Writer(&out).Write(*this);
  return out;
}

bool Value::IsNull() const {
  return std::holds_alternative<std::monostate>(data_);
}
bool Value::IsBool() const { return std::holds_alternative<bool>(data_); }
bool Value::IsInteger() const { return std::holds_alternative<Integer>(data_); }
bool Value::IsDouble() const { return std::holds_alternative<double>(data_); }
bool Value::IsText() const {
  return std::holds_alternative<std::string>(data_);
}
bool Value::IsBytes() const { return std::holds_alternative<ByteData>(data_); }
bool Value::IsArray() const {
  return std::holds_alternative<std::vector<Value>>(data_);
}
bool Value::IsMap() const {
  return std::holds_alternative<std::vector<Pair>>(data_);
}

std::string_view Value::TypeName() const {
  constexpr std::string_view kNames[] = {"null", "bool",  "integer", "double",
                                         "text", "bytes", "array",   "map"};
  return kNames[data_.index()];
}

absl::StatusOr<bool> Value::AsBool() const {
  if (const auto* value = std::get_if<bool>(&data_)) return *value;
  return WrongType(*this, "bool");
}

absl::StatusOr<std::int64_t> Value::AsInteger() const {
  const auto* value = std::get_if<Integer>(&data_);
  if (value == nullptr) return WrongType(*this, "integer");
  if (value->magnitude >> 63 != 0) {
    return absl::InvalidArgumentError("integer " + Diagnose(Encode()) +
                                      " is outside of 64 bits with a sign");
  }
  const auto magnitude = static_cast<std::int64_t>(value->magnitude);
  return value->negative ? -1 - magnitude : magnitude;
}

absl::StatusOr<double> Value::AsDouble() const {
  if (const auto* value = std::get_if<double>(&data_)) return *value;
  return WrongType(*this, "double");
}

absl::StatusOr<std::string_view> Value::AsText() const {
  if (const auto* value = std::get_if<std::string>(&data_)) {
    return std::string_view(*value);
  }
  return WrongType(*this, "text");
}

absl::StatusOr<BytesView> Value::AsBytes() const {
  if (const auto* value = std::get_if<ByteData>(&data_)) {
    return BytesView(value->bytes);
  }
  return WrongType(*this, "bytes");
}

std::size_t Value::size() const {
  return IsMap() ? pairs().size() : items().size();
}

const std::vector<Value>& Value::items() const {
  REENACT_REQUIRE(IsArray());
  return *std::get_if<std::vector<Value>>(&data_);
}

void Value::Append(Value item) {
  REENACT_REQUIRE(IsArray());
  std::get_if<std::vector<Value>>(&data_)->push_back(std::move(item));
}

const Value* Value::Find(std::string_view key) const {
  const auto* pairs = std::get_if<std::vector<Pair>>(&data_);
  if (pairs == nullptr) return nullptr;
  const auto found = KeyOrder::Find(*pairs, key);
  if (found == pairs->end() || KeyOrder::Compare(found->first, key) != 0) {
    return nullptr;
  }
  return &found->second;
}

Value* Value::Find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).Find(key));
}

void Value::Set(Value key, Value value) {
  REENACT_REQUIRE(IsMap());
  auto& pairs = *std::get_if<std::vector<Pair>>(&data_);
  const auto place = KeyOrder::Find(pairs, key);
  if (place != pairs.end() && KeyOrder::Compare(place->first, key) == 0) {
    place->second = std::move(value);
  } else {
    pairs.emplace(place, std::move(key), std::move(value));
  }
}

void Value::Erase(std::string_view key) {
  REENACT_REQUIRE(IsMap());
  auto& pairs = *std::get_if<std::vector<Pair>>(&data_);
  const auto found = KeyOrder::Find(pairs, key);
  if (found != pairs.end() && KeyOrder::Compare(found->first, key) == 0) {
    pairs.erase(found);
  }
}

const std::vector<std::pair<Value, Value>>& Value::pairs() const {
  REENACT_REQUIRE(IsMap());
  return *std::get_if<std::vector<Pair>>(&data_);
}

absl::StatusOr<std::int64_t> Value::GetInteger(std::string_view key) const {
  if (!IsMap()) return WrongType(*this, "map");
  const Value* value = Find(key);
  if (value == nullptr) return NoSuchKey(key);
  auto result = value->AsInteger();
  if (!result.ok()) return AnnotateKey(result.status(), key);
  return result;
}

absl::StatusOr<std::string_view> Value::GetText(std::string_view key) const {
  if (!IsMap()) return WrongType(*this, "map");
  const Value* value = Find(key);
  if (value == nullptr) return NoSuchKey(key);
  auto result = value->AsText();
  if (!result.ok()) return AnnotateKey(result.status(), key);
  return result;
}

// As their encodings are: NaN equals NaN, 0.0 and -0.0 differ.
bool operator==(const Value& a, const Value& b) {
  const auto* x = std::get_if<double>(&a.data_);
  const auto* y = std::get_if<double>(&b.data_);
  if (x != nullptr && y != nullptr) return DoubleBits(*x) == DoubleBits(*y);
  return a.data_ == b.data_;
}

}  // namespace reenact::cbor
