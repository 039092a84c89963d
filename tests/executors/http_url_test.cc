#include "reenact/executors/http_url.h"

#include <catch2/catch.hpp>

#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

TEST_CASE("a URL's origin is scheme, host and port", "[http]") {
  CHECK(ParseHttpOrigin("http://Example.COM/a?b#c").value() ==
        HttpOrigin{"http", "example.com", "80"});
  CHECK(ParseHttpOrigin("HTTPS://x").value() == HttpOrigin{"https", "x", "443"});
  CHECK(ParseHttpOrigin("https://x?y").value().host == "x");
  CHECK(ParseHttpOrigin("http://x:8080/").value().port == "8080");
  CHECK(ParseHttpOrigin("http://[::1]:9/").value() ==
        HttpOrigin{"http", "[::1]", "9"});
  CHECK(ParseHttpOrigin("http://[::1]/").value().port == "80");
  CHECK(ParseHttpOrigin("http://x/@y${secret:z}").value().host == "x");
}

TEST_CASE("a URL that two programs could read in two ways is refused",
          "[http]") {
  for (const char* url :
       {"", "http", "http:/x", "http:///x", "//x/", "file:///etc/passwd",
        "gopher://x/", "http://a@b/", "http://a:b@c/", "http://x\\@y/",
        "http://x:/", "http://x:0/", "http://x:080/", "http://x:65536/",
        "http://x:1:2/", "http://[::1/", "http://::1/", "http://x y/",
        "http://x/\n", "http://x/\x7f", "http://\xc3\xa4/", "http://x%2ey/",
        "http://${secret:a}/", "http://x:${secret:a}/", "${secret:a}://x/"}) {
    INFO(url);
    CHECK(absl::IsInvalidArgument(ParseHttpOrigin(url).status()));
  }
}

}  // namespace
}  // namespace reenact
