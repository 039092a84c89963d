#include "reenact/workers/pool.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/base/mutex.h"
#include "reenact/kernel/rng.h"

namespace reenact {

namespace {

class InlinePool final : public Pool {
 public:
  std::size_t workers() const override { return 0; }
  void Drive(Crew* crew) override {
    while (!crew->Finished()) crew->Work(0);
  }
};

class ShuffledPool final : public Pool {
 public:
  explicit ShuffledPool(std::uint64_t seed) : rng_(Seed{seed}) {}

  std::size_t workers() const override { return 1; }
  bool chooses() const override { return true; }
  void Drive(Crew* crew) override {
    while (!crew->Finished()) {
      const std::size_t choices = crew->Choices();
      REENACT_CHECK(choices > 0);
      crew->Choose(rng_.Below(choices));
    }
  }

 private:
  Rng rng_;
};

// Threads that wait first in an empty loop, then by yielding, then asleep.
class ThreadPool final : public Pool {
 public:
  explicit ThreadPool(std::size_t workers) : workers_(workers) {
    for (std::size_t worker = 1; worker < workers; ++worker) {
      threads_.emplace_back("worker", [this, worker] { Loop(worker); });
    }
  }

  ~ThreadPool() override {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
      started_.SignalAll();
    }
    for (instrument::Thread& thread : threads_) thread.join();
  }

  std::size_t workers() const override { return workers_; }

  // The others stay where they are until there is work for them: driving a
  // world for one event wakes nobody.
  void Drive(Crew* crew) override {
    {
      MutexLock lock(&mutex_);
      crew_ = crew;
      ++drive_;
    }
    Help(crew, 0);
    MutexLock lock(&mutex_);
    crew_ = nullptr;
    while (helping_ > 0) left_.Wait(&mutex_);
  }

  void Wake(std::size_t threads) override {
    // Sequentially consistent, as is the other side: either a sleeper sees the
    // new epoch, or the crew, or this sees the sleeper.
    epoch_.fetch_add(1);
    REENACT_PROBE_IF(threads > 0 && asleep_.load() + outside_.load() == 0,
                     "pool: nobody has to be woken");
    if (threads == 0 || asleep_.load() + outside_.load() == 0) return;
    MutexLock lock(&mutex_);
    const std::size_t near = std::min(threads, asleep_.load());
    REENACT_PROBE_IF(near > 0, "pool: somebody is woken");
    REENACT_PROBE_IF(threads > near && outside_.load() > 0,
                     "pool: somebody joins");
    Signal(&changed_, near);
    Signal(&started_, std::min(threads - near, outside_.load()));
  }

 private:
  static constexpr int kSpins = 200;
  static constexpr int kYields = 20;
  static constexpr std::uint64_t kSleepMs = 20;

  static void Signal(CondVar* sleepers, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) sleepers->Signal();
  }

  void Loop(std::size_t worker) {
    std::uint64_t joined = 0;  // each drive is joined once
    for (;;) {
      Crew* crew = nullptr;
      {
        MutexLock lock(&mutex_);
        outside_.fetch_add(1);
        while (!stopping_ && (crew_ == nullptr || drive_ == joined)) {
          started_.Wait(&mutex_);
        }
        outside_.fetch_sub(1);
        if (stopping_) return;
        crew = crew_;
        joined = drive_;
        ++helping_;
      }
      Help(crew, worker);
      MutexLock lock(&mutex_);
      --helping_;
      left_.Signal();
    }
  }

  void Help(Crew* crew, std::size_t worker) {
    int idle = 0;
    for (;;) {
      const std::uint64_t epoch = epoch_.load();
      if (crew->Work(worker)) {
        idle = 0;
        continue;
      }
      if (crew->Finished()) break;
      // Whoever conducts knows that this one waits only if it says so.
      idle = instrument::Conducted() ? kSpins + kYields + 1 : idle + 1;
      if (idle <= kSpins) {
        __builtin_ia32_pause();
      } else if (idle <= kSpins + kYields) {
        std::this_thread::yield();
      } else {
        Sleep(epoch);
      }
    }
    // The others see that it has finished.
    epoch_.fetch_add(1);
    if (asleep_.load() == 0) return;
    MutexLock lock(&mutex_);
    changed_.SignalAll();
  }

  void Sleep(std::uint64_t epoch) {
    MutexLock lock(&mutex_);
    asleep_.fetch_add(1);
    REENACT_PROBE_IF(epoch_.load() != epoch,
                     "pool: there is work before it sleeps");
    // The time-out is a belt to the braces; a missed wake costs it, no more.
    if (epoch_.load() == epoch) changed_.WaitFor(&mutex_, kSleepMs);
    asleep_.fetch_sub(1);
  }

  const std::size_t workers_;
  std::atomic<std::uint64_t> epoch_{0};
  std::atomic<std::size_t> asleep_{0};   // of those who work for the crew
  std::atomic<std::size_t> outside_{0};  // who have not joined it
  Mutex mutex_;
  CondVar changed_;  // for those asleep
  CondVar started_;  // for those outside
  CondVar left_;     // for Drive(): one helps no more
  Crew* crew_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::uint64_t drive_ ABSL_GUARDED_BY(mutex_) = 0;  // rises with each Drive()
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int helping_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<instrument::Thread> threads_;
};

}  // namespace

std::unique_ptr<Pool> NewInlinePool() { return std::make_unique<InlinePool>(); }

std::unique_ptr<Pool> NewThreadPool(std::size_t workers) {
  REENACT_CHECK(workers > 0);
  return std::make_unique<ThreadPool>(workers);
}

std::unique_ptr<Pool> NewShuffledPool(std::uint64_t seed) {
  return std::make_unique<ShuffledPool>(seed);
}

}  // namespace reenact
