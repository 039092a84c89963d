// Any bytes as a snapshot, as open work and as a slot of HEAD, with the digests
// that seal them put right: a fuzzer does not guess one. What is accepted is
// what would be written.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/base/posix_file.h"
#include "reenact/committer/ledger.h"
#include "reenact/journal/directory/head.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/sequencer/sequencer.h"
#include "tests/fuzz/targets.h"

namespace reenact {
namespace {

// A file that goes with the process, in memory if there is a place.
class Scratch {
 public:
  Scratch() {
    int fd = mkstemp(path_.data());
    if (fd < 0) fd = mkstemp((path_ = "/tmp/reenact-XXXXXX").data());
    REENACT_CHECK(fd >= 0);
    close(fd);
  }
  ~Scratch() { unlink(path_.c_str()); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string Holding(BytesView bytes) {
    auto file = posix::File::Open(path_, O_WRONLY | O_TRUNC);
    REENACT_CHECK(file.ok() && file->Append(bytes).ok());
    return path_;
  }

 private:
  std::string path_ = "/dev/shm/reenact-XXXXXX";
};

std::string Holding(BytesView bytes) {
  static Scratch scratch;
  return scratch.Holding(bytes);
}

// What is inside has one encoding, too.
void LookInside(const SnapshotContents& contents) {
  const WorldConfig& config = contents.header.config;
  const auto sequencer =
      Sequencer::Decode(config.scheduling, contents.sequencer);
  if (sequencer.ok()) {
    Bytes again;
    sequencer->Encode(&again);
    REENACT_CHECK(again == contents.sequencer);
  }
  if (contents.header.ledger.empty()) return;
  const auto ledger = Ledger::Decode(config.world_id, contents.header.ledger,
                                     config.format_version);
  if (!ledger.ok()) return;
  Bytes again;
  ledger->Encode(&again);
  REENACT_CHECK(again == contents.header.ledger);
}

using Cells = std::vector<std::pair<std::pair<ReducerId, std::string>, Bytes>>;

Bytes Written(const SnapshotContents& contents, const Cells& cells) {
  Bytes out;
  SnapshotEncoder encoder(contents.header, contents.sequencer,
                          [&out](BytesView bytes) {
                            out.append(bytes);
                            return absl::OkStatus();
                          });
  for (const auto& [cell, state] : cells) {
    REENACT_CHECK(encoder.AddCell(cell.first, cell.second, state).ok());
  }
  const auto digests = encoder.Finish();
  REENACT_CHECK(digests.ok() && digests->file == contents.digests.file);
  REENACT_CHECK(digests->state == contents.digests.state);
  REENACT_CHECK(digests->cell_count == contents.digests.cell_count);
  return out;
}

void LookAtSnapshot(BytesView file) {
  Cells cells;
  const auto contents = ReadSnapshotFile(
      Holding(file),
      [&cells](ReducerId reducer, std::string_view key, BytesView state) {
        cells.push_back({{reducer, std::string(key)}, Bytes(state)});
        return absl::OkStatus();
      });
  if (!contents.ok()) {
    REENACT_CHECK(absl::IsDataLoss(contents.status()) ||
                  absl::IsUnimplemented(contents.status()));
    REENACT_CHECK(ToStd(contents.status().message()).starts_with("'/"));
    return;
  }
  REENACT_CHECK(Written(*contents, cells) == file);
  LookInside(*contents);
}

void LookAtOpenWork(BytesView bytes) {
  const auto work = DecodeOpenWork(bytes);
  if (!work.ok()) return;
  REENACT_CHECK(EncodeOpenWork(work->header, work->sequencer) == bytes);
  REENACT_CHECK(HeaderOf(CheckpointOf(*work)) == work->header);
  LookInside(*work);
}

void LookAtSlot(BytesView slot) {
  const auto record = DecodeHeadSlot(slot);
  if (record.ok()) REENACT_CHECK(EncodeHeadSlot(*record) == slot);
}

Bytes Sealed(std::string_view domain, BytesView body) {
  Bytes bytes(body);
  bytes.append(Hasher(domain).Add(body).Finish().view());
  return bytes;
}

// Header, queues and cells with the end that they call for.
Bytes WithEnd(BytesView parts) {
  cbor::Reader reader(parts);
  reader.Item();
  reader.Item();
  const BytesView cells = reader.Rest();
  std::uint64_t count = 0;
  while (reader.ok() && !reader.AtEnd()) {
    reader.Item();
    ++count;
  }
  Bytes body(parts);
  cbor::Encoder encoder(&body);
  encoder.Map(3);
  encoder.Unsigned(0);
  encoder.Text("end");
  encoder.Unsigned(1);
  encoder.Unsigned(count);
  encoder.Unsigned(2);
  encoder.ByteString(Hasher("reenact.state.v1").Add(cells).Finish().view());
  return body;
}

Bytes Padded(BytesView map) {
  Bytes body(map.substr(0, kHeadSlotSize - kDigestSize));
  body.resize(kHeadSlotSize - kDigestSize, '\0');
  return body;
}

}  // namespace
}  // namespace reenact

extern "C" int SnapshotFuzzOneInput(const std::uint8_t* data,
                                    std::size_t size) {
  using namespace reenact;
  const BytesView input(reinterpret_cast<const char*>(data), size);
  LookAtOpenWork(input);
  LookAtOpenWork(Sealed("reenact.openwork.v1", input));
  LookAtSlot(input);
  LookAtSlot(Sealed("reenact.head.v1", Padded(input)));
  if (size <= 2 * kDigestSize) LookAtSnapshot(input);  // not sealed
  LookAtSnapshot(Sealed("reenact.snapshot.v1", WithEnd(input)));
  return 0;
}
