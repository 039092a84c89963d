#ifndef REENACT_COMMITTER_READ_BACK_H_
#define REENACT_COMMITTER_READ_BACK_H_

#include <optional>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

// Checks, in debug builds, what a commit appended: stops the process if it
// breaks an invariant of the journal.
void CheckOutcome(EventId event_id, std::optional<FailureCode> failure,
                  BytesView appended);

// Whether what is written is read again before it is believed: in debug builds,
// and in the harness. Of each translation unit, as its build is.
#if defined(NDEBUG) && !defined(REENACT_INSTRUMENTED)
constexpr bool kReadBack = false;
#else
constexpr bool kReadBack = true;
#endif

// OK if a round's entries are read as they were written, or Internal, with the
// first that is not: a door let in what no reader takes.
absl::Status ReadBack(BytesView entries);

}  // namespace reenact

#endif  // REENACT_COMMITTER_READ_BACK_H_
