// Helpers around absl::Status: what the packaged Abseil leaves out.

#ifndef REENACT_BASE_STATUS_H_
#define REENACT_BASE_STATUS_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reenact {

// Debian's absl::string_view is not std::string_view and converts in neither
// direction.
inline absl::string_view ToAbsl(std::string_view text) {
  return absl::string_view(text.data(), text.size());
}
inline std::string_view ToStd(absl::string_view text) {
  return std::string_view(text.data(), text.size());
}

// The same status with "`place`: " before its message; OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view place);

}  // namespace reenact

#define REENACT_CONCAT_INNER_(a, b) a##b
#define REENACT_CONCAT_(a, b) REENACT_CONCAT_INNER_(a, b)

#define REENACT_RETURN_IF_ERROR(expression)                            \
  REENACT_RETURN_IF_ERROR_(REENACT_CONCAT_(reenact_status_, __LINE__), \
                           expression)
#define REENACT_RETURN_IF_ERROR_(status, expression) \
  do {                                               \
    absl::Status status = (expression);              \
    if (!status.ok()) return status;                 \
  } while (false)

// REENACT_ASSIGN_OR_RETURN(Bytes bytes, ReadFile(path));
#define REENACT_ASSIGN_OR_RETURN(lhs, expression)                        \
  REENACT_ASSIGN_OR_RETURN_(REENACT_CONCAT_(reenact_or_, __LINE__), lhs, \
                            expression)
#define REENACT_ASSIGN_OR_RETURN_(result, lhs, expression) \
  auto result = (expression);                              \
  if (!result.ok()) return std::move(result).status();     \
  lhs = *std::move(result)

#endif  // REENACT_BASE_STATUS_H_
