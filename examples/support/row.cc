#include "examples/support/row.h"

#include <charconv>
#include <cmath>

namespace reenact::examples {
namespace {

// Beyond this a double no longer holds every hundredth.
constexpr double kAmountMax = 1e13;

absl::Status TypeError(std::string_view field, std::string_view expected,
                       const cbor::Value& value) {
  std::string what = "expected ";
  what += expected;
  what += ", found ";
  what += value.TypeName();
  return FieldError(field, what);
}

absl::Status MissingError(std::string_view field) {
  return FieldError(field, "missing");
}

// Null if the field is not there.
absl::StatusOr<const cbor::Value*> FindField(const cbor::Value& row,
                                             std::string_view field) {
  if (!row.IsMap()) {
    return absl::InvalidArgumentError("the row is no object but " +
                                      std::string(row.TypeName()));
  }
  const cbor::Value* value = row.Find(field);
  if (value == nullptr || value->IsNull()) return nullptr;
  if (value->IsText() && value->AsText()->empty()) return nullptr;
  return value;
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

std::optional<double> AsNumber(const cbor::Value& value) {
  if (value.IsText()) return ParseNumber<double>(*value.AsText());
  if (value.IsDouble()) return *value.AsDouble();
  const absl::StatusOr<std::int64_t> integer = value.AsInteger();
  if (!integer.ok()) return std::nullopt;
  return static_cast<double>(*integer);
}

}  // namespace

absl::Status FieldError(std::string_view field, std::string_view what) {
  std::string message = "field \"";
  message += field;
  message += "\": ";
  message += what;
  return absl::InvalidArgumentError(message);
}

absl::StatusOr<std::optional<std::string>> OptionalText(
    const cbor::Value& row, std::string_view field) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value* value, FindField(row, field));
  if (value == nullptr) return std::optional<std::string>();
  if (!value->IsText()) return TypeError(field, "text", *value);
  return std::optional<std::string>(*value->AsText());
}

absl::StatusOr<std::string> RequiredText(const cbor::Value& row,
                                         std::string_view field) {
  REENACT_ASSIGN_OR_RETURN(std::optional<std::string> text,
                           OptionalText(row, field));
  if (!text) return MissingError(field);
  return *std::move(text);
}

absl::StatusOr<std::optional<std::int64_t>> OptionalInteger(
    const cbor::Value& row, std::string_view field) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value* value, FindField(row, field));
  if (value == nullptr) return std::optional<std::int64_t>();
  if (value->IsText()) {
    const auto number = ParseNumber<std::int64_t>(*value->AsText());
    if (!number) return FieldError(field, "no integer of 64 bits");
    return number;
  }
  if (!value->IsInteger()) return TypeError(field, "an integer", *value);
  const absl::StatusOr<std::int64_t> number = value->AsInteger();
  if (!number.ok()) return FieldError(field, "no integer of 64 bits");
  return std::optional<std::int64_t>(*number);
}

absl::StatusOr<std::int64_t> RequiredInteger(const cbor::Value& row,
                                             std::string_view field) {
  REENACT_ASSIGN_OR_RETURN(std::optional<std::int64_t> number,
                           OptionalInteger(row, field));
  if (!number) return MissingError(field);
  return *number;
}

absl::StatusOr<std::optional<std::int64_t>> OptionalCents(
    const cbor::Value& row, std::string_view field) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value* value, FindField(row, field));
  if (value == nullptr) return std::optional<std::int64_t>();
  const std::optional<double> number = AsNumber(*value);
  if (!number) return TypeError(field, "a number", *value);
  if (!(std::fabs(*number) <= kAmountMax)) {
    return FieldError(field, "beyond 10000000000000");
  }
  return std::optional<std::int64_t>(std::llround(*number * 100.0));
}

}  // namespace reenact::examples
