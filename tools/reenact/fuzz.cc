// `reenact fuzz`: hands over to reenact-fuzz, which has another kernel: the one
// with the points at which schedules differ.

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"

namespace reenact::tools {
namespace {

ExitCode Become(const std::vector<std::string>& arguments) {
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = (self.parent_path() / "reenact-fuzz").string();
  std::vector<char*> argv;
  std::string name = "reenact fuzz";
  argv.push_back(name.data());
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  (void)execv(program.c_str(), argv.data());
  return Complain(ExitCode::kFailed,
                  absl::StrCat("'", program, "': ", std::strerror(errno),
                               "; it belongs beside this command, and is built "
                               "unless -DREENACT_BUILD_HARNESS=OFF"));
}

}  // namespace

void AddFuzzCommand(CLI::App& app, Action* action) {
  CLI::App* const fuzz = app.add_subcommand(
      "fuzz",
      "Tests a module for determinism, independence of schedules and safety "
      "in crashes, with real events");
  fuzz->set_help_flag();
  fuzz->prefix_command();
  fuzz->callback([fuzz, action] {
    *action = [fuzz] { return Become(fuzz->remaining()); };
  });
}

}  // namespace reenact::tools
