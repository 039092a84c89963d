// The world that processes are killed in: torture beside a reducer with
// effects.

#ifndef REENACT_TESTS_CHAOS_CHAOS_WORLD_H_
#define REENACT_TESTS_CHAOS_CHAOS_WORLD_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "tests/support/torture.h"
#include "tests/support/worlds.h"

namespace reenact {

// Wants something done outside at each event, and counts answers.
inline absl::Status AskOutside(StepContext& step) {
  std::int64_t count = 0;
  if (const auto state = step.state()) {
    count = cbor::Value::Parse(*state)->AsInteger().value();
  }
  if (step.event().schema == kAnswerSchema) {
    step.SetState(cbor::EncodeInteger(count + 1));
    return absl::OkStatus();
  }
  EffectIntent intent;
  intent.kind = "outside";
  intent.capability = "g";
  intent.reserve = Amounts({{"calls", 1}});
  intent.params = cbor::Value::Map({{"n", cbor::Value(count)}}).Encode();
  step.Intend(intent);
  step.SetState(cbor::EncodeInteger(count));
  return absl::OkStatus();
}

inline GrantChange ChaosGrant() {
  GrantChange change;
  change.grant.name = "g";
  change.grant.limit = Amounts({{"calls", 1'000'000}});
  return change;
}

inline std::vector<Module> ChaosModules() {
  std::vector<Module> modules;
  modules.push_back(MakeTortureModule());
  modules.push_back(
      MakeModule("outside", "1", {MakeReducer("asker", AskOutside)}).value());
  return modules;
}

inline WorldOptions ChaosOptions(std::uint64_t seed, std::string path) {
  WorldOptions options;
  options.path = std::move(path);
  options.modules = ChaosModules();
  options.config = TortureConfig(seed);
  options.config.clock = ClockKind::kRounds;
  options.config.scheduling.round_limit = 8;
  options.config.snapshot_every = 5;
  return options;
}

// Every eighth asks for something outside.
inline std::vector<Input> ChaosInputs(std::uint64_t seed, std::uint64_t count) {
  std::vector<Input> inputs = TortureInputs({seed, count, 10});
  for (std::size_t i = 3; i < inputs.size(); i += 8) {
    inputs[i].event = {"asker", "k" + std::to_string(i % 5), "",
                       cbor::EncodeInteger(static_cast<std::int64_t>(i))};
  }
  return inputs;
}

}  // namespace reenact

#endif  // REENACT_TESTS_CHAOS_CHAOS_WORLD_H_
