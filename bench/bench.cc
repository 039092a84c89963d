#include "bench/bench.h"

#include <algorithm>
#include <cmath>
#include <system_error>
#include <utility>

#include "bench/counts.h"
#include "bench/groups.h"
#include "bench/statistics.h"
#include "bench/table.h"
#include "bench/targets.h"

namespace reenact::bench {
namespace {

constexpr double kRunSeconds = 0.4;  // of a run, if nothing else is said
constexpr double kQuickSeconds = 0.01;
constexpr double kAroundARun = 0.15;  // opening, warming up, closing

double PlannedRuns(const Settings& settings) {
  double runs = 0;
  for (const Group& group : AllGroups()) {
    if (Wanted(group, settings)) runs += group.runs(settings);
  }
  return runs * settings.pairs;
}

}  // namespace

absl::Status CheckSettings(const Settings& settings) {
  for (const std::string& name : settings.groups) {
    const auto& all = AllGroups();
    if (std::none_of(all.begin(), all.end(),
                     [&](const Group& group) { return group.name == name; })) {
      return absl::InvalidArgumentError("--only: there is no group '" + name +
                                        "'");
    }
  }
  if (settings.pairs < 1) {
    return absl::InvalidArgumentError("--pairs: at least 1");
  }
  if (!(settings.seconds >= 0) || !std::isfinite(settings.seconds)) {
    return absl::InvalidArgumentError("--seconds: not a duration");
  }
  for (const std::size_t workers : settings.workers) {
    if (workers > 256) return absl::InvalidArgumentError("--workers: too many");
  }
  if (settings.big_cells < 1'000) {
    return absl::InvalidArgumentError("--big-cells: at least 1000");
  }
  return absl::OkStatus();
}

Bench::Bench(Settings settings, Hooks hooks)
    : settings_(std::move(settings)),
      hooks_(std::move(hooks)),
      temporary_(settings_.directory),
      runs_planned_(PlannedRuns(settings_)) {}

std::filesystem::path Bench::NewDirectory() {
  return temporary_.path() / std::to_string(++directories_);
}

void Bench::RemoveDirectory(const std::filesystem::path& directory) const {
  std::error_code ignored;
  if (!directory.empty()) std::filesystem::remove_all(directory, ignored);
}

double Bench::RunSeconds() const {
  if (settings_.seconds <= 0) {
    return settings_.quick ? kQuickSeconds : kRunSeconds;
  }
  const double left = settings_.seconds - (WallSeconds() - start_);
  const double runs_left = std::max(runs_planned_ - runs_done_, 1.0);
  const double each = left / runs_left;
  return std::clamp(each - std::min(kAroundARun, each / 2), 0.005, 10.0);
}

std::size_t Bench::EventsFor(double step_us) const {
  constexpr double kKernelUs = 1.5;
  constexpr double kMost = 1'000'000;
  const double fewest = settings_.quick ? 200 : 2'000;
  const double events = RunSeconds() * 1e6 / (step_us + kKernelUs);
  return static_cast<std::size_t>(std::clamp(events, fewest, kMost));
}

RunOptions Bench::InMemory(std::size_t workers) const {
  RunOptions options;
  options.workers = workers;
  options.running = hooks_.running;
  return options;
}

RunOptions Bench::Durable(std::size_t workers) {
  RunOptions options = InMemory(workers);
  options.directory = NewDirectory();
  return options;
}

absl::StatusOr<RunResult> Bench::RunAndRemove(const Load& load,
                                              const RunOptions& options) {
  auto result = RunWorld(work_, load, options);
  RemoveDirectory(options.directory);
  return result;
}

void Bench::Add(Figure figure) {
  if (figure.values.empty()) return;
  const std::string section =
      figures_.empty() ? std::string() : figures_.back().section;
  if (section != figure.section) Print(TableHeading(figure.section));
  Print(TableLine(figure));
  figures_.push_back(std::move(figure));
}

void Bench::Add(Curve curve) {
  if (!curve.points.empty()) curves_.push_back(std::move(curve));
}

double Bench::MedianOf(std::string_view id, double otherwise) const {
  for (const Figure& figure : figures_) {
    if (figure.id == id) return Median(figure.values);
  }
  return otherwise;
}

void Bench::Progress(std::string_view what) {
  if (hooks_.progress) {
    const double part = runs_done_ / std::max(runs_planned_, 1.0);
    hooks_.progress(std::min(part, 0.99), what);
  }
  ++runs_done_;
}

absl::Status Bench::AddCounts() {
  if (settings_.counts.empty()) return absl::OkStatus();
  REENACT_ASSIGN_OR_RETURN(std::vector<Figure> figures,
                           ReadCounts(settings_.counts));
  for (Figure& figure : figures) Add(std::move(figure));
  return absl::OkStatus();
}

absl::Status Bench::Run() {
  REENACT_RETURN_IF_ERROR(AddCounts());
  for (const Group& group : AllGroups()) {
    if (!Wanted(group, settings_)) continue;
    REENACT_RETURN_IF_ERROR(CheckStopped());
    REENACT_RETURN_IF_ERROR(
        Annotate(group.measure(*this), std::string(group.name)));
  }
  return absl::OkStatus();
}

Results Bench::Finish(const MachineWatch& watch) {
  Results results;
  results.machine = watch.Finish();
  results.settings = settings_;
  results.figures = std::move(figures_);
  results.curves = std::move(curves_);
  Print(TargetsTable(results.figures));
  Print(MachineText(results.machine));
  return results;
}

void AddRatio(const Timing& base, const Timing& side, Figure* figure) {
  figure->values.push_back(base.wall / side.wall);
  figure->cpu_values.push_back(base.cpu / side.cpu);
}

absl::StatusOr<Results> RunBench(Settings settings, Hooks hooks) {
  REENACT_RETURN_IF_ERROR(CheckSettings(settings));
  Bench bench(std::move(settings), std::move(hooks));
  const MachineWatch watch(bench.settings().directory.empty()
                               ? std::filesystem::temp_directory_path()
                               : bench.settings().directory);
  const absl::Status status = bench.Run();
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  Results results = bench.Finish(watch);
  results.stopped = !status.ok();
  return results;
}

}  // namespace reenact::bench
