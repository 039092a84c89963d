// The harness would see it: every bug that is planted in the kernel is found,
// and made small.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "reenact/base/instrument.h"
#include "reenact/harness/explore.h"
#include "reenact/harness/scoreboard.h"
#include "tests/harness/scenarios.h"

namespace reenact::harness {
namespace {

std::set<std::string> NamesOf(instrument::Kind kind) {
  std::set<std::string> names;
  for (const instrument::Point& point : instrument::Points()) {
    if (point.kind == kind) names.insert(point.name);
  }
  return names;
}

void Arm(const std::string& name) {
  for (instrument::Point& point : instrument::Points()) {
    if (point.kind == instrument::Kind::kPlantedBug && name == point.name) {
      point.armed = 1;
    }
  }
}

// What became of one planted bug.
struct Caught {
  bool found = false;
  unsigned long long runs = 0;
  unsigned long long switches = 0;
  unsigned long long tickets = 0;
};

// Looks for it in every scenario, until it is found.
bool LookIn(std::uint64_t runs, Caught* caught) {
  for (const Scenario& scenario : AllScenarios()) {
    ExploreOptions options;
    options.runs = runs;
    options.threads = 1;
    options.double_run_one_in = 0;
    options.shrink_runs = 1'500;
    const Exploration exploration = Explore(scenario, options);
    caught->runs += exploration.runs;
    if (!exploration.found) continue;
    caught->found = true;
    caught->switches = exploration.found->result.switches;
    caught->tickets = exploration.found->result.tickets;
    return true;
  }
  return false;
}

// Most show soon, in the scenario that is about them.
Caught Look(const std::string& name) {
  Arm(name);
  Caught caught;
  if (!LookIn(250, &caught)) LookIn(4'000, &caught);
  return caught;
}

// In a process of its own: a bug may end it, or leave tasks that never end. To
// be ended by one of the kernel's own checks is to be found.
Caught LookApart(const std::string& name) {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    (void)alarm(300);
    const Caught caught = Look(name);
    (void)!write(pipe_ends[1], &caught, sizeof caught);
    _exit(0);
  }
  close(pipe_ends[1]);
  Caught caught;
  const bool said = read(pipe_ends[0], &caught, sizeof caught) ==
                    static_cast<ssize_t>(sizeof caught);
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (!said) {
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) != SIGALRM);
    caught.found = true;
  }
  return caught;
}

TEST_CASE("every planted bug is found, and made small", "[harness][planted]") {
  const std::set<std::string> bugs = NamesOf(instrument::Kind::kPlantedBug);
  CHECK(bugs.size() >= 25);
  std::vector<unsigned long long> switches;
  for (const std::string& bug : bugs) {
    const Caught caught = LookApart(bug);
    std::printf("%-48s %s after %llu runs, %llu switches, %llu tickets\n",
                bug.c_str(), caught.found ? "found" : "MISSED", caught.runs,
                caught.switches, caught.tickets);
    CAPTURE(bug, caught.runs);
    CHECK(caught.found);
    switches.push_back(caught.switches);
  }
  std::sort(switches.begin(), switches.end());
  CHECK(switches[switches.size() / 2] <= 6);
  Score("planted bugs found", bugs.size());
}

TEST_CASE("every probe is reached", "[harness]") {
  for (const Scenario& scenario : AllScenarios()) {
    ExploreOptions options;
    // What operators do takes turns that are seldom taken.
    options.runs = scenario.name == "changes" ? 4000 : 600;
    options.seed = 5;
    CHECK_FALSE(Explore(scenario, options).found.has_value());
  }
  std::set<std::string> reached;
  for (const instrument::Point& point : instrument::Points()) {
    if (point.hits.load() > 0) reached.insert(point.name);
  }
  for (const std::string& probe : NamesOf(instrument::Kind::kProbe)) {
    CAPTURE(probe);
    CHECK(reached.count(probe) == 1);
  }
  Score("coverage probes reached", NamesOf(instrument::Kind::kProbe).size());
}

}  // namespace
}  // namespace reenact::harness
