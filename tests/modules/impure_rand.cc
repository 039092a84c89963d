// Draws from rand(), which nobody seeds: every process draws the same numbers,
// so two runs agree as long as they call it equally often.

#include <cstdlib>

#include "tests/modules/counter_like.h"

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry, [](std::int64_t before, std::int64_t add) {
        return before + add + std::rand() % 1000;
      });
}
