// Where a world is kept: in memory, in a directory, or in a store that a caller
// brings. A database server would be another one.

#ifndef REENACT_WORLD_STORAGE_H_
#define REENACT_WORLD_STORAGE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/directory/head.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/world/rollback.h"
#include "reenact/world/world.h"

namespace reenact {

// A world's blocks and cells, its snapshots, and the right to write them. A
// world opens its storage once and closes it once.
//
// Thread safety: CheckOwner(), and what store() says; the rest belongs to
// whoever opens, commits and closes the world.
class Storage {
 public:
  struct Opened {
    // Where the world goes on, with the store's cells as of it; nullopt: there
    // is none yet, and the caller appends its first block.
    std::optional<Checkpoint> checkpoint;
    std::unique_ptr<HeadFile> head;  // what the writer keeps; null: nothing
    std::uint64_t epoch = 0;         // see World::epoch()
  };

  virtual ~Storage() = default;

  // Opens what is there, or begins something new; fills in `report`. The codes
  // are those of World::Open().
  virtual absl::StatusOr<Opened> Open(OpenReport* report) = 0;
  // The first block is durable.
  virtual absl::Status FinishCreation() { return absl::OkStatus(); }
  // REQUIRES: Open() has opened one, also if it failed later.
  virtual Store* store() = 0;
  // OK while nobody else may write: FailedPrecondition, or the reason why not.
  virtual absl::Status CheckOwner() const { return absl::OkStatus(); }
  // Lets go of everything. The store is closed before.
  virtual void Close() {}

  // Whether the open work is stored with the blocks, so that opening need not
  // replay them.
  virtual bool records_open_work() const { return false; }
  virtual bool keeps_snapshots() const { return false; }
  // Writes the snapshot of `checkpoint`, the cells being as the store has them,
  // and removes those that are too many.
  // REQUIRES, as for the others below: keeps_snapshots().
  virtual absl::Status WriteSnapshot(const Checkpoint& checkpoint,
                                     const SnapshotHeader& header) = 0;
  // What a snapshot says of itself. NotFound: there is none of this ticket; the
  // message names those that there are. DataLoss: it cannot be read.
  virtual absl::StatusOr<SnapshotHeader> ReadSnapshotHeader(
      EventId event_id) const = 0;
  // What a rollback to it goes back to. Everything so far is in the store.
  virtual absl::StatusOr<RollbackTarget> ReadTarget(EventId event_id) = 0;
};

// Nothing survives it.
std::unique_ptr<Storage> NewMemoryStorage();

// `store` as it is; `start`: where its world goes on, nullopt: a new one.
std::unique_ptr<Storage> NewStoreStorage(std::unique_ptr<Store> store,
                                         std::optional<Checkpoint> start,
                                         bool records_open_work);

// The directory of spec/journal.md at `path`. `must_exist`: a new world is
// NotFound. `snapshots_kept`: the latest so many are kept; 0: all.
std::unique_ptr<Storage> NewDirectoryStorage(const std::string& path,
                                             bool must_exist,
                                             std::uint64_t snapshots_kept);

}  // namespace reenact

#endif  // REENACT_WORLD_STORAGE_H_
