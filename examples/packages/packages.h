// What dpkg did on a machine, from its own log.
//
//   package  one cell per "name:arch": {"status", "version", "installs",
//            "upgrades", "removes", "events"}
//
// Status and version are those of the last status line, so they end up as what
// dpkg-query says; "version" is null for a package that has none.

#ifndef REENACT_EXAMPLES_PACKAGES_PACKAGES_H_
#define REENACT_EXAMPLES_PACKAGES_PACKAGES_H_

#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact::examples {

// "dpkg.status" {"status", "version"} or "dpkg.action" {"action"}, the action
// install, upgrade, remove, purge or disappear.
class PackageReducer final : public Reducer {
 public:
  std::string_view name() const override { return "package"; }
  absl::Status Step(StepContext& step) const override;
};

// {"line": TEXT} with a line as in dpkg(1), under --log:
//   2026-01-31 04:05:50 status installed libfoo:amd64 1.2-3
//   2026-01-31 04:05:49 upgrade libfoo:amd64 1.2-2 1.2-3
// Lines about something other than a package's state (startup, configure,
// trigproc, conffile) and empty ones give no event; what is no line of such a
// log gives InvalidArgument. The log's times name no zone and are taken as UTC.
absl::StatusOr<std::vector<Input>> MapPackageRow(const cbor::Value& row);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_PACKAGES_PACKAGES_H_
