#ifndef REENACT_TESTS_MODULES_COUNTER_LIKE_H_
#define REENACT_TESTS_MODULES_COUNTER_LIKE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "examples/counter/counter.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/module.h"

namespace reenact::tests {

// What a counter's state becomes, given what it was and what to add.
using Arithmetic =
    std::function<std::int64_t(std::int64_t before, std::int64_t add)>;

// A counter, but for its arithmetic.
class CounterLike final : public Reducer {
 public:
  explicit CounterLike(Arithmetic arithmetic)
      : arithmetic_(std::move(arithmetic)) {}

  std::string_view name() const override { return "counter"; }

  absl::Status Step(StepContext& step) const override {
    std::int64_t before = 0;
    if (const std::optional<BytesView> state = step.state()) {
      REENACT_ASSIGN_OR_RETURN(before, cbor::DecodeInteger(*state));
    }
    const std::int64_t add = cbor::DecodeInteger(step.payload()).value_or(1);
    step.SetState(cbor::EncodeInteger(arithmetic_(before, add)));
    return absl::OkStatus();
  }

 private:
  const Arithmetic arithmetic_;
};

// Registers what the counter example registers, with another arithmetic.
inline void RegisterCounterLike(ModuleRegistry& registry,
                                Arithmetic arithmetic) {
  registry.SetName("counter", "1.0.0");
  registry.AddReducer(std::make_shared<CounterLike>(std::move(arithmetic)));
  registry.SetInputMapper(examples::MapCounterRow);
}

}  // namespace reenact::tests

#endif  // REENACT_TESTS_MODULES_COUNTER_LIKE_H_
