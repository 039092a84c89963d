// The door for inputs that arrive while a world runs.

#ifndef REENACT_WORLD_INGRESS_H_
#define REENACT_WORLD_INGRESS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "reenact/base/mutex.h"
#include "reenact/base/status.h"

namespace reenact {

// A bounded queue from many threads to the sequencer. What it refuses was never
// part of history.
//
// Whoever takes gets all that is there at once, and hands it out from a batch
// of its own; so it meets those who offer once for a batch and not for an item,
// and not at all while there is nothing to take.
//
// Thread safety: Offer(), Close(), empty() and size() from any thread; Take()
// from the one that sequences, or from several that take turns under a lock.
template <typename Item>
class Ingress {
 public:
  explicit Ingress(std::size_t capacity) : capacity_(capacity) {}

  // ResourceExhausted: full; try again later. FailedPrecondition: closed.
  absl::Status Offer(Item item) {
    MutexLock lock(&mutex_);
    if (closed_) return absl::FailedPreconditionError("the world is closed");
    const std::uint64_t offered = offered_.load(std::memory_order_relaxed);
    if (offered - taken_at_least_ >= capacity_) {
      taken_at_least_ = taken_.load(std::memory_order_acquire);
      if (offered - taken_at_least_ >= capacity_) {
        return absl::ResourceExhaustedError(
            "the world's ingress is full; submit again once it has caught up");
      }
    }
    arrived_.push_back(std::move(item));
    offered_.store(offered + 1, std::memory_order_release);
    return absl::OkStatus();
  }

  // The oldest item, to be moved from until the next call; nullptr if there is
  // none. Never waits for an item.
  Item* Take() {
    if (next_ == batch_.size() && !TakeBatch()) return nullptr;
    taken_.store(taken_.load(std::memory_order_relaxed) + 1,
                 std::memory_order_release);
    return &batch_[next_++];
  }

  bool empty() const { return size() == 0; }

  std::size_t size() const {
    // In this order, or there could be less than nothing.
    const std::uint64_t taken = taken_.load(std::memory_order_acquire);
    return static_cast<std::size_t>(offered_.load(std::memory_order_acquire) -
                                    taken);
  }

  // Refuses from now on; what is inside can still be taken.
  void Close() {
    MutexLock lock(&mutex_);
    closed_ = true;
  }

 private:
  bool TakeBatch() {
    if (offered_.load(std::memory_order_acquire) ==
        taken_.load(std::memory_order_relaxed)) {
      return false;
    }
    batch_.clear();
    next_ = 0;
    MutexLock lock(&mutex_);
    batch_.swap(arrived_);
    return true;
  }

  // What those who offer write, and what the one who takes does, are a cache
  // line apart.
  alignas(64) mutable Mutex mutex_;
  const std::size_t capacity_;
  std::vector<Item> arrived_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  // What `taken_` was when somebody last had to know.
  std::uint64_t taken_at_least_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<std::uint64_t> offered_{0};  // written under the mutex

  alignas(64) std::atomic<std::uint64_t> taken_{0};  // by Take() alone
  // Take()'s own.
  std::vector<Item> batch_;
  std::size_t next_ = 0;
};

}  // namespace reenact

#endif  // REENACT_WORLD_INGRESS_H_
