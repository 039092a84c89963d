// What a submission's waiters wait at.

#ifndef REENACT_KERNEL_SUBMISSION_H_
#define REENACT_KERNEL_SUBMISSION_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "reenact/kernel/world.h"

namespace reenact {

// Where those who wait for anything to become true wait, all at one place: a
// commit group makes hundreds of submissions durable at once, and waking all
// that wait for them is one call of the system then, not hundreds.
//
// Thread safety: any thread.
class NoticeBoard {
 public:
  // Returns once `done()` is true. What makes it true must be stored, at least
  // in part, to a sequentially consistent atomic before Post() is called.
  template <typename Done>
  void Wait(const Done& done) {
    while (!done()) {
      const std::uint32_t seen = notices_.load();
      waiting_.fetch_add(1);
      // Either this sees what was stored, or Post() sees that somebody waits.
      if (!done()) notices_.wait(seen);
      waiting_.fetch_sub(1);
    }
  }

  // Lets all who wait look again.
  void Post() {
    if (waiting_.load() == 0) return;
    notices_.fetch_add(1);
    notices_.notify_all();
  }

 private:
  std::atomic<std::uint32_t> notices_{0};
  std::atomic<std::uint32_t> waiting_{0};
};

// How far one submission has come.
//
// Thread safety: Wait() from any thread. The rest from one thread at a time;
// moments come in order, each once; an error ends all waiting.
struct Submission::State {
 public:
  enum class Moment : std::uint32_t { kNone, kTicketed, kCommitted, kDurable };
  // One for each moment that can be waited for, shared by all of a world's.
  struct Boards {
    std::array<NoticeBoard, 3> of;
    NoticeBoard& For(Moment moment) {
      return of[static_cast<std::size_t>(moment) - 1];
    }
  };

  explicit State(std::shared_ptr<Boards> boards) : boards_(std::move(boards)) {}

  void Ticketed(EventId event_id) {
    outcome_.event_id = event_id;
    reached_.store(Moment::kTicketed);
    boards_->For(Moment::kTicketed).Post();
  }
  void Committed(std::optional<FailureCode> failure) {
    outcome_.failure = failure;
    reached_.store(Moment::kCommitted);
    boards_->For(Moment::kCommitted).Post();
  }
  // Whoever calls it posts to the board of kDurable, once for a whole group.
  void Durable() { reached_.store(Moment::kDurable); }
  // What was reached before stays reached.
  void End(const absl::Status& error) {
    error_ = error;
    ended_.store(true);
    for (NoticeBoard& board : boards_->of) board.Post();
  }

  absl::StatusOr<Outcome> Wait(Moment moment) {
    boards_->For(moment).Wait(
        [&] { return reached_.load() >= moment || ended_.load(); });
    if (reached_.load() >= moment) return OutcomeAt(moment);
    return error_;
  }

 private:
  // Only what is constant by then: the rest may be written at this moment.
  Outcome OutcomeAt(Moment moment) const {
    Outcome outcome;
    outcome.event_id = outcome_.event_id;
    if (moment >= Moment::kCommitted) outcome.failure = outcome_.failure;
    return outcome;
  }

  const std::shared_ptr<Boards> boards_;
  std::atomic<Moment> reached_{Moment::kNone};
  std::atomic<bool> ended_{false};
  Outcome outcome_;     // each part constant from its moment on
  absl::Status error_;  // constant once ended_
};

}  // namespace reenact

#endif  // REENACT_KERNEL_SUBMISSION_H_
