// The scenarios of the tests, as often as there is time for: what tools/check
// runs from an optimized build.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>

#include "reenact/harness/explore.h"
#include "reenact/harness/program.h"
#include "reenact/harness/report.h"
#include "reenact/harness/scoreboard.h"
#include "tests/harness/scenarios.h"

namespace reenact::harness {
namespace {

// Shares of all runs, in percent.
struct Part {
  Scenario scenario;
  StrategyKind strategy;
  int depth;
  bool plain;
  std::uint64_t percent;
};

// PCT for what can be said of bugs that were missed: three things that have to
// happen in some order in the small scenarios, two in the larger ones. Half a
// million runs are enough for one of the small ones, ten million for all.
std::vector<Part> Parts(std::uint64_t runs) {
  const bool many = runs >= 5'000'000;
  std::vector<Part> parts = {
      {Reference(), StrategyKind::kPct, 3, true, many ? 24U : 72U}};
  for (const Scenario& small :
       {SmallBudget(), SmallRaise(), SmallScan(), SmallEffect()}) {
    parts.push_back({small, StrategyKind::kPct, 3, true, many ? 16U : 4U});
  }
  for (const Scenario& large :
       {TortureFed(), TortureSubmitted(), BudgetRace(), Changes()}) {
    parts.push_back({large, StrategyKind::kPct, 2, true, 1});
    parts.push_back({large, StrategyKind::kPortfolio, 0, false, 2});
  }
  return parts;
}

// 0: it held.
int Sweep(const Part& part, std::uint64_t runs, std::uint64_t seed) {
  ExploreOptions options;
  options.runs = runs * part.percent / 100;
  options.seed = seed;
  options.settings.strategy = part.strategy;
  options.settings.depth = part.depth;
  if (part.plain) {
    options.settings.plain = true;
    options.settings.workers_max = 2;
    options.settings.crashes = options.settings.io_errors = false;
  }
  const Exploration found = Explore(part.scenario, options);
  ReportInput input;
  input.scenario = &part.scenario;
  input.options = &options;
  input.exploration = &found;
  input.command = "harness-sweep";
  std::printf("%s\n", TextReport(input).c_str());
  Score("whole-kernel schedules", found.runs);
  Score("in-memory recoveries", found.recoveries);
  return found.found || !found.problem.ok() ? 1 : 0;
}

// As the program of that scenario alone would, with its exit codes.
int Again(const std::string& string) {
  const auto replay = ParseReplay(string);
  if (!replay.ok()) {
    std::fprintf(stderr, "--replay: %s\n", replay.status().ToString().c_str());
    return kProblem;
  }
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.name != replay->scenario) continue;
    ProgramOptions options;
    options.replay = string;
    return RunProgram(scenario, std::move(options), "harness-sweep");
  }
  std::fprintf(stderr, "--replay: there is no such scenario\n");
  return kProblem;
}

}  // namespace
}  // namespace reenact::harness

int main(int argc, char** argv) {
  CLI::App app(
      "Runs the harness's own scenarios; ends with 1 if one is violated.");
  std::uint64_t runs = 640'000, seed = 1;
  app.add_option("--runs", runs, "Runs in all")->capture_default_str();
  app.add_option("--seed", seed, "What they are drawn from")
      ->capture_default_str();
  std::string replay;
  app.add_option("--replay", replay, "Only this run, which a report printed");
  CLI11_PARSE(app, argc, argv);
  if (!replay.empty()) return reenact::harness::Again(replay);
  int failed = 0;
  for (const auto& part : reenact::harness::Parts(runs)) {
    failed |= reenact::harness::Sweep(part, runs, seed);
  }
  return failed;
}
