// The hash by which tables in memory find a cell. Computed once for a unit of
// work, and handed on with it from the sequencer to the workers.

#ifndef REENACT_KERNEL_CELL_HASH_H_
#define REENACT_KERNEL_CELL_HASH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "reenact/kernel/ids.h"

namespace reenact {
namespace internal {

__extension__ using HashProduct = unsigned __int128;

// Both halves of the product, folded: every bit of the factors gets to every
// part of the result.
inline std::uint64_t HashFold(std::uint64_t a, std::uint64_t b) {
  const HashProduct product = HashProduct{a} * b;
  return static_cast<std::uint64_t>(product) ^
         static_cast<std::uint64_t>(product >> 64);
}

// In whatever order this machine has its bytes: no hash leaves it.
template <typename Word>
std::uint64_t HashWord(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Odd, with as many ones as zeros, as the construction asks for.
inline constexpr std::uint64_t kHashMarks[3] = {
    0x2d358dccaa6c78a5, 0x8bb84b93962eacc9, 0x4b33a62ed433d4a3};

// Its address is where the loader put it.
[[maybe_unused]] inline constexpr char kHashSalt = 0;

// Keys that collide with each other are those that begin with this, as the
// product with 0 is 0 whatever follows. Nobody outside the process knows it.
// Under the harness everybody does: which cells a table lets go of first
// decides what a run draws, and a replay string is for any process.
inline std::uint64_t HashBlinder() {
#if defined(REENACT_INSTRUMENTED)
  return kHashMarks[1];
#else
  return kHashMarks[1] *
         (reinterpret_cast<std::uintptr_t>(&kHashSalt) ^ kHashMarks[2]);
#endif
}

}  // namespace internal

// A good 64-bit hash of short byte strings. The construction is that of wyhash
// (Wang Yi, public domain, github.com/wangyi-fudan/wyhash): the bytes, in words
// that may overlap, are multiplied with each other and folded.
//
// Differs from one process to the next, but under the harness. Whatever is
// recorded, or decides anything that is, must not depend on it, nor on the
// order that it gives.
inline std::uint64_t HashBytes(std::uint64_t seed, std::string_view bytes) {
  using internal::HashFold;
  using internal::HashWord;
  using internal::kHashMarks;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  const std::uint64_t blinder = internal::HashBlinder();
  seed ^= blinder >> 1;
  for (; left > 16; at += 16, left -= 16) {
    seed = HashFold(HashWord<std::uint64_t>(at) ^ blinder,
                    HashWord<std::uint64_t>(at + 8) ^ seed);
  }
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (left >= 8) {
    a = HashWord<std::uint64_t>(at);
    b = HashWord<std::uint64_t>(at + left - 8);
  } else if (left >= 4) {
    a = HashWord<std::uint32_t>(at);
    b = HashWord<std::uint32_t>(at + left - 4);
  } else if (left > 0) {
    // The first, the middle and the last byte, which are all there are.
    a = HashWord<std::uint8_t>(at) << 16 |
        HashWord<std::uint8_t>(at + left / 2) << 8 |
        HashWord<std::uint8_t>(at + left - 1);
  }
  const std::uint64_t mixed = HashFold(a ^ blinder, b ^ seed);
  return HashFold(mixed ^ kHashMarks[0], bytes.size() ^ kHashMarks[2]);
}

// Of a cell, by (reducer, key).
inline std::uint64_t CellHash(ReducerId reducer, std::string_view key) {
  return HashBytes((std::uint64_t{reducer} + 1) * internal::kHashMarks[0], key);
}

}  // namespace reenact

#endif  // REENACT_KERNEL_CELL_HASH_H_
