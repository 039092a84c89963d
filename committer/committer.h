// Where order is made: computed steps become history, in ticket order.

#ifndef REENACT_COMMITTER_COMMITTER_H_
#define REENACT_COMMITTER_COMMITTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/committer/cell_invariants.h"
#include "reenact/committer/ledger.h"
#include "reenact/committer/self_check.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "reenact/workers/cells.h"
#include "reenact/workers/slot.h"
#include "reenact/workers/step_run.h"
#include "reenact/workers/window.h"

namespace reenact {

// Makes computed steps part of history, strictly in ticket order. Commit() is
// the heart of a world; its stages, for one ticket:
//
//   validate   what the step read is compared with what is there now; a stale
//              step runs once more, from the state right before its ticket
//   settle     commutative updates are applied to the present state
//   judge      invariants of cells; then the ledger: capabilities, the policy
//              and budgets, or what a control command changes
//   record     StepScheduled and the outcome, and what became of its effects
//   publish    its versions are the committed ones; of a failed step, discarded
//
// Invariants, between calls:
//   (1) every ticket below next() has left exactly one outcome, none above has;
//   (2) what an outcome says does not depend on which worker computed the step,
//       when, or how often: only on the tickets before it.
//
// Thread safety: none; whoever has the ordered role commits, holding
// CellTable::exclusive().
class Committer {
 public:
  // What it works on; all outlive it.
  struct Parts {
    Window* window = nullptr;
    CellTable* cells = nullptr;
    Ledger* ledger = nullptr;
    const StepRules* rules = nullptr;
    const WorldConfig* config = nullptr;
  };
  struct Counts {
    std::uint64_t committed = 0;
    std::uint64_t failed = 0;
    std::uint64_t conflicts = 0;
    std::uint64_t reruns = 0;
    std::map<FailureCode, std::uint64_t> failures;
  };
  struct Result {
    std::optional<FailureCode> failure;  // what the step ended in, if it did
    StepResult* step = nullptr;          // the run of it that counts
    // What its effects came to, for the caller to take and to clear; its
    // entries are recorded. Null: it has no effects and is no command.
    Ledger::Consequences* consequences = nullptr;
  };

  // `next`: the first ticket that will commit.
  Committer(EventId next, const Parts& parts, SelfCheck::Options self_check);

  // Takes the invariants of a reducer table over; see CellInvariants::Set().
  absl::Status SetInvariants(
      const std::vector<std::shared_ptr<const Reducer>>& reducers,
      const CellInvariants::Scan& scan);

  // Commits the step in `slot`, whose turn it is, and appends its entries to
  // `entries`: StepScheduled and the outcome, then those of its effects.
  // REQUIRES: the slot is done, and its ticket is next().
  Result Commit(Slot* slot, Bytes* entries);

  // The ticket whose turn it is.
  EventId next() const { return next_; }
  const Counts& counts() const { return counts_; }
  const SelfCheck::Counts& self_checks() const { return self_check_.counts(); }
  // OK, or FailedPrecondition: a step broke an invariant that halts the world.
  const absl::Status& halt() const { return halt_; }

 private:
  // The stages. Each ticket goes through them, one after the other, so they are
  // part of Commit().
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Validate(Slot* slot);
  bool IsStale(const Slot& slot) const;
  bool WasToldRight(const Ticket& ticket, const StepResult& result) const;
  ABSL_ATTRIBUTE_ALWAYS_INLINE std::optional<FailureCode> Judge(Slot* slot);
  ABSL_ATTRIBUTE_ALWAYS_INLINE std::optional<FailureCode> Settle(
      const Slot& slot);
  std::optional<FailureCode> Gate(const Slot& slot);
  bool BreaksInvariant(const Slot& slot);
  std::optional<Ledger::Refusal> AskLedger(const Slot& slot);
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Record(Slot* slot,
                                           std::optional<FailureCode> failure,
                                           Bytes* entries);
  void RecordRefusal(const Ticket& ticket, FailureCode failure,
                     Bytes* entries) const;
  void RecordConsequences(Bytes* entries) const;
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Publish(Slot* slot);
  void Discard(Slot* slot);
  void CountFailure(FailureCode code);
  void KeepDetail(std::string&& detail);
  void AddSettled(Cell* cell, const Version* version);
  const Version* Present(Cell* cell) const;

  const Parts parts_;
  EventId next_;
  Counts counts_;
  SelfCheck self_check_;
  CellInvariants invariants_;
  absl::Status halt_;
  // Of the step that commits; here for their memory.
  bool asked_gate_ = false;  // there may be consequences
  std::string detail_;       // why the gate refused it
  std::vector<std::pair<Cell*, const Version*>> settled_;
  std::vector<CellInvariants::Change> changes_;
  Ledger::Consequences consequences_;
};

}  // namespace reenact

#endif  // REENACT_COMMITTER_COMMITTER_H_
