#include "reenact/executors/retry.h"

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

TEST_CASE("policies that make no sense wait for nothing", "[executors]") {
  const auto first = GENERATE(-5, 0);
  const RetryPolicy policy{9, milliseconds(first), milliseconds(-1)};
  REQUIRE(BackoffCeiling(policy, 3) == milliseconds(0));
  REQUIRE(Backoff(policy, 3, 77) == milliseconds(0));
}

}  // namespace
}  // namespace reenact
