// What several subcommands share.

#ifndef REENACT_TOOLS_REENACT_COMMON_H_
#define REENACT_TOOLS_REENACT_COMMON_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/module.h"
#include "tools/reenact/exit_codes.h"

namespace reenact::tools {

// Prints "reenact: message" on standard error, on one line, and gives back the
// exit code that fits the status, or the one named.
ExitCode Complain(const absl::Status& status);
ExitCode Complain(ExitCode code, std::string_view message);

// Writes to standard output. False once that has failed: the disk is full or
// nobody reads any more.
bool Print(std::string_view text);
bool PrintLine(std::string_view text);
bool FlushOutput();

// Keeps standard output for Print(): what modules write to it goes to standard
// error from now on, and not between what others parse. To be called before
// modules are loaded.
void KeepOutputFromModules();

// What ends a command whose output could not be written.
absl::Status OutputError();

// The directories that modules are found in, in order: those of
// REENACT_MODULE_PATH, then lib/reenact beside the executable's directory.
std::vector<std::string> ModuleSearchPath();

// Loads modules by name or path, in order.
absl::StatusOr<std::vector<Module>> LoadModules(
    const std::vector<std::string>& names);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_COMMON_H_
