// What each thread runs of a module's code, as those who look see it.

#include "reenact/workers/module_call.h"

#include <sys/mman.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace reenact {
namespace {

std::vector<RunningCall> CallsNow() {
  std::vector<RunningCall> calls;
  ForEachCall(
      [](const RunningCall& call, void* all) {
        static_cast<std::vector<RunningCall>*>(all)->push_back(call);
      },
      &calls);
  return calls;
}

std::string TextOf(const RunningCall& call) {
  char text[kCallTextMax];
  return std::string(text, DescribeCall(call, text, sizeof text));
}

// As another thread sees it, which has a call of its own, too.
void Elsewhere(const std::function<void()>& look) { std::thread(look).join(); }

TEST_CASE("a call is seen by its thread and by others, while it runs",
          "[kernel]") {
  const std::string key(RunningCall::kNameBytes + 1, 'k');
  const EventView event = {"counter", key, {}, {}};
  RunningCall own;
  CHECK_FALSE(CallOfThisThread(&own));
  {
    const ModuleCall call(CallKind::kStep, 17, &event, /*ahead=*/true);
    REQUIRE(CallOfThisThread(&own));
    CHECK(own.number == 17);
    CHECK(own.ahead);
    CHECK(own.reducer() == "counter");
    CHECK(own.key() == std::string_view(key).substr(1));
    CHECK(own.key_is_cut);
    Elsewhere([&own] {
      RunningCall none;
      CHECK_FALSE(CallOfThisThread(&none));
      const std::vector<RunningCall> calls = CallsNow();
      REQUIRE(calls.size() == 1);
      CHECK(calls[0].SameCallAs(own));
      CHECK(TextOf(calls[0]) == TextOf(own));
    });
  }
  CHECK_FALSE(CallOfThisThread(&own));
  CHECK(CallsNow().empty());
  const ModuleCall next(CallKind::kTouch, 18, &event);
  RunningCall later;
  REQUIRE(CallOfThisThread(&later));
  CHECK_FALSE(later.SameCallAs(own));
  CHECK(TextOf(later).starts_with("Touch() for event 18 (reducer 'counter', "));
}

TEST_CASE("a call that has no cell is seen without one", "[kernel]") {
  const ModuleCall call(CallKind::kMapper, 41, nullptr);
  RunningCall own;
  REQUIRE(CallOfThisThread(&own));
  CHECK(TextOf(own) == "the module's mapper, at row 41");
}

// A step that has destroyed its memory crashes, and is still to be named.
TEST_CASE("what a call is about may be gone when somebody looks", "[kernel]") {
  constexpr std::size_t kPage = 4096;
  void* const gone =
      ::mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(gone != MAP_FAILED);
  const auto look = [] {
    const std::vector<RunningCall> calls = CallsNow();
    REQUIRE(calls.size() == 1);
    CHECK(TextOf(calls[0]) == "event 5 (reducer '', key '')");
  };
  SECTION("the event") {
    const ModuleCall call(CallKind::kStep, 5, static_cast<EventView*>(gone));
    look();
    Elsewhere(look);
  }
  SECTION("its key") {
    const EventView event = {
        {}, {static_cast<const char*>(gone), kPage}, {}, {}};
    const ModuleCall call(CallKind::kStep, 5, &event);
    look();
    Elsewhere(look);
  }
  ::munmap(gone, kPage);
}

// As in a harness that lets tasks take turns on one thread.
TEST_CASE("calls that are nested by mistake leave none behind", "[kernel]") {
  const EventView event = {"counter", "k", {}, {}};
  RunningCall seen;
  {
    const ModuleCall outer(CallKind::kStep, 1, &event);
    {
      const ModuleCall inner(CallKind::kStep, 2, &event);
      REQUIRE(CallOfThisThread(&seen));
      CHECK(seen.number == 2);
    }
    CHECK_FALSE(CallOfThisThread(&seen));
  }
  CHECK_FALSE(CallOfThisThread(&seen));
}

}  // namespace
}  // namespace reenact
