// Policies as people keep them: JSON files with comments.

#ifndef REENACT_TOOLS_REENACT_POLICY_FILE_H_
#define REENACT_TOOLS_REENACT_POLICY_FILE_H_

#include <string>

#include "reenact/base/status.h"
#include "reenact/kernel/authority/policy.h"

namespace reenact::tools {

// The most bytes that such a file may have, comments included.
inline constexpr std::size_t kPolicyFileBytesMax = 4 << 20;

// The policy in a file; "-" is standard input.
// InvalidArgument: it is too large, no JSON, or no policy; the message names
// the file and the place. Others: it cannot be read.
absl::StatusOr<Policy> ReadPolicyFile(const std::string& path);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_POLICY_FILE_H_
