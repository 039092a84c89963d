#include "reenact/journal/stored_cells.h"

#include <tuple>

namespace reenact {

StoredCells::Cell* StoredCells::Add(const CellName& name) {
  auto cell = std::make_unique<Cell>(
      std::piecewise_construct, std::forward_as_tuple(name.first, name.second),
      std::tuple<>());
  return cells_.insert(std::move(cell)).first->get();
}

}  // namespace reenact
