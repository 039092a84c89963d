// What an exploration came to, for people and for machines.

#ifndef REENACT_HARNESS_REPORT_H_
#define REENACT_HARNESS_REPORT_H_

#include <string>

#include "reenact/harness/explore.h"
#include "reenact/harness/scenario.h"

namespace reenact::harness {

struct ReportInput {
  const Scenario* scenario = nullptr;
  const ExploreOptions* options = nullptr;
  const Exploration* exploration = nullptr;
  bool exhaustive = false;
  bool complete = false;  // of an exhaustive one
  std::string command;    // how the program was called, for the replay line
};

// Several lines for a terminal: figures, verdict, and of a failure everything
// that is needed to understand it and to have it again.
std::string TextReport(const ReportInput& input);
// One JSON object.
std::string JsonReport(const ReportInput& input);
// A page that needs no network.
std::string HtmlReport(const ReportInput& input);

// Who ran when: a line for each stretch of one task.
std::string Timeline(const RunResult& run);
// A Catch2 test case that fails as this run did.
std::string TestCase(const Scenario& scenario, const Found& found);
// What length of history was reached; and "of schedules: a bug of depth 3 would
// have been missed with probability < 0.1 %", a line for each depth of which
// that can be said.
std::string ProbabilityStatement(const ReportInput& input);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_REPORT_H_
