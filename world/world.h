// A world: what a program embeds.
//
//   reenact::WorldOptions options;
//   options.path = "counters";
//   options.modules.push_back(*reenact::MakeModule("demo", "1", {counter}));
//   auto world = reenact::World::Open(std::move(options));
//
//   (*world)->Submit({.event = {"counter", "clicks", "", payload}});
//   absl::Status done = (*world)->Run();  // all committed, all durable
//   auto clicks = (*world)->Read("counter", "clicks");

#ifndef REENACT_WORLD_WORLD_H_
#define REENACT_WORLD_WORLD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/reducer.h"
#include "reenact/kernel/source.h"
#include "reenact/kernel/sync_policy.h"
#include "reenact/world/effects.h"

namespace reenact {

// A step that came to two things from the same input.
struct NondeterministicStep {
  EventId event_id;
  CellId cell;
  Bytes first;  // what each run came to, as journal entries
  Bytes second;
};

struct WorldOptions {
  // The world's directory, made if there is none. Empty: a world in memory,
  // which ends with the object.
  std::string path;

  // Refuses with NotFound instead of making a new world.
  bool must_exist = false;

  // Starts the world once it is open, as Start() does. A new world has the
  // clock `wall` then, where `config` says `rounds`: rounds pass in a started
  // world only when there is something to do, so a timer of `rounds` is due at
  // once when nothing else is. Who wants that calls Start() instead.
  bool start = false;

  // What a new world is made with; `modules` and `reducers` in it are filled in
  // from `modules` below. Without a `world_id` it gets one of its own, so
  // worlds made alike differ in that; SetIdentity() makes them alike. For a
  // world that exists only `scheduling` and `snapshot_every` are looked at, and
  // only with `accept_config_change`.
  WorldConfig config;

  // What brings the reducers, in the order of the reducer table.
  std::vector<Module> modules;

  // A world that exists was made with other modules (another digest), or
  // another scheduling: record the change, with a ticket of its own, instead of
  // refusing.
  bool accept_module_change = false;
  bool accept_config_change = false;

  // Threads that run steps, the one that calls Run() or Feed() among them. 0
  // runs every step on that thread in ticket order: the reference that every
  // other number must match byte for byte.
  std::size_t workers = 0;

  // Tickets in flight at once, at most: a power of two.
  std::size_t window = 256;

  SyncPolicy sync;

  // Memory for cells. What is in use or not yet written stays in memory
  // whatever this says.
  std::uint64_t cache_bytes = 64ULL << 20;

  // Inputs that Submit() holds before they are admitted.
  std::size_t ingress_capacity = 16384;

  // The clock of worlds with ClockKind::kWall; nullptr: the machine's. Any
  // thread that asks for TimeUntil() calls it.
  std::function<LogicalTime()> wall_clock;

  // Snapshot files kept; older ones are removed. 0 keeps all.
  std::size_t snapshots_kept = 0;

  // Hears of effects that wait for an executor: reenact::Dispatcher, or one's
  // own. Outlives the world. Null: they stay open until somebody else opens the
  // world.
  EffectListener* effects = nullptr;

  // One in so many steps runs a second time, on the thread that commits it, and
  // is compared before it is recorded; 0: none. Never changes what is recorded.
  // A step that takes 10 us costs 10 us / self_check more.
  std::uint64_t self_check = 0;
  // Hears of steps that differ, on the thread that commits, which waits
  // meanwhile; they are recorded as their first run went. Empty: the world ends
  // with Internal, which names the reducer, before such a step is recorded.
  std::function<void(const NondeterministicStep&)> on_nondeterminism;
  // Called around each second run that `self_check` makes, on the thread that
  // commits, as VerifyOptions::observe, with run 1. May be empty.
  std::function<void(bool begins, int run, std::string_view reducer,
                     std::string_view key, EventId event_id)>
      observe_check;
};

// What Open() found and did.
struct OpenReport {
  bool created = false;
  std::uint64_t blocks = 0;
  EventId head;
  std::uint64_t blocks_extended = 0;  // beyond what was acknowledged, kept
  std::uint64_t blocks_cut = 0;       // beyond what was acknowledged, not whole
  bool cells_rebuilt = false;
  EventId snapshot_used;  // history was read from here on
  std::uint64_t tickets_replayed = 0;
  std::uint64_t position = 0;         // of the last input admitted; see Input
  std::vector<std::string> warnings;  // damaged snapshots passed over ...
};

// Counts since the world was opened. Never recorded.
struct WorldStats {
  std::uint64_t rounds = 0;
  std::uint64_t inputs = 0;
  std::uint64_t duplicates = 0;  // inputs whose submission id was known
  std::uint64_t tickets = 0;
  std::uint64_t committed = 0;
  std::uint64_t failed = 0;
  std::uint64_t raised = 0;
  std::uint64_t conflicts = 0;         // steps whose reads were stale at commit
  std::uint64_t reruns = 0;            // of them; one each
  std::uint64_t self_checks = 0;       // see WorldOptions::self_check
  std::uint64_t nondeterministic = 0;  // of them
  std::uint64_t waits = 0;  // steps that waited for a declared predecessor
  std::uint64_t inline_steps = 0;  // run by the ordering thread itself
  std::uint64_t cells_cached = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t cell_loads = 0;  // reads that went to the store
  std::uint64_t groups = 0;      // atomic writes
  std::uint64_t syncs = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t journal_bytes = 0;
  std::uint64_t external_waiting = 0;
  std::uint64_t derived_waiting = 0;
  std::uint64_t timers_waiting = 0;
  std::uint64_t effects_open = 0;  // those held among them
  std::uint64_t effects_held = 0;
  // Since this opening: by receipts, denials, deadlines, cancellations and
  // answers that were known. Timers are not among them.
  EffectsEnded effects_ended{};
  std::uint64_t receipts = 0;  // accepted
  std::uint64_t receipts_duplicate = 0;
  std::uint64_t receipts_refused = 0;
  std::vector<std::pair<FailureCode, std::uint64_t>> failures;  // by code
};

// What became of one submission.
//
// Thread safety: any thread may wait; copies share the state. May outlive the
// world: a world that closes first resolves it with FailedPrecondition, or with
// the error that ended it.
class Submission {
 public:
  struct Outcome {
    EventId event_id;
    std::optional<FailureCode> failure;  // set: the step failed
  };

  // Each waits for its moment. AlreadyExists: the submission id was admitted
  // before, so this one was not. Other errors: the world's, see World.
  absl::StatusOr<EventId> WaitTicketed() const;
  absl::StatusOr<Outcome> WaitCommitted() const;
  absl::StatusOr<Outcome> WaitDurable() const;
  // What WaitDurable() would return, if it would return at once.
  std::optional<absl::StatusOr<Outcome>> TryWaitDurable() const;

  struct State;
  explicit Submission(std::shared_ptr<State> state)
      : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

// Input that a world pulls as it has room for it, so that what a round admits
// depends on how much came before and never on how fast it came.
class InputSource {
 public:
  virtual ~InputSource() = default;

  // Appends the inputs of the next row to `row` (none is fine) and returns
  // true; false at the end. The inputs of one row are admitted in one round. An
  // error ends the feeding: what came before is committed, then Feed() returns
  // it.
  virtual absl::StatusOr<bool> Next(std::vector<Input>* row) = 0;

  // What the world calls it, the same at each call: each round records how far
  // it has taken in a source with a name, so that each of them can go on where
  // it was, whatever the world was fed since; see World::source(). Empty: it
  // has none, and World::position() is all that is known.
  virtual std::string_view name() const { return {}; }

  // Of a source with a name: a digest of all that it was made of up to the end
  // of the last row that Next() gave (a Next() that returned false, or an
  // error, changes nothing). Recorded with each round, and compared by nobody
  // but the source itself, later, with what is there then. Zeros: it has none.
  virtual Digest digest() const { return Digest(); }
};

// An effect that has not ended.
struct EffectState {
  OpenEffect effect;
  bool held = false;    // waits for an approval
  std::string rule;     // of the policy, that has it held
  bool joined = false;  // waits for the answer to another one that is open
};

// What a world's effects may cost, and did.
struct AuthorityState {
  Grants grants;
  Bytes policy;  // its document, one CBOR item; empty: there is none
};

// One event-sourced world: its cells, its journal, and the order of its events.
//
// Driving: Run() and Feed() on the caller's own thread, or Start() for a thread
// of the world's own; not both at once.
//
// Errors: the first I/O error closes the world for good. From then on every
// call returns that error; what is on disk is unknown until the next Open()
// decides. What was durable before it stays so.
//
// Thread safety: Submit(), the control commands, SubmitReceipt(),
// RefuseReceipt(), TimeUntil(), Read(), Scan(), Effects(), Authority(), head(),
// durable(), source(), stats(), Stop() and Interrupt() from any thread.
// Everything else from one thread at a time.
class World : public ReceiptSink {
 public:
  // Opens the world at `options.path`, or makes it.
  //
  // InvalidArgument: the options contradict themselves or have no modules.
  // FailedPrecondition: it is open already, here or in another process; its
  //   modules or scheduling differ and the options do not accept that; or the
  //   directory is not a world's.
  // DataLoss: it is damaged, or acknowledged entries are gone.
  // Unimplemented: it has a format that this version does not know.
  // PermissionDenied, ResourceExhausted, Unavailable: what the system said.
  static absl::StatusOr<std::unique_ptr<World>> Open(WorldOptions options);

  World(const World&) = delete;
  World& operator=(const World&) = delete;
  // Closes, if that has not been done, and loses an error: prefer Close().
  ~World() override = default;

  virtual const OpenReport& open_report() const = 0;
  // As it is now, with the changes that were recorded since genesis.
  virtual WorldConfig config() const = 0;
  // How often it has been opened for writing; 0 for a world in memory.
  virtual std::uint64_t epoch() const = 0;

  // Puts an input in line. Its submission id makes a second submission after a
  // crash harmless.
  //
  // InvalidArgument: malformed; the message names the field. NotFound: no such
  // reducer. ResourceExhausted: the ingress is full, nothing was recorded, try
  // again later.
  virtual absl::StatusOr<Submission> Submit(Input input) = 0;

  // Runs until nothing is left to do: every input submitted and everything
  // raised is committed and durable, and only timers that are not due remain.
  virtual absl::Status Run() = 0;

  // Pulls `source` to its end, then does what Run() does. The same source in a
  // new world of the same configuration gives the same journal.
  //
  // Cancelled: Interrupt() was called; everything admitted so far is durable
  // and Feed() can go on with a source that starts after source(name), or one
  // without a name after position().
  //
  // InvalidArgument: its name is none that CheckSourceName() takes.
  // FailedPrecondition: it has a name, and the world is of format 1 or 2, which
  // know no names, or remembers kSourcesMax others.
  virtual absl::Status Feed(InputSource& source) = 0;

  // Makes Run() and Feed() return Cancelled at the end of a round. Stays in
  // force until the next call of either. Async-signal-safe.
  virtual void Interrupt() = 0;

  // Starts a thread that runs whatever is submitted until Stop().
  virtual absl::Status Start() = 0;
  // Ends that thread at the end of a round; what was admitted is durable.
  // Idempotent.
  virtual absl::Status Stop() = 0;

  // Control commands: inputs, with a ticket each, in order with the others.
  virtual absl::StatusOr<Submission> RequestSnapshot() = 0;
  virtual absl::StatusOr<Submission> ChangeConfig(
      const Scheduling& scheduling, std::uint64_t snapshot_every) = 0;
  // Those about effects fail, as a step does, if they make no sense at their
  // ticket: Submission::Outcome::failure has the code that Grants::Apply() or
  // Policy::Parse() says, NotFound where no such effect is open, and
  // FailedPrecondition where it waits for no approval.
  //
  // FailedPrecondition: the world is of format 1, which has no effects.
  virtual absl::StatusOr<Submission> ChangeGrant(const GrantChange& change) = 0;
  // `document`: one CBOR item, as Policy::Parse() reads it; null: no policy.
  // InvalidArgument: what Policy::Parse() says.
  virtual absl::StatusOr<Submission> SetPolicy(BytesView document) = 0;
  // `by`: who says so; UTF-8, recorded. An approval fails, and the effect stays
  // held, if grants and policy do not permit it by then (not in worlds of
  // format 2): PermissionDenied.
  virtual absl::StatusOr<Submission> Approve(const Digest& intent_hash,
                                             std::string_view by,
                                             std::string_view note) = 0;
  virtual absl::StatusOr<Submission> Reject(const Digest& intent_hash,
                                            std::string_view by,
                                            std::string_view note) = 0;
  virtual absl::StatusOr<Submission> CancelEffect(const Digest& intent_hash,
                                                  std::string_view by) = 0;
  // Everything that a cell has open, timers included.
  virtual absl::StatusOr<Submission> CancelEffectsOf(std::string_view reducer,
                                                     std::string_view key,
                                                     std::string_view by) = 0;

  // Puts every cell back to what it was at the snapshot taken after ticket
  // `snapshot`, with what waited there; what has been done outside since stays
  // done, and paid for. spec/effects.md says what becomes of everything else.
  // Submissions that were not ticketed end with Aborted. Fails, as a step does,
  // if an invariant would break. Takes memory for the whole state.
  //
  // FailedPrecondition: the world is of format 1, or in memory, where there are
  // no snapshots. NotFound: there is no snapshot of that ticket. DataLoss: it
  // is damaged, or of another history.
  virtual absl::StatusOr<Submission> RollBack(EventId snapshot,
                                              std::string_view by,
                                              std::string_view reason) = 0;

  // What is open, in order of ticket and index, as of head().
  virtual std::vector<EffectState> Effects() const = 0;
  virtual AuthorityState Authority() const = 0;

  // The state of a cell as of head(), or nullopt if it does not exist.
  // NotFound: no such reducer.
  virtual absl::StatusOr<std::optional<Bytes>> Read(
      std::string_view reducer, std::string_view key) const = 0;
  // The cells of `reducer` with from <= key < to (empty: no upper end), in
  // ascending order of keys, at most `limit`.
  virtual absl::StatusOr<std::vector<std::pair<std::string, Bytes>>> Scan(
      std::string_view reducer, std::string_view from, std::string_view to,
      std::size_t limit) const = 0;

  // Has the step of ticket `event_id`, which is not history yet, fail without
  // being run (FailureCode::kFailedByOrder): the way past an event that crashes
  // the process whenever it is its turn. Who said so, and why, are recorded in
  // the block of that ticket, once it is composed; which event it is depends on
  // what comes in before, so let that be what came in when it crashed. What has
  // not come up is forgotten with this object. A control command cannot be made
  // to fail.
  //
  // FailedPrecondition: the ticket is history; the world runs in the
  // background, or has a format before 3. InvalidArgument: no reason; not
  // UTF-8, or longer than 1024 bytes.
  virtual absl::Status FailEvent(EventId event_id, std::string_view by,
                                 std::string_view reason) = 0;

  // The last ticket that was committed, and the last that is durable.
  virtual EventId head() const = 0;
  virtual EventId durable() const = 0;
  // Whether every round that is complete is written, and there when the world
  // is opened again, if the process ends now. For the handler of a crash:
  // async-signal-safe.
  virtual bool caught_up() const = 0;
  // The position of the last input admitted, of whatever source; 0 before the
  // first.
  virtual std::uint64_t position() const = 0;
  // How far the source of that name was taken in: position 0 if it never was. A
  // rollback takes sources back, too, to where they were at the snapshot.
  virtual SourceMark source(std::string_view name) const = 0;
  // The chain's end: the digest of the durable journal.
  virtual Digest journal_digest() const = 0;
  virtual WorldStats stats() const = 0;

  // Stops, makes everything committed durable and lets go of the directory.
  // Idempotent: later calls return what the first one did. What was submitted
  // and not admitted is refused through its Submission.
  virtual absl::Status Close() = 0;

 protected:
  World() = default;
};

}  // namespace reenact

#endif  // REENACT_WORLD_WORLD_H_
