// What the command's exit codes mean: the only place.

#ifndef REENACT_TOOLS_REENACT_EXIT_CODES_H_
#define REENACT_TOOLS_REENACT_EXIT_CODES_H_

#include <string_view>

#include "reenact/base/status.h"

namespace reenact::tools {

// Promised to scripts: numbers never change meaning.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,         // verify found a divergence; no such cell; other errors
  kUsage = 2,          // the command line makes no sense
  kDamaged = 3,        // the world is damaged
  kModuleChanged = 4,  // the modules are not those that were recorded
  kImpure = 5,         // a reducer depends on more than its step
  kUnknownFormat = 6,  // the world has a format of another version
  kBadInput = 7,       // a row, event or payload is not acceptable
  kRefused = 8,        // no world there, open elsewhere, other options
  kSystem = 9,         // disk full, permission, I/O error
  kBadModule = 10,     // a module is not there or cannot be used
  kStuck = 11,         // a step does not return
  kCrashed = 12,       // a step crashed the process, or ended it
  kNotWell = 13,     // an effect has not ended with ok, and that was asked for
  kOtherInput = 14,  // the input is not what was taken in so far
  kInterrupted = 130,  // SIGINT; the same command continues
  kTerminated = 143,   // SIGTERM; the same command continues
};

// The table above as text, for --help.
std::string_view ExitCodeHelp();

// The exit code for an error from a world.
ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_EXIT_CODES_H_
