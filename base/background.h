#ifndef REENACT_BASE_BACKGROUND_H_
#define REENACT_BASE_BACKGROUND_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "reenact/base/instrument.h"
#include "reenact/base/mutex.h"

namespace reenact {

// A bell that a thread waits at: rings are remembered, not counted.
//
// Thread safety: any thread.
class Doorbell {
 public:
  void Ring() {
    // Whoever rang before and was not heard yet has woken the waiter: it will
    // see what happened before this too.
    if (rung_.exchange(true)) return;
    MutexLock lock(&mutex_);
    condition_.SignalAll();
  }
  // Returns once it has rung since the last wait, or after `timeout_ms`.
  void Wait(std::uint64_t timeout_ms) {
    MutexLock lock(&mutex_);
    if (!rung_) condition_.WaitFor(&mutex_, timeout_ms);
    rung_.exchange(false);
  }

 private:
  Mutex mutex_;
  CondVar condition_;
  std::atomic<bool> rung_{false};
};

// One thread that runs one function, joined before the object goes.
//
// Thread safety: none.
class Background {
 public:
  ~Background() { Join(); }
  void Start(std::function<void()> body) {
    Join();
    thread_ = instrument::Thread("world", std::move(body));
  }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  bool started() const { return thread_.joinable(); }

 private:
  instrument::Thread thread_;
};

}  // namespace reenact

#endif  // REENACT_BASE_BACKGROUND_H_
