// Cells found by reducer and key, in tables that live in memory. What such a
// table says never depends on the hash, and no hash is stored.

#ifndef REENACT_JOURNAL_CELL_HASH_H_
#define REENACT_JOURNAL_CELL_HASH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "reenact/kernel/bytes.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// Compares in the order of scans.
using CellName = std::pair<ReducerId, std::string_view>;

// Multiplications over eight bytes at a time: a fifth of what absl::Hash takes
// for keys of this length.
inline std::uint64_t MixCellHash(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product =
      static_cast<Wide>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xe7037ed1a0b428db);
  return static_cast<std::uint64_t>(product) ^
         static_cast<std::uint64_t>(product >> 64);
}

inline std::size_t HashCellName(const CellName& name) {
  const auto word = [](const char* at, std::size_t size) {
    std::uint64_t value = 0;
    std::memcpy(&value, at, size);
    return value;
  };
  const char* at = name.second.data();
  std::size_t left = name.second.size();
  std::uint64_t hash = MixCellHash(name.first, left);
  for (; left > 8; at += 8, left -= 8) hash = MixCellHash(hash, word(at, 8));
  if (name.second.size() >= 8) {
    hash = MixCellHash(hash, word(at + left - 8, 8));
  } else {
    hash = MixCellHash(hash, left == 0 ? 0 : word(at, left));
  }
  return static_cast<std::size_t>(hash);
}

// Most states keep their size, and then nothing but their bytes changes.
inline void AssignState(BytesView state, Bytes* to) {
  if (to->size() == state.size()) {
    state.copy(to->data(), state.size());
  } else {
    to->assign(state);
  }
}

}  // namespace reenact

#endif  // REENACT_JOURNAL_CELL_HASH_H_
