#include "reenact/kernel/reducer.h"

namespace reenact {
namespace {

class FunctionReducer final : public Reducer {
 public:
  FunctionReducer(std::string name,
                  std::function<absl::Status(StepContext&)> step,
                  std::function<void(const EventView&, TouchSet&)> touch)
      : name_(std::move(name)),
        step_(std::move(step)),
        touch_(std::move(touch)) {}

  std::string_view name() const override { return name_; }

  absl::Status Step(StepContext& step) const override { return step_(step); }

  void Touch(const EventView& event, TouchSet& touches) const override {
    if (touch_) touch_(event, touches);
  }

 private:
  const std::string name_;
  const std::function<absl::Status(StepContext&)> step_;
  const std::function<void(const EventView&, TouchSet&)> touch_;
};

// By number; see absl::StatusCode.
constexpr std::string_view kStatusNames[] = {
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
};

// Empty if there is none.
std::string_view OwnFailureName(FailureCode code) {
  switch (code) {
    case FailureCode::kException:
      return "exception";
    case FailureCode::kOutOfFuel:
      return "out_of_fuel";
    case FailureCode::kTooMuchOutput:
      return "too_much_output";
    case FailureCode::kTooManyEvents:
      return "too_many_events";
    case FailureCode::kTooManyEffects:
      return "too_many_effects";
    case FailureCode::kInvalidOutput:
      return "invalid_output";
    case FailureCode::kUnknownReducer:
      return "unknown_reducer";
    case FailureCode::kOutOfBounds:
      return "out_of_bounds";
    case FailureCode::kTypeMismatch:
      return "type_mismatch";
    case FailureCode::kRefusedByGate:
      return "refused_by_gate";
    case FailureCode::kInvariant:
      return "invariant";
    case FailureCode::kFailedByOrder:
      return "failed_by_order";
  }
  return {};
}

}  // namespace

void Reducer::Touch(const EventView&, TouchSet&) const {}

std::shared_ptr<const Reducer> MakeReducer(
    std::string name, std::function<absl::Status(StepContext&)> step,
    std::function<void(const EventView&, TouchSet&)> touch) {
  return std::make_shared<FunctionReducer>(std::move(name), std::move(step),
                                           std::move(touch));
}

bool IsReducerName(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= 64 &&
         name.find_first_not_of(kAllowed) == name.npos;
}

std::string FailureName(FailureCode code) {
  const auto number = static_cast<std::uint32_t>(code);
  if (number >= 1 && number < std::size(kStatusNames)) {
    return std::string(kStatusNames[number]);
  }
  const std::string_view name = OwnFailureName(code);
  return name.empty() ? "code " + std::to_string(number) : std::string(name);
}

}  // namespace reenact
