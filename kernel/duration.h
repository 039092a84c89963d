// Spans of time as people write them.

#ifndef REENACT_KERNEL_DURATION_H_
#define REENACT_KERNEL_DURATION_H_

#include <cstdint>
#include <string_view>

#include "reenact/base/status.h"

namespace reenact {

inline constexpr std::int64_t kMillisecond = 1000;  // in microseconds
inline constexpr std::int64_t kSecond = 1000 * kMillisecond;

// Microseconds of a number and its unit, which is us, ms, s, m or h, as in
// "500ms", "1.5s" and "2m". A number alone counts in `bare` microseconds.
//
// InvalidArgument: none of these, below 0, or more than 290,000 years.
absl::StatusOr<std::int64_t> ParseDuration(std::string_view text,
                                           std::int64_t bare);

}  // namespace reenact

#endif  // REENACT_KERNEL_DURATION_H_
