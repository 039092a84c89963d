// Folds the items of a hash table into the state in the order in which the
// table gives them.

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "tests/modules/counter_like.h"

namespace {

// The order depends on where the table lies in memory and on a seed drawn per
// process. The table before is kept, so that no two in a row lie in one place.
std::int64_t FoldInTableOrder() {
  using Table = absl::flat_hash_map<std::string, std::int64_t>;
  thread_local Table before;
  Table table;
  for (std::int64_t i = 0; i < 64; ++i) table[std::to_string(i)] = i;
  std::int64_t fold = 0;
  for (const auto& [key, value] : table) fold = (fold * 31 + value) % 1'000'003;
  before = std::move(table);
  return fold;
}

}  // namespace

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry,
      [](std::int64_t, std::int64_t add) { return FoldInTableOrder() + add; });
}
