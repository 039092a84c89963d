#include "tools/reenact/common.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_split.h"

namespace reenact::tools {

ExitCode Complain(const absl::Status& status) {
  return Complain(ExitCodeOf(status), ToStd(status.message()));
}

ExitCode Complain(ExitCode code, std::string_view message) {
  std::string line(message);
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fprintf(stderr, "reenact: %s\n", line.c_str());
  return code;
}

bool Print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
}

bool PrintLine(std::string_view text) {
  return Print(text) && std::fputc('\n', stdout) != EOF;
}

absl::Status OutputError() {
  return Annotate(absl::ErrnoToStatus(errno == 0 ? EIO : errno, "write"),
                  "standard output");
}

std::vector<std::string> ModuleSearchPath() {
  std::vector<std::string> path;
  if (const char* list = std::getenv("REENACT_MODULE_PATH")) {
    path = absl::StrSplit(list, ':', absl::SkipEmpty());
  }
  std::error_code error;
  const auto executable =
      std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return path;
  const auto prefix = executable.parent_path().parent_path();
  path.push_back(prefix / "lib" / "reenact");
#ifdef REENACT_LIBDIR  // of an installation; often lib/x86_64-linux-gnu
  if (const auto installed = prefix / REENACT_LIBDIR / "reenact";
      installed != path.back()) {
    path.push_back(installed);
  }
#endif
  return path;
}

absl::StatusOr<std::vector<Module>> LoadModules(
    const std::vector<std::string>& names) {
  const std::vector<std::string> search_path = ModuleSearchPath();
  std::vector<Module> modules;
  for (const std::string& name : names) {
    auto module = LoadModule(name, search_path);
    if (!module.ok()) {
      const std::string place = "module " + name;
      // The loader names the module itself in most of its messages.
      const bool named = ToStd(module.status().message()).find(name) == 0;
      return named ? module.status() : Annotate(module.status(), place);
    }
    modules.push_back(*std::move(module));
  }
  return modules;
}

}  // namespace reenact::tools
