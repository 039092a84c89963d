// `reenact verify`: replay-or-die.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "reenact/journal/archive.h"
#include "reenact/replay/replay.h"
#include "reenact/workers/step_guard.h"
#include "tools/reenact/blob_check.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/json.h"
#include "tools/reenact/other_process.h"
#include "tools/reenact/probes.h"
#include "tools/reenact/render.h"
#include "tools/reenact/signals.h"
#include "tools/reenact/step_watch.h"
#include "tools/reenact/terminal.h"
#include "tools/reenact/verify_report.h"

namespace reenact::tools {
namespace {

constexpr const char* kVerifyHelp =
    "Runs a world's recorded inputs again, in order, and compares every byte "
    "of the journal, the head record, the snapshots and the record of open "
    "work with what is recorded. Blobs that receipts refer to are read and "
    "held to their digests.\n"
    "\n"
    "Each step runs twice, so that a reducer that depends on more than its "
    "step (a clock, rand(), the environment, an address) is told from one "
    "that has changed; and once more in another process, with another time "
    "zone, locale, environment and directory. Parts of history between "
    "snapshots run beside each other; each begins with what the one before it "
    "must end with, so the "
    "report is that of one run over everything. Modifies nothing; the world "
    "may be in use.";

constexpr const char* kVerifyFooter =
    "Examples:\n"
    "  reenact verify w --module counter\n"
    "  reenact verify w --from-snapshot --junit verify.xml\n"
    "  reenact verify w --module ./counter.so --slice smallest\n"
    "\n"
    "Exit codes: 0 every byte was the same; 1 a divergence, reported with "
    "event_id,\n"
    "reducer, key, field, recorded and recomputed values; 3 the journal, head "
    "record,\n"
    "a snapshot or a blob is damaged or gone; 4 every byte was the same, but "
    "the\n"
    "modules are not those recorded (--allow-module-change: 0); 5 an impure "
    "reducer;\n"
    "6 unknown format; 8 no world there; 9 permission, I/O, memory; 10 a "
    "module is\n"
    "not there or lacks a reducer; 11 a step that does not return "
    "(--step-timeout);\n"
    "12 a step that crashes or calls exit().";

struct VerifyCommandOptions {
  VerifyOptions verify;
  std::vector<std::string> modules;
  std::string junit;
  double step_timeout = 0;  // seconds
  bool once = false;
  bool other_process = false;  // it is the one that is compared with
  bool blobs = true;
  bool allow_module_change = false;
  bool json = false;
  bool quiet = false;
};

// Modules by the names that the world has recorded, if none are given.
absl::StatusOr<std::vector<std::string>> RecordedModules(
    const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<Archive> archive,
                           Archive::Open(path));
  std::vector<std::string> names;
  for (const ModuleRecord& module : archive->config().modules) {
    names.push_back(module.name);
  }
  return names;
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  errno = 0;
  // Without O_NONBLOCK a pipe would wait for its reader.
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK,
           0666);
  std::FILE* const file = fd == -1 ? nullptr : fdopen(fd, "w");
  bool written = file != nullptr &&
                 std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) written = std::fclose(file) == 0 && written;
  if (written) return absl::OkStatus();
  return Annotate(absl::ErrnoToStatus(errno == 0 ? EIO : errno, "write"), path);
}

class VerifyCommand {
 public:
  explicit VerifyCommand(VerifyCommandOptions options)
      : options_(std::move(options)),
        progress_(!options_.quiet && !options_.json) {}

  ExitCode Run() {
    CatchStopSignals();
    SetStepGuardText(absl::StrCat("reenact: ", options_.verify.path, ": "), "");
    const std::unique_ptr<StepWatch> watch =
        EndWhenStuck(options_.verify.path, options_.step_timeout, "",
                     [this] { progress_.Clear(); });
    PrepareProbes();
    const ExitCode loaded = LoadAllModules();
    if (loaded != ExitCode::kOk) return loaded;
    SetCallbacks();
    // It has found all that it was told to read.
    if (options_.other_process && chdir("/") != 0) return ExitCode::kSystem;
    const std::unique_ptr<OtherProcess> other = StartOther();
    auto report = Verify(options_.verify);
    if (report.ok() && !options_.other_process) {
      const absl::Status status = LookAtBlobs(&*report);
      if (!status.ok()) report = status;
    }
    progress_.Clear();
    if (!report.ok()) return NoVerdict(report.status());
    if (other != nullptr) {
      CompareWith(other.get(), &*report);
    } else if (!options_.once && !options_.other_process) {
      report->notes.push_back(NotCompared("could not be started"));
    }
    return Report(
        FullReport{*report, ProbeNotes(), options_.allow_module_change});
  }

 private:
  ExitCode LoadAllModules() {
    std::vector<std::string> names = options_.modules;
    if (names.empty()) {
      auto recorded = RecordedModules(options_.verify.path);
      // Damage has a report of its own, which needs no module.
      if (recorded.ok()) {
        names = *std::move(recorded);
      } else if (!absl::IsDataLoss(recorded.status())) {
        return WithoutVerdict(ExitCodeOf(recorded.status()), recorded.status());
      }
    }
    KeepOutputFromModules();
    auto modules = LoadModules(names);
    if (!modules.ok()) {
      return WithoutVerdict(ExitCode::kBadModule, modules.status());
    }
    options_.verify.modules = *std::move(modules);
    return ExitCode::kOk;
  }

  // Verifies the same history in a process of its own, once.
  std::unique_ptr<OtherProcess> StartOther() const {
    if (options_.once || options_.other_process) return nullptr;
    const auto absolute = [](const std::string& path) {
      std::error_code error;
      return std::filesystem::absolute(path, error).string();
    };
    const VerifyOptions& verify = options_.verify;
    std::vector<std::string> arguments = {
        "verify",         absolute(verify.path),
        "--once",         "--json",
        "--threads",      absl::StrCat(verify.threads),
        "--workers",      absl::StrCat(verify.workers),
        "--other-process"};
    if (verify.from_snapshot) arguments.push_back("--from-snapshot");
    for (const std::string& name : options_.modules) {
      const bool is_path = name.find('/') != name.npos;
      arguments.insert(arguments.end(),
                       {"--module", is_path ? absolute(name) : name});
    }
    return OtherProcess::Start(std::move(arguments));
  }

  static std::string NotCompared(std::string_view why) {
    return "not compared with a second process: it " + std::string(why);
  }

  // Two processes must come to the same, be it what is recorded or not.
  static void CompareWith(OtherProcess* other, VerifyReport* report) {
    if (report->verdict == Verdict::kImpure ||
        report->verdict == Verdict::kDamaged) {
      return;
    }
    const std::optional<std::string> text = other->Finish();
    if (!text) {
      return report->notes.push_back(NotCompared("did not end in order"));
    }
    const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("verdict") ||
        json["verdict"] == VerdictName(Verdict::kDamaged)) {
      return report->notes.push_back(NotCompared("came to no verdict"));
    }
    std::optional<Divergence> theirs;
    if (json.contains("divergence")) theirs = DivergenceOf(json["divergence"]);
    std::optional<Divergence>& ours = report->divergence;
    const bool same_place = ours && theirs &&
                            ours->event_id == theirs->event_id &&
                            ours->field == theirs->field;
    if (!ours && !theirs) return;
    if (same_place && ours->recomputed == theirs->recomputed) return;
    report->verdict = Verdict::kImpure;
    if (same_place) {
      ours->recorded = ours->recomputed;
      ours->recomputed = theirs->recomputed;
    } else if (!ours || (theirs && theirs->event_id < ours->event_id)) {
      ours = std::move(theirs);
    }
    ours->field = "two processes: " + ours->field;
    report->notes.push_back(
        "the second process had another time zone, locale, environment and "
        "directory, and its code, stack and heap lay elsewhere");
  }

  static Divergence DivergenceOf(const Json& json) {
    Divergence divergence;
    divergence.event_id = EventId{json.value("event_id", std::uint64_t{0})};
    divergence.round = Round{json.value("round", std::uint64_t{0})};
    divergence.reducer = json.value("reducer", "");
    divergence.key = json.value("key", "");
    divergence.field = json.value("field", "");
    divergence.recorded = json.value("recorded", "");
    divergence.recomputed = json.value("recomputed", "");
    divergence.cause_text = json.value("cause", "");
    return divergence;
  }

  void SetCallbacks() {
    VerifyOptions& verify = options_.verify;
    verify.run_twice = !options_.once;
    verify.observe = ObserveStep;
    verify.cancelled = [] { return StopSignal() != 0; };
    verify.progress = [this](std::uint64_t done, std::uint64_t all) {
      std::optional<double> fraction;
      if (all > 0) {
        fraction = static_cast<double>(done) / static_cast<double>(all);
      }
      progress_.Update(done, "tickets", fraction);
    };
  }

  bool IsSlice() const {
    std::error_code error;
    return std::filesystem::exists(options_.verify.path + "/SLICE", error);
  }

  // Those of a world that replays; a slice has none.
  absl::Status LookAtBlobs(VerifyReport* report) const {
    const bool replays = report->verdict == Verdict::kIdentical ||
                         report->verdict == Verdict::kModuleChanged;
    if (!options_.blobs || !replays || IsSlice()) {
      return absl::OkStatus();
    }
    REENACT_ASSIGN_OR_RETURN(
        const BlobCheck check,
        CheckBlobs(options_.verify.path, options_.verify.cancelled));
    if (!check.problem.empty()) {
      report->verdict = Verdict::kDamaged;
      report->problem = check.problem;
    } else if (check.blobs > 0) {
      report->notes.push_back(
          absl::StrCat(check.blobs, " blobs are there and have their digests"));
    }
    return absl::OkStatus();
  }

  ExitCode NoVerdict(const absl::Status& status) const {
    if (absl::IsCancelled(status) && StopSignal() != 0) {
      return WithoutVerdict(static_cast<ExitCode>(128 + StopSignal()),
                            absl::CancelledError("stopped"));
    }
    return WithoutVerdict(absl::IsInvalidArgument(status) ? ExitCode::kBadModule
                                                          : ExitCodeOf(status),
                          status);
  }

  // A CI that looks for the file finds the reason in it.
  ExitCode WithoutVerdict(ExitCode code, const absl::Status& why) const {
    Complain(code, ToStd(why.message()));
    if (options_.junit.empty()) return code;
    const absl::Status written = WriteText(
        options_.junit, JUnitError(ToStd(why.message()), options_.verify.path));
    if (!written.ok()) Complain(written);
    return code;
  }

  ExitCode Report(const FullReport& report) const {
    if (!options_.junit.empty()) {
      const absl::Status written =
          WriteText(options_.junit, JUnitReport(report, options_.verify.path));
      if (!written.ok()) return Complain(written);
    }
    if (options_.json) {
      PrintLine(Dump(JsonReport(report)));
    } else if (!options_.quiet) {
      Print(TextReport(report));
    }
    return report.exit_code();
  }

  VerifyCommandOptions options_;
  ProgressLine progress_;
};

}  // namespace

void AddVerifyCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<VerifyCommandOptions>();
  CLI::App* verify = app.add_subcommand("verify", kVerifyHelp);
  verify->footer(kVerifyFooter);
  verify->add_option("DIR", options->verify.path, "The world's directory")
      ->required();
  verify
      ->add_option("-m,--module", options->modules,
                   "Module by name or path; may be repeated [as recorded]")
      ->allow_extra_args(false);
  verify->add_flag("--from-snapshot", options->verify.from_snapshot,
                   "Start at the newest valid snapshot instead of genesis");
  verify
      ->add_option("-j,--workers", options->verify.workers,
                   "Threads that run steps")
      ->capture_default_str();
  verify
      ->add_option("--threads", options->verify.threads,
                   "Parts of history that run at the same time; 0: one per "
                   "core, one alone with --workers. Each holds its cells in "
                   "memory")
      ->capture_default_str();
  verify->add_flag("--once", options->once,
                   "Run each step once only, in this process: faster, and "
                   "cannot tell an impure reducer from a changed one");
  verify->add_flag("--other-process", options->other_process)->group("");
  AddStepTimeout(*verify, &options->step_timeout);
  verify->add_flag("--blobs,!--no-blobs", options->blobs,
                   "Read the blobs that receipts refer to [as if given]; "
                   "--no-blobs leaves them alone");
  verify->add_option("--slice", options->verify.slice,
                     "On divergence, write the smallest world that still "
                     "diverges into this new directory");
  verify->add_option("--junit", options->junit,
                     "Write the verdict as JUnit XML for CI");
  verify->add_flag("--allow-module-change", options->allow_module_change,
                   "Exit 0, not 4, if only the modules' digests differ");
  verify->add_flag("--json", options->json, "The report as one JSON object");
  verify->add_flag("-q,--quiet", options->quiet, "Only the exit code");
  verify->callback([options, action] {
    *action = [options] { return VerifyCommand(*options).Run(); };
  });
}

}  // namespace reenact::tools
