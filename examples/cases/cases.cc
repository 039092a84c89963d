#include "examples/cases/cases.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "examples/support/row.h"
#include "examples/support/time.h"

namespace reenact::examples {
namespace {

using cbor::Value;

// A cell that does not exist is an empty map.
absl::StatusOr<Value> ParseState(std::optional<BytesView> state) {
  if (!state) return Value::Map();
  return Value::Parse(*state);
}

void AddTo(Value& map, std::string_view field, std::int64_t number) {
  map.Set(field, map.GetInteger(field).value_or(0) + number);
}

void CountActivity(Value& state, std::string_view activity) {
  if (state.Find("activities") == nullptr) {
    state.Set("activities", Value::Map());
  }
  AddTo(*state.Find("activities"), activity, 1);
}

void WidenTimes(Value& state, std::int64_t time) {
  const std::int64_t first = state.GetInteger("first_time").value_or(time);
  const std::int64_t last = state.GetInteger("last_time").value_or(time);
  state.Set("first_time", std::min(first, time));
  state.Set("last_time", std::max(last, time));
}

// How many events `resource` has handled so far.
absl::StatusOr<std::int64_t> LoadOf(StepContext& step,
                                    std::string_view resource) {
  REENACT_ASSIGN_OR_RETURN(const Value state,
                           ParseState(step.Read("resource", resource)));
  return state.GetInteger("events").value_or(0);
}

Event ResourceWork(std::string_view resource, std::string_view case_key,
                   std::int64_t time) {
  return Event{
      .reducer = "resource",
      .key = std::string(resource),
      .schema = "resource.work",
      .payload = Value::Map({{"case", case_key}, {"time", time}}).Encode()};
}

Update CountOne() {
  Update update;
  update.op = Update::Op::kAdd;
  update.field = "events";
  update.number = 1;
  return update;
}

absl::StatusOr<LogicalTime> TimeOfRow(const Value& row) {
  REENACT_ASSIGN_OR_RETURN(const std::string text, RequiredText(row, "time"));
  const absl::StatusOr<LogicalTime> time = ParseTime(text);
  if (time.ok()) return time;
  return FieldError("time", ToStd(time.status().message()));
}

// Sets `field` of `payload` to the row's, if it has one.
absl::Status CopyText(const Value& row, std::string_view field,
                      Value& payload) {
  REENACT_ASSIGN_OR_RETURN(std::optional<std::string> text,
                           OptionalText(row, field));
  if (text) payload.Set(field, *std::move(text));
  return absl::OkStatus();
}

absl::StatusOr<Value> PayloadOfRow(const Value& row, LogicalTime time) {
  Value payload = Value::Map();
  REENACT_ASSIGN_OR_RETURN(std::string activity, RequiredText(row, "activity"));
  payload.Set("activity", std::move(activity));
  payload.Set("time", time.value);
  REENACT_RETURN_IF_ERROR(CopyText(row, "resource", payload));
  REENACT_RETURN_IF_ERROR(CopyText(row, "lifecycle", payload));
  REENACT_ASSIGN_OR_RETURN(const std::optional<std::int64_t> cents,
                           OptionalCents(row, "amount"));
  if (cents) payload.Set("cents", *cents);
  return payload;
}

}  // namespace

absl::Status CaseReducer::Step(StepContext& step) const {
  REENACT_ASSIGN_OR_RETURN(const Value payload, Value::Parse(step.payload()));
  REENACT_ASSIGN_OR_RETURN(const std::string_view activity,
                           payload.GetText("activity"));
  REENACT_ASSIGN_OR_RETURN(const std::int64_t time, payload.GetInteger("time"));
  REENACT_ASSIGN_OR_RETURN(Value state, ParseState(step.state()));

  AddTo(state, "events", 1);
  state.Set("last", activity);
  CountActivity(state, activity);
  WidenTimes(state, time);
  if (const Value* cents = payload.Find("cents")) {
    REENACT_ASSIGN_OR_RETURN(const std::int64_t amount, cents->AsInteger());
    AddTo(state, "cents", amount);
  }
  if (const Value* resource = payload.Find("resource")) {
    REENACT_ASSIGN_OR_RETURN(const std::string_view who, resource->AsText());
    REENACT_ASSIGN_OR_RETURN(const std::int64_t load, LoadOf(step, who));
    state.Set("resource_load", load);
    step.Raise(ResourceWork(who, step.key(), time));
  }
  step.Apply("activity", activity, CountOne());
  step.SetState(state.Encode());
  return absl::OkStatus();
}

absl::Status ResourceReducer::Step(StepContext& step) const {
  REENACT_ASSIGN_OR_RETURN(const Value payload, Value::Parse(step.payload()));
  REENACT_ASSIGN_OR_RETURN(const std::string_view case_key,
                           payload.GetText("case"));
  REENACT_ASSIGN_OR_RETURN(const std::int64_t time, payload.GetInteger("time"));
  REENACT_ASSIGN_OR_RETURN(Value state, ParseState(step.state()));

  const bool known = state.Find("last_case") != nullptr;
  const bool switched = known && *state.Find("last_case") != Value(case_key);
  AddTo(state, "events", 1);
  AddTo(state, "switches", switched ? 1 : 0);
  state.Set("last_case", case_key);
  state.Set("last_time", time);
  step.SetState(state.Encode());
  return absl::OkStatus();
}

absl::Status ActivityReducer::Step(StepContext&) const {
  return absl::InvalidArgumentError("an activity takes no events");
}

std::vector<std::shared_ptr<const Reducer>> MakeCasesReducers() {
  return {std::make_shared<ActivityReducer>(), std::make_shared<CaseReducer>(),
          std::make_shared<ResourceReducer>()};
}

absl::StatusOr<std::vector<Input>> MapCaseRow(const cbor::Value& row) {
  Input input;
  REENACT_ASSIGN_OR_RETURN(input.event.key, RequiredText(row, "case"));
  REENACT_ASSIGN_OR_RETURN(input.time, TimeOfRow(row));
  REENACT_ASSIGN_OR_RETURN(const Value payload, PayloadOfRow(row, input.time));
  input.event.reducer = "case";
  input.event.schema = "case.activity";
  input.event.payload = payload.Encode();
  return std::vector<Input>{std::move(input)};
}

}  // namespace reenact::examples
