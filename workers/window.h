// The tickets in flight: issued in order, run in any order that their declared
// touches allow, taken out in order.
//
// A ring of twice as many slots as there may be tickets in flight, so that no
// thread can still be looking at a slot when it is used again: a ticket is
// issued only while it is at most `size` above the last committed one, and a
// slot is used again 2 * size tickets later.

#ifndef REENACT_WORKERS_WINDOW_H_
#define REENACT_WORKERS_WINDOW_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "reenact/kernel/ids.h"
#include "reenact/workers/cells.h"
#include "reenact/workers/slot.h"
#include "reenact/workers/step_run.h"

namespace reenact {

// Thread safety: RunSome() and RunReady() as said there; everything else
// belongs to whoever has the ordered role.
class Window {
 public:
  // Appends a result as entries, on the thread that ran the step. What runs in
  // its turn is left to whoever commits it at once, and knows where the entries
  // go.
  using Encode = std::function<void(const Slot& slot, const StepResult& result,
                                    Bytes* out)>;

  struct Options {
    std::size_t size = 256;   // a power of two
    std::size_t workers = 1;  // threads that may call RunSome()
    bool run_twice = false;
    StepObserver* observer = nullptr;
  };

  // All outlive the window. `committed` is the last ticket before the first
  // that will be issued.
  Window(CellTable* cells, const StepRules* rules, Encode encode,
         EventId committed, const Options& options);
  ~Window();

  // --- the ordered role ------------------------------------------------------

  EventId committed() const {
    return EventId{committed_.load(std::memory_order_relaxed)};
  }
  EventId issued() const {
    return EventId{issued_.load(std::memory_order_relaxed)};
  }
  bool HasRoom() const { return issued().value - committed().value < limit_; }
  // Lets at most `limit` tickets be in flight from now on: fewer of them guess
  // wrong where many read what others write without saying so. REQUIRES: limit
  // is in [1, Options::size].
  void SetLimit(std::size_t limit) { limit_ = limit; }
  std::size_t limit() const { return limit_; }
  std::size_t size() const { return size_; }

  // Where the next ticket goes, for the caller to fill in. REQUIRES: HasRoom().
  Ticket* NextTicket() { return &At(issued().value + 1).ticket; }
  // Issues it. REQUIRES: HasRoom(); the ticket is filled in and follows
  // issued(). `serial`: nothing is in flight and nobody else runs steps; the
  // caller runs it with RunInTurn() at once.
  Slot* Issue(bool serial);

  // The slot whose turn it is, or nullptr if none is in flight.
  Slot* Next();

  // Runs the step whose turn it is, holding Exclusive().
  void RunInTurn(Slot* slot);
  // Runs it again: what it read was stale.
  void RunAgain(Slot* slot);

  // Runs a step whose turn it is once more, by the ordered role whoever ran it
  // before, and sets impure in its result if that comes to something else.
  // REQUIRES: the result is current and not settled.
  void CheckAgain(Slot* slot);

  // The step whose turn it was is history. Its versions have been published or
  // discarded.
  void Committed(Slot* slot);

  // Whether what `result` read is still the newest below its ticket.
  // REQUIRES: it is the ticket's turn.
  bool IsCurrent(const Slot& slot, const StepResult& result) const;

  // Gives back the versions of a result that will not be published.
  void DiscardWrites(const Slot& slot, StepResult* result);

  // --- workers ---------------------------------------------------------------

  // Runs steps for about as long as a claim lasts: what earlier ones released,
  // or tickets that it claims. Returns how many were run, 1 if those claimed
  // have to wait; 0 if there was nothing to do. Any thread, as `worker` in [0,
  // Options::workers).
  std::size_t RunSome(std::size_t worker);

  // Whether `worker` has steps that nobody else can run: the next RunSome()
  // runs those. Any thread, as `worker`.
  bool HasBegun(std::size_t worker) const;

  // For pools that choose: the number of tickets that could run now, and
  // running one of them. One thread, instead of RunSome().
  std::size_t ReadyCount();
  void RunReady(std::size_t index);

  // What a step costs on average, in nanoseconds, as measured lately; a hint.
  std::uint64_t step_cost_ns() const {
    return cost_ns_.load(std::memory_order_relaxed);
  }
  void ObserveCost(std::uint64_t ns_per_step);
  // It is measured afresh.
  void ForgetCost() {
    cost_ns_.store(0, std::memory_order_relaxed);
    costs_observed_.store(0, std::memory_order_relaxed);
  }

  // How many claims what is issued and not claimed amounts to; a hint.
  std::size_t claims_waiting() const;

  std::uint64_t inline_count() const { return inline_count_; }  // ordered
  std::uint64_t wait_count() const {
    return waits_.load(std::memory_order_relaxed);
  }

 private:
  class Collector;
  struct alignas(64) Worker;

  Slot& At(std::uint64_t event_id) { return slots_[event_id & mask_]; }
  const Slot& At(std::uint64_t event_id) const {
    return slots_[event_id & mask_];
  }
  void CollectTouches(Slot* slot);
  void AddTouch(Slot* slot, Cell* cell, bool write);
  void Link(Slot* slot);
  bool WaitFor(Slot* predecessor, Touch* touch);
  void Unlink(Slot* slot);
  void Execute(Slot* slot, Worker* worker);
  void RunStep(Slot* slot, RunMode mode, StepRun* run, StepResult* result);
  void RunWatched(Slot* slot, RunMode mode, StepRun* run, StepResult* result);
  void Release(Touch* waiter, std::vector<Slot*>* runnable);
  void DrainReady();
  std::uint64_t ClaimSize() const;
  bool Claim(std::uint64_t want, Worker* worker);
  void Share(std::uint64_t keep, Worker* worker);
  bool TakeShared(std::uint64_t want, Worker* worker);
  bool ScanIsCurrent(const Slot& slot, const StepResult::Scan& scan) const;

  CellTable* const cells_;
  const StepRules* const rules_;
  const Encode encode_;
  const std::size_t size_;
  const std::uint64_t mask_;
  const Options options_;
  const bool is_watched_;
  std::unique_ptr<Slot[]> slots_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Worker> ordered_;

  alignas(64) std::atomic<std::uint64_t> committed_;
  alignas(64) std::atomic<std::uint64_t> issued_;
  alignas(64) std::atomic<std::uint64_t> claimed_;  // tickets up to here
  alignas(64) std::atomic<std::uint64_t> cost_ns_{0};
  std::atomic<std::uint64_t> costs_observed_{0};  // since it was forgotten
  std::atomic<std::uint64_t> waits_{0};
  std::uint64_t inline_count_ = 0;    // ordered
  bool dearer_than_thought_ = false;  // ordered: the last sample was
  std::size_t limit_;                 // ordered
  std::vector<Slot*> ready_;          // of ReadyCount() and RunReady()

  alignas(64) SpinLock shared_lock_;
  std::vector<Slot*> shared_ ABSL_GUARDED_BY(shared_lock_);  // can be run
  std::atomic<std::size_t> shared_count_{0};
};

}  // namespace reenact

#endif  // REENACT_WORKERS_WINDOW_H_
