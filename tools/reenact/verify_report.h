// What verification found, in words, JSON and JUnit XML.

#ifndef REENACT_TOOLS_REENACT_VERIFY_REPORT_H_
#define REENACT_TOOLS_REENACT_VERIFY_REPORT_H_

#include <string>
#include <string_view>
#include <vector>

#include "reenact/replay/replay.h"
#include "tools/reenact/exit_codes.h"
#include "tools/reenact/json.h"
#include "tools/reenact/probes.h"

namespace reenact::tools {

struct FullReport {
  VerifyReport report;
  std::vector<ProbeNote> probes;
  bool allow_module_change = false;

  // The report's verdict, except that a step which diverged and asked the
  // machine for something is impure: run twice at one moment it may agree with
  // itself and still not with its record.
  Verdict verdict() const;
  ExitCode exit_code() const;
  // What the divergent step's reducer called: "clock_gettime, rand".
  std::string GuiltyCalls() const;
  // The first step that did something to the outside, which makes it impure
  // whatever else was found; null: none did.
  const ProbeNote* FirstAct() const;
};

// Lines for people; the first one is the verdict.
std::string TextReport(const FullReport& report);
Json JsonReport(const FullReport& report);
// One test suite with one test case; `world` names it.
std::string JUnitReport(const FullReport& report, const std::string& world);
// The same where there is no verdict: an error.
std::string JUnitError(std::string_view why, const std::string& world);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_VERIFY_REPORT_H_
