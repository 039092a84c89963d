#include "reenact/kernel/reducer.h"

class Counter final : public reenact::Reducer {
 public:
  std::string_view name() const override { return "counter"; }
#ifdef MISUSE
  // Several threads run one reducer, so it has no state to change.
  absl::Status Step(reenact::StepContext&) { return absl::OkStatus(); }
#else
  absl::Status Step(reenact::StepContext&) const override {
    return absl::OkStatus();
  }
#endif
};

Counter counter;
