// Durable worlds ÷ the same bytes written plainly.

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "bench/baselines.h"
#include "bench/groups.h"
#include "bench/statistics.h"

namespace reenact::bench {
namespace {

enum Side : std::size_t {
  kInMemory,
  kNone,
  kInterval,
  kEveryBlock,
  kEveryBlockCold,
  kRocksDbByRound,
  kRocksDbByGroup,
  kRocksDbUnsynced,
  kRawByRound,
  kRawByGroup,
  kRawUnsynced,
  kDisk,  // what a sync takes here
  kSides
};

bool IsWorld(std::size_t side) { return side <= kEveryBlockCold; }

struct Sample {
  Timing time;
  Digest journal;                 // of a warm world
  std::vector<double> latencies;  // of kDisk, in seconds
};

struct Rate {
  Side side;
  const char *id, *name;
};
constexpr Rate kRates[] = {
    {kInMemory, "memory", "in memory"},
    {kNone, "none", "sync none"},
    {kInterval, "interval", "sync interval (100 ms)"},
    {kEveryBlock, "every-block", "sync every block"},
    {kEveryBlockCold, "every-block-cold", "sync every block, cold cells"},
};

struct Ratio {
  Side side, base;
  const char *id, *name;
};
constexpr Ratio kRatios[] = {
    {kEveryBlock, kInMemory, "every-block.memory",
     "sync every block ÷ in memory"},
    {kEveryBlock, kRocksDbByRound, "every-block.rocksdb-round",
     "sync every block ÷ RocksDB, by round, synced"},
    {kEveryBlock, kRocksDbByGroup, "every-block.rocksdb-group",
     "sync every block ÷ RocksDB, by group, synced"},
    {kEveryBlock, kRawByRound, "every-block.raw-round",
     "sync every block ÷ raw file, by round, synced"},
    {kEveryBlock, kRawByGroup, "every-block.raw-group",
     "sync every block ÷ raw file, by group, synced"},
    {kInterval, kInMemory, "interval.memory", "sync interval ÷ in memory"},
    {kInterval, kRocksDbUnsynced, "interval.rocksdb",
     "sync interval ÷ RocksDB, by round"},
    {kInterval, kRawUnsynced, "interval.raw",
     "sync interval ÷ raw file, by round"},
    {kNone, kInMemory, "none.memory", "sync none ÷ in memory"},
    {kNone, kRocksDbUnsynced, "none.rocksdb", "sync none ÷ RocksDB, by round"},
    {kNone, kRawUnsynced, "none.raw", "sync none ÷ raw file, by round"},
};

SyncPolicy PolicyOf(std::size_t side) {
  SyncPolicy policy;
  if (side == kNone) policy.kind = SyncPolicy::Kind::kNone;
  if (side == kInterval) policy.kind = SyncPolicy::Kind::kInterval;
  return policy;
}

class DurableGroup {
 public:
  explicit DurableGroup(Bench* bench)
      : bench_(*bench),
        disk_(bench->NewDirectory()),
        load_(MakeLoad(Pattern::kUniform, 0, bench->EventsFor(0),
                       bench->cells())) {
    std::filesystem::create_directory(disk_);
  }
  ~DurableGroup() { bench_.RemoveDirectory(disk_); }

  absl::Status Measure() {
    REENACT_RETURN_IF_ERROR(TakeBytes());
    const auto runs = bench_.Repeat<Sample>(
        "durable", kSides, [this](std::size_t side) { return Run(side); });
    if (runs.count() > 0) AddFigures(runs);
    return runs.status;
  }

 private:
  // The bytes that a world writes, and into how many writes it puts them.
  absl::Status TakeBytes() {
    RunOptions options = bench_.Durable(0);
    REENACT_ASSIGN_OR_RETURN(sample_, RunWorld(bench_.work(), load_, options));
    REENACT_ASSIGN_OR_RETURN(
        by_round_,
        LastBlocks(options.directory, static_cast<std::size_t>(
                                          sample_.Grown(&WorldStats::rounds))));
    by_group_ =
        Packed(by_round_,
               static_cast<std::size_t>(sample_.Grown(&WorldStats::groups)));
    bench_.RemoveDirectory(options.directory);
    return absl::OkStatus();
  }

  absl::StatusOr<Sample> Run(std::size_t side) {
    if (IsWorld(side)) return RunWorldSide(side);
    if (side == kDisk) {
      constexpr std::size_t kAppends = 200;
      REENACT_ASSIGN_OR_RETURN(auto latencies, SyncLatencies(disk_, kAppends));
      std::sort(latencies.begin(), latencies.end());
      return Sample{{}, {}, std::move(latencies)};
    }
    REENACT_ASSIGN_OR_RETURN(const Timing time, RunPlain(side));
    return Sample{time, {}, {}};
  }

  absl::StatusOr<Sample> RunWorldSide(std::size_t side) {
    RunOptions options =
        side == kInMemory ? bench_.InMemory(0) : bench_.Durable(0);
    options.sync = PolicyOf(side);
    options.warm = side != kEveryBlockCold;
    REENACT_ASSIGN_OR_RETURN(RunResult run,
                             bench_.RunAndRemove(load_, options));
    if (options.warm && run.journal != sample_.journal) {
      return absl::InternalError("the journal depends on where it is kept");
    }
    return Sample{run.time, run.journal, {}};
  }

  absl::StatusOr<Timing> RunPlain(std::size_t side) {
    switch (side) {
      case kRocksDbByRound:
        return TimeRocksDb(disk_, by_round_, true);
      case kRocksDbByGroup:
        return TimeRocksDb(disk_, by_group_, true);
      case kRocksDbUnsynced:
        return TimeRocksDb(disk_, by_round_, false);
      case kRawByRound:
        return TimeRawFile(disk_, by_round_, true);
      case kRawByGroup:
        return TimeRawFile(disk_, by_group_, true);
      default:
        return TimeRawFile(disk_, by_round_, false);
    }
  }

  void AddFigures(const Repeated<Sample>& runs) {
    const auto disk = DiskNotes(runs.sides[kDisk]);
    for (const Rate& rate : kRates) {
      Figure figure = RateOf(rate, runs.sides[rate.side]);
      figure.notes = disk;
      bench_.Add(std::move(figure));
    }
    for (const Ratio& ratio : kRatios) {
      Figure figure{"durable." + std::string(ratio.id),
                    "durable, serial, trivial reducer ÷ plain writes",
                    ratio.name,
                    "×",
                    Better::kMore,
                    {},
                    {},
                    disk};
      for (std::size_t i = 0; i < runs.count(); ++i) {
        AddRatio(runs.sides[ratio.base][i].time, runs.sides[ratio.side][i].time,
                 &figure);
      }
      bench_.Add(std::move(figure));
    }
    AddDisk(runs.sides[kDisk]);
  }

  Figure RateOf(const Rate& rate, const std::vector<Sample>& samples) const {
    Figure figure;
    figure.id = "durable." + std::string(rate.id) + ".rate";
    figure.section = "serial, trivial reducer";
    figure.name = rate.name;
    figure.unit = "tickets/s";
    const double tickets = static_cast<double>(load_.size());
    for (const Sample& sample : samples) {
      figure.values.push_back(tickets / sample.time.wall);
      figure.cpu_values.push_back(tickets / sample.time.cpu);
    }
    return figure;
  }

  static std::vector<double> AtPart(const std::vector<Sample>& samples,
                                    double part) {
    std::vector<double> values;
    for (const Sample& sample : samples) {
      values.push_back(1e6 * Percentile(sample.latencies, part));
    }
    return values;
  }
  static std::vector<std::pair<std::string, double>> DiskNotes(
      const std::vector<Sample>& samples) {
    return {{"sync p50 µs", Median(AtPart(samples, 0.5))},
            {"p99 µs", Median(AtPart(samples, 0.99))}};
  }
  void AddDisk(const std::vector<Sample>& samples) {
    for (const auto& [name, part] : {std::pair{"p50", 0.5}, {"p99", 0.99}}) {
      bench_.Add(Figure{"durable.disk." + std::string(name),
                        "the disk: 200 bytes appended and synced",
                        name,
                        "µs",
                        Better::kLess,
                        AtPart(samples, part),
                        {},
                        {{"rounds", static_cast<double>(by_round_.size())},
                         {"groups", static_cast<double>(by_group_.size())}}});
    }
  }

  Bench& bench_;
  const std::filesystem::path disk_;
  const Load load_;
  RunResult sample_;
  std::vector<Bytes> by_round_, by_group_;
};

}  // namespace

absl::Status MeasureDurable(Bench& bench) {
  return DurableGroup(&bench).Measure();
}

}  // namespace reenact::bench
