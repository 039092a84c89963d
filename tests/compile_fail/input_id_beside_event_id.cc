#include "reenact/kernel/ids.h"

bool Same(reenact::EventId ticket, reenact::InputId input) {
#ifdef MISUSE
  return ticket == input;
#else
  return ticket.value == input.value;
#endif
}
