// The command `reenact`.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "reenact/kernel/config.h"
#include "reenact/workers/step_guard.h"
#include "tools/reenact/command_line.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/exit_codes.h"
#include "tools/reenact/signals.h"

namespace reenact::tools {
namespace {

constexpr const char* kDescription =
    "Runs worlds of events in parallel, and proves by serial replay that each "
    "went as recorded.\n\n"
    "A world is a directory with a journal and the state that it leads to. A "
    "module is a shared library with reducers, the code that events run.\n\n"
    "  reenact run --module counter --world w --events clicks.jsonl\n"
    "  reenact verify w --module counter\n"
    "  reenact state w counter home\n";

constexpr const char* kModules =
    "Modules:\n"
    "  --module NAME is the file NAME.so in a directory of the environment "
    "variable\n"
    "  REENACT_MODULE_PATH (separated by ':'), or in ../lib/reenact beside "
    "the\n"
    "  directory of this command; with a '/' in it, NAME is a path.\n";

ExitCode RunAction(const Action& action) {
  ExitCode code = action();
  if (!FlushOutput() && code == ExitCode::kOk) {
    code = Complain(OutputError());
  }
  return code;
}

int Main(int argc, char** argv) {
  CLI::App app(kDescription, "reenact");
  app.set_version_flag("--version", "reenact " REENACT_VERSION
                                    " (world format " +
                                        std::to_string(kFormatVersion) + ")");
  app.footer(std::string(kModules) + "\n" + std::string(ExitCodeHelp()) +
             "\n`reenact COMMAND --help` tells more.");
  app.require_subcommand(0, 1);
  Action action;
  AddRunCommand(app, &action);
  AddVerifyCommand(app, &action);
  AddDigestCommand(app, &action);
  AddLogCommand(app, &action);
  AddStateCommand(app, &action);
  AddWhyCommand(app, &action);
  AddExportCommand(app, &action);
  AddStatCommand(app, &action);
  AddEffectsCommand(app, &action);
  AddJudgeCommands(app, &action);
  AddCancelCommand(app, &action);
  AddRetryCommand(app, &action);
  AddRollbackCommand(app, &action);
  AddGrantCommand(app, &action);
  AddBudgetCommand(app, &action);
  AddPolicyCommand(app, &action);
  AddFuzzCommand(app, &action);
  AddBenchCommand(app, &action);
  if (const auto ended = ParseCommandLine(app, argc, argv)) {
    return static_cast<int>(*ended);
  }
  if (!action) {
    std::cerr << app.help();
    return static_cast<int>(ExitCode::kUsage);
  }
  return static_cast<int>(RunAction(action));
}

}  // namespace
}  // namespace reenact::tools

int main(int argc, char** argv) {
  reenact::tools::HoldStandardStreams();
  reenact::GuardSteps(reenact::tools::StepGuard());
  int code = 0;
  try {
    code = reenact::tools::Main(argc, argv);
  } catch (const std::exception& error) {
    code = static_cast<int>(reenact::tools::Complain(
        reenact::tools::ExitCode::kFailed, error.what()));
  }
  reenact::ReleaseStepGuard();
  return code;
}
