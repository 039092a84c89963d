#include "tools/reenact/terminal.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace reenact::tools {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr int kBarWidth = 20;

std::string Bar(double fraction) {
  const int filled = static_cast<int>(std::lround(fraction * kBarWidth));
  const auto size = [](int count) { return static_cast<std::size_t>(count); };
  return absl::StrCat("[", std::string(size(filled), '#'),
                      std::string(size(kBarWidth - filled), '-'), "]");
}

}  // namespace

ProgressLine::ProgressLine(bool wanted)
    : shown_(wanted && isatty(STDERR_FILENO) == 1) {}

void ProgressLine::Update(std::uint64_t done, std::string_view unit,
                          std::optional<double> fraction) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now - last_ < kRedrawEvery) return;
  last_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string text = ProgressText(done, unit, fraction, seconds);
  std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
  std::fflush(stderr);
}

void ProgressLine::Clear() {
  if (std::exchange(drawn_, false)) std::fputs("\r\x1b[K", stderr);
}

std::string ProgressText(std::uint64_t done, std::string_view unit,
                         std::optional<double> fraction, double seconds) {
  std::string text;
  if (fraction) {
    *fraction = std::clamp(*fraction, 0.0, 1.0);
    absl::StrAppend(&text, Bar(*fraction), " ",
                    absl::StrFormat("%3.0f%% ", *fraction * 100));
  }
  absl::StrAppend(&text, WithCommas(done), " ", ToAbsl(unit), " ",
                  RateText(done, seconds));
  if (fraction && *fraction > 0) {
    absl::StrAppend(&text, " ",
                    DurationText(seconds / *fraction * (1 - *fraction)),
                    " left");
  }
  return text;
}

std::string WithCommas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3;) text.insert(i -= 3, ",");
  return text;
}

std::string SizeText(std::uint64_t bytes) {
  static constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string DurationText(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours == 0) return absl::StrFormat("%d:%02d", minutes, whole % 60);
  return absl::StrFormat("%d:%02d:%02d", hours, minutes, whole % 60);
}

std::string RateText(std::uint64_t count, double seconds) {
  if (seconds <= 0) return "-/s";
  return WithCommas(static_cast<std::uint64_t>(
             std::llround(static_cast<double>(count) / seconds))) +
         "/s";
}

absl::StatusOr<std::uint64_t> ParseSize(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, unsigned>, 10>
      kUnits = {{{"", 0},
                 {"B", 0},
                 {"K", 10},
                 {"KiB", 10},
                 {"M", 20},
                 {"MiB", 20},
                 {"G", 30},
                 {"GiB", 30},
                 {"T", 40},
                 {"TiB", 40}}};
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  for (const auto& [name, shift] : kUnits) {
    if (error != std::errc() || unit != name) continue;
    if (number > UINT64_MAX >> shift) break;
    return number << shift;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", ToAbsl(text),
                   "\" is no size; sizes look like 65536, 256MiB or 1GiB"));
}

std::uint64_t PeakMemory() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace reenact::tools
