// Deterministic CBOR, both ways.
//
// RFC 8949 section 4.2.1 (core deterministic encoding) with the choices that it
// leaves open fixed:
//   - shortest form for every head; definite lengths only;
//   - map keys in bytewise ascending order of their encodings, no duplicate;
//   - text is valid UTF-8;
//   - floating point in the shortest of 16, 32 and 64 bits that keeps the
//     value; one NaN, f97e00; negative zero is distinct;
//   - simple values: false, true, null. No undefined, no tags.
//   - at most kDepthMax levels of nesting, of an item by itself.
// A reader refuses everything else at the first byte that is wrong, so that
// equal values have equal bytes and decode followed by encode is the identity.
//
// Encoder appends items. Reader pulls them. cbor_value.h has a tree for those
// who would rather hold one.

#ifndef REENACT_KERNEL_CBOR_CBOR_H_
#define REENACT_KERNEL_CBOR_CBOR_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact::cbor {

// Arrays and maps within one another that an item of a user may have: a state,
// a payload, a parameter, an operand.
inline constexpr std::size_t kDepthMax = 64;
// And those that one of ours may have, with items of users inside: an entry, a
// cell in a snapshot, a snapshot's header. Every wrapper of ours fits between.
inline constexpr std::size_t kWrappedDepthMax = kDepthMax + 16;

// The upper three bits of an item's first byte.
enum Major : unsigned {
  kMajorUnsigned = 0,
  kMajorNegative = 1,
  kMajorBytes = 2,
  kMajorText = 3,
  kMajorArray = 4,
  kMajorMap = 5,
  kMajorTag = 6,
  kMajorSimple = 7,
};

// A head takes at most so many bytes.
inline constexpr std::size_t kHeadBytesMax = 9;

// Stores a head at `at` and returns the place behind it. May overwrite all of
// the kHeadBytesMax bytes at `at`.
inline char* StoreHead(char* at, unsigned major, std::uint64_t argument);

// Appends canonical items to a buffer.
//
//   Bytes out;
//   Encoder encoder(&out);
//   encoder.Map(1);
//   encoder.Text("balance");
//   encoder.Integer(-5);
//
// The caller writes map keys in ascending order of their encodings and as many
// items as each head announced; Validate() tells whether it did.
//
// Thread safety: none.
class Encoder {
 public:
  // `out` outlives the encoder; items are appended to what it holds.
  explicit Encoder(Bytes* out) : out_(out) {}

  void Unsigned(std::uint64_t value) { Head(kMajorUnsigned, value); }
  void Integer(std::int64_t value);
  // The negative integer -1 - `n`, which may lie below the range of int64_t.
  void Negative(std::uint64_t n) { Head(kMajorNegative, n); }
  void ByteString(BytesView bytes);
  void Text(std::string_view text);  // REQUIRES: valid UTF-8
  void Array(std::uint64_t size) { Head(kMajorArray, size); }
  void Map(std::uint64_t size) { Head(kMajorMap, size); }
  void Bool(bool value) { out_->push_back(value ? '\xf5' : '\xf4'); }
  void Null() { out_->push_back('\xf6'); }
  void Double(double value);
  // Appends items that are canonical already.
  void Raw(BytesView items) { out_->append(items); }

 private:
  void Head(unsigned major, std::uint64_t argument);
  void String(unsigned major, BytesView bytes);

  Bytes* out_;
};

// What the next item is, by its first byte.
enum class Type {
  kUnsigned,
  kNegative,
  kBytes,
  kText,
  kArray,
  kMap,
  kBool,
  kNull,
  kDouble,
  kEnd,  // no byte is left, it starts no item, or an earlier read failed
};

// Pulls items from bytes, strictly, without recursion and without allocation.
//
// Errors stick: after the first one every read returns a zero value and
// status() says what was wrong and at which byte, so a decoder reads a whole
// structure and asks once. A declared length is believed only when that many
// bytes are there.
//
// The reader checks each item that it is asked for. Heads read with Array() and
// Map() leave the number and the order of what follows to the caller, but
// Skip() and Item() check whole items, order of keys included.
//
// Thread safety: none. Views returned point into the bytes given.
class Reader {
 public:
  explicit Reader(BytesView bytes)
      : begin_(bytes.data()),
        next_(bytes.data()),
        end_(bytes.data() + bytes.size()) {}

  Type Peek() const;

  std::uint64_t Unsigned() { return Head(kMajorUnsigned); }
  // Fails for integers that int64_t cannot hold.
  std::int64_t Integer();
  // n of the negative integer -1 - n.
  std::uint64_t Negative() { return Head(kMajorNegative); }
  BytesView ByteString() { return String(kMajorBytes); }
  std::string_view Text();
  std::uint64_t Array() { return Head(kMajorArray); }
  std::uint64_t Map() { return Head(kMajorMap); }
  bool Bool();
  void Null();
  double Double();

  // Passes over one whole item and returns its bytes.
  BytesView Item();
  // The same of an item of ours that may have items of users inside: it may
  // have kWrappedDepthMax levels.
  BytesView WrappedItem();
  void Skip() { Item(); }

  // Passes over the next item and returns true, if it is the integer `value`,
  // from 0 to 23; else does nothing.
  bool Take(std::uint64_t value) {
    if (next_ == end_ || static_cast<unsigned char>(*next_) != value) {
      return false;
    }
    ++next_;
    return true;
  }

  // Fails unless the next item is exactly this.
  void ExpectArray(std::uint64_t size);
  void ExpectMap(std::uint64_t size);
  void ExpectKey(std::uint64_t key);
  // Fails unless every byte has been read.
  void ExpectEnd();

  // Makes the reader fail, for conditions only the caller can judge.
  void Fail(std::string_view what);

  bool ok() const { return what_.empty(); }
  // OK, or InvalidArgument: "<what> at byte <offset>".
  absl::Status status() const;
  // The offset of the next byte to be read, or of the item that failed.
  std::size_t offset() const {
    return static_cast<std::size_t>(next_ - begin_);
  }
  // The bytes that were read since offset() was `begin`.
  BytesView Since(std::size_t begin) const {
    return BytesView(begin_ + begin, offset() - begin);
  }
  // Whether nothing is left to read, so that a loop until then ends: also true
  // once a read has failed.
  bool AtEnd() const { return next_ == end_; }

  // What is left to read; nothing, once a read has failed.
  BytesView Rest() const {
    return BytesView(next_, static_cast<std::size_t>(end_ - next_));
  }
  // Passes over so many bytes of that, for who has read whole items there.
  void Pass(std::size_t size) { next_ += size; }

 private:
  // The argument of an integer's, an array's or a map's head.
  std::uint64_t Head(unsigned major);
  // These read what takes more than a byte, and say what is wrong.
  std::uint64_t HeadInFull(unsigned major);
  std::uint64_t HeadByToken(unsigned major);
  std::int64_t IntegerInFull();
  BytesView String(unsigned major);
  BytesView ItemInFull(std::size_t depth_max);
  void NullInFull();
  Type PeekSimple() const;
  unsigned Simple(std::uint64_t* bits);
  // Unless a read has failed: fails because of what was read since `begin`.
  void Refuse(std::size_t begin, const char* what, std::uint64_t number);

  const char* begin_;
  const char* next_;
  const char* end_;  // where a read failed, once one has: then nothing is left
  std::string what_;
};

// OK if `item` is exactly one canonical item; InvalidArgument, naming the byte,
// if it is not.
absl::Status Validate(BytesView item);
// The same of an item that will get wrapped: of at most `depth_max` levels,
// which are at most kDepthMax.
absl::Status ValidateWithin(BytesView item, std::size_t depth_max);

// Whether `text` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool IsUtf8(std::string_view text);
// `text` if it is that, else with U+FFFD for each byte that belongs to no
// character: for words of others that have to be recorded.
std::string ToUtf8(std::string_view text);

// The item in CBOR diagnostic notation (RFC 8949 section 8), on one line:
// {"last": "T02", "events": 3, "raw": h'00ff'}. Something that is not canonical
// ends in "<...>" that says why. Never fails, so errors can use it.
std::string Diagnose(BytesView item);

// Shorthands for states and payloads that are one item.
Bytes EncodeInteger(std::int64_t value);
Bytes EncodeText(std::string_view text);
absl::StatusOr<std::int64_t> DecodeInteger(BytesView item);
absl::StatusOr<std::string> DecodeText(BytesView item);

// --- What is short, inline ---------------------------------------------------
//
// Most items are one byte and most texts are short ASCII: that much is judged
// where it is asked for, and everything else by a call.

namespace internal {

inline std::uint64_t BigEndian(std::uint64_t value) {
  return std::endian::native == std::endian::big ? value
                                                 : __builtin_bswap64(value);
}

inline std::uint64_t Load64(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Whether no byte of `text` is above 127.
inline bool IsAscii(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  const char* at = text.data();
  const std::size_t left = text.size();
  if (left >= 8) {
    // The last eight bytes overlap those before.
    const char* const last = at + left - 8;
    std::uint64_t all = Load64(last);
    for (; at < last; at += 8) all |= Load64(at);
    return (all & kHighBits) == 0;
  }
  if (left >= 4) {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::memcpy(&first, at, 4);
    std::memcpy(&last, at + left - 4, 4);
    return ((first | last) & kHighBits) == 0;
  }
  unsigned all = 0;
  for (std::size_t i = 0; i < left; ++i)
    all |= static_cast<unsigned char>(at[i]);
  return all < 0x80;
}

bool IsUtf8InFull(std::string_view text);
absl::Status ValidateInFull(BytesView item, std::size_t depth_max);
absl::StatusOr<std::int64_t> DecodeIntegerInFull(BytesView item);
Bytes EncodeIntegerInFull(std::int64_t value);

// Whether `first` is an integer of one byte, false, true or null.
inline bool IsOneByteItem(unsigned char first) {
  return (first & 0xdfU) < 24 || first - 0xf4U < 3;
}

}  // namespace internal

inline char* StoreHead(char* at, unsigned major, std::uint64_t argument) {
  if (argument < 24) {
    *at = static_cast<char>(major << 5 | argument);
    return at + 1;
  }
  const unsigned log = argument <= 0xff         ? 0
                       : argument <= 0xffff     ? 1
                       : argument <= 0xffffffff ? 2
                                                : 3;
  const unsigned size = 1U << log;
  *at = static_cast<char>(major << 5 | (24 + log));
  const std::uint64_t bytes = internal::BigEndian(argument << (64 - 8 * size));
  std::memcpy(at + 1, &bytes, sizeof bytes);
  return at + 1 + size;
}

inline void Encoder::Head(unsigned major, std::uint64_t argument) {
  if (argument < 24) {
    out_->push_back(static_cast<char>(major << 5 | argument));
    return;
  }
  char head[kHeadBytesMax];
  out_->append(
      head, static_cast<std::size_t>(StoreHead(head, major, argument) - head));
}

inline void Encoder::Integer(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  Head(value >= 0 ? kMajorUnsigned : kMajorNegative, value >= 0 ? bits : ~bits);
}

inline std::uint64_t Reader::Head(unsigned major) {
  if (next_ == end_) return HeadInFull(major);
  const unsigned info = static_cast<unsigned char>(*next_) ^ major << 5;
  if (info >= 24) return HeadInFull(major);
  // Every item takes a byte, so a larger count cannot be true.
  const std::size_t least = major == kMajorArray ? info
                            : major == kMajorMap ? 2 * info
                                                 : 0;
  if (least >= static_cast<std::size_t>(end_ - next_)) return HeadInFull(major);
  ++next_;
  return info;
}

inline std::int64_t Reader::Integer() {
  if (next_ != end_) {
    const auto first = static_cast<unsigned char>(*next_);
    const std::int64_t low = first & 0x1f;
    if ((first & 0xdfU) < 24) {
      ++next_;
      return first < 0x20 ? low : -1 - low;
    }
  }
  return IntegerInFull();
}

inline std::string_view Reader::Text() {
  if (next_ != end_) {
    const std::size_t size = static_cast<unsigned char>(*next_) ^ 0x60U;
    if (size < 24 && size < static_cast<std::size_t>(end_ - next_)) {
      const std::string_view text(next_ + 1, size);
      if (internal::IsAscii(text)) {
        next_ += 1 + size;
        return text;
      }
    }
  }
  return String(kMajorText);
}

inline BytesView Reader::Item() {
  if (next_ != end_ &&
      internal::IsOneByteItem(static_cast<unsigned char>(*next_))) {
    return BytesView(next_++, 1);
  }
  return ItemInFull(kDepthMax);
}

inline BytesView Reader::WrappedItem() { return ItemInFull(kWrappedDepthMax); }

inline Type Reader::Peek() const {
  if (next_ == end_) return Type::kEnd;
  const auto first = static_cast<unsigned char>(*next_);
  return first < kMajorTag << 5 ? static_cast<Type>(first >> 5) : PeekSimple();
}

inline void Reader::Null() {
  if (next_ != end_ && *next_ == '\xf6') {
    ++next_;
  } else {
    NullInFull();
  }
}

inline void Reader::ExpectArray(std::uint64_t size) {
  const std::size_t begin = offset();
  if (Array() != size) Refuse(begin, "an array of another size than ", size);
}

inline void Reader::ExpectMap(std::uint64_t size) {
  const std::size_t begin = offset();
  if (Map() != size) Refuse(begin, "a map of another size than ", size);
}

inline void Reader::ExpectKey(std::uint64_t key) {
  if (key < 24 && Take(key)) return;
  const std::size_t begin = offset();
  if (Unsigned() != key) Refuse(begin, "another key than ", key);
}

inline void Reader::ExpectEnd() {
  if (next_ != end_) Fail("something after the end");
}

inline bool IsUtf8(std::string_view text) {
  return internal::IsAscii(text) || internal::IsUtf8InFull(text);
}

inline absl::Status Validate(BytesView item) {
  if (item.size() == 1 &&
      internal::IsOneByteItem(static_cast<unsigned char>(item[0]))) {
    return absl::OkStatus();
  }
  return internal::ValidateInFull(item, kDepthMax);
}

inline absl::Status ValidateWithin(BytesView item, std::size_t depth_max) {
  return internal::ValidateInFull(item, depth_max);
}

inline Bytes EncodeInteger(std::int64_t value) {
  if (value < 0 || value >= 24) return internal::EncodeIntegerInFull(value);
  return Bytes(1, static_cast<char>(value));
}

inline absl::StatusOr<std::int64_t> DecodeInteger(BytesView item) {
  if (item.size() == 1) {
    const auto first = static_cast<unsigned char>(item[0]);
    const std::int64_t low = first & 0x1f;
    if ((first & 0xdfU) < 24) return first < 0x20 ? low : -1 - low;
  }
  return internal::DecodeIntegerInFull(item);
}

}  // namespace reenact::cbor

#endif  // REENACT_KERNEL_CBOR_CBOR_H_
