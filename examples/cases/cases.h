// A process log: who did what in which case, and when.
//
//   case      one cell per case: {"events", "last", "activities": {name:
//   count},
//             "first_time", "last_time", "resource_load", "cents"}
//   resource  one cell per person or machine: {"events", "switches",
//             "last_case", "last_time"}
//   activity  one cell per kind of work: {"events"}
//
// One line of the log is an event for its case. The case's step looks at the
// resource's cell, without having declared it, adds to the activity's cell by
// a commutative update, and raises an event for the resource: so the example
// has conflicts, hot counters and derived events in it.

#ifndef REENACT_EXAMPLES_CASES_CASES_H_
#define REENACT_EXAMPLES_CASES_CASES_H_

#include <memory>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact::examples {

// "case.activity" {"activity", "time", "resource"?, "lifecycle"?, "cents"?}.
//
// "resource_load" of its state is how many events the latest resource had
// handled when it came to this case; "cents" is there once an amount was.
class CaseReducer final : public Reducer {
 public:
  std::string_view name() const override { return "case"; }
  absl::Status Step(StepContext& step) const override;
};

// "resource.work" {"case", "time"}. "switches" counts how often it turned from
// one case to another.
class ResourceReducer final : public Reducer {
 public:
  std::string_view name() const override { return "resource"; }
  absl::Status Step(StepContext& step) const override;
};

// Its cells change by updates only; an event for one is refused with
// InvalidArgument.
class ActivityReducer final : public Reducer {
 public:
  std::string_view name() const override { return "activity"; }
  absl::Status Step(StepContext& step) const override;
};

std::vector<std::shared_ptr<const Reducer>> MakeCasesReducers();

// {"case", "activity", "time", "resource"?, "lifecycle"?, "amount"?}: times as
// ParseTime() takes them, the amount a number. The input's time is the row's.
absl::StatusOr<std::vector<Input>> MapCaseRow(const cbor::Value& row);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_CASES_CASES_H_
