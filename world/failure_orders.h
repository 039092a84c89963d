// Steps that fail because somebody ordered it.

#ifndef REENACT_WORLD_FAILURE_ORDERS_H_
#define REENACT_WORLD_FAILURE_ORDERS_H_

#include <cstdint>
#include <map>
#include <string>

#include "reenact/base/bytes.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/ids.h"
#include "reenact/workers/slot.h"

namespace reenact {

// The orders that wait for their tickets, by ticket: World::FailEvent() gives
// them, and a script that replays them. A round records those of its tickets.
//
// Thread safety: none; they belong to the ordered role.
class FailureOrders {
 public:
  bool empty() const { return orders_.empty(); }
  // Another order for the same ticket takes the place of the first.
  void Add(entry::FailureOrdered order);
  // Appends those of `count` tickets from `first` on to `entries`; returns how
  // many there are.
  std::uint64_t Record(EventId first, std::uint64_t count,
                       Bytes* entries) const;
  // Makes a ticket fail if it is to. What it points to then stays until
  // Forget().
  void Apply(Ticket* ticket) const;
  // Tickets up to `last` are history.
  void Forget(EventId last) {
    orders_.erase(orders_.begin(), orders_.upper_bound(last));
  }

 private:
  struct Order {
    entry::FailureOrdered entry;
    std::string detail;  // of the failed step
  };

  std::map<EventId, Order> orders_;
};

}  // namespace reenact

#endif  // REENACT_WORLD_FAILURE_ORDERS_H_
