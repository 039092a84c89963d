#include "tests/support/torture.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/hash.h"
#include "tests/support/worlds.h"

namespace reenact {

namespace {

using cbor::Value;

constexpr const char* kNames[] = {"t.a", "t.b", "t.c"};

std::string KeyOf(std::uint64_t number) { return "k" + std::to_string(number); }

// What a step carries from one thing that it does to the next.
class Torture {
 public:
  Torture(StepContext& step, const Value& payload)
      : step_(step),
        payload_(payload),
        ttl_(payload.GetInteger("ttl").value_or(0)),
        keys_(static_cast<std::uint64_t>(
            payload.GetInteger("keys").value_or(1))) {
    Mix(step.payload());
  }

  absl::Status Run() {
    const std::uint64_t count = 1 + step_.rng().Below(6);
    for (std::uint64_t i = 0; i < count; ++i) {
      const absl::Status status = Act((step_.rng().Next() ^ mixed_) % 32);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Act(std::uint64_t choice) {
    switch (choice) {
      case 0:
      case 1:
      case 2:
        Look(step_.state());
        step_.SetState(Something());
        return absl::OkStatus();
      case 3:
      case 4:
        Look(ReadSome());
        return absl::OkStatus();
      case 5:
      case 6:
      case 7:
        WriteSome(Something());
        return absl::OkStatus();
      case 8:
        DeleteSome();
        return absl::OkStatus();
      case 9:
        step_.DeleteState();
        return absl::OkStatus();
      case 10:
      case 11:
        LookAround();
        return absl::OkStatus();
      case 12:
      case 13:
      case 14:
      case 15:
        ApplyTo(SomeUpdate());
        return absl::OkStatus();
      case 16:
      case 17:
      case 18:
        if (ttl_ > 0) step_.Raise(Child());
        return absl::OkStatus();
      case 19:
        if (ttl_ > 0) {
          const auto in = static_cast<std::int64_t>(step_.rng().Below(6)) - 1;
          step_.RaiseAt(LogicalTime{step_.time().value + in}, Child());
        }
        return absl::OkStatus();
      case 20:
        step_.Intend({"outside", "", Something(), "once"});
        return absl::OkStatus();
      case 21:
      case 22:
      case 23:
      case 24:
      case 25:
      case 26:
        VisitDeclared();
        return absl::OkStatus();
      default:
        return Misbehave(step_.rng().Below(24));
    }
  }

  absl::Status Misbehave(std::uint64_t how) {
    switch (how) {
      case 0:
        return absl::FailedPreconditionError("because of what it saw");
      case 1:
        throw std::runtime_error("because of what it saw");
      case 2:
        step_.UseFuel(100'000'000);
        return absl::OkStatus();
      case 3:
        step_.SetState("\xff");
        return absl::OkStatus();
      case 4:
        step_.Read("t.none", Key());
        return absl::OkStatus();
      case 5:
        WriteTo("\xff", Something());
        return absl::OkStatus();
      case 6:
        for (int i = 0; i < 9; ++i) step_.Intend({"much", "", "\x01", ""});
        return absl::OkStatus();
      case 7:
        WriteSome(cbor::EncodeText(std::string(600, 'x')));
        return absl::OkStatus();
      default:
        return absl::OkStatus();
    }
  }

  // Each draws in a statement of its own: in which order the arguments of a
  // call are computed is up to the compiler. Golden worlds have the order in
  // which g++ does it, the last one first.
  std::optional<BytesView> ReadSome() {
    const std::string key = Key();
    return step_.Read(Reducer(), key);
  }
  void WriteSome(const Bytes& state) { WriteTo(Key(), state); }
  void WriteTo(const std::string& key, const Bytes& state) {
    step_.Write(Reducer(), key, state);
  }
  void DeleteSome() {
    const std::string key = Key();
    step_.Delete(Reducer(), key);
  }
  void ApplyTo(const Update& update) {
    const std::string key = Key();
    step_.Apply(Reducer(), key, update);
  }

  void VisitDeclared() {
    const Value* declared = payload_.Find("declared");
    if (declared == nullptr) return;
    for (const Value& cell : declared->items()) {
      const std::string reducer(cell.GetText("reducer").value());
      const std::string key(cell.GetText("key").value());
      Look(step_.Read(reducer, key));
      if (cell.GetInteger("write").value() != 0) {
        step_.Write(reducer, key, Something());
      }
    }
  }

  void LookAround() {
    const std::string from = Key();
    const std::string to = step_.rng().Chance(1, 3) ? "" : Key();
    const std::uint64_t most = step_.rng().Below(6);
    for (const auto& [key, state] : step_.Scan(Reducer(), from, to, most)) {
      Mix(key);
      Mix(state);
    }
  }

  void Look(std::optional<BytesView> state) { Mix(state.value_or("\xf6")); }

  void Mix(BytesView bytes) {
    const Digest digest = Hasher().AddU64(mixed_).Add(bytes).Finish();
    mixed_ = 0;
    for (int i = 0; i < 8; ++i) mixed_ = mixed_ << 8 | digest.bytes[i];
  }

  std::string Reducer() { return kNames[step_.rng().Below(3)]; }
  std::string Key() { return KeyOf(step_.rng().Below(keys_)); }

  // A state of one of the kinds that updates know, holding what was seen.
  Bytes Something() {
    const auto number = static_cast<std::int64_t>(mixed_ % 1000);
    switch (step_.rng().Below(4)) {
      case 0:
        return Value::Array({Value(number)}).Encode();
      case 1:
        return Value::Map({{"n", Value(number)}, {"list", Value::Array()}})
            .Encode();
      default:
        return cbor::EncodeInteger(number);
    }
  }

  Update SomeUpdate() {
    Update update;
    update.op = static_cast<Update::Op>(step_.rng().Below(5));
    if (step_.rng().Chance(1, 3)) {
      update.field = update.op < Update::Op::kUnion ? "n" : "list";
    }
    if (update.op >= Update::Op::kUnion) {
      update.item = cbor::EncodeInteger(step_.rng().Between(0, 5));
    } else {
      update.number = step_.rng().Between(-300, 300);
    }
    if (update.op == Update::Op::kAdd && step_.rng().Chance(1, 2)) {
      update.low = -500;
      update.high = 500;
    }
    return update;
  }

  Event Child() {
    Value payload =
        Value::Map({{"ttl", Value(ttl_ - 1)},
                    {"keys", Value(keys_)},
                    {"salt", Value(static_cast<std::int64_t>(mixed_ >> 1))}});
    return {Reducer(), Key(), "child", payload.Encode()};
  }

  StepContext& step_;
  const Value& payload_;
  const std::int64_t ttl_;
  const std::uint64_t keys_;
  std::uint64_t mixed_ = 0;
};

absl::Status Step(StepContext& step) {
  const absl::StatusOr<Value> payload = Value::Parse(step.payload());
  if (!payload.ok()) return payload.status();
  return Torture(step, *payload).Run();
}

void Touch(const EventView& event, TouchSet& touches) {
  const absl::StatusOr<Value> payload = Value::Parse(event.payload);
  const Value* declared = payload.ok() ? payload->Find("declared") : nullptr;
  if (declared == nullptr) return;
  for (const Value& cell : declared->items()) {
    const std::string reducer(cell.GetText("reducer").value());
    const std::string key(cell.GetText("key").value());
    if (cell.GetInteger("write").value() != 0) {
      touches.Writes(reducer, key);
    } else {
      touches.Reads(reducer, key);
    }
  }
}

}  // namespace

std::vector<std::shared_ptr<const Reducer>> MakeTortureReducers() {
  std::vector<std::shared_ptr<const Reducer>> reducers;
  for (const char* name : kNames) {
    reducers.push_back(MakeReducer(name, Step, Touch));
  }
  return reducers;
}

Module MakeTortureModule() {
  return MakeModule("torture", "1", MakeTortureReducers()).value();
}

std::vector<Input> TortureInputs(const TortureWorkload& workload) {
  Dice dice(workload.seed);
  std::vector<Input> inputs;
  std::int64_t time = 0;
  for (std::uint64_t i = 0; i < workload.inputs; ++i) {
    std::vector<Value> declared;
    for (std::uint64_t n = dice.Below(4); n > 0; --n) {
      declared.push_back(Value::Map(
          {{"reducer", kNames[dice.Below(3)]},
           {"key", KeyOf(dice.Below(workload.keys))},
           {"write", Value(static_cast<std::int64_t>(dice.Below(2)))}}));
    }
    Value payload =
        Value::Map({{"ttl", Value(static_cast<std::int64_t>(dice.Below(4)))},
                    {"keys", Value(workload.keys)},
                    {"salt", Value(static_cast<std::int64_t>(i))},
                    {"declared", Value::Array(std::move(declared))}});
    Input input;
    input.event = {kNames[dice.Below(3)], KeyOf(dice.Below(workload.keys)),
                   dice.Below(2) == 0 ? "" : "torture", payload.Encode()};
    input.priority = static_cast<std::uint8_t>(dice.Below(kPriorities));
    if (dice.Below(3) == 0) {
      input.submission_id = "id" + std::to_string(dice.Below(50));
    }
    time += static_cast<std::int64_t>(dice.Below(3));
    input.time = LogicalTime{time};
    inputs.push_back(std::move(input));
  }
  return inputs;
}

WorldConfig TortureConfig(std::uint64_t seed) {
  Dice dice(seed ^ 0x7042);
  WorldConfig config;
  SetIdentity(seed, config);
  config.clock = dice.Below(2) == 0 ? ClockKind::kRounds : ClockKind::kInput;
  config.limits.output_bytes_max = 500;
  config.limits.events_max = 3;
  config.limits.effects_max = 8;
  config.limits.fuel_max = 40;
  config.limits.key_bytes_max = 16;
  Scheduling& rules = config.scheduling;
  rules.round_limit = 1 + dice.Below(64);
  rules.pipeline_depth = 1 + dice.Below(4);
  rules.entity_round_limit = 1 + dice.Below(8);
  rules.entity_quantum = 1 + dice.Below(4);
  for (auto& quantum : rules.class_quantum) quantum = 1 + dice.Below(8);
  rules.aging_tickets = 1 + dice.Below(200);
  rules.backlog_limit = 1 + dice.Below(100);
  rules.dedupe_horizon = dice.Below(30);
  if (dice.Below(2) == 0) config.snapshot_every = 1 + dice.Below(8);
  return config;
}

}  // namespace reenact
