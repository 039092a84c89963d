#include "reenact/journal/memory/memory_store.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <iterator>
#include <string>
#include <utility>

#include "absl/container/btree_set.h"
#include "reenact/base/check.h"
#include "reenact/base/mutex.h"
#include "reenact/journal/cell_name.h"
#include "reenact/journal/stored_cells.h"

namespace reenact {
namespace {

using StoredPair = StoredCells::Cell;

// The cells: found by hash, scanned by their order, which is touched only when
// a cell appears or ceases to exist. And how many views look at them: whoever
// would change them while there is one makes a copy first.
//
// Not shared_ptr::use_count(): it orders nothing, so the last reads of a view
// that went away on another thread could overlap with the change.
class Cells {
 public:
  using Order = absl::btree_set<const StoredPair*, StoredCells::ByName>;

  Cells() = default;
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  std::shared_ptr<Cells> Copy() const {
    auto copy = std::make_shared<Cells>();
    copy->table_.Reserve(table_.size());
    for (const StoredPair* cell : order_) {
      StoredPair* const added = copy->table_.Add(StoredCells::NameOf(*cell));
      added->second = cell->second;
      copy->order_.insert(copy->order_.end(), added);
    }
    return copy;
  }

  const StoredCell* Find(const CellName& name) const {
    const StoredPair* const cell = table_.Find(name);
    return cell == nullptr ? nullptr : &cell->second;
  }
  const Order& order() const { return order_; }
  std::size_t size() const { return table_.size(); }

  void Set(const CellName& name, EventId version, BytesView state) {
    StoredPair* cell = table_.Find(name);
    if (cell == nullptr) {
      cell = table_.Add(name);
      order_.insert(cell);
    }
    cell->second.version = version;
    AssignState(state, &cell->second.state);
  }

  void Erase(const CellName& name) {
    const StoredPair* const cell = table_.Find(name);
    if (cell == nullptr) return;
    order_.erase(cell);
    table_.Erase(name);
  }

  std::atomic<std::uint64_t> views{0};

 private:
  StoredCells table_;
  Order order_;
};

class MemoryCellView final : public CellView {
 public:
  explicit MemoryCellView(std::shared_ptr<Cells> cells)
      : cells_(std::move(cells)) {
    cells_->views.fetch_add(1, std::memory_order_relaxed);
  }
  ~MemoryCellView() override {
    cells_->views.fetch_sub(1, std::memory_order_release);
  }
  MemoryCellView(const MemoryCellView&) = delete;
  MemoryCellView& operator=(const MemoryCellView&) = delete;

  absl::Status Scan(ReducerId reducer, std::string_view from,
                    std::string_view to, const Visit& visit) const override {
    const Cells::Order& order = cells_->order();
    for (auto it = order.lower_bound(CellName(reducer, from));
         it != order.end() && (*it)->first.first == reducer; ++it) {
      if (!to.empty() && (*it)->first.second >= to) break;
      const absl::Status status = Show(**it, visit);
      if (absl::IsCancelled(status)) break;
      REENACT_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

  absl::Status ScanAll(const Visit& visit) const override {
    for (const StoredPair* cell : cells_->order()) {
      const absl::Status status = Show(*cell, visit);
      if (absl::IsCancelled(status)) break;
      REENACT_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Show(const StoredPair& cell, const Visit& visit) {
    return visit(cell.first.first, cell.first.second, cell.second.version,
                 cell.second.state);
  }

  const std::shared_ptr<Cells> cells_;
};

class MemoryStore final : public Store {
 public:
  absl::Status Commit(const CommitGroup& group, bool) override {
    MutexLock lock(&mutex_);
    REENACT_RETURN_IF_ERROR(Apply(group));
    blocks_.insert(blocks_.end(), group.blocks.begin(), group.blocks.end());
    return absl::OkStatus();
  }

  absl::Status CommitAndTake(CommitGroup* group, bool) override {
    MutexLock lock(&mutex_);
    REENACT_RETURN_IF_ERROR(Apply(*group));
    std::move(group->blocks.begin(), group->blocks.end(),
              std::back_inserter(blocks_));
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    MutexLock lock(&mutex_);
    return CheckOpen();
  }

  std::uint64_t block_count() const override {
    MutexLock lock(&mutex_);
    return blocks_.size();
  }

  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    MutexLock lock(&mutex_);
    REENACT_RETURN_IF_ERROR(CheckOpen());
    if (index >= blocks_.size()) {
      return absl::OutOfRangeError("block " + std::to_string(index) +
                                   ": there are only " +
                                   std::to_string(blocks_.size()));
    }
    return blocks_[index];
  }

  absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t index, BytesView stored)>&
          visit) const override {
    // One at a time: `visit` may take long, or come back to this store.
    const std::uint64_t count = block_count();
    for (std::uint64_t index = from; index < count; ++index) {
      REENACT_ASSIGN_OR_RETURN(const Bytes stored, ReadBlock(index));
      REENACT_RETURN_IF_ERROR(visit(index, stored));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Bytes> ReadOpenWork() const override {
    MutexLock lock(&mutex_);
    return open_work_;
  }

  std::uint64_t cells_through() const override {
    MutexLock lock(&mutex_);
    return cells_through_;
  }

  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const override {
    MutexLock lock(&mutex_);
    REENACT_RETURN_IF_ERROR(CheckOpen());
    const StoredCell* cell = cells_->Find(CellName(reducer, key));
    if (cell == nullptr) return std::optional<StoredCell>();
    return std::optional<StoredCell>(*cell);
  }

  std::unique_ptr<CellView> View() const override {
    MutexLock lock(&mutex_);
    return std::make_unique<MemoryCellView>(cells_);
  }

  absl::Status ClearCells() override {
    MutexLock lock(&mutex_);
    REENACT_RETURN_IF_ERROR(CheckOpen());
    cells_ = std::make_shared<Cells>();
    cells_through_ = 0;
    return absl::OkStatus();
  }

  absl::Status CutBlocks(std::uint64_t count) override {
    MutexLock lock(&mutex_);
    REENACT_RETURN_IF_ERROR(CheckOpen());
    if (count < blocks_.size()) blocks_.resize(count);
    return absl::OkStatus();
  }

  std::vector<std::pair<std::string, std::uint64_t>> Stats() const override {
    MutexLock lock(&mutex_);
    std::uint64_t block_bytes = 0;
    for (const Bytes& block : blocks_) block_bytes += block.size();
    return {{"blocks.count", blocks_.size()},
            {"blocks.bytes", block_bytes},
            {"cells.count.estimate", cells_->size()}};
  }

  absl::Status Close() override {
    MutexLock lock(&mutex_);
    closed_ = true;
    return absl::OkStatus();
  }

 private:
  absl::Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!closed_) return absl::OkStatus();
    return absl::FailedPreconditionError("the store is closed");
  }

  // The cells, fit to be changed: no view looks at them.
  Cells& OwnCells() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (cells_->views.load(std::memory_order_acquire) > 0) {
      cells_ = cells_->Copy();
    }
    return *cells_;
  }

  // All of the group but the blocks themselves, which follow.
  absl::Status Apply(const CommitGroup& group)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    REENACT_RETURN_IF_ERROR(CheckOpen());
    REENACT_CHECK(group.blocks.empty() ? group.first_index <= blocks_.size()
                                       : group.first_index == blocks_.size());
    cells_through_ = group.first_index + group.blocks.size();
    for (const CellBatch* batch : group.cells) Apply(*batch);
    if (!group.open_work.empty()) open_work_ = group.open_work;
    return absl::OkStatus();
  }

  void Apply(const CellBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (batch.empty()) return;
    Cells& cells = OwnCells();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const CellBatch::Row row = batch[i];
      const CellName key(row.reducer, row.key);
      if (row.state.has_value()) {
        cells.Set(key, row.version, *row.state);
      } else {
        cells.Erase(key);
      }
    }
  }

  mutable Mutex mutex_;
  std::deque<Bytes> blocks_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Cells> cells_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<Cells>();
  std::uint64_t cells_through_ ABSL_GUARDED_BY(mutex_) = 0;
  Bytes open_work_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

std::unique_ptr<Store> NewMemoryStore() {
  return std::make_unique<MemoryStore>();
}

}  // namespace reenact
