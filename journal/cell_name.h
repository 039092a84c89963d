// Cells by reducer and key, in tables that live in memory.

#ifndef REENACT_JOURNAL_CELL_NAME_H_
#define REENACT_JOURNAL_CELL_NAME_H_

#include <cstddef>
#include <string_view>
#include <utility>

#include "reenact/base/bytes.h"
#include "reenact/kernel/cell_hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// Compares in the order of scans.
using CellName = std::pair<ReducerId, std::string_view>;

inline std::size_t HashCellName(const CellName& name) {
  return CellHash(name.first, name.second);
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

#endif  // REENACT_JOURNAL_CELL_NAME_H_
