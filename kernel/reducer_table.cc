#include "reenact/kernel/reducer_table.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace reenact {
namespace {

const ModuleRecord* RecordedModuleOf(const std::vector<ModuleRecord>& records,
                                     std::string_view reducer) {
  for (const ModuleRecord& record : records) {
    if (std::find(record.reducers.begin(), record.reducers.end(), reducer) !=
        record.reducers.end()) {
      return &record;
    }
  }
  return nullptr;
}

std::shared_ptr<const Reducer> ReducerIn(const Module& module,
                                         std::string_view name) {
  for (const auto& reducer : module.reducers) {
    if (reducer->name() == name) return reducer;
  }
  return nullptr;
}

std::shared_ptr<const Reducer> ResolveReducer(
    const std::string& name, const std::vector<ModuleRecord>& records,
    const std::vector<Module>& modules) {
  const ModuleRecord* record = RecordedModuleOf(records, name);
  std::shared_ptr<const Reducer> by_name;
  std::shared_ptr<const Reducer> any;
  for (const Module& module : modules) {
    std::shared_ptr<const Reducer> code = ReducerIn(module, name);
    if (code == nullptr) continue;
    if (record != nullptr && module.record.digest == record->digest) {
      return code;
    }
    if (record != nullptr && module.record.name == record->name &&
        by_name == nullptr) {
      by_name = code;
    }
    if (any == nullptr) any = code;
  }
  return by_name != nullptr ? by_name : any;
}

}  // namespace

std::vector<ModuleRecord> RecordsOf(const std::vector<Module>& modules) {
  std::vector<ModuleRecord> records;
  for (const Module& module : modules) records.push_back(module.record);
  return records;
}

absl::StatusOr<std::vector<std::shared_ptr<const Reducer>>> ResolveReducers(
    const std::vector<std::string>& names,
    const std::vector<ModuleRecord>& records,
    const std::vector<Module>& modules) {
  std::vector<std::shared_ptr<const Reducer>> table;
  for (const std::string& name : names) {
    table.push_back(ResolveReducer(name, records, modules));
    if (table.back() == nullptr && RecordedModuleOf(records, name) != nullptr) {
      return absl::InvalidArgumentError("no module given has the reducer \"" +
                                        name +
                                        "\" that this world's history uses");
    }
  }
  return table;
}

std::vector<std::string> ExtendTable(std::vector<std::string> table,
                                     const std::vector<ModuleRecord>& records) {
  for (const ModuleRecord& record : records) {
    for (const std::string& name : record.reducers) {
      if (std::find(table.begin(), table.end(), name) == table.end()) {
        table.push_back(name);
      }
    }
  }
  return table;
}

absl::Status CheckModules(const std::vector<Module>& modules) {
  if (modules.empty()) {
    return absl::InvalidArgumentError("a world needs at least one module");
  }
  std::set<std::string> names;
  for (const Module& module : modules) {
    for (const std::string& name : module.record.reducers) {
      if (!names.insert(name).second) {
        return absl::InvalidArgumentError("two modules have a reducer \"" +
                                          name + "\"");
      }
    }
  }
  return absl::OkStatus();
}

std::string DescribeModuleChange(const std::vector<ModuleRecord>& recorded,
                                 const std::vector<ModuleRecord>& given) {
  for (const ModuleRecord& old : recorded) {
    for (const ModuleRecord& now : given) {
      if (old.name == now.name && old.digest != now.digest) {
        return "module \"" + old.name + "\" " + now.version + " has digest " +
               now.digest.ToHex().substr(0, 16) +
               "..., the world was run with " + old.version + ", digest " +
               old.digest.ToHex().substr(0, 16) + "...";
      }
    }
  }
  return "the world was made with other modules";
}

}  // namespace reenact
