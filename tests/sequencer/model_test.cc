// Random histories, told to the sequencer and to the model side by side.

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "reenact/harness/dice.h"
#include "reenact/harness/sequencer_model.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/sequencer/sequencer.h"
#include "tests/support/status_matchers.h"
#include "units.h"

namespace reenact {
namespace {

Scheduling SmallRules(Dice& dice) {
  Scheduling rules;
  rules.round_limit = 1 + dice.Below(12);
  rules.pipeline_depth = 1 + dice.Below(4);
  rules.entity_round_limit = 1 + dice.Below(6);
  rules.entity_quantum = 1 + dice.Below(4);
  for (auto& quantum : rules.class_quantum) quantum = 1 + dice.Below(6);
  rules.aging_tickets = 1 + dice.Below(40);
  rules.backlog_limit = 1 + dice.Below(60);
  rules.dedupe_horizon = dice.Below(8);
  return rules;
}

// Plays one history. The model hears what a round raised at once, the sequencer
// as late as chance and pipeline_depth let it.
class SideBySide {
 public:
  explicit SideBySide(Dice dice)
      : dice_(dice),
        heat_(dice_.Below(10)),
        rules_(SmallRules(dice_)),
        ours_(rules_),
        model_(rules_) {}

  void Step() {
    switch (dice_.Below(16)) {
      default:
        Admit();
        break;
      case 8:
      case 9:
      case 10:
      case 11:
      case 12:
        Compose();
        break;
      case 13:
        if (!late_.empty()) HandOverOne();
        break;
      case 14:
        Reopen();
        break;
      case 15:
        if (dice_.Below(4) == 0) ChangeRules();
        break;
    }
    CHECK(ours_.WantsInput() == model_.WantsInput());
    CHECK(ours_.external_count() ==
          model_.Count(UnitKind::kEvent) + model_.Count(UnitKind::kControl));
  }

  // Until nothing waits.
  void Drain() {
    for (int quiet = 0; quiet < 400; ++quiet) {
      now_ += 1;
      Compose();
    }
    while (!late_.empty()) HandOverOne();
    CHECK(ours_.empty());
    CHECK(tickets_composed_ == first_ - 1);
  }

  std::uint64_t tickets() const { return first_ - 1; }

 private:
  void Admit() {
    Unit unit;
    unit.kind = dice_.Below(12) == 0 ? UnitKind::kControl : UnitKind::kEvent;
    unit.priority = static_cast<std::uint8_t>(dice_.Below(kPriorities));
    unit.reducer = unit.kind == UnitKind::kControl
                       ? kNoReducer
                       : static_cast<ReducerId>(dice_.Below(2));
    unit.key = SomeKey();
    unit.payload = cbor::EncodeInteger(static_cast<std::int64_t>(inputs_));
    unit.cause.input = InputId{++inputs_};
    std::string id;
    if (dice_.Below(2) == 0) id = "id" + std::to_string(dice_.Below(12));
    CHECK(ours_.FindSubmission(id) == model_.FindSubmission(id));
    model_.Admit(unit, id, EventId{first_});
    reenact::Admit(ours_, unit, id, EventId{first_});
  }

  // Mostly the same few cells; in some histories one is hot.
  std::string SomeKey() {
    if (dice_.Below(10) < heat_) return "k0";
    return "k" + std::to_string(dice_.Below(1 + dice_.Below(6)));
  }

  void Compose() {
    if (dice_.Below(3) == 0) now_ += static_cast<std::int64_t>(dice_.Below(4));
    const LogicalTime now{now_};
    std::optional<Round> round = ours_.NextRound(now);
    while (!late_.empty() &&
           (!round.has_value() ||
            late_.front().first + rules_.pipeline_depth <= round->value)) {
      HandOverOne();
      round = ours_.NextRound(now);
    }
    REQUIRE(round == model_.NextRound(now));
    if (!round.has_value()) return;
    const std::vector<Unit> units =
        reenact::Compose(ours_, *round, now, EventId{first_});
    REQUIRE(units == model_.Compose(*round, now, EventId{first_}));
    REQUIRE(units.size() <= rules_.round_limit);
    tickets_composed_ += units.size();
    std::vector<Unit> raised = Run(units);
    model_.EnqueueRaised(*round, raised);
    late_.emplace_back(round->value, std::move(raised));
  }

  // What the steps of a round raise.
  std::vector<Unit> Run(const std::vector<Unit>& units) {
    std::vector<Unit> raised;
    for (const Unit& unit : units) {
      const EventId ticket{first_++};
      if (unit.kind == UnitKind::kControl) continue;
      const std::uint64_t count = dice_.Below(4) == 0 ? dice_.Below(3) : 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        Unit child;
        child.kind =
            dice_.Below(3) == 0 ? UnitKind::kTimer : UnitKind::kDerived;
        child.reducer = static_cast<ReducerId>(dice_.Below(2));
        child.key = SomeKey();
        child.schema = "child";
        child.payload = unit.payload;
        child.cause.parent = ticket;
        child.cause.index = i;
        if (child.kind == UnitKind::kTimer) {
          child.due =
              LogicalTime{now_ - 2 + static_cast<std::int64_t>(dice_.Below(9))};
        }
        raised.push_back(std::move(child));
      }
    }
    return raised;
  }

  void HandOverOne() {
    EnqueueRaised(ours_, Round{late_.front().first}, late_.front().second);
    late_.pop_front();
  }

  void Reopen() {
    while (!late_.empty()) HandOverOne();
    CHECK(ours_.derived_count() == model_.Count(UnitKind::kDerived));
    CHECK(ours_.timer_count() == model_.Count(UnitKind::kTimer));
    CHECK(ours_.NextTimer() == model_.NextTimer());
    Bytes before;
    ours_.Encode(&before);
    REQUIRE_OK(cbor::Validate(before));
    absl::StatusOr<Sequencer> again = Sequencer::Decode(rules_, before);
    REQUIRE_OK(again);
    ours_ = *std::move(again);
    Bytes after;
    ours_.Encode(&after);
    REQUIRE(before == after);
  }

  void ChangeRules() {
    const std::uint64_t depth = rules_.pipeline_depth;
    rules_ = SmallRules(dice_);
    rules_.pipeline_depth = depth;
    ours_.SetScheduling(rules_);
    model_.SetScheduling(rules_);
  }

  Dice dice_;
  std::uint64_t heat_;
  Scheduling rules_;
  Sequencer ours_;
  SequencerModel model_;
  std::deque<std::pair<std::uint64_t, std::vector<Unit>>> late_;
  std::uint64_t first_ = 1;
  std::uint64_t inputs_ = 0;
  std::uint64_t tickets_composed_ = 0;
  std::int64_t now_ = 0;
};

TEST_CASE("the sequencer composes what the model composes", "[sequencer]") {
  std::uint64_t tickets = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    SideBySide play{Dice(seed)};
    for (int step = 0; step < 400; ++step) play.Step();
    play.Drain();
    tickets += play.tickets();
  }
  CHECK(tickets > 50'000);  // the histories were not empty
}

TEST_CASE("no history tells the sequencer from its model", "[sequencer]") {
  CHECK(rc::check("any seed, any length",
                  [](std::uint64_t seed, std::uint8_t steps) {
                    SideBySide play{Dice(seed)};
                    for (int step = 0; step < steps; ++step) play.Step();
                    play.Drain();
                  }));
}

}  // namespace
}  // namespace reenact
