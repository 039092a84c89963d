#include "reenact/harness/program.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "reenact/base/instrument.h"
#include "reenact/harness/explore_processes.h"
#include "reenact/harness/main.h"
#include "reenact/harness/report.h"
#include "reenact/kernel/duration.h"

namespace reenact::harness {

namespace {

std::atomic<bool> interrupted{false};

extern "C" void OnInterrupt(int) {
  // The second time it is the system's.
  interrupted = true;
  (void)std::signal(SIGINT, SIG_DFL);
}

int Complain(const std::string& message) {
  std::fprintf(stderr, "harness: %s\n", message.c_str());
  return kProblem;
}

bool EndsWith(const std::string& text, std::string_view end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

absl::Status Resolve(ProgramOptions* options) {
  RunSettings& settings = options->explore.settings;
  REENACT_ASSIGN_OR_RETURN(settings.strategy,
                           StrategyFromName(options->strategy));
  REENACT_ASSIGN_OR_RETURN(settings.engine, EngineFromName(options->engine));
  settings.crashes = settings.io_errors = false;
  for (const std::string& fault : options->faults) {
    if (fault == "crash") {
      settings.crashes = true;
    } else if (fault == "io") {
      settings.io_errors = true;
    } else if (fault != "none") {
      return absl::InvalidArgumentError(absl::StrCat(
          "no fault is called \"", fault, "\"; there are crash, io and none"));
    }
  }
  for (const std::string& path : options->reports) {
    if (EndsWith(path, ".html") || EndsWith(path, ".json")) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "': a report ends in .html or .json"));
  }
  if (options->exhaustive >= 0) {
    if (settings.engine != EngineKind::kFibers) {
      return absl::InvalidArgumentError("--exhaustive needs --engine fibers");
    }
    settings.plain = true;  // or all draws of sizes would be 0: one worker
  }
  return absl::OkStatus();
}

absl::Status WriteReports(const ProgramOptions& options,
                          const ReportInput& input) {
  for (const std::string& path : options.reports) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << (EndsWith(path, ".html") ? HtmlReport(input) : JsonReport(input))
         << std::flush;
    if (!file) {
      return absl::UnavailableError(
          absl::StrCat("'", path, "': the report cannot be written"));
    }
  }
  return absl::OkStatus();
}

// What the options ask for. Threads that run freely cannot be forked.
absl::StatusOr<Exploration> Made(const Scenario& scenario,
                                 const ProgramOptions& options,
                                 bool* complete) {
  const ExploreOptions& explore = options.explore;
  if (explore.settings.engine == EngineKind::kFree && options.replay.empty()) {
    return Explore(scenario, explore);
  }
  std::unique_ptr<OtherProcess> other;
  if (!options.arguments.empty())
    other = OtherProcess::Start(options.arguments);
  if (!options.replay.empty()) {
    return ReplayInProcesses(scenario, explore, options.replay, other.get());
  }
  if (options.exhaustive >= 0) {
    return ExploreAllInProcesses(scenario, explore, options.exhaustive,
                                 complete, other.get());
  }
  return ExploreInProcesses(scenario, explore, other.get());
}

// A duration becomes a number of seconds.
CLI::Validator Seconds() {
  return CLI::Validator(
      [](std::string& value) {
        const auto span = ParseDuration(value, kSecond);
        if (!span.ok()) return std::string(span.status().message());
        value = std::to_string(static_cast<double>(*span) /
                               static_cast<double>(kSecond));
        return std::string();
      },
      "", "duration");
}

}  // namespace

void AddOptions(CLI::App& app, ProgramOptions* options) {
  ExploreOptions& explore = options->explore;
  app.option_defaults()->always_capture_default();
  app.add_option("--runs", explore.runs, "Runs to make")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 50));
  app.add_option("--time", explore.seconds,
                 "When no run is begun any more, such as 30s or 10m; 0: no "
                 "limit")
      ->transform(Seconds());
  app.add_option("--strategy", options->strategy,
                 "Who runs next: random, pct, pos, uniform, starve, swizzle, "
                 "round-robin, serial; portfolio: another for each run");
  app.add_option("--depth", explore.settings.depth,
                 "Depth of pct; 0: drawn from 1 to 5")
      ->check(CLI::Range(0, 10));
  app.add_option("--engine", options->engine,
                 "fibers: all on one thread, every run can be had again; "
                 "threads: the same with a thread for each task; free: threads "
                 "run freely and are disturbed (for ThreadSanitizer)");
  app.add_option("--workers", explore.settings.workers_max,
                 "Workers of a world: 1 to so many, drawn")
      ->check(CLI::Range(1U, 64U));
  app.add_flag("--plain", explore.settings.plain,
               "Sizes are not drawn: --workers workers, every block synced");
  app.add_option("--faults", options->faults,
                 "crash: the power is cut and the world recovered; io: a write "
                 "fails; none")
      ->delimiter(',');
  app.add_option("--seed", explore.seed, "What all runs are drawn from");
  app.add_option("-j,--threads", explore.threads,
                 "Runs beside each other; 0: one for each processor")
      ->check(CLI::Range(0U, 256U));
  app.add_option("--exhaustive", options->exhaustive,
                 "Instead: all schedules of the plainest run with at most so "
                 "many preemptions, up to --runs")
      ->check(CLI::Range(0, 20));
  app.add_option("--shrink", explore.shrink_runs,
                 "Runs to spend on making a failure small");
  app.add_option("--replay", options->replay,
                 "Instead: the run of this string once more, and shrunk");
  app.add_option("--report", options->reports,
                 "Also write a report into this file: .html or .json; may be "
                 "given twice");
  app.add_flag("-q,--quiet", options->quiet, "No progress");
  app.add_option("--step-timeout", explore.step_seconds,
                 "How long a step may take, such as 30s; one that has not "
                 "returned then is a failure. 0: for ever")
      ->transform(Seconds());
  app.add_option(kOtherOption, options->other_process)->group("");
}

std::string ProgramFooter(const std::string& command) {
  return absl::StrCat(
      "Examples:\n  ", command, " --runs 100000\n  ", command,
      " --time 60 --strategy pct --depth 3 --report report.html\n  ", command,
      " --replay run:v1:...\n\n"
      "Every run checks: bytes equal to a serial replay; each step the same "
      "twice;\ncells equal to what the journal says; fed inputs: bytes equal "
      "to "
      "an independent\nmodel; submitted inputs: what was acknowledged is "
      "there, "
      "once and unchanged;\neffects told of once they are durable, and "
      "accepted "
      "once; no error without a\nfault; nobody sleeps while there is work; "
      "every "
      "run ends; and your invariants.\n\n"
      "Runs are made in child processes, which a step may crash, leave or "
      "hang: "
      "that is a\nfailure as any other. A failure is made again in a fresh "
      "process before it is told;\none run in twenty is, too, and in a process "
      "with another time zone, locale,\nenvironment, directory and addresses, "
      "and must come to the same.\n\n"
      "Exit codes: 0 all held; 1 a violation, with the string to have it "
      "again; "
      "2 bad\noptions, a replay that has drifted, or runs that differ for no "
      "reason; 3 fewer\nruns than asked for (Ctrl-C).");
}

int RunProgram(const Scenario& scenario, ProgramOptions options,
               const std::string& command) {
  if (!instrument::kInstrumented) {
    return Complain(
        "this program's kernel has no yield points: link reenact::harness, or "
        "configure with -DREENACT_INSTRUMENT=ON");
  }
  const absl::Status resolved = Resolve(&options);
  if (!resolved.ok()) return Complain(std::string(resolved.message()));
  if (options.other_process >= 0) {
    ServeOtherProcess(scenario, options.explore, options.other_process);
    return kHeld;
  }
  (void)std::signal(SIGINT, OnInterrupt);
  (void)std::signal(SIGTERM, OnInterrupt);
  options.explore.cancelled = [] { return interrupted.load(); };
  const bool shows = !options.quiet && isatty(STDERR_FILENO) != 0;
  if (shows) {
    const std::uint64_t all = options.explore.runs;
    options.explore.progress = [all](std::uint64_t runs) {
      std::fprintf(stderr, "\r%llu of %llu runs ",
                   static_cast<unsigned long long>(runs),
                   static_cast<unsigned long long>(all));
    };
  }
  Exploration exploration;
  ReportInput input;
  input.scenario = &scenario;
  input.options = &options.explore;
  input.exploration = &exploration;
  input.command = command;
  input.exhaustive = options.exhaustive >= 0 && options.replay.empty();
  absl::StatusOr<Exploration> made = Made(scenario, options, &input.complete);
  if (!made.ok()) return Complain(std::string(made.status().message()));
  exploration = *std::move(made);
  if (shows) std::fprintf(stderr, "\r%40s\r", "");
  const std::string text = TextReport(input);
  (void)std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) return Complain("standard output: no room");
  const absl::Status written = WriteReports(options, input);
  if (!written.ok()) return Complain(std::string(written.message()));
  if (!exploration.problem.ok()) return kProblem;
  if (exploration.found) return kViolated;
  const bool finished =
      !options.replay.empty() || input.exhaustive
          ? !exploration.cancelled && (!input.exhaustive || input.complete)
          : exploration.runs >= options.explore.runs ||
                (options.explore.seconds > 0 && !exploration.cancelled);
  return finished ? kHeld : kUnfinished;
}

int HarnessMain(int argc, char** argv, const Scenario& scenario) {
  CLI::App app("Runs the scenario \"" + scenario.name +
               "\" under schedules and faults that are drawn, and checks "
               "every run.");
  ProgramOptions options;
  AddOptions(app, &options);
  app.footer(ProgramFooter(argv[0]));
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    (void)app.exit(error);
    return kProblem;
  }
  options.arguments.assign(argv, argv + argc);
  return RunProgram(scenario, std::move(options), argv[0]);
}

std::string WhyNotHeld(const Scenario& scenario, const std::string& replay) {
  const absl::StatusOr<RunResult> run = RunReplay(scenario, replay);
  if (!run.ok()) return std::string(run.status().message());
  if (!run->violation) return "";
  return run->violation->property + "\n" + run->violation->detail +
         Timeline(*run);
}

std::string WhyNotHeld(const Scenario& scenario, std::uint64_t runs,
                       std::uint64_t seed) {
  ExploreOptions options;
  options.runs = runs;
  options.seed = seed;
  const Exploration exploration = Explore(scenario, options);
  if (!exploration.found && exploration.problem.ok()) return "";
  ReportInput input;
  input.scenario = &scenario;
  input.options = &options;
  input.exploration = &exploration;
  input.command = "replay";
  return TextReport(input);
}

}  // namespace reenact::harness
