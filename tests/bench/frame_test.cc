// The frame that measurements run in: turns, stopping, and what was asked for.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/counts.h"
#include "bench/groups.h"
#include "bench/temporary_directory.h"

namespace reenact::bench {
namespace {

Settings Quick(int pairs) {
  Settings settings;
  settings.quick = true;
  settings.pairs = pairs;
  return settings;
}

TEST_CASE("sides take turns, in an order that turns with them", "[bench]") {
  Bench bench(Quick(3), {});
  std::vector<std::size_t> order;
  const auto runs = bench.Repeat<int>(
      "turns", 3, [&](std::size_t side) -> absl::StatusOr<int> {
        order.push_back(side);
        return static_cast<int>(side * 10);
      });
  CHECK(order == std::vector<std::size_t>{0, 1, 2, 2, 1, 0, 0, 1, 2});
  CHECK(runs.status.ok());
  CHECK(runs.count() == 3);
  CHECK(runs.sides[2] == std::vector<int>{20, 20, 20});
}

TEST_CASE("a repetition that was stopped half way does not count", "[bench]") {
  int made = 0;
  Hooks hooks;
  hooks.stopped = [&] { return made == 5; };
  Bench bench(Quick(7), hooks);
  const auto runs = bench.Repeat<int>(
      "stopped", 2, [&](std::size_t) -> absl::StatusOr<int> { return ++made; });
  CHECK(absl::IsCancelled(runs.status));
  CHECK(made == 5);
  CHECK(runs.sides[0].size() == 2);
  CHECK(runs.sides[1].size() == 2);
}

TEST_CASE("an error ends the repetitions and is told", "[bench]") {
  Bench bench(Quick(7), {});
  int made = 0;
  const auto runs =
      bench.Repeat<int>("failing", 1, [&](std::size_t) -> absl::StatusOr<int> {
        if (++made == 3) return absl::DataLossError("broken");
        return made;
      });
  CHECK(absl::IsDataLoss(runs.status));
  CHECK(runs.count() == 2);
}

TEST_CASE("a stop before the first run leaves an empty result", "[bench]") {
  Hooks hooks;
  hooks.stopped = [] { return true; };
  const auto results = RunBench(Quick(2), hooks);
  REQUIRE(results.ok());
  CHECK(results->stopped);
  CHECK(results->figures.empty());
}

TEST_CASE("a budget is shared out over the runs that are left", "[bench]") {
  Settings settings;
  settings.groups = {"parallel"};
  settings.seconds = 1'000'000;
  Bench rich(settings, {});
  CHECK(rich.RunSeconds() == 10);  // no run is longer
  settings.seconds = 0.001;
  Bench poor(settings, {});
  CHECK(poor.RunSeconds() == 0.005);  // and none shorter
  CHECK(rich.EventsFor(100) > 10 * poor.EventsFor(100));
}

TEST_CASE("settings that make no sense are refused by name", "[bench]") {
  const auto refused = [](Settings settings) {
    const absl::Status status = CheckSettings(settings);
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  Settings settings;
  CHECK(CheckSettings(settings).ok());
  settings.groups = {"parallel", "speed"};
  CHECK_THAT(refused(settings),
             Catch::Contains("--only") && Catch::Contains("'speed'"));
  settings = {};
  settings.pairs = 0;
  CHECK_THAT(refused(settings), Catch::Contains("--pairs"));
  settings = {};
  settings.seconds = -1;
  CHECK_THAT(refused(settings), Catch::Contains("--seconds"));
  settings = {};
  settings.workers = {1'000};
  CHECK_THAT(refused(settings), Catch::Contains("--workers"));
}

TEST_CASE("the serial side is the base and not compared with itself",
          "[bench]") {
  Settings settings;
  settings.workers = {2, 0, 4, 2};
  CHECK(WorkersBesideSerial(settings) == std::vector<std::size_t>{2, 4});
  settings.workers = {0};
  CHECK(WorkersBesideSerial(settings).empty());
}

TEST_CASE("counted instructions are figures like the others", "[bench]") {
  const TemporaryDirectory directory;
  const auto counts = [&](const std::string& text) {
    const std::filesystem::path file = directory.path() / "counts.json";
    std::ofstream(file) << text;
    return ReadCounts(file);
  };
  const auto figures =
      counts(R"({"instructions_per_ticket": {"serial": 6099, "cold": 9417}})");
  REQUIRE(figures.ok());
  REQUIRE(figures->size() == 2);
  CHECK((*figures)[1].id == "instructions.serial");
  CHECK((*figures)[1].values == std::vector<double>{6099});
  for (const char* bad :
       {"", "[]", "{}", R"({"instructions_per_ticket": 3})",
        R"({"instructions_per_ticket": {"serial": "many"}})"}) {
    CAPTURE(bad);
    CHECK(absl::IsInvalidArgument(counts(bad).status()));
  }
}

}  // namespace
}  // namespace reenact::bench
