// The subcommands: each adds itself to the command line, and sets `action` if
// it is the one that was asked for.

#ifndef REENACT_TOOLS_REENACT_COMMANDS_H_
#define REENACT_TOOLS_REENACT_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "tools/reenact/exit_codes.h"

namespace reenact::tools {

using Action = std::function<ExitCode()>;

void AddRunCommand(CLI::App& app, Action* action);
void AddVerifyCommand(CLI::App& app, Action* action);
void AddDigestCommand(CLI::App& app, Action* action);
void AddLogCommand(CLI::App& app, Action* action);
void AddStateCommand(CLI::App& app, Action* action);
void AddWhyCommand(CLI::App& app, Action* action);
void AddExportCommand(CLI::App& app, Action* action);
void AddStatCommand(CLI::App& app, Action* action);
void AddEffectsCommand(CLI::App& app, Action* action);
void AddJudgeCommands(CLI::App& app, Action* action);  // approve, reject
void AddCancelCommand(CLI::App& app, Action* action);
void AddRetryCommand(CLI::App& app, Action* action);
void AddRollbackCommand(CLI::App& app, Action* action);
void AddGrantCommand(CLI::App& app, Action* action);
void AddBudgetCommand(CLI::App& app, Action* action);
void AddPolicyCommand(CLI::App& app, Action* action);
void AddFuzzCommand(CLI::App& app, Action* action);
void AddBenchCommand(CLI::App& app, Action* action);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_COMMANDS_H_
