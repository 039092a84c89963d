#include "examples/cases/cases.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/step_double.h"

namespace reenact::examples {
namespace {

using cbor::Value;

// The moments of the tests, as microseconds since 1970.
constexpr std::int64_t kNine = 1'704'186'000'000'000;
constexpr std::int64_t kHour = 3'600'000'000;

Value Row(std::string_view key, std::string_view activity,
          std::string_view time, std::string_view resource) {
  return Value::Map({{"case", key},
                     {"activity", activity},
                     {"time", time},
                     {"resource", resource}});
}

class Log {
 public:
  SerialDouble world{MakeCasesReducers()};

  void Add(const Value& row) {
    const auto inputs = MapCaseRow(row);
    REQUIRE_OK(inputs);
    for (const Input& input : *inputs) REQUIRE_OK(world.Step(input.event));
  }

  std::int64_t Integer(std::string_view reducer, std::string_view key,
                       std::string_view field) const {
    const Bytes& state =
        world.cells.at({std::string(reducer), std::string(key)});
    return Value::Parse(state).value().GetInteger(field).value();
  }
};

TEST_CASE("a case counts its activities and keeps its times",
          "[examples][cases]") {
  Log log;
  log.Add(Row("c1", "Check", "2024-01-02 10:00:00+01:00", ""));
  log.Add(Row("c1", "Decide", "2024-01-02 11:00:00", ""));
  log.Add(Row("c1", "Check", "2024-01-02T10:00:00Z", ""));
  REQUIRE(
      cbor::Diagnose(log.world.cells.at({"case", "c1"})) ==
      cbor::Diagnose(
          Value::Map({{"events", 3},
                      {"last", "Check"},
                      {"activities", Value::Map({{"Check", 2}, {"Decide", 1}})},
                      {"first_time", kNine},
                      {"last_time", kNine + 2 * kHour}})
              .Encode()));
  REQUIRE(log.world.raised.empty());
}

TEST_CASE("an activity counts over all cases", "[examples][cases]") {
  Log log;
  log.Add(Row("c1", "Check", "2024-01-02 09:00:00", "Ada"));
  log.Add(Row("c2", "Check", "2024-01-02 09:01:00", "Ben"));
  log.Add(Row("c2", "Decide", "2024-01-02 09:02:00", "Ben"));
  REQUIRE(log.world.Show("activity", "Check") == R"({"events": 2})");
  REQUIRE(log.world.Show("activity", "Decide") == R"({"events": 1})");
}

TEST_CASE("a case tells its resource, and sees how busy that was",
          "[examples][cases]") {
  Log log;
  log.Add(Row("c1", "Check", "2024-01-02 09:00:00", "Ada"));
  log.Add(Row("c1", "Decide", "2024-01-02 10:00:00", "Ada"));
  REQUIRE(log.Integer("case", "c1", "resource_load") == 0);
  log.world.RunRaised();
  log.Add(Row("c2", "Check", "2024-01-02 11:00:00", "Ada"));
  REQUIRE(log.Integer("case", "c2", "resource_load") == 2);
  log.world.RunRaised();
  REQUIRE(cbor::Diagnose(log.world.cells.at({"resource", "Ada"})) ==
          cbor::Diagnose(Value::Map({{"events", 3},
                                     {"switches", 1},
                                     {"last_case", "c2"},
                                     {"last_time", kNine + 2 * kHour}})
                             .Encode()));
}

TEST_CASE("a case's step reads the resource and only updates the activity",
          "[examples][cases]") {
  const auto inputs =
      MapCaseRow(Row("c", "Check", "2024-01-02 09:00:00", "Ada"));
  REQUIRE_OK(inputs);
  const CaseReducer reducer;
  REQUIRE(TouchRecorder(reducer, inputs->front().event).reads.empty());
  StepDouble step({}, inputs->front().event);
  REQUIRE_OK(reducer.Step(step));
  REQUIRE(step.reads == std::set<CellId>{{"case", "c"}, {"resource", "Ada"}});
  REQUIRE(step.writes ==
          std::set<CellId>{{"case", "c"}, {"activity", "Check"}});
}

TEST_CASE("amounts add up in hundredths", "[examples][cases]") {
  Log log;
  Value row = Row("c1", "Invoice", "2024-01-02 09:00:00", "");
  row.Set("amount", 10.1);
  log.Add(row);
  row.Set("amount", "0.2");
  log.Add(row);
  row.Set("amount", -3);
  log.Add(row);
  row.Erase("amount");
  log.Add(row);
  REQUIRE(log.Integer("case", "c1", "cents") == 730);
}

TEST_CASE("an activity refuses events of its own", "[examples][cases]") {
  SerialDouble world(MakeCasesReducers());
  REQUIRE(
      world.Step({"activity", "Check", "", cbor::EncodeInteger(1)}).code() ==
      absl::StatusCode::kInvalidArgument);
}

TEST_CASE("payloads that are no case's are refused", "[examples][cases]") {
  SerialDouble world(MakeCasesReducers());
  for (const char* reducer : {"case", "resource"}) {
    CAPTURE(reducer);
    REQUIRE(world.Step({reducer, "x", "", cbor::EncodeInteger(1)}).code() ==
            absl::StatusCode::kInvalidArgument);
  }
  REQUIRE(world.cells.empty());
}

TEST_CASE("a row's moment is its input's time", "[examples][cases]") {
  Value row = Row("c1", "Check", "2024-01-02 11:00:00.25+02:00", "Ada");
  row.Set("lifecycle", "complete");
  const auto inputs = MapCaseRow(row);
  REQUIRE_OK(inputs);
  REQUIRE(inputs->size() == 1);
  const Input& input = inputs->front();
  REQUIRE(input.time.value == kNine + 250'000);
  REQUIRE(input.event.reducer == "case");
  REQUIRE(input.event.key == "c1");
  REQUIRE(input.event.payload == Value::Map({{"activity", "Check"},
                                             {"time", kNine + 250'000},
                                             {"resource", "Ada"},
                                             {"lifecycle", "complete"}})
                                     .Encode());
}

TEST_CASE("a row that is wrong is refused by field", "[examples][cases]") {
  const std::string field = GENERATE(as<std::string>(), "case", "activity",
                                     "time", "resource", "lifecycle", "amount");
  CAPTURE(field);
  Value row = Row("c1", "Check", "2024-01-02 09:00:00", "Ada");
  row.Set(field, Value::Array({1}));
  const absl::Status status = MapCaseRow(row).status();
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(std::string(status.message()).find("\"" + field + "\"") !=
          std::string::npos);
}

TEST_CASE("a row needs case, activity and time", "[examples][cases]") {
  const std::string field =
      GENERATE(as<std::string>(), "case", "activity", "time");
  CAPTURE(field);
  Value row = Row("c1", "Check", "2024-01-02 09:00:00", "Ada");
  row.Erase(field);
  REQUIRE(MapCaseRow(row).status().message() ==
          "field \"" + field + "\": missing");
}

TEST_CASE("a time that is none is refused with its text", "[examples][cases]") {
  const auto mapped = MapCaseRow(Row("c1", "Check", "noon", ""));
  REQUIRE(mapped.status().message() ==
          "field \"time\": no time like 2010-10-02 09:20:39.266+02:00: "
          "'noon'");
}

}  // namespace
}  // namespace reenact::examples
