// _exit() of a step, which no atexit() guard hears of. Defined in the
// executable, it comes before the C library's for every module that is loaded
// later.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REENACT_NO_EXIT_PROBE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REENACT_NO_EXIT_PROBE
#endif
#endif

#ifndef REENACT_NO_EXIT_PROBE

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "reenact/kernel/step_guard.h"

namespace {

[[noreturn]] void ExitUnlessInStep(const char* function, int code) {
  reenact::EndIfInStep(function);
  for (;;) ::syscall(SYS_exit_group, code);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void _exit(int code) {
  ExitUnlessInStep("_exit()", code);
}

__attribute__((visibility("default"))) void _Exit(int code) noexcept {
  ExitUnlessInStep("_Exit()", code);
}

}  // extern "C"

#endif  // REENACT_NO_EXIT_PROBE
