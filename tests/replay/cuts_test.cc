// Each block of a history is run by one part, however fast the parts are.

#include "reenact/replay/cuts.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

constexpr std::uint64_t kFirst = 1;
constexpr std::uint64_t kEnd = 201;

// Parts that take turns in an order of somebody's choice.
class Race {
 public:
  explicit Race(std::size_t parts) : cuts_(kFirst, kEnd, parts) {
    places_.assign(parts, kFirst);
    running_.assign(parts, false);
    over_.assign(parts, false);
    running_[0] = true;
  }

  bool over(std::size_t part) const { return over_[part]; }
  const std::map<std::uint64_t, std::size_t>& runners() const {
    return runners_;
  }

  // One block further, or one decision.
  void Move(std::size_t part) {
    if (over_[part]) return;
    std::uint64_t& place = places_[part];
    if (!running_[part]) {
      const auto begins = cuts_.BeginsAt(part, place);
      if (!begins.ok()) {
        CHECK(absl::IsAborted(begins.status()));
        over_[part] = true;
      } else if (*begins) {
        running_[part] = true;
      } else {
        ++place;
      }
    } else if (place == kEnd || !cuts_.MayRun(part, place)) {
      over_[part] = true;
    } else {
      CHECK(runners_.emplace(place++, part).second);
    }
  }

  bool AllOver() const {
    return std::all_of(over_.begin(), over_.end(), [](bool is) { return is; });
  }

 private:
  Cuts cuts_;
  std::vector<std::uint64_t> places_;
  std::vector<bool> running_, over_;
  std::map<std::uint64_t, std::size_t> runners_;  // by block
};

TEST_CASE("every block is run by one part, in whatever order they move",
          "[replay]") {
  std::mt19937_64 random(1);  // NOLINT: the same each time
  for (int i = 0; i < 300; ++i) {
    const std::size_t parts = 2 + random() % 4;
    CAPTURE(i, parts);
    Race race(parts);
    // Some are much faster than others, and the fast ones change.
    std::size_t favourite = 0;
    while (!race.AllOver()) {
      if (random() % 50 == 0) favourite = random() % parts;
      race.Move(random() % 3 == 0 ? random() % parts : favourite);
    }
    CHECK(race.runners().size() == kEnd - kFirst);
  }
}

TEST_CASE(
    "two parts that go forward four times as fast as they run end at the "
    "same time",
    "[replay]") {
  Race race(2);
  bool running = false;
  for (int step = 0; !race.over(0); ++step) {
    race.Move(0);
    for (int i = 0; i < (running ? 1 : 4); ++i) race.Move(1);
    const auto& runners = race.runners();
    running = running || std::any_of(runners.begin(), runners.end(),
                                     [](const auto& r) { return r.second; });
  }
  const auto& runners = race.runners();
  const auto first =
      std::count_if(runners.begin(), runners.end(),
                    [](const auto& runner) { return runner.second == 0; });
  // Four sevenths.
  CHECK(first >= 112);
  CHECK(first <= 116);
}

TEST_CASE("a part that is slower than the first one leaves it everything",
          "[replay]") {
  Race race(2);
  while (!race.AllOver()) {
    race.Move(0);
    race.Move(0);
    race.Move(1);
  }
  const auto& runners = race.runners();
  CHECK(std::all_of(runners.begin(), runners.end(),
                    [](const auto& runner) { return runner.second == 0; }));
}

}  // namespace
}  // namespace reenact
