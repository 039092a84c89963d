#include "reenact/harness/model_kernel.h"

#include <algorithm>
#include <utility>

#include "reenact/journal/block.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact {

namespace {

using cbor::Value;
using Cell = std::pair<ReducerId, std::string>;

// Ends a step.
struct Refused {
  FailureCode code;
};

// --- updates, from the words of kernel/reducer.h -----------------------------

Value ApplyToInteger(const std::optional<Value>& before, const Update& update) {
  if (before && !before->AsInteger().ok()) {
    throw Refused{FailureCode::kTypeMismatch};
  }
  if (update.op == Update::Op::kAdd) {
    const std::int64_t old = before ? *before->AsInteger() : 0;
    std::int64_t sum = 0;
    if (__builtin_add_overflow(old, update.number, &sum) || sum < update.low ||
        sum > update.high) {
      throw Refused{FailureCode::kOutOfBounds};
    }
    return Value(sum);
  }
  if (!before) return Value(update.number);
  const std::int64_t old = *before->AsInteger();
  return Value(update.op == Update::Op::kMax ? std::max(old, update.number)
                                             : std::min(old, update.number));
}

Value ApplyToArray(const std::optional<Value>& before, const Update& update) {
  if (before && !before->IsArray()) throw Refused{FailureCode::kTypeMismatch};
  std::vector<Value> items;
  if (before) items = before->items();
  const Value item = Value::Parse(update.item).value();
  if (update.op == Update::Op::kAppend) {
    items.push_back(item);
    return Value::Array(std::move(items));
  }
  const auto not_below = [](const Value& a, const Value& b) {
    return a.Encode() >= b.Encode();
  };
  if (std::adjacent_find(items.begin(), items.end(), not_below) !=
      items.end()) {
    throw Refused{FailureCode::kTypeMismatch};  // no set
  }
  for (const Value& old : items) {
    if (old == item) return Value::Array(std::move(items));
  }
  items.push_back(item);
  std::sort(items.begin(), items.end(), [](const Value& a, const Value& b) {
    return a.Encode() < b.Encode();
  });
  return Value::Array(std::move(items));
}

Bytes Updated(const std::optional<Bytes>& state, const Update& update) {
  std::optional<Value> before;
  if (state) before = Value::Parse(*state).value();
  const bool number = update.op <= Update::Op::kMin;
  if (update.field.empty()) {
    return (number ? ApplyToInteger(before, update)
                   : ApplyToArray(before, update))
        .Encode();
  }
  if (before && !before->IsMap()) throw Refused{FailureCode::kTypeMismatch};
  Value map = before ? *before : Value::Map();
  std::optional<Value> member;
  if (const Value* found = map.Find(update.field)) member = *found;
  map.Set(Value(update.field), number ? ApplyToInteger(member, update)
                                      : ApplyToArray(member, update));
  return map.Encode();
}

// --- a step ------------------------------------------------------------------

class ModelStep final : public StepContext {
 public:
  std::vector<std::pair<Cell, std::optional<Bytes>>> writes;
  std::vector<std::pair<Cell, Update>> updates;
  std::vector<RaisedEvent> raised;
  std::vector<EffectIntent> effects;

  ModelStep(const WorldConfig& config, const StateMap& cells, const Unit& unit,
            EventId id, LogicalTime time)
      : config_(config),
        cells_(cells),
        own_{unit.reducer, unit.key},
        id_(id),
        time_(time),
        cause_(unit.cause),
        view_{config.reducers[unit.reducer], unit.key, unit.schema,
              unit.payload},
        rng_(StepSeed(config.seed, id, view_.reducer, view_.key)),
        fuel_(config.limits.fuel_max) {}

  EventId event_id() const override { return id_; }
  LogicalTime time() const override { return time_; }
  const Cause& cause() const override { return cause_; }
  const EventView& event() const override { return view_; }

  std::optional<BytesView> state() override {
    UseFuel(1);
    return See(own_);
  }
  void SetState(BytesView state) override {
    UseFuel(1);
    Put(own_, Bytes(state));
  }
  void DeleteState() override {
    UseFuel(1);
    Put(own_, std::nullopt);
  }
  std::optional<BytesView> Read(std::string_view reducer,
                                std::string_view key) override {
    UseFuel(1);
    return See(Named(reducer, key));
  }
  void Write(std::string_view reducer, std::string_view key,
             BytesView state) override {
    UseFuel(1);
    Put(Named(reducer, key), Bytes(state));
  }
  void Delete(std::string_view reducer, std::string_view key) override {
    UseFuel(1);
    Put(Named(reducer, key), std::nullopt);
  }

  std::vector<std::pair<std::string, Bytes>> Scan(std::string_view reducer,
                                                  std::string_view from,
                                                  std::string_view to,
                                                  std::size_t limit) override {
    UseFuel(1);
    const ReducerId id = Find(reducer);
    // A scan reads what this step has updated.
    for (const auto& [cell, update] : std::vector(updates)) {
      if (cell.first == id) Settle(cell);
    }
    StateMap now = cells_;
    for (const auto& [cell, state] : writes) {
      now.erase(cell);
      if (state) now[cell] = *state;
    }
    std::vector<std::pair<std::string, Bytes>> found;
    for (const auto& [cell, state] : now) {
      if (cell.first != id || cell.second < from) continue;
      if (!to.empty() && cell.second >= to) continue;
      if (found.size() < limit) found.emplace_back(cell.second, state);
    }
    UseFuel(found.size());
    return found;
  }

  void Apply(std::string_view reducer, std::string_view key,
             Update update) override {
    UseFuel(1);
    const Cell cell = Named(reducer, key);
    if (update.op >= Update::Op::kUnion || !update.item.empty()) {
      CheckItem(update.item);
    }
    CheckText(update.field);
    CountOutput(16 + update.item.size() + update.field.size());
    if (WrittenBy(cell) != nullptr) {
      Put(cell, Updated(*WrittenBy(cell), update));
    } else {
      updates.emplace_back(cell, std::move(update));
    }
  }

  void Raise(Event event) override { RaiseAny(std::move(event), {}); }
  void RaiseAt(LogicalTime due, Event event) override {
    RaiseAny(std::move(event), due);
  }

  bool Affords(std::string_view, const Amounts&) override {
    UseFuel(1);
    return false;  // the model has no grants
  }

  void Intend(EffectIntent intent) override {
    UseFuel(1);
    if (effects.size() == config_.limits.effects_max) {
      throw Refused{FailureCode::kTooManyEffects};
    }
    CheckItem(intent.params);
    CheckText(intent.kind);
    CheckText(intent.capability);
    CheckText(intent.cache_scope);
    CheckReserve(intent.reserve);
    if (!intent.identity.empty() &&
        config_.format_version < kFormatVersionSharing) {
      throw Refused{FailureCode::kInvalidOutput};
    }
    if (!intent.retry.IsValid() ||
        (!intent.retry.empty() &&
         config_.format_version < kFormatVersionRetries)) {
      throw Refused{FailureCode::kInvalidOutput};
    }
    CountOutput(intent.kind.size() + intent.capability.size() +
                intent.params.size() + intent.idempotency.size() +
                intent.cache_scope.size() + intent.identity.size());
    effects.push_back(std::move(intent));
  }

  Rng& rng() override {
    UseFuel(1);
    return rng_;
  }

  void UseFuel(std::uint64_t amount) override {
    if (amount > fuel_) {
      fuel_ = 0;
      throw Refused{FailureCode::kOutOfFuel};
    }
    fuel_ -= amount;
  }

 private:
  ReducerId Find(std::string_view name) const {
    const auto& names = config_.reducers;
    const auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) throw Refused{FailureCode::kUnknownReducer};
    return static_cast<ReducerId>(it - names.begin());
  }
  Cell Named(std::string_view reducer, std::string_view key) const {
    const ReducerId id = Find(reducer);
    CheckKey(key);
    return {id, std::string(key)};
  }
  void CheckKey(std::string_view key) const {
    CheckText(key);
    if (key.size() > config_.limits.key_bytes_max) {
      throw Refused{FailureCode::kInvalidOutput};
    }
  }
  static void CheckText(std::string_view text) {
    if (!cbor::IsUtf8(text)) throw Refused{FailureCode::kInvalidOutput};
  }
  void CheckReserve(const Amounts& reserve) const {
    for (const Amounts::Item& item : reserve.items()) {
      CheckText(item.dimension);
      if (HasLimits() &&
          (item.dimension.empty() || item.dimension.size() > 64)) {
        throw Refused{FailureCode::kInvalidOutput};
      }
    }
    if (HasLimits() && reserve.items().size() > 64) {
      throw Refused{FailureCode::kInvalidOutput};
    }
  }
  bool HasLimits() const { return config_.format_version >= 3; }
  static void CheckItem(BytesView item) {
    if (!cbor::Validate(item).ok()) throw Refused{FailureCode::kInvalidOutput};
  }
  void CountOutput(std::size_t bytes) {
    output_ += bytes;
    if (output_ > config_.limits.output_bytes_max) {
      throw Refused{FailureCode::kTooMuchOutput};
    }
  }

  std::optional<Bytes>* WrittenBy(const Cell& cell) {
    for (auto& [written, state] : writes) {
      if (written == cell) return &state;
    }
    return nullptr;
  }

  std::optional<Bytes> Present(const Cell& cell) {
    if (const auto* state = WrittenBy(cell)) return *state;
    const auto it = cells_.find(cell);
    if (it == cells_.end()) return std::nullopt;
    return it->second;
  }

  // Turns this step's updates of a cell into a write.
  void Settle(const Cell& cell) {
    std::vector<Update> mine;
    for (const auto& [updated, update] : updates) {
      if (updated == cell) mine.push_back(update);
    }
    std::erase_if(updates, [&](const auto& u) { return u.first == cell; });
    for (const Update& update : mine) Put(cell, Updated(Present(cell), update));
  }

  std::optional<BytesView> See(const Cell& cell) {
    Settle(cell);
    const std::optional<Bytes> state = Present(cell);
    if (!state) return std::nullopt;
    return seen_.emplace_back(*state);
  }

  void Put(const Cell& cell, std::optional<Bytes> state) {
    if (state) {
      CheckItem(*state);
      CountOutput(state->size());
    }
    std::erase_if(updates, [&](const auto& u) { return u.first == cell; });
    if (std::optional<Bytes>* written = WrittenBy(cell)) {
      *written = std::move(state);
    } else {
      writes.emplace_back(cell, std::move(state));
    }
  }

  void RaiseAny(Event event, std::optional<LogicalTime> due) {
    UseFuel(1);
    if (raised.size() == config_.limits.events_max) {
      throw Refused{FailureCode::kTooManyEvents};
    }
    const ReducerId id = Find(event.reducer);
    CheckKey(event.key);
    CheckText(event.schema);
    CheckItem(event.payload);
    if (event.payload.size() > config_.limits.payload_bytes_max ||
        event.schema == "reenact.answer") {
      throw Refused{FailureCode::kInvalidOutput};
    }
    // Two to the 62nd rounds: as many are left after the last timer.
    if (HasLimits() && config_.clock == ClockKind::kRounds && due &&
        due->value > std::int64_t{1} << 62) {
      throw Refused{FailureCode::kInvalidOutput};
    }
    CountOutput(event.key.size() + event.schema.size() + event.payload.size());
    raised.push_back({id, event.key, event.schema, event.payload, due});
  }

  const WorldConfig& config_;
  const StateMap& cells_;
  const Cell own_;
  const EventId id_;
  const LogicalTime time_;
  const Cause cause_;
  const EventView view_;
  Rng rng_;
  std::uint64_t fuel_;
  std::uint64_t output_ = 0;
  std::deque<Bytes> seen_;  // views live as long as the step
};

std::optional<CellRef> Subject(const Cell& cell, const Unit& unit) {
  if (cell == Cell{unit.reducer, unit.key}) return std::nullopt;
  return CellRef{cell.first, cell.second};
}

}  // namespace

// --- the world ---------------------------------------------------------------

ModelKernel::ModelKernel(WorldConfig config,
                         std::vector<std::shared_ptr<const Reducer>> reducers)
    : config_(std::move(config)),
      reducers_(std::move(reducers)),
      sequencer_(config_.scheduling),
      queues_(config_.scheduling),
      ledger_(config_.world_id) {
  Record(entry::Genesis{config_});
  EndBlock(Round{0}, EventId{1}, 0);
}

void ModelKernel::Feed(const std::vector<Input>& inputs) {
  std::size_t next = 0;
  for (;;) {
    while (next < inputs.size() && sequencer_.WantsInput()) {
      Input input = inputs[next++];
      input.position = next;
      Admit(input);
    }
    const std::optional<Round> round = NextRound();
    if (!round) return;
    PlayRound(*round);
  }
}

void ModelKernel::Admit(const Input& input) {
  if (!input.submission_id.empty() &&
      sequencer_.FindSubmission(input.submission_id)) {
    return;
  }
  const InputId id{++inputs_};
  const auto reducer = std::find(config_.reducers.begin(),
                                 config_.reducers.end(), input.event.reducer) -
                       config_.reducers.begin();
  Unit unit;
  unit.kind = UnitKind::kEvent;
  unit.priority = input.priority;
  unit.reducer = static_cast<ReducerId>(reducer);
  unit.key = input.event.key;
  unit.schema = input.event.schema;
  unit.payload = input.event.payload;
  unit.cause.input = id;
  sequencer_.Admit(unit, input.submission_id, next_);
  Unit* const told = queues_.NewUnit();
  *told = unit;
  queues_.Admit(told, input.submission_id, next_);
  position_ = input.position;
  input_time_ = std::max(input_time_, input.time);
  admitted_.push_back(entry::InputAdmitted{
      id, unit.reducer, unit.key, unit.schema, unit.payload,
      input.submission_id, input.priority, input.time, input.position});
}

LogicalTime ModelKernel::TimeOf(Round round) const {
  return config_.clock == ClockKind::kRounds
             ? LogicalTime{static_cast<std::int64_t>(round.value)}
             : std::max(time_, input_time_);
}

// "The first number above the last composed for which something is eligible".
// Between the round that is eligible by now and the next timer nothing changes,
// and a timer may be any number of rounds away.
std::optional<Round> ModelKernel::NextRound() const {
  for (std::uint64_t r = last_round_.value + 1; r <= kRoundMax;) {
    const LogicalTime now = TimeOf(Round{r});
    const std::optional<Round> first = sequencer_.NextRound(now);
    if (first && first->value <= r) return Round{r};
    std::uint64_t next = first ? first->value : ~std::uint64_t{0};
    if (config_.clock == ClockKind::kRounds) {
      const auto timer = sequencer_.NextTimer(now);
      if (timer)
        next = std::min(next, static_cast<std::uint64_t>(timer->value));
    }
    r = next;
  }
  return std::nullopt;
}

void ModelKernel::PlayRound(Round round) {
  const EventId first = next_;
  last_round_ = round;
  time_ = TimeOf(round);
  const std::vector<Unit> units = sequencer_.Compose(round, time_, first);
  std::vector<Unit*> told;
  queues_.Compose(round, time_, first, &told);
  for (Unit* unit : told) queues_.Recycle(unit);
  Record(entry::RoundOpened{round, time_, first, units.size()});
  for (const auto& [id, order] : failures_) {
    if (id >= first && id.value < first.value + units.size()) Record(order);
  }
  for (Entry& entry : admitted_) Record(entry);
  admitted_.clear();
  std::vector<Unit> raised;
  for (const Unit& unit : units) PlayTicket(round, unit, &raised);
  sequencer_.EnqueueRaised(round, raised);
  TellOfRaised(round, raised);
  const bool snapshot = config_.snapshot_every != 0 &&
                        blocks_.size() % config_.snapshot_every == 0;
  if (snapshot) Record(entry::SnapshotTaken{round, EventId{next_.value - 1}});
  EndBlock(round, first, units.size(), snapshot);
}

void ModelKernel::TellOfRaised(Round round, const std::vector<Unit>& raised) {
  std::vector<Unit*> told;
  for (const Unit& unit : raised) {
    told.push_back(queues_.NewUnit());
    *told.back() = unit;
  }
  queues_.EnqueueRaised(round, &told);
}

void ModelKernel::PlayTicket(Round round, const Unit& unit,
                             std::vector<Unit>* raised) {
  const EventId id = next_;
  next_ = next_.Next();
  Record(entry::StepScheduled{id, LaneId{0}, unit.kind,
                              CellRef{unit.reducer, unit.key}, unit.cause});
  if (const auto it = failures_.find(id); it != failures_.end()) {
    ++failed_;
    const entry::FailureOrdered& order = it->second;
    const std::string who = order.by.empty() ? "" : order.by + ": ";
    return Record(entry::StepFailed{id, LaneId{0}, FailureCode::kFailedByOrder,
                                    who + order.reason});
  }
  StateMap after = cells_;
  ModelStep step(config_, cells_, unit, id, time_);
  entry::StepCommitted committed{id, LaneId{0}, {}, {}, {}};
  try {
    const absl::Status refusal = reducers_[unit.reducer]->Step(step);
    if (!refusal.ok()) {
      throw Refused{static_cast<FailureCode>(refusal.raw_code())};
    }
    for (const auto& [cell, state] : step.writes) {
      Diff diff{state ? Diff::Op::kPut : Diff::Op::kDelete,
                Subject(cell, unit),
                state.value_or(Bytes()),
                {}};
      committed.diffs.push_back(std::move(diff));
      after.erase(cell);
      if (state) after[cell] = *state;
    }
    for (const auto& [cell, update] : step.updates) {
      committed.diffs.push_back(
          {Diff::Op::kUpdate, Subject(cell, unit), {}, update});
      const auto it = after.find(cell);
      Bytes updated = Updated(
          it == after.end() ? std::nullopt : std::optional<Bytes>(it->second),
          update);
      if (!cbor::Validate(updated).ok()) {
        throw Refused{FailureCode::kInvalidOutput};  // too deep
      }
      after[cell] = std::move(updated);
    }
  } catch (const Refused& refused) {
    ++failed_;
    return Record(entry::StepFailed{id, LaneId{0}, refused.code});
  } catch (...) {
    ++failed_;
    return Record(entry::StepFailed{id, LaneId{0}, FailureCode::kException});
  }
  cells_ = std::move(after);
  for (std::uint32_t i = 0; i < step.raised.size(); ++i) {
    const RaisedEvent& event = step.raised[i];
    Unit child;
    child.kind = event.due ? UnitKind::kTimer : UnitKind::kDerived;
    child.reducer = event.reducer;
    child.key = event.key;
    child.schema = event.schema;
    child.payload = event.payload;
    child.cause = Cause{InputId{0}, id, i};
    child.due = event.due.value_or(LogicalTime{0});
    raised->push_back(std::move(child));
  }
  committed.events = step.raised;
  committed.effects = step.effects;
  Record(committed);
  Ledger::Consequences told;
  ledger_.Judge({id, round, time_, unit.reducer, config_.reducers[unit.reducer],
                 unit.key},
                step.effects, &told);
  // Without grants and a policy everything is let out that names none.
  for (std::uint32_t i = 0; i < step.effects.size(); ++i) {
    const EffectIntent& intent = step.effects[i];
    entry::EffectQueued queued;
    queued.event_id = id;
    queued.index = i;
    const IntentNames names = NamesOf(config_.world_id, intent, id, i);
    queued.idempotency_key = names.idempotency_key;
    queued.intent_hash = names.intent_hash;
    queued.retry = intent.retry;
    // Nothing ends here, so all after the first of an identity wait for it.
    if (!intent.identity.empty()) {
      const auto [first, fresh] = identities_.emplace(intent.identity, names);
      if (!fresh) {
        queued.verdict = EffectVerdict::kJoined;
        queued.joins = first->second.intent_hash;
      }
    }
    Record(queued);
  }
}

void ModelKernel::Record(const Entry& entry) { entries_.push_back(entry); }

Digest ModelKernel::OpenWork() const {
  SnapshotHeader header;
  header.config = config_;
  header.event_id = EventId{next_.value - 1};
  header.round = last_round_;
  header.time = time_;
  header.block_count = blocks_.size() + 1;
  header.last_input = InputId{inputs_};
  header.position = position_;
  ledger_.Encode(&header.ledger);
  Bytes queues;
  queues_.Encode(&queues);
  return OpenWorkDigest(std::move(header), queues);
}

void ModelKernel::EndBlock(Round round, EventId first, std::uint64_t tickets,
                           bool snapshot) {
  Bytes bytes;
  for (const Entry& entry : entries_) EncodeEntry(entry, &bytes);
  BlockHeader header;
  header.index = blocks_.size();
  header.prev = chain_end_;
  header.round = round;
  header.first = first;
  header.ticket_count = tickets;
  header.entry_count = entries_.size();
  if (config_.format_version >= kFormatVersionOpenWork && !blocks_.empty() &&
      (snapshot || blocks_.size() % kOpenWorkEvery == 0)) {
    header.open_work = OpenWork();
  }
  entries_.clear();
  blocks_.push_back(EncodeBlock(header, bytes, &chain_end_));
}

}  // namespace reenact
