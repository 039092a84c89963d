// The door for inputs that arrive while a world runs.

#ifndef REENACT_SEQUENCER_INGRESS_H_
#define REENACT_SEQUENCER_INGRESS_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "reenact/kernel/mutex.h"
#include "reenact/kernel/status.h"

namespace reenact {

// A bounded queue from many threads to the sequencer. What it refuses was never
// part of history.
//
// Thread safety: Offer() and Close() from any thread; Take() from the one that
// sequences.
template <typename Item>
class Ingress {
 public:
  explicit Ingress(std::size_t capacity) : capacity_(capacity) {}

  // ResourceExhausted: full; try again later. FailedPrecondition: closed.
  absl::Status Offer(Item item) {
    MutexLock lock(&mutex_);
    if (closed_) return absl::FailedPreconditionError("the world is closed");
    if (items_.size() >= capacity_) {
      return absl::ResourceExhaustedError(
          "the world's ingress is full; submit again once it has caught up");
    }
    items_.push_back(std::move(item));
    return absl::OkStatus();
  }

  // The oldest item; nullopt if there is none. Never waits.
  std::optional<Item> Take() {
    MutexLock lock(&mutex_);
    if (items_.empty()) return std::nullopt;
    std::optional<Item> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  bool empty() const {
    MutexLock lock(&mutex_);
    return items_.empty();
  }

  std::size_t size() const {
    MutexLock lock(&mutex_);
    return items_.size();
  }

  // Refuses from now on; what is inside can still be taken.
  void Close() {
    MutexLock lock(&mutex_);
    closed_ = true;
  }

 private:
  mutable Mutex mutex_;
  const std::size_t capacity_;
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace reenact

#endif  // REENACT_SEQUENCER_INGRESS_H_
