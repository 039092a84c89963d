// What must be true of the order in a journal: nobody waits too long, and
// effects go their way.

#ifndef REENACT_HARNESS_ORDER_CHECK_H_
#define REENACT_HARNESS_ORDER_CHECK_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/harness/recorded_check.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact::harness {

// Each input has its ticket within RoundsAtMost() (sequencer/sequencer.h). What
// waited besides inputs counts as before it, since a journal does not say when
// that began to wait; so the bound that is checked is the promised one or a
// higher one. An input that sees the rules change, and whatever follows a
// rollback, is not checked.
std::optional<Violation> CheckWaiting(const std::vector<Bytes>& blocks);

// An effect that executors were told of.
struct ToldEffect {
  Digest intent_hash;
  EventId event_id;
  std::uint32_t index = 0;
};

// All intents of a step are judged, in order, right behind it. An effect ends
// once at most, after that; and no more answers have a ticket than there were
// ends. In each life of the world, of which `told` has one list each, executors
// were told of effects in the order of tickets, and of none that was denied or
// answered; one that had to be approved may come later than its turn. Nothing
// behind a rollback is checked.
std::optional<Violation> CheckEffects(
    const std::vector<Bytes>& blocks,
    const std::vector<std::vector<ToldEffect>>& told);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_ORDER_CHECK_H_
