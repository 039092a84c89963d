#include "tools/reenact/live_world.h"

#include <pwd.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/journal/archive.h"
#include "reenact/workers/step_guard.h"
#include "tools/reenact/common.h"
#include "tools/reenact/signals.h"
#include "tools/reenact/step_watch.h"

namespace reenact::tools {
namespace {

std::string UserName() {
  const passwd* const user = ::getpwuid(::geteuid());
  return user != nullptr ? user->pw_name : absl::StrCat(::geteuid());
}

// Whether the world has recorded others. One that cannot be read is for opening
// it to tell of.
bool HasOtherModules(const std::string& world,
                     const std::vector<Module>& modules) {
  const auto archive = Archive::Open(world);
  if (!archive.ok()) return false;
  std::vector<ModuleRecord> records;
  for (const Module& module : modules) records.push_back(module.record);
  return (*archive)->config().modules != records;
}

ExitCode CheckOutcome(const LiveWorldOptions& options,
                      const Submission& submission) {
  const auto outcome = submission.WaitDurable();
  if (absl::IsAlreadyExists(outcome.status())) {
    Complain(ExitCode::kOk, ToStd(outcome.status().message()));
    return ExitCode::kOk;
  }
  if (!outcome.ok()) return Complain(outcome.status());
  if (!outcome->failure) {
    PrintLine(absl::StrCat("event ", outcome->event_id.value));
    return ExitCode::kOk;
  }
  return Complain(
      ExitCode::kFailed,
      absl::StrCat(options.world, ": event ", outcome->event_id.value,
                   " failed: ", FailureName(*outcome->failure),
                   "; `reenact log` has the reason"));
}

}  // namespace

void AddLiveWorldOptions(CLI::App& command, LiveWorldOptions* options,
                         bool named) {
  command.add_option("DIR", options->world, "The world's directory")
      ->required();
  command
      .add_option("-m,--module", options->modules,
                  "Module by name or path, as recorded; may be repeated: what "
                  "it leads to runs at once")
      ->required()
      ->allow_extra_args(false);
  AddStepTimeout(command, &options->step_timeout);
  if (!named) return;
  command.add_option("--by", options->by,
                     "Who says so; recorded [the user's name]");
}

ExitCode TellWorld(
    const LiveWorldOptions& options,
    const std::function<absl::StatusOr<Submission>(World&)>& tell) {
  return TellWorldAll(
      options,
      [&tell](World& world) -> absl::StatusOr<std::vector<Submission>> {
        REENACT_ASSIGN_OR_RETURN(Submission submission, tell(world));
        return std::vector<Submission>{std::move(submission)};
      });
}

ExitCode TellWorldAll(
    const LiveWorldOptions& options,
    const std::function<absl::StatusOr<std::vector<Submission>>(World&)>&
        tell) {
  KeepOutputFromModules();
  SetStepGuardText(absl::StrCat("reenact: ", options.world, ": "),
                   "; it and what its round had before it is not recorded");
  const std::unique_ptr<StepWatch> watch =
      EndWhenStuck(options.world, options.step_timeout,
                   "; it and what follows is not recorded");
  auto modules = LoadModules(options.modules);
  if (!modules.ok()) {
    return Complain(ExitCode::kBadModule, ToStd(modules.status().message()));
  }
  if (HasOtherModules(options.world, *modules)) {
    return Complain(
        ExitCode::kModuleChanged,
        absl::StrCat(options.world,
                     ": was made with other modules, or other builds of them; "
                     "name those, or record the change first with `reenact "
                     "run --accept-module-change`"));
  }
  WorldOptions world_options;
  world_options.path = options.world;
  world_options.must_exist = true;
  world_options.modules = *std::move(modules);
  const auto world = World::Open(std::move(world_options));
  if (!world.ok()) return Complain(world.status());
  const auto told = tell(**world);
  if (!told.ok()) return Complain(told.status());
  WriteBeforeCrash(world->get());
  const absl::Status ran = (*world)->Run();
  WriteBeforeCrash(nullptr);
  if (!ran.ok()) return Complain(ran);
  ExitCode code = ExitCode::kOk;
  for (const Submission& submission : *told) {
    const ExitCode one = CheckOutcome(options, submission);
    if (code == ExitCode::kOk) code = one;
  }
  const absl::Status closed = (*world)->Close();
  return closed.ok() ? code : Complain(closed);
}

std::string NameOr(const std::string& by) {
  return by.empty() ? UserName() : by;
}

}  // namespace reenact::tools
