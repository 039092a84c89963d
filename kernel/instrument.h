// Where a harness takes hold of the kernel: points at which it may let another
// task run, waits that it answers for, a clock of its own, failpoints, coverage
// probes and planted bugs.
//
// All of it exists only where REENACT_INSTRUMENTED is defined (the CMake option
// REENACT_INSTRUMENT, or the target reenact_instrumented). Elsewhere everything
// here is empty and leaves no instruction behind: a test looks for its symbols.
//
// The kernel never decides anything by what is here: an instrumented world that
// nobody conducts records the same bytes.

#ifndef REENACT_KERNEL_INSTRUMENT_H_
#define REENACT_KERNEL_INSTRUMENT_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"

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

// --- places with names
// ---------------------------------------------------------

enum class Kind : std::uint32_t { kFailpoint = 1, kProbe = 2, kPlantedBug = 3 };

// One place in the kernel, in a section of its own so that all of them can be
// listed whether they were reached or not.
//
// Thread safety: any thread.
struct alignas(32) Point {
  const char* name;
  Kind kind;
  // A planted bug: it is there. A failpoint: something waits for it.
  std::atomic<std::uint32_t> armed;
  std::atomic<std::uint64_t> hits;
};
static_assert(sizeof(Point) == 32);

#if defined(REENACT_INSTRUMENTED)

// All points of this program, [begin, end), in no order that means anything; a
// name may stand there more than once.
struct PointRange {
  Point* first;
  Point* last;
  Point* begin() const { return first; }
  Point* end() const { return last; }
};
PointRange Points();

// What happens at failpoints, while it is set: called with each one that is
// armed, its count of hits included; a status other than OK is what the kernel
// gets to see. It may also end the process. Null: nothing.
using FailpointHandler = absl::Status (*)(Point& point);
void SetFailpointHandler(FailpointHandler handler);
absl::Status ReachFailpoint(Point& point);

// In functions that are not inline and no templates: a section of a comdat is
// another one.
#define REENACT_POINT_(kind, text)                                         \
  static ::reenact::instrument::Point reenact_point                        \
      __attribute__((section("reenact_points"), used)) = {text, kind, {0}, \
                                                          {0}}

// The kernel came by here.
#define REENACT_PROBE(name)                                            \
  do {                                                                 \
    REENACT_POINT_(::reenact::instrument::Kind::kProbe, name);         \
    reenact_point.hits.fetch_add(1, std::memory_order_relaxed);        \
  } while (false)

// And so it did while `condition` held.
#define REENACT_PROBE_IF(condition, name) \
  do {                                    \
    if (condition) REENACT_PROBE(name);   \
  } while (false)

// A moment that matters after a crash; an error returned there is ignored.
#define REENACT_FAILPOINT(name)                                          \
  do {                                                                   \
    REENACT_POINT_(::reenact::instrument::Kind::kFailpoint, name);       \
    ::reenact::instrument::ReachFailpoint(reenact_point).IgnoreError();  \
  } while (false)

// The same where an error may happen: returns it.
#define REENACT_FAILPOINT_RETURN(name)                                    \
  do {                                                                    \
    REENACT_POINT_(::reenact::instrument::Kind::kFailpoint, name);        \
    if (absl::Status reenact_status =                                     \
            ::reenact::instrument::ReachFailpoint(reenact_point);         \
        !reenact_status.ok()) {                                           \
      return reenact_status;                                              \
    }                                                                     \
  } while (false)

// Whether the kernel is to be wrong here, so that the harness can show that it
// would see it.
#define REENACT_PLANTED(name)                                             \
  ([]() -> bool {                                                         \
    REENACT_POINT_(::reenact::instrument::Kind::kPlantedBug, name);       \
    if (reenact_point.armed.load(std::memory_order_relaxed) == 0)         \
      return false;                                                       \
    reenact_point.hits.fetch_add(1, std::memory_order_relaxed);           \
    return true;                                                          \
  }())

#else

#define REENACT_PROBE(name) \
  do {                      \
  } while (false)
#define REENACT_PROBE_IF(condition, name) \
  do {                                    \
  } while (false)
#define REENACT_FAILPOINT(name) \
  do {                          \
  } while (false)
#define REENACT_FAILPOINT_RETURN(name) \
  do {                                 \
  } while (false)
#define REENACT_PLANTED(name) false

#endif  // REENACT_INSTRUMENTED

}  // namespace reenact::instrument

#endif  // REENACT_KERNEL_INSTRUMENT_H_
