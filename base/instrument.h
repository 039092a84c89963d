// Where a harness takes the place of the machine: points at which it may let
// another task run, waits that it answers for, threads and a clock of its own.
// Places with names (failpoints, probes, planted bugs) are in test_points.h.
//
// All of it exists only where REENACT_INSTRUMENTED is defined (the CMake option
// REENACT_INSTRUMENT, or the target reenact_instrumented). Elsewhere everything
// here is empty and leaves no instruction behind: a test looks for its symbols.
//
// The kernel never decides anything by what is here: an instrumented world that
// nobody conducts records the same bytes.

#ifndef REENACT_BASE_INSTRUMENT_H_
#define REENACT_BASE_INSTRUMENT_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "reenact/base/test_points.h"

namespace reenact::instrument {

#if defined(REENACT_INSTRUMENTED)
inline constexpr bool kInstrumented = true;
#else
inline constexpr bool kInstrumented = false;
#endif

// A task of a conductor: what a thread is elsewhere.
using TaskId = std::uint64_t;

// Who decides which task runs next. While a thread has one, its locks, waits,
// sleeps, threads and clock are the conductor's.
//
// Thread safety: called by the task that runs; one runs at a time.
class Conductor {
 public:
  virtual ~Conductor() = default;

  // The task is about to do something at `object` that another one may see
  // (`write`) or undo. `site` is a literal that names the place.
  virtual void Yield(const char* site, const void* object, bool write) = 0;
  // Until Wake(object), or for no reason; false if `timeout_ns` of the
  // conductor's time went by first.
  virtual bool Wait(const char* site, const void* object,
                    std::optional<std::uint64_t> timeout_ns) = 0;
  virtual void Wake(const void* object) = 0;
  virtual std::uint64_t NowNs() = 0;
  // `name` is a literal.
  virtual TaskId Spawn(const char* name, std::function<void()> body) = 0;
  virtual void Join(TaskId task) = 0;
};

// Disturbs threads that run freely: sleeps, or gives the processor away.
class Perturber {
 public:
  virtual ~Perturber() = default;
  virtual void Yield(const char* site) = 0;
};

#if defined(REENACT_INSTRUMENTED)
// The calling thread's; null: none.
inline thread_local Conductor* conductor = nullptr;
inline std::atomic<Perturber*> perturber{nullptr};
#endif

// Whether the calling thread has a conductor, which Wait(), Wake() and NowNs()
// then go to.
inline bool Conducted() {
#if defined(REENACT_INSTRUMENTED)
  return conductor != nullptr;
#else
  return false;
#endif
}

inline void Yield([[maybe_unused]] const char* site,
                  [[maybe_unused]] const void* object = nullptr,
                  [[maybe_unused]] bool write = true) {
#if defined(REENACT_INSTRUMENTED)
  if (conductor != nullptr) return conductor->Yield(site, object, write);
  Perturber* const other = perturber.load(std::memory_order_acquire);
  if (other != nullptr) other->Yield(site);
#endif
}

// REQUIRES: Conducted().
inline bool Wait([[maybe_unused]] const char* site,
                 [[maybe_unused]] const void* object,
                 [[maybe_unused]] std::optional<std::uint64_t> timeout_ns) {
#if defined(REENACT_INSTRUMENTED)
  return conductor->Wait(site, object, timeout_ns);
#else
  return true;
#endif
}

// Nothing without a conductor.
inline void Wake([[maybe_unused]] const void* object) {
#if defined(REENACT_INSTRUMENTED)
  if (conductor != nullptr) conductor->Wake(object);
#endif
}

// Nanoseconds that only grow: the conductor's, or the steady clock's.
inline std::uint64_t NowNs() {
#if defined(REENACT_INSTRUMENTED)
  if (conductor != nullptr) return conductor->NowNs();
#endif
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

// std::thread, or a task of the conductor of whoever starts it.
//
// Thread safety: none.
class Thread {
 public:
  Thread() = default;
  // May throw std::system_error, as std::thread does.
  Thread([[maybe_unused]] const char* name, std::function<void()> body) {
#if defined(REENACT_INSTRUMENTED)
    if (conductor != nullptr) {
      task_ = conductor->Spawn(name, std::move(body));
      return;
    }
#endif
    thread_ = std::thread(std::move(body));
  }
  Thread(Thread&& other) noexcept { *this = std::move(other); }
  Thread& operator=(Thread&& other) noexcept {
    thread_ = std::move(other.thread_);
    task_ = std::exchange(other.task_, std::nullopt);
    return *this;
  }
  bool joinable() const { return task_.has_value() || thread_.joinable(); }
  // REQUIRES: joinable(); a task is joined by a task of the same conductor.
  void join() {
#if defined(REENACT_INSTRUMENTED)
    if (task_) return conductor->Join(*std::exchange(task_, std::nullopt));
#endif
    thread_.join();
  }

 private:
  std::thread thread_;
  std::optional<TaskId> task_;
};

}  // namespace reenact::instrument

#endif  // REENACT_BASE_INSTRUMENT_H_
