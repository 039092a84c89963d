// The model against cases whose answers are known.

#include "bench/scaling_model.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <string>

namespace reenact::bench {
namespace {

// So many cells that hardly two tickets in flight meet.
constexpr std::uint32_t kManyCells = 10'000'000;
constexpr double kSecond = 1e9;  // in nanoseconds

ScalingInput Plain() {
  ScalingInput input;
  input.access.cells = kManyCells;
  input.rounds = 16;
  input.inline_below_ns = 0;
  return input;
}

// What a world of this shape has: 10 us of work, 1 us of order.
ScalingInput Usual() {
  ScalingInput input = Plain();
  input.costs = {.compose = 400,
                 .issue = 150,
                 .execute = 10'000,
                 .encode = 200,
                 .commit = 250,
                 .hand_over = 150,
                 .write = 300,
                 .claim = 50};
  return input;
}

double Sum(const StageCosts& costs) {
  return costs.compose + costs.issue + costs.execute + costs.encode +
         costs.commit + costs.hand_over + costs.write;
}

TEST_CASE("one core takes the sum of all costs", "[bench]") {
  ScalingInput input = Usual();
  input.costs.claim = 0;
  const ScalingPoint point = SimulateScaling(input, 1);
  CHECK(point.tickets_per_s == Approx(kSecond / Sum(input.costs)));
  CHECK(point.cores_used == Approx(1));
  CHECK(point.bottleneck == Bottleneck::kCores);
  CHECK(point.largest == Stage::kExecute);
}

TEST_CASE("a claim is paid for once, however many steps it is of", "[bench]") {
  ScalingInput input = Plain();
  input.costs.execute = 1'000;
  input.costs.claim = 4'000;
  // 8 us of work are 8 steps.
  const ScalingPoint point = SimulateScaling(input, 1);
  CHECK(point.tickets_per_s == Approx(kSecond / (1'000 + 4'000.0 / 8)));
}

TEST_CASE("without ordered work every core counts", "[bench]") {
  ScalingInput input = Plain();
  input.costs.execute = 10'000;
  for (const std::size_t cores : {1U, 2U, 8U, 32U, 64U}) {
    INFO(cores);
    const ScalingPoint point = SimulateScaling(input, cores);
    const double expected = static_cast<double>(cores) * kSecond / 10'000;
    CHECK(point.tickets_per_s <= expected * 1.0001);
    CHECK(point.tickets_per_s >= expected * 0.98);
    CHECK(point.bottleneck == Bottleneck::kCores);
  }
}

TEST_CASE("with nothing but ordered work no core helps", "[bench]") {
  ScalingInput input = Plain();
  input.costs = {.compose = 400, .issue = 150, .commit = 250, .hand_over = 200};
  for (const std::size_t cores : {1U, 2U, 8U, 64U}) {
    INFO(cores);
    const ScalingPoint point = SimulateScaling(input, cores);
    CHECK(point.tickets_per_s == Approx(kSecond / 1'000));
    CHECK(point.ordered_used == Approx(1));
    if (cores > 1) CHECK(point.bottleneck == Bottleneck::kOrdered);
    CHECK(point.largest == Stage::kCompose);
  }
}

TEST_CASE("many cores are as fast as the ordered work at last", "[bench]") {
  const ScalingInput input = Usual();
  const double ordered = 400 + 150 + 250 + 150;
  // 10.2 us of steps are 11 cores' worth of 0.95 us of order.
  const ScalingPoint few = SimulateScaling(input, 4);
  CHECK(few.bottleneck == Bottleneck::kCores);
  CHECK(few.cores_used > 0.97);
  const ScalingPoint many = SimulateScaling(input, 32);
  CHECK(many.bottleneck == Bottleneck::kOrdered);
  CHECK(many.largest == Stage::kCompose);
  CHECK(many.tickets_per_s <= kSecond / ordered * 1.0001);
  CHECK(many.tickets_per_s >= kSecond / ordered * 0.95);
}

TEST_CASE("one cell is as fast as its steps are one after the other",
          "[bench]") {
  ScalingInput input = Plain();
  input.access.cells = 1;
  input.costs.execute = 10'000;
  for (const std::size_t cores : {1U, 2U, 16U}) {
    INFO(cores);
    const ScalingPoint point = SimulateScaling(input, cores);
    CHECK(point.tickets_per_s == Approx(kSecond / 10'000));
    CHECK(point.hot_cell_used == Approx(1));
    if (cores > 1) CHECK(point.bottleneck == Bottleneck::kHotCell);
  }
}

TEST_CASE("half of the steps on one cell are twice as fast at most",
          "[bench]") {
  ScalingInput input = Plain();
  input.access.hot_share = 0.5;
  input.costs.execute = 10'000;
  const ScalingPoint point = SimulateScaling(input, 16);
  CHECK(point.tickets_per_s == Approx(2 * kSecond / 10'000).epsilon(0.03));
  CHECK(point.bottleneck == Bottleneck::kHotCell);
}

TEST_CASE("a touched cell is a chain as well as an own one is", "[bench]") {
  ScalingInput input = Plain();
  input.access.cells = 1;
  input.access.touches = 10;
  input.costs.execute = 10'000;
  const ScalingPoint point = SimulateScaling(input, 8);
  CHECK(point.tickets_per_s == Approx(kSecond / 10'000));
  // Those that only read it wait for nobody who only reads it, too.
  input.access.cells = kManyCells;
  input.access.write_share = 0;
  CHECK(SimulateScaling(input, 8).tickets_per_s > 0.97 * 8 * kSecond / 10'000);
}

TEST_CASE("a slow disk is written to in groups as large as the queue",
          "[bench]") {
  ScalingInput input = Usual();
  input.rounds = 64;
  input.costs.sync = 200e6;
  const ScalingPoint point = SimulateScaling(input, 64);
  // While one group is synced, eight rounds wait and nothing else is committed.
  const double group = 8 * 1024;
  const double ns = input.costs.sync + group * input.costs.write;
  CHECK(point.tickets_per_s == Approx(group / ns * kSecond).epsilon(0.15));
  CHECK(point.bottleneck == Bottleneck::kSync);
  CHECK(point.largest == Stage::kSync);
}

TEST_CASE("a sync costs nothing while there is other work", "[bench]") {
  ScalingInput input = Usual();
  const double without = SimulateScaling(input, 2).tickets_per_s;
  input.costs.sync = 100e3;  // a round takes 5 ms
  CHECK(SimulateScaling(input, 2).tickets_per_s > 0.99 * without);
}

TEST_CASE("a writer that is slower than everything else is named", "[bench]") {
  ScalingInput input = Usual();
  input.costs.write = 5'000;
  const ScalingPoint point = SimulateScaling(input, 16);
  CHECK(point.tickets_per_s == Approx(kSecond / 5'000).epsilon(0.1));
  CHECK(point.bottleneck == Bottleneck::kWriter);
}

TEST_CASE("a small window starves many cores", "[bench]") {
  ScalingInput input = Plain();
  input.costs.execute = 10'000;
  input.window = 8;
  const ScalingPoint point = SimulateScaling(input, 64);
  CHECK(point.tickets_per_s <= 8 * kSecond / 10'000 * 1.0001);
  CHECK(point.tickets_per_s >= 4 * kSecond / 10'000);
  CHECK(point.bottleneck == Bottleneck::kWindow);
}

TEST_CASE("what was read too early is run again, in order", "[bench]") {
  ScalingInput input = Plain();
  input.access.cells = 100;
  input.access.foreign_share = 0.5;
  input.costs.execute = 10'000;
  const ScalingPoint one = SimulateScaling(input, 1);
  CHECK(one.reruns == 0);  // it runs them in order
  const ScalingPoint many = SimulateScaling(input, 16);
  CHECK(many.reruns > 0);
  CHECK(many.reruns < 0.5);
  CHECK(many.of(Stage::kRerun) > 0);
  input.access.foreign_share = 0;
  CHECK(SimulateScaling(input, 16).reruns == 0);
}

TEST_CASE("short steps stay with the ordered role", "[bench]") {
  ScalingInput input = Usual();
  input.costs.execute = 300;
  input.costs.claim = 0;
  input.inline_below_ns = 900;
  for (const std::size_t cores : {1U, 8U}) {
    INFO(cores);
    const ScalingPoint point = SimulateScaling(input, cores);
    CHECK(point.inline_steps);
    // A second core has the writer, and no more.
    const double sum = Sum(input.costs) - (cores == 1 ? 0 : input.costs.write);
    CHECK(point.tickets_per_s == Approx(kSecond / sum).epsilon(0.02));
  }
}

TEST_CASE("moving tickets between cores is paid for by two cores, not by one",
          "[bench]") {
  ScalingInput input = Usual();
  const double one = SimulateScaling(input, 1).tickets_per_s;
  const double two = SimulateScaling(input, 2).tickets_per_s;
  input.costs.transfer = 500;
  CHECK(SimulateScaling(input, 1).tickets_per_s == Approx(one));
  const ScalingPoint point = SimulateScaling(input, 2);
  CHECK(point.tickets_per_s < 0.99 * two);
  CHECK(point.of(Stage::kTransfer) > 0);
}

TEST_CASE("contention slows down every further core", "[bench]") {
  ScalingInput input = Plain();
  input.costs.execute = 10'000;
  input.costs.contention = 0.1;
  CHECK(SimulateScaling(input, 1).tickets_per_s == Approx(kSecond / 10'000));
  CHECK(SimulateScaling(input, 2).tickets_per_s ==
        Approx(2 * kSecond / 11'000).epsilon(0.02));
  CHECK(SimulateScaling(input, 4).tickets_per_s ==
        Approx(4 * kSecond / 13'000).epsilon(0.02));
}

TEST_CASE("no core does two things at once", "[bench]") {
  ScalingInput input = Usual();
  input.access.cells = 1'000;
  input.access.zipf = 0.9;
  input.access.foreign_share = 0.1;
  input.costs.transfer = 100;
  input.costs.sync = 1e6;
  for (const std::size_t cores : {1U, 2U, 3U, 7U, 64U}) {
    INFO(cores);
    const ScalingPoint point = SimulateScaling(input, cores);
    const double sum =
        std::accumulate(point.busy.begin(), point.busy.end(), 0.0) -
        point.of(Stage::kSync);
    CHECK(sum <= static_cast<double>(cores) * 1.0001);
    CHECK(sum == Approx(point.cores_used * static_cast<double>(cores)));
    CHECK(point.ordered_used <= 1.0001);
    CHECK(point.hot_cell_used <= 1.0001);
    CHECK(point.of(Stage::kWrite) + point.of(Stage::kSync) <= 1.0001);
    // Every ticket went through every stage once.
    CHECK(point.of(Stage::kExecute) * kSecond ==
          Approx(point.tickets_per_s * input.costs.execute));
    CHECK(point.of(Stage::kCompose) * kSecond ==
          Approx(point.tickets_per_s * input.costs.compose));
  }
}

TEST_CASE("the same input gives the same points, whatever was asked before",
          "[bench]") {
  ScalingInput input = Usual();
  input.access.cells = 50;
  input.access.foreign_share = 0.3;
  const auto points = PredictScaling(input, {1, 2, 64});
  REQUIRE(points.size() == 3);
  for (const ScalingPoint& point : points) {
    const ScalingPoint again = SimulateScaling(input, point.cores);
    CHECK(again.busy == point.busy);
    CHECK(again.tickets_per_s == point.tickets_per_s);
    CHECK(again.reruns == point.reruns);
  }
  input.access.seed = 2;
  CHECK(SimulateScaling(input, 64).reruns != points[2].reruns);
}

TEST_CASE("stages and bottlenecks have names", "[bench]") {
  CHECK(std::string(StageName(Stage::kCompose)) == "compose");
  CHECK(std::string(StageName(Stage::kSync)) == "sync");
  CHECK(std::string(BottleneckName(Bottleneck::kWindow)) == "the window");
}

}  // namespace
}  // namespace reenact::bench
