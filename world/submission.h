// What a submission's waiters wait at.

#ifndef REENACT_WORLD_SUBMISSION_H_
#define REENACT_WORLD_SUBMISSION_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "reenact/base/futex.h"
#include "reenact/base/mutex.h"
#include "reenact/world/world.h"

namespace reenact {

// How far a world is durable, and which submissions somebody waits for to
// become so. A commit group makes hundreds of them durable at once: those that
// nobody waits for cost nothing then, and nobody else is woken.
//
// Thread safety: any thread.
class DurabilityWatermark {
 public:
  using StatePtr = std::shared_ptr<Submission::State>;

  // Never goes back.
  EventId reached() const { return EventId{reached_.load()}; }
  // Tells `state` once ticket `event_id` is durable, or that it never will be.
  void Await(EventId event_id, StatePtr state);
  // All tickets up to `durable` are.
  void Advance(EventId durable);
  // No more will be: `error` is what all who wait are told, now and later.
  void End(const absl::Status& error);

 private:
  using Waiting = std::pair<std::uint64_t, StatePtr>;
  struct Later {
    bool operator()(const Waiting& a, const Waiting& b) const {
      return a.first > b.first;
    }
  };

  std::atomic<std::uint64_t> reached_{0};  // changes under the mutex
  Mutex mutex_;
  // A heap, the earliest first: as many as there are threads that wait, about.
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

// How far one submission has come.
//
// Thread safety: waiting from any thread, Ticketed() and Committed() from one
// at a time and in this order. An error ends all waiting.
struct Submission::State {
 public:
  // A bit each.
  enum Moment : std::uint32_t {
    kTicketed = 1,
    kCommitted = 2,
    kDurable = 4,
    kEnded = 8,
  };

  explicit State(std::shared_ptr<DurabilityWatermark> line)
      : line_(std::move(line)) {}

  void Ticketed(EventId event_id) {
    outcome_.event_id = event_id;
    Reach(kTicketed);
  }
  // `self` is this one.
  void Committed(std::optional<FailureCode> failure,
                 const std::shared_ptr<State>& self) {
    outcome_.failure = failure;
    Reach(kCommitted);
    // Either this sees who waits, or WaitDurable() sees that it is committed.
    if (awaited_.load() & kDurable) line_->Await(outcome_.event_id, self);
  }
  // The line's.
  void Durable() { Reach(kDurable); }
  // What was reached before stays reached. Not from two threads at a time.
  void End(const absl::Status& error) {
    if (reached_.load() & kEnded) return;
    error_ = error;
    Reach(kEnded);
  }

  absl::StatusOr<Outcome> Wait(Moment moment) {
    const std::uint32_t reached = SleepUntil(moment);
    if (reached & moment) return OutcomeAt(moment);
    return error_;
  }
  // `self` is this one.
  absl::StatusOr<Outcome> WaitDurable(const std::shared_ptr<State>& self) {
    if (IsDurable()) return OutcomeAt(kDurable);
    awaited_.fetch_or(kDurable);
    if (reached_.load() & kCommitted) line_->Await(outcome_.event_id, self);
    return Wait(kDurable);
  }
  // The same without waiting: nothing, while it would have to.
  std::optional<absl::StatusOr<Outcome>> TryWaitDurable(
      const std::shared_ptr<State>& self) {
    if (IsDurable()) return OutcomeAt(kDurable);
    const bool asked = (awaited_.fetch_or(kDurable) & kDurable) != 0;
    if (!asked && (reached_.load() & kCommitted) != 0) {
      line_->Await(outcome_.event_id, self);
    }
    const std::uint32_t reached = reached_.load();
    if (reached & kDurable) return OutcomeAt(kDurable);
    if (reached & kEnded) return error_;
    return std::nullopt;
  }

 private:
  // The line need not have told this one.
  bool IsDurable() const {
    return (reached_.load() & kCommitted) != 0 &&
           outcome_.event_id <= line_->reached();
  }

  void Reach(Moment moment) {
    reached_.fetch_or(moment);
    const std::uint32_t wake = moment == kEnded ? ~0U : moment;
    if (awaited_.load() & wake) FutexWake(reached_, wake);
  }

  std::uint32_t SleepUntil(Moment moment) {
    std::uint32_t reached = reached_.load();
    while (!(reached & (moment | kEnded))) {
      awaited_.fetch_or(moment);
      // Either this sees what was reached, or Reach() sees that somebody waits.
      reached = reached_.load();
      if (reached & (moment | kEnded)) break;
      FutexWait(reached_, reached, moment);
      reached = reached_.load();
    }
    return reached;
  }

  // Only what is constant by then: the rest may be written at this moment.
  Outcome OutcomeAt(Moment moment) const {
    Outcome outcome;
    outcome.event_id = outcome_.event_id;
    if (moment != kTicketed) outcome.failure = outcome_.failure;
    return outcome;
  }

  const std::shared_ptr<DurabilityWatermark> line_;
  FutexWord reached_{0};                   // moments
  std::atomic<std::uint32_t> awaited_{0};  // moments that somebody waits for
  Outcome outcome_;     // each part constant from its moment on
  absl::Status error_;  // constant once it has ended
};

inline void DurabilityWatermark::Await(EventId event_id, StatePtr state) {
  MutexLock lock(&mutex_);
  if (event_id.value <= reached_.load()) return state->Durable();
  if (!error_.ok()) return state->End(error_);
  waiting_.emplace_back(event_id.value, std::move(state));
  std::push_heap(waiting_.begin(), waiting_.end(), Later());
}

inline void DurabilityWatermark::Advance(EventId durable) {
  std::vector<Waiting> told;
  {
    MutexLock lock(&mutex_);
    if (durable.value <= reached_.load()) return;
    reached_.store(durable.value);
    while (!waiting_.empty() && waiting_.front().first <= durable.value) {
      std::pop_heap(waiting_.begin(), waiting_.end(), Later());
      told.push_back(std::move(waiting_.back()));
      waiting_.pop_back();
    }
  }
  for (const auto& [event_id, state] : told) state->Durable();
}

inline void DurabilityWatermark::End(const absl::Status& error) {
  MutexLock lock(&mutex_);
  if (error_.ok()) error_ = error;
  for (const auto& [event_id, state] : waiting_) state->End(error_);
  waiting_.clear();
}

}  // namespace reenact

#endif  // REENACT_WORLD_SUBMISSION_H_
