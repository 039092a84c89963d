// What a run of the tests got through, in lines that add up:
//
//   scoreboard: in-memory crash/recover cycles 12480
//
// Several programs may count towards one measure; tools/check adds them up.

#ifndef REENACT_HARNESS_SCOREBOARD_H_
#define REENACT_HARNESS_SCOREBOARD_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace reenact {

// How much a test does. The environment variable REENACT_TIER says which: "pr",
// which is also what it is without the variable, or "long".
enum class Tier { kPr, kLong };
Tier CurrentTier();
// `pr`, or `long_tier` in the long tier.
std::uint64_t ForTier(std::uint64_t pr, std::uint64_t long_tier);

// Prints the line of `measure`, a few words without a digit at the end, to
// stdout; and appends it to the file that the environment variable
// REENACT_SCOREBOARD names, in one write, so that programs may share the file.
// A file that cannot be written is said on stderr and is no reason to fail.
//
// Thread safety: any thread.
void Score(std::string_view measure, std::uint64_t count);

// The line, with its line feed.
std::string ScoreLine(std::string_view measure, std::uint64_t count);

}  // namespace reenact

#endif  // REENACT_HARNESS_SCOREBOARD_H_
