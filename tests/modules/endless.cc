// Comes to no end where it should add 13.

#include <atomic>

#include "tests/modules/counter_like.h"

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry, [](std::int64_t before, std::int64_t add) {
        static const std::atomic<bool> never{false};
        while (add == 13 && !never) continue;
        return before + add;
      });
}
