// A task for tests: one effect, and what an executor asks it for.

#ifndef REENACT_TESTS_EXECUTORS_FAKE_TASK_H_
#define REENACT_TESTS_EXECUTORS_FAKE_TASK_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <utility>

#include "reenact/executors/blob_store.h"
#include "reenact/executors/executor.h"
#include "reenact/executors/secrets.h"

namespace reenact {

class FakeTask final : public Task {
 public:
  explicit FakeTask(const cbor::Value& params, BlobStore* blobs = nullptr,
                    Secrets secrets = Secrets())
      : blobs_(blobs),
        secrets_(std::move(secrets)),
        cancel_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    effect_.params = params.Encode();
    effect_.idempotency_key = Hash("key");
    effect_.event_id = EventId{7};
  }
  ~FakeTask() override { close(cancel_fd_); }

  void Cancel() {
    cancelled_ = true;
    eventfd_write(cancel_fd_, 1);
  }
  void set_time_left(std::chrono::milliseconds left) {
    deadline_ = Clock::now() + left;
  }
  OpenEffect* mutable_effect() { return &effect_; }

  const OpenEffect& effect() const override { return effect_; }
  std::uint32_t attempt() const override { return 1; }
  Clock::time_point deadline() const override { return deadline_; }
  bool cancelled() const override { return cancelled_; }
  int cancel_fd() const override { return cancel_fd_; }
  BlobStore* blobs() override { return blobs_; }
  const Secrets& secrets() const override { return secrets_; }

 private:
  OpenEffect effect_;
  BlobStore* const blobs_;
  const Secrets secrets_;
  const int cancel_fd_;
  std::atomic<bool> cancelled_{false};
  Clock::time_point deadline_ = Clock::now() + std::chrono::minutes(5);
};

// The payload as a tree, and its "error", or "".
inline cbor::Value PayloadOf(const Answer& answer) {
  return cbor::Value::Parse(answer.payload).value();
}
inline std::string ErrorOf(const Answer& answer) {
  const cbor::Value payload = PayloadOf(answer);
  const auto text = payload.GetText("error");
  return text.ok() ? std::string(*text) : "";
}
inline Bytes BytesIn(const Answer& answer, std::string_view name) {
  const cbor::Value payload = PayloadOf(answer);
  const cbor::Value* value = payload.Find(name);
  if (value == nullptr || !value->IsBytes()) return "(no such bytes)";
  return Bytes(*value->AsBytes());
}

}  // namespace reenact

#endif  // REENACT_TESTS_EXECUTORS_FAKE_TASK_H_
