#include "reenact/workers/step_run.h"

#include <algorithm>
#include <exception>
#include <map>
#include <new>

#include "absl/base/attributes.h"
#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/effects/answer.h"

namespace reenact {

namespace {

// Beyond so many reads or writes a step looks them up in a hash table.
constexpr std::size_t kLinear = 16;
// How long a read waits for a step that runs at this moment: about as long as a
// hand-over costs, in turns of an empty loop.
constexpr int kReadSpins = 512;

constexpr FailureCode kNoFailure = static_cast<FailureCode>(0);

FailureCode CodeOf(const absl::Status& refusal) {
  return static_cast<FailureCode>(refusal.raw_code());
}

bool SameVersions(const Version* a, const Version* b) {
  return a->state() == b->state();
}

// Whether the two runs saw the same versions, so that they must agree.
bool SameReads(const StepResult& a, const StepResult& b) {
  const std::size_t common = std::min(a.reads.size(), b.reads.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (a.reads[i].cell != b.reads[i].cell) return true;  // then they disagree
    if (a.reads[i].version->stamp != b.reads[i].version->stamp) return false;
  }
  for (std::size_t i = 0; i < std::min(a.scans.size(), b.scans.size()); ++i) {
    if (a.scans[i].as_of != b.scans[i].as_of) return false;
  }
  return true;
}

bool SameWrites(const StepResult& a, const StepResult& b) {
  return std::equal(
      a.writes.begin(), a.writes.end(), b.writes.begin(), b.writes.end(),
      [](const StepResult::Write& x, const StepResult::Write& y) {
        return x.cell == y.cell && SameVersions(x.version, y.version);
      });
}

bool SameUpdates(const StepResult& a, const StepResult& b) {
  return std::equal(
      a.updates.begin(), a.updates.end(), b.updates.begin(), b.updates.end(),
      [](const StepResult::Pending& x, const StepResult::Pending& y) {
        return x.cell == y.cell && x.update == y.update;
      });
}

bool SameOutcome(const StepResult& a, const StepResult& b) {
  if (a.outcome.failure != b.outcome.failure) return false;
  if (a.outcome.failure) return true;
  return SameWrites(a, b) && SameUpdates(a, b) &&
         a.outcome.raised == b.outcome.raised &&
         a.outcome.effects == b.outcome.effects;
}

// What few steps have, out of the way of all others.
ABSL_ATTRIBUTE_NOINLINE void ClearRare(StepResult* result) {
  result->outcome.raised.clear();
  result->outcome.effects.clear();
  result->updates.clear();
  result->scans.clear();
  result->asked.clear();
  result->impure = false;
  result->other.clear();
  result->touched.reset();
}

// What Reducer::Touch() declares, as text.
class DeclaredText final : public TouchSet {
 public:
  void Reads(std::string_view reducer, std::string_view key) override {
    Add("reads ", reducer, key);
  }
  void Writes(std::string_view reducer, std::string_view key) override {
    Add("writes ", reducer, key);
  }
  std::string text;

 private:
  void Add(const char* how, std::string_view reducer, std::string_view key) {
    if (!text.empty()) text += ", ";
    text.append(how).append(reducer).append("/").append(key);
  }
};

// Two runs of one step on the same reads must agree, and so must what Touch()
// declared beside each.
void Judge(const StepResult& second, std::string declared,
           std::string declared_again, StepResult* result) {
  result->impure = SameReads(*result, second) && !SameOutcome(*result, second);
  if (result->impure || declared == declared_again) return;
  result->impure = true;
  result->touched = std::make_unique<std::pair<std::string, std::string>>(
      std::move(declared), std::move(declared_again));
}

}  // namespace

void StepResult::Clear() {
  REENACT_CHECK(settled || writes.empty());
  writes.clear();
  settled = false;
  ran = false;
  outcome.failure.reset();
  reads.clear();
  entries.clear();
  encoded = false;
  if (!outcome.raised.empty() || !outcome.effects.empty() || !updates.empty() ||
      !scans.empty() || !asked.empty() || impure) {
    ClearRare(this);
  }
}

void StepRules::SetReducers(
    std::vector<std::shared_ptr<const Reducer>> reducers) {
  reducers_ = std::move(reducers);
  names_.clear();
  for (const auto& reducer : reducers_) {
    names_.emplace_back(reducer == nullptr ? "" : reducer->name());
  }
}

StepRun::StepRun(CellTable* cells, const StepRules* rules,
                 const std::atomic<std::uint64_t>* committed)
    : cells_(cells),
      rules_(rules),
      committed_(committed),
      versions_(cells->version_pool()) {}

StepRun::~StepRun() = default;

void StepRun::Run(Slot* slot, RunMode mode, StepResult* result) {
  slot_ = slot;
  ticket_ = &slot->ticket;
  result_ = result;
  result->ran = true;
  const bool again =
      mode == RunMode::kAgain && !REENACT_PLANTED("a second run is not marked");
  stamp_ = (ticket_->event_id.value << 1) | (again ? 1 : 0);
  in_turn_ = mode != RunMode::kSpeculative;
  fuel_ = rules_->limits.fuel_max;
  output_bytes_ = 0;
  rng_.reset();
  if (!read_index_.empty()) read_index_.clear();
  if (!write_index_.empty()) write_index_.clear();

  const FailureCode code = CallStep();
  if (code != kNoFailure) {
    REENACT_PROBE("step: it failed");
    DropWrites();
    result_->updates.clear();
    result_->outcome.raised.clear();
    result_->outcome.effects.clear();
    result_->outcome.failure = code;
  }
}

FailureCode StepRun::CallStep() {
  try {
    const absl::Status refusal = ticket_->code->Step(*this);
    return refusal.ok() ? kNoFailure : CodeOf(refusal);
  } catch (const Abort& abort) {
    REENACT_PROBE("step: it broke a rule");
    return abort.code;
  } catch (const std::bad_alloc&) {
    throw;  // how much memory a machine has is nothing to record
  } catch (...) {
    REENACT_PROBE("step: it threw");
    return FailureCode::kException;
  }
}

// The order of the cells counts: it is what they are waited for in.
std::string StepRun::Declared() {
  DeclaredText declared;
  try {
    ticket_->code->Touch(ticket_->event, declared);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (...) {
    declared.text += ", and threw";
  }
  return std::move(declared.text);
}

void StepRun::RunTwice(Slot* slot, RunMode mode, StepObserver* observer,
                       StepResult* result) {
  if (observer != nullptr) observer->Begin(0, slot->ticket);
  Run(slot, mode, result);
  std::string declared = Declared();
  if (observer != nullptr) {
    observer->End(0, slot->ticket, *result);
    observer->Begin(1, slot->ticket);
  }
  Run(slot, mode, &second_);
  std::string declared_again = Declared();
  if (observer != nullptr) observer->End(1, slot->ticket, second_);
  Judge(second_, std::move(declared), std::move(declared_again), result);
}

void StepRun::Compare(Slot* slot, StepResult* result) {
  Run(slot, RunMode::kAgain, &second_);
  std::string declared = Declared();
  Judge(second_, std::move(declared), Declared(), result);
}

void StepRun::ForgetSecond() {
  for (StepResult::Write& write : second_.writes) {
    versions_.Free(write.version);
  }
  second_.writes.clear();
  second_.Clear();
}

void StepRun::DropWrites() {
  // Nobody has seen them: the slot is not done.
  for (StepResult::Write& write : result_->writes) {
    versions_.Free(write.version);
  }
  result_->writes.clear();
}

ReducerId StepRun::FindReducer(std::string_view name) {
  const std::optional<ReducerId> found = rules_->Find(name);
  if (!found) throw Abort{FailureCode::kUnknownReducer};
  return *found;
}

Cell* StepRun::FindCell(std::string_view reducer, std::string_view key) {
  if (key == ticket_->event.key && reducer == ticket_->event.reducer)
    return slot_->own;
  const ReducerId id = FindReducer(reducer);
  CheckKey(key);
  for (const Touch& touch : slot_->touches) {
    if (touch.cell->reducer == id && touch.cell->key == key) return touch.cell;
  }
  REENACT_PROBE("step: a cell that it did not declare");
  return cells_->Find(id, key, ticket_->event_id);
}

void StepRun::CheckKey(std::string_view key) {
  if (key.size() > rules_->limits.key_bytes_max || !cbor::IsUtf8(key)) {
    throw Abort{FailureCode::kInvalidOutput};
  }
}

// Names that are no text cannot be read again in any format.
void StepRun::CheckReserve(const Amounts& reserve) {
  const bool fine =
      rules_->limits_reserve ? reserve.IsWithinLimits() : reserve.IsText();
  if (!fine && !REENACT_PLANTED("what a step reserves has no limits"))
    throw Abort{FailureCode::kInvalidOutput};
}

void StepRun::CheckItem(BytesView item) {
  if (!cbor::Validate(item).ok()) throw Abort{FailureCode::kInvalidOutput};
}

void StepRun::CountOutput(std::size_t bytes) {
  output_bytes_ += bytes;
  if (output_bytes_ > rules_->limits.output_bytes_max) {
    REENACT_PROBE("step: too much output");
    throw Abort{FailureCode::kTooMuchOutput};
  }
}

void StepRun::UseFuel(std::uint64_t amount) {
  if (amount > fuel_) {
    REENACT_PROBE("step: out of fuel");
    fuel_ = 0;
    throw Abort{FailureCode::kOutOfFuel};
  }
  fuel_ -= amount;
}

const Version* StepRun::Newest(Cell* cell) {
  instrument::Yield("step.read", cell, /*write=*/false);
  if (!in_turn_) {
    const std::uint64_t self = ticket_->event_id.value;
    // A touch of a committed ticket is not followed: its slot may be used
    // again.
    const auto older = [this](const Touch* touch) {
      return touch->older_id > committed_->load(std::memory_order_acquire)
                 ? touch->older
                 : nullptr;
    };
    for (Touch* touch = cell->tail.load(std::memory_order_acquire);
         touch != nullptr; touch = older(touch)) {
      if (touch->event_id >= self) continue;
      if (touch->event_id <= committed_->load(std::memory_order_acquire)) break;
      Slot* writer = touch->slot;
      for (int spins = 0;
           spins < kReadSpins && !writer->done() && !instrument::Conducted() &&
           writer->state.load(std::memory_order_relaxed) ==
               Slot::State::kRunning;
           ++spins) {
        __builtin_ia32_pause();
      }
      // Not done: what it will write is unknown. Going on with what there is
      // costs a second run at worst.
      if (!writer->done()) {
        REENACT_PROBE("step: read past a writer that is not done");
        continue;
      }
      for (const StepResult::Write& write : writer->result().writes) {
        if (write.cell == cell) {
          REENACT_PROBE("step: read what is not committed yet");
          return write.version;
        }
      }
    }
  }
  return cells_->Load(cell);
}

const Version* StepRun::FindRead(const Cell* cell) {
  if (read_index_.empty()) {
    for (const StepResult::Read& read : result_->reads) {
      if (read.cell == cell) return read.version;
    }
    return nullptr;
  }
  const auto it = read_index_.find(cell);
  return it == read_index_.end() ? nullptr : it->second;
}

StepResult::Write* StepRun::FindWrite(const Cell* cell) {
  if (!write_index_.empty()) {
    const auto it = write_index_.find(cell);
    return it == write_index_.end() ? nullptr : &result_->writes[it->second];
  }
  for (StepResult::Write& write : result_->writes) {
    if (write.cell == cell) return &write;
  }
  return nullptr;
}

std::optional<BytesView> StepRun::ReadCell(Cell* cell) {
  if (!result_->updates.empty()) Materialize(cell);
  if (const StepResult::Write* write = FindWrite(cell)) {
    return write->version->state();
  }
  REENACT_PROBE_IF(FindRead(cell) != nullptr, "step: a cell is read again");
  if (const Version* seen = FindRead(cell)) return seen->state();
  const Version* version = Newest(cell);
  result_->reads.push_back({cell, version});
  if (!read_index_.empty()) {
    read_index_.emplace(cell, version);
  } else if (result_->reads.size() > kLinear) {
    for (const StepResult::Read& read : result_->reads) {
      read_index_.emplace(read.cell, read.version);
    }
  }
  return version->state();
}

// Turns this step's updates of a cell that it now reads into a read and a
// write.
void StepRun::Materialize(Cell* cell) {
  std::vector<StepResult::Pending> mine;
  auto& all = result_->updates;
  for (auto it = all.begin(); it != all.end();) {
    if (it->cell != cell) {
      ++it;
      continue;
    }
    mine.push_back(std::move(*it));
    it = all.erase(it);
  }
  for (const StepResult::Pending& pending : mine) {
    REENACT_PROBE("step: its own update is read");
    absl::StatusOr<Bytes> applied = ApplyUpdate(ReadCell(cell), pending.update);
    if (!applied.ok()) throw Abort{UpdateFailure(applied.status())};
    WriteCell(cell, *applied);
  }
}

void StepRun::WriteCell(Cell* cell, std::optional<BytesView> state) {
  if (state) {
    CheckItem(*state);
    CountOutput(state->size());
  }
  if (!result_->updates.empty()) {
    std::erase_if(result_->updates, [cell](const StepResult::Pending& pending) {
      return pending.cell == cell;
    });
  }
  const Version* version = versions_.New(stamp_, state);
  if (StepResult::Write* write = FindWrite(cell)) {
    REENACT_PROBE("step: a cell is written again");
    versions_.Free(write->version);
    write->version = version;
  } else {
    result_->writes.push_back({cell, version});
    IndexWrites();
  }
}

void StepRun::IndexWrites() {
  const auto& writes = result_->writes;
  if (writes.size() <= kLinear) return;
  for (std::size_t i = write_index_.empty() ? 0 : writes.size() - 1;
       i < writes.size(); ++i) {
    write_index_.emplace(writes[i].cell, i);
  }
}

std::optional<BytesView> StepRun::state() {
  UseFuel(1);
  return ReadCell(slot_->own);
}

void StepRun::SetState(BytesView state) {
  UseFuel(1);
  WriteCell(slot_->own, state);
}

void StepRun::DeleteState() {
  UseFuel(1);
  WriteCell(slot_->own, std::nullopt);
}

std::optional<BytesView> StepRun::Read(std::string_view reducer,
                                       std::string_view key) {
  UseFuel(1);
  return ReadCell(FindCell(reducer, key));
}

void StepRun::Write(std::string_view reducer, std::string_view key,
                    BytesView state) {
  UseFuel(1);
  WriteCell(FindCell(reducer, key), state);
}

void StepRun::Delete(std::string_view reducer, std::string_view key) {
  UseFuel(1);
  WriteCell(FindCell(reducer, key), std::nullopt);
}

std::vector<std::pair<std::string, Bytes>> StepRun::Scan(
    std::string_view reducer, std::string_view from, std::string_view to,
    std::size_t limit) {
  UseFuel(1);
  const ReducerId id = FindReducer(reducer);
  // This step's own updates of the range count too.
  std::vector<Cell*> updated;
  for (const StepResult::Pending& pending : result_->updates) {
    if (pending.cell->reducer == id) updated.push_back(pending.cell);
  }
  for (Cell* cell : updated) Materialize(cell);

  std::map<std::string_view, const Version*> own;
  for (const StepResult::Write& write : result_->writes) {
    const std::string& key = write.cell->key;
    if (write.cell->reducer == id && key >= from && (to.empty() || key < to)) {
      own.emplace(key, write.version);
    }
  }

  std::vector<std::pair<std::string, Bytes>> found;
  EventId as_of;
  absl::Status status;
  const std::size_t wanted = limit + own.size();  // own deletions hide some
  if (in_turn_) {
    as_of.value = committed_->load(std::memory_order_acquire);
    status = cells_->Scan(id, from, to, wanted, &found);
  } else {
    REENACT_PROBE("step: a range is read ahead of its turn");
    ReaderLock lock(*cells_);
    as_of.value = committed_->load(std::memory_order_acquire);
    status = cells_->Scan(id, from, to, wanted, &found);
  }
  if (!status.ok()) cells_->Fail(status);

  // What lies beyond the last cell found does not matter if there are enough.
  std::string end(to);
  if (found.size() == wanted && !found.empty()) {
    end = found.back().first + '\0';
  }
  result_->scans.push_back({id, std::string(from), std::move(end), as_of});

  for (const auto& [key, version] : own) {
    const auto at = std::lower_bound(
        found.begin(), found.end(), key,
        [](const auto& pair, std::string_view k) { return pair.first < k; });
    const bool there = at != found.end() && at->first == key;
    const std::optional<BytesView> state = version->state();
    if (there && state) {
      REENACT_PROBE("step: a range has a cell that it wrote");
      at->second = *state;
    } else if (there) {
      REENACT_PROBE("step: a range lacks a cell that it deleted");
      found.erase(at);
    } else if (state) {
      REENACT_PROBE("step: a range has a cell that it made");
      found.emplace(at, key, *state);
    }
  }
  if (REENACT_SEEN(found.size() > limit, "step: a range is cut at its limit"))
    found.resize(limit);
  UseFuel(found.size());
  return found;
}

void StepRun::Apply(std::string_view reducer, std::string_view key,
                    Update update) {
  UseFuel(1);
  Cell* cell = FindCell(reducer, key);
  if (!update.item.empty() || update.op == Update::Op::kUnion ||
      update.op == Update::Op::kAppend) {
    CheckItem(update.item);
  }
  if (!cbor::IsUtf8(update.field)) throw Abort{FailureCode::kInvalidOutput};
  CountOutput(16 + update.item.size() + update.field.size());
  if (FindWrite(cell) != nullptr) {
    REENACT_PROBE("step: an update of what it wrote");
    absl::StatusOr<Bytes> applied = ApplyUpdate(ReadCell(cell), update);
    if (!applied.ok()) throw Abort{UpdateFailure(applied.status())};
    WriteCell(cell, *applied);
    return;
  }
  result_->updates.push_back({cell, std::move(update)});
}

void StepRun::Raise(Event event) { RaiseEvent(std::move(event), std::nullopt); }

void StepRun::RaiseAt(LogicalTime due, Event event) {
  RaiseEvent(std::move(event), due);
}

void StepRun::RaiseEvent(Event event, std::optional<LogicalTime> due) {
  UseFuel(1);
  if (result_->outcome.raised.size() >= rules_->limits.events_max) {
    REENACT_PROBE("step: too many events");
    throw Abort{FailureCode::kTooManyEvents};
  }
  const ReducerId id = FindReducer(event.reducer);
  CheckKey(event.key);
  CheckItem(event.payload);
  if (!cbor::IsUtf8(event.schema) || event.schema == kAnswerSchema ||
      event.payload.size() > rules_->limits.payload_bytes_max ||
      (due && *due > rules_->due_max)) {
    throw Abort{FailureCode::kInvalidOutput};
  }
  CountOutput(event.key.size() + event.schema.size() + event.payload.size());
  result_->outcome.raised.push_back({id, std::move(event.key),
                                     std::move(event.schema),
                                     std::move(event.payload), due});
}

void StepRun::Intend(EffectIntent intent) {
  UseFuel(1);
  if (result_->outcome.effects.size() >= rules_->limits.effects_max) {
    REENACT_PROBE("step: too many effects");
    throw Abort{FailureCode::kTooManyEffects};
  }
  CheckItem(intent.params);
  if (!cbor::IsUtf8(intent.kind) || !cbor::IsUtf8(intent.capability) ||
      !cbor::IsUtf8(intent.cache_scope) ||
      (!intent.identity.empty() && !rules_->identities) ||
      (!intent.retry.empty() && !rules_->retries) || !intent.retry.IsValid()) {
    throw Abort{FailureCode::kInvalidOutput};
  }
  CheckReserve(intent.reserve);
  CountOutput(intent.kind.size() + intent.capability.size() +
              intent.params.size() + intent.idempotency.size() +
              intent.cache_scope.size() + intent.identity.size());
  result_->outcome.effects.push_back(std::move(intent));
}

bool StepRun::Affords(std::string_view capability, const Amounts& amounts) {
  UseFuel(1);
  // A guess costs a second run at worst, and budgets mostly have enough.
  const bool affords = !in_turn_ || (rules_->budgets != nullptr &&
                                     rules_->budgets->Affords(
                                         capability, amounts, ticket_->time));
  REENACT_PROBE_IF(!in_turn_, "step: a budget is guessed");
  result_->asked.push_back({std::string(capability), amounts, affords});
  return affords;
}

Rng& StepRun::rng() {
  UseFuel(1);
  if (!rng_) {
    const bool planted =
        !in_turn_ && REENACT_PLANTED("seeds depend on how a step runs");
    rng_.emplace(StepSeed(rules_->world_seed,
                          planted ? EventId{0} : ticket_->event_id,
                          ticket_->event.reducer, ticket_->event.key));
  }
  return *rng_;
}

FailureCode UpdateFailure(const absl::Status& status) {
  REENACT_PROBE("step: an update does not apply");
  return status.code() == absl::StatusCode::kOutOfRange
             ? FailureCode::kOutOfBounds
             : FailureCode::kTypeMismatch;
}

}  // namespace reenact
