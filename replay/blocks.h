// What a replay has before it: recorded blocks, and the snapshots among them.

#ifndef REENACT_REPLAY_BLOCKS_H_
#define REENACT_REPLAY_BLOCKS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// Recorded blocks, by index: those of a world, or of a slice.
//
// Thread safety: any thread.
class RecordedBlocks {
 public:
  using Visit =
      std::function<absl::Status(std::uint64_t index, BytesView stored)>;

  virtual ~RecordedBlocks() = default;
  virtual std::uint64_t block_count() const = 0;
  virtual absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const = 0;
  // Visits blocks from `from` on, in order; stops at the first error.
  virtual absl::Status Scan(std::uint64_t from, const Visit& visit) const = 0;
};

// A snapshot on disk that a replay may start from, or come past.
struct KnownSnapshot {
  EventId event_id;
  std::string path;
  SnapshotContents contents;
};
// By block count.
using KnownSnapshots = std::map<std::uint64_t, KnownSnapshot>;

// A block's entries, one by one.
std::vector<Bytes> SplitEntries(BytesView entries);
// Those of block `index`; none if it cannot be read.
std::vector<Bytes> EntriesOf(const RecordedBlocks& blocks, std::uint64_t index);

}  // namespace reenact

#endif  // REENACT_REPLAY_BLOCKS_H_
