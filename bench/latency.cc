// From submitting to durable, in worlds that run in the background.

#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/baselines.h"
#include "bench/groups.h"
#include "bench/schedule.h"
#include "bench/statistics.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact::bench {
namespace {

constexpr std::size_t kSubmitters = 32;
constexpr std::size_t kBytesPerIncrement = 100;  // about what a ticket takes
constexpr std::size_t kOutstanding = 256;        // of each, pipelined
// Who sends does not sleep for less, so that a request is up to this much late,
// which its latency includes: going to sleep for each of half a million
// requests a second takes half of a core from the world.
constexpr double kNapSeconds = 100e-6;
constexpr const char* kSection = "submit to durable, sync every block";

void SleepSeconds(double seconds) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_nsec =
      static_cast<long>((seconds - static_cast<double>(time.tv_sec)) * 1e9);
  nanosleep(&time, nullptr);
}

// Wakes up when it is time and not 50 µs later, as threads do by default.
void SleepPrecisely() { prctl(PR_SET_TIMERSLACK, 1000UL); }

Input Increment(std::uint32_t cell) {
  Input input;
  input.event.reducer = "counter";
  input.event.key = CellKey(cell);
  input.event.payload = cbor::EncodeInteger(0);
  return input;
}

// A durable world in a new directory, with warm cells, that runs in the
// background until this goes.
class BackgroundWorld {
 public:
  static absl::StatusOr<std::unique_ptr<BackgroundWorld>> Start(
      Bench* bench, std::uint32_t cells) {
    std::unique_ptr<BackgroundWorld> made(new BackgroundWorld(bench));
    REENACT_RETURN_IF_ERROR(made->Open(cells));
    return made;
  }
  ~BackgroundWorld() {
    world_.reset();
    bench_.RemoveDirectory(options_.directory);
  }
  BackgroundWorld(const BackgroundWorld&) = delete;
  BackgroundWorld& operator=(const BackgroundWorld&) = delete;

  World& world() { return *world_; }
  absl::Status Close() { return world_->Close(); }

 private:
  explicit BackgroundWorld(Bench* bench)
      : bench_(*bench), options_(bench->Durable(0)) {}

  absl::Status Open(std::uint32_t cells) {
    Load load;
    load.cell_count = cells;
    REENACT_ASSIGN_OR_RETURN(
        world_, World::Open(MakeOptions(bench_.work(), load, options_)));
    WarmUpSource warm_up(load);
    REENACT_RETURN_IF_ERROR(world_->Feed(warm_up));
    return world_->Start();
  }

  Bench& bench_;
  const RunOptions options_;
  std::unique_ptr<World> world_;
};

// Submits, and tries again as long as there is no room.
absl::StatusOr<Submission> SubmitPatiently(World& world, const Input& input) {
  for (;;) {
    absl::StatusOr<Submission> submission = world.Submit(input);
    if (!absl::IsResourceExhausted(submission.status())) return submission;
    SleepSeconds(20e-6);
  }
}

// --- one client --------------------------------------------------------------

struct Closed {
  std::vector<double> latencies;  // seconds, sorted
  double bytes_each = 0;          // that the world put on disk for one request
};

absl::StatusOr<Closed> OneClient(Bench* bench, std::size_t count) {
  REENACT_ASSIGN_OR_RETURN(const auto background,
                           BackgroundWorld::Start(bench, 100));
  World& world = background->world();
  Closed closed;
  const WorldStats before = world.stats();
  for (std::size_t i = 0; i < count && !bench->stopped(); ++i) {
    const Input input = Increment(static_cast<std::uint32_t>(i % 100));
    const double start = WallSeconds();
    REENACT_ASSIGN_OR_RETURN(const Submission submission, world.Submit(input));
    REENACT_RETURN_IF_ERROR(submission.WaitDurable().status());
    closed.latencies.push_back(WallSeconds() - start);
  }
  const WorldStats after = world.stats();
  REENACT_RETURN_IF_ERROR(background->Close());
  REENACT_RETURN_IF_ERROR(bench->CheckStopped());
  closed.bytes_each =
      static_cast<double>(after.journal_bytes - before.journal_bytes) /
      static_cast<double>(count);
  std::sort(closed.latencies.begin(), closed.latencies.end());
  return closed;
}

constexpr std::pair<const char*, double> kParts[] = {
    {"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};

std::vector<double> PercentileOfEach(const std::vector<Closed>& runs,
                                     double part, double unit) {
  std::vector<double> values;
  for (const Closed& run : runs) {
    values.push_back(unit * Percentile(run.latencies, part));
  }
  return values;
}

// The distribution of all repetitions together, as a curve.
Curve LatencyCurve(const std::string& name,
                   const std::vector<std::vector<double>>& runs) {
  std::vector<double> all;
  for (const auto& run : runs) all.insert(all.end(), run.begin(), run.end());
  std::sort(all.begin(), all.end());
  constexpr std::pair<const char*, double> kMarks[] = {
      {"p0", 0},        {"p25", 0.25},      {"p50", 0.5},  {"p75", 0.75},
      {"p90", 0.9},     {"p95", 0.95},      {"p99", 0.99}, {"p99.5", 0.995},
      {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1}};
  Curve curve{"latency from submit to durable, by percentile",
              name,
              "percentile of all requests",
              "µs",
              true,
              false,
              {},
              {}};
  for (const auto& [mark, part] : kMarks) {
    curve.points.push_back({static_cast<double>(curve.points.size()),
                            1e6 * Percentile(all, part)});
    curve.x_ticks.push_back(mark);
  }
  return curve;
}

std::vector<std::vector<double>> LatenciesOf(const std::vector<Closed>& runs) {
  std::vector<std::vector<double>> latencies;
  for (const Closed& run : runs) latencies.push_back(run.latencies);
  return latencies;
}

Figure LatencyFigure(const std::string& id, const std::string& name,
                     const char* unit, std::vector<double> values) {
  return Figure{"latency." + id, kSection,          name, unit,
                Better::kLess,   std::move(values), {},   {}};
}

absl::Status MeasureOneClient(Bench* bench) {
  const std::size_t count = bench->settings().quick ? 30 : 2'000;
  REENACT_ASSIGN_OR_RETURN(const Closed probe, OneClient(bench, 30));
  const auto bytes = static_cast<std::size_t>(std::max(probe.bytes_each, 1.0));
  const std::filesystem::path disk = bench->NewDirectory();
  std::filesystem::create_directory(disk);
  const auto runs = bench->Repeat<Closed>(
      "latency, one client", 2,
      [&](std::size_t side) -> absl::StatusOr<Closed> {
        if (side == 0) return OneClient(bench, count);
        Closed appends;
        REENACT_ASSIGN_OR_RETURN(appends.latencies,
                                 SyncLatencies(disk, count, bytes));
        std::sort(appends.latencies.begin(), appends.latencies.end());
        return appends;
      });
  bench->RemoveDirectory(disk);
  const char* names[] = {"one client", "one synced append of the same bytes"};
  const char* ids[] = {"one-client.", "append."};
  for (std::size_t side = 0; side < 2 && runs.count() > 0; ++side) {
    for (const auto& [part_name, part] : kParts) {
      Figure figure =
          LatencyFigure(ids[side] + std::string(part_name),
                        names[side] + std::string(", ") + part_name, "µs",
                        PercentileOfEach(runs.sides[side], part, 1e6));
      figure.notes = {{"bytes", static_cast<double>(bytes)}};
      bench->Add(std::move(figure));
    }
    bench->Add(LatencyCurve(names[side], LatenciesOf(runs.sides[side])));
  }
  for (const auto& [part_name, part] : kParts) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < runs.count(); ++i) {
      ratios.push_back(Percentile(runs.sides[0][i].latencies, part) /
                       Percentile(runs.sides[1][i].latencies, part));
    }
    Figure figure = LatencyFigure(
        "one-client." + std::string(part_name) + "-ratio",
        "one client ÷ synced append, " + std::string(part_name), "×", ratios);
    figure.section = "one client ÷ one synced append of the same bytes";
    bench->Add(std::move(figure));
  }
  return runs.status;
}

// --- an open loop ------------------------------------------------------------

struct Open {
  std::vector<double> latencies;  // from due to durable, seconds, sorted
  double seconds = 0;             // from the first due to the last durable
  double behind_p99 = 0;  // how much later than due requests were submitted
};

// Sends requests when they are due and waits for each. What sends and what
// waits are threads of their own, so neither holds up the other.
class OpenLoop {
 public:
  OpenLoop(const Bench& bench, World& world, std::vector<double> due,
           std::uint32_t cells)
      : bench_(bench),
        world_(world),
        due_(std::move(due)),
        cells_(cells),
        submissions_(due_.size(), Submission(nullptr)),
        sent_(due_.size()),
        done_(due_.size()) {}

  absl::StatusOr<Open> Run() {
    start_ = WallSeconds();
    std::thread waiter([this] { waited_ = Wait(); });
    const absl::Status status = Send();
    Publish(status.ok() ? due_.size() : kEnd);
    waiter.join();
    REENACT_RETURN_IF_ERROR(status);
    REENACT_RETURN_IF_ERROR(waited_);
    Open open;
    open.latencies = LatenciesFromDue(due_, done_);
    std::sort(open.latencies.begin(), open.latencies.end());
    open.seconds = done_.back() - due_.front();
    std::vector<double> behind = LatenciesFromDue(due_, sent_);
    std::sort(behind.begin(), behind.end());
    open.behind_p99 = Percentile(behind, 0.99);
    return open;
  }

 private:
  static constexpr std::size_t kEnd = SIZE_MAX;  // sending has failed

  double Now() const { return WallSeconds() - start_; }
  void Publish(std::size_t sent) {
    ready_.store(sent, std::memory_order_release);
    ready_.notify_one();
  }

  absl::Status Send() {
    SleepPrecisely();
    for (std::size_t i = 0; i < due_.size(); ++i) {
      const double early = due_[i] - Now();
      if (early > 0) {
        REENACT_RETURN_IF_ERROR(bench_.CheckStopped());
        SleepSeconds(std::max(early, kNapSeconds));
      }
      const auto cell = static_cast<std::uint32_t>(i * 7919 % cells_);
      REENACT_ASSIGN_OR_RETURN(submissions_[i],
                               SubmitPatiently(world_, Increment(cell)));
      sent_[i] = Now();
      Publish(i + 1);
    }
    return absl::OkStatus();
  }

  absl::Status Wait() {
    for (std::size_t i = 0; i < due_.size(); ++i) {
      std::size_t ready = 0;
      while ((ready = ready_.load(std::memory_order_acquire)) <= i) {
        ready_.wait(ready, std::memory_order_acquire);
      }
      if (ready == kEnd) break;
      REENACT_RETURN_IF_ERROR(submissions_[i].WaitDurable().status());
      done_[i] = Now();
    }
    return absl::OkStatus();
  }

  const Bench& bench_;
  World& world_;
  const std::vector<double> due_;
  const std::uint32_t cells_;
  double start_ = 0;
  std::vector<Submission> submissions_;
  std::vector<double> sent_, done_;
  std::atomic<std::size_t> ready_{0};
  absl::Status waited_;
};

absl::StatusOr<Open> RunOpenLoop(Bench* bench, std::vector<double> due) {
  const std::uint32_t cells = std::min<std::uint32_t>(bench->cells(), 10'000);
  REENACT_ASSIGN_OR_RETURN(const auto background,
                           BackgroundWorld::Start(bench, cells));
  OpenLoop loop(*bench, background->world(), std::move(due), cells);
  REENACT_ASSIGN_OR_RETURN(Open open, loop.Run());
  REENACT_RETURN_IF_ERROR(background->Close());
  return open;
}

// Long enough, whatever is left of the time, to be about more than how threads
// start: a file of cells is made, and the log changes files.
double LongSeconds(const Bench& bench, double wanted) {
  constexpr double kLeastSeconds = 0.5;
  return bench.settings().quick ? wanted : std::max(wanted, kLeastSeconds);
}

// What a world takes at most: all requests are due at once.
absl::StatusOr<double> PeakRate(Bench* bench) {
  // At a million each second, about.
  const auto count =
      std::max(bench->EventsFor(2),
               static_cast<std::size_t>(1e6 * LongSeconds(*bench, 0)));
  const auto runs = bench->Repeat<double>(
      "latency, peak", 1, [&](std::size_t) -> absl::StatusOr<double> {
        REENACT_ASSIGN_OR_RETURN(
            const Open open,
            RunOpenLoop(bench, std::vector<double>(count, 0.0)));
        return static_cast<double>(count) / open.seconds;
      });
  if (runs.count() == 0) return runs.status;
  bench->Add(Figure{"latency.peak",
                    "durable, submitted by clients",
                    "one submitter that waits for nothing: the peak",
                    "/s",
                    Better::kMore,
                    runs.sides[0],
                    {},
                    {}});
  REENACT_RETURN_IF_ERROR(runs.status);
  return Median(runs.sides[0]);
}

void AddOpenLoop(int percent, double rate, const std::vector<Open>& runs,
                 Bench* bench) {
  std::vector<double> behind;
  std::vector<std::vector<double>> latencies;
  for (const Open& run : runs) {
    behind.push_back(1e3 * run.behind_p99);
    latencies.push_back(run.latencies);
  }
  const std::string name =
      "open loop at " + std::to_string(percent) + " % of the peak";
  for (const auto& [part_name, part] : kParts) {
    std::vector<double> values;
    for (const Open& run : runs) {
      values.push_back(1e3 * Percentile(run.latencies, part));
    }
    Figure figure =
        LatencyFigure("open-" + std::to_string(percent) + "." + part_name,
                      name + ", " + part_name, "ms", values);
    figure.notes = {{"requests/s", rate}, {"sent late p99 ms", Median(behind)}};
    bench->Add(std::move(figure));
  }
  bench->Add(LatencyCurve(name, latencies));
}

absl::Status MeasureOpenLoop(int percent, double peak, Bench* bench) {
  const double rate = peak * percent / 100;
  const double seconds = LongSeconds(*bench, 2 * bench->RunSeconds());
  const auto count =
      std::max<std::size_t>(static_cast<std::size_t>(rate * seconds), 20);
  std::uint64_t seed = 0;
  const auto runs =
      bench->Repeat<Open>("latency, open loop", 1, [&](std::size_t) {
        return RunOpenLoop(bench, PoissonArrivals(rate, count, Seed{++seed}));
      });
  if (runs.count() > 0) AddOpenLoop(percent, rate, runs.sides[0], bench);
  return runs.status;
}

// --- many submitters ---------------------------------------------------------

// One client of its own cell with up to `outstanding` requests under way, until
// `end`. Returns how many became durable.
absl::StatusOr<std::size_t> Client(World& world, std::uint32_t cell,
                                   std::size_t outstanding, double end) {
  const Input input = Increment(cell);
  std::deque<Submission> under_way;
  std::size_t done = 0;
  while (WallSeconds() < end) {
    REENACT_ASSIGN_OR_RETURN(Submission submission,
                             SubmitPatiently(world, input));
    under_way.push_back(std::move(submission));
    if (under_way.size() < outstanding) continue;
    REENACT_RETURN_IF_ERROR(under_way.front().WaitDurable().status());
    under_way.pop_front();
    ++done;
  }
  for (const Submission& submission : under_way) {
    REENACT_RETURN_IF_ERROR(submission.WaitDurable().status());
    ++done;
  }
  return done;
}

absl::StatusOr<double> IncrementsPerSecond(Bench* bench,
                                           std::size_t outstanding) {
  REENACT_ASSIGN_OR_RETURN(const auto background,
                           BackgroundWorld::Start(bench, kSubmitters));
  std::vector<absl::StatusOr<std::size_t>> done(kSubmitters, std::size_t{0});
  const double start = WallSeconds();
  const double end = start + LongSeconds(*bench, bench->RunSeconds());
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < kSubmitters; ++i) {
    clients.emplace_back([&, i] {
      done[i] = Client(background->world(), static_cast<std::uint32_t>(i),
                       outstanding, end);
    });
  }
  for (std::thread& client : clients) client.join();
  const double seconds = WallSeconds() - start;
  double all = 0;
  for (const auto& count : done) {
    REENACT_RETURN_IF_ERROR(count.status());
    all += static_cast<double>(*count);
  }
  REENACT_RETURN_IF_ERROR(background->Close());
  return all / seconds;
}

// As many threads that wait, on a file by itself.
absl::StatusOr<double> PlainAppendsPerSecond(Bench* bench, bool sync) {
  const std::filesystem::path disk = bench->NewDirectory();
  std::filesystem::create_directory(disk);
  const auto rate = WaitingAppendsPerSecond(
      disk, kSubmitters, LongSeconds(*bench, bench->RunSeconds()),
      kBytesPerIncrement, sync);
  bench->RemoveDirectory(disk);
  return rate;
}

absl::Status MeasureIncrements(Bench* bench) {
  constexpr std::size_t kSides = 4;
  const auto runs = bench->Repeat<double>(
      "latency, 32 submitters", kSides, [&](std::size_t side) {
        if (side >= 2) return PlainAppendsPerSecond(bench, side == 2);
        return IncrementsPerSecond(bench, side == 0 ? 1 : kOutstanding);
      });
  const char* names[kSides] = {"32 submitters, each waits for its last",
                               "32 submitters, 256 outstanding each",
                               "32 threads, each waits: one file, synced",
                               "32 threads, each waits: one file, not synced"};
  const char* ids[kSides] = {"closed", "pipelined", "file", "file-unsynced"};
  for (std::size_t side = 0; side < kSides; ++side) {
    bench->Add(Figure{"latency.increments." + std::string(ids[side]),
                      "durable, submitted by clients",
                      names[side],
                      "/s",
                      Better::kMore,
                      runs.sides[side],
                      {},
                      {}});
  }
  for (std::size_t side = 2; side < kSides; ++side) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < runs.count(); ++i) {
      ratios.push_back(runs.sides[0][i] / runs.sides[side][i]);
    }
    bench->Add(
        Figure{"latency.increments.closed-by-" + std::string(ids[side]),
               "durable, submitted by clients who wait ÷ a file by itself",
               side == 2 ? "32 submitters ÷ 32 threads, one file, synced"
                         : "32 submitters ÷ 32 threads, one file, not synced",
               "×",
               Better::kMore,
               std::move(ratios),
               {},
               {}});
  }
  return runs.status;
}

}  // namespace

absl::Status MeasureLatency(Bench& bench) {
  // What groups before have left to be written is not what this is about.
  ::sync();
  REENACT_RETURN_IF_ERROR(MeasureOneClient(&bench));
  REENACT_RETURN_IF_ERROR(MeasureIncrements(&bench));
  REENACT_ASSIGN_OR_RETURN(const double peak, PeakRate(&bench));
  for (const int percent : {50, 90}) {
    REENACT_RETURN_IF_ERROR(MeasureOpenLoop(percent, peak, &bench));
  }
  return absl::OkStatus();
}

}  // namespace reenact::bench
