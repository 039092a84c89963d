// Adds the length of the environment variable REENACT_IMPURE: two executions in
// one process agree, two processes need not.

#include <cstdlib>
#include <cstring>

#include "tests/modules/counter_like.h"

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry, [](std::int64_t before, std::int64_t add) {
        const char* value = std::getenv("REENACT_IMPURE");
        const std::size_t length = value == nullptr ? 0 : std::strlen(value);
        return before + add + static_cast<std::int64_t>(length);
      });
}
