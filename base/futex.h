// Sleeping until another thread changes a word.

#ifndef REENACT_BASE_FUTEX_H_
#define REENACT_BASE_FUTEX_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <optional>

#include "reenact/base/instrument.h"

namespace reenact {

// Not std::atomic's wait(): that of libstdc++ gives the processor away several
// times before it sleeps. With more waiters than cores each of these is a
// change of threads, and they were most of what a machine did.
using FutexWord = std::atomic<std::uint32_t>;
static_assert(sizeof(FutexWord) == sizeof(std::uint32_t));

// Sleeps until a FutexWake() with one of the same `bits`, but not at all if
// `word` is not `seen` any more. May return for no reason: look again.
inline void FutexWait(const FutexWord& word, std::uint32_t seen,
                      std::uint32_t bits) {
  if (instrument::Conducted()) {
    if (word.load() == seen) {
      instrument::Wait("futex.wait", &word, std::nullopt);
    }
    return;
  }
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, seen, nullptr, nullptr,
          bits);
}

// Wakes all who wait for one of `bits`. Change `word` before.
inline void FutexWake(const FutexWord& word, std::uint32_t bits) {
  instrument::Wake(&word);
  syscall(SYS_futex, &word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, nullptr,
          nullptr, bits);
}

}  // namespace reenact

#endif  // REENACT_BASE_FUTEX_H_
