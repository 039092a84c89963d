#include "reenact/executors/server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "reenact/base/mutex.h"
#include "reenact/executors/channel.h"
#include "reenact/executors/frames.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// One who has connected. Its thread is the server's; what the dispatcher has to
// say waits in `noted_` until that thread takes it.
class Connection final : public RemoteExecutor {
 public:
  Connection(int fd, const ServerOptions& options, Dispatcher* dispatcher,
             int wake_fd, Clock::time_point now)
      : options_(options),
        dispatcher_(*dispatcher),
        wake_fd_(wake_fd),
        since_(now),
        channel_(fd, options.frame_bytes_max) {}
  ~Connection() override {
    if (id_ != 0) dispatcher_.Detach(id_);
  }

  // RemoteExecutor, from the dispatcher's threads.
  void Offer(std::shared_ptr<const OpenEffect> effect) override {
    Note(frames::Offer{*effect});
  }
  void Grant(const Digest& intent, std::uint64_t epoch,
             std::uint32_t attempt) override {
    Note(frames::Granted{intent, epoch, attempt});
  }
  void Cancel(const Digest& intent, std::uint64_t epoch,
              std::string_view reason) override {
    Note(frames::Cancel{intent, epoch, std::string(reason)});
  }
  void Verdict(const Digest& intent, std::uint64_t epoch,
               const absl::Status& verdict) override {
    Note(frames::Verdict{intent, epoch, std::string(frames::VerdictOf(verdict)),
                         std::string(ToStd(verdict.message()))});
  }

  // The rest is the server's thread's.
  int fd() const { return channel_.fd(); }
  bool is_ending() const { return ending_; }
  bool wants_to_send() const { return channel_.unsent() > 0; }

  // Takes over what the dispatcher has said. False: it is too much.
  bool TakeNotes(Clock::time_point now) {
    Bytes noted;
    {
      MutexLock lock(&mutex_);
      noted = std::exchange(noted_, {});
    }
    if (!noted.empty()) channel_.Put(noted, now);
    return channel_.unsent() <= options_.unsent_bytes_max;
  }

  // False: it is over.
  bool Receive(Clock::time_point now) {
    if (!channel_.Fill(now).ok()) return false;
    while (!ending_) {
      const auto item = channel_.Next();
      if (!item.ok()) {
        Protest(item.status(), channel_.Begun(), now);
      } else if (!item->has_value()) {
        break;
      } else {
        Take(**item, now);
      }
    }
    return true;
  }
  bool Send(Clock::time_point now) {
    if (!channel_.Flush(now).ok()) return false;
    return !ending_ || wants_to_send();
  }

  void End(const frames::Frame& last, Clock::time_point now) {
    channel_.Put(frames::Encode(last), now);
    ending_ = true;
  }
  bool IsTooSlow(Clock::time_point now) const {
    const auto long_ago = [&](std::optional<Clock::time_point> since) {
      return since && now - *since >= options_.patience;
    };
    const auto hello =
        id_ == 0 || ending_ ? std::optional(since_) : std::nullopt;
    return long_ago(hello) || long_ago(channel_.OutSince()) ||
           (!ending_ && long_ago(channel_.InSince()));
  }
  // When IsTooSlow() may become true.
  std::optional<Clock::time_point> NextTime() const {
    std::optional<Clock::time_point> next;
    if (id_ == 0 || ending_) next = since_;
    for (const auto& since : {channel_.OutSince(), channel_.InSince()}) {
      if (since && (!next || *since < *next)) next = since;
    }
    if (next) *next += options_.patience;
    return next;
  }
  bool has_protested() const { return protested_; }

 private:
  void Note(const frames::Frame& frame) {
    const Bytes bytes = frames::Encode(frame);
    MutexLock lock(&mutex_);
    // Beyond this it is dropped anyway, at the thread's next look.
    if (noted_.size() > options_.unsent_bytes_max) return;
    noted_.append(bytes);
    eventfd_write(wake_fd_, 1);
  }

  void Take(BytesView item, Clock::time_point now) {
    const auto frame = frames::Decode(item);
    if (!frame.ok()) return Protest(frame.status(), item, now);
    const absl::Status taken = Obey(*frame, now);
    if (!taken.ok()) Protest(taken, {}, now);
  }

  // Says what is wrong and ends the connection. What looks like a receipt is
  // put on record as one that was refused.
  void Protest(const absl::Status& what, BytesView item,
               Clock::time_point now) {
    if (frames::LooksLikeReceipt(item)) {
      dispatcher_.Refuse(id_, name_, "malformed frame", Hash(item),
                         frames::IntentOfSubmit(item));
    }
    protested_ = true;
    since_ = now;
    End(frames::Error{std::string(what.message())}, now);
  }

  absl::Status Obey(const frames::Frame& frame, Clock::time_point now) {
    if (const auto* hello = std::get_if<frames::Hello>(&frame)) {
      return Greet(*hello, now);
    }
    if (std::holds_alternative<frames::Bye>(frame)) {
      since_ = now;
      End(frames::Bye{"bye"}, now);
      return absl::OkStatus();
    }
    if (id_ == 0) return absl::FailedPreconditionError("say hello first");
    if (const auto* claim = std::get_if<frames::Claim>(&frame)) {
      Claim(*claim, now);
      return absl::OkStatus();
    }
    if (const auto* renew = std::get_if<frames::Renew>(&frame)) {
      Renew(*renew, now);
      return absl::OkStatus();
    }
    if (const auto* submit = std::get_if<frames::Submit>(&frame)) {
      return Submit(submit->receipt);
    }
    return absl::InvalidArgumentError(
        "a frame that only the world's side sends");
  }

  absl::Status Greet(const frames::Hello& hello, Clock::time_point now) {
    if (id_ != 0) return absl::FailedPreconditionError("hello, once more");
    if (std::find(hello.versions.begin(), hello.versions.end(),
                  frames::kVersion) == hello.versions.end()) {
      return absl::InvalidArgumentError(
          "this world speaks version 1 of the protocol only");
    }
    // First of all: what the dispatcher notes comes after it.
    channel_.Put(frames::Encode(frames::Welcome{
                     frames::kVersion, dispatcher_.world_id(),
                     dispatcher_.opening_epoch(),
                     static_cast<std::uint64_t>(dispatcher_.lease().count()),
                     options_.frame_bytes_max}),
                 now);
    name_ = hello.executor;
    REENACT_ASSIGN_OR_RETURN(
        id_,
        dispatcher_.Attach(name_, hello.kinds,
                           static_cast<std::size_t>(hello.concurrency), this));
    return absl::OkStatus();
  }

  void Claim(const frames::Claim& claim, Clock::time_point now) {
    if (dispatcher_.Claim(id_, claim.intent).ok()) return;
    Answer(frames::Cancel{claim.intent, 0, "not on offer"}, now);
  }

  void Renew(const frames::Renew& renew, Clock::time_point now) {
    if (dispatcher_.Renew(id_, renew.intent, renew.epoch).ok()) return;
    Answer(frames::Cancel{renew.intent, renew.epoch, "stale lease"}, now);
  }

  absl::Status Submit(BytesView bytes) {
    const Digest digest = Hash(bytes);
    auto receipt = DecodeReceiptUnread(bytes);
    if (!receipt.ok()) {
      dispatcher_.Refuse(id_, name_, "malformed receipt", digest,
                         frames::IntentOfReceipt(bytes));
      return receipt.status();
    }
    return dispatcher_.Receive(id_, *std::move(receipt), digest);
  }

  // Sends, after what the dispatcher has said so far.
  void Answer(const frames::Frame& frame, Clock::time_point now) {
    TakeNotes(now);
    channel_.Put(frames::Encode(frame), now);
  }

  const ServerOptions& options_;
  Dispatcher& dispatcher_;
  const int wake_fd_;
  Clock::time_point since_;  // when it connected, or began to end
  Channel channel_;
  std::string name_;
  Dispatcher::Id id_ = 0;
  bool ending_ = false;
  bool protested_ = false;

  Mutex mutex_;
  Bytes noted_ ABSL_GUARDED_BY(mutex_);
};

bool IsSameUser(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == geteuid();
}

}  // namespace

class ExecutorServer::Core {
 public:
  Core(Dispatcher* dispatcher, ServerOptions options, int listen_fd,
       int wake_fd)
      : dispatcher_(*dispatcher),
        options_(std::move(options)),
        listen_fd_(listen_fd),
        wake_fd_(wake_fd) {
    struct stat status {};
    if (stat(options_.path.c_str(), &status) == 0) inode_ = status.st_ino;
    thread_ = std::thread([this] { Run(); });
  }
  ~Core() {
    Stop();
    close(listen_fd_);
    close(wake_fd_);
  }

  void Stop() {
    {
      MutexLock lock(&mutex_);
      if (std::exchange(stopping_, true)) return;
    }
    eventfd_write(wake_fd_, 1);
    thread_.join();
    // Somebody else's, if it was replaced meanwhile.
    struct stat status {};
    if (stat(options_.path.c_str(), &status) == 0 && status.st_ino == inode_) {
      unlink(options_.path.c_str());
    }
  }

  ServerStats Stats() const {
    MutexLock lock(&mutex_);
    return stats_;
  }

 private:
  void Run() {
    while (!IsStopping()) {
      Wait();
      const auto now = Clock::now();
      LetIn(now);
      Serve(now);
    }
    const auto now = Clock::now();
    for (Connection& connection : connections_) {
      connection.TakeNotes(now);
      connection.End(frames::Bye{"the world is closing"}, now);
      connection.Send(now);
    }
    connections_.clear();
  }

  bool IsStopping() const {
    MutexLock lock(&mutex_);
    return stopping_;
  }

  template <typename Change>
  void Count(Change change) {
    MutexLock lock(&mutex_);
    change(stats_);
    stats_.connected = connections_.size();
  }

  int PollTimeout() const {
    std::optional<Clock::time_point> next = accept_again_;
    for (const Connection& connection : connections_) {
      const auto time = connection.NextTime();
      if (time && (!next || *time < *next)) next = time;
    }
    if (!next) return -1;
    const auto left = std::chrono::ceil<milliseconds>(*next - Clock::now());
    return static_cast<int>(
        std::clamp<milliseconds::rep>(left.count(), 0, 3'600'000));
  }

  void Wait() {
    polled_.clear();
    polled_.push_back({wake_fd_, POLLIN, 0});
    const bool accepts = !accept_again_ || Clock::now() >= *accept_again_;
    if (accepts) accept_again_.reset();
    polled_.push_back({accepts ? listen_fd_ : -1, POLLIN, 0});
    for (const Connection& connection : connections_) {
      const int in = connection.is_ending() ? 0 : POLLIN;
      const int out = connection.wants_to_send() ? POLLOUT : 0;
      polled_.push_back({connection.fd(), static_cast<short>(in | out), 0});
    }
    poll(polled_.data(), polled_.size(), PollTimeout());
    eventfd_t ignored = 0;
    eventfd_read(wake_fd_, &ignored);
  }

  void LetIn(Clock::time_point now) {
    if ((polled_[1].revents & POLLIN) == 0) return;
    const int fd =
        accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // No descriptor is left: others may be given back.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        accept_again_ = now + milliseconds(100);
      }
      return;
    }
    if (connections_.size() >= options_.connections_max || !IsSameUser(fd)) {
      close(fd);
      return Count([](ServerStats& stats) { ++stats.turned_away; });
    }
    connections_.emplace_back(fd, options_, &dispatcher_, wake_fd_, now);
    Count([](ServerStats& stats) { ++stats.accepted; });
  }

  void Serve(Clock::time_point now) {
    // A connection that was just let in has not been polled.
    std::size_t place = 2;
    for (auto it = connections_.begin(); it != connections_.end(); ++place) {
      const short events =
          place < polled_.size() ? polled_[place].revents : short{0};
      const bool had_protested = it->has_protested();
      const bool stays = ServeOne(*it, events, now);
      if (!had_protested && it->has_protested()) {
        Count([](ServerStats& stats) { ++stats.protests; });
      }
      if (stays) {
        ++it;
        continue;
      }
      it = connections_.erase(it);
      Count([](ServerStats&) {});
    }
  }

  bool ServeOne(Connection& connection, short events, Clock::time_point now) {
    if (connection.is_ending() && (events & (POLLHUP | POLLERR)) != 0) {
      return false;
    }
    if (!connection.is_ending() &&
        (events & (POLLIN | POLLHUP | POLLERR)) != 0 &&
        !connection.Receive(now)) {
      return false;
    }
    if (!connection.TakeNotes(now) || connection.IsTooSlow(now)) {
      Count([](ServerStats& stats) { ++stats.dropped; });
      return false;
    }
    return connection.Send(now);
  }

  Dispatcher& dispatcher_;
  const ServerOptions options_;
  const int listen_fd_;
  const int wake_fd_;
  ino_t inode_ = 0;

  // The thread's.
  std::list<Connection> connections_;
  std::vector<pollfd> polled_;
  std::optional<Clock::time_point> accept_again_;

  mutable Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  ServerStats stats_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

ExecutorServer::ExecutorServer(std::unique_ptr<Core> core)
    : core_(std::move(core)) {}

ExecutorServer::~ExecutorServer() = default;

absl::StatusOr<std::unique_ptr<ExecutorServer>> ExecutorServer::Start(
    Dispatcher* dispatcher, ServerOptions options) {
  REENACT_ASSIGN_OR_RETURN(const int listen_fd, ListenAt(options.path));
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    const absl::Status status =
        absl::ErrnoToStatus(errno, "an event's descriptor");
    close(listen_fd);
    return status;
  }
  return std::unique_ptr<ExecutorServer>(
      new ExecutorServer(std::make_unique<Core>(dispatcher, std::move(options),
                                                listen_fd, wake_fd)));
}

void ExecutorServer::Stop() { core_->Stop(); }

ServerStats ExecutorServer::Stats() const { return core_->Stats(); }

}  // namespace reenact
