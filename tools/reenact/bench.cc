// `reenact bench`: how fast it all is, here.

#include "bench/bench.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/crash.h"
#include "bench/groups.h"
#include "bench/html_report.h"
#include "bench/json_report.h"
#include "tools/reenact/command_line.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/signals.h"
#include "tools/reenact/terminal.h"

namespace reenact::tools {
namespace {

constexpr const char* kBenchHelp =
    "Measures how fast worlds are on this machine, and says whether that is "
    "what it should be.\n"
    "\n"
    "Figures are ratios of two sides that ran in turn in this process, so that "
    "what else the machine does meets both: parallel / serial, durable / the "
    "same bytes written plainly, replay / live. Each is the median of --pairs "
    "repetitions, with the middle half, the lowest and the highest beside it. "
    "\"by cpu\" is the same ratio in processor time, which is the figure to "
    "look at when the machine is busy. All sides must have the same journal, "
    "or "
    "else the command fails.\n"
    "\n"
    "Figures go to standard output as they come. Missed targets are no "
    "failure. Ctrl-C stops after the run under way; what was complete is "
    "reported and written.";

std::string Footer() {
  std::string text = "Groups, for --only:\n";
  for (const bench::Group& group : bench::AllGroups()) {
    std::string line = "  " + std::string(group.name);
    line.resize(13, ' ');
    std::string what(group.what);
    while (what.size() > 64) {
      const std::size_t cut = what.rfind(' ', 64);
      text += line + what.substr(0, cut) + "\n";
      line = std::string(13, ' ');
      what.erase(0, cut + 1);
    }
    text += line + what + "\n";
  }
  return text +
         "\nExamples:\n"
         "  reenact bench --report bench.html\n"
         "  reenact bench --only parallel,durable --seconds 120\n"
         "  reenact bench --only replay --big --dir /mnt/disk\n"
         "  reenact bench --quick --json quick.json\n"
         "\n"
         "Durable worlds are made below --dir: what they show depends on the "
         "disk that is\n"
         "on. All are removed at the end. bench/README.md has the method in "
         "full.\n"
         "\n"
         "Exit codes: 0 measured, whatever the figures; 1 journals differ or a "
         "check at the\n"
         "end of a workload failed; 2 usage; 9 disk full, permission, I/O; "
         "130, 143 stopped\n"
         "by SIGINT, SIGTERM.";
}

struct BenchOptions {
  bench::Settings settings;
  std::string directory;
  std::string json;
  std::string report;
  std::vector<std::string> crash;  // hidden: be the process that is killed
  bool quiet = false;
};

// "[ 42%] parallel: zipf 0.9, 10 µs", drawn over; only on a terminal.
class StatusLine {
 public:
  explicit StatusLine(bool wanted)
      : shown_(wanted && isatty(STDERR_FILENO) == 1) {}
  ~StatusLine() { Clear(); }

  void Update(double part, std::string_view what) {
    if (!shown_) return;
    const double seconds = bench::WallSeconds() - start_;
    std::string left;
    if (part > 0.05) {
      left = ", about " + DurationText(seconds / part - seconds) + " left";
    }
    std::fprintf(stderr, "\r\033[K[%3.0f%%] %s%s", 100 * part,
                 std::string(what).c_str(), left.c_str());
    drawn_ = true;
  }
  void Clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  const bool shown_;
  const double start_ = bench::WallSeconds();
  bool drawn_ = false;
};

// Opened before anything is measured: a path that cannot be written is found
// out at once and not after half an hour.
class OutputFile {
 public:
  absl::Status Open(const std::string& path) {
    path_ = path;
    errno = 0;
    if (!path.empty()) file_.open(path, std::ios::binary | std::ios::trunc);
    return Result("open");
  }
  absl::Status Write(const std::string& text) {
    errno = 0;
    if (!path_.empty()) file_ << text << std::flush;
    return Result("write");
  }
  bool wanted() const { return !path_.empty(); }

 private:
  absl::Status Result(const char* what) const {
    if (path_.empty() || file_) return absl::OkStatus();
    return Annotate(absl::ErrnoToStatus(errno == 0 ? EIO : errno, what), path_);
  }
  std::string path_;
  std::ofstream file_;
};

class BenchCommand {
 public:
  explicit BenchCommand(BenchOptions options)
      : options_(std::move(options)), line_(!options_.quiet) {}

  ExitCode Run() {
    if (!options_.crash.empty()) return BeKilled();
    const absl::Status sensible = bench::CheckSettings(options_.settings);
    if (!sensible.ok()) {
      return Complain(ExitCode::kUsage, ToStd(sensible.message()));
    }
    CatchStopSignals();
    const absl::Status opened = OpenFiles();
    if (!opened.ok()) {
      return Complain(ExitCode::kSystem, ToStd(opened.message()));
    }
    const auto results = bench::RunBench(options_.settings, MakeHooks());
    line_.Clear();
    if (!results.ok()) return Complain(results.status());
    return Report(*results);
  }

 private:
  ExitCode BeKilled() const {
    const absl::Status status = bench::MakeCrashedWorld(
        options_.crash[0], std::stoull(options_.crash[1]));
    return status.ok() ? ExitCode::kOk : Complain(status);
  }

  absl::Status OpenFiles() {
    REENACT_RETURN_IF_ERROR(json_.Open(options_.json));
    return report_.Open(options_.report);
  }

  bench::Hooks MakeHooks() {
    bench::Hooks hooks;
    hooks.print = [this](std::string_view text) {
      line_.Clear();
      if (!options_.quiet) Print(text);
      FlushOutput();
    };
    hooks.progress = [this](double part, std::string_view what) {
      line_.Update(part, what);
    };
    hooks.stopped = [] { return StopSignal() != 0; };
    hooks.running = InterruptOnStop;
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) hooks.crash_command = {self, "bench", "--crash"};
    return hooks;
  }

  ExitCode Report(const bench::Results& results) {
    if (json_.wanted()) {
      const absl::Status written = json_.Write(bench::JsonReport(results));
      if (!written.ok()) return Complain(written);
    }
    if (report_.wanted()) {
      const absl::Status written = report_.Write(bench::HtmlReport(results));
      if (!written.ok()) return Complain(written);
    }
    if (StopSignal() == 0) return ExitCode::kOk;
    return Complain(static_cast<ExitCode>(128 + StopSignal()),
                    "stopped: what was complete is reported");
  }

  const BenchOptions options_;
  StatusLine line_;
  OutputFile json_, report_;
};

void AddSizes(CLI::App* command, bench::Settings* settings) {
  command->add_option("--pairs", settings->pairs, "Repetitions of each side")
      ->check(Whole(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--seconds", settings->seconds,
                   "About how long everything may take, without --big [0.4 s "
                   "for each run: more than half an hour]")
      ->transform(Seconds(1e-3, 1e6));
  command
      ->add_option("-j,--workers", settings->workers,
                   "Numbers of workers, separated by commas; 0, the base, "
                   "always runs")
      ->delimiter(',')
      ->check(Whole(0, 256))
      ->capture_default_str();
  command->add_flag("--quick", settings->quick,
                    "Tiny runs, two pairs, less than half a minute: proves "
                    "that it all runs, and no figure means anything");
  command->add_flag("--big", settings->big,
                    "Also what takes minutes and gigabytes: 10 million cells, "
                    "opening after a crash with 10 million tickets");
  command
      ->add_option("--big-cells", settings->big_cells,
                   "Cells of the world of --big")
      ->check(Whole(1'000, 1'000'000'000))
      ->capture_default_str();
  command
      ->add_option("--big-cache-mib", settings->big_cache_mib,
                   "Its cache, in MiB")
      ->check(Whole(1, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--crash-tickets", settings->crash_tickets,
                   "Tickets of the world that crashes [200000, with --big 10 "
                   "million]")
      ->check(Whole(1, std::uint64_t{1} << 40));
}

}  // namespace

void AddBenchCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<BenchOptions>();
  options->directory = std::filesystem::temp_directory_path().string();
  CLI::App* command = app.add_subcommand("bench", kBenchHelp);
  command->footer(Footer());
  std::vector<std::string> names;
  for (const bench::Group& group : bench::AllGroups()) {
    names.emplace_back(group.name);
  }
  command
      ->add_option("--only", options->settings.groups,
                   "Groups to measure, separated by commas [all]")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  AddSizes(command, &options->settings);
  command
      ->add_option("--dir", options->directory,
                   "An existing directory for worlds")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  command->add_option("--json", options->json,
                      "Also write everything as JSON into this file");
  command
      ->add_option("--counts", options->settings.counts,
                   "What tools/instructions counted, to be shown with the "
                   "rest: bench/baseline.json")
      ->check(CLI::ExistingFile);
  command->add_option("--report", options->report,
                      "Also write a page with plots into this file: HTML that "
                      "needs no network");
  command->add_flag("-q,--quiet", options->quiet,
                    "Neither table nor progress; for --json and --report");
  command->add_option("--crash", options->crash)->expected(2)->group("");
  command->callback([options, action, command] {
    bench::Settings& settings = options->settings;
    settings.directory = options->directory;
    if (settings.quick && command->count("--pairs") == 0) settings.pairs = 2;
    *action = [options] { return BenchCommand(*options).Run(); };
  });
}

}  // namespace reenact::tools
