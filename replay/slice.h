// Slices: worlds cut down to what still diverges. A directory with a snapshot
// of the few cells that matter, and the blocks after it.

#ifndef REENACT_REPLAY_SLICE_H_
#define REENACT_REPLAY_SLICE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "reenact/replay/blocks.h"

namespace reenact {

class SliceBlocks final : public RecordedBlocks {
 public:
  std::uint64_t first = 0;  // index
  std::vector<Bytes> blocks;

  std::uint64_t block_count() const override { return first + blocks.size(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override;
  absl::Status Scan(std::uint64_t from, const Visit& visit) const override;
};

struct Slice {
  Checkpoint start;
  std::string base_path;  // of the snapshot
  SliceBlocks blocks;     // chained, hashes checked
  EventId head;
  Digest journal;
};

// Whether there is a slice, and none but a slice, at `path`.
bool IsSlice(const std::string& path);
// Unimplemented: of an unknown format.
absl::Status CheckSliceFormat(const std::string& path);
// DataLoss: damaged.
absl::StatusOr<Slice> ReadSlice(const std::string& path);

// Makes the directory `path`: `block`, which comes right after `place`, and of
// the cells there those that `wanted` picks.
absl::Status WriteSlice(const std::string& path, const Checkpoint& place,
                        const std::map<CellRef, Bytes>& cells,
                        const std::function<bool(const CellRef&)>& wanted,
                        BytesView block);

}  // namespace reenact

#endif  // REENACT_REPLAY_SLICE_H_
