// Counts one more each time than the counter example: a changed reducer that is
// pure.

#include "tests/modules/counter_like.h"

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry,
      [](std::int64_t before, std::int64_t add) { return before + add + 1; });
}
