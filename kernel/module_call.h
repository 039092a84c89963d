// Which code of a module each thread runs, so that it can be named when it does
// not come back: because it crashes (step_guard.h), ends the process, or runs
// for ever.
//
// Never recorded: how a step ends the process is no outcome.

#ifndef REENACT_KERNEL_MODULE_CALL_H_
#define REENACT_KERNEL_MODULE_CALL_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "reenact/kernel/ids.h"

namespace reenact {

enum class CallKind : std::uint8_t {
  kNone = 0,
  kStep = 1,    // Reducer::Step()
  kTouch = 2,   // Reducer::Touch(); without reducer and key
  kMapper = 3,  // an InputMapper; `number` is the row's
  kLoad = 4,    // a module while it is loaded; `key` is its file
};

// A copy of what a thread runs, or ran when it was looked at. Has no pointers:
// it may be looked at from a signal's handler and kept.
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

// While one exists, the thread runs a module's code. Calls do not nest: an
// inner one takes the outer one's place, and leaves none.
//
// Costs some ten stores, and an allocation for the first call of a thread.
// Where tasks take turns on one thread, as in the harness, it is right of the
// latest.
class ModuleCall {
 public:
  ModuleCall(CallKind kind, std::uint64_t number, std::string_view reducer,
             std::string_view key, bool ahead = false);
  ~ModuleCall();
  ModuleCall(const ModuleCall&) = delete;
  ModuleCall& operator=(const ModuleCall&) = delete;
};

// What this thread runs; false: nothing of a module's. Async-signal-safe.
bool CallOfThisThread(RunningCall* call);

// Calls `visit` with what each thread runs, in no order. Any thread;
// async-signal-safe if `visit` is.
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

#endif  // REENACT_KERNEL_MODULE_CALL_H_
