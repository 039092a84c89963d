// A journey booked in three steps at three services, or not at all: if one says
// no, what was booked before is cancelled, the last first. If one does not
// answer, answers half, or says 5xx, nobody knows whether it has booked, so
// that is cancelled, too; a service that has nothing to cancel says 404 or 410.
//
//   reenact run --module saga --world w --events trips.jsonl --with-executors
//
// A row is {"trip": "rome-1", "service": "http://127.0.0.1:8080"}. The service
// gets POST /flight, /hotel and /car, and POST /flight/cancel and so on where
// it comes to that, each with an Idempotency-Key.

#ifndef REENACT_EXAMPLES_SAGA_SAGA_H_
#define REENACT_EXAMPLES_SAGA_SAGA_H_

#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact::examples {

// A trip, by name. State: {"service", "state": "booking" | "booked" |
// "cancelling" | "cancelled" | "stuck", "booked": [names], "why"}. A
// cancellation that fails is asked for again, up to five times; then the trip
// is stuck, and a person has to look.
class Trip final : public Reducer {
 public:
  std::string_view name() const override { return "trip"; }
  absl::Status Step(StepContext& step) const override;
};

absl::StatusOr<std::vector<Input>> MapSagaRow(const cbor::Value& row);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_SAGA_SAGA_H_
