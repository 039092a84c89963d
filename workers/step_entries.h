// What the journal says of a step, made where the step was run.

#ifndef REENACT_WORKERS_STEP_ENTRIES_H_
#define REENACT_WORKERS_STEP_ENTRIES_H_

#include "reenact/base/bytes.h"
#include "reenact/workers/slot.h"

namespace reenact {

// Appends StepScheduled of `ticket`.
void EncodeScheduled(const Ticket& ticket, Bytes* out);

// Appends StepScheduled and StepCommitted or StepFailed. Any thread, for a slot
// that is its own.
void EncodeResult(const Slot& slot, const StepResult& result, Bytes* out);

}  // namespace reenact

#endif  // REENACT_WORKERS_STEP_ENTRIES_H_
