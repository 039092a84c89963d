// Where the parts of a history begin that are run again beside each other.

#ifndef REENACT_REPLAY_CUTS_H_
#define REENACT_REPLAY_CUTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "reenact/base/mutex.h"
#include "reenact/base/status.h"

namespace reenact {

// Found out while they are under way: a part goes forward by what is recorded
// until what the parts before it have left to do is as much, for each of them,
// as what it leaves for itself and those behind it. So it needs to be known
// neither how fast going forward is nor how fast running is.
//
// However fast anybody is, each block is run by exactly one part.
//
// Thread safety: any thread, one for each part.
class Cuts {
 public:
  // `parts` parts of the blocks [first, end). Part 0 begins at `first`.
  Cuts(std::uint64_t first, std::uint64_t end, std::size_t parts)
      : end_(end), begins_(parts), ran_to_(parts, 0) {
    begins_[0] = first;
    ran_to_[0] = first;
  }

  // Whether `part` runs `block`, the next one: not if another begins there.
  bool MayRun(std::size_t part, std::uint64_t block) {
    MutexLock lock(&mutex_);
    for (std::size_t i = part + 1; i < begins_.size(); ++i) {
      if (begins_[i] && *begins_[i] <= block) return false;
    }
    ran_to_[part] = block + 1;
    return true;
  }

  // Whether `part`, which has come to `block`, begins there; if not, it goes on
  // and asks again. Aborted: there is nothing left for it to run.
  absl::StatusOr<bool> BeginsAt(std::size_t part, std::uint64_t block) {
    MutexLock lock(&mutex_);
    if (block >= end_ || IsBehind(part, block)) {
      return absl::AbortedError("other parts run what is left");
    }
    if (HasRun(part, block)) return false;
    const std::uint64_t before = (block - ran_to_[0]) * (begins_.size() - part);
    if (before < (end_ - block) * part) return false;
    begins_[part] = block;
    ran_to_[part] = block;
    return true;
  }

 private:
  // Whether a later part begins no later than that.
  bool IsBehind(std::size_t part, std::uint64_t block) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (std::size_t i = part + 1; i < begins_.size(); ++i) {
      if (begins_[i] && *begins_[i] <= block) return true;
    }
    return false;
  }

  // Whether an earlier part has come as far, or begins there.
  bool HasRun(std::size_t part, std::uint64_t block) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (std::size_t i = 0; i < part; ++i) {
      if (ran_to_[i] > block || begins_[i] == block) return true;
    }
    return false;
  }

  const std::uint64_t end_;
  Mutex mutex_;
  // By part; nullopt: not known yet, or never.
  std::vector<std::optional<std::uint64_t>> begins_ ABSL_GUARDED_BY(mutex_);
  // The block after the last one that the part has begun to run; 0: none.
  std::vector<std::uint64_t> ran_to_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reenact

#endif  // REENACT_REPLAY_CUTS_H_
