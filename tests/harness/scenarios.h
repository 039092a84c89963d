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
// Several ask for the same, of which one goes out; what is held is approved,
// what is open is given up.
Scenario Shared();

// Small enough for statements about all schedules; with two workers each.
//
// Three tickets, of which two meet in one cell.
Scenario Reference();
// Three that spend one budget, which is enough for two.
Scenario SmallBudget();
// Events that are raised, at once and for later, meet others in their cell.
Scenario SmallRaise();
// One scans a range in which others make and remove cells.
Scenario SmallScan();
// One is answered, and changes what the other reads.
Scenario SmallEffect();
// Steps at the limits of what they may do, and over them.
Scenario SmallLimits();

std::vector<Scenario> AllScenarios();

}  // namespace reenact::harness

#endif  // REENACT_TESTS_HARNESS_SCENARIOS_H_
