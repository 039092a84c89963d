#include "reenact/world/notifier.h"

#include <algorithm>
#include <iterator>

#include "reenact/base/test_points.h"

namespace reenact {

void Notifier::AddVerdict(ReceiptSink::Done done, absl::Status verdict) {
  next_.verdicts.emplace_back(std::move(done), std::move(verdict));
}

void Notifier::Collect(std::uint64_t block, LogicalTime time) {
  next_.notices = TakeNotices(time);
  if (next_.notices.empty() && next_.verdicts.empty()) return;
  const bool early =
      REENACT_PLANTED("effects are told of before they are durable");
  next_.block_count = early ? 0 : block + 1;
  MutexLock lock(&mutex_);
  waiting_.push_back(std::exchange(next_, {}));
}

void Notifier::DeliverOpen(LogicalTime time) {
  if (told_of_open_) return;
  Notification open;
  open.notices = TakeNotices(time);
  Deliver(open);
}

// What executors are to hear at `now`. The first time that is everything that
// is open: before the first round nobody knows what it will find too late.
std::vector<Ledger::Notice> Notifier::TakeNotices(LogicalTime now) {
  std::vector<Ledger::Notice> notices = parts_.ledger->TakeNotices(now);
  if (!std::exchange(told_of_open_, true)) {
    std::erase_if(notices, [](const auto& notice) { return !notice.listed; });
    std::vector<Ledger::Notice> open = parts_.ledger->AllOpen(now);
    for (Ledger::Notice& notice : open) {
      notice.open->begun = notice.open->event_id <= parts_.head;
    }
    std::move(open.begin(), open.end(), std::back_inserter(notices));
  }
  for (Ledger::Notice& notice : notices) {
    if (notice.open) {
      notice.open->origin.reducer = parts_.rules->name(notice.reducer);
    }
  }
  return notices;
}

void Notifier::DeliverDurable(
    const std::function<std::uint64_t()>& block_count) {
  if (!BecomeDeliverer()) return;
  while (std::optional<Notification> next = Next(block_count)) {
    Deliver(*next);
  }
}

bool Notifier::BecomeDeliverer() {
  MutexLock lock(&mutex_);
  if (is_delivering_ || waiting_.empty()) return false;
  is_delivering_ = true;
  return true;
}

// The next one that is durable; if there is none, the caller delivers no more.
// Asks under the lock: whoever finds this thread delivering leaves what is
// durable by then to it.
std::optional<Notifier::Notification> Notifier::Next(
    const std::function<std::uint64_t()>& block_count) {
  MutexLock lock(&mutex_);
  if (waiting_.empty() || waiting_.front().block_count > block_count()) {
    is_delivering_ = false;
    delivered_.SignalAll();
    return std::nullopt;
  }
  Notification next = std::move(waiting_.front());
  waiting_.pop_front();
  return next;
}

void Notifier::Deliver(Notification& notification) {
  if (REENACT_PLANTED("executors hear of the last effect first")) {
    std::reverse(notification.notices.begin(), notification.notices.end());
  }
  for (Ledger::Notice& notice : notification.notices) {
    if (parts_.listener == nullptr) break;
    if (notice.open) {
      REENACT_FAILPOINT("D13 before effect is handed out");
      parts_.listener->Open(*notice.open);
      REENACT_FAILPOINT("D14 after effect was handed out");
    } else if (notice.listed) {
      parts_.listener->Listed(*notice.listed);
    } else {
      parts_.listener->Closed(notice.intent_hash);
    }
  }
  for (auto& [done, verdict] : notification.verdicts) {
    REENACT_FAILPOINT("before a receipt's verdict is told");
    done(verdict);
  }
}

std::deque<Notifier::Notification> Notifier::TakeAll() {
  MutexLock lock(&mutex_);
  while (is_delivering_) delivered_.Wait(&mutex_);
  waiting_.push_back(std::exchange(next_, {}));
  return std::exchange(waiting_, {});
}

void Notifier::End(const absl::Status& status) {
  for (Notification& notification : TakeAll()) {
    for (auto& [done, verdict] : notification.verdicts) done(status);
  }
}

}  // namespace reenact
