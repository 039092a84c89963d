#include "reenact/executors/retry_after.h"

#include <curl/curl.h>

#include <algorithm>
#include <string>

namespace reenact {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kVeryLongSeconds =
    std::chrono::duration_cast<seconds>(kVeryLong).count();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// In a form, "0" is a digit, "a" a letter, "_" a digit or a blank, and "*" one
// letter or more; all else is itself.
bool HasForm(std::string_view text, std::string_view form) {
  for (const char c : form) {
    if (text.empty()) return false;
    const char at = text.front();
    const bool fits = c == '0'               ? IsDigit(at)
                      : c == 'a' || c == '*' ? IsLetter(at)
                      : c == '_'             ? IsDigit(at) || at == ' '
                                             : at == c;
    if (!fits) return false;
    text.remove_prefix(1);
    while (c == '*' && !text.empty() && IsLetter(text.front())) {
      text.remove_prefix(1);
    }
  }
  return text.empty();
}

}  // namespace

// libcurl reads more than these three, such as "6" for a day of this month.
std::optional<std::int64_t> ParseHttpDate(std::string_view text) {
  if (!HasForm(text, "aaa, 00 aaa 0000 00:00:00 GMT") &&
      !HasForm(text, "*, 00-aaa-00 00:00:00 GMT") &&
      !HasForm(text, "aaa aaa _0 00:00:00 0000")) {
    return std::nullopt;
  }
  const time_t time = curl_getdate(std::string(text).c_str(), nullptr);
  if (time == -1) return std::nullopt;
  return std::int64_t{time};
}

std::optional<milliseconds> ParseRetryAfter(std::string_view text,
                                            std::int64_t now) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), IsDigit)) {
    const auto date = ParseHttpDate(text);
    if (!date) return std::nullopt;
    return milliseconds(
        seconds(std::clamp(*date - now, std::int64_t{0}, kVeryLongSeconds)));
  }
  std::int64_t count = 0;
  for (const char c : text) {
    count = std::min(10 * count + (c - '0'), kVeryLongSeconds);
  }
  return milliseconds(seconds(count));
}

}  // namespace reenact
