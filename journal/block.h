// Blocks: the entries of one round, and the chain that ties them together.
//
// A stored block is a CBOR map followed by the 32 bytes of its hash:
//
//   {0: index, 1: hash of the block before, 2: round, 3: first ticket,
//    4: tickets, 5: entries, 6: the entries, a CBOR sequence in a byte string,
//    ? 7: digest of the open work at its end}
//
//   hash = BLAKE2b-256(domain "reenact.block.v1", the map's bytes)
//
// Block 0 holds the Genesis entry only; its `prev` is all zeros, its round 0,
// its first ticket 1, and it has no tickets.

#ifndef REENACT_JOURNAL_BLOCK_H_
#define REENACT_JOURNAL_BLOCK_H_

#include <cstdint>
#include <optional>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

struct BlockHeader {
  std::uint64_t index = 0;
  Digest prev;
  Round round;
  EventId first;  // the first ticket, even if it has none
  std::uint64_t ticket_count = 0;
  std::uint64_t entry_count = 0;
  std::optional<Digest> open_work;  // see OpenWorkDigest()

  // The last ticket up to and including this block.
  EventId last() const { return EventId{first.value + ticket_count - 1}; }

  friend bool operator==(const BlockHeader&, const BlockHeader&) = default;
};

// A decoded block; `entries` points into the bytes it was decoded from.
struct BlockView {
  BlockHeader header;
  BytesView entries;
  Digest hash;
};

// The stored bytes of a block, and its hash in `hash`.
// REQUIRES: header.first is at least 1.
Bytes EncodeBlock(const BlockHeader& header, BytesView entries, Digest* hash);

// DataLoss: `stored` is not a block, or its hash is not the hash of its bytes.
// Entries are not looked into.
absl::StatusOr<BlockView> DecodeBlock(BytesView stored);
// The view would be of bytes that are gone.
absl::StatusOr<BlockView> DecodeBlock(Bytes&& stored) = delete;

// DataLoss unless `next` is the block that follows `prev`: index, hash, round
// and first ticket. Messages name both blocks.
absl::Status CheckFollows(const BlockHeader& prev, const Digest& prev_hash,
                          const BlockHeader& next);

}  // namespace reenact

#endif  // REENACT_JOURNAL_BLOCK_H_
