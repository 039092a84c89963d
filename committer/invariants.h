#ifndef REENACT_COMMITTER_INVARIANTS_H_
#define REENACT_COMMITTER_INVARIANTS_H_

#include <optional>

#include "reenact/kernel/bytes.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

// Checks, in debug builds, what a commit appended: stops the process if it
// breaks an invariant of the journal.
void CheckOutcome(EventId event_id, std::optional<FailureCode> failure,
                  BytesView appended);

}  // namespace reenact

#endif  // REENACT_COMMITTER_INVARIANTS_H_
