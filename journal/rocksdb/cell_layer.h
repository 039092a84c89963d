// Cells that changed lately, over those in a database's files.

#ifndef REENACT_JOURNAL_ROCKSDB_CELL_LAYER_H_
#define REENACT_JOURNAL_ROCKSDB_CELL_LAYER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/hash_table.h"
#include "reenact/journal/cell_name.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// The newest state of each cell that changed within some run of blocks, or that
// it ceased to exist. Filled by one thread; frozen once anybody else has it.
//
// Thread safety: while it is filled, none; then any thread.
class CellLayer {
 public:
  struct Change {
    EventId version;
    bool exists = false;
    Bytes state;
  };
  using Table = HashMap<CellName, Change, std::size_t (*)(const CellName&)>;
  using Cell = Table::value_type;

  CellLayer() : table_(0, &HashCellName) {}
  CellLayer(const CellLayer&) = delete;
  CellLayer& operator=(const CellLayer&) = delete;

  void Set(const CellBatch::Row& row);

  // The change, or null: this layer does not know the cell.
  const Change* Find(const CellName& name) const {
    const auto it = table_.find(name);
    return it == table_.end() ? nullptr : &it->second;
  }
  std::size_t size() const { return table_.size(); }
  // Memory, about.
  std::size_t byte_size() const { return bytes_; }
  // All of it, ascending. Sorted when it is first asked for.
  const std::vector<const Cell*>& Sorted() const;

 private:
  std::string_view Keep(std::string_view key);

  Table table_;  // its keys are in chunks_
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t chunk_left_ = 0;
  std::size_t bytes_ = 0;
  mutable std::once_flag sorted_once_;
  mutable std::vector<const Cell*> sorted_;
};

// Oldest first.
using CellLayers = std::vector<std::shared_ptr<const CellLayer>>;

// Goes through what several layers say together, ascending; the newest wins.
//
// Thread safety: none; the layers must be frozen.
class CellLayersCursor {
 public:
  // From the first cell that is not before `from`.
  CellLayersCursor(const CellLayers& layers, const CellName& from);

  bool Valid() const { return current_ != nullptr; }
  const CellName& name() const { return current_->first; }
  const CellLayer::Change& change() const { return current_->second; }
  void Next();

 private:
  struct Range {
    const CellLayer::Cell* const* next;
    const CellLayer::Cell* const* end;
  };
  void Settle();

  std::vector<Range> ranges_;  // newest first
  const CellLayer::Cell* current_ = nullptr;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_ROCKSDB_CELL_LAYER_H_
