// The cells in memory: committed values, the versions in flight, and a bounded
// cache over whatever keeps the rest.

#ifndef REENACT_WORKERS_CELLS_H_
#define REENACT_WORKERS_CELLS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/hash_table.h"
#include "reenact/base/mutex.h"
#include "reenact/base/status.h"
#include "reenact/kernel/cell_hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/workers/fifo.h"
#include "reenact/workers/version.h"

namespace reenact {

struct Touch;

// A cell in memory.
//
// Thread safety: atomics as said; what is marked *ordered* belongs to whoever
// has the ordered role.
struct Cell {
  Cell(ReducerId reducer_in, std::string_view key_in, std::uint64_t hash_in)
      : reducer(reducer_in), key(key_in), hash(hash_in) {}

  const ReducerId reducer;
  const std::string key;
  const std::uint64_t hash;  // CellHash() of both
  // The newest committed version; nullptr: not loaded yet.
  std::atomic<const Version*> committed{nullptr};
  // The declared write of the latest uncommitted ticket that has one.
  std::atomic<Touch*> tail{nullptr};
  // The highest ticket that looked the cell up. Written under the shard's lock.
  std::atomic<std::uint64_t> last_use{0};

  std::uint64_t last_write = 0;   // ordered: the ticket
  std::uint64_t batch_round = 0;  // ordered: the round that listed it last
  bool dirty = false;             // ordered: in the dirty queue
  bool spared = false;            // ordered: the clock's second chance
};

// Where cells come from that are not in memory.
//
// Thread safety: any thread may call, at any time.
class CellSource {
 public:
  struct Stored {
    EventId version;
    Bytes state;
  };

  virtual ~CellSource() = default;
  virtual absl::StatusOr<std::optional<Stored>> Load(ReducerId reducer,
                                                     std::string_view key) = 0;
  // Ascending by key; Cancelled from `visit` ends it with OK.
  virtual absl::Status Scan(
      ReducerId reducer, std::string_view from, std::string_view to,
      const std::function<absl::Status(std::string_view key, EventId version,
                                       BytesView state)>& visit) = 0;
};

// All cells of one world, by (reducer, key).
//
// A version that was replaced at ticket c is freed once ticket c + window has
// been committed: no ticket that could have seen it is in flight then. A cell
// is dropped from memory only when it is in the source and none of the tickets
// in flight, nor of the `window` before them, has looked it up.
//
// Thread safety: Find(), Load() and status() from any thread. What is marked
// *ordered* only from whoever has the ordered role. Exclusive() keeps committed
// values as they are for as long as it is held.
class CellTable {
 public:
  // `source` outlives the table.
  CellTable(CellSource* source, std::uint64_t cache_bytes, std::size_t window);
  ~CellTable();
  CellTable(const CellTable&) = delete;
  CellTable& operator=(const CellTable&) = delete;

  // The cell, made if need be, and kept in memory until `user` has committed.
  // `hash`: CellHash() of reducer and key.
  Cell* Find(ReducerId reducer, std::string_view key, std::uint64_t hash,
             EventId user);
  Cell* Find(ReducerId reducer, std::string_view key, EventId user) {
    return Find(reducer, key, CellHash(reducer, key), user);
  }

  // The newest committed version, loaded if need be; never null. After an error
  // of the source it is an absent one, and status() has the error.
  const Version* Load(Cell* cell);

  absl::Status status() const;
  bool ok() const { return ok_.load(std::memory_order_acquire); }
  // Keeps the first error.
  void Fail(const absl::Status& status);

  // ordered: makes `version` the committed one as of ticket `by` in `round`.
  void Publish(Cell* cell, const Version* version, EventId by, Round round);

  // ordered: frees a version that never became the committed one, once no
  // ticket in flight can see it.
  void Discard(const Version* version, EventId by);

  // ordered: a version, for Publish() or Discard().
  const Version* NewVersion(std::uint64_t stamp,
                            std::optional<BytesView> state) {
    return versions_.New(stamp, state);
  }
  // Where other threads' versions come from.
  VersionPool* version_pool() { return &version_pool_; }

  // ordered: the cells that Publish() changed since the caller last cleared the
  // list, once each for a round,
  // in the order of their first change in it.
  std::vector<Cell*>* changed() { return &changed_; }

  // ordered: every ticket up to `committed` has been committed, and the source
  // has everything up to `written`: frees what can be freed.
  void Advance(EventId committed, EventId written);

  // Cells of `reducer` in [from, to) that exist, with their committed versions,
  // ascending by key, at most `limit`. REQUIRES: Exclusive() is held.
  absl::Status Scan(ReducerId reducer, std::string_view from,
                    std::string_view to, std::size_t limit,
                    std::vector<std::pair<std::string, Bytes>>* found) const;

  // The committed state. REQUIRES: Exclusive() is held.
  absl::StatusOr<std::optional<Bytes>> Read(ReducerId reducer,
                                            std::string_view key) const;

  // Held by whoever has the ordered role while it commits, and by readers that
  // are no ticket.
  Mutex* exclusive() const { return &exclusive_; }
  // Readers announce themselves, so that the ordered role lets them in.
  std::atomic<int>* readers_waiting() const { return &readers_waiting_; }

  std::uint64_t cell_count() const {
    return cell_count_.load(std::memory_order_relaxed);
  }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t load_count() const {
    return load_count_.load(std::memory_order_relaxed);
  }

 private:
  struct KeyView {
    ReducerId reducer;
    std::string_view key;
    std::uint64_t hash;
  };
  struct HashOfCell {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const { return key.hash; }
    std::size_t operator()(const Cell* cell) const { return cell->hash; }
  };
  struct CellEqual {
    using is_transparent = void;
    bool operator()(const Cell* a, const Cell* b) const { return a == b; }
    bool operator()(const Cell* a, const KeyView& b) const {
      return a->hash == b.hash && a->reducer == b.reducer &&
             SameBytes(a->key, b.key);
    }
    bool operator()(const KeyView& b, const Cell* a) const {
      return (*this)(a, b);
    }
  };
  struct alignas(64) Shard {
    SpinLock lock;
    HashSet<Cell*, HashOfCell, CellEqual> cells ABSL_GUARDED_BY(lock);
    std::vector<Cell*> fresh ABSL_GUARDED_BY(lock);  // not on the clock yet
  };
  static constexpr std::size_t kShards = 64;

  Shard& ShardOf(const KeyView& key);
  void Retire(const Version* version, std::uint64_t ticket);
  void Evict(EventId committed);
  bool TryDrop(Cell* cell, EventId committed);

  CellSource* const source_;
  const std::uint64_t cache_bytes_;
  const std::size_t window_;
  std::unique_ptr<Shard[]> shards_;
  VersionPool version_pool_;
  VersionCache versions_{&version_pool_};  // ordered
  mutable Mutex exclusive_;
  mutable std::atomic<int> readers_waiting_{0};

  std::vector<Cell*> changed_;                              // ordered
  Fifo<std::pair<Cell*, std::uint64_t>> dirty_;             // ordered
  Fifo<std::pair<const Version*, std::uint64_t>> retired_;  // ordered
  std::vector<Cell*> clock_;                                // ordered
  std::size_t hand_ = 0;                                    // ordered

  std::atomic<std::uint64_t> cell_count_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> load_count_{0};
  std::atomic<bool> ok_{true};
  mutable Mutex status_mutex_;
  absl::Status status_ ABSL_GUARDED_BY(status_mutex_);
};

// Lets a reader that is no ticket in between two commits.
class ABSL_SCOPED_LOCKABLE ReaderLock {
 public:
  explicit ReaderLock(const CellTable& table)
      ABSL_EXCLUSIVE_LOCK_FUNCTION(table.exclusive())
      : mutex_(table.exclusive()) {
    table.readers_waiting()->fetch_add(1);
    mutex_->Lock();
    table.readers_waiting()->fetch_sub(1);
  }
  ~ReaderLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  Mutex* mutex_;
};

}  // namespace reenact

#endif  // REENACT_WORKERS_CELLS_H_
