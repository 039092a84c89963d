#include "reenact/kernel/cbor.h"

#include <bit>
#include <cmath>
#include <limits>
#include <memory>

#include "tests/kernel/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact::cbor {
namespace {

// `item` in `levels` arrays.
Bytes Nested(std::size_t levels, BytesView item) {
  return Bytes(levels, '\x81').append(item);
}

Bytes EncodeDouble(double value) {
  Bytes out;
  Encoder(&out).Double(value);
  return out;
}

// `bytes` without a byte behind them that may be read: a reader that goes too
// far meets the end of the allocation, which AddressSanitizer watches.
class Exact {
 public:
  explicit Exact(BytesView bytes)
      : size_(bytes.size()), data_(new char[bytes.size()]) {
    bytes.copy(data_.get(), size_);
  }
  BytesView view() const { return BytesView(data_.get(), size_); }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> data_;
};

// The item, read part by part and written again.
Bytes Rewrite(BytesView item) {
  Bytes out;
  Encoder encoder(&out);
  Reader reader(item);
  while (!reader.AtEnd()) {
    switch (reader.Peek()) {
      case Type::kUnsigned:
        encoder.Unsigned(reader.Unsigned());
        break;
      case Type::kNegative:
        encoder.Negative(reader.Negative());
        break;
      case Type::kBytes:
        encoder.ByteString(reader.ByteString());
        break;
      case Type::kText:
        encoder.Text(reader.Text());
        break;
      case Type::kArray:
        encoder.Array(reader.Array());
        break;
      case Type::kMap:
        encoder.Map(reader.Map());
        break;
      case Type::kBool:
        encoder.Bool(reader.Bool());
        break;
      case Type::kNull:
        reader.Null();
        encoder.Null();
        break;
      case Type::kDouble:
        encoder.Double(reader.Double());
        break;
      case Type::kEnd:
        reader.Fail("nothing that starts an item");
        break;
    }
  }
  REQUIRE_OK(reader.status());
  return out;
}

TEST_CASE("the canonical items of RFC 8949 are read and written back alike",
          "[kernel]") {
  const auto* const list = GENERATE("rfc8949_appendix_a", "accepted");
  for (const auto& vector : Vectors("cbor.json", list)) {
    const std::string hex = vector.at("hex");
    CAPTURE(hex);
    const Bytes item = Hex(hex);
    REQUIRE_OK(Validate(item));
    REQUIRE(ToHex(Rewrite(item)) == hex);
    REQUIRE(Diagnose(item) == vector.at("diagnostic").get<std::string>());
  }
}

TEST_CASE("anything else is refused, with the reason and the byte",
          "[kernel]") {
  for (const auto& vector : Vectors("cbor.json", "refused")) {
    const std::string hex = vector.at("hex");
    CAPTURE(hex);
    const Bytes item = Hex(hex);
    const absl::Status status = Validate(Exact(item).view());
    REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
    const std::string why = vector.at("why");
    REQUIRE(status.message() == why);
    const std::string shown = Diagnose(item);
    REQUIRE(shown.substr(shown.size() - why.size() - 2) == "<" + why + ">");
  }
}

TEST_CASE("an item cut anywhere is refused, and so is one with more behind it",
          "[kernel]") {
  for (const auto& vector : Vectors("cbor.json", "accepted")) {
    const Bytes item = Hex(vector.at("hex"));
    for (std::size_t size = 0; size < item.size(); ++size) {
      CAPTURE(ToHex(item), size);
      REQUIRE_FALSE(Validate(Exact(item.substr(0, size)).view()).ok());
    }
    REQUIRE_FALSE(Validate(item + '\x00').ok());
  }
}

TEST_CASE("64 levels of nesting are read, 65 and a million are refused",
          "[kernel]") {
  const Bytes deepest = Nested(kDepthMax, Bytes(1, '\0'));
  REQUIRE_OK(Validate(deepest));
  REQUIRE_OK(Validate(Nested(kDepthMax - 1, "\x80")));
  REQUIRE(Validate(Nested(kDepthMax, "\x80")).message() ==
          "an item nested too deeply at byte 64");
  REQUIRE(Validate(Nested(1'000'000, "\x80")).message() ==
          "an item nested too deeply at byte 64");

  Bytes maps;
  for (std::size_t i = 0; i < kDepthMax; ++i) maps += Bytes("\xa1\x00", 2);
  REQUIRE_OK(Validate(maps + '\0'));
  REQUIRE_FALSE(Validate(Bytes("\xa1\x00", 2) + maps + '\0').ok());
  // Deep on the side of the keys.
  REQUIRE_OK(Validate(Bytes(kDepthMax, '\xa1') + Bytes(1 + kDepthMax, '\0')));
}

TEST_CASE("a declared length takes no memory that is not there", "[kernel]") {
  const Exact long_text(Hex("7bffffffffffffffff61"));
  Reader text(long_text.view());
  REQUIRE(text.Text().empty());
  REQUIRE(text.status().message() ==
          "a string longer than its input at byte 0");
  // 2^63 pairs are 2^64 items, which no counter holds.
  const Exact long_map(Hex("bb8000000000000000"));
  Reader map(long_map.view());
  REQUIRE(map.Map() == 0);
  REQUIRE_FALSE(map.ok());
}

TEST_CASE("every integer of 64 bits has one encoding", "[kernel]") {
  const std::int64_t value =
      GENERATE(std::int64_t{0}, 23, 24, 255, 256, 65535, 65536, 4294967295,
               4294967296, std::numeric_limits<std::int64_t>::max(), -1, -24,
               -25, -256, -257, -65536, -65537, -4294967296, -4294967297,
               std::numeric_limits<std::int64_t>::min());
  CAPTURE(value);
  const Bytes item = EncodeInteger(value);
  REQUIRE_OK(Validate(item));
  REQUIRE(DecodeInteger(item).value() == value);
  REQUIRE(Diagnose(item) == std::to_string(value));
}

TEST_CASE("an integer beyond int64_t is read as what it is, or refused",
          "[kernel]") {
  const Bytes large = Hex("1b8000000000000000");
  REQUIRE(DecodeInteger(large).status().code() ==
          absl::StatusCode::kInvalidArgument);
  REQUIRE(Reader(large).Unsigned() == std::uint64_t{1} << 63);
  const Bytes small = Hex("3bffffffffffffffff");
  REQUIRE_FALSE(DecodeInteger(small).ok());
  REQUIRE(Reader(small).Negative() == ~std::uint64_t{0});
}

TEST_CASE("a double takes the fewest bytes that keep its value", "[kernel]") {
  using Limits = std::numeric_limits<double>;
  using FloatLimits = std::numeric_limits<float>;
  REQUIRE(ToHex(EncodeDouble(0.0)) == "f90000");
  REQUIRE(ToHex(EncodeDouble(-0.0)) == "f98000");
  REQUIRE(ToHex(EncodeDouble(Limits::infinity())) == "f97c00");
  REQUIRE(ToHex(EncodeDouble(-Limits::quiet_NaN())) == "f97e00");
  REQUIRE(ToHex(EncodeDouble(Limits::signaling_NaN())) == "f97e00");
  REQUIRE(ToHex(EncodeDouble(std::ldexp(1.0, -24))) == "f90001");
  REQUIRE(ToHex(EncodeDouble(std::ldexp(1.0, -25))) == "fa33000000");
  REQUIRE(ToHex(EncodeDouble(65504)) == "f97bff");
  REQUIRE(ToHex(EncodeDouble(65505)) == "fa477fe100");
  REQUIRE(ToHex(EncodeDouble(double{FloatLimits::max()})) == "fa7f7fffff");
  REQUIRE(ToHex(EncodeDouble(double{FloatLimits::denorm_min()})) ==
          "fa00000001");
  REQUIRE(ToHex(EncodeDouble(std::ldexp(1.0, -150))) == "fb3690000000000000");
  REQUIRE(ToHex(EncodeDouble(Limits::denorm_min())) == "fb0000000000000001");
}

TEST_CASE("all halves and a spread of singles widen as the machine does it",
          "[kernel]") {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const unsigned exponent = bits >> 10 & 0x1f;
    const unsigned mantissa = bits & 0x3ff;
    if (exponent == 31) continue;
    const double magnitude =
        exponent == 0
            ? std::ldexp(mantissa, -24)
            : std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25);
    const double value = bits >> 15 == 1 ? -magnitude : magnitude;
    const Bytes item = EncodeDouble(value);
    CAPTURE(bits, value);
    REQUIRE(item.size() == 3);
    REQUIRE(Reader(item).Double() == value);
    REQUIRE(std::signbit(Reader(item).Double()) == (bits >> 15 == 1));
  }
  for (std::uint64_t bits = 0; bits < 0x100000000; bits += 65521) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::isnan(value)) continue;
    const Bytes item = EncodeDouble(double{value});
    CAPTURE(bits, value);
    REQUIRE(item.size() <= 5);
    REQUIRE(Reader(item).Double() == double{value});
  }
}

TEST_CASE("the first failure stays, and reads after it are zero", "[kernel]") {
  Bytes bytes;
  Encoder encoder(&bytes);
  encoder.Array(2);
  encoder.Text("seven");
  encoder.Unsigned(8);

  Reader reader(bytes);
  REQUIRE(reader.Array() == 2);
  REQUIRE(reader.Unsigned() == 0);
  REQUIRE(reader.Unsigned() == 0);
  REQUIRE(reader.Text().empty());
  REQUIRE(reader.Item().empty());
  REQUIRE(reader.Double() == 0);
  REQUIRE_FALSE(reader.Bool());
  REQUIRE(reader.Peek() == Type::kEnd);
  REQUIRE(reader.AtEnd());  // so that loops end
  reader.Fail("another reason");
  reader.ExpectEnd();
  REQUIRE(reader.status().message() ==
          "something other than an unsigned integer at byte 1");
  REQUIRE(reader.offset() == 1);
}

TEST_CASE("expectations name what was expected and where", "[kernel]") {
  const Bytes map = Hex("a1020a");
  Reader size(map);
  size.ExpectMap(2);
  REQUIRE(size.status().message() == "a map of another size than 2 at byte 0");
  Reader key(map);
  key.ExpectMap(1);
  key.ExpectKey(1);
  REQUIRE(key.status().message() == "another key than 1 at byte 1");
  Reader end(map);
  end.ExpectMap(1);
  end.ExpectKey(2);
  end.ExpectEnd();
  REQUIRE(end.status().message() == "something after the end at byte 2");
  Reader array(map);
  array.ExpectArray(1);
  REQUIRE(array.status().message() ==
          "something other than an array at byte 0");
  Reader all(map);
  all.ExpectMap(1);
  all.ExpectKey(2);
  REQUIRE(all.Integer() == 10);
  all.ExpectEnd();
  REQUIRE_OK(all.status());
}

TEST_CASE("an item is passed over whole, and judged", "[kernel]") {
  const Bytes bytes = Hex("82a16161820203f5");
  Reader reader(bytes);
  REQUIRE(reader.Array() == 2);
  REQUIRE(ToHex(reader.Item()) == "a16161820203");
  REQUIRE(reader.Bool());
  REQUIRE(reader.AtEnd());

  const Bytes unsorted = Hex("81a202000100");
  Reader strict(unsorted);
  REQUIRE(strict.Array() == 1);
  strict.Skip();
  REQUIRE(strict.status().message() == "a key out of order at byte 4");
}

TEST_CASE("a byte that starts no item of ours peeks as the end", "[kernel]") {
  const std::string hex = GENERATE("c0", "f7", "f8", "fc", "ff", "e0");
  CAPTURE(hex);
  const Bytes bytes = Hex(hex);
  REQUIRE(Reader(bytes).Peek() == Type::kEnd);
}

TEST_CASE("text that would talk to a terminal is escaped", "[kernel]") {
  REQUIRE(Diagnose(EncodeText("a\x1b[2J\x7f\u009b\n\"\\")) ==
          R"("a\u001b[2J\u007f\u009b\n\"\\")");
}

TEST_CASE("shorthands refuse other types and more than one item", "[kernel]") {
  REQUIRE(DecodeText(EncodeText("Zo\u00eb")).value() == "Zo\u00eb");
  REQUIRE_FALSE(DecodeText(EncodeInteger(1)).ok());
  REQUIRE_FALSE(DecodeText(EncodeText("a") + EncodeText("b")).ok());
  REQUIRE_FALSE(DecodeInteger(EncodeText("1")).ok());
  REQUIRE_FALSE(DecodeInteger("").ok());
  REQUIRE_FALSE(DecodeInteger(Hex("f93c00")).ok());
}

TEST_CASE("UTF-8 is judged alike wherever the character stands", "[kernel]") {
  const std::string bad = GENERATE("\xff", "\x80", "\xc0\x80", "\xed\xa0\x80",
                                   "\xf4\x90\x80\x80", "\xe6\xb0");
  const std::string good =
      GENERATE("\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\uffff",
               "\U00010000", "\U0010ffff");
  for (std::size_t before = 0; before < 20; ++before) {
    const std::string padding(before, 'a');
    CAPTURE(before, ToHex(bad), ToHex(good));
    REQUIRE(IsUtf8(padding + good + "b"));
    REQUIRE_FALSE(IsUtf8(padding + bad + "b"));
    REQUIRE_FALSE(IsUtf8(padding + bad));
  }
}

}  // namespace
}  // namespace reenact::cbor
