// Who hears of what once it is durable: executors of effects, and those who
// sent receipts.

#ifndef REENACT_WORLD_NOTIFIER_H_
#define REENACT_WORLD_NOTIFIER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "reenact/base/mutex.h"
#include "reenact/base/status.h"
#include "reenact/committer/ledger.h"
#include "reenact/kernel/ids.h"
#include "reenact/workers/step_run.h"
#include "reenact/world/effects.h"

namespace reenact {

// Notifications wait here, in the order of their rounds, until the round's
// block is durable.
//
// Thread safety: the ordered role adds and collects; any thread delivers, one
// at a time. A listener is called without a lock held: it has locks of its own,
// under which others may ask the world something.
class Notifier {
 public:
  struct Parts {
    EffectListener* listener = nullptr;  // null: nobody listens
    Ledger* ledger = nullptr;
    const StepRules* rules = nullptr;
    EventId head;  // of history when the world was opened
  };

  // All of `parts` outlives it.
  explicit Notifier(const Parts& parts) : parts_(parts) {}

  // --- the ordered role ------------------------------------------------------

  // The sender of a receipt, which the next round holds, is to hear `verdict`.
  void AddVerdict(ReceiptSink::Done done, absl::Status verdict);
  // What is to be heard of the round whose block has index `block`; its logical
  // time is `time`.
  void Collect(std::uint64_t block, LogicalTime time);
  // What was open when the world was opened, if no round has told of it. At
  // once: it is durable.
  void DeliverOpen(LogicalTime time);

  // --- any thread ------------------------------------------------------------

  // Delivers what `block_count()` blocks cover, unless another thread is at it:
  // that one looks again.
  void DeliverDurable(const std::function<std::uint64_t()>& block_count);
  // The world has ended: senders that wait hear `status`. Waits for a delivery
  // under way.
  void End(const absl::Status& status);

 private:
  struct Notification {
    std::uint64_t block_count = 0;  // that must be durable
    std::vector<Ledger::Notice> notices;
    std::vector<std::pair<ReceiptSink::Done, absl::Status>> verdicts;
  };

  std::vector<Ledger::Notice> TakeNotices(LogicalTime now);
  bool BecomeDeliverer();
  std::optional<Notification> Next(
      const std::function<std::uint64_t()>& block_count);
  std::deque<Notification> TakeAll();
  void Deliver(Notification& notification);

  const Parts parts_;
  // The ordered role's.
  Notification next_;          // of the round to come, or at work
  bool told_of_open_ = false;  // what was open when the world was opened

  Mutex mutex_;
  CondVar delivered_;
  std::deque<Notification> waiting_ ABSL_GUARDED_BY(mutex_);
  bool is_delivering_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace reenact

#endif  // REENACT_WORLD_NOTIFIER_H_
