// The values that cells have had, and where their memory comes from.

#ifndef REENACT_WORKERS_VERSION_H_
#define REENACT_WORKERS_VERSION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "reenact/kernel/bytes.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/mutex.h"

namespace reenact {

// One value that a cell had: immutable once another thread can see it.
//
// The stamp tells versions of one cell apart: the ticket that wrote it, times
// two, plus one if that was the ticket's second run.
struct Version {
  std::uint64_t stamp;
  std::uint32_t size;
  bool exists;

  EventId written_by() const { return EventId{stamp >> 1}; }
  std::optional<BytesView> state() const {
    if (!exists) return std::nullopt;
    return BytesView(reinterpret_cast<const char*>(this + 1), size);
  }

  // Straight from the heap and back to it; VersionCache::New() saves the way.
  static const Version* New(std::uint64_t stamp,
                            std::optional<BytesView> state);
  static void Free(const Version* version);
};

// What a cell that never existed holds. Shared, so never freed.
extern const Version kNeverThere;

// Memory of versions that are gone, for those to come: the worker that makes a
// version and the ordered role that lets go of one are different threads, and
// memory goes from one to the other in chains, not one by one.
//
// Thread safety: any thread. Outlives its caches.
class VersionPool {
 public:
  // Sizes with their header, in steps of kStep; longer ones are not kept.
  static constexpr std::size_t kStep = 32;
  static constexpr std::size_t kClasses = 16;
  // Versions in a chain.
  static constexpr std::size_t kChain = 32;

  VersionPool() = default;
  ~VersionPool();
  VersionPool(const VersionPool&) = delete;
  VersionPool& operator=(const VersionPool&) = delete;

 private:
  friend class VersionCache;
  struct Link {
    Link* next;   // in the chain
    Link* chain;  // the first of the next chain
  };
  // Memory kept for one class at most; what comes on top is freed.
  static constexpr std::size_t kKeptBytes = 4 << 20;

  struct alignas(64) Class {
    SpinLock lock;
    Link* chains ABSL_GUARDED_BY(lock) = nullptr;
    std::size_t count ABSL_GUARDED_BY(lock) = 0;
  };

  // A chain of kChain links, or nullptr.
  Link* TakeChain(std::size_t of_class);
  void GiveChain(std::size_t of_class, Link* chain);
  static void FreeChain(Link* chain);

  std::array<Class, kClasses> classes_;
};

// One thread's end of a pool.
//
// Thread safety: none.
class VersionCache {
 public:
  explicit VersionCache(VersionPool* pool) : pool_(pool) {}
  ~VersionCache();
  VersionCache(const VersionCache&) = delete;
  VersionCache& operator=(const VersionCache&) = delete;

  // As Version::New(); any cache of any pool, or Version::Free(), takes it
  // back.
  const Version* New(std::uint64_t stamp, std::optional<BytesView> state);
  // As Version::Free().
  void Free(const Version* version);

 private:
  struct Spare {
    VersionPool::Link* head = nullptr;
    std::size_t count = 0;
  };

  VersionPool* const pool_;
  std::array<Spare, VersionPool::kClasses> spare_;
};

}  // namespace reenact

#endif  // REENACT_WORKERS_VERSION_H_
