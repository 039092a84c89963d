#include "reenact/executors/public_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <string>

namespace reenact {
namespace {

bool IsPublic(const std::string& text) {
  sockaddr_storage address{};
  if (text.find(':') == text.npos) {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&address);
    v4->sin_family = AF_INET;
    REQUIRE(::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1);
  } else {
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address);
    v6->sin6_family = AF_INET6;
    REQUIRE(::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1);
  }
  return IsPublicAddress(reinterpret_cast<const sockaddr&>(address));
}

TEST_CASE("trial 07: addresses that are not the internet's are told apart",
          "[http]") {
  for (const char* address : {"1.1.1.1",
                              "8.8.8.8",
                              "9.255.255.255",
                              "11.0.0.0",
                              "100.63.255.255",
                              "100.128.0.0",
                              "126.255.255.255",
                              "128.0.0.1",
                              "169.253.255.255",
                              "169.255.0.0",
                              "172.15.255.255",
                              "172.32.0.0",
                              "192.0.1.0",
                              "192.167.255.255",
                              "192.169.0.0",
                              "198.17.255.255",
                              "198.20.0.0",
                              "223.255.255.255",
                              "2001:4860:4860::8888",
                              "2606:4700::1111",
                              "2001:200::1",
                              "2002:0808:0808::1",
                              "::ffff:8.8.8.8",
                              "64:ff9b::8.8.8.8"}) {
    INFO(address);
    CHECK(IsPublic(address));
  }
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.0",
                              "10.255.255.255",
                              "100.64.0.0",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.255.255.255",
                              "169.254.169.254",
                              "172.16.0.0",
                              "172.31.255.255",
                              "192.0.0.8",
                              "192.0.2.1",
                              "192.88.99.1",
                              "192.168.0.1",
                              "198.18.0.0",
                              "198.19.255.255",
                              "198.51.100.7",
                              "203.0.113.7",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::7f00:1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.1.2.3",
                              "64:ff9b::169.254.169.254",
                              "64:ff9b:1::1",
                              "100::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1",
                              "2001::1",
                              "2001:db8::1",
                              "2002:7f00:0001::1",
                              "2002:0a00:0001::",
                              "3fff::1",
                              "5f00::1"}) {
    INFO(address);
    CHECK_FALSE(IsPublic(address));
  }
  sockaddr other{};
  other.sa_family = AF_UNIX;
  CHECK_FALSE(IsPublicAddress(other));
}

}  // namespace
}  // namespace reenact
