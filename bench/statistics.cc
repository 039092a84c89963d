#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "reenact/base/check.h"

namespace reenact::bench {
namespace {

double SortedQuantile(const std::vector<double>& sorted, double part) {
  const double at = part * static_cast<double>(sorted.size() - 1);
  const double below = std::floor(at);
  const auto index = static_cast<std::size_t>(below);
  if (index + 1 >= sorted.size()) return sorted.back();
  return sorted[index] + (at - below) * (sorted[index + 1] - sorted[index]);
}

// "1234567" as "1,234,567", with a sign in front or not.
std::string Grouped(std::string digits) {
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

}  // namespace

double Median(std::vector<double> values) {
  return Quantile(std::move(values), 0.5);
}

double Quantile(std::vector<double> values, double part) {
  REENACT_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  return SortedQuantile(values, part);
}

double Percentile(const std::vector<double>& sorted, double part) {
  REENACT_CHECK(!sorted.empty());
  const double rank = std::ceil(part * static_cast<double>(sorted.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

Spread SpreadOf(const std::vector<double>& values) {
  REENACT_CHECK(!values.empty());
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  return {sorted.size(),
          SortedQuantile(sorted, 0.5),
          sorted.front(),
          sorted.back(),
          SortedQuantile(sorted, 0.25),
          SortedQuantile(sorted, 0.75)};
}

std::string NumberText(double value) {
  if (!std::isfinite(value)) return "-";
  char text[64];
  const double size = std::abs(value);
  if (size >= 99.95 || value == std::floor(value)) {
    std::snprintf(text, sizeof text, "%.0f", value);
    return Grouped(text);
  }
  const int decimals = size >= 9.995 ? 1 : size >= 0.095 ? 2 : 4;
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

}  // namespace reenact::bench
