#include "reenact/committer/ledger.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/base/test_points.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"

namespace reenact {
namespace {

using cbor::Value;

std::string Message(const absl::Status& status) {
  return std::string(ToStd(status.message()));
}

Digest CacheKey(const Ledger::Open& open) {
  return Hasher("reenact.cache.v1")
      .AddSized(open.effect.kind)
      .AddSized(open.effect.params)
      .AddSized(open.cache_scope)
      .Finish();
}

// What an intent wants, whoever has it.
Digest WishOf(const OpenEffect& effect) {
  return Hasher("reenact.wish.v1")
      .AddSized(effect.kind)
      .AddSized(effect.params)
      .AddSized(effect.capability)
      .Finish();
}

constexpr std::string_view kOtherWish =
    "identity: it is that of another kind, other parameters or another "
    "capability";

bool HasPassed(const std::optional<LogicalTime>& deadline, LogicalTime now) {
  return deadline && *deadline <= now;
}

// When the timer of these parameters is due: {"at": time} or {"after": span}.
absl::StatusOr<LogicalTime> TimerDue(BytesView params, LogicalTime now) {
  REENACT_ASSIGN_OR_RETURN(const Value map, Value::Parse(params));
  if (map.IsMap() && map.size() == 1 && map.Find("at") != nullptr) {
    REENACT_ASSIGN_OR_RETURN(const std::int64_t at, map.GetInteger("at"));
    return LogicalTime{at};
  }
  if (!map.IsMap() || map.size() != 1 || map.Find("after") == nullptr) {
    return absl::InvalidArgumentError(
        "a timer has one parameter, \"at\" or \"after\"");
  }
  REENACT_ASSIGN_OR_RETURN(const std::int64_t after, map.GetInteger("after"));
  std::int64_t due = 0;
  if (after < 0 || __builtin_add_overflow(now.value, after, &due)) {
    return absl::InvalidArgumentError("\"after\" is out of range");
  }
  return LogicalTime{due};
}

// {"intent": hash} or {"all": true}; nullopt: all.
absl::StatusOr<std::optional<Digest>> CancelTarget(BytesView params) {
  REENACT_ASSIGN_OR_RETURN(const Value map, Value::Parse(params));
  if (map.IsMap() && map.size() == 1) {
    if (const Value* intent = map.Find("intent")) {
      REENACT_ASSIGN_OR_RETURN(const BytesView bytes, intent->AsBytes());
      REENACT_ASSIGN_OR_RETURN(const Digest hash, Digest::FromBytes(bytes));
      return std::optional<Digest>(hash);
    }
    const Value* const all = map.Find("all");
    if (all != nullptr && *all == Value(true)) return std::optional<Digest>();
  }
  return absl::InvalidArgumentError(
      "a cancellation has one parameter, \"intent\" or \"all\": true");
}

}  // namespace

// --- judging intents ---------------------------------------------------------

std::optional<Ledger::Refusal> Ledger::Judge(
    const Step& step, const std::vector<EffectIntent>& intents,
    Consequences* into) {
  const bool may_fail =
      std::any_of(intents.begin(), intents.end(),
                  [](const EffectIntent& intent) { return intent.must_pass; });
  // What is reserved on the way to a refusal has to be given back.
  std::optional<std::pair<Grants, Rates>> before;
  if (may_fail) before.emplace(grants_, rates_);
  std::vector<Judged> all;
  all.reserve(intents.size());  // `pending` points into it
  Pending pending;
  for (std::size_t i = 0; i < intents.size(); ++i) {
    all.push_back(
        JudgeOne(step, static_cast<std::uint32_t>(i), intents[i], pending));
    if (shares_) Foresee(step, intents[i], all.back(), &pending);
    const entry::EffectQueued& entry = all.back().entry;
    if (intents[i].must_pass && entry.verdict == EffectVerdict::kDenied) {
      REENACT_PROBE("ledger: what must pass does not");
      std::tie(grants_, rates_) = *std::move(before);
      return Refusal{FailureCode::kRefusedByGate, entry.reason};
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    Commit(step, std::move(all[i]), intents[i], into);
  }
  return std::nullopt;
}

void Ledger::Deny(std::string reason, Judged* judged) const {
  judged->entry.verdict = EffectVerdict::kDenied;
  judged->entry.reason = std::move(reason);
}

Ledger::Judged Ledger::JudgeOne(const Step& step, std::uint32_t index,
                                const EffectIntent& intent,
                                const Pending& pending) {
  Judged judged;
  entry::EffectQueued& entry = judged.entry;
  entry.event_id = step.event_id;
  entry.index = index;
  const IntentNames names = NamesOf(world_id_, intent, step.event_id, index);
  entry.idempotency_key = names.idempotency_key;
  entry.intent_hash = names.intent_hash;
  OpenEffect& effect = judged.open.effect;
  effect.intent_hash = entry.intent_hash;
  effect.idempotency_key = entry.idempotency_key;
  effect.event_id = step.event_id;
  effect.index = index;
  effect.origin.key = step.key;
  effect.kind = intent.kind;
  effect.capability = intent.capability;
  effect.params = intent.params;
  effect.queued = step.time;
  effect.deadline = intent.deadline;
  judged.open.reducer = step.reducer;
  judged.open.round = step.round;
  judged.open.identity = !intent.identity.empty();
  if (!judged.open.identity) judged.open.cache_scope = intent.cache_scope;

  const Open* flight = nullptr;
  if (intent.kind == kTimerKind) {
    JudgeTimer(step, intent, &judged);
  } else if (intent.kind == kCancelKind) {
    judged.cancels = true;
    const auto target = CancelTarget(intent.params);
    if (!target.ok()) Deny("cancel: " + Message(target.status()), &judged);
  } else {
    const Known known = Look(judged.open, step.time, pending);
    judged.heard = known.heard;
    flight = known.flight;
    JudgeAuthority(step, intent, &judged);
    if (REENACT_SEEN(known.other, "ledger: an identity of something else"))
      Deny(std::string(kOtherWish), &judged);
  }
  REENACT_PROBE_IF(judged.heard != nullptr, "ledger: an answer is known");
  if (open_.size() >= kOpenMax) Deny("too many effects are open", &judged);
  if (entry.verdict == EffectVerdict::kDenied) return judged;
  if (judged.heard != nullptr && entry.verdict == EffectVerdict::kOpen) {
    entry.verdict = EffectVerdict::kAnswered;
    entry.answered_by = judged.heard->input;
    return judged;
  }
  judged.heard = nullptr;
  if (judged.cancels) {
    entry.verdict = EffectVerdict::kAnswered;
    return judged;
  }
  if (intent.kind == kTimerKind) return judged;
  grants_.Reserve(intent.capability, intent.reserve);
  policy_.Take(judged.decision, step.time, &rates_);
  if (flight != nullptr && entry.verdict == EffectVerdict::kOpen) {
    REENACT_PROBE("ledger: an intent joins another");
    entry.verdict = EffectVerdict::kJoined;
    entry.joins = flight->effect.intent_hash;
    judged.open.joins = Place{flight->effect.event_id, flight->effect.index};
  }
  entry.reserved = intent.reserve;
  effect.reserved = intent.reserve;
  if (retries_) entry.retry = intent.retry.Or(policy_.RetryOf(intent.kind));
  effect.retry = entry.retry;
  return judged;
}

// Capability, budget and policy, as they are right before this step, with what
// its intents before this one took.
void Ledger::JudgeAuthority(const Step& step, const EffectIntent& intent,
                            Judged* judged) {
  if (grants_.empty() && policy_.none() && intent.capability.empty() &&
      intent.reserve.empty()) {
    return;
  }
  const absl::StatusOr<Value> params = Value::Parse(intent.params);
  REENACT_CHECK(params.ok());  // the step was held to it
  EffectFacts facts;
  facts.kind = intent.kind;
  facts.capability = intent.capability;
  facts.reducer = step.reducer_name;
  facts.key = step.key;
  facts.params = &*params;
  // What is answered from the cache costs nothing.
  const Amounts nothing;
  facts.reserve = judged->heard != nullptr ? &nothing : &intent.reserve;
  const absl::Status granted = grants_.Check(facts, step.time);
  if (REENACT_SEEN(!granted.ok(), "ledger: no grant for it"))
    return Deny(Message(granted), judged);
  judged->decision = policy_.Decide(facts, step.time, rates_);
  REENACT_PROBE_IF(judged->decision.verdict == Policy::Verdict::kDeny,
                   "ledger: the policy denies");
  REENACT_PROBE_IF(judged->decision.verdict == Policy::Verdict::kAsk,
                   "ledger: the policy asks");
  if (judged->decision.verdict == Policy::Verdict::kDeny) {
    return Deny("policy: " + judged->decision.rule, judged);
  }
  if (judged->decision.verdict == Policy::Verdict::kAsk) {
    // Held, it may have to go out after all, and is paid for now.
    facts.reserve = &intent.reserve;
    const absl::Status paid = grants_.Check(facts, step.time);
    if (!paid.ok()) return Deny(Message(paid), judged);
    judged->entry.verdict = EffectVerdict::kHeld;
    judged->entry.reason = judged->decision.rule;
    judged->open.held = true;
    judged->open.rule = judged->decision.rule;
  }
}

void Ledger::JudgeTimer(const Step& step, const EffectIntent& intent,
                        Judged* judged) const {
  const absl::StatusOr<LogicalTime> due = TimerDue(intent.params, step.time);
  if (!due.ok()) return Deny("timer: " + Message(due.status()), judged);
  if (*due > step.due_max) {
    return Deny("timer: due after " + std::to_string(step.due_max.value),
                judged);
  }
  if (intent.deadline || !intent.capability.empty() ||
      !intent.reserve.empty() || judged->open.identity) {
    return Deny(judged->open.identity
                    ? "timer: it has an identity"
                    : "timer: it has a deadline, a capability or a price",
                judged);
  }
  REENACT_PROBE("ledger: a timer is set");
  judged->open.effect.deadline = *due;
}

// What those behind it in the step have to reckon with.
void Ledger::Foresee(const Step& step, const EffectIntent& intent,
                     const Judged& judged, Pending* pending) const {
  if (judged.entry.verdict == EffectVerdict::kDenied) return;
  if (judged.cancels) {
    for (const Place& place : CancelledBy(step, intent)) {
      pending->cancelled.insert(place);
    }
  } else if (judged.entry.verdict == EffectVerdict::kOpen ||
             judged.entry.verdict == EffectVerdict::kJoined) {
    // One that joins goes out if what it waits for is cancelled behind it.
    const std::optional<Digest> key = FlightKey(judged.open);
    if (key) pending->flights.emplace(*key, &judged.open);
  }
}

// --- what answers for more than one ------------------------------------------

Ledger::Known Ledger::Look(const Open& open, LogicalTime now,
                           const Pending& pending) const {
  Known known;
  if (open.identity) {
    const Identity* const identity =
        identities_.Find(open.effect.idempotency_key);
    if (identity != nullptr) {
      known.other = identity->wish != WishOf(open.effect);
      known.heard = identity->heard;
    }
  } else if (!cached_.empty() && !open.cache_scope.empty()) {
    const Cached* const cached = cached_.Find(CacheKey(open));
    if (cached != nullptr && now < cached->expires) known.heard = cached->heard;
  }
  known.flight = FindFlight(open, pending);
  if (known.flight != nullptr && open.identity &&
      WishOf(known.flight->effect) != WishOf(open.effect)) {
    known.other = true;
  }
  return known;
}

// What an intent and those that may share its answer have in common.
std::optional<Digest> Ledger::FlightKey(const Open& open) const {
  if (!shares_) return std::nullopt;
  if (open.identity) return open.effect.idempotency_key;
  if (open.cache_scope.empty()) return std::nullopt;
  return CacheKey(open);
}

// Null: nothing is with executors that this one could wait for.
const Ledger::Open* Ledger::FindFlight(const Open& open,
                                       const Pending& pending) const {
  const std::optional<Digest> key = FlightKey(open);
  if (!key || (!open.identity && !policy_.CacheTtl(open.effect.kind))) {
    return nullptr;
  }
  for (auto it = flights_.lower_bound({*key, Place()});
       it != flights_.end() && it->first == *key; ++it) {
    if (pending.cancelled.count(it->second) == 0) return &open_.at(it->second);
    // Who waits for one that its own step is about to cancel goes out then.
    for (const Place& place : WaitingFor(it->second)) {
      if (pending.cancelled.count(place) == 0) return &open_.at(place);
    }
  }
  const auto found = pending.flights.find(*key);
  return found == pending.flights.end() ? nullptr : found->second;
}

std::vector<Ledger::Place> Ledger::WaitingFor(const Place& flight) const {
  std::vector<Place> places;
  for (auto it = joined_.lower_bound({flight, Place()});
       it != joined_.end() && it->first == flight; ++it) {
    places.push_back(it->second);
  }
  return places;
}

void Ledger::LetGo(Place place, EventId event_id, Consequences* into) {
  Open& open = open_.at(place);
  const auto let = [&open] {
    open.held = false;
    open.rule.clear();
  };
  if (!shares_) {
    let();
    return GoOut(open);
  }
  const Cause cause{InputId{0}, event_id, 0};
  // Whoever approved it wants no answer of the cache, so all of those are too
  // old.
  constexpr LogicalTime kNever{std::numeric_limits<std::int64_t>::max()};
  const Known known = Look(open, kNever, Pending());
  if (known.other) {
    return Close(place, cause, ReceiptStatus::kDenied, std::string(kOtherWish),
                 into);
  }
  if (known.heard != nullptr) {
    REENACT_PROBE("ledger: what is approved is known already");
    return Share(place, cause, known.heard->receipt, into);
  }
  let();
  if (known.flight == nullptr) return GoOut(open);
  REENACT_PROBE("ledger: what is approved joins another");
  Join(&open, {known.flight->effect.event_id, known.flight->effect.index});
}

// Ends one with the receipt that came for another.
void Ledger::Share(Place place, Cause cause, const Receipt& receipt,
                   Consequences* into) {
  const Open& open = open_.at(place);
  into->entries.emplace_back(
      entry::ReceiptShared{open.effect.intent_hash, receipt});
  into->answers.push_back(
      AnswerFor(open, cause, &receipt, receipt.status, "", true));
  grants_.Settle(open.effect.capability, open.effect.reserved, Amounts());
  Erase(place, Digest(), receipt.status);
}

// One has ended without an answer: who waited for it goes out, the first of
// them, and the others wait for that.
void Ledger::PassOn(const Place& flight) {
  const std::vector<Place> waiting = WaitingFor(flight);
  for (const Place& place : waiting) {
    joined_.erase({flight, place});
    Open& open = open_.at(place);
    open.joins.reset();
    if (place == waiting.front()) {
      REENACT_PROBE("ledger: one that waited goes out");
      GoOut(open);
    } else {
      Join(&open, waiting.front());
    }
  }
}

void Ledger::Join(Open* open, const Place& flight) {
  open->joins = flight;
  joined_.emplace(flight, Place{open->effect.event_id, open->effect.index});
}

std::vector<Ledger::Notice> Ledger::TakeNotices(LogicalTime now) {
  std::erase_if(notices_, [this, now](const Notice& notice) {
    return notice.open && (places_.count(notice.intent_hash) == 0 ||
                           HasPassed(notice.open->deadline, now));
  });
  return std::exchange(notices_, {});
}

void Ledger::GoOut(const Open& open) {
  const Place place{open.effect.event_id, open.effect.index};
  if (const auto key = FlightKey(open)) flights_.emplace(*key, place);
  NoticeOpen(open);
}

void Ledger::Commit(const Step& step, Judged judged, const EffectIntent& intent,
                    Consequences* into) {
  const Cause cause{InputId{0}, step.event_id, judged.entry.index};
  into->entries.emplace_back(judged.entry);
  switch (judged.entry.verdict) {
    case EffectVerdict::kDenied:
      REENACT_PROBE("ledger: an intent is denied");
      CountEnd(judged.open.effect, ReceiptStatus::kDenied);
      into->answers.push_back(AnswerFor(judged.open, cause, nullptr,
                                        ReceiptStatus::kDenied,
                                        judged.entry.reason, false));
      return;
    case EffectVerdict::kAnswered:
      if (judged.cancels) return CancelFor(step, intent, into);
      CountEnd(judged.open.effect, judged.heard->receipt.status);
      into->answers.push_back(
          AnswerFor(judged.open, cause, &judged.heard->receipt,
                    judged.heard->receipt.status, "", true));
      return;
    case EffectVerdict::kOpen:
    case EffectVerdict::kHeld:
    case EffectVerdict::kJoined:
      return Insert(std::move(judged.open));
  }
}

// What the step's own cell has open, and was intended before.
std::vector<Ledger::Place> Ledger::CancelledBy(
    const Step& step, const EffectIntent& intent) const {
  const auto target = CancelTarget(intent.params);
  REENACT_CHECK(target.ok());
  std::vector<Place> places;
  for (const auto& [place, open] : open_) {
    if (open.reducer != step.reducer || open.effect.origin.key != step.key ||
        open.effect.event_id == step.event_id) {
      continue;
    }
    if (!*target || **target == open.effect.intent_hash) {
      places.push_back(place);
    }
  }
  return places;
}

void Ledger::CancelFor(const Step& step, const EffectIntent& intent,
                       Consequences* into) {
  const std::vector<Place> places = CancelledBy(step, intent);
  REENACT_PROBE_IF(places.empty(), "ledger: a cell cancels what is not there");
  for (const Place& place : places) {
    REENACT_PROBE("ledger: a cell cancels");
    Close(place, Cause{InputId{0}, place.first, place.second},
          ReceiptStatus::kCancelled, "its cell cancelled it", into);
  }
  if (!*CancelTarget(intent.params)) {
    REENACT_PROBE("ledger: a cell cancels all that it has");
    into->timers_dropped.push_back({step.reducer, std::string(step.key)});
  }
}

// --- control commands --------------------------------------------------------

absl::Status Ledger::Apply(const Entry& command, EventId event_id,
                           LogicalTime now,
                           const std::vector<std::string>& reducers,
                           Consequences* into) {
  if (const auto* grant = std::get_if<entry::GrantChanged>(&command)) {
    return Change(*grant);
  }
  if (const auto* policy = std::get_if<entry::PolicyChanged>(&command)) {
    return Change(*policy);
  }
  if (const auto* word = std::get_if<entry::EffectJudged>(&command)) {
    const Again again{now, reducers};
    return Change(event_id, *word, judges_again_ ? &again : nullptr, into);
  }
  if (const auto* cancel = std::get_if<entry::EffectsCancelled>(&command)) {
    return Change(event_id, *cancel, into);
  }
  if (const auto* back = std::get_if<entry::RolledBack>(&command)) {
    RollBack(back->to, kRolledBackReason, into);
  }
  return absl::OkStatus();
}

absl::Status Ledger::Change(const entry::GrantChanged& change) {
  return grants_.Apply(change.change);
}

absl::Status Ledger::Change(const entry::PolicyChanged& change) {
  REENACT_ASSIGN_OR_RETURN(const Value document, Value::Parse(change.document));
  Policy policy;
  if (!document.IsNull()) {
    REENACT_ASSIGN_OR_RETURN(policy, Policy::Parse(document));
  }
  if (!shares_ && policy.cache_count()) {
    return absl::InvalidArgumentError(
        "cache_count: a world of a format before 3 keeps 256 answers");
  }
  if (!retries_ && policy.has_retries()) {
    return absl::InvalidArgumentError(
        "retry: a world of a format before 3 records no such rules");
  }
  REENACT_PROBE_IF(!policy_.none() && policy.none(), "ledger: a policy goes");
  REENACT_PROBE_IF(!policy.none(), "ledger: a policy comes");
  if (policy.executors() != policy_.executors()) {
    notices_.push_back({{}, kNoReducer, {}, policy.executors()});
  }
  policy_ = std::move(policy);
  // Buckets belong to rules.
  rates_ = Rates();
  return absl::OkStatus();
}

// What was held is paid for, and has its token of each rate: those are not
// asked for a second time. That the policy would ask is what was just answered.
absl::Status Ledger::JudgeAgain(const Open& open, const Again& again) const {
  const absl::StatusOr<Value> params = Value::Parse(open.effect.params);
  REENACT_CHECK(params.ok());  // DecodeOpen() and the step were held to it
  EffectFacts facts;
  facts.kind = open.effect.kind;
  facts.capability = open.effect.capability;
  facts.key = open.effect.origin.key;
  facts.params = &*params;
  if (open.reducer < again.reducers.size()) {
    facts.reducer = again.reducers[open.reducer];
  }
  REENACT_RETURN_IF_ERROR(grants_.Check(facts, again.now));
  facts.reserve = &open.effect.reserved;
  const Policy::Decision decision = policy_.Decide(facts, again.now, Rates());
  if (decision.verdict != Policy::Verdict::kDeny) return absl::OkStatus();
  return absl::PermissionDeniedError(ToAbsl("policy: " + decision.rule));
}

absl::Status Ledger::Change(EventId event_id, const entry::EffectJudged& word,
                            const Again* again, Consequences* into) {
  const auto it = places_.find(word.intent_hash);
  if (REENACT_SEEN(it == places_.end(), "ledger: a word on what has ended"))
    return absl::NotFoundError("no such effect is open");
  Open& open = open_.at(it->second);
  if (REENACT_SEEN(!open.held, "ledger: a word on what nobody holds")) {
    return absl::FailedPreconditionError("the effect waits for no approval");
  }
  if (word.approved && again != nullptr) {
    const absl::Status judged = JudgeAgain(open, *again);
    REENACT_PROBE_IF(!judged.ok(), "ledger: an approval comes too late");
    REENACT_RETURN_IF_ERROR(judged);
  }
  REENACT_PROBE_IF(word.approved, "ledger: an effect is approved");
  REENACT_PROBE_IF(!word.approved, "ledger: an effect is not approved");
  if (word.approved) {
    LetGo(it->second, event_id, into);
    return absl::OkStatus();
  }
  std::string reason = "not approved";
  if (!word.by.empty()) reason += " by " + word.by;
  if (!word.note.empty()) reason += ": " + word.note;
  Close(it->second, Cause{InputId{0}, event_id, 0}, ReceiptStatus::kDenied,
        std::move(reason), into);
  return absl::OkStatus();
}

absl::Status Ledger::Change(EventId event_id,
                            const entry::EffectsCancelled& cancel,
                            Consequences* into) {
  std::vector<Place> places;
  if (cancel.intent_hash) {
    REENACT_PROBE("ledger: one effect is cancelled");
    const auto it = places_.find(*cancel.intent_hash);
    if (it == places_.end()) {
      return absl::NotFoundError("no such effect is open");
    }
    places.push_back(it->second);
  } else {
    for (const auto& [place, open] : open_) {
      if (open.reducer == cancel.cell->reducer &&
          open.effect.origin.key == cancel.cell->key) {
        places.push_back(place);
      }
    }
    REENACT_PROBE("ledger: all of a cell is cancelled");
    into->timers_dropped.push_back(*cancel.cell);
  }
  std::string reason = "cancelled";
  if (!cancel.by.empty()) reason += " by " + cancel.by;
  std::uint32_t index = 0;
  for (const Place& place : places) {
    Close(place, Cause{InputId{0}, event_id, index++},
          ReceiptStatus::kCancelled, reason, into);
  }
  return absl::OkStatus();
}

void Ledger::RollBack(EventId to, std::string_view reason, Consequences* into) {
  Consequences ended;
  for (auto it =
           open_.upper_bound({to, std::numeric_limits<std::uint32_t>::max()});
       it != open_.end();) {
    const Place place = (it++)->first;
    Close(place, Cause(), ReceiptStatus::kCancelled, std::string(reason),
          &ended);
  }
  for (Entry& entry : ended.entries) into->entries.push_back(std::move(entry));
}

std::optional<Ledger::Answer> Ledger::AnswerTo(const Entry& end) const {
  const auto* appended = std::get_if<entry::ReceiptAppended>(&end);
  const auto* shared = std::get_if<entry::ReceiptShared>(&end);
  const auto* closed = std::get_if<entry::EffectClosed>(&end);
  if (!appended && !shared && !closed) return std::nullopt;
  const auto it = places_.find(appended ? appended->receipt.intent_hash
                               : shared ? shared->intent_hash
                                        : closed->intent_hash);
  if (it == places_.end()) return std::nullopt;
  const Open& open = open_.at(it->second);
  if (closed != nullptr) {
    return AnswerFor(open, Cause(), nullptr, closed->status, closed->reason,
                     false);
  }
  const Receipt& receipt = appended ? appended->receipt : shared->receipt;
  return AnswerFor(open, Cause(), &receipt, receipt.status, "",
                   shared != nullptr);
}

// --- receipts ----------------------------------------------------------------

// Whether the policy lets it speak, before anything that it says is looked at.
absl::Status Ledger::CheckSender(const Receipt& receipt) const {
  const Policy::Executor* const executor =
      policy_.FindExecutor(receipt.executor);
  if (executor == nullptr) {
    if (policy_.executors().empty()) return absl::OkStatus();
    return absl::PermissionDeniedError("the policy lists no such executor");
  }
  if (executor->key && !IsSignedBy(world_id_, *executor->key, receipt)) {
    return absl::PermissionDeniedError(
        "it is not signed with the executor's key");
  }
  const auto it = places_.find(receipt.intent_hash);
  if (it == places_.end() ||
      MatchesAny(executor->kinds, open_.at(it->second).effect.kind)) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      "the policy lets this executor answer no effect of this kind");
}

absl::Status Ledger::AdmitReceipt(InputId input, const Receipt& receipt,
                                  LogicalTime now, Consequences* into) {
  const Digest digest = SignedDigest(world_id_, receipt);
  const absl::Status sender = CheckSender(receipt);
  if (!sender.ok()) return Refuse(input, receipt, digest, sender, into);
  const absl::Status payload = CheckPayload(receipt);
  if (!payload.ok()) return Refuse(input, receipt, digest, payload, into);
  if (const Settled* settled = FindSettled(receipt.intent_hash)) {
    if (settled->receipt == digest) {
      if (REENACT_PLANTED("a receipt counts twice")) return absl::OkStatus();
      REENACT_PROBE("ledger: a receipt twice");
      return absl::AlreadyExistsError("this receipt was accepted before");
    }
    REENACT_PROBE("ledger: a receipt for what has ended");
    return Refuse(input, receipt, digest,
                  absl::FailedPreconditionError(
                      "the effect has ended with status " +
                      std::string(ReceiptStatusName(settled->status))),
                  into);
  }
  const auto it = places_.find(receipt.intent_hash);
  if (it == places_.end()) {
    return Refuse(input, receipt, digest,
                  absl::NotFoundError("no such effect is open"), into);
  }
  const Open& open = open_.at(it->second);
  if (open.held || open.joins || open.effect.kind == kTimerKind) {
    return Refuse(input, receipt, digest,
                  absl::FailedPreconditionError("nobody was asked to do it"),
                  into);
  }
  REENACT_PROBE("ledger: a receipt is accepted");
  Accept(input, receipt, digest, now, into);
  return absl::OkStatus();
}

void Ledger::Accept(InputId input, const Receipt& receipt, const Digest& digest,
                    LogicalTime now, Consequences* into) {
  const Place place = places_.at(receipt.intent_hash);
  const Open& open = open_.at(place);
  into->entries.emplace_back(entry::ReceiptAppended{input, receipt});
  into->answers.push_back(AnswerFor(open, Cause{input, EventId{0}, 0}, &receipt,
                                    receipt.status, "", false));
  Remember(open, input, receipt, now);
  grants_.Settle(open.effect.capability, open.effect.reserved, receipt.usage);
  for (const Place& waiting : WaitingFor(place)) {
    REENACT_PROBE("ledger: a receipt ends several effects");
    Share(waiting, Cause{InputId{0}, waiting.first, waiting.second}, receipt,
          into);
  }
  Erase(place, digest, receipt.status);
}

// For the next who asks the same.
void Ledger::Remember(const Open& open, InputId input, const Receipt& receipt,
                      LogicalTime now) {
  const bool ok = receipt.status == ReceiptStatus::kOk;
  if (open.identity) {
    return RememberIdentity(
        open,
        ok ? std::make_shared<const Heard>(Heard{input, receipt}) : nullptr);
  }
  if (open.cache_scope.empty() || !ok ||
      (!shares_ && receipt.payload.size() > kCachedBytesMaxOld)) {
    return;
  }
  const std::optional<std::int64_t> ttl = policy_.CacheTtl(open.effect.kind);
  if (!ttl) return;
  std::int64_t expires = 0;
  if (__builtin_add_overflow(now.value, *ttl, &expires)) {
    expires = std::numeric_limits<std::int64_t>::max();
  }
  cached_.Put(CacheKey(open),
              {LogicalTime{expires},
               std::make_shared<const Heard>(Heard{input, receipt})},
              SizeOf(receipt));
  cached_.Limit(
      static_cast<std::size_t>(policy_.cache_count().value_or(
          static_cast<std::int64_t>(kCachedMax))),
      shares_ ? kRememberedBytesMax : std::numeric_limits<std::size_t>::max());
}

// What it is the identity of is kept whatever came of it, so that nothing else
// goes out under its key.
void Ledger::RememberIdentity(const Open& open, HeardShare heard) {
  const std::size_t size = heard != nullptr ? SizeOf(heard->receipt) : 0;
  identities_.Put(open.effect.idempotency_key,
                  {WishOf(open.effect), std::move(heard)}, size);
  identities_.Limit(kIdentitiesMax, kRememberedBytesMax);
}

absl::Status Ledger::Refuse(InputId input, const Receipt& receipt,
                            const Digest& digest, absl::Status why,
                            Consequences* into) {
  entry::ReceiptRefused refused;
  refused.input = input;
  refused.intent_hash = receipt.intent_hash;
  refused.executor = receipt.executor;
  refused.reason = Message(why);
  refused.digest = digest;
  AdmitRefusal(std::move(refused), into);
  return why;
}

void Ledger::AdmitRefusal(entry::ReceiptRefused refused, Consequences* into) {
  if (!refused_set_.insert(refused.digest).second) return;
  refused_.push_back(refused.digest);
  if (refused_.size() > kRefusedMax) {
    refused_set_.erase(refused_.front());
    refused_.pop_front();
  }
  into->entries.emplace_back(std::move(refused));
}

// --- what time ends ----------------------------------------------------------

namespace {

// Whether an intent of round `of` counts in `round`: which rounds those are
// does not depend on how fast rounds commit.
bool Counts(Round of, std::uint64_t depth, Round round) {
  return of.value + depth <= round.value;
}

}  // namespace

bool Ledger::HasDue(Round round, std::uint64_t depth, LogicalTime now) const {
  for (auto it = due_.begin(); it != due_.end() && it->first <= now; ++it) {
    if (Counts(open_.at(it->second).round, depth, round)) return true;
  }
  return false;
}

void Ledger::CloseDue(Round round, std::uint64_t depth, LogicalTime now,
                      Consequences* into) {
  std::vector<Place> places;
  for (auto it = due_.begin(); it != due_.end() && it->first <= now; ++it) {
    if (Counts(open_.at(it->second).round, depth, round)) {
      places.push_back(it->second);
    }
  }
  for (const Place& place : places) {
    const bool timer = open_.at(place).effect.kind == kTimerKind;
    REENACT_PROBE_IF(!timer, "ledger: a deadline has passed");
    Close(place, Cause{InputId{0}, place.first, place.second},
          timer ? ReceiptStatus::kOk : ReceiptStatus::kTimeout,
          timer ? "" : "its deadline has passed", into);
  }
}

std::optional<Round> Ledger::NextDue(std::uint64_t depth,
                                     LogicalTime now) const {
  std::optional<Round> next;
  for (auto it = due_.begin(); it != due_.end() && it->first <= now; ++it) {
    const Round from{open_.at(it->second).round.value + depth};
    next = std::min(next.value_or(from), from);
  }
  return next;
}

std::optional<LogicalTime> Ledger::NextTimer() const {
  for (const auto& [due, place] : due_) {
    if (open_.at(place).effect.kind == kTimerKind) return due;
  }
  return std::nullopt;
}

// --- what is open ------------------------------------------------------------

void Ledger::Insert(Open open) {
  const Place place{open.effect.event_id, open.effect.index};
  if (open.effect.deadline) due_.emplace(*open.effect.deadline, place);
  places_.emplace(open.effect.intent_hash, place);
  const auto [it, inserted] = open_.emplace(place, std::move(open));
  REENACT_CHECK(inserted);
  if (it->second.joins) {
    joined_.emplace(*it->second.joins, place);
  } else if (!it->second.held) {
    GoOut(it->second);
  }
}

void Ledger::NoticeOpen(const Open& open) {
  if (open.effect.kind == kTimerKind) return;
  notices_.push_back({open.effect, open.reducer, open.effect.intent_hash, {}});
}

std::vector<Ledger::Notice> Ledger::AllOpen(LogicalTime now) const {
  std::vector<Notice> all;
  for (const auto& [place, open] : open_) {
    if (open.held || open.joins || open.effect.kind == kTimerKind ||
        HasPassed(open.effect.deadline, now)) {
      continue;
    }
    all.push_back({open.effect, open.reducer, open.effect.intent_hash, {}});
  }
  return all;
}

void Ledger::Close(Place place, Cause cause, ReceiptStatus status,
                   std::string reason, Consequences* into) {
  const Open& open = open_.at(place);
  into->entries.emplace_back(
      entry::EffectClosed{open.effect.intent_hash, status, reason});
  into->answers.push_back(
      AnswerFor(open, cause, nullptr, status, reason, false));
  grants_.Settle(open.effect.capability, open.effect.reserved, Amounts());
  if (open.identity && !open.held && !open.joins) {
    RememberIdentity(open, nullptr);
  }
  Erase(place, Digest(), status);
  PassOn(place);
}

void Ledger::Erase(Place place, const Digest& receipt, ReceiptStatus status) {
  const auto it = open_.find(place);
  const OpenEffect& effect = it->second.effect;
  if (effect.deadline) due_.erase({*effect.deadline, place});
  places_.erase(effect.intent_hash);
  if (it->second.joins) joined_.erase({*it->second.joins, place});
  if (const auto key = FlightKey(it->second)) flights_.erase({*key, place});
  if (effect.kind != kTimerKind) {
    notices_.push_back({std::nullopt, kNoReducer, effect.intent_hash, {}});
  }
  CountEnd(effect, status);
  Settle({effect.intent_hash, receipt, status});
  open_.erase(it);
}

void Ledger::CountEnd(const OpenEffect& effect, ReceiptStatus status) {
  if (effect.kind != kTimerKind) ++ended_[static_cast<std::size_t>(status)];
}

void Ledger::Settle(Settled settled) {
  settled_by_hash_.emplace(settled.intent_hash, settled);
  settled_.push_back(settled);
  REENACT_PROBE("ledger: an effect has ended");
  if (settled_.size() <= kSettledMax) return;
  settled_by_hash_.erase(settled_.front().intent_hash);
  settled_.pop_front();
}

const Ledger::Settled* Ledger::FindSettled(const Digest& intent_hash) const {
  const auto it = settled_by_hash_.find(intent_hash);
  return it == settled_by_hash_.end() ? nullptr : &it->second;
}

Ledger::Answer Ledger::AnswerFor(const Open& open, Cause cause,
                                 const Receipt* receipt, ReceiptStatus status,
                                 std::string_view reason, bool cached) const {
  EffectAnswer answer;
  answer.intent_hash = open.effect.intent_hash;
  answer.event_id = open.effect.event_id;
  answer.index = open.effect.index;
  answer.kind = open.effect.kind;
  answer.status = status;
  answer.reason = reason;
  answer.cached = cached;
  if (receipt != nullptr) {
    if (!receipt->payload.empty()) {
      const absl::StatusOr<Value> payload = Value::Parse(receipt->payload);
      REENACT_CHECK(payload.ok());
      answer.payload = *payload;
    }
    answer.usage = cached ? Amounts() : receipt->usage;
    answer.executor = receipt->executor;
    answer.evidence = receipt->evidence;
  }
  return {CellRef{open.reducer, open.effect.origin.key}, cause,
          answer.Encode()};
}

}  // namespace reenact
