// What comes into a world: inputs, receipts and control commands, on their way
// into a round.

#ifndef REENACT_WORLD_ADMISSION_H_
#define REENACT_WORLD_ADMISSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "reenact/base/bytes.h"
#include "reenact/base/mutex.h"
#include "reenact/base/status.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/workers/step_run.h"
#include "reenact/world/failure_orders.h"
#include "reenact/world/feed.h"
#include "reenact/world/ingress.h"
#include "reenact/world/notifier.h"
#include "reenact/world/state.h"
#include "reenact/world/submissions.h"
#include "reenact/world/world_internal.h"

namespace reenact {

// "no reducer is called "x"", and an error of an event with its cell before it.
absl::Status NoSuchReducer(std::string_view name);
absl::Status ForEvent(const absl::Status& status, std::string_view reducer,
                      std::string_view key);

// A receipt, or what came in its place, with who is to hear what became of it.
struct IncomingReceipt {
  std::variant<Receipt, entry::ReceiptRefused> what;
  ReceiptSink::Done done;  // may be empty
};

// Something that waits in the ingress.
struct Incoming {
  // Bytes: a control command's entry
  std::variant<Input, Bytes, IncomingReceipt> what;
  SubmissionState state;  // null: a receipt's
};

struct PendingControl {
  Entry entry;  // its input's number is given when its round is composed
  SubmissionState state;
};

// Pulls what comes in, from callers by the ingress, from a feed, or from a
// script of recorded rounds; numbers and records what the next round admits.
//
// Thread safety: Offer() and Close() from any thread; the rest is the ordered
// role's.
class Admission {
 public:
  // All outlive it.
  struct Parts {
    State* state = nullptr;
    const StepRules* rules = nullptr;
    Submissions* submissions = nullptr;
    Notifier* notifier = nullptr;
    FailureOrders* failures = nullptr;
    RoundScript* script = nullptr;  // null: none
  };
  struct Counts {
    std::uint64_t inputs = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t receipts = 0;
    std::uint64_t receipts_duplicate = 0;
    std::uint64_t receipts_refused = 0;
  };

  Admission(std::size_t ingress_capacity, const Parts& parts);

  // --- any thread ------------------------------------------------------------

  // ResourceExhausted: full; try again later. FailedPrecondition: closed.
  absl::Status Offer(Incoming incoming) {
    return ingress_.Offer(std::move(incoming));
  }
  void Close() { ingress_.Close(); }
  // Where the source of the last input stood; 0: not known.
  std::uint64_t position() const { return position_.load(); }

  // --- the ordered role ------------------------------------------------------

  Feed& feed() { return feed_; }
  // The next round, if a script gives it and it was not composed yet.
  const ScriptedRound* scripted() const {
    return scripted_pending_ ? &scripted_ : nullptr;
  }

  // Pulls what there is for the next round; a few rows at a time, since the
  // role has finished steps to commit in between: pulling() says whether there
  // may be more. What a round admits does not depend on it. Once
  // `interrupted` is set, a round that has not begun to admit gets nothing; it
  // is looked at before each row.
  //
  // False: the script is at its end. DataLoss: it has what no world admits.
  absl::StatusOr<bool> Pull(const std::atomic<bool>& interrupted);
  bool pulling() const { return pulling_; }

  // Whether the round to come has something on record.
  bool has_entries() const { return entry_count_ > 0; }
  bool has_receipts() const { return !receipts_.empty(); }
  // Admits the receipts that were pulled, and what time ends in `round`. Others
  // look at the ledger: REQUIRES CellTable::exclusive().
  void AdmitReceipts();
  void CloseDue(Round round, LogicalTime time);

  // Control commands that were pulled, or that the world gives itself.
  std::deque<PendingControl>& controls() { return controls_; }
  void AddControl(Bytes entry, SubmissionState state);
  // Numbers one, and records it: returns its unit.
  Unit* AdmitControl(PendingControl control);

  // The latest time that an input stated.
  LogicalTime input_time() const { return input_time_; }
  // How far the round's named source was pulled, by the feed or by the script.
  std::optional<SourceRead> TakeSourceRead();
  // Moves the round's entries to the end of `entries`; returns how many.
  std::uint64_t TakeEntries(Bytes* entries);

  // Whoever waits for something that is still here hears `why`.
  void End(const absl::Status& why);

  const Counts& counts() const { return counts_; }
  // The name of a reducer that may be in no module, or not even in the table.
  std::string NameOf(ReducerId reducer) const;

 private:
  absl::StatusOr<bool> PullScript();
  absl::Status CheckScripted() const;
  bool PullRow();
  void PullIncoming(Incoming& incoming);
  void Admit(Input&& input, ReducerId reducer, SubmissionState* state);
  void AdmitScripted(const entry::InputAdmittedView& input);
  bool IsDuplicate(std::string_view submission_id);
  InputId NextInput(LogicalTime time, std::uint64_t position);
  void AdmitReceipt(IncomingReceipt incoming);
  void RecordConsequences();

  const Parts parts_;
  Ingress<Incoming> ingress_;
  Feed feed_;
  ScriptedRound scripted_;
  bool scripted_pending_ = false;
  bool pulling_ = false;  // the round to come may admit more
  std::deque<IncomingReceipt> receipts_;
  std::deque<PendingControl> controls_;
  LogicalTime input_time_;
  std::atomic<std::uint64_t> position_;
  Bytes entries_;  // of what the next round admits
  EntryWriter writer_{&entries_};
  std::uint64_t entry_count_ = 0;
  Ledger::Consequences consequences_;  // here for their memory
  Counts counts_;
};

}  // namespace reenact

#endif  // REENACT_WORLD_ADMISSION_H_
