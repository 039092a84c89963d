// Watches what steps ask of the machine while they are verified.
//
// A reducer depends on its step alone. Verification runs each step twice and
// compares; the probes say what a step asked for, and make the answer to the
// second run another one, so that a clock too coarse to move between two runs
// shows as well.
//
// probes.cc defines the C library's clock_gettime, time, rand, getenv and so on
// in the executable. Being exported from there, they come before the C
// library's for every module that is loaded later. Outside a step, and for
// callers that are not a module's (the kernel itself, RocksDB), they only
// forward.
//
// Under sanitizers there are none: these intercept the same functions, before
// their own runtime is ready to be called. What steps do is then only compared.

#ifndef REENACT_TOOLS_REENACT_PROBES_H_
#define REENACT_TOOLS_REENACT_PROBES_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/kernel/ids.h"

namespace reenact::tools {

// Whether this build has probes.
bool ProbesExist();

// Takes note of the shared libraries that are loaded now: what they call is not
// a step's doing. Call before modules are loaded.
void PrepareProbes();

// For VerifyOptions::observe.
void ObserveStep(bool begins, int run, std::string_view reducer,
                 EventId event_id);

// That a reducer called a function.
struct ProbeNote {
  std::string reducer;
  std::string function;
  EventId first;  // in the step of this ticket, and maybe others
  std::uint64_t calls = 0;
  std::set<std::uint64_t> latest_steps;  // some hundreds of the latest

  bool CalledAt(EventId event_id) const {
    return latest_steps.count(event_id.value) > 0;
  }
};
std::vector<ProbeNote> ProbeNotes();

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_PROBES_H_
