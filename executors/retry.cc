#include "reenact/executors/retry.h"

#include <algorithm>

namespace reenact {

using std::chrono::milliseconds;

void Apply(const RetryRule& rule, RetryPolicy* policy, milliseconds* in_all) {
  const auto set = [](const std::optional<std::uint64_t>& from,
                      milliseconds* to) {
    if (from) *to = milliseconds(std::min(*from, RetryRule::kMsMax));
  };
  if (rule.attempts) {
    policy->attempts_max = static_cast<std::uint32_t>(
        std::min(*rule.attempts, RetryRule::kAttemptsMax));
  }
  set(rule.first_ms, &policy->first);
  set(rule.longest_ms, &policy->longest);
  set(rule.for_ms, in_all);
}

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
  return Backoff(policy, attempt, milliseconds(0), random);
}

milliseconds Backoff(const RetryPolicy& policy, std::uint32_t attempt,
                     milliseconds asked, std::uint64_t random) {
  const milliseconds ceiling = BackoffCeiling(policy, attempt);
  const milliseconds most =
      std::max(ceiling, std::min(asked, std::max(policy.longest, ceiling)));
  return milliseconds(random % (static_cast<std::uint64_t>(most.count()) + 1));
}

}  // namespace reenact
