#include "tools/reenact/terminal.h"

#include <catch2/catch.hpp>

#include "tests/support/status_matchers.h"
#include "tools/reenact/exit_codes.h"

namespace reenact::tools {
namespace {

TEST_CASE("sizes are read as they are written", "[tools][terminal]") {
  CHECK(ParseSize("0").value() == 0);
  CHECK(ParseSize("65536").value() == 65536);
  CHECK(ParseSize("256MiB").value() == 256u << 20);
  CHECK(ParseSize("1G").value() == 1u << 30);
  for (const char* text : {"", "MiB", "-1", "1.5G", "1 G", "1X", "16777216T",
                           "99999999999999999999"}) {
    CHECK(absl::IsInvalidArgument(ParseSize(text).status()));
  }
}

TEST_CASE("numbers read well", "[tools][terminal]") {
  CHECK(WithCommas(0) == "0");
  CHECK(WithCommas(999) == "999");
  CHECK(WithCommas(1000) == "1,000");
  CHECK(WithCommas(1234567) == "1,234,567");
  CHECK(SizeText(1023) == "1023 B");
  CHECK(SizeText(1536) == "1.5 KiB");
  CHECK(SizeText(3ULL << 30) == "3.0 GiB");
  CHECK(DurationText(12.4) == "0:12");
  CHECK(DurationText(3723) == "1:02:03");
  CHECK(RateText(10, 0) == "-/s");
  CHECK(RateText(5000, 2) == "2,500/s");
}

TEST_CASE("progress says rate, and time left if the whole is known",
          "[tools][terminal]") {
  CHECK(ProgressText(500, "rows", std::nullopt, 2) == "500 rows 250/s");
  CHECK(ProgressText(500, "rows", 0.25, 10) ==
        "[#####---------------]  25% 500 rows 50/s 0:30 left");
  CHECK_THAT(ProgressText(1, "rows", 7.0, 1), Catch::Contains("100%"));
}

TEST_CASE("every exit code is in the help", "[tools][terminal]") {
  for (const int code :
       {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 130, 143}) {
    CHECK_THAT(std::string(ExitCodeHelp()),
               Catch::Contains(" " + std::to_string(code) + "  "));
  }
  CHECK(ExitCodeOf(absl::DataLossError("")) == ExitCode::kDamaged);
  CHECK(ExitCodeOf(absl::UnimplementedError("")) == ExitCode::kUnknownFormat);
}

}  // namespace
}  // namespace reenact::tools
