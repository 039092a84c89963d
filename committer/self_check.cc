#include "reenact/committer/self_check.h"

#include "absl/base/attributes.h"

namespace reenact {

ABSL_ATTRIBUTE_NOINLINE void SelfCheck::Check(Window* window, Slot* slot) {
  const Ticket& ticket = slot->ticket;
  const std::uint64_t spread = ticket.event_id.value * 0x9e3779b97f4a7c15 >> 32;
  if (ticket.code == nullptr || spread % options_.every != 0) return;
  ++counts_.checked;
  if (options_.observe) options_.observe(true, ticket);
  window->CheckAgain(slot);
  if (options_.observe) options_.observe(false, ticket);
  if (!slot->result().impure) return;
  ++counts_.impure;
  if (options_.on_difference) options_.on_difference(ticket, slot->result());
}

}  // namespace reenact
