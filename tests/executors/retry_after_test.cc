#include "reenact/executors/retry_after.h"

#include <catch2/catch.hpp>

namespace reenact {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kNow = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT

TEST_CASE("trial 13: an HTTP-date is read in its three forms", "[executors]") {
  for (const char* const text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994"}) {
    CAPTURE(text);
    REQUIRE(ParseHttpDate(text) == kNow);
  }
  REQUIRE(ParseHttpDate("Sun Nov 16 08:49:37 1994") == kNow + 10 * 86'400);
  REQUIRE(ParseHttpDate("Fri, 31 Dec 9999 23:59:59 GMT") == 253'402'300'799);
}

TEST_CASE(
    "trial 13: what is no HTTP-date is none, whatever libcurl makes of it",
    "[executors]") {
  const auto text = GENERATE(
      "", "6", "6 Nov 1994", "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Xyz 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 25:49:37 GMT", "Sun Nov 6 08:49:37 1994");
  CAPTURE(text);
  REQUIRE(ParseHttpDate(text) == std::nullopt);
}

TEST_CASE(
    "trial 13: seconds of any number of digits are heard, and those that "
    "no number holds are very long",
    "[executors]") {
  REQUIRE(ParseRetryAfter("0", kNow) == milliseconds(0));
  REQUIRE(ParseRetryAfter("000120", kNow) == seconds(120));
  REQUIRE(ParseRetryAfter("2147483647", kNow) == seconds(2'147'483'647));
  for (const char* const text :
       {"99999999999999999999", "9223372036854775807", "9223372036854775808",
        "18446744073709551616", "3153600000",
        "100000000000000000000000000000000000000000000000000000"}) {
    CAPTURE(text);
    REQUIRE(ParseRetryAfter(text, kNow) == kVeryLong);
  }
}

TEST_CASE(
    "trial 13: a date asks for the time until then, and what is past for "
    "none",
    "[executors]") {
  REQUIRE(ParseRetryAfter("Sun, 06 Nov 1994 08:51:37 GMT", kNow) ==
          seconds(120));
  REQUIRE(ParseRetryAfter("Sunday, 06-Nov-94 09:49:37 GMT", kNow) == hours(1));
  REQUIRE(ParseRetryAfter("Sun Nov  6 08:49:36 1994", kNow) == milliseconds(0));
  REQUIRE(ParseRetryAfter("Fri, 31 Dec 9999 23:59:59 GMT", kNow) == kVeryLong);
}

TEST_CASE("trial 13: what is not in the grammar asks for nothing",
          "[executors]") {
  const auto text = GENERATE("", " ", "-1", "+1", "1.5", "1e3", "0x10", "5 s",
                             "5,6", "soon", "tomorrow", "\xb2");
  CAPTURE(text);
  REQUIRE(ParseRetryAfter(text, kNow) == std::nullopt);
}

}  // namespace
}  // namespace reenact
