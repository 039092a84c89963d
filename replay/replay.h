// Replay-or-die: runs a world's recorded inputs again and compares every byte.

#ifndef REENACT_REPLAY_REPLAY_H_
#define REENACT_REPLAY_REPLAY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/module.h"

namespace reenact {

struct VerifyOptions {
  std::string path;
  // The modules to run. Where history changed modules, all of them: the one
  // whose digest was recorded runs; where none has that digest, the first that
  // has its name.
  std::vector<Module> modules;
  // Starts at the newest valid snapshot instead of genesis.
  bool from_snapshot = false;
  std::size_t workers = 0;
  // History is cut into parts that run beside each other, on up to so many
  // threads; 0: as many as there are cores, one alone if there are workers or
  // little to do. Where there is no snapshot to start a part from, what is
  // recorded leads to it; the part before it checks that. The report is the
  // same for any number. Each part holds its cells in memory.
  std::size_t threads = 0;
  // Runs every step twice and compares, to tell an impure reducer from a
  // changed one.
  bool run_twice = true;
  // A directory to make: the smallest world that still diverges. Empty: none.
  std::string slice;
  // Called with tickets done and in all after each block, by one thread at a
  // time.
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;
  // Asked now and then, on any thread; true ends the run with Cancelled.
  std::function<bool()> cancelled;
  // Called around each step while it runs, on the thread that runs it, so that
  // the caller can watch what the step does; from several threads if there are
  // workers or parts of history beside each other. May be empty.
  std::function<void(bool begins, int run, std::string_view reducer,
                     std::string_view key, EventId event_id)>
      observe;
};

// A cell that the divergent step read, and the ticket that had written what it
// saw; 0: the cell was absent, or older than the snapshot.
struct ObservedRead {
  CellId cell;
  EventId written_by;
  std::optional<Bytes> state;
};

struct Divergence {
  EventId event_id;  // 0: not at a ticket; see `field`
  Round round;
  std::string reducer;
  std::string key;
  std::string field;     // "state of account/alice", "events", "outcome" ...
  std::string recorded;  // CBOR diagnostic notation
  std::string recomputed;
  std::optional<Cause> cause;
  std::string cause_text;  // "input 17 at position 17", "event 3 of step 12"
  std::vector<ObservedRead> reads;
};

enum class Verdict {
  kIdentical,      // every byte was the same
  kDiverged,       // see `divergence`
  kImpure,         // two runs of one step differ; see `divergence`
  kDamaged,        // the journal, head record or a snapshot; see `problem`
  kModuleChanged,  // every byte was the same, with other modules than recorded
};
std::string_view VerdictName(Verdict verdict);

struct VerifyReport {
  Verdict verdict = Verdict::kIdentical;
  EventId from;  // replay began after this ticket
  EventId head;
  std::uint64_t blocks = 0;
  std::uint64_t tickets = 0;  // replayed
  std::uint64_t failed_steps = 0;
  std::uint64_t reruns = 0;
  Digest journal;
  Digest state;  // at head, recomputed
  std::vector<EventId> snapshots_checked;
  std::optional<Divergence> divergence;
  std::string problem;             // of kDamaged: file, entry and what is wrong
  std::vector<std::string> notes;  // modules that differ, tails passed over ...
  std::string slice_note;          // what --slice wrote, or why it could not
};

// Verifies the world at `options.path`, which another process may have open.
//
// An error means that there is no verdict: NotFound: no world there.
// InvalidArgument: a reducer that history needs is in no module.
// Unimplemented: an unknown format. PermissionDenied, Unavailable: what the
// system said. ResourceExhausted: the same, or no memory. Cancelled.
// Damage is a verdict, not an error.
absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options);

}  // namespace reenact

#endif  // REENACT_REPLAY_REPLAY_H_
