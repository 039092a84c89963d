// What a step came to, and the changes that history records of it.

#ifndef REENACT_KERNEL_OUTCOME_H_
#define REENACT_KERNEL_OUTCOME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

// What a ticket stands for. Numbers are part of the journal's format.
enum class UnitKind : std::uint8_t {
  kEvent = 0,    // an event from outside
  kDerived = 1,  // an event that a step raised
  kTimer = 2,    // an event that a step raised for later, now due
  kControl = 3,  // a change of modules or configuration, or a snapshot request
  kReceipt = 4,  // the answer to an effect
};

std::string_view UnitKindName(UnitKind kind);  // "event"

// A cell by number: what entries name cells with.
struct CellRef {
  ReducerId reducer = kNoReducer;
  std::string key;

  friend auto operator<=>(const CellRef&, const CellRef&) = default;
};

// An event that a step raised, with its reducer by number.
struct RaisedEvent {
  ReducerId reducer = 0;
  std::string key;
  std::string schema;
  Bytes payload;                   // one canonical CBOR item
  std::optional<LogicalTime> due;  // set: a timer

  friend bool operator==(const RaisedEvent&, const RaisedEvent&) = default;
};

// What a step changed in one cell.
struct Diff {
  enum class Op : std::uint8_t { kPut = 0, kDelete = 1, kUpdate = 2 };

  Op op = Op::kPut;
  std::optional<CellRef> cell;  // nullopt: the step's own cell
  Bytes state;                  // kPut: one canonical CBOR item
  Update update;                // kUpdate

  friend bool operator==(const Diff&, const Diff&) = default;
};

// What a step came to, apart from the cells it changed, which are in the
// multi-version state until it commits.
struct StepOutcome {
  std::optional<FailureCode> failure;  // set: nothing else counts
  std::vector<RaisedEvent> raised;
  std::vector<EffectIntent> effects;
};

// `state` after `update`, which is canonical if `state` is.
//
// OutOfRange: a bound or int64_t is left (FailureCode::kOutOfBounds).
// InvalidArgument: the state, or its field, is of another type
// (FailureCode::kTypeMismatch).
absl::StatusOr<Bytes> ApplyUpdate(std::optional<BytesView> state,
                                  const Update& update);

}  // namespace reenact

#endif  // REENACT_KERNEL_OUTCOME_H_
