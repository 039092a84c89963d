// What is open, who has it, and what is due when.

#ifndef REENACT_EXECUTORS_AGENDA_H_
#define REENACT_EXECUTORS_AGENDA_H_

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/executors/executor.h"
#include "reenact/executors/options.h"
#include "reenact/kernel/authority/policy.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact {

// Another process that carries out effects. 0 is this one.
using HolderId = std::uint64_t;

// The right to carry out one effect, until it is answered, given up, or
// expires.
struct Lease {
  std::shared_ptr<const OpenEffect> effect;
  // Fences: rises with every lease of every effect, and with each opening of
  // the world, whose epoch is its upper 32 bits.
  std::uint64_t epoch = 0;
  std::uint32_t attempt = 1;  // more if it may have been begun before
  // When an attempt in this process has to be over, or the lease of another
  // process ends unless it is renewed.
  std::chrono::steady_clock::time_point until;
  std::string peer{};  // as it was opened with
};

// A dispatcher's decisions. Effects go, in the order of their steps, to this
// process's executors where there is room, and to other processes that serve
// their kind.
//
//          Open            Start, Claim           Finish, Receive
//   (none) ────▶ ready ──────────────────▶ held ─────────────────▶ answered
//                ▲ ▲ ▲   (offered before)  │  │                        │
//                │ │ └── expiry, loss ─────┘  │ transient              │
//                │ └───────── delayed ◀───────┘                        │
//                └─────────── delayed ◀───────────── refused ──────────┘
//
// and Closed leads from everywhere to (none). What is ready, or offered, when
// its deadline has passed is set aside until then.
//
// A pure value: it has no thread, no lock and no clock. Callers say what time
// it is, and call Due() when NextAlarm() has come.
//
// Thread safety: none.
class Agenda {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Options {
    std::uint64_t opening_epoch = 0;
    std::chrono::milliseconds lease{30'000};
    RetryPolicy refused;
    std::function<std::uint64_t()> random;  // not empty
    // ReceiptSink::TimeUntil; empty: nobody can say.
    std::function<std::chrono::microseconds(LogicalTime)> time_until{};
  };
  explicit Agenda(Options options);

  // This process has an executor for `kind`, from now on.
  void Serve(const std::string& kind, KindOptions options);

  // --- what the world says ---------------------------------------------------

  // What is known of attempts before this process.
  struct Before {
    std::uint32_t attempts = 0;
    Amounts usage;
    bool in_doubt = false;
    Time first;       // when the first was begun
    Time not_before;  // when there may be another
  };
  // False if it is known already. `peer`: Executor::PeerOf.
  bool Open(OpenEffect effect, std::string peer = "",
            std::optional<Before> before = std::nullopt);
  // Who has it, if anybody has, is to be told: 0 if an attempt in this process
  // runs.
  struct Held {
    HolderId holder = 0;
    std::uint64_t epoch = 0;
  };
  std::optional<Held> Close(const Digest& intent);

  // From now on the receipts of these executors count, of everybody if there
  // are none; see EffectListener::Listed(). Whose receipt for a kind does not
  // count is given no effect of that kind. What was stuck is tried again.
  void Listed(Policy::Executors executors);

  // --- executors of this process ---------------------------------------------

  // How many more attempts could be started now.
  std::size_t Startable() const;
  // Starts the next attempt, if there is room for any.
  std::optional<Lease> Start(Time now);

  enum class Fate { kLate, kAgain, kFinal };
  struct Finished {
    Fate fate = Fate::kLate;
    Receipt receipt;  // if kFinal; without a signature
    // If kAgain: what is known by now, and when there may be another.
    Before before{};
  };
  // The attempt under `lease` has returned.
  Finished Finish(const Lease& lease, Answer answer, Time now);
  // The same, but it is not to be answered nor tried again in this process: it
  // is ready. kAgain, or kLate.
  Finished Abandon(const Lease& lease, const Answer& answer, Time now);
  // The attempt could not be begun after all; it is tried again at `again`.
  void Postpone(const Lease& lease, Time again);

  // --- other processes -------------------------------------------------------

  HolderId Attach(std::string name, std::vector<std::string> kinds,
                  std::size_t concurrency);
  // What it held is offered to others.
  void Detach(HolderId holder);
  // The next effect that it may claim within the length of a lease; none while
  // it has as much as it can carry out, and after it let something expire until
  // it is heard of again.
  std::shared_ptr<const OpenEffect> Offer(HolderId holder, Time now);
  void Heard(HolderId holder);
  // NotFound: it was not offered to it, or no longer is.
  absl::StatusOr<Lease> Claim(HolderId holder, const Digest& intent, Time now);
  // FailedPrecondition: that lease is not current.
  absl::Status Renew(HolderId holder, const Digest& intent, std::uint64_t epoch,
                     Time now);
  enum class Standing { kCurrent, kStale, kUnknown };
  // A receipt has come. kCurrent: under the lease of that epoch, which is over
  // with it. kUnknown: there is no such effect here; the world may know more.
  Standing Receive(HolderId holder, const Digest& intent, std::uint64_t epoch);

  // --- what became of receipts -----------------------------------------------

  // The world accepted it, or has no use for any.
  void Settled(const Digest& intent);
  // The world did not let its holder answer this effect. What the list of
  // executors does not explain is its signature: then it is given nothing more
  // until there is another list.
  void Bar(HolderId holder, const Digest& intent);
  // The world would not have it. What an attempt in this process answered, and
  // what another process did if the world would refuse it again whatever came
  // (`for_good`: it is malformed, too deep or too large), is answered with the
  // error receipt that is returned, in the same name, once. What else another
  // process answered is tried again after a while, `Options::refused`
  // permitting. Else it is stuck.
  std::optional<Receipt> Refused(const Digest& intent, std::uint64_t epoch,
                                 std::string_view why, bool for_good, Time now);
  // The same of what came instead of a receipt from who holds the effect.
  std::optional<Receipt> Malformed(HolderId holder, const Digest& intent,
                                   std::string_view why);

  // --- time ------------------------------------------------------------------

  std::optional<Time> NextAlarm() const;
  struct Expired {
    HolderId holder = 0;
    Digest intent;
    std::uint64_t epoch = 0;  // 0: an offer
    // For an attempt in this process that has overrun: what to submit.
    std::optional<Receipt> receipt;
  };
  // Everything that was due at `now` or before.
  std::vector<Expired> Due(Time now);

  // Everything but the counts that only the dispatcher has.
  DispatcherStats Stats() const;
  // Who signs receipts of this kind in this process.
  const KindOptions* OptionsOf(std::string_view kind) const;
  std::string_view NameOf(HolderId holder) const;
  // Empty if there is no such effect.
  std::string_view KindOf(const Digest& intent) const;

 private:
  enum class State {
    kReady,
    kDelayed,
    kOffered,
    kHeld,
    kAnswered,
    kStuck,
    kOverdue
  };

  // Effects are carried out in the order of the steps that have them.
  struct Place {
    EventId event_id;
    std::uint32_t index = 0;
    Digest intent;

    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Entry {
    std::shared_ptr<const OpenEffect> effect;
    std::string peer;
    State state = State::kReady;
    HolderId holder = 0;      // if offered, held or answered
    std::uint64_t epoch = 0;  // of the latest lease
    std::uint32_t attempts = 0;
    std::uint32_t refusals = 0;
    std::string executor;      // who had the latest lease, elsewhere
    bool ended_by_us = false;  // an error went to the world in its place
    bool in_doubt = false;  // an attempt that is over may have been carried out
    Amounts usage;          // of the attempts before
    std::optional<Time> first;    // when the first attempt was begun
    std::optional<Time> give_up;  // end of the overall time-out
    bool unnoted = false;  // one before those counted may have been begun
    bool spent = false;    // there were as many attempts as there may be
    std::optional<Time> alarm;
  };
  // Effects of a kind that wait for the same peer.
  struct Queue {
    std::set<Place> ready;
    std::size_t running = 0;  // in this process
  };
  struct Kind {
    std::optional<KindOptions> options;  // none: not served in this process
    std::string barred;  // why receipts of this process would not count
    std::size_t running = 0;
    std::map<std::string, Queue, std::less<>> queues;  // by peer; none is empty

    std::size_t ready() const;
  };
  struct Holder {
    std::string name;
    std::vector<std::string> kinds;
    std::size_t concurrency = 0;
    bool silent = false;
    bool barred = false;
    std::set<Digest> has;  // offered or held
  };
  using Entries = std::map<Digest, Entry>;

  static Place PlaceOf(const OpenEffect& effect);
  static std::uint32_t AttemptOf(const Entry& entry);
  Entry* Find(const Digest& intent);
  bool IsCurrent(const Entry* entry, HolderId holder,
                 std::uint64_t epoch) const;
  void SetAlarm(Entry& entry, std::optional<Time> alarm);
  // Leaves whatever state it is in, alarm and holder included.
  void Leave(Entry& entry);
  void MakeReady(Entry& entry);
  void TakeBack(Entry& entry);
  void Delay(Entry& entry, Time until);
  std::chrono::microseconds TimeLeft(const OpenEffect& effect) const;
  // Whether its deadline has passed; then it waits for nothing but its end.
  bool SetAsideIfOverdue(Entry& entry);
  Receipt Conclude(Entry& entry, Answer answer);
  std::optional<Time> TimeToTryAgain(const Entry& entry, const Answer& answer,
                                     Time now) const;
  static std::size_t RoomIn(const Kind& kind, const std::string& peer,
                            const Queue& queue);
  static const Place* FirstStartable(const Kind& kind);
  static const Place* FirstReady(const Kind& kind);
  static void EraseIfEmpty(Kind& kind, const std::string& peer);
  KindOptions OptionsFor(const Entry& entry) const;
  void Returned(const Lease& lease);
  Entry* NextToStart();
  bool EndIfSpent(Entry& entry, const KindOptions& options, Time now);
  Lease Begin(Entry& entry, const KindOptions& options, Time now);
  static Before BeforeOf(const Entry& entry, Time next);
  Entry* NextFor(const Holder& holder);
  void JudgeKind(const std::string& name, Kind* kind) const;
  Expired Expire(Entry& entry);
  bool IsServed(const std::string& kind) const;

  const Options options_;
  std::uint64_t last_epoch_;
  HolderId last_holder_ = 0;
  Entries entries_;
  std::map<std::string, Kind, std::less<>> kinds_;
  std::map<HolderId, Holder> holders_;
  Policy::Executors listed_;
  std::set<std::pair<Time, Digest>> alarms_;
  DispatcherStats totals_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_AGENDA_H_
