// What input mappers ask of a row.
//
// Rows come from JSON with types and from CSV as texts, so a number may be
// either. A field that is absent, null or "" is not there. Errors are
// InvalidArgument and name the field.

#ifndef REENACT_EXAMPLES_SUPPORT_ROW_H_
#define REENACT_EXAMPLES_SUPPORT_ROW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact::examples {

absl::StatusOr<std::optional<std::string>> OptionalText(const cbor::Value& row,
                                                        std::string_view field);
absl::StatusOr<std::string> RequiredText(const cbor::Value& row,
                                         std::string_view field);

absl::StatusOr<std::optional<std::int64_t>> OptionalInteger(
    const cbor::Value& row, std::string_view field);
absl::StatusOr<std::int64_t> RequiredInteger(const cbor::Value& row,
                                             std::string_view field);

// A decimal number in hundredths, to the nearest one: 12.5 is 1250. Money in a
// state is an integer, so that sums do not depend on how they were rounded.
absl::StatusOr<std::optional<std::int64_t>> OptionalCents(
    const cbor::Value& row, std::string_view field);

// `field "amount": what`.
absl::Status FieldError(std::string_view field, std::string_view what);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_SUPPORT_ROW_H_
