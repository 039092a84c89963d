#include "bench/schedule.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

namespace reenact::bench {
namespace {

TEST_CASE("arrivals are the same for the same seed, and ascend", "[bench]") {
  const auto arrivals = PoissonArrivals(1000, 500, Seed{1});
  CHECK(arrivals == PoissonArrivals(1000, 500, Seed{1}));
  CHECK(arrivals != PoissonArrivals(1000, 500, Seed{2}));
  CHECK(arrivals.size() == 500);
  CHECK(arrivals.front() >= 0);
  CHECK(std::is_sorted(arrivals.begin(), arrivals.end()));
}

TEST_CASE("arrivals come at the rate that was asked for, unevenly", "[bench]") {
  constexpr std::size_t kCount = 100'000;
  constexpr double kRate = 20'000;
  const auto arrivals = PoissonArrivals(kRate, kCount, Seed{3});
  CHECK(arrivals.back() == Approx(kCount / kRate).epsilon(0.02));
  // In a Poisson process a gap exceeds the mean with probability 1/e.
  std::size_t longer = 0;
  for (std::size_t i = 1; i < kCount; ++i) {
    if (arrivals[i] - arrivals[i - 1] > 1 / kRate) ++longer;
  }
  CHECK(static_cast<double>(longer) / kCount == Approx(0.3679).epsilon(0.03));
}

// A world that stands still for a while answers in time what it gets to see, if
// those who ask wait for it. What they would have asked meanwhile counts, too.
TEST_CASE("a request that was sent late has waited since it was due",
          "[bench]") {
  const std::vector<double> due = {0, 1, 2, 3};
  const std::vector<double> done = {0.5, 5, 5.1, 5.2};
  const auto latencies = LatenciesFromDue(due, done);
  CHECK(latencies[0] == Approx(0.5));
  CHECK(latencies[1] == Approx(4));
  CHECK(latencies[2] == Approx(3.1));
  CHECK(latencies[3] == Approx(2.2));
}

}  // namespace
}  // namespace reenact::bench
