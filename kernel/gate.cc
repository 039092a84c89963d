#include "reenact/kernel/gate.h"

namespace reenact {

std::optional<FailureCode> Gate::Check(const StepOutcome& /*outcome*/) const {
  return std::nullopt;
}

}  // namespace reenact
