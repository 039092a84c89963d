// Puts the machine's clock into the state.

#include <time.h>

#include "tests/modules/counter_like.h"

namespace {

std::int64_t NanosecondsNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry, [](std::int64_t, std::int64_t) { return NanosecondsNow(); });
}
