#include "reenact/replay/slice.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "reenact/base/posix_file.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

constexpr char kMarker[] = "/SLICE";
constexpr char kFormat[] = "reenact slice format 1\n";
constexpr char kBase[] = "/base.snap";
constexpr char kTail[] = "tail.cborseq";

absl::StatusOr<Bytes> ReadWhole(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(posix::File file, posix::File::Open(path, O_RDONLY));
  REENACT_ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  Bytes bytes;
  REENACT_RETURN_IF_ERROR(file.Read(size, &bytes));
  return bytes;
}

absl::Status WriteWhole(const std::string& path, BytesView bytes) {
  REENACT_ASSIGN_OR_RETURN(
      posix::File file, posix::File::Open(path, O_WRONLY | O_CREAT | O_EXCL));
  REENACT_RETURN_IF_ERROR(file.Append(bytes));
  return file.Sync();
}

absl::Status ReadTail(BytesView tail, Slice* slice) {
  cbor::Reader reader(tail);
  const Checkpoint& start = slice->start;
  ChainEnd last = ChainEndBefore(start.block_count, start.round, start.event_id,
                                 start.block_hash);
  while (!reader.AtEnd()) {
    const BytesView stored = reader.ByteString();
    REENACT_RETURN_IF_ERROR(Annotate(reader.status(), kTail));
    REENACT_ASSIGN_OR_RETURN(const BlockView block, DecodeBlock(stored));
    REENACT_RETURN_IF_ERROR(
        Annotate(CheckFollows(last.header, last.hash, block.header), kTail));
    last = {block.header, block.hash};
    slice->head = block.header.last();
    slice->blocks.blocks.emplace_back(stored);
  }
  slice->journal = last.hash;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Bytes> SliceBlocks::ReadBlock(std::uint64_t index) const {
  if (index < first || index >= block_count()) {
    return absl::OutOfRangeError("block " + std::to_string(index) +
                                 ": the slice does not have it");
  }
  return blocks[index - first];
}

absl::Status SliceBlocks::Scan(std::uint64_t from, const Visit& visit) const {
  for (std::uint64_t index = from; index < block_count(); ++index) {
    REENACT_ASSIGN_OR_RETURN(const Bytes stored, ReadBlock(index));
    REENACT_RETURN_IF_ERROR(visit(index, stored));
  }
  return absl::OkStatus();
}

bool IsSlice(const std::string& path) {
  struct stat found;
  return ::stat((path + kMarker).c_str(), &found) == 0;
}

absl::Status CheckSliceFormat(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const Bytes marker, ReadWhole(path + kMarker));
  if (marker == kFormat) return absl::OkStatus();
  return absl::UnimplementedError(path + ": a slice of an unknown format");
}

absl::StatusOr<Slice> ReadSlice(const std::string& path) {
  Slice slice;
  slice.base_path = path + kBase;
  REENACT_ASSIGN_OR_RETURN(SnapshotContents base,
                           ReadSnapshotFile(slice.base_path));
  slice.start = CheckpointOf(std::move(base));
  slice.blocks.first = slice.start.block_count;
  REENACT_ASSIGN_OR_RETURN(const Bytes tail, ReadWhole(path + "/" + kTail));
  REENACT_RETURN_IF_ERROR(ReadTail(tail, &slice));
  return slice;
}

absl::Status WriteSlice(const std::string& path, const Checkpoint& place,
                        const std::map<CellRef, Bytes>& cells,
                        const std::function<bool(const CellRef&)>& wanted,
                        BytesView block) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    return posix::ErrnoStatus(errno, path, "make directory");
  }
  Bytes base;
  SnapshotEncoder encoder(HeaderOf(place), place.sequencer,
                          [&base](BytesView bytes) {
                            base.append(bytes);
                            return absl::OkStatus();
                          });
  for (const auto& [cell, state] : cells) {
    if (!wanted(cell)) continue;
    REENACT_RETURN_IF_ERROR(encoder.AddCell(cell.reducer, cell.key, state));
  }
  REENACT_RETURN_IF_ERROR(encoder.Finish().status());
  Bytes tail;
  cbor::Encoder(&tail).ByteString(block);
  REENACT_RETURN_IF_ERROR(WriteWhole(path + kBase, base));
  REENACT_RETURN_IF_ERROR(WriteWhole(path + "/" + kTail, tail));
  return WriteWhole(path + kMarker, kFormat);
}

}  // namespace reenact
