#include "reenact/kernel/cbor/cbor.h"

#include <bit>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>

#include "reenact/kernel/rng.h"
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

TEST_CASE("chaos 56: anything else is refused, with the reason and the byte",
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

TEST_CASE("chaos 56: 64 levels of nesting are read, 65 and a million are not",
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

// --- short ways and long ways ------------------------------------------------

// The item spelled with a head of `size` bytes for its argument, shortest or
// not.
Bytes Spelled(unsigned major, std::uint64_t argument, unsigned size) {
  const unsigned log = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
  Bytes item(1, static_cast<char>(major << 5 | (24 + log)));
  for (unsigned i = size; i-- > 0;) {
    item.push_back(static_cast<char>(argument >> (8 * i) & 0xff));
  }
  return item;
}

TEST_CASE("a head grows where its argument does, and nowhere else",
          "[kernel]") {
  struct Boundary {
    std::uint64_t argument;
    unsigned size;  // of the argument behind the first byte
  };
  const auto at =
      GENERATE(Boundary{0, 0}, Boundary{23, 0}, Boundary{24, 1},
               Boundary{255, 1}, Boundary{256, 2}, Boundary{65535, 2},
               Boundary{65536, 4}, Boundary{0xffffffff, 4},
               Boundary{0x100000000, 8}, Boundary{0x7fffffffffffffff, 8});
  const auto major = GENERATE(kMajorUnsigned, kMajorNegative);
  CAPTURE(at.argument, major);
  const auto value = static_cast<std::int64_t>(at.argument);
  const std::int64_t signed_value = major == kMajorUnsigned ? value : ~value;
  const Bytes right =
      at.size == 0 ? Bytes(1, static_cast<char>(major << 5 | at.argument))
                   : Spelled(major, at.argument, at.size);

  REQUIRE(ToHex(EncodeInteger(signed_value)) == ToHex(right));
  Bytes appended;
  Encoder(&appended).Integer(signed_value);
  REQUIRE(ToHex(appended) == ToHex(right));
  char head[kHeadBytesMax];
  const char* const end = StoreHead(head, major, at.argument);
  REQUIRE(ToHex(BytesView(head, static_cast<std::size_t>(end - head))) ==
          ToHex(right));

  REQUIRE_OK(Validate(Exact(right).view()));
  REQUIRE(DecodeInteger(Exact(right).view()).value() == signed_value);
  // Whatever follows, the reader takes this item and no more.
  for (std::size_t more = 0; more < 12; ++more) {
    const Exact bytes(right + Bytes(more, '\x18'));
    Reader reader(bytes.view());
    REQUIRE(reader.Integer() == signed_value);
    REQUIRE(reader.offset() == right.size());
    Reader items(bytes.view());
    REQUIRE(ToHex(items.Item()) == ToHex(right));
    if (more == 0) continue;
    REQUIRE_FALSE(Validate(bytes.view()).ok());
    REQUIRE_FALSE(DecodeInteger(bytes.view()).ok());
  }
  for (std::size_t size = 0; size < right.size(); ++size) {
    const Exact cut(right.substr(0, size));
    REQUIRE_FALSE(Validate(cut.view()).ok());
    REQUIRE_FALSE(DecodeInteger(cut.view()).ok());
  }
}

TEST_CASE("a longer head than needed is refused however it is read",
          "[kernel]") {
  const std::uint64_t argument = GENERATE(0ULL, 23ULL, 24ULL, 255ULL, 256ULL,
                                          65535ULL, 65536ULL, 0xffffffffULL);
  const unsigned shortest = argument < 24      ? 0
                            : argument < 256   ? 1
                            : argument < 65536 ? 2
                                               : 4;
  const auto major = GENERATE(kMajorUnsigned, kMajorNegative);
  const std::string why = "a head that is not in shortest form at byte 0";
  for (const unsigned size : {1U, 2U, 4U, 8U}) {
    if (size <= shortest) continue;
    CAPTURE(argument, major, size);
    const Exact item(Spelled(major, argument, size));
    REQUIRE(Validate(item.view()).message() == why);
    REQUIRE(DecodeInteger(item.view()).status().message() == why);
    Reader integer(item.view());
    REQUIRE(integer.Integer() == 0);
    REQUIRE(integer.status().message() == why);
    Reader whole(item.view());
    REQUIRE(whole.Item().empty());
    REQUIRE(whole.status().message() == why);
    Reader number(item.view());
    REQUIRE((major == kMajorUnsigned ? number.Unsigned() : number.Negative()) ==
            0);
    REQUIRE(number.status().message() == why);
    // And so is the head of a text and of an array.
    const Exact text(Spelled(kMajorText, argument, size));
    Reader texts(text.view());
    REQUIRE(texts.Text().empty());
    REQUIRE(texts.status().message() == why);
    const Exact array(Spelled(kMajorArray, argument, size));
    Reader arrays(array.view());
    REQUIRE(arrays.Array() == 0);
    REQUIRE(arrays.status().message() == why);
  }
}

TEST_CASE("a count in the first byte is believed up to what is there",
          "[kernel]") {
  for (unsigned count = 0; count < 24; ++count) {
    for (std::size_t there = 0; there < 50; ++there) {
      CAPTURE(count, there);
      const Exact array(static_cast<char>(0x80 | count) + Bytes(there, '\0'));
      Reader items(array.view());
      REQUIRE(items.Array() == (count <= there ? count : 0));
      REQUIRE(items.ok() == (count <= there));
      const Exact map(static_cast<char>(0xa0 | count) + Bytes(there, '\0'));
      Reader pairs(map.view());
      REQUIRE(pairs.Map() == (2 * count <= there ? count : 0));
      REQUIRE(pairs.ok() == (2 * count <= there));
      const Exact text(static_cast<char>(0x60 | count) + Bytes(there, 'a'));
      Reader letters(text.view());
      REQUIRE(letters.Text().size() == (count <= there ? count : 0));
      REQUIRE(letters.ok() == (count <= there));
    }
  }
}

// Bytes at which items and characters begin to be something else.
char Interesting(Rng& rng) {
  static constexpr unsigned char kBytes[] = {
      0x00, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1f, 0x20, 0x37, 0x38, 0x41, 0x61,
      0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xa1, 0xbf, 0xc0, 0xc2, 0xdf,
      0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xf6, 0xf7, 0xf9, 0xff};
  if (rng.Chance(1, 4)) return static_cast<char>(rng.Below(256));
  return static_cast<char>(kBytes[rng.Below(std::size(kBytes))]);
}

TEST_CASE("an item by itself is judged as inside an array", "[kernel]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 11));
  CAPTURE(seed);
  Rng rng(Seed{seed});
  std::size_t good = 0;
  for (int i = 0; i < 3000; ++i) {
    Bytes bytes;
    for (auto n = rng.Below(12); n != 0; --n) bytes += Interesting(rng);
    CAPTURE(ToHex(bytes));
    const Exact alone(bytes);
    const Exact inside('\x81' + bytes);  // has parts, so it is walked over
    const bool valid = Validate(inside.view()).ok();
    good += valid ? 1 : 0;
    REQUIRE(Validate(alone.view()).ok() == valid);
    Reader item(alone.view());
    item.Skip();
    item.ExpectEnd();
    REQUIRE(item.ok() == valid);
    Reader within(inside.view());
    REQUIRE((within.Array() == 1 || !within.ok()));
    within.Skip();
    Reader first(alone.view());
    first.Skip();
    REQUIRE(within.ok() == first.ok());
    Reader type(alone.view());
    const bool integer =
        type.Peek() == Type::kUnsigned || type.Peek() == Type::kNegative;
    const auto value = DecodeInteger(alone.view());
    if (value.ok()) {
      REQUIRE(ToHex(EncodeInteger(*value)) == ToHex(bytes));
    } else {
      REQUIRE((!valid || !integer || bytes.size() == 9));
    }
  }
  REQUIRE(good > 50);
}

// RFC 3629 character by character, by what it decodes to.
bool IsUtf8ByDecoding(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t size = first < 0x80         ? 1
                             : first >> 5 == 0x06 ? 2
                             : first >> 4 == 0x0e ? 3
                             : first >> 3 == 0x1e ? 4
                                                  : 0;
    if (size == 0 || i + size > text.size()) return false;
    std::uint32_t code = size == 1 ? first : first & (0x7fU >> size);
    for (std::size_t k = 1; k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3fU);
    }
    static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[size] || code > 0x10ffff) return false;
    if (code >= 0xd800 && code < 0xe000) return false;
    i += size;
  }
  return true;
}

TEST_CASE("a character of many bytes may stand anywhere, but not be cut",
          "[kernel]") {
  const std::string character = GENERATE("\u00eb", "\u20ac", "\U0001f600");
  for (std::size_t size = character.size(); size < 40; ++size) {
    for (std::size_t at = 0; at + character.size() <= size; ++at) {
      CAPTURE(size, at);
      std::string text(size, 'a');
      text.replace(at, character.size(), character);
      REQUIRE(IsUtf8(Exact(text).view()));
      REQUIRE(DecodeText(EncodeText(text)).value() == text);
      // Cut behind the character's first byte, and so on.
      for (std::size_t part = 1; part < character.size(); ++part) {
        const Exact cut(text.substr(0, at + part));
        REQUIRE_FALSE(IsUtf8(cut.view()));
        REQUIRE_FALSE(Validate(EncodeText(cut.view())).ok());
        REQUIRE_FALSE(DecodeText(EncodeText(cut.view())).ok());
      }
    }
  }
}

TEST_CASE("random bytes are UTF-8 if they decode to characters", "[kernel]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 11));
  CAPTURE(seed);
  Rng rng(Seed{seed});
  std::size_t good = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text(rng.Below(30), 'a');
    for (auto n = rng.Below(4); n != 0 && !text.empty(); --n) {
      text[rng.Below(text.size())] = Interesting(rng);
    }
    if (rng.Chance(1, 3)) text.insert(rng.Below(text.size() + 1), "\u20ac");
    CAPTURE(ToHex(text));
    const bool valid = IsUtf8ByDecoding(text);
    good += valid ? 1 : 0;
    REQUIRE(IsUtf8(Exact(text).view()) == valid);
    REQUIRE(Validate(Exact(EncodeText(text)).view()).ok() == valid);
  }
  REQUIRE(good > 100);
}

}  // namespace
}  // namespace reenact::cbor
