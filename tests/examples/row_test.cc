#include "examples/support/row.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <optional>

#include "tests/support/status_matchers.h"

namespace reenact::examples {
namespace {

using cbor::Value;

TEST_CASE("a field that is null or empty is not there", "[examples][row]") {
  const Value row = Value::Map({{"null", Value()}, {"empty", ""}});
  for (const char* field : {"null", "empty", "absent"}) {
    CAPTURE(field);
    const auto text = OptionalText(row, field);
    REQUIRE_OK(text);
    REQUIRE_FALSE(text->has_value());
    const auto number = OptionalInteger(row, field);
    REQUIRE_OK(number);
    REQUIRE_FALSE(number->has_value());
    const auto cents = OptionalCents(row, field);
    REQUIRE_OK(cents);
    REQUIRE_FALSE(cents->has_value());
    REQUIRE_FALSE(RequiredText(row, field).ok());
    REQUIRE_FALSE(RequiredInteger(row, field).ok());
  }
}

TEST_CASE("an integer may be a number or its text", "[examples][row]") {
  const Value row = Value::Map({{"number", -12},
                                {"text", "-12"},
                                {"half", 0.5},
                                {"huge", ~std::uint64_t{0}},
                                {"huge text", "18446744073709551615"},
                                {"tail", "12 "}});
  REQUIRE(RequiredInteger(row, "number").value() == -12);
  REQUIRE(RequiredInteger(row, "text").value() == -12);
  REQUIRE(RequiredInteger(row, "half").status().message() ==
          "field \"half\": expected an integer, found double");
  for (const char* field : {"huge", "huge text", "tail"}) {
    CAPTURE(field);
    REQUIRE(RequiredInteger(row, field).status().code() ==
            absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("an amount is kept in hundredths", "[examples][row]") {
  const Value row = Value::Map(
      {{"integer", 12}, {"double", 12.34}, {"text", "-0.05"}, {"most", 1e13}});
  REQUIRE(OptionalCents(row, "integer").value() == 1200);
  REQUIRE(OptionalCents(row, "double").value() == 1234);
  REQUIRE(OptionalCents(row, "text").value() == -5);
  REQUIRE(OptionalCents(row, "most").value() == 1000000000000000);
}

TEST_CASE("what is no amount is refused by field", "[examples][row]") {
  const Value row =
      Value::Map({{"much", 1e14},
                  {"infinite", std::numeric_limits<double>::infinity()},
                  {"nan", std::numeric_limits<double>::quiet_NaN()},
                  {"word", "ten"},
                  {"yes", true}});
  for (const char* field : {"much", "infinite", "nan", "word", "yes"}) {
    CAPTURE(field);
    const absl::Status status = OptionalCents(row, field).status();
    REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
    REQUIRE(std::string(status.message()).find(field) != std::string::npos);
  }
}

}  // namespace
}  // namespace reenact::examples
