// Whole-kernel runs: ratios of two sides that were measured alternately.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "baselines.h"
#include "big_world.h"
#include "load.h"
#include "measure.h"
#include "reenact/journal/directory.h"
#include "reenact/journal/rocksdb_store.h"
#include "reenact/kernel/replay.h"
#include "temporary_directory.h"
#include "world_run.h"

namespace reenact::bench {
namespace {

struct Settings {
  int pairs = 7;
  bool quick = false;
  double seconds = 0;  // for everything; 0: as long as it takes
  std::string json;
  std::vector<std::string> groups;  // empty: all but "big"
  bool big = false;
  BigWorldOptions big_world;

  double run_seconds = 0.4;  // that the serial side of a run should take
};

// --- what is run ---

std::vector<double> StepCosts(const Settings& settings) {
  if (settings.quick) return {0, 10};
  return {0, 1, 10, 100};
}

std::vector<std::size_t> WorkerCounts(const Settings& settings) {
  if (settings.quick) return {2};
  return {1, 2, 4};
}

std::vector<Pattern> Patterns(const Settings& settings, bool durable) {
  if (settings.quick && durable) return {Pattern::kUniform, Pattern::kOne};
  return AllPatterns();
}

// Runs that all groups together make, near enough.
double RunCount(const Settings& settings) {
  const auto cases = static_cast<double>(Patterns(settings, false).size() +
                                         Patterns(settings, true).size()) *
                     static_cast<double>(StepCosts(settings).size());
  const auto sides = static_cast<double>(WorkerCounts(settings).size()) + 1;
  constexpr double kOthers = 20;
  return settings.pairs * (cases * sides + kOthers);
}

std::size_t EventsFor(const Settings& settings, double step_us) {
  constexpr double kKernelUs = 1;
  constexpr double kFewest = 2'000;
  constexpr double kMost = 1'000'000;
  const double events = settings.run_seconds * 1e6 / (step_us + kKernelUs);
  return static_cast<std::size_t>(std::clamp(events, kFewest, kMost));
}

std::string CostText(double us) { return NumberText(us) + " us"; }

// Calls `run` for each side once, in an order that turns with each repetition,
// so that what drifts meets all sides alike.
absl::Status Alternate(int repetition, std::size_t sides,
                       const std::function<absl::Status(std::size_t)>& run) {
  for (std::size_t i = 0; i < sides; ++i) {
    REENACT_RETURN_IF_ERROR(run(repetition % 2 == 0 ? i : sides - 1 - i));
  }
  return absl::OkStatus();
}

// What serial and durable is compared with, and itself.
enum DurableSide : std::size_t {
  kInMemory,
  kSynced,
  kRocksDbSynced,
  kRawSynced,
  kUnsynced,
  kRocksDbUnsynced,
  kDurableSides
};

class Bench {
 public:
  explicit Bench(Settings settings) : settings_(std::move(settings)) {}

  absl::Status Run();

 private:
  bool Wants(const std::string& group) const;
  std::filesystem::path NewDirectory();
  void RemoveDirectory(const std::filesystem::path& directory);
  absl::StatusOr<RunResult> RunOnce(const Load& load, RunOptions options,
                                    bool durable);

  absl::Status Parallel(bool durable);
  absl::Status ParallelCase(const Load& load, bool durable);
  absl::Status Durable();
  absl::StatusOr<Timing> RunDurableSide(DurableSide side, const Load& load,
                                        const std::filesystem::path& disk,
                                        const std::vector<Bytes>& pieces,
                                        const Digest& journal);
  absl::Status Replay();
  absl::Status ReplayCase(double step_us);
  absl::Status ReplayOnce(const Load& load, int repetition,
                          std::vector<Figure>* figures);
  absl::Status JournalBytes();
  absl::Status Big();

  const Settings settings_;
  const TemporaryDirectory temporary_;
  const BusyWork work_ = BusyWork::Calibrate();
  int directories_ = 0;
  Report report_;
};

bool Bench::Wants(const std::string& group) const {
  const auto& groups = settings_.groups;
  if (groups.empty()) return true;
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

std::filesystem::path Bench::NewDirectory() {
  return temporary_.path() / std::to_string(++directories_);
}

void Bench::RemoveDirectory(const std::filesystem::path& directory) {
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

absl::StatusOr<RunResult> Bench::RunOnce(const Load& load, RunOptions options,
                                         bool durable) {
  if (durable) options.directory = NewDirectory();
  auto result = RunWorld(work_, load, options);
  if (durable) RemoveDirectory(options.directory);
  return result;
}

// --- parallel / serial ---

absl::Status Bench::Parallel(bool durable) {
  for (Pattern pattern : Patterns(settings_, durable)) {
    for (double us : StepCosts(settings_)) {
      const Load load = MakeLoad(pattern, us, EventsFor(settings_, us));
      REENACT_RETURN_IF_ERROR(ParallelCase(load, durable));
    }
  }
  return absl::OkStatus();
}

// What the repetitions of one side gave.
struct Side {
  std::size_t workers = 0;
  std::vector<RunResult> runs;

  std::vector<double> Map(
      const std::function<double(const RunResult&)>& value) const {
    std::vector<double> values;
    for (const RunResult& run : runs) values.push_back(value(run));
    return values;
  }
};

double CoresOf(const RunResult& run) { return run.time.cpu / run.time.wall; }

// `side` as a multiple of `base`'s speed.
void AddRatio(const Timing& base, const Timing& side, Figure* figure) {
  figure->values.push_back(base.wall / side.wall);
  figure->cpu_values.push_back(base.cpu / side.cpu);
}

Figure CompareSides(const Side& serial, const Side& parallel,
                    std::size_t events) {
  Figure figure;
  figure.unit = "x";
  for (std::size_t i = 0; i < serial.runs.size(); ++i) {
    AddRatio(serial.runs[i].time, parallel.runs[i].time, &figure);
  }
  const double steps = static_cast<double>(events);
  figure.notes = {
      {"serial/s",
       steps / Median(serial.Map([](auto& run) { return run.time.wall; }))},
      {"cores", Median(parallel.Map(CoresOf))},
      {"serial_cores", Median(serial.Map(CoresOf))},
      {"rerun_%", 100 / steps * Median(parallel.Map([](auto& run) {
                    return static_cast<double>(run.stats.reruns);
                  }))}};
  return figure;
}

absl::Status Bench::ParallelCase(const Load& load, bool durable) {
  std::vector<Side> sides(1);  // the serial one first
  for (std::size_t workers : WorkerCounts(settings_)) {
    sides.push_back({workers, {}});
  }
  const auto run = [&](std::size_t side) -> absl::Status {
    REENACT_ASSIGN_OR_RETURN(
        RunResult result,
        RunOnce(load, {sides[side].workers, {}, {}}, durable));
    sides[side].runs.push_back(std::move(result));
    return absl::OkStatus();
  };
  const std::string name =
      std::string(PatternName(load.pattern)) + ", " + CostText(load.step_us);
  for (int i = 0; i < settings_.pairs; ++i) {
    REENACT_RETURN_IF_ERROR(Alternate(i, sides.size(), run));
    for (const Side& side : sides) {
      if (side.runs.back().journal != sides[0].runs[0].journal) {
        return absl::InternalError(
            name + ", " + std::to_string(side.workers) +
            " workers: the journal differs from the serial one");
      }
    }
  }
  for (std::size_t side = 1; side < sides.size(); ++side) {
    Figure figure = CompareSides(sides[0], sides[side], load.size());
    figure.group =
        durable ? "parallel / serial, durable" : "parallel / serial, in memory";
    figure.name =
        name + ", " + std::to_string(sides[side].workers) + " workers";
    report_.Add(std::move(figure));
  }
  return absl::OkStatus();
}

// --- durability ---

struct DurableRun {
  std::array<Timing, kDurableSides> times;
};

struct DurableRatio {
  const char* name;
  DurableSide side, base;
};
constexpr DurableRatio kDurableRatios[] = {
    {"sync every-block / in memory", kSynced, kInMemory},
    {"sync every-block / packed RocksDB", kSynced, kRocksDbSynced},
    {"sync every-block / raw file", kSynced, kRawSynced},
    {"sync none / in memory", kUnsynced, kInMemory},
    {"sync none / packed RocksDB", kUnsynced, kRocksDbUnsynced},
};

constexpr const char* kDurable = "serial and durable, trivial reducer";

Figure RateFigure(const char* name, DurableSide side, double events,
                  const std::vector<DurableRun>& runs) {
  Figure figure{kDurable, name, "events/s", {}, {}, {}};
  for (const DurableRun& run : runs) {
    figure.values.push_back(events / run.times[side].wall);
    figure.cpu_values.push_back(events / run.times[side].cpu);
  }
  return figure;
}

Figure RatioFigure(const DurableRatio& ratio,
                   const std::vector<DurableRun>& runs) {
  Figure figure{kDurable, ratio.name, "x", {}, {}, {}};
  for (const DurableRun& run : runs) {
    AddRatio(run.times[ratio.base], run.times[ratio.side], &figure);
  }
  return figure;
}

// Times one side. `disk` holds the baselines' files, `pieces` what they write.
absl::StatusOr<Timing> Bench::RunDurableSide(DurableSide side, const Load& load,
                                             const std::filesystem::path& disk,
                                             const std::vector<Bytes>& pieces,
                                             const Digest& journal) {
  switch (side) {
    case kRocksDbSynced:
      return TimeRocksDb(disk, pieces, true);
    case kRocksDbUnsynced:
      return TimeRocksDb(disk, pieces, false);
    case kRawSynced:
      return TimeRawFile(disk, pieces);
    default:
      break;
  }
  RunOptions options;
  if (side != kSynced) options.sync.kind = SyncPolicy::Kind::kNone;
  REENACT_ASSIGN_OR_RETURN(RunResult run,
                           RunOnce(load, options, side != kInMemory));
  if (run.journal != journal) {
    return absl::InternalError("the journal depends on where it is kept");
  }
  return run.time;
}

absl::Status Bench::Durable() {
  const Load load = MakeLoad(Pattern::kUniform, 0, EventsFor(settings_, 0));
  const std::filesystem::path disk = NewDirectory();
  std::filesystem::create_directory(disk);

  // The bytes, and into how many writes the world put them.
  REENACT_ASSIGN_OR_RETURN(
      const RunResult sample,
      RunWorld(work_, load, {0, disk / "world", SyncPolicy{}}));
  const std::uint64_t groups = std::max<std::uint64_t>(sample.stats.groups, 1);
  REENACT_ASSIGN_OR_RETURN(const std::vector<Bytes> pieces,
                           PackedBlocks(disk / "world", groups));

  Figure p50{kDurable, "200 bytes appended and synced, p50", "us", {}, {}, {}};
  Figure p99{kDurable, "200 bytes appended and synced, p99", "us", {}, {}, {}};
  std::vector<DurableRun> runs(static_cast<std::size_t>(settings_.pairs));
  for (int i = 0; i < settings_.pairs; ++i) {
    DurableRun& run = runs[static_cast<std::size_t>(i)];
    REENACT_RETURN_IF_ERROR(
        Alternate(i, kDurableSides, [&](std::size_t side) -> absl::Status {
          REENACT_ASSIGN_OR_RETURN(
              run.times[side],
              RunDurableSide(static_cast<DurableSide>(side), load, disk, pieces,
                             sample.journal));
          return absl::OkStatus();
        }));
    constexpr std::size_t kAppends = 200;
    REENACT_ASSIGN_OR_RETURN(std::vector<double> latencies,
                             SyncLatencies(disk, kAppends));
    p50.values.push_back(Median(latencies));
    p99.values.push_back(Quantile(latencies, 0.99));
  }
  report_.Add(std::move(p50));
  report_.Add(std::move(p99));
  const double events = static_cast<double>(load.size());
  Figure synced = RateFigure("sync every-block", kSynced, events, runs);
  synced.notes = {{"groups", static_cast<double>(groups)}};
  report_.Add(std::move(synced));
  report_.Add(RateFigure("sync none", kUnsynced, events, runs));
  for (const DurableRatio& ratio : kDurableRatios) {
    report_.Add(RatioFigure(ratio, runs));
  }
  RemoveDirectory(disk);
  return absl::OkStatus();
}

// --- replay / live ---

absl::Status Bench::Replay() {
  for (double us : {0.0, 10.0}) REENACT_RETURN_IF_ERROR(ReplayCase(us));
  return absl::OkStatus();
}

// The ways to go through a history again.
struct ReplaySide {
  const char* name;
  bool open;     // World::Open() instead of Verify()
  bool variant;  // open: with cells to rebuild; verify: every step twice
  std::size_t workers;
};
constexpr ReplaySide kReplaySides[] = {
    {"verify", false, false, 0},
    {"verify, 2 workers", false, false, 2},
    {"verify, each step twice", false, true, 0},
    {"open, nothing to rebuild", true, false, 0},
    {"open, all cells to rebuild", true, true, 0},
};

absl::Status DropCells(const std::filesystem::path& world) {
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                           OpenRocksDbStore(WorldPaths(world).db, {}));
  REENACT_RETURN_IF_ERROR(store->ClearCells());
  return store->Close();
}

absl::StatusOr<Timing> TimeVerify(const ReplaySide& side, const Module& module,
                                  const std::filesystem::path& world,
                                  const Digest& journal) {
  VerifyOptions options;
  options.path = world;
  options.modules.push_back(module);
  options.run_twice = side.variant;
  options.workers = side.workers;
  const Stopwatch watch;
  REENACT_ASSIGN_OR_RETURN(VerifyReport report, Verify(options));
  const Timing time = watch.Read();
  if (report.verdict != Verdict::kIdentical || report.journal != journal) {
    return absl::InternalError("verify: " + report.problem +
                               std::string(VerdictName(report.verdict)));
  }
  return time;
}

absl::StatusOr<Timing> TimeOpen(const ReplaySide& side, WorldOptions options,
                                const Digest& journal) {
  if (side.variant) REENACT_RETURN_IF_ERROR(DropCells(options.path));
  const Stopwatch watch;
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           World::Open(std::move(options)));
  const Timing time = watch.Read();
  if (world->journal_digest() != journal) {
    return absl::InternalError("the opened world has another journal");
  }
  REENACT_RETURN_IF_ERROR(world->Close());
  return time;
}

absl::Status Bench::ReplayCase(double step_us) {
  const Load load =
      MakeLoad(Pattern::kUniform, step_us, EventsFor(settings_, step_us));
  std::vector<Figure> figures;
  for (const ReplaySide& side : kReplaySides) {
    figures.push_back({"replay / live (durable, serial)",
                       CostText(step_us) + ", " + side.name,
                       "x",
                       {},
                       {},
                       {{"tickets", static_cast<double>(load.size())}}});
  }
  for (int i = 0; i < settings_.pairs; ++i) {
    REENACT_RETURN_IF_ERROR(ReplayOnce(load, i, &figures));
  }
  for (Figure& figure : figures) report_.Add(std::move(figure));
  return absl::OkStatus();
}

absl::Status Bench::ReplayOnce(const Load& load, int repetition,
                               std::vector<Figure>* figures) {
  const RunOptions options{0, NewDirectory(), SyncPolicy{}};
  REENACT_ASSIGN_OR_RETURN(const RunResult live,
                           RunWorld(work_, load, options));
  const WorldOptions world = MakeOptions(work_, load, options);
  REENACT_RETURN_IF_ERROR(
      Alternate(repetition, figures->size(), [&](std::size_t i) {
        const ReplaySide& side = kReplaySides[i];
        auto time = side.open ? TimeOpen(side, world, live.journal)
                              : TimeVerify(side, world.modules[0],
                                           options.directory, live.journal);
        if (time.ok()) AddRatio(live.time, *time, &(*figures)[i]);
        return std::move(time).status();
      }));
  RemoveDirectory(options.directory);
  return absl::OkStatus();
}

// --- sizes ---

absl::Status Bench::JournalBytes() {
  for (Pattern pattern : {Pattern::kUniform, Pattern::kOne}) {
    const Load load = MakeLoad(pattern, 0, EventsFor(settings_, 0));
    REENACT_ASSIGN_OR_RETURN(RunResult run, RunOnce(load, {}, false));
    const double bytes = static_cast<double>(run.stats.journal_bytes);
    report_.Add({"journal bytes per counter ticket",
                 std::string(PatternName(pattern)),
                 "bytes",
                 {bytes / static_cast<double>(load.size())},
                 {},
                 {}});
  }
  return absl::OkStatus();
}

absl::Status Bench::Big() {
  BigWorldOptions options = settings_.big_world;
  options.directory = NewDirectory();
  REENACT_ASSIGN_OR_RETURN(std::vector<Figure> figures, RunBigWorld(options));
  RemoveDirectory(options.directory);
  for (Figure& figure : figures) report_.Add(std::move(figure));
  return absl::OkStatus();
}

absl::Status Bench::Run() {
  const MachineWatch watch;
  std::printf("%d pairs, runs of about %s s, %s iterations a microsecond\n",
              settings_.pairs, NumberText(settings_.run_seconds).c_str(),
              NumberText(work_.iterations_per_us()).c_str());
  // First, while the process is small.
  if (settings_.big || (!settings_.groups.empty() && Wants("big"))) {
    REENACT_RETURN_IF_ERROR(Big());
  }
  if (Wants("memory")) REENACT_RETURN_IF_ERROR(Parallel(false));
  if (Wants("parallel-durable")) REENACT_RETURN_IF_ERROR(Parallel(true));
  if (Wants("durable")) REENACT_RETURN_IF_ERROR(Durable());
  if (Wants("replay")) REENACT_RETURN_IF_ERROR(Replay());
  if (Wants("bytes")) REENACT_RETURN_IF_ERROR(JournalBytes());
  const Machine machine = watch.Finish();
  std::printf(
      "\n%s, %u cores, %s; load %s before, %s after; others had %s %% of the "
      "machine\n",
      machine.cpu.c_str(), machine.cores, machine.system.c_str(),
      NumberText(machine.load_before).c_str(),
      NumberText(machine.load_after).c_str(),
      NumberText(100 * machine.busy_others).c_str());
  if (settings_.json.empty()) return absl::OkStatus();
  return report_.WriteJson(settings_.json, machine);
}

void AddOptions(Settings* settings, CLI::App* app) {
  app->option_defaults()->always_capture_default();
  app->add_option("--pairs", settings->pairs, "Repetitions of each side")
      ->check(CLI::Range(1, 1000));
  app->add_flag("--quick", settings->quick,
                "A smoke run: few cases, tiny runs, two pairs");
  app->add_option("--seconds", settings->seconds,
                  "About how long everything may take, without --big; 0: runs "
                  "of 0.4 s each")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--json", settings->json, "Also write the figures here");
  app->add_option("--only", settings->groups,
                  "Groups to run: memory, parallel-durable, durable, replay, "
                  "bytes, big; all but big if not given")
      ->delimiter(',')
      ->check(CLI::IsMember(
          {"memory", "parallel-durable", "durable", "replay", "bytes", "big"}));
  app->add_flag("--big", settings->big,
                "Also a world larger than its cache; takes minutes");
  app->add_option("--big-cells", settings->big_world.cells,
                  "Cells of that world")
      ->check(CLI::Range(1'000, 1'000'000'000));
  app->add_option("--big-cache-mib", settings->big_world.cache_mib,
                  "Its cache, in MiB")
      ->check(CLI::Range(1, 1 << 20));
}

void Settle(Settings* settings, const CLI::App& app) {
  if (settings->quick) {
    settings->run_seconds = 0.02;
    if (app.count("--pairs") == 0) settings->pairs = 2;
  }
  if (settings->seconds > 0) {
    settings->run_seconds =
        std::clamp(settings->seconds / RunCount(*settings), 0.005, 10.0);
  }
}

}  // namespace
}  // namespace reenact::bench

int main(int argc, char** argv) {
  reenact::bench::Settings settings;
  CLI::App app(
      "Measures whole worlds. Each ratio is of two sides that ran in turn, so "
      "that what else the machine does meets both; higher is better. Durable "
      "worlds are made in $TMPDIR.");
  AddOptions(&settings, &app);
  CLI11_PARSE(app, argc, argv);
  Settle(&settings, app);
  const absl::Status status = reenact::bench::Bench(settings).Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "reenact-bench: %s\n", status.ToString().c_str());
  return 1;
}
