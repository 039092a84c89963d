// Finding modules and loading them: shared libraries that export reducers, as
// kernel/module.h describes them.
//
//   absl::StatusOr<Module> module = LoadModule("counter",
//   {"/usr/lib/reenact"});
//
// Thread safety: any thread, one at a time for each file.

#ifndef REENACT_WORLD_LOAD_MODULE_H_
#define REENACT_WORLD_LOAD_MODULE_H_

#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/module.h"

namespace reenact {

// Loads a module by path (anything with a '/') or by name: `NAME.so` in each
// directory of `search_path`, in order.
//
// NotFound: no such file. InvalidArgument: the file is no module, was built for
// another version, throws, or registers nothing or something twice.
absl::StatusOr<Module> LoadModule(std::string_view name_or_path,
                                  const std::vector<std::string>& search_path);

}  // namespace reenact

#endif  // REENACT_WORLD_LOAD_MODULE_H_
