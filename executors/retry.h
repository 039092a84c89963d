// When to try again, and when to give up.

#ifndef REENACT_EXECUTORS_RETRY_H_
#define REENACT_EXECUTORS_RETRY_H_

#include <chrono>
#include <cstdint>

#include "reenact/kernel/effects/retry_rule.h"

namespace reenact {

// Exponential backoff with full jitter: before attempt n + 1 the wait is drawn
// evenly from 0 to first * 2^(n-1), but never more than `longest`. What is
// drawn is the machine's affair and never recorded.
struct RetryPolicy {
  std::uint32_t attempts_max = 5;  // 1: what fails once has failed
  std::chrono::milliseconds first{200};
  std::chrono::milliseconds longest{30'000};
};

// As `rule` says, where it does; `in_all`, what all attempts may take, too.
void Apply(const RetryRule& rule, RetryPolicy* policy,
           std::chrono::milliseconds* in_all);

// The longest wait after attempt `attempt`, which counts from 1.
std::chrono::milliseconds BackoffCeiling(const RetryPolicy& policy,
                                         std::uint32_t attempt);
// The wait itself; `random` is any 64 bits. With `asked`, what the other side
// asks for: what comes on top, so that not all who were asked come back at
// once, drawn from 0 to that once more or to the ceiling, whichever is longer,
// but never more than `longest`.
std::chrono::milliseconds Backoff(const RetryPolicy& policy,
                                  std::uint32_t attempt, std::uint64_t random);
std::chrono::milliseconds Backoff(const RetryPolicy& policy,
                                  std::uint32_t attempt,
                                  std::chrono::milliseconds asked,
                                  std::uint64_t random);

}  // namespace reenact

#endif  // REENACT_EXECUTORS_RETRY_H_
