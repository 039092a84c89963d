#include "reenact/journal/memory/replay_cells.h"

#include <algorithm>

#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cell_hash.h"

namespace reenact {

// Copies what it is asked for before it shows it, so that the visitor may take
// its time.
class ReplayCells::CellsView final : public CellView {
 public:
  using Copies = std::vector<std::pair<StoredCells::Key, StoredCell>>;

  explicit CellsView(const ReplayCells* cells) : cells_(cells) {}

  absl::Status Scan(ReducerId reducer, std::string_view from,
                    std::string_view to, const Visit& visit) const override {
    Copies found;
    {
      MutexLock lock(&cells_->mutex_);
      cells_->KeepOrder();
      for (auto it = cells_->order_.lower_bound(CellName(reducer, from));
           it != cells_->order_.end() && (*it)->first.first == reducer; ++it) {
        if (!to.empty() && (*it)->first.second >= to) break;
        found.emplace_back(**it);
      }
    }
    return Show(found, visit);
  }

  absl::Status ScanAll(const Visit& visit) const override {
    Copies found;
    {
      MutexLock lock(&cells_->mutex_);
      cells_->KeepOrder();
      for (const Cell cell : cells_->order_) found.emplace_back(*cell);
    }
    return Show(found, visit);
  }

 private:
  static absl::Status Show(const Copies& cells, const Visit& visit) {
    for (const auto& [key, cell] : cells) {
      const absl::Status status =
          visit(key.first, key.second, cell.version, cell.state);
      if (absl::IsCancelled(status)) break;
      REENACT_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

  const ReplayCells* const cells_;
};

// The same without copies, for a digest of all: holds everybody else up.
class ReplayCells::InOrder final : public CellView {
 public:
  InOrder(const ReplayCells* cells, bool keep) : cells_(cells), keep_(keep) {}

  absl::Status Scan(ReducerId reducer, std::string_view from,
                    std::string_view to, const Visit& visit) const override {
    return cells_->View()->Scan(reducer, from, to, visit);
  }
  absl::Status ScanAll(const Visit& visit) const override {
    MutexLock lock(&cells_->mutex_);
    if (keep_) cells_->KeepOrder();
    if (cells_->ordered_) return ShowAll(cells_->order_, visit);
    return ShowAll(cells_->Sorted(), visit);
  }

 private:
  template <typename Cells>
  static absl::Status ShowAll(const Cells& cells, const Visit& visit) {
    for (const Cell cell : cells) {
      REENACT_RETURN_IF_ERROR(visit(cell->first.first, cell->first.second,
                                    cell->second.version, cell->second.state));
    }
    return absl::OkStatus();
  }

  const ReplayCells* const cells_;
  const bool keep_;
};

void ReplayCells::Apply(const CellBatch& batch) {
  MutexLock lock(&mutex_);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const CellBatch::Row row = batch[i];
    const CellName name(row.reducer, row.key);
    if (row.state.has_value()) {
      PutLocked(name, row.version, *row.state);
      continue;
    }
    const Cell cell = cells_.Find(name);
    if (cell == nullptr) continue;
    if (ordered_) order_.erase(cell);
    cells_.Erase(name);
  }
}

void ReplayCells::Put(ReducerId reducer, std::string_view key, EventId version,
                      BytesView state) {
  MutexLock lock(&mutex_);
  PutLocked({reducer, key}, version, state);
}

void ReplayCells::PutLocked(const CellName& name, EventId version,
                            BytesView state) {
  StoredCells::Cell* cell = cells_.Find(name);
  if (cell == nullptr) {
    cell = cells_.Add(name);
    if (ordered_) order_.insert(cell);
  }
  cell->second.version = version;
  cell->second.state.assign(state);
}

struct ReplayCells::Sortable {
  explicit Sortable(Cell of) : cell(of), reducer(of->first.first) {
    const std::string& key = of->first.second;
    for (std::size_t i = 0; i < sizeof begin; ++i) {
      begin = begin << 8 |
              (i < key.size() ? static_cast<unsigned char>(key[i]) : 0U);
    }
  }

  // Where the beginnings are equal, one of two keys may be the shorter one.
  friend bool operator<(const Sortable& a, const Sortable& b) {
    if (a.reducer != b.reducer) return a.reducer < b.reducer;
    if (a.begin != b.begin) return a.begin < b.begin;
    return a.cell->first.second < b.cell->first.second;
  }

  Cell cell;
  std::uint64_t begin = 0;
  ReducerId reducer;
};

std::vector<ReplayCells::Cell> ReplayCells::Sorted() const {
  std::vector<Sortable> sortable;
  sortable.reserve(cells_.size());
  cells_.ForEach([&sortable](const StoredCells::Cell& cell) {
    sortable.emplace_back(&cell);
  });
  std::sort(sortable.begin(), sortable.end());
  std::vector<Cell> cells;
  cells.reserve(sortable.size());
  for (const Sortable& each : sortable) cells.push_back(each.cell);
  return cells;
}

void ReplayCells::KeepOrder() const {
  if (ordered_) return;
  ordered_ = true;
  for (const Cell cell : Sorted()) order_.insert(order_.end(), cell);
}

absl::StatusOr<Digest> ReplayCells::StateDigest() const {
  REENACT_ASSIGN_OR_RETURN(const SnapshotDigests digests,
                           StateDigestOf(InOrder(this, /*keep=*/true)));
  return digests.state;
}

absl::StatusOr<Digest> ReplayCells::LastStateDigest() const {
  REENACT_ASSIGN_OR_RETURN(const SnapshotDigests digests,
                           StateDigestOf(InOrder(this, /*keep=*/false)));
  return digests.state;
}

// A sum, since cells are in no order.
std::uint64_t ReplayCells::Fingerprint() const {
  MutexLock lock(&mutex_);
  std::uint64_t sum = cells_.size();
  cells_.ForEach([&sum](const StoredCells::Cell& cell) {
    sum +=
        HashBytes(HashCellName(StoredCells::NameOf(cell)), cell.second.state);
  });
  return sum;
}

absl::StatusOr<std::optional<StoredCell>> ReplayCells::ReadCell(
    ReducerId reducer, std::string_view key) const {
  MutexLock lock(&mutex_);
  const Cell cell = cells_.Find(CellName(reducer, key));
  if (cell == nullptr) return std::optional<StoredCell>();
  return std::optional<StoredCell>(cell->second);
}

std::unique_ptr<CellView> ReplayCells::View() const {
  return std::make_unique<CellsView>(this);
}

absl::Status ReplayCells::ClearCells() {
  MutexLock lock(&mutex_);
  order_.clear();
  cells_.Clear();
  return absl::OkStatus();
}

absl::Status ReplayCells::Commit(const CommitGroup& group, bool) {
  if (!group.blocks.empty()) {
    return absl::UnimplementedError("a replay keeps no blocks");
  }
  for (const CellBatch* batch : group.cells) Apply(*batch);
  return absl::OkStatus();
}

absl::StatusOr<Bytes> ReplayCells::ReadBlock(std::uint64_t) const {
  return absl::UnimplementedError("a replay keeps no blocks");
}

absl::Status ReplayCells::ScanBlocks(
    std::uint64_t,
    const std::function<absl::Status(std::uint64_t, BytesView)>&) const {
  return absl::UnimplementedError("a replay keeps no blocks");
}

absl::Status ReplayCells::CutBlocks(std::uint64_t) {
  return absl::UnimplementedError("a replay cuts no blocks");
}

}  // namespace reenact
