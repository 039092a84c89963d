// Which code runs under which recorded name.

#ifndef REENACT_KERNEL_REDUCER_TABLE_H_
#define REENACT_KERNEL_REDUCER_TABLE_H_

#include <memory>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/module.h"

namespace reenact {

// What the journal records of modules.
std::vector<ModuleRecord> RecordsOf(const std::vector<Module>& modules);

// InvalidArgument: there is no module, or two have a reducer of one name.
absl::Status CheckModules(const std::vector<Module>& modules);

// The code for each name of a reducer table: from the module with the recorded
// digest if it is there, else from one of the recorded name, else from any.
// Null for a name that neither `records` nor `modules` knows any more.
//
// InvalidArgument: a name of `records` that no module has.
absl::StatusOr<std::vector<std::shared_ptr<const Reducer>>> ResolveReducers(
    const std::vector<std::string>& names,
    const std::vector<ModuleRecord>& records,
    const std::vector<Module>& modules);

// `table` with the names of `records` that it lacks at its end.
std::vector<std::string> ExtendTable(std::vector<std::string> table,
                                     const std::vector<ModuleRecord>& records);

// How `given` differs from what was recorded, for people.
std::string DescribeModuleChange(const std::vector<ModuleRecord>& recorded,
                                 const std::vector<ModuleRecord>& given);

}  // namespace reenact

#endif  // REENACT_KERNEL_REDUCER_TABLE_H_
