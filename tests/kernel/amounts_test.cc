#include "reenact/kernel/authority/amounts.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/hash.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Catch::Contains;

constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
constexpr std::uint64_t kMost = ~std::uint64_t{0};

Bytes Encode(const Amounts& amounts) {
  Bytes out;
  cbor::Encoder encoder(&out);
  amounts.Encode(encoder);
  return out;
}

std::string WhyNot(BytesView bytes) {
  cbor::Reader reader(bytes);
  const Amounts amounts = Amounts::Decode(reader);
  CHECK(amounts.empty());
  REQUIRE_FALSE(reader.ok());
  return std::string(reader.status().message());
}

std::string WhyNotWritten(const cbor::Value& document) {
  const auto amounts = ParseAmounts(document);
  REQUIRE(absl::IsInvalidArgument(amounts.status()));
  return std::string(amounts.status().message());
}

TEST_CASE("what is not named is 0, and 0 is not stored", "[kernel][amounts]") {
  Amounts price{{"calls", 1}, {"bytes", 65536}, {"cents", 0}};
  CHECK(price.Of("calls") == 1);
  CHECK(price.Of("cents") == 0);
  CHECK(price.items().size() == 2);
  CHECK(price.ToString() == "bytes 65536, calls 1");
  price.Set("bytes", 0);
  price.Set("calls", 0);
  CHECK(price.empty());
  CHECK(price == Amounts());
  CHECK(price.ToString() == "nothing");
}

TEST_CASE("amounts are equal whatever the order they were set in",
          "[kernel][amounts]") {
  const Amounts one{{"a", 1}, {"bb", 2}, {"c", 3}};
  const Amounts other{{"c", 9}, {"bb", 2}, {"a", 1}, {"c", 3}};
  CHECK(one == other);
  CHECK(Encode(one) == Encode(other));
}

TEST_CASE("amounts fit if each dimension does", "[kernel][amounts]") {
  const Amounts limit{{"calls", 10}, {"cents", kMost}};
  CHECK(Amounts().FitIn(limit));
  CHECK(Amounts().FitIn({}));
  CHECK(limit.FitIn(limit));
  CHECK(Amounts{{"calls", 10}}.FitIn(limit));
  CHECK_FALSE(Amounts{{"calls", 11}}.FitIn(limit));
  CHECK_FALSE((Amounts{{"bytes", 1}, {"calls", 1}}.FitIn(limit)));
  CHECK_FALSE(limit.FitIn({}));
}

TEST_CASE("a sum that leaves 64 bits changes nothing", "[kernel][amounts]") {
  struct Row {
    std::uint64_t a, b;
    bool fits;
  };
  for (const Row& row :
       {Row{0, 0, true}, Row{0, kMost, true}, Row{kMost, 0, true},
        Row{kMost - 1, 1, true}, Row{kMost, 1, false}, Row{1, kMost, false},
        Row{kHalf, kHalf - 1, true}, Row{kHalf, kHalf, false},
        Row{kMost, kMost, false}}) {
    CAPTURE(row.a, row.b);
    Amounts sum{{"aa", 5}, {"x", row.a}};
    const Amounts before = sum;
    CHECK(sum.Add({{"aa", 1}, {"x", row.b}}) == row.fits);
    CHECK(sum.Of("x") == (row.fits ? row.a + row.b : row.a));
    if (!row.fits) CHECK(sum == before);
  }
}

TEST_CASE("a difference below 0 changes nothing", "[kernel][amounts]") {
  Amounts left{{"a", 3}, {"b", kMost}};
  const Amounts before = left;
  CHECK_FALSE(left.Subtract({{"a", 1}, {"c", 1}}));
  CHECK_FALSE(left.Subtract({{"a", 4}}));
  CHECK(left == before);
  CHECK(left.Subtract({{"a", 3}, {"b", kHalf}}));
  CHECK(left == Amounts{{"b", kHalf - 1}});
}

TEST_CASE("amounts may be added to and taken from themselves",
          "[kernel][amounts]") {
  Amounts amounts{{"a", 3}, {"b", 4}};
  CHECK(amounts.Add(amounts));
  CHECK(amounts == Amounts{{"a", 6}, {"b", 8}});
  CHECK(amounts.Subtract(amounts));
  CHECK(amounts.empty());
}

TEST_CASE("amounts are a map in canonical order of keys", "[kernel][amounts]") {
  const Amounts amounts{{"calls", 1}, {"bytes", 65536}, {"ms", kMost}};
  const Bytes bytes = Encode(amounts);
  // {"ms": 2^64-1, "bytes": 65536, "calls": 1}
  CHECK(ToHex(bytes) ==
        "a3626d731bffffffffffffffff6562797465731a000100006563616c6c7301");
  REQUIRE_OK(cbor::Validate(bytes));
  cbor::Reader reader(bytes);
  CHECK(Amounts::Decode(reader) == amounts);
  CHECK(reader.AtEnd());
  REQUIRE_OK(reader.status());
}

TEST_CASE("long names come after short ones", "[kernel][amounts]") {
  Amounts amounts;
  for (std::size_t size = 64; size > 0; --size) {
    amounts.Set(std::string(size, 'z'), size);
    amounts.Set(std::string(size - 1, 'z') + "a", 0);
  }
  const Bytes bytes = Encode(amounts);
  REQUIRE_OK(cbor::Validate(bytes));
  cbor::Reader reader(bytes);
  CHECK(Amounts::Decode(reader) == amounts);
}

TEST_CASE("bytes that no amounts are written as are refused",
          "[kernel][amounts]") {
  Amounts many;
  for (int i = 0; i < 65; ++i) many.Set("d" + std::to_string(i), 1);
  const std::vector<std::pair<Bytes, std::string>> refused = {
      {*FromHex("a1616100"), "0 that is spelled out"},
      {*FromHex("a2616201616101"), "out of order"},
      {*FromHex("a2616101616101"), "out of order"},
      {*FromHex("a16001"), "no or too many bytes"},
      {*FromHex("a1784161") + Bytes(64, 'a') + "\x01", "no or too many bytes"},
      {*FromHex("a1616120"), ""},
      {*FromHex("a10101"), ""},
      {*FromHex("80"), ""},
      {Encode(many), "too many dimensions"},
  };
  for (const auto& [bytes, why] : refused) {
    CAPTURE(ToHex(bytes));
    CHECK_THAT(WhyNot(bytes), Contains(why));
  }
}

TEST_CASE("amounts cut anywhere are refused", "[kernel][amounts]") {
  const Bytes bytes = Encode({{"calls", 300}, {"bytes", kMost}});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    WhyNot(bytes.substr(0, size));
  }
}

TEST_CASE("people write amounts as a map", "[kernel][amounts]") {
  const auto amounts = ParseAmounts(
      cbor::Value::Map({{"calls", 10}, {"cents", 0}, {"bytes", kMost}}));
  REQUIRE_OK(amounts);
  CHECK(*amounts == Amounts{{"bytes", kMost}, {"calls", 10}});

  CHECK_THAT(WhyNotWritten("calls"), Contains("not text"));
  CHECK_THAT(WhyNotWritten(cbor::Value::Map({{"calls", -1}})),
             Contains("calls should be a whole number from 0 on"));
  CHECK_THAT(WhyNotWritten(cbor::Value::Map({{"calls", 1.5}})),
             Contains("calls should be a whole number"));
  CHECK_THAT(WhyNotWritten(cbor::Value::Map({{"", 1}})),
             Contains("\"\" should be a dimension"));
}

}  // namespace
}  // namespace reenact
