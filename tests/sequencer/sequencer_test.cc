#include "reenact/sequencer/sequencer.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cell_hash.h"
#include "tests/support/status_matchers.h"
#include "units.h"

namespace reenact {
namespace {

using Names = std::vector<std::string>;

// A sequencer with the bookkeeping of a caller: input numbers, tickets, time.
// Units are known by their payloads.
class World {
 public:
  explicit World(const Scheduling& rules) : sequencer(rules) {}

  void Admit(const std::string& cell, const std::string& name,
             std::uint8_t priority = kPriorityDefault,
             std::string_view submission_id = "") {
    Unit unit;
    unit.reducer = 0;
    unit.key = cell;
    unit.priority = priority;
    unit.payload = name;
    unit.cause.input = InputId{++inputs};
    reenact::Admit(sequencer, unit, submission_id, next);
  }

  void AdmitControl(const std::string& name) {
    Unit unit;
    unit.kind = UnitKind::kControl;
    unit.payload = name;
    unit.cause.input = InputId{++inputs};
    reenact::Admit(sequencer, unit, "", next);
  }

  // Composes the next round; nothing if there is none.
  Names Compose() {
    const std::optional<Round> round = sequencer.NextRound(now);
    if (!round.has_value()) return {};
    return ComposeRound(*round);
  }

  Names ComposeRound(Round round) {
    const std::vector<Unit> units =
        reenact::Compose(sequencer, round, now, next);
    last = round;
    next.value += units.size();
    Names names;
    for (const Unit& unit : units) names.push_back(unit.payload);
    return names;
  }

  Bytes Encoded() const {
    Bytes bytes;
    sequencer.Encode(&bytes);
    return bytes;
  }

  Sequencer sequencer;
  LogicalTime now;
  EventId next{1};
  Round last;
  std::uint64_t inputs = 0;
};

Unit Derived(const std::string& cell, const std::string& name,
             std::uint64_t parent, std::uint32_t index = 0) {
  Unit unit;
  unit.kind = UnitKind::kDerived;
  unit.reducer = 0;
  unit.key = cell;
  unit.payload = name;
  unit.cause.parent = EventId{parent};
  unit.cause.index = index;
  return unit;
}

Unit Timer(const std::string& name, std::int64_t due, std::uint64_t parent,
           std::uint32_t index = 0) {
  Unit unit = Derived(name, name, parent, index);
  unit.kind = UnitKind::kTimer;
  unit.due = LogicalTime{due};
  return unit;
}

template <typename... Args>
std::vector<Unit> Units(Args... units) {
  return {units...};
}

TEST_CASE("a new sequencer has nothing to do and wants input", "[sequencer]") {
  World world{Scheduling{}};
  CHECK(world.sequencer.empty());
  CHECK(world.sequencer.NextRound(LogicalTime{100}) == std::nullopt);
  CHECK(world.sequencer.NextTimer() == std::nullopt);
  CHECK(world.sequencer.next_number() == Round{1});
  CHECK(world.sequencer.WantsInput());
}

TEST_CASE("units of one cell keep their order over rounds", "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 4;
  rules.entity_round_limit = 3;
  World world(rules);
  for (const char* name : {"1", "2", "3", "4", "5", "6", "7"}) {
    world.Admit("cell", name);
  }
  CHECK(world.Compose() == Names{"1", "2", "3"});
  CHECK(world.Compose() == Names{"4", "5", "6"});
  CHECK(world.Compose() == Names{"7"});
  CHECK(world.sequencer.empty());
}

TEST_CASE("a hot cell leaves room for the others", "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 8;
  rules.entity_round_limit = 2;
  World world(rules);
  for (int i = 0; i < 100; ++i) world.Admit("hot", "hot");
  world.Admit("calm", "calm");
  CHECK(world.Compose() == Names{"hot", "hot", "calm"});
  CHECK(world.Compose() == Names{"hot", "hot"});
}

TEST_CASE("a round holds round_limit units and goes on where it stopped",
          "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 3;
  rules.entity_quantum = 2;
  World world(rules);
  for (const char* name : {"a1", "a2", "a3"}) world.Admit("a", name);
  for (const char* name : {"b1", "b2", "b3"}) world.Admit("b", name);
  CHECK(world.Compose() == Names{"a1", "a2", "b1"});
  CHECK(world.Compose() == Names{"b2", "a3", "b3"});
}

TEST_CASE("classes share a round by their quanta", "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 6;
  rules.class_quantum = {1, 1, 3, 2, 1, 1};
  World world(rules);
  for (int i = 0; i < 20; ++i) {
    const std::string cell = std::to_string(i);
    world.Admit(cell, "low", 3);
    world.Admit(cell, "high", 0);
    world.Admit(cell, "middle", 1);
  }
  world.AdmitControl("control");
  CHECK(world.Compose() ==
        Names{"control", "high", "high", "high", "middle", "middle"});
  CHECK(world.Compose() ==
        Names{"low", "high", "high", "high", "middle", "middle"});
}

TEST_CASE("control commands are one entity, whatever they say they are",
          "[sequencer]") {
  Scheduling rules;
  rules.entity_round_limit = 2;
  World world(rules);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    Unit unit;
    unit.kind = UnitKind::kControl;
    unit.key = std::to_string(i);
    unit.payload = std::to_string(i);
    unit.cause.input = InputId{i};
    Admit(world.sequencer, unit, "", EventId{1});
  }
  CHECK(world.Compose() == Names{"1", "2"});
  CHECK(world.Compose() == Names{"3"});
}

TEST_CASE("derived events wait for the pipeline, and no longer when it is idle",
          "[sequencer]") {
  Scheduling rules;
  rules.pipeline_depth = 3;
  World world(rules);
  world.Admit("a", "a");
  REQUIRE(world.Compose() == Names{"a"});
  EnqueueRaised(world.sequencer, Round{1}, Units(Derived("b", "b", 1)));
  CHECK(world.sequencer.derived_count() == 1);

  SECTION("with other work, rounds in between go without it") {
    world.Admit("c", "c");
    CHECK(world.Compose() == Names{"c"});
    CHECK(world.last == Round{2});
    world.Admit("d", "d");
    CHECK(world.Compose() == Names{"d"});
    CHECK(world.last == Round{3});
    CHECK(world.Compose() == Names{"b"});
    CHECK(world.last == Round{4});
  }
  SECTION("without, round numbers jump") {
    CHECK(world.sequencer.next_number() == Round{2});
    CHECK(world.Compose() == Names{"b"});
    CHECK(world.last == Round{4});
    CHECK(world.sequencer.next_number() == Round{5});
  }
  CHECK(world.sequencer.empty());
}

TEST_CASE("depth 1 hands over before the next round", "[sequencer]") {
  Scheduling rules;
  rules.pipeline_depth = 1;
  World world(rules);
  world.Admit("a", "a");
  REQUIRE(world.Compose() == Names{"a"});
  EnqueueRaised(world.sequencer, Round{1}, Units(Derived("b", "b", 1)));
  CHECK(world.Compose() == Names{"b"});
  CHECK(world.last == Round{2});
}

TEST_CASE("handing over and composing the next round commute", "[sequencer]") {
  World early{Scheduling{}};
  World late{Scheduling{}};
  for (World* world : {&early, &late}) {
    for (const char* name : {"a", "b", "c"}) world->Admit(name, name);
    REQUIRE(world->Compose() == Names{"a", "b", "c"});
    world->Admit("x", "x");
    world->now = LogicalTime{5};
  }
  // A timer that is due at once is the hard part.
  const std::vector<Unit> raised =
      Units(Derived("x", "derived", 1), Timer("timer", 4, 2));
  EnqueueRaised(early.sequencer, Round{1}, raised);
  CHECK(early.Compose() == Names{"x"});
  CHECK(late.Compose() == Names{"x"});
  EnqueueRaised(late.sequencer, Round{1}, raised);
  CHECK(early.Encoded() == late.Encoded());

  CHECK(early.Compose() == Names{"timer", "derived"});
  CHECK(late.Compose() == Names{"timer", "derived"});
  CHECK(early.Encoded() == late.Encoded());
}

TEST_CASE("timers run in the first round that their time has come",
          "[sequencer]") {
  World world{Scheduling{}};
  world.Admit("a", "a");
  REQUIRE(world.Compose() == Names{"a"});
  EnqueueRaised(world.sequencer, Round{1},
                Units(Timer("at 9", 9, 1, 0), Timer("at 7, second", 7, 1, 1),
                      Timer("never", 1'000'000, 1, 2)));
  CHECK(world.sequencer.timer_count() == 3);
  CHECK(world.sequencer.NextTimer() == LogicalTime{7});
  world.now = LogicalTime{6};
  CHECK(world.sequencer.NextRound(world.now) == std::nullopt);

  world.Admit("b", "b");
  REQUIRE(world.Compose() == Names{"b"});
  world.Admit("c", "c");
  REQUIRE(world.Compose() == Names{"c"});
  CHECK(world.sequencer.NextTimer() == LogicalTime{7});

  world.now = LogicalTime{7};
  CHECK(world.sequencer.NextRound(world.now) == Round{4});
  CHECK(world.Compose() == Names{"at 7, second"});
  CHECK(world.sequencer.NextTimer() == LogicalTime{9});
  world.now = LogicalTime{1'000};
  CHECK(world.Compose() == Names{"at 9"});
  CHECK(world.sequencer.timer_count() == 1);
  CHECK_FALSE(world.sequencer.empty());
}

TEST_CASE("due timers run by due, then parent, then index", "[sequencer]") {
  Scheduling rules;
  rules.pipeline_depth = 1;
  World world(rules);
  world.Admit("a", "a");
  world.Admit("b", "b");
  REQUIRE(world.Compose() == Names{"a", "b"});
  EnqueueRaised(world.sequencer, Round{1},
                Units(Timer("later", 3, 1, 0), Timer("1.1", 2, 1, 1),
                      Timer("1.2", 2, 1, 2), Timer("2.0", 2, 2, 0)));
  world.now = LogicalTime{3};
  CHECK(world.Compose() == Names{"1.1", "1.2", "2.0", "later"});
}

TEST_CASE("a due timer that finds no room still counts", "[sequencer]") {
  Scheduling rules;
  rules.pipeline_depth = 1;
  rules.round_limit = 1;
  World world(rules);
  world.Admit("a", "a");
  REQUIRE(world.Compose() == Names{"a"});
  EnqueueRaised(world.sequencer, Round{1},
                Units(Timer("t", 0, 1, 0), Timer("u", 0, 1, 1)));
  CHECK(world.Compose() == Names{"t"});
  CHECK(world.sequencer.timer_count() == 1);
  CHECK_FALSE(world.sequencer.empty());
  CHECK(world.Compose() == Names{"u"});
  CHECK(world.sequencer.empty());
}

TEST_CASE("units that have aged go ahead, into half of the round",
          "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 4;
  rules.aging_tickets = 8;
  rules.class_quantum = {1, 1, 100, 1, 1, 1};
  World world(rules);
  for (const char* name : {"old1", "old2", "old3"}) {
    world.Admit(name, name, 3);
  }
  for (int i = 0; i < 40; ++i) world.Admit("h" + std::to_string(i), "high", 0);
  const Names high(4, "high");
  CHECK(world.Compose() == high);  // tickets 1 to 4
  CHECK(world.Compose() == high);  // 5 to 8
  CHECK(world.Compose() == Names{"old1", "old2", "high", "high"});
  CHECK(world.Compose() == Names{"old3", "high", "high", "high"});
}

TEST_CASE("an aged queue obeys the limit of its cell", "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 8;
  rules.entity_round_limit = 2;
  rules.aging_tickets = 1;
  World world(rules);
  for (const char* name : {"h1", "h2", "h3", "h4"}) world.Admit("hot", name);
  world.Admit("other", "other");
  world.next = EventId{10};
  CHECK(world.Compose() == Names{"h1", "h2", "other"});
  CHECK(world.Compose() == Names{"h3", "h4"});
}

TEST_CASE("looking for aged units ends after as many as a round holds",
          "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 4;
  rules.entity_round_limit = 1;
  rules.aging_tickets = 1;
  World world(rules);
  for (const char* name : {"h1", "h2", "h3"}) world.Admit("hot", name, 0);
  world.Admit("seen", "seen", 3);
  world.Admit("not seen", "not seen", 3);
  for (int i = 0; i < 4; ++i) world.Admit("calm" + std::to_string(i), "c", 1);
  world.next = EventId{10};
  CHECK(world.Compose() == Names{"h1", "seen", "c", "c"});
  rules.round_limit = 3;
  world.sequencer.SetScheduling(rules);
  world.Admit("more", "more", 0);
  CHECK(world.Compose() == Names{"h2", "not seen", "c"});
}

TEST_CASE("input is wanted while rounds have room", "[sequencer]") {
  Scheduling rules;
  rules.round_limit = 4;
  rules.entity_round_limit = 2;
  rules.backlog_limit = 7;
  World world(rules);

  SECTION("counting of each cell only what one round takes") {
    for (int i = 0; i < 5; ++i) world.Admit("hot", "hot");
    CHECK(world.sequencer.WantsInput());
    world.Admit("a", "a");
    CHECK(world.sequencer.WantsInput());
    world.AdmitControl("control");
    CHECK_FALSE(world.sequencer.WantsInput());
  }
  SECTION("and while the backlog does") {
    for (int i = 0; i < 6; ++i) world.Admit("hot", "hot");
    CHECK(world.sequencer.WantsInput());
    world.Admit("hot", "hot");
    CHECK_FALSE(world.sequencer.WantsInput());
    world.Compose();
    CHECK(world.sequencer.WantsInput());
  }
  SECTION("whatever steps raise") {
    std::vector<Unit> raised;
    for (std::uint32_t i = 0; i < 50; ++i) {
      raised.push_back(Derived(std::to_string(i), "d", 1, i));
    }
    world.Admit("a", "a");
    world.Compose();
    EnqueueRaised(world.sequencer, world.last, raised);
    CHECK(world.sequencer.WantsInput());
    world.Compose();
    CHECK(world.sequencer.WantsInput());
  }
  SECTION("by the rules of the day") {
    for (int i = 0; i < 6; ++i) world.Admit("hot", "hot");
    rules.entity_round_limit = 4;
    world.sequencer.SetScheduling(rules);
    CHECK_FALSE(world.sequencer.WantsInput());
    rules.round_limit = 5;
    world.sequencer.SetScheduling(rules);
    CHECK(world.sequencer.WantsInput());
  }
}

TEST_CASE("submission ids are remembered up to the horizon", "[sequencer]") {
  Scheduling rules;
  rules.dedupe_horizon = 2;
  World world(rules);
  const auto find = [&world](std::string_view id) {
    return world.sequencer.FindSubmission(id);
  };
  world.Admit("c", "1", 1, "one");
  world.Admit("c", "2");  // without an id, so it takes no place
  world.Admit("c", "3", 1, "three");
  CHECK(find("one") == InputId{1});
  CHECK(find("three") == InputId{3});
  CHECK(find("") == std::nullopt);
  CHECK(find("two") == std::nullopt);

  world.Compose();  // being ticketed is no reason to forget
  CHECK(find("one") == InputId{1});
  world.Admit("c", "4", 1, "four");
  CHECK(find("one") == std::nullopt);
  CHECK(find("three") == InputId{3});

  SECTION("an id that comes again counts from its latest admission") {
    world.Admit("c", "5", 1, "three");
    CHECK(find("three") == InputId{5});
    world.Admit("c", "6", 1, "six");
    CHECK(find("three") == InputId{5});
    CHECK(find("four") == std::nullopt);
  }
  SECTION("a shorter horizon forgets at once") {
    rules.dedupe_horizon = 1;
    world.sequencer.SetScheduling(rules);
    CHECK(find("three") == std::nullopt);
    CHECK(find("four") == InputId{4});
  }
}

TEST_CASE("submission ids are told apart by all of their 64 bytes",
          "[sequencer]") {
  World world{Scheduling{}};
  const std::string longest(kSubmissionIdBytesMax, 'i');
  for (std::size_t at = 0; at < longest.size(); ++at) {
    std::string id = longest;
    id[at] = '\0';
    world.Admit("c", "unit", 1, id);
  }
  CHECK(world.sequencer.FindSubmission(longest) == std::nullopt);
  world.Admit("c", "unit", 1, longest);
  world.Admit("c", "unit", 1, longest.substr(1));
  for (std::size_t at = 0; at < longest.size(); ++at) {
    std::string id = longest;
    id[at] = '\0';
    CHECK(world.sequencer.FindSubmission(id) == InputId{at + 1});
  }
  CHECK(world.sequencer.FindSubmission(longest) == InputId{65});
  CHECK(world.sequencer.FindSubmission(longest.substr(1)) == InputId{66});
  CHECK(world.sequencer.FindSubmission(longest + "i") == std::nullopt);

  const absl::StatusOr<Sequencer> decoded =
      Sequencer::Decode(Scheduling{}, world.Encoded());
  REQUIRE_OK(decoded);
  CHECK(decoded->FindSubmission(longest) == InputId{65});
}

TEST_CASE("the horizon moves along over many times its own length",
          "[sequencer]") {
  Scheduling rules;
  rules.dedupe_horizon = GENERATE(1U, 2U, 15U, 16U, 17U, 100U);
  CAPTURE(rules.dedupe_horizon);
  World world(rules);
  const auto id = [](std::uint64_t input) {
    return "submission " + std::to_string(input);
  };
  for (std::uint64_t input = 1; input <= 1'000; ++input) {
    REQUIRE(world.sequencer.FindSubmission(id(input)) == std::nullopt);
    world.Admit("c", "unit", 1, id(input));
    world.Compose();
    const std::uint64_t oldest =
        input > rules.dedupe_horizon ? input - rules.dedupe_horizon + 1 : 1;
    for (const std::uint64_t known : {oldest, (oldest + input) / 2, input}) {
      REQUIRE(world.sequencer.FindSubmission(id(known)) == InputId{known});
    }
    REQUIRE(world.sequencer.FindSubmission(id(oldest - 1)) == std::nullopt);
  }

  SECTION("and may become shorter and longer again") {
    const std::uint64_t kept = std::min<std::uint64_t>(rules.dedupe_horizon, 5);
    rules.dedupe_horizon = 5;
    world.sequencer.SetScheduling(rules);
    rules.dedupe_horizon = 300;
    world.sequencer.SetScheduling(rules);
    for (std::uint64_t input = 1'001; input <= 1'200; ++input) {
      world.Admit("c", "unit", 1, id(input));
    }
    for (std::uint64_t input = 1'001 - kept; input <= 1'200; ++input) {
      REQUIRE(world.sequencer.FindSubmission(id(input)) == InputId{input});
    }
    CHECK(world.sequencer.FindSubmission(id(1'000 - kept)) == std::nullopt);
  }
}

TEST_CASE("a horizon of nothing remembers nothing", "[sequencer]") {
  Scheduling rules;
  rules.dedupe_horizon = 0;
  World world(rules);
  world.Admit("c", "unit", 1, "id");
  CHECK(world.sequencer.FindSubmission("id") == std::nullopt);
}

// Texts of 16 bytes that all have the same hash.
std::string Colliding(std::uint64_t number) {
  const std::uint64_t blinder = internal::HashBlinder();
  std::string text(16, '\0');
  std::memcpy(text.data(), &blinder, sizeof blinder);
  std::memcpy(text.data() + 8, &number, sizeof number);
  return text;
}

TEST_CASE("ids with equal hashes are different ids", "[sequencer]") {
  Scheduling rules;
  rules.dedupe_horizon = 20;
  World world(rules);
  REQUIRE(HashBytes(0, Colliding(1)) == HashBytes(0, Colliding(2)));
  for (std::uint64_t input = 1; input <= 100; ++input) {
    CHECK(world.sequencer.FindSubmission(Colliding(input)) == std::nullopt);
    world.Admit("c", "unit", 1, Colliding(input));
  }
  for (std::uint64_t input = 1; input <= 80; ++input) {
    CHECK(world.sequencer.FindSubmission(Colliding(input)) == std::nullopt);
  }
  for (std::uint64_t input = 81; input <= 100; ++input) {
    CHECK(world.sequencer.FindSubmission(Colliding(input)) == InputId{input});
  }
}

TEST_CASE("cells with equal hashes are different cells", "[sequencer]") {
  Scheduling rules;
  rules.entity_round_limit = 1;
  World world(rules);
  REQUIRE(CellHash(0, Colliding(1)) == CellHash(0, Colliding(2)));
  constexpr std::uint64_t kCells = 300;
  for (const char* name : {"first", "second"}) {
    for (std::uint64_t i = 0; i < kCells; ++i) {
      world.Admit(Colliding(i), name + std::to_string(i));
    }
  }
  for (const char* name : {"first", "second"}) {
    const Names round = world.Compose();
    REQUIRE(round.size() == kCells);
    for (std::uint64_t i = 0; i < kCells; ++i) {
      CHECK(round[i] == name + std::to_string(i));
    }
  }
  CHECK(world.sequencer.empty());
}

TEST_CASE("a recycled unit is as good as new, and keeps its memory",
          "[sequencer]") {
  Sequencer sequencer{Scheduling{}};
  Unit* const unit = sequencer.NewUnit();
  CHECK(*unit == Unit{});
  const std::string longer(100, 'x');
  unit->kind = UnitKind::kTimer;
  unit->priority = 3;
  unit->reducer = 7;
  unit->key = longer;
  unit->schema = longer;
  unit->payload = longer;
  unit->cause = Cause{InputId{1}, EventId{2}, 3};
  unit->due = LogicalTime{4};
  unit->cell_hash = 5;
  sequencer.Recycle(unit);

  Unit* const again = sequencer.NewUnit();
  REQUIRE(again == unit);
  CHECK(*again == Unit{});
  CHECK(again->cell_hash == 0);
  for (const std::string* text : {&again->key, &again->schema}) {
    CHECK(text->capacity() >= longer.size());
  }
  again->payload.assign(1 << 20, 'x');
  sequencer.Recycle(again);
  CHECK(sequencer.NewUnit()->payload.capacity() < 1 << 20);
}

TEST_CASE("units that are out are different ones", "[sequencer]") {
  Sequencer sequencer{Scheduling{}};
  std::set<Unit*> out;
  for (int i = 0; i < 1'000; ++i) out.insert(sequencer.NewUnit());
  CHECK(out.size() == 1'000);
  for (Unit* unit : out) sequencer.Recycle(unit);
  for (int i = 0; i < 1'000; ++i) CHECK(out.erase(sequencer.NewUnit()) == 1);
}

TEST_CASE("a unit goes through the sequencer without being copied",
          "[sequencer]") {
  Scheduling rules;
  rules.pipeline_depth = 1;
  Sequencer sequencer(rules);
  Unit* const admitted = UnitOf(sequencer, [] {
    Unit unit;
    unit.reducer = 4;
    unit.key = "cell";
    unit.cause.input = InputId{1};
    return unit;
  }());
  sequencer.Admit(admitted, "", EventId{1});
  CHECK(admitted->cell_hash == CellHash(4, "cell"));
  std::vector<Unit*> units;
  sequencer.Compose(Round{1}, LogicalTime{}, EventId{1}, &units);
  CHECK(units == std::vector<Unit*>{admitted});
  sequencer.Recycle(admitted);

  Unit* const derived = UnitOf(sequencer, Derived("cell", "derived", 1));
  Unit* const timer = UnitOf(sequencer, Timer("timer", 0, 1, 1));
  REQUIRE(derived == admitted);
  std::vector<Unit*> raised = {derived, timer};
  raised.reserve(16);
  sequencer.EnqueueRaised(Round{1}, &raised);
  CHECK(raised.empty());
  CHECK(raised.capacity() >= 16);
  CHECK(derived->cell_hash == CellHash(0, "cell"));
  sequencer.Compose(Round{2}, LogicalTime{}, EventId{2}, &units);
  CHECK(units == std::vector<Unit*>{admitted, timer, derived});
  sequencer.Recycle(derived);
  sequencer.Recycle(timer);
}

TEST_CASE("a sequencer that moves takes its units along", "[sequencer]") {
  World world{Scheduling{}};
  world.Admit("a", "waits", 0, "id");
  world.Admit("b", "waits, too");
  Unit* const filled = UnitOf(world.sequencer, Derived("c", "is out", 1));

  Sequencer moved = std::move(world.sequencer);
  world.sequencer = Sequencer(Scheduling{});
  Sequencer* const target = &world.sequencer;
  *target = std::move(moved);
  CHECK(filled->payload == "is out");
  CHECK(world.Compose() == Names{"waits", "waits, too"});
  std::vector<Unit*> raised = {filled};
  world.sequencer.EnqueueRaised(Round{1}, &raised);
  CHECK(world.Compose() == Names{"is out"});
  CHECK(world.sequencer.FindSubmission("id") == InputId{1});
}

TEST_CASE("many entities come, stay for different times, and go",
          "[sequencer]") {
  Scheduling rules;
  rules.backlog_limit = 1'000'000;
  World world(rules);
  std::map<std::string, std::uint64_t> admitted;
  std::map<std::string, std::uint64_t> composed;
  const auto compose = [&] {
    for (const std::string& name : world.Compose()) {
      const std::string cell = name.substr(0, name.find('#'));
      REQUIRE(name == cell + "#" + std::to_string(composed[cell]++));
    }
  };
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const std::string cell = std::to_string(i * i % 7'001);
    world.Admit(cell, cell + "#" + std::to_string(admitted[cell]++));
    if (i % 3'000 == 2'999) compose();
  }
  while (!world.sequencer.empty()) compose();
  CHECK(composed == admitted);
}

TEST_CASE("an emptied sequencer keeps no trace of how it was used",
          "[sequencer]") {
  World one{Scheduling{}};
  World two{Scheduling{}};
  one.Admit("a", "a", 0);
  two.Admit("b", "b", 3);
  two.Admit("c", "c", 2);
  one.Compose();
  two.Compose();
  CHECK(one.Encoded() == two.Encoded());
}

TEST_CASE(
    "chaos 41: nothing waits longer than the bound, however unfair the rules",
    "[sequencer]") {
  Scheduling rules;
  rules.round_limit = GENERATE(1U, 5U, 16U);
  rules.entity_round_limit = GENERATE(1U, 3U, 40U);
  rules.aging_tickets = GENERATE(1U, 30U, 200U);
  rules.class_quantum = {1, 1, 1'000'000, 1, 1, 1};
  CAPTURE(rules.round_limit, rules.entity_round_limit, rules.aging_tickets);
  World world(rules);
  std::map<std::string, std::uint64_t> latest_round;       // by unit
  std::map<std::string, std::deque<std::string>> waiting;  // by cell
  const auto admit = [&](const std::string& cell, std::uint8_t priority) {
    const std::string name = cell + "#" + std::to_string(world.inputs);
    latest_round[name] =
        world.last.value + RoundsAtMost(rules, waiting[cell].size(),
                                        world.sequencer.external_count());
    waiting[cell].push_back(name);
    world.Admit(cell, name, priority);
  };
  // Twice as much of the favoured class as rounds hold, for so long that
  // without aging the other one would miss its bound.
  const int flood =
      static_cast<int>(60 + 2 * rules.aging_tickets / rules.round_limit);
  for (int round = 0; round < flood || !world.sequencer.empty(); ++round) {
    if (round < flood && round % 8 == 0) admit("poor", 3);
    for (std::uint64_t i = 0; i < 2 * rules.round_limit && round < flood; ++i) {
      admit("rich" + std::to_string(i), 0);
    }
    for (const std::string& name : world.Compose()) {
      const std::string cell = name.substr(0, name.find('#'));
      REQUIRE(waiting[cell].front() == name);
      waiting[cell].pop_front();
      REQUIRE(world.last.value <= latest_round[name]);
      latest_round.erase(name);
    }
  }
  CHECK(latest_round.empty());
}

// Everything that a sequencer can hold, in one.
World Busy(const Scheduling& rules) {
  World world(rules);
  for (const char* name : {"a1", "a2", "a3"}) world.Admit("a", name, 0, name);
  world.Admit("b", "b1", 0, "b1");
  world.Admit("a", "low", 3);
  world.AdmitControl("control");
  world.ComposeRound(Round{1});
  EnqueueRaised(world.sequencer, Round{1},
                Units(Derived("a", "d", 1, 0), Timer("t", -3, 1, 1),
                      Timer("u", 50, 2, 0), Timer("v", 60, 2, 1)));
  world.Admit("c", "c1", 1);
  world.ComposeRound(Round{2});
  world.ComposeRound(Round{3});
  EnqueueRaised(world.sequencer, Round{3}, Units(Derived("b", "e", 5)));
  for (int i = 0; i < 5; ++i) world.Admit("z", "z", 2);
  return world;
}

Scheduling BusyRules() {
  Scheduling rules;
  rules.round_limit = 2;
  rules.pipeline_depth = 2;
  rules.entity_round_limit = 2;
  rules.entity_quantum = 3;
  rules.class_quantum = {1, 3, 3, 2, 1, 1};
  rules.aging_tickets = 6;
  rules.backlog_limit = 20;
  rules.dedupe_horizon = 3;
  return rules;
}

TEST_CASE("a decoded sequencer goes on as the encoded one does",
          "[sequencer][snapshot]") {
  World world = Busy(BusyRules());
  const Bytes bytes = world.Encoded();
  REQUIRE_OK(cbor::Validate(bytes));
  absl::StatusOr<Sequencer> decoded = Sequencer::Decode(BusyRules(), bytes);
  REQUIRE_OK(decoded);
  World again(BusyRules());
  again.sequencer = *std::move(decoded);
  again.next = world.next;
  CHECK(again.Encoded() == bytes);
  CHECK(again.sequencer.FindSubmission("a2") == InputId{2});
  CHECK(again.sequencer.FindSubmission("a1") == std::nullopt);
  CHECK(again.sequencer.next_number() == Round{4});
  CHECK(again.sequencer.timer_count() == 3);

  world.now = again.now = LogicalTime{55};
  for (int round = 0; round < 20; ++round) {
    CHECK(again.Compose() == world.Compose());
    CHECK(again.Encoded() == world.Encoded());
  }
  CHECK(again.sequencer.timer_count() == 1);
}

TEST_CASE("damaged bytes are refused, or are another sequencer's",
          "[sequencer][snapshot]") {
  const Bytes good = Busy(BusyRules()).Encoded();
  const auto try_one = [](const Bytes& bytes) {
    absl::StatusOr<Sequencer> decoded = Sequencer::Decode(BusyRules(), bytes);
    if (!decoded.ok()) return absl::IsInvalidArgument(decoded.status());
    // What is accepted is canonical, and can be played to its end.
    World world(BusyRules());
    world.sequencer = *std::move(decoded);
    if (world.Encoded() != bytes) return false;
    world.now = LogicalTime{std::numeric_limits<std::int64_t>::max()};
    world.next = EventId{1'000'000};
    while (!world.Compose().empty()) continue;
    return world.sequencer.empty();
  };
  REQUIRE(try_one(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    REQUIRE_FALSE(Sequencer::Decode(BusyRules(), good.substr(0, size)).ok());
  }
  REQUIRE_FALSE(Sequencer::Decode(BusyRules(), good + '\0').ok());
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes bytes = good;
      bytes[at] = static_cast<char>(value);
      if (try_one(bytes)) continue;
      CAPTURE(at, value);
      FAIL();
    }
  }
}

// The parts of an encoded sequencer, each to be replaced by something bad.
struct Parts {
  using Part = std::function<void(cbor::Encoder&)>;

  static void None(cbor::Encoder& encoder) { encoder.Array(0); }
  // One external event for each key, stamped 1.
  static Part Events(Names keys) {
    return [keys](cbor::Encoder& encoder) {
      encoder.Array(keys.size());
      for (const std::string& key : keys) {
        encoder.Array(2);
        encoder.Unsigned(1);
        Item(encoder, 0, 1, 0, key, 1, 0);
      }
    };
  }
  static void Item(cbor::Encoder& encoder, std::uint64_t kind,
                   std::uint64_t priority, std::uint64_t reducer,
                   const std::string& key, std::uint64_t input,
                   std::uint64_t parent, std::uint64_t index = 0,
                   std::int64_t due = 0) {
    encoder.Array(10);
    for (const std::uint64_t number : {kind, priority, reducer}) {
      encoder.Unsigned(number);
    }
    encoder.Text(key);
    encoder.Text("");
    encoder.ByteString("");
    for (const std::uint64_t number : {input, parent, index}) {
      encoder.Unsigned(number);
    }
    encoder.Integer(due);
  }
  static Part One(std::uint64_t kind, std::uint64_t priority,
                  std::uint64_t reducer, std::uint64_t input,
                  std::uint64_t parent) {
    return [=](cbor::Encoder& encoder) {
      encoder.Array(1);
      encoder.Array(2);
      encoder.Unsigned(1);
      Item(encoder, kind, priority, reducer, "", input, parent);
    };
  }
  // The ring of class `number`; the others are empty.
  static Part Ring(std::size_t number, std::uint64_t deficit,
                   std::vector<std::uint64_t> places) {
    return [=](cbor::Encoder& encoder) {
      encoder.Array(6);
      for (std::size_t i = 0; i < 6; ++i) {
        encoder.Array(2);
        encoder.Unsigned(i == number ? deficit : 0);
        encoder.Array(i == number ? places.size() : 0);
        if (i != number) continue;
        for (const std::uint64_t place : places) encoder.Unsigned(place);
      }
    };
  }
  static Part Turn(std::uint64_t of_class, std::uint64_t deficit) {
    return [=](cbor::Encoder& encoder) {
      encoder.Array(2);
      encoder.Unsigned(of_class);
      encoder.Unsigned(deficit);
    };
  }
  static Part Pending(std::vector<std::uint64_t> rounds, std::uint64_t kind,
                      std::uint64_t units = 1) {
    return [=](cbor::Encoder& encoder) {
      encoder.Array(rounds.size());
      for (const std::uint64_t round : rounds) {
        encoder.Array(2);
        encoder.Unsigned(round);
        encoder.Array(units);
        for (std::uint64_t i = 0; i < units; ++i) {
          Item(encoder, kind, 1, 0, "k", kind == 0 ? 1 : 0, kind == 0 ? 0 : 1);
        }
      }
    };
  }
  static Part Dues(std::vector<std::int64_t> dues, std::uint64_t kind = 2) {
    return [=](cbor::Encoder& encoder) {
      encoder.Array(dues.size());
      for (const std::int64_t due : dues) {
        Item(encoder, kind, 1, 0, "k", 0, 1, 0, due);
      }
    };
  }
  static Part Ids(Names ids, std::uint64_t input = 1) {
    return [=](cbor::Encoder& encoder) {
      encoder.Array(ids.size());
      for (const std::string& id : ids) {
        encoder.Array(2);
        encoder.ByteString(id);
        encoder.Unsigned(input);
      }
    };
  }

  bool Accepted() const {
    Bytes bytes;
    cbor::Encoder encoder(&bytes);
    encoder.Array(7);
    encoder.Unsigned(last);
    for (const Part& part : {queued, rings, turn, pending, timers, ids}) {
      part(encoder);
    }
    const auto decoded = Sequencer::Decode(BusyRules(), bytes);
    if (!decoded.ok()) CHECK(absl::IsInvalidArgument(decoded.status()));
    return decoded.ok();
  }

  std::uint64_t last = 9;
  Part queued = Events({"a", "b", "a"});
  Part rings = Ring(3, 0, {1, 0});
  Part turn = Turn(0, 0);
  Part pending = None;
  Part timers = None;
  Part ids = None;
};

TEST_CASE("what no sequencer would have written is refused",
          "[sequencer][snapshot]") {
  Parts parts;
  REQUIRE(parts.Accepted());
  const auto with = [&parts](auto Parts::*member, auto value) {
    Parts changed = parts;
    changed.*member = value;
    return changed.Accepted();
  };
  using P = Parts;

  SECTION("rounds beyond the end of the numbers") {
    CHECK_FALSE(with(&P::last, ~std::uint64_t{0}));
  }
  SECTION("rings that are not those of the queues") {
    CHECK_FALSE(with(&P::rings, P::Ring(3, 0, {0})));        // one is missing
    CHECK_FALSE(with(&P::rings, P::Ring(3, 0, {0, 0})));     // one is twice
    CHECK_FALSE(with(&P::rings, P::Ring(3, 0, {0, 1, 0})));  // as well
    CHECK_FALSE(with(&P::rings, P::Ring(3, 0, {1, 2})));     // 2 is no first
    CHECK_FALSE(with(&P::rings, P::Ring(3, 0, {1, 3})));     // no such place
    CHECK_FALSE(with(&P::rings, P::Ring(4, 0, {1, 0})));     // another class
    CHECK(with(&P::rings, P::Ring(3, 0, {0, 1})));
  }
  SECTION("deficits that no visit leaves") {
    CHECK(with(&P::rings, P::Ring(3, 2, {1, 0})));
    CHECK_FALSE(with(&P::rings, P::Ring(3, 3, {1, 0})));
    CHECK(with(&P::turn, P::Turn(3, 1)));
    CHECK_FALSE(with(&P::turn, P::Turn(3, 2)));
    CHECK_FALSE(with(&P::turn, P::Turn(2, 1)));  // nothing waits in it
    CHECK_FALSE(with(&P::turn, P::Turn(6, 0)));
    parts.queued = P::None;
    parts.rings = P::Ring(0, 0, {});
    CHECK(parts.Accepted());
    CHECK_FALSE(with(&P::turn, P::Turn(1, 0)));
    CHECK_FALSE(with(&P::rings, P::Ring(0, 1, {})));
  }
  SECTION("units that cannot wait") {
    parts.rings = P::Ring(3, 0, {0});
    CHECK(with(&P::queued, P::One(0, 1, 0, 1, 0)));
    CHECK_FALSE(with(&P::queued, P::One(0, 1, 0, 0, 0)));  // no cause
    CHECK_FALSE(with(&P::queued, P::One(0, 1, kNoReducer, 1, 0)));
    CHECK_FALSE(with(&P::queued, P::One(0, 1, std::uint64_t{1} << 32, 1, 0)));
    CHECK_FALSE(with(&P::queued, P::One(0, 4, 0, 1, 0)));  // no such priority
    CHECK_FALSE(with(&P::queued, P::One(4, 1, 0, 1, 0)));  // no such kind
    parts.rings = P::Ring(1, 0, {0});
    CHECK(with(&P::queued, P::One(1, 1, 0, 0, 1)));
    CHECK_FALSE(with(&P::queued, P::One(1, 1, 0, 1, 0)));
  }
  SECTION("rounds in which nothing can become eligible") {
    CHECK(with(&P::pending, P::Pending({10, 11}, 1)));
    CHECK_FALSE(with(&P::pending, P::Pending({9}, 1)));
    // Raised by a round of control commands, which is composed elsewhere.
    CHECK(with(&P::pending, P::Pending({12}, 1)));
    CHECK_FALSE(with(&P::pending, P::Pending({std::uint64_t{1} << 63}, 1)));
    CHECK_FALSE(with(&P::pending, P::Pending({11, 10}, 1)));
    CHECK_FALSE(with(&P::pending, P::Pending({10, 10}, 1)));
    CHECK_FALSE(with(&P::pending, P::Pending({10}, 1, 0)));
    CHECK_FALSE(with(&P::pending, P::Pending({10}, 0)));  // an external event
  }
  SECTION("timers out of order, and what is none") {
    CHECK(with(&P::timers, P::Dues({-1, 4})));
    CHECK_FALSE(with(&P::timers, P::Dues({4, -1})));
    CHECK_FALSE(with(&P::timers, P::Dues({1}, 1)));
  }
  SECTION("submissions that are not remembered") {
    CHECK(with(&P::ids, P::Ids({"1", "2", "3"})));
    CHECK_FALSE(with(&P::ids, P::Ids({"1", "2", "3", "4"})));
    CHECK_FALSE(with(&P::ids, P::Ids({""})));
    CHECK(with(&P::ids, P::Ids({std::string(64, 'i')})));
    CHECK_FALSE(with(&P::ids, P::Ids({std::string(65, 'i')})));
    CHECK_FALSE(with(&P::ids, P::Ids({"1"}, 0)));
  }
}

TEST_CASE("lengths that lie cost nothing", "[sequencer][snapshot]") {
  for (const std::size_t part : {0U, 1U}) {
    Bytes bytes;
    cbor::Encoder encoder(&bytes);
    encoder.Array(7);
    encoder.Unsigned(1);
    if (part == 1) encoder.Array(0);
    encoder.Array(~std::uint64_t{0});
    CHECK(absl::IsInvalidArgument(
        Sequencer::Decode(Scheduling{}, bytes).status()));
  }
}

}  // namespace
}  // namespace reenact
