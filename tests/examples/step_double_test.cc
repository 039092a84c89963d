#include "tests/support/step_double.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

const Event kGo{"r", "own", "", cbor::EncodeInteger(1)};

SerialDouble WorldOf(std::function<absl::Status(StepContext&)> step) {
  return SerialDouble({MakeReducer("r", std::move(step))});
}

TEST_CASE("a step that fails changes nothing", "[examples][double]") {
  SerialDouble world = WorldOf([](StepContext& step) {
    step.SetState(cbor::EncodeInteger(1));
    step.Raise(kGo);
    return absl::AbortedError("no");
  });
  REQUIRE(world.Step(kGo).code() == absl::StatusCode::kAborted);
  REQUIRE(world.cells.empty());
  REQUIRE(world.raised.empty());
  REQUIRE(world.failed == 1);
}

TEST_CASE("a step sees its own writes and updates", "[examples][double]") {
  SerialDouble world = WorldOf([](StepContext& step) {
    Update add;
    add.number = 5;
    step.Write("r", "other", cbor::EncodeInteger(1));
    const BytesView before = *step.Read("r", "other");
    step.Apply("r", "other", add);
    const BytesView after = *step.Read("r", "other");
    // The first view still holds what it held.
    REQUIRE(cbor::DecodeInteger(before).value() == 1);
    REQUIRE(cbor::DecodeInteger(after).value() == 6);
    return absl::OkStatus();
  });
  REQUIRE_OK(world.Step(kGo));
  REQUIRE(world.Show("r", "other") == "6");
}

TEST_CASE("a scan gives the keys of its range in order", "[examples][double]") {
  std::vector<std::string> keys;
  SerialDouble world = WorldOf([&](StepContext& step) {
    for (const auto& cell : step.Scan("r", "b", "e", 2)) {
      keys.push_back(cell.first);
    }
    return absl::OkStatus();
  });
  for (const char* key : {"d", "a", "e", "c", "b"}) {
    world.cells[{"r", key}] = cbor::EncodeInteger(1);
  }
  REQUIRE_OK(world.Step(kGo));
  REQUIRE(keys == std::vector<std::string>{"b", "c"});
}

TEST_CASE("a state that is not canonical is refused", "[examples][double]") {
  SerialDouble world = WorldOf([](StepContext& step) {
    step.SetState(BytesView("\x18\x01", 2));
    return absl::OkStatus();
  });
  REQUIRE(world.Step(kGo).code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(world.cells.empty());
}

TEST_CASE("a step without end runs out of fuel", "[examples][double]") {
  SerialDouble world = WorldOf([](StepContext& step) {
    while (true) step.UseFuel(1000);
    return absl::OkStatus();
  });
  REQUIRE(world.Step(kGo).message() == "out of fuel");
}

}  // namespace
}  // namespace reenact
