// A scenario as a program, or inside a unit test.
//
//   REENACT_HARNESS_MAIN("transfers", Transfers)     // a program's main()
//
//   TEST_CASE("transfers, under a thousand schedules") {
//     REENACT_REQUIRE_RUNS(Scenario({"transfers", Transfers}), 1000);
//   }
//   TEST_CASE("what broke once") {
//     REENACT_REQUIRE_HOLDS(scenario, "run:v1:transfers:w4ci:...");
//   }
//
// Link reenact::harness instead of reenact::reenact: it brings a kernel that
// has the points at which schedules differ.

#ifndef REENACT_HARNESS_MAIN_H_
#define REENACT_HARNESS_MAIN_H_

#include <cstdint>
#include <string>

#include "reenact/harness/scenario.h"

namespace reenact::harness {

// Parses the command line, explores, reports. Exit codes: 0 all held; 1 a
// violation; 2 bad options, drift, or a harness problem; 3 fewer runs than
// asked for.
int HarnessMain(int argc, char** argv, const Scenario& scenario);

// "" if the run of `replay` holds; else what did not, for a test's message. A
// replay that has drifted does not hold.
std::string WhyNotHeld(const Scenario& scenario, const std::string& replay);
// The same for `runs` runs.
std::string WhyNotHeld(const Scenario& scenario, std::uint64_t runs,
                       std::uint64_t seed);

}  // namespace reenact::harness

#define REENACT_HARNESS_MAIN(name, set_up)                            \
  int main(int argc, char** argv) {                                   \
    return reenact::harness::HarnessMain(argc, argv, {name, set_up}); \
  }

// For Catch2, and for anything else that has FAIL(message).
#define REENACT_REQUIRE_HOLDS(scenario, replay)                             \
  do {                                                                      \
    const std::string why = reenact::harness::WhyNotHeld(scenario, replay); \
    if (!why.empty()) FAIL(why);                                            \
  } while (false)
#define REENACT_REQUIRE_RUNS(scenario, runs)                            \
  do {                                                                  \
    const std::string why =                                             \
        reenact::harness::WhyNotHeld(scenario, std::uint64_t{runs}, 1); \
    if (!why.empty()) FAIL(why);                                        \
  } while (false)

#endif  // REENACT_HARNESS_MAIN_H_
