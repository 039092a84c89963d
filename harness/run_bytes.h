// What one run came to, as bytes, for whoever waits in another process.

#ifndef REENACT_HARNESS_RUN_BYTES_H_
#define REENACT_HARNESS_RUN_BYTES_H_

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/harness/run.h"

namespace reenact::harness {

// Numbers and texts one behind the other. Both ends are one program, so there
// is no version.
class BytesOut {
 public:
  void Number(std::uint64_t number);
  void Text(std::string_view text);
  Bytes Take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// Once something was missing it stays failed, and gives zeros.
class BytesIn {
 public:
  explicit BytesIn(BytesView bytes) : bytes_(bytes) {}
  std::uint64_t Number();
  std::string Text();
  bool ok() const { return ok_; }

 private:
  BytesView bytes_;
  bool ok_ = true;
};

// Of the world's statistics, conflicts and re-runs only.
Bytes EncodeRun(const RunResult& run);
// DataLoss: they are no such bytes.
absl::StatusOr<RunResult> DecodeRun(BytesView bytes);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_RUN_BYTES_H_
