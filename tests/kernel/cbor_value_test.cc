#include "reenact/kernel/cbor/cbor_value.h"

#include <limits>

#include "reenact/kernel/cbor/cbor.h"
#include "tests/kernel/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact::cbor {
namespace {

TEST_CASE("a tree parses and encodes to the bytes that it came from",
          "[kernel]") {
  const auto* const list = GENERATE("rfc8949_appendix_a", "accepted");
  for (const auto& vector : Vectors("cbor.json", list)) {
    const std::string hex = vector.at("hex");
    CAPTURE(hex);
    const auto value = Value::Parse(Hex(hex));
    REQUIRE_OK(value);
    REQUIRE(ToHex(value->Encode()) == hex);
    REQUIRE(*value == *value);
  }
}

TEST_CASE("a tree refuses what the codec refuses", "[kernel]") {
  for (const auto& vector : Vectors("cbor.json", "refused")) {
    const std::string hex = vector.at("hex");
    CAPTURE(hex);
    const auto value = Value::Parse(Hex(hex));
    REQUIRE(value.status().message() == vector.at("why").get<std::string>());
  }
}

TEST_CASE("a map is in canonical order whatever order it was set in",
          "[kernel]") {
  Value forth = Value::Map();
  Value back = Value::Map();
  const std::vector<Value> keys = {
      10,  100,   -1,   "z",    "aa", Value::ByteString("z"), Value::Array({}),
      1.5, false, true, Value()};
  for (const Value& key : keys) forth.Set(key, 1);
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) back.Set(*key, 1);
  REQUIRE(forth.Encode() == back.Encode());
  REQUIRE(forth == back);
  REQUIRE(Diagnose(forth.Encode()) ==
          R"({10: 1, 100: 1, -1: 1, h'7a': 1, "z": 1, "aa": 1, []: 1, )"
          R"(false: 1, true: 1, null: 1, 1.5: 1})");
}

TEST_CASE("a member is found, replaced and erased by its key", "[kernel]") {
  Value state = Value::Map({{"balance", 7}, {"owner", "alice"}});
  REQUIRE(state.GetInteger("balance").value() == 7);
  REQUIRE(state.GetText("owner").value() == "alice");
  state.Set("balance", 8);
  *state.Find("owner") = "bob";
  REQUIRE(Diagnose(state.Encode()) == R"({"owner": "bob", "balance": 8})");
  state.Erase("balance");
  state.Erase("balance");
  REQUIRE(state.Find("balance") == nullptr);
  REQUIRE(state.size() == 1);
}

TEST_CASE("what is missing or of another type is named", "[kernel]") {
  const Value state = Value::Map({{"owner", "alice"}, {"deep", Value::Map()}});
  REQUIRE(state.GetInteger("age").status() ==
          absl::NotFoundError("no member \"age\""));
  REQUIRE(state.GetInteger("owner").status() ==
          absl::InvalidArgumentError(
              "member \"owner\": text where integer is expected"));
  REQUIRE(state.GetText("deep").status() ==
          absl::InvalidArgumentError(
              "member \"deep\": map where text is expected"));
  REQUIRE(Value(1).GetText("owner").status() ==
          absl::InvalidArgumentError("integer where map is expected"));
  REQUIRE(Value(1).Find("owner") == nullptr);
}

TEST_CASE("integers keep the whole range of CBOR", "[kernel]") {
  const auto large = Value(std::numeric_limits<std::uint64_t>::max());
  REQUIRE(ToHex(large.Encode()) == "1bffffffffffffffff");
  REQUIRE(large.IsInteger());
  REQUIRE(large.AsInteger().status().message() ==
          "integer 18446744073709551615 is outside of 64 bits with a sign");
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  REQUIRE(Value(least).AsInteger().value() == least);
  REQUIRE(Value(-1).AsInteger().value() == -1);
}

TEST_CASE("values are equal when their bytes are", "[kernel]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  REQUIRE(Value(nan) == Value(-nan));
  REQUIRE_FALSE(Value(0.0) == Value(-0.0));
  REQUIRE_FALSE(Value(1) == Value(1.0));
  REQUIRE_FALSE(Value("a") == Value::ByteString("a"));
  REQUIRE(Value::Array({1, "a"}) == Value::Array({1, "a"}));
  REQUIRE_FALSE(Value::Array({1}) == Value::Array({2}));
}

TEST_CASE("a tree of 64 levels parses and encodes", "[kernel]") {
  const Bytes deepest = Bytes(kDepthMax - 1, '\x81') + '\x80';
  const auto value = Value::Parse(deepest);
  REQUIRE_OK(value);
  REQUIRE(value->Encode() == deepest);
}

}  // namespace
}  // namespace reenact::cbor
