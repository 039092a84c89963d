#include "examples/packages/check.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact::examples {
namespace {

constexpr std::string_view kNotInstalled = "not-installed";

// Takes the part of `text` before `separator` off its front.
std::string_view TakeUntil(char separator, std::string_view& text) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::string_view ArchOf(std::string_view package) {
  return package.substr(package.rfind(':') + 1);
}

// A package that became, or ceased to be, independent of the architecture goes
// on under another key, and dpkg logs no end of the old one.
bool LivesOnElsewhere(std::string_view package, const PackageTable& world,
                      const PackageTable& dpkg) {
  const std::string prefix(package.substr(0, package.rfind(':') + 1));
  for (auto it = dpkg.lower_bound(prefix);
       it != dpkg.end() && it->first.compare(0, prefix.size(), prefix) == 0;
       ++it) {
    const bool one_is_all =
        (ArchOf(package) == "all") != (ArchOf(it->first) == "all");
    if (one_is_all && world.count(it->first) > 0) return true;
  }
  return false;
}

std::string Describe(const PackageState& state) {
  return state.version.empty() ? state.status
                               : state.status + " " + state.version;
}

}  // namespace

absl::StatusOr<PackageState> DecodePackageState(BytesView state) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value value, cbor::Value::Parse(state));
  REENACT_ASSIGN_OR_RETURN(const std::string_view status,
                           value.GetText("status"));
  const cbor::Value* version = value.Find("version");
  if (version == nullptr || version->IsNull()) {
    return PackageState{std::string(status), ""};
  }
  REENACT_ASSIGN_OR_RETURN(const std::string_view text, version->AsText());
  return PackageState{std::string(status), std::string(text)};
}

absl::StatusOr<PackageTable> ParsePackageTable(std::string_view text) {
  PackageTable table;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = TakeUntil('\n', text);
    if (line.empty()) continue;
    const bool has_three = std::count(line.begin(), line.end(), '\t') == 2;
    const std::string package(TakeUntil('\t', line));
    PackageState state;
    state.status = std::string(TakeUntil('\t', line));
    if (line != "null" && line != "<none>") state.version = std::string(line);
    if (!has_three || package.empty() || state.status.empty()) {
      return absl::InvalidArgumentError("line " + std::to_string(number) +
                                        ": expected name:arch, status and "
                                        "version with tabs between them");
    }
    if (!table.emplace(package, std::move(state)).second) {
      return absl::InvalidArgumentError("line " + std::to_string(number) +
                                        ": " + package + " comes twice");
    }
  }
  return table;
}

std::vector<std::string> Mismatches(const PackageTable& world,
                                    const PackageTable& dpkg) {
  std::vector<std::string> mismatches;
  for (const auto& [package, ours] : world) {
    const auto found = dpkg.find(package);
    const PackageState theirs =
        found == dpkg.end() ? PackageState{std::string(kNotInstalled), ""}
                            : found->second;
    if (ours == theirs) continue;
    if (found == dpkg.end() && LivesOnElsewhere(package, world, dpkg)) continue;
    mismatches.push_back(package + ": the world says " + Describe(ours) +
                         ", dpkg says " + Describe(theirs));
  }
  return mismatches;
}

}  // namespace reenact::examples
