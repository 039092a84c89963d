// Parallel ÷ serial: what workers bring, and what they cost.

#include <string>
#include <vector>

#include "bench/groups.h"
#include "bench/statistics.h"

namespace reenact::bench {
namespace {

struct Case {
  Pattern pattern = Pattern::kUniform;
  double step_us = 0;
  bool durable = false;
  bool warm = true;
};

std::vector<double> StepCosts(const Settings& settings) {
  if (settings.quick) return {0, 10};
  return {0, 1, 10, 100};
}

std::vector<Case> AllCases(const Settings& settings) {
  std::vector<Case> cases;
  for (const Pattern pattern : AllPatterns()) {
    for (const double us : StepCosts(settings)) cases.push_back({pattern, us});
  }
  cases.push_back({Pattern::kUniform, 0, false, false});
  for (const Pattern pattern : {Pattern::kUniform, Pattern::kOne}) {
    for (const double us : {0.0, 10.0}) cases.push_back({pattern, us, true});
  }
  return cases;
}

std::string CostText(double us) { return NumberText(us) + " µs"; }

std::string SectionOf(const Case& c) {
  if (c.durable) return "parallel ÷ serial, both durable, sync every block";
  if (!c.warm) return "parallel ÷ serial, in memory, cold cells";
  return "parallel ÷ serial, in memory: " + std::string(PatternName(c.pattern));
}

std::string NameOf(const Case& c, std::size_t workers) {
  return std::string(PatternName(c.pattern)) + ", " + CostText(c.step_us) +
         (c.warm ? "" : ", cold") + ", " + std::to_string(workers) +
         (workers == 1 ? " worker" : " workers");
}

std::string IdOf(const Case& c, std::size_t workers) {
  const std::string place = c.durable ? "durable" : c.warm ? "memory" : "cold";
  return "parallel." + place + "." + std::string(PatternId(c.pattern)) + "." +
         NumberText(c.step_us) + "us." + std::to_string(workers);
}

std::vector<double> CoresOf(const std::vector<RunResult>& runs) {
  std::vector<double> cores;
  for (const RunResult& run : runs) {
    cores.push_back(run.time.cpu / run.time.wall);
  }
  return cores;
}

double MedianPercent(const std::vector<RunResult>& runs,
                     std::uint64_t WorldStats::*count, double steps) {
  std::vector<double> parts;
  for (const RunResult& run : runs) {
    parts.push_back(100 * run.Grown(count) / steps);
  }
  return Median(parts);
}

double MedianRate(const std::vector<RunResult>& runs, double steps) {
  std::vector<double> rates;
  for (const RunResult& run : runs) rates.push_back(steps / run.time.wall);
  return Median(rates);
}

void AddComparison(const Case& c, std::size_t workers, double steps,
                   const std::vector<RunResult>& serial,
                   const std::vector<RunResult>& parallel, Bench* bench) {
  if (serial.empty()) return;
  Figure figure;
  figure.id = IdOf(c, workers);
  figure.section = SectionOf(c);
  figure.name = NameOf(c, workers);
  figure.unit = "×";
  for (std::size_t i = 0; i < serial.size(); ++i) {
    AddRatio(serial[i].time, parallel[i].time, &figure);
  }
  figure.notes = {
      {"serial/s", MedianRate(serial, steps)},
      {"cores", Median(CoresOf(parallel))},
      {"serial cores", Median(CoresOf(serial))},
      {"re-runs %", MedianPercent(parallel, &WorldStats::reruns, steps)},
      {"inline %", MedianPercent(parallel, &WorldStats::inline_steps, steps)}};
  bench->Add(std::move(figure));
}

absl::Status SameJournals(const std::string& what,
                          const Repeated<RunResult>& runs) {
  for (const auto& side : runs.sides) {
    for (const RunResult& run : side) {
      if (run.journal == runs.sides[0][0].journal) continue;
      return absl::InternalError(what + ": the journal differs from the " +
                                 "serial one");
    }
  }
  return absl::OkStatus();
}

// Its median tells the other groups what a step costs beside its work.
void AddSerialRate(const Case& c, double steps,
                   const std::vector<RunResult>& runs, Bench* bench) {
  Figure figure;
  figure.id = IdOf(c, 0) + ".rate";
  figure.section = "serial, in memory, uniform";
  figure.name = CostText(c.step_us);
  figure.unit = "tickets/s";
  for (const RunResult& run : runs) {
    figure.values.push_back(steps / run.time.wall);
    figure.cpu_values.push_back(steps / run.time.cpu);
  }
  bench->Add(std::move(figure));
}

absl::Status Measure(const Case& c, Bench* bench) {
  std::vector<std::size_t> workers = {0};
  for (const std::size_t count : WorkersBesideSerial(bench->settings())) {
    workers.push_back(count);
  }
  const Load load = MakeLoad(c.pattern, c.step_us, bench->EventsFor(c.step_us),
                             bench->cells());
  const std::string what = SectionOf(c) + ", " + CostText(c.step_us);
  const auto runs =
      bench->Repeat<RunResult>(what, workers.size(), [&](std::size_t side) {
        RunOptions options = c.durable ? bench->Durable(workers[side])
                                       : bench->InMemory(workers[side]);
        options.warm = c.warm;
        return bench->RunAndRemove(load, options);
      });
  REENACT_RETURN_IF_ERROR(SameJournals(what, runs));
  const double steps = static_cast<double>(load.size());
  for (std::size_t side = 1; side < workers.size(); ++side) {
    AddComparison(c, workers[side], steps, runs.sides[0], runs.sides[side],
                  bench);
  }
  if (workers.size() == 1) AddSerialRate(c, steps, runs.sides[0], bench);
  return runs.status;
}

}  // namespace

double ParallelRuns(const Settings& settings) {
  return static_cast<double>(AllCases(settings).size() *
                             (WorkersBesideSerial(settings).size() + 1));
}

absl::Status MeasureParallel(Bench& bench) {
  for (const Case& c : AllCases(bench.settings())) {
    REENACT_RETURN_IF_ERROR(Measure(c, &bench));
  }
  return absl::OkStatus();
}

}  // namespace reenact::bench
