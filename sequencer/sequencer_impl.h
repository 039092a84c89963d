// What a sequencer consists of: for the scheduler (sequencer.cc) and the codec
// (sequencer_codec.cc), and nobody else.

#ifndef REENACT_SEQUENCER_SEQUENCER_IMPL_H_
#define REENACT_SEQUENCER_SEQUENCER_IMPL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "reenact/sequencer/entity_table.h"
#include "reenact/sequencer/intrusive_list.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/sequencer/submission_ids.h"
#include "reenact/sequencer/unit_pool.h"

namespace reenact {

inline constexpr std::size_t kClasses = 2 + kPriorities;

inline bool IsRaised(UnitKind kind) {
  return kind == UnitKind::kDerived || kind == UnitKind::kTimer ||
         kind == UnitKind::kReceipt;
}

inline bool IsAnswerOrControl(const Unit& unit) {
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

inline bool MayBeRaised(const Unit& unit) {
  return unit.cause.parent.value != 0 && unit.priority < kPriorities &&
         unit.reducer != kNoReducer && IsRaised(unit.kind);
}

void SetCellHash(Unit* unit);

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

struct Sequencer::Impl {
  // The entities of one class that have units, the one whose visit is on or
  // next at the front.
  struct Class {
    using Ring = IntrusiveList<Entity, &Entity::previous, &Entity::next>;
    Ring ring;
    Ring aside;                 // in Compose() only
    std::uint64_t deficit = 0;  // of the front; 0: its visit has not begun
  };

  explicit Impl(const Scheduling& given);

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
  // In order of admission.
  IntrusiveList<Queued, &Queued::older, &Queued::newer> all;
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

}  // namespace reenact

#endif  // REENACT_SEQUENCER_SEQUENCER_IMPL_H_
