// Going through a history again ÷ making it; and opening after a crash.

#include "reenact/replay/replay.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/crash.h"
#include "bench/groups.h"
#include "bench/statistics.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"

namespace reenact::bench {
namespace {

// The ways to go through a history again.
struct Way {
  const char *id, *name;
  bool open = false;  // World::Open() instead of Verify()
  bool rebuild = false;
  bool twice = false;
  std::size_t workers = 0;
};
constexpr Way kWays[] = {
    {"apply", "apply: open, all cells to rebuild", true, true, false, 0},
    {"open", "open, nothing to rebuild", true, false, false, 0},
    {"verify", "verify", false, false, false, 0},
    {"verify-twice", "verify, each step twice", false, false, true, 0},
    {"verify-2", "verify, 2 workers", false, false, false, 2},
};
constexpr std::size_t kLive = 0;  // the side that makes the history
constexpr std::size_t kSides = 1 + std::size(kWays);

absl::Status DropCells(const std::filesystem::path& world) {
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                           OpenRocksDbStore(WorldPaths(world).db, {}));
  REENACT_RETURN_IF_ERROR(store->ClearCells());
  return store->Close();
}

absl::StatusOr<Timing> TimeVerify(const Way& way, const WorldOptions& world,
                                  const Digest& journal, const Bench& bench) {
  VerifyOptions options;
  options.path = world.path;
  options.modules = world.modules;
  options.run_twice = way.twice;
  options.workers = way.workers;
  options.cancelled = [&bench] { return bench.stopped(); };
  const Stopwatch watch;
  REENACT_ASSIGN_OR_RETURN(const VerifyReport report, Verify(options));
  const Timing time = watch.Read();
  if (report.verdict != Verdict::kIdentical || report.journal != journal) {
    return absl::InternalError("verify: " + report.problem +
                               std::string(VerdictName(report.verdict)));
  }
  return time;
}

absl::StatusOr<Timing> TimeOpen(const Way& way, const WorldOptions& options,
                                const Digest& journal) {
  if (way.rebuild) REENACT_RETURN_IF_ERROR(DropCells(options.path));
  const Stopwatch watch;
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<World> world,
                           World::Open(options));
  const Timing time = watch.Read();
  if (world->journal_digest() != journal) {
    return absl::InternalError("the opened world has another journal");
  }
  REENACT_RETURN_IF_ERROR(world->Close());
  return time;
}

// One history, and everything that is done with it. The live run is part of
// each repetition and always its first side: the others need what it wrote.
class History {
 public:
  History(double step_us, Bench* bench)
      : bench_(*bench),
        step_us_(step_us),
        load_(MakeLoad(Pattern::kUniform, step_us, bench->EventsFor(step_us),
                       bench->cells())) {}

  absl::Status Measure() {
    const auto runs = bench_.Repeat<std::vector<Timing>>(
        "replay, " + NumberText(step_us_) + " µs", 1,
        [this](std::size_t) { return Once(); });
    for (std::size_t way = 0; way < std::size(kWays); ++way) {
      AddFigure(way, runs.sides[0]);
    }
    return runs.status;
  }

 private:
  absl::StatusOr<std::vector<Timing>> Once() {
    RunOptions options = bench_.Durable(0);
    options.warm = false;  // its history is just what is gone through again
    auto times = OnceIn(options);
    bench_.RemoveDirectory(options.directory);
    return times;
  }

  absl::StatusOr<std::vector<Timing>> OnceIn(const RunOptions& options) {
    std::vector<Timing> times(kSides);
    REENACT_ASSIGN_OR_RETURN(const RunResult live,
                             RunWorld(bench_.work(), load_, options));
    times[kLive] = live.time;
    const WorldOptions world = MakeOptions(bench_.work(), load_, options);
    ++repetition_;
    for (std::size_t i = 0; i < std::size(kWays); ++i) {
      const std::size_t at =
          repetition_ % 2 == 0 ? i : std::size(kWays) - 1 - i;
      const Way& way = kWays[at];
      REENACT_RETURN_IF_ERROR(bench_.CheckStopped());
      bench_.Progress(std::string("replay, ") + way.name);
      REENACT_ASSIGN_OR_RETURN(
          times[1 + at], way.open
                             ? TimeOpen(way, world, live.journal)
                             : TimeVerify(way, world, live.journal, bench_));
    }
    return times;
  }

  void AddFigure(std::size_t way,
                 const std::vector<std::vector<Timing>>& runs) {
    const std::string cost = NumberText(step_us_);
    Figure figure;
    figure.id = "replay." + cost + "us." + kWays[way].id;
    figure.section = "replay ÷ live (durable, serial)";
    figure.name = cost + " µs, " + kWays[way].name;
    figure.unit = "×";
    for (const auto& times : runs) {
      AddRatio(times[kLive], times[1 + way], &figure);
    }
    figure.notes = {{"tickets", static_cast<double>(load_.size())}};
    bench_.Add(std::move(figure));
  }

  Bench& bench_;
  const double step_us_;
  const Load load_;
  int repetition_ = 0;
};

// --- after a crash -----------------------------------------------------------

constexpr std::uint64_t kManyTickets = 10'000'000;

std::uint64_t CrashTickets(const Settings& settings) {
  if (settings.crash_tickets > 0) return settings.crash_tickets;
  if (settings.big) return kManyTickets;
  return settings.quick ? 2'000 : 200'000;
}

struct Reopened {
  double seconds = 0;
  OpenReport report;
};

absl::StatusOr<Reopened> OpenCopy(const std::filesystem::path& crashed,
                                  Bench* bench) {
  const std::filesystem::path copy = bench->NewDirectory();
  std::error_code error;
  std::filesystem::copy(crashed, copy, std::filesystem::copy_options::recursive,
                        error);
  if (error) return absl::UnavailableError("copying: " + error.message());
  Reopened reopened;
  const double start = WallSeconds();
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<World> world,
                           World::Open(CrashedWorldOptions(copy)));
  reopened.seconds = WallSeconds() - start;
  reopened.report = world->open_report();
  REENACT_RETURN_IF_ERROR(world->Close());
  bench->RemoveDirectory(copy);
  return reopened;
}

void AddCrash(std::uint64_t tickets, const std::vector<Reopened>& runs,
              Bench* bench) {
  if (runs.empty()) return;
  Figure figure;
  figure.id =
      tickets >= kManyTickets ? "replay.crash.open-10m" : "replay.crash.open";
  figure.section = "opening after SIGKILL, default snapshots";
  const OpenReport& report = runs.back().report;
  figure.name = NumberText(static_cast<double>(report.head.value)) + " tickets";
  figure.unit = "s";
  figure.better = Better::kLess;
  for (const Reopened& run : runs) figure.values.push_back(run.seconds);
  figure.notes = {
      {"tickets replayed", static_cast<double>(report.tickets_replayed)},
      {"blocks", static_cast<double>(report.blocks)},
      {"extended", static_cast<double>(report.blocks_extended)},
      {"cut", static_cast<double>(report.blocks_cut)}};
  bench->Add(std::move(figure));
}

absl::Status MeasureCrash(Bench* bench) {
  if (bench->hooks().crash_command.empty()) return absl::OkStatus();
  const std::uint64_t tickets = CrashTickets(bench->settings());
  const std::filesystem::path crashed = bench->NewDirectory();
  bench->Progress("replay, a world that crashes");
  REENACT_RETURN_IF_ERROR(RunUntilKilled(bench->hooks().crash_command, crashed,
                                         tickets,
                                         [bench] { return bench->stopped(); }));
  const auto runs = bench->Repeat<Reopened>(
      "replay, open after a crash", 1,
      [&](std::size_t) { return OpenCopy(crashed, bench); });
  bench->RemoveDirectory(crashed);
  AddCrash(tickets, runs.sides[0], bench);
  return runs.status;
}

}  // namespace

absl::Status MeasureReplay(Bench& bench) {
  for (const double us : {0.0, 10.0}) {
    REENACT_RETURN_IF_ERROR(History(us, &bench).Measure());
  }
  return MeasureCrash(&bench);
}

}  // namespace reenact::bench
