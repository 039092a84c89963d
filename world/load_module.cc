#include "reenact/world/load_module.h"

#include <dlfcn.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>

#include "reenact/kernel/hash.h"
#include "reenact/workers/module_call.h"

namespace reenact {
namespace {

using AbiFunction = std::uint32_t();
using RegisterFunction = void(ModuleRegistry*);

// Takes down what a module registers; the first mistake stays.
class Registry final : public ModuleRegistry {
 public:
  void SetName(std::string name, std::string version) override {
    if (named_) Refuse("sets its name twice");
    named_ = true;
    name_ = std::move(name);
    version_ = std::move(version);
  }

  void AddReducer(std::shared_ptr<const Reducer> reducer) override {
    reducers_.push_back(std::move(reducer));
  }

  void SetInputMapper(InputMapper mapper, RowTime time) override {
    if (mapper_) Refuse("sets an input mapper twice");
    if (!mapper) Refuse("sets an input mapper that is empty");
    mapper_ = std::move(mapper);
    row_time_ = time;
  }

  // What was registered, without its digest.
  absl::StatusOr<Module> Finish() {
    if (!mistake_.empty()) return absl::InvalidArgumentError(mistake_);
    if (!named_) return absl::InvalidArgumentError("sets no name");
    if (reducers_.empty() && !mapper_) {
      return absl::InvalidArgumentError("registers nothing");
    }
    REENACT_ASSIGN_OR_RETURN(
        Module module, MakeModule(std::move(name_), std::move(version_),
                                  std::move(reducers_), std::move(mapper_)));
    module.row_time = row_time_;
    return module;
  }

 private:
  void Refuse(std::string_view mistake) {
    if (mistake_.empty()) mistake_ = mistake;
  }

  bool named_ = false;
  std::string name_;
  std::string version_;
  std::vector<std::shared_ptr<const Reducer>> reducers_;
  InputMapper mapper_;
  RowTime row_time_ = RowTime::kNone;
  std::string mistake_;
};

absl::StatusOr<std::string> FindModule(
    std::string_view name_or_path,
    const std::vector<std::string>& search_path) {
  if (name_or_path.empty()) {
    return absl::InvalidArgumentError("a module without a name");
  }
  std::error_code ignored;
  if (name_or_path.find('/') != name_or_path.npos) {
    if (std::filesystem::is_regular_file(name_or_path, ignored)) {
      return std::string(name_or_path);
    }
    return absl::NotFoundError("no such file");
  }
  std::string looked_in;
  for (const std::string& directory : search_path) {
    const auto path =
        std::filesystem::path(directory) / (std::string(name_or_path) + ".so");
    // With a '/', or dlopen() would search the system's directories.
    if (std::filesystem::is_regular_file(path, ignored)) {
      return std::filesystem::absolute(path).string();
    }
    looked_in += (looked_in.empty() ? "" : ", ") + directory;
  }
  return absl::NotFoundError("no such module in " +
                             (looked_in.empty() ? "no directory" : looked_in));
}

absl::StatusOr<Digest> HashFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Hasher hasher;
  std::vector<char> buffer(1 << 16);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hasher.Add(
        BytesView(buffer.data(), static_cast<std::size_t>(file.gcount())));
  }
  if (!file.eof()) return absl::InvalidArgumentError("cannot be read");
  return hasher.Finish();
}

absl::Status DlError() {
  const char* error = dlerror();
  return absl::InvalidArgumentError(std::string("no module: ") +
                                    (error == nullptr ? "unknown" : error));
}

template <typename Function>
absl::StatusOr<Function*> FindFunction(void* library, const char* name) {
  void* const address = dlsym(library, name);
  if (address == nullptr) return DlError();
  return reinterpret_cast<Function*>(address);
}

absl::StatusOr<Module> CallRegister(RegisterFunction* register_function) {
  try {
    Registry registry;
    register_function(&registry);
    return registry.Finish();
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(std::string("throws: ") + error.what());
  } catch (...) {
    return absl::InvalidArgumentError("throws");
  }
}

absl::StatusOr<Module> LoadFile(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const Digest digest, HashFile(path));
  const std::string name = std::filesystem::path(path).filename();
  const EventView file = {{}, name, {}, {}};
  const ModuleCall call(CallKind::kLoad, 0, &file);
  // Never closed, even if refused: it may have left threads or handlers behind.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return DlError();
  REENACT_ASSIGN_OR_RETURN(
      AbiFunction* const abi,
      FindFunction<AbiFunction>(library, "reenact_module_abi"));
  REENACT_ASSIGN_OR_RETURN(
      RegisterFunction* const register_function,
      FindFunction<RegisterFunction>(library, "reenact_module_register"));
  if (const std::uint32_t version = abi(); version != kModuleAbiVersion) {
    return absl::InvalidArgumentError(
        "built for module interface " + std::to_string(version) +
        ", this program has " + std::to_string(kModuleAbiVersion));
  }
  REENACT_ASSIGN_OR_RETURN(Module module, CallRegister(register_function));
  module.path = path;
  module.record.digest = digest;
  return module;
}

}  // namespace

absl::StatusOr<Module> LoadModule(std::string_view name_or_path,
                                  const std::vector<std::string>& search_path) {
  auto path = FindModule(name_or_path, search_path);
  if (!path.ok()) return Annotate(path.status(), name_or_path);
  auto module = LoadFile(*path);
  if (!module.ok()) return Annotate(module.status(), *path);
  return module;
}

}  // namespace reenact
