// How the queues are written in a snapshot, and what is held against those that
// are read.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/sequencer/sequencer_impl.h"

namespace reenact {

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

namespace {

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
  if (count == 0) reader.Fail("the list of timers to drop is empty; omit it");
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

}  // namespace reenact
