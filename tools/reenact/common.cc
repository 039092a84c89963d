#include "tools/reenact/common.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_split.h"
#include "reenact/world/load_module.h"

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

namespace {

std::FILE* output = stdout;

}  // namespace

bool Print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), output) == text.size();
}

bool PrintLine(std::string_view text) {
  return Print(text) && std::fputc('\n', output) != EOF;
}

bool FlushOutput() { return std::fflush(output) == 0; }

// Without a descriptor to spare things stay as they are.
void KeepOutputFromModules() {
  if (output != stdout || !FlushOutput()) return;
  const int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (kept == -1) return;
  std::FILE* const file = fdopen(kept, "w");
  if (file == nullptr || dup2(STDERR_FILENO, STDOUT_FILENO) == -1) return;
  output = file;
}

absl::Status OutputError() {
  // Whatever it is, it is the system's.
  const absl::Status write =
      absl::ErrnoToStatus(errno == 0 ? EIO : errno, "write");
  return Annotate(absl::UnavailableError(write.message()), "standard output");
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
