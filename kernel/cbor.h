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
//   - at most kDepthMax levels of nesting.
// A reader refuses everything else at the first byte that is wrong, so that
// equal values have equal bytes and decode followed by encode is the identity.
//
// Encoder appends items. Reader pulls them. cbor_value.h has a tree for those
// who would rather hold one.

#ifndef REENACT_KERNEL_CBOR_H_
#define REENACT_KERNEL_CBOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "reenact/kernel/bytes.h"
#include "reenact/kernel/status.h"

namespace reenact::cbor {

inline constexpr std::size_t kDepthMax = 64;

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

  void Unsigned(std::uint64_t value) { Head(0, value); }
  void Integer(std::int64_t value);
  // The negative integer -1 - `n`, which may lie below the range of int64_t.
  void Negative(std::uint64_t n) { Head(1, n); }
  void ByteString(BytesView bytes);
  void Text(std::string_view text);  // REQUIRES: valid UTF-8
  void Array(std::uint64_t size) { Head(4, size); }
  void Map(std::uint64_t size) { Head(5, size); }
  void Bool(bool value) { out_->push_back(value ? '\xf5' : '\xf4'); }
  void Null() { out_->push_back('\xf6'); }
  void Double(double value);
  // Appends items that are canonical already.
  void Raw(BytesView items) { out_->append(items); }

 private:
  void Head(unsigned major, std::uint64_t argument);

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
  explicit Reader(BytesView bytes) : bytes_(bytes) {}

  Type Peek() const;

  std::uint64_t Unsigned();
  // Fails for integers that int64_t cannot hold.
  std::int64_t Integer();
  // n of the negative integer -1 - n.
  std::uint64_t Negative();
  BytesView ByteString();
  std::string_view Text();
  std::uint64_t Array();
  std::uint64_t Map();
  bool Bool();
  void Null();
  double Double();

  // Passes over one whole item and returns its bytes.
  BytesView Item();
  void Skip() { Item(); }

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
  std::size_t offset() const { return offset_; }
  // The bytes that were read since offset() was `begin`.
  BytesView Since(std::size_t begin) const {
    return bytes_.substr(begin, offset_ - begin);
  }
  // Whether nothing is left to read, so that a loop until then ends: also true
  // once a read has failed.
  bool AtEnd() const { return !ok() || offset_ == bytes_.size(); }

 private:
  std::uint64_t Head(unsigned major);
  BytesView String(unsigned major);
  unsigned Simple(std::uint64_t* bits);

  BytesView bytes_;
  std::size_t offset_ = 0;
  std::string what_;
};

// OK if `item` is exactly one canonical item; InvalidArgument, naming the byte,
// if it is not.
absl::Status Validate(BytesView item);

// Whether `text` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool IsUtf8(std::string_view text);

// The item in CBOR diagnostic notation (RFC 8949 section 8), on one line:
// {"last": "T02", "events": 3, "raw": h'00ff'}. Something that is not canonical
// ends in "<...>" that says why. Never fails, so errors can use it.
std::string Diagnose(BytesView item);

// Shorthands for states and payloads that are one item.
Bytes EncodeInteger(std::int64_t value);
Bytes EncodeText(std::string_view text);
absl::StatusOr<std::int64_t> DecodeInteger(BytesView item);
absl::StatusOr<std::string> DecodeText(BytesView item);

}  // namespace reenact::cbor

#endif  // REENACT_KERNEL_CBOR_H_
