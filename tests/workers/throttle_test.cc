// What a world uses of its pool, on machines that are made up: each is a
// function from a setting to what a ticket takes.

#include "reenact/workers/throttle.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <utility>

#include "reenact/kernel/rng.h"

namespace reenact {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

// A machine on which time passes as tickets are committed.
struct Machine {
  // What a ticket takes, in nanoseconds.
  std::function<double(std::size_t threads, std::size_t in_flight)> cost;
  std::uint64_t step_ns = 0;
  std::uint64_t reruns_percent = 0;
  Rng noise{Seed{7}};
  std::uint64_t noise_percent = 0;  // by which a stretch may take longer

  double now = 0;
  std::uint64_t committed = 0;
  // How long each number of threads, and of tickets in flight, was in force
  // during the last Run().
  std::map<std::size_t, double> threads, in_flight;

  Throttle::Seen Seen() const {
    return {static_cast<std::uint64_t>(now), committed,
            committed * reruns_percent / 100, committed / 100, step_ns};
  }

  // Runs for `ns`; returns what was committed, in tickets.
  std::uint64_t Run(std::uint64_t ns, Throttle* throttle) {
    const double end = now + static_cast<double>(ns);
    const std::uint64_t before = committed;
    threads.clear();
    in_flight.clear();
    throttle->Begin(Seen());
    while (now < end) {
      const double begun = now;
      const auto setting =
          std::pair(throttle->threads(), throttle->in_flight());
      const std::uint64_t tickets = step_ns > 10'000 ? 1 : 16;
      const double longer =
          1 + static_cast<double>(noise.Below(noise_percent + 1)) / 100;
      now += static_cast<double>(tickets) * longer *
             cost(setting.first, setting.second);
      committed += tickets;
      threads[setting.first] += now - begun;
      in_flight[setting.second] += now - begun;
      if (throttle->IsDue(committed, step_ns)) throttle->Turn(Seen());
    }
    throttle->Pause(Seen());
    return committed - before;
  }
};

// What was in force for the longest time.
std::size_t Mostly(const std::map<std::size_t, double>& times) {
  REQUIRE_FALSE(times.empty());
  return std::max_element(
             times.begin(), times.end(),
             [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// What one thread takes, and how many times as fast two are.
Machine TwoCores(double ns, double speed, std::uint64_t step_ns) {
  Machine machine;
  machine.cost = [ns, speed](std::size_t threads, std::size_t) {
    return threads == 1 ? ns : ns / speed;
  };
  machine.step_ns = step_ns;
  return machine;
}

TEST_CASE("trial 28: no load is slower for having workers", "[workers]") {
  // Two threads to one: what was seen where traffic between caches is dear,
  // with a neighbour, and where they pay.
  const double speed =
      GENERATE(0.29, 0.67, 0.7, 0.85, 0.95, 1.0, 1.05, 1.3, 1.5, 1.98);
  const std::uint64_t step_ns = GENERATE(200, 5'000, 100'000);
  CAPTURE(speed, step_ns);
  const double ns = static_cast<double>(step_ns) + 600;
  Machine machine = TwoCores(ns, speed, step_ns);
  machine.noise_percent = 5;
  Throttle throttle(2, 256);
  // What pays a little may be left to others.
  const double best = ns / (speed > 1.2 ? speed : 1.0) * 1.025;
  const std::uint64_t enough = std::max<std::uint64_t>(
      300 * kMs, 10'000 * static_cast<std::uint64_t>(ns));
  const auto in_first = static_cast<double>(machine.Run(enough, &throttle));
  CHECK(in_first * ns * 1.025 > 0.95 * static_cast<double>(enough));
  const auto later = static_cast<double>(machine.Run(5 * enough, &throttle));
  CHECK(Mostly(machine.threads) == (speed > 1.2 ? 2U : 1U));
  CHECK(later * best > 0.97 * static_cast<double>(5 * enough));
}

TEST_CASE("trial 28: as many threads as pay are used", "[workers]") {
  // Eight of 64 pay; more only get in each other's way.
  const std::size_t pays = GENERATE(1, 2, 8, 64);
  CAPTURE(pays);
  Machine machine;
  machine.step_ns = 2'000;
  machine.cost = [pays](std::size_t threads, std::size_t) {
    const auto used = static_cast<double>(std::min(threads, pays));
    const auto beyond = static_cast<double>(threads) - used;
    return 2'600 / used * (1 + beyond / 20);
  };
  Throttle throttle(64, 1024);
  machine.Run(2'000 * kMs, &throttle);
  machine.Run(2'000 * kMs, &throttle);
  CHECK(Mostly(machine.threads) == pays);
}

TEST_CASE(
    "trial 28: a neighbour who comes is made room for, and one who goes "
    "leaves it",
    "[workers]") {
  bool neighbour = false;
  Machine machine;
  machine.step_ns = 3'000;
  machine.cost = [&neighbour](std::size_t threads, std::size_t) {
    if (threads == 1) return 3'600.0;
    return neighbour ? 3'600 / 0.7 : 3'600 / 1.8;
  };
  Throttle throttle(2, 256);
  machine.Run(200 * kMs, &throttle);
  CHECK(Mostly(machine.threads) == 2);
  neighbour = true;
  machine.Run(500 * kMs, &throttle);
  CHECK(Mostly(machine.threads) == 1);
  neighbour = false;
  // Whoever lost is asked again, later and later, but not for ever.
  machine.Run(10'000 * kMs, &throttle);
  CHECK(Mostly(machine.threads) == 2);
}

// The second core is somebody else's every other time slice. Two threads are
// fast while they have both, and wait for each other while they have one.
TEST_CASE("trial 28: beside a neighbour who takes turns no load is slower",
          "[workers]") {
  const double alone = GENERATE(1.0, 1.5, 1.95);   // two threads, both cores
  const double beside = GENERATE(0.02, 0.3, 0.9);  // and with one of them
  const std::uint64_t step_ns = GENERATE(500, 5'000, 100'000);
  const std::uint64_t slice = GENERATE(1'300'000, 3'000'000, 12'000'000);
  CAPTURE(alone, beside, step_ns, slice);
  const double ns = static_cast<double>(step_ns) + 600;
  Machine machine;
  machine.step_ns = step_ns;
  machine.noise_percent = 5;
  machine.cost = [&](std::size_t threads, std::size_t) {
    if (threads == 1) return ns;
    const bool both = static_cast<std::uint64_t>(machine.now) / slice % 2 == 0;
    return ns / (both ? alone : beside);
  };
  Throttle throttle(2, 256);
  machine.Run(500 * kMs, &throttle);
  const auto committed =
      static_cast<double>(machine.Run(10'000 * kMs, &throttle));
  CHECK(committed * ns * 1.025 > 0.93 * 10'000 * kMs);
}

TEST_CASE("a load of another kind is not measured with the old one",
          "[workers]") {
  std::uint64_t step_ns = 200;
  Machine machine;
  machine.cost = [&step_ns](std::size_t threads, std::size_t) {
    const auto step = static_cast<double>(step_ns);
    return threads == 1 ? step + 600 : step / 2 + 2'000;
  };
  machine.step_ns = step_ns;
  Throttle throttle(2, 256);
  machine.Run(100 * kMs, &throttle);
  CHECK(throttle.threads() == 1);
  machine.step_ns = step_ns = 100'000;
  machine.Run(10 * kMs, &throttle);
  CHECK(throttle.threads() == 2);
  machine.Run(2'000 * kMs, &throttle);
  CHECK(throttle.threads() == 2);
  machine.step_ns = step_ns = 200;
  machine.Run(10 * kMs, &throttle);
  CHECK(throttle.threads() == 1);
}

TEST_CASE("trial 28: a short load pays for no trial", "[workers]") {
  const double speed = GENERATE(0.3, 0.9);
  Machine machine = TwoCores(800, speed, 200);
  Throttle throttle(2, 256);
  machine.Run(20 * kMs, &throttle);
  CHECK(machine.threads.count(2) == 0);
}

TEST_CASE("trial 28: dear steps among cheap ones are one load", "[workers]") {
  Machine machine = TwoCores(10'600, 0.9, 10'000);
  Throttle throttle(2, 256);
  machine.Run(500 * kMs, &throttle);
  CHECK(Mostly(machine.threads) == 1);
  std::map<std::size_t, double> threads;
  for (int i = 0; i < 5'000; ++i) {
    machine.step_ns = i % 2 == 0 ? 100'000 : 10'000;
    machine.Run(200'000, &throttle);
    for (const auto& [count, ns] : machine.threads) threads[count] += ns;
  }
  CHECK(threads[1] > 20 * threads[2]);
}

TEST_CASE("fewer tickets are in flight where that is faster, and only there",
          "[workers]") {
  const double wide = GENERATE(0.5, 1.0, 2.0);  // speed of the whole window
  CAPTURE(wide);
  Machine machine;
  machine.step_ns = 10'000;
  machine.reruns_percent = 20;
  machine.cost = [wide](std::size_t threads, std::size_t in_flight) {
    if (threads == 1) return 10'600.0;
    return 10'600 / 1.6 / (in_flight == 256 ? wide : 1.0);
  };
  Throttle throttle(2, 256);
  machine.Run(3'000 * kMs, &throttle);
  CHECK((Mostly(machine.in_flight) < 256) == (wide < 1));
}

TEST_CASE("where no step runs again the window stays whole", "[workers]") {
  Machine machine;
  machine.step_ns = 10'000;
  std::size_t least = 256;
  machine.cost = [&least](std::size_t, std::size_t in_flight) {
    least = std::min(least, in_flight);
    return 10'600.0;
  };
  Throttle throttle(2, 256);
  machine.Run(1'000 * kMs, &throttle);
  CHECK(least == 256);
}

TEST_CASE("time without work is nobody's", "[workers]") {
  Machine machine = TwoCores(800, 0.5, 200);
  Throttle throttle(2, 256);
  for (int burst = 0; burst < 1'000; ++burst) {
    machine.Run(100'000, &throttle);
    machine.now += 10 * kMs;  // nobody asks for anything
  }
  // Two threads, had they been asked, would have been found to be slower.
  CHECK(throttle.threads() == 1);
  CHECK(Mostly(machine.threads) == 1);
}

TEST_CASE("a challenger that loses comes back after twice the time",
          "[workers]") {
  Contest contest(2, 0, {110, 97}, 1);
  std::vector<std::uint64_t> begun;
  bool trying = false;
  std::uint64_t now = 0;
  while (begun.size() < 5) {
    const std::uint64_t tickets = contest.arm() == 0 ? 100 : 50;
    contest.Observe({tickets, 100'000, 1});
    now += 100'000;
    if (contest.trying() && !trying) begun.push_back(now);
    trying = contest.trying();
  }
  for (std::size_t i = 2; i < begun.size(); ++i) {
    const double before = static_cast<double>(begun[i - 1] - begun[i - 2]);
    CHECK(static_cast<double>(begun[i] - begun[i - 1]) ==
          Approx(2 * before).epsilon(0.1));
  }
}

TEST_CASE("what has lost often is tried for longer", "[workers]") {
  Contest contest(2, 0, {110, 97}, 1);
  std::vector<std::uint64_t> turns;  // how long the first one took
  while (turns.size() < 8) {
    const bool challenged = contest.arm() == 1;
    contest.Observe({challenged ? 99U : 100U, 100'000, 1});  // next to as fast
    if (contest.arm() == 1 && !challenged) turns.push_back(0);
    if (contest.arm() == 1) turns.back() += 100'000;
  }
  // Three of each trial.
  CHECK(turns[0] < 3 * kMs);
  CHECK(turns[6] > turns[0]);
}

TEST_CASE("who was replaced is asked again soon, and who won by chance waits",
          "[workers]") {
  Contest contest(2, 0, {110, 97}, 1);
  std::uint64_t now = 0;
  // The second arm is fast whenever it is tried, and slow once it has won.
  std::vector<std::uint64_t> won, lost;
  while (lost.size() < 5 && now < 10'000 * kMs) {
    const std::size_t before = contest.best();
    const std::uint64_t fast = before == 1 ? 50 : 150;
    contest.Observe({contest.arm() == 1 ? fast : 100, 100'000, 1});
    now += 100'000;
    if (before == 0 && contest.best() == 1) won.push_back(now);
    if (before == 1 && contest.best() == 0) lost.push_back(now);
  }
  REQUIRE(lost.size() == 5);
  for (std::size_t i = 0; i < lost.size(); ++i) {
    CHECK(lost[i] - won[i] < 250 * kMs);
    if (i >= 2) CHECK(won[i] - lost[i - 1] > won[i - 1] - lost[i - 2]);
  }
}

}  // namespace
}  // namespace reenact
