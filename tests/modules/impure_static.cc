// Keeps a count of its own beside the cells, shared by all of them. Two serial
// runs of the same history agree; running one step twice does not.

#include <atomic>

#include "tests/modules/counter_like.h"

namespace {

std::atomic<std::int64_t> steps_so_far{0};

}  // namespace

REENACT_MODULE(registry) {
  reenact::tests::RegisterCounterLike(
      registry, [](std::int64_t before, std::int64_t add) {
        return before + add + steps_so_far.fetch_add(1);
      });
}
