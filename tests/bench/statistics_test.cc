#include "bench/statistics.h"

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

namespace reenact::bench {
namespace {

TEST_CASE("the median is in the middle, wherever it was", "[bench]") {
  CHECK(Median({7}) == 7);
  CHECK(Median({9, 1, 5}) == 5);
  CHECK(Median({4, 1, 3, 2}) == 2.5);
}

TEST_CASE("a quantile lies between two values if it must", "[bench]") {
  const std::vector<double> values = {50, 10, 40, 20, 30};
  CHECK(Quantile(values, 0) == 10);
  CHECK(Quantile(values, 0.25) == 20);
  CHECK(Quantile(values, 0.875) == 45);
  CHECK(Quantile(values, 1) == 50);
}

TEST_CASE("a percentile is a value that was seen, and not too small a one",
          "[bench]") {
  std::vector<double> sorted;
  for (int i = 1; i <= 1000; ++i) sorted.push_back(i);
  CHECK(Percentile(sorted, 0.5) == 500);
  CHECK(Percentile(sorted, 0.99) == 990);
  CHECK(Percentile(sorted, 0.999) == 999);
  CHECK(Percentile(sorted, 1) == 1000);
  CHECK(Percentile(sorted, 0) == 1);
  // Of ten values none but the largest is above 99 % of them.
  CHECK(Percentile({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.99) == 10);
}

TEST_CASE("a spread has the extremes and the middle half", "[bench]") {
  const Spread spread = SpreadOf({3, 9, 1, 5, 7});
  CHECK(spread.count == 5);
  CHECK(spread.lowest == 1);
  CHECK(spread.lower_quartile == 3);
  CHECK(spread.median == 5);
  CHECK(spread.upper_quartile == 7);
  CHECK(spread.highest == 9);
}

TEST_CASE("one value spreads over nothing", "[bench]") {
  const Spread spread = SpreadOf({2.5});
  CHECK(spread.lowest == 2.5);
  CHECK(spread.lower_quartile == 2.5);
  CHECK(spread.upper_quartile == 2.5);
  CHECK(spread.highest == 2.5);
}

TEST_CASE("numbers read well at any size", "[bench]") {
  CHECK(NumberText(0) == "0");
  CHECK(NumberText(0.00042) == "0.0004");
  CHECK(NumberText(0.954) == "0.95");
  CHECK(NumberText(12.34) == "12.3");
  CHECK(NumberText(123.4) == "123");
  CHECK(NumberText(999.7) == "1,000");
  CHECK(NumberText(1234567) == "1,234,567");
  CHECK(NumberText(-1234.5) == "-1,234");
  CHECK(NumberText(-100) == "-100");
  CHECK(NumberText(std::numeric_limits<double>::infinity()) == "-");
}

}  // namespace
}  // namespace reenact::bench
