// A ticket in flight: what it is, what it waits for, and what came of it.

#ifndef REENACT_WORKERS_SLOT_H_
#define REENACT_WORKERS_SLOT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "reenact/kernel/reducer.h"
#include "reenact/workers/cells.h"

namespace reenact {

struct Slot;

// A unit with its place in history. What `event` views stays as it is until the
// ticket is committed.
struct Ticket {
  EventId event_id;
  Round round;
  LogicalTime time;
  UnitKind kind = UnitKind::kEvent;
  Cause cause;
  ReducerId reducer = kNoReducer;
  // Null: there is nothing to run, of a control command or a failure.
  const Reducer* code = nullptr;
  // Not null: it fails, as somebody ordered, and this is on record.
  const std::string* failure = nullptr;
  Cell* own = nullptr;  // the event's cell; null: not looked up yet
  EventView event;
};

// A cell that a ticket declares to touch. Written by the ordered role before
// the ticket is issued, constant until its slot is used again.
struct Touch {
  Cell* cell = nullptr;
  bool write = false;
  Slot* slot = nullptr;  // whose touch it is
  std::uint64_t event_id = 0;
  Touch* older = nullptr;        // the write before, if uncommitted at issue
  std::uint64_t older_id = 0;    // its ticket; once committed, it is not there
  Touch* next_waiter = nullptr;  // in the list of the slot it waits for
};

// What one run of a step came to. Whoever runs the step fills it; it is
// constant once the slot says that it is done.
struct StepResult {
  struct Read {
    Cell* cell;
    const Version* version;
  };
  struct Write {
    Cell* cell;
    const Version* version;  // the result's own until it is settled
  };
  struct Pending {
    Cell* cell;
    Update update;
  };
  struct Scan {
    ReducerId reducer;
    std::string from;
    std::string to;  // what lies beyond does not matter; empty: no upper end
    EventId as_of;
  };
  // A question about a budget, and what the step was told.
  struct Asked {
    std::string capability;
    Amounts amounts;
    bool affords;

    friend bool operator==(const Asked&, const Asked&) = default;
  };

  StepOutcome outcome;
  std::vector<Read> reads;       // each cell once, in order of first read
  std::vector<Write> writes;     // each cell once, in order of first write
  std::vector<Pending> updates;  // in the order they were applied
  std::vector<Scan> scans;
  std::vector<Asked> asked;
  Bytes entries;  // StepScheduled and the outcome, if `encoded`
  bool encoded = false;
  bool impure = false;  // a second run on the same reads differed
  Bytes other;          // then: what that came to, as entries
  // Or two calls of Touch() for its event differed: what each declared.
  std::unique_ptr<std::pair<std::string, std::string>> touched;
  bool settled = false;  // its versions were published or discarded
  bool ran = false;      // it is not as Clear() left it

  // Forgets everything and keeps the memory. REQUIRES: settled, or no writes.
  void Clear();
};

// A place for one ticket in the window's ring.
struct Slot {
  enum class State : std::uint32_t {
    kFree,
    kIssued,
    kRunning,
    kDone,    // results[0] counts
    kRedone,  // results[1] counts: the ticket was run again in its turn
  };

  Ticket ticket;
  Cell* own = nullptr;         // null: a control command
  std::vector<Touch> touches;  // own cell first

  bool in_turn = false;  // runs once all before it are history

  // One for being claimed, one for each predecessor that is not done.
  std::atomic<int> blockers{0};
  // Touches of later tickets that wait for this one; Closed() once it is done.
  std::atomic<Touch*> waiters{nullptr};
  std::atomic<State> state{State::kFree};

  StepResult results[2];

  bool done() const {
    const State now = state.load(std::memory_order_acquire);
    return now == State::kDone || now == State::kRedone;
  }
  // REQUIRES: done().
  const StepResult& result() const {
    return results[state.load(std::memory_order_acquire) == State::kRedone];
  }

  StepResult& result() {
    return results[state.load(std::memory_order_acquire) == State::kRedone];
  }

  static Touch* Closed() { return reinterpret_cast<Touch*>(1); }
};

}  // namespace reenact

#endif  // REENACT_WORKERS_SLOT_H_
