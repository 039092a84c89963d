#include "reenact/base/status.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "reenact/base/check.h"

namespace reenact {

absl::Status Annotate(const absl::Status& status, std::string_view place) {
  if (status.ok()) return status;
  std::string message(place);
  message += ": ";
  message += ToStd(status.message());
  return absl::Status(status.code(), message);
}

namespace internal {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

void RequireFailed(const char* file, int line, const char* condition) {
  throw std::logic_error(std::string(file) + ":" + std::to_string(line) +
                         ": required: " + condition);
}

}  // namespace internal
}  // namespace reenact
