#ifndef REENACT_BASE_MUTEX_H_
#define REENACT_BASE_MUTEX_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "reenact/base/instrument.h"

namespace reenact {

// std::mutex with annotations that clang's -Wthread-safety checks.
//
// Not absl::Mutex: the packaged one was built without ThreadSanitizer's hooks,
// so correctly guarded code is reported as a race.
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    instrument::Yield("mutex.lock", this);
    if (instrument::Conducted()) {
      while (!mutex_.try_lock()) {
        instrument::Wait("mutex.wait", this, std::nullopt);
      }
      return;
    }
    mutex_.lock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    mutex_.unlock();
    instrument::Wake(this);
  }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    instrument::Yield("mutex.try_lock", this);
    return mutex_.try_lock();
  }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* mutex_;
};

// A lock for a handful of instructions that rarely meet anybody: one exchange
// to take, one store to give back. Who does meet somebody waits in an empty
// loop and soon lets other threads run.
class ABSL_LOCKABLE SpinLock {
 public:
  SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    if (taken_.exchange(true, std::memory_order_acquire)) LockSlow();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    taken_.store(false, std::memory_order_release);
    instrument::Wake(this);
  }

 private:
  void LockSlow() {
    constexpr int kSpins = 64;
    do {
      for (int i = 0; taken_.load(std::memory_order_relaxed); ++i) {
        if (instrument::Conducted()) {
          instrument::Wait("spin_lock.wait", this, std::nullopt);
        } else if (i < kSpins) {
          __builtin_ia32_pause();
        } else {
          std::this_thread::yield();
        }
      }
    } while (taken_.exchange(true, std::memory_order_acquire));
  }

  std::atomic<bool> taken_{false};
};

class ABSL_SCOPED_LOCKABLE SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock* lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock)
      : lock_(lock) {
    lock_->Lock();
  }
  ~SpinLockHolder() ABSL_UNLOCK_FUNCTION() { lock_->Unlock(); }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock* lock_;
};

class CondVar {
 public:
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (instrument::Conducted()) {
      WaitConducted(mutex, std::nullopt);
      return;
    }
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False if `timeout_ms` passed first.
  bool WaitFor(Mutex* mutex, std::uint64_t timeout_ms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (instrument::Conducted()) {
      return WaitConducted(mutex, timeout_ms * 1'000'000);
    }
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    const auto result =
        condition_.wait_for(lock, std::chrono::milliseconds(timeout_ms));
    lock.release();
    return result == std::cv_status::no_timeout;
  }
  // A conductor wakes them all: it may wake any for no reason.
  void Signal() {
    condition_.notify_one();
    instrument::Wake(this);
  }
  void SignalAll() {
    condition_.notify_all();
    instrument::Wake(this);
  }

 private:
  // Nobody else runs between giving the mutex back and waiting.
  bool WaitConducted(Mutex* mutex, std::optional<std::uint64_t> timeout_ns)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    mutex->mutex_.unlock();
    instrument::Wake(mutex);
    const bool woken = instrument::Wait("condition.wait", this, timeout_ns);
    while (!mutex->mutex_.try_lock()) {
      instrument::Wait("mutex.wait", mutex, std::nullopt);
    }
    return woken;
  }

  std::condition_variable condition_;
};

}  // namespace reenact

#endif  // REENACT_BASE_MUTEX_H_
