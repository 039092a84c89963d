// The head record: what was acknowledged, in a file of its own, so that a tail
// that nobody was told about can be told from acknowledged data that is gone.
//
// The file HEAD has two slots of 4096 bytes, written in turn; a slot is a CBOR
// map, padded with zeros, that ends in a BLAKE2b-256 of what is before it
// (spec/journal.md has the bytes). The valid slot with the higher generation
// counts.

#ifndef REENACT_JOURNAL_DIRECTORY_HEAD_H_
#define REENACT_JOURNAL_DIRECTORY_HEAD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

struct HeadRecord {
  std::uint64_t generation = 0;   // rises with every write
  Bytes world_id;                 // 16 bytes
  std::uint64_t epoch = 0;        // rises with every open for writing
  std::uint64_t block_count = 0;  // blocks that were acknowledged
  EventId event_id;               // the last ticket in them
  Digest hash;                    // of the last of them
  bool clean = false;             // closed in order, nothing written since

  friend bool operator==(const HeadRecord&, const HeadRecord&) = default;
};

Bytes EncodeHeadSlot(const HeadRecord& record);  // exactly kHeadSlotSize bytes
absl::StatusOr<HeadRecord> DecodeHeadSlot(BytesView slot);
inline constexpr std::size_t kHeadSlotSize = 4096;

// What the file HEAD says.
struct HeadFindings {
  bool file_exists = false;
  std::optional<HeadRecord> slots[2];  // nullopt: damaged or never written
  // The valid one with the higher generation.
  std::optional<HeadRecord> newest() const;
  // A slot holds something, and it is not valid.
  bool damaged[2] = {false, false};
  // Only the slot of the very first record holds something: what a crash while
  // that was written for the first time leaves. Nobody had been told anything.
  bool first_write_torn() const {
    return damaged[1] && !damaged[0] && !slots[0];
  }
};
absl::StatusOr<HeadFindings> ReadHeadFile(const std::string& path);

// Writes head records.
//
// Thread safety: none; the journal writer owns it.
class HeadFile {
 public:
  // Opens `path`, made if need be with mode 0600, and goes on after `last`.
  static absl::StatusOr<std::unique_ptr<HeadFile>> Open(
      const std::string& path, const std::optional<HeadRecord>& last);
  virtual ~HeadFile() = default;

  // Writes `record` with a higher generation, and syncs it if `sync`: over the
  // older slot, or over the newer one again if that is not synced yet. So a
  // record that was synced stays until another one is. An error is final.
  virtual absl::Status Write(HeadRecord record, bool sync) = 0;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_DIRECTORY_HEAD_H_
