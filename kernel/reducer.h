// What users write: reducers.
//
//   class Counter final : public reenact::Reducer {
//    public:
//     std::string_view name() const override { return "counter"; }
//
//     absl::Status Step(reenact::StepContext& step) const override {
//       std::int64_t count = 0;
//       if (auto state = step.state()) {
//         count = reenact::cbor::DecodeInteger(*state).value();
//       }
//       step.SetState(reenact::cbor::EncodeInteger(count + 1));
//       return absl::OkStatus();
//     }
//   };

#ifndef REENACT_KERNEL_REDUCER_H_
#define REENACT_KERNEL_REDUCER_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/rng.h"

namespace reenact {

// The parts of an event that a reducer sees. Views live as long as the step.
struct EventView {
  std::string_view reducer;
  std::string_view key;
  std::string_view schema;
  BytesView payload;
};

// A change to a cell that does not depend on what the cell holds, so that steps
// which make it need not wait for each other. Applied at commit, in ticket
// order. An absent cell counts as 0 (kAdd), as not there (kMax, kMin), or as
// empty (kUnion, kAppend).
struct Update {
  enum class Op : std::uint8_t {
    kAdd = 0,     // integer += operand
    kMax = 1,     // integer = max(integer, operand)
    kMin = 2,     // integer = min(integer, operand)
    kUnion = 3,   // sorted array of distinct items; operand joins it
    kAppend = 4,  // array; operand goes to its end
  };

  Op op = Op::kAdd;
  // The member of the cell's map that changes, made if need be; empty: the
  // cell's whole state changes.
  std::string field;
  std::int64_t number = 0;  // operand of kAdd, kMax and kMin
  Bytes item;               // operand of kUnion and kAppend: one CBOR item
  // kAdd: a step whose sum would leave [low, high] fails with
  // FailureCode::kOutOfBounds and changes nothing.
  std::int64_t low = std::numeric_limits<std::int64_t>::min();
  std::int64_t high = std::numeric_limits<std::int64_t>::max();

  friend bool operator==(const Update&, const Update&) = default;
};

// The cells that a step will touch, as far as its event tells.
class TouchSet {
 public:
  virtual void Reads(std::string_view reducer, std::string_view key) = 0;
  virtual void Writes(std::string_view reducer, std::string_view key) = 0;

 protected:
  ~TouchSet() = default;
};

// All that a step may depend on, and all that it may change.
//
// A step sees the world as of the ticket before its own. Changes take effect
// together when the step commits, or not at all.
//
// A speculative run may see cells as of different moments, when it reads cells
// that it did not declare; such a run is found out at commit and run again, and
// leaves no trace. So a step must not hang or crash on states that contradict
// each other; returning an error or throwing is fine.
//
// Thread safety: none; it belongs to the step it was made for. Views it returns
// live until Step() returns.
class StepContext {
 public:
  // Where the step stands in history.
  virtual EventId event_id() const = 0;
  virtual LogicalTime time() const = 0;
  virtual const Cause& cause() const = 0;

  // The event.
  virtual const EventView& event() const = 0;
  std::string_view key() const { return event().key; }
  BytesView payload() const { return event().payload; }

  // The step's own cell: nullopt if it does not exist. After SetState() or
  // DeleteState(), what was set.
  virtual std::optional<BytesView> state() = 0;
  // `state` is one canonical CBOR item; anything else fails the step.
  virtual void SetState(BytesView state) = 0;
  virtual void DeleteState() = 0;

  // Any cell of the world, its own included. A read sees this step's own writes
  // and updates. Reading a cell makes the step depend on it.
  virtual std::optional<BytesView> Read(std::string_view reducer,
                                        std::string_view key) = 0;
  virtual void Write(std::string_view reducer, std::string_view key,
                     BytesView state) = 0;
  virtual void Delete(std::string_view reducer, std::string_view key) = 0;

  // The cells of `reducer` with `from` <= key < `to` in ascending bytewise
  // order of keys, at most `limit` of them. An empty `to` means no upper end.
  // The step then depends on the range, on what is absent from it too.
  virtual std::vector<std::pair<std::string, Bytes>> Scan(
      std::string_view reducer, std::string_view from, std::string_view to,
      std::size_t limit) = 0;

  // Applies `update` to a cell at commit without reading it.
  virtual void Apply(std::string_view reducer, std::string_view key,
                     Update update) = 0;

  // Raises an event: it gets a ticket of its own in a later round.
  virtual void Raise(Event event) = 0;
  // Raises an event that is due in the first round whose logical time has
  // reached `due`. What that time is, is the world's clock: microseconds with
  // `wall`, what inputs say with `input`. With `rounds`, the default of a world
  // that its program drives, it is the number of the round, and a world that
  // has nothing else to do goes to that round at once: nothing waits for 50
  // rounds, or for an hour. A world that should wait has the clock `wall`.
  virtual void RaiseAt(LogicalTime due, Event event) = 0;

  // States an effect intent. Its answer comes as an event with the schema
  // kAnswerSchema; see answer.h.
  virtual void Intend(EffectIntent intent) = 0;

  // Whether `amounts` could be reserved under `capability` right before this
  // step, what it intends itself left out. The step then depends on the answer,
  // and not on the exact amounts that are left.
  virtual bool Affords(std::string_view capability, const Amounts& amounts) = 0;

  // The step's own generator, seeded from its ticket. Each draw belongs into a
  // statement of its own: with `f(rng().Next(), rng().Next())` it is up to the
  // compiler which is first, and history would not replay with another one.
  virtual Rng& rng() = 0;

  // Takes `amount` from the step's budget. Every call of this interface takes
  // one by itself; a loop that makes none should call this. Once the budget is
  // spent the step fails with FailureCode::kOutOfFuel: this throws an exception
  // that Step() must let pass.
  virtual void UseFuel(std::uint64_t amount) = 0;

 protected:
  ~StepContext() = default;
};

// What happens when a step would break a rule.
enum class OnBreak : std::uint8_t {
  kFail,  // the step fails, with FailureCode::kInvariant and the rule's name
  kHalt,  // the world stops with FailedPrecondition before the step commits,
          // and again each time it is opened, until its modules change
};

// A predicate on each cell of a reducer that no commit may break.
struct Invariant {
  std::string name;  // recorded
  // Whether it holds for a cell as it would be; nullopt: it does not exist.
  // Deterministic, and pure. To throw is to say no.
  std::function<bool(std::string_view key, std::optional<BytesView> state)>
      holds;
  OnBreak on_break = OnBreak::kFail;
};

// A sum over all cells of a reducer that no commit may take out of bounds. A
// total that is out of bounds when the rule is new may stay as it is, or get
// back.
//
//   {.name = "money", .measure = BalanceOf, .low = 1000, .high = 1000}
struct Aggregate {
  std::string name;  // recorded
  // What a cell adds to the sum; one that does not exist adds nothing.
  // Deterministic, and pure. To throw breaks the rule.
  std::function<std::int64_t(std::string_view key, BytesView state)> measure;
  std::int64_t low = std::numeric_limits<std::int64_t>::min();
  std::int64_t high = std::numeric_limits<std::int64_t>::max();
  OnBreak on_break = OnBreak::kFail;
};

// A deterministic state machine that many cells share.
//
// Thread safety: workers call Step() and Touch() on one reducer from several
// threads at once, so they are const and an implementation keeps no state of
// its own that changes.
class Reducer {
 public:
  virtual ~Reducer() = default;

  // The name that events, journal entries and seeds use: 1 to 64 letters,
  // digits, '.', '_' and '-'. Constant for life.
  virtual std::string_view name() const = 0;

  // Computes what the event does.
  //
  // The result depends on `step` and on nothing else: not on a clock, a
  // pointer's value, the environment, or iteration over an unordered container.
  // It may run more than once for one ticket; only one run is ever seen.
  //
  // An error refuses the event: nothing changes, and the journal records the
  // code (not the message, which may be reworded freely). An exception does
  // the same, with FailureCode::kException; but std::bad_alloc closes the world
  // with ResourceExhausted, since how much memory there is is no outcome.
  virtual absl::Status Step(StepContext& step) const = 0;

  // Declares, from the event alone, cells besides its own that the step will
  // read or write. Optional: undeclared reads and writes are correct too, but a
  // declared one is never computed in vain. Declaring too much costs
  // parallelism only. Deterministic, as Step() is.
  virtual void Touch(const EventView& event, TouchSet& touches) const;

  // What must hold of its cells after every commit, whichever reducer's step
  // changes them. Asked for once, when a world is opened. They are part of the
  // code, so a change of them is a change of the module. Aggregates are worked
  // out anew when a world is opened, which reads all cells of the reducer.
  virtual std::vector<Invariant> invariants() const { return {}; }
  virtual std::vector<Aggregate> aggregates() const { return {}; }
};

// A reducer from a function, for programs and tests.
//
//   auto counter = MakeReducer("counter", [](StepContext& step) { ... });
std::shared_ptr<const Reducer> MakeReducer(
    std::string name, std::function<absl::Status(StepContext&)> step,
    std::function<void(const EventView&, TouchSet&)> touch = nullptr);

// Whether `name` is what Reducer::name() may return.
bool IsReducerName(std::string_view name);

// Why a step failed: part of the journal, so numbers never change meaning.
// 1 to 16 are the codes of absl::Status that a reducer returned.
enum class FailureCode : std::uint32_t {
  kException = 32,       // Step() threw
  kOutOfFuel = 33,       // Limits::fuel_max
  kTooMuchOutput = 34,   // Limits::output_bytes_max
  kTooManyEvents = 35,   // Limits::events_max
  kTooManyEffects = 36,  // Limits::effects_max
  kInvalidOutput = 37,   // a state, payload or operand is not canonical CBOR,
                         // or a key is not UTF-8 or too long
  kUnknownReducer = 38,  // it named a reducer that the world does not have
  kOutOfBounds = 39,     // an update left its bounds or overflowed
  kTypeMismatch = 40,    // an update met a state of another type
  kRefusedByGate = 41,   // an intent that must pass did not
  kInvariant = 42,       // it would have broken one
  kFailedByOrder = 43,   // somebody said so, and it was not run
};

// "invalid_argument", "exception", ... or "code 77" for one it does not know.
std::string FailureName(FailureCode code);

}  // namespace reenact

#endif  // REENACT_KERNEL_REDUCER_H_
