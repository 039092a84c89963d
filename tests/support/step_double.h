// Reducers without a world: a step over a std::map, and a queue for what steps
// raise. Serial, in memory, nothing is recorded.

#ifndef REENACT_TESTS_SUPPORT_STEP_DOUBLE_H_
#define REENACT_TESTS_SUPPORT_STEP_DOUBLE_H_

#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/outcome.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

using CellMap = std::map<CellId, Bytes>;

// One step. It works on a copy of the cells; read what it did from the members
// below afterwards.
class StepDouble final : public StepContext {
 public:
  // What the step did.
  CellMap cells;
  std::vector<Event> raised;
  std::vector<std::pair<LogicalTime, Event>> timers;
  std::vector<EffectIntent> effects;
  Amounts affordable;
  std::set<CellId> reads;   // its own cell too, if it looked
  std::set<CellId> writes;  // updates too
  absl::Status problem;     // of what a world would have refused
  std::uint64_t fuel_left = 1'000'000;

  StepDouble(CellMap before, Event event, EventId id = EventId{1},
             LogicalTime time = {}, Cause cause = {InputId{1}, {}, 0})
      : cells(std::move(before)),
        id_(id),
        time_(time),
        cause_(cause),
        event_(std::move(event)),
        view_{event_.reducer, event_.key, event_.schema, event_.payload},
        rng_(StepSeed(Digest{}, id, event_.reducer, event_.key)) {}

  StepDouble(const StepDouble&) = delete;
  StepDouble& operator=(const StepDouble&) = delete;

  EventId event_id() const override { return id_; }
  LogicalTime time() const override { return time_; }
  const Cause& cause() const override { return cause_; }
  const EventView& event() const override { return view_; }

  std::optional<BytesView> state() override {
    return Read(event_.reducer, event_.key);
  }
  void SetState(BytesView state) override {
    Write(event_.reducer, event_.key, state);
  }
  void DeleteState() override { Delete(event_.reducer, event_.key); }

  std::optional<BytesView> Read(std::string_view reducer,
                                std::string_view key) override {
    UseFuel(1);
    const CellId cell = Cell(reducer, key);
    reads.insert(cell);
    const auto found = cells.find(cell);
    if (found == cells.end()) return std::nullopt;
    // A copy that later writes leave alone, since views live as long as steps.
    return handed_out_.emplace_back(found->second);
  }

  void Write(std::string_view reducer, std::string_view key,
             BytesView state) override {
    UseFuel(1);
    Keep(cbor::Validate(state));
    writes.insert(Cell(reducer, key));
    cells[Cell(reducer, key)] = Bytes(state);
  }

  void Delete(std::string_view reducer, std::string_view key) override {
    UseFuel(1);
    writes.insert(Cell(reducer, key));
    cells.erase(Cell(reducer, key));
  }

  std::vector<std::pair<std::string, Bytes>> Scan(std::string_view reducer,
                                                  std::string_view from,
                                                  std::string_view to,
                                                  std::size_t limit) override {
    UseFuel(1);
    std::vector<std::pair<std::string, Bytes>> found;
    for (auto it = cells.lower_bound(Cell(reducer, from)); it != cells.end();
         ++it) {
      const auto& [cell, state] = *it;
      const bool inside =
          cell.reducer == reducer && (to.empty() || cell.key < to);
      if (!inside || found.size() == limit) break;
      reads.insert(cell);
      found.emplace_back(cell.key, state);
    }
    return found;
  }

  void Apply(std::string_view reducer, std::string_view key,
             Update update) override {
    UseFuel(1);
    const CellId cell = Cell(reducer, key);
    writes.insert(cell);
    const auto found = cells.find(cell);
    std::optional<BytesView> before;
    if (found != cells.end()) before = found->second;
    absl::StatusOr<Bytes> after = ApplyUpdate(before, update);
    Keep(after.status());
    if (after.ok()) cells[cell] = *std::move(after);
  }

  void Raise(Event event) override {
    UseFuel(1);
    Keep(cbor::Validate(event.payload));
    raised.push_back(std::move(event));
  }
  void RaiseAt(LogicalTime due, Event event) override {
    UseFuel(1);
    Keep(cbor::Validate(event.payload));
    timers.emplace_back(due, std::move(event));
  }
  void Intend(EffectIntent intent) override {
    UseFuel(1);
    Keep(cbor::Validate(intent.params));
    effects.push_back(std::move(intent));
  }
  // What there is to spend, whatever the capability.
  bool Affords(std::string_view, const Amounts& amounts) override {
    UseFuel(1);
    return amounts.FitIn(affordable);
  }

  Rng& rng() override { return rng_; }

  void UseFuel(std::uint64_t amount) override {
    if (amount > fuel_left) throw std::runtime_error("out of fuel");
    fuel_left -= amount;
  }

 private:
  static CellId Cell(std::string_view reducer, std::string_view key) {
    return CellId{std::string(reducer), std::string(key)};
  }
  void Keep(const absl::Status& status) {
    if (problem.ok()) problem = status;
  }

  const EventId id_;
  const LogicalTime time_;
  const Cause cause_;
  const Event event_;
  const EventView view_;
  Rng rng_;
  std::deque<Bytes> handed_out_;
};

// What a reducer declares about an event.
class TouchRecorder final : public TouchSet {
 public:
  std::set<CellId> reads;
  std::set<CellId> writes;

  TouchRecorder(const Reducer& reducer, const Event& event) {
    reducer.Touch({event.reducer, event.key, event.schema, event.payload},
                  *this);
  }

  void Reads(std::string_view reducer, std::string_view key) override {
    reads.insert({std::string(reducer), std::string(key)});
  }
  void Writes(std::string_view reducer, std::string_view key) override {
    writes.insert({std::string(reducer), std::string(key)});
  }
};

// Cells, reducers, and one step after another: what an event does, without
// rounds. What steps raise waits in `raised`.
class SerialDouble {
 public:
  CellMap cells;
  std::deque<Event> raised;
  std::uint64_t failed = 0;

  explicit SerialDouble(std::vector<std::shared_ptr<const Reducer>> reducers)
      : reducers_(std::move(reducers)) {}

  // Runs the event's step. An error is the step's; nothing has changed then.
  absl::Status Step(const Event& event) {
    const Reducer* reducer = Find(event.reducer);
    if (reducer == nullptr) return absl::NotFoundError(event.reducer);
    StepDouble step(cells, event, EventId{++tickets_});
    absl::Status status = Run(*reducer, step);
    if (status.ok()) status = step.problem;
    if (!status.ok()) {
      ++failed;
      return status;
    }
    cells = std::move(step.cells);
    for (Event& each : step.raised) raised.push_back(std::move(each));
    return status;
  }

  // Runs everything raised, and what that raises. Failures are counted only.
  void RunRaised() {
    while (!raised.empty()) {
      const Event event = std::move(raised.front());
      raised.pop_front();
      Step(event).IgnoreError();
    }
  }

  // The cell's state in diagnostic notation; "none" if it does not exist.
  std::string Show(std::string_view reducer, std::string_view key) const {
    const auto found = cells.find({std::string(reducer), std::string(key)});
    return found == cells.end() ? "none" : cbor::Diagnose(found->second);
  }

  // The states of a reducer's cells, by key.
  std::vector<Bytes> StatesOf(std::string_view reducer) const {
    std::vector<Bytes> states;
    for (const auto& [cell, state] : cells) {
      if (cell.reducer == reducer) states.push_back(state);
    }
    return states;
  }

 private:
  static absl::Status Run(const Reducer& reducer, StepDouble& step) {
    try {
      return reducer.Step(step);
    } catch (const std::exception& error) {
      return absl::UnknownError(error.what());
    }
  }

  const Reducer* Find(std::string_view name) const {
    for (const auto& reducer : reducers_) {
      if (reducer->name() == name) return reducer.get();
    }
    return nullptr;
  }

  const std::vector<std::shared_ptr<const Reducer>> reducers_;
  std::uint64_t tickets_ = 0;
};

}  // namespace reenact

#endif  // REENACT_TESTS_SUPPORT_STEP_DOUBLE_H_
