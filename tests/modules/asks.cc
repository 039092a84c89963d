// Asks the outside for whatever a row says, and keeps what it hears: a cell's
// state is the array of all events that were not rows to ask for, answers among
// them. For tests that need some effect or other.
//
//   {"key": "a", "kind": "http.request", "params": {...}, "scope": "pages",
//    "identity": "order 17"}

#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/kernel/module.h"

namespace reenact::tests {
namespace {

using cbor::Value;

std::string TextOr(const Value& map, const char* name) {
  const auto text = map.GetText(name);
  return text.ok() ? std::string(*text) : std::string();
}

absl::Status Keep(StepContext& step, const Value& heard) {
  std::vector<Value> all;
  if (const auto state = step.state()) {
    REENACT_ASSIGN_OR_RETURN(const Value before, Value::Parse(*state));
    all = before.items();
  }
  all.push_back(heard);
  step.SetState(Value::Array(std::move(all)).Encode());
  return absl::OkStatus();
}

absl::Status Step(StepContext& step) {
  REENACT_ASSIGN_OR_RETURN(const Value event, Value::Parse(step.payload()));
  if (step.event().schema != "ask") return Keep(step, event);
  EffectIntent intent;
  intent.kind = TextOr(event, "kind");
  intent.capability = TextOr(event, "capability");
  if (const Value* params = event.Find("params")) {
    intent.params = params->Encode();
  }
  intent.cache_scope = TextOr(event, "scope");
  intent.identity = TextOr(event, "identity");
  step.Intend(std::move(intent));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Input>> MapRow(const Value& row) {
  Input input;
  input.event = {"asker", TextOr(row, "key"), "ask", row.Encode()};
  return std::vector<Input>{std::move(input)};
}

}  // namespace
}  // namespace reenact::tests

REENACT_MODULE(registry) {
  registry.SetName("asks", "1.0.0");
  registry.AddReducer(reenact::MakeReducer("asker", reenact::tests::Step));
  registry.SetInputMapper(reenact::tests::MapRow);
}
