#include "reenact/kernel/ids.h"

reenact::EventId After(reenact::EventId ticket) { return ticket.Next(); }

#ifdef MISUSE
// Rounds and tickets are both numbers, and not the same numbers.
reenact::EventId next = After(reenact::Round{7});
#else
reenact::EventId next = After(reenact::EventId{7});
#endif
