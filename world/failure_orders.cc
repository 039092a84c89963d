#include "reenact/world/failure_orders.h"

#include <utility>

namespace reenact {

void FailureOrders::Add(entry::FailureOrdered order) {
  const EventId id = order.event_id;
  std::string detail =
      order.by.empty() ? order.reason : order.by + ": " + order.reason;
  orders_.insert_or_assign(id, Order{std::move(order), std::move(detail)});
}

std::uint64_t FailureOrders::Record(EventId first, std::uint64_t count,
                                    Bytes* entries) const {
  std::uint64_t recorded = 0;
  for (auto it = orders_.lower_bound(first);
       it != orders_.end() && it->first.value < first.value + count;
       ++it, ++recorded) {
    EncodeEntry(it->second.entry, entries);
  }
  return recorded;
}

void FailureOrders::Apply(Ticket* ticket) const {
  const auto it = orders_.find(ticket->event_id);
  if (it == orders_.end()) return;
  ticket->code = nullptr;
  ticket->failure = &it->second.detail;
}

}  // namespace reenact
