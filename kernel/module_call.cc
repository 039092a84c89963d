#include "reenact/kernel/module_call.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"

namespace reenact {

namespace {

constexpr std::size_t kWords = RunningCall::kNameBytes / 8;
static_assert(std::endian::native == std::endian::little,
              "the order of bytes in a word below");

// A text's bytes in words that one thread writes and others may read meanwhile.
using Words = std::array<std::atomic<std::uint64_t>, kWords>;

std::uint64_t Load64(const char* from) {
  std::uint64_t word;
  std::memcpy(&word, from, 8);
  return word;
}
std::uint64_t Load32(const char* from) {
  std::uint32_t word;
  std::memcpy(&word, from, 4);
  return word;
}

// Fewer than eight bytes as a word, without a loop: this is on every step's
// way.
std::uint64_t LoadShort(const char* from, std::size_t size) {
  if (size >= 4) {
    return Load32(from) | Load32(from + size - 4) << (8 * (size - 4));
  }
  if (size == 0) return 0;
  const auto byte = [from](std::size_t i) {
    return static_cast<std::uint64_t>(static_cast<unsigned char>(from[i]))
           << (8 * i);
  };
  return byte(0) | byte(size / 2) | byte(size - 1);
}

void Store(std::string_view text, Words* words) {
  const char* from = text.data();
  std::size_t size = text.size();
  auto to = words->begin();
  for (; size >= 8; size -= 8, from += 8) {
    (to++)->store(Load64(from), std::memory_order_relaxed);
  }
  if (size > 0) to->store(LoadShort(from, size), std::memory_order_relaxed);
}

void Fetch(const Words& words, char* out) {
  for (std::size_t i = 0; i < kWords; ++i) {
    const std::uint64_t word = words[i].load(std::memory_order_relaxed);
    std::memcpy(out + 8 * i, &word, 8);
  }
}

// Kind, flags and sizes in one word: kind, ahead, cut, reducer, key.
std::uint64_t Head(CallKind kind, bool ahead, bool cut, std::size_t reducer,
                   std::size_t key) {
  return static_cast<std::uint64_t>(kind) | std::uint64_t{ahead} << 8 |
         std::uint64_t{cut} << 9 | std::uint64_t{reducer} << 16 |
         std::uint64_t{key} << 24;
}

// Never freed, used again: a reader may come at any time.
struct CallRecord {
  // Odd while the thread changes what follows.
  std::atomic<std::uint64_t> serial{0};
  std::atomic<std::uint64_t> head{0};  // 0: nothing runs
  std::atomic<std::uint64_t> number{0};
  Words reducer{};
  Words key{};
  std::atomic<bool> in_use{true};
  CallRecord* next = nullptr;  // constant once it is in the list
};

std::atomic<CallRecord*> all_records{nullptr};
std::atomic<void (*)()> thread_hook{nullptr};
constinit thread_local CallRecord* own_record = nullptr;

// Gives the record back at the thread's end. If a step runs then, it has called
// exit(), whose guard wants to know which.
struct AtThreadEnd {
  ~AtThreadEnd() {
    if (own_record == nullptr || own_record->head.load() != 0) return;
    own_record->in_use.store(false);
    own_record = nullptr;
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

ABSL_ATTRIBUTE_NOINLINE CallRecord* ClaimRecord() {
  thread_local const AtThreadEnd at_end;
  (void)at_end;
  if (void (*const hook)() = thread_hook.load()) hook();
  own_record = FreeRecord();
  if (own_record == nullptr) own_record = NewRecord();
  return own_record;
}

// False: nothing runs, or it has just changed.
bool Look(const CallRecord& record, RunningCall* call) {
  const std::uint64_t serial = record.serial.load(std::memory_order_acquire);
  const std::uint64_t head = record.head.load(std::memory_order_relaxed);
  call->kind = static_cast<CallKind>(head & 0xff);
  if (call->kind == CallKind::kNone || serial % 2 != 0) return false;
  call->ahead = (head >> 8 & 1) != 0;
  call->key_is_cut = (head >> 9 & 1) != 0;
  call->reducer_size = head >> 16 & 0xff;
  call->key_size = head >> 24 & 0xff;
  call->number = record.number.load(std::memory_order_relaxed);
  Fetch(record.reducer, call->reducer_bytes);
  Fetch(record.key, call->key_bytes);
  call->thread = &record;
  call->serial = serial;
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

ModuleCall::ModuleCall(CallKind kind, std::uint64_t number,
                       std::string_view reducer, std::string_view key,
                       bool ahead) {
  CallRecord* record = own_record;
  if (ABSL_PREDICT_FALSE(record == nullptr)) record = ClaimRecord();
  const bool cut = key.size() > RunningCall::kNameBytes;
  if (cut) key = key.substr(0, RunningCall::kNameBytes);
  if (reducer.size() > RunningCall::kNameBytes) {
    reducer = reducer.substr(0, RunningCall::kNameBytes);
  }
  const std::uint64_t serial = record->serial.load(std::memory_order_relaxed);
  record->serial.store(serial + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  record->number.store(number, std::memory_order_relaxed);
  Store(reducer, &record->reducer);
  Store(key, &record->key);
  record->head.store(Head(kind, ahead, cut, reducer.size(), key.size()),
                     std::memory_order_relaxed);
  record->serial.store(serial + 2, std::memory_order_release);
}

ModuleCall::~ModuleCall() {
  if (own_record != nullptr) {
    own_record->head.store(0, std::memory_order_relaxed);
  }
}

bool CallOfThisThread(RunningCall* call) {
  return own_record != nullptr && Look(*own_record, call);
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
      line.Add("Touch() for event ").Add(call.number);
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
