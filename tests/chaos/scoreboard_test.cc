// Counts that programs leave for whoever adds them up.

#include "reenact/harness/scoreboard.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "tests/journal/temporary_directory.h"

namespace reenact {
namespace {

TEST_CASE("a count is a line in the file that all programs share",
          "[harness]") {
  TemporaryDirectory directory;
  const std::string path = directory / "scoreboard";
  ::setenv("REENACT_SCOREBOARD", path.c_str(), 1);
  Score("falls", 3);
  Score("falls", 4);
  ::unsetenv("REENACT_SCOREBOARD");
  Score("falls", 5);
  CHECK(ReadWholeFile(path) == "scoreboard: falls 3\nscoreboard: falls 4\n");
}

TEST_CASE("the tier is pr unless it is long", "[harness]") {
  const char* const before = std::getenv("REENACT_TIER");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("REENACT_TIER", "long", 1);
  CHECK(ForTier(1, 2) == 2);
  ::setenv("REENACT_TIER", "pr", 1);
  CHECK(ForTier(1, 2) == 1);
  ::unsetenv("REENACT_TIER");
  CHECK(CurrentTier() == Tier::kPr);
  if (before != nullptr) ::setenv("REENACT_TIER", kept.c_str(), 1);
}

}  // namespace
}  // namespace reenact
