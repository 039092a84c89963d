// The composition root: sequencer, workers, committer and journal as one world.
//
// One role, that any of the pool's threads takes with a try-lock, does all that
// has an order: it composes rounds, issues tickets, commits finished steps and
// hands finished rounds to the journal's writer (Order() and what it calls).
// Everything else that a thread does is to run steps.

#include "reenact/world/world.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <iterator>
#include <limits>
#include <map>
#include <new>
#include <thread>
#include <utility>
#include <variant>

#include "absl/base/attributes.h"
#include "reenact/base/background.h"
#include "reenact/base/check.h"
#include "reenact/base/first_error.h"
#include "reenact/base/hash_table.h"
#include "reenact/base/instrument.h"
#include "reenact/base/mutex.h"
#include "reenact/base/posix_file.h"
#include "reenact/committer/cell_invariants.h"
#include "reenact/committer/committer.h"
#include "reenact/committer/ledger.h"
#include "reenact/committer/read_back.h"
#include "reenact/journal/cell_changes.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/journal/writer.h"
#include "reenact/kernel/authority/admission.h"
#include "reenact/kernel/authority/policy.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/due_times.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/kernel/reducer_table.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/workers/cells.h"
#include "reenact/workers/pool.h"
#include "reenact/workers/step_entries.h"
#include "reenact/workers/step_run.h"
#include "reenact/workers/throttle.h"
#include "reenact/workers/window.h"
#include "reenact/world/admission.h"
#include "reenact/world/failure_orders.h"
#include "reenact/world/ingress.h"
#include "reenact/world/inline_writes.h"
#include "reenact/world/notifier.h"
#include "reenact/world/recovery.h"
#include "reenact/world/rollback.h"
#include "reenact/world/rollback_step.h"
#include "reenact/world/state.h"
#include "reenact/world/step_sharing.h"
#include "reenact/world/storage.h"
#include "reenact/world/submission.h"
#include "reenact/world/world_internal.h"

namespace reenact {

namespace {

// How long the ordered role runs steps itself before it looks round: inputs
// that arrive meanwhile wait that long.
constexpr std::uint64_t kInlineNs = 100'000;
// Tickets that the ordered role commits before it looks round.
constexpr std::size_t kBurst = 256;
// How long a background world waits before it looks at the clock again.
constexpr std::uint64_t kIdleWaitMs = 50;

// Stands in a control input's entry until it is admitted: a number that an
// entry may have.
constexpr InputId kAnyInput{1};
// The last time that the clock `rounds` can show.
constexpr LogicalTime kTimeMax{static_cast<std::int64_t>(kRoundMax)};

LogicalTime MachineTime() {
  if (instrument::Conducted()) {
    return LogicalTime{static_cast<std::int64_t>(instrument::NowNs() / 1000)};
  }
  return LogicalTime{std::chrono::duration_cast<std::chrono::microseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count()};
}

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError(
      "memory has run out; open the world again when there is some");
}

Bytes EncodeToBytes(const Entry& entry) {
  Bytes bytes;
  EncodeEntry(entry, &bytes);
  return bytes;
}

// --- the store as a source of cells ------------------------------------------

class StoreCells final : public CellSource {
 public:
  explicit StoreCells(Store* store) : store_(store) {}

  absl::StatusOr<std::optional<Stored>> Load(ReducerId reducer,
                                             std::string_view key) override {
    REENACT_ASSIGN_OR_RETURN(std::optional<StoredCell> cell,
                             store_->ReadCell(reducer, key));
    if (!cell) return std::optional<Stored>();
    return std::optional<Stored>(Stored{cell->version, std::move(cell->state)});
  }

  absl::Status Scan(
      ReducerId reducer, std::string_view from, std::string_view to,
      const std::function<absl::Status(std::string_view, EventId, BytesView)>&
          visit) override {
    return store_->View()->Scan(
        reducer, from, to,
        [&visit](ReducerId, std::string_view key, EventId version,
                 BytesView state) { return visit(key, version, state); });
  }

 private:
  Store* const store_;
};

// --- what is on its way ------------------------------------------------------

// A round that was composed and is not all committed.
struct RoundInFlight {
  Round round;
  LogicalTime time;
  EventId first;
  std::vector<Unit*> units;  // the sequencer's, recycled with the round
  std::vector<Cell*> cells;  // the units' own
  std::size_t issued = 0;
  std::size_t committed = 0;
  bool snapshot = false;   // a snapshot is taken at its end
  bool open_work = false;  // the open work is recorded at its end
  State::RoundEnd end;
  std::uint64_t block = 0;
  std::uint64_t opened_ns = 0;  // a metric
  std::unique_ptr<FinishedRound> record;

  // Nothing is composed beyond it until it is committed.
  bool barrier() const { return end.control || snapshot || open_work; }

  // As new, with the memory that it has.
  void Clear() {
    units.clear();
    cells.clear();
    end.Clear();
    issued = committed = 0;
    snapshot = open_work = false;
  }
};

}  // namespace

// --- submissions -------------------------------------------------------------

absl::StatusOr<EventId> Submission::WaitTicketed() const {
  REENACT_ASSIGN_OR_RETURN(Outcome outcome, state_->Wait(State::kTicketed));
  return outcome.event_id;
}

absl::StatusOr<Submission::Outcome> Submission::WaitCommitted() const {
  return state_->Wait(State::kCommitted);
}

absl::StatusOr<Submission::Outcome> Submission::WaitDurable() const {
  return state_->WaitDurable(state_);
}

std::optional<absl::StatusOr<Submission::Outcome>> Submission::TryWaitDurable()
    const {
  return state_->TryWaitDurable(state_);
}

// --- the world ---------------------------------------------------------------

namespace {

class WorldImpl final : public World,
                        public CheckpointSource,
                        private Crew,
                        private BudgetReader {
 public:
  WorldImpl(WorldOptions options, WorldInternals internals)
      : options_(std::move(options)), internals_(std::move(internals)) {}
  ~WorldImpl() override { (void)Close(); }

  absl::Status Init();

  const OpenReport& open_report() const override { return report_; }
  WorldConfig config() const override;
  absl::StatusOr<Submission> Submit(Input input) override;
  absl::Status Run() override;
  absl::Status Feed(InputSource& source) override;
  void Interrupt() override { interrupted_.store(true); }
  absl::Status Start() override;
  absl::Status Stop() override;
  absl::StatusOr<Submission> RequestSnapshot() override;
  absl::StatusOr<Submission> ChangeConfig(
      const Scheduling& scheduling, std::uint64_t snapshot_every) override;
  absl::StatusOr<Submission> ChangeGrant(const GrantChange& change) override;
  absl::StatusOr<Submission> SetPolicy(BytesView document) override;
  absl::StatusOr<Submission> Approve(const Digest& intent_hash,
                                     std::string_view by,
                                     std::string_view note) override {
    return Judge(intent_hash, true, by, note);
  }
  absl::StatusOr<Submission> Reject(const Digest& intent_hash,
                                    std::string_view by,
                                    std::string_view note) override {
    return Judge(intent_hash, false, by, note);
  }
  absl::StatusOr<Submission> CancelEffect(const Digest& intent_hash,
                                          std::string_view by) override;
  absl::StatusOr<Submission> CancelEffectsOf(std::string_view reducer,
                                             std::string_view key,
                                             std::string_view by) override;
  absl::StatusOr<Submission> RollBack(EventId snapshot, std::string_view by,
                                      std::string_view reason) override;
  absl::Status FailEvent(EventId event_id, std::string_view by,
                         std::string_view reason) override;
  absl::Status SubmitReceipt(Receipt receipt, Done done) override;
  void RefuseReceipt(std::string_view executor, std::string_view reason,
                     const Digest& digest) override;
  std::chrono::microseconds TimeUntil(LogicalTime time) const override;
  std::vector<EffectState> Effects() const override;
  AuthorityState Authority() const override;
  std::uint64_t epoch() const override { return epoch_; }
  absl::StatusOr<std::optional<Bytes>> Read(
      std::string_view reducer, std::string_view key) const override;
  absl::StatusOr<std::vector<std::pair<std::string, Bytes>>> Scan(
      std::string_view reducer, std::string_view from, std::string_view to,
      std::size_t limit) const override;
  EventId head() const override { return window_->committed(); }
  EventId durable() const override { return writer_->durable(); }
  bool caught_up() const override {
    return writer_->written().value >= handed_over_.load();
  }
  std::uint64_t position() const override { return admission_->position(); }
  SourceMark source(std::string_view name) const override;
  Digest journal_digest() const override { return writer_->head_hash(); }
  WorldStats stats() const override;
  absl::Status Close() override;

  absl::StatusOr<Checkpoint> Place() override;
  absl::StatusOr<std::map<CellRef, Bytes>> Cells() override;
  absl::StatusOr<Digest> StateDigest() override;

 private:
  // Opening.
  std::unique_ptr<Storage> NewStorage();
  absl::Status OpenStorage();
  absl::Status Genesis(std::unique_ptr<HeadFile> head);
  absl::Status StartMachine(const Checkpoint& place,
                            std::unique_ptr<HeadFile> head);
  absl::Status ApplyOptionChanges();
  using VisitCell =
      std::function<absl::Status(std::string_view key, BytesView state)>;
  absl::Status ScanStored(ReducerId reducer, const VisitCell& visit) const;
  absl::Status ScanPresent(ReducerId reducer, const VisitCell& visit);
  SelfCheck::Options SelfCheckOptions() const;
  absl::Status UseReducers();

  // Crew.
  bool Work(std::size_t worker) override;
  bool Finished() override;
  std::size_t Choices() override;
  void Choose(std::size_t index) override;

  // The ordered role.
  bool TryOrder();
  bool Order();
  bool OrderOrFail();
  bool RunSomeOrFail(std::size_t worker);
  bool Compose();
  bool ComposeControls();
  std::deque<PendingControl> TakeControls();
  absl::Status PrepareRollback(const entry::RolledBack& back);
  absl::Status BeginFeed(InputSource& source);
  std::optional<SourceRead> NoteSourceRead();
  void AdmitReceipts();
  std::optional<Round> FirstEligible(LogicalTime time) const;
  std::optional<Round> ChooseRound(LogicalTime* time);
  LogicalTime TimeFor(Round round) const;
  RoundInFlight NewRound();
  void FindCells(RoundInFlight& round);
  void OpenRound(RoundInFlight round);
  bool IsBeyondLast(Round round);
  bool IssueTickets();
  void FillTicket(RoundInFlight& round);
  bool CommitDone();
  bool RunInOrder();
  void CommitSlot(Slot* slot);
  void FailAsImpure(const Ticket& ticket, const StepResult& result);
  void TakeRaised(EventId by, StepResult& step, RoundInFlight& round);
  void TakeConsequences(Ledger::Consequences* consequences,
                        RoundInFlight& round);
  void CommitControl(Slot* slot, RoundInFlight& round);
  bool Affords(std::string_view capability, const Amounts& amounts,
               LogicalTime now) const override {
    return state_->ledger().Affords(capability, amounts, now);
  }
  bool FrontIsCommitted() const;
  bool ShouldWriteInline(const FinishedRound& record);
  void WriteInline(std::unique_ptr<FinishedRound> record);
  void FinishRounds();
  void FinishRound(RoundInFlight& round);
  bool ReadersWait() const {
    return cells_->readers_waiting()->load(std::memory_order_relaxed) > 0;
  }
  // Lets go of cells_->exclusive() for a moment, which the analysis cannot see.
  void LetReadersIn() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void PublishCounts();
  Throttle::Seen Seen() const;
  bool binds_open_work() const {
    return state_->config().format_version >= kFormatVersionOpenWork;
  }
  void RecordOpenWork(const RoundInFlight& round);

  bool IsReducer(std::string_view name) const;
  absl::Status CheckInput(const Input& input) const;
  absl::Status PutInLine(Incoming incoming);
  absl::StatusOr<Submission> Offer(Incoming incoming);
  absl::Status CheckEffects() const;
  absl::StatusOr<Submission> OfferControl(const Entry& entry);
  absl::StatusOr<Submission> Judge(const Digest& intent_hash, bool approved,
                                   std::string_view by, std::string_view note);
  absl::Status Drive();
  absl::Status FlushAfter(absl::Status status);
  void BackgroundLoop();
  void Progress();
  void Fail(const absl::Status& what);
  absl::Status CauseOf(const absl::Status& what) const;
  bool failed() const { return error_.has_error(); }
  absl::Status error() const { return error_.status(); }
  void EndSubmissions(const absl::Status& status);

  // Constant after Init().
  WorldOptions options_;
  WorldInternals internals_;
  OpenReport report_;
  bool serial_ = true;
  bool by_wall_ = false;            // what time it is, the machine says
  std::vector<std::string> names_;  // of reducers that can be used
  std::uint64_t epoch_ = 0;

  std::unique_ptr<Storage> storage_;
  Store* store_ = nullptr;  // the storage's
  std::unique_ptr<StoreCells> source_;
  StepRules rules_;
  std::unique_ptr<CellTable> cells_;
  std::unique_ptr<Window> window_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<JournalWriter> writer_;

  // Their own synchronization.
  Doorbell doorbell_;
  Background background_;
  std::atomic<bool> interrupted_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> idle_{false};
  std::atomic<bool> in_flight_{false};
  FirstError error_;
  std::atomic<std::int64_t> last_time_{
      0};                        // of the last round that is finished
  mutable Mutex sources_mutex_;  // state_->at().sources, which any thread reads
  std::atomic<std::uint64_t> handed_over_{0};  // the last ticket
  std::atomic<bool> look_again_{false};        // somebody found the role taken

  // The ordered role's own.
  Mutex role_;
  std::optional<State> state_;
  std::optional<Committer> committer_;
  std::optional<Notifier> notifier_;
  std::optional<StepSharing> sharing_;
  Submissions submissions_;
  std::optional<Admission> admission_;
  FailureOrders failures_;
  std::deque<RoundInFlight> rounds_;
  std::vector<RoundInFlight> spare_rounds_;  // for their memory
  RollbackStep rollback_;                    // that its round holds
  std::vector<std::unique_ptr<FinishedRound>> finished_;
  std::uint64_t next_block_ = 0;
  InlineWrites inline_writes_;
  std::uint64_t made_ns_ = 0;  // what the last round took to be made
  WorldStats counts_;
  EffectsEnded ended_before_{};  // in histories before this opening
  WorldStats published_;  // a copy for stats(), under cells_->exclusive()

  bool closed_ = false;
  absl::Status close_status_;
};

// --- opening -----------------------------------------------------------------

absl::Status WorldImpl::Init() {
  if (!internals_.config_as_is) {
    REENACT_RETURN_IF_ERROR(CheckModules(options_.modules));
  }
  if (options_.window == 0 || (options_.window & (options_.window - 1)) != 0 ||
      options_.window > 65536) {
    return absl::InvalidArgumentError(
        "the window must be a power of two, at most 65536");
  }
  if (options_.workers > 1024) {
    return absl::InvalidArgumentError("at most 1024 workers make sense");
  }
  pool_ = std::move(internals_.pool);
  if (pool_ == nullptr) {
    pool_ = options_.workers == 0 ? NewInlinePool()
                                  : NewThreadPool(options_.workers);
  }
  // One thread gains nothing from handing steps to itself.
  serial_ =
      pool_->workers() == 0 ||
      (pool_->workers() == 1 && !pool_->chooses() && !internals_.never_inline);
  for (const Module& module : options_.modules) {
    names_.insert(names_.end(), module.record.reducers.begin(),
                  module.record.reducers.end());
  }
  if (!internals_.config_as_is) {
    options_.config.modules = RecordsOf(options_.modules);
    options_.config.reducers = ExtendTable({}, options_.config.modules);
    WorldConfig& config = options_.config;
    if (config.world_id.empty()) config.world_id = DrawWorldId();
    if (config.seed == Digest()) SetSeed(0, config);
    if (options_.start && config.clock == ClockKind::kRounds) {
      config.clock = ClockKind::kWall;
    }
  }
  REENACT_RETURN_IF_ERROR(CheckConfig(options_.config));
  REENACT_RETURN_IF_ERROR(OpenStorage());
  ended_before_ = state_->ledger().ended();
  last_time_.store(state_->at().time.value);
  const Policy::Executors& listed = state_->ledger().policy().executors();
  if (options_.effects != nullptr && !listed.empty()) {
    options_.effects->Listed(listed);
  }
  return absl::OkStatus();
}

std::unique_ptr<Storage> WorldImpl::NewStorage() {
  if (internals_.store != nullptr) {
    return NewStoreStorage(std::move(internals_.store),
                           std::move(internals_.start),
                           internals_.want_open_work);
  }
  if (options_.path.empty()) return NewMemoryStorage();
  return NewDirectoryStorage(options_.path, options_.must_exist,
                             options_.snapshots_kept);
}

absl::Status WorldImpl::OpenStorage() {
  const bool is_callers = internals_.store != nullptr;
  storage_ = NewStorage();
  REENACT_ASSIGN_OR_RETURN(Storage::Opened opened, storage_->Open(&report_));
  store_ = storage_->store();
  epoch_ = opened.epoch;
  if (!opened.checkpoint) return Genesis(std::move(opened.head));
  REENACT_RETURN_IF_ERROR(
      StartMachine(*opened.checkpoint, std::move(opened.head)));
  if (is_callers && !options_.accept_module_change) return absl::OkStatus();
  if (!is_callers) REENACT_RETURN_IF_ERROR(writer_->Flush());
  REENACT_FAILPOINT_RETURN("open, before option changes");
  return ApplyOptionChanges();
}

// Starts a world with nothing but its first block.
absl::Status WorldImpl::Genesis(std::unique_ptr<HeadFile> head) {
  Checkpoint place;
  place.config = options_.config;
  REENACT_RETURN_IF_ERROR(StartMachine(place, std::move(head)));
  auto round = writer_->Recycle();
  round->round = Round{0};
  round->first = EventId{1};
  round->ticket_count = 0;
  round->entry_count = 1;
  round->entries = EncodeToBytes(entry::Genesis{options_.config});
  writer_->Append(std::move(round));
  next_block_ = 1;
  REENACT_FAILPOINT_RETURN("genesis handed over");
  REENACT_RETURN_IF_ERROR(writer_->Flush());
  REENACT_FAILPOINT_RETURN("genesis durable");
  return storage_->FinishCreation();
}

absl::Status WorldImpl::StartMachine(const Checkpoint& place,
                                     std::unique_ptr<HeadFile> head) {
  REENACT_ASSIGN_OR_RETURN(State state, State::At(place));
  state_.emplace(std::move(state));
  const WorldConfig& config = state_->config();
  by_wall_ = config.clock == ClockKind::kWall;
  REENACT_ASSIGN_OR_RETURN(
      auto reducers,
      ResolveReducers(config.reducers, config.modules, options_.modules));
  rules_.SetReducers(reducers);
  rules_.world_seed = config.seed;
  rules_.limits = config.limits;
  rules_.identities = config.format_version >= kFormatVersionSharing;
  rules_.retries = config.format_version >= kFormatVersionRetries;
  rules_.limits_reserve = config.format_version >= kFormatVersionLimits;
  rules_.due_max = DueMaxOf(config);
  rules_.budgets = this;
  next_block_ = place.block_count;

  source_ = std::make_unique<StoreCells>(store_);
  cells_ = std::make_unique<CellTable>(source_.get(), options_.cache_bytes,
                                       options_.window);
  Window::Options window;
  window.size = options_.window;
  window.workers = pool_->workers();
  window.run_twice = internals_.run_twice;
  window.observer = internals_.observer;
  window_ = std::make_unique<Window>(cells_.get(), &rules_, EncodeResult,
                                     place.event_id, window);
  sharing_.emplace(
      window_.get(), pool_.get(),
      StepSharing::Options{serial_, internals_.never_inline || pool_->chooses(),
                           internals_.threads});
  committer_.emplace(
      state_->next_ticket(),
      Committer::Parts{window_.get(), cells_.get(), &state_->ledger(), &rules_,
                       &state_->config()},
      SelfCheckOptions());
  notifier_.emplace(Notifier::Parts{options_.effects, &state_->ledger(),
                                    &rules_, report_.head});
  admission_.emplace(
      options_.ingress_capacity,
      Admission::Parts{&*state_, &rules_, &submissions_, &*notifier_,
                       &failures_, internals_.script});
  // Totals are those of the cells as they are now.
  REENACT_RETURN_IF_ERROR(committer_->SetInvariants(
      reducers, [this](ReducerId reducer, const VisitCell& visit) {
        return ScanStored(reducer, visit);
      }));

  if (internals_.make_writer) {
    writer_ = internals_.make_writer(store_);
    return absl::OkStatus();
  }
  JournalWriter::Options writer;
  writer.sync = options_.sync;
  writer.own_thread = head != nullptr || internals_.writer_thread;
  writer.next_index = place.block_count;
  writer.prev_hash = place.block_hash;
  writer.last_event = place.event_id;
  writer.world_id = config.world_id;
  writer.epoch = epoch_;
  writer.check_owner = [this] { return storage_->CheckOwner(); };
  writer_ = JournalWriter::Start(store_, std::move(head), writer,
                                 [this] { Progress(); });
  return absl::OkStatus();
}

// All cells of a reducer as they are in the store: for a world that opens.
absl::Status WorldImpl::ScanStored(ReducerId reducer,
                                   const VisitCell& visit) const {
  return store_->View()->Scan(
      reducer, {}, {},
      [&visit](ReducerId, std::string_view key, EventId, BytesView state) {
        return visit(key, state);
      });
}

// And as they are now.
absl::Status WorldImpl::ScanPresent(ReducerId reducer, const VisitCell& visit) {
  std::vector<std::pair<std::string, Bytes>> found;
  REENACT_RETURN_IF_ERROR(cells_->Scan(
      reducer, {}, {}, std::numeric_limits<std::size_t>::max(), &found));
  for (const auto& [key, state] : found) {
    REENACT_RETURN_IF_ERROR(visit(key, state));
  }
  return absl::OkStatus();
}

SelfCheck::Options WorldImpl::SelfCheckOptions() const {
  SelfCheck::Options self_check;
  self_check.every = options_.self_check;
  if (options_.observe_check) {
    self_check.observe = [this](bool begins, const Ticket& ticket) {
      options_.observe_check(begins, 1, ticket.code->name(), ticket.event.key,
                             ticket.event_id);
    };
  }
  if (options_.on_nondeterminism) {
    self_check.on_difference = [this](const Ticket& ticket,
                                      const StepResult& result) {
      options_.on_nondeterminism(
          {ticket.event_id,
           {std::string(ticket.code->name()), std::string(ticket.event.key)},
           result.entries,
           result.other});
    };
  }
  return self_check;
}

// Records, or refuses, that the options differ from what the world was run
// with.
absl::Status WorldImpl::ApplyOptionChanges() {
  const std::vector<ModuleRecord> given = RecordsOf(options_.modules);
  if (given != state_->config().modules) {
    if (!options_.accept_module_change) {
      return absl::FailedPreconditionError(
          DescribeModuleChange(state_->config().modules, given) +
          "; accept the module change to record it and go on");
    }
    entry::ModuleChanged change;
    change.input = kAnyInput;
    change.modules = given;
    change.reducers = ExtendTable(state_->config().reducers, given);
    admission_->AddControl(EncodeToBytes(change), nullptr);
  }
  if (options_.accept_config_change &&
      (options_.config.scheduling != state_->config().scheduling ||
       options_.config.snapshot_every != state_->config().snapshot_every)) {
    entry::ConfigChanged change;
    change.input = kAnyInput;
    change.scheduling = options_.config.scheduling;
    change.snapshot_every = options_.config.snapshot_every;
    if (change.scheduling.pipeline_depth != state_->depth()) {
      return absl::InvalidArgumentError(
          "the pipeline depth is a constant of the world");
    }
    admission_->AddControl(EncodeToBytes(change), nullptr);
  }
  return absl::OkStatus();
}

// Whether a world can be opened from what was written of its open work.
absl::Status ReadBackOpenWork(BytesView bytes) {
  REENACT_ASSIGN_OR_RETURN(SnapshotContents contents, DecodeOpenWork(bytes));
  return State::At(CheckpointOf(std::move(contents))).status();
}

// The header of what is taken right after the block with this header and hash.
SnapshotHeader HeaderAfter(const Checkpoint& place, const BlockHeader& block,
                           const Digest& hash) {
  SnapshotHeader header = HeaderOf(place);
  header.block_count = block.index + 1;
  header.block_hash = hash;
  return header;
}

// --- input -------------------------------------------------------------------

bool WorldImpl::IsReducer(std::string_view name) const {
  for (const std::string& known : names_) {
    if (known == name) return true;
  }
  return false;
}

absl::Status WorldImpl::CheckInput(const Input& input) const {
  if (!IsReducer(input.event.reducer)) {
    return NoSuchReducer(input.event.reducer);
  }
  return CheckAdmissible(input, rules_.limits);
}

absl::StatusOr<Submission> WorldImpl::Submit(Input input) {
  if (failed()) return error();
  REENACT_RETURN_IF_ERROR(CheckInput(input));
  return Offer(Incoming{std::move(input), nullptr});
}

absl::Status WorldImpl::PutInLine(Incoming incoming) {
  const absl::Status offered = admission_->Offer(std::move(incoming));
  if (!offered.ok()) return failed() ? error() : offered;
  doorbell_.Ring();
  return absl::OkStatus();
}

absl::StatusOr<Submission> WorldImpl::Offer(Incoming incoming) {
  incoming.state = submissions_.New();
  SubmissionState state = incoming.state;
  REENACT_RETURN_IF_ERROR(PutInLine(std::move(incoming)));
  return Submission(std::move(state));
}

absl::StatusOr<Submission> WorldImpl::RequestSnapshot() {
  if (failed()) return error();
  return Offer(
      Incoming{EncodeToBytes(entry::SnapshotRequested{kAnyInput}), nullptr});
}

absl::StatusOr<Submission> WorldImpl::ChangeConfig(
    const Scheduling& scheduling, std::uint64_t snapshot_every) {
  if (failed()) return error();
  WorldConfig changed = options_.config;
  changed.scheduling = scheduling;
  changed.snapshot_every = snapshot_every;
  REENACT_RETURN_IF_ERROR(CheckConfig(changed));
  if (scheduling.pipeline_depth != config().scheduling.pipeline_depth) {
    return absl::InvalidArgumentError(
        "the pipeline depth is a constant of the world");
  }
  entry::ConfigChanged change;
  change.input = kAnyInput;
  change.scheduling = scheduling;
  change.snapshot_every = snapshot_every;
  return Offer(Incoming{EncodeToBytes(change), nullptr});
}

// --- effects, from outside ---------------------------------------------------

absl::Status WorldImpl::CheckEffects() const {
  if (failed()) return error();
  if (state_->has_effects()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this world has format 1, which has no effects; make a new world");
}

absl::StatusOr<Submission> WorldImpl::OfferControl(const Entry& entry) {
  REENACT_RETURN_IF_ERROR(CheckEffects());
  return Offer(Incoming{EncodeToBytes(entry), nullptr});
}

absl::StatusOr<Submission> WorldImpl::ChangeGrant(const GrantChange& change) {
  // What cannot be written or read again must not get as far as the journal.
  Bytes item;
  cbor::Encoder encoder(&item);
  EncodeGrantChange(change, encoder);
  cbor::Reader reader(item);
  const GrantChange again = DecodeGrantChange(reader);
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(Annotate(reader.status(), "grant"));
  return OfferControl(entry::GrantChanged{kAnyInput, again});
}

absl::StatusOr<Submission> WorldImpl::SetPolicy(BytesView document) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value value,
                           cbor::Value::Parse(document));
  if (!value.IsNull()) REENACT_RETURN_IF_ERROR(Policy::Parse(value).status());
  return OfferControl(entry::PolicyChanged{kAnyInput, Bytes(document)});
}

namespace {

absl::Status CheckWords(std::string_view what, std::string_view words) {
  if (words.size() <= 1024 && cbor::IsUtf8(words)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      std::string(what) + " is not UTF-8, or has more than 1024 bytes");
}

}  // namespace

absl::StatusOr<Submission> WorldImpl::Judge(const Digest& intent_hash,
                                            bool approved, std::string_view by,
                                            std::string_view note) {
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the note", note));
  return OfferControl(entry::EffectJudged{kAnyInput, intent_hash, approved,
                                          std::string(by), std::string(note)});
}

absl::StatusOr<Submission> WorldImpl::CancelEffect(const Digest& intent_hash,
                                                   std::string_view by) {
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  return OfferControl(entry::EffectsCancelled{kAnyInput, intent_hash,
                                              std::nullopt, std::string(by)});
}

absl::StatusOr<Submission> WorldImpl::CancelEffectsOf(std::string_view reducer,
                                                      std::string_view key,
                                                      std::string_view by) {
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the key", key));
  std::optional<ReducerId> id;
  {
    ReaderLock lock(*cells_);
    id = rules_.Find(reducer);
  }
  if (!id) return NoSuchReducer(reducer);
  return OfferControl(entry::EffectsCancelled{kAnyInput, std::nullopt,
                                              CellRef{*id, std::string(key)},
                                              std::string(by)});
}

absl::StatusOr<Submission> WorldImpl::RollBack(EventId snapshot,
                                               std::string_view by,
                                               std::string_view reason) {
  REENACT_RETURN_IF_ERROR(CheckEffects());
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the reason", reason));
  REENACT_ASSIGN_OR_RETURN(const SnapshotHeader header,
                           storage_->ReadSnapshotHeader(snapshot));
  return OfferControl(entry::RolledBack{kAnyInput, snapshot, header.round,
                                        std::string(by), std::string(reason),
                                        header.sources});
}

absl::Status WorldImpl::FailEvent(EventId event_id, std::string_view by,
                                  std::string_view reason) {
  if (failed()) return error();
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the reason", reason));
  if (reason.empty()) {
    return absl::InvalidArgumentError("say why the event is to fail");
  }
  if (state_->config().format_version < kFormatVersionFailures) {
    return absl::FailedPreconditionError(
        "this world has a format before 3, which cannot record that an event "
        "was made to fail; make a new world");
  }
  if (background_.started()) {
    return absl::FailedPreconditionError("the world runs in the background");
  }
  if (event_id < state_->next_ticket()) {
    return absl::FailedPreconditionError(
        "event " + std::to_string(event_id.value) +
        " is history; the next is " +
        std::to_string(state_->next_ticket().value));
  }
  failures_.Add({event_id, std::string(by), std::string(reason)});
  return absl::OkStatus();
}

absl::Status WorldImpl::SubmitReceipt(Receipt receipt, Done done) {
  REENACT_RETURN_IF_ERROR(CheckEffects());
  if (receipt.payload.size() > rules_.limits.payload_bytes_max / 2) {
    return absl::InvalidArgumentError(
        "the receipt's payload has " + std::to_string(receipt.payload.size()) +
        " bytes, more than " +
        std::to_string(rules_.limits.payload_bytes_max / 2) +
        "; put it into a blob");
  }
  // As strict with what comes by a call as with what comes by a socket. The
  // payload is the ledger's to look at, once it knows who signed it.
  Bytes item;
  cbor::Encoder encoder(&item);
  EncodeReceipt(receipt, encoder);
  REENACT_ASSIGN_OR_RETURN(Receipt checked, DecodeReceiptUnread(item));
  return PutInLine(
      Incoming{IncomingReceipt{std::move(checked), std::move(done)}, nullptr});
}

std::chrono::microseconds WorldImpl::TimeUntil(LogicalTime time) const {
  using std::chrono::microseconds;
  const LogicalTime last{last_time_.load(std::memory_order_relaxed)};
  if (time <= last) return microseconds(0);
  if (!by_wall_) return microseconds::max();
  const LogicalTime now =
      options_.wall_clock ? options_.wall_clock() : MachineTime();
  std::int64_t left = 0;
  if (__builtin_sub_overflow(time.value, now.value, &left)) {
    return microseconds::max();
  }
  return std::max(microseconds(left), microseconds(0));
}

void WorldImpl::RefuseReceipt(std::string_view executor,
                              std::string_view reason, const Digest& digest) {
  if (!CheckEffects().ok()) return;
  entry::ReceiptRefused refused;
  refused.executor = cbor::IsUtf8(executor)
                         ? executor.substr(0, Receipt::kExecutorBytesMax)
                         : "?";
  if (!cbor::IsUtf8(refused.executor)) refused.executor = "?";
  refused.reason = CheckWords("", reason).ok() ? reason : "?";
  refused.digest = digest;
  // What there is no room for was not recorded; the sender is told so anyway.
  (void)PutInLine(
      Incoming{IncomingReceipt{std::move(refused), nullptr}, nullptr});
}

absl::Status WorldImpl::BeginFeed(InputSource& source) {
  MutexLock lock(&sources_mutex_);
  return admission_->feed().Begin(source, state_->at().sources,
                                  state_->config().format_version);
}

SourceMark WorldImpl::source(std::string_view name) const {
  MutexLock lock(&sources_mutex_);
  const SourceMarks& sources = state_->at().sources;
  const auto found = sources.find(name);
  return found == sources.end() ? SourceMark() : found->second;
}

// --- composing ---------------------------------------------------------------

LogicalTime WorldImpl::TimeFor(Round round) const {
  if (REENACT_PLANTED("logical time depends on what is in flight")) {
    return LogicalTime{static_cast<std::int64_t>(round.value + rounds_.size())};
  }
  if (const ScriptedRound* const scripted = admission_->scripted();
      scripted != nullptr && state_->config().clock == ClockKind::kWall) {
    return std::max(state_->at().time, scripted->time);
  }
  switch (state_->config().clock) {
    case ClockKind::kRounds:
      return LogicalTime{static_cast<std::int64_t>(round.value)};
    case ClockKind::kInput:
      return std::max(state_->at().time, admission_->input_time());
    case ClockKind::kWall:
      return std::max(state_->at().time, options_.wall_clock
                                             ? options_.wall_clock()
                                             : MachineTime());
  }
  return state_->at().time;
}

// The first round that has something which is eligible in it at `time`.
std::optional<Round> WorldImpl::FirstEligible(LogicalTime time) const {
  const auto unit = state_->queues().NextRound(time);
  const auto due = state_->ledger().NextDue(state_->depth(), time);
  return unit && due ? std::min(*unit, *due) : unit ? unit : due;
}

// The number and the time of the next round; nullopt if nothing is eligible, or
// if that depends on a round that is not committed yet.
std::optional<Round> WorldImpl::ChooseRound(LogicalTime* time) {
  const Round next{state_->at().round.value + 1};
  *time = TimeFor(next);
  if (state_->queues().external_count() > 0 || admission_->has_entries())
    return next;
  std::optional<Round> round = FirstEligible(*time);
  if (round && *round <= next) return next;
  if (!rounds_.empty()) return std::nullopt;
  if (state_->config().clock == ClockKind::kRounds) {
    // Of two timers the one that is due later may be handed over sooner, so the
    // rounds in which that can be are looked at one by one.
    const bool timers =
        state_->queues().NextTimer() || state_->ledger().NextTimer();
    const Round settled{state_->at().round.value + state_->depth()};
    for (Round at = next; timers && at < settled && (!round || at < *round);
         at = Round{at.value + 1}) {
      const std::optional<Round> first = FirstEligible(TimeFor(at));
      if (first && *first <= at) round = at;
    }
    // A timer makes the round of its number eligible.
    const auto consider = [&](std::optional<LogicalTime> timer,
                              const auto& eligible_at) {
      // Those of older formats may be due when no round can be any more.
      if (!timer || timer->value <= time->value || *timer > kTimeMax) return;
      const std::optional<Round> due = eligible_at(*timer);
      REENACT_CHECK(due.has_value());
      const Round at{
          std::max(due->value, static_cast<std::uint64_t>(timer->value))};
      if (!round || at < *round) round = at;
    };
    consider(state_->queues().NextTimer(),
             [this](LogicalTime at) { return state_->queues().NextRound(at); });
    consider(state_->ledger().NextTimer(), [this](LogicalTime at) {
      return state_->ledger().NextDue(state_->depth(), at);
    });
    if (REENACT_SEEN(round, "world: a timer makes its own round"))
      *time = TimeFor(*round);
  }
  return round;
}

bool WorldImpl::Compose() {
  if (failed()) return false;
  instrument::Yield("world.compose", this);
  if (!admission_->feed().status().ok()) {
    if (rounds_.empty()) idle_ = true;
    return false;
  }
  // What a barrier captures includes nothing of the next round.
  if (REENACT_SEEN(!rounds_.empty() && rounds_.back().barrier(),
                   "world: a barrier is on its way"))
    return false;
  if (interrupted_ && !admission_->has_entries() &&
      admission_->scripted() == nullptr) {
    if (rounds_.empty()) idle_ = true;
    return false;
  }
  const absl::StatusOr<bool> pulled = admission_->Pull(interrupted_);
  if (!pulled.ok()) {
    Fail(pulled.status());
    return false;
  }
  if (internals_.script != nullptr && !*pulled) {
    if (rounds_.empty()) idle_ = true;
    return false;
  }
  if (admission_->pulling()) return true;
  // Round r is composed from rounds up to r - depth, all committed.
  if (!rounds_.empty() &&
      (sharing_->in_line() || rounds_.front().round.value + state_->depth() <=
                                  state_->at().round.value + 1)) {
    REENACT_PROBE("world: the pipeline is full");
    return false;
  }
  if (admission_->has_receipts()) {
    // They are judged by what all rounds before this one came to.
    if (REENACT_SEEN(!rounds_.empty(),
                     "world: receipts wait for the rounds before"))
      return false;
    AdmitReceipts();
    // Duplicates leave nothing; what waits behind them has not been looked at.
    if (REENACT_SEEN(!admission_->has_entries(),
                     "world: receipts that leave nothing"))
      return true;
  }
  if (!admission_->controls().empty() && !admission_->has_entries()) {
    return ComposeControls();
  }

  LogicalTime time;
  const std::optional<Round> number = ChooseRound(&time);
  if (!number) {
    if (rounds_.empty()) {
      if (const ScriptedRound* const scripted = admission_->scripted()) {
        Fail(absl::DataLossError(
            "round " + std::to_string(scripted->round.value) +
            ": nothing is eligible in it by the scheduling rules"));
      }
      idle_ = true;
    }
    return false;
  }
  if (IsBeyondLast(*number)) return false;
  if (state_->HasDue(*number, time)) {
    REENACT_PROBE("world: time ends an effect");
    if (!rounds_.empty()) return false;
    MutexLock lock(cells_->exclusive());
    admission_->CloseDue(*number, time);
  }
  RoundInFlight round = NewRound();
  round.round = *number;
  round.time = time;
  state_->queues().Compose(*number, time, state_->next_ticket(), &round.units);
  OpenRound(std::move(round));
  return true;
}

// Others look at the ledger meanwhile.
void WorldImpl::AdmitReceipts() {
  MutexLock lock(cells_->exclusive());
  admission_->AdmitReceipts();
  PublishCounts();
}

// Whether there is no such round any more; then the world has ended.
bool WorldImpl::IsBeyondLast(Round round) {
  if (round.value <= kRoundMax) return false;
  Fail(absl::OutOfRangeError("the world has come to its last round, " +
                             std::to_string(kRoundMax)));
  return true;
}

// A round that has control commands has nothing else, so that every other
// ticket is entirely before or entirely after a change.
bool WorldImpl::ComposeControls() {
  if (REENACT_SEEN(!rounds_.empty(),
                   "world: a command waits for the rounds before"))
    return false;
  if (IsBeyondLast(Round{state_->at().round.value + 1})) return false;
  if (const auto* back = std::get_if<entry::RolledBack>(
          &admission_->controls().front().entry)) {
    if (absl::Status wrong = PrepareRollback(*back); !wrong.ok()) {
      if (internals_.script != nullptr) {
        // It was recorded, so the world could go back then.
        Fail(AsDataLoss(wrong));
        return false;
      }
      admission_->controls().front().state->End(wrong);
      admission_->controls().pop_front();
      return true;
    }
  }
  std::deque<PendingControl> controls = TakeControls();
  RoundInFlight round = NewRound();
  round.round = Round{state_->at().round.value + 1};
  round.time = TimeFor(round.round);
  round.end.control = true;
  for (PendingControl& control : controls) {
    round.units.push_back(admission_->AdmitControl(std::move(control)));
  }
  OpenRound(std::move(round));
  return true;
}

// Those of the next round. A rollback is alone in its own: what it changes is
// worked out against the state before that.
std::deque<PendingControl> WorldImpl::TakeControls() {
  const auto is_rollback = [](const PendingControl& control) {
    return std::holds_alternative<entry::RolledBack>(control.entry);
  };
  std::deque<PendingControl>& all = admission_->controls();
  auto end = std::find_if(all.begin(), all.end(), is_rollback);
  if (end == all.begin()) ++end;
  std::deque<PendingControl> taken(std::make_move_iterator(all.begin()),
                                   std::make_move_iterator(end));
  all.erase(all.begin(), end);
  return taken;
}

// --- rolling back ------------------------------------------------------------

// Works out what the rollback changes and raises. Nothing is on its way, and
// nothing else will be before it.
absl::Status WorldImpl::PrepareRollback(const entry::RolledBack& back) {
  RollbackTarget target;
  if (internals_.rollback_target) {
    REENACT_ASSIGN_OR_RETURN(target,
                             internals_.rollback_target(back, next_block_));
  } else {
    REENACT_RETURN_IF_ERROR(writer_->Flush());
    REENACT_ASSIGN_OR_RETURN(target, storage_->ReadTarget(back.to));
    if (target.place.round != back.round || target.place.event_id != back.to) {
      return absl::AbortedError(
          "another snapshot has taken its place; try again");
    }
  }
  if (target.place.sources != back.sources) {
    return absl::DataLossError(
        "the sources that a rollback goes back to are not those of the "
        "snapshot");
  }
  for (const RaisedEvent& event : target.events) {
    if (rules_.Has(event.reducer)) continue;
    return absl::FailedPreconditionError(
        "at the snapshot an event for \"" + admission_->NameOf(event.reducer) +
        "\" waited, a reducer that the modules no longer have");
  }
  return rollback_.Plan(std::move(target), state_->config().reducers.size(),
                        cells_.get());
}

RoundInFlight WorldImpl::NewRound() {
  if (spare_rounds_.empty()) return RoundInFlight();
  RoundInFlight round = std::move(spare_rounds_.back());
  spare_rounds_.pop_back();
  round.Clear();
  return round;
}

// All at once: the searches do not wait for each other's memory, and what they
// find is on its way when its turn comes.
void WorldImpl::FindCells(RoundInFlight& round) {
  round.cells.reserve(round.units.size());
  EventId user = round.first;
  for (const Unit* unit : round.units) {
    Cell* cell = cells_->Find(unit->reducer, unit->key, unit->cell_hash, user);
    round.cells.push_back(cell);
    user = user.Next();
  }
  for (const Cell* cell : round.cells) {
    __builtin_prefetch(cell->committed.load(std::memory_order_relaxed));
  }
}

// What the round takes in of a source with a name, which any thread asks about.
std::optional<SourceRead> WorldImpl::NoteSourceRead() {
  std::optional<SourceRead> read = admission_->TakeSourceRead();
  if (!read) return std::nullopt;
  MutexLock lock(&sources_mutex_);
  state_->TakeSource(*read);
  return read;
}

void WorldImpl::OpenRound(RoundInFlight round) {
  REENACT_FAILPOINT("D02 round composed, not recorded");
  round.first = state_->next_ticket();
  round.opened_ns = instrument::NowNs();
  if (!round.end.control) FindCells(round);
  const std::uint64_t block = next_block_++;
  round.block = block;
  round.snapshot = state_->config().snapshot_every != 0 &&
                   block % state_->config().snapshot_every == 0;
  round.open_work = internals_.open_work_block == block ||
                    (block % kOpenWorkEvery == 0 &&
                     (binds_open_work() || storage_->keeps_snapshots()));
  state_->Advance(round.round, round.time, round.units.size());
  ++counts_.rounds;
  counts_.tickets += round.units.size();

  round.record = writer_->Recycle();
  FinishedRound& record = *round.record;
  record.round = round.round;
  record.first = round.first;
  record.ticket_count = round.units.size();
  EncodeRoundOpened({round.round, round.time, round.first, round.units.size(),
                     NoteSourceRead()},
                    &record.entries);
  record.entry_count = 1;
  // A control command runs no code of a module's, so there is no reason to keep
  // it from being carried out.
  if (!failures_.empty() && !round.end.control) {
    record.entry_count +=
        failures_.Record(round.first, round.units.size(), &record.entries);
  }
  record.entry_count += admission_->TakeEntries(&record.entries);
  rounds_.push_back(std::move(round));
  in_flight_ = true;
}

// --- issuing, committing -----------------------------------------------------

void WorldImpl::FillTicket(RoundInFlight& round) {
  const std::size_t index = round.issued++;
  const Unit& unit = *round.units[index];
  Ticket& ticket = *window_->NextTicket();
  ticket.event_id = EventId{round.first.value + index};
  ticket.round = round.round;
  ticket.time = round.time;
  ticket.kind = unit.kind;
  ticket.cause = unit.cause;
  ticket.reducer = unit.reducer;
  ticket.event = EventView{{}, unit.key, unit.schema, unit.payload};
  ticket.code = nullptr;
  ticket.failure = nullptr;
  ticket.own = nullptr;
  if (unit.kind != UnitKind::kControl) {
    // Null: what the modules no longer have; then the step fails.
    ticket.code = rules_.reducer(unit.reducer);
    ticket.event.reducer = rules_.name(unit.reducer);
    ticket.own = round.cells[index];
    if (!failures_.empty()) failures_.Apply(&ticket);
  }
  if (unit.cause.is_input()) {
    submissions_.Ticketed(unit.cause.input, ticket.event_id);
  }
}

bool WorldImpl::IssueTickets() {
  bool issued = false;
  for (RoundInFlight& round : rounds_) {
    if (round.end.control) break;  // run by RunInOrder()
    while (round.issued < round.units.size()) {
      if (REENACT_SEEN(!window_->HasRoom(), "world: the window is full"))
        return issued;
      FillTicket(round);
      window_->Issue(/*serial=*/false);
      REENACT_FAILPOINT("D01 ticket issued");
      issued = true;
    }
  }
  return issued;
}

void WorldImpl::LetReadersIn() {
  REENACT_PROBE("world: a reader is let in");
  cells_->exclusive()->Unlock();
  while (cells_->readers_waiting()->load() > 0) {
    std::this_thread::yield();
    instrument::Yield("world.let_readers_in");
  }
  cells_->exclusive()->Lock();
}

void WorldImpl::PublishCounts() {
  counts_.external_waiting = state_->queues().external_count();
  counts_.derived_waiting = state_->queues().derived_count();
  counts_.timers_waiting = state_->queues().timer_count();
  counts_.effects_open = state_->ledger().open().size();
  for (std::size_t i = 0; i < kReceiptStatuses; ++i) {
    counts_.effects_ended[i] = state_->ledger().ended()[i] - ended_before_[i];
  }
  const Admission::Counts& admitted = admission_->counts();
  counts_.inputs = admitted.inputs;
  counts_.duplicates = admitted.duplicates;
  counts_.receipts = admitted.receipts;
  counts_.receipts_duplicate = admitted.receipts_duplicate;
  counts_.receipts_refused = admitted.receipts_refused;
  counts_.self_checks = committer_->self_checks().checked;
  counts_.nondeterministic = committer_->self_checks().impure;
  counts_.inline_steps = window_->inline_count();
  published_ = counts_;
}

bool WorldImpl::CommitDone() {
  // A round without tickets, which records that receipts were refused, ends
  // before a ticket of the next one commits, or it would be given that.
  if (REENACT_SEEN(FrontIsCommitted(), "world: a round without tickets ends"))
    FinishRounds();
  bool done = false;
  for (std::size_t i = 0; i < kBurst && !failed(); ++i) {
    Slot* slot = window_->Next();
    if (slot == nullptr || !slot->done()) break;
    CommitSlot(slot);
    if (FrontIsCommitted()) FinishRounds();
    if (ReadersWait()) LetReadersIn();
    done = true;
  }
  return done;
}

// Runs and commits tickets one after the other, on this thread.
bool WorldImpl::RunInOrder() {
  bool done = false;
  for (std::size_t i = 0; i < kBurst && !failed() && !rounds_.empty(); ++i) {
    RoundInFlight& round = rounds_.front();
    if (round.issued == round.units.size()) break;
    if (i * window_->step_cost_ns() > kInlineNs) break;
    FillTicket(round);
    Slot* slot = window_->Issue(/*serial=*/true);
    window_->RunInTurn(slot);
    CommitSlot(slot);
    if (FrontIsCommitted()) FinishRounds();
    if (ReadersWait()) LetReadersIn();
    done = true;
  }
  return done;
}

ABSL_ATTRIBUTE_NOINLINE void WorldImpl::FailAsImpure(const Ticket& ticket,
                                                     const StepResult& result) {
  const std::string reducer(ticket.code->name());
  const std::string key(ticket.event.key);
  if (internals_.impure != nullptr) {
    internals_.impure->emplace(WorldInternals::Impure{ticket.event_id,
                                                      {reducer, key},
                                                      result.entries,
                                                      result.other,
                                                      std::nullopt});
    if (result.touched != nullptr) {
      (*internals_.impure)->touched = *result.touched;
    }
  }
  Fail(absl::InternalError("two runs of one step differ: reducer \"" + reducer +
                           "\", key \"" + key + "\", at ticket " +
                           std::to_string(ticket.event_id.value)));
}

void WorldImpl::CommitSlot(Slot* slot) {
  instrument::Yield("world.commit", slot);
  RoundInFlight& round = rounds_.front();
  const Ticket& ticket = slot->ticket;
  // What a rollback changes is known before its ticket.
  if (ticket.kind == UnitKind::kControl) rollback_.Fill(slot, cells_.get());
  REENACT_FAILPOINT("D04 before validation");
  const Committer::Result result =
      committer_->Commit(slot, &round.record->entries);
  REENACT_FAILPOINT("D06 entry encoded");
  Fail(committer_->halt());
  if (!cells_->ok()) return Fail(cells_->status());
  round.record->entry_count += 2;
  if (result.step->impure && !options_.on_nondeterminism) {
    return FailAsImpure(ticket, *result.step);
  }
  if (!result.failure) TakeRaised(ticket.event_id, *result.step, round);
  if (result.consequences != nullptr) {
    TakeConsequences(result.consequences, round);
  }
  if (ticket.kind == UnitKind::kControl && !result.failure) {
    CommitControl(slot, round);
  }
  if (ticket.cause.is_input()) {
    submissions_.Committed(ticket.cause.input, result.failure);
  }
  ++round.committed;
  window_->Committed(slot);
}

void WorldImpl::TakeRaised(EventId by, StepResult& step, RoundInFlight& round) {
  std::vector<RaisedEvent>& raised = step.outcome.raised;
  for (std::size_t i = 0; i < raised.size(); ++i) {
    Unit* const unit = state_->queues().NewUnit();
    FillRaised(std::move(raised[i]), by, static_cast<std::uint32_t>(i), unit);
    round.end.raised.push_back(unit);
  }
  counts_.raised += raised.size();
}

// Behind the events that the step raised.
void WorldImpl::TakeConsequences(Ledger::Consequences* consequences,
                                 RoundInFlight& round) {
  if (!consequences->empty()) {
    REENACT_FAILPOINT("D05 budget debited in memory");
  }
  round.record->entry_count += consequences->entries.size();
  state_->TakeConsequences(consequences, &round.end);
  consequences->Clear();
}

void WorldImpl::CommitControl(Slot* slot, RoundInFlight& round) {
  const absl::StatusOr<Entry> command = DecodeEntry(slot->ticket.event.payload);
  REENACT_CHECK(command.ok());
  Fail(state_->ApplyConfig(*command));
  if (std::holds_alternative<entry::ModuleChanged>(*command)) {
    REENACT_PROBE("world: the modules change");
    Fail(UseReducers());
  } else if (std::holds_alternative<entry::SnapshotRequested>(*command)) {
    REENACT_PROBE("world: a snapshot is asked for");
    round.snapshot = true;
  } else if (const auto* back = std::get_if<entry::RolledBack>(&*command)) {
    {
      MutexLock lock(&sources_mutex_);
      state_->ApplyRollback(*back, &round.end);
    }
    // What was submitted and has no ticket will never have one.
    submissions_.Abandon(
        slot->ticket.cause.input,
        absl::AbortedError(
            "the world was rolled back before this had its turn; "
            "submit it again, under another submission id, if it "
            "is still wanted"));
  }
}

// Takes the code of the reducers over that the configuration names by now.
absl::Status WorldImpl::UseReducers() {
  const WorldConfig& config = state_->config();
  REENACT_ASSIGN_OR_RETURN(
      auto reducers,
      ResolveReducers(config.reducers, config.modules, options_.modules));
  REENACT_RETURN_IF_ERROR(committer_->SetInvariants(
      reducers, [this](ReducerId reducer, const VisitCell& visit) {
        return ScanPresent(reducer, visit);
      }));
  rules_.SetReducers(std::move(reducers));
  return absl::OkStatus();
}

bool WorldImpl::FrontIsCommitted() const {
  return !rounds_.empty() &&
         rounds_.front().committed == rounds_.front().units.size();
}

void WorldImpl::FinishRounds() {
  while (!failed() && FrontIsCommitted()) {
    FinishRound(rounds_.front());
    if (kReadBack && failed()) break;  // nothing that is not read again
    finished_.push_back(std::move(rounds_.front().record));
    spare_rounds_.push_back(std::move(rounds_.front()));
    rounds_.pop_front();
  }
  in_flight_ = !rounds_.empty();
}

void WorldImpl::FinishRound(RoundInFlight& round) {
  made_ns_ = instrument::NowNs() - round.opened_ns;
  const EventId last{round.first.value + round.units.size() - 1};
  failures_.Forget(last);
  std::vector<Unit*>& raised = round.end.raised;
  if (REENACT_PLANTED("raised events go by where they lie")) {
    std::sort(raised.begin(), raised.end());
  }
  if (!raised.empty() && REENACT_PLANTED("a raised event is lost")) {
    state_->queues().Recycle(raised.back());
    raised.pop_back();
  }
  state_->EndRound(round.round, &round.end);
  last_time_.store(round.time.value, std::memory_order_relaxed);
  if (!state_->ledger().unused()) {
    notifier_->Collect(round.block, round.time);
  }
  for (Unit* unit : round.units) state_->queues().Recycle(unit);
  FinishedRound& record = *round.record;
  if (round.snapshot) {
    EncodeEntry(entry::SnapshotTaken{round.round, last}, &record.entries);
    ++record.entry_count;
    ++counts_.snapshots;
  }
  if (kReadBack) Fail(ReadBack(record.entries));
  std::vector<Cell*>* changed = cells_->changed();
  for (const Cell* cell : *changed) {
    if (cell == changed->front() && changed->size() > 1 &&
        REENACT_PLANTED("a changed cell is not stored")) {
      continue;
    }
    const Version* version = cell->committed.load(std::memory_order_relaxed);
    record.cells.Add(cell->reducer, cell->key, version->written_by(),
                     version->state());
    if (kReadBack && version->state()) {
      Fail(Annotate(ReadBackCell(cell->reducer, cell->key, *version->state()),
                    "a snapshot of " + admission_->NameOf(cell->reducer) + "/" +
                        cell->key));
    }
  }
  changed->clear();
  counts_.journal_bytes += record.entries.size();
  if (round.barrier()) RecordOpenWork(round);
  cells_->Advance(last, writer_->written());
  REENACT_FAILPOINT("round finished, not handed over");
}

// Nothing was composed beyond this round, so what is open now is so at its end:
// for its record, and for a snapshot. Where blocks bind it, nothing else is
// stored.
void WorldImpl::RecordOpenWork(const RoundInFlight& round) {
  if (binds_open_work() && !round.snapshot && !round.open_work) return;
  const bool stored = storage_->records_open_work();
  if (!stored && !binds_open_work()) return;
  FinishedRound& record = *round.record;
  const auto place = std::make_shared<const Checkpoint>(state_->Encode());
  if (binds_open_work() &&
      (round.snapshot || round.block % kOpenWorkEvery == 0)) {
    BlockHeader block;
    block.index = round.block;
    record.open_work_digest =
        OpenWorkDigest(HeaderAfter(*place, block, Digest()), place->sequencer);
  }
  if (!stored) return;
  record.open_work = [this, place](const BlockHeader& header,
                                   const Digest& hash) {
    Bytes bytes =
        EncodeOpenWork(HeaderAfter(*place, header, hash), place->sequencer);
    if (kReadBack) Fail(ReadBackOpenWork(bytes));
    return bytes;
  };
  if (!round.snapshot || !storage_->keeps_snapshots()) return;
  record.after_commit = [this, place](const BlockHeader& header,
                                      const Digest& hash) {
    return storage_->WriteSnapshot(*place, HeaderAfter(*place, header, hash));
  };
}

// --- the crew ----------------------------------------------------------------

Throttle::Seen WorldImpl::Seen() const {
  const Committer::Counts& counts = committer_->counts();
  return {instrument::NowNs(), counts.committed + counts.failed, counts.reruns,
          next_block_, window_->step_cost_ns()};
}

// Whether this thread may as well write the round: nothing else is under way,
// and making the next one takes no longer than a sync, during which what it
// will hold arrives.
bool WorldImpl::ShouldWriteInline(const FinishedRound& record) {
  if (!rounds_.empty() || finished_.size() != 1 ||
      admission_->feed().active() || record.after_commit) {
    return false;
  }
  return inline_writes_.ShouldWrite(made_ns_);
}

void WorldImpl::WriteInline(std::unique_ptr<FinishedRound> record) {
  REENACT_PROBE("world: a round is written by who committed it");
  const std::uint64_t start = instrument::NowNs();
  writer_->AppendHere(std::move(record));
  inline_writes_.Observe(instrument::NowNs() - start);
}

// What it was at when memory ran out is half done.
bool WorldImpl::OrderOrFail() {
  try {
    return Order();
  } catch (const std::bad_alloc&) {
    Fail(OutOfMemory());
    return false;
  }
}

bool WorldImpl::Order() {
  bool did = false;
  {
    MutexLock lock(cells_->exclusive());
    const bool in_order = sharing_->in_line() ||
                          (!rounds_.empty() && rounds_.front().end.control);
    did |= in_order && window_->issued() == window_->committed() ? RunInOrder()
                                                                 : CommitDone();
    FinishRounds();
    PublishCounts();
  }
  for (auto& record : finished_) {
    did = true;
    handed_over_ = record->first.value + record->ticket_count - 1;
    if (ShouldWriteInline(*record)) {
      WriteInline(std::move(record));
    } else {
      writer_->Append(std::move(record));
    }
  }
  finished_.clear();
  if (!writer_->status().ok()) Fail(writer_->status());

  const Committer::Counts& counts = committer_->counts();
  sharing_->Choose(counts.committed + counts.failed, [this] { return Seen(); });
  bool composed = false;
  do {
    if (!sharing_->in_line()) {
      if (!sharing_->drains()) did |= IssueTickets();
      sharing_->WakeOthers();
    }
    composed = !failed() && Compose();
    did |= composed;
  } while (composed && (sharing_->in_line() || !admission_->pulling()));
  return did;
}

bool WorldImpl::Work(std::size_t worker) {
  bool did = TryOrder();
  if (!serial_ && RunSomeOrFail(worker)) did = true;
  return did;
}

// Whoever finds the role taken may have just finished what the one who has it
// looked for in vain; so that one looks again, or this one does.
bool WorldImpl::TryOrder() {
  if (!role_.TryLock()) {
    if (!REENACT_PLANTED("nobody looks again")) look_again_.store(true);
    REENACT_PROBE("world: the ordered role was taken");
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!role_.TryLock()) return false;
  }
  bool did = false;
  if (!idle_ && !failed()) did = OrderOrFail();
  role_.Unlock();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (look_again_.load(std::memory_order_relaxed)) {
    REENACT_PROBE("world: somebody has to look again");
    did |= look_again_.exchange(false);
  }
  return did;
}

bool WorldImpl::RunSomeOrFail(std::size_t worker) {
  try {
    return sharing_->RunSome(worker);
  } catch (const std::bad_alloc&) {
    Fail(OutOfMemory());
    return false;
  }
}

bool WorldImpl::Finished() { return failed() || (idle_ && !in_flight_); }

std::size_t WorldImpl::Choices() { return 1 + window_->ReadyCount(); }

void WorldImpl::Choose(std::size_t index) {
  if (index == 0) {
    MutexLock lock(&role_);
    Order();
  } else {
    window_->RunReady(index - 1);
  }
}

// --- driving -----------------------------------------------------------------

absl::Status WorldImpl::Drive() {
  if (failed()) return error();
  idle_ = false;
  sharing_->Begin(Seen());
  try {
    pool_->Drive(this);
  } catch (const std::bad_alloc&) {
    // In a step, or in what its thread does around it.
    Fail(OutOfMemory());
  }
  sharing_->Pause(Seen());
  if (failed()) {
    REENACT_PROBE("world: it has failed");
    EndSubmissions(error());

    return error();
  }
  notifier_->DeliverOpen(TimeFor(Round{state_->at().round.value + 1}));
  return absl::OkStatus();
}

absl::Status WorldImpl::FlushAfter(absl::Status status) {
  const absl::Status flushed = writer_->Flush();
  if (!flushed.ok()) {
    Fail(flushed);
    return error();
  }
  {
    // All is written now, so what is beyond the cache's budget can go.
    MutexLock lock(cells_->exclusive());
    cells_->Advance(window_->committed(), writer_->written());
  }
  if (status.ok() && interrupted_.exchange(false)) {
    REENACT_PROBE("world: a run is interrupted");
    return absl::CancelledError("interrupted at the end of a round");
  }
  return status;
}

absl::Status WorldImpl::Run() {
  if (closed_) return absl::FailedPreconditionError("the world is closed");
  if (background_.started()) {
    return absl::FailedPreconditionError("the world runs in the background");
  }
  REENACT_RETURN_IF_ERROR(Drive());
  return FlushAfter(absl::OkStatus());
}

absl::Status WorldImpl::Feed(InputSource& source) {
  if (closed_) return absl::FailedPreconditionError("the world is closed");
  if (background_.started()) {
    return absl::FailedPreconditionError("the world runs in the background");
  }
  REENACT_RETURN_IF_ERROR(BeginFeed(source));
  absl::Status status = Drive();
  // What was admitted before the source failed is not composed yet.
  const absl::Status source_status = admission_->feed().TakeStatus();
  if (status.ok() && !source_status.ok()) status = Drive();
  admission_->feed().End();
  REENACT_RETURN_IF_ERROR(status);
  return FlushAfter(source_status);
}

absl::Status WorldImpl::Start() {
  if (closed_) return absl::FailedPreconditionError("the world is closed");
  if (failed()) return error();
  if (background_.started()) return absl::OkStatus();
  stopping_ = false;
  background_.Start([this] { BackgroundLoop(); });
  return absl::OkStatus();
}

void WorldImpl::BackgroundLoop() {
  while (Drive().ok() && !stopping_) {
    REENACT_PROBE("world: there is nothing to do");
    // A submission that came after the last look rang the bell.
    doorbell_.Wait(kIdleWaitMs);
  }
}

absl::Status WorldImpl::Stop() {
  if (!background_.started()) return failed() ? error() : absl::OkStatus();
  REENACT_PROBE("world: stopped in the background");
  stopping_ = true;
  interrupted_ = true;
  doorbell_.Ring();
  background_.Join();
  interrupted_ = false;
  if (failed()) return error();
  return FlushAfter(absl::OkStatus());
}

absl::Status WorldImpl::Close() {
  if (closed_) return close_status_;
  closed_ = true;
  if (admission_) admission_->Close();
  // Null where memory ran out before there was one.
  if (writer_ == nullptr) return close_status_;
  close_status_ = Stop();
  REENACT_FAILPOINT("stopped, before the writer closes");
  const absl::Status written = writer_->Close();
  if (close_status_.ok()) close_status_ = written;
  REENACT_FAILPOINT("writer closed, before the store");
  const absl::Status stored = CauseOf(store_->Close());
  if (close_status_.ok()) close_status_ = stored;
  EndSubmissions(close_status_.ok()
                     ? absl::FailedPreconditionError("the world was closed")
                     : close_status_);
  REENACT_FAILPOINT("store closed, before the lock is let go");
  storage_->Close();
  return close_status_;
}

void WorldImpl::Fail(const absl::Status& what) {
  if (!what.ok()) error_.Update(CauseOf(what));
}

// What fails in a directory that is gone fails because of that.
absl::Status WorldImpl::CauseOf(const absl::Status& what) const {
  if (what.ok()) return what;
  const absl::Status owner = storage_->CheckOwner();
  return owner.ok() ? what : owner;
}

// --- submissions and their moments -------------------------------------------

// Called by the journal's writer.
void WorldImpl::Progress() {
  if (writer_ == nullptr) return;
  submissions_.watermark().Advance(
      REENACT_PLANTED("committed is called durable") ? window_->committed()
                                                     : writer_->durable());
  notifier_->DeliverDurable([this] { return writer_->block_count(); });
}

void WorldImpl::EndSubmissions(const absl::Status& status) {
  // Null where opening failed: nobody has submitted anything.
  if (!admission_) return;
  // Nobody would ever look at what came now.
  admission_->Close();
  Progress();
  submissions_.End(status);
  notifier_->End(status);
  admission_->End(status);
}

// --- reading -----------------------------------------------------------------

absl::StatusOr<std::optional<Bytes>> WorldImpl::Read(
    std::string_view reducer, std::string_view key) const {
  ReaderLock lock(*cells_);
  const std::optional<ReducerId> id = rules_.Find(reducer);
  if (!id) {
    return absl::NotFoundError("no reducer is called \"" +
                               std::string(reducer) + "\"");
  }
  return cells_->Read(*id, key);
}

absl::StatusOr<std::vector<std::pair<std::string, Bytes>>> WorldImpl::Scan(
    std::string_view reducer, std::string_view from, std::string_view to,
    std::size_t limit) const {
  ReaderLock lock(*cells_);
  const std::optional<ReducerId> id = rules_.Find(reducer);
  if (!id) {
    return absl::NotFoundError("no reducer is called \"" +
                               std::string(reducer) + "\"");
  }
  std::vector<std::pair<std::string, Bytes>> found;
  REENACT_RETURN_IF_ERROR(cells_->Scan(*id, from, to, limit, &found));
  return found;
}

WorldConfig WorldImpl::config() const {
  ReaderLock lock(*cells_);
  return state_->config();
}

WorldStats WorldImpl::stats() const {
  ReaderLock lock(*cells_);
  WorldStats stats = published_;
  const Committer::Counts& counts = committer_->counts();
  stats.committed = counts.committed;
  stats.failed = counts.failed;
  stats.conflicts = counts.conflicts;
  stats.reruns = counts.reruns;
  stats.failures.assign(counts.failures.begin(), counts.failures.end());
  for (const auto& [place, open] : state_->ledger().open()) {
    stats.effects_held += open.held ? 1 : 0;
  }
  stats.waits = window_->wait_count();
  stats.cells_cached = cells_->cell_count();
  stats.cache_bytes = cells_->bytes();
  stats.cell_loads = cells_->load_count();
  stats.groups = writer_->group_count();
  stats.syncs = writer_->sync_count();
  return stats;
}

std::vector<EffectState> WorldImpl::Effects() const {
  ReaderLock lock(*cells_);
  std::vector<EffectState> all;
  for (const auto& [place, open] : state_->ledger().open()) {
    all.push_back({open.effect, open.held, open.rule, open.joins.has_value()});
    all.back().effect.origin.reducer = rules_.name(open.reducer);
  }
  return all;
}

AuthorityState WorldImpl::Authority() const {
  ReaderLock lock(*cells_);
  return {state_->ledger().grants(), state_->ledger().policy().content()};
}

absl::StatusOr<Checkpoint> WorldImpl::Place() {
  state_->SetJournalEnd(writer_->block_count(), writer_->head_hash());
  return state_->Encode();
}

absl::StatusOr<std::map<CellRef, Bytes>> WorldImpl::Cells() {
  std::map<CellRef, Bytes> cells;
  REENACT_RETURN_IF_ERROR(
      store_->View()->ScanAll([&cells](ReducerId reducer, std::string_view key,
                                       EventId, BytesView state) {
        cells.emplace(CellRef{reducer, std::string(key)}, state);
        return absl::OkStatus();
      }));
  return cells;
}

absl::StatusOr<Digest> WorldImpl::StateDigest() {
  REENACT_ASSIGN_OR_RETURN(SnapshotDigests digests,
                           StateDigestOf(*store_->View()));
  return digests.state;
}

}  // namespace

absl::StatusOr<std::unique_ptr<World>> OpenWorld(WorldOptions options,
                                                 WorldInternals internals) {
  try {
    const bool start = options.start;
    auto world =
        std::make_unique<WorldImpl>(std::move(options), std::move(internals));
    REENACT_RETURN_IF_ERROR(world->Init());
    if (start) REENACT_RETURN_IF_ERROR(world->Start());
    return std::unique_ptr<World>(std::move(world));
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
}

absl::StatusOr<std::unique_ptr<World>> World::Open(WorldOptions options) {
  return OpenWorld(std::move(options), WorldInternals{});
}

}  // namespace reenact
