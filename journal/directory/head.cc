#include "reenact/journal/directory/head.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/base/posix_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/config.h"

namespace reenact {
namespace {

constexpr std::string_view kDomain = "reenact.head.v1";
constexpr std::string_view kMagic = "reenact.head";
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kBodySize = kHeadSlotSize - kDigestSize;

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(ToAbsl("head record: " + std::string(what)));
}

bool AllZero(BytesView bytes) {
  return bytes.find_first_not_of('\0') == BytesView::npos;
}

// Which slot a generation is written to, so that writes take turns and a slot
// that was written to the wrong place is found out.
std::size_t SlotOf(std::uint64_t generation) { return generation % 2; }

HeadRecord ReadRecord(cbor::Reader& reader) {
  HeadRecord record;
  reader.ExpectMap(9);
  reader.ExpectKey(0);
  if (reader.Text() != kMagic && reader.ok()) reader.Fail("not a head record");
  reader.ExpectKey(1);
  if (reader.Unsigned() != kVersion && reader.ok()) {
    reader.Fail("a version that this code does not know");
  }
  reader.ExpectKey(2);
  record.generation = reader.Unsigned();
  reader.ExpectKey(3);
  record.world_id = Bytes(reader.ByteString());
  reader.ExpectKey(4);
  record.epoch = reader.Unsigned();
  reader.ExpectKey(5);
  record.block_count = reader.Unsigned();
  reader.ExpectKey(6);
  record.event_id = EventId{reader.Unsigned()};
  reader.ExpectKey(7);
  const absl::StatusOr<Digest> hash = Digest::FromBytes(reader.ByteString());
  if (hash.ok()) record.hash = *hash;
  if (!hash.ok() && reader.ok()) reader.Fail("hash is not 32 bytes long");
  reader.ExpectKey(8);
  record.clean = reader.Bool();
  return record;
}

// Under its name it is there with its final size or not at all, so that later
// syncs write no metadata, and nothing but a record can tear.
absl::Status MakeHeadFile(const std::string& path) {
  const std::string temporary = path + ".tmp";
  {
    REENACT_ASSIGN_OR_RETURN(
        posix::File file,
        posix::File::Open(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    REENACT_RETURN_IF_ERROR(file.Append(Bytes(2 * kHeadSlotSize, '\0')));
    REENACT_RETURN_IF_ERROR(file.Sync());
  }
  REENACT_FAILPOINT_RETURN("head: made, before it has its name");
  return posix::RenameDurably(temporary, path);
}

class HeadFileImpl final : public HeadFile {
 public:
  HeadFileImpl(posix::File file, std::uint64_t generation)
      : file_(std::move(file)), generation_(generation) {}

  absl::Status Write(HeadRecord record, bool sync) override {
    if (!status_.ok()) return status_;
    status_ = WriteNext(std::move(record), sync);
    return status_;
  }

 private:
  absl::Status WriteNext(HeadRecord record, bool sync) {
    // Over the other slot, or, until this one is synced, over the same again.
    generation_ += synced_ ? 1 : 2;
    record.generation = generation_;
    synced_ = false;
    REENACT_RETURN_IF_ERROR(file_.WriteAt(SlotOf(generation_) * kHeadSlotSize,
                                          EncodeHeadSlot(record)));
    if (!sync) return absl::OkStatus();
    REENACT_FAILPOINT_RETURN("head: written, before its sync");
    REENACT_RETURN_IF_ERROR(file_.Sync());
    synced_ = true;
    return absl::OkStatus();
  }

  posix::File file_;
  std::uint64_t generation_;
  bool synced_ = true;  // the slot of generation_
  absl::Status status_;
};

}  // namespace

Bytes EncodeHeadSlot(const HeadRecord& record) {
  REENACT_CHECK(record.world_id.size() == kWorldIdSize);
  Bytes slot;
  slot.reserve(kHeadSlotSize);
  cbor::Encoder encoder(&slot);
  encoder.Map(9);
  encoder.Unsigned(0);
  encoder.Text(kMagic);
  encoder.Unsigned(1);
  encoder.Unsigned(kVersion);
  encoder.Unsigned(2);
  encoder.Unsigned(record.generation);
  encoder.Unsigned(3);
  encoder.ByteString(record.world_id);
  encoder.Unsigned(4);
  encoder.Unsigned(record.epoch);
  encoder.Unsigned(5);
  encoder.Unsigned(record.block_count);
  encoder.Unsigned(6);
  encoder.Unsigned(record.event_id.value);
  encoder.Unsigned(7);
  encoder.ByteString(record.hash.view());
  encoder.Unsigned(8);
  encoder.Bool(record.clean);
  slot.resize(kBodySize, '\0');
  const Digest digest = Hasher(kDomain).Add(slot).Finish();
  slot.append(digest.view());
  return slot;
}

absl::StatusOr<HeadRecord> DecodeHeadSlot(BytesView slot) {
  if (slot.size() != kHeadSlotSize) {
    return Damaged(std::to_string(slot.size()) + " bytes instead of 4096");
  }
  const BytesView body = slot.substr(0, kBodySize);
  if (Hasher(kDomain).Add(body).Finish().view() != slot.substr(kBodySize)) {
    return Damaged("its digest is not the digest of its bytes");
  }
  cbor::Reader reader(body);
  HeadRecord record = ReadRecord(reader);
  if (!reader.ok()) return Damaged(ToStd(reader.status().message()));
  if (!AllZero(body.substr(reader.offset()))) {
    return Damaged("its padding is not zero");
  }
  if (record.world_id.size() != kWorldIdSize) {
    return Damaged("its world id is not 16 bytes long");
  }
  return record;
}

std::optional<HeadRecord> HeadFindings::newest() const {
  if (!slots[0]) return slots[1];
  if (!slots[1]) return slots[0];
  return slots[0]->generation > slots[1]->generation ? slots[0] : slots[1];
}

absl::StatusOr<HeadFindings> ReadHeadFile(const std::string& path) {
  HeadFindings findings;
  REENACT_ASSIGN_OR_RETURN(const posix::Kind kind, posix::KindOfPath(path));
  if (kind == posix::Kind::kNothing) return findings;
  findings.file_exists = true;
  REENACT_ASSIGN_OR_RETURN(posix::File file, posix::File::Open(path, O_RDONLY));
  for (std::size_t i = 0; i < 2; ++i) {
    Bytes slot;
    REENACT_RETURN_IF_ERROR(file.Read(kHeadSlotSize, &slot));
    if (AllZero(slot)) continue;
    absl::StatusOr<HeadRecord> record = DecodeHeadSlot(slot);
    if (record.ok() && SlotOf(record->generation) == i) {
      findings.slots[i] = *std::move(record);
    } else {
      findings.damaged[i] = true;
    }
  }
  return findings;
}

absl::StatusOr<std::unique_ptr<HeadFile>> HeadFile::Open(
    const std::string& path, const std::optional<HeadRecord>& last) {
  REENACT_ASSIGN_OR_RETURN(const posix::Kind kind, posix::KindOfPath(path));
  if (kind == posix::Kind::kNothing) {
    REENACT_RETURN_IF_ERROR(MakeHeadFile(path));
  }
  REENACT_ASSIGN_OR_RETURN(posix::File file, posix::File::Open(path, O_RDWR));
  REENACT_ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  if (size < 2 * kHeadSlotSize) {
    REENACT_RETURN_IF_ERROR(
        file.WriteAt(size, Bytes(2 * kHeadSlotSize - size, '\0')));
    REENACT_RETURN_IF_ERROR(file.Sync());
    REENACT_RETURN_IF_ERROR(posix::SyncParent(path));
  } else {
    // A process that was killed may have left its last record unsynced.
    REENACT_RETURN_IF_ERROR(file.Sync());
  }
  return std::unique_ptr<HeadFile>(std::make_unique<HeadFileImpl>(
      std::move(file), last ? last->generation : 0));
}

}  // namespace reenact
