// Where order is made: computed steps become history, in ticket order.

#ifndef REENACT_COMMITTER_COMMITTER_H_
#define REENACT_COMMITTER_COMMITTER_H_

#include <cstdint>
#include <map>
#include <optional>

#include "reenact/base/bytes.h"
#include "reenact/base/check.h"
#include "reenact/committer/invariants.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"

namespace reenact {

// A step that was computed and is not part of history yet, as the committer
// sees it. The multi-version state behind it is not the committer's affair.
class PendingStep {
 public:
  virtual EventId event_id() const = 0;

  // Whether something that the step read has changed since.
  virtual bool IsStale() const = 0;
  // Computes it again from the state right before its ticket. It is not stale
  // afterwards.
  virtual void RunAgain() = 0;

  virtual const StepOutcome& outcome() const = 0;

  // Works the step's commutative updates out against the present state: a code
  // if one cannot be applied.
  virtual std::optional<FailureCode> Settle() = 0;
  // Asks whether it may commit: capabilities, policies, budgets and invariants
  // against the state right before its ticket. A code: it fails with it, and
  // nothing was reserved. Called once, after Settle(), if nothing else fails
  // it.
  virtual std::optional<FailureCode> Gate() = 0;
  // Makes its changes the committed ones. REQUIRES: Gate() let it pass.
  virtual void Publish() = 0;
  // Drops its changes.
  virtual void Discard() = 0;

  // Appends StepScheduled and the outcome's entry: the step's own, or
  // StepFailed with `failure`.
  virtual void AppendEntries(std::optional<FailureCode> failure,
                             Bytes* entries) const = 0;

 protected:
  ~PendingStep() = default;
};

// Makes computed steps part of history, strictly in ticket order.
//
// Invariants, between calls:
//   (1) every ticket below next() has left exactly one outcome, none above has;
//   (2) what an outcome says does not depend on which worker computed the step,
//       when, or how often: only on the tickets before it.
//
// Thread safety: none; whoever has the ordered role commits.
class Committer {
 public:
  struct Counts {
    std::uint64_t committed = 0;
    std::uint64_t failed = 0;
    std::uint64_t conflicts = 0;
    std::uint64_t reruns = 0;
    std::map<FailureCode, std::uint64_t> failures;
  };

  explicit Committer(EventId next) : next_(next) {}

  // Commits `step`, whose turn it is: validates what it read, runs it once more
  // if that is stale, asks the gate, and appends its entries to `entries`.
  // Returns the failure it ended in, if it did.
  //
  // A template, so that a final class is not called through its table: this is
  // the one thing that happens to every ticket one after the other.
  //
  // REQUIRES: step.event_id() == next(); Step is a PendingStep.
  template <typename Step>
  std::optional<FailureCode> Commit(Step& step, Bytes* entries);

  // The ticket whose turn it is.
  EventId next() const { return next_; }
  const Counts& counts() const { return counts_; }

 private:
  template <typename Step>
  std::optional<FailureCode> Judge(Step& step) const;
  void CountFailure(FailureCode code);

  EventId next_;
  Counts counts_;
};

template <typename Step>
std::optional<FailureCode> Committer::Commit(Step& step, Bytes* entries) {
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
    CountFailure(*failure);
  } else {
    step.Publish();
    ++counts_.committed;
  }
  CheckOutcome(step.event_id(), failure, BytesView(*entries).substr(before));
  next_ = next_.Next();
  return failure;
}

template <typename Step>
std::optional<FailureCode> Committer::Judge(Step& step) const {
  if (step.outcome().failure) return step.outcome().failure;
  if (const auto unsettled = step.Settle()) return unsettled;
  return step.Gate();
}

}  // namespace reenact

#endif  // REENACT_COMMITTER_COMMITTER_H_
