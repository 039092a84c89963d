// Whether the blobs that a world's history speaks of are there.

#ifndef REENACT_TOOLS_REENACT_BLOB_CHECK_H_
#define REENACT_TOOLS_REENACT_BLOB_CHECK_H_

#include <cstdint>
#include <functional>
#include <string>

#include "reenact/base/status.h"

namespace reenact::tools {

struct BlobCheck {
  std::uint64_t blobs = 0;  // that receipts refer to, each once
  // Of the first that is not as it should be: file, what is wrong, and the
  // input whose receipt refers to it. Empty: all have their digests.
  std::string problem;
};

// Reads every blob that a receipt of status ok refers to: with evidence of the
// name "blob", or {"blob": digest} in its payload. Modifies nothing.
//
// Errors: the archive's; PermissionDenied, ResourceExhausted, Unavailable: what
// the system said of a blob; Cancelled, once `cancelled` says so.
absl::StatusOr<BlobCheck> CheckBlobs(const std::string& world,
                                     const std::function<bool()>& cancelled);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_BLOB_CHECK_H_
