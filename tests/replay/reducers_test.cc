// Changed reducers: the first ticket that comes out otherwise is named, and
// what comes to the same is no alarm.

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/history.h"
#include "tests/replay/plays.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using Catch::Contains;

// A reducer that does a little of everything, with one thing changed.
class Shop {
 public:
  explicit Shop(std::string change) : change_(std::move(change)) {}

  absl::Status Step(StepContext& step) const {
    const std::int64_t amount = cbor::DecodeInteger(step.payload()).value_or(0);
    if (Is("read more")) step.Read("shop", "elsewhere");
    if (Is("draw more")) step.rng().Next();
    if (amount == 3) {
      if (Is("fail not")) return absl::OkStatus();
      return Is("fail otherwise") ? absl::NotFoundError("three")
                                  : absl::FailedPreconditionError("three");
    }
    if (amount == 4 && Is("fail")) return absl::NotFoundError("four");
    REENACT_RETURN_IF_ERROR(Keep(step, amount));
    if (amount == 5) Note(step, amount);
    if (amount > 5 && step.cause().is_input()) Tell(step, amount);
    return absl::OkStatus();
  }

  void Touch(const EventView&, TouchSet& touches) const {
    touches.Reads("shop", "elsewhere");
    if (Is("declare less")) return;
    touches.Writes("shop", "last");
    if (Is("declare more")) touches.Writes("shop", "k1");
  }

 private:
  bool Is(const char* change) const { return change_ == change; }

  absl::Status Keep(StepContext& step, std::int64_t amount) const {
    std::int64_t sum = amount;
    if (const auto state = step.state()) {
      REENACT_ASSIGN_OR_RETURN(const std::int64_t before,
                               cbor::DecodeInteger(*state));
      sum += before;
    }
    if (Is("add one")) ++sum;
    if (Is("add one rarely") && step.event_id().value > 30) ++sum;
    sum += static_cast<std::int64_t>(step.rng().Below(10));
    if (Is("delete") && amount == 6) {
      step.DeleteState();
    } else if (!Is("keep nothing")) {
      step.SetState(cbor::EncodeInteger(sum));
    }
    step.Write("shop", Is("write elsewhere") ? "first" : "last",
               cbor::EncodeInteger(amount));
    Update update;
    update.number = Is("update otherwise") ? amount + 1 : amount;
    if (Is("update in another way")) update.op = Update::Op::kMax;
    step.Apply("shop", "total", update);
    return absl::OkStatus();
  }

  void Note(StepContext& step, std::int64_t amount) const {
    if (Is("intend nothing")) return;
    step.Intend({"mail", "",
                 cbor::EncodeInteger(Is("intend otherwise") ? 0 : amount), ""});
  }

  void Tell(StepContext& step, std::int64_t amount) const {
    const Event one{"shop", Is("tell another") ? "k9" : "k2", "told",
                    cbor::EncodeInteger(Is("tell otherwise") ? 2 : 1)};
    const Event two{"shop", "k3", Is("tell by another name") ? "" : "told",
                    cbor::EncodeInteger(2)};
    if (Is("tell in another order")) step.Raise(two);
    if (!Is("tell nothing")) step.Raise(one);
    if (!Is("tell in another order")) step.Raise(two);
    if (Is("tell more")) step.Raise(two);
    const std::int64_t in = Is("tell later") ? 4 : 3;
    if (amount == 8) step.RaiseAt(LogicalTime{step.time().value + in}, one);
  }

  const std::string change_;
};

Play ShopPlay(const std::string& change) {
  Play play;
  play.name = "shop";
  const auto shop = std::make_shared<Shop>(change);
  play.reducers.push_back(MakeReducer(
      "shop", [shop](StepContext& step) { return shop->Step(step); },
      [shop](const EventView& event, TouchSet& touches) {
        shop->Touch(event, touches);
      }));
  play.config.scheduling.round_limit = 7;
  Dice dice(4);
  for (int i = 0; i < 40; ++i) {
    Input input;
    input.event = {
        "shop", "k" + std::to_string(dice.Below(5)), "buy",
        cbor::EncodeInteger(static_cast<std::int64_t>(dice.Below(10)))};
    play.inputs.push_back(std::move(input));
  }
  return play;
}

// The first ticket that a world of the changed reducer's own records otherwise.
EventId FirstChanged(const std::string& recorded, const std::string& changed) {
  const History a = TakeApart(recorded), b = TakeApart(changed);
  for (std::size_t i = 1; i < std::min(a.size(), b.size()); ++i) {
    for (std::size_t j = 0;
         j < std::min(a[i].entries.size(), b[i].entries.size()); ++j) {
      if (a[i].entries[j] == b[i].entries[j]) continue;
      EventId event_id;
      std::visit(
          [&event_id](const auto& e) {
            if constexpr (requires { e.lane_id; }) event_id = e.event_id;
          },
          EntryOf(b[i].entries[j]));
      return event_id;
    }
  }
  return EventId{0};
}

VerifyReport VerifyWith(const std::string& path, const Play& play,
                        std::size_t workers) {
  VerifyOptions options;
  options.path = path;
  options.modules.push_back(ModuleOf(play));
  options.workers = workers;
  const auto report = Verify(options);
  REQUIRE_OK(report);
  return *report;
}

TEST_CASE(
    "chaos 31: a changed reducer is caught at the first ticket it changes",
    "[replay]") {
  // What changed, and how the report calls it.
  const std::vector<std::pair<std::string, std::string>> kChanges = {
      {"add one", "state of shop/k"},
      {"add one rarely", "state of shop/k"},
      {"keep nothing", "state of shop/"},
      {"delete", "state of shop/k"},
      {"draw more", "state of shop/k"},
      {"write elsewhere", "state of shop/"},
      {"update otherwise", "state of shop/total"},
      {"update in another way", "state of shop/total"},
      {"fail", "outcome"},
      {"fail not", "outcome"},
      {"fail otherwise", "failure code"},
      {"intend nothing", "effect intent 0"},
      {"intend otherwise", "effect intent 0"},
      {"tell another", "raised event 0"},
      {"tell otherwise", "raised event 0"},
      {"tell by another name", "raised event 1"},
      {"tell in another order", "raised event 0"},
      {"tell nothing", "raised event 0"},
      {"tell more", "raised event 2"},
      {"tell later", "raised event 2"},
  };
  const TemporaryDirectory directory;
  const std::string world = directory / "world";
  RunPlay(ShopPlay(""), world);
  REQUIRE(VerifyWith(world, ShopPlay(""), 0).verdict == Verdict::kIdentical);
  for (const auto& [change, field] : kChanges) {
    CAPTURE(change);
    const Play changed = ShopPlay(change);
    RunPlay(changed, directory / change);
    const EventId first = FirstChanged(world, directory / change);
    REQUIRE(first > EventId{0});
    for (const std::size_t workers : {0U, 2U, 8U}) {
      CAPTURE(workers);
      const VerifyReport report = VerifyWith(world, changed, workers);
      REQUIRE(report.verdict == Verdict::kDiverged);
      const Divergence& found = *report.divergence;
      CAPTURE(found.field, found.recorded, found.recomputed);
      CHECK(found.event_id == first);
      CHECK(found.reducer == "shop");
      CHECK(found.key.substr(0, 1) == "k");
      CHECK_THAT(found.field, Catch::StartsWith(field));
      CHECK(found.recorded != found.recomputed);
      CHECK_FALSE(found.cause_text.empty());
      CHECK(found.round > Round{0});
    }
  }
}

TEST_CASE("what a reducer looks at or declares is its own affair", "[replay]") {
  const std::string change =
      GENERATE(as<std::string>(), "read more", "declare less", "declare more");
  CAPTURE(change);
  const TemporaryDirectory directory;
  RunPlay(ShopPlay(""), directory / "world");
  for (const std::size_t workers : {0U, 1U, 2U, 8U}) {
    CHECK(VerifyWith(directory / "world", ShopPlay(change), workers).verdict ==
          Verdict::kIdentical);
  }
}

TEST_CASE("the report says what the step saw and what it made of it",
          "[replay]") {
  const auto account = [](std::int64_t wrong) {
    return MakeReducer("account", [wrong](StepContext& step) {
      const auto rate = step.Read("rate", "today");
      const auto state = step.state();
      const std::int64_t before = state ? *cbor::DecodeInteger(*state) : 0;
      const std::int64_t factor = rate ? *cbor::DecodeInteger(*rate) : 1;
      const std::int64_t amount = *cbor::DecodeInteger(step.payload());
      step.SetState(cbor::EncodeInteger(before + factor * amount +
                                        (amount == 7 ? wrong : 0)));
      return absl::OkStatus();
    });
  };
  const auto rate = MakeReducer("rate", [](StepContext& step) {
    step.SetState(step.payload());
    return absl::OkStatus();
  });
  const TemporaryDirectory directory;
  Play play{"accounts", {account(0), rate}, {}, {}};
  play.inputs = {InputFor("rate", "today", cbor::EncodeInteger(3)),
                 InputFor("account", "ann", cbor::EncodeInteger(5)),
                 InputFor("account", "bob", cbor::EncodeInteger(6)),
                 InputFor("account", "ann", cbor::EncodeInteger(7))};
  play.config.scheduling.round_limit = 1;
  RunPlay(play, directory / "world");
  play.reducers[0] = account(-1);
  const VerifyReport report = VerifyWith(directory / "world", play, 0);
  REQUIRE(report.verdict == Verdict::kDiverged);
  const Divergence& found = *report.divergence;
  CHECK(found.event_id == EventId{4});
  CHECK(found.round == Round{4});
  CHECK(found.reducer == "account");
  CHECK(found.key == "ann");
  CHECK(found.field == "state of account/ann");
  CHECK(found.recorded == "36");
  CHECK(found.recomputed == "35");
  CHECK(found.cause_text == "input 4 at position 4");
  REQUIRE(found.reads.size() == 2);
  CHECK(found.reads[0].cell == CellId{"rate", "today"});
  CHECK(found.reads[0].written_by == EventId{1});
  CHECK(found.reads[0].state == cbor::EncodeInteger(3));
  CHECK(found.reads[1].cell == CellId{"account", "ann"});
  CHECK(found.reads[1].written_by == EventId{2});
  CHECK(found.reads[1].state == cbor::EncodeInteger(15));
}

TEST_CASE("a derived ticket's cause is the step that raised it", "[replay]") {
  const TemporaryDirectory directory;
  RunPlay(BankPlay("events", 20), directory / "world");
  Play play = BankPlay("events", 20);
  for (auto& reducer : play.reducers) {
    if (reducer->name() != "bank.events") continue;
    reducer = MakeReducer("bank.events", [real = reducer](StepContext& step) {
      if (step.event().schema == "bank.credit") {
        return absl::AbortedError("no credit");
      }
      return real->Step(step);
    });
  }
  const VerifyReport report = VerifyWith(directory / "world", play, 0);
  REQUIRE(report.verdict == Verdict::kDiverged);
  const Divergence& found = *report.divergence;
  REQUIRE(found.cause);
  CHECK_FALSE(found.cause->is_input());
  CHECK(found.cause_text == "event 0 that ticket " +
                                std::to_string(found.cause->parent.value) +
                                " raised");
  CHECK(found.field == "outcome");
  CHECK(found.recorded == "StepCommitted");
  CHECK(found.recomputed == "failed: aborted");
}

}  // namespace
}  // namespace reenact
