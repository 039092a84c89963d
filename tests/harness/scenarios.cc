#include "tests/harness/scenarios.h"

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "tests/support/torture.h"

namespace reenact::harness {

namespace {

std::vector<Input> DrawTorture(Case& run) {
  run.UseModule(MakeTortureModule());
  const std::uint32_t seed = run.choices().Below(1000, "torture.seed");
  run.config() = TortureConfig(seed);
  if (run.choices().OneIn(4, "torture.ages")) {
    // Small rounds, in which what is old has to go ahead of better classes.
    Scheduling& rules = run.config().scheduling;
    rules.round_limit = 1 + run.choices().Below(3, "torture.round");
    rules.aging_tickets = 1 + run.choices().Below(4, "torture.aging");
  }
  const std::uint32_t count = 1 + run.choices().Below(12, "torture.inputs");
  return TortureInputs({seed, count, 2 + seed % 5});
}

void SetUpFed(Case& run) { run.Feed(DrawTorture(run)); }

void SetUpSubmitted(Case& run) {
  const std::vector<Input> inputs = DrawTorture(run);
  const std::uint32_t clients = 1 + run.choices().Below(3, "torture.clients");
  for (std::uint32_t i = 0; i < clients; ++i) {
    run.AddClient("client", [inputs, i, clients](Client& client) {
      for (std::size_t at = i; at < inputs.size(); at += clients) {
        Input input = inputs[at];
        input.submission_id.clear();
        if (client.choices().OneIn(2, "torture.offers")) {
          (void)client.Offer(std::move(input));
        } else {
          (void)client.Submit(std::move(input));
        }
      }
    });
  }
}

// --- budgets -----------------------------------------------------------------

constexpr std::uint64_t kLimit = 6;

// Spends what its payload says if that is affordable, and counts what it was
// told; so what it was told is in the journal.
std::shared_ptr<const Reducer> MakeSpender() {
  return MakeReducer("spender", [](StepContext& step) {
    cbor::Reader reader(step.payload());
    if (step.event().schema == kAnswerSchema) return absl::OkStatus();
    const std::int64_t cost = reader.Integer();
    if (!reader.ok()) return absl::InvalidArgumentError("no integer");
    const Amounts amounts = {{"calls", static_cast<std::uint64_t>(cost)}};
    const bool affords = step.Affords("net", amounts);
    step.SetState(cbor::EncodeInteger(affords ? cost : -cost));
    if (!affords) return absl::OkStatus();
    EffectIntent intent;
    intent.kind = "call";
    intent.capability = "net";
    intent.params = cbor::EncodeInteger(cost);
    intent.reserve = amounts;
    step.Intend(std::move(intent));
    return absl::OkStatus();
  });
}

GrantChange Change(GrantChange::Op op, std::uint64_t calls) {
  GrantChange change;
  change.op = op;
  change.grant.name = "net";
  change.grant.limit = {{"calls", calls}};
  return change;
}

absl::Status AddsUp(const World& world) {
  return world.Authority().grants.CheckConservation();
}

// Spenders, and so much for them.
void SpendFrom(Case& run, std::uint64_t calls) {
  run.UseModule(*MakeModule("spender", "1", {MakeSpender()}));
  run.BeforeAll([calls](World& world) {
    return world.ChangeGrant(Change(GrantChange::Op::kCreate, calls)).status();
  });
  run.AddInvariant("budgets add up", AddsUp);
}

void SetUpBudget(Case& run) {
  SpendFrom(run, kLimit);
  run.AnswerEffects([](const OpenEffect& effect, Choices& choices) {
    Receipt receipt;
    if (choices.OneIn(3, "budget.fails"))
      receipt.status = ReceiptStatus::kError;
    if (choices.OneIn(2, "budget.costs")) receipt.usage = effect.reserved;
    return receipt;
  });
  for (int i = 0; i < 2; ++i) {
    run.AddClient("buyer", [](Client& client) {
      const std::uint32_t count = 1 + client.choices().Below(4, "budget.count");
      for (std::uint32_t j = 0; j < count; ++j) {
        Input input;
        const std::uint32_t key = client.choices().Below(3, "budget.key");
        input.event = {"spender", std::to_string(key), "",
                       cbor::EncodeInteger(static_cast<std::int64_t>(
                           client.choices().Below(4, "budget.cost")))};
        if (client.choices().OneIn(2, "budget.waits")) {
          (void)client.Submit(std::move(input));
        } else {
          (void)client.Offer(std::move(input));
        }
      }
    });
  }
  run.AddClient("treasurer", [](Client& client) {
    if (!client.choices().OneIn(2, "budget.changes")) return;
    const auto op = client.choices().OneIn(2, "budget.takes")
                        ? GrantChange::Op::kTake
                        : GrantChange::Op::kAdd;
    const std::uint64_t calls = 1 + client.choices().Below(6, "budget.calls");
    (void)client.Do([op, calls](World& world) {
      return world.ChangeGrant(Change(op, calls)).status();
    });
  });
}

// --- changes in flight -------------------------------------------------------

// Some of what a step can intend besides calling and paying.
std::optional<EffectIntent> SeldomIntended(std::int64_t what) {
  using cbor::Value;
  EffectIntent intent;
  switch (what) {
    case 16:
      intent.kind = "timer";
      intent.params = Value::Map({{"after", 1'000'000}}).Encode();
      return intent;
    case 17:
    case 18:
      intent.kind = "effect.cancel";
      intent.params = Value::Map({{"all", true}}).Encode();
      return intent;
    case 20:
      intent.kind = "pay";
      intent.capability = "net";
      intent.params = cbor::EncodeInteger(what);
      intent.reserve = {{"calls", kLimit - 1}};
      intent.must_pass = true;
      return intent;
    case 21:
    case 22:
      intent.kind = "call";
      intent.capability = what == 21 ? "net" : "part";
      intent.params = cbor::EncodeInteger(21);
      intent.reserve = {{"calls", 1}};
      intent.cache_scope = "all";
      return intent;
    default:
      return std::nullopt;
  }
}

// Removes a cell and looks for it in its range.
void RemoveAndLook(StepContext& step) {
  step.Delete("actor", "child");
  (void)step.Scan("actor", "", "z", 4);
}

// Raises, waits and acts as its payload says, and notes which code it is.
Module MakeActor(const std::string& version) {
  const auto act = [version](StepContext& step) {
    const std::int64_t what =
        step.event().schema == kAnswerSchema
            ? 0
            : cbor::DecodeInteger(step.payload()).value_or(0);
    step.SetState(cbor::EncodeText(
        version + " " + std::to_string(step.time().value) +
        (step.Affords("net", {{"calls", 2}}) ? " yes" : " no")));
    if (what % 2 == 1) {
      step.Raise({"actor", "child", "", cbor::EncodeInteger(0)});
    }
    if (what % 3 == 1) {
      step.RaiseAt(
          LogicalTime{step.time().value + what * 1'000'000},
          {"actor", std::string(step.key()), "", cbor::EncodeInteger(3)});
    }
    if (what % 4 == 3) {
      EffectIntent intent;
      intent.kind = what % 8 == 3 ? "call" : "pay";
      intent.capability = "net";
      intent.params = cbor::EncodeInteger(what);
      intent.reserve = {{"calls", 1}};
      if (what % 5 == 3) intent.deadline = LogicalTime{step.time().value + 1};
      step.Intend(std::move(intent));
    }
    if (auto intent = SeldomIntended(what)) step.Intend(*std::move(intent));
    if (what == 12) RemoveAndLook(step);
    return absl::OkStatus();
  };
  return *MakeModule("actor", version, {MakeReducer("actor", act)});
}

// Null: none. Which effects it lets pass, holds or denies.
Bytes PolicyNumber(std::uint32_t number) {
  using cbor::Value;
  if (number == 0) return Value().Encode();
  constexpr const char* kThen[] = {"deny", "ask", "allow"};
  if (number > 5) {
    return Value::Map(
               {{"version", 1},
                {"rules",
                 Value::Array({Value::Map(
                     {{"name", "seldom"},
                      {"kind", "call"},
                      {"rate", Value::Map({{"count", 1}, {"per", 100}})}})})},
                {"otherwise", "allow"},
                {"cache", Value::Map({{"call", Value::Map({{"ttl", 1000}})}})}})
        .Encode();
  }
  return Value::Map(
             {{"version", 1},
              {"rules",
               Value::Array({Value::Map({{"name", "calls"},
                                         {"kind", "call"},
                                         {"then", kThen[(number - 1) % 3]}})})},
              {"otherwise", number % 2 == 0 ? "allow" : "ask"}})
      .Encode();
}

absl::Status ChangeScheduling(World& world, std::uint32_t limit) {
  Scheduling scheduling = world.config().scheduling;
  scheduling.round_limit = 1 + limit;
  scheduling.entity_round_limit = 1 + limit / 4;
  scheduling.aging_tickets = limit % 2 == 0 ? 1 : 16384;
  return world.ChangeConfig(scheduling, limit % 4).status();
}

// A word on one of the effects that are open, if there is one.
absl::Status JudgeOne(World& world, std::uint32_t which,
                      std::uint32_t verdict) {
  std::vector<EffectState> open = world.Effects();
  if (open.empty()) return absl::OkStatus();
  const auto held = std::find_if(open.begin(), open.end(),
                                 [](const EffectState& e) { return e.held; });
  if (verdict < 2 && held != open.end()) {
    std::swap(open[which % open.size()], *held);
  }
  const Digest& intent = open[which % open.size()].effect.intent_hash;
  if (verdict == 0) return world.Approve(intent, "operator", "").status();
  if (verdict == 1) return world.Reject(intent, "operator", "").status();
  return world.CancelEffect(intent, "operator").status();
}

// Parts of the budget come and go, and the whole of it.
absl::Status ChangeParts(World& world, std::uint32_t how, std::uint32_t which) {
  GrantChange change = Change(GrantChange::Op::kRevoke, 1 + which);
  change.grant.limit = {};
  switch (how) {
    case 0:
      change = Change(GrantChange::Op::kCreate, 1 + which);
      break;
    case 1:
      change.grant.name = "part";
      break;
    case 2:
      change.op = GrantChange::Op::kAmend;
      change.grant.expires = LogicalTime{2 * which};
      break;
    case 3:
      break;
    default:
      change = Change(
          how == 4 ? GrantChange::Op::kCreate : GrantChange::Op::kAdd, 1);
      change.grant.name = "part";
      if (how == 4) change.grant.parent = "net";
  }
  return world.ChangeGrant(change).status();
}

void Operate(Client& client) {
  Choices& choices = client.choices();
  const std::uint32_t count = 1 + choices.Below(5, "operator.count");
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t what = choices.Below(8, "operator.what");
    const std::uint32_t how = choices.Below(7, "operator.how");
    const std::uint32_t which = choices.Below(4, "operator.which");
    // A change that makes no sense at its ticket fails there, and is recorded.
    (void)client.Do([what, how, which](World& world) -> absl::Status {
      switch (what) {
        case 0:
          return ChangeScheduling(world, how);
        case 1:
          return world.SetPolicy(PolicyNumber(how)).status();
        case 2:
          return world
              .ChangeGrant(Change(
                  how % 2 == 0 ? GrantChange::Op::kTake : GrantChange::Op::kAdd,
                  1 + which))
              .status();
        case 3:
          return world.RequestSnapshot().status();
        case 4:
          return JudgeOne(world, which, how % 3);
        case 5:
          return world.Read("actor", std::to_string(which)).status();
        case 6:
          return ChangeParts(world, how, which);
        default:
          return world
              .CancelEffectsOf("actor", std::to_string(which), "operator")
              .status();
      }
    });
  }
}

void SetUpChanges(Case& run) {
  run.UseModule(MakeActor("1"));
  run.UpgradeTo(MakeActor("2"));
  constexpr ClockKind kClocks[] = {ClockKind::kRounds, ClockKind::kWall};
  run.config().clock = kClocks[run.choices().Below(2, "changes.clock")];
  const std::uint32_t policy = run.choices().Below(7, "changes.policy");
  run.BeforeAll([policy](World& world) {
    REENACT_RETURN_IF_ERROR(world.SetPolicy(PolicyNumber(policy)).status());
    return world.ChangeGrant(Change(GrantChange::Op::kCreate, kLimit)).status();
  });
  run.AnswerEffects([](const OpenEffect& effect, Choices& choices) {
    Receipt receipt;
    if (choices.OneIn(2, "changes.costs")) receipt.usage = effect.reserved;
    if (choices.OneIn(5, "changes.costs_more")) {
      receipt.usage = {{"calls", 3}};
    }
    return receipt;
  });
  for (int i = 0; i < 2; ++i) {
    run.AddClient("submitter", [](Client& client) {
      const std::uint32_t count =
          1 + client.choices().Below(5, "changes.count");
      for (std::uint32_t j = 0; j < count; ++j) {
        Input input;
        input.event = {
            "actor", std::to_string(client.choices().Below(4, "changes.key")),
            "",
            cbor::EncodeInteger(client.choices().Below(23, "changes.what"))};
        if (client.choices().OneIn(2, "changes.waits")) {
          (void)client.Submit(std::move(input));
        } else {
          (void)client.Offer(std::move(input));
        }
      }
    });
  }
  run.AddClient("operator", Operate);
  run.AddInvariant("budgets add up", AddsUp);
}

// --- answers for several -----------------------------------------------------

// Asks for one of two things, which several ask for, or for both; or gives up
// what its cell has asked for.
absl::Status AskForOrder(StepContext& step) {
  if (step.event().schema == kAnswerSchema) return absl::OkStatus();
  const std::int64_t what = cbor::DecodeInteger(step.payload()).value_or(0);
  const auto ask = [&step](std::int64_t order, std::int64_t amount) {
    EffectIntent intent;
    intent.kind = "buy";
    intent.params = cbor::EncodeInteger(amount);
    intent.identity = "order " + std::to_string(order);
    step.Intend(std::move(intent));
  };
  ask(what % 2, what == 7 ? 2 : 1);
  if (what < 3) {
    EffectIntent cancel;
    cancel.kind = "effect.cancel";
    cancel.params = cbor::Value::Map({{"all", true}}).Encode();
    step.Intend(std::move(cancel));
  }
  if (what < 4) ask(what / 2, 1);
  return absl::OkStatus();
}

Bytes BuyingPolicy(const char* then, const char* otherwise) {
  using cbor::Value;
  return Value::Map({{"version", 1},
                     {"rules", Value::Array({Value::Map({{"name", "dear"},
                                                         {"key", "held"},
                                                         {"then", then}})})},
                     {"otherwise", otherwise}})
      .Encode();
}

void Supervise(Client& client) {
  Choices& choices = client.choices();
  const std::uint32_t count = 2 + choices.Below(5, "shared.words");
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t what = choices.Below(8, "shared.word");
    const std::uint32_t which = choices.Below(4, "shared.which");
    (void)client.Do([what, which](World& world) -> absl::Status {
      if (what == 7) {
        return world.SetPolicy(BuyingPolicy("deny", "allow")).status();
      }
      return JudgeOne(world, which, what < 4 ? 0 : what - 3);
    });
  }
}

void SetUpShared(Case& run) {
  run.UseModule(*MakeModule("buyer", "1", {MakeReducer("buyer", AskForOrder)}));
  run.BeforeAll([](World& world) {
    return world.SetPolicy(BuyingPolicy("ask", "allow")).status();
  });
  run.AnswerEffects([](const OpenEffect&, Choices& choices) {
    Receipt receipt;
    if (choices.OneIn(3, "shared.fails"))
      receipt.status = ReceiptStatus::kError;
    return receipt;
  });
  run.AddClient("buyer", [](Client& client) {
    constexpr const char* kKeys[] = {"a", "b", "held"};
    const std::uint32_t count = 2 + client.choices().Below(6, "shared.count");
    for (std::uint32_t i = 0; i < count; ++i) {
      Input input;
      input.event = {
          "buyer", kKeys[client.choices().Below(3, "shared.key")], "",
          cbor::EncodeInteger(client.choices().Below(8, "shared.what"))};
      if (client.choices().OneIn(2, "shared.waits")) {
        (void)client.Submit(std::move(input));
      } else {
        (void)client.Offer(std::move(input));
      }
    }
  });
  run.AddClient("supervisor", Supervise);
}

// --- the small ones ----------------------------------------------------------

std::vector<Input> InputsFor(const char* reducer,
                             std::initializer_list<const char*> keys) {
  std::vector<Input> inputs;
  std::int64_t number = 0;
  for (const char* key : keys) {
    Input input;
    input.event = {reducer, key, "", cbor::EncodeInteger(++number)};
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// What is in a cell, which need not be there.
std::int64_t NumberIn(std::optional<BytesView> state) {
  return state ? cbor::DecodeInteger(*state).value_or(0) : 0;
}

Bytes OneMore(std::optional<BytesView> state) {
  return cbor::EncodeInteger(NumberIn(state) + 1);
}

void SetUpReference(Case& run) {
  run.UseModule(*MakeModule(
      "adder", "1", {MakeReducer("adder", [](StepContext& step) {
        // Reads a cell that it does not declare.
        const std::int64_t now = NumberIn(step.Read("adder", "common"));
        if (step.key() != "a") {
          step.Write("adder", "common", cbor::EncodeInteger(now + 1));
        }
        step.SetState(cbor::EncodeInteger(now));
        return absl::OkStatus();
      })}));
  run.Feed(InputsFor("adder", {"a", "b", "c"}));
}

void SetUpSmallBudget(Case& run) {
  SpendFrom(run, 5);
  run.Feed(InputsFor("spender", {"a", "b", "c"}));
}

void SetUpSmallRaise(Case& run) {
  const auto count = [](StepContext& step) {
    step.SetState(OneMore(step.state()));
    const Event child{"counter", "common", "", cbor::EncodeInteger(0)};
    if (step.key() == "a") step.Raise(child);
    if (step.key() == "b") {
      step.RaiseAt(LogicalTime{step.time().value + 1}, child);
    }
    return absl::OkStatus();
  };
  run.UseModule(*MakeModule("counter", "1", {MakeReducer("counter", count)}));
  run.Feed(InputsFor("counter", {"a", "b", "common"}));
}

void SetUpSmallScan(Case& run) {
  const auto turn = [](StepContext& step) {
    if (step.key() == "sum") {
      const std::size_t found = step.Scan("book", "page", "pagf", 10).size();
      step.SetState(cbor::EncodeInteger(static_cast<std::int64_t>(found)));
    } else if (step.state()) {
      step.DeleteState();
    } else {
      step.SetState(step.payload());
    }
    return absl::OkStatus();
  };
  run.UseModule(*MakeModule("book", "1", {MakeReducer("book", turn)}));
  run.Feed(InputsFor("book", {"page1", "page1", "sum"}));
}

void SetUpSmallEffect(Case& run) {
  const auto ask = [](StepContext& step) {
    const bool answer = step.event().schema == kAnswerSchema;
    if (step.key() == "asks" && !answer) {
      EffectIntent intent;
      intent.kind = "call";
      intent.params = cbor::EncodeInteger(0);
      step.Intend(std::move(intent));
    }
    step.SetState(OneMore(step.key() == "reads" ? step.Read("asker", "asks")
                                                : step.state()));
    return absl::OkStatus();
  };
  run.UseModule(*MakeModule("asker", "1", {MakeReducer("asker", ask)}));
  run.Feed(InputsFor("asker", {"asks", "reads"}));
}

// Does the one thing that its payload says, which may be as much as there can
// be of it, or more.
void SetUpSmallLimits(Case& run) {
  const auto go_far = [](StepContext& step) {
    cbor::Reader reader(step.payload());
    const auto what = reader.Unsigned();
    const std::size_t levels = 63 + what % 3;
    switch (what / 3) {
      case 0:
        step.SetState(Bytes(levels - 1, '\x81') + '\x80');
        break;
      case 1: {
        EffectIntent intent;
        intent.kind = "call";
        intent.params = cbor::EncodeInteger(1);
        // No text, if it is too long: what no decoder of any format takes.
        intent.reserve.Set(Bytes(levels, levels > 64 ? '\xff' : 'd'), 1);
        step.Intend(std::move(intent));
        break;
      }
      case 2: {
        Update update;
        update.op = Update::Op::kAppend;
        update.item = Bytes(levels - 1, '\x81') + '\x80';
        step.Apply("far", "list", std::move(update));
        break;
      }
      default:
        // Far enough that nobody counts to it.
        step.RaiseAt(LogicalTime{(std::int64_t{1} << 62) - 64 +
                                 static_cast<std::int64_t>(levels)},
                     {"far", "timer", "", cbor::EncodeInteger(0)});
    }
    return absl::OkStatus();
  };
  run.UseModule(*MakeModule("far", "1", {MakeReducer("far", go_far)}));
  std::vector<Input> inputs;
  const std::uint32_t count = 1 + run.choices().Below(3, "limits.inputs");
  for (std::uint32_t i = 0; i < count; ++i) {
    Input input;
    input.event = {"far", "k" + std::to_string(i), "",
                   cbor::EncodeInteger(run.choices().Below(12, "limits.what"))};
    inputs.push_back(std::move(input));
  }
  run.Feed(std::move(inputs));
}

}  // namespace

Scenario TortureFed() { return {"torture-fed", SetUpFed}; }
Scenario TortureSubmitted() { return {"torture-submitted", SetUpSubmitted}; }
Scenario BudgetRace() { return {"budget-race", SetUpBudget}; }
Scenario Changes() { return {"changes", SetUpChanges}; }
Scenario Shared() { return {"shared", SetUpShared}; }
Scenario Reference() { return {"reference", SetUpReference}; }
Scenario SmallBudget() { return {"small-budget", SetUpSmallBudget}; }
Scenario SmallRaise() { return {"small-raise", SetUpSmallRaise}; }
Scenario SmallScan() { return {"small-scan", SetUpSmallScan}; }
Scenario SmallEffect() { return {"small-effect", SetUpSmallEffect}; }
Scenario SmallLimits() { return {"small-limits", SetUpSmallLimits}; }

std::vector<Scenario> AllScenarios() {
  return {TortureFed(), TortureSubmitted(), BudgetRace(),  Changes(),
          Shared(),     Reference(),        SmallBudget(), SmallRaise(),
          SmallScan(),  SmallEffect(),      SmallLimits()};
}

}  // namespace reenact::harness
