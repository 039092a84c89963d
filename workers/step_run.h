// Runs one step at a time: the StepContext that reducers see.

#ifndef REENACT_WORKERS_STEP_RUN_H_
#define REENACT_WORKERS_STEP_RUN_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/hash_table.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/reducer.h"
#include "reenact/workers/cells.h"
#include "reenact/workers/slot.h"

namespace reenact {

// What is left of budgets, exactly, for steps that run in their turn.
class BudgetReader {
 public:
  virtual bool Affords(std::string_view capability, const Amounts& amounts,
                       LogicalTime now) const = 0;

 protected:
  ~BudgetReader() = default;
};

// The reducers of a world by name and by number, and what steps are held to.
// Constant while steps run, but for a module change, which no step is beside.
struct StepRules {
  Digest world_seed;
  Limits limits;
  bool identities = true;  // whether intents may have them
  bool retries = true;     // and retry rules
  // The world's format holds steps to Amounts::IsWithinLimits().
  bool limits_reserve = true;
  // The latest time that a timer may be due at.
  LogicalTime due_max{std::numeric_limits<std::int64_t>::max()};
  const BudgetReader* budgets = nullptr;
  // Of the reducer by this name. A handful of names: a linear search beats a
  // table.
  std::optional<ReducerId> Find(std::string_view name) const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (SameBytes(names_[i], name) && !name.empty()) {
        return static_cast<ReducerId>(i);
      }
    }
    return std::nullopt;
  }
  bool Has(ReducerId id) const {
    return id < names_.size() && !names_[id].empty();
  }
  const Reducer* reducer(ReducerId id) const { return reducers_[id].get(); }
  std::string_view name(ReducerId id) const { return names_[id]; }
  // By ReducerId. Null: a name of the table that no module brings any more.
  void SetReducers(std::vector<std::shared_ptr<const Reducer>> reducers);

 private:
  std::vector<std::shared_ptr<const Reducer>> reducers_;
  std::vector<std::string> names_;  // empty where there is no reducer
};

// Told about steps as they run, on the thread that runs them. `run` is 0 for
// the first run of a step and 1 for the one that checks it.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void Begin(int run, const Ticket& ticket) = 0;
  virtual void End(int run, const Ticket& ticket, const StepResult& result) = 0;
};

// Where a step runs.
enum class RunMode {
  kSpeculative,  // tickets below it may not have committed yet
  kInTurn,       // all have, and the ordered role runs it, holding Exclusive()
  kAgain,        // the same, after a speculative run that turned out stale
};

// What a failed ApplyUpdate() is recorded as.
FailureCode UpdateFailure(const absl::Status& status);

// Runs steps for one worker, keeping its buffers from step to step.
//
// Thread safety: none; each worker has its own.
class StepRun final : public StepContext {
 public:
  // All outlive the run. `committed` is the last committed ticket.
  StepRun(CellTable* cells, const StepRules* rules,
          const std::atomic<std::uint64_t>* committed);
  ~StepRun();

  // Runs `slot`'s step into `result`, which is clear.
  void Run(Slot* slot, RunMode mode, StepResult* result);

  // The same, twice, to see whether the step, or what its reducer declares to
  // touch, depends on something else than what it may: sets result->impure.
  // second() is there until ForgetSecond(), which must be called.
  void RunTwice(Slot* slot, RunMode mode, StepObserver* observer,
                StepResult* result);
  // Runs a step whose turn it is, and whose `result` is current, once more, and
  // sets result->impure if that comes to something else. second() is there
  // until ForgetSecond(), which must follow.
  void Compare(Slot* slot, StepResult* result);
  StepResult* second() { return &second_; }
  void ForgetSecond();

  // StepContext
  EventId event_id() const override { return ticket_->event_id; }
  LogicalTime time() const override { return ticket_->time; }
  const Cause& cause() const override { return ticket_->cause; }
  const EventView& event() const override { return ticket_->event; }
  std::optional<BytesView> state() override;
  void SetState(BytesView state) override;
  void DeleteState() override;
  std::optional<BytesView> Read(std::string_view reducer,
                                std::string_view key) override;
  void Write(std::string_view reducer, std::string_view key,
             BytesView state) override;
  void Delete(std::string_view reducer, std::string_view key) override;
  std::vector<std::pair<std::string, Bytes>> Scan(std::string_view reducer,
                                                  std::string_view from,
                                                  std::string_view to,
                                                  std::size_t limit) override;
  void Apply(std::string_view reducer, std::string_view key,
             Update update) override;
  void Raise(Event event) override;
  void RaiseAt(LogicalTime due, Event event) override;
  void Intend(EffectIntent intent) override;
  bool Affords(std::string_view capability, const Amounts& amounts) override;
  Rng& rng() override;
  void UseFuel(std::uint64_t amount) override;

 private:
  // Thrown through Step() to end it.
  struct Abort {
    FailureCode code;
  };

  FailureCode CallStep();
  std::string Declared();
  void DropWrites();
  ReducerId FindReducer(std::string_view name);
  Cell* FindCell(std::string_view reducer, std::string_view key);
  std::optional<BytesView> ReadCell(Cell* cell);
  void WriteCell(Cell* cell, std::optional<BytesView> state);
  const Version* Newest(Cell* cell);
  StepResult::Write* FindWrite(const Cell* cell);
  const Version* FindRead(const Cell* cell);
  void IndexWrites();
  void Materialize(Cell* cell);
  void RaiseEvent(Event event, std::optional<LogicalTime> due);
  void CheckItem(BytesView item);
  void CheckKey(std::string_view key);
  void CheckReserve(const Amounts& reserve);
  void CountOutput(std::size_t bytes);

  CellTable* const cells_;
  const StepRules* const rules_;
  const std::atomic<std::uint64_t>* const committed_;
  VersionCache versions_;

  const Ticket* ticket_ = nullptr;
  Slot* slot_ = nullptr;
  StepResult* result_ = nullptr;
  std::uint64_t stamp_ = 0;
  bool in_turn_ = false;
  std::uint64_t fuel_ = 0;
  std::uint64_t output_bytes_ = 0;
  std::optional<Rng> rng_;
  // Set for steps that read a great many cells.
  HashMap<const Cell*, const Version*> read_index_;
  HashMap<const Cell*, std::size_t> write_index_;
  StepResult second_;
};

}  // namespace reenact

#endif  // REENACT_WORKERS_STEP_RUN_H_
