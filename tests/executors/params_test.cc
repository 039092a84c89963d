#include "reenact/executors/params.h"

#include <catch2/catch.hpp>

#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using cbor::Value;

TEST_CASE("fields are read by name, with defaults", "[params]") {
  Params params(Value::Map({{"a", "x"}, {"n", -5}, {"b", true}}).Encode());
  CHECK(params.Text("a") == "x");
  CHECK(params.Integer("n", 0, -10, 10) == -5);
  CHECK(params.Bool("b", false));
  CHECK(params.Text("c", "other") == "other");
  CHECK(params.Integers("d").empty());
  REQUIRE_OK(params.Finish());
}

TEST_CASE("the first thing that is wrong is what is told", "[params]") {
  Params params(Value::Map({{"a", 1}, {"z", 2}}).Encode());
  CHECK(params.Text("a").empty());
  CHECK(params.Text("b").empty());
  CHECK(params.Finish().message() == "parameter \"a\" must be a text");
}

TEST_CASE("a field that nobody asked for is an error", "[params]") {
  Params params(Value::Map({{"a", 1}, {"z", 2}}).Encode());
  CHECK(params.Integer("a", 0, 0, 5) == 1);
  CHECK(params.Finish().message() == "there is no parameter \"z\"");
}

TEST_CASE("what is no map has no fields", "[params]") {
  for (const Bytes& item : {Value(1).Encode(), Bytes(), Bytes("\xff")}) {
    Params params(item);
    CHECK(params.Integer("a", 3, 0, 5) == 3);
    CHECK(absl::IsInvalidArgument(params.Finish()));
  }
}

}  // namespace
}  // namespace reenact
