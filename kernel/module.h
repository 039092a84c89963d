// Reducers in a shared library.
//
// A module is a shared library that exports one function and links
// reenact::reenact:
//
//   #include "reenact/kernel/module.h"
//
//   REENACT_MODULE(registry) {
//     registry.SetName("counter", "1.0.0");
//     registry.AddReducer(std::make_shared<Counter>());
//   }
//
// It is C++ on both sides, so module and program are built against the same
// version of Reenact; LoadModule() (world/load_module.h) refuses others.

#ifndef REENACT_KERNEL_MODULE_H_
#define REENACT_KERNEL_MODULE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

// Raised whenever a class of this header or of reducer.h changes its layout.
inline constexpr std::uint32_t kModuleAbiVersion = 3;

// Turns one row of an input file (a JSON object, a CSV row as a map of texts,
// or a CBOR item) into the events that it stands for, in order. Submission id,
// priority and time are the mapper's to set; position is not. An error names
// what is wrong with the row; the caller adds file and line.
using InputMapper =
    std::function<absl::StatusOr<std::vector<Input>>(const cbor::Value& row)>;

// Whether a mapper sets Input::time. Where it does, `reenact run` makes worlds
// whose clock is `input`; where it does not, such a clock would stand still.
enum class RowTime { kNone, kSet };

// What a module brings.
class ModuleRegistry {
 public:
  virtual void SetName(std::string name, std::string version) = 0;
  virtual void AddReducer(std::shared_ptr<const Reducer> reducer) = 0;
  // At most one; with it `reenact run` needs no --reducer and --key.
  virtual void SetInputMapper(InputMapper mapper,
                              RowTime time = RowTime::kNone) = 0;

 protected:
  ~ModuleRegistry() = default;
};

// A loaded module. Its reducers must not outlive the process; the library is
// never unloaded, since states of worlds may point into it.
struct Module {
  std::string path;
  ModuleRecord record;  // reducers sorted by name
  std::vector<std::shared_ptr<const Reducer>> reducers;  // in that order
  InputMapper mapper;  // empty if it registered none
  RowTime row_time = RowTime::kNone;
};

// A module out of reducers that are part of the program itself. Its digest
// covers the names and the version, since there is no file to digest.
//
// InvalidArgument: a bad or repeated reducer name.
absl::StatusOr<Module> MakeModule(
    std::string name, std::string version,
    std::vector<std::shared_ptr<const Reducer>> reducers,
    InputMapper mapper = nullptr);

}  // namespace reenact

#define REENACT_MODULE(registry)                                          \
  static void ReenactModuleRegister(::reenact::ModuleRegistry& registry); \
  extern "C" __attribute__((visibility("default"))) std::uint32_t         \
  reenact_module_abi() {                                                  \
    return ::reenact::kModuleAbiVersion;                                  \
  }                                                                       \
  extern "C" __attribute__((visibility("default"))) void                  \
  reenact_module_register(::reenact::ModuleRegistry* reenact_registry) {  \
    ReenactModuleRegister(*reenact_registry);                             \
  }                                                                       \
  static void ReenactModuleRegister(::reenact::ModuleRegistry& registry)

#endif  // REENACT_KERNEL_MODULE_H_
