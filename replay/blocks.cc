#include "reenact/replay/blocks.h"

#include "reenact/kernel/cbor/cbor.h"

namespace reenact {

std::vector<Bytes> SplitEntries(BytesView entries) {
  std::vector<Bytes> items;
  cbor::Reader reader(entries);
  while (!reader.AtEnd()) {
    const BytesView item = reader.WrappedItem();
    if (!reader.ok()) break;
    items.emplace_back(item);
  }
  return items;
}

std::vector<Bytes> EntriesOf(const RecordedBlocks& blocks,
                             std::uint64_t index) {
  const absl::StatusOr<Bytes> stored = blocks.ReadBlock(index);
  if (!stored.ok()) return {};
  const absl::StatusOr<BlockView> block = DecodeBlock(*stored);
  return block.ok() ? SplitEntries(block->entries) : std::vector<Bytes>();
}

}  // namespace reenact
