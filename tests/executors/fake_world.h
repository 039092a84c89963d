// A world's side of the door, without a world.

#ifndef REENACT_TESTS_EXECUTORS_FAKE_WORLD_H_
#define REENACT_TESTS_EXECUTORS_FAKE_WORLD_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/mutex.h"
#include "reenact/executors/dispatcher.h"
#include "reenact/world/effects.h"
#include "tests/executors/open_effects.h"

namespace reenact {

// Judges receipts as a world does: signature, then payload, then whether the
// effect is open. Waiting has no time-out of its own; ctest has.
class FakeWorld final : public ReceiptSink {
 public:
  void Listen(EffectListener* listener) { listener_ = listener; }

  void Open(const OpenEffect& effect) {
    {
      MutexLock lock(&mutex_);
      open_.insert(effect.intent_hash);
    }
    listener_->Open(effect);
  }
  void Close(const Digest& intent) {
    {
      MutexLock lock(&mutex_);
      open_.erase(intent);
      closed_.insert(intent);
    }
    listener_->Closed(intent);
  }

  // So many receipts are turned away first.
  void HaveNoRoom(int times) {
    MutexLock lock(&mutex_);
    no_room_ = times;
  }
  void DemandSignature(const PublicKey& key) {
    MutexLock lock(&mutex_);
    key_ = key;
  }
  void DemandNoSignature() {
    MutexLock lock(&mutex_);
    key_.reset();
  }
  void HaveRoomForPayloads(std::size_t bytes) {
    MutexLock lock(&mutex_);
    payload_bytes_max_ = bytes;
  }

  absl::Status SubmitReceipt(Receipt receipt, Done done) override {
    absl::Status verdict;
    {
      MutexLock lock(&mutex_);
      if (no_room_ > 0) {
        --no_room_;
        return absl::ResourceExhaustedError("no room");
      }
      verdict = Judge(receipt);
      verdicts_.push_back(verdict.code());
      if (verdict.ok()) accepted_.emplace(receipt.intent_hash, receipt);
      changed_.SignalAll();
    }
    if (verdict.ok() && listener_) listener_->Closed(receipt.intent_hash);
    done(verdict);
    return absl::OkStatus();
  }
  void RefuseReceipt(std::string_view executor, std::string_view reason,
                     const Digest& digest) override {
    MutexLock lock(&mutex_);
    refusals_.push_back(std::string(executor) + ": " + std::string(reason));
    refused_digests_.push_back(digest);
    changed_.SignalAll();
  }

  Receipt WaitFor(const Digest& intent) {
    MutexLock lock(&mutex_);
    while (!accepted_.contains(intent)) changed_.Wait(&mutex_);
    return accepted_.at(intent);
  }
  void WaitForAccepted(std::size_t count) {
    MutexLock lock(&mutex_);
    while (accepted_.size() < count) changed_.Wait(&mutex_);
  }
  void WaitForVerdicts(std::size_t count) {
    MutexLock lock(&mutex_);
    while (verdicts_.size() < count) changed_.Wait(&mutex_);
  }
  std::vector<std::string> WaitForRefusals(std::size_t count) {
    MutexLock lock(&mutex_);
    while (refusals_.size() < count) changed_.Wait(&mutex_);
    return refusals_;
  }
  std::size_t Accepted() {
    MutexLock lock(&mutex_);
    return accepted_.size();
  }
  std::vector<absl::StatusCode> Verdicts() {
    MutexLock lock(&mutex_);
    return verdicts_;
  }
  std::vector<std::string> Refusals() {
    MutexLock lock(&mutex_);
    return refusals_;
  }

 private:
  absl::Status Judge(const Receipt& receipt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (key_ && !IsSignedBy(WorldId(), *key_, receipt)) {
      return absl::PermissionDeniedError("not signed as it must be");
    }
    if (receipt.payload.size() > payload_bytes_max_) {
      return absl::InvalidArgumentError("too large");
    }
    if (absl::Status status = CheckPayload(receipt); !status.ok()) {
      return status;
    }
    const auto accepted = accepted_.find(receipt.intent_hash);
    if (accepted != accepted_.end()) {
      return accepted->second == receipt
                 ? absl::AlreadyExistsError("accepted before")
                 : absl::FailedPreconditionError("another was accepted");
    }
    if (closed_.contains(receipt.intent_hash)) {
      return absl::FailedPreconditionError("cancelled");
    }
    if (!open_.contains(receipt.intent_hash)) {
      return absl::NotFoundError("no such effect");
    }
    return absl::OkStatus();
  }

  EffectListener* listener_ = nullptr;
  Mutex mutex_;
  CondVar changed_;
  std::set<Digest> open_ ABSL_GUARDED_BY(mutex_);
  std::set<Digest> closed_ ABSL_GUARDED_BY(mutex_);
  std::map<Digest, Receipt> accepted_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::StatusCode> verdicts_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> refusals_ ABSL_GUARDED_BY(mutex_);
  std::vector<Digest> refused_digests_ ABSL_GUARDED_BY(mutex_);
  std::optional<PublicKey> key_ ABSL_GUARDED_BY(mutex_);
  int no_room_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t payload_bytes_max_ ABSL_GUARDED_BY(mutex_) = 1 << 20;
};

// An executor that is a function.
class Doing final : public Executor {
 public:
  using Function = std::function<Answer(Task&)>;
  Doing(std::string kind, Function function)
      : kind_(std::move(kind)), function_(std::move(function)) {}

  std::string_view kind() const override { return kind_; }
  Answer Execute(Task& task) override { return function_(task); }

 private:
  const std::string kind_;
  const Function function_;
};

inline std::shared_ptr<Executor> Do(std::string kind,
                                    Doing::Function function) {
  return std::make_shared<Doing>(std::move(kind), std::move(function));
}

// Something that one thread does and others wait for.
class Signal {
 public:
  void Give() {
    MutexLock lock(&mutex_);
    ++given_;
    changed_.SignalAll();
  }
  void Wait(int times = 1) {
    MutexLock lock(&mutex_);
    while (given_ < times) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int given_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace reenact

#endif  // REENACT_TESTS_EXECUTORS_FAKE_WORLD_H_
