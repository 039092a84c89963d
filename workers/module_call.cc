#include "reenact/workers/module_call.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>

#include "absl/base/attributes.h"

namespace reenact {

namespace internal {

constinit thread_local CallRecord* own_call_record = nullptr;

}  // namespace internal

namespace {

using internal::CallRecord;
using internal::own_call_record;

std::atomic<CallRecord*> all_records{nullptr};
std::atomic<void (*)()> thread_hook{nullptr};

bool Runs(const CallRecord& record) {
  return record.serial.load(std::memory_order_relaxed) % 2 != 0;
}

// Gives the record back at the thread's end. If a step runs then, it has called
// exit(), whose guard wants to know which.
struct AtThreadEnd {
  ~AtThreadEnd() {
    if (own_call_record == nullptr || Runs(*own_call_record)) return;
    own_call_record->in_use.store(false);
    own_call_record = nullptr;
  }
};

CallRecord* FreeRecord() {
  for (CallRecord* record = all_records.load(); record != nullptr;
       record = record->next) {
    bool in_use = false;
    if (record->in_use.compare_exchange_strong(in_use, true)) return record;
  }
  return nullptr;
}

CallRecord* NewRecord() {
  auto* const record = new CallRecord;
  record->next = all_records.load();
  while (!all_records.compare_exchange_weak(record->next, record)) {
  }
  return record;
}

// Copies what may not be there any more, since another thread is about to give
// it back, or a step has destroyed it: the system says so instead of a signal.
// Where it does not do this for anybody, what is the thread's `own` is there.
bool Copy(const void* from, std::size_t size, bool own, void* to) {
  if (size == 0) return true;
  const iovec target = {to, size};
  const iovec source = {const_cast<void*>(from), size};
  const long copied = ::syscall(SYS_process_vm_readv, ::syscall(SYS_getpid),
                                &target, 1L, &source, 1L, 0L);
  if (copied >= 0) return static_cast<std::size_t>(copied) == size;
  if (errno == EFAULT || !own) return false;
  std::memcpy(to, from, size);
  return true;
}

bool CopyText(std::string_view text, bool own, char* bytes, std::size_t* size) {
  const std::size_t some = std::min(text.size(), RunningCall::kNameBytes);
  if (!Copy(text.data(), some, own, bytes)) return false;
  *size = some;
  return true;
}

void CopyCell(const EventView* from, bool own, RunningCall* call) {
  static_assert(std::is_trivially_copyable_v<EventView>);
  EventView event;
  if (from == nullptr || !Copy(from, sizeof event, own, &event)) return;
  if (!CopyText(event.reducer, own, call->reducer_bytes, &call->reducer_size) ||
      !CopyText(event.key, own, call->key_bytes, &call->key_size)) {
    return;
  }
  call->key_is_cut = event.key.size() > call->key_size;
}

// False: nothing runs, or it has just changed.
bool Look(const CallRecord& record, RunningCall* call) {
  const int error = errno;
  const std::uint64_t serial = record.serial.load(std::memory_order_acquire);
  if (serial % 2 == 0) return false;
  *call = RunningCall();
  const CallRecord::How how = record.how.load(std::memory_order_relaxed);
  call->kind = how.kind;
  call->ahead = how.ahead;
  call->number = record.number.load(std::memory_order_relaxed);
  call->thread = &record;
  call->serial = serial;
  CopyCell(record.event.load(std::memory_order_relaxed),
           &record == own_call_record, call);
  errno = error;
  std::atomic_thread_fence(std::memory_order_acquire);
  return record.serial.load(std::memory_order_relaxed) == serial;
}

// Text of a bounded size, by nothing that a signal's handler may not call.
class Line {
 public:
  Line(char* out, std::size_t size) : out_(out), size_(size) {}

  Line& Add(std::string_view text) {
    for (const char c : text) {
      if (used_ == size_) break;
      out_[used_++] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    return *this;
  }
  Line& Add(std::uint64_t number) {
    char digits[20];
    std::size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    return Add(std::string_view(digits + at, sizeof digits - at));
  }
  Line& AddCell(const RunningCall& call) {
    return Add("(reducer '")
        .Add(call.reducer())
        .Add("', key '")
        .Add(call.key())
        .Add(call.key_is_cut ? "...')" : "')");
  }
  std::size_t size() const { return used_; }

 private:
  char* const out_;
  const std::size_t size_;
  std::size_t used_ = 0;
};

}  // namespace

namespace internal {

ABSL_ATTRIBUTE_NOINLINE CallRecord* ClaimCallRecord() {
  thread_local const AtThreadEnd at_end;
  (void)at_end;
  if (void (*const hook)() = thread_hook.load()) hook();
  own_call_record = FreeRecord();
  if (own_call_record == nullptr) own_call_record = NewRecord();
  return own_call_record;
}

}  // namespace internal

bool CallOfThisThread(RunningCall* call) {
  return own_call_record != nullptr && Look(*own_call_record, call);
}

void ForEachCall(void (*visit)(const RunningCall& call, void* context),
                 void* context) {
  RunningCall call;
  for (const CallRecord* record = all_records.load(); record != nullptr;
       record = record->next) {
    if (Look(*record, &call)) visit(call, context);
  }
}

std::size_t DescribeCall(const RunningCall& call, char* out, std::size_t size) {
  Line line(out, size);
  switch (call.kind) {
    case CallKind::kNone:
      break;
    case CallKind::kStep:
      line.Add("event ").Add(call.number).Add(" ").AddCell(call);
      break;
    case CallKind::kTouch:
      line.Add("Touch() for event ").Add(call.number).Add(" ").AddCell(call);
      break;
    case CallKind::kMapper:
      line.Add("the module's mapper, at row ").Add(call.number);
      break;
    case CallKind::kLoad:
      line.Add("the loading of module '").Add(call.key()).Add("'");
      break;
  }
  return line.size();
}

void SetThreadHook(void (*hook)()) { thread_hook.store(hook); }

}  // namespace reenact
