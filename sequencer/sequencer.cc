#include "reenact/sequencer/sequencer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <limits>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "reenact/kernel/cbor.h"
#include "reenact/kernel/cell_hash.h"
#include "reenact/kernel/check.h"

namespace reenact {
namespace {

constexpr std::size_t kClasses = 2 + kPriorities;

// Far enough from the end of the numbers that none of them wraps.
constexpr std::uint64_t kLastRound = std::uint64_t{1} << 62;

bool IsExternal(UnitKind kind) {
  return kind == UnitKind::kEvent || kind == UnitKind::kControl;
}

bool IsRaised(UnitKind kind) {
  return kind == UnitKind::kDerived || kind == UnitKind::kTimer;
}

std::size_t ClassOf(const Unit& unit) {
  switch (unit.kind) {
    case UnitKind::kTimer:
    case UnitKind::kControl:
      return 0;
    case UnitKind::kDerived:
      return 1;
    case UnitKind::kEvent:
      break;
  }
  return 2 + std::size_t{unit.priority};
}

// What must be true of a unit for it to survive Encode() and Decode().
bool IsSound(const Unit& unit) {
  if (IsExternal(unit.kind)) {
    return unit.cause.is_input() && unit.priority < kPriorities &&
           (unit.kind == UnitKind::kControl || unit.reducer != kNoReducer);
  }
  return unit.cause.parent.value != 0 && unit.priority < kPriorities &&
         unit.reducer != kNoReducer;
}

void SetCellHash(Unit* unit) {
  if (unit->kind == UnitKind::kControl) return;
  unit->cell_hash = CellHash(unit->reducer, unit->key);
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
  rules.pipeline_depth = std::min(rules.pipeline_depth, kLastRound);
  return rules;
}

// A list threaded through its elements: nothing is allocated, and an element
// leaves from anywhere in constant time.
template <typename T, T* T::*kPrevious, T* T::*kNext>
class List {
 public:
  bool empty() const { return front_ == nullptr; }
  T* front() const { return front_; }
  T* back() const { return back_; }

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
// the list of all that are queued.
struct Queued : Unit {
  EventId stamp;  // the age of its wait counts from here
  Entity* entity = nullptr;
  Queued* behind = nullptr;  // in the entity's queue
  Queued* older = nullptr;
  Queued* newer = nullptr;
  std::size_t place = 0;  // among all that are queued; for Encode() only
  bool out = false;       // it is the caller's
};

// Every unit that a sequencer is given is one of its own.
Queued* Of(Unit* unit) { return static_cast<Queued*>(unit); }

// More than that a string does not keep when its unit is recycled, so that a
// burst of great payloads does not stay for ever.
constexpr std::size_t kKeptBytes = 1024;

void Empty(std::string* text) {
  if (text->capacity() > kKeptBytes) *text = std::string();
  text->clear();
}

// A cell, or control, in one class. It exists while it has units.
struct Entity {
  std::size_t hash = 0;
  std::size_t of_class = 0;
  bool external = false;
  std::uint64_t size = 0;
  Queued* head = nullptr;
  Queued* tail = nullptr;
  Round served_in;           // the round that `served` is about
  std::uint64_t served = 0;  // units in that round
  Entity* previous = nullptr;
  Entity* next = nullptr;
};

// Which entity a unit belongs to.
struct EntityName {
  explicit EntityName(const Unit& unit)
      : of_class(ClassOf(unit)),
        reducer(unit.kind == UnitKind::kControl ? kNoReducer : unit.reducer),
        key(unit.kind == UnitKind::kControl ? std::string_view() : unit.key),
        hash(absl::HashOf(of_class, unit.cell_hash)) {}

  friend bool operator==(const EntityName&, const EntityName&) = default;

  std::size_t of_class;
  ReducerId reducer;
  std::string_view key;
  std::size_t hash;
};

// An entity's name is that of its first unit, so no key is stored twice.
struct EntityHash {
  using is_transparent = void;
  std::size_t operator()(const Entity* entity) const { return entity->hash; }
  std::size_t operator()(const EntityName& name) const { return name.hash; }
};
struct EntityEq {
  using is_transparent = void;
  bool operator()(const Entity* a, const Entity* b) const { return a == b; }
  bool operator()(const Entity* a, const EntityName& b) const {
    return EntityName(*a->head) == b;
  }
  bool operator()(const EntityName& a, const Entity* b) const {
    return (*this)(b, a);
  }
};

// Objects that are handed out again instead of freed; all go together.
template <typename T>
class Recycler {
 public:
  T* Get() {
    if (spare_.empty()) return &all_.emplace_back();
    T* const object = spare_.back();
    spare_.pop_back();
    return object;
  }
  void Put(T* object) { spare_.push_back(object); }

 private:
  std::deque<T> all_;
  std::vector<T*> spare_;
};

// What one round raised, until the round in which it becomes eligible.
struct HandedOver {
  Round eligible;
  std::vector<Unit*> units;
  std::size_t derived = 0;
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

struct Submission {
  std::string id;
  InputId input;
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
  if (kind > static_cast<std::uint8_t>(UnitKind::kControl)) {
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
  if (reader.ok() && !IsSound(unit)) reader.Fail("no such unit can wait");
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

  // --- queues ---
  Queued* NewUnit();
  void Recycle(Queued* unit);
  void Enqueue(Queued* unit, EventId stamp);
  Entity* FindOrAddEntity(const Unit& unit);
  void Retire(Entity* entity);
  void TakeHead(Entity* entity);
  void CountTakeable();

  // --- submissions ---
  void Remember(std::string_view id, InputId input);
  void ForgetBeyondHorizon();

  // --- composing ---
  void Raise(HandedOver raised);
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

  // --- snapshots ---
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

  Scheduling scheduling;  // as given
  Scheduling rules;       // as obeyed

  Recycler<Queued> queued_pool;
  Recycler<Entity> entity_pool;

  Round last;  // composed

  // Looked up, never iterated: its order differs from run to run.
  absl::flat_hash_set<Entity*, EntityHash, EntityEq> entities;
  List<Queued, &Queued::older, &Queued::newer> all;  // in order of admission
  std::array<Class, kClasses> classes;
  std::size_t current = 0;    // the class whose visit is on or next
  std::uint64_t deficit = 0;  // its own; 0: the visit has not begun

  std::deque<HandedOver> handed_over;  // `eligible` ascends
  absl::btree_multimap<TimerOrder, Queued*> timers;

  std::deque<Submission> submissions;  // the latest last
  // Views into `submissions`, whose elements never move.
  absl::flat_hash_map<absl::string_view, InputId> submission_inputs;

  std::size_t external_count = 0;
  std::size_t derived_count = 0;
  std::size_t timer_count = 0;
  // External units that one round could take: of each entity no more than
  // entity_round_limit.
  std::uint64_t takeable = 0;

  // Of the round that is being composed.
  EventId first;
  std::uint64_t composed = 0;
  std::vector<Unit*>* out = nullptr;
};

// --- queues ---

Entity* Sequencer::Impl::FindOrAddEntity(const Unit& unit) {
  const EntityName name(unit);
  auto place = entities.lazy_emplace(name, [&](const auto& construct) {
    Entity* const entity = entity_pool.Get();
    *entity = Entity{};
    entity->hash = name.hash;
    entity->of_class = name.of_class;
    entity->external = IsExternal(unit.kind);
    construct(entity);
  });
  return *place;
}

Queued* Sequencer::Impl::NewUnit() {
  Queued* const unit = queued_pool.Get();
  unit->out = true;
  return unit;
}

void Sequencer::Impl::Recycle(Queued* unit) {
  REENACT_CHECK(unit->out);
  unit->out = false;
  unit->kind = UnitKind::kEvent;
  unit->priority = kPriorityDefault;
  unit->reducer = kNoReducer;
  Empty(&unit->key);
  Empty(&unit->schema);
  Empty(&unit->payload);
  unit->cause = Cause();
  unit->due = LogicalTime();
  unit->cell_hash = 0;
  queued_pool.Put(unit);
}

void Sequencer::Impl::Enqueue(Queued* queued, EventId stamp) {
  Entity* const entity = FindOrAddEntity(*queued);
  queued->stamp = stamp;
  queued->entity = entity;
  queued->behind = nullptr;
  (entity->head == nullptr ? entity->head : entity->tail->behind) = queued;
  entity->tail = queued;
  if (entity->size == 0) classes[entity->of_class].ring.PushBack(entity);
  if (entity->external && entity->size < rules.entity_round_limit) ++takeable;
  ++entity->size;
  all.PushBack(queued);
}

// Takes an entity with one unit left out of everything.
void Sequencer::Impl::Retire(Entity* entity) {
  entities.erase(entities.find(entity, entity->hash));
  Class& home = classes[entity->of_class];
  if (home.ring.front() == entity) home.deficit = 0;
  home.ring.Remove(entity);
  entity_pool.Put(entity);
}

// Gives the entity's first unit the next ticket.
void Sequencer::Impl::TakeHead(Entity* entity) {
  Queued* const head = entity->head;
  entity->served = Served(*entity) + 1;
  entity->served_in = last;
  if (entity->external && entity->size <= rules.entity_round_limit) --takeable;
  if (entity->size == 1) {
    Retire(entity);
  } else {
    entity->head = head->behind;
    --entity->size;
  }
  all.Remove(head);
  external_count -= IsExternal(head->kind);
  derived_count -= head->kind == UnitKind::kDerived;
  timer_count -= head->kind == UnitKind::kTimer;
  head->out = true;
  out->push_back(head);
  ++composed;
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

// --- submissions ---

void Sequencer::Impl::Remember(std::string_view id, InputId input) {
  const Submission& latest =
      submissions.emplace_back(Submission{std::string(id), input});
  const auto [known, is_new] =
      submission_inputs.emplace(ToAbsl(latest.id), input);
  if (is_new) return;
  // The view in the map has to be into the latest.
  submission_inputs.erase(known);
  submission_inputs.emplace(ToAbsl(latest.id), input);
}

void Sequencer::Impl::ForgetBeyondHorizon() {
  while (submissions.size() > rules.dedupe_horizon) {
    const Submission& oldest = submissions.front();
    const auto known = submission_inputs.find(ToAbsl(oldest.id));
    // An id may have been admitted again since.
    if (known != submission_inputs.end() &&
        known->first.data() == oldest.id.data()) {
      submission_inputs.erase(known);
    }
    submissions.pop_front();
  }
}

// --- composing ---

void Sequencer::Impl::Raise(HandedOver raised) {
  for (Unit* unit : raised.units) {
    REENACT_CHECK(IsRaised(unit->kind) && IsSound(*unit) && Of(unit)->out);
    Of(unit)->out = false;
    SetCellHash(unit);
    if (unit->kind == UnitKind::kDerived) {
      ++raised.derived;
      ++derived_count;
    } else {
      raised.first_due =
          std::min(raised.first_due.value_or(unit->due), unit->due);
      ++timer_count;
    }
  }
  handed_over.push_back(std::move(raised));
}

void Sequencer::Impl::OpenHandedOver() {
  while (!handed_over.empty() && handed_over.front().eligible <= last) {
    for (Unit* unit : handed_over.front().units) {
      if (unit->kind == UnitKind::kDerived) {
        Enqueue(Of(unit), first);
      } else {
        timers.emplace(TimerOrder(*unit), Of(unit));
      }
    }
    handed_over.pop_front();
  }
}

void Sequencer::Impl::EnqueueDue(LogicalTime now) {
  while (!timers.empty() && timers.begin()->first.due <= now) {
    Enqueue(timers.begin()->second, first);
    timers.erase(timers.begin());
  }
}

void Sequencer::Impl::ServeAged() {
  const std::uint64_t quota = rules.round_limit - rules.round_limit / 2;
  // Looking at no more units than a round holds bounds the work when one
  // entity's queue is long.
  std::uint64_t looks = rules.round_limit;
  for (Queued *queued = all.front(), *newer; queued != nullptr;
       queued = newer, --looks) {
    newer = queued->newer;
    if (looks == 0 || composed == quota) return;
    if (queued->stamp > first ||
        first.value - queued->stamp.value < rules.aging_tickets) {
      return;
    }
    Entity* const entity = queued->entity;
    if (Served(*entity) == rules.entity_round_limit) continue;
    REENACT_CHECK(entity->head == queued);
    TakeHead(entity);
  }
}

void Sequencer::Impl::NextClass() {
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
    if (deficit == 0 || serving.ring.empty()) NextClass();
  }
}

void Sequencer::Impl::ServeClass(Class* serving) {
  while (!RoundIsFull() && deficit > 0 && !serving->ring.empty()) {
    Entity* const entity = serving->ring.front();
    if (Served(*entity) == rules.entity_round_limit) {
      serving->ring.Remove(entity);
      serving->aside.PushBack(entity);
      serving->deficit = 0;
      continue;
    }
    if (serving->deficit == 0) serving->deficit = rules.entity_quantum;
    --serving->deficit;
    --deficit;
    const bool leaves = entity->size == 1;
    TakeHead(entity);
    if (!leaves && serving->deficit == 0) {
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

// --- snapshots ---
//
// sequencer  = [last round, [*queued], [6*class], current, [*handed-over],
//               [*timer: unit], [*submission]]
// queued     = [stamp, unit]            in order of admission
// class      = [deficit of the front, [*entity]]
// entity     = the place among `queued` of its first unit
// current    = [number of the class, its deficit]
// handed-over = [eligible round, [+unit]]
// submission = [id as bytes, input]     the latest last
// unit       = [kind, priority, reducer, key, schema, payload, input, parent,
//               index, due]

void Sequencer::Impl::EncodeQueued(cbor::Encoder& encoder) const {
  std::size_t count = 0;
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
  Queued* const unit = queued_pool.Get();
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
    external_count += IsExternal(unit->kind);
    derived_count += unit->kind == UnitKind::kDerived;
    timer_count += unit->kind == UnitKind::kTimer;
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
    encoder.Array(each.units.size());
    for (const Unit* unit : each.units) EncodeUnit(*unit, encoder);
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
      Queued* const unit = NewUnit();
      DecodeUnit(reader, unit);
      raised.units.push_back(unit);
      if (reader.ok() && !IsRaised(unit->kind)) {
        reader.Fail("no step raises such a unit");
      }
    }
    if (!reader.ok()) return;
    if (raised.units.empty() || raised.eligible <= previous ||
        raised.eligible.value - last.value > rules.pipeline_depth) {
      return reader.Fail("nothing becomes eligible in such a round");
    }
    previous = raised.eligible;
    Raise(std::move(raised));
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
    ++timer_count;
    timers.emplace_hint(timers.end(), order, unit);
  }
}

void Sequencer::Impl::EncodeSubmissions(cbor::Encoder& encoder) const {
  encoder.Array(submissions.size());
  for (const Submission& each : submissions) {
    encoder.Array(2);
    encoder.ByteString(each.id);
    encoder.Unsigned(each.input.value);
  }
}

void Sequencer::Impl::DecodeSubmissions(cbor::Reader& reader) {
  const std::uint64_t count = reader.Array();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    reader.ExpectArray(2);
    const BytesView id = reader.ByteString();
    const InputId input{reader.Unsigned()};
    if (!reader.ok()) return;
    if (id.empty() || input.value == 0 || i >= rules.dedupe_horizon) {
      return reader.Fail("no such submission is remembered");
    }
    Remember(id, input);
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

// --- Sequencer ---

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
  impl_->ForgetBeyondHorizon();
}

const Scheduling& Sequencer::scheduling() const { return impl_->scheduling; }

bool Sequencer::WantsInput() const {
  return impl_->takeable < impl_->rules.round_limit &&
         impl_->external_count < impl_->rules.backlog_limit;
}

std::optional<InputId> Sequencer::FindSubmission(
    std::string_view submission_id) const {
  const auto known = impl_->submission_inputs.find(ToAbsl(submission_id));
  if (known == impl_->submission_inputs.end()) return std::nullopt;
  return known->second;
}

Unit* Sequencer::NewUnit() { return impl_->NewUnit(); }
void Sequencer::Recycle(Unit* unit) { impl_->Recycle(Of(unit)); }

void Sequencer::Admit(Unit* unit, std::string_view submission_id,
                      EventId next) {
  REENACT_CHECK(IsExternal(unit->kind) && IsSound(*unit) && Of(unit)->out);
  Of(unit)->out = false;
  SetCellHash(unit);
  if (!submission_id.empty()) {
    impl_->Remember(submission_id, unit->cause.input);
    impl_->ForgetBeyondHorizon();
  }
  ++impl_->external_count;
  impl_->Enqueue(Of(unit), next);
}

void Sequencer::HandOver(Round round, std::vector<Unit*>* raised) {
  if (raised->empty()) return;
  HandedOver entry;
  entry.eligible = Round{round.value + impl_->rules.pipeline_depth};
  // Later than that, what a round holds would depend on who was faster.
  REENACT_CHECK(entry.eligible > impl_->last);
  REENACT_CHECK(impl_->handed_over.empty() ||
                impl_->handed_over.back().eligible < entry.eligible);
  entry.units = *raised;
  raised->clear();
  impl_->Raise(std::move(entry));
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
  impl_->out = units;
  impl_->OpenHandedOver();
  impl_->EnqueueDue(now);
  impl_->ServeAged();
  impl_->ServeClasses();
  impl_->EndRound();
  impl_->out = nullptr;
}

std::size_t Sequencer::external_count() const { return impl_->external_count; }
std::size_t Sequencer::derived_count() const { return impl_->derived_count; }
std::size_t Sequencer::timer_count() const { return impl_->timer_count; }
bool Sequencer::empty() const {
  return external_count() == 0 && derived_count() == 0 && timer_count() == 0;
}

void Sequencer::Encode(Bytes* out) const {
  cbor::Encoder encoder(out);
  encoder.Array(7);
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
}

absl::StatusOr<Sequencer> Sequencer::Decode(const Scheduling& scheduling,
                                            BytesView item) {
  Sequencer sequencer(scheduling);
  Impl& impl = *sequencer.impl_;
  cbor::Reader reader(item);
  std::vector<Queued*> places;
  reader.ExpectArray(7);
  impl.last = Round{reader.Unsigned()};
  if (impl.last.value > kLastRound) reader.Fail("no world gets to this round");
  impl.DecodeQueued(reader, &places);
  impl.DecodeClasses(reader, places);
  impl.DecodeCurrent(reader);
  impl.DecodeHandedOver(reader);
  impl.DecodeTimers(reader);
  impl.DecodeSubmissions(reader);
  reader.ExpectEnd();
  if (!reader.ok()) {
    return absl::InvalidArgumentError(
        absl::string_view(reader.status().message()));
  }
  return sequencer;
}

}  // namespace reenact
