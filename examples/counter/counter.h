// The smallest example: a number per cell that goes up.

#ifndef REENACT_EXAMPLES_COUNTER_COUNTER_H_
#define REENACT_EXAMPLES_COUNTER_COUNTER_H_

#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact::examples {

// Adds the payload if it is an integer, and 1 if it is anything else.
//
// OutOfRange: the sum would leave 64 bits.
class Counter final : public Reducer {
 public:
  std::string_view name() const override { return "counter"; }
  absl::Status Step(StepContext& step) const override;
};

// {"counter": NAME, "add": N}; without "add" it counts one.
absl::StatusOr<std::vector<Input>> MapCounterRow(const cbor::Value& row);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_COUNTER_COUNTER_H_
