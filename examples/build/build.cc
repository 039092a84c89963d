#include "examples/build/build.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "examples/support/row.h"
#include "reenact/kernel/effects/answer.h"

namespace reenact::examples {
namespace {

using cbor::Value;

// Schemas of events between targets.
constexpr std::string_view kDefine = "target.define";  // {"row": ...}
constexpr std::string_view kNeed = "target.need";      // {"by": name}
constexpr std::string_view kDone = "target.done";  // {"of": name, "ok": bool}

// One target while one of its steps runs.
class Building {
 public:
  Building(StepContext& step, Value state)
      : step_(step), state_(std::move(state)) {
    if (!state_.IsMap()) {
      state_ = Value::Map({{"state", "unknown"},
                           {"waits", Value::Array()},
                           {"wanted", Value::Array()}});
    }
  }

  absl::Status On(std::string_view schema) {
    if (schema == kAnswerSchema) return Answered();
    REENACT_ASSIGN_OR_RETURN(const Value event, Value::Parse(step_.payload()));
    if (schema == kDefine) return Define(event);
    if (schema == kNeed) return Needed(event);
    if (schema == kDone) return Done(event);
    return absl::InvalidArgumentError("no such schema");
  }

 private:
  std::string_view state() const { return *state_.GetText("state"); }

  absl::Status Define(const Value& row) {
    if (state() != "unknown") {
      return absl::AlreadyExistsError("the target is defined");
    }
    state_.Set("row", row);
    state_.Set("state", "waiting");
    if (const Value* needs = row.Find("needs")) {
      state_.Set("waits", *needs);
      for (const Value& need : needs->items()) {
        Tell(std::string(*need.AsText()), kNeed,
             Value::Map({{"by", step_.key()}}));
      }
    }
    return RunIfReady();
  }

  absl::Status Needed(const Value& event) {
    REENACT_ASSIGN_OR_RETURN(const std::string by, RequiredText(event, "by"));
    if (state() == "built" || state() == "failed") {
      TellDone(by);
      return absl::OkStatus();
    }
    state_.Find("wanted")->Append(by);
    return Save();
  }

  absl::Status Done(const Value& event) {
    REENACT_ASSIGN_OR_RETURN(const std::string of, RequiredText(event, "of"));
    if (state() != "waiting") return absl::OkStatus();
    const Value* const ok = event.Find("ok");
    if (ok == nullptr || !(*ok == Value(true))) {
      return End("failed", of + " failed");
    }
    std::vector<Value> waits = state_.Find("waits")->items();
    std::erase(waits, Value(of));
    state_.Set("waits", Value::Array(std::move(waits)));
    return RunIfReady();
  }

  absl::Status RunIfReady() {
    if (state_.Find("waits")->size() > 0) return Save();
    const Value* const row = state_.Find("row");
    Value params = Value::Map();
    for (const std::string_view field : {"argv", "cwd", "inputs", "outputs"}) {
      if (const Value* value = row->Find(field)) params.Set(field, *value);
    }
    EffectIntent intent;
    intent.kind = "process.run";
    intent.params = params.Encode();
    intent.idempotency = step_.key();
    step_.Intend(std::move(intent));
    state_.Set("state", "running");
    return Save();
  }

  absl::Status Answered() {
    REENACT_ASSIGN_OR_RETURN(const EffectAnswer answer,
                             EffectAnswer::Parse(step_.payload()));
    Value files = Value::Map();
    for (const Evidence& evidence : answer.evidence) {
      files.Set(evidence.name, evidence.digest.ToHex());
    }
    state_.Set("files", std::move(files));
    if (answer.status == ReceiptStatus::kOk) return End("built", "");
    const auto said = answer.payload.GetText("error");
    return End("failed", answer.reason.empty() && said.ok()
                             ? std::string(*said)
                             : std::string(ReceiptStatusName(answer.status)) +
                                   " " + answer.reason);
  }

  absl::Status End(std::string_view state, const std::string& why) {
    state_.Set("state", state);
    if (!why.empty()) state_.Set("why", why);
    const std::vector<Value> wanted = state_.Find("wanted")->items();
    state_.Set("wanted", Value::Array());
    for (const Value& by : wanted) TellDone(std::string(*by.AsText()));
    return Save();
  }

  void TellDone(const std::string& to) {
    Tell(to, kDone,
         Value::Map({{"of", step_.key()}, {"ok", state() == "built"}}));
  }

  void Tell(std::string to, std::string_view schema, const Value& what) {
    step_.Raise({"target", std::move(to), std::string(schema), what.Encode()});
  }

  absl::Status Save() {
    step_.SetState(state_.Encode());
    return absl::OkStatus();
  }

  StepContext& step_;
  Value state_;
};

absl::Status CheckTexts(const Value& row, std::string_view field) {
  const Value* const list = row.Find(field);
  if (list == nullptr) return absl::OkStatus();
  if (list->IsArray() &&
      std::all_of(list->items().begin(), list->items().end(),
                  [](const Value& item) { return item.IsText(); })) {
    return absl::OkStatus();
  }
  return FieldError(field, "is no array of texts");
}

}  // namespace

absl::Status Target::Step(StepContext& step) const {
  Value state;
  if (const std::optional<BytesView> present = step.state()) {
    REENACT_ASSIGN_OR_RETURN(state, Value::Parse(*present));
  }
  return Building(step, std::move(state)).On(step.event().schema);
}

absl::StatusOr<std::vector<Input>> MapBuildRow(const Value& row) {
  REENACT_ASSIGN_OR_RETURN(std::string target, RequiredText(row, "target"));
  if (row.Find("argv") == nullptr) return FieldError("argv", "is missing");
  for (const std::string_view field : {"argv", "needs", "inputs", "outputs"}) {
    REENACT_RETURN_IF_ERROR(CheckTexts(row, field));
  }
  Input input;
  input.event = Event{.reducer = "target",
                      .key = std::move(target),
                      .schema = std::string(kDefine),
                      .payload = row.Encode()};
  return std::vector<Input>{std::move(input)};
}

}  // namespace reenact::examples
