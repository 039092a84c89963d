// What is remembered, within bounds.

#ifndef REENACT_COMMITTER_LATEST_H_
#define REENACT_COMMITTER_LATEST_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "reenact/kernel/hash.h"

namespace reenact {

// Values by digest, in the order in which they came, the latest last. A value
// that comes again counts from then.
//
// Thread safety: none.
template <typename T>
class Latest {
 public:
  struct Item {
    Digest of;
    T value;
    std::size_t bytes = 0;  // that it counts for
  };

  void Put(const Digest& of, T value, std::size_t bytes) {
    Drop(of);
    numbers_.emplace(of, next_);
    items_.emplace(next_++, Item{of, std::move(value), bytes});
    bytes_ += bytes;
  }

  // Forgets the oldest, until there are so many at most, of so many bytes.
  void Limit(std::size_t count, std::size_t bytes) {
    while (items_.size() > count || bytes_ > bytes) {
      Drop(Digest(items_.begin()->second.of));
    }
  }

  // Null: nothing, or it is forgotten.
  const T* Find(const Digest& of) const {
    const auto it = numbers_.find(of);
    return it == numbers_.end() ? nullptr : &items_.at(it->second).value;
  }

  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  // By number, ascending: in order.
  const std::map<std::uint64_t, Item>& items() const { return items_; }

 private:
  void Drop(const Digest& of) {
    const auto it = numbers_.find(of);
    if (it == numbers_.end()) return;
    const auto item = items_.find(it->second);
    bytes_ -= item->second.bytes;
    items_.erase(item);
    numbers_.erase(it);
  }

  std::map<std::uint64_t, Item> items_;
  std::map<Digest, std::uint64_t> numbers_;
  std::uint64_t next_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace reenact

#endif  // REENACT_COMMITTER_LATEST_H_
