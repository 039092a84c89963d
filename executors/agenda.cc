#include "reenact/executors/agenda.h"

#include <algorithm>

#include "reenact/base/check.h"
#include "reenact/kernel/authority/predicate.h"
#include "reenact/kernel/effects/retry_rule.h"

namespace reenact {
namespace {

using std::chrono::milliseconds;

// Times are sums of now and a time-out; this one never leaves their range.
constexpr std::chrono::milliseconds kLongest{RetryRule::kMsMax};

// What the outside asks for may be any number.
milliseconds AskedFor(const Answer& answer) {
  return std::clamp(answer.retry_after.value_or(milliseconds(0)),
                    milliseconds(0), 2 * kLongest);
}

Answer TimedOut() {
  Answer answer = Answer::Error("the executor did not return by its deadline");
  answer.status = ReceiptStatus::kTimeout;
  return answer;
}

// Why receipts of `name` for effects of `kind` do not count, signatures apart;
// empty: they do.
std::string WhyUncounted(const Policy::Executors& listed, std::string_view name,
                         std::string_view kind) {
  if (listed.empty()) return "";
  const auto found = listed.find(name);
  if (found == listed.end()) return "the policy lists other executors only";
  if (MatchesAny(found->second.kinds, kind)) return "";
  return "the policy lets that executor answer other kinds only";
}

// The same for this process, which knows how it signs.
std::string WhyUncounted(const Policy::Executors& listed,
                         const KindOptions& options, std::string_view kind) {
  const std::string why = WhyUncounted(listed, options.executor, kind);
  const auto found = listed.find(options.executor);
  if (!why.empty() || found == listed.end() || !found->second.key) return why;
  if (!options.key) return "the policy wants a signature, and there is no key";
  if (PublicKeyOf(*options.key) == *found->second.key) return "";
  return "the policy has another key for that executor";
}

}  // namespace

Agenda::Agenda(Options options)
    : options_(std::move(options)), last_epoch_(options_.opening_epoch << 32) {}

void Agenda::Serve(const std::string& kind, KindOptions options) {
  if (options.executor.empty()) options.executor = kind;
  for (auto* timeout :
       {&options.attempt_timeout, &options.overall_timeout, &options.overrun}) {
    *timeout = std::clamp(*timeout, std::chrono::milliseconds(0), kLongest);
  }
  Kind& served = kinds_[kind];
  served.options = std::move(options);
  JudgeKind(kind, &served);
}

void Agenda::JudgeKind(const std::string& name, Kind* kind) const {
  if (kind->options) kind->barred = WhyUncounted(listed_, *kind->options, name);
}

Agenda::Place Agenda::PlaceOf(const OpenEffect& effect) {
  return {effect.event_id, effect.index, effect.intent_hash};
}

Agenda::Entry* Agenda::Find(const Digest& intent) {
  const auto found = entries_.find(intent);
  return found == entries_.end() ? nullptr : &found->second;
}

void Agenda::SetAlarm(Entry& entry, std::optional<Time> alarm) {
  const Digest& intent = entry.effect->intent_hash;
  if (entry.alarm) alarms_.erase({*entry.alarm, intent});
  entry.alarm = alarm;
  if (alarm) alarms_.emplace(*alarm, intent);
}

void Agenda::Leave(Entry& entry) {
  const Digest& intent = entry.effect->intent_hash;
  SetAlarm(entry, std::nullopt);
  if (entry.state == State::kReady) {
    Kind& kind = kinds_[entry.effect->kind];
    kind.queues[entry.peer].ready.erase(PlaceOf(*entry.effect));
    EraseIfEmpty(kind, entry.peer);
  }
  if (const auto holder = holders_.find(entry.holder);
      holder != holders_.end()) {
    holder->second.has.erase(intent);
  }
}

void Agenda::MakeReady(Entry& entry) {
  Leave(entry);
  entry.state = State::kReady;
  kinds_[entry.effect->kind].queues[entry.peer].ready.insert(
      PlaceOf(*entry.effect));
}

// From another process, which may have begun it if it had more than an offer.
void Agenda::TakeBack(Entry& entry) {
  if (entry.state == State::kHeld) entry.in_doubt = true;
  MakeReady(entry);
}

void Agenda::Delay(Entry& entry, Time until) {
  Leave(entry);
  entry.state = State::kDelayed;
  SetAlarm(entry, until);
}

std::chrono::microseconds Agenda::TimeLeft(const OpenEffect& effect) const {
  if (!effect.deadline || !options_.time_until) {
    return std::chrono::microseconds::max();
  }
  return options_.time_until(*effect.deadline);
}

bool Agenda::SetAsideIfOverdue(Entry& entry) {
  if (TimeLeft(*entry.effect) > std::chrono::microseconds(0)) return false;
  Leave(entry);
  entry.state = State::kOverdue;
  return true;
}

// --- what the world says -----------------------------------------------------

bool Agenda::Open(OpenEffect effect, std::string peer,
                  std::optional<Before> before) {
  const Digest intent = effect.intent_hash;
  const auto [place, is_new] = entries_.try_emplace(intent);
  if (!is_new) {
    ++totals_.known;
    return false;
  }
  ++totals_.opened;
  place->second.in_doubt = effect.begun;
  place->second.unnoted = effect.begun && !before;
  place->second.effect = std::make_shared<const OpenEffect>(std::move(effect));
  place->second.peer = std::move(peer);
  Entry& entry = place->second;
  MakeReady(entry);
  if (!before) return true;
  entry.attempts = before->attempts;
  entry.usage = std::move(before->usage);
  entry.in_doubt |= before->in_doubt;
  entry.first = before->first;
  if (before->not_before > before->first) Delay(entry, before->not_before);
  return true;
}

std::optional<Agenda::Held> Agenda::Close(const Digest& intent) {
  Entry* entry = Find(intent);
  if (!entry) return std::nullopt;
  ++totals_.closed;
  std::optional<Held> held;
  if (entry->state == State::kOffered || entry->state == State::kHeld) {
    const bool is_offer = entry->state == State::kOffered;
    held = Held{entry->holder, is_offer ? 0 : entry->epoch};
  }
  Leave(*entry);
  entries_.erase(intent);
  return held;
}

void Agenda::Listed(Policy::Executors executors) {
  listed_ = std::move(executors);
  for (auto& [id, holder] : holders_) holder.barred = false;
  for (auto& [name, kind] : kinds_) JudgeKind(name, &kind);
  for (auto& [intent, entry] : entries_) {
    if (entry.state != State::kStuck) continue;
    entry.refusals = 0;
    entry.ended_by_us = false;
    MakeReady(entry);
  }
}

// --- executors of this process -----------------------------------------------

std::size_t Agenda::Kind::ready() const {
  std::size_t count = 0;
  for (const auto& [peer, queue] : queues) count += queue.ready.size();
  return count;
}

void Agenda::EraseIfEmpty(Kind& kind, const std::string& peer) {
  const auto queue = kind.queues.find(peer);
  if (queue != kind.queues.end() && queue->second.ready.empty() &&
      queue->second.running == 0) {
    kind.queues.erase(queue);
  }
}

// How many more of a queue could be started, were it alone.
std::size_t Agenda::RoomIn(const Kind& kind, const std::string& peer,
                           const Queue& queue) {
  const std::size_t most = kind.options->per_peer;
  if (peer.empty() || most == 0) return queue.ready.size();
  return queue.running >= most
             ? 0
             : std::min(queue.ready.size(), most - queue.running);
}

// Null: there is none.
const Agenda::Place* Agenda::FirstStartable(const Kind& kind) {
  if (!kind.options || !kind.barred.empty() ||
      kind.running >= kind.options->concurrency) {
    return nullptr;
  }
  const Place* first = nullptr;
  for (const auto& [peer, queue] : kind.queues) {
    if (RoomIn(kind, peer, queue) == 0) continue;
    const Place& place = *queue.ready.begin();
    if (first == nullptr || place < *first) first = &place;
  }
  return first;
}

const Agenda::Place* Agenda::FirstReady(const Kind& kind) {
  const Place* first = nullptr;
  for (const auto& [peer, queue] : kind.queues) {
    if (queue.ready.empty()) continue;
    const Place& place = *queue.ready.begin();
    if (first == nullptr || place < *first) first = &place;
  }
  return first;
}

std::size_t Agenda::Startable() const {
  std::size_t count = 0;
  for (const auto& [name, kind] : kinds_) {
    if (FirstStartable(kind) == nullptr) continue;
    std::size_t of_kind = 0;
    for (const auto& [peer, queue] : kind.queues) {
      of_kind += RoomIn(kind, peer, queue);
    }
    count += std::min(of_kind, kind.options->concurrency - kind.running);
  }
  return count;
}

// Null: there is nothing to start, or no room.
Agenda::Entry* Agenda::NextToStart() {
  for (;;) {
    const Place* first = nullptr;
    for (const auto& [name, kind] : kinds_) {
      const Place* const place = FirstStartable(kind);
      if (place && (!first || *place < *first)) first = place;
    }
    if (first == nullptr) return nullptr;
    Entry* const entry = Find(first->intent);
    if (!SetAsideIfOverdue(*entry)) return entry;
  }
}

// Of its kind, with the rule that is on record for it.
KindOptions Agenda::OptionsFor(const Entry& entry) const {
  KindOptions options = *kinds_.at(entry.effect->kind).options;
  Apply(entry.effect->retry, &options.retry, &options.overall_timeout);
  return options;
}

// Attempts of processes before this one may have been all that there may be. It
// is answered for as if the last of them had overrun, by Due().
bool Agenda::EndIfSpent(Entry& entry, const KindOptions& options, Time now) {
  if (entry.first && !entry.give_up) {
    entry.give_up = *entry.first + options.overall_timeout;
  }
  if (entry.attempts < options.retry.attempts_max &&
      (!entry.give_up || now < *entry.give_up)) {
    return false;
  }
  Leave(entry);
  entry.state = State::kHeld;
  entry.holder = 0;
  entry.epoch = ++last_epoch_;
  entry.spent = true;
  SetAlarm(entry, now);
  return true;
}

std::optional<Lease> Agenda::Start(Time now) {
  while (Entry* const next = NextToStart()) {
    const KindOptions options = OptionsFor(*next);
    if (!EndIfSpent(*next, options, now)) return Begin(*next, options, now);
  }
  return std::nullopt;
}

Lease Agenda::Begin(Entry& entry, const KindOptions& options, Time now) {
  Kind& kind = kinds_.at(entry.effect->kind);
  ++kind.queues[entry.peer].running;
  ++kind.running;
  Leave(entry);
  entry.state = State::kHeld;
  entry.holder = 0;
  entry.epoch = ++last_epoch_;
  ++entry.attempts;
  ++totals_.started;
  if (!entry.first) entry.first = now;
  if (!entry.give_up) entry.give_up = *entry.first + options.overall_timeout;
  const Time until = std::min(now + options.attempt_timeout, *entry.give_up);
  SetAlarm(entry, until + options.overrun);
  return {entry.effect, entry.epoch, AttemptOf(entry), until, entry.peer};
}

std::uint32_t Agenda::AttemptOf(const Entry& entry) {
  return entry.attempts + (entry.unnoted ? 1 : 0);
}

void Agenda::Returned(const Lease& lease) {
  Kind& kind = kinds_.at(lease.effect->kind);
  --kind.running;
  --kind.queues.at(lease.peer).running;
  EraseIfEmpty(kind, lease.peer);
}

bool Agenda::IsCurrent(const Entry* entry, HolderId holder,
                       std::uint64_t epoch) const {
  return entry && entry->state == State::kHeld && entry->holder == holder &&
         entry->epoch == epoch;
}

std::optional<Agenda::Time> Agenda::TimeToTryAgain(const Entry& entry,
                                                   const Answer& answer,
                                                   Time now) const {
  const KindOptions options = OptionsFor(entry);
  if (!answer.transient || entry.attempts >= options.retry.attempts_max) {
    return std::nullopt;
  }
  using std::chrono::microseconds;
  const microseconds left =
      std::min(std::chrono::duration_cast<microseconds>(*entry.give_up - now),
               TimeLeft(*entry.effect));
  const milliseconds asked = AskedFor(answer);
  if (asked >= left) return std::nullopt;
  milliseconds more =
      Backoff(options.retry, entry.attempts, asked, options_.random());
  // What is asked for is had, if there is time, and then what is left of it.
  if (asked > milliseconds(0)) {
    more %= std::chrono::ceil<milliseconds>(
        std::min<microseconds>(left - asked, 2 * kLongest));
  }
  if (asked + more >= left) return std::nullopt;
  return now + asked + more;
}

Receipt Agenda::Conclude(Entry& entry, Answer answer) {
  Leave(entry);
  entry.state = State::kAnswered;
  if (entry.in_doubt) answer = InDoubt(std::move(answer));
  Receipt receipt;
  receipt.intent_hash = entry.effect->intent_hash;
  receipt.status = answer.status;
  receipt.payload = std::move(answer.payload);
  receipt.usage = entry.usage;
  receipt.executor = entry.holder == 0
                         ? kinds_.at(entry.effect->kind).options->executor
                         : entry.executor;
  receipt.lease_epoch = entry.epoch;
  receipt.evidence = std::move(answer.evidence);
  return receipt;
}

Agenda::Finished Agenda::Finish(const Lease& lease, Answer answer, Time now) {
  Returned(lease);
  Entry* entry = Find(lease.effect->intent_hash);
  if (!IsCurrent(entry, 0, lease.epoch)) {
    ++totals_.late;
    return {};
  }
  // What each attempt cost has been spent, whatever comes of the last. A sum
  // beyond 64 bits stays at what it was before.
  entry->usage.Add(answer.usage);
  if (const auto time = TimeToTryAgain(*entry, answer, now)) {
    ++totals_.retries;
    if (answer.status == ReceiptStatus::kTimeout) entry->in_doubt = true;
    Delay(*entry, *time);
    return {Fate::kAgain, {}, BeforeOf(*entry, *time)};
  }
  return {Fate::kFinal, Conclude(*entry, std::move(answer))};
}

Agenda::Before Agenda::BeforeOf(const Entry& entry, Time next) {
  return {entry.attempts, entry.usage, entry.in_doubt, *entry.first, next};
}

Agenda::Finished Agenda::Abandon(const Lease& lease, const Answer& answer,
                                 Time now) {
  Returned(lease);
  Entry* entry = Find(lease.effect->intent_hash);
  if (!IsCurrent(entry, 0, lease.epoch)) return {};
  entry->usage.Add(answer.usage);
  entry->in_doubt |= answer.status != ReceiptStatus::kError;
  MakeReady(*entry);
  return {Fate::kAgain, {}, BeforeOf(*entry, now + AskedFor(answer))};
}

void Agenda::Postpone(const Lease& lease, Time again) {
  Returned(lease);
  Entry* entry = Find(lease.effect->intent_hash);
  if (!IsCurrent(entry, 0, lease.epoch)) return;
  // Its time runs from the first that is begun.
  if (--entry->attempts == 0) {
    entry->first.reset();
    entry->give_up.reset();
  }
  Delay(*entry, again);
}

// --- other processes ---------------------------------------------------------

HolderId Agenda::Attach(std::string name, std::vector<std::string> kinds,
                        std::size_t concurrency) {
  Holder& holder = holders_[++last_holder_];
  holder.name = std::move(name);
  holder.kinds = std::move(kinds);
  holder.concurrency = concurrency;
  return last_holder_;
}

void Agenda::Detach(HolderId holder) {
  const auto found = holders_.find(holder);
  if (found == holders_.end()) return;
  const std::set<Digest> had = std::exchange(found->second.has, {});
  holders_.erase(found);
  for (const Digest& intent : had) TakeBack(*Find(intent));
}

// Null: nothing of its kinds is ready.
Agenda::Entry* Agenda::NextFor(const Holder& holder) {
  for (;;) {
    const Place* first = nullptr;
    for (const std::string& name : holder.kinds) {
      const auto kind = kinds_.find(name);
      if (kind == kinds_.end()) continue;
      if (!WhyUncounted(listed_, holder.name, name).empty()) continue;
      const Place* const place = FirstReady(kind->second);
      if (place && (!first || *place < *first)) first = place;
    }
    if (first == nullptr) return nullptr;
    Entry* const entry = Find(first->intent);
    if (!SetAsideIfOverdue(*entry)) return entry;
  }
}

std::shared_ptr<const OpenEffect> Agenda::Offer(HolderId holder, Time now) {
  const auto found = holders_.find(holder);
  if (found == holders_.end()) return nullptr;
  Holder& to = found->second;
  if (to.barred || to.silent || to.has.size() >= to.concurrency) {
    return nullptr;
  }
  Entry* const next = NextFor(to);
  if (next == nullptr) return nullptr;
  Entry& entry = *next;
  Leave(entry);
  entry.state = State::kOffered;
  entry.holder = holder;
  to.has.insert(entry.effect->intent_hash);
  SetAlarm(entry, now + options_.lease);
  return entry.effect;
}

void Agenda::Heard(HolderId holder) {
  const auto found = holders_.find(holder);
  if (found != holders_.end()) found->second.silent = false;
}

absl::StatusOr<Lease> Agenda::Claim(HolderId holder, const Digest& intent,
                                    Time now) {
  Entry* entry = Find(intent);
  if (!entry || entry->state != State::kOffered || entry->holder != holder) {
    return absl::NotFoundError("that effect is not on offer to you");
  }
  if (SetAsideIfOverdue(*entry)) {
    return absl::NotFoundError("that effect's deadline has passed");
  }
  entry->state = State::kHeld;
  entry->epoch = ++last_epoch_;
  entry->executor = NameOf(holder);
  ++entry->attempts;
  ++totals_.claimed;
  SetAlarm(*entry, now + options_.lease);
  return Lease{entry->effect, entry->epoch, AttemptOf(*entry), *entry->alarm};
}

absl::Status Agenda::Renew(HolderId holder, const Digest& intent,
                           std::uint64_t epoch, Time now) {
  Entry* entry = Find(intent);
  if (!IsCurrent(entry, holder, epoch)) {
    return absl::FailedPreconditionError("stale lease");
  }
  SetAlarm(*entry, now + options_.lease);
  return absl::OkStatus();
}

Agenda::Standing Agenda::Receive(HolderId holder, const Digest& intent,
                                 std::uint64_t epoch) {
  Entry* entry = Find(intent);
  if (!entry) return Standing::kUnknown;
  if (IsCurrent(entry, holder, epoch)) {
    Leave(*entry);
    entry->state = State::kAnswered;
    return Standing::kCurrent;
  }
  // The same once more, before the world has said anything about the first:
  // which of the two counts is the world's to say.
  const bool again = entry->state == State::kAnswered &&
                     entry->holder == holder && entry->epoch == epoch;
  if (!again) ++totals_.stale;
  return again ? Standing::kCurrent : Standing::kStale;
}

// --- what became of receipts -------------------------------------------------

void Agenda::Settled(const Digest& intent) {
  Entry* entry = Find(intent);
  // Closed() comes for it, too, but may have come before an offer is made.
  if (entry && entry->state == State::kAnswered) {
    Leave(*entry);
    entries_.erase(intent);
    ++totals_.closed;
  }
}

void Agenda::Bar(HolderId holder, const Digest& intent) {
  const auto found = holders_.find(holder);
  const Entry* const entry = Find(intent);
  if (found == holders_.end() || entry == nullptr) return;
  Holder& barred = found->second;
  if (WhyUncounted(listed_, barred.name, entry->effect->kind).empty()) {
    barred.barred = true;
  }
}

std::optional<Receipt> Agenda::Refused(const Digest& intent,
                                       std::uint64_t epoch,
                                       std::string_view why, bool for_good,
                                       Time now) {
  Entry* entry = Find(intent);
  if (!entry || entry->state != State::kAnswered || entry->epoch != epoch) {
    return std::nullopt;
  }
  ++entry->refusals;
  const bool is_ours = entry->holder == 0;
  if ((is_ours || for_good) && !entry->ended_by_us) {
    entry->ended_by_us = true;
    return Conclude(*entry, Answer::Error(why));
  }
  if (!is_ours && !entry->ended_by_us &&
      entry->refusals < options_.refused.attempts_max) {
    entry->in_doubt = true;  // whoever it was has answered
    Delay(*entry,
          now + Backoff(options_.refused, entry->refusals, options_.random()));
    return std::nullopt;
  }
  Leave(*entry);
  entry->state = State::kStuck;
  return std::nullopt;
}

std::optional<Receipt> Agenda::Malformed(HolderId holder, const Digest& intent,
                                         std::string_view why) {
  Entry* entry = Find(intent);
  if (!entry || !IsCurrent(entry, holder, entry->epoch) || entry->ended_by_us) {
    return std::nullopt;
  }
  entry->ended_by_us = true;
  return Conclude(*entry, Answer::Error(why));
}

// --- time --------------------------------------------------------------------

std::optional<Agenda::Time> Agenda::NextAlarm() const {
  if (alarms_.empty()) return std::nullopt;
  return alarms_.begin()->first;
}

Agenda::Expired Agenda::Expire(Entry& entry) {
  Expired expired;
  expired.holder = entry.holder;
  expired.intent = entry.effect->intent_hash;
  if (entry.state == State::kHeld) expired.epoch = entry.epoch;
  if (entry.holder == 0) {
    if (entry.spent) {
      expired.receipt = Conclude(
          entry, Answer::Error("no other attempt is allowed, and no process "
                               "lived to see the last one's end"));
      return expired;
    }
    ++totals_.overruns;
    expired.receipt = Conclude(entry, TimedOut());
    return expired;
  }
  ++totals_.expired;
  holders_.at(entry.holder).silent = true;
  TakeBack(entry);
  return expired;
}

std::vector<Agenda::Expired> Agenda::Due(Time now) {
  std::vector<Expired> expired;
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    Entry& entry = *Find(alarms_.begin()->second);
    if (entry.state == State::kDelayed) {
      MakeReady(entry);
    } else {
      expired.push_back(Expire(entry));
    }
  }
  return expired;
}

// --- looking at it -----------------------------------------------------------

bool Agenda::IsServed(const std::string& kind) const {
  const auto found = kinds_.find(kind);
  if (found != kinds_.end() && found->second.options &&
      found->second.barred.empty()) {
    return true;
  }
  return std::any_of(holders_.begin(), holders_.end(), [&](const auto& each) {
    const Holder& holder = each.second;
    return std::find(holder.kinds.begin(), holder.kinds.end(), kind) !=
               holder.kinds.end() &&
           !holder.barred && WhyUncounted(listed_, holder.name, kind).empty();
  });
}

DispatcherStats Agenda::Stats() const {
  DispatcherStats stats = totals_;
  stats.attached = holders_.size();
  std::map<std::string, std::size_t, std::less<>> open;
  for (const auto& [intent, entry] : entries_) {
    ++open[entry.effect->kind];
    stats.ready += entry.state == State::kReady;
    stats.delayed += entry.state == State::kDelayed;
    stats.offered += entry.state == State::kOffered;
    stats.held += entry.state == State::kHeld;
    stats.answered += entry.state == State::kAnswered;
    stats.stuck += entry.state == State::kStuck;
    stats.overdue += entry.state == State::kOverdue;
  }
  for (const auto& [name, kind] : kinds_) {
    stats.running += kind.running;
    const auto here = open.find(name);
    stats.kinds.push_back({name, here == open.end() ? 0 : here->second,
                           kind.ready(), kind.running, IsServed(name),
                           kind.barred});
  }
  return stats;
}

const KindOptions* Agenda::OptionsOf(std::string_view kind) const {
  const auto found = kinds_.find(kind);
  if (found == kinds_.end() || !found->second.options) return nullptr;
  return &*found->second.options;
}

std::string_view Agenda::KindOf(const Digest& intent) const {
  const auto found = entries_.find(intent);
  return found == entries_.end() ? std::string_view()
                                 : std::string_view(found->second.effect->kind);
}

std::string_view Agenda::NameOf(HolderId holder) const {
  const auto found = holders_.find(holder);
  return found == holders_.end() ? std::string_view()
                                 : std::string_view(found->second.name);
}

}  // namespace reenact
