// _exit() of a step, which no atexit() guard hears of. Defined in the
// executable, it comes before the C library's for every module that is loaded
// later.

#include "tools/reenact/probe_call.h"

#ifndef REENACT_NO_PROBES

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "reenact/workers/step_guard.h"

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

#endif  // REENACT_NO_PROBES
