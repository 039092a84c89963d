#ifndef REENACT_EXAMPLES_SUPPORT_TIME_H_
#define REENACT_EXAMPLES_SUPPORT_TIME_H_

#include <string_view>

#include "reenact/base/status.h"
#include "reenact/kernel/ids.h"

namespace reenact::examples {

// Microseconds since 1970-01-01T00:00:00Z of a moment written as
//   YYYY-MM-DD HH:MM:SS[.fraction][Z | +HH:MM | +HHMM | +HH]
// with a 'T' or a blank in the middle. No zone means UTC, not the machine's:
// the same text is the same moment everywhere. Digits beyond microseconds are
// cut off.
//
// InvalidArgument: anything else, and moments that no calendar has.
absl::StatusOr<LogicalTime> ParseTime(std::string_view text);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_SUPPORT_TIME_H_
