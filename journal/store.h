// Where a world's blocks and cells are kept.

#ifndef REENACT_JOURNAL_STORE_H_
#define REENACT_JOURNAL_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/check.h"
#include "reenact/base/status.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// Cells that changed, packed: one buffer for all of them.
class CellBatch {
 public:
  struct Row {
    ReducerId reducer;
    std::string_view key;
    EventId version;                 // the ticket that wrote it
    std::optional<BytesView> state;  // nullopt: the cell ceased to exist
  };

  void Add(ReducerId reducer, std::string_view key, EventId version,
           std::optional<BytesView> state);
  std::size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  std::size_t byte_size() const { return arena_.size(); }
  Row operator[](std::size_t index) const {
    REENACT_CHECK(index < rows_.size());
    const Slice& slice = rows_[index];
    const char* const key = arena_.data() + slice.offset;
    Row row{slice.reducer, std::string_view(key, slice.key_size), slice.version,
            std::nullopt};
    if (slice.exists) {
      row.state = BytesView(key + slice.key_size, slice.state_size);
    }
    return row;
  }
  // Forgets the rows and keeps the memory.
  void Clear();

 private:
  struct Slice {
    std::size_t offset;
    std::uint32_t key_size;
    std::uint32_t state_size;
    ReducerId reducer;
    bool exists;
    EventId version;
  };
  Bytes arena_;
  std::vector<Slice> rows_;
};

struct StoredCell {
  EventId version;
  Bytes state;
};

// What one commit holds: the blocks of one or more rounds, in order, and the
// cells as they are after the last of them.
struct CommitGroup {
  std::vector<Bytes> blocks;  // stored form; see block.h
  // Of the first block: block_count(). Without blocks, when cells are rebuilt:
  // the cells are then as of the block before this one.
  std::uint64_t first_index = 0;
  // Later batches win over earlier ones.
  std::vector<const CellBatch*> cells;
  // What Open() goes on from; see EncodeOpenWork(). Empty: the last one stays.
  Bytes open_work;
};

// The cells at one moment, whatever is written later.
//
// Thread safety: none, but it may live on another thread than its store.
class CellView {
 public:
  virtual ~CellView() = default;

  using Visit =
      std::function<absl::Status(ReducerId reducer, std::string_view key,
                                 EventId version, BytesView state)>;

  // Visits the cells of `reducer` with from <= key < to (empty `to`: no upper
  // end) in ascending order of keys; stops at the first error that `visit`
  // returns, which it then returns, except that Cancelled ends it with OK.
  virtual absl::Status Scan(ReducerId reducer, std::string_view from,
                            std::string_view to, const Visit& visit) const = 0;
  // All cells, ascending by reducer id, then key.
  virtual absl::Status ScanAll(const Visit& visit) const = 0;
};

// The blocks and cells of one world. Implementations: MemoryStore, for tests
// and tools, and RocksDbStore.
//
// Thread safety: one thread writes (Commit, Sync); any thread may read at the
// same time and sees each commit whole or not at all.
class Store {
 public:
  virtual ~Store() = default;

  // Writes the group: all of its blocks or nothing, also after a crash. With
  // `sync` they survive one once this has returned OK. Its cells may reach the
  // disk later, all of those up to some block together: cells_through() says
  // after a crash which.
  //
  // Any error is final: every later write returns it too, and what is on disk
  // is unknown until the next open.
  virtual absl::Status Commit(const CommitGroup& group, bool sync) = 0;
  // The same; the store may take the bytes of the blocks instead of copying
  // them, and leaves the group fit for nothing but to be filled anew.
  virtual absl::Status CommitAndTake(CommitGroup* group, bool sync) {
    return Commit(*group, sync);
  }

  // Makes everything committed so far survive a crash.
  virtual absl::Status Sync() = 0;

  // How many blocks there are; their indices are 0 to block_count() - 1.
  virtual std::uint64_t block_count() const = 0;
  // The stored bytes of a block. DataLoss: it should be there and is not, or
  // the store's own checksum fails. OutOfRange: index >= block_count().
  virtual absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const = 0;
  // Visits blocks [from, block_count()) in order; stops at the first error.
  virtual absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t index, BytesView stored)>&
          visit) const = 0;

  // The index of the block that the stored cells are as of, plus one; less than
  // block_count() after a crash if cells are written later than blocks. 0: no
  // cells are stored.
  virtual std::uint64_t cells_through() const = 0;
  virtual absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const = 0;
  // The latest CommitGroup::open_work that the stored cells reach, so the
  // latest until a crash; empty if there is none.
  virtual absl::StatusOr<Bytes> ReadOpenWork() const = 0;
  // The cells as they are now.
  virtual std::unique_ptr<CellView> View() const = 0;
  // Removes every cell, before they are rebuilt.
  virtual absl::Status ClearCells() = 0;
  // Removes blocks from `count` on: a tail that nobody was told about.
  virtual absl::Status CutBlocks(std::uint64_t count) = 0;

  // Name and value, for `reenact stat`: "cells.bytes",
  // "write.amplification.percent". What was written counts from the making of
  // the world on; after a crash it is a little too low.
  virtual std::vector<std::pair<std::string, std::uint64_t>> Stats() const = 0;

  // Brings the cells to disk and lets go of the files. Idempotent. A store that
  // goes away without it leaves what a crash leaves.
  virtual absl::Status Close() = 0;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_STORE_H_
