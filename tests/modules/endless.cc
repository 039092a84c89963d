// Comes to no end where it should add 13.

#include "tests/modules/counter_like.h"

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry, [](std::int64_t before, std::int64_t add) {
        static volatile bool never = false;  // or the loop may be left out
        while (add == 13 && !never) continue;
        return before + add;
      });
}
