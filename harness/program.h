// The command line that harness programs and `reenact fuzz` share. Not
// installed.

#ifndef REENACT_HARNESS_PROGRAM_H_
#define REENACT_HARNESS_PROGRAM_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "reenact/harness/explore.h"

namespace reenact::harness {

// Exit codes.
inline constexpr int kHeld = 0;
inline constexpr int kViolated = 1;
inline constexpr int kProblem = 2;     // bad options, drift, the harness itself
inline constexpr int kUnfinished = 3;  // fewer runs than were asked for

struct ProgramOptions {
  ExploreOptions explore;
  std::string strategy = "portfolio";
  std::string engine = "fibers";
  std::vector<std::string> faults = {"crash", "io"};
  std::string replay;
  std::vector<std::string> reports;
  int exhaustive = -1;  // preemptions; -1: not so
  bool quiet = false;
  // How the program was called, for the process that it starts once more;
  // empty: none is.
  std::vector<std::string> arguments;
  int other_process = -1;  // this is it, and is asked there
};

void AddOptions(CLI::App& app, ProgramOptions* options);
// What belongs under --help: exit codes, examples.
std::string ProgramFooter(const std::string& command);

// Explores or replays; writes to standard output and into files. `command`: how
// the program is called, for the line that says how to have a failure again.
int RunProgram(const Scenario& scenario, ProgramOptions options,
               const std::string& command);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_PROGRAM_H_
