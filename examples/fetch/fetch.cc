#include "examples/fetch/fetch.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "examples/support/row.h"
#include "reenact/kernel/effects/answer.h"

namespace reenact::examples {
namespace {

using cbor::Value;

absl::Status Ask(StepContext& step, Value state) {
  REENACT_ASSIGN_OR_RETURN(const Value event, Value::Parse(step.payload()));
  REENACT_ASSIGN_OR_RETURN(const std::string url, RequiredText(event, "url"));
  EffectIntent intent;
  intent.kind = "http.request";
  intent.capability = "fetch";
  intent.params = Value::Map({{"method", "GET"}, {"url", url}}).Encode();
  intent.idempotency = url;
  intent.reserve = {{"calls", 1}};
  intent.cache_scope = "pages";
  step.Intend(std::move(intent));
  state.Set("url", url);
  state.Set("state", "asked");
  state.Set("tries", state.GetInteger("tries").value_or(0) + 1);
  step.SetState(state.Encode());
  return absl::OkStatus();
}

std::string ErrorOf(const EffectAnswer& answer) {
  if (!answer.reason.empty()) return answer.reason;
  const auto said = answer.payload.GetText("error");
  if (said.ok()) return std::string(*said);
  const auto status = answer.payload.GetInteger("status");
  return status.ok() ? "HTTP status " + std::to_string(*status)
                     : std::string(ReceiptStatusName(answer.status));
}

absl::Status Answered(StepContext& step, Value state) {
  REENACT_ASSIGN_OR_RETURN(const EffectAnswer answer,
                           EffectAnswer::Parse(step.payload()));
  for (const std::string_view field : {"status", "bytes", "cached", "error"}) {
    state.Erase(field);
  }
  if (answer.status == ReceiptStatus::kOk) {
    state.Set("state", "fetched");
    if (const Value* status = answer.payload.Find("status")) {
      state.Set("status", *status);
    }
    if (const Value* body = answer.payload.Find("body")) {
      const auto text = body->AsText();
      const auto bytes = body->AsBytes();
      state.Set("bytes", std::uint64_t{text.ok()    ? text->size()
                                       : bytes.ok() ? bytes->size()
                                                    : 0});
    }
    if (answer.cached) state.Set("cached", true);
  } else {
    state.Set("state", "failed");
    state.Set("error", ErrorOf(answer));
  }
  step.SetState(state.Encode());
  return absl::OkStatus();
}

}  // namespace

absl::Status Page::Step(StepContext& step) const {
  Value state = Value::Map();
  if (const std::optional<BytesView> present = step.state()) {
    REENACT_ASSIGN_OR_RETURN(state, Value::Parse(*present));
  }
  return step.event().schema == kAnswerSchema ? Answered(step, std::move(state))
                                              : Ask(step, std::move(state));
}

absl::StatusOr<std::vector<Input>> MapFetchRow(const Value& row) {
  REENACT_ASSIGN_OR_RETURN(const std::string url, RequiredText(row, "url"));
  REENACT_ASSIGN_OR_RETURN(const std::optional<std::string> name,
                           OptionalText(row, "name"));
  Input input;
  input.event = Event{.reducer = "page",
                      .key = name.value_or(url),
                      .schema = "page.fetch",
                      .payload = Value::Map({{"url", url}}).Encode()};
  return std::vector<Input>{std::move(input)};
}

}  // namespace reenact::examples
