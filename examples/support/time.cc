#include "examples/support/time.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace reenact::examples {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;

// Takes a text apart from the front. Errors stick, so that a parser asks once.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  // Exactly `count` digits, as a number of at most `max`.
  std::int64_t Digits(std::size_t count, std::int64_t max) {
    std::int64_t number = 0;
    for (std::size_t i = 0; i < count; ++i) number = number * 10 + Digit();
    if (number > max) ok_ = false;
    return number;
  }

  bool AtDigit() const {
    return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9';
  }

  // Whether the next character was `c`, which is then taken.
  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void Expect(char c) {
    if (!Take(c)) ok_ = false;
  }

  void Fail() { ok_ = false; }
  bool ok() const { return ok_; }
  bool AtEnd() const { return rest_.empty(); }

  std::int64_t Digit() {
    if (!AtDigit()) {
      ok_ = false;
      return 0;
    }
    const std::int64_t digit = rest_[0] - '0';
    rest_.remove_prefix(1);
    return digit;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

bool IsLeapYear(std::int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

std::int64_t DaysInMonth(std::int64_t year, std::int64_t month) {
  if (month == 2) return IsLeapYear(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Days since 1970-01-01 in the Gregorian calendar. Years begin in March here,
// so that the leap day is a year's last.
std::int64_t DaysSinceEpoch(std::int64_t year, std::int64_t month,
                            std::int64_t day) {
  const std::int64_t years = month > 2 ? year : year - 1;
  const std::int64_t months = (month + 9) % 12;
  const std::int64_t leap_days = years / 4 - years / 100 + years / 400;
  return years * 365 + leap_days + (months * 153 + 2) / 5 + day - 1 - 719468;
}

std::int64_t ScanDays(Scanner& in) {
  const std::int64_t year = in.Digits(4, 9999);
  in.Expect('-');
  const std::int64_t month = in.Digits(2, 12);
  in.Expect('-');
  const std::int64_t day = in.Digits(2, 31);
  // Year 0 would make `years` negative, where division rounds the other way.
  if (year < 1 || month < 1 || day < 1 || day > DaysInMonth(year, month)) {
    in.Fail();
  }
  return DaysSinceEpoch(year, month, day);
}

std::int64_t ScanSeconds(Scanner& in) {
  const std::int64_t hours = in.Digits(2, 23);
  in.Expect(':');
  const std::int64_t minutes = in.Digits(2, 59);
  in.Expect(':');
  return (hours * 60 + minutes) * 60 + in.Digits(2, 59);
}

std::int64_t ScanFraction(Scanner& in) {
  if (!in.Take('.')) return 0;
  if (!in.AtDigit()) in.Fail();
  std::int64_t micros = 0;
  for (std::int64_t unit = kMicrosPerSecond / 10; in.AtDigit(); unit /= 10) {
    micros += in.Digit() * unit;
  }
  return micros;
}

// Seconds east of Greenwich.
std::int64_t ScanZone(Scanner& in) {
  if (in.AtEnd() || in.Take('Z')) return 0;
  const bool west = in.Take('-');
  if (!west) in.Expect('+');
  const std::int64_t hours = in.Digits(2, 23);
  const bool more = in.Take(':') || in.AtDigit();
  const std::int64_t minutes = more ? in.Digits(2, 59) : 0;
  const std::int64_t seconds = (hours * 60 + minutes) * 60;
  return west ? -seconds : seconds;
}

}  // namespace

absl::StatusOr<LogicalTime> ParseTime(std::string_view text) {
  Scanner in(text);
  const std::int64_t days = ScanDays(in);
  if (!in.Take('T')) in.Expect(' ');
  const std::int64_t seconds = ScanSeconds(in);
  const std::int64_t micros = ScanFraction(in);
  const std::int64_t east = ScanZone(in);
  if (!in.ok() || !in.AtEnd()) {
    return absl::InvalidArgumentError(
        "no time like 2010-10-02 09:20:39.266+02:00: '" + std::string(text) +
        "'");
  }
  return LogicalTime{(days * 86400 + seconds - east) * kMicrosPerSecond +
                     micros};
}

}  // namespace reenact::examples
