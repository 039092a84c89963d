// SIGINT and SIGTERM as a wish to stop.

#ifndef REENACT_TOOLS_REENACT_SIGNALS_H_
#define REENACT_TOOLS_REENACT_SIGNALS_H_

#include "reenact/workers/step_guard.h"

namespace reenact {
class World;
}

namespace reenact::tools {

// From now on the first SIGINT or SIGTERM is noted, and another one ends the
// process at once, unless it comes within 0.3 s: timeout(1) sends two together.
// If a step does not return meanwhile, it is said which one is waited for.
// SIGPIPE is ignored: a write to a closed pipe is an error.
void CatchStopSignals();

// The signal that was caught, or 0. Any thread.
int StopSignal();

// The world that the handler interrupts; null: none. Set it back before the
// world goes.
void InterruptOnStop(World* world);

// How this command ends when a step crashes it.
StepGuardOptions StepGuard();

// The world whose complete rounds are written before that; null: none. Set it
// back before the world goes.
void WriteBeforeCrash(const World* world);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_SIGNALS_H_
