// What people see while they wait, and how sizes and rates read.

#ifndef REENACT_TOOLS_REENACT_TERMINAL_H_
#define REENACT_TOOLS_REENACT_TERMINAL_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "reenact/base/status.h"

namespace reenact::tools {

// A line on standard error that is drawn over, ten times a second at most, and
// only if standard error is a terminal.
//
// Thread safety: none.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted);
  ~ProgressLine() { Clear(); }

  // `done` of `unit` ("events"), and how much of the whole that is, 0 to 1, if
  // it is known.
  void Update(std::uint64_t done, std::string_view unit,
              std::optional<double> fraction);
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  const bool shown_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_;
  bool drawn_ = false;
};

// "[####------]  42% 1,234,567 events 98,765/s 0:12 left"
std::string ProgressText(std::uint64_t done, std::string_view unit,
                         std::optional<double> fraction, double seconds);

std::string WithCommas(std::uint64_t number);               // "1,234,567"
std::string SizeText(std::uint64_t bytes);                  // "1.5 MiB"
std::string DurationText(double seconds);                   // "1:02:03", "0:12"
std::string RateText(std::uint64_t count, double seconds);  // "98,765/s"

// "268435456", "256MiB", "256M", "1GiB"; units are powers of 1024.
// InvalidArgument: something else, or nothing that 64 bits hold.
absl::StatusOr<std::uint64_t> ParseSize(std::string_view text);

// The most memory this process has had in use, in bytes.
std::uint64_t PeakMemory();

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_TERMINAL_H_
