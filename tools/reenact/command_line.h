// What all commands do with their command lines.

#ifndef REENACT_TOOLS_REENACT_COMMAND_LINE_H_
#define REENACT_TOOLS_REENACT_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <optional>

#include "tools/reenact/exit_codes.h"

namespace reenact::tools {

inline constexpr std::uint64_t kAnyNumber =
    std::numeric_limits<std::uint64_t>::max();

// For options: a whole number from `low` to `high`; what is wrong is said in a
// line that a person can read.
CLI::Validator Whole(std::uint64_t low, std::uint64_t high = kAnyNumber);

// For Option::transform(): a duration of `low` to `high` seconds, such as
// 500ms, 30s or 2m; a number alone is seconds. The option becomes a number of
// seconds.
CLI::Validator Seconds(double low, double high);

// Opens what of standard input, output and error is closed, in a way in which
// using it fails: else the next file that is opened stands in its place. To be
// called before any.
void HoldStandardStreams();

// Parses, and shows help if that is asked for. Beyond what CLI11 does: no
// option or argument takes an empty value, unless it is one of words (--note,
// --reason, KEY); numbers are as Whole() says; what is unknown is named as
// that, whatever else is missing, also beside --help. Complains in one line.
//
// Nothing: go on. Else what to exit with.
std::optional<ExitCode> ParseCommandLine(CLI::App& app, int argc, char** argv);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_COMMAND_LINE_H_
