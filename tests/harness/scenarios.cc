#include "tests/harness/scenarios.h"

#include <memory>
#include <string>
#include <utility>

#include "reenact/kernel/answer.h"
#include "reenact/kernel/cbor.h"
#include "reenact/kernel/cbor_value.h"
#include "reenact/kernel/grants.h"
#include "tests/support/torture.h"

namespace reenact::harness {

namespace {

std::vector<Input> DrawTorture(Case& run) {
  run.UseModule(MakeTortureModule());
  const std::uint32_t seed = run.choices().Below(1000, "torture.seed");
  run.config() = TortureConfig(seed);
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

// --- budgets
// --------------------------------------------------------------------

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

void SetUpBudget(Case& run) {
  run.UseModule(*MakeModule("spender", "1", {MakeSpender()}));
  run.BeforeAll([](World& world) {
    return world.ChangeGrant(Change(GrantChange::Op::kCreate, kLimit))
        .status();
  });
  run.AnswerEffects([](const OpenEffect& effect, Choices& choices) {
    Receipt receipt;
    if (choices.OneIn(3, "budget.fails")) receipt.status = ReceiptStatus::kError;
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
  run.AddInvariant("budgets add up", AddsUp);
}

// --- the reference
// --------------------------------------------------------------

void SetUpReference(Case& run) {
  run.UseModule(*MakeModule(
      "adder", "1", {MakeReducer("adder", [](StepContext& step) {
        // Reads a cell that it does not declare.
        const auto common = step.Read("adder", "common");
        cbor::Reader reader(common.value_or(cbor::EncodeInteger(0)));
        const std::int64_t now = reader.Integer();
        if (step.key() != "a") {
          step.Write("adder", "common", cbor::EncodeInteger(now + 1));
        }
        step.SetState(cbor::EncodeInteger(now));
        return absl::OkStatus();
      })}));
  std::vector<Input> inputs;
  for (const char* key : {"a", "b", "c"}) {
    Input input;
    input.event = {"adder", key, "", cbor::EncodeInteger(1)};
    inputs.push_back(std::move(input));
  }
  run.Feed(std::move(inputs));
}

}  // namespace

Scenario TortureFed() { return {"torture-fed", SetUpFed}; }
Scenario TortureSubmitted() { return {"torture-submitted", SetUpSubmitted}; }
Scenario BudgetRace() { return {"budget-race", SetUpBudget}; }
Scenario Reference() { return {"reference", SetUpReference}; }

std::vector<Scenario> AllScenarios() {
  return {TortureFed(), TortureSubmitted(), BudgetRace(), Reference()};
}

}  // namespace reenact::harness
