#include "reenact/journal/writer.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/base/mutex.h"

namespace reenact {
namespace {

// The longest single wait; longer ones are several of them. The standard
// library's clocks overflow on what a caller may mean by "for ever".
constexpr std::uint64_t kWaitMsMax = 60 * 60 * 1000;
// HEAD is written after each sync of blocks, and synced itself as seldom as
// this: it would cost as much as a group.
constexpr std::uint64_t kHeadSyncMs = 100;
// A round that grew beyond this is not kept for the next one.
constexpr std::size_t kKeptRoundBytes = 8 << 20;

using RoundPtr = std::unique_ptr<FinishedRound>;
using Group = std::vector<RoundPtr>;

// Decides when to sync and how long to wait; no recorded byte depends on it.
std::uint64_t SteadyMs() { return instrument::NowNs() / 1'000'000; }

// The chain's end after some block.
struct ChainEnd {
  std::uint64_t block_count = 0;
  EventId event_id;
  Digest hash;
};

// The writing is done by one thread at a time: the writer's own, or the caller
// of AppendHere() while that has nothing to do, or, if there is no such thread,
// the caller of Append() and Flush(); once that is over, by Close().
class GroupWriter final : public JournalWriter {
 public:
  GroupWriter(Store* store, std::unique_ptr<HeadFile> head, Options options,
              std::function<void()> progress)
      : store_(store),
        options_(std::move(options)),
        progress_(std::move(progress)),
        head_(std::move(head)),
        end_{options_.next_index, options_.last_event, options_.prev_hash},
        synced_blocks_(end_.block_count),
        written_(end_.event_id.value),
        durable_(end_.event_id.value),
        appended_(end_.event_id),
        durable_end_(end_) {}

  ~GroupWriter() override { StopThread(); }

  void StartThread();

  void Append(RoundPtr round) override;
  void AppendHere(RoundPtr round) override;
  RoundPtr Recycle() override;
  absl::Status Flush() override;
  absl::Status Close() override;

  EventId written() const override { return EventId{written_}; }
  EventId durable() const override { return EventId{durable_}; }
  std::uint64_t block_count() const override {
    MutexLock lock(&mutex_);
    return durable_end_.block_count;
  }
  Digest head_hash() const override {
    MutexLock lock(&mutex_);
    return durable_end_.hash;
  }
  absl::Status status() const override {
    MutexLock lock(&mutex_);
    return status_;
  }
  absl::StatusOr<bool> WaitDurable(EventId event_id,
                                   std::uint64_t timeout_ms) const override;
  std::uint64_t group_count() const override { return group_count_; }
  std::uint64_t sync_count() const override { return sync_count_; }

 private:
  // What the thread does next.
  struct Work {
    Group group;
    std::uint64_t flush = 0;  // reach this many flushes; 0: none asked for
    bool stop = false;
  };

  bool StartHere(const FinishedRound& round);
  void FinishHere();
  void WriteOne(RoundPtr round);
  void Run();
  Work WaitForWork();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Group TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopThread();

  // Work; what fails is latched.
  void WriteGroup(Group group);
  void SyncIfDue();
  void SyncAll();

  absl::Status TryWriteGroup(const Group& group);
  absl::Status PrepareHead();
  void Seal(const Group& group);
  absl::Status RunThen(const FinishedRound& round) const;
  absl::Status Sync(bool sync_head);
  bool HeadSyncIsDue() const;
  absl::Status WriteHead(bool clean, bool sync);
  absl::Status CheckOwner() const {
    return options_.check_owner ? options_.check_owner() : absl::OkStatus();
  }

  bool syncs_every_block() const {
    return options_.sync.kind == SyncPolicy::Kind::kEveryBlock;
  }
  bool syncs_by_interval() const {
    return options_.sync.kind == SyncPolicy::Kind::kInterval;
  }
  std::uint64_t NowMs() const {
    return options_.now_ms ? options_.now_ms() : SteadyMs();
  }
  // How long until the interval is over; nullopt: nothing waits for a sync.
  std::optional<std::uint64_t> MsUntilSync() const;

  void PublishDurable();
  void Progress() const {
    if (progress_) progress_();
  }
  void Latch(const absl::Status& what);
  void Reuse(RoundPtr round) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Store* const store_;
  const Options options_;
  const std::function<void()> progress_;

  // Only the thread that does the writing touches these; or one that holds the
  // mutex while nobody is `writing_`.
  std::unique_ptr<HeadFile> head_;
  ChainEnd end_;  // of what is in the store, or in `commit_`
  BlockHeader last_header_;
  CommitGroup commit_;
  bool head_prepared_ = false;
  std::uint64_t synced_blocks_ = 0;       // as many survive a crash
  std::uint64_t head_synced_blocks_ = 0;  // and HEAD says so, and survives too
  std::uint64_t head_synced_ms_ = 0;
  std::uint64_t unsynced_since_ms_ = 0;  // if there are more than that

  // Written by that thread, read by all.
  std::atomic<std::uint64_t> written_;
  std::atomic<std::uint64_t> durable_;
  std::atomic<std::uint64_t> group_count_{0};
  std::atomic<std::uint64_t> sync_count_{0};

  mutable Mutex mutex_;
  CondVar work_;             // for the thread: there is something to do
  CondVar room_;             // for Append(): the queue is shorter
  mutable CondVar changed_;  // durable_, flushed_, status_ or closed_ changed
  std::deque<RoundPtr> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<RoundPtr> pool_ ABSL_GUARDED_BY(mutex_);
  EventId appended_ ABSL_GUARDED_BY(mutex_);
  ChainEnd durable_end_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  // How many flushes were asked for, and how many of them are done.
  std::uint64_t flushes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t flushed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;  // the thread, or AppendHere()
  bool timing_ ABSL_GUARDED_BY(mutex_) = false;   // the thread, an interval
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;

  Mutex close_mutex_;  // held by Close(); taken before mutex_
  instrument::Thread thread_;
};

void GroupWriter::StartThread() {
  try {
    thread_ = instrument::Thread("writer", [this] { Run(); });
  } catch (const std::system_error& error) {
    Latch(absl::ResourceExhaustedError(
        std::string("journal writer: no thread: ") + error.what()));
  }
}

void GroupWriter::StopThread() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    work_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void GroupWriter::Append(RoundPtr round) {
  {
    MutexLock lock(&mutex_);
    REENACT_CHECK(!closed_ || !status_.ok());
    while (status_.ok() && queue_.size() >= options_.queued_rounds_max) {
      REENACT_PROBE("writer: no room");
      room_.Wait(&mutex_);
    }
    if (!status_.ok()) return Reuse(std::move(round));
    REENACT_CHECK(round->first == appended_.Next());
    appended_.value += round->ticket_count;
    if (options_.own_thread) {
      queue_.push_back(std::move(round));
      if (!REENACT_PLANTED("the writer is not woken")) work_.Signal();
      return;
    }
  }
  WriteOne(std::move(round));
}

void GroupWriter::AppendHere(RoundPtr round) {
  if (!StartHere(*round)) return Append(std::move(round));
  WriteOne(std::move(round));
  FinishHere();
}

bool GroupWriter::StartHere(const FinishedRound& round) {
  MutexLock lock(&mutex_);
  REENACT_PROBE_IF(writing_, "writer: the thread is writing");
  if (!options_.own_thread || writing_ || HasWork() || !status_.ok()) {
    return false;
  }
  REENACT_CHECK(!closed_ && round.first == appended_.Next());
  appended_.value += round.ticket_count;
  writing_ = true;
  return true;
}

void GroupWriter::FinishHere() {
  MutexLock lock(&mutex_);
  writing_ = false;
  // The thread may have to wait for the end of an interval that began here.
  const bool untimed = !timing_ && MsUntilSync().has_value();
  if (HasWork() || untimed) work_.Signal();
}

void GroupWriter::WriteOne(RoundPtr round) {
  REENACT_PROBE("writer: the caller writes");
  Group group;
  group.push_back(std::move(round));
  WriteGroup(std::move(group));
  SyncIfDue();
}

RoundPtr GroupWriter::Recycle() {
  MutexLock lock(&mutex_);
  if (pool_.empty()) return std::make_unique<FinishedRound>();
  RoundPtr round = std::move(pool_.back());
  pool_.pop_back();
  return round;
}

void GroupWriter::Reuse(RoundPtr round) {
  if (pool_.size() > options_.queued_rounds_max) return;
  if (round->entries.capacity() > kKeptRoundBytes ||
      round->cells.byte_size() > kKeptRoundBytes) {
    return;
  }
  round->Clear();
  pool_.push_back(std::move(round));
}

absl::Status GroupWriter::Flush() {
  if (!options_.own_thread) {
    REENACT_RETURN_IF_ERROR(status());
    SyncAll();
    return status();
  }
  MutexLock lock(&mutex_);
  const std::uint64_t goal = ++flushes_;
  work_.Signal();
  while (status_.ok() && flushed_ < goal && !stop_) changed_.Wait(&mutex_);
  return status_;
}

absl::Status GroupWriter::Close() {
  MutexLock close_lock(&close_mutex_);
  {
    MutexLock lock(&mutex_);
    if (closed_) return status_;
  }
  const absl::Status flushed = Flush();
  StopThread();
  REENACT_FAILPOINT("writer: before the clean head record");
  // From here on the writing is this thread's.
  if (flushed.ok() && head_ != nullptr && end_.block_count > 0) {
    const absl::Status status = WriteHead(/*clean=*/true, /*sync=*/true);
    if (!status.ok()) Latch(status);
  }
  head_.reset();
  MutexLock lock(&mutex_);
  closed_ = true;
  changed_.SignalAll();
  return status_;
}

absl::StatusOr<bool> GroupWriter::WaitDurable(EventId event_id,
                                              std::uint64_t timeout_ms) const {
  const std::uint64_t start = SteadyMs();
  MutexLock lock(&mutex_);
  while (durable_ < event_id.value) {
    if (!status_.ok()) return status_;
    const std::uint64_t waited = SteadyMs() - start;
    if (closed_ || waited >= timeout_ms) return false;
    changed_.WaitFor(&mutex_, std::min(timeout_ms - waited, kWaitMsMax));
  }
  return true;
}

void GroupWriter::Run() {
  for (;;) {
    Work work = WaitForWork();
    if (work.stop) return;
    if (!work.group.empty()) WriteGroup(std::move(work.group));
    SyncIfDue();
    if (work.flush > 0) SyncAll();
    MutexLock lock(&mutex_);
    writing_ = false;
    if (work.flush == 0) continue;
    REENACT_PROBE("writer: flushed");
    flushed_ = work.flush;
    if (!REENACT_PLANTED("who flushes is not woken")) changed_.SignalAll();
  }
}

GroupWriter::Work GroupWriter::WaitForWork() {
  MutexLock lock(&mutex_);
  while (writing_ || !HasWork()) {
    if (writing_) {
      work_.Wait(&mutex_);
      continue;
    }
    const std::optional<std::uint64_t> ms = MsUntilSync();
    if (!ms.has_value() || !status_.ok()) {
      work_.Wait(&mutex_);
    } else if (*ms == 0) {
      break;
    } else {
      timing_ = true;
      work_.WaitFor(&mutex_, std::min(*ms, kWaitMsMax));
      timing_ = false;
    }
  }
  Work work;
  work.stop = stop_;
  work.group = TakeGroup();
  if (work.group.empty() && flushes_ > flushed_) work.flush = flushes_;
  writing_ = true;
  return work;
}

bool GroupWriter::HasWork() const {
  if (stop_) return true;
  return status_.ok() && (!queue_.empty() || flushes_ > flushed_);
}

// All rounds that wait, up to the first that has a `then`: the store must hold
// exactly that round's cells when it runs.
Group GroupWriter::TakeGroup() {
  Group group;
  while (!queue_.empty()) {
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
    if (group.back()->after_commit) break;
  }
  REENACT_PROBE_IF(group.size() > 1, "writer: a group of several rounds");
  if (!group.empty() && !REENACT_PLANTED("who waits for room is not woken")) {
    room_.Signal();
  }
  return group;
}

void GroupWriter::WriteGroup(Group group) {
  const absl::Status status = TryWriteGroup(group);
  if (!status.ok()) Latch(status);
  MutexLock lock(&mutex_);
  for (RoundPtr& round : group) Reuse(std::move(round));
}

absl::Status GroupWriter::TryWriteGroup(const Group& group) {
  REENACT_RETURN_IF_ERROR(PrepareHead());
  Seal(group);
  const bool sync = syncs_every_block();
  if (REENACT_PLANTED("durable is said before it is written")) PublishDurable();
  if (!sync && synced_blocks_ == commit_.first_index) {
    REENACT_PROBE("writer: an interval begins");
    unsynced_since_ms_ = NowMs();
  }
  REENACT_FAILPOINT_RETURN("D07 before append");
  REENACT_RETURN_IF_ERROR(store_->CommitAndTake(
      &commit_, sync && !REENACT_PLANTED("blocks are not synced")));
  REENACT_FAILPOINT_RETURN("D10 after sync, before anybody is told");
  ++group_count_;
  written_ = end_.event_id.value;
  if (sync) {
    ++sync_count_;
    synced_blocks_ = end_.block_count;
  }
  // Nobody waits for HEAD: what it does not say yet is found whole behind it.
  PublishDurable();
  REENACT_FAILPOINT_RETURN("D12 told, before the head record");
  if (sync) {
    REENACT_RETURN_IF_ERROR(WriteHead(/*clean=*/false, HeadSyncIsDue()));
  }
  REENACT_FAILPOINT_RETURN("D11 after the head record");
  return RunThen(*group.back());
}

// Before the first block of this writer: HEAD must not go on to say that the
// world was closed in order. What it acknowledges from now on includes a tail
// that opening has kept, so that is synced first.
absl::Status GroupWriter::PrepareHead() {
  if (head_prepared_) return absl::OkStatus();
  head_prepared_ = true;
  if (head_ == nullptr || end_.block_count == 0) return absl::OkStatus();
  REENACT_RETURN_IF_ERROR(store_->Sync());
  ++sync_count_;
  REENACT_FAILPOINT_RETURN("writer: tail synced, HEAD still says clean");
  return WriteHead(/*clean=*/false, /*sync=*/true);
}

// Makes blocks of the rounds and chains them, in `commit_`.
void GroupWriter::Seal(const Group& group) {
  commit_.first_index = end_.block_count;
  commit_.blocks.clear();
  commit_.cells.clear();
  commit_.open_work.clear();
  for (const RoundPtr& round : group) {
    last_header_ = BlockHeader{end_.block_count,       end_.hash,
                               round->round,           round->first,
                               round->ticket_count,    round->entry_count,
                               round->open_work_digest};
    commit_.blocks.push_back(
        EncodeBlock(last_header_, round->entries, &end_.hash));
    commit_.cells.push_back(&round->cells);
    ++end_.block_count;
    end_.event_id = last_header_.last();
    if (round->open_work) {
      commit_.open_work = round->open_work(last_header_, end_.hash);
    }
  }
}

absl::Status GroupWriter::RunThen(const FinishedRound& round) const {
  if (!round.after_commit) return absl::OkStatus();
  return round.after_commit(last_header_, end_.hash);
}

std::optional<std::uint64_t> GroupWriter::MsUntilSync() const {
  if (!syncs_by_interval() || synced_blocks_ == end_.block_count) {
    return std::nullopt;
  }
  const std::uint64_t waited = NowMs() - unsynced_since_ms_;
  if (waited >= options_.sync.interval_ms) return 0;
  return options_.sync.interval_ms - waited;
}

void GroupWriter::SyncIfDue() {
  if (MsUntilSync() != std::optional<std::uint64_t>(0)) return;
  if (!status().ok()) return;
  const absl::Status synced = Sync(/*sync_head=*/false);
  if (!synced.ok()) Latch(synced);
}

void GroupWriter::SyncAll() {
  if (!status().ok()) return;
  const absl::Status synced = Sync(/*sync_head=*/true);
  if (!synced.ok()) Latch(synced);
}

absl::Status GroupWriter::Sync(bool sync_head) {
  const bool behind = synced_blocks_ < end_.block_count;
  if (behind) {
    REENACT_PROBE("writer: what was written is synced");
    REENACT_RETURN_IF_ERROR(store_->Sync());
    REENACT_FAILPOINT_RETURN("writer: flushed, before the head record");
    ++sync_count_;
    synced_blocks_ = end_.block_count;
  }
  // Nothing was written here: HEAD stays as it was found.
  if (end_.block_count == options_.next_index) return absl::OkStatus();
  if (behind || head_synced_blocks_ < end_.block_count) {
    return WriteHead(/*clean=*/false, sync_head);
  }
  return absl::OkStatus();
}

bool GroupWriter::HeadSyncIsDue() const {
  return NowMs() - head_synced_ms_ >= kHeadSyncMs;
}

absl::Status GroupWriter::WriteHead(bool clean, bool sync) {
  if (head_ == nullptr) return absl::OkStatus();
  if (sync) REENACT_RETURN_IF_ERROR(CheckOwner());
  HeadRecord record;
  record.world_id = options_.world_id;
  record.epoch = options_.epoch;
  record.block_count = end_.block_count;
  record.event_id = end_.event_id;
  record.hash = end_.hash;
  record.clean = clean;
  REENACT_RETURN_IF_ERROR(head_->Write(std::move(record), sync));
  if (!sync) return absl::OkStatus();
  head_synced_blocks_ = end_.block_count;
  head_synced_ms_ = NowMs();
  return absl::OkStatus();
}

void GroupWriter::PublishDurable() {
  {
    MutexLock lock(&mutex_);
    durable_end_ = end_;
    durable_ = end_.event_id.value;
    changed_.SignalAll();
  }
  Progress();
}

void GroupWriter::Latch(const absl::Status& what) {
  // What fails in a directory that is gone fails because of that.
  const absl::Status owner = CheckOwner();
  const absl::Status& status = owner.ok() ? what : owner;
  {
    MutexLock lock(&mutex_);
    REENACT_PROBE_IF(status_.ok(), "writer: an error");
    if (!status_.ok()) return;
    status_ = status;
    while (!queue_.empty()) {
      Reuse(std::move(queue_.front()));
      queue_.pop_front();
    }
    room_.SignalAll();
    changed_.SignalAll();
  }
  Progress();
}

}  // namespace

std::unique_ptr<JournalWriter> JournalWriter::Start(
    Store* store, std::unique_ptr<HeadFile> head, Options options,
    std::function<void()> progress) {
  REENACT_CHECK(options.queued_rounds_max > 0);
  const bool own_thread = options.own_thread;
  auto writer = std::make_unique<GroupWriter>(
      store, std::move(head), std::move(options), std::move(progress));
  if (own_thread) writer->StartThread();
  return writer;
}

}  // namespace reenact
