#include "reenact/kernel/authority/predicate.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/hash.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Catch::Contains;
using cbor::Value;
using Test = Predicate::Test;

constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
constexpr std::uint64_t kMost = ~std::uint64_t{0};

Bytes Encode(const Predicate& predicate) {
  Bytes out;
  cbor::Encoder encoder(&out);
  EncodePredicate(predicate, encoder);
  return out;
}

Value Texts(const std::vector<std::string>& texts) {
  Value list = Value::Array();
  for (const std::string& text : texts) list.Append(text);
  return list;
}

// Whether a URL passes `host`.
bool IsAt(const std::string& url, const std::vector<std::string>& hosts) {
  const Predicate predicate{"url", Test::kHost, Texts(hosts).items()};
  REQUIRE_OK(CheckPredicate(predicate));
  return Holds(predicate, Value::Map({{"url", url}}));
}

bool IsIn(const std::string& path, const std::vector<std::string>& places) {
  const Predicate predicate{"path", Test::kPathIn, Texts(places).items()};
  REQUIRE_OK(CheckPredicate(predicate));
  return Holds(predicate, Value::Map({{"path", path}}));
}

std::string WhyNot(const Value& document) {
  const auto predicate = ParsePredicate(document);
  REQUIRE(absl::IsInvalidArgument(predicate.status()));
  return std::string(predicate.status().message());
}

TEST_CASE("a parameter is found by members and indices",
          "[kernel][predicate]") {
  const Value params =
      Value::Map({{"argv", Texts({"/usr/bin/cc", "-c"})},
                  {"env", Value::Map({{"HOME", "/tmp"}, {"0", "zero"}})},
                  {"none", Value()}});
  const auto is = [&](const std::string& path, const Value& value) {
    return Holds({path, Test::kIs, {value}}, params);
  };
  CHECK(is("argv.0", "/usr/bin/cc"));
  CHECK(is("argv.1", "-c"));
  CHECK(is("env.HOME", "/tmp"));
  CHECK(is("env.0", "zero"));
  CHECK(is("none", Value()));
  CHECK_FALSE(is("argv.2", "-c"));
  CHECK_FALSE(is("argv.01", "-c"));
  CHECK_FALSE(is("argv.-1", "-c"));
  CHECK_FALSE(is("argv.99999999999999999999", "-c"));
  CHECK_FALSE(is("argv", "/usr/bin/cc"));
  CHECK_FALSE(is("env.HOME.0", "/"));
  CHECK_FALSE(is("nothing", Value()));
  CHECK(Holds({"", Test::kIs, {Value("all")}}, "all"));
}

TEST_CASE("is: one of the values, of the same type", "[kernel][predicate]") {
  const Predicate predicate{
      "x", Test::kIs, {Value(1), Value("two"), Value(true), Value(-3)}};
  const auto holds = [&](Value x) {
    return Holds(predicate, Value::Map({{"x", std::move(x)}}));
  };
  CHECK(holds(1));
  CHECK(holds("two"));
  CHECK(holds(true));
  CHECK(holds(-3));
  CHECK_FALSE(holds(1.0));
  CHECK_FALSE(holds("1"));
  CHECK_FALSE(holds(false));
  CHECK_FALSE(holds(Value::ByteString("two")));
  CHECK_FALSE(holds(Texts({"two"})));
}

TEST_CASE("prefix: text that begins so", "[kernel][predicate]") {
  const Predicate predicate{
      "x", Test::kPrefix, {Value("order-"), Value("\u00e4")}};
  const auto holds = [&](Value x) {
    return Holds(predicate, Value::Map({{"x", std::move(x)}}));
  };
  CHECK(holds("order-"));
  CHECK(holds("order-7"));
  CHECK(holds("\u00e4h"));
  CHECK_FALSE(holds("order"));
  CHECK_FALSE(holds("Order-7"));
  CHECK_FALSE(holds(""));
  CHECK_FALSE(holds(7));
  CHECK_FALSE(holds(Value::ByteString("order-7")));
}

TEST_CASE("at most, at least: integers of CBOR's whole range",
          "[kernel][predicate]") {
  const auto at_most = [](Value x, Value most) {
    return Holds({"x", Test::kAtMost, {std::move(most)}},
                 Value::Map({{"x", std::move(x)}}));
  };
  const auto at_least = [](Value x, Value least) {
    return Holds({"x", Test::kAtLeast, {std::move(least)}},
                 Value::Map({{"x", std::move(x)}}));
  };
  const auto lowest = Value::Parse(*FromHex("3bffffffffffffffff"));  // -2^64
  REQUIRE_OK(lowest);
  const std::vector<Value> ascending = {
      *lowest,
      Value(std::int64_t{-0x7fffffffffffffff} - 1),
      -2,
      -1,
      0,
      1,
      Value(kHalf - 1),
      Value(kHalf),
      Value(kMost - 1),
      Value(kMost)};
  for (std::size_t a = 0; a < ascending.size(); ++a) {
    for (std::size_t b = 0; b < ascending.size(); ++b) {
      CAPTURE(a, b);
      CHECK(at_most(ascending[a], ascending[b]) == (a <= b));
      CHECK(at_least(ascending[a], ascending[b]) == (a >= b));
    }
  }
  CHECK_FALSE(at_most(1.0, 5));
  CHECK_FALSE(at_most("1", 5));
  CHECK_FALSE(at_least(Value(), 0));
}

TEST_CASE("absent: there is no such parameter; null is one",
          "[kernel][predicate]") {
  const Value params = Value::Map({{"body", Value()}});
  CHECK_FALSE(Holds({"body", Test::kAbsent, {}}, params));
  CHECK(Holds({"proxy", Test::kAbsent, {}}, params));
  CHECK(Holds({"body.x", Test::kAbsent, {}}, params));
  CHECK(Holds({"body", Test::kAbsent, {}}, Value()));
}

TEST_CASE("host: the URL's, whatever its scheme, port, case and path",
          "[kernel][predicate]") {
  const std::vector<std::string> hosts = {"api.example.com"};
  for (const char* url :
       {"http://api.example.com/", "https://api.example.com/",
        "http://api.example.com", "https://api.example.com:8443/x",
        "HTTPS://API.Example.COM/x", "http://api.example.com/a?b=c#d",
        "http://api.example.com/%2e%2e/@evil.com/",
        "http://api.example.com//evil.com/"}) {
    INFO(url);
    CHECK(IsAt(url, hosts));
  }
}

TEST_CASE("host: a URL that is not plain is nowhere", "[kernel][predicate]") {
  // Each of them is taken for good.com by one parser, for something else by
  // another; or is good.com, written to get around a comparison.
  const std::vector<std::string> hosts = {"good.com", "*.good.com", "evil.com",
                                          "127.0.0.1", "[::1]"};
  for (const std::string url : {"http://good.com@evil.com/",
                                "http://good.com:80@evil.com/",
                                "http://@good.com/",
                                "http://user:pass@good.com/",
                                "http://good.com\\@evil.com/",
                                "http://good.com\\.evil.com/",
                                "http:\\\\good.com/",
                                "http://good.com#@evil.com/",
                                "http://good.com?@evil.com/",
                                "http://good.com?x",
                                "http://good.com#x",
                                "http://good.com;evil.com/",
                                "http://good.com,evil.com/",
                                "http://good.com &@evil.com/",
                                "http://good.com\t/",
                                "http://good.com\r\nHost: evil.com/",
                                " http://good.com/",
                                "http://good.com/ x",
                                "http://good.com/\x7f",
                                "http://good.com./",
                                "http://.good.com/",
                                "http://a..good.com/",
                                "http://good.com:/",
                                "http://good.com:0/",
                                "http://good.com:080/",
                                "http://good.com:65536/",
                                "http://good.com:99999999999999999999/",
                                "http://good.com:80:80/",
                                "http://good.com:+80/",
                                "http://good.com:80a/",
                                "http://good%2ecom/",
                                "http://%67ood.com/",
                                "http://good.com%00.evil.com/",
                                "http://good.com%2f@evil.com/",
                                "http://g\xc3\xb6od.com/",
                                "http://good.com/\xc3\xb6",
                                "http://good\xe3\x80\x82"
                                "com/",
                                "http://-good.com/",
                                "http://127.1/",
                                "http://127.0.0.01/",
                                "http://0127.0.0.1/",
                                "http://0x7f.0.0.1/",
                                "http://0x7f000001/",
                                "http://2130706433/",
                                "http://127.0.0.1./",
                                "http://127.0.0.256/",
                                "http://127.0.0.1.1/",
                                "http://a.127.0.0.0x1/",
                                "http://[::1/",
                                "http://::1/",
                                "http://[::1]a/",
                                "http://[::1%25eth0]/",
                                "http://[::ffff:127.0.0.1]/",
                                "http://[::ffff:7f00:1]/",
                                "http://[::7f00:1]/",
                                "http://[64:ff9b::7f00:1]/",
                                "http://[:::1]/",
                                "http://[1:2:3:4:5:6:7:8:9]/",
                                "http://[1:2:3:4:5:6:7]/",
                                "http://[1::2::3]/",
                                "http://[00001::1]/",
                                "http://[]/",
                                "http:/good.com/",
                                "http:good.com/",
                                "//good.com/",
                                "good.com/",
                                "good.com",
                                "http:///good.com/",
                                "http://",
                                "ftp://good.com/",
                                "file://good.com/",
                                "javascript://good.com/",
                                "httpx://good.com/",
                                "http+unix://good.com/",
                                ""}) {
    CAPTURE(url);
    CHECK_FALSE(IsAt(url, hosts));
    CHECK_FALSE(ParsePlainUrl(url));
  }
  using namespace std::string_literals;
  CHECK_FALSE(IsAt("http://good.com\0.evil.com/"s, hosts));
  CHECK_FALSE(IsAt("http://" + std::string(64, 'a') + ".good.com/", hosts));
  std::string labels;
  for (int i = 0; i < 124; ++i) labels += "a.";
  CHECK(IsAt("http://" + labels.substr(4) + "good.com/", hosts));
  CHECK_FALSE(IsAt("http://" + labels + "good.com/", hosts));
}

TEST_CASE("host: plain hosts that are not listed do not match",
          "[kernel][predicate]") {
  const std::vector<std::string> hosts = {"good.com", "10.0.0.1", "[fe80::1]"};
  for (const char* url :
       {"http://evil.com/", "http://good.com.evil.com/", "http://notgood.com/",
        "http://a.good.com/", "http://good.co/", "http://10.0.0.2/",
        "http://[fe80::2]/", "http://evil.com/good.com",
        "http://evil.com/?http://good.com/"}) {
    INFO(url);
    CHECK(ParsePlainUrl(url));
    CHECK_FALSE(IsAt(url, hosts));
  }
}

TEST_CASE("host: *.x is every host below x, but not x", "[kernel][predicate]") {
  const std::vector<std::string> hosts = {"*.example.org"};
  CHECK(IsAt("http://a.example.org/", hosts));
  CHECK(IsAt("http://a.b.EXAMPLE.org/", hosts));
  CHECK_FALSE(IsAt("http://example.org/", hosts));
  CHECK_FALSE(IsAt("http://.example.org/", hosts));
  CHECK_FALSE(IsAt("http://notexample.org/", hosts));
  CHECK_FALSE(IsAt("http://a.example.org.evil.com/", hosts));
}

TEST_CASE("host: a port counts if the value has one", "[kernel][predicate]") {
  CHECK(IsAt("http://a.com:8080/", {"a.com"}));
  CHECK(IsAt("http://a.com:8080/", {"a.com:8080"}));
  CHECK_FALSE(IsAt("http://a.com:8081/", {"a.com:8080"}));
  CHECK(IsAt("http://a.com/", {"a.com:80"}));
  CHECK(IsAt("http://a.com:80/", {"a.com:80"}));
  CHECK_FALSE(IsAt("https://a.com/", {"a.com:80"}));
  CHECK(IsAt("https://a.com/", {"a.com:443"}));
  CHECK(IsAt("https://x.a.com:1/", {"*.a.com:1"}));
  CHECK_FALSE(IsAt("https://x.a.com:2/", {"*.a.com:1"}));
}

TEST_CASE("host: addresses are compared as numbers", "[kernel][predicate]") {
  CHECK(IsAt("http://127.0.0.1/", {"127.0.0.1"}));
  CHECK(IsAt("http://[::1]/", {"[::1]"}));
  CHECK(IsAt("http://[0:0:0:0:0:0:0:1]:8080/", {"[::1]:8080"}));
  CHECK(IsAt("http://[2001:DB8::0:1]/", {"[2001:db8:0::1]"}));
  CHECK_FALSE(IsAt("http://[::1]/", {"127.0.0.1"}));
}

TEST_CASE("a plain URL is taken apart", "[kernel][predicate]") {
  const auto parsed = [](std::string_view url) {
    const auto plain = ParsePlainUrl(url);
    REQUIRE(plain);
    return *plain;
  };
  CHECK(parsed("http://A.com") == PlainUrl{"a.com", 80, false});
  CHECK(parsed("https://a.com/") == PlainUrl{"a.com", 443, true});
  CHECK(parsed("https://a_b-c.com:1/") == PlainUrl{"a_b-c.com", 1, true});
  CHECK(parsed("http://localhost:65535/").port == 65535);
  const std::vector<std::pair<const char*, const char*>> addresses = {
      {"[::]", "[::]"},
      {"[::1]", "[::1]"},
      {"[1::]", "[1::]"},
      {"[1:0:0:2:0:0:0:3]", "[1:0:0:2::3]"},
      {"[1:0:0:2:3:0:0:4]", "[1::2:3:0:0:4]"},
      {"[1:0:2:3:4:5:6:7]", "[1:0:2:3:4:5:6:7]"},
      {"[0001:0a0B::00cd]", "[1:a0b::cd]"},
  };
  for (const auto& [written, canonical] : addresses) {
    INFO(written);
    CHECK(parsed("http://" + std::string(written) + "/").host == canonical);
  }
}

TEST_CASE("path_in: at or below, without a way out", "[kernel][predicate]") {
  const std::vector<std::string> places = {"/data/out", "work"};
  for (const char* path :
       {"/data/out", "/data/out/x", "/data/out/x/y.o", "/data/out/...",
        "/data/out/.hidden", "/data/out/a..b", "work", "work/x"}) {
    INFO(path);
    CHECK(IsIn(path, places));
  }
  using namespace std::string_literals;
  for (const std::string& path :
       {"/data/outside"s, "/data/ou"s, "/data"s, "/"s, ""s, "data/out/x"s,
        "/work/x"s, "/data/out/../secret"s, "/data/out/.."s, "/data/out/./x"s,
        "/data/out//x"s, "//data/out/x"s, "/data/out/x/"s, "/data/out/"s,
        "../work/x"s, "./work"s, "/data/out/x\0y"s, "/data/out\0"s,
        "/DATA/out/x"s}) {
    CAPTURE(path);
    CHECK_FALSE(IsIn(path, places));
  }
  CHECK(IsIn("/", {"/"}));
  CHECK(IsIn("/etc/passwd", {"/"}));
  CHECK_FALSE(IsIn("etc/passwd", {"/"}));
}

TEST_CASE("people write conditions as maps", "[kernel][predicate]") {
  const auto parsed = [](const Value& document) {
    const auto predicate = ParsePredicate(document);
    REQUIRE_OK(predicate);
    return *predicate;
  };
  CHECK(parsed(Value::Map({{"path", "url"}, {"host", "a.com"}})) ==
        Predicate{"url", Test::kHost, {Value("a.com")}});
  CHECK(parsed(Value::Map({{"path", "x"}, {"is", Texts({"a", "b"})}})) ==
        Predicate{"x", Test::kIs, {Value("a"), Value("b")}});
  CHECK(parsed(Value::Map({{"path", ""}, {"at_least", 3}})) ==
        Predicate{"", Test::kAtLeast, {Value(3)}});
  CHECK(parsed(Value::Map({{"path", "x"}, {"absent", true}})) ==
        Predicate{"x", Test::kAbsent, {}});
}

TEST_CASE("a condition that makes no sense is refused by place",
          "[kernel][predicate]") {
  Value many = Value::Array();
  for (int i = 0; i < 1025; ++i) many.Append(i);
  const std::vector<std::pair<Value, std::string>> refused = {
      {"x", "not text"},
      {Value::Map({{"is", 1}}), "has no path"},
      {Value::Map({{"path", "x"}}), "has no test"},
      {Value::Map({{"path", 1}, {"is", 1}}), "path: should be text"},
      {Value::Map({{"path", "a..b"}, {"is", 1}}), "path: \"a..b\" should be"},
      {Value::Map({{"path", ".a"}, {"is", 1}}), "path: "},
      {Value::Map({{"path", std::string(257, 'x')}, {"is", 1}}),
       "path: is larger than 256 bytes"},
      {Value::Map({{"path", "x"}, {"hosts", "a.com"}}),
       "unknown member \"hosts\""},
      {Value::Map({{"path", "x"}, {"is", 1}, {"at_most", 2}}),
       "is and at_most in one condition"},
      {Value::Map({{"path", "x"}, {"is", Value::Array()}}), "is: 0 values"},
      {Value::Map({{"path", "x"}, {"is", many}}), "is: 1025 values"},
      {Value::Map({{"path", "x"}, {"is", Value::Map()}}), "is: should be one"},
      {Value::Map({{"path", "x"}, {"is", std::string(4096, 'x')}}),
       "is: is larger than 4096 bytes"},
      {Value::Map({{"path", "x"}, {"prefix", ""}}), "prefix: an empty"},
      {Value::Map({{"path", "x"}, {"prefix", 1}}), "prefix: should be text"},
      {Value::Map({{"path", "x"}, {"path_in", "/a/"}}), "path_in: \"/a/\""},
      {Value::Map({{"path", "x"}, {"path_in", Texts({"/a", "../b"})}}),
       "path_in[1]: \"../b\""},
      {Value::Map({{"path", "x"}, {"host", Texts({"a.com", "http://a.com"})}}),
       "host[1]: \"http://a.com\" should be HOST"},
      {Value::Map({{"path", "x"}, {"host", "*"}}), "host: \"*\""},
      {Value::Map({{"path", "x"}, {"host", "*.0.0.1"}}), "host: "},
      {Value::Map({{"path", "x"}, {"host", "a.*.com"}}), "host: "},
      {Value::Map({{"path", "x"}, {"host", "a.com."}}), "host: "},
      {Value::Map({{"path", "x"}, {"host", "a.com/x"}}), "host: "},
      {Value::Map({{"path", "x"}, {"host", "127.1"}}), "host: "},
      {Value::Map({{"path", "x"}, {"host", "::1"}}), "host: "},
      {Value::Map({{"path", "x"}, {"at_most", "5"}}),
       "at_most: should be an integer"},
      {Value::Map({{"path", "x"}, {"at_most", 1.5}}),
       "at_most: should be an integer"},
      {Value::Map({{"path", "x"}, {"at_least", Texts({"1"})}}),
       "at_least: should be one value"},
      {Value::Map({{"path", "x"}, {"absent", false}}),
       "absent: should be true"},
  };
  for (const auto& [document, why] : refused) {
    INFO(cbor::Diagnose(document.Encode()).substr(0, 200));
    CHECK_THAT(WhyNot(document), Contains(why));
  }
}

TEST_CASE("a condition is read back as it was written", "[kernel][predicate]") {
  const std::vector<Predicate> predicates = {
      {"url", Test::kHost, Texts({"a.com", "*.b.com:1", "[::1]"}).items()},
      {"", Test::kIs, {Value(), Value(1.5), Value::ByteString("\xff")}},
      {"a.b.0", Test::kPrefix, {Value("x")}},
      {"p", Test::kPathIn, {Value("/")}},
      {"n", Test::kAtMost, {Value(kMost)}},
      {"n", Test::kAtLeast, {Value(-1)}},
      {"n", Test::kAbsent, {}}};
  for (const Predicate& predicate : predicates) {
    const Bytes bytes = Encode(predicate);
    CAPTURE(ToHex(bytes));
    REQUIRE_OK(cbor::Validate(bytes));
    cbor::Reader reader(bytes);
    CHECK(DecodePredicate(reader) == predicate);
    REQUIRE_OK(reader.status());
    CHECK(reader.AtEnd());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      cbor::Reader cut(BytesView(bytes).substr(0, size));
      DecodePredicate(cut);
      CHECK_FALSE(cut.ok());
    }
  }
  // ["url", host, ["a.com"]]
  CHECK(ToHex(Encode({"url", Test::kHost, {Value("a.com")}})) ==
        "836375726c038165612e636f6d");
}

TEST_CASE("bytes of a condition that makes no sense are refused",
          "[kernel][predicate]") {
  for (const char* hex : {"836178078101",  // there is no test 7
                          "8361780080",    // is: nothing
                          "836178068101",  // absent, with a value
                          "836178038161"
                          "2e",              // the host "."
                          "83617804816131",  // at most "1"
                          "8361780081"
                          "80",  // is: an array
                          "82617800"}) {
    const Bytes bytes = *FromHex(hex);
    INFO(hex);
    cbor::Reader reader(bytes);
    DecodePredicate(reader);
    CHECK_FALSE(reader.ok());
  }
}

TEST_CASE("a condition is shown in words", "[kernel][predicate]") {
  CHECK(ToString({"url", Test::kHost, Texts({"a.com", "b.com"}).items()}) ==
        "url host a.com or b.com");
  CHECK(ToString({"argv.0", Test::kIs, {Value("/usr/bin/cc"), Value(5)}}) ==
        "argv.0 is \"/usr/bin/cc\" or 5");
  CHECK(ToString({"", Test::kAtMost, {Value(7)}}) == "params at most 7");
  CHECK(ToString({"proxy", Test::kAbsent, {}}) == "proxy absent");
}

TEST_CASE("a pattern is a name, or the beginning of names",
          "[kernel][predicate]") {
  CHECK(MatchesPattern("http.request", "http.request"));
  CHECK_FALSE(MatchesPattern("http.request", "http.requests"));
  CHECK(MatchesPattern("blob.*", "blob.put"));
  CHECK(MatchesPattern("blob.*", "blob."));
  CHECK_FALSE(MatchesPattern("blob.*", "blob"));
  CHECK(MatchesPattern("*", ""));
  CHECK(MatchesPattern("*", "anything"));
  CHECK(MatchesPattern("", ""));
  CHECK_FALSE(MatchesPattern("", "x"));
  CHECK(MatchesAny({}, "x"));
  CHECK(MatchesAny({"y", "x"}, "x"));
  CHECK_FALSE(MatchesAny({"y", "z*"}, "x"));
  REQUIRE_OK(CheckPattern("a.*"));
  REQUIRE_OK(CheckPattern(""));
  CHECK(absl::IsInvalidArgument(CheckPattern("a*b")));
  CHECK(absl::IsInvalidArgument(CheckPattern("**")));
  CHECK(absl::IsInvalidArgument(CheckPattern("\xff")));
  CHECK(absl::IsInvalidArgument(CheckPattern(std::string(257, 'a'))));
}

}  // namespace
}  // namespace reenact
