#include "reenact/journal/snapshot_file.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "reenact/base/instrument.h"
#include "reenact/base/posix_file.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

constexpr std::string_view kFileDomain = "reenact.snapshot.v1";
constexpr std::string_view kStateDomain = "reenact.state.v1";
constexpr std::string_view kOpenWorkDomain = "reenact.openwork.v1";
constexpr std::string_view kOpenWorkInChainDomain = "reenact.openwork.v2";
constexpr std::string_view kMagic = "reenact.snapshot";
constexpr std::uint64_t kVersion = 1;
constexpr std::string_view kSuffix = ".snap";
constexpr std::string_view kTemporarySuffix = ".snap.tmp";
constexpr std::size_t kEventIdDigits = 20;
constexpr std::size_t kChunk = 256 << 10;

using Visitor = std::function<absl::Status(ReducerId, std::string_view key,
                                           BytesView state)>;

void EncodeHeader(const SnapshotHeader& header, Bytes* out) {
  cbor::Encoder encoder(out);
  encoder.Map(10U + (header.ledger.empty() ? 0U : 1U) +
              (header.sources.empty() ? 0U : 1U));
  encoder.Unsigned(0);
  encoder.Text(kMagic);
  encoder.Unsigned(1);
  encoder.Unsigned(kVersion);
  encoder.Unsigned(2);
  EncodeConfig(header.config, encoder);
  encoder.Unsigned(3);
  encoder.Unsigned(header.event_id.value);
  encoder.Unsigned(4);
  encoder.Unsigned(header.round.value);
  encoder.Unsigned(5);
  encoder.Integer(header.time.value);
  encoder.Unsigned(6);
  encoder.Unsigned(header.block_count);
  encoder.Unsigned(7);
  encoder.ByteString(header.block_hash.view());
  encoder.Unsigned(8);
  encoder.Unsigned(header.last_input.value);
  encoder.Unsigned(9);
  encoder.Unsigned(header.position);
  if (!header.ledger.empty()) {
    encoder.Unsigned(10);
    encoder.Raw(header.ledger);
  }
  if (!header.sources.empty()) {
    encoder.Unsigned(11);
    EncodeSources(header.sources, encoder);
  }
}

void EncodeCell(ReducerId reducer, std::string_view key, BytesView state,
                Bytes* out) {
  cbor::Encoder encoder(out);
  encoder.Array(3);
  encoder.Unsigned(reducer);
  encoder.Text(key);
  encoder.Raw(state);
}

struct SnapshotCell {
  ReducerId reducer = 0;
  std::string_view key;
  BytesView state;
};

absl::StatusOr<SnapshotCell> DecodeCell(cbor::Reader& reader) {
  reader.ExpectArray(3);
  const std::uint64_t reducer = reader.Unsigned();
  const std::string_view key = reader.Text();
  const BytesView state = reader.Item();
  REENACT_RETURN_IF_ERROR(reader.status());
  if (reducer >= kNoReducer) {
    return absl::DataLossError("there is no such reducer id");
  }
  return SnapshotCell{static_cast<ReducerId>(reducer), key, state};
}

// A cell is an item around a state, which is one of 64 levels itself.
BytesView ReadCellItem(cbor::Reader& reader) {
  return REENACT_PLANTED("a snapshot has no room for the deepest state")
             ? reader.Item()
             : reader.WrappedItem();
}

Digest ReadDigest(cbor::Reader& reader) {
  const absl::StatusOr<Digest> digest = Digest::FromBytes(reader.ByteString());
  if (digest.ok()) return *digest;
  if (reader.ok()) reader.Fail("a digest is not 32 bytes long");
  return Digest();
}

absl::StatusOr<SnapshotHeader> DecodeHeader(BytesView item) {
  cbor::Reader reader(item);
  SnapshotHeader header;
  const std::uint64_t size = reader.Map();
  reader.ExpectKey(0);
  if (reader.Text() != kMagic && reader.ok()) reader.Fail("not a snapshot");
  reader.ExpectKey(1);
  const std::uint64_t version = reader.Unsigned();
  REENACT_RETURN_IF_ERROR(reader.status());
  if (version > kVersion) {
    return absl::UnimplementedError(
        ToAbsl("snapshot format " + std::to_string(version) +
               " is newer than this version reads (1)"));
  }
  if (size < 10 || size > 12 || version != kVersion) {
    reader.Fail("not a snapshot's header");
  }
  reader.ExpectKey(2);
  REENACT_RETURN_IF_ERROR(reader.status());
  REENACT_ASSIGN_OR_RETURN(header.config, DecodeConfig(reader));
  reader.ExpectKey(3);
  header.event_id = EventId{reader.Unsigned()};
  reader.ExpectKey(4);
  header.round = Round{reader.Unsigned()};
  reader.ExpectKey(5);
  header.time = LogicalTime{reader.Integer()};
  reader.ExpectKey(6);
  header.block_count = reader.Unsigned();
  reader.ExpectKey(7);
  header.block_hash = ReadDigest(reader);
  reader.ExpectKey(8);
  header.last_input = InputId{reader.Unsigned()};
  reader.ExpectKey(9);
  header.position = reader.Unsigned();
  std::uint64_t left = size - 10;
  if (left > 0 && reader.Take(10)) {
    header.ledger = Bytes(reader.WrappedItem());
    --left;
  }
  if (left > 0 && reader.Take(11)) {
    header.sources = DecodeSources(reader);
    --left;
  }
  if (left != 0 && reader.ok()) reader.Fail("not a snapshot's header");
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(reader.status());
  return header;
}

// The items of a file's first `size` bytes, one after the other. Holds what it
// needs for the current item and a chunk more.
class ItemReader {
 public:
  ItemReader(posix::File* file, std::uint64_t size)
      : file_(file), left_(size) {}

  // The next whole item; valid until the next call.
  absl::StatusOr<BytesView> Next() {
    offset_ += item_size_;
    begin_ += item_size_;
    item_size_ = 0;
    for (;;) {
      cbor::Reader reader(BytesView(window_).substr(begin_));
      const BytesView item = ReadCellItem(reader);
      if (reader.ok()) {
        item_size_ = item.size();
        return item;
      }
      // Either the item goes on beyond the window, or it is damaged, which
      // shows once the window cannot grow.
      if (left_ == 0) return reader.status();
      REENACT_RETURN_IF_ERROR(Grow());
    }
  }

  // Where the current item starts in the file.
  std::uint64_t offset() const { return offset_; }
  bool AtEnd() const {
    return left_ == 0 && begin_ + item_size_ == window_.size();
  }
  // Of all bytes that items were read from. REQUIRES: AtEnd().
  Digest FinishDigest() { return hasher_.Finish(); }

 private:
  // Doubles what is unread, so that a long item is scanned few times.
  absl::Status Grow() {
    window_.erase(0, begin_);
    begin_ = 0;
    const std::uint64_t want =
        std::min<std::uint64_t>(left_, std::max(kChunk, window_.size()));
    Bytes more;
    REENACT_RETURN_IF_ERROR(file_->Read(want, &more));
    if (more.size() != want) return absl::DataLossError("it ends too soon");
    hasher_.Add(more);
    window_.append(more);
    left_ -= want;
    return absl::OkStatus();
  }

  posix::File* file_;
  std::uint64_t left_;  // bytes that are not in the window yet
  Hasher hasher_{kFileDomain};
  Bytes window_;
  std::size_t begin_ = 0;
  std::size_t item_size_ = 0;
  std::uint64_t offset_ = 0;
};

absl::Status At(const absl::Status& status, const std::string& what,
                std::uint64_t offset) {
  return Annotate(status, what + " at byte " + std::to_string(offset));
}

// The parts of one snapshot, read in order. Its bytes have had their digest
// before, and have it still.
class SnapshotReader {
 public:
  SnapshotReader(posix::File* file, std::uint64_t size, const Digest& digest,
                 const Visitor& visit)
      : items_(file, size), visit_(visit) {
    contents_.digests.file = digest;
  }

  absl::StatusOr<SnapshotContents> Read() {
    REENACT_RETURN_IF_ERROR(ReadFront());
    for (bool more = true; more;) {
      REENACT_ASSIGN_OR_RETURN(more, ReadCellOrEnd());
    }
    if (!items_.AtEnd()) {
      return At(absl::DataLossError("something follows it"), "end",
                items_.offset());
    }
    if (items_.FinishDigest() != contents_.digests.file) {
      return absl::DataLossError(
          "it was read twice, and not the same both times; look after the "
          "disk");
    }
    return std::move(contents_);
  }

 private:
  absl::StatusOr<BytesView> Next(const char* what) {
    absl::StatusOr<BytesView> item = items_.Next();
    if (!item.ok()) return At(item.status(), what, items_.offset());
    return item;
  }

  absl::Status ReadFront() {
    REENACT_ASSIGN_OR_RETURN(BytesView item, Next("header"));
    absl::StatusOr<SnapshotHeader> header = DecodeHeader(item);
    if (!header.ok()) return At(header.status(), "header", items_.offset());
    contents_.header = *std::move(header);
    REENACT_ASSIGN_OR_RETURN(item, Next("queues"));
    contents_.sequencer = Bytes(item);
    return absl::OkStatus();
  }

  // Whether there is more.
  absl::StatusOr<bool> ReadCellOrEnd() {
    REENACT_ASSIGN_OR_RETURN(const BytesView item, Next("cell"));
    cbor::Reader reader(item);
    if (reader.Peek() == cbor::Type::kMap) {
      REENACT_RETURN_IF_ERROR(At(ReadEnd(reader), "end", items_.offset()));
      return false;
    }
    REENACT_RETURN_IF_ERROR(
        At(ReadCell(reader, item), "cell", items_.offset()));
    return true;
  }

  absl::Status ReadCell(cbor::Reader& reader, BytesView item) {
    REENACT_ASSIGN_OR_RETURN(const SnapshotCell cell, DecodeCell(reader));
    const auto& [id, key, state] = cell;
    if (count_ != 0 && std::pair(last_reducer_, std::string_view(last_key_)) >=
                           std::pair(id, key)) {
      return absl::DataLossError("it is not above the cell before it");
    }
    state_hasher_.Add(item);
    ++count_;
    last_reducer_ = id;
    last_key_.assign(key);
    return visit_ ? visit_(id, key, state) : absl::OkStatus();
  }

  absl::Status ReadEnd(cbor::Reader& reader) {
    reader.ExpectMap(3);
    reader.ExpectKey(0);
    if (reader.Text() != "end" && reader.ok()) reader.Fail("not the end");
    reader.ExpectKey(1);
    const std::uint64_t count = reader.Unsigned();
    reader.ExpectKey(2);
    contents_.digests.state = ReadDigest(reader);
    REENACT_RETURN_IF_ERROR(reader.status());
    if (count != count_) {
      return absl::DataLossError(ToAbsl("it says " + std::to_string(count) +
                                        " cells and there are " +
                                        std::to_string(count_)));
    }
    if (contents_.digests.state != state_hasher_.Finish()) {
      return absl::DataLossError("its state digest is not that of the cells");
    }
    contents_.digests.cell_count = count;
    return absl::OkStatus();
  }

  ItemReader items_;
  const Visitor& visit_;
  SnapshotContents contents_;
  Hasher state_hasher_{kStateDomain};
  std::uint64_t count_ = 0;
  ReducerId last_reducer_ = 0;
  std::string last_key_;
};

// Compares the digest at the end of the file with what is before it, and goes
// back to its start.
absl::StatusOr<Digest> CheckFileDigest(posix::File& file, std::uint64_t size) {
  Hasher hasher(kFileDomain);
  Bytes chunk;
  for (std::uint64_t left = size; left != 0; left -= chunk.size()) {
    const std::uint64_t want = std::min<std::uint64_t>(left, kChunk);
    REENACT_RETURN_IF_ERROR(file.Read(want, &chunk));
    if (chunk.size() != want) return absl::DataLossError("it ends too soon");
    hasher.Add(chunk);
  }
  const Digest digest = hasher.Finish();
  REENACT_RETURN_IF_ERROR(file.Read(kDigestSize + 1, &chunk));
  if (digest.view() != chunk) {
    return absl::DataLossError(
        ToAbsl("the digest at byte " + std::to_string(size) +
               " is not that of the bytes before it: the file is damaged or "
               "incomplete"));
  }
  REENACT_RETURN_IF_ERROR(file.Rewind());
  return digest;
}

absl::StatusOr<SnapshotContents> ReadOpened(posix::File& file,
                                            const Visitor& visit) {
  REENACT_ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  if (size <= kDigestSize) return absl::DataLossError("it ends too soon");
  REENACT_ASSIGN_OR_RETURN(const Digest digest,
                           CheckFileDigest(file, size - kDigestSize));
  return SnapshotReader(&file, size - kDigestSize, digest, visit).Read();
}

absl::StatusOr<SnapshotDigests> WriteAll(posix::File& file,
                                         const SnapshotHeader& header,
                                         BytesView sequencer,
                                         const CellView& cells) {
  SnapshotEncoder encoder(header, sequencer, [&file](BytesView bytes) {
    return file.Append(bytes);
  });
  REENACT_RETURN_IF_ERROR(
      cells.ScanAll([&encoder](ReducerId reducer, std::string_view key, EventId,
                               BytesView state) {
        return encoder.AddCell(reducer, key, state);
      }));
  REENACT_ASSIGN_OR_RETURN(SnapshotDigests digests, encoder.Finish());
  REENACT_FAILPOINT_RETURN("D16 snapshot's body written");
  REENACT_RETURN_IF_ERROR(file.Sync());
  REENACT_FAILPOINT_RETURN("D17 snapshot synced, before its rename");
  return digests;
}

absl::StatusOr<SnapshotDigests> WriteTemporary(const std::string& path,
                                               const SnapshotHeader& header,
                                               BytesView sequencer,
                                               const CellView& cells) {
  REENACT_RETURN_IF_ERROR(posix::RemoveFile(path));
  REENACT_ASSIGN_OR_RETURN(
      posix::File file, posix::File::Open(path, O_WRONLY | O_CREAT | O_EXCL));
  return WriteAll(file, header, sequencer, cells);
}

std::string NameOf(const std::string& directory, EventId event_id) {
  const std::string digits = std::to_string(event_id.value);
  return directory + "/" + std::string(kEventIdDigits - digits.size(), '0') +
         digits + std::string(kSuffix);
}

// The event id of "00000000000000000042<suffix>".
std::optional<EventId> ParseName(std::string_view name,
                                 std::string_view suffix) {
  if (name.size() != kEventIdDigits + suffix.size()) return std::nullopt;
  if (name.substr(kEventIdDigits) != suffix) return std::nullopt;
  std::uint64_t value = 0;
  for (const char digit : name.substr(0, kEventIdDigits)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    const auto unit = static_cast<std::uint64_t>(digit - '0');
    if (__builtin_mul_overflow(value, 10U, &value) ||
        __builtin_add_overflow(value, unit, &value)) {
      return std::nullopt;
    }
  }
  return EventId{value};
}

absl::Status VisitNames(
    const std::string& directory,
    const std::function<absl::Status(const std::string& name)>& visit) {
  std::error_code error;
  std::filesystem::directory_iterator at(directory, error);
  if (error) {
    return posix::ErrnoStatus(error.value(), directory, "cannot list it");
  }
  while (at != std::filesystem::directory_iterator()) {
    REENACT_RETURN_IF_ERROR(visit(at->path().filename().string()));
    at.increment(error);
    if (error) {
      return posix::ErrnoStatus(error.value(), directory, "cannot list it");
    }
  }
  return absl::OkStatus();
}

}  // namespace

SnapshotEncoder::SnapshotEncoder(const SnapshotHeader& header,
                                 BytesView sequencer, Sink sink)
    : sink_(std::move(sink)),
      file_hasher_(kFileDomain),
      state_hasher_(kStateDomain) {
  EncodeHeader(header, &buffer_);
  buffer_.append(sequencer);
  // Flushed here, so that from now on the buffer holds cells only.
  Flush();
}

void SnapshotEncoder::Flush() {
  file_hasher_.Add(buffer_);
  if (status_.ok() && !buffer_.empty()) status_ = sink_(buffer_);
  buffer_.clear();
}

absl::Status SnapshotEncoder::AddCell(ReducerId reducer, std::string_view key,
                                      BytesView state) {
  EncodeCell(reducer, key, state, &buffer_);
  ++cell_count_;
  if (buffer_.size() < kChunk) return status_;
  state_hasher_.Add(buffer_);
  Flush();
  return status_;
}

absl::StatusOr<SnapshotDigests> SnapshotEncoder::Finish() {
  state_hasher_.Add(buffer_);
  Flush();
  SnapshotDigests digests;
  digests.cell_count = cell_count_;
  digests.state = state_hasher_.Finish();

  cbor::Encoder encoder(&buffer_);
  encoder.Map(3);
  encoder.Unsigned(0);
  encoder.Text("end");
  encoder.Unsigned(1);
  encoder.Unsigned(cell_count_);
  encoder.Unsigned(2);
  encoder.ByteString(digests.state.view());
  Flush();
  digests.file = file_hasher_.Finish();
  if (status_.ok()) status_ = sink_(digests.file.view());
  REENACT_RETURN_IF_ERROR(status_);
  return digests;
}

absl::StatusOr<SnapshotDigests> StateDigestOf(const CellView& cells) {
  Hasher hasher(kStateDomain);
  SnapshotDigests digests;
  Bytes buffer;
  REENACT_RETURN_IF_ERROR(cells.ScanAll(
      [&](ReducerId reducer, std::string_view key, EventId, BytesView state) {
        EncodeCell(reducer, key, state, &buffer);
        ++digests.cell_count;
        if (buffer.size() < kChunk) return absl::OkStatus();
        hasher.Add(buffer);
        buffer.clear();
        return absl::OkStatus();
      }));
  digests.state = hasher.Add(buffer).Finish();
  return digests;
}

absl::StatusOr<SnapshotDigests> WriteSnapshotFile(const std::string& path,
                                                  const SnapshotHeader& header,
                                                  BytesView sequencer,
                                                  const CellView& cells) {
  const std::string temporary = path + ".tmp";
  absl::StatusOr<SnapshotDigests> digests =
      WriteTemporary(temporary, header, sequencer, cells);
  absl::Status status = digests.status();
  if (status.ok()) status = posix::RenameDurably(temporary, path);
  if (status.ok()) return digests;
  // The first error is the one to report; the next open removes leftovers.
  (void)posix::RemoveFile(temporary);
  return status;
}

absl::StatusOr<SnapshotContents> ReadSnapshotFile(const std::string& path,
                                                  const Visitor& visit) {
  REENACT_ASSIGN_OR_RETURN(posix::File file, posix::File::Open(path, O_RDONLY));
  absl::Status visited;
  const Visitor keep_error = [&](ReducerId reducer, std::string_view key,
                                 BytesView state) {
    if (visit) visited = visit(reducer, key, state);
    return visited;
  };
  absl::StatusOr<SnapshotContents> contents = ReadOpened(file, keep_error);
  if (contents.ok()) return contents;
  if (!visited.ok()) return visited;
  const absl::Status& status = contents.status();
  // What the reader calls invalid is damage here: a snapshot wrote it.
  const bool invalid = status.code() == absl::StatusCode::kInvalidArgument ||
                       status.code() == absl::StatusCode::kOutOfRange;
  return Annotate(
      absl::Status(invalid ? absl::StatusCode::kDataLoss : status.code(),
                   status.message()),
      "'" + posix::Shown(path) + "'");
}

Checkpoint CheckpointOf(SnapshotContents contents) {
  Checkpoint place;
  place.config = std::move(contents.header.config);
  place.event_id = contents.header.event_id;
  place.round = contents.header.round;
  place.time = contents.header.time;
  place.block_count = contents.header.block_count;
  place.block_hash = contents.header.block_hash;
  place.last_input = contents.header.last_input;
  place.position = contents.header.position;
  place.ledger = std::move(contents.header.ledger);
  place.sources = std::move(contents.header.sources);
  place.sequencer = std::move(contents.sequencer);
  return place;
}

SnapshotHeader HeaderOf(const Checkpoint& place) {
  SnapshotHeader header;
  header.config = place.config;
  header.event_id = place.event_id;
  header.round = place.round;
  header.time = place.time;
  header.block_count = place.block_count;
  header.block_hash = place.block_hash;
  header.last_input = place.last_input;
  header.position = place.position;
  header.ledger = place.ledger;
  header.sources = place.sources;
  return header;
}

Bytes EncodeOpenWork(const SnapshotHeader& header, BytesView sequencer) {
  Bytes bytes;
  EncodeHeader(header, &bytes);
  bytes.append(sequencer);
  bytes.append(Hasher(kOpenWorkDomain).Add(bytes).Finish().view());
  return bytes;
}

absl::StatusOr<SnapshotContents> DecodeOpenWork(BytesView bytes) {
  if (bytes.size() < kDigestSize) return absl::DataLossError("it is too short");
  const BytesView body = bytes.substr(0, bytes.size() - kDigestSize);
  if (Hasher(kOpenWorkDomain).Add(body).Finish().view() !=
      bytes.substr(body.size())) {
    return absl::DataLossError("its digest is not that of its bytes");
  }
  cbor::Reader reader(body);
  const BytesView header = reader.WrappedItem();
  SnapshotContents contents;
  contents.sequencer = Bytes(reader.WrappedItem());
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(reader.status());
  REENACT_ASSIGN_OR_RETURN(contents.header, DecodeHeader(header));
  return contents;
}

absl::Status ReadBackCell(ReducerId reducer, std::string_view key,
                          BytesView state) {
  Bytes item;
  EncodeCell(reducer, key, state, &item);
  cbor::Reader reader(item);
  const BytesView whole = ReadCellItem(reader);
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(reader.status());
  cbor::Reader inside(whole);
  REENACT_ASSIGN_OR_RETURN(const SnapshotCell cell, DecodeCell(inside));
  if (cell.reducer == reducer && cell.key == key && cell.state == state) {
    return absl::OkStatus();
  }
  return absl::InternalError("another cell");
}

Digest OpenWorkDigest(SnapshotHeader header, BytesView sequencer) {
  header.block_hash = Digest();
  Bytes item;
  EncodeHeader(header, &item);
  return Hasher(kOpenWorkInChainDomain).Add(item).Add(sequencer).Finish();
}

absl::Status CheckIsAfter(const SnapshotHeader& header, BytesView sequencer,
                          const BlockView& block) {
  if (block.hash != header.block_hash ||
      block.header.index + 1 != header.block_count ||
      block.header.last() != header.event_id ||
      block.header.round != header.round) {
    return absl::DataLossError("it is of another history");
  }
  if (header.config.format_version >= kFormatVersionOpenWork &&
      block.header.open_work != OpenWorkDigest(header, sequencer)) {
    return absl::DataLossError(ToAbsl("it is not what block " +
                                      std::to_string(block.header.index) +
                                      " says is open at its end"));
  }
  return absl::OkStatus();
}

absl::Status RemoveOldSnapshots(const std::string& directory,
                                std::size_t keep) {
  REENACT_ASSIGN_OR_RETURN(const std::vector<EventId> all,
                           ListSnapshots(directory));
  for (std::size_t i = 0; i + keep < all.size(); ++i) {
    REENACT_FAILPOINT_RETURN("before an old snapshot is removed");
    REENACT_RETURN_IF_ERROR(posix::RemoveFile(NameOf(directory, all[i])));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<EventId>> ListSnapshots(
    const std::string& directory) {
  std::vector<EventId> ids;
  REENACT_RETURN_IF_ERROR(VisitNames(directory, [&](const std::string& name) {
    if (const auto id = ParseName(name, kSuffix)) ids.push_back(*id);
    return absl::OkStatus();
  }));
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::Status RemoveTemporarySnapshots(const std::string& directory) {
  return VisitNames(directory, [&](const std::string& name) {
    if (!ParseName(name, kTemporarySuffix)) return absl::OkStatus();
    return posix::RemoveFile(directory + "/" + name);
  });
}

}  // namespace reenact
