// Scenarios that the harness's own tests run.

#ifndef REENACT_TESTS_HARNESS_SCENARIOS_H_
#define REENACT_TESTS_HARNESS_SCENARIOS_H_

#include <vector>

#include "reenact/harness/scenario.h"

namespace reenact::harness {

// Reducers that do everything, fed one by one: compared with the model.
Scenario TortureFed();
// The same, submitted by clients.
Scenario TortureSubmitted();
// Clients that spend one budget, ask what is left, and have it raised and
// lowered meanwhile.
Scenario BudgetRace();
// Submitters, while operators change scheduling, policy and grants, approve,
// cancel and ask for snapshots, the clock jumps, and crashes bring new code.
Scenario Changes();
// Two workers and three tickets, of which two meet in one cell: small enough
// for statements about all schedules.
Scenario Reference();

std::vector<Scenario> AllScenarios();

}  // namespace reenact::harness

#endif  // REENACT_TESTS_HARNESS_SCENARIOS_H_
