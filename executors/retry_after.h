// How much patience a response asks for.

#ifndef REENACT_EXECUTORS_RETRY_AFTER_H_
#define REENACT_EXECUTORS_RETRY_AFTER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace reenact {

// What stands for every wait that is longer. No rule allows for as much.
inline constexpr std::chrono::milliseconds kVeryLong =
    std::chrono::hours(24 * 365 * 100);

// An HTTP-date (RFC 9110, 5.6.7) in one of its three forms, in seconds since
// 1970; of two digits of a year as libcurl has them. Nullopt: it is none.
//
//   Sun, 06 Nov 1994 08:49:37 GMT
//   Sunday, 06-Nov-94 08:49:37 GMT
//   Sun Nov  6 08:49:37 1994
std::optional<std::int64_t> ParseHttpDate(std::string_view text);

// The value of Retry-After (RFC 9110, 10.2.3), at `now`, in seconds since 1970:
// a number of seconds, of any length, or an HTTP-date, of which what is past
// asks for nothing. At most kVeryLong. Nullopt: it is neither.
std::optional<std::chrono::milliseconds> ParseRetryAfter(std::string_view text,
                                                         std::int64_t now);

}  // namespace reenact

#endif  // REENACT_EXECUTORS_RETRY_AFTER_H_
