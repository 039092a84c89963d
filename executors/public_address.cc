#include "reenact/executors/public_address.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>

namespace reenact {
namespace {

// The special-purpose registry of IPv4 (RFC 6890), as far as it is not
// reachable from everywhere; multicast, and what is reserved.
constexpr struct {
  std::uint32_t network;
  int bits;
} kSpecial[] = {
    {0x00000000, 8},   // 0.0.0.0/8: this host
    {0x0a000000, 8},   // 10.0.0.0/8: private
    {0x64400000, 10},  // 100.64.0.0/10: shared, behind a carrier's NAT
    {0x7f000000, 8},   // 127.0.0.0/8: loopback
    {0xa9fe0000, 16},  // 169.254.0.0/16: link-local
    {0xac100000, 12},  // 172.16.0.0/12: private
    {0xc0000000, 24},  // 192.0.0.0/24: protocols
    {0xc0000200, 24},  // 192.0.2.0/24: documentation
    {0xc0586300, 24},  // 192.88.99.0/24: once relays of 6to4
    {0xc0a80000, 16},  // 192.168.0.0/16: private
    {0xc6120000, 15},  // 198.18.0.0/15: benchmarks
    {0xc6336400, 24},  // 198.51.100.0/24: documentation
    {0xcb007100, 24},  // 203.0.113.0/24: documentation
    {0xe0000000, 3},   // 224.0.0.0/3: multicast, reserved, broadcast
};

bool IsPublicV4(std::uint32_t address) {
  return std::none_of(
      std::begin(kSpecial), std::end(kSpecial), [address](const auto& special) {
        return (address ^ special.network) >> (32 - special.bits) == 0;
      });
}

using V6 = std::array<unsigned char, 16>;

// Four bytes of it, as an address of IPv4.
std::uint32_t Embedded(const V6& address, std::size_t at) {
  return std::uint32_t{address[at]} << 24 |
         std::uint32_t{address[at + 1]} << 16 |
         std::uint32_t{address[at + 2]} << 8 | address[at + 3];
}

bool BeginsWith(const V6& address, std::initializer_list<unsigned char> bytes) {
  return std::equal(bytes.begin(), bytes.end(), address.begin());
}

bool IsPublicV6(const V6& address) {
  // ::ffff:a.b.c.d, and what a gateway translates: 64:ff9b::a.b.c.d.
  if (BeginsWith(address, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}) ||
      BeginsWith(address, {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) {
    return IsPublicV4(Embedded(address, 12));
  }
  if ((address[0] & 0xe0) != 0x20) return false;  // not in 2000::/3
  if (BeginsWith(address, {0x20, 0x02})) {        // 6to4
    return IsPublicV4(Embedded(address, 2));
  }
  return !(BeginsWith(address, {0x20, 0x01}) && address[2] < 2) &&
         !BeginsWith(address, {0x20, 0x01, 0x0d, 0xb8}) &&
         !(BeginsWith(address, {0x3f, 0xff}) && address[2] < 0x10);
}

}  // namespace

bool IsPublicAddress(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    return IsPublicV4(ntohl(v4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) return false;
  sockaddr_in6 v6;
  std::memcpy(&v6, &address, sizeof v6);
  V6 bytes;
  std::copy_n(v6.sin6_addr.s6_addr, bytes.size(), bytes.begin());
  return IsPublicV6(bytes);
}

}  // namespace reenact
