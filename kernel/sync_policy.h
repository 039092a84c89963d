#ifndef REENACT_KERNEL_SYNC_POLICY_H_
#define REENACT_KERNEL_SYNC_POLICY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "reenact/base/status.h"

namespace reenact {

// When what was committed is made to survive a crash of the machine. Leaves no
// trace in the journal.
struct SyncPolicy {
  enum class Kind {
    kEveryBlock,  // before anybody is told that it is durable
    kInterval,    // every `interval_ms`; durable means: handed to the system
    kNone,        // at close only
  };
  Kind kind = Kind::kEveryBlock;
  std::uint64_t interval_ms = 100;

  // "every-block", "interval", "interval:250ms" (a number alone is
  // milliseconds) or "none". InvalidArgument: something else.
  static absl::StatusOr<SyncPolicy> Parse(std::string_view text);
  std::string ToString() const;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_SYNC_POLICY_H_
