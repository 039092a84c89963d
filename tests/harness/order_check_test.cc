// The checks of order would see what is out of order: journals that no world
// writes.

#include "reenact/harness/order_check.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/hash.h"
#include "reenact/sequencer/sequencer.h"

namespace reenact::harness {
namespace {

// A journal that is written by hand.
class Journal {
 public:
  explicit Journal(Scheduling rules = {}) {
    entry::Genesis genesis;
    genesis.config.scheduling = rules;
    Add(genesis);
    EndBlock();
  }

  template <typename E>
  void Add(const E& entry) {
    EncodeEntry(entry, &entries_);
  }
  void Admit(std::uint64_t input, const std::string& key) {
    entry::InputAdmitted admitted;
    admitted.input = InputId{input};
    admitted.key = key;
    admitted.payload = cbor::EncodeInteger(0);
    admitted.position = input;
    Add(admitted);
  }
  // The next ticket; `input` 0: what its first step raised.
  void Schedule(std::uint64_t input, const std::string& key,
                UnitKind kind = UnitKind::kEvent) {
    entry::StepScheduled step;
    step.event_id = EventId{++tickets_};
    step.kind = kind;
    step.subject = CellRef{0, key};
    step.cause.input = InputId{input};
    if (input == 0) step.cause.parent = EventId{1};
    Add(step);
  }
  void Commit(std::size_t intents = 0) {
    entry::StepCommitted step;
    step.event_id = EventId{tickets_};
    for (std::size_t i = 0; i < intents; ++i) {
      EffectIntent intent;
      intent.kind = "call";
      intent.params = cbor::EncodeInteger(static_cast<std::int64_t>(i));
      step.effects.push_back(std::move(intent));
    }
    Add(step);
  }
  void Judge(std::uint32_t index,
             EffectVerdict verdict = EffectVerdict::kOpen) {
    entry::EffectQueued effect;
    effect.event_id = EventId{tickets_};
    effect.index = index;
    effect.intent_hash = Intent(tickets_, index);
    effect.verdict = verdict;
    if (verdict == EffectVerdict::kDenied) effect.reason = "no";
    Add(effect);
  }
  void Close(const Digest& intent) {
    entry::EffectClosed closed;
    closed.intent_hash = intent;
    Add(closed);
  }
  void EndBlock() {
    BlockHeader header;
    header.index = blocks.size();
    header.first = EventId{1};
    Digest hash;
    blocks.push_back(EncodeBlock(header, entries_, &hash));
    entries_.clear();
  }

  static Digest Intent(std::uint64_t ticket, std::uint32_t index) {
    return Hash(std::to_string(ticket) + "/" + std::to_string(index));
  }

  std::vector<Bytes> blocks;

 private:
  Bytes entries_;
  std::uint64_t tickets_ = 0;
};

// A journal in which one step has so many intents, not judged yet.
Journal OneStep(std::size_t intents) {
  Journal journal;
  journal.Admit(1, "a");
  journal.Schedule(1, "a");
  journal.Commit(intents);
  return journal;
}

// The same with two, both open.
Journal TwoIntents() {
  Journal journal = OneStep(2);
  journal.Judge(0);
  journal.Judge(1);
  return journal;
}

std::string DetailOf(const std::optional<Violation>& violation) {
  return violation ? violation->detail : "";
}

bool Says(const std::optional<Violation>& violation, const std::string& part) {
  return DetailOf(violation).find(part) != std::string::npos;
}

TEST_CASE("an input that waits too long is seen, served late or never",
          "[harness]") {
  Scheduling rules;
  rules.round_limit = 2;
  rules.entity_round_limit = 1;
  rules.aging_tickets = 4;
  REQUIRE(RoundsAtMost(rules, 0, 0) == 4);
  const std::uint64_t flood = GENERATE(2, 3, 4, 5);
  const bool served = GENERATE(true, false);
  CAPTURE(flood, served);
  Journal journal(rules);
  journal.Admit(1, "poor");
  for (std::uint64_t input = 2; input < 2 + flood; ++input) {
    journal.Admit(input, "rich");
    journal.Schedule(input, "rich");
    journal.EndBlock();
  }
  if (served) journal.Schedule(1, "poor");
  journal.EndBlock();
  const auto violation = CheckWaiting(journal.blocks);
  // It may have its ticket in the fourth round at the latest.
  CHECK(violation.has_value() == (flood >= 4));
  if (violation) CHECK(Says(violation, "cell poor"));
}

TEST_CASE("a backlog of its own makes an input wait longer", "[harness]") {
  Scheduling rules;
  rules.round_limit = 1;
  rules.entity_round_limit = 1;
  rules.aging_tickets = 1;
  Journal journal(rules);
  for (std::uint64_t input = 1; input <= 30; ++input) journal.Admit(input, "a");
  for (std::uint64_t input = 1; input <= 30; ++input) {
    journal.Schedule(input, "a");
    journal.EndBlock();
  }
  CHECK(DetailOf(CheckWaiting(journal.blocks)).empty());
}

TEST_CASE("effects that go their way are in order", "[harness]") {
  Journal journal = TwoIntents();
  journal.Close(Journal::Intent(1, 1));
  journal.Schedule(0, "a", UnitKind::kReceipt);
  journal.Commit();
  journal.EndBlock();
  const std::vector<std::vector<ToldEffect>> told = {
      {{Journal::Intent(1, 0), EventId{1}, 0},
       {Journal::Intent(1, 1), EventId{1}, 1}},
      {{Journal::Intent(1, 0), EventId{1}, 0}}};
  CHECK(DetailOf(CheckEffects(journal.blocks, told)).empty());
}

TEST_CASE("effects that do not are seen", "[harness]") {
  SECTION("an intent that nobody judged") {
    Journal journal = OneStep(2);
    journal.Judge(0);
    journal.EndBlock();
    CHECK(Says(CheckEffects(journal.blocks, {}), "1 are judged"));
  }
  SECTION("out of turn") {
    Journal journal = OneStep(2);
    journal.Judge(1);
    journal.Judge(0);
    journal.EndBlock();
    CHECK(Says(CheckEffects(journal.blocks, {}), "out of its turn"));
  }
  SECTION("two ends of one effect") {
    Journal journal = TwoIntents();
    journal.Close(Journal::Intent(1, 0));
    journal.Close(Journal::Intent(1, 0));
    journal.EndBlock();
    CHECK(Says(CheckEffects(journal.blocks, {}), "ends twice"));
  }
  SECTION("an end without a beginning") {
    Journal journal = TwoIntents();
    journal.Close(Journal::Intent(7, 0));
    journal.EndBlock();
    CHECK(Says(CheckEffects(journal.blocks, {}), "never begun"));
  }
  SECTION("an answer before the end") {
    Journal journal = TwoIntents();
    journal.Schedule(0, "a", UnitKind::kReceipt);
    journal.EndBlock();
    CHECK(Says(CheckEffects(journal.blocks, {}), "nothing has ended"));
  }
  SECTION("executors who are told of the later one first") {
    Journal journal = TwoIntents();
    journal.EndBlock();
    CHECK(Says(CheckEffects(journal.blocks,
                            {{{Journal::Intent(1, 1), EventId{1}, 1},
                              {Journal::Intent(1, 0), EventId{1}, 0}}}),
               "after that of ticket 1"));
  }
  SECTION("executors who are told of what was denied") {
    Journal journal = OneStep(1);
    journal.Judge(0, EffectVerdict::kDenied);
    journal.EndBlock();
    CHECK(Says(CheckEffects(journal.blocks,
                            {{{Journal::Intent(1, 0), EventId{1}, 0}}}),
               "denied or answered"));
  }
}

}  // namespace
}  // namespace reenact::harness
