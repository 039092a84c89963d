// Prints statuses in failed assertions, and shortens the common ones.

#ifndef REENACT_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define REENACT_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <catch2/catch.hpp>
#include <string>

#include "reenact/base/status.h"

namespace Catch {
template <>
struct StringMaker<absl::Status> {
  static std::string convert(const absl::Status& status) {
    return status.ToString();
  }
};
}  // namespace Catch

namespace reenact {
inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}
}  // namespace reenact

#define REQUIRE_OK(expression)                             \
  do {                                                     \
    const auto& reenact_result_ = (expression);            \
    INFO(::reenact::StatusOf(reenact_result_).ToString()); \
    REQUIRE(::reenact::StatusOf(reenact_result_).ok());    \
  } while (false)

#endif  // REENACT_TESTS_SUPPORT_STATUS_MATCHERS_H_
