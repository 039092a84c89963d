// A world's directory: its files, its owner, and the decision what to do with
// what is found there.
//
//   WORLD             one line: "reenact world format 1"
//   OWNER             locked (open file description lock) by the process that
//                     has the world open for writing
//   HEAD              the head record; see head.h
//   db/               RocksDB: blocks and cells
//   snapshots/        <event_id, 20 digits>.snap; see snapshot_file.h
//
// The directory has mode 0700 and its files 0600, whatever the umask.

#ifndef REENACT_JOURNAL_DIRECTORY_DIRECTORY_H_
#define REENACT_JOURNAL_DIRECTORY_DIRECTORY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/posix_file.h"
#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/directory/head.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/config.h"

namespace reenact {

// Paths inside a world's directory.
struct WorldPaths {
  explicit WorldPaths(std::string directory);

  // The paths of the same files through the directory itself, which is opened:
  // who goes by them, or by a copy of them, stays in it, also once it was moved
  // and another one has its name.
  absl::StatusOr<WorldPaths> Opened() const;

  std::string directory, marker, owner, head, db, snapshots;
  std::string Snapshot(EventId event_id) const;
  // The directory as it was named; absolute, if it is open.
  std::string name;
  std::shared_ptr<const posix::Directory> opened;  // null: it is not
};

// The right to write to a world. Held for the life of the object.
class Ownership {
 public:
  virtual ~Ownership() = default;
  // OK while the lock file, by the world's name, is still the one that was
  // locked. Unavailable once it was removed or replaced, or its directory was
  // moved, removed, replaced or mounted over.
  //
  // Thread safety: any thread.
  virtual absl::Status Check() const = 0;
};
// Makes OWNER if it is not there, so the directory must be; ask Inspect() again
// once this has returned, since another owner may just have left.
//
// FailedPrecondition: another process, or this one, has the world open.
// NotFound: there is no such directory.
absl::StatusOr<std::unique_ptr<Ownership>> AcquireOwnership(
    const WorldPaths& paths);

// What there is, as far as opening needs to know: every question is asked, and
// nothing is modified.
struct Findings {
  bool directory_exists = false;
  // Nothing is in it, except what a creation that was cut short leaves.
  bool directory_empty = true;
  bool marker_valid = false;       // WORLD is there and well-formed
  bool format_known = false;       // and this code reads that format
  bool database_exists = false;    // db/ holds blocks, or cannot be opened
  bool database_opens = false;     // RocksDB finds no damage
  bool genesis_valid = false;      // block 0 decodes, and its config
  bool head_valid = false;         // one slot of HEAD at least
  bool head_damaged = false;       // a slot holds something invalid, and it
                                   // is not that of a first write that tore
  bool same_world = false;         // HEAD and genesis agree on the world id
  bool reaches_head = false;       // all blocks HEAD acknowledges are there
  bool head_hash_matches = false;  // and the last of them has HEAD's hash
  bool tail_exists = false;        // blocks beyond HEAD; without a valid
                                   // HEAD: beyond genesis
  bool tail_valid = false;         // they decode and follow in the chain
  bool cells_not_ahead = false;    // stored cells are as of a kept block

  // What the messages, and whoever opens the world, need.
  std::uint64_t found_format = 0;
  std::uint64_t block_count = 0;
  std::uint64_t tail_valid_blocks = 0;  // blocks beyond HEAD that are fine
  // HEAD's newest record. Where a creation was cut short after genesis and
  // before HEAD: one of generation 0 that acknowledges genesis, though
  // head_valid is false.
  std::optional<HeadRecord> head;
  std::optional<WorldConfig> genesis;
  std::string detail;       // of what is wrong: file, entry, offset
  std::string head_detail;  // which slot of HEAD is damaged; empty: none

  // How many blocks count: those that HEAD acknowledges and the whole ones that
  // follow them. For the decisions to open; what is beyond is cut.
  std::uint64_t kept_blocks() const {
    return (head ? head->block_count : 0) + tail_valid_blocks;
  }

  friend bool operator==(const Findings&, const Findings&) = default;
};

// In every decision to open, Findings::kept_blocks() blocks are kept.
enum class OpenDecision {
  kCreate,       // nothing is there, or the start of a creation: make a new
                 // world; all steps of it may be repeated
  kOpen,         // go on from HEAD
  kOpenExtend,   // blocks beyond HEAD are whole: keep them
  kOpenCutTail,  // blocks beyond HEAD are not whole: cut, and report
  // Cells are ahead of the blocks that are kept: cut what is not kept, if
  // anything is, clear the cells and rebuild them from blocks.
  kOpenRebuildCells,
  kRefuseNotAWorld,  // files that are not a world's
  kRefuseVersion,    // a format this code does not know
  kRefuseDamaged,    // what must be there is not valid
  kRefuseLostAcked,  // acknowledged blocks are gone
  kRefuseForeign,    // HEAD and journal are of different worlds
};
std::string_view OpenDecisionName(OpenDecision decision);

// The decision, from the findings' booleans alone: a total function, the table
// in spec/journal.md. The verify tool uses it too.
OpenDecision Decide(const Findings& findings);

// Looks, modifying nothing. Errors are only those of looking: permission, I/O,
// and FailedPrecondition for a file of the world that is a symbolic link.
absl::StatusOr<Findings> Inspect(const WorldPaths& paths);

// The refusal as a status with code, file and reason; OK for the others.
absl::Status RefusalStatus(OpenDecision decision, const Findings& findings,
                           const WorldPaths& paths);

// Makes a new world's directory and files, synced, without a database. May be
// repeated after a crash at any moment. The parent directory must be there.
absl::Status CreateWorldDirectory(const WorldPaths& paths);
// Sets modes to 0700 and 0600 below the directory.
absl::Status FixModes(const WorldPaths& paths);

}  // namespace reenact

#endif  // REENACT_JOURNAL_DIRECTORY_DIRECTORY_H_
