// Folds the items of a hash table into the state in the order in which the
// table gives them.

#include <string>

#include "absl/container/flat_hash_map.h"
#include "tests/modules/counter_like.h"

namespace {

// The order depends on where the table lies in memory and on a seed drawn per
// process, so it differs from table to table.
std::int64_t FoldInTableOrder() {
  absl::flat_hash_map<std::string, std::int64_t> table;
  for (std::int64_t i = 0; i < 64; ++i) table[std::to_string(i)] = i;
  std::int64_t fold = 0;
  for (const auto& [key, value] : table) fold = (fold * 31 + value) % 1'000'003;
  return fold;
}

}  // namespace

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry,
      [](std::int64_t, std::int64_t add) { return FoldInTableOrder() + add; });
}
