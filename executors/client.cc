#include "reenact/executors/client.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "reenact/base/mutex.h"
#include "reenact/executors/channel.h"
#include "reenact/executors/frames.h"

namespace reenact {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Receipts wait for room beyond this much that is unsent.
constexpr std::size_t kUnsentMax = 64 << 20;
// The world's side is believed about what it sends: this only bounds a mistake.
constexpr std::size_t kFrameBytesMax = 1 << 30;

}  // namespace

// One connection. The door of a dispatcher of its own, which counts attempts,
// limits and time-outs as it does in the world's process.
class ExecutorClient::Session final : public ReceiptSink {
 public:
  Session(const ClientOptions& options, int socket, int stop_fd)
      : options_(options),
        stop_fd_(stop_fd),
        wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        channel_(socket, kFrameBytesMax),
        dispatcher_(options.dispatcher) {}
  ~Session() override {
    dispatcher_.Stop(milliseconds(0)).IgnoreError();
    if (wake_fd_ >= 0) close(wake_fd_);
  }

  absl::Status Run(const std::vector<Registered>& registered);

  // ReceiptSink, from the dispatcher's thread.
  absl::Status SubmitReceipt(Receipt receipt, Done done) override;
  // The dispatcher has nobody attached whose receipts it could refuse.
  void RefuseReceipt(std::string_view, std::string_view,
                     const Digest&) override {}

 private:
  struct Held {
    std::uint64_t epoch = 0;
    bool answered = false;
    Clock::time_point renewed;
    Done done;  // if answered
  };

  absl::Status Loop();
  // Whether to go on.
  absl::StatusOr<bool> TakeAll();
  absl::StatusOr<bool> Take(const frames::Frame& frame);
  absl::StatusOr<bool> Welcome(const frames::Welcome& welcome);
  void Start(const frames::Granted& granted);
  void Cancel(const frames::Cancel& cancel);
  void Settle(const frames::Verdict& verdict);
  void RenewLeases(Clock::time_point now);
  void TakeNotes(Clock::time_point now);
  void Send(const frames::Frame& frame) {
    channel_.Put(frames::Encode(frame), Clock::now());
  }
  int PollTimeout() const;

  const ClientOptions& options_;
  const int stop_fd_;
  const int wake_fd_;
  Channel channel_;
  Dispatcher dispatcher_;

  // Of Run()'s thread.
  milliseconds renewal_{0};  // between renewals; 0 before the welcome
  std::map<Digest, OpenEffect> offered_;

  Mutex mutex_;
  std::map<Digest, Held> held_ ABSL_GUARDED_BY(mutex_);
  Bytes noted_ ABSL_GUARDED_BY(mutex_);  // frames to send
  // What Welcome() learnt, for the dispatcher's thread.
  Bytes world_id_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t frame_bytes_max_ ABSL_GUARDED_BY(mutex_) = 0;
};

absl::Status ExecutorClient::Session::Run(
    const std::vector<Registered>& registered) {
  if (wake_fd_ < 0) return absl::ResourceExhaustedError("no descriptor left");
  frames::Hello hello;
  hello.versions = {frames::kVersion};
  hello.executor = options_.name;
  hello.concurrency = std::clamp<std::uint64_t>(options_.concurrency, 1,
                                                frames::kConcurrencyMax);
  for (const Registered& one : registered) {
    hello.kinds.emplace_back(one.executor->kind());
    KindOptions options = one.options;
    options.executor = options_.name;
    options.key.reset();  // signed at this door, when the lease is known
    REENACT_RETURN_IF_ERROR(
        dispatcher_.Register(one.executor, std::move(options)));
  }
  Send(hello);
  const absl::Status status = Loop();
  // Nothing that is still running is wanted.
  std::vector<Digest> held;
  {
    MutexLock lock(&mutex_);
    for (const auto& [intent, lease] : held_) held.push_back(intent);
    held_.clear();
  }
  for (const Digest& intent : held) dispatcher_.Closed(intent);
  return status;
}

int ExecutorClient::Session::PollTimeout() const {
  // Often enough that a renewal is never late by much.
  if (renewal_ == milliseconds(0)) return -1;
  return static_cast<int>(
      std::clamp<milliseconds::rep>(renewal_.count() / 4, 1, 60'000));
}

absl::Status ExecutorClient::Session::Loop() {
  while (true) {
    const auto out = static_cast<short>(channel_.unsent() > 0 ? POLLOUT : 0);
    pollfd polled[] = {{stop_fd_, POLLIN, 0},
                       {wake_fd_, POLLIN, 0},
                       {channel_.fd(), static_cast<short>(POLLIN | out), 0}};
    poll(polled, 3, PollTimeout());
    if ((polled[0].revents & POLLIN) != 0) {
      Send(frames::Bye{"stopped"});
      channel_.Flush(Clock::now()).IgnoreError();
      return absl::OkStatus();
    }
    eventfd_t ignored = 0;
    eventfd_read(wake_fd_, &ignored);
    const auto now = Clock::now();
    if ((polled[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      REENACT_RETURN_IF_ERROR(channel_.Fill(now));
      REENACT_ASSIGN_OR_RETURN(const bool goes_on, TakeAll());
      if (!goes_on) return absl::OkStatus();
    }
    RenewLeases(now);
    TakeNotes(now);
    REENACT_RETURN_IF_ERROR(channel_.Flush(now));
  }
}

absl::StatusOr<bool> ExecutorClient::Session::TakeAll() {
  while (true) {
    REENACT_ASSIGN_OR_RETURN(const std::optional<BytesView> item,
                             channel_.Next());
    if (!item) return true;
    REENACT_ASSIGN_OR_RETURN(const frames::Frame frame, frames::Decode(*item));
    REENACT_ASSIGN_OR_RETURN(const bool goes_on, Take(frame));
    if (!goes_on) return false;
  }
}

absl::StatusOr<bool> ExecutorClient::Session::Take(const frames::Frame& frame) {
  if (std::holds_alternative<frames::Bye>(frame)) return false;
  if (const auto* error = std::get_if<frames::Error>(&frame)) {
    return absl::InvalidArgumentError(
        ToAbsl("the world's side says: " + error->message));
  }
  if (const auto* welcome = std::get_if<frames::Welcome>(&frame)) {
    return Welcome(*welcome);
  }
  if (renewal_ == milliseconds(0)) {
    return absl::InvalidArgumentError("the world did not say welcome first");
  }
  if (const auto* offer = std::get_if<frames::Offer>(&frame)) {
    const Digest intent = offer->effect.intent_hash;
    offered_.insert_or_assign(intent, offer->effect);
    Send(frames::Claim{intent});
  } else if (const auto* granted = std::get_if<frames::Granted>(&frame)) {
    Start(*granted);
  } else if (const auto* cancel = std::get_if<frames::Cancel>(&frame)) {
    Cancel(*cancel);
  } else if (const auto* verdict = std::get_if<frames::Verdict>(&frame)) {
    Settle(*verdict);
  } else {
    return absl::InvalidArgumentError("a frame that only executors send");
  }
  return true;
}

absl::StatusOr<bool> ExecutorClient::Session::Welcome(
    const frames::Welcome& welcome) {
  if (renewal_ != milliseconds(0)) {
    return absl::InvalidArgumentError("welcome, once more");
  }
  if (welcome.version != frames::kVersion) {
    return absl::InvalidArgumentError(
        "the world chose a version of the protocol that was not offered");
  }
  // Three chances before a lease ends.
  renewal_ = milliseconds(static_cast<milliseconds::rep>(
      std::clamp<std::uint64_t>(welcome.lease_ms / 3, 1, 86'400'000)));
  {
    MutexLock lock(&mutex_);
    world_id_ = welcome.world_id;
    frame_bytes_max_ = welcome.frame_bytes_max;
  }
  REENACT_RETURN_IF_ERROR(
      dispatcher_.Start(this, welcome.world_id, welcome.opening_epoch));
  return true;
}

void ExecutorClient::Session::Start(const frames::Granted& granted) {
  const auto offer = offered_.find(granted.intent);
  if (offer == offered_.end()) return;
  {
    MutexLock lock(&mutex_);
    held_.insert_or_assign(granted.intent,
                           Held{granted.epoch, false, Clock::now(), {}});
  }
  offer->second.begun = granted.attempt > 1;
  dispatcher_.Open(offer->second);
  offered_.erase(offer);
}

void ExecutorClient::Session::Cancel(const frames::Cancel& cancel) {
  if (cancel.epoch == 0) {
    offered_.erase(cancel.intent);
    return;
  }
  Done done;
  {
    MutexLock lock(&mutex_);
    const auto held = held_.find(cancel.intent);
    if (held == held_.end() || held->second.epoch != cancel.epoch) return;
    done = std::move(held->second.done);
    held_.erase(held);
  }
  dispatcher_.Closed(cancel.intent);
  if (done) done(absl::FailedPreconditionError(ToAbsl(cancel.reason)));
}

void ExecutorClient::Session::Settle(const frames::Verdict& verdict) {
  Done done;
  {
    MutexLock lock(&mutex_);
    const auto held = held_.find(verdict.intent);
    if (held == held_.end() || held->second.epoch != verdict.epoch) return;
    done = std::move(held->second.done);
    held_.erase(held);
  }
  // Before the verdict, so that a refusal is not answered by another receipt:
  // the lease is over.
  dispatcher_.Closed(verdict.intent);
  if (done) done(frames::StatusOf(verdict));
}

void ExecutorClient::Session::RenewLeases(Clock::time_point now) {
  MutexLock lock(&mutex_);
  for (auto& [intent, held] : held_) {
    if (held.answered || now - held.renewed < renewal_) continue;
    held.renewed = now;
    noted_.append(frames::Encode(frames::Renew{intent, held.epoch}));
  }
}

void ExecutorClient::Session::TakeNotes(Clock::time_point now) {
  Bytes noted;
  {
    MutexLock lock(&mutex_);
    if (channel_.unsent() > kUnsentMax) return;
    noted = std::exchange(noted_, {});
  }
  if (!noted.empty()) channel_.Put(noted, now);
}

absl::Status ExecutorClient::Session::SubmitReceipt(Receipt receipt,
                                                    Done done) {
  MutexLock lock(&mutex_);
  const auto held = held_.find(receipt.intent_hash);
  if (held == held_.end()) {
    return absl::FailedPreconditionError("the lease is lost");
  }
  if (noted_.size() > kUnsentMax) {
    return absl::ResourceExhaustedError("the world's side takes in nothing");
  }
  receipt.lease_epoch = held->second.epoch;
  if (options_.key) SignReceipt(world_id_, *options_.key, &receipt);
  frames::Submit submit;
  cbor::Encoder encoder(&submit.receipt);
  EncodeReceipt(receipt, encoder);
  const Bytes frame = frames::Encode(submit);
  if (frame.size() - 4 > frame_bytes_max_) {
    return absl::InvalidArgumentError("the receipt is too large to be sent");
  }
  noted_.append(frame);
  held->second.answered = true;
  held->second.done = std::move(done);
  eventfd_write(wake_fd_, 1);
  return absl::OkStatus();
}

// --- ExecutorClient ----------------------------------------------------------

ExecutorClient::ExecutorClient(ClientOptions options)
    : options_(std::move(options)),
      stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ExecutorClient::~ExecutorClient() {
  if (stop_fd_ >= 0) close(stop_fd_);
}

absl::Status ExecutorClient::Register(std::shared_ptr<Executor> executor,
                                      KindOptions options) {
  registered_.push_back({std::move(executor), std::move(options)});
  // What is wrong with it is said now, not when it is connected.
  Dispatcher trial(options_.dispatcher);
  for (const Registered& one : registered_) {
    const absl::Status status = trial.Register(one.executor, one.options);
    if (status.ok()) continue;
    registered_.pop_back();
    return status;
  }
  return absl::OkStatus();
}

absl::Status ExecutorClient::Run() {
  if (stop_fd_ < 0) return absl::ResourceExhaustedError("no descriptor left");
  if (registered_.empty()) {
    return absl::FailedPreconditionError(
        "there is nothing to serve; register an executor first");
  }
  REENACT_ASSIGN_OR_RETURN(const int socket, ConnectTo(options_.path));
  return Session(options_, socket, stop_fd_).Run(registered_);
}

void ExecutorClient::Stop() { eventfd_write(stop_fd_, 1); }

}  // namespace reenact
