// The ordered role of a world, and the threads that take it.

#ifndef REENACT_WORLD_PIPELINE_H_
#define REENACT_WORLD_PIPELINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "reenact/base/mutex.h"
#include "reenact/base/status.h"
#include "reenact/journal/writer.h"
#include "reenact/workers/pool.h"
#include "reenact/workers/slot.h"
#include "reenact/workers/throttle.h"
#include "reenact/world/inline_writes.h"
#include "reenact/world/parts.h"
#include "reenact/world/rounds.h"

namespace reenact {

// One role, that any of a pool's threads takes with a try-lock, does all that
// has an order. Everything else that a thread does is to run steps. Order() is
// one turn of the role, against the flow of data, so that what has finished
// makes room before more is begun:
//
//   commit     steps that are done become history, in ticket order
//   write      finished rounds go to the journal's writer
//   choose     how many threads run steps
//   issue      tickets go to the window, and threads are woken
//   compose    the next round is pulled, and composed if it may be
//
// Thread safety: Work(), Finished() and caught_up() from any thread; the rest
// from the one that drives the world.
class Pipeline final : private Crew {
 public:
  // `parts` is open and outlives it.
  explicit Pipeline(WorldParts* parts) : parts_(*parts), rounds_(parts) {}

  // Works until there is nothing to do, or the world has failed.
  absl::Status Drive();
  // Whether all rounds that were finished are written.
  bool caught_up() const {
    return parts_.writer->written().value >= handed_over_.load();
  }

 private:
  // Crew.
  bool Work(std::size_t worker) override;
  bool Finished() override;
  std::size_t Choices() override;
  void Choose(std::size_t index) override;

  // The logical time of a round that would begin now. The pool has let go of
  // the role by then, which the analysis cannot see.
  LogicalTime NextTime() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  bool TryOrder();
  bool OrderOrFail() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool Order() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool RunSomeOrFail(std::size_t worker);

  bool CommitSteps() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool CommitDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool RunInOrder() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void CommitSlot(Slot* slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void FailAsImpure(const Ticket& ticket, const StepResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void TakeRaised(EventId by, StepResult& step, RoundInFlight& round)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void TakeConsequences(Ledger::Consequences* consequences,
                        RoundInFlight& round)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void CommitControl(Slot* slot, RoundInFlight& round)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool ReadersWait() const {
    return parts_.cells->readers_waiting()->load(std::memory_order_relaxed) > 0;
  }
  // Lets go of CellTable::exclusive() for a moment, which the analysis cannot
  // see.
  void LetReadersIn() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  bool WriteFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool ShouldWriteInline(const FinishedRound& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void WriteInline(std::unique_ptr<FinishedRound> record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);

  Throttle::Seen Seen() const;
  void ChooseThreads() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool IssueTickets() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  void FillTicket(RoundInFlight& round) ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);
  bool IssueAndCompose() ABSL_EXCLUSIVE_LOCKS_REQUIRED(role_);

  WorldParts& parts_;
  // The ordered role. What it guards here the compiler checks; that of the
  // world's parts, no declaration says.
  Mutex role_;
  std::atomic<bool> look_again_{false};        // somebody found the role taken
  std::atomic<std::uint64_t> handed_over_{0};  // the last ticket
  Rounds rounds_ ABSL_GUARDED_BY(role_);
  InlineWrites inline_writes_ ABSL_GUARDED_BY(role_);
};

}  // namespace reenact

#endif  // REENACT_WORLD_PIPELINE_H_
