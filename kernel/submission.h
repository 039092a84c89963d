// What a submission's waiters wait at.

#ifndef REENACT_KERNEL_SUBMISSION_H_
#define REENACT_KERNEL_SUBMISSION_H_

#include <optional>

#include "reenact/kernel/mutex.h"
#include "reenact/kernel/world.h"

namespace reenact {

// Thread safety: any thread. Moments come in order, each once; an error ends
// all waiting.
struct Submission::State {
 public:
  enum class Moment { kNone, kTicketed, kCommitted, kDurable };

  void Ticketed(EventId event_id) {
    MutexLock lock(&mutex_);
    outcome_.event_id = event_id;
    Reach(Moment::kTicketed);
  }
  void Committed(std::optional<FailureCode> failure) {
    MutexLock lock(&mutex_);
    outcome_.failure = failure;
    Reach(Moment::kCommitted);
  }
  void Durable() {
    MutexLock lock(&mutex_);
    Reach(Moment::kDurable);
  }
  // What was reached before stays reached.
  void End(const absl::Status& error) {
    MutexLock lock(&mutex_);
    if (error_.ok()) error_ = error;
    changed_.SignalAll();
  }
  EventId event_id() const {
    MutexLock lock(&mutex_);
    return outcome_.event_id;
  }

  absl::StatusOr<Outcome> Wait(Moment moment) {
    MutexLock lock(&mutex_);
    while (reached_ < moment && error_.ok()) changed_.Wait(&mutex_);
    if (reached_ >= moment) return outcome_;
    return error_;
  }

 private:
  void Reach(Moment moment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reached_ = moment;
    changed_.SignalAll();
  }

  mutable Mutex mutex_;
  CondVar changed_;
  Moment reached_ ABSL_GUARDED_BY(mutex_) = Moment::kNone;
  Outcome outcome_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reenact

#endif  // REENACT_KERNEL_SUBMISSION_H_
