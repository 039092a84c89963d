// A world that a command opens to tell it something, and closes again.

#ifndef REENACT_TOOLS_REENACT_LIVE_WORLD_H_
#define REENACT_TOOLS_REENACT_LIVE_WORLD_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/world/world.h"
#include "tools/reenact/exit_codes.h"

namespace reenact::tools {

// Which world, with which modules, in whose name.
struct LiveWorldOptions {
  std::string world;
  std::vector<std::string> modules;
  double step_timeout = 0;  // seconds
  std::string by;  // recorded; the name of the user who runs the command
};

// Adds DIR, --module and, if `named`, --by.
void AddLiveWorldOptions(CLI::App& command, LiveWorldOptions* options,
                         bool named);

// Opens the world, hands `tell` to it, runs until nothing is left to do, and
// says whether the control command committed. What it led to is durable then.
ExitCode TellWorld(
    const LiveWorldOptions& options,
    const std::function<absl::StatusOr<Submission>(World&)>& tell);
// The same for one who submits several things.
ExitCode TellWorldAll(
    const LiveWorldOptions& options,
    const std::function<absl::StatusOr<std::vector<Submission>>(World&)>& tell);

// `by`, or the name of the user who runs the command if it is empty.
std::string NameOr(const std::string& by);

// What every such command's exit codes mean.
inline constexpr const char* kLiveWorldExitCodes =
    "Exit codes: 0 done; 1 it made no sense at its ticket, and is on record "
    "as\n"
    "failed; 2 usage; 3 damaged world; 4 other modules than recorded; 6 other\n"
    "format; 8 no world there, open elsewhere, or of format 1, which has no\n"
    "effects; 9 disk full, permission, I/O; 10 bad module; 11 a step that does "
    "not\n"
    "return (--step-timeout); 12 a step that crashes or calls exit().";

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_LIVE_WORLD_H_
