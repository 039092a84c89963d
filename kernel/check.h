#ifndef REENACT_KERNEL_CHECK_H_
#define REENACT_KERNEL_CHECK_H_

namespace reenact::internal {

// Prints "FILE:LINE: check failed: CONDITION" and aborts.
[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* condition);

}  // namespace reenact::internal

// Stops the process if `condition` does not hold. For bugs of ours, in every
// build; conditions that happen are an absl::Status instead.
#define REENACT_CHECK(condition)                                          \
  (__builtin_expect(!!(condition), 1)                                     \
       ? static_cast<void>(0)                                             \
       : ::reenact::internal::CheckFailed(__FILE__, __LINE__, #condition))

#endif  // REENACT_KERNEL_CHECK_H_
