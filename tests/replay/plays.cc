#include "tests/replay/plays.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "examples/bank/bank.h"
#include "examples/bank/generate.h"
#include "examples/cases/cases.h"
#include "examples/counter/counter.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/torture.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using cbor::Value;

// What the sample of the example consists of.
Value ToValue(const nlohmann::json& json) {
  if (json.is_string()) return Value(json.get<std::string>());
  if (json.is_number_integer()) return Value(json.get<std::int64_t>());
  if (json.is_number()) return Value(json.get<double>());
  REQUIRE(json.is_object());
  Value map = Value::Map();
  for (const auto& [name, member] : json.items()) {
    map.Set(Value(name), ToValue(member));
  }
  return map;
}

void UseSmallRounds(WorldConfig* config) {
  config->scheduling.round_limit = 6;
  config->snapshot_every = 3;
}

}  // namespace

Play CounterPlay(std::size_t size) {
  Play play{"counter", {std::make_shared<examples::Counter>()}, {}, {}};
  UseSmallRounds(&play.config);
  Dice dice(11);
  for (std::size_t i = 0; i < size; ++i) {
    Input input;
    const auto add = static_cast<std::int64_t>(dice.Below(9)) - 4;
    input.event = {"counter", "c" + std::to_string(dice.Below(4)), "",
                   cbor::EncodeInteger(add)};
    play.inputs.push_back(std::move(input));
  }
  return play;
}

Play BankPlay(const std::string& variant, std::size_t size) {
  examples::BankWorkload workload;
  workload.variant = examples::ParseBankVariant(variant).value();
  workload.accounts = 5;
  workload.transfers = size;
  workload.opening = 60;
  workload.seed = 7;
  Play play{"bank",
            examples::MakeBankReducers(),
            {},
            examples::GenerateInputs(workload)};
  UseSmallRounds(&play.config);
  return play;
}

Play CasesPlay(std::size_t size) {
  Play play{"cases", examples::MakeCasesReducers(), {}, {}};
  UseSmallRounds(&play.config);
  play.config.clock = ClockKind::kInput;
  std::ifstream file(REENACT_SOURCE_DIR "/examples/cases/sample.jsonl");
  REQUIRE(file.is_open());
  for (std::string line; size > 0 && std::getline(file, line); --size) {
    const auto mapped =
        examples::MapCaseRow(ToValue(nlohmann::json::parse(line)));
    REQUIRE_OK(mapped);
    play.inputs.insert(play.inputs.end(), mapped->begin(), mapped->end());
  }
  return play;
}

Play TorturePlay(std::uint64_t seed, std::size_t size) {
  Play play{"torture", MakeTortureReducers(), TortureConfig(seed),
            TortureInputs({seed, size, 2 + seed % 12})};
  play.config.snapshot_every = 4;
  return play;
}

namespace {

// Orders one of three things, or gives up all that its cell has ordered; counts
// what it is told.
absl::Status Order(StepContext& step) {
  const std::int64_t told =
      step.state() ? cbor::DecodeInteger(*step.state()).value_or(0) : 0;
  if (step.event().schema == kAnswerSchema) {
    step.SetState(cbor::EncodeInteger(told + 1));
    return absl::OkStatus();
  }
  const std::int64_t what = cbor::DecodeInteger(step.payload()).value_or(0);
  EffectIntent intent;
  intent.kind = "order";
  intent.identity = "order " + std::to_string(what % 3);
  intent.params = cbor::EncodeInteger(what == 13 ? 1 : 0);
  if (what % 2 == 0)
    intent.deadline = LogicalTime{step.time().value + what % 5};
  if (what % 4 != 0) {
    intent.retry.attempts = static_cast<std::uint64_t>(what % 4);
    intent.retry.for_ms = 60'000;
  }
  step.Intend(std::move(intent));
  if (what % 7 == 0) {
    EffectIntent cancel;
    cancel.kind = "effect.cancel";
    cancel.params = Value::Map({{"all", true}}).Encode();
    step.Intend(std::move(cancel));
  }
  return absl::OkStatus();
}

}  // namespace

Play OrdersPlay(std::size_t size) {
  Play play{"orders", {MakeReducer("orders", Order)}, {}, {}};
  UseSmallRounds(&play.config);
  for (std::size_t i = 0; i < size; ++i) {
    play.inputs.push_back(
        InputFor("orders", "c" + std::to_string(i % 5),
                 cbor::EncodeInteger(static_cast<std::int64_t>(i))));
  }
  return play;
}

std::vector<Play> AllPlays(std::size_t size) {
  return {CounterPlay(size),
          BankPlay("declared", size),
          BankPlay("undeclared", size),
          BankPlay("events", size),
          CasesPlay(size),
          OrdersPlay(size),
          TorturePlay(1, size),
          TorturePlay(2, size),
          TorturePlay(5, size)};
}

Input InputFor(std::string reducer, std::string key, Bytes payload) {
  Input input;
  input.event = {std::move(reducer), std::move(key), "", std::move(payload)};
  return input;
}

Module ModuleOf(const Play& play) {
  auto module = MakeModule(play.name, "1", play.reducers);
  REQUIRE_OK(module);
  return *std::move(module);
}

WorldOptions OptionsOf(const Play& play, const std::string& path) {
  WorldOptions options;
  options.path = path;
  options.config = play.config;
  if (options.config.world_id.empty()) SetIdentity(0, options.config);
  options.modules.push_back(ModuleOf(play));
  return options;
}

WorldStats RunPlay(const Play& play, const std::string& path,
                   std::size_t workers) {
  WorldOptions options = OptionsOf(play, path);
  options.workers = workers;
  const auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  InputList source(play.inputs);
  REQUIRE_OK((*world)->Feed(source));
  const WorldStats stats = (*world)->stats();
  REQUIRE_OK((*world)->Close());
  return stats;
}

}  // namespace reenact
