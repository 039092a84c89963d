#ifndef REENACT_BASE_CHECK_H_
#define REENACT_BASE_CHECK_H_

namespace reenact::internal {

// Prints "FILE:LINE: check failed: CONDITION" and aborts.
[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* condition);

// Throws std::logic_error: "FILE:LINE: required: CONDITION".
[[noreturn]] void RequireFailed(const char* file, int line,
                                const char* condition);

}  // namespace reenact::internal

// Stops the process if `condition` does not hold. For bugs of ours, in every
// build; conditions that happen are an absl::Status instead.
#define REENACT_CHECK(condition)      \
  (__builtin_expect(!!(condition), 1) \
       ? static_cast<void>(0)         \
       : ::reenact::internal::CheckFailed(__FILE__, __LINE__, #condition))

// Throws if `condition` does not hold, which the caller has to see to: for what
// reducers call with numbers and items that came from outside. A step that
// throws fails with FailureCode::kException, and the process lives.
#define REENACT_REQUIRE(condition)    \
  (__builtin_expect(!!(condition), 1) \
       ? static_cast<void>(0)         \
       : ::reenact::internal::RequireFailed(__FILE__, __LINE__, #condition))

#endif  // REENACT_BASE_CHECK_H_
