#include "reenact/kernel/cbor/cbor.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

namespace reenact::cbor {
namespace {

constexpr unsigned kInfoFalse = 20;
constexpr unsigned kInfoTrue = 21;
constexpr unsigned kInfoNull = 22;
constexpr unsigned kInfoHalf = 25;
constexpr unsigned kInfoSingle = 26;
constexpr unsigned kInfoDouble = 27;

constexpr std::uint64_t kNanHalf = 0x7e00;  // the only NaN

// The width of an IEEE 754 format's parts.
struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;

  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  constexpr int exponent_max() const { return (1 << exponent_bits) - 1; }
};
constexpr FloatFormat kHalf{5, 10};
constexpr FloatFormat kSingle{8, 23};
constexpr FloatFormat kDouble{11, 52};

constexpr std::uint64_t LowBits(int count) {
  return (std::uint64_t{1} << count) - 1;
}

// Floats are converted as bits: a process may run with flushed subnormals or
// another rounding mode, and the bytes must not change with it.

// The bits of a smaller format with the same value as the double with these
// `bits`, if there are such. REQUIRES: not a NaN.
std::optional<std::uint64_t> Narrow(std::uint64_t bits, FloatFormat to) {
  const std::uint64_t sign = (bits >> 63)
                             << (to.exponent_bits + to.mantissa_bits);
  const int biased = static_cast<int>((bits >> 52) & LowBits(11));
  const std::uint64_t mantissa = bits & LowBits(52);
  if (biased == 0 && mantissa == 0) return sign;
  if (biased == kDouble.exponent_max()) {
    return sign | static_cast<std::uint64_t>(to.exponent_max())
                      << to.mantissa_bits;
  }
  const int exponent = biased - kDouble.bias();
  if (exponent > to.bias()) return std::nullopt;
  const int lowest = 1 - to.bias();  // smaller ones are subnormal
  int drop = kDouble.mantissa_bits - to.mantissa_bits;
  if (exponent >= lowest) {
    if ((mantissa & LowBits(drop)) != 0) return std::nullopt;
    return sign |
           static_cast<std::uint64_t>(exponent + to.bias())
               << to.mantissa_bits |
           mantissa >> drop;
  }
  drop += lowest - exponent;
  if (drop > kDouble.mantissa_bits) return std::nullopt;
  const std::uint64_t full = mantissa | std::uint64_t{1} << 52;
  if ((full & LowBits(drop)) != 0) return std::nullopt;
  return sign | full >> drop;
}

// The bits of the double with the same value.
std::uint64_t Widen(std::uint64_t bits, FloatFormat from) {
  const std::uint64_t sign = bits >> (from.exponent_bits + from.mantissa_bits)
                                         << 63;
  const int biased = static_cast<int>((bits >> from.mantissa_bits) &
                                      LowBits(from.exponent_bits));
  std::uint64_t mantissa = bits & LowBits(from.mantissa_bits);
  const int shift = kDouble.mantissa_bits - from.mantissa_bits;
  if (biased == from.exponent_max()) {
    return sign | std::uint64_t{0x7ff} << 52 | mantissa << shift;
  }
  int exponent = biased - from.bias();
  if (biased == 0) {
    if (mantissa == 0) return sign;
    const int up =
        from.mantissa_bits + 1 - static_cast<int>(std::bit_width(mantissa));
    mantissa = mantissa << up & LowBits(from.mantissa_bits);
    exponent = 1 - from.bias() - up;
  }
  return sign | static_cast<std::uint64_t>(exponent + kDouble.bias()) << 52 |
         mantissa << shift;
}

// Stores `argument`, big-endian, in the `size` bytes at `out`.
void StoreBigEndian(std::uint64_t argument, int size, char* out) {
  for (int i = size - 1; i >= 0; --i) {
    out[i] = static_cast<char>(argument & 0xff);
    argument >>= 8;
  }
}

// One head and, for a string, the bytes behind it.
struct Token {
  unsigned major;
  unsigned info;
  std::uint64_t argument;  // for a float: the bits of the double it stands for
  BytesView string;
  std::size_t size;  // of head and string
};

// Each of these returns null, or what is wrong.
using Error = const char*;

Error CheckFloat(Token& token) {
  const std::uint64_t raw = token.argument;
  std::uint64_t bits = raw;
  if (token.info == kInfoHalf) bits = Widen(raw, kHalf);
  if (token.info == kInfoSingle) bits = Widen(raw, kSingle);
  token.argument = bits;
  if ((bits & ~(std::uint64_t{1} << 63)) > std::uint64_t{0x7ff} << 52) {
    return token.info == kInfoHalf && raw == kNanHalf
               ? nullptr
               : "a NaN other than f97e00";
  }
  const bool shorter =
      (token.info != kInfoHalf && Narrow(bits, kHalf).has_value()) ||
      (token.info == kInfoDouble && Narrow(bits, kSingle).has_value());
  return shorter ? "a float that is not in shortest form" : nullptr;
}

Error CheckSimple(Token& token) {
  switch (token.info) {
    case kInfoFalse:
    case kInfoTrue:
    case kInfoNull:
      return nullptr;
    case 23:
      return "undefined";
    case kInfoHalf:
    case kInfoSingle:
    case kInfoDouble:
      return CheckFloat(token);
    default:
      return "a simple value other than false, true and null";
  }
}

Error CheckString(BytesView rest, Token& token) {
  if (token.argument > rest.size()) return "a string longer than its input";
  token.string = rest.substr(0, static_cast<std::size_t>(token.argument));
  token.size += token.string.size();
  if (token.major == kMajorText && !IsUtf8(token.string)) {
    return "text that is not UTF-8";
  }
  return nullptr;
}

// Checks what the head says against what follows it in `rest`.
Error CheckToken(BytesView rest, Token& token) {
  switch (token.major) {
    case kMajorUnsigned:
    case kMajorNegative:
      return nullptr;
    case kMajorBytes:
    case kMajorText:
      return CheckString(rest, token);
    // Every item takes a byte, so a larger count cannot be true.
    case kMajorArray:
      return token.argument > rest.size() ? "an array longer than its input"
                                          : nullptr;
    case kMajorMap:
      return token.argument > rest.size() / 2 ? "a map longer than its input"
                                              : nullptr;
    case kMajorTag:
      return "a tag";
    default:
      return CheckSimple(token);
  }
}

// Reads the argument of a head that has it in the bytes that follow.
Error ReadLongArgument(BytesView rest, Token& token) {
  if (token.major == kMajorTag) return "a tag";
  if (token.info == 31) {
    return token.major == kMajorSimple ? "a break" : "an indefinite length";
  }
  if (token.info > 27) return "a reserved head";
  const std::size_t size = std::size_t{1} << (token.info - 24);
  if (rest.size() < 1 + size) return "a head cut short";
  std::uint64_t argument = 0;
  for (std::size_t i = 1; i <= size; ++i) {
    argument = argument << 8 | static_cast<unsigned char>(rest[i]);
  }
  token.argument = argument;
  token.size = 1 + size;
  if (token.major == kMajorSimple) return nullptr;  // floats: CheckFloat()
  const bool shorter = size == 1 ? argument < 24 : argument >> (size * 4) == 0;
  return shorter ? "a head that is not in shortest form" : nullptr;
}

template <typename Word>
Word LoadBigEndian(const char* at) {
  Word word = 0;
  std::memcpy(&word, at, sizeof word);
  if constexpr (std::endian::native == std::endian::big) return word;
  if constexpr (sizeof word == 2) return __builtin_bswap16(word);
  if constexpr (sizeof word == 4) return __builtin_bswap32(word);
  if constexpr (sizeof word == 8) return __builtin_bswap64(word);
  return word;
}

// The size of the integer at the start of `rest` and its argument, if it is of
// this major type, canonical and longer than a byte; else 0, and ReadToken()
// says why.
template <typename Word>
inline std::size_t LongInteger(BytesView rest, std::uint64_t least,
                               std::uint64_t* argument) {
  if (rest.size() <= sizeof(Word)) return 0;
  *argument = LoadBigEndian<Word>(rest.data() + 1);
  return *argument < least ? 0 : 1 + sizeof(Word);
}
inline std::size_t LongInteger(BytesView rest, unsigned major,
                               std::uint64_t* argument) {
  if (rest.empty()) return 0;
  // `least` is what half the size could not hold.
  switch (static_cast<unsigned char>(rest[0]) ^ major << 5) {
    case 24:
      return LongInteger<std::uint8_t>(rest, std::uint64_t{24}, argument);
    case 25:
      return LongInteger<std::uint16_t>(rest, std::uint64_t{1} << 8, argument);
    case 26:
      return LongInteger<std::uint32_t>(rest, std::uint64_t{1} << 16, argument);
    case 27:
      return LongInteger<std::uint64_t>(rest, std::uint64_t{1} << 32, argument);
    default:
      return 0;
  }
}

Error ReadToken(BytesView rest, Token& token) {
  if (rest.empty()) return "no item";
  const auto first = static_cast<unsigned char>(rest[0]);
  token.major = first >> 5;
  token.info = first & 0x1f;
  token.argument = token.info;
  token.size = 1;
  if (token.info >= 24) {
    if (Error error = ReadLongArgument(rest, token)) return error;
  }
  return CheckToken(rest.substr(token.size), token);
}

struct WalkResult {
  Error error = nullptr;
  std::size_t offset = 0;  // behind the item, or of what is wrong
};

// A container whose items are being walked over.
struct Frame {
  std::uint64_t left;  // items, a pair counting as two
  bool map;
  bool at_key;
  std::size_t key_begin;
  BytesView last_key;  // empty before the first: no key is
};

// Notes that an item of `frame` ended before `offset`.
Error EndItem(BytesView bytes, std::size_t offset, Frame& frame) {
  --frame.left;
  if (!frame.map) return nullptr;
  frame.at_key = !frame.at_key;
  if (frame.at_key) return nullptr;
  const BytesView key = bytes.substr(frame.key_begin, offset - frame.key_begin);
  const int order = frame.last_key.compare(key);  // empty is least
  if (order >= 0) return order == 0 ? "a repeated key" : "a key out of order";
  frame.last_key = key;
  return nullptr;
}

// Walks over the item at `offset` with a stack of its own, since the depth of
// recursion must not be the input's to choose, and tells `visitor` of its
// parts. REQUIRES: depth_max <= kWrappedDepthMax.
template <typename Visitor>
WalkResult Walk(BytesView bytes, std::size_t depth_max, Visitor& visitor) {
  Frame stack[kWrappedDepthMax];  // not initialized: most items are shallow
  std::size_t offset = 0;
  std::size_t depth = 0;
  while (true) {
    Token token;
    if (Error error = ReadToken(bytes.substr(offset), token)) {
      return {error, offset};
    }
    if (depth > 0) {
      Frame& frame = stack[depth - 1];
      if (frame.at_key) frame.key_begin = offset;
    }
    if (token.major == kMajorArray || token.major == kMajorMap) {
      if (depth == depth_max) return {"an item nested too deeply", offset};
      const bool map = token.major == kMajorMap;
      visitor.Open(map);
      stack[depth++] =
          Frame{map ? 2 * token.argument : token.argument, map, map, 0, {}};
      if (token.argument > 0) {
        offset += token.size;
        continue;
      }
    } else {
      visitor.Scalar(token);
      if (depth == 0) return {nullptr, offset + token.size};
      if (Error error = EndItem(bytes, offset + token.size, stack[depth - 1])) {
        return {error, stack[depth - 1].key_begin};
      }
    }
    offset += token.size;
    while (stack[depth - 1].left == 0) {
      visitor.Close(stack[depth - 1].map);
      if (--depth == 0) return {nullptr, offset};
      Frame& outer = stack[depth - 1];
      if (Error error = EndItem(bytes, offset, outer)) {
        return {error, outer.key_begin};
      }
    }
    visitor.Next(stack[depth - 1].map && !stack[depth - 1].at_key);
  }
}

struct NoVisitor {
  void Open(bool) {}
  void Scalar(const Token&) {}
  void Next(bool) {}
  void Close(bool) {}
};

// The walk's stack is large: those who need none stay clear of it.
[[gnu::noinline]] WalkResult PassOver(BytesView bytes, std::size_t depth_max) {
  NoVisitor visitor;
  return Walk(bytes, depth_max, visitor);
}

void AppendHex(BytesView bytes, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 0xf]);
  }
}

// Escapes a control character, so that what is printed stays on its line and
// says nothing to a terminal.
void AppendEscape(char c, std::string& out) {
  switch (c) {
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      AppendHex(BytesView(&c, 1), out);
  }
}

void AppendQuoted(std::string_view text, std::string& out) {
  out.push_back('"');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      AppendEscape(c, out);
    } else if (byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      AppendEscape(text[++i], out);  // U+0080 to U+009F
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void AppendDouble(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
    return;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string_view digits(buffer, static_cast<std::size_t>(end - buffer));
  const std::string_view whole = digits.substr(0, digits.find('e'));
  out += whole;
  if (whole.find('.') == whole.npos) out += ".0";
  out += digits.substr(whole.size());
}

// -1 - n, which for the largest n is below every integer type.
void AppendNegative(std::uint64_t n, std::string& out) {
  out += n == ~std::uint64_t{0} ? "-18446744073709551616"
                                : "-" + std::to_string(n + 1);
}

class Printer {
 public:
  explicit Printer(std::string* out) : out_(*out) {}

  void Open(bool map) { out_ += map ? "{" : "["; }
  void Close(bool map) { out_ += map ? "}" : "]"; }
  void Next(bool value_of_key) { out_ += value_of_key ? ": " : ", "; }

  void Scalar(const Token& token) {
    switch (token.major) {
      case kMajorUnsigned:
        out_ += std::to_string(token.argument);
        return;
      case kMajorNegative:
        AppendNegative(token.argument, out_);
        return;
      case kMajorBytes:
        out_ += "h'";
        AppendHex(token.string, out_);
        out_ += "'";
        return;
      case kMajorText:
        AppendQuoted(token.string, out_);
        return;
      default:
        Simple(token);
    }
  }

 private:
  void Simple(const Token& token) {
    switch (token.info) {
      case kInfoFalse:
        out_ += "false";
        return;
      case kInfoTrue:
        out_ += "true";
        return;
      case kInfoNull:
        out_ += "null";
        return;
      default:
        AppendDouble(std::bit_cast<double>(token.argument), out_);
    }
  }

  std::string& out_;
};

std::string AtByte(std::string_view what, std::size_t offset) {
  return std::string(what) + " at byte " + std::to_string(offset);
}

}  // namespace

// --- Encoder -----------------------------------------------------------------

void Encoder::String(unsigned major, BytesView bytes) {
  // Short ones are appended at once with their head.
  char item[kHeadBytesMax + 24];
  char* const begin = StoreHead(item, major, bytes.size());
  const auto head = static_cast<std::size_t>(begin - item);
  if (bytes.size() < 24) {
    bytes.copy(begin, bytes.size());
    out_->append(item, head + bytes.size());
    return;
  }
  out_->append(item, head);
  out_->append(bytes);
}

void Encoder::ByteString(BytesView bytes) { String(kMajorBytes, bytes); }

void Encoder::Text(std::string_view text) { String(kMajorText, text); }

void Encoder::Double(double value) {
  const bool nan = std::isnan(value);
  const auto bits = std::bit_cast<std::uint64_t>(value);
  char head[9];
  int size = 8;
  std::uint64_t argument = bits;
  if (const auto half = nan ? kNanHalf : Narrow(bits, kHalf)) {
    argument = *half;
    size = 2;
  } else if (const auto single = Narrow(bits, kSingle)) {
    argument = *single;
    size = 4;
  }
  head[0] = static_cast<char>(size == 2 ? 0xf9 : size == 4 ? 0xfa : 0xfb);
  StoreBigEndian(argument, size, head + 1);
  out_->append(head, static_cast<std::size_t>(size) + 1);
}

// --- Reader ------------------------------------------------------------------

namespace {

constexpr const char* kWanted[] = {
    "something other than an unsigned integer",
    "something other than a negative integer",
    "something other than a byte string",
    "something other than text",
    "something other than an array",
    "something other than a map",
};

}  // namespace

Type Reader::PeekSimple() const {
  const auto first = static_cast<unsigned char>(*next_);
  if (first >> 5 == kMajorTag) return Type::kEnd;
  switch (first & 0x1f) {
    case kInfoFalse:
    case kInfoTrue:
      return Type::kBool;
    case kInfoNull:
      return Type::kNull;
    case kInfoHalf:
    case kInfoSingle:
    case kInfoDouble:
      return Type::kDouble;
    default:
      return Type::kEnd;
  }
}

std::uint64_t Reader::HeadInFull(unsigned major) {
  std::uint64_t argument = 0;
  if (major < kMajorBytes) {
    if (const std::size_t size = LongInteger(Rest(), major, &argument)) {
      next_ += size;
      return argument;
    }
  }
  return HeadByToken(major);
}

std::uint64_t Reader::HeadByToken(unsigned major) {
  if (!ok()) return 0;
  Token token;
  if (Error error = ReadToken(Rest(), token)) {
    Fail(error);
    return 0;
  }
  if (token.major != major) {
    Fail(kWanted[major]);
    return 0;
  }
  next_ += token.size;
  return token.argument;
}

BytesView Reader::String(unsigned major) {
  if (!ok()) return BytesView();
  const auto size = static_cast<std::size_t>(HeadInFull(major));
  return ok() ? BytesView(next_ - size, size) : BytesView();
}

unsigned Reader::Simple(std::uint64_t* bits) {
  Token token;
  if (Error error = ReadToken(Rest(), token)) {
    Fail(error);
    return 0;
  }
  *bits = token.argument;
  return token.major == kMajorSimple ? token.info : 0;
}

std::int64_t Reader::IntegerInFull() {
  const char* const begin = next_;
  const Type type = Peek();
  if (ok() && type != Type::kUnsigned && type != Type::kNegative) {
    Fail(AtEnd() ? "no item" : "something other than an integer");
  }
  const bool negative = type == Type::kNegative;
  const std::uint64_t argument =
      HeadInFull(negative ? kMajorNegative : kMajorUnsigned);
  if (argument >> 63 != 0) {
    next_ = begin;
    Fail("an integer of more than 64 bits with its sign");
    return 0;
  }
  const auto value = static_cast<std::int64_t>(argument);
  return ok() && negative ? -1 - value : value;
}

bool Reader::Bool() {
  if (!ok()) return false;
  std::uint64_t bits = 0;
  const unsigned info = Simple(&bits);
  if (info != kInfoFalse && info != kInfoTrue) {
    Fail("something other than a bool");
    return false;
  }
  ++next_;
  return info == kInfoTrue;
}

void Reader::NullInFull() {
  if (!ok()) return;
  std::uint64_t bits = 0;
  if (Simple(&bits) != kInfoNull) {
    Fail("something other than null");
    return;
  }
  ++next_;
}

double Reader::Double() {
  if (!ok()) return 0;
  std::uint64_t bits = 0;
  const unsigned info = Simple(&bits);
  if (info < kInfoHalf) {
    Fail("something other than a float");
    return 0;
  }
  next_ += 1 + (std::size_t{1} << (info - 24));
  return std::bit_cast<double>(bits);
}

BytesView Reader::ItemInFull(std::size_t depth_max) {
  if (!ok()) return BytesView();
  const char* const begin = next_;
  const unsigned first = AtEnd() ? 0xffU : static_cast<unsigned char>(*next_);
  const unsigned major = first >> 5;
  if (major <= kMajorText) {
    // No walk is needed for what has no parts.
    HeadInFull(major);
  } else {
    const WalkResult result = PassOver(Rest(), depth_max);
    next_ += result.offset;
    if (result.error != nullptr) Fail(result.error);
  }
  if (!ok()) return BytesView();
  return BytesView(begin, static_cast<std::size_t>(next_ - begin));
}

void Reader::Refuse(std::size_t begin, const char* what, std::uint64_t number) {
  if (!ok()) return;
  next_ = begin_ + begin;
  Fail(what + std::to_string(number));
}

void Reader::Fail(std::string_view what) {
  if (!ok()) return;
  what_ = what.empty() ? "something wrong" : what;
  end_ = next_;
}

absl::Status Reader::status() const {
  if (ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(AtByte(what_, offset()));
}

// --- Whole items -------------------------------------------------------------

namespace {

absl::Status ValidateByWalk(BytesView item, std::size_t depth_max) {
  const WalkResult result = PassOver(item, depth_max);
  if (result.error != nullptr) {
    return absl::InvalidArgumentError(AtByte(result.error, result.offset));
  }
  if (result.offset != item.size()) {
    return absl::InvalidArgumentError(
        AtByte("something after the end", result.offset));
  }
  return absl::OkStatus();
}

// The whole of `item`, if it is one integer of more than a byte.
bool IsLongInteger(BytesView item, unsigned* major, std::uint64_t* argument) {
  if (item.empty()) return false;
  *major = static_cast<unsigned char>(item[0]) >> 5;
  return *major < kMajorBytes &&
         LongInteger(item, *major, argument) == item.size();
}

// The whole of `item`, if it is one byte string or text.
bool IsString(BytesView item, unsigned major) {
  Token token;
  return (major == kMajorBytes || major == kMajorText) &&
         ReadToken(item, token) == nullptr && token.size == item.size();
}

}  // namespace

namespace internal {

absl::Status ValidateInFull(BytesView item, std::size_t depth_max) {
  unsigned major = 0;
  std::uint64_t argument = 0;
  if (IsLongInteger(item, &major, &argument) || IsString(item, major)) {
    return absl::OkStatus();
  }
  return ValidateByWalk(item, depth_max);
}

}  // namespace internal

namespace {

// How many bytes the character at the start of `text` takes; 0: it is none.
// RFC 3629, section 4.
std::size_t Utf8Size(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&byte](std::size_t i) { return byte(i) >> 6 == 2; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return tail(1) ? 2 : 0;
  const unsigned second = byte(1);
  if (first < 0xf0) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && tail(2) ? 3 : 0;
  }
  if (first > 0xf4) return 0;
  const unsigned low = first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
  return second >= low && second <= high && tail(2) && tail(3) ? 4 : 0;
}

}  // namespace

bool internal::IsUtf8InFull(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  while (!text.empty()) {
    std::uint64_t word = 0;
    if (text.size() >= sizeof word) {
      std::memcpy(&word, text.data(), sizeof word);
      if ((word & kHighBits) == 0) {
        text.remove_prefix(sizeof word);
        continue;
      }
    }
    const std::size_t size = Utf8Size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string ToUtf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = Utf8Size(text);
    out += size == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

std::string Diagnose(BytesView item) {
  std::string out;
  Printer printer(&out);
  const WalkResult result = Walk(item, kWrappedDepthMax, printer);
  if (result.error != nullptr) {
    out += "<" + AtByte(result.error, result.offset) + ">";
  } else if (result.offset != item.size()) {
    out += "<" + AtByte("something after the end", result.offset) + ">";
  }
  return out;
}

Bytes internal::EncodeIntegerInFull(std::int64_t value) {
  char item[kHeadBytesMax];
  const auto bits = static_cast<std::uint64_t>(value);
  const char* const end = value >= 0 ? StoreHead(item, kMajorUnsigned, bits)
                                     : StoreHead(item, kMajorNegative, ~bits);
  return Bytes(item, static_cast<std::size_t>(end - item));
}

Bytes EncodeText(std::string_view text) {
  Bytes out;
  Encoder(&out).Text(text);
  return out;
}

absl::StatusOr<std::int64_t> internal::DecodeIntegerInFull(BytesView item) {
  unsigned major = 0;
  std::uint64_t argument = 0;
  if (IsLongInteger(item, &major, &argument) && argument >> 63 == 0) {
    const auto value = static_cast<std::int64_t>(argument);
    return major == kMajorUnsigned ? value : -1 - value;
  }
  Reader reader(item);
  const std::int64_t value = reader.Integer();
  reader.ExpectEnd();
  if (!reader.ok()) return reader.status();
  return value;
}

absl::StatusOr<std::string> DecodeText(BytesView item) {
  Reader reader(item);
  const std::string_view text = reader.Text();
  reader.ExpectEnd();
  if (!reader.ok()) return reader.status();
  return std::string(text);
}

}  // namespace reenact::cbor
