#include "reenact/kernel/ids.h"

#ifdef MISUSE
reenact::EventId next = 7;  // a number does not become a ticket by accident
#else
reenact::EventId next{7};
#endif
