#include "reenact/journal/memory_store.h"

#include <atomic>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "reenact/kernel/check.h"
#include "reenact/kernel/mutex.h"

namespace reenact {
namespace {

using CellKey = std::pair<ReducerId, std::string>;
using CellKeyView = std::pair<ReducerId, std::string_view>;

struct CellKeyLess {
  using is_transparent = void;
  static CellKeyView View(const CellKey& key) {
    return {key.first, key.second};
  }
  static CellKeyView View(const CellKeyView& key) { return key; }
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return View(a) < View(b);
  }
};

// The cells, and how many views look at them. Whoever would change them while
// there is one makes a copy first.
//
// Not shared_ptr::use_count(): it orders nothing, so the last reads of a view
// that went away on another thread could overlap with the change.
struct Cells {
  absl::btree_map<CellKey, StoredCell, CellKeyLess> map;
  std::atomic<std::uint64_t> views{0};
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
    for (auto it = cells_->map.lower_bound(CellKeyView(reducer, from));
         it != cells_->map.end() && it->first.first == reducer; ++it) {
      if (!to.empty() && it->first.second >= to) break;
      const absl::Status status = Show(*it, visit);
      if (absl::IsCancelled(status)) break;
      REENACT_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

  absl::Status ScanAll(const Visit& visit) const override {
    for (const auto& cell : cells_->map) {
      const absl::Status status = Show(cell, visit);
      if (absl::IsCancelled(status)) break;
      REENACT_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Show(const std::pair<const CellKey, StoredCell>& cell,
                           const Visit& visit) {
    return visit(cell.first.first, cell.first.second, cell.second.version,
                 cell.second.state);
  }

  const std::shared_ptr<Cells> cells_;
};

class MemoryStore final : public Store {
 public:
  absl::Status Commit(const CommitGroup& group, bool) override {
    MutexLock lock(&mutex_);
    REENACT_RETURN_IF_ERROR(CheckOpen());
    REENACT_CHECK(group.blocks.empty() ? group.first_index <= blocks_.size()
                                       : group.first_index == blocks_.size());
    blocks_.insert(blocks_.end(), group.blocks.begin(), group.blocks.end());
    cells_through_ = group.first_index + group.blocks.size();
    for (const CellBatch* batch : group.cells) Apply(*batch);
    if (!group.open_work.empty()) open_work_ = group.open_work;
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
    const auto it = cells_->map.find(CellKeyView(reducer, key));
    if (it == cells_->map.end()) return std::optional<StoredCell>();
    return std::optional<StoredCell>(it->second);
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
            {"cells.count.estimate", cells_->map.size()}};
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
      auto copy = std::make_shared<Cells>();
      copy->map = cells_->map;
      cells_ = std::move(copy);
    }
    return *cells_;
  }

  void Apply(const CellBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (batch.empty()) return;
    Cells& cells = OwnCells();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const CellBatch::Row row = batch[i];
      const CellKeyView key(row.reducer, row.key);
      const auto it = cells.map.lower_bound(key);
      const bool found =
          it != cells.map.end() && CellKeyLess::View(it->first) == key;
      if (!row.state.has_value()) {
        if (found) cells.map.erase(it);
      } else if (found) {
        it->second.version = row.version;
        it->second.state.assign(*row.state);
      } else {
        cells.map.emplace_hint(it, CellKey(row.reducer, row.key),
                               StoredCell{row.version, Bytes(*row.state)});
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
