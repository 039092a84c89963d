#include "reenact/kernel/reducer.h"

absl::Status Scribble(reenact::StepContext& step) {
  if (auto state = step.state()) {
#ifdef MISUSE
    // What others may be reading at this moment cannot be written to.
    (*state)[0] = '\0';
#else
    step.SetState(*state);
#endif
  }
  return absl::OkStatus();
}
