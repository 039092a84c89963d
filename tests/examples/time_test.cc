#include "examples/support/time.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <utility>

#include "tests/support/status_matchers.h"

namespace reenact::examples {
namespace {

TEST_CASE("moments become microseconds since 1970 in UTC", "[examples][time]") {
  // Expected values from `date -u -d TEXT +%s`.
  const auto [text, micros] = GENERATE(table<std::string, std::int64_t>({
      {"1970-01-01 00:00:00", 0},
      {"1970-01-01T00:00:00Z", 0},
      {"1969-12-31 23:59:59.5", -500000},
      {"2010-10-02 09:20:39.266000+02:00", 1286004039266000},
      {"2010-10-02T07:20:39.266Z", 1286004039266000},
      {"2010-10-02 09:20:39.266+0200", 1286004039266000},
      {"2010-10-02 09:20:39.266+02", 1286004039266000},
      {"2010-10-01 21:20:39.266-10:00", 1286004039266000},
      {"2000-02-29 12:00:00", 951825600000000},
      {"2024-12-31 23:59:59", 1735689599000000},
      {"2026-11-21 04:05:50", 1795233950000000},
      {"1900-03-01 00:00:00", -2203891200000000},
      {"2010-10-02 07:20:39.2660009", 1286004039266000},
  }));
  CAPTURE(text);
  const absl::StatusOr<LogicalTime> time = ParseTime(text);
  REQUIRE_OK(time);
  REQUIRE(time->value == micros);
}

TEST_CASE("what is no moment is refused", "[examples][time]") {
  const std::string text = GENERATE(
      as<std::string>(), "", "yesterday", "2010-10-02", "2010-10-02 09:20",
      "2010-13-02 09:20:39", "2010-00-02 09:20:39", "2010-10-32 09:20:39",
      "2010-04-31 09:20:39", "2011-02-29 09:20:39", "1900-02-29 09:20:39",
      "0000-01-01 00:00:00", "2010-10-02 24:00:00", "2010-10-02 09:60:00",
      "2010-10-02 09:20:60", "2010-10-02 09:20:39.", "2010-10-02 09:20:39+",
      "2010-10-02 09:20:39+24:00", "2010-10-02 09:20:39+02:60",
      "2010-10-02 09:20:39+02:", "2010-10-02 09:20:39Zulu",
      "2010-10-02 09:20:39 ", " 2010-10-02 09:20:39", "2010/10/02 09:20:39",
      "10-02-2010 09:20:39", "2010-10-02_09:20:39", "-010-10-02 09:20:39");
  CAPTURE(text);
  const absl::Status status = ParseTime(text).status();
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(std::string(status.message()).find("'" + text + "'") !=
          std::string::npos);
}

}  // namespace
}  // namespace reenact::examples
