#include "reenact/executors/dispatcher.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "reenact/base/mutex.h"
#include "reenact/executors/agenda.h"
#include "reenact/executors/attempt_log.h"
#include "reenact/executors/running_task.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

using Now = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Refusals that wait for the door. What comes on top is counted only.
constexpr std::size_t kRefusalsMax = 1024;
// Receipts that the clerk puts in before it looks at the time again.
constexpr int kDeliveriesAtOnce = 64;
// A process may send each receipt twice before it has heard of the first.
constexpr std::size_t kSpareReceipts = 16;

std::function<std::uint64_t()> MachineRandom() {
  std::random_device device;
  const std::uint64_t seed = (std::uint64_t{device()} << 32) | device();
  return [engine = std::mt19937_64(seed)]() mutable { return engine(); };
}

// In milliseconds since 1970.
std::int64_t WallTime() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// How long ago that was, by a clock that may have been set since.
milliseconds Since(std::int64_t then, std::int64_t now) {
  constexpr auto kMost = static_cast<std::int64_t>(RetryRule::kMsMax);
  return milliseconds(std::clamp(now - std::clamp(then, now - kMost, now),
                                 std::int64_t{0}, kMost));
}

milliseconds Until(Now::time_point time) {
  return std::max(std::chrono::ceil<milliseconds>(time - Now::now()),
                  milliseconds(0));
}

bool IsSound(const Evidence& piece) {
  return !piece.name.empty() &&
         piece.name.size() <= Receipt::kEvidenceNameBytesMax &&
         cbor::IsUtf8(piece.name);
}

bool IsSound(const Answer& answer) {
  return (answer.payload.empty() || cbor::Validate(answer.payload).ok()) &&
         answer.evidence.size() <= Receipt::kEvidenceMax &&
         std::all_of(answer.evidence.begin(), answer.evidence.end(),
                     [](const Evidence& piece) { return IsSound(piece); });
}

// What an executor made of a task, whatever it did.
Answer AnswerOf(Executor& executor, RunningTask& task, bool* thrown) {
  *thrown = false;
  try {
    Answer answer = executor.Execute(task);
    if (IsSound(answer)) return answer;
    return Answer::Unknown("the executor's answer is malformed");
  } catch (const std::exception&) {
    // Not what() of it: that may hold anything, secrets too.
    *thrown = true;
  } catch (...) {
    *thrown = true;
  }
  return Answer::Unknown("the executor threw an exception");
}

absl::Status CheckOptions(const KindOptions& options) {
  if (options.concurrency == 0 || options.retry.attempts_max == 0) {
    return absl::InvalidArgumentError(
        "an executor needs a concurrency and a number of attempts of at least "
        "1");
  }
  if (options.executor.size() > Receipt::kExecutorBytesMax ||
      !cbor::IsUtf8(options.executor)) {
    return absl::InvalidArgumentError(
        "an executor's name is UTF-8 of at most 64 bytes");
  }
  return absl::OkStatus();
}

}  // namespace

// One thread, the clerk, does everything that is due and hands receipts in; the
// others carry out effects. `mutex_` guards the agenda; `notes_mutex_` only
// what the clerk is to look at, so that who leaves a note never waits for work
// that is being done. mutex_ is taken first.
class Dispatcher::Core : public std::enable_shared_from_this<Core> {
 public:
  explicit Core(DispatcherOptions options)
      : options_(std::move(options)),
        random_(options_.random ? options_.random : MachineRandom()) {}

  absl::Status Register(std::shared_ptr<Executor> executor,
                        KindOptions options);
  absl::Status Start(ReceiptSink* door, Bytes world_id,
                     std::uint64_t opening_epoch);
  absl::Status Stop(milliseconds grace);
  DispatcherStats Stats();

  // Verdicts, openings and closings, in the order in which they were heard.
  struct Verdict {
    Id holder = 0;
    Digest intent;
    std::uint64_t epoch = 0;
    absl::Status status;
  };
  struct Closing {
    Digest intent;
  };
  using Note = std::variant<OpenEffect, Closing, Verdict>;
  void Leave(Note note);
  void Listed(const Policy::Executors& executors);

  absl::StatusOr<Id> Attach(std::string name, std::vector<std::string> kinds,
                            std::size_t concurrency, RemoteExecutor* remote);
  void Detach(Id id);
  absl::Status Claim(Id id, const Digest& intent);
  absl::Status Renew(Id id, const Digest& intent, std::uint64_t epoch);
  absl::Status Receive(Id id, Receipt receipt, const Digest& digest);
  void Refuse(Id id, std::string_view executor, std::string_view reason,
              const Digest& digest, const std::optional<Digest>& intent);

  const DispatcherOptions& options() const { return options_; }
  const Bytes& world_id() const { return world_id_; }
  std::uint64_t opening_epoch() const { return opening_epoch_; }

 private:
  struct Parcel {
    Id holder = 0;
    Receipt receipt;
  };
  struct Refusal {
    std::string executor;
    std::string reason;
    Digest digest;
  };
  struct Remote {
    RemoteExecutor* executor = nullptr;
    std::size_t receipts_max = 0;
    std::size_t receipts = 0;  // that wait for a verdict
  };
  struct Thread {
    std::thread thread;
    bool done = false;
  };

  // The clerk.
  void Run();
  std::vector<Note> TakeNotes(std::optional<Now::time_point> until);
  void WakeClerk();
  void Read(Note& note) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Agenda::Before> BeforeThis(const Digest& intent) const;
  void NoteEnd(const Digest& intent, const Agenda::Before& before);
  void ReadVerdict(const Verdict& verdict)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountVerdict(absl::StatusCode code)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DoWhatIsDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Offer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CallThreads() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Deliver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandIn(Parcel parcel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoRoom(Parcel parcel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandInRefusals() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Now::time_point> NextTime() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The others.
  void Work(Thread* self);
  void WorkOne(Lease lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Finish(const RunningTask& task, Answer answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Post(Receipt receipt, std::string_view kind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostRefusal(std::string_view executor, std::string_view reason,
                   const Digest& digest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Cancel(std::uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False if time was up first.
  bool WaitForTasks(milliseconds wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string KindsOfTasks() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsLeftToOthers(std::string_view kind) const;
  absl::Status CheckName(std::string_view name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckKinds(std::string_view name,
                          const std::vector<std::string>& kinds) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return agenda_ && !stopping_;
  }

  const DispatcherOptions options_;
  std::function<std::uint64_t()> random_;

  // Set by Start().
  ReceiptSink* door_ = nullptr;
  Bytes world_id_;
  std::uint64_t opening_epoch_ = 0;

  mutable Mutex mutex_;
  CondVar work_;   // there is something to start, or it is over
  CondVar quiet_;  // a task has returned, or the outbox is empty
  std::map<std::string, std::shared_ptr<Executor>, std::less<>> executors_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::string, KindOptions, std::less<>> registered_
      ABSL_GUARDED_BY(mutex_);
  std::optional<Agenda> agenda_ ABSL_GUARDED_BY(mutex_);
  Policy::Executors listed_ ABSL_GUARDED_BY(mutex_);  // before it was started
  std::map<Id, Remote> remotes_ ABSL_GUARDED_BY(mutex_);
  // By epoch, which no two attempts share.
  std::map<std::uint64_t, std::shared_ptr<RunningTask>> tasks_
      ABSL_GUARDED_BY(mutex_);
  std::deque<Parcel> outbox_ ABSL_GUARDED_BY(mutex_);
  std::deque<Refusal> refusals_ ABSL_GUARDED_BY(mutex_);
  bool handing_in_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint32_t full_in_a_row_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<Now::time_point> door_opens_ ABSL_GUARDED_BY(mutex_);
  std::optional<Now::time_point> threads_again_ ABSL_GUARDED_BY(mutex_);
  std::list<Thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;  // nothing more to hand in
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  DispatcherStats counts_ ABSL_GUARDED_BY(mutex_);
  std::thread clerk_;

  Mutex notes_mutex_;
  CondVar noted_;
  std::vector<Note> notes_ ABSL_GUARDED_BY(notes_mutex_);
  std::atomic<std::size_t> unread_{0};  // left, and not read under `mutex_`
  bool woken_ ABSL_GUARDED_BY(notes_mutex_) = false;
};

// --- beginning and end -------------------------------------------------------

absl::Status Dispatcher::Core::Register(std::shared_ptr<Executor> executor,
                                        KindOptions options) {
  const std::string kind(executor->kind());
  REENACT_RETURN_IF_ERROR(Annotate(CheckOptions(options), kind));
  MutexLock lock(&mutex_);
  if (agenda_) {
    return absl::FailedPreconditionError(
        "executors are registered before the dispatcher is started");
  }
  if (!executors_.try_emplace(kind, std::move(executor)).second) {
    return absl::AlreadyExistsError(kind + " has an executor already");
  }
  registered_.emplace(kind, std::move(options));
  return absl::OkStatus();
}

absl::Status Dispatcher::Core::Start(ReceiptSink* door, Bytes world_id,
                                     std::uint64_t opening_epoch) {
  MutexLock lock(&mutex_);
  if (agenda_ || stopping_) {
    return absl::FailedPreconditionError(
        "a dispatcher is started once; make another one");
  }
  door_ = door;
  world_id_ = std::move(world_id);
  opening_epoch_ = opening_epoch;
  agenda_.emplace(Agenda::Options{
      opening_epoch, options_.lease, options_.refused, random_,
      [door](LogicalTime time) { return door->TimeUntil(time); }});
  for (const auto& [kind, options] : registered_) {
    if (!IsLeftToOthers(kind)) agenda_->Serve(kind, options);
  }
  agenda_->Listed(std::move(listed_));
  clerk_ = std::thread([core = this] { core->Run(); });
  return absl::OkStatus();
}

bool Dispatcher::Core::WaitForTasks(milliseconds wait) {
  const auto end = Now::now() + wait;
  while (!tasks_.empty()) {
    const milliseconds left = Until(end);
    if (left == milliseconds(0)) return false;
    quiet_.WaitFor(&mutex_, static_cast<std::uint64_t>(left.count()));
  }
  return true;
}

std::string Dispatcher::Core::KindsOfTasks() const {
  std::string kinds;
  for (const auto& [epoch, task] : tasks_) {
    kinds += (kinds.empty() ? "" : ", ") + task->effect().kind;
  }
  return kinds;
}

absl::Status Dispatcher::Core::Stop(milliseconds grace) {
  constexpr milliseconds kDay = std::chrono::hours(24);
  std::list<Thread> threads;
  std::string left_behind;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return absl::OkStatus();
    stopping_ = true;
    if (!agenda_) return absl::OkStatus();
    work_.SignalAll();
    WakeClerk();
    if (!WaitForTasks(std::clamp(grace, milliseconds(0), kDay))) {
      for (const auto& [epoch, task] : tasks_) task->Cancel();
      WaitForTasks(std::clamp(options_.cancel_wait, milliseconds(0), kDay));
    }
    // The clerk does not wait for a door without room any more.
    draining_ = true;
    while (!outbox_.empty() || handing_in_) quiet_.Wait(&mutex_);
    over_ = true;
    remotes_.clear();
    left_behind = KindsOfTasks();
    // Only those that have nothing to do any more are certain to end.
    while (std::count_if(threads_.begin(), threads_.end(),
                         [](const Thread& t) { return t.done; }) +
               static_cast<std::ptrdiff_t>(tasks_.size()) <
           static_cast<std::ptrdiff_t>(threads_.size())) {
      quiet_.Wait(&mutex_);
    }
    for (Thread& thread : threads_) {
      if (thread.done) {
        threads.emplace_back().thread = std::move(thread.thread);
      } else {
        thread.thread.detach();
      }
    }
  }
  WakeClerk();
  clerk_.join();
  for (Thread& thread : threads) thread.thread.join();
  if (left_behind.empty()) return absl::OkStatus();
  return absl::DeadlineExceededError(
      "executors that did not return, though they were cancelled: " +
      left_behind);
}

DispatcherStats Dispatcher::Core::Stats() {
  MutexLock lock(&mutex_);
  DispatcherStats stats = agenda_ ? agenda_->Stats() : DispatcherStats();
  stats.unread = unread_.load();
  stats.thrown = counts_.thrown;
  stats.malformed = counts_.malformed;
  stats.submitted = counts_.submitted;
  stats.full = counts_.full;
  stats.accepted = counts_.accepted;
  stats.duplicate = counts_.duplicate;
  stats.overtaken = counts_.overtaken;
  stats.unknown = counts_.unknown;
  stats.refused = counts_.refused;
  stats.undelivered = counts_.undelivered;
  return stats;
}

// --- the clerk ---------------------------------------------------------------

void Dispatcher::Core::Leave(Note note) {
  unread_.fetch_add(1);
  MutexLock lock(&notes_mutex_);
  notes_.push_back(std::move(note));
  noted_.Signal();
}

// At once, ahead of what the clerk has not read yet: that is judged by the new
// list all the same.
void Dispatcher::Core::Listed(const Policy::Executors& executors) {
  MutexLock lock(&mutex_);
  if (!agenda_) {
    listed_ = executors;
    return;
  }
  agenda_->Listed(executors);
  WakeClerk();
}

void Dispatcher::Core::WakeClerk() {
  MutexLock lock(&notes_mutex_);
  woken_ = true;
  noted_.Signal();
}

std::vector<Dispatcher::Core::Note> Dispatcher::Core::TakeNotes(
    std::optional<Now::time_point> until) {
  MutexLock lock(&notes_mutex_);
  while (notes_.empty() && !woken_) {
    if (!until) {
      noted_.Wait(&notes_mutex_);
      continue;
    }
    const milliseconds left = Until(*until);
    if (left == milliseconds(0)) break;
    noted_.WaitFor(&notes_mutex_, static_cast<std::uint64_t>(left.count()));
  }
  woken_ = false;
  return std::exchange(notes_, {});
}

void Dispatcher::Core::Run() {
  std::optional<Now::time_point> next = Now::now();
  while (true) {
    std::vector<Note> notes = TakeNotes(next);
    MutexLock lock(&mutex_);
    if (over_) return;
    for (Note& note : notes) Read(note);
    unread_.fetch_sub(notes.size());
    DoWhatIsDue();
    Offer();
    CallThreads();
    HandInRefusals();
    Deliver();
    next = NextTime();
  }
}

std::optional<Now::time_point> Dispatcher::Core::NextTime() const {
  std::optional<Now::time_point> next = agenda_->NextAlarm();
  const auto earlier = [&next](std::optional<Now::time_point> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  earlier(threads_again_);
  // Without a time that the door opens at, it is open, and there is more.
  if (!outbox_.empty()) earlier(door_opens_.value_or(Now::now()));
  return next;
}

std::optional<Agenda::Before> Dispatcher::Core::BeforeThis(
    const Digest& intent) const {
  if (!options_.attempts) return std::nullopt;
  auto past = options_.attempts->Find(intent);
  if (!past) return std::nullopt;
  const std::int64_t wall = WallTime();
  const auto now = Now::now();
  return Agenda::Before{past->count, std::move(past->usage), past->in_doubt,
                        now - Since(past->first, wall),
                        now + Since(wall, std::max(past->not_before, wall))};
}

void Dispatcher::Core::NoteEnd(const Digest& intent,
                               const Agenda::Before& before) {
  if (!options_.attempts) return;
  PastAttempts past{before.attempts, before.usage, before.in_doubt, 0, 0};
  past.not_before = WallTime() + Until(before.not_before).count();
  options_.attempts->Ended(intent, past);
}

void Dispatcher::Core::Read(Note& note) {
  if (auto* effect = std::get_if<OpenEffect>(&note)) {
    const auto executor = executors_.find(effect->kind);
    std::string peer;
    if (executor != executors_.end()) peer = executor->second->PeerOf(*effect);
    auto before = BeforeThis(effect->intent_hash);
    agenda_->Open(std::move(*effect), std::move(peer), std::move(before));
  } else if (const auto* closing = std::get_if<Closing>(&note)) {
    if (options_.attempts) options_.attempts->Forget(closing->intent);
    const auto held = agenda_->Close(closing->intent);
    if (!held) return;
    if (held->holder == 0) return Cancel(held->epoch);
    const auto remote = remotes_.find(held->holder);
    if (remote == remotes_.end()) return;
    remote->second.executor->Cancel(closing->intent, held->epoch, "closed");
  } else {
    ReadVerdict(std::get<Verdict>(note));
  }
}

void Dispatcher::Core::CountVerdict(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      ++counts_.accepted;
      return;
    case absl::StatusCode::kAlreadyExists:
      ++counts_.duplicate;
      return;
    case absl::StatusCode::kFailedPrecondition:
      ++counts_.overtaken;
      return;
    case absl::StatusCode::kNotFound:
      ++counts_.unknown;
      return;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kInvalidArgument:
      ++counts_.refused;
      return;
    default:
      ++counts_.undelivered;
  }
}

void Dispatcher::Core::ReadVerdict(const Verdict& verdict) {
  const absl::StatusCode code = verdict.status.code();
  CountVerdict(code);
  if (const auto remote = remotes_.find(verdict.holder);
      remote != remotes_.end()) {
    if (remote->second.receipts > 0) --remote->second.receipts;
    remote->second.executor->Verdict(verdict.intent, verdict.epoch,
                                     verdict.status);
  }
  if (code != absl::StatusCode::kPermissionDenied &&
      code != absl::StatusCode::kInvalidArgument) {
    agenda_->Settled(verdict.intent);
    return;
  }
  // Trying again with the same signature, or none, would come to the same.
  if (code == absl::StatusCode::kPermissionDenied && verdict.holder != 0) {
    agenda_->Bar(verdict.holder, verdict.intent);
  }
  auto instead = agenda_->Refused(
      verdict.intent, verdict.epoch,
      "the world refused the receipt: " + std::string(verdict.status.message()),
      code == absl::StatusCode::kInvalidArgument, Now::now());
  if (instead) Post(*std::move(instead), agenda_->KindOf(verdict.intent));
}

void Dispatcher::Core::DoWhatIsDue() {
  for (Agenda::Expired& expired : agenda_->Due(Now::now())) {
    if (expired.receipt) {
      Cancel(expired.epoch);
      Post(*std::move(expired.receipt), agenda_->KindOf(expired.intent));
    } else if (const auto remote = remotes_.find(expired.holder);
               remote != remotes_.end()) {
      remote->second.executor->Cancel(
          expired.intent, expired.epoch,
          expired.epoch == 0 ? "offer expired" : "lease expired");
    }
  }
}

void Dispatcher::Core::Offer() {
  if (stopping_) return;
  for (const auto& [id, remote] : remotes_) {
    while (auto effect = agenda_->Offer(id, Now::now())) {
      remote.executor->Offer(std::move(effect));
    }
  }
}

void Dispatcher::Core::CallThreads() {
  threads_again_.reset();
  if (stopping_) return;
  std::size_t wanted = agenda_->Startable();
  for (std::size_t i = 0; i < idle_ && wanted > 0; ++i, --wanted) {
    work_.Signal();
  }
  for (; wanted > 0; --wanted) {
    Thread* const self = &threads_.emplace_back();
    ++idle_;  // until it has looked around
    try {
      self->thread =
          std::thread([core = shared_from_this(), self] { core->Work(self); });
    } catch (const std::system_error&) {
      // The machine has no thread left; others may end.
      threads_.pop_back();
      --idle_;
      threads_again_ = Now::now() + std::chrono::seconds(1);
      return;
    }
  }
}

void Dispatcher::Core::Deliver() {
  for (int i = 0; i < kDeliveriesAtOnce && !outbox_.empty(); ++i) {
    if (door_opens_ && Now::now() < *door_opens_ && !stopping_) return;
    door_opens_.reset();
    Parcel parcel = std::move(outbox_.front());
    outbox_.pop_front();
    HandIn(std::move(parcel));
  }
  if (outbox_.empty()) quiet_.SignalAll();
}

void Dispatcher::Core::HandIn(Parcel parcel) {
  const Verdict known{parcel.holder, parcel.receipt.intent_hash,
                      parcel.receipt.lease_epoch, absl::OkStatus()};
  const auto done = [core = shared_from_this(),
                     known](const absl::Status& status) {
    Verdict verdict = known;
    verdict.status = status;
    core->Leave(std::move(verdict));
  };
  handing_in_ = true;
  mutex_.Unlock();
  const absl::Status taken = door_->SubmitReceipt(parcel.receipt, done);
  mutex_.Lock();
  handing_in_ = false;
  if (absl::IsResourceExhausted(taken)) return NoRoom(std::move(parcel));
  full_in_a_row_ = 0;
  if (taken.ok()) {
    ++counts_.submitted;
  } else {
    done(taken);
  }
}

void Dispatcher::Core::NoRoom(Parcel parcel) {
  ++counts_.full;
  if (stopping_) {
    // Those effects are open still, and will be when the world is opened again.
    counts_.undelivered += 1 + outbox_.size();
    outbox_.clear();
    return;
  }
  outbox_.push_front(std::move(parcel));
  ++full_in_a_row_;
  door_opens_ = Now::now() + Backoff(options_.full, full_in_a_row_, random_());
}

void Dispatcher::Core::HandInRefusals() {
  while (!refusals_.empty()) {
    const Refusal refusal = std::move(refusals_.front());
    refusals_.pop_front();
    handing_in_ = true;
    mutex_.Unlock();
    door_->RefuseReceipt(refusal.executor, refusal.reason, refusal.digest);
    mutex_.Lock();
    handing_in_ = false;
  }
}

// --- those who carry out effects ---------------------------------------------

void Dispatcher::Core::Work(Thread* self) {
  MutexLock lock(&mutex_);
  --idle_;
  while (!stopping_) {
    if (auto lease = agenda_->Start(Now::now())) {
      WorkOne(*std::move(lease));
    } else {
      const auto alarm = agenda_->NextAlarm();
      if (alarm && *alarm <= Now::now()) WakeClerk();
      ++idle_;
      work_.Wait(&mutex_);
      --idle_;
    }
  }
  self->done = true;
  quiet_.SignalAll();
}

void Dispatcher::Core::WorkOne(Lease lease) {
  const std::uint64_t epoch = lease.epoch;
  const auto executor = executors_.find(lease.effect->kind)->second;
  const auto task = std::make_shared<RunningTask>(
      std::move(lease), options_.blobs, options_.secrets);
  tasks_.emplace(epoch, task);
  WakeClerk();  // it has a deadline to keep

  mutex_.Unlock();
  absl::Status noted;
  if (options_.attempts) {
    noted = options_.attempts->Began(task->effect().intent_hash,
                                     executor->LeastUsage(), WallTime());
  }
  bool thrown = false;
  Answer answer;
  if (noted.ok()) answer = AnswerOf(*executor, *task, &thrown);
  mutex_.Lock();

  tasks_.erase(epoch);
  if (thrown) ++counts_.thrown;
  if (!noted.ok()) {
    // What is not on record is not done; the disk may have room again.
    agenda_->Postpone(task->lease(), Now::now() + std::chrono::seconds(1));
  } else if (!over_) {
    Finish(*task, std::move(answer));
  }
  quiet_.SignalAll();
  WakeClerk();
}

void Dispatcher::Core::Finish(const RunningTask& task, Answer answer) {
  // Cancelled because this process ends, an effect is not done: it stays open.
  const bool gave_up =
      answer.status == ReceiptStatus::kCancelled && task.cancelled();
  if (stopping_ && (gave_up || answer.transient)) {
    const auto left = agenda_->Abandon(task.lease(), answer, Now::now());
    if (left.fate == Agenda::Fate::kAgain) {
      NoteEnd(task.effect().intent_hash, left.before);
    }
    return;
  }
  auto finished = agenda_->Finish(task.lease(), std::move(answer), Now::now());
  if (finished.fate == Agenda::Fate::kFinal) {
    Post(std::move(finished.receipt), task.effect().kind);
  } else if (finished.fate == Agenda::Fate::kAgain) {
    NoteEnd(task.effect().intent_hash, finished.before);
  }
}

void Dispatcher::Core::Post(Receipt receipt, std::string_view kind) {
  const KindOptions* options = agenda_->OptionsOf(kind);
  // In another executor's name nobody here can sign.
  if (options && options->key && receipt.executor == options->executor) {
    SignReceipt(world_id_, *options->key, &receipt);
  }
  outbox_.push_back({0, std::move(receipt)});
  WakeClerk();
}

void Dispatcher::Core::Cancel(std::uint64_t epoch) {
  const auto task = tasks_.find(epoch);
  if (task != tasks_.end()) task->second->Cancel();
}

// --- other processes ---------------------------------------------------------

bool Dispatcher::Core::IsLeftToOthers(std::string_view kind) const {
  return std::any_of(options_.remotes.begin(), options_.remotes.end(),
                     [kind](const auto& remote) {
                       const auto& kinds = remote.second;
                       return std::find(kinds.begin(), kinds.end(), kind) !=
                              kinds.end();
                     });
}

// What is answered in a name of this process was done by it.
absl::Status Dispatcher::Core::CheckName(std::string_view name) const {
  for (const auto& [kind, options] : registered_) {
    if (name != kind && name != options.executor) continue;
    return absl::PermissionDeniedError(absl::StrCat(
        "\"", ToAbsl(name),
        "\" is a name of the world's own process; take another one"));
  }
  if (options_.remotes.empty() || options_.remotes.contains(name)) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "no executor called \"", ToAbsl(name), "\" may attach here"));
}

absl::Status Dispatcher::Core::CheckKinds(
    std::string_view name, const std::vector<std::string>& kinds) const {
  const auto remote = options_.remotes.find(name);
  for (const std::string& kind : kinds) {
    if (remote == options_.remotes.end()) {
      if (!registered_.contains(kind)) continue;
      return absl::PermissionDeniedError(
          absl::StrCat(kind, " is carried out by the world's own process"));
    }
    const auto& may = remote->second;
    if (std::find(may.begin(), may.end(), kind) != may.end()) continue;
    return absl::PermissionDeniedError(absl::StrCat(
        "\"", ToAbsl(name), "\" may not carry out ", kind, " here"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Dispatcher::Id> Dispatcher::Core::Attach(
    std::string name, std::vector<std::string> kinds, std::size_t concurrency,
    RemoteExecutor* remote) {
  MutexLock lock(&mutex_);
  if (!IsOpen()) {
    return absl::FailedPreconditionError("the world takes no executors now");
  }
  REENACT_RETURN_IF_ERROR(CheckName(name));
  REENACT_RETURN_IF_ERROR(CheckKinds(name, kinds));
  const Id id = agenda_->Attach(std::move(name), std::move(kinds), concurrency);
  remotes_[id] = {remote, 2 * concurrency + kSpareReceipts, 0};
  WakeClerk();
  return id;
}

void Dispatcher::Core::Detach(Id id) {
  MutexLock lock(&mutex_);
  remotes_.erase(id);
  if (agenda_ && !over_) agenda_->Detach(id);
  WakeClerk();
}

absl::Status Dispatcher::Core::Claim(Id id, const Digest& intent) {
  MutexLock lock(&mutex_);
  const auto remote = remotes_.find(id);
  if (!IsOpen() || remote == remotes_.end()) {
    return absl::NotFoundError("the world is closing");
  }
  agenda_->Heard(id);
  WakeClerk();
  REENACT_ASSIGN_OR_RETURN(const Lease lease,
                           agenda_->Claim(id, intent, Now::now()));
  remote->second.executor->Grant(intent, lease.epoch, lease.attempt);
  return absl::OkStatus();
}

absl::Status Dispatcher::Core::Renew(Id id, const Digest& intent,
                                     std::uint64_t epoch) {
  MutexLock lock(&mutex_);
  if (!agenda_ || over_) {
    return absl::FailedPreconditionError("the world is closing");
  }
  agenda_->Heard(id);
  WakeClerk();
  return agenda_->Renew(id, intent, epoch, Now::now());
}

void Dispatcher::Core::PostRefusal(std::string_view executor,
                                   std::string_view reason,
                                   const Digest& digest) {
  if (!IsOpen() || refusals_.size() >= kRefusalsMax) return;
  refusals_.push_back({std::string(executor), std::string(reason), digest});
  WakeClerk();
}

absl::Status Dispatcher::Core::Receive(Id id, Receipt receipt,
                                       const Digest& digest) {
  MutexLock lock(&mutex_);
  const auto found = remotes_.find(id);
  if (found == remotes_.end() || draining_) {
    return absl::FailedPreconditionError("the world takes no receipts now");
  }
  Remote& remote = found->second;
  const std::string_view name = agenda_->NameOf(id);
  agenda_->Heard(id);
  if (receipt.executor != name) {
    ++counts_.malformed;
    PostRefusal(name, "another executor's name", digest);
    return absl::PermissionDeniedError(
        "a receipt has to name the executor that hello named");
  }
  if (remote.receipts >= remote.receipts_max) {
    return absl::ResourceExhaustedError(
        "too many receipts wait for a verdict; wait for those first");
  }
  const Digest intent = receipt.intent_hash;
  const std::uint64_t epoch = receipt.lease_epoch;
  if (agenda_->Receive(id, intent, epoch) == Agenda::Standing::kStale) {
    PostRefusal(name, "stale lease", digest);
    remote.executor->Verdict(intent, epoch,
                             absl::FailedPreconditionError("stale lease"));
    return absl::OkStatus();
  }
  ++remote.receipts;
  outbox_.push_back({id, std::move(receipt)});
  WakeClerk();
  return absl::OkStatus();
}

void Dispatcher::Core::Refuse(Id id, std::string_view executor,
                              std::string_view reason, const Digest& digest,
                              const std::optional<Digest>& intent) {
  MutexLock lock(&mutex_);
  ++counts_.malformed;
  PostRefusal(executor, reason, digest);
  if (!intent || id == 0 || !agenda_) return;
  auto instead = agenda_->Malformed(
      id, *intent, "the executor's receipt: " + std::string(reason));
  if (instead) Post(*std::move(instead), agenda_->KindOf(*intent));
}

// --- Dispatcher --------------------------------------------------------------

Dispatcher::Dispatcher(DispatcherOptions options)
    : core_(std::make_shared<Core>(std::move(options))) {}

Dispatcher::~Dispatcher() { Stop(milliseconds(0)).IgnoreError(); }

absl::Status Dispatcher::Register(std::shared_ptr<Executor> executor,
                                  KindOptions options) {
  return core_->Register(std::move(executor), std::move(options));
}

absl::Status Dispatcher::Start(ReceiptSink* door, Bytes world_id,
                               std::uint64_t opening_epoch) {
  return core_->Start(door, std::move(world_id), opening_epoch);
}

absl::Status Dispatcher::Stop(milliseconds grace) { return core_->Stop(grace); }

DispatcherStats Dispatcher::Stats() const { return core_->Stats(); }

void Dispatcher::Open(const OpenEffect& effect) { core_->Leave(effect); }

void Dispatcher::Closed(const Digest& intent_hash) {
  core_->Leave(Core::Closing{intent_hash});
}

void Dispatcher::Listed(const Policy::Executors& executors) {
  core_->Listed(executors);
}

absl::StatusOr<Dispatcher::Id> Dispatcher::Attach(
    std::string name, std::vector<std::string> kinds, std::size_t concurrency,
    RemoteExecutor* remote) {
  return core_->Attach(std::move(name), std::move(kinds), concurrency, remote);
}

void Dispatcher::Detach(Id id) { core_->Detach(id); }

absl::Status Dispatcher::Claim(Id id, const Digest& intent) {
  return core_->Claim(id, intent);
}

absl::Status Dispatcher::Renew(Id id, const Digest& intent,
                               std::uint64_t epoch) {
  return core_->Renew(id, intent, epoch);
}

absl::Status Dispatcher::Receive(Id id, Receipt receipt, const Digest& digest) {
  return core_->Receive(id, std::move(receipt), digest);
}

void Dispatcher::Refuse(Id id, std::string_view executor,
                        std::string_view reason, const Digest& digest,
                        const std::optional<Digest>& intent) {
  core_->Refuse(id, executor, reason, digest, intent);
}

const Bytes& Dispatcher::world_id() const { return core_->world_id(); }

std::uint64_t Dispatcher::opening_epoch() const {
  return core_->opening_epoch();
}

milliseconds Dispatcher::lease() const { return core_->options().lease; }

}  // namespace reenact
