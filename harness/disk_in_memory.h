// What a world in a run has for a disk: a store in memory that knows what was
// synced, fails when it is told to, and can lose its power.

#ifndef REENACT_HARNESS_DISK_IN_MEMORY_H_
#define REENACT_HARNESS_DISK_IN_MEMORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "reenact/harness/choices.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/module.h"

namespace reenact::harness {

// Blocks that were written, and how many of them are sure to survive.
//
// Thread safety: its stores are used by one world at a time.
class DiskInMemory {
 public:
  DiskInMemory();
  ~DiskInMemory();

  // A store for a world, which holds what the disk holds; the disk outlives it.
  std::unique_ptr<Store> Connect();

  // From now on writes fail, and so does syncing: the power is off.
  void CutPower() { off_ = true; }
  bool off() const { return off_; }
  // After the world is gone: what is left, which is what was synced and
  // `unsynced_kept` blocks more at most. Writes work again.
  void PowerUp(std::uint64_t unsynced_kept);
  // The n-th write or sync from now on fails, and all that follow until
  // PowerUp(), as on a disk that is full; 0: none.
  void FailAt(std::uint64_t operation) { fail_at_ = operation; }

  std::uint64_t operations() const { return operations_; }
  std::uint64_t block_count() const;
  std::uint64_t synced_blocks() const { return synced_; }
  // The last ticket in what is synced.
  EventId synced_event() const { return synced_event_; }
  std::vector<Bytes> Blocks() const;

  // Where a world goes on after PowerUp(): applies what is recorded from the
  // beginning on. Nullopt: not even a first block is left.
  absl::StatusOr<std::optional<Checkpoint>> Recover();

  // The cells, as the world that used the disk left them.
  Store* cells() { return store_.get(); }

 private:
  class Connection;

  absl::Status Operation();
  void Synced();

  std::unique_ptr<Store> store_;
  std::vector<EventId> last_events_;  // of each block
  std::uint64_t synced_ = 0;
  EventId synced_event_;
  bool off_ = false;
  std::uint64_t operations_ = 0;
  std::uint64_t fail_at_ = 0;
};

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_DISK_IN_MEMORY_H_
