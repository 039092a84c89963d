#ifndef REENACT_KERNEL_GATE_H_
#define REENACT_KERNEL_GATE_H_

#include <optional>

#include "reenact/kernel/outcome.h"

namespace reenact {

// The one check of what a step may do, made at commit against the state right
// before its ticket: the place of capabilities, policies, budgets and
// invariants. There are none yet, so it lets everything pass.
//
// Thread safety: none; the committer owns it.
class Gate {
 public:
  // Nullopt: the step may commit. A code: it fails with it.
  std::optional<FailureCode> Check(const StepOutcome& outcome) const;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_GATE_H_
