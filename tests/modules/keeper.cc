// Has what it is sent kept as a blob.

#include <memory>

#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/module.h"

namespace {

using reenact::cbor::Value;

absl::Status Keep(reenact::StepContext& step) {
  step.SetState(step.payload());
  if (!step.event().schema.empty()) return absl::OkStatus();  // an answer
  const auto row = Value::Parse(step.payload());
  if (!row.ok()) return row.status();
  const auto text = row->GetText("text");
  if (!text.ok()) return text.status();
  reenact::EffectIntent intent;
  intent.kind = "blob.put";
  intent.params = Value::Map({{"text", *text}}).Encode();
  step.Intend(std::move(intent));
  return absl::OkStatus();
}

}  // namespace

REENACT_MODULE(registry) {
  registry.SetName("keeper", "1.0.0");
  registry.AddReducer(reenact::MakeReducer("keeper", Keep));
}
