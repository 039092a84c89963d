#include "reenact/executors/http_url.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

TEST_CASE("a URL leads to a host and a port", "[http]") {
  CHECK(ParseHttpUrl("http://Example.COM/a?b#c").value() ==
        PlainUrl{"example.com", 80, false});
  CHECK(ParseHttpUrl("HTTPS://x").value() == PlainUrl{"x", 443, true});
  CHECK(ParseHttpUrl("http://x:8080/").value().port == 8080);
  CHECK(ParseHttpUrl("http://[::1]:9/").value() == PlainUrl{"[::1]", 9, false});
  CHECK(ParseHttpUrl("http://[0::0001]/").value().host == "[::1]");
  CHECK(ParseHttpUrl("http://1.2.3.4/").value().host == "1.2.3.4");
  CHECK(ParseHttpUrl("http://x/@y${secret:z}").value().host == "x");
  CHECK(ParseHttpUrl("http://x/a/..b/.../%2f?a=/../&b=%20#/./").ok());
}

TEST_CASE("a URL that two programs could read in two ways is refused",
          "[http]") {
  for (const char* url : {"",
                          "http",
                          "http:/x",
                          "http:///x",
                          "//x/",
                          "file:///etc/passwd",
                          "gopher://x/",
                          "http://a@b/",
                          "http://a:b@c/",
                          "http://x\\@y/",
                          "http://x:/",
                          "http://x:0/",
                          "http://x:080/",
                          "http://x:65536/",
                          "http://x:1:2/",
                          "http://[::1/",
                          "http://::1/",
                          "http://x y/",
                          "http://x/\n",
                          "http://x/\x7f",
                          "http://\xc3\xa4/",
                          "http://x%2ey/",
                          "http://${secret:a}/",
                          "http://x:${secret:a}/",
                          "${secret:a}://x/"}) {
    INFO(url);
    CHECK(absl::IsInvalidArgument(ParseHttpUrl(url).status()));
  }
}

TEST_CASE("trial 07: what the gate does not take for a plain URL is refused",
          "[http]") {
  for (const char* url : {"http://2130706433/",
                          "http://0177.0.0.1/",
                          "http://0x7f.1/",
                          "http://0x7f000001/",
                          "http://127.1/",
                          "http://0/",
                          "http://127.0.1/",
                          "http://[::ffff:127.0.0.1]/",
                          "http://[::ffff:7f00:1]/",
                          "http://[::127.0.0.1]/",
                          "http://[64:ff9b::7f00:1]/",
                          "http://[fe80::1%25eth0]/",
                          "http://host?x",
                          "http://host#x",
                          "http://host:80?x",
                          "http://host./",
                          "http://-host/",
                          "http://a..b/",
                          "http://1.2.3.4./",
                          "http://1.2.3.04/",
                          "http://1.2.3.256/"}) {
    INFO(url);
    CHECK(ParsePlainUrl(url) == std::nullopt);
    CHECK(absl::IsInvalidArgument(ParseHttpUrl(url).status()));
  }
  CHECK_THAT(std::string(ParseHttpUrl("http://host?x").status().message()),
             Catch::Contains("\"/\" between the host"));
  CHECK_THAT(std::string(ParseHttpUrl("http://127.1/").status().message()),
             Catch::Contains("plain host"));
}

TEST_CASE(
    "trial 07: what would be asked for otherwise than it is judged is "
    "refused",
    "[http]") {
  for (const char* url : {"http://x/a/../b", "http://x/..", "http://x/./a",
                          "http://x/a/.", "http://x/public/../secret?q"}) {
    INFO(url);
    CHECK(ParsePlainUrl(url) != std::nullopt);
    CHECK_THAT(std::string(ParseHttpUrl(url).status().message()),
               Catch::Contains("otherwise than it is written"));
  }
}

TEST_CASE(
    "trial 07: whatever a URL is made of, the gate has seen what leads "
    "somewhere",
    "[http]") {
  static const std::string kParts[] = {
      "http", "https",    "HTTP", "ftp", ":",   "/",    "//",        "://",
      "@",    "?",        "#",    "[",   "]",   ".",    "..",        "%",
      "%2e",  "%2f",      "\\",   "0",   "127", "0x7f", "256",       "80",
      "a",    "b-c",      "_",    "::",  "::1", "ffff", "localhost", " ",
      "\t",   "\xc3\xa4", "$",    "&",   ";",   "="};
  std::mt19937_64 engine(7);
  int plain = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string url = engine() % 8 != 0 ? "http://" : "";
    for (std::uint64_t n = engine() % 8; n > 0; --n) {
      url += kParts[engine() % std::size(kParts)];
    }
    INFO(url);
    const auto parsed = ParseHttpUrl(url);
    if (!parsed.ok()) continue;
    ++plain;
    REQUIRE(ParsePlainUrl(url) == *parsed);
  }
  CHECK(plain > 100);
}

}  // namespace
}  // namespace reenact
