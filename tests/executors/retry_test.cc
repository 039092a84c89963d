#include "reenact/executors/retry.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace reenact {
namespace {

using std::chrono::milliseconds;

TEST_CASE("the ceiling of a wait doubles until it is the longest",
          "[executors]") {
  const RetryPolicy policy{9, milliseconds(100), milliseconds(1500)};
  REQUIRE(BackoffCeiling(policy, 1) == milliseconds(100));
  REQUIRE(BackoffCeiling(policy, 2) == milliseconds(200));
  REQUIRE(BackoffCeiling(policy, 4) == milliseconds(800));
  REQUIRE(BackoffCeiling(policy, 5) == milliseconds(1500));
  REQUIRE(BackoffCeiling(policy, 4'000'000'000) == milliseconds(1500));
}

TEST_CASE("a wait is anywhere from nothing to the ceiling", "[executors]") {
  const RetryPolicy policy{9, milliseconds(100), milliseconds(1500)};
  REQUIRE(Backoff(policy, 2, 0) == milliseconds(0));
  REQUIRE(Backoff(policy, 2, 200) == milliseconds(200));
  REQUIRE(Backoff(policy, 2, 201) == milliseconds(0));
  REQUIRE(Backoff(policy, 2, ~0ULL) <= milliseconds(200));
}

TEST_CASE(
    "trial 13: who was asked for patience comes back later than that, "
    "each at another time",
    "[executors]") {
  const RetryPolicy policy{9, milliseconds(100), milliseconds(30'000)};
  const auto most = [&policy](milliseconds asked) {
    milliseconds longest(0);
    for (std::uint64_t random = 0; random < 50'000; ++random) {
      longest = std::max(longest, Backoff(policy, 1, asked, random));
    }
    return longest;
  };
  REQUIRE(most(milliseconds(1)) == milliseconds(100));
  REQUIRE(most(milliseconds(2'000)) == milliseconds(2'000));
  REQUIRE(most(std::chrono::hours(5)) == milliseconds(30'000));
}

TEST_CASE("policies that make no sense wait for nothing", "[executors]") {
  const auto first = GENERATE(-5, 0);
  const RetryPolicy policy{9, milliseconds(first), milliseconds(-1)};
  REQUIRE(BackoffCeiling(policy, 3) == milliseconds(0));
  REQUIRE(Backoff(policy, 3, 77) == milliseconds(0));
}

}  // namespace
}  // namespace reenact
