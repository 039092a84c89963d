// What differs between what was recorded and what was recomputed, in the terms
// of a user.

#ifndef REENACT_REPLAY_REPORT_H_
#define REENACT_REPLAY_REPORT_H_

#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/kernel/event.h"
#include "reenact/replay/replay.h"

namespace reenact {

// Fills in ticket, field and both values from two entries that should be equal;
// an empty one stands for none. Names a step's own cell by the reducer and key
// that are in `divergence`. `reducers`: the table of names.
void DescribeDifference(const std::vector<std::string>& reducers,
                        BytesView recorded, BytesView recomputed,
                        Divergence* divergence);

// Fills in reducer, key and cause of the divergence's ticket from its
// StepScheduled; false if it is not among `entries`.
bool FillFromSchedule(const std::vector<std::string>& reducers,
                      const std::vector<Bytes>& entries,
                      Divergence* divergence);

// "input 17" or "event 3 that ticket 12 raised".
std::string DescribeCause(const Cause& cause);

}  // namespace reenact

#endif  // REENACT_REPLAY_REPORT_H_
