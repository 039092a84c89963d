// The ordered role of a world, and the threads that take it.

#ifndef REENACT_WORLD_PIPELINE_H_
#define REENACT_WORLD_PIPELINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

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

  bool TryOrder();
  bool OrderOrFail();
  bool Order();
  bool RunSomeOrFail(std::size_t worker);

  bool CommitSteps();
  bool CommitDone();
  bool RunInOrder();
  void CommitSlot(Slot* slot);
  void FailAsImpure(const Ticket& ticket, const StepResult& result);
  void TakeRaised(EventId by, StepResult& step, RoundInFlight& round);
  void TakeConsequences(Ledger::Consequences* consequences,
                        RoundInFlight& round);
  void CommitControl(Slot* slot, RoundInFlight& round);
  bool ReadersWait() const {
    return parts_.cells->readers_waiting()->load(std::memory_order_relaxed) > 0;
  }
  // Lets go of CellTable::exclusive() for a moment, which the analysis cannot
  // see.
  void LetReadersIn() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  bool WriteFinished();
  bool ShouldWriteInline(const FinishedRound& record);
  void WriteInline(std::unique_ptr<FinishedRound> record);

  Throttle::Seen Seen() const;
  void ChooseThreads();
  bool IssueTickets();
  void FillTicket(RoundInFlight& round);
  bool IssueAndCompose();

  WorldParts& parts_;
  Mutex role_;
  std::atomic<bool> look_again_{false};        // somebody found the role taken
  std::atomic<std::uint64_t> handed_over_{0};  // the last ticket
  // The role's own.
  Rounds rounds_;
  InlineWrites inline_writes_;
};

}  // namespace reenact

#endif  // REENACT_WORLD_PIPELINE_H_
