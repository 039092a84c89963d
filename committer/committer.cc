#include "reenact/committer/committer.h"

#include "reenact/committer/invariants.h"
#include "reenact/kernel/check.h"

namespace reenact {

std::optional<FailureCode> Committer::Commit(PendingStep& step,
                                             Bytes* entries) {
  REENACT_CHECK(step.event_id() == next_);
  if (step.IsStale()) {
    ++counts_.conflicts;
    ++counts_.reruns;
    step.RunAgain();
    REENACT_CHECK(!step.IsStale());
  }
  const std::optional<FailureCode> failure = Judge(step);
  const std::size_t before = entries->size();
  step.AppendEntries(failure, entries);
  if (failure) {
    step.Discard();
    ++counts_.failed;
    ++counts_.failures[*failure];
  } else {
    step.Publish();
    ++counts_.committed;
  }
  CheckOutcome(step.event_id(), failure, BytesView(*entries).substr(before));
  next_ = next_.Next();
  return failure;
}

std::optional<FailureCode> Committer::Judge(PendingStep& step) const {
  if (step.outcome().failure) return step.outcome().failure;
  if (const auto refused = gate_.Check(step.outcome())) return refused;
  return step.Settle();
}

}  // namespace reenact
