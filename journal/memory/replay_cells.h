// The cells of a replay: in memory, and found by key rather than by order.

#ifndef REENACT_JOURNAL_MEMORY_REPLAY_CELLS_H_
#define REENACT_JOURNAL_MEMORY_REPLAY_CELLS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "reenact/base/mutex.h"
#include "reenact/journal/store.h"
#include "reenact/journal/stored_cells.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/outcome.h"

namespace reenact {

// A store that has cells and no blocks: those are compared, not kept. What asks
// for cells in order makes it keep an order from then on.
//
// Thread safety: as a store's. A view holds the cells as they were when its
// scan began.
class ReplayCells final : public Store {
 public:
  // Puts the rows in; there are no other changes.
  void Apply(const CellBatch& batch);
  void Put(ReducerId reducer, std::string_view key, EventId version,
           BytesView state);
  // The digest of all cells; see StateDigestOf(). Makes it keep an order, for
  // the next time.
  absl::StatusOr<Digest> StateDigest() const;
  // The same for one who does not ask again.
  absl::StatusOr<Digest> LastStateDigest() const;
  // Equal for equal cells, and hardly ever for others, in one process: to
  // compare cells that come of the same bytes in two ways, at a fraction of a
  // digest's cost. Versions do not count.
  std::uint64_t Fingerprint() const;

  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const override;
  std::unique_ptr<CellView> View() const override;
  absl::Status ClearCells() override;
  absl::Status Commit(const CommitGroup& group, bool sync) override;

  absl::Status Sync() override { return absl::OkStatus(); }
  std::uint64_t block_count() const override { return 0; }
  std::uint64_t cells_through() const override { return 0; }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override;
  absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t index, BytesView stored)>&
          visit) const override;
  absl::StatusOr<Bytes> ReadOpenWork() const override { return Bytes(); }
  absl::Status CutBlocks(std::uint64_t count) override;
  std::vector<std::pair<std::string, std::uint64_t>> Stats() const override {
    return {};
  }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  using Cell = const StoredCells::Cell*;

  class CellsView;
  class InOrder;
  // A cell with as much of its name as tells most cells apart.
  struct Sortable;

  void PutLocked(const CellName& name, EventId version, BytesView state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void KeepOrder() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<Cell> Sorted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  StoredCells cells_ ABSL_GUARDED_BY(mutex_);
  // All of them in order, once somebody has asked for one.
  mutable bool ordered_ ABSL_GUARDED_BY(mutex_) = false;
  mutable absl::btree_set<Cell, StoredCells::ByName> order_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_MEMORY_REPLAY_CELLS_H_
