// What is open with the outside, and what it may cost: effects, receipts,
// grants and the policy of a world.

#ifndef REENACT_COMMITTER_LEDGER_H_
#define REENACT_COMMITTER_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/committer/latest.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/authority/policy.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"

namespace reenact {

// The kinds that the kernel itself sees to.
inline constexpr std::string_view kTimerKind = "timer";
inline constexpr std::string_view kCancelKind = "effect.cancel";

// From this format on an approval does not outdo what the gate says by then.
inline constexpr std::uint64_t kFormatVersionJudgesAgain = 3;

// What is on record of effects that a rollback ends.
inline constexpr std::string_view kRolledBackReason = "rolled back";

// The effects of a world from their intent to their end, and the authority
// behind them. spec/effects.md and spec/authority.md have the rules.
//
// A pure value: what it decides depends on the calls made so far and on nothing
// else. It is told of receipts and deadlines at the opening of a round, when
// all rounds before are history, and of intents and control commands at their
// commit, in ticket order; so a replay that makes the same calls, running steps
// or not, comes to the same ledger, and Encode() of both gives the same bytes.
//
// Invariants, between calls:
//   (1) an intent is open, or settled, or was never queued: in one of these at
//   a
//       time, and once settled it stays so;
//   (2) what an open intent reserves is reserved under its grant, and nothing
//       else is;
//   (3) of the open intents of one business identity at most one is with
//       executors: the others are held, or wait for its answer.
//
// Thread safety: none; whoever has the ordered role uses it.
class Ledger {
 public:
  // How many settled effects, refused receipts and cached answers are
  // remembered. Parts of the format, as they decide what is recorded.
  static constexpr std::size_t kSettledMax = 4096;
  static constexpr std::size_t kRefusedMax = 1024;
  static constexpr std::size_t kCachedMax = 256;  // unless the policy says
  static constexpr std::size_t kIdentitiesMax = 16384;
  // Of the receipts that are remembered; of cached ones and of those under an
  // identity each.
  static constexpr std::size_t kRememberedBytesMax = 4 << 20;
  // Of a cached answer's payload, in worlds before format 3.
  static constexpr std::size_t kCachedBytesMaxOld = 4096;
  static constexpr std::size_t kOpenMax = 1 << 20;

  // Which intent: its step, and its index there.
  using Place = std::pair<EventId, std::uint32_t>;

  // An answer on its way to the cell that wants it.
  struct Answer {
    CellRef cell;
    Cause cause;
    Bytes payload;  // an EffectAnswer
  };
  // What a call came to, besides what it returns: what is to be recorded, in
  // this order, and what follows. Calls append to it.
  struct Consequences {
    std::vector<Entry> entries;
    std::vector<Answer> answers;
    std::vector<CellRef> timers_dropped;

    bool empty() const {
      return entries.empty() && answers.empty() && timers_dropped.empty();
    }
    void Clear() {
      entries.clear();
      answers.clear();
      timers_dropped.clear();
    }
  };
  // For executors, once it is durable: an effect is open, or another list of
  // those who may answer is in force; if neither is set, an effect is closed.
  struct Notice {
    std::optional<OpenEffect> open;  // its origin's reducer is left empty
    ReducerId reducer = kNoReducer;  // of the origin
    Digest intent_hash;
    std::optional<Policy::Executors> listed;
  };
  // Where a step stands.
  struct Step {
    EventId event_id;
    Round round;
    LogicalTime time;
    ReducerId reducer = kNoReducer;
    std::string_view reducer_name;
    std::string_view key;
    // The latest time that a timer may be due at.
    LogicalTime due_max{std::numeric_limits<std::int64_t>::max()};
  };
  struct Refusal {
    FailureCode code = FailureCode::kRefusedByGate;
    std::string detail;
  };
  struct Open {
    OpenEffect effect;  // its origin's reducer is left empty
    ReducerId reducer = kNoReducer;
    Round round;  // of the step
    bool held = false;
    std::string rule;  // that has it held
    std::string cache_scope;
    bool identity = false;       // its key is that of a business identity
    std::optional<Place> joins;  // the one whose answer it waits for

    friend bool operator==(const Open&, const Open&) = default;
  };

  // `format`: the world's format_version.
  explicit Ledger(Bytes world_id, std::uint64_t format = kFormatVersion)
      : world_id_(std::move(world_id)),
        shares_(format >= kFormatVersionSharing),
        retries_(format >= kFormatVersionRetries),
        judges_again_(format >= kFormatVersionJudgesAgain) {}

  // --- at commit -------------------------------------------------------------

  // Judges the intents of a step that is about to commit, in order. Nullopt: it
  // may, and what became of each is in `into`. A refusal: an intent that must
  // pass does not, the step fails, and nothing has changed.
  std::optional<Refusal> Judge(const Step& step,
                               const std::vector<EffectIntent>& intents,
                               Consequences* into);

  // Whether a step at `now` would be told so if it asked StepContext::Affords.
  bool Affords(std::string_view capability, const Amounts& amounts,
               LogicalTime now) const {
    return grants_.Affords(capability, amounts, now);
  }

  // Carries a control command out, at its ticket `event_id`: a change of grants
  // or of the policy, a word on a held effect, a cancellation, a rollback. Any
  // other entry is no affair of the ledger's: OK. `reducers`: names, by
  // ReducerId.
  //
  // An error fails the command and changes nothing. PermissionDenied, NotFound:
  // an approval is judged as the intent would be at `now`, and what nothing
  // permits any more stays held; in worlds of a format below
  // kFormatVersionJudgesAgain nobody asks again.
  absl::Status Apply(const Entry& command, EventId event_id, LogicalTime now,
                     const std::vector<std::string>& reducers,
                     Consequences* into);

  // --- at the opening of a round ---------------------------------------------

  // Takes a receipt. What it returns goes to the sender; what `into` has, on
  // record, as input `input`. Nothing is recorded, and the number not used, if
  // nothing is appended: it was accepted, or refused, before.
  // `now`: the time of the round before.
  absl::Status AdmitReceipt(InputId input, const Receipt& receipt,
                            LogicalTime now, Consequences* into);
  // Takes what came in a receipt's place. The same.
  void AdmitRefusal(entry::ReceiptRefused refused, Consequences* into);

  // Whether anything is due in `round` at `now`: effects whose timer or
  // deadline is reached, of rounds up to `round` - `depth`.
  bool HasDue(Round round, std::uint64_t depth, LogicalTime now) const;
  // Closes them, by time, then by ticket and index.
  void CloseDue(Round round, std::uint64_t depth, LogicalTime now,
                Consequences* into);
  // The earliest round in which something is due if the time is `now`.
  std::optional<Round> NextDue(std::uint64_t depth, LogicalTime now) const;
  // The earliest timer there is.
  std::optional<LogicalTime> NextTimer() const;

  // --- looking ---------------------------------------------------------------

  // Nothing was ever decided here: the one branch that a world without effects
  // pays.
  bool unused() const {
    return open_.empty() && settled_.empty() && grants_.empty() &&
           policy_.none() && refused_.empty();
  }
  const std::map<Place, Open>& open() const { return open_; }
  // How many effects, timers aside, this object has seen end how.
  const EffectsEnded& ended() const { return ended_; }
  const Grants& grants() const { return grants_; }
  const Policy& policy() const { return policy_; }
  const Rates& rates() const { return rates_; }

  // The answer that comes of `end`, a ReceiptAppended, a ReceiptShared or an
  // EffectClosed, if it ends something that is open here; its cause is left
  // empty.
  std::optional<Answer> AnswerTo(const Entry& end) const;

  // What executors are to hear since the last call, the time being `now`;
  // nothing of the beginning of what has ended by then, or whose deadline has
  // passed: that is open until a round closes it, and is nobody's any more.
  std::vector<Notice> TakeNotices(LogicalTime now);
  // Everything that waits for them, what is left out above left out.
  std::vector<Notice> AllOpen(LogicalTime now) const;

  // --- snapshots -------------------------------------------------------------

  // Nothing if unused(), else one canonical CBOR item; spec/effects.md has the
  // grammar.
  void Encode(Bytes* out) const;
  // InvalidArgument: no ledger encodes so.
  static absl::StatusOr<Ledger> Decode(Bytes world_id, BytesView item,
                                       std::uint64_t format = kFormatVersion);
  // OK, or InvalidArgument: a world with so many reducers has no such effects
  // open at the end of `round`, whose last ticket is `last`. O(open effects).
  absl::Status CheckAt(EventId last, Round round, std::size_t reducers) const;

 private:
  // What an approval is judged by, besides the ledger.
  struct Again {
    LogicalTime now;
    const std::vector<std::string>& reducers;  // names, by ReducerId
  };
  struct Settled {
    Digest intent_hash;
    Digest receipt;  // zeros: none
    ReceiptStatus status = ReceiptStatus::kOk;
  };
  // A receipt that may answer for more than the intent that it came for.
  struct Heard {
    InputId input;
    Receipt receipt;
  };
  using HeardShare = std::shared_ptr<const Heard>;  // null: none
  struct Cached {
    LogicalTime expires;
    HeardShare heard;
  };
  // What is known of a business identity.
  struct Identity {
    Digest wish;       // what it is the identity of
    HeardShare heard;  // null: the last answer was not ok
  };
  // An intent on its way through Judge().
  struct Judged {
    entry::EffectQueued entry;
    Open open;
    HeardShare heard;  // what answers it at once
    Policy::Decision decision;
    bool cancels = false;
  };
  // What the intents of a step come to that are judged already, and not yet
  // committed.
  struct Pending {
    std::map<Digest, const Open*> flights;
    std::set<Place> cancelled;
  };
  // What is known already of what an intent asks for.
  struct Known {
    bool other = false;  // its identity is that of something else
    HeardShare heard;
    const Open* flight = nullptr;  // it is with executors
  };

  absl::Status Change(const entry::GrantChanged& change);
  absl::Status Change(const entry::PolicyChanged& change);
  // `again`: what an approval is judged by; null: nobody asks again.
  absl::Status Change(EventId event_id, const entry::EffectJudged& word,
                      const Again* again, Consequences* into);
  absl::Status Change(EventId event_id, const entry::EffectsCancelled& cancel,
                      Consequences* into);
  // Back to the state after ticket `to`: what later tickets have open ends,
  // cancelled for `reason`, and what it reserved is free again. Nobody gets an
  // answer, as nobody will have asked. What was spent stays spent, and grants,
  // the policy and rates stay as they are.
  void RollBack(EventId to, std::string_view reason, Consequences* into);

  Judged JudgeOne(const Step& step, std::uint32_t index,
                  const EffectIntent& intent, const Pending& pending);
  void Foresee(const Step& step, const EffectIntent& intent,
               const Judged& judged, Pending* pending) const;
  void Deny(std::string reason, Judged* judged) const;
  void JudgeAuthority(const Step& step, const EffectIntent& intent,
                      Judged* judged);
  void JudgeTimer(const Step& step, const EffectIntent& intent,
                  Judged* judged) const;
  void Commit(const Step& step, Judged judged, const EffectIntent& intent,
              Consequences* into);
  std::vector<Place> CancelledBy(const Step& step,
                                 const EffectIntent& intent) const;
  void CancelFor(const Step& step, const EffectIntent& intent,
                 Consequences* into);

  Known Look(const Open& open, LogicalTime now, const Pending& pending) const;
  std::optional<Digest> FlightKey(const Open& open) const;
  const Open* FindFlight(const Open& open, const Pending& pending) const;
  std::vector<Place> WaitingFor(const Place& flight) const;
  // One that is approved goes out, or gets what is known already.
  void LetGo(Place place, EventId event_id, Consequences* into);
  void Share(Place place, Cause cause, const Receipt& receipt,
             Consequences* into);
  void PassOn(const Place& flight);
  void Join(Open* open, const Place& flight);
  void GoOut(const Open& open);

  absl::Status JudgeAgain(const Open& open, const Again& again) const;
  absl::Status CheckSender(const Receipt& receipt) const;
  absl::Status Refuse(InputId input, const Receipt& receipt,
                      const Digest& digest, absl::Status why,
                      Consequences* into);
  void Accept(InputId input, const Receipt& receipt, const Digest& digest,
              LogicalTime now, Consequences* into);
  void Remember(const Open& open, InputId input, const Receipt& receipt,
                LogicalTime now);
  void RememberIdentity(const Open& open, HeardShare heard);
  // Ends an effect without a receipt.
  void Close(Place place, Cause cause, ReceiptStatus status, std::string reason,
             Consequences* into);
  void Insert(Open open);
  void Erase(Place place, const Digest& receipt, ReceiptStatus status);
  void Settle(Settled settled);
  void NoticeOpen(const Open& open);
  // What a receipt counts for among those that are remembered.
  static std::size_t SizeOf(const Receipt& receipt);
  static HeardShare DecodeHeard(cbor::Reader& reader);
  void DecodeCached(cbor::Reader& reader);
  void DecodeIdentities(cbor::Reader& reader);
  bool JoinsAreSound() const;
  const Settled* FindSettled(const Digest& intent_hash) const;
  // Whether what is reserved is what is open, and nothing else: invariant (2).
  bool ReservesWhatIsOpen() const;
  Answer AnswerFor(const Open& open, Cause cause, const Receipt* receipt,
                   ReceiptStatus status, std::string_view reason,
                   bool cached) const;
  void CountEnd(const OpenEffect& effect, ReceiptStatus status);

  Bytes world_id_;
  bool shares_;        // whether answers are shared, and identities known
  bool retries_;       // whether there are retry rules
  bool judges_again_;  // whether an approval is judged as an intent is
  Grants grants_;
  Policy policy_;
  Rates rates_;
  std::map<Place, Open> open_;
  std::deque<Settled> settled_;  // the latest last
  Latest<Cached> cached_;        // by kind, params and scope
  Latest<Identity> identities_;  // by idempotency key
  std::deque<Digest> refused_;   // the latest last

  // Derived from the above.
  std::map<Digest, Place> places_;  // of what is open
  std::set<std::pair<LogicalTime, Place>> due_;
  std::set<std::pair<Digest, Place>> flights_;  // with executors, by FlightKey
  std::set<std::pair<Place, Place>> joined_;    // who waits, by whom for
  std::map<Digest, Settled> settled_by_hash_;
  std::set<Digest> refused_set_;

  std::vector<Notice> notices_;
  EffectsEnded ended_{};  // no part of the state
};

}  // namespace reenact

#endif  // REENACT_COMMITTER_LEDGER_H_
