#include "examples/counter/counter.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "examples/support/row.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact::examples {

absl::Status Counter::Step(StepContext& step) const {
  std::int64_t count = 0;
  if (const std::optional<BytesView> state = step.state()) {
    REENACT_ASSIGN_OR_RETURN(count, cbor::DecodeInteger(*state));
  }
  const std::int64_t add = cbor::DecodeInteger(step.payload()).value_or(1);
  if (__builtin_add_overflow(count, add, &count)) {
    return absl::OutOfRangeError("the count would leave 64 bits");
  }
  step.SetState(cbor::EncodeInteger(count));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Input>> MapCounterRow(const cbor::Value& row) {
  REENACT_ASSIGN_OR_RETURN(std::string name, RequiredText(row, "counter"));
  REENACT_ASSIGN_OR_RETURN(const std::optional<std::int64_t> add,
                           OptionalInteger(row, "add"));
  Input input;
  input.event = Event{.reducer = "counter",
                      .key = std::move(name),
                      .schema = "counter.add",
                      .payload = cbor::EncodeInteger(add.value_or(1))};
  return std::vector<Input>{std::move(input)};
}

}  // namespace reenact::examples
