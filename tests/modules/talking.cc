// Writes to standard output in its steps, as a forgotten line of debugging
// does.

#include <cstdio>
#include <iostream>

#include "tests/modules/counter_like.h"

REENACT_MODULE(registry) {
  std::puts("registering");
  reenact::tests::RegisterCounterLike(
      registry, [](std::int64_t before, std::int64_t add) {
        std::printf("adding %lld\n", static_cast<long long>(add));
        std::cout << "to " << before << std::endl;
        return before + add;
      });
}
