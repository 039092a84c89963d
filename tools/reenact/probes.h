// Watches what steps ask of the machine, and do to it, while they are verified.
//
// A reducer depends on its step alone. Verification runs each step twice and
// compares; the probes say what a step called, and make the answer to the
// second run another one, so that a clock too coarse to move between two runs
// shows as well, and so does a file that is there both times. What a step does
// to the outside (writes, connects, starts a thread) is done, and is a fault by
// itself.
//
// watched_calls.cc defines functions of the C library in the executable. Being
// exported from there, they come before the C library's for every module that
// is loaded later. Outside a step, and for callers that are not a module's (the
// kernel itself, RocksDB), they only forward.
//
// The second run finds other memory, too: what lies on the stack and in small
// blocks of the heap is painted otherwise, and such blocks come in the opposite
// order of addresses.
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

// For VerifyOptions::observe and its like.
void ObserveStep(bool begins, int run, std::string_view reducer,
                 std::string_view key, EventId event_id);

// That a reducer called a function.
struct ProbeNote {
  std::string reducer;
  std::string function;
  bool acts = false;  // it does something to the outside
  EventId first;      // in the step of this ticket, and maybe others
  std::string first_key;
  std::uint64_t calls = 0;
  std::set<std::uint64_t> latest_steps;  // some hundreds of the latest

  // "reducer counter called write(), first at event 3 (key c1)"
  std::string Text() const {
    return "reducer " + reducer + " called " + function +
           "(), first at event " + std::to_string(first.value) + " (key " +
           first_key + ")";
  }
  bool CalledAt(EventId event_id) const {
    return latest_steps.count(event_id.value) > 0;
  }
};
std::vector<ProbeNote> ProbeNotes();
// The same, and forgets them.
std::vector<ProbeNote> TakeProbeNotes();

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_PROBES_H_
