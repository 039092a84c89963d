// The second door to a world, for replay and for tests: with a pool, a store
// and a script of one's own. Not installed.

#ifndef REENACT_WORLD_WORLD_INTERNAL_H_
#define REENACT_WORLD_WORLD_INTERNAL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/journal/entry.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/outcome.h"
#include "reenact/world/rollback.h"
#include "reenact/world/world.h"

namespace reenact {

class JournalWriter;
class Pool;
class Store;
class StepObserver;

// What one recorded round admitted, and when it was.
struct ScriptedRound {
  Round round;
  LogicalTime time;
  // As read from entries, whose bytes the script keeps until its next round.
  std::vector<entry::InputAdmittedView> inputs;
  std::vector<Bytes> controls;       // entries of control inputs
  std::vector<Entry> receipts;       // ReceiptAppended and ReceiptRefused
  std::optional<SourceRead> source;  // as RoundOpened has it
  std::vector<entry::FailureOrdered> failures;

  // As new, with the memory that it has.
  void Clear() {
    round = Round();
    time = LogicalTime();
    inputs.clear();
    controls.clear();
    receipts.clear();
    source.reset();
    failures.clear();
  }
};

// Rounds of a recorded history, in order.
class RoundScript {
 public:
  virtual ~RoundScript() = default;
  // Fills in a round that is clear. False at the end.
  virtual absl::StatusOr<bool> Next(ScriptedRound* round) = 0;
};

struct WorldInternals {
  std::unique_ptr<Pool> pool;    // null: what WorldOptions::workers says
  std::unique_ptr<Store> store;  // not null: the world lives there, not at
                                 // `path`, and has no head record
  // With a store: what takes finished rounds instead of a writer of the world's
  // own, asked for once. Empty: a writer that makes blocks of them.
  std::function<std::unique_ptr<JournalWriter>(Store*)> make_writer;
  RoundScript* script = nullptr;  // where rounds come from, in Run()
  // With a script: what a rollback recorded in block `block` goes back to.
  std::function<absl::StatusOr<RollbackTarget>(const entry::RolledBack& back,
                                               std::uint64_t block)>
      rollback_target;
  // With a store: where to go on. Nullopt: a new world, or with a script, one
  // whose genesis has this configuration as it stands.
  std::optional<Checkpoint> start;
  bool config_as_is = false;
  StepObserver* observer = nullptr;
  bool run_twice = false;  // an impure step ends the world with Internal
  // Filled in before that.
  struct Impure {
    EventId event_id;
    CellId cell;
    Bytes first;  // what each of the two runs came to, as entries
    Bytes second;
    // Set: it is not these that differ, but what Touch() declared, called
    // twice.
    std::optional<std::pair<std::string, std::string>> touched;
  };
  std::optional<Impure>* impure = nullptr;
  // Gives the store the open work at each snapshot, as a durable world does,
  // and at the end of this block, if it is set.
  bool want_open_work = false;
  std::optional<std::uint64_t> open_work_block;
  // Never runs steps on the ordering thread because they are short: for tests
  // of what happens when they are not.
  bool never_inline = false;
  // With it: how many of the pool's threads run steps; 0: all.
  std::size_t threads = 0;
  // With a store: the journal's writer has a thread of its own, as that of a
  // durable world does.
  bool writer_thread = false;
};

// As World::Open(), with parts of one's own.
absl::StatusOr<std::unique_ptr<World>> OpenWorld(WorldOptions options,
                                                 WorldInternals internals);

// Where a world from OpenWorld() stands, for replay. REQUIRES: it is idle.
class CheckpointSource {
 public:
  virtual ~CheckpointSource() = default;
  virtual absl::StatusOr<Checkpoint> Place() = 0;
  // All cells in the store, and their digest.
  virtual absl::StatusOr<std::map<CellRef, Bytes>> Cells() = 0;
  virtual absl::StatusOr<Digest> StateDigest() = 0;
};

}  // namespace reenact

#endif  // REENACT_WORLD_WORLD_INTERNAL_H_
