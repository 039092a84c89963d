#include "examples/saga/saga.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "examples/support/row.h"
#include "reenact/kernel/effects/answer.h"

namespace reenact::examples {
namespace {

using cbor::Value;

constexpr std::array<std::string_view, 3> kSteps = {"flight", "hotel", "car"};
constexpr std::int64_t kCancelTries = 5;

// One trip while one of its steps runs.
class Saga {
 public:
  Saga(StepContext& step, Value state)
      : step_(step), state_(std::move(state)) {}

  absl::Status Begin() {
    if (state_.IsMap()) {
      return absl::AlreadyExistsError("the trip is under way");
    }
    REENACT_ASSIGN_OR_RETURN(const Value event, Value::Parse(step_.payload()));
    REENACT_ASSIGN_OR_RETURN(const std::string service,
                             RequiredText(event, "service"));
    state_ = Value::Map({{"service", service},
                         {"state", "booking"},
                         {"booked", Value::Array()}});
    return Next();
  }

  absl::Status Answered() {
    REENACT_ASSIGN_OR_RETURN(const EffectAnswer answer,
                             EffectAnswer::Parse(step_.payload()));
    REENACT_ASSIGN_OR_RETURN(const std::string_view state,
                             state_.GetText("state"));
    const bool ok = answer.status == ReceiptStatus::kOk;
    if (state == "booking") return ok ? Booked() : GiveUp(answer);
    if (state == "cancelling") return ok ? Cancelled() : TryAgain();
    return absl::FailedPreconditionError("nothing was asked");
  }

 private:
  std::size_t booked() const { return state_.Find("booked")->size(); }

  absl::Status Booked() {
    state_.Find("booked")->Append(kSteps[booked()]);
    return Next();
  }

  absl::Status GiveUp(const EffectAnswer& answer) {
    state_.Set("why", std::string(kSteps[booked()]) + ": " +
                          std::string(ReceiptStatusName(answer.status)));
    state_.Set("state", "cancelling");
    // Unless it was refused, or never let out, it may have been booked.
    if (answer.status != ReceiptStatus::kError &&
        answer.status != ReceiptStatus::kDenied) {
      state_.Find("booked")->Append(kSteps[booked()]);
    }
    return Next();
  }

  absl::Status Cancelled() {
    std::vector<Value> left = state_.Find("booked")->items();
    left.pop_back();
    state_.Set("booked", Value::Array(std::move(left)));
    state_.Erase("tries");
    return Next();
  }

  absl::Status TryAgain() {
    const std::int64_t tries = state_.GetInteger("tries").value_or(0) + 1;
    state_.Set("tries", tries);
    if (tries == kCancelTries) {
      state_.Set("state", "stuck");
      return Save();
    }
    return Next();
  }

  // What is to be asked for now, if there is anything.
  absl::Status Next() {
    const bool booking = *state_.GetText("state") == "booking";
    if (booking && booked() < kSteps.size()) {
      Post(std::string(kSteps[booked()]), Value());
    } else if (booking) {
      state_.Set("state", "booked");
    } else if (booked() > 0) {
      // Where nothing was booked, there is nothing to cancel.
      Post(std::string(kSteps[booked() - 1]) + "/cancel",
           Value::Array({200, 201, 202, 204, 404, 410}));
    } else {
      state_.Set("state", "cancelled");
    }
    return Save();
  }

  void Post(const std::string& what, const Value& expected) {
    const std::string trip(step_.key());
    Value params = Value::Map(
        {{"method", "POST"},
         {"url", std::string(*state_.GetText("service")) + "/" + what},
         {"body", "{\"trip\": \"" + trip + "\"}"}});
    if (expected.IsArray()) params.Set("expect_status", expected);
    EffectIntent intent;
    intent.kind = "http.request";
    intent.params = params.Encode();
    intent.idempotency = trip + "/" + what;
    step_.Intend(std::move(intent));
  }

  absl::Status Save() {
    step_.SetState(state_.Encode());
    return absl::OkStatus();
  }

  StepContext& step_;
  Value state_;
};

}  // namespace

absl::Status Trip::Step(StepContext& step) const {
  Value state;
  if (const std::optional<BytesView> present = step.state()) {
    REENACT_ASSIGN_OR_RETURN(state, Value::Parse(*present));
  }
  Saga saga(step, std::move(state));
  return step.event().schema == kAnswerSchema ? saga.Answered() : saga.Begin();
}

absl::StatusOr<std::vector<Input>> MapSagaRow(const Value& row) {
  REENACT_ASSIGN_OR_RETURN(std::string trip, RequiredText(row, "trip"));
  REENACT_ASSIGN_OR_RETURN(const std::string service,
                           RequiredText(row, "service"));
  if (trip.find_first_of("\"\\") != std::string::npos) {
    return FieldError("trip", "has a quote or a backslash");
  }
  Input input;
  input.event = Event{.reducer = "trip",
                      .key = std::move(trip),
                      .schema = "trip.book",
                      .payload = Value::Map({{"service", service}}).Encode()};
  return std::vector<Input>{std::move(input)};
}

}  // namespace reenact::examples
