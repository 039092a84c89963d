// The same catches through the command: exit codes, names, slices.

#include "tests/tools/command.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/journal/temporary_directory.h"

namespace reenact::tests {
namespace {

using Catch::Contains;
using Catch::StartsWith;

std::string TestModule(const std::string& name) {
  return REENACT_BINARY_DIR "/tests/modules/" + name + ".so";
}

// A world of forty clicks, made by a module.
class Clicks {
 public:
  explicit Clicks(const std::string& module) {
    std::string rows;
    for (int i = 0; i < 40; ++i) {
      rows += R"({"counter": "c)" + std::to_string(i % 4) + R"(", "add": )" +
              std::to_string(i) + "}\n";
    }
    const CommandResult run = RunReenact(
        {"run", "--module", module, "--world", world(), "--events", "-"}, rows);
    INFO(run.err);
    REQUIRE(run.code == 0);
  }

  std::string world() const { return directory_ / "world"; }
  std::string slice() const { return directory_ / "slice"; }

 private:
  TemporaryDirectory directory_;
};

// Under sanitizers the command has no probes, so that nothing tells it of what
// is the same in both runs of a step.
TEST_CASE("the command catches every kind of impure reducer, and names it",
          "[replay]") {
  const std::string name =
      GENERATE(as<std::string>(), "impure_clock", "impure_getenv",
               "impure_rand", "impure_static", "impure_unordered");
#ifdef REENACT_SANITIZED
  // Without probes: sanitizers intercept the same functions.
  if (name == "impure_getenv") return;
#endif
  const Clicks clicks(TestModule(name));
  for (const char* workers : {"0", "2"}) {
    const CommandResult result =
        RunReenact({"verify", clicks.world(), "--module", TestModule(name),
                    "--workers", workers});
    CAPTURE(name, workers, result.out, result.err);
    CHECK(result.code == 5);
    CHECK_THAT(result.out, StartsWith("IMPURE") && Contains("counter") &&
                               Contains("event_id:"));
  }
}

TEST_CASE("the command's slice diverges as its world does", "[replay]") {
  const Clicks clicks("counter");
  const std::string changed = TestModule("counter_changed");
  const CommandResult whole = RunReenact({"verify", clicks.world(), "--module",
                                          changed, "--slice", clicks.slice()});
  CAPTURE(whole.out, whole.err);
  CHECK(whole.code == 1);
  CHECK_THAT(whole.out, Contains("event_id:") && Contains("slice:"));
  const CommandResult small =
      RunReenact({"verify", clicks.slice(), "--module", changed});
  CAPTURE(small.out, small.err);
  CHECK(small.code == 1);
  // Down to what was replayed, the reports are the same.
  const auto about = [](const std::string& report) {
    return report.substr(0, report.find("replayed:"));
  };
  CHECK(about(small.out) == about(whole.out));
  CHECK(RunReenact({"verify", clicks.slice(), "--module", "counter"}).code ==
        0);
}

}  // namespace
}  // namespace reenact::tests
