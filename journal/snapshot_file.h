// Snapshots as files: the whole state of a world at the end of a round, in
// canonical bytes. spec/snapshot.md is the format's promise.
//
// A file is a CBOR sequence followed by a digest:
//   header    {0: "reenact.snapshot", 1: format version, 2: configuration,
//              3: event_id, 4: round, 5: logical time, 6: block count,
//              7: hash of the last block, 8: next input id,
//              9: source position, ? 10: ledger, ? 11: sources}
//   sequencer one item: queues, timers, dedupe horizon; see sequencer.h
//   cells     [reducer id, key, state], ascending by reducer id, then key
//   end       {0: "end", 1: number of cells, 2: state digest}
//   then 32 bytes: BLAKE2b-256(domain "reenact.snapshot.v1", all of the above)
//
// The state digest is BLAKE2b-256(domain "reenact.state.v1", the cells' bytes):
// equal states have equal state digests, whatever history led there.

#ifndef REENACT_JOURNAL_SNAPSHOT_FILE_H_
#define REENACT_JOURNAL_SNAPSHOT_FILE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/source.h"

namespace reenact {

struct SnapshotHeader {
  WorldConfig config;  // as of this place
  EventId event_id;
  Round round;
  LogicalTime time;
  std::uint64_t block_count = 0;
  Digest block_hash;
  InputId last_input;
  std::uint64_t position = 0;  // of the last input admitted; see Input
  Bytes ledger;         // Ledger::Encode(): one item; empty: there is none
  SourceMarks sources;  // that the world was fed by name

  friend bool operator==(const SnapshotHeader&,
                         const SnapshotHeader&) = default;
};

struct SnapshotDigests {
  Digest file;   // over everything
  Digest state;  // over cells
  std::uint64_t cell_count = 0;
};

// Writes a snapshot to any sink, in order: constructor, cells, Finish().
class SnapshotEncoder {
 public:
  using Sink = std::function<absl::Status(BytesView bytes)>;
  SnapshotEncoder(const SnapshotHeader& header, BytesView sequencer, Sink sink);
  // REQUIRES: ascending.
  absl::Status AddCell(ReducerId reducer, std::string_view key,
                       BytesView state);
  absl::StatusOr<SnapshotDigests> Finish();

 private:
  void Flush();

  Sink sink_;
  Bytes buffer_;
  absl::Status status_;
  Hasher file_hasher_;
  Hasher state_hasher_;
  std::uint64_t cell_count_ = 0;
};

// The state digest of cells given in order, without a snapshot around them.
absl::StatusOr<SnapshotDigests> StateDigestOf(const CellView& cells);

// Writes `path` through a temporary file: written, synced, renamed, directory
// synced; after a crash it is there whole or not at all.
absl::StatusOr<SnapshotDigests> WriteSnapshotFile(const std::string& path,
                                                  const SnapshotHeader& header,
                                                  BytesView sequencer,
                                                  const CellView& cells);

struct SnapshotContents {
  SnapshotHeader header;
  Bytes sequencer;
  SnapshotDigests digests;
};

// Reads a snapshot, calling `visit` for each cell in order if given; verifies
// format, order and both digests. The file's digest is compared before anything
// is decoded, so damage costs no memory; order, count and state digest are
// checked on the way: discard what was visited on error. A visitor's error ends
// it and is returned as it is. Holds one chunk and one cell at a time.
//
// DataLoss: damaged; names file and byte. Unimplemented: of a newer format.
absl::StatusOr<SnapshotContents> ReadSnapshotFile(
    const std::string& path,
    const std::function<absl::Status(ReducerId, std::string_view key,
                                     BytesView state)>& visit = nullptr);

// Where a world stands that goes on from a snapshot, and back.
Checkpoint CheckpointOf(SnapshotContents contents);
SnapshotHeader HeaderOf(const Checkpoint& place);

// The open work alone, for the store: header, sequencer and a digest of both
// (domain "reenact.openwork.v1"). What Open() goes on from when the cells
// themselves are up to date.
Bytes EncodeOpenWork(const SnapshotHeader& header, BytesView sequencer);
// DataLoss: damaged. The digests in the result are empty.
absl::StatusOr<SnapshotContents> DecodeOpenWork(BytesView bytes);

// OK if a snapshot with this cell gives it again; else what its reader says.
absl::Status ReadBackCell(ReducerId reducer, std::string_view key,
                          BytesView state);

// What binds a snapshot's queues, and those of a record of open work, to the
// chain, in worlds of format 3: the block whose end they are as of has this
// digest of them, domain "reenact.openwork.v2". It covers all of the header but
// the block's hash, which depends on it. Blocks whose index is a multiple of
// kOpenWorkEvery have one, and those that a snapshot is taken after.
inline constexpr std::uint64_t kFormatVersionOpenWork = 3;
inline constexpr std::uint64_t kOpenWorkEvery = 256;
Digest OpenWorkDigest(SnapshotHeader header, BytesView sequencer);

// DataLoss unless `block` is the one that the header names, of that round, and
// has the digest of this open work, if its world has those.
absl::Status CheckIsAfter(const SnapshotHeader& header, BytesView sequencer,
                          const BlockView& block);

// Event ids of the files in `directory` that are named like snapshots,
// ascending. Removes nothing.
absl::StatusOr<std::vector<EventId>> ListSnapshots(
    const std::string& directory);

// Removes all but the newest `keep` snapshots. REQUIRES: keep > 0.
absl::Status RemoveOldSnapshots(const std::string& directory, std::size_t keep);

// Removes leftovers of snapshots that a crash interrupted.
absl::Status RemoveTemporarySnapshots(const std::string& directory);

}  // namespace reenact

#endif  // REENACT_JOURNAL_SNAPSHOT_FILE_H_
