#include "reenact/executors/message_executor.h"

#include <poll.h>

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "reenact/base/mutex.h"
#include "reenact/executors/content.h"
#include "reenact/executors/inbox.h"
#include "reenact/executors/params.h"
#include "reenact/kernel/effects/answer.h"

namespace reenact {
namespace {

using std::chrono::milliseconds;

class WorldTarget final : public MessageTarget {
 public:
  explicit WorldTarget(World* world) : world_(world) {}

  absl::Status Deliver(const Input& input, Task& task, Reach* reach) override {
    REENACT_ASSIGN_OR_RETURN(const Submission submission, SubmitOnce(input));
    *reach = Reach::kPerhaps;
    milliseconds pause(1);
    for (;;) {
      if (const auto outcome = submission.TryWaitDurable()) {
        Forget(input.submission_id);
        // The world had it when it was opened, so it is durable: what this
        // target has submitted since is not submitted again before that.
        if (absl::IsAlreadyExists(outcome->status())) return absl::OkStatus();
        return outcome->status();
      }
      REENACT_RETURN_IF_ERROR(Pause(task, &pause));
    }
  }

 private:
  static constexpr milliseconds kPauseMax{16};

  // A second try waits for what the first one has submitted: being told that
  // this was admitted would not say that it is durable.
  absl::StatusOr<Submission> SubmitOnce(const Input& input) {
    MutexLock lock(&mutex_);
    const auto found = under_way_.find(input.submission_id);
    if (found != under_way_.end()) return found->second;
    absl::StatusOr<Submission> submission = world_->Submit(input);
    if (submission.ok()) under_way_.emplace(input.submission_id, *submission);
    return submission;
  }

  void Forget(const std::string& submission_id) {
    MutexLock lock(&mutex_);
    under_way_.erase(submission_id);
  }

  // Longer from time to time; not longer than the task has.
  static absl::Status Pause(Task& task, milliseconds* pause) {
    const milliseconds left = TimeLeft(task, *pause);
    if (left == milliseconds(0)) {
      return absl::DeadlineExceededError(
          "the message waits in the other world, which does not run");
    }
    pollfd cancelled{task.cancel_fd(), POLLIN, 0};
    ::poll(&cancelled, 1, static_cast<int>(left.count()));
    if (task.cancelled()) return absl::CancelledError("cancelled");
    *pause = std::min(2 * *pause, kPauseMax);
    return absl::OkStatus();
  }

  World* const world_;
  Mutex mutex_;
  std::map<std::string, Submission> under_way_ ABSL_GUARDED_BY(mutex_);
};

class InboxTarget final : public MessageTarget {
 public:
  explicit InboxTarget(std::string directory)
      : directory_(std::move(directory)) {}

  absl::Status Deliver(const Input& input, Task& task, Reach* reach) override {
    bool placing = false;
    const absl::Status status =
        PutIntoInbox(directory_, MessageName(task.effect()), input, &placing);
    if (placing) *reach = Reach::kPerhaps;
    return status;
  }

 private:
  const std::string directory_;
};

struct Message {
  std::string to;
  Input input;
};

absl::StatusOr<Message> ReadMessage(const OpenEffect& effect) {
  Params params(effect.params);
  Message message;
  Input& input = message.input;
  message.to = params.Text("to");
  input.event.reducer = params.Text("reducer");
  input.event.key = params.Text("key");
  input.event.schema = params.Text("schema", "");
  if (input.event.schema == kAnswerSchema) {
    params.Fail("schema", "is reserved for answers to effects");
  }
  input.priority = static_cast<std::uint8_t>(
      params.Integer("priority", kPriorityDefault, 0, kPriorities - 1));
  input.time = LogicalTime{
      params.Integer("time", effect.queued.value, INT64_MIN, INT64_MAX)};
  const cbor::Value* const payload = params.Any("payload");
  if (payload == nullptr) params.Fail("payload", "is missing");
  REENACT_RETURN_IF_ERROR(params.Finish());
  input.event.payload = payload->Encode();
  // 64 digits: the longest id that there may be.
  input.submission_id = effect.idempotency_key.ToHex();
  return message;
}

}  // namespace

std::unique_ptr<MessageTarget> ToWorld(World* world) {
  return std::make_unique<WorldTarget>(world);
}

std::unique_ptr<MessageTarget> ToInbox(std::string directory) {
  return std::make_unique<InboxTarget>(std::move(directory));
}

// Targets by name. Whoever delivers holds a share of its target.
class MessageExecutor::Targets {
 public:
  using Share = std::shared_ptr<MessageTarget>;

  void Add(std::string name, Share target) {
    MutexLock lock(&mutex_);
    targets_[std::move(name)] = std::move(target);
  }

  void Remove(std::string_view name) {
    MutexLock lock(&mutex_);
    const auto found = targets_.find(name);
    if (found == targets_.end()) return;
    const Share target = std::move(found->second);
    targets_.erase(found);
    while (target.use_count() > 1) returned_.Wait(&mutex_);
  }

  // Null: there is none of that name.
  Share Borrow(std::string_view name) {
    MutexLock lock(&mutex_);
    const auto found = targets_.find(name);
    return found == targets_.end() ? nullptr : found->second;
  }

  void Return(Share target) {
    MutexLock lock(&mutex_);
    target.reset();
    returned_.SignalAll();
  }

 private:
  Mutex mutex_;
  CondVar returned_;
  std::map<std::string, Share, std::less<>> targets_ ABSL_GUARDED_BY(mutex_);
};

MessageExecutor::MessageExecutor() : targets_(std::make_unique<Targets>()) {}

MessageExecutor::~MessageExecutor() = default;

void MessageExecutor::Add(std::string name,
                          std::unique_ptr<MessageTarget> target) {
  targets_->Add(std::move(name), std::move(target));
}

void MessageExecutor::Remove(std::string_view name) { targets_->Remove(name); }

std::string MessageExecutor::PeerOf(const OpenEffect& effect) const {
  return Params(effect.params).Text("to", "");
}

Answer MessageExecutor::Execute(Task& task) {
  const absl::StatusOr<Message> message = ReadMessage(task.effect());
  if (!message.ok()) return AnswerOf(message.status(), task);
  Targets::Share target = targets_->Borrow(message->to);
  if (target == nullptr) {
    return AnswerOf(absl::NotFoundError(absl::StrCat(
                        "no world is known here as \"", message->to, "\"")),
                    task);
  }
  Reach reach = Reach::kKnown;
  const absl::Status status = target->Deliver(message->input, task, &reach);
  targets_->Return(std::move(target));
  const Amounts usage{{"calls", 1},
                      {"bytes", message->input.event.payload.size()}};
  if (!status.ok()) return AnswerOf(status, task, usage, reach);
  return Answer::Ok(
      cbor::Value::Map({{"to", cbor::Value(message->to)},
                        {"id", cbor::Value(message->input.submission_id)}}),
      usage);
}

}  // namespace reenact
