// Workloads that other systems are measured with: parallel ÷ serial, on a
// machine that has nothing else to do, and beside a busy neighbour.

#include <malloc.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/groups.h"
#include "bench/neighbour.h"
#include "bench/statistics.h"
#include "bench/workload.h"

namespace reenact::bench {
namespace {

std::vector<std::size_t> WorkersOf(const Settings& settings) {
  std::vector<std::size_t> workers = {0};
  for (const std::size_t count : WorkersBesideSerial(settings)) {
    workers.push_back(count);
  }
  return workers;
}

// "ycsb, zipf 0.9" as part of an id: "ycsb-zipf-0.9".
std::string IdPart(const std::string& name) {
  std::string part;
  for (const char c : name) {
    if (c == ' ' && !part.empty() && part.back() == '-') continue;
    part += c == ' ' || c == ',' ? '-' : c;
  }
  return part;
}

// A run is as long as this at least, whatever --seconds leaves for it: a
// shorter one would be about how it begins.
constexpr double kLeastSeconds = 0.2;

// The heap keeps what runs give back to it. Otherwise one side of a ratio now
// and then pays for pages that the other one finds.
void KeepHeap() {
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
}

// What each workload is measured for.
struct Circumstances {
  const char* id;    // of the group
  const char* text;  // as a section ends
};
constexpr Circumstances kAlone = {"workloads", "in memory"};
constexpr Circumstances kBeside = {"neighbour",
                                   "in memory, beside a busy neighbour"};

class WorkloadRun {
 public:
  WorkloadRun(const Workload& workload, const Circumstances& circumstances,
              Bench* bench)
      : workload_(workload),
        circumstances_(circumstances),
        bench_(*bench),
        workers_(WorkersOf(bench->settings())) {}

  absl::Status Measure() {
    REENACT_RETURN_IF_ERROR(ChooseCount());
    const auto runs = bench_.Repeat<RunResult>(
        workload_.name(), workers_.size(), [this](std::size_t side) {
          return Annotated(RunOnce(workers_[side], count_));
        });
    REENACT_RETURN_IF_ERROR(SameJournals(runs));
    for (std::size_t side = 0; runs.count() > 0 && side < workers_.size();
         ++side) {
      AddFigures(workers_[side], runs.sides[0], runs.sides[side]);
    }
    return runs.status;
  }

 private:
  // As many transactions as take about as long as a run should.
  absl::Status ChooseCount() {
    const std::size_t few = bench_.settings().quick ? 40 : 2'000;
    REENACT_ASSIGN_OR_RETURN(const RunResult probe, Annotated(RunOnce(0, few)));
    const double seconds = std::max(
        bench_.RunSeconds(), bench_.settings().quick ? 0.0 : kLeastSeconds);
    const double wanted = seconds / probe.time.wall * static_cast<double>(few);
    const double most = bench_.settings().quick ? 200 : 500'000;
    count_ = static_cast<std::size_t>(
        std::clamp(wanted, static_cast<double>(few), most));
    return absl::OkStatus();
  }

  absl::StatusOr<RunResult> RunOnce(std::size_t workers, std::size_t count) {
    WorldOptions options;
    SetIdentity(0, options.config);  // compared by their bytes
    options.modules.push_back(workload_.module());
    options.workers = workers;
    options.cache_bytes = 512ULL << 20;
    SetIdentity(0, options.config);
    REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                             World::Open(std::move(options)));
    const RunningWorld running(bench_.hooks().running, world.get());
    REENACT_RETURN_IF_ERROR(world->Feed(*workload_.Loading()));
    const std::unique_ptr<InputSource> inputs = workload_.Inputs(count);
    REENACT_ASSIGN_OR_RETURN(RunResult result, TimeFeed(*world, *inputs));
    REENACT_RETURN_IF_ERROR(workload_.Check(*world));
    REENACT_RETURN_IF_ERROR(world->Close());
    return result;
  }

  absl::StatusOr<RunResult> Annotated(absl::StatusOr<RunResult> result) const {
    if (result.ok()) return result;
    return Annotate(result.status(), workload_.name());
  }

  absl::Status SameJournals(const Repeated<RunResult>& runs) const {
    for (const auto& side : runs.sides) {
      for (const RunResult& run : side) {
        if (run.journal == runs.sides[0][0].journal) continue;
        return absl::InternalError(workload_.name() + ": the journal differs " +
                                   "from the serial one");
      }
    }
    return absl::OkStatus();
  }

  Figure Start(std::size_t workers, const char* what, const char* unit) const {
    Figure figure;
    figure.id = std::string(circumstances_.id) + "." +
                IdPart(workload_.name()) + "." + std::to_string(workers) + "." +
                what;
    figure.name = workload_.name() + ", " +
                  (workers == 0   ? std::string("serial")
                   : workers == 1 ? std::string("1 worker")
                                  : std::to_string(workers) + " workers");
    figure.unit = unit;
    return figure;
  }

  void AddFigures(std::size_t workers, const std::vector<RunResult>& serial,
                  const std::vector<RunResult>& runs) {
    if (workers > 0) {
      Figure ratio = Start(workers, "ratio", "×");
      ratio.section =
          std::string("parallel ÷ serial, workloads, ") + circumstances_.text;
      for (std::size_t i = 0; i < runs.size(); ++i) {
        AddRatio(serial[i].time, runs[i].time, &ratio);
      }
      ratio.notes = Notes(runs);
      ratios_.push_back(std::move(ratio));
    }
    Figure rate = Start(workers, "rate", "tickets/s");
    rate.section = std::string("workloads, ") + circumstances_.text +
                   ": tickets per second";
    for (const RunResult& run : runs) {
      const double tickets = run.Grown(&WorldStats::tickets);
      rate.values.push_back(tickets / run.time.wall);
      rate.cpu_values.push_back(tickets / run.time.cpu);
    }
    rate.notes = Notes(runs);
    rates_.push_back(std::move(rate));
  }

  std::vector<std::pair<std::string, double>> Notes(
      const std::vector<RunResult>& runs) const {
    std::vector<double> in_line, reruns, failed, per_second;
    for (const RunResult& run : runs) {
      const double tickets = std::max(run.Grown(&WorldStats::tickets), 1.0);
      in_line.push_back(100 * run.Grown(&WorldStats::inline_steps) / tickets);
      reruns.push_back(100 * run.Grown(&WorldStats::reruns) / tickets);
      failed.push_back(100 * run.Grown(&WorldStats::failed) / tickets);
      per_second.push_back(static_cast<double>(count_) / run.time.wall);
    }
    return {{"transactions/s", Median(per_second)},
            {"in line %", Median(in_line)},
            {"re-runs %", Median(reruns)},
            {"refused %", Median(failed)}};
  }

 public:
  // What Measure() found: shown together for all workloads.
  std::vector<Figure> ratios_, rates_;

 private:
  const Workload& workload_;
  const Circumstances& circumstances_;
  Bench& bench_;
  const std::vector<std::size_t> workers_;
  std::size_t count_ = 0;
};

absl::Status MeasureAll(const Circumstances& circumstances, Bench& bench) {
  KeepHeap();
  std::vector<Figure> rates;
  absl::Status status;
  for (const auto& workload : AllWorkloads(bench.settings().quick)) {
    WorkloadRun run(*workload, circumstances, &bench);
    status = run.Measure();
    for (Figure& figure : run.ratios_) bench.Add(std::move(figure));
    std::move(run.rates_.begin(), run.rates_.end(), std::back_inserter(rates));
    if (!status.ok()) break;
  }
  for (Figure& figure : rates) bench.Add(std::move(figure));
  return status;
}

}  // namespace

double WorkloadRuns(const Settings& settings) {
  const auto sides = static_cast<double>(WorkersOf(settings).size());
  return static_cast<double>(AllWorkloads(true).size()) * sides;
}

absl::Status MeasureWorkloads(Bench& bench) {
  return MeasureAll(kAlone, bench);
}

absl::Status MeasureNeighbour(Bench& bench) {
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<Neighbour> neighbour,
                           Neighbour::Start());
  return MeasureAll(kBeside, bench);
}

}  // namespace reenact::bench
