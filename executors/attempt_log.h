// Which attempts there were, whichever process made them.

#ifndef REENACT_EXECUTORS_ATTEMPT_LOG_H_
#define REENACT_EXECUTORS_ATTEMPT_LOG_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "reenact/base/status.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/hash.h"

namespace reenact {

// What is known of the attempts at one effect.
struct PastAttempts {
  std::uint32_t count = 0;  // that were begun
  Amounts usage;            // of all of them
  bool in_doubt = false;    // one may have been carried out
  // Of the machine's clock, in milliseconds since 1970: when the first was
  // begun, and before when the next is not to be.
  std::int64_t first = 0;
  std::int64_t not_before = 0;

  friend bool operator==(const PastAttempts&, const PastAttempts&) = default;
};

// The file `attempts` in a world's directory: a note of each attempt that was
// begun, durable before it is, and of what came of it, if that is not a
// receipt. So attempts and what they used count whenever the process ends.
// spec/executors.md has its format. What cannot be read of it, and all behind
// that, is as if it had not been noted.
//
// Thread safety: any thread.
class AttemptLog {
 public:
  virtual ~AttemptLog() = default;
  // Made if it is not there. Forgets what was begun more than a year before
  // `now`, which no rule allows for: a crash may leave notes of effects that
  // have ended. What the system said.
  static absl::StatusOr<std::unique_ptr<AttemptLog>> Open(
      const std::string& directory, std::int64_t now);

  // Nullopt: none was noted.
  virtual std::optional<PastAttempts> Find(const Digest& intent) const = 0;

  // An attempt is about to begin at `now`. Until it is noted that it ended, it
  // has used `least`, and may have been carried out. Durable on return; an
  // error: it is not to be begun.
  virtual absl::Status Began(const Digest& intent, const Amounts& least,
                             std::int64_t now) = 0;
  // The latest ended without a receipt: what all have used by now. A crash may
  // lose this.
  virtual void Ended(const Digest& intent, const PastAttempts& past) = 0;
  // There will be no other.
  virtual void Forget(const Digest& intent) = 0;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_ATTEMPT_LOG_H_
