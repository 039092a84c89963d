// Who runs steps: the ordered role alone, or some of a pool's threads.

#ifndef REENACT_WORLD_STEP_SHARING_H_
#define REENACT_WORLD_STEP_SHARING_H_

#include <atomic>
#include <cstddef>

#include "reenact/workers/pool.h"
#include "reenact/workers/throttle.h"
#include "reenact/workers/window.h"

namespace reenact {

// Steps are run in line, by the ordered role in ticket order, or issued to a
// window from which threads claim them. A Throttle measures which is faster,
// and how many threads pay. What is recorded never depends on it.
//
// Thread safety: the ordered role's, but for RunSome().
class StepSharing {
 public:
  struct Options {
    bool serial = false;      // the pool has no thread to share with
    bool fixed = false;       // as many threads as there are, always
    std::size_t threads = 0;  // if fixed: so many instead; 0: all
  };

  // Both outlive it.
  StepSharing(Window* window, Pool* pool, const Options& options);

  // --- the ordered role ------------------------------------------------------

  // Whether there is a thread beside the ordered role's to run steps.
  bool shares() const { return !options_.serial; }
  // Whether the ordered role runs steps at this moment.
  bool in_line() const { return options_.serial || in_line_; }
  // Whether it wants to, once the tickets in flight are committed: none is
  // issued meanwhile.
  bool drains() const { return wants_in_line_; }

  // There is work from now on; and there is none.
  void Begin(const Throttle::Seen& seen) {
    if (chooses_) throttle_.Begin(seen);
  }
  void Pause(const Throttle::Seen& seen) {
    if (chooses_) throttle_.Pause(seen);
  }
  // Chooses anew if it is time to. `seen` is a function that returns what has
  // been seen, and that costs a look at the clock.
  template <typename Seen>
  void Choose(std::uint64_t committed, const Seen& seen) {
    if (!chooses_) return;
    if (throttle_.IsDue(committed, window_->step_cost_ns())) Turn(seen());
    // The tickets in flight come first; until then no more are issued.
    if (window_->issued() == window_->committed()) in_line_ = wants_in_line_;
  }
  // Wakes as many threads as there is work for.
  void WakeOthers();

  // --- any thread of the pool ------------------------------------------------

  // Runs steps as `worker`, unless as many threads do as are wanted; false if
  // there was nothing to do. What a thread has begun it ends, since nobody else
  // can.
  bool RunSome(std::size_t worker);

 private:
  void Turn(const Throttle::Seen& seen);
  bool Enter();
  void Leave();
  std::size_t MoreThreads() const;

  Window* const window_;
  Pool* const pool_;
  const Options options_;
  const bool chooses_;  // whether how many threads run steps is measured
  Throttle throttle_;
  bool in_line_ = false;
  bool wants_in_line_ = false;
  std::atomic<std::size_t> threads_;     // that are to run steps
  std::atomic<std::size_t> at_work_{0};  // of them, if that is not all
};

}  // namespace reenact

#endif  // REENACT_WORLD_STEP_SHARING_H_
