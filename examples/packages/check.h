// Whether a world that was fed with dpkg's log agrees with dpkg.

#ifndef REENACT_EXAMPLES_PACKAGES_CHECK_H_
#define REENACT_EXAMPLES_PACKAGES_CHECK_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact::examples {

struct PackageState {
  std::string status;
  std::string version;  // empty: none

  friend bool operator==(const PackageState&, const PackageState&) = default;
};

// By "name:arch".
using PackageTable = std::map<std::string, PackageState>;

// Of a cell's state; InvalidArgument: it is no package's.
absl::StatusOr<PackageState> DecodePackageState(BytesView state);

// Lines "name:arch<TAB>status<TAB>version"; "", "null" and "<none>" are no
// version. InvalidArgument names the line that is different, or the package
// that comes twice.
absl::StatusOr<PackageTable> ParsePackageTable(std::string_view text);

// One line for each package of `world` about which `dpkg` says something else.
// What dpkg has and the world has not is older than the log, and no mismatch. A
// package that is not installed is absent from dpkg's table.
std::vector<std::string> Mismatches(const PackageTable& world,
                                    const PackageTable& dpkg);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_PACKAGES_CHECK_H_
