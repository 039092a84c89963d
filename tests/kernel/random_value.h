// Values out of choices: every list of bytes stands for one value, so a
// property that fails can be made smaller by shortening the list.

#ifndef REENACT_TESTS_KERNEL_RANDOM_VALUE_H_
#define REENACT_TESTS_KERNEL_RANDOM_VALUE_H_

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/rng.h"

namespace reenact {

class Choices {
 public:
  explicit Choices(std::vector<std::uint8_t> bytes)
      : bytes_(std::move(bytes)) {}

  // `count` of them drawn from `seed`.
  static Choices Random(std::uint64_t seed, std::size_t count) {
    Rng rng(Seed{seed});
    std::vector<std::uint8_t> bytes(count);
    for (std::uint8_t& byte : bytes) {
      byte = static_cast<std::uint8_t>(rng.Below(256));
    }
    return Choices(std::move(bytes));
  }

  bool done() const { return next_ == bytes_.size(); }

  // One of `count`; the first once all choices are used up.
  unsigned Of(unsigned count) { return done() ? 0 : bytes_[next_++] % count; }

  // Up to 64 bits, few of them as likely as many.
  std::uint64_t Number() {
    std::uint64_t number = 0;
    for (unsigned size = Of(9); size > 0; --size)
      number = number << 8 | Of(256);
    return number;
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t next_ = 0;
};

inline std::string RandomText(Choices& choices) {
  static constexpr const char* kPieces[] = {
      "a",          "b",
      "key",        "\"",
      "\\",         "\n",
      "\x01",       "\x7f",
      "\u0080",     "\u00fc",
      "\u6c34",     "\U0001f600",
      "\U0010ffff", "twenty-three characters"};
  std::string text;
  for (unsigned size = choices.Of(6); size > 0; --size) {
    text += kPieces[choices.Of(std::size(kPieces))];
  }
  return text;
}

inline Bytes RandomBytes(Choices& choices) {
  Bytes bytes;
  for (unsigned size = choices.Of(40); size > 0; --size) {
    bytes.push_back(static_cast<char>(choices.Of(256)));
  }
  return bytes;
}

// A double of any kind: small, whole, of few bits, or any bits at all.
inline double RandomDouble(Choices& choices) {
  const std::uint64_t bits = choices.Number();
  switch (choices.Of(4)) {
    case 0:
      return static_cast<double>(bits & 0xff) / 8;
    case 1:
      return static_cast<double>(static_cast<std::int64_t>(bits));
    case 2:
      return std::bit_cast<double>(bits << 42);
    default:
      return std::bit_cast<double>(bits);
  }
}

inline cbor::Value RandomScalar(Choices& choices) {
  const std::uint64_t number = choices.Number();
  switch (choices.Of(7)) {
    case 0:
      return cbor::Value();
    case 1:
      return number % 2 == 0;
    case 2:
      return number;
    case 3:
      return static_cast<std::int64_t>(number);
    case 4:
      return RandomDouble(choices);
    case 5:
      return RandomText(choices);
    default:
      return cbor::Value::ByteString(RandomBytes(choices));
  }
}

// At most `depth` levels.
inline cbor::Value RandomValue(Choices& choices, int depth = 5) {
  const unsigned kind = depth == 0 ? 0 : choices.Of(4);
  if (kind < 2) return RandomScalar(choices);
  const bool map = kind == 2;
  cbor::Value value = map ? cbor::Value::Map() : cbor::Value::Array();
  for (unsigned size = choices.Of(8); size > 0 && !choices.done(); --size) {
    if (map) {
      // Arrays and maps may be keys too.
      cbor::Value key =
          RandomValue(choices, choices.Of(8) == 7 ? depth - 1 : 0);
      value.Set(std::move(key), RandomValue(choices, depth - 1));
    } else {
      value.Append(RandomValue(choices, depth - 1));
    }
  }
  return value;
}

}  // namespace reenact

#endif  // REENACT_TESTS_KERNEL_RANDOM_VALUE_H_
