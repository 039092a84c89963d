// Which addresses are the internet's.

#ifndef REENACT_EXECUTORS_PUBLIC_ADDRESS_H_
#define REENACT_EXECUTORS_PUBLIC_ADDRESS_H_

#include <sys/socket.h>

namespace reenact {

// Whether it is an address of IPv4 or IPv6 that is reachable from everywhere:
// not loopback, private, link-local (where machines of clouds have their
// metadata), shared, multicast, for documentation, or otherwise reserved; nor
// an address of IPv6 that stands for such a one of IPv4.
//
// REQUIRES: `address` is as large as its family says.
bool IsPublicAddress(const sockaddr& address);

}  // namespace reenact

#endif  // REENACT_EXECUTORS_PUBLIC_ADDRESS_H_
