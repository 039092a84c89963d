#include "reenact/sequencer/sequencer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <limits>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/container/btree_map.h"
#include "reenact/base/check.h"
#include "reenact/base/test_points.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cell_hash.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/sequencer/submission_ids.h"

namespace reenact {
namespace {

constexpr std::size_t kClasses = 2 + kPriorities;

bool IsExternal(UnitKind kind) {
  return kind == UnitKind::kEvent || kind == UnitKind::kControl;
}

bool IsRaised(UnitKind kind) {
  return kind == UnitKind::kDerived || kind == UnitKind::kTimer ||
         kind == UnitKind::kReceipt;
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

bool IsAnswerOrControl(const Unit& unit) {
  if (unit.kind == UnitKind::kControl) return unit.cause.is_input();
  // An answer that no input brought is that of a timer or a deadline.
  return unit.kind == UnitKind::kReceipt && unit.reducer != kNoReducer &&
         unit.cause.is_input() == (unit.cause.parent.value == 0);
}

inline bool MayBeAdmitted(const Unit& unit) {
  if (unit.priority >= kPriorities) return false;
  if (unit.kind != UnitKind::kEvent) return IsAnswerOrControl(unit);
  return unit.cause.is_input() && unit.reducer != kNoReducer;
}

bool MayBeRaised(const Unit& unit) {
  return unit.cause.parent.value != 0 && unit.priority < kPriorities &&
         unit.reducer != kNoReducer && IsRaised(unit.kind);
}

void SetCellHash(Unit* unit) {
  if (unit->kind == UnitKind::kControl) return;
  unit->cell_hash = CellHash(unit->reducer, unit->key);
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

// A list threaded through its elements: nothing is allocated, and an element
// leaves from anywhere in constant time.
template <typename T, T* T::*kPrevious, T* T::*kNext>
class List {
 public:
  bool empty() const { return front_ == nullptr; }
  T* front() const { return front_; }

  void PushBack(T* element) {
    element->*kPrevious = back_;
    element->*kNext = nullptr;
    (back_ == nullptr ? front_ : back_->*kNext) = element;
    back_ = element;
  }

  void Remove(T* element) {
    T* const previous = element->*kPrevious;
    T* const next = element->*kNext;
    (previous == nullptr ? front_ : previous->*kNext) = next;
    (next == nullptr ? back_ : next->*kPrevious) = previous;
  }

  // Moves all of `other` behind what is here.
  void Append(List* other) {
    if (other->empty()) return;
    other->front_->*kPrevious = back_;
    (back_ == nullptr ? front_ : back_->*kNext) = other->front_;
    back_ = other->back_;
    *other = List();
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
};

struct Entity;

// A unit in the pool. While it waits it is in the queue of its entity, and in
// the list of all that are queued; or in the queue of what a round raised.
struct Queued : Unit {
  EventId stamp;  // the age of its wait counts from here
  Entity* entity = nullptr;
  Queued* behind = nullptr;  // in its queue, or in the pool
  Queued* older = nullptr;
  Queued* newer = nullptr;
  // Among all that are queued; for Encode() only.
  std::uint32_t place = 0;
  bool out = false;  // it is the caller's
};

// Every unit that a sequencer is given is one of its own.
Queued* Of(Unit* unit) { return static_cast<Queued*>(unit); }

// A cell, or control, in one class. It exists while it has units, and its name
// is that of its first one, so that no key is stored twice.
struct Entity {
  std::uint64_t hash = 0;     // of its name
  Entity* chained = nullptr;  // in the table, or in the pool
  std::uint64_t size = 0;
  Queued* head = nullptr;
  Queued* tail = nullptr;
  Entity* previous = nullptr;
  Entity* next = nullptr;
  Round served_in;           // the round that `served` is about
  std::uint64_t served = 0;  // units in that round
  std::uint8_t of_class = 0;
  bool external = false;
};

// Objects that are handed out again instead of freed; all go together. They
// are linked by the field `kNext`.
template <typename T, T* T::*kNext>
class Recycler {
 public:
  // The object's fields are what they were.
  T* Get() {
    if (ABSL_PREDICT_FALSE(empty())) Grow();
    T* const object = spare_;
    spare_ = object->*kNext;
    return object;
  }
  void Put(T* object) {
    object->*kNext = spare_;
    spare_ = object;
  }

  bool empty() const { return spare_ == nullptr; }
  ABSL_ATTRIBUTE_NOINLINE void Grow() {
    T* const objects = all_.emplace_back(std::make_unique<T[]>(kAtOnce)).get();
    for (std::size_t i = kAtOnce; i > 0; --i) Put(&objects[i - 1]);
  }

 private:
  static constexpr std::size_t kAtOnce = 64;

  std::vector<std::unique_ptr<T[]>> all_;
  T* spare_ = nullptr;
};

// More than that a string does not keep when its unit is recycled, so that a
// burst of great payloads does not stay for ever.
constexpr std::size_t kKeptBytes = 1024;

bool IsGreat(const std::string& text) { return text.capacity() > kKeptBytes; }

ABSL_ATTRIBUTE_NOINLINE void DropMemory(Unit* unit) {
  for (std::string* text : {&unit->key, &unit->schema, &unit->payload}) {
    if (IsGreat(*text)) std::string().swap(*text);
  }
}

// To the defaults, but with the memory of the strings.
void Clear(Unit* unit) {
  if (IsGreat(unit->key) || IsGreat(unit->schema) || IsGreat(unit->payload)) {
    DropMemory(unit);
  }
  unit->key.clear();
  unit->schema.clear();
  unit->payload.clear();
  unit->kind = UnitKind::kEvent;
  unit->priority = kPriorityDefault;
  unit->reducer = kNoReducer;
  unit->cause = Cause();
  unit->due = LogicalTime();
  unit->cell_hash = 0;
}

// The entities that have units, by name. Looked up, never iterated, as the
// order differs from run to run. Chains threaded through the entities: most of
// them stay for no more than a round, so that to come and to go has to be
// cheap.
class EntityTable {
 public:
  EntityTable() : buckets_(kSizeAtFirst) {}

  // False: nothing of that hash is there.
  bool MayHave(std::uint64_t hash) const {
    return buckets_[hash & mask_] != nullptr;
  }

  // `hash` is that of the unit's entity.
  Entity* Find(std::uint64_t hash, std::uint8_t of_class,
               const Unit& unit) const {
    Entity* entity = buckets_[hash & mask_];
    while (entity != nullptr &&
           !(entity->hash == hash && entity->of_class == of_class &&
             OfOneCell(*entity->head, unit))) {
      entity = entity->chained;
    }
    return entity;
  }

  // REQUIRES: there is none of that name.
  void Add(Entity* entity) {
    Chain(entity);
    if (ABSL_PREDICT_FALSE(2 * ++size_ > mask_)) Grow();
  }

  // REQUIRES: it is there.
  void Remove(Entity* entity) {
    Entity** link = &buckets_[entity->hash & mask_];
    while (*link != entity) link = &(*link)->chained;
    *link = entity->chained;
    --size_;
  }

 private:
  static constexpr std::size_t kSizeAtFirst = 64;  // a power of two

  // Given that they are of one class. All control commands are one cell.
  static bool OfOneCell(const Unit& a, const Unit& b) {
    if (a.kind == UnitKind::kControl || b.kind == UnitKind::kControl) {
      return a.kind == b.kind;
    }
    return a.reducer == b.reducer && a.key == b.key;
  }

  void Chain(Entity* entity) {
    Entity*& bucket = buckets_[entity->hash & mask_];
    entity->chained = bucket;
    bucket = entity;
  }

  ABSL_ATTRIBUTE_NOINLINE void Grow() {
    std::vector<Entity*> old(2 * buckets_.size());
    old.swap(buckets_);
    mask_ = buckets_.size() - 1;
    for (Entity* entity : old) {
      while (entity != nullptr) Chain(std::exchange(entity, entity->chained));
    }
  }

  std::vector<Entity*> buckets_;
  std::size_t mask_ = kSizeAtFirst - 1;
  std::size_t size_ = 0;
};

// What one round raised, until the round in which it becomes eligible.
struct HandedOver {
  Round eligible;
  Queued* head = nullptr;
  Queued* tail = nullptr;
  std::size_t count = 0;
  std::size_t derived = 0;  // or receipts: all that is no timer
  std::optional<LogicalTime> first_due;
};

// When a timer's turn is.
struct TimerOrder {
  explicit TimerOrder(const Unit& unit)
      : due(unit.due), parent(unit.cause.parent), index(unit.cause.index) {}
  friend auto operator<=>(const TimerOrder&, const TimerOrder&) = default;

  LogicalTime due;
  EventId parent;
  std::uint32_t index;
};

void EncodeUnit(const Unit& unit, cbor::Encoder& encoder) {
  encoder.Array(10);
  encoder.Unsigned(static_cast<std::uint64_t>(unit.kind));
  encoder.Unsigned(unit.priority);
  encoder.Unsigned(unit.reducer);
  encoder.Text(unit.key);
  encoder.Text(unit.schema);
  // A byte string, so that a payload of any depth fits.
  encoder.ByteString(unit.payload);
  encoder.Unsigned(unit.cause.input.value);
  encoder.Unsigned(unit.cause.parent.value);
  encoder.Unsigned(unit.cause.index);
  encoder.Integer(unit.due.value);
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

void DecodeUnit(cbor::Reader& reader, Unit* into) {
  Unit& unit = *into;
  reader.ExpectArray(10);
  const auto kind = Narrow<std::uint8_t>(reader);
  if (kind > static_cast<std::uint8_t>(UnitKind::kReceipt)) {
    reader.Fail("no such kind of unit");
    return;
  }
  unit.kind = static_cast<UnitKind>(kind);
  unit.priority = Narrow<std::uint8_t>(reader);
  unit.reducer = Narrow<ReducerId>(reader);
  unit.key = reader.Text();
  unit.schema = reader.Text();
  unit.payload = reader.ByteString();
  unit.cause.input = InputId{reader.Unsigned()};
  unit.cause.parent = EventId{reader.Unsigned()};
  unit.cause.index = Narrow<std::uint32_t>(reader);
  unit.due = LogicalTime{reader.Integer()};
  if (reader.ok() && !MayBeAdmitted(unit) && !MayBeRaised(unit))
    reader.Fail("no such unit can wait");
}

}  // namespace

struct Sequencer::Impl {
  // The entities of one class that have units, the one whose visit is on or
  // next at the front.
  struct Class {
    List<Entity, &Entity::previous, &Entity::next> ring;
    List<Entity, &Entity::previous, &Entity::next> aside;  // in Compose() only
    std::uint64_t deficit = 0;  // of the front; 0: its visit has not begun
  };

  explicit Impl(const Scheduling& given)
      : scheduling(given), rules(AtLeastOne(given)) {}

  // --- queues ----------------------------------------------------------------
  Queued* NewUnit();
  void Recycle(Queued* unit);
  void Enqueue(Queued* unit, EventId stamp);
  void Append(std::uint64_t hash, std::uint8_t of_class, Queued* unit);
  void AddEntity(std::uint64_t hash, std::uint8_t of_class, Queued* unit);
  void AddEntityToo(std::uint64_t hash, std::uint8_t of_class, Queued* unit);
  void Retire(Entity* entity);
  bool TakeHead(Entity* entity);
  void CountTakeable();

  std::size_t& CountOf(const Unit& unit) {
    return counts[static_cast<std::size_t>(unit.kind)];
  }
  std::size_t CountOf(UnitKind kind) const {
    return counts[static_cast<std::size_t>(kind)];
  }
  std::size_t external_count() const {
    return CountOf(UnitKind::kEvent) + CountOf(UnitKind::kControl);
  }
  std::size_t waiting_count() const {
    return external_count() + CountOf(UnitKind::kDerived) +
           CountOf(UnitKind::kTimer) + CountOf(UnitKind::kReceipt);
  }

  // --- submissions -----------------------------------------------------------
  void Remember(std::string_view id, InputId input);

  // --- composing -------------------------------------------------------------
  void Raise(Queued* unit, HandedOver* into);
  void DropTimer(Queued* unit);
  void DropHandedOver(HandedOver* each);
  void DropQueued();
  void DropTimersOf(const CellRef& cell);
  void DropHandedOver(const CellRef& cell);
  void DropTimersUpTo(Round round);
  void OpenHandedOver();
  void EnqueueDue(LogicalTime now);
  void ServeAged();
  void ServeClasses();
  void ServeClass(Class* serving);
  void NextClass();
  void EndRound();
  std::uint64_t Served(const Entity& entity) const {
    return entity.served_in == last ? entity.served : 0;
  }
  bool RoundIsFull() const { return composed == rules.round_limit; }

  // --- snapshots -------------------------------------------------------------
  void EncodeQueued(cbor::Encoder& encoder) const;
  void EncodeClasses(cbor::Encoder& encoder) const;
  void EncodeHandedOver(cbor::Encoder& encoder) const;
  void EncodeSubmissions(cbor::Encoder& encoder) const;
  Queued* DecodeQueuedUnit(cbor::Reader& reader);
  void DecodeQueued(cbor::Reader& reader, std::vector<Queued*>* places);
  void DecodeClasses(cbor::Reader& reader, const std::vector<Queued*>& places);
  void DecodeRing(cbor::Reader& reader, const std::vector<Queued*>& places,
                  std::size_t number);
  void DecodeCurrent(cbor::Reader& reader);
  void DecodeHandedOver(cbor::Reader& reader);
  void DecodeTimers(cbor::Reader& reader);
  void DecodeSubmissions(cbor::Reader& reader);
  void EncodeDropped(cbor::Encoder& encoder) const;
  void DecodeDropped(cbor::Reader& reader);
  template <typename Visit>
  void ForEachWaiting(const Visit& visit) const;

  Scheduling scheduling;  // as given
  Scheduling rules;       // as obeyed

  Recycler<Queued, &Queued::behind> unit_pool;
  Recycler<Entity, &Entity::chained> entity_pool;

  Round last;  // composed

  EntityTable entities;
  List<Queued, &Queued::older, &Queued::newer> all;  // in order of admission
  std::array<Class, kClasses> classes;
  std::size_t current = 0;    // the class whose visit is on or next
  std::uint64_t deficit = 0;  // its own; 0: the visit has not begun

  std::deque<HandedOver> handed_over;  // `eligible` ascends
  absl::btree_multimap<TimerOrder, Queued*> timers;

  // Cells whose timers go, in the round from which on they do. Ascends.
  std::deque<std::pair<Round, CellRef>> dropped;

  SubmissionIds submissions;

  std::array<std::size_t, 5> counts = {};  // units that wait, by kind
  // External units that one round could take: of each entity no more than
  // entity_round_limit.
  std::uint64_t takeable = 0;

  // Of the round that is being composed.
  EventId first;
  std::uint64_t composed = 0;
  std::vector<Unit*> out;  // the first `composed`; the rest is room
};

// --- queues ------------------------------------------------------------------

Queued* Sequencer::Impl::NewUnit() {
  Queued* const unit = unit_pool.Get();
  unit->out = true;
  return unit;
}

void Sequencer::Impl::Recycle(Queued* unit) {
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

// In order of admission, then what was handed over by rounds, then timers as
// they are due.
template <typename Visit>
void Sequencer::Impl::ForEachWaiting(const Visit& visit) const {
  for (const Queued* unit = all.front(); unit != nullptr; unit = unit->newer) {
    visit(*unit);
  }
  for (const HandedOver& each : handed_over) {
    for (const Queued* unit = each.head; unit != nullptr; unit = unit->behind) {
      visit(*unit);
    }
  }
  for (const auto& [order, unit] : timers) visit(*unit);
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

// --- snapshots ---------------------------------------------------------------
//
// sequencer  = [last round, [*queued], [6*class], current, [*handed-over],
//               [*timer: unit], [*submission], ? [+dropped]]
// queued     = [stamp, unit]            in order of admission
// class      = [deficit of the front, [*entity]]
// entity     = the place among `queued` of its first unit
// current    = [number of the class, its deficit]
// handed-over = [eligible round, [+unit]]
// submission = [id as bytes, input]     the latest last
// dropped    = [round, reducer, key]    whose timers go, from which round on
// unit       = [kind, priority, reducer, key, schema, payload, input, parent,
//               index, due]

void Sequencer::Impl::EncodeQueued(cbor::Encoder& encoder) const {
  std::uint32_t count = 0;
  for (Queued* each = all.front(); each != nullptr; each = each->newer) {
    each->place = count++;
  }
  encoder.Array(count);
  for (Queued* each = all.front(); each != nullptr; each = each->newer) {
    encoder.Array(2);
    encoder.Unsigned(each->stamp.value);
    EncodeUnit(*each, encoder);
  }
}

// A unit that waits already. If the reader fails it is thrown away with the
// sequencer.
Queued* Sequencer::Impl::DecodeQueuedUnit(cbor::Reader& reader) {
  Queued* const unit = unit_pool.Get();
  DecodeUnit(reader, unit);
  SetCellHash(unit);
  return unit;
}

void Sequencer::Impl::DecodeQueued(cbor::Reader& reader,
                                   std::vector<Queued*>* places) {
  const std::uint64_t count = reader.Array();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.ExpectArray(2);
    const EventId stamp{reader.Unsigned()};
    Queued* const unit = DecodeQueuedUnit(reader);
    if (!reader.ok()) return;
    ++CountOf(*unit);
    Enqueue(unit, stamp);
    places->push_back(unit);
  }
}

void Sequencer::Impl::EncodeClasses(cbor::Encoder& encoder) const {
  encoder.Array(kClasses);
  for (const Class& each : classes) {
    encoder.Array(2);
    encoder.Unsigned(each.deficit);
    std::uint64_t count = 0;
    for (Entity* entity = each.ring.front(); entity != nullptr;
         entity = entity->next) {
      ++count;
    }
    encoder.Array(count);
    for (Entity* entity = each.ring.front(); entity != nullptr;
         entity = entity->next) {
      encoder.Unsigned(entity->head->place);
    }
  }
}

void Sequencer::Impl::DecodeClasses(cbor::Reader& reader,
                                    const std::vector<Queued*>& places) {
  reader.ExpectArray(kClasses);
  for (std::size_t i = 0; i < kClasses && reader.ok(); ++i) {
    DecodeRing(reader, places, i);
  }
}

// The ring holds the right entities already; here they get their order.
void Sequencer::Impl::DecodeRing(cbor::Reader& reader,
                                 const std::vector<Queued*>& places,
                                 std::size_t number) {
  Class& into = classes[number];
  reader.ExpectArray(2);
  into.deficit = reader.Unsigned();
  const std::uint64_t count = reader.Array();
  decltype(into.ring) ordered;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const std::uint64_t place = reader.Unsigned();
    if (!reader.ok()) return;
    Queued* const queued = place < places.size() ? places[place] : nullptr;
    // `served`, which no round uses here, marks what has been seen.
    if (queued == nullptr || queued->entity->head != queued ||
        queued->entity->of_class != number || queued->entity->served != 0) {
      return reader.Fail("no such entity waits for its turn");
    }
    queued->entity->served = 1;
    into.ring.Remove(queued->entity);
    ordered.PushBack(queued->entity);
  }
  if (!into.ring.empty()) reader.Fail("an entity is in no class");
  into.ring = ordered;
  if (into.deficit >= (ordered.empty() ? 1 : rules.entity_quantum)) {
    reader.Fail("an entity has more left than a visit gives");
  }
}

void Sequencer::Impl::DecodeCurrent(cbor::Reader& reader) {
  reader.ExpectArray(2);
  const std::uint64_t number = reader.Unsigned();
  deficit = reader.Unsigned();
  if (!reader.ok()) return;
  if (number >= kClasses || (all.empty() && number != 0)) {
    return reader.Fail("no such class can be current");
  }
  current = static_cast<std::size_t>(number);
  if (deficit >=
      (classes[current].ring.empty() ? 1 : rules.class_quantum[current])) {
    reader.Fail("a class has more left than a visit gives");
  }
}

void Sequencer::Impl::EncodeHandedOver(cbor::Encoder& encoder) const {
  encoder.Array(handed_over.size());
  for (const HandedOver& each : handed_over) {
    encoder.Array(2);
    encoder.Unsigned(each.eligible.value);
    encoder.Array(each.count);
    for (const Queued* unit = each.head; unit != nullptr; unit = unit->behind) {
      EncodeUnit(*unit, encoder);
    }
  }
}

void Sequencer::Impl::DecodeHandedOver(cbor::Reader& reader) {
  const std::uint64_t count = reader.Array();
  Round previous = last;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.ExpectArray(2);
    HandedOver raised;
    raised.eligible = Round{reader.Unsigned()};
    const std::uint64_t units = reader.Array();
    for (std::uint64_t j = 0; j < units && reader.ok(); ++j) {
      Queued* const unit = DecodeQueuedUnit(reader);
      if (reader.ok() && !MayBeRaised(*unit)) {
        reader.Fail("no step raises such a unit");
      }
      if (reader.ok()) Raise(unit, &raised);
    }
    if (!reader.ok()) return;
    // Rounds of control commands are not composed here, so it may have been any
    // number of rounds after `last` that raised them.
    if (raised.count == 0 || raised.eligible <= previous ||
        raised.eligible.value > kRoundMax + rules.pipeline_depth) {
      return reader.Fail("nothing becomes eligible in such a round");
    }
    previous = raised.eligible;
    handed_over.push_back(raised);
  }
}

void Sequencer::Impl::DecodeTimers(cbor::Reader& reader) {
  const std::uint64_t count = reader.Array();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    Queued* const unit = DecodeQueuedUnit(reader);
    if (!reader.ok()) return;
    const TimerOrder order(*unit);
    if (unit->kind != UnitKind::kTimer ||
        (!timers.empty() && order < timers.rbegin()->first)) {
      return reader.Fail("a timer is out of order, or none");
    }
    ++CountOf(*unit);
    timers.emplace_hint(timers.end(), order, unit);
  }
}

void Sequencer::Impl::EncodeSubmissions(cbor::Encoder& encoder) const {
  encoder.Array(submissions.size());
  for (std::uint64_t i = 0; i < submissions.size(); ++i) {
    encoder.Array(2);
    encoder.ByteString(submissions.at(i).id());
    encoder.Unsigned(submissions.at(i).input.value);
  }
}

void Sequencer::Impl::DecodeSubmissions(cbor::Reader& reader) {
  const std::uint64_t count = reader.Array();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.ExpectArray(2);
    const BytesView id = reader.ByteString();
    const InputId input{reader.Unsigned()};
    if (!reader.ok()) return;
    if (id.empty() || id.size() > kSubmissionIdBytesMax || input.value == 0 ||
        i >= rules.dedupe_horizon) {
      return reader.Fail("no such submission is remembered");
    }
    submissions.Add(id, input);
  }
}

void Sequencer::Impl::EncodeDropped(cbor::Encoder& encoder) const {
  encoder.Array(dropped.size());
  for (const auto& [round, cell] : dropped) {
    encoder.Array(3);
    encoder.Unsigned(round.value);
    encoder.Unsigned(cell.reducer);
    encoder.Text(cell.key);
  }
}

void Sequencer::Impl::DecodeDropped(cbor::Reader& reader) {
  const std::uint64_t count = reader.Array();
  if (count == 0) reader.Fail("no timers to drop are left out");
  Round previous;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.ExpectArray(3);
    const Round from{reader.Unsigned()};
    CellRef cell;
    cell.reducer = Narrow<ReducerId>(reader);
    cell.key = reader.Text();
    if (!reader.ok()) return;
    if (from < previous || from <= last ||
        from.value - last.value > rules.pipeline_depth ||
        cell.reducer == kNoReducer) {
      return reader.Fail("no timers are dropped in such a round");
    }
    previous = from;
    dropped.emplace_back(from, std::move(cell));
  }
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

void Sequencer::Encode(Bytes* out) const {
  cbor::Encoder encoder(out);
  encoder.Array(impl_->dropped.empty() ? 7 : 8);
  encoder.Unsigned(impl_->last.value);
  impl_->EncodeQueued(encoder);
  impl_->EncodeClasses(encoder);
  encoder.Array(2);
  encoder.Unsigned(impl_->current);
  encoder.Unsigned(impl_->deficit);
  impl_->EncodeHandedOver(encoder);
  encoder.Array(impl_->timers.size());
  for (const auto& [order, unit] : impl_->timers) EncodeUnit(*unit, encoder);
  impl_->EncodeSubmissions(encoder);
  if (!impl_->dropped.empty()) impl_->EncodeDropped(encoder);
}

absl::StatusOr<Sequencer> Sequencer::Decode(const Scheduling& scheduling,
                                            BytesView item) {
  Sequencer sequencer(scheduling);
  Impl& impl = *sequencer.impl_;
  cbor::Reader reader(item);
  std::vector<Queued*> places;
  const std::uint64_t parts = reader.Array();
  if (reader.ok() && parts != 7 && parts != 8) {
    reader.Fail("queues have another number of parts");
  }
  impl.last = Round{reader.Unsigned()};
  if (impl.last.value > kRoundMax) reader.Fail("no world gets to this round");
  impl.DecodeQueued(reader, &places);
  impl.DecodeClasses(reader, places);
  impl.DecodeCurrent(reader);
  impl.DecodeHandedOver(reader);
  impl.DecodeTimers(reader);
  impl.DecodeSubmissions(reader);
  if (parts == 8) impl.DecodeDropped(reader);
  reader.ExpectEnd();
  if (!reader.ok()) {
    return absl::InvalidArgumentError(
        absl::string_view(reader.status().message()));
  }
  return sequencer;
}

absl::Status Sequencer::CheckAt(Round round, std::size_t reducers) const {
  const auto latest = round.value + impl_->rules.pipeline_depth;
  if (impl_->last > round ||
      (!impl_->handed_over.empty() &&
       impl_->handed_over.back().eligible.value > latest) ||
      (!impl_->dropped.empty() && impl_->dropped.back().first.value > latest)) {
    return absl::InvalidArgumentError("they are of a later round than " +
                                      std::to_string(round.value));
  }
  // A command is recorded with its ticket, so none waits between rounds.
  bool commands = false;
  bool strangers = false;
  impl_->ForEachWaiting([&](const Unit& unit) {
    commands |= unit.kind == UnitKind::kControl;
    strangers |= unit.kind != UnitKind::kControl && unit.reducer >= reducers;
  });
  if (commands) return absl::InvalidArgumentError("a command waits");
  if (!strangers) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "an event waits for a reducer that is not in the table");
}

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
