// The numbers of a world's history, each a type of its own so that a round does
// not become a ticket by accident.

#ifndef REENACT_KERNEL_IDS_H_
#define REENACT_KERNEL_IDS_H_

#include <compare>
#include <cstdint>

namespace reenact {

// The number on a ticket. The sequencer hands them out from 1 upwards, leaving
// no gap; 0 stands for the state before the first ticket.
struct EventId {
  std::uint64_t value = 0;

  constexpr EventId Next() const { return EventId{value + 1}; }

  friend constexpr auto operator<=>(EventId, EventId) = default;
};

// The partition of history a ticket belongs to. There is one so far: 0.
struct LaneId {
  std::uint32_t value = 0;

  friend constexpr auto operator<=>(LaneId, LaneId) = default;
};

// The number of a round, from 1 upwards; numbers may jump.
struct Round {
  std::uint64_t value = 0;

  friend constexpr auto operator<=>(Round, Round) = default;
};

// The last round that a world can get to: numbers beyond are left for sums of a
// round and a pipeline's depth, and every one is a LogicalTime.
inline constexpr std::uint64_t kRoundMax =
    (std::uint64_t{1} << 63) - (std::uint64_t{1} << 32);

// The number of an input in order of admission, from 1 upwards without a gap.
struct InputId {
  std::uint64_t value = 0;

  friend constexpr auto operator<=>(InputId, InputId) = default;
};

// A moment in a world's own time. Its unit is the clock's: microseconds since
// 1970-01-01T00:00:00Z for `wall` and `input`, rounds for `rounds`.
struct LogicalTime {
  std::int64_t value = 0;

  friend constexpr auto operator<=>(LogicalTime, LogicalTime) = default;
};

// The latest time that a step may name, for a timer, where the clock counts
// rounds: one that is due makes its own round, and as many again are left after
// it. Worlds of formats 1 and 2 have no such limit; what they have due after
// kRoundMax never comes.
inline constexpr LogicalTime kDueMaxOfRounds{std::int64_t{1} << 62};

// A reducer's index in the world's reducer table; see WorldConfig::reducers.
using ReducerId = std::uint32_t;

// The reducer of units that belong to no cell: control commands.
inline constexpr ReducerId kNoReducer = 0xffffffffU;

}  // namespace reenact

#endif  // REENACT_KERNEL_IDS_H_
