// Which code of a module each thread runs, so that it can be named when it does
// not come back: because it crashes (step_guard.h), ends the process, or runs
// for ever.
//
// Never recorded: how a step ends the process is no outcome.

#ifndef REENACT_WORKERS_MODULE_CALL_H_
#define REENACT_WORKERS_MODULE_CALL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/base/optimization.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

enum class CallKind : std::uint8_t {
  kNone = 0,
  kStep = 1,    // Reducer::Step()
  kTouch = 2,   // Reducer::Touch()
  kMapper = 3,  // an InputMapper; `number` is the row's
  kLoad = 4,    // a module while it is loaded; `key` is its file
};

// A copy of what a thread runs, or ran when it was looked at. Refers to nothing
// of the call: it may be looked at from a signal's handler and kept.
struct RunningCall {
  static constexpr std::size_t kNameBytes = 64;  // what is longer is cut

  CallKind kind = CallKind::kNone;
  bool ahead = false;        // a step that runs ahead of its turn
  bool key_is_cut = false;   // the key has more bytes than are here
  std::uint64_t number = 0;  // the ticket's event_id, or a row's number
  // Tells one call from the next one of the same thread.
  const void* thread = nullptr;
  std::uint64_t serial = 0;
  std::size_t reducer_size = 0;
  std::size_t key_size = 0;
  char reducer_bytes[kNameBytes] = {};
  char key_bytes[kNameBytes] = {};

  std::string_view reducer() const { return {reducer_bytes, reducer_size}; }
  std::string_view key() const { return {key_bytes, key_size}; }
  bool SameCallAs(const RunningCall& other) const {
    return thread == other.thread && serial == other.serial;
  }
};

namespace internal {

// What one thread runs, or ran last. Never freed, used again: a reader may come
// at any time.
struct alignas(64) CallRecord {
  struct How {
    CallKind kind = CallKind::kNone;
    bool ahead = false;
  };
  std::atomic<std::uint64_t> serial{0};  // odd while something runs
  std::atomic<How> how{How()};
  std::atomic<std::uint64_t> number{0};
  std::atomic<const EventView*> event{nullptr};
  std::atomic<bool> in_use{true};
  CallRecord* next = nullptr;  // constant once it is in the list
};

extern constinit thread_local CallRecord* own_call_record;
CallRecord* ClaimCallRecord();

}  // namespace internal

// While one exists, the thread runs a module's code. Calls do not nest: an
// inner one takes the outer one's place, and leaves none.
//
// Each ticket pays for this, so nothing is copied: a few stores say where the
// event is, and whoever looks finds its cell there. The first call of a thread
// costs an allocation. Where tasks take turns on one thread, as in the harness,
// it is right of the latest.
class ModuleCall {
 public:
  // `event` is what is called for, or only has reducer and key; null: it has
  // neither. It stays as it is as long as this exists.
  ModuleCall(CallKind kind, std::uint64_t number, const EventView* event,
             bool ahead = false)
      : record_(OwnRecord()) {
    internal::CallRecord* const record = record_;
    record->how.store({kind, ahead}, std::memory_order_relaxed);
    record->number.store(number, std::memory_order_relaxed);
    record->event.store(event, std::memory_order_relaxed);
    const std::uint64_t last = record->serial.load(std::memory_order_relaxed);
    record->serial.store((last + 2) | 1, std::memory_order_release);
  }
  ~ModuleCall() {
    internal::CallRecord* const record = record_;
    const std::uint64_t own = record->serial.load(std::memory_order_relaxed);
    record->serial.store((own + 1) & ~std::uint64_t{1},
                         std::memory_order_relaxed);
    // Before the event changes, and before what comes next is stored.
    std::atomic_thread_fence(std::memory_order_release);
  }
  ModuleCall(const ModuleCall&) = delete;
  ModuleCall& operator=(const ModuleCall&) = delete;

 private:
  static internal::CallRecord* OwnRecord() {
    internal::CallRecord* const own = internal::own_call_record;
    return ABSL_PREDICT_TRUE(own != nullptr) ? own
                                             : internal::ClaimCallRecord();
  }

  internal::CallRecord* const record_;
};

// What this thread runs; false: nothing of a module's. Async-signal-safe.
bool CallOfThisThread(RunningCall* call);

// Calls `visit` with what each thread runs, in no order. Any thread;
// async-signal-safe if `visit` is. Where the system does not let a process read
// its own memory by a call, reducers and keys of other threads stay empty.
void ForEachCall(void (*visit)(const RunningCall& call, void* context),
                 void* context);

// Writes what it is, for people, and returns its size, which is at most `size`:
// `event 17 (reducer 'counter', key 'c3')`. Bytes that are no printable ASCII
// become '?'. Async-signal-safe.
std::size_t DescribeCall(const RunningCall& call, char* out, std::size_t size);
inline constexpr std::size_t kCallTextMax = 256;  // always enough

// Called on each thread before its first call; see step_guard.h. Null: nobody.
void SetThreadHook(void (*hook)());

}  // namespace reenact

#endif  // REENACT_WORKERS_MODULE_CALL_H_
