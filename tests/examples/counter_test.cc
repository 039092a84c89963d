#include "examples/counter/counter.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>

#include "tests/support/status_matchers.h"
#include "tests/support/step_double.h"

namespace reenact::examples {
namespace {

using cbor::Value;

Event Add(const Value& payload) {
  return {"counter", "clicks", "counter.add", payload.Encode()};
}

SerialDouble CounterWorld() {
  return SerialDouble({std::make_shared<Counter>()});
}

TEST_CASE("a counter adds the integer it is sent", "[examples][counter]") {
  SerialDouble world = CounterWorld();
  REQUIRE_OK(world.Step(Add(5)));
  REQUIRE_OK(world.Step(Add(-7)));
  REQUIRE(world.Show("counter", "clicks") == "-2");
}

TEST_CASE("a counter counts one for a payload that is no integer",
          "[examples][counter]") {
  SerialDouble world = CounterWorld();
  REQUIRE_OK(world.Step(Add(Value())));
  REQUIRE_OK(world.Step(Add("click")));
  REQUIRE_OK(world.Step(Add(Value::Map({{"add", 40}}))));
  REQUIRE(world.Show("counter", "clicks") == "3");
}

TEST_CASE("a counter refuses to leave 64 bits and keeps its count",
          "[examples][counter]") {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  SerialDouble world = CounterWorld();
  REQUIRE_OK(world.Step(Add(kMax)));
  REQUIRE(world.Step(Add(1)).code() == absl::StatusCode::kOutOfRange);
  REQUIRE(world.Show("counter", "clicks") == "9223372036854775807");
}

TEST_CASE("a row counts one unless it says how many", "[examples][counter]") {
  const auto one = MapCounterRow(Value::Map({{"counter", "clicks"}}));
  REQUIRE_OK(one);
  REQUIRE(one->size() == 1);
  REQUIRE(one->front().event == Add(1));

  const auto five =
      MapCounterRow(Value::Map({{"counter", "clicks"}, {"add", 5}}));
  REQUIRE_OK(five);
  REQUIRE(five->front().event == Add(5));

  const auto csv =
      MapCounterRow(Value::Map({{"counter", "clicks"}, {"add", "5"}}));
  REQUIRE_OK(csv);
  REQUIRE(csv->front().event == Add(5));
}

TEST_CASE("a row without a counter is refused by field",
          "[examples][counter]") {
  const auto nameless = MapCounterRow(Value::Map({{"add", 5}}));
  REQUIRE(nameless.status().message() == "field \"counter\": missing");
  const auto number = MapCounterRow(Value::Map({{"counter", 5}}));
  REQUIRE(number.status().message() ==
          "field \"counter\": expected text, found integer");
  const auto text =
      MapCounterRow(Value::Map({{"counter", "clicks"}, {"add", "five"}}));
  REQUIRE(text.status().message() == "field \"add\": no integer of 64 bits");
  const auto array = MapCounterRow(Value::Array({1, 2}));
  REQUIRE(array.status().message() == "the row is no object but array");
}

}  // namespace
}  // namespace reenact::examples
