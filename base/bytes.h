#ifndef REENACT_BASE_BYTES_H_
#define REENACT_BASE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace reenact {

// Bytes that somebody owns, and a look at bytes that somebody else owns.
//
// std::string, not std::vector: most states and keys fit into its inline
// buffer, and RocksDB and Abseil speak it. A char is a byte here, not a letter.
using Bytes = std::string;
using BytesView = std::string_view;

namespace internal {

// Whether the first and the last Word of two strings of `size` bytes, which may
// overlap and are all there is, are the same.
template <typename Word>
bool SameEnds(const char* a, const char* b, std::size_t size) {
  const std::size_t last = size - sizeof(Word);
  Word a_first, a_last, b_first, b_last;
  std::memcpy(&a_first, a, sizeof(Word));
  std::memcpy(&b_first, b, sizeof(Word));
  std::memcpy(&a_last, a + last, sizeof(Word));
  std::memcpy(&b_last, b + last, sizeof(Word));
  return ((a_first ^ b_first) | (a_last ^ b_last)) == 0;
}

}  // namespace internal

// The bytes as libsodium takes them.
inline const unsigned char* UnsignedData(BytesView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// a == b, without a call for strings as short as names and keys are.
inline bool SameBytes(BytesView a, BytesView b) {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  if (size > 16) return std::memcmp(a.data(), b.data(), size) == 0;
  if (size >= 8) {
    return internal::SameEnds<std::uint64_t>(a.data(), b.data(), size);
  }
  if (size >= 4) {
    return internal::SameEnds<std::uint32_t>(a.data(), b.data(), size);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

}  // namespace reenact

#endif  // REENACT_BASE_BYTES_H_
