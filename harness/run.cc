#include "reenact/harness/run.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/base/check.h"
#include "reenact/base/mutex.h"
#include "reenact/harness/child.h"
#include "reenact/harness/disk_in_memory.h"
#include "reenact/harness/order_check.h"
#include "reenact/harness/perturb.h"
#include "reenact/journal/block.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/workers/pool.h"
#include "reenact/workers/slot.h"
#include "reenact/workers/step_run.h"
#include "reenact/world/world_internal.h"

namespace reenact::harness {

namespace {

// Inputs one by one, those behind `after` only.
class InputList final : public InputSource {
 public:
  InputList(const std::vector<Input>& inputs, std::uint64_t after)
      : inputs_(inputs), next_(after) {}
  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (next_ >= inputs_.size()) return false;
    row->push_back(inputs_[next_]);
    row->back().position = ++next_;
    return true;
  }

 private:
  const std::vector<Input>& inputs_;
  std::uint64_t next_;
};

constexpr std::size_t kWindows[] = {8, 2, 1, 32, 256};
constexpr std::uint64_t kRoundLimits[] = {0, 1, 3, 16};  // 0: as it is
constexpr std::uint64_t kLivesMax = 3;
// In microseconds: a second, an hour, back, and beyond 2038.
constexpr std::int64_t kClockJumps[] = {
    0, 1, 1'000'000, 3'600'000'000, -3'600'000'000, 1'000'000'000'000'000};

// Counts what steps take, and says which one runs. One task runs at a time, so
// it needs no lock.
class Tallies final : public StepObserver {
 public:
  void Begin(int, const Ticket& ticket) override {
    if (record == nullptr) return;
    record->BeginStep(simulator->current_task(), ticket.event_id,
                      ticket.code->name(), ticket.event.key);
    record->AddEvent(absl::StrCat(ticket.event_id.value, " ",
                                  std::string(ticket.code->name()), "/",
                                  std::string(ticket.event.key), " ",
                                  cbor::Diagnose(ticket.event.payload), "\n"));
  }
  void End(int, const Ticket& ticket, const StepResult& result) override {
    if (record != nullptr) record->EndStep(simulator->current_task());
    ReducerTally& tally = by_name[std::string(ticket.code->name())];
    ++tally.runs;
    tally.reads += result.reads.size();
  }
  std::map<std::string, ReducerTally> by_name;
  SharedRecord* record = nullptr;
  const Simulator* simulator = nullptr;
};

class Run final : public Case, private EffectListener {
 public:
  Run(const Scenario& scenario, const RunSettings& settings, Shape shape,
      Choices choices, SharedRecord* record)
      : scenario_(scenario),
        settings_(settings),
        shape_(shape),
        choices_(std::move(choices)),
        record_(record) {
    if (record_ == nullptr) return;
    record_->BeginRun();
    choices_.CopyTo(record_->mirror());
  }

  RunResult Go(bool keep);
  std::optional<Violation> Replay(const std::vector<Bytes>& blocks,
                                  std::uint64_t from);
  // Whether tasks are left that point to this, which then may not go.
  bool abandoned() const { return abandoned_; }

  // Case.
  Choices& choices() override { return choices_; }
  void UseModule(Module module) override {
    options_.modules.push_back(std::move(module));
  }
  void UpgradeTo(Module module) override { upgrade_ = std::move(module); }
  WorldConfig& config() override { return options_.config; }
  void Feed(std::vector<Input> inputs) override { inputs_ = std::move(inputs); }
  void AddClient(std::string name, std::function<void(Client&)> body) override {
    bodies_.emplace_back(absl::StrCat(name, bodies_.size()), std::move(body));
  }
  void BeforeAll(std::function<absl::Status(World&)> body) override {
    before_all_.push_back(std::move(body));
  }
  void AnswerEffects(
      std::function<Receipt(const OpenEffect&, Choices&)> answer) override {
    answer_ = std::move(answer);
  }
  void AddInvariant(std::string name,
                    std::function<absl::Status(const World&)> holds) override {
    invariants_.emplace_back(std::move(name), std::move(holds));
  }

 private:
  class ClientOfRun;

  void SetUp();
  void Live();
  bool LiveOnce(bool last);
  void DrawClock();
  void DrawUpgrade(WorldOptions* options);
  void DrawFault(bool last);
  absl::Status Drive(World* world);
  absl::Status DriveClients(World* world);
  void SettleEffects();
  void Recover();
  void CheckInvariants(const World& world);
  void CheckJournal();
  std::optional<Violation> CheckSteps(const std::vector<Bytes>& blocks,
                                      std::uint64_t from);
  void NoteCalls();
  void Observe(bool begins, int run, std::string_view reducer,
               std::string_view key, EventId event_id);
  void AtPoint(std::uint64_t step);
  void BeforeJump();
  void Violate(std::string property, std::string detail);

  // Clients.
  World* Enter(std::uint64_t after_life);
  void Leave(bool dead);
  void RunClient(std::size_t index);

  // Effects.
  void Open(const OpenEffect& effect) override;
  void Closed(const Digest& intent_hash) override;
  bool AnswerOne(World* world, Choices& choices);
  void RunExecutor();

  const Scenario& scenario_;
  const RunSettings settings_;
  const Shape shape_;
  Choices choices_;
  SharedRecord* const record_;  // may be null
  WorldOptions options_;
  std::optional<Module> upgrade_;
  bool upgraded_ = false;
  std::vector<Input> inputs_;
  std::vector<std::pair<std::string, std::function<void(Client&)>>> bodies_;
  std::vector<std::function<absl::Status(World&)>> before_all_;
  std::function<Receipt(const OpenEffect&, Choices&)> answer_;
  std::vector<std::pair<std::string, std::function<absl::Status(const World&)>>>
      invariants_;
  bool never_inline_ = true;

  Tallies tallies_;
  DiskInMemory disk_;
  std::optional<Checkpoint> place_;
  Simulator* simulator_ = nullptr;
  bool abandoned_ = false;
  std::uint64_t cut_at_ = 0;        // a point; 0: none
  World* fed_ = nullptr;            // to be interrupted
  std::uint64_t interrupt_at_ = 0;  // at this point
  std::uint64_t life_ = 0;          // the first is 1
  std::uint64_t faults_ = 0;
  bool faulty_ = false;  // this life has one
  bool driving_ = false;
  StateMap cells_;
  WorldStats stats_;
  EventId head_;
  RunResult result_;

  std::mutex violation_mutex_;  // no point: Violate() may not be left
  std::atomic<std::uint64_t> awaited_{0};  // submissions
  Mutex mutex_;
  CondVar changed_;
  World* world_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null between two lives
  bool dead_ ABSL_GUARDED_BY(mutex_) = false;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t inside_ ABSL_GUARDED_BY(mutex_) = 0;   // calls of the world
  std::size_t running_ ABSL_GUARDED_BY(mutex_) = 0;  // clients
  std::vector<Told> told_ ABSL_GUARDED_BY(mutex_);
  std::vector<OpenEffect> effects_ ABSL_GUARDED_BY(mutex_);
  std::vector<Receipt> sent_ ABSL_GUARDED_BY(mutex_);  // to be repeated
  std::map<Digest, int> accepted_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t effects_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::vector<ToldEffect>> told_effects_
      ABSL_GUARDED_BY(mutex_);  // by life
};

// --- clients -----------------------------------------------------------------

class Run::ClientOfRun final : public Client {
 public:
  ClientOfRun(Run* run, std::string name, Choices* choices)
      : run_(run), name_(std::move(name)), choices_(choices) {}

  Choices& choices() override { return *choices_; }

  absl::StatusOr<Submission::Outcome> Submit(Input input) override {
    const std::size_t told = Note(&input);
    for (;;) {
      World* const world = run_->Enter(dead_life_);
      if (world == nullptr) {
        return absl::FailedPreconditionError("the run is over");
      }
      const std::uint64_t life = run_->life_;
      absl::StatusOr<Submission::Outcome> outcome = Once(world, input);
      const bool dead = !outcome.ok() && IsDeath(outcome.status());
      if (outcome.ok()) {
        // Before it leaves: a recovery takes back what was lost.
        MutexLock lock(&run_->mutex_);
        run_->told_[told].event_id = outcome->event_id;
      }
      run_->Leave(dead);
      if (outcome.ok()) return outcome;
      if (absl::IsAlreadyExists(outcome.status())) {
        return Submission::Outcome{};  // admitted in an earlier life
      }
      if (!dead) return outcome;
      dead_life_ = life;
    }
  }

  absl::Status Offer(Input input) override {
    (void)Note(&input);
    World* const world = run_->Enter(dead_life_);
    if (world == nullptr) {
      return absl::FailedPreconditionError("the run is over");
    }
    const absl::Status status = world->Submit(std::move(input)).status();
    run_->Leave(false);
    return status;
  }

  absl::Status Do(const std::function<absl::Status(World&)>& call) override {
    World* const world = run_->Enter(dead_life_);
    if (world == nullptr) {
      return absl::FailedPreconditionError("the run is over");
    }
    const absl::Status status = call(*world);
    run_->Leave(false);
    return status;
  }

 private:
  // Where what becomes of it is noted.
  std::size_t Note(Input* input) {
    if (input->submission_id.empty()) {
      input->submission_id = absl::StrCat(name_, "/", ++submitted_);
    }
    MutexLock lock(&run_->mutex_);
    run_->told_.push_back(
        {name_, input->submission_id, input->event, EventId{0}});
    return run_->told_.size() - 1;
  }

  absl::StatusOr<Submission::Outcome> Once(World* world, const Input& input) {
    REENACT_ASSIGN_OR_RETURN(const Submission submission, world->Submit(input));
    ++run_->awaited_;
    absl::StatusOr<Submission::Outcome> outcome = submission.WaitDurable();
    --run_->awaited_;
    return outcome;
  }

  // Whether the world has ended, rather than refused this one.
  static bool IsDeath(const absl::Status& status) {
    return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
           absl::IsFailedPrecondition(status);
  }

  Run* const run_;
  const std::string name_;
  Choices* const choices_;
  std::uint64_t submitted_ = 0;
  std::uint64_t dead_life_ = 0;
};

World* Run::Enter(std::uint64_t after_life) {
  MutexLock lock(&mutex_);
  while (!over_ && (world_ == nullptr || dead_ || life_ <= after_life)) {
    changed_.Wait(&mutex_);
  }
  if (over_) return nullptr;
  ++inside_;
  return world_;
}

void Run::Leave(bool dead) {
  MutexLock lock(&mutex_);
  --inside_;
  dead_ = dead_ || dead;
  changed_.SignalAll();
}

void Run::RunClient(std::size_t index) {
  const auto& [name, body] = bodies_[index];
  // Threads that run freely cannot share a log.
  Choices own(index * 7919 + shape_.points);
  const bool shares = settings_.engine != EngineKind::kFree;
  ClientOfRun client(this, name, shares ? &choices_ : &own);
  body(client);
  MutexLock lock(&mutex_);
  --running_;
  changed_.SignalAll();
}

// --- effects -----------------------------------------------------------------

void Run::Open(const OpenEffect& effect) {
  const bool synced = options_.sync.kind != SyncPolicy::Kind::kEveryBlock ||
                      effect.event_id <= disk_.synced_event();
  if (!synced) {
    Violate("effects are told of once they are durable",
            absl::StrCat("the effect of ticket ", effect.event_id.value,
                         " was told of while ", disk_.synced_event().value,
                         " was synced\n"));
  }
  MutexLock lock(&mutex_);
  ++effects_seen_;
  effects_.push_back(effect);
  told_effects_.back().push_back(
      {effect.intent_hash, effect.event_id, effect.index});
  changed_.SignalAll();
}

void Run::Closed(const Digest& intent_hash) {
  MutexLock lock(&mutex_);
  std::erase_if(effects_, [&intent_hash](const OpenEffect& effect) {
    return effect.intent_hash == intent_hash;
  });
}

// Sends the receipt of one effect, in any order; sometimes another time.
bool Run::AnswerOne(World* world, Choices& choices) {
  Receipt receipt;
  {
    MutexLock lock(&mutex_);
    if (effects_.empty()) return false;
    const auto at = static_cast<std::ptrdiff_t>(choices.Below(
        static_cast<std::uint32_t>(effects_.size()), "executor.which"));
    const OpenEffect effect = effects_[static_cast<std::size_t>(at)];
    effects_.erase(effects_.begin() + at);
    if (answer_) {
      receipt = answer_(effect, choices);
    }
    receipt.intent_hash = effect.intent_hash;
    if (receipt.executor.empty()) receipt.executor = "harness";
  }
  const std::uint32_t times = 1 + choices.OneIn(6, "executor.repeats");
  for (std::uint32_t i = 0; i < times; ++i) {
    const Digest hash = receipt.intent_hash;
    (void)world->SubmitReceipt(receipt, [this, hash](const absl::Status& said) {
      if (!said.ok()) return;
      MutexLock lock(&mutex_);
      ++accepted_[hash];
    });
  }
  return true;
}

void Run::RunExecutor() {
  Choices own(shape_.points + 1);
  Choices& choices = settings_.engine == EngineKind::kFree ? own : choices_;
  for (;;) {
    World* world = nullptr;
    {
      MutexLock lock(&mutex_);
      while (!over_ && (world_ == nullptr || dead_ || effects_.empty())) {
        changed_.Wait(&mutex_);
      }
      if (over_) return;
      ++inside_;
      world = world_;
    }
    (void)AnswerOne(world, choices);
    Leave(false);
  }
}

// --- lives -------------------------------------------------------------------

void Run::Violate(std::string property, std::string detail) {
  const std::lock_guard<std::mutex> lock(violation_mutex_);
  if (result_.violation) return;
  result_.violation = Violation{std::move(property), std::move(detail)};
}

void Run::AtPoint(std::uint64_t step) {
  if (fed_ != nullptr && step == interrupt_at_) fed_->Interrupt();
  if (cut_at_ == 0 || step < cut_at_ || disk_.off()) return;
  disk_.CutPower();
  ++faults_;
}

// Only the writer's interval, and a world with nothing to do, need the clock to
// go on; whoever waits otherwise was not woken.
void Run::BeforeJump() {
  if (options_.sync.kind == SyncPolicy::Kind::kInterval || disk_.off()) return;
  const std::uint64_t awaited = awaited_.load();
  if (awaited == 0 && !driving_) return;
  Violate("nobody sleeps while there is work",
          absl::StrCat("the clock had to go on, while ", awaited,
                       " submissions were waited for: ",
                       simulator_->DescribeTasks(), "\n"));
}

void Run::SetUp() {
  scenario_.set_up(*this);
  REENACT_CHECK(inputs_.empty() || bodies_.empty());
  options_.effects = this;
  // A run is what was drawn and nothing else, so it has no id of its own.
  if (options_.config.world_id.empty()) SetIdentity(0, options_.config);
  if (options_.config.clock == ClockKind::kWall) DrawClock();
  options_.workers = settings_.workers_max;
  options_.window = kWindows[0];
  if (settings_.plain) return;
  options_.workers = 1 + choices_.Below(settings_.workers_max, "workers");
  options_.window = kWindows[choices_.Below(std::size(kWindows), "window")];
  never_inline_ = !choices_.OneIn(8, "inline");
  if (choices_.OneIn(4, "cache")) options_.cache_bytes = 0;
  const std::uint64_t limit =
      kRoundLimits[choices_.Below(std::size(kRoundLimits), "round_limit")];
  if (limit > 0) options_.config.scheduling.round_limit = limit;
  switch (choices_.Below(4, "sync")) {
    case 2:
      options_.sync.kind = SyncPolicy::Kind::kNone;
      break;
    case 3:
      options_.sync.kind = SyncPolicy::Kind::kInterval;
      options_.sync.interval_ms = 5;
      break;
    default:
      options_.sync.kind = SyncPolicy::Kind::kEveryBlock;
  }
}

// The ordered role reads it, in whichever life; so one thread at a time.
void Run::DrawClock() {
  struct Clock {
    std::vector<std::int64_t> jumps;
    std::size_t next = 0;
    std::int64_t now = 1'700'000'000'000'000;  // a day in 2023
  };
  auto clock = std::make_shared<Clock>();
  constexpr std::size_t kJumps = 8;
  for (std::size_t i = 0; i < kJumps; ++i) {
    clock->jumps.push_back(
        kClockJumps[choices_.Below(std::size(kClockJumps), "clock.jump")]);
  }
  options_.wall_clock = [clock] {
    clock->now += clock->jumps[clock->next++ % kJumps];
    return LogicalTime{clock->now};
  };
}

void Run::DrawUpgrade(WorldOptions* options) {
  if (!upgrade_ || life_ == 0) return;
  upgraded_ = upgraded_ || choices_.OneIn(2, "upgrade");
  if (!upgraded_) return;
  for (Module& module : options->modules) {
    if (module.record.name == upgrade_->record.name) module = *upgrade_;
  }
  options->accept_module_change = true;
}

void Run::DrawFault(bool last) {
  cut_at_ = 0;
  disk_.FailAt(0);
  faulty_ = false;
  if (last) return;
  const std::uint32_t kinds = 3;
  const bool crashes =
      settings_.crashes && settings_.engine != EngineKind::kFree;
  switch (choices_.OneIn(3, "fault") ? choices_.Below(kinds, "fault.kind")
                                     : 0) {
    case 1: {
      // The bound is the same for every run, so that logs are.
      const auto drawn = static_cast<std::uint32_t>(
          choices_.Private(std::min<std::uint64_t>(shape_.points, 0xffff) + 1));
      const std::uint32_t at = choices_.Settle(drawn, 0x10000, "fault.cut_at");
      if (!crashes) return;
      cut_at_ = (simulator_ == nullptr ? 0 : simulator_->steps()) + 1 + at;
      break;
    }
    case 2: {
      const std::uint32_t at = choices_.Below(24, "fault.operation");
      if (!settings_.io_errors) return;
      disk_.FailAt(disk_.operations() + 1 + at);
      break;
    }
    default:
      return;
  }
  faulty_ = true;
}

void Run::Live() {
  SetUp();
  std::vector<instrument::Thread> tasks;
  {
    MutexLock lock(&mutex_);
    running_ = bodies_.size();
  }
  for (std::size_t i = 0; i < bodies_.size(); ++i) {
    tasks.emplace_back("client", [this, i] { RunClient(i); });
  }
  if (!bodies_.empty()) {
    tasks.emplace_back("executor", [this] { RunExecutor(); });
  }
  for (;;) {
    if (LiveOnce(life_ + 1 == kLivesMax) || result_.violation) break;
    Recover();
    if (result_.violation) break;
  }
  {
    MutexLock lock(&mutex_);
    over_ = true;
    changed_.SignalAll();
  }
  for (instrument::Thread& task : tasks) task.join();
}

// True if it ended in order.
bool Run::LiveOnce(bool last) {
  DrawFault(last);
  WorldOptions options = options_;
  if (place_) options.config = place_->config;
  DrawUpgrade(&options);
  WorldInternals internals;
  internals.store = disk_.Connect();
  internals.start = place_;
  internals.config_as_is = place_.has_value();
  internals.never_inline = never_inline_;
  // With large windows about half of the threads run steps, the others only
  // commit; nothing is drawn for that.
  if (never_inline_ && options.window > kWindows[0]) {
    internals.threads = (options.workers + 2) / 2;
  }
  internals.writer_thread = true;
  if (settings_.engine != EngineKind::kFree) internals.observer = &tallies_;
  {
    MutexLock lock(&mutex_);
    effects_.clear();  // told of again
    told_effects_.emplace_back();
  }
  ++life_;
  auto opened = OpenWorld(std::move(options), std::move(internals));
  absl::Status status = opened.status();
  if (opened.ok()) {
    World* const world = opened->get();
    if (life_ > 1) CheckInvariants(*world);
    status = Drive(world);
    if (status.ok()) CheckInvariants(*world);
    {
      MutexLock lock(&mutex_);
      world_ = nullptr;
    }
    const absl::Status closed = world->Close();
    if (status.ok()) status = closed;
    // Whoever waited has been told of the end.
    MutexLock lock(&mutex_);
    while (inside_ > 0) changed_.Wait(&mutex_);
    stats_ = world->stats();
    head_ = world->head();
  }
  if (status.ok() && !disk_.off()) {
    cells_ = StatesOf(*disk_.cells());
    return true;
  }
  if (!disk_.off()) {
    Violate("no error without a fault", absl::StrCat(status.ToString(), "\n"));
    return true;
  }
  return false;
}

absl::Status Run::Drive(World* world) {
  if (life_ == 1) {
    for (const auto& body : before_all_) {
      REENACT_RETURN_IF_ERROR(body(*world));
    }
    if (!before_all_.empty()) REENACT_RETURN_IF_ERROR(world->Run());
  }
  if (!bodies_.empty()) return DriveClients(world);
  InputList source(inputs_, world->position());
  driving_ = true;
  // Interrupted or not, the same rows give the same journal.
  if (choices_.OneIn(4, "feed.interrupt")) {
    interrupt_at_ = 1 + choices_.Below(256, "feed.interrupt_after");
    if (simulator_ != nullptr) interrupt_at_ += simulator_->steps();
    fed_ = world;
  }
  absl::Status status = world->Feed(source);
  while (absl::IsCancelled(status)) {
    InputList rest(inputs_, world->position());
    status = world->Feed(rest);
  }
  fed_ = nullptr;
  driving_ = false;
  REENACT_RETURN_IF_ERROR(status);
  for (int i = 0; i < 1000; ++i) {
    if (!AnswerOne(world, choices_)) break;
    REENACT_RETURN_IF_ERROR(world->Run());
  }
  return absl::OkStatus();
}

absl::Status Run::DriveClients(World* world) {
  REENACT_RETURN_IF_ERROR(world->Start());
  {
    MutexLock lock(&mutex_);
    world_ = world;
    dead_ = false;
    changed_.SignalAll();
    while (running_ > 0 && !dead_) changed_.Wait(&mutex_);
  }
  SettleEffects();
  return world->Stop();
}

// Until no executor has anything to do.
void Run::SettleEffects() {
  for (int i = 0; i < 1000; ++i) {
    MutexLock lock(&mutex_);
    if (dead_ || (effects_.empty() && inside_ == 0)) return;
    changed_.WaitFor(&mutex_, 10);
  }
}

void Run::Recover() {
  const auto unsynced =
      static_cast<std::uint32_t>(disk_.block_count() - disk_.synced_blocks());
  disk_.PowerUp(choices_.Below(unsynced + 1, "fault.kept"));
  absl::StatusOr<std::optional<Checkpoint>> place = disk_.Recover();
  if (!place.ok()) {
    return Violate("what a crash leaves can be opened",
                   absl::StrCat(place.status().ToString(), "\n"));
  }
  place_ = *std::move(place);
  if (options_.sync.kind == SyncPolicy::Kind::kEveryBlock) return;
  // Handed to the system is not synced: so they were told less than that.
  const EventId kept = place_ ? place_->event_id : EventId{0};
  MutexLock lock(&mutex_);
  accepted_.clear();
  for (Told& one : told_) {
    if (one.event_id > kept) one.event_id = EventId{0};
  }
}

void Run::CheckInvariants(const World& world) {
  for (const auto& [name, holds] : invariants_) {
    const absl::Status status = holds(world);
    if (status.ok()) continue;
    return Violate(absl::StrCat("invariant ", name),
                   absl::StrCat(status.message(), "\n"));
  }
}

// --- afterwards --------------------------------------------------------------

void Run::CheckJournal() {
  const std::vector<Bytes> blocks = disk_.Blocks();
  const auto report = [this](std::optional<Violation> violation) {
    if (violation) Violate(violation->property, violation->detail);
  };
  report(CheckSteps(blocks, 0));
  if (scenario_.calls) NoteCalls();
  report(CheckCells(blocks, cells_));
  report(CheckWaiting(blocks));
  std::vector<std::string> reducers;
  for (const Module& module : options_.modules) {
    reducers.insert(reducers.end(), module.record.reducers.begin(),
                    module.record.reducers.end());
  }
  TallySteps(blocks, reducers, &tallies_.by_name);
  result_.longest_cell = LongestCell(blocks);
  MutexLock lock(&mutex_);
  if (options_.sync.kind != SyncPolicy::Kind::kEveryBlock) {
    // A crash may have taken what executors were told of, and the ticket may
    // have come to something else when it was made again.
    told_effects_.erase(told_effects_.begin(), told_effects_.end() - 1);
  }
  report(CheckEffects(blocks, told_effects_));
  if (!bodies_.empty()) {
    // A world that forgets submission ids so soon cannot tell a repetition.
    const bool remembers =
        options_.config.scheduling.dedupe_horizon >= told_.size();
    if (remembers || life_ == 1) report(CheckTold(blocks, reducers, told_));
  } else {
    report(
        CheckModel(blocks, options_.modules, inputs_, &result_.model_applied));
  }
  for (const auto& [hash, times] : accepted_) {
    if (times > 1) {
      Violate("an effect has one receipt at most",
              absl::StrCat(times, " were accepted for one\n"));
    }
  }
}

void Run::Observe(bool begins, int run, std::string_view reducer,
                  std::string_view key, EventId event_id) {
  if (record_ != nullptr && begins) {
    record_->BeginStep(SharedRecord::kChecking, event_id, reducer, key);
  }
  if (scenario_.observe) {
    scenario_.observe(begins, run, reducer, key, event_id);
  }
  if (record_ != nullptr && !begins) {
    record_->EndStep(SharedRecord::kChecking);
  }
}

std::optional<Violation> Run::CheckSteps(const std::vector<Bytes>& blocks,
                                         std::uint64_t from) {
  std::vector<Module> modules = options_.modules;
  if (upgrade_) modules.push_back(*upgrade_);
  if (record_ != nullptr) record_->Running(SharedRecord::kChecking);
  return CheckReplay(blocks, modules, from,
                     [this](bool begins, int run, std::string_view reducer,
                            std::string_view key, EventId event_id) {
                       Observe(begins, run, reducer, key, event_id);
                     });
}

void Run::NoteCalls() {
  const Scenario::Calls calls = scenario_.calls();
  if (result_.violation) {
    result_.violation->detail += calls.all;
  } else if (!calls.acts.empty()) {
    Violate("a step does nothing to the outside", calls.acts);
  }
}

std::optional<Violation> Run::Replay(const std::vector<Bytes>& blocks,
                                     std::uint64_t from) {
  // As much is drawn as before the scenario is set up in a run.
  const std::unique_ptr<Strategy> strategy =
      MakeStrategy(settings_.strategy, settings_.depth, shape_, choices_);
  const Simulator simulator(&choices_, strategy.get(), {});
  scenario_.set_up(*this);
  std::optional<Violation> violation = CheckSteps(blocks, from);
  if (violation && scenario_.calls) {
    violation->detail += scenario_.calls().all;
  }
  return violation;
}

// The blocks are a chain, so the last one stands for all.
std::string HashOf(const std::vector<Bytes>& blocks) {
  if (blocks.empty()) return "";
  const auto last = DecodeBlock(blocks.back());
  return last.ok() ? last->hash.ToHex() : "";
}

RunResult Run::Go(bool keep) {
  if (settings_.engine == EngineKind::kFree) {
    const Perturbing perturbing(choices_.Private(~std::uint64_t{0}));
    Live();
  } else {
    const std::unique_ptr<Strategy> strategy =
        MakeStrategy(settings_.strategy, settings_.depth, shape_, choices_);
    Simulator::Options options;
    options.engine = settings_.engine;
    options.steps_max = settings_.steps_max;
    options.trace = keep;
    options.at_point = [this](std::uint64_t step) { AtPoint(step); };
    if (record_ != nullptr) {
      options.at_switch = [this](std::uint64_t task) {
        record_->Running(task);
      };
    }
    options.before_jump = [this] { BeforeJump(); };
    Simulator simulator(&choices_, strategy.get(), options);
    simulator_ = &simulator;
    tallies_.record = record_;
    tallies_.simulator = &simulator;
    const Simulator::End end = simulator.Run([this] { Live(); });
    if (end != Simulator::End::kFinished) {
      const bool stuck = end == Simulator::End::kDeadlock;
      Violate(stuck ? "nobody waits for ever" : "every run ends",
              absl::StrCat(simulator.DescribeTasks(), "\n"));
      abandoned_ = true;
    }
    result_.steps = simulator.steps();
    result_.decisions = simulator.decisions();
    result_.switches = simulator.switches();
    result_.tasks = simulator.tasks();
    result_.digest = simulator.digest();
    if (keep) {
      result_.trace = simulator.trace();
      for (std::uint64_t i = 0; i < simulator.tasks(); ++i) {
        result_.task_names.emplace_back(simulator.task_name(i));
      }
    }
    simulator_ = nullptr;
    tallies_.record = nullptr;
  }
  if (!result_.violation) CheckJournal();
  result_.journal = HashOf(disk_.Blocks());
  result_.log = choices_.log();
  result_.drift = choices_.Drift();
  result_.tickets = head_.value;
  result_.workers = options_.workers;
  result_.lives = life_;
  result_.faults = faults_;
  result_.stats = stats_;
  {
    MutexLock lock(&mutex_);
    result_.effects = effects_seen_;
  }
  result_.reducers = std::move(tallies_.by_name);
  if (keep) result_.blocks = disk_.Blocks();
  return std::move(result_);
}

}  // namespace

std::optional<Violation> ReplayPart(const Scenario& scenario,
                                    const RunSettings& settings,
                                    Choices choices,
                                    const std::vector<Bytes>& blocks,
                                    std::uint64_t from, SharedRecord* record) {
  Run run(scenario, settings, Shape(), std::move(choices), record);
  return run.Replay(blocks, from);
}

RunResult RunOnce(const Scenario& scenario, const RunSettings& settings,
                  const Shape& shape, Choices choices, bool keep,
                  SharedRecord* record) {
  auto run = std::make_unique<Run>(scenario, settings, shape,
                                   std::move(choices), record);
  RunResult result = run->Go(keep);
  if (run->abandoned()) (void)run.release();
  return result;
}

}  // namespace reenact::harness
