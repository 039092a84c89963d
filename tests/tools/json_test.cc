#include "tools/reenact/json.h"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"
#include "tests/support/status_matchers.h"

namespace reenact::tools {
namespace {

std::string DiagnosticOf(std::string_view json) {
  const auto value = ParseJson(json);
  REQUIRE_OK(value);
  return cbor::Diagnose(value->Encode());
}

std::string WhyNot(std::string_view json) {
  const auto value = ParseJson(json);
  INFO(json);
  REQUIRE(absl::IsInvalidArgument(value.status()));
  return std::string(value.status().message());
}

TEST_CASE("JSON becomes the CBOR that means the same", "[tools][json]") {
  CHECK(DiagnosticOf("null") == "null");
  CHECK(DiagnosticOf("[true, false]") == "[true, false]");
  CHECK(DiagnosticOf(R"({"b": [1, -2], "a": "x\u00e4"})") ==
        "{\"a\": \"x\xc3\xa4\", \"b\": [1, -2]}");
  CHECK(DiagnosticOf("{}") == "{}");
  CHECK(DiagnosticOf("[]") == "[]");
  CHECK(DiagnosticOf(R"("a\u0000b")").size() > 3);
}

TEST_CASE("integers stay integers and other numbers become doubles",
          "[tools][json]") {
  CHECK(ParseJson("1")->IsInteger());
  CHECK(ParseJson("-0")->IsInteger());
  CHECK(ParseJson("1.0")->IsDouble());
  CHECK(ParseJson("1e2")->IsDouble());
  CHECK(DiagnosticOf("18446744073709551615") == "18446744073709551615");
  CHECK(DiagnosticOf("-9223372036854775808") == "-9223372036854775808");
}

TEST_CASE("integers beyond 64 bits are refused, not rounded", "[tools][json]") {
  for (const char* text : {"18446744073709551616", "-9223372036854775809",
                           "1000000000000000000000000000000"}) {
    CHECK_THAT(WhyNot(text), Catch::Contains("out of range"));
  }
}

TEST_CASE("a key that stands twice is refused, at any depth", "[tools][json]") {
  CHECK_THAT(WhyNot(R"({"a": 1, "a": 2})"), Catch::Contains("\"a\""));
  CHECK_THAT(WhyNot(R"([{"x": {"k": 1, "k": 1}}])"), Catch::Contains("twice"));
  CHECK(DiagnosticOf(R"([{"a": 1}, {"a": 2}])") == R"([{"a": 1}, {"a": 2}])");
}

TEST_CASE("what is not JSON is refused with its place", "[tools][json]") {
  for (const char* text :
       {"", " ", "{", "{\"a\":}", "[1,]", "1 2", "nul", "'a'", "{a: 1}",
        "\"\\ud800\"", "\"\xff\"", "\"\xc0\x80\"", "NaN", "\xef\xbb\xbf{}",
        "1e999", "\"a\nb\""}) {
    WhyNot(text);
  }
  CHECK_THAT(WhyNot("{\"a\": x}"), Catch::Contains("byte 7"));
  CHECK_THAT(WhyNot(std::string_view("[1\0]", 4)), Catch::Contains("byte"));
}

TEST_CASE("nesting ends at the depth that CBOR items have", "[tools][json]") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  REQUIRE_OK(ParseJson(nested(cbor::kDepthMax)));
  CHECK_THAT(WhyNot(nested(cbor::kDepthMax + 1)), Catch::Contains("levels"));
  CHECK_THAT(WhyNot(std::string(1'000'000, '[')), Catch::Contains("levels"));
}

std::string JsonOf(const cbor::Value& value) {
  return Dump(ToJson(value.Encode()));
}

TEST_CASE("CBOR becomes JSON, with objects for what JSON lacks",
          "[tools][json]") {
  using cbor::Value;
  CHECK(JsonOf(Value::Map({{"last", "T02"}, {"events", 3}})) ==
        R"({"last":"T02","events":3})");
  CHECK(JsonOf(Value::ByteString(Bytes("\x00\xff", 2))) ==
        R"({"$bytes":"00ff"})");
  CHECK(JsonOf(Value(std::numeric_limits<double>::infinity())) ==
        R"({"$double":"Infinity"})");
  CHECK(JsonOf(Value(std::numeric_limits<std::int64_t>::min())) ==
        "-9223372036854775808");
  CHECK(JsonOf(Value(std::numeric_limits<std::uint64_t>::max())) ==
        "18446744073709551615");
  CHECK(JsonOf(Value(1.5)) == "1.5");
  Value map = Value::Map();
  map.Set(Value(1), Value("one"));
  map.Set(Value("two"), Value(2));
  CHECK(JsonOf(map) == R"({"$map":[[1,"one"],["two",2]]})");
}

TEST_CASE("the least CBOR integer is kept as text", "[tools][json]") {
  Bytes item;
  cbor::Encoder(&item).Negative(std::numeric_limits<std::uint64_t>::max());
  CHECK(Dump(ToJson(item)) == R"({"$integer":"-18446744073709551616"})");
  CHECK(ToDiagnostic(ToJson(item)) == "-18446744073709551616");
}

TEST_CASE("bytes that are no canonical item are shown as such",
          "[tools][json]") {
  CHECK(ToJson(Bytes("\x18\x01", 2)).contains("$invalid"));
  CHECK(ToJson("").contains("$invalid"));
}

TEST_CASE("JSON to CBOR and back is the same JSON", "[tools][json]") {
  for (const char* text :
       {R"({"a":[1,2.5,null,true,{"b":""}]})", "[]", "{}", "\"\"", "0",
        R"(["\u0001\"\\","é"])", "-1", "1e+300"}) {
    const Json before = Json::parse(text);
    CHECK(ToJson(ParseJson(text)->Encode()) == before);
  }
}

TEST_CASE("diagnostic notation has byte strings of its own", "[tools][json]") {
  const Json json = {{"raw", {{"$bytes", "00ff"}}}, {"list", {1, 2}}};
  CHECK(ToDiagnostic(json) == R"({"raw": h'00ff', "list": [1, 2]})");
}

}  // namespace
}  // namespace reenact::tools
