#include "reenact/committer/ledger.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "reenact/kernel/answer.h"
#include "reenact/kernel/cbor.h"
#include "reenact/kernel/cbor_value.h"
#include "reenact/kernel/check.h"
#include "reenact/kernel/instrument.h"

namespace reenact {
namespace {

using cbor::Value;

std::string Message(const absl::Status& status) {
  return std::string(ToStd(status.message()));
}

Digest CacheKey(const EffectIntent& intent) {
  return Hasher("reenact.cache.v1")
      .AddSized(intent.kind)
      .AddSized(intent.params)
      .AddSized(intent.cache_scope)
      .Finish();
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

// --- judging intents -------------------------------------------------------

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
  all.reserve(intents.size());
  for (std::size_t i = 0; i < intents.size(); ++i) {
    all.push_back(JudgeOne(step, static_cast<std::uint32_t>(i), intents[i]));
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
                                const EffectIntent& intent) {
  Judged judged;
  entry::EffectQueued& entry = judged.entry;
  entry.event_id = step.event_id;
  entry.index = index;
  entry.idempotency_key =
      IdempotencyKey(world_id_, intent.idempotency, step.event_id, index);
  entry.intent_hash = IntentHash(intent.kind, intent.params, intent.capability,
                                 entry.idempotency_key);
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
  judged.open.cache_scope = intent.cache_scope;

  if (intent.kind == kTimerKind) {
    JudgeTimer(step, intent, &judged);
  } else if (intent.kind == kCancelKind) {
    judged.cancels = true;
    const auto target = CancelTarget(intent.params);
    if (!target.ok()) Deny("cancel: " + Message(target.status()), &judged);
  } else {
    judged.cached = FindCached(intent, step.time);
    JudgeAuthority(step, intent, &judged);
  }
  REENACT_PROBE_IF(judged.cached != nullptr, "ledger: an answer is in the cache");
  if (open_.size() >= kOpenMax) Deny("too many effects are open", &judged);
  if (entry.verdict == EffectVerdict::kDenied) return judged;
  if (judged.cached != nullptr && entry.verdict == EffectVerdict::kOpen) {
    entry.verdict = EffectVerdict::kAnswered;
    entry.answered_by = judged.cached->input;
    return judged;
  }
  judged.cached = nullptr;
  if (judged.cancels) {
    entry.verdict = EffectVerdict::kAnswered;
    return judged;
  }
  if (intent.kind == kTimerKind) return judged;
  grants_.Reserve(intent.capability, intent.reserve);
  policy_.Take(judged.decision, step.time, &rates_);
  entry.reserved = intent.reserve;
  effect.reserved = intent.reserve;
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
  facts.reserve = judged->cached != nullptr ? &nothing : &intent.reserve;
  const absl::Status granted = grants_.Check(facts, step.time);
  REENACT_PROBE_IF(!granted.ok(), "ledger: no grant for it");
  if (!granted.ok()) return Deny(Message(granted), judged);
  judged->decision = policy_.Decide(facts, step.time, rates_);
  REENACT_PROBE_IF(judged->decision.verdict == Policy::Verdict::kDeny,
                   "ledger: the policy denies");
  REENACT_PROBE_IF(judged->decision.verdict == Policy::Verdict::kAsk,
                   "ledger: the policy asks");
  if (judged->decision.verdict == Policy::Verdict::kDeny) {
    return Deny("policy: " + judged->decision.rule, judged);
  }
  if (judged->decision.verdict == Policy::Verdict::kAsk) {
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
  if (intent.deadline || !intent.capability.empty() ||
      !intent.reserve.empty()) {
    return Deny("timer: it has a deadline, a capability or a price", judged);
  }
  REENACT_PROBE("ledger: a timer is set");
  judged->open.effect.deadline = *due;
}

const Ledger::Cached* Ledger::FindCached(const EffectIntent& intent,
                                         LogicalTime now) const {
  if (cached_.empty() || intent.cache_scope.empty()) return nullptr;
  const Digest key = CacheKey(intent);
  for (auto it = cached_.rbegin(); it != cached_.rend(); ++it) {
    if (it->of == key) return now < it->expires ? &*it : nullptr;
  }
  return nullptr;
}

void Ledger::Commit(const Step& step, Judged judged, const EffectIntent& intent,
                    Consequences* into) {
  const Cause cause{InputId{0}, step.event_id, judged.entry.index};
  into->entries.emplace_back(judged.entry);
  switch (judged.entry.verdict) {
    case EffectVerdict::kDenied:
      REENACT_PROBE("ledger: an intent is denied");
      into->answers.push_back(AnswerFor(judged.open, cause, nullptr,
                                        ReceiptStatus::kDenied,
                                        judged.entry.reason, false));
      return;
    case EffectVerdict::kAnswered:
      if (judged.cancels) return CancelFor(step, intent, into);
      into->answers.push_back(AnswerFor(judged.open, cause,
                                        &judged.cached->receipt,
                                        judged.cached->receipt.status, "",
                                        true));
      return;
    case EffectVerdict::kOpen:
    case EffectVerdict::kHeld:
      return Insert(std::move(judged.open));
  }
}

// What the step's own cell has open, and was intended before.
void Ledger::CancelFor(const Step& step, const EffectIntent& intent,
                       Consequences* into) {
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
  REENACT_PROBE_IF(places.empty(), "ledger: a cell cancels what is not there");
  for (const Place& place : places) {
    REENACT_PROBE("ledger: a cell cancels");
    Close(place, Cause{InputId{0}, place.first, place.second},
          ReceiptStatus::kCancelled, "its cell cancelled it", into);
  }
  if (!*target) {
    REENACT_PROBE("ledger: a cell cancels all that it has");
    into->timers_dropped.push_back({step.reducer, std::string(step.key)});
  }
}

// --- control commands ------------------------------------------------------

absl::Status Ledger::Change(const entry::GrantChanged& change) {
  return grants_.Apply(change.change);
}

absl::Status Ledger::Change(const entry::PolicyChanged& change) {
  REENACT_ASSIGN_OR_RETURN(const Value document,
                           Value::Parse(change.document));
  Policy policy;
  if (!document.IsNull()) {
    REENACT_ASSIGN_OR_RETURN(policy, Policy::Parse(document));
  }
  REENACT_PROBE_IF(!policy_.none() && policy.none(), "ledger: a policy goes");
  REENACT_PROBE_IF(!policy.none(), "ledger: a policy comes");
  policy_ = std::move(policy);
  // Buckets belong to rules.
  rates_ = Rates();
  return absl::OkStatus();
}

absl::Status Ledger::Change(EventId event_id, const entry::EffectJudged& word,
                            Consequences* into) {
  const auto it = places_.find(word.intent_hash);
  REENACT_PROBE_IF(it == places_.end(), "ledger: a word on what has ended");
  if (it == places_.end()) return absl::NotFoundError("no such effect is open");
  Open& open = open_.at(it->second);
  REENACT_PROBE_IF(!open.held, "ledger: a word on what nobody holds");
  if (!open.held) {
    return absl::FailedPreconditionError("the effect waits for no approval");
  }
  REENACT_PROBE_IF(word.approved, "ledger: an effect is approved");
  REENACT_PROBE_IF(!word.approved, "ledger: an effect is not approved");
  if (word.approved) {
    open.held = false;
    open.rule.clear();
    NoticeOpen(open);
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

void Ledger::RollBack(EventId to, std::string_view reason,
                      Consequences* into) {
  Consequences ended;
  for (auto it = open_.upper_bound({to, std::numeric_limits<std::uint32_t>::max()});
       it != open_.end();) {
    const Place place = (it++)->first;
    Close(place, Cause(), ReceiptStatus::kCancelled, std::string(reason),
          &ended);
  }
  for (Entry& entry : ended.entries) into->entries.push_back(std::move(entry));
}

std::optional<Ledger::Answer> Ledger::AnswerTo(const Entry& end) const {
  const auto* appended = std::get_if<entry::ReceiptAppended>(&end);
  const auto* closed = std::get_if<entry::EffectClosed>(&end);
  if (appended == nullptr && closed == nullptr) return std::nullopt;
  const auto it = places_.find(appended != nullptr
                                   ? appended->receipt.intent_hash
                                   : closed->intent_hash);
  if (it == places_.end()) return std::nullopt;
  const Open& open = open_.at(it->second);
  if (closed != nullptr) {
    return AnswerFor(open, Cause(), nullptr, closed->status, closed->reason,
                     false);
  }
  return AnswerFor(open, Cause(), &appended->receipt,
                   appended->receipt.status, "", false);
}

// --- receipts --------------------------------------------------------------

// Whether the policy lets it speak, before anything that it says is looked at.
absl::Status Ledger::CheckSender(const Receipt& receipt) const {
  const Policy::Executor* const executor =
      policy_.FindExecutor(receipt.executor);
  if (executor == nullptr) {
    if (!policy_.executors_listed()) return absl::OkStatus();
    return absl::PermissionDeniedError("the policy lists no such executor");
  }
  if (executor->key && !IsSignedBy(world_id_, *executor->key, receipt)) {
    return absl::PermissionDeniedError(
        "it is not signed with the executor's key");
  }
  const auto it = places_.find(receipt.intent_hash);
  if (it == places_.end() || executor->kinds.empty()) return absl::OkStatus();
  const std::string& kind = open_.at(it->second).effect.kind;
  for (const std::string& pattern : executor->kinds) {
    if (MatchesPattern(pattern, kind)) return absl::OkStatus();
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
  if (open.held || open.effect.kind == kTimerKind) {
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
  Erase(place, digest, receipt.status);
}

// For the next who asks the same.
void Ledger::Remember(const Open& open, InputId input, const Receipt& receipt,
                      LogicalTime now) {
  if (open.cache_scope.empty() || receipt.status != ReceiptStatus::kOk ||
      receipt.payload.size() > kCachedBytesMax) {
    return;
  }
  const std::optional<std::int64_t> ttl = policy_.CacheTtl(open.effect.kind);
  if (!ttl) return;
  EffectIntent same;
  same.kind = open.effect.kind;
  same.params = open.effect.params;
  same.cache_scope = open.cache_scope;
  Cached cached;
  cached.of = CacheKey(same);
  std::int64_t expires = 0;
  if (__builtin_add_overflow(now.value, *ttl, &expires)) {
    expires = std::numeric_limits<std::int64_t>::max();
  }
  cached.expires = LogicalTime{expires};
  cached.input = input;
  cached.receipt = receipt;
  std::erase_if(cached_,
                [&cached](const Cached& each) { return each.of == cached.of; });
  cached_.push_back(std::move(cached));
  if (cached_.size() > kCachedMax) cached_.pop_front();
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

// --- what time ends --------------------------------------------------------

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

// --- what is open ----------------------------------------------------------

void Ledger::Insert(Open open) {
  const Place place{open.effect.event_id, open.effect.index};
  if (open.effect.deadline) due_.emplace(*open.effect.deadline, place);
  places_.emplace(open.effect.intent_hash, place);
  const auto [it, inserted] = open_.emplace(place, std::move(open));
  REENACT_CHECK(inserted);
  if (!it->second.held) NoticeOpen(it->second);
}

void Ledger::NoticeOpen(const Open& open) {
  if (open.effect.kind == kTimerKind) return;
  notices_.push_back({open.effect, open.reducer, open.effect.intent_hash});
}

std::vector<Ledger::Notice> Ledger::AllOpen() const {
  std::vector<Notice> all;
  for (const auto& [place, open] : open_) {
    if (open.held || open.effect.kind == kTimerKind) continue;
    all.push_back({open.effect, open.reducer, open.effect.intent_hash});
  }
  return all;
}

void Ledger::Close(const Place& place, Cause cause, ReceiptStatus status,
                   std::string reason, Consequences* into) {
  const Open& open = open_.at(place);
  into->entries.emplace_back(
      entry::EffectClosed{open.effect.intent_hash, status, reason});
  into->answers.push_back(
      AnswerFor(open, cause, nullptr, status, reason, false));
  grants_.Settle(open.effect.capability, open.effect.reserved, Amounts());
  Erase(place, Digest(), status);
}

void Ledger::Erase(const Place& place, const Digest& receipt,
                   ReceiptStatus status) {
  const auto it = open_.find(place);
  const OpenEffect& effect = it->second.effect;
  if (effect.deadline) due_.erase({*effect.deadline, place});
  places_.erase(effect.intent_hash);
  if (effect.kind != kTimerKind) {
    notices_.push_back({std::nullopt, kNoReducer, effect.intent_hash});
  }
  Settle({effect.intent_hash, receipt, status});
  open_.erase(it);
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

// --- snapshots ---------------------------------------------------------------
//
// ledger  = [grants, policy / null, rates, [*open], [*settled], [*cached],
//            [*refused digest]]
// open    = [event_id, index, intent hash, idempotency key, reducer, key, kind,
//            capability, params as bytes, reserved, queued, deadline / null,
//            round, held, rule, cache scope]
// settled = [intent hash, receipt digest, status]
// cached  = [of, expires, input, receipt as bytes]

namespace {

void EncodeDigest(const Digest& digest, cbor::Encoder& encoder) {
  encoder.ByteString(digest.view());
}

Digest DecodeDigest(cbor::Reader& reader) {
  const BytesView bytes = reader.ByteString();
  if (reader.ok() && bytes.size() != kDigestSize) {
    reader.Fail("a digest has 32 bytes");
  }
  return reader.ok() ? *Digest::FromBytes(bytes) : Digest();
}

void EncodeOpen(const Ledger::Open& open, cbor::Encoder& encoder) {
  const OpenEffect& effect = open.effect;
  encoder.Array(16);
  encoder.Unsigned(effect.event_id.value);
  encoder.Unsigned(effect.index);
  EncodeDigest(effect.intent_hash, encoder);
  EncodeDigest(effect.idempotency_key, encoder);
  encoder.Unsigned(open.reducer);
  encoder.Text(effect.origin.key);
  encoder.Text(effect.kind);
  encoder.Text(effect.capability);
  // Byte strings, so that an item of any depth fits.
  encoder.ByteString(effect.params);
  effect.reserved.Encode(encoder);
  encoder.Integer(effect.queued.value);
  if (effect.deadline) {
    encoder.Integer(effect.deadline->value);
  } else {
    encoder.Null();
  }
  encoder.Unsigned(open.round.value);
  encoder.Bool(open.held);
  encoder.Text(open.rule);
  encoder.Text(open.cache_scope);
}

template <typename Integer>
Integer Narrow(cbor::Reader& reader) {
  const std::uint64_t value = reader.Unsigned();
  if (value > std::numeric_limits<Integer>::max()) {
    reader.Fail("a number is out of range");
    return 0;
  }
  return static_cast<Integer>(value);
}

Ledger::Open DecodeOpen(cbor::Reader& reader) {
  Ledger::Open open;
  OpenEffect& effect = open.effect;
  reader.ExpectArray(16);
  effect.event_id = EventId{reader.Unsigned()};
  effect.index = Narrow<std::uint32_t>(reader);
  effect.intent_hash = DecodeDigest(reader);
  effect.idempotency_key = DecodeDigest(reader);
  open.reducer = Narrow<ReducerId>(reader);
  effect.origin.key = reader.Text();
  effect.kind = reader.Text();
  effect.capability = reader.Text();
  effect.params = Bytes(reader.ByteString());
  effect.reserved = Amounts::Decode(reader);
  effect.queued = LogicalTime{reader.Integer()};
  if (reader.Peek() == cbor::Type::kNull) {
    reader.Null();
  } else {
    effect.deadline = LogicalTime{reader.Integer()};
  }
  open.round = Round{reader.Unsigned()};
  open.held = reader.Bool();
  open.rule = reader.Text();
  open.cache_scope = reader.Text();
  if (reader.ok() && (open.reducer == kNoReducer ||
                      !cbor::Validate(effect.params).ok() ||
                      (effect.kind == kTimerKind && !effect.deadline))) {
    reader.Fail("no such effect can be open");
  }
  return open;
}

}  // namespace

void Ledger::Encode(Bytes* out) const {
  if (unused()) return;
  cbor::Encoder encoder(out);
  encoder.Array(7);
  grants_.Encode(encoder);
  if (policy_.none()) {
    encoder.Null();
  } else {
    encoder.Raw(policy_.content());
  }
  rates_.Encode(encoder);
  encoder.Array(open_.size());
  for (const auto& [place, open] : open_) EncodeOpen(open, encoder);
  encoder.Array(settled_.size());
  for (const Settled& settled : settled_) {
    encoder.Array(3);
    EncodeDigest(settled.intent_hash, encoder);
    EncodeDigest(settled.receipt, encoder);
    encoder.Unsigned(static_cast<std::uint64_t>(settled.status));
  }
  encoder.Array(cached_.size());
  for (const Cached& cached : cached_) {
    encoder.Array(4);
    EncodeDigest(cached.of, encoder);
    encoder.Integer(cached.expires.value);
    encoder.Unsigned(cached.input.value);
    Bytes receipt;
    cbor::Encoder inner(&receipt);
    EncodeReceipt(cached.receipt, inner);
    encoder.ByteString(receipt);
  }
  encoder.Array(refused_.size());
  for (const Digest& digest : refused_) EncodeDigest(digest, encoder);
}

absl::StatusOr<Ledger> Ledger::Decode(Bytes world_id, BytesView item) {
  Ledger ledger(std::move(world_id));
  if (item.empty()) return ledger;
  cbor::Reader reader(item);
  reader.ExpectArray(7);
  ledger.grants_ = Grants::Decode(reader);
  const BytesView policy = reader.Item();
  ledger.rates_ = Rates::Decode(reader);
  const std::uint64_t open_count = reader.Array();
  Place last;
  for (std::uint64_t i = 0; i < open_count && reader.ok(); ++i) {
    Open open = DecodeOpen(reader);
    const Place place{open.effect.event_id, open.effect.index};
    if (!reader.ok()) break;
    if (place <= last && i != 0) {
      reader.Fail("effects are out of order");
      break;
    }
    last = place;
    ledger.Insert(std::move(open));
  }
  ledger.notices_.clear();
  const std::uint64_t settled_count = reader.Array();
  for (std::uint64_t i = 0; i < settled_count && reader.ok(); ++i) {
    Settled settled;
    reader.ExpectArray(3);
    settled.intent_hash = DecodeDigest(reader);
    settled.receipt = DecodeDigest(reader);
    const std::uint64_t status = reader.Unsigned();
    if (reader.ok() && (status > 4 || i >= kSettledMax)) {
      reader.Fail("no effect ends so");
    }
    settled.status = static_cast<ReceiptStatus>(status);
    if (reader.ok()) ledger.Settle(settled);
  }
  const std::uint64_t cached_count = reader.Array();
  for (std::uint64_t i = 0; i < cached_count && reader.ok(); ++i) {
    Cached cached;
    reader.ExpectArray(4);
    cached.of = DecodeDigest(reader);
    cached.expires = LogicalTime{reader.Integer()};
    cached.input = InputId{reader.Unsigned()};
    const absl::StatusOr<Receipt> receipt = DecodeReceipt(reader.ByteString());
    if (!reader.ok()) break;
    if (!receipt.ok() || i >= kCachedMax) {
      reader.Fail("no such receipt is kept");
      break;
    }
    cached.receipt = *receipt;
    ledger.cached_.push_back(std::move(cached));
  }
  const std::uint64_t refused_count = reader.Array();
  for (std::uint64_t i = 0; i < refused_count && reader.ok(); ++i) {
    const Digest digest = DecodeDigest(reader);
    if (i >= kRefusedMax || !ledger.refused_set_.insert(digest).second) {
      reader.Fail("no such refusals are remembered");
    }
    ledger.refused_.push_back(digest);
  }
  reader.ExpectEnd();
  if (!reader.ok()) {
    return absl::InvalidArgumentError(
        absl::string_view(reader.status().message()));
  }
  REENACT_ASSIGN_OR_RETURN(const Value document, Value::Parse(policy));
  if (!document.IsNull()) {
    REENACT_ASSIGN_OR_RETURN(ledger.policy_, Policy::Parse(document));
  }
  return ledger;
}

}  // namespace reenact
