#include "reenact/sequencer/sequencer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "reenact/base/check.h"
#include "reenact/base/test_points.h"
#include "reenact/kernel/cell_hash.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/sequencer/sequencer_impl.h"

namespace reenact {
namespace {

bool IsExternal(UnitKind kind) {
  return kind == UnitKind::kEvent || kind == UnitKind::kControl;
}

std::uint8_t ClassOf(const Unit& unit) {
  switch (unit.kind) {
    case UnitKind::kTimer:
    case UnitKind::kControl:
    case UnitKind::kReceipt:
      return 0;
    case UnitKind::kDerived:
      return 1;
    case UnitKind::kEvent:
      break;
  }
  return static_cast<std::uint8_t>(2 + unit.priority);
}

bool IsOf(const CellRef& cell, const Unit& unit) {
  return unit.reducer == cell.reducer && unit.key == cell.key;
}

// Zeros would stop a world for good, so they count as one.
Scheduling AtLeastOne(Scheduling rules) {
  for (std::uint64_t* rule :
       {&rules.round_limit, &rules.pipeline_depth, &rules.entity_round_limit,
        &rules.entity_quantum}) {
    *rule = std::max<std::uint64_t>(*rule, 1);
  }
  for (std::uint64_t& quantum : rules.class_quantum) {
    quantum = std::max<std::uint64_t>(quantum, 1);
  }
  rules.pipeline_depth = std::min(rules.pipeline_depth, kRoundMax);
  return rules;
}

// Every unit that a sequencer is given is one of its own.
Queued* Of(Unit* unit) { return static_cast<Queued*>(unit); }

}  // namespace

void SetCellHash(Unit* unit) {
  if (unit->kind == UnitKind::kControl) return;
  unit->cell_hash = CellHash(unit->reducer, unit->key);
}

// --- queues ------------------------------------------------------------------

inline Queued* Sequencer::Impl::NewUnit() {
  Queued* const unit = unit_pool.Get();
  unit->out = true;
  return unit;
}

inline void Sequencer::Impl::Recycle(Queued* unit) {
  REENACT_CHECK(unit->out);
  unit->out = false;
  Clear(unit);
  unit_pool.Put(unit);
}

void Sequencer::Impl::Enqueue(Queued* unit, EventId stamp) {
  const std::uint8_t of_class = ClassOf(*unit);
  // A cell with units in several classes is as many entities.
  const std::uint64_t hash = unit->cell_hash + of_class;
  unit->stamp = stamp;
  unit->behind = nullptr;
  all.PushBack(unit);
  // Mostly nothing has that hash, and then there is no more to do than this.
  if (REENACT_SEEN(!entities.MayHave(hash), "sequencer: the first of its cell"))
    return AddEntity(hash, of_class, unit);
  Append(hash, of_class, unit);
}

ABSL_ATTRIBUTE_NOINLINE
void Sequencer::Impl::Append(std::uint64_t hash, std::uint8_t of_class,
                             Queued* unit) {
  Entity* const entity = entities.Find(hash, of_class, *unit);
  REENACT_PROBE_IF(entity != nullptr, "sequencer: behind others of its cell");
  if (entity == nullptr) return AddEntity(hash, of_class, unit);
  unit->entity = entity;
  entity->tail->behind = unit;
  entity->tail = unit;
  if (++entity->size <= rules.entity_round_limit) takeable += entity->external;
}

// An entity that exists since its first unit is there.
ABSL_ATTRIBUTE_NOINLINE
void Sequencer::Impl::AddEntity(std::uint64_t hash, std::uint8_t of_class,
                                Queued* unit) {
  if (ABSL_PREDICT_FALSE(entity_pool.empty())) {
    return AddEntityToo(hash, of_class, unit);
  }
  Entity* const entity = entity_pool.Get();
  unit->entity = entity;
  entity->hash = hash;
  entity->of_class = of_class;
  entity->external = IsExternal(unit->kind);
  entity->head = unit;
  entity->tail = unit;
  entity->size = 1;
  entity->served = 0;
  takeable += entity->external;
  classes[of_class].ring.PushBack(entity);
  entities.Add(entity);
}

// As AddEntity() with a pool to fill first, which is rare.
ABSL_ATTRIBUTE_NOINLINE
void Sequencer::Impl::AddEntityToo(std::uint64_t hash, std::uint8_t of_class,
                                   Queued* unit) {
  entity_pool.Grow();
  AddEntity(hash, of_class, unit);
}

// Takes an entity that has no unit left out of everything.
void Sequencer::Impl::Retire(Entity* entity) {
  entities.Remove(entity);
  Class& home = classes[entity->of_class];
  if (home.ring.front() == entity) home.deficit = 0;
  home.ring.Remove(entity);
  entity_pool.Put(entity);
}

// Gives the entity's first unit the next ticket. True: it was the last one, and
// the entity is gone.
ABSL_ATTRIBUTE_ALWAYS_INLINE
inline bool Sequencer::Impl::TakeHead(Entity* entity) {
  Queued* const head = entity->head;
  if (entity->size <= rules.entity_round_limit) takeable -= entity->external;
  const bool last_one = --entity->size == 0;
  if (last_one) {
    Retire(entity);
  } else {
    entity->head = head->behind;
    entity->served = Served(*entity) + 1;
    entity->served_in = last;
  }
  all.Remove(head);
  --CountOf(*head);
  head->out = true;
  out[composed++] = head;
  return last_one;
}

void Sequencer::Impl::CountTakeable() {
  takeable = 0;
  for (const Class& each : classes) {
    for (Entity* entity = each.ring.front(); entity != nullptr;
         entity = entity->next) {
      if (entity->external) {
        takeable += std::min(entity->size, rules.entity_round_limit);
      }
    }
  }
}

// --- submissions -------------------------------------------------------------

ABSL_ATTRIBUTE_NOINLINE
void Sequencer::Impl::Remember(std::string_view id, InputId input) {
  REENACT_PROBE("sequencer: a submission id is remembered");
  if (rules.dedupe_horizon == 0) return;
  submissions.KeepLatest(rules.dedupe_horizon - 1);
  submissions.Add(id, input);
}

// --- composing ---------------------------------------------------------------

void Sequencer::Impl::Raise(Queued* unit, HandedOver* into) {
  REENACT_CHECK(MayBeRaised(*unit));
  SetCellHash(unit);
  ++CountOf(*unit);
  if (unit->kind != UnitKind::kTimer) {
    ++into->derived;
  } else {
    into->first_due = std::min(into->first_due.value_or(unit->due), unit->due);
  }
  unit->behind = nullptr;
  (into->head == nullptr ? into->head : into->tail->behind) = unit;
  into->tail = unit;
  ++into->count;
}

void Sequencer::Impl::DropTimer(Queued* unit) {
  REENACT_PROBE("sequencer: a timer is dropped");
  --CountOf(*unit);
  unit->out = true;
  Recycle(unit);
}

void Sequencer::Impl::DropTimersOf(const CellRef& cell) {
  for (auto it = timers.begin(); it != timers.end();) {
    Queued* const unit = it->second;
    if (REENACT_SEEN(!IsOf(cell, *unit),
                     "sequencer: another cell keeps its timers")) {
      ++it;
      continue;
    }
    DropTimer(unit);
    it = timers.erase(it);
  }
}

// Those of what has been handed over and is not eligible yet.
void Sequencer::Impl::DropHandedOver(const CellRef& cell) {
  std::erase_if(handed_over, [&](HandedOver& each) {
    HandedOver kept;
    kept.eligible = each.eligible;
    for (Queued *unit = each.head, *behind; unit != nullptr; unit = behind) {
      behind = unit->behind;
      if (unit->kind == UnitKind::kTimer && IsOf(cell, *unit)) {
        DropTimer(unit);
      } else {
        --CountOf(*unit);  // Raise() counts it again
        Raise(unit, &kept);
      }
    }
    each = kept;
    return each.count == 0;
  });
}

void Sequencer::Impl::DropTimersUpTo(Round round) {
  while (!dropped.empty() && dropped.front().first <= round) {
    DropTimersOf(dropped.front().second);
    dropped.pop_front();
  }
}

void Sequencer::Impl::DropHandedOver(HandedOver* each) {
  for (Queued *unit = each->head, *behind; unit != nullptr; unit = behind) {
    behind = unit->behind;
    DropTimer(unit);
  }
}

// As if a round without a limit had taken them.
void Sequencer::Impl::DropQueued() {
  composed = 0;
  if (out.size() < waiting_count()) out.resize(waiting_count());
  for (Class& each : classes) {
    while (Entity* const entity = each.ring.front()) {
      while (!TakeHead(entity)) {
      }
    }
  }
  for (std::size_t i = 0; i < composed; ++i) Recycle(Of(out[i]));
  composed = 0;
  EndRound();
}

void Sequencer::Impl::OpenHandedOver() {
  while (!handed_over.empty() && handed_over.front().eligible <= last) {
    // Before what the same round raised: that came after.
    DropTimersUpTo(handed_over.front().eligible);
    for (Queued *unit = handed_over.front().head, *behind; unit != nullptr;
         unit = behind) {
      behind = unit->behind;
      if (unit->kind != UnitKind::kTimer) {
        REENACT_PROBE("sequencer: a derived event becomes eligible");
        Enqueue(unit, first);
      } else {
        REENACT_PROBE("sequencer: a timer waits for its time");
        timers.emplace(TimerOrder(*unit), unit);
      }
    }
    handed_over.pop_front();
  }
  DropTimersUpTo(last);
}

void Sequencer::Impl::EnqueueDue(LogicalTime now) {
  const LogicalTime planted{REENACT_PLANTED("timers are due too late") ? 1 : 0};
  while (!timers.empty() &&
         timers.begin()->first.due.value + planted.value <= now.value) {
    REENACT_PROBE("sequencer: a timer is due");
    Enqueue(timers.begin()->second, first);
    timers.erase(timers.begin());
  }
}

void Sequencer::Impl::ServeAged() {
  if (REENACT_PLANTED("what is old does not go ahead")) return;
  const std::uint64_t quota = rules.round_limit - rules.round_limit / 2;
  // Looking at no more units than a round holds bounds the work when one
  // entity's queue is long.
  std::uint64_t looks = rules.round_limit;
  for (Queued *queued = all.front(), *newer; queued != nullptr;
       queued = newer, --looks) {
    newer = queued->newer;
    REENACT_PROBE_IF(composed == quota,
                     "sequencer: half a round of aged units");
    REENACT_PROBE_IF(looks == 0, "sequencer: enough of the old was looked at");
    if (looks == 0 || composed == quota) return;
    if (queued->stamp > first ||
        first.value - queued->stamp.value < rules.aging_tickets) {
      return;
    }
    Entity* const entity = queued->entity;
    if (REENACT_SEEN(Served(*entity) == rules.entity_round_limit,
                     "sequencer: an aged unit's cell has had its share"))
      continue;
    REENACT_PROBE("sequencer: an aged unit goes ahead");
    REENACT_CHECK(entity->head == queued);
    TakeHead(entity);
  }
}

void Sequencer::Impl::NextClass() {
  REENACT_PROBE_IF(current + 1 == kClasses,
                   "sequencer: all classes had a turn");
  current = (current + 1) % kClasses;
  deficit = 0;
}

void Sequencer::Impl::ServeClasses() {
  std::size_t idle = 0;  // classes in a row that had nothing to serve
  while (!RoundIsFull() && idle < kClasses) {
    Class& serving = classes[current];
    if (serving.ring.empty()) {
      ++idle;
      NextClass();
      continue;
    }
    idle = 0;
    if (deficit == 0) deficit = rules.class_quantum[current];
    ServeClass(&serving);
    REENACT_PROBE_IF(deficit == 0 && !serving.ring.empty(),
                     "sequencer: a class has had its turn");
    REENACT_PROBE_IF(RoundIsFull(), "sequencer: a round is full");
    if (deficit == 0 || serving.ring.empty()) NextClass();
  }
}

void Sequencer::Impl::ServeClass(Class* serving) {
  while (!RoundIsFull() && deficit > 0 && !serving->ring.empty()) {
    Entity* const entity = serving->ring.front();
    if (Served(*entity) == rules.entity_round_limit) {
      REENACT_PROBE("sequencer: a cell has had its share of a round");
      serving->ring.Remove(entity);
      serving->aside.PushBack(entity);
      serving->deficit = 0;
      continue;
    }
    if (serving->deficit == 0) serving->deficit = rules.entity_quantum;
    --serving->deficit;
    --deficit;
    const bool gone = TakeHead(entity);
    if (!gone && serving->deficit == 0) {
      REENACT_PROBE("sequencer: a cell has had its turn");
      serving->ring.Remove(entity);
      serving->ring.PushBack(entity);
    }
  }
}

void Sequencer::Impl::EndRound() {
  for (Class& each : classes) each.ring.Append(&each.aside);
  if (classes[current].ring.empty()) deficit = 0;
  if (all.empty()) current = 0;
}

// --- rolling back ------------------------------------------------------------

namespace {

RaisedEvent AsRaised(const Unit& unit) {
  RaisedEvent event{unit.reducer, unit.key, unit.schema, unit.payload, {}};
  if (unit.kind == UnitKind::kTimer) event.due = unit.due;
  return event;
}

}  // namespace

std::vector<RaisedEvent> Sequencer::Waiting() const {
  std::vector<RaisedEvent> waiting;
  impl_->ForEachWaiting(
      [&waiting](const Unit& unit) { waiting.push_back(AsRaised(unit)); });
  return waiting;
}

void Sequencer::DropAll() {
  impl_->DropQueued();
  for (HandedOver& each : impl_->handed_over) impl_->DropHandedOver(&each);
  impl_->handed_over.clear();
  for (const auto& [order, unit] : impl_->timers) impl_->DropTimer(unit);
  impl_->timers.clear();
  impl_->dropped.clear();
}

void FillRaised(RaisedEvent&& event, EventId parent, std::uint32_t index,
                Unit* unit) {
  unit->kind = event.due ? UnitKind::kTimer : UnitKind::kDerived;
  unit->reducer = event.reducer;
  unit->key = std::move(event.key);
  unit->schema = std::move(event.schema);
  unit->payload = std::move(event.payload);
  unit->cause = Cause{InputId{0}, parent, index};
  unit->due = event.due.value_or(LogicalTime{0});
}

void FillAnswer(CellRef&& cell, const Cause& cause, Bytes&& payload,
                Unit* unit) {
  unit->kind = UnitKind::kReceipt;
  unit->reducer = cell.reducer;
  unit->key = std::move(cell.key);
  unit->schema = kAnswerSchema;
  unit->payload = std::move(payload);
  unit->cause = cause;
}

// --- Sequencer ---------------------------------------------------------------

Sequencer::Impl::Impl(const Scheduling& given)
    : scheduling(given), rules(AtLeastOne(given)) {}

Sequencer::Sequencer(const Scheduling& scheduling)
    : impl_(std::make_unique<Impl>(scheduling)) {}
Sequencer::~Sequencer() = default;
Sequencer::Sequencer(Sequencer&&) noexcept = default;
Sequencer& Sequencer::operator=(Sequencer&&) noexcept = default;

void Sequencer::SetScheduling(const Scheduling& scheduling) {
  const Scheduling rules = AtLeastOne(scheduling);
  REENACT_CHECK(rules.pipeline_depth == impl_->rules.pipeline_depth);
  impl_->scheduling = scheduling;
  impl_->rules = rules;
  impl_->deficit =
      std::min(impl_->deficit, rules.class_quantum[impl_->current] - 1);
  for (Impl::Class& each : impl_->classes) {
    each.deficit = std::min(each.deficit, rules.entity_quantum - 1);
  }
  impl_->CountTakeable();
  impl_->submissions.KeepLatest(rules.dedupe_horizon);
}

const Scheduling& Sequencer::scheduling() const { return impl_->scheduling; }

bool Sequencer::WantsInput() const {
  return impl_->takeable < impl_->rules.round_limit &&
         impl_->external_count() < impl_->rules.backlog_limit;
}

std::optional<InputId> Sequencer::FindSubmission(
    std::string_view submission_id) const {
  return impl_->submissions.Find(submission_id);
}

Unit* Sequencer::NewUnit() { return impl_->NewUnit(); }
void Sequencer::Recycle(Unit* unit) { impl_->Recycle(Of(unit)); }

void Sequencer::Admit(Unit* unit, std::string_view submission_id,
                      EventId next) {
  REENACT_CHECK(MayBeAdmitted(*unit) && Of(unit)->out);
  Of(unit)->out = false;
  if (!submission_id.empty()) {
    RememberSubmission(submission_id, unit->cause.input);
  }
  SetCellHash(unit);
  ++impl_->CountOf(*unit);
  impl_->Enqueue(Of(unit), next);
}

void Sequencer::EnqueueRaised(Round round, std::vector<Unit*>* raised) {
  if (raised->empty()) return;
  const Round eligible{round.value + impl_->rules.pipeline_depth};
  auto& handed_over = impl_->handed_over;
  // Later than that, what a round holds would depend on who was faster.
  REENACT_CHECK(eligible > impl_->last);
  REENACT_CHECK(handed_over.empty() || handed_over.back().eligible < eligible);
  HandedOver& entry = handed_over.emplace_back();
  entry.eligible = eligible;
  for (Unit* unit : *raised) {
    REENACT_CHECK(Of(unit)->out);
    Of(unit)->out = false;
    impl_->Raise(Of(unit), &entry);
  }
  raised->clear();
}

void Sequencer::DropTimersNow(const CellRef& cell) {
  impl_->DropTimersOf(cell);
  impl_->DropHandedOver(cell);
}

void Sequencer::DropTimers(Round round, CellRef cell) {
  const Round from{round.value + impl_->rules.pipeline_depth};
  REENACT_CHECK(from > impl_->last);
  impl_->dropped.emplace_back(from, std::move(cell));
}

std::optional<Round> Sequencer::NextRound(LogicalTime now) const {
  const auto& timers = impl_->timers;
  if (!impl_->all.empty() ||
      (!timers.empty() && timers.begin()->first.due <= now)) {
    return next_number();
  }
  for (const HandedOver& each : impl_->handed_over) {
    if (each.derived > 0 ||
        (each.first_due.has_value() && *each.first_due <= now)) {
      return each.eligible;
    }
  }
  return std::nullopt;
}

Round Sequencer::next_number() const { return Round{impl_->last.value + 1}; }

std::optional<LogicalTime> Sequencer::NextTimer() const {
  std::optional<LogicalTime> first;
  if (!impl_->timers.empty()) first = impl_->timers.begin()->first.due;
  for (const HandedOver& each : impl_->handed_over) {
    if (each.first_due.has_value()) {
      first = std::min(first.value_or(*each.first_due), *each.first_due);
    }
  }
  return first;
}

void Sequencer::Compose(Round round, LogicalTime now, EventId first,
                        std::vector<Unit*>* units) {
  REENACT_CHECK(round > impl_->last);
  impl_->last = round;
  impl_->first = first;
  impl_->composed = 0;
  impl_->OpenHandedOver();
  impl_->EnqueueDue(now);
  const std::uint64_t most =
      std::min<std::uint64_t>(impl_->rules.round_limit, impl_->waiting_count());
  if (impl_->out.size() < most) impl_->out.resize(most);
  impl_->ServeAged();
  impl_->ServeClasses();
  impl_->EndRound();
  units->insert(units->end(), impl_->out.data(),
                impl_->out.data() + impl_->composed);
}

// Without a unit there is no entity, so no class has a visit on: EndRound() has
// nothing to do.
void Sequencer::SkipRound(Round round) {
  REENACT_CHECK(empty() && round > impl_->last);
  impl_->last = round;
  impl_->DropTimersUpTo(round);
}

void Sequencer::RememberSubmission(std::string_view submission_id,
                                   InputId input) {
  impl_->Remember(submission_id, input);
}

std::size_t Sequencer::external_count() const {
  return impl_->external_count();
}
std::size_t Sequencer::derived_count() const {
  return impl_->CountOf(UnitKind::kDerived);
}
std::size_t Sequencer::timer_count() const {
  return impl_->CountOf(UnitKind::kTimer);
}
std::size_t Sequencer::receipt_count() const {
  return impl_->CountOf(UnitKind::kReceipt);
}
bool Sequencer::empty() const { return impl_->waiting_count() == 0; }

std::uint64_t RoundsAtMost(const Scheduling& rules, std::uint64_t before_own,
                           std::uint64_t before_all) {
  const auto divide_up = [](std::uint64_t a, std::uint64_t b) {
    return a / b + (a % b == 0 ? 0 : 1);
  };
  const std::uint64_t half = divide_up(rules.round_limit, 2);
  return divide_up(rules.aging_tickets, rules.round_limit) +
         divide_up(before_own + 1, rules.entity_round_limit) +
         divide_up(before_all + 1, std::min(rules.entity_round_limit, half));
}

}  // namespace reenact
