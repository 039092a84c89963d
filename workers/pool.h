// Who runs a world's work, and in which order: the schedule is a value.

#ifndef REENACT_WORKERS_POOL_H_
#define REENACT_WORKERS_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace reenact {

// Work that a pool runs.
//
// Thread safety: Work() and Finished() from any of the pool's threads.
class Crew {
 public:
  virtual ~Crew() = default;

  // Does some of the work there is, as `worker` in [0, Pool::workers()); false
  // if there was none at this moment.
  virtual bool Work(std::size_t worker) = 0;

  // Whether nothing is left to do. Once true it stays so until the crew is
  // driven again.
  virtual bool Finished() = 0;

  // For pools that choose for themselves, on one thread: how many pieces of
  // work there are to choose from now, and doing one of them.
  virtual std::size_t Choices() = 0;
  virtual void Choose(std::size_t index) = 0;
};

// Runs crews. Whatever the pool, what a world records is the same.
//
// Thread safety: Drive() from one thread at a time; Wake() from any.
class Pool {
 public:
  virtual ~Pool() = default;

  // How many threads run work, the one that calls Drive() among them. 0: steps
  // run one after the other in ticket order.
  virtual std::size_t workers() const = 0;
  // Whether it uses Choices() and Choose() instead of Work().
  virtual bool chooses() const { return false; }

  // Runs `crew` until it has finished.
  virtual void Drive(Crew* crew) = 0;

  // There is work for `threads` more than those that are at it. A pool may call
  // fewer of them, and none that it does not have.
  virtual void Wake(std::size_t threads) { (void)threads; }
};

// Everything on the calling thread, in ticket order: the serial reference.
std::unique_ptr<Pool> NewInlinePool();

// `workers` threads that all do whatever there is to do; the calling thread is
// one of them. REQUIRES: workers > 0.
std::unique_ptr<Pool> NewThreadPool(std::size_t workers);

// Everything on the calling thread, in an order drawn from `seed`: an
// interleaving that can be had again.
std::unique_ptr<Pool> NewShuffledPool(std::uint64_t seed);

}  // namespace reenact

#endif  // REENACT_WORKERS_POOL_H_
