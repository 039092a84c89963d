// Does what nobody else can read, or wait for, by what it should add.

#include <memory>
#include <string>
#include <utility>

#include "examples/counter/counter.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/module.h"

namespace reenact::tests {
namespace {

class Reaching final : public Reducer {
 public:
  std::string_view name() const override { return "counter"; }

  absl::Status Step(StepContext& step) const override {
    const std::int64_t add = cbor::DecodeInteger(step.payload()).value_or(0);
    if (add % 4 == 1) {  // in a cell of a snapshot it is one level deeper
      step.SetState(Bytes(63, '\x81') + '\x80');
    } else if (add % 4 == 2) {
      EffectIntent intent;
      intent.kind = "call";
      intent.params = cbor::EncodeInteger(1);
      intent.reserve.Set("", 1);
      step.Intend(std::move(intent));
    } else if (add % 4 == 3) {
      step.RaiseAt(
          LogicalTime{10'000'000'000 * add},
          {"counter", std::string(step.key()), "", cbor::EncodeInteger(0)});
    }
    return absl::OkStatus();
  }
};

}  // namespace
}  // namespace reenact::tests

REENACT_MODULE(registry) {
  registry.SetName("counter", "1.0.0");
  registry.AddReducer(std::make_shared<reenact::tests::Reaching>());
  registry.SetInputMapper(reenact::examples::MapCounterRow);
}
