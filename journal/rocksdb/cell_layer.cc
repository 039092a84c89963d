#include "reenact/journal/rocksdb/cell_layer.h"

#include <algorithm>
#include <cstring>

namespace reenact {
namespace {

constexpr std::size_t kChunkBytes = 64 << 10;
// A slot of the table, at its usual load.
constexpr std::size_t kSlotBytes = sizeof(CellLayer::Cell) * 8 / 5;

}  // namespace

void CellLayer::Set(const CellBatch::Row& row) {
  const CellName name(row.reducer, row.key);
  auto it = table_.find(name);
  if (it == table_.end()) {
    it = table_.try_emplace(CellName(row.reducer, Keep(row.key))).first;
    bytes_ += kSlotBytes + row.key.size();
  }
  Change& change = it->second;
  change.version = row.version;
  change.exists = row.state.has_value();
  const std::size_t before = change.state.capacity();
  AssignState(row.state.value_or(BytesView()), &change.state);
  bytes_ += change.state.capacity() - before;
}

// A copy of the key that lives as long as the layer.
std::string_view CellLayer::Keep(std::string_view key) {
  if (key.empty()) return {};
  if (key.size() > chunk_left_) {
    chunk_left_ = std::max(kChunkBytes, key.size());
    chunks_.emplace_back(new char[chunk_left_]);
  }
  // The chunk is used from its end.
  chunk_left_ -= key.size();
  char* const kept = chunks_.back().get() + chunk_left_;
  std::memcpy(kept, key.data(), key.size());
  return std::string_view(kept, key.size());
}

const std::vector<const CellLayer::Cell*>& CellLayer::Sorted() const {
  std::call_once(sorted_once_, [this] {
    sorted_.reserve(table_.size());
    for (const Cell& cell : table_) sorted_.push_back(&cell);
    std::sort(sorted_.begin(), sorted_.end(),
              [](const Cell* a, const Cell* b) { return a->first < b->first; });
  });
  return sorted_;
}

CellLayersCursor::CellLayersCursor(const CellLayers& layers,
                                   const CellName& from) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const auto& cells = (*layer)->Sorted();
    const auto first =
        std::lower_bound(cells.begin(), cells.end(), from,
                         [](const CellLayer::Cell* cell, const CellName& name) {
                           return cell->first < name;
                         });
    if (first == cells.end()) continue;
    ranges_.push_back(Range{cells.data() + (first - cells.begin()),
                            cells.data() + cells.size()});
  }
  Settle();
}

void CellLayersCursor::Next() {
  const CellName name = current_->first;
  for (Range& range : ranges_) {
    if (range.next != range.end && (*range.next)->first == name) ++range.next;
  }
  Settle();
}

void CellLayersCursor::Settle() {
  current_ = nullptr;
  for (const Range& range : ranges_) {
    if (range.next == range.end) continue;
    if (current_ == nullptr || (*range.next)->first < current_->first) {
      current_ = *range.next;
    }
  }
}

}  // namespace reenact
