#include "reenact/journal/recorded_config.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace reenact {
namespace {

bool IsBrought(const std::vector<ModuleRecord>& modules,
               const std::string& reducer) {
  return std::any_of(
      modules.begin(), modules.end(), [&reducer](const ModuleRecord& module) {
        const auto& names = module.reducers;
        return std::find(names.begin(), names.end(), reducer) != names.end();
      });
}

absl::Status ChangeModules(const entry::ModuleChanged& change,
                           WorldConfig* config) {
  const auto& before = config->reducers;
  if (change.reducers.size() < before.size() ||
      !std::equal(before.begin(), before.end(), change.reducers.begin())) {
    return absl::InvalidArgumentError(
        "reducers: the table does not begin with the one before it");
  }
  config->modules = change.modules;
  config->reducers = change.reducers;
  return absl::OkStatus();
}

absl::Status ChangeRules(const entry::ConfigChanged& change,
                         WorldConfig* config) {
  const std::uint64_t depth = config->scheduling.pipeline_depth;
  if (change.scheduling.pipeline_depth != depth) {
    return absl::InvalidArgumentError(
        "scheduling.pipeline_depth is " +
        std::to_string(change.scheduling.pipeline_depth) + ", was " +
        std::to_string(depth) + " and is a constant of the world");
  }
  config->scheduling = change.scheduling;
  config->snapshot_every = change.snapshot_every;
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckGenesis(const WorldConfig& config) {
  REENACT_RETURN_IF_ERROR(CheckConfig(config));
  if (config.modules.empty()) {
    return absl::InvalidArgumentError("modules: there is none");
  }
  for (const std::string& reducer : config.reducers) {
    if (IsBrought(config.modules, reducer)) continue;
    return absl::InvalidArgumentError("reducers: no module brings " + reducer);
  }
  return absl::OkStatus();
}

absl::Status ApplyConfigChange(const Entry& entry, WorldConfig* config) {
  WorldConfig changed;
  if (const auto* modules = std::get_if<entry::ModuleChanged>(&entry)) {
    changed = *config;
    REENACT_RETURN_IF_ERROR(ChangeModules(*modules, &changed));
  } else if (const auto* rules = std::get_if<entry::ConfigChanged>(&entry)) {
    changed = *config;
    REENACT_RETURN_IF_ERROR(ChangeRules(*rules, &changed));
  } else {
    return absl::OkStatus();
  }
  REENACT_RETURN_IF_ERROR(CheckConfig(changed));
  *config = std::move(changed);
  return absl::OkStatus();
}

}  // namespace reenact
