#include "reenact/kernel/module.h"

#include <algorithm>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

// What a module is told apart by when there is no file to digest.
Digest HashNames(const ModuleRecord& record) {
  Hasher hasher("reenact.module.v1");
  hasher.AddSized(record.name).AddSized(record.version);
  hasher.AddU64(record.reducers.size());
  for (const std::string& reducer : record.reducers) hasher.AddSized(reducer);
  return hasher.Finish();
}

absl::Status BadName(std::string_view what, std::string_view name) {
  return absl::InvalidArgumentError(
      std::string(what) + " " + cbor::Diagnose(cbor::EncodeText(name)) +
      " is not 1 to 64 letters, digits, '.', '_' and '-'");
}

absl::Status CheckReducers(
    const std::vector<std::shared_ptr<const Reducer>>& reducers) {
  for (const auto& reducer : reducers) {
    if (reducer == nullptr) {
      return absl::InvalidArgumentError("a reducer that is null");
    }
    if (!IsReducerName(reducer->name())) {
      return BadName("reducer name", reducer->name());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Module> MakeModule(
    std::string name, std::string version,
    std::vector<std::shared_ptr<const Reducer>> reducers, InputMapper mapper) {
  if (!IsReducerName(name)) return BadName("module name", name);
  if (!cbor::IsUtf8(version)) {
    return absl::InvalidArgumentError("a version that is not UTF-8");
  }
  REENACT_RETURN_IF_ERROR(CheckReducers(reducers));
  std::sort(reducers.begin(), reducers.end(),
            [](const auto& a, const auto& b) { return a->name() < b->name(); });
  Module module;
  module.record.name = std::move(name);
  module.record.version = std::move(version);
  for (const auto& reducer : reducers) {
    const std::string_view next = reducer->name();
    if (!module.record.reducers.empty() &&
        module.record.reducers.back() == next) {
      return absl::InvalidArgumentError("reducer name " + std::string(next) +
                                        " is there twice");
    }
    module.record.reducers.emplace_back(next);
  }
  module.record.digest = HashNames(module.record);
  module.reducers = std::move(reducers);
  module.mapper = std::move(mapper);
  return module;
}

}  // namespace reenact
