// Cells by name, in memory.

#ifndef REENACT_JOURNAL_STORED_CELLS_H_
#define REENACT_JOURNAL_STORED_CELLS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "reenact/base/hash_table.h"
#include "reenact/journal/cell_name.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// Cells found by hash, each of which stays where it is in memory. An order is
// its user's affair.
//
// Not absl::node_hash_map: see HashSet about memory that runs out.
//
// Thread safety: none.
class StoredCells {
 public:
  using Key = std::pair<ReducerId, std::string>;
  using Cell = std::pair<const Key, StoredCell>;

  static CellName NameOf(const Cell& cell) {
    return {cell.first.first, cell.first.second};
  }

  // Orders cells by name, and finds them by it: for those who keep an order.
  struct ByName {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return ViewOf(a) < ViewOf(b);
    }
  };

  // Null: there is none. Asked for each cell that changes.
  ABSL_ATTRIBUTE_ALWAYS_INLINE Cell* Find(const CellName& name) const {
    const auto it = cells_.find(name);
    return it == cells_.end() ? nullptr : it->get();
  }
  // `name` has no cell.
  Cell* Add(const CellName& name);
  void Erase(const CellName& name) { cells_.erase(name); }
  void Clear() { cells_.clear(); }
  void Reserve(std::size_t count) { cells_.reserve(count); }
  std::size_t size() const { return cells_.size(); }

  // In no order.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& cell : cells_) visit(*cell);
  }

 private:
  using Slot = std::unique_ptr<Cell>;
  static CellName ViewOf(const CellName& name) { return name; }
  static CellName ViewOf(const Cell* cell) { return NameOf(*cell); }
  static CellName ViewOf(const Slot& slot) { return NameOf(*slot); }
  struct Hash {
    using is_transparent = void;
    template <typename Key>
    std::size_t operator()(const Key& key) const {
      return HashCellName(ViewOf(key));
    }
  };
  struct Equal {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return ViewOf(a) == ViewOf(b);
    }
  };

  HashSet<Slot, Hash, Equal> cells_;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_STORED_CELLS_H_
