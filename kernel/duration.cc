#include "reenact/kernel/duration.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"

namespace reenact {
namespace {

constexpr std::pair<std::string_view, double> kUnits[] = {
    {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};

constexpr double kLongest = 9.2e18;  // fits into 64 bits

}  // namespace

absl::StatusOr<std::int64_t> ParseDuration(std::string_view text,
                                           std::int64_t bare) {
  const std::size_t digits = text.find_first_not_of("0123456789.");
  const std::string_view unit =
      digits == text.npos ? std::string_view() : text.substr(digits);
  double scale = unit.empty() ? static_cast<double>(bare) : 0;
  for (const auto& [name, microseconds] : kUnits) {
    if (unit == name) scale = microseconds;
  }
  double number = 0;
  if (scale > 0 && absl::SimpleAtod(ToAbsl(text.substr(0, digits)), &number) &&
      number * scale < kLongest) {
    return static_cast<std::int64_t>(std::llround(number * scale));
  }
  return absl::InvalidArgumentError(
      "\"" + std::string(text.substr(0, 40)) +
      "\" is no duration; write a number and its unit, such as 500ms, 30s, 2m "
      "or 1h");
}

}  // namespace reenact
