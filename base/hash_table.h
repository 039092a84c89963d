// Abseil's hash tables, made safe for memory that runs out.

#ifndef REENACT_BASE_HASH_TABLE_H_
#define REENACT_BASE_HASH_TABLE_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace reenact {

// As std::allocator, but to find no memory is the end of the process, in
// std::terminate(). An Abseil table that grows has noted its new size before it
// asks for the memory: an exception from there would leave what crashes when it
// is destroyed.
template <typename T>
class EndingAllocator {
 public:
  using value_type = T;
  EndingAllocator() = default;
  template <typename U>
  EndingAllocator(const EndingAllocator<U>&) {}  // NOLINT: a conversion

  T* allocate(std::size_t count) noexcept {
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    std::allocator<T>().deallocate(memory, count);
  }
  friend bool operator==(EndingAllocator, EndingAllocator) { return true; }
};

// What goes in must be made before, and be moved without an exception: a slot
// is taken before its content is constructed, too.
template <typename K, typename V,
          typename Hash = typename absl::flat_hash_map<K, V>::hasher,
          typename Equal = typename absl::flat_hash_map<K, V>::key_equal>
using HashMap = absl::flat_hash_map<K, V, Hash, Equal,
                                    EndingAllocator<std::pair<const K, V>>>;
template <typename T, typename Hash = typename absl::flat_hash_set<T>::hasher,
          typename Equal = typename absl::flat_hash_set<T>::key_equal>
using HashSet = absl::flat_hash_set<T, Hash, Equal, EndingAllocator<T>>;

}  // namespace reenact

#endif  // REENACT_BASE_HASH_TABLE_H_
