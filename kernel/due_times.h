#ifndef REENACT_KERNEL_DUE_TIMES_H_
#define REENACT_KERNEL_DUE_TIMES_H_

#include <cstdint>
#include <limits>

#include "reenact/kernel/config.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// The latest time that a timer may be due at, in a world of this format and
// clock: for who runs its steps, and for who goes through its history.
inline LogicalTime DueMaxOf(const WorldConfig& config) {
  if (config.format_version >= kFormatVersionLimits &&
      config.clock == ClockKind::kRounds) {
    return kDueMaxOfRounds;
  }
  return LogicalTime{std::numeric_limits<std::int64_t>::max()};
}

}  // namespace reenact

#endif  // REENACT_KERNEL_DUE_TIMES_H_
