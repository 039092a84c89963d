// Effects of kinds blob.put and blob.get.

#ifndef REENACT_EXECUTORS_BLOB_EXECUTOR_H_
#define REENACT_EXECUTORS_BLOB_EXECUTOR_H_

#include <cstdint>

#include "reenact/executors/executor.h"

namespace reenact {

// {"bytes": ...} or {"text": "..."} goes to the blob store that tasks have; the
// payload is {"digest": ..., "size": n}. Texts are stored as they are: there
// are no secrets in blobs.
//
// Thread safety: any thread.
class BlobPutExecutor final : public Executor {
 public:
  std::string_view kind() const override { return "blob.put"; }
  Answer Execute(Task& task) override;
  Amounts LeastUsage() const override { return {{"calls", 1}}; }
};

// {"digest": ..., "max": n} comes from it; the payload is {"bytes": ...}. More
// than `bytes_max` bytes are not for receipts.
//
// Thread safety: any thread.
class BlobGetExecutor final : public Executor {
 public:
  explicit BlobGetExecutor(std::uint64_t bytes_max = 64 << 10)
      : bytes_max_(bytes_max) {}

  std::string_view kind() const override { return "blob.get"; }
  Answer Execute(Task& task) override;
  Amounts LeastUsage() const override { return {{"calls", 1}}; }

 private:
  const std::uint64_t bytes_max_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_BLOB_EXECUTOR_H_
