// The values that cells have had, and where their memory comes from.

#ifndef REENACT_WORKERS_VERSION_H_
#define REENACT_WORKERS_VERSION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>

#include "reenact/base/bytes.h"
#include "reenact/base/mutex.h"
#include "reenact/kernel/ids.h"

#if defined(__SANITIZE_ADDRESS__)
#define REENACT_KEEPS_VERSIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REENACT_KEEPS_VERSIONS 0
#endif
#endif
#ifndef REENACT_KEEPS_VERSIONS
#define REENACT_KEEPS_VERSIONS 1
#endif

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

namespace internal {

// A call of memcpy() takes longer than copying most states does. REQUIRES: size
// <= 16; the ranges do not overlap.
inline void CopySmall(const char* from, std::size_t size, void* to) {
  char* const out = static_cast<char*>(to);
  if (size >= 8) {
    std::memcpy(out, from, 8);
    std::memcpy(out + size - 8, from + size - 8, 8);
  } else {
    for (std::size_t i = 0; i < size; ++i) out[i] = from[i];
  }
}

}  // namespace internal

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

  // Whether versions of a class are kept. AddressSanitizer would not see a use
  // of what was freed if they were.
  static constexpr bool IsKept(std::size_t of_class) {
    return REENACT_KEEPS_VERSIONS != 0 && of_class < kClasses;
  }
  // Which class a version with so many bytes of state is of.
  static constexpr std::size_t ClassOf(std::size_t size) {
    return (sizeof(Version) + size - 1) / kStep;
  }

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
  const Version* New(std::uint64_t stamp, std::optional<BytesView> state) {
    const std::size_t size = state ? state->size() : 0;
    if (size > kSmall) return NewInFull(stamp, state);
    Spare& spare = spare_[VersionPool::ClassOf(size)];
    VersionPool::Link* const memory = spare.head;
    if (memory == nullptr) return NewInFull(stamp, state);
    spare.head = memory->next;
    --spare.count;
    auto* version = new (memory)
        Version{stamp, static_cast<std::uint32_t>(size), state.has_value()};
    if (size > 0) internal::CopySmall(state->data(), size, version + 1);
    return version;
  }
  // As Version::Free().
  void Free(const Version* version) {
    if (version == nullptr || version == &kNeverThere) return;
    const std::size_t of_class = VersionPool::ClassOf(version->size);
    if (!VersionPool::IsKept(of_class)) return Version::Free(version);
    Spare& spare = spare_[of_class];
    if (spare.count == VersionPool::kChain) return FreeInFull(version);
    spare.head = new (const_cast<Version*>(version))
        VersionPool::Link{spare.head, nullptr};
    ++spare.count;
  }

 private:
  // States that New() makes in line.
  static constexpr std::size_t kSmall = 16;

  void FreeInFull(const Version* version);
  const Version* NewInFull(std::uint64_t stamp, std::optional<BytesView> state);

  struct Spare {
    VersionPool::Link* head = nullptr;
    std::size_t count = 0;
  };

  VersionPool* const pool_;
  std::array<Spare, VersionPool::kClasses> spare_;
};

}  // namespace reenact

#endif  // REENACT_WORKERS_VERSION_H_
