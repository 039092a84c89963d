// A queue that keeps its memory.

#ifndef REENACT_WORKERS_FIFO_H_
#define REENACT_WORKERS_FIFO_H_

#include <cstddef>
#include <utility>
#include <vector>

namespace reenact {

// First in, first out, in a ring that doubles when it is full. std::deque frees
// and allocates a piece of memory every few elements while it is used as a
// queue; this never does in the steady state.
//
// Thread safety: none. REQUIRES: T can be default-constructed and moved.
template <typename T>
class Fifo {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  // The oldest element. REQUIRES: !empty().
  T& front() { return ring_[first_]; }

  void push_back(T element) {
    if (size_ == ring_.size()) Grow();
    ring_[(first_ + size_) & (ring_.size() - 1)] = std::move(element);
    ++size_;
  }
  // REQUIRES: !empty().
  void pop_front() {
    ring_[first_] = T();
    first_ = (first_ + 1) & (ring_.size() - 1);
    --size_;
  }

  // Calls `visit` with each element, the oldest first.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (std::size_t i = 0; i < size_; ++i) {
      visit(ring_[(first_ + i) & (ring_.size() - 1)]);
    }
  }

 private:
  void Grow() {
    std::vector<T> larger(ring_.empty() ? 64 : 2 * ring_.size());
    for (std::size_t i = 0; i < size_; ++i) {
      larger[i] = std::move(ring_[(first_ + i) & (ring_.size() - 1)]);
    }
    ring_ = std::move(larger);
    first_ = 0;
  }

  std::vector<T> ring_;  // a power of two, or empty
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace reenact

#endif  // REENACT_WORKERS_FIFO_H_
