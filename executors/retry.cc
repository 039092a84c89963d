#include "reenact/executors/retry.h"

#include <algorithm>

namespace reenact {

using std::chrono::milliseconds;

milliseconds BackoffCeiling(const RetryPolicy& policy, std::uint32_t attempt) {
  milliseconds ceiling = std::max(policy.first, milliseconds(0));
  for (std::uint32_t i = 1; i < attempt && ceiling < policy.longest; ++i) {
    if (ceiling == milliseconds(0)) break;
    ceiling *= 2;
  }
  return std::clamp(ceiling, milliseconds(0),
                    std::max(policy.longest, milliseconds(0)));
}

milliseconds Backoff(const RetryPolicy& policy, std::uint32_t attempt,
                     std::uint64_t random) {
  const auto ceiling =
      static_cast<std::uint64_t>(BackoffCeiling(policy, attempt).count());
  return milliseconds(random % (ceiling + 1));
}

}  // namespace reenact
