// Names the step that crashes or ends the process.
//
// An opt-in of programs: a library has no business with a process's signals.
// The command `reenact` guards itself.

#ifndef REENACT_WORKERS_STEP_GUARD_H_
#define REENACT_WORKERS_STEP_GUARD_H_

#include <string_view>

namespace reenact {

struct StepGuardOptions {
  // How the process ends when a module's code crashes it, or calls exit().
  int exit_code = 12;
  // Called before that, if it is set, on the thread that crashed: by now other
  // threads go on. From a signal's handler, so only with what may be called
  // there.
  void (*before_end)() = nullptr;
};

// From now on a module's code (module_call.h) that ends in SIGSEGV (a stack
// that overflows, too), SIGBUS, SIGFPE, SIGILL or SIGABRT, or calls exit(), is
// named on standard error in one line, and the process ends with `exit_code`:
//
//   reenact: event 17 (reducer 'counter', key 'c3') crashed: SIGSEGV at address
//   0x0; it and what its round had before it is not recorded
//
// Where core dumps are on, a copy of the process dies of the signal first, and
// leaves its core. A crash outside of a module's code, and a signal that
// another process sent, have the effect that they would have had, the former
// said.
//
// Once per process, before other threads run steps.
void GuardSteps(const StepGuardOptions& options);

// What messages begin with, "reenact: w: ", and what they end with: every
// "{event}" is the number of the event. Kept up to 512 bytes each. At any time,
// by one thread.
void SetStepGuardText(std::string_view prefix, std::string_view advice);

// exit() is no surprise from here on: main() returns.
void ReleaseStepGuard();

// For functions that take the place of one which would end the process: returns
// if this thread runs no code of a module's, else names it and ends.
void EndIfInStep(const char* function);

}  // namespace reenact

#endif  // REENACT_WORKERS_STEP_GUARD_H_
