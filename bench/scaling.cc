// What more cores would do: the model of scaling_model.h, fed with what stages
// cost here, and held against what was measured.

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/groups.h"
#include "bench/scaling_model.h"
#include "bench/statistics.h"

namespace reenact::bench {
namespace {

const std::vector<std::size_t>& Cores() {
  static const auto* cores =
      new std::vector<std::size_t>{1, 2, 4, 8, 16, 32, 64};
  return *cores;
}

// Of what a trivial ticket takes in a serial world in memory, with cells that
// are warm. No clock is read within steps, so these are parts of instructions:
// `valgrind --tool=callgrind reenact-paths serial 16384`, inclusive.
constexpr struct {
  double compose, issue, execute, encode, commit, hand_over, write;
} kParts = {0.36, 0.035, 0.175, 0.14, 0.09, 0.05, 0.15};

struct Measured {
  double step_us = 0;
  std::size_t tickets = 0;
  std::vector<RunResult> serial, parallel;  // with 0 and 2 workers

  double CpuNs(const std::vector<RunResult>& runs) const {
    std::vector<double> ns;
    for (const RunResult& run : runs) {
      ns.push_back(1e9 * run.time.cpu / static_cast<double>(tickets));
    }
    return Median(ns);
  }
};

absl::StatusOr<Measured> Measure(double step_us, Bench* bench) {
  Measured measured;
  const Load load = MakeLoad(Pattern::kUniform, step_us,
                             bench->EventsFor(step_us), bench->cells());
  measured.step_us = step_us;
  measured.tickets = load.size();
  auto runs = bench->Repeat<RunResult>(
      "scaling, " + NumberText(step_us) + " µs", 2, [&](std::size_t side) {
        return bench->RunAndRemove(load, bench->InMemory(2 * side));
      });
  if (runs.count() == 0) return runs.status;
  measured.serial = std::move(runs.sides[0]);
  measured.parallel = std::move(runs.sides[1]);
  return measured;
}

// Processor time of one thread that computes while `others` more do.
double BusySeconds(const Bench& bench, int others) {
  const double us = bench.settings().quick ? 1'000 : 50'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < others; ++i) {
    threads.emplace_back([&] { bench.work().Run(us); });
  }
  const double start = ThreadCpuSeconds();
  bench.work().Run(us);
  const double seconds = ThreadCpuSeconds() - start;
  for (std::thread& thread : threads) thread.join();
  return seconds;
}

// How much two cores slow each other down: siblings of one core, or a clock
// that drops.
double Contention(const Bench& bench) {
  std::vector<double> parts;
  for (int i = 0; i < 7; ++i) {
    const double alone = BusySeconds(bench, 0);
    parts.push_back(BusySeconds(bench, 1) / alone - 1);
  }
  return std::max(0.0, Median(parts));
}

StageCosts CostsOf(const Measured& trivial, const Measured& working,
                   double contention) {
  const double ns = trivial.CpuNs(trivial.serial);
  StageCosts costs;
  costs.compose = kParts.compose * ns;
  costs.issue = kParts.issue * ns;
  costs.execute = kParts.execute * ns;
  costs.encode = kParts.encode * ns;
  costs.commit = kParts.commit * ns;
  costs.hand_over = kParts.hand_over * ns;
  costs.write = kParts.write * ns;
  // What two workers add, claims included: a ticket changes cores about once.
  costs.transfer = std::max(
      0.0, working.CpuNs(working.parallel) - working.CpuNs(working.serial));
  costs.contention = contention;
  return costs;
}

ScalingInput InputFor(StageCosts costs, double step_us, const Bench& bench) {
  ScalingInput input;
  input.costs = costs;
  input.costs.execute += 1000 * step_us;
  input.access.cells = bench.cells();
  if (bench.settings().quick) input.rounds = 8;
  return input;
}

std::string CostText(double us) { return NumberText(us) + " µs"; }

std::string CoresText(std::size_t cores) {
  return std::to_string(cores) + (cores == 1 ? " core" : " cores");
}

void AddPrediction(const Measured& measured,
                   const std::vector<ScalingPoint>& points, Bench* bench) {
  Curve predicted{"speed-up over one core: lines predicted, dots measured",
                  CostText(measured.step_us) + ", predicted",
                  "cores",
                  "×",
                  true,
                  false,
                  {},
                  {}};
  for (const ScalingPoint& point : points) {
    const double speed_up = point.tickets_per_s / points[0].tickets_per_s;
    predicted.points.push_back({static_cast<double>(point.cores), speed_up});
    Figure figure;
    figure.id = "scaling.predicted." + NumberText(measured.step_us) + "us." +
                std::to_string(point.cores);
    figure.section = "predicted speed-up over one core, and what bounds it";
    figure.name = CostText(measured.step_us) + ", " + CoresText(point.cores) +
                  ": " + std::string(BottleneckName(point.bottleneck)) + ", " +
                  std::string(StageName(point.largest));
    figure.unit = "×";
    figure.values = {speed_up};
    figure.notes = {{"tickets/s", point.tickets_per_s},
                    {"cores used %", 100 * point.cores_used},
                    {"ordered role used %", 100 * point.ordered_used}};
    bench->Add(std::move(figure));
  }
  bench->Add(std::move(predicted));
}

void AddMeasured(const Measured& measured, Bench* bench) {
  std::vector<double> speed_ups;
  for (std::size_t i = 0; i < measured.serial.size(); ++i) {
    speed_ups.push_back(measured.serial[i].time.wall /
                        measured.parallel[i].time.wall);
  }
  bench->Add(Curve{"speed-up over one core: lines predicted, dots measured",
                   CostText(measured.step_us) + ", measured",
                   "cores",
                   "×",
                   true,
                   true,
                   {{1, 1}, {2, Median(speed_ups)}},
                   {}});
}

// At one core that is a serial world, at two one with two workers.
void AddComparison(const Measured& measured,
                   const std::vector<ScalingPoint>& points, Bench* bench) {
  for (const std::size_t cores : {std::size_t{1}, std::size_t{2}}) {
    const auto& runs = cores == 1 ? measured.serial : measured.parallel;
    Figure figure;
    figure.id = "scaling.check." + NumberText(measured.step_us) + "us." +
                std::to_string(cores);
    figure.section = "predicted ÷ measured";
    figure.name = CostText(measured.step_us) + ", " + CoresText(cores);
    figure.unit = "×";
    figure.better = Better::kNeither;
    const double predicted = points[cores - 1].tickets_per_s;
    std::vector<double> rates;
    for (const RunResult& run : runs) {
      rates.push_back(static_cast<double>(measured.tickets) / run.time.wall);
      figure.values.push_back(predicted / rates.back());
    }
    figure.notes = {{"predicted/s", predicted}, {"measured/s", Median(rates)}};
    bench->Add(std::move(figure));
  }
}

void AddCosts(const StageCosts& costs, Bench* bench) {
  const std::pair<Stage, double> stages[] = {
      {Stage::kCompose, costs.compose},   {Stage::kIssue, costs.issue},
      {Stage::kExecute, costs.execute},   {Stage::kEncode, costs.encode},
      {Stage::kCommit, costs.commit},     {Stage::kHandOver, costs.hand_over},
      {Stage::kTransfer, costs.transfer}, {Stage::kWrite, costs.write},
  };
  for (const auto& [stage, ns] : stages) {
    Figure figure;
    figure.id = "scaling.cost." + std::string(StageName(stage));
    figure.section = "what stages cost a trivial ticket: the model's input";
    figure.name = std::string(StageName(stage));
    figure.unit = "ns";
    figure.better = Better::kLess;
    figure.values = {ns};
    figure.notes = {{"contention %", 100 * costs.contention}};
    bench->Add(std::move(figure));
  }
}

}  // namespace

absl::Status MeasureScaling(Bench& bench) {
  std::vector<Measured> all;
  for (const double us : {0.0, 1.0, 10.0, 100.0}) {
    REENACT_ASSIGN_OR_RETURN(Measured measured, Measure(us, &bench));
    all.push_back(std::move(measured));
  }
  const StageCosts costs = CostsOf(all[0], all[2], Contention(bench));
  AddCosts(costs, &bench);
  std::vector<std::vector<ScalingPoint>> predictions;
  for (const Measured& measured : all) {
    predictions.push_back(
        PredictScaling(InputFor(costs, measured.step_us, bench), Cores()));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    AddComparison(all[i], predictions[i], &bench);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    AddPrediction(all[i], predictions[i], &bench);
    AddMeasured(all[i], &bench);
  }
  return absl::OkStatus();
}

}  // namespace reenact::bench
