// One attempt in this process.

#ifndef REENACT_EXECUTORS_RUNNING_TASK_H_
#define REENACT_EXECUTORS_RUNNING_TASK_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "reenact/executors/agenda.h"
#include "reenact/executors/executor.h"
#include "reenact/executors/secrets.h"

namespace reenact {

// Thread safety: see Task; Cancel() from any thread.
class RunningTask final : public Task {
 public:
  RunningTask(Lease lease, BlobStore* blobs, Secrets secrets)
      : lease_(std::move(lease)),
        blobs_(blobs),
        secrets_(std::move(secrets)),
        cancel_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~RunningTask() override {
    if (cancel_fd_ >= 0) close(cancel_fd_);
  }

  const Lease& lease() const { return lease_; }
  void Cancel() {
    cancelled_.store(true);
    if (cancel_fd_ < 0) return;
    // It can fail only if it was readable before.
    [[maybe_unused]] const int failed = eventfd_write(cancel_fd_, 1);
  }

  const OpenEffect& effect() const override { return *lease_.effect; }
  std::uint32_t attempt() const override { return lease_.attempt; }
  Clock::time_point deadline() const override { return lease_.until; }
  bool cancelled() const override { return cancelled_.load(); }
  // -1, which poll() passes over, if the process has no descriptor left.
  int cancel_fd() const override { return cancel_fd_; }
  BlobStore* blobs() override { return blobs_; }
  const Secrets& secrets() const override { return secrets_; }

 private:
  const Lease lease_;
  BlobStore* const blobs_;
  const Secrets secrets_;
  const int cancel_fd_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_RUNNING_TASK_H_
