// The first error of something that many threads work on.

#ifndef REENACT_BASE_FIRST_ERROR_H_
#define REENACT_BASE_FIRST_ERROR_H_

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "reenact/base/mutex.h"

namespace reenact {

// Keeps the first error that it is given; later ones follow from it.
//
// Thread safety: any thread.
class FirstError {
 public:
  // Whether there is an error. A load, and no lock.
  bool has_error() const { return has_error_.load(); }
  absl::Status status() const {
    MutexLock lock(&mutex_);
    return status_;
  }
  // An OK status changes nothing.
  void Update(const absl::Status& status) {
    if (status.ok()) return;
    {
      MutexLock lock(&mutex_);
      status_.Update(status);
    }
    has_error_.store(true);
  }

 private:
  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> has_error_{false};
};

}  // namespace reenact

#endif  // REENACT_BASE_FIRST_ERROR_H_
