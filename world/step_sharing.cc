#include "reenact/world/step_sharing.h"

#include <algorithm>

#include "reenact/base/test_points.h"

namespace reenact {

StepSharing::StepSharing(Window* window, Pool* pool, const Options& options)
    : window_(window),
      pool_(pool),
      options_(options),
      chooses_(!options.serial && !options.fixed),
      throttle_(std::max<std::size_t>(1, pool->workers()), window->size()),
      threads_(options.threads != 0 ? options.threads
               : chooses_           ? throttle_.threads()
                                    : pool->workers()) {
  in_line_ = wants_in_line_ = chooses_ && threads_ == 1;
}

void StepSharing::Turn(const Throttle::Seen& seen) {
  throttle_.Turn(seen);
  window_->SetLimit(throttle_.in_flight());
  const std::size_t threads = throttle_.threads();
  if (threads == threads_.load(std::memory_order_relaxed)) return;
  threads_.store(threads, std::memory_order_relaxed);
  wants_in_line_ = threads == 1;
  window_->ForgetCost();
}

void StepSharing::WakeOthers() {
  // One of the claims will be this thread's own.
  const std::size_t threads = MoreThreads();
  if (threads > 1) pool_->Wake(threads - 1);
}

bool StepSharing::RunSome(std::size_t worker) {
  if (threads_.load(std::memory_order_relaxed) >= pool_->workers() ||
      window_->HasBegun(worker)) {
    return window_->RunSome(worker) > 0;
  }
  if (!Enter()) return false;
  const bool did = window_->RunSome(worker) > 0;
  Leave();
  // Whoever was turned away meanwhile left what it had seen to this thread.
  return did || window_->claims_waiting() > 0;
}

// False: enough threads run steps. The fences: either those see what was issued
// before this, or this sees that one of them has left.
bool StepSharing::Enter() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::size_t at_work = at_work_.load();
  do {
    if (at_work >= threads_.load(std::memory_order_relaxed)) {
      REENACT_PROBE("world: enough threads run steps");
      return false;
    }
  } while (!at_work_.compare_exchange_weak(at_work, at_work + 1));
  return true;
}

void StepSharing::Leave() {
  at_work_.fetch_sub(1);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

// How many threads beside those at it there is work for.
std::size_t StepSharing::MoreThreads() const {
  const std::size_t wanted = threads_.load(std::memory_order_relaxed);
  const std::size_t at_work = at_work_.load();
  return std::min<std::size_t>(window_->claims_waiting(),
                               wanted - std::min(wanted, at_work));
}

}  // namespace reenact
