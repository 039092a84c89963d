#include "tools/reenact/rows.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "tests/support/status_matchers.h"

namespace reenact::tools {
namespace {

std::unique_ptr<RowReader> Reader(Format format, std::string bytes) {
  return RowReader::Make(format, InputFile::FromBytes("in", std::move(bytes)));
}

// The rows as "number:diagnostic notation".
std::vector<std::string> Rows(Format format, std::string bytes) {
  const auto reader = Reader(format, std::move(bytes));
  std::vector<std::string> rows;
  while (true) {
    const auto row = reader->Next();
    REQUIRE_OK(row);
    if (!*row) return rows;
    rows.push_back(std::to_string(reader->number()) + ":" +
                   cbor::Diagnose((*row)->Encode()));
  }
}

// The error that ends reading.
std::string WhyNot(Format format, std::string bytes) {
  const auto reader = Reader(format, std::move(bytes));
  while (true) {
    const auto row = reader->Next();
    if (!row.ok()) {
      CHECK(absl::IsInvalidArgument(row.status()));
      return std::string(row.status().message());
    }
    REQUIRE(row->has_value());
  }
}

using List = std::vector<std::string>;

TEST_CASE("a JSON row is a line, and its number the line's", "[tools][rows]") {
  CHECK(Rows(Format::kJsonl, "1\n\n  \n[2]\n") == List{"1:1", "4:[2]"});
  CHECK(Rows(Format::kJsonl, "") == List{});
  CHECK(Rows(Format::kJsonl, "\n\n") == List{});
}

TEST_CASE("line ends of both kinds end a row, and the last needs none",
          "[tools][rows]") {
  CHECK(Rows(Format::kJsonl, "1\r\n2\n3") == List{"1:1", "2:2", "3:3"});
  CHECK(Rows(Format::kJsonl, "1\r\n2\r\n") == List{"1:1", "2:2"});
  CHECK(Rows(Format::kLines, "a\r\n\nb") ==
        List{R"(1:{"line": "a"})", R"(2:{"line": ""})", R"(3:{"line": "b"})"});
  CHECK(Rows(Format::kCsv, "x\r\n1\r\n2") ==
        List{R"(1:{"x": "1"})", R"(2:{"x": "2"})"});
}

TEST_CASE("a byte order mark is passed over at the beginning only",
          "[tools][rows]") {
  const std::string mark = "\xef\xbb\xbf";
  CHECK(Rows(Format::kJsonl, mark + "1\n2") == List{"1:1", "2:2"});
  CHECK(Rows(Format::kCsv, mark + "x\n1") == List{R"(1:{"x": "1"})"});
  CHECK_THAT(WhyNot(Format::kJsonl, "1\n" + mark + "2"),
             Catch::StartsWith("in:2: "));
}

TEST_CASE("a malformed line is named", "[tools][rows]") {
  CHECK_THAT(WhyNot(Format::kJsonl, "1\n2\n{\"a\":\n"),
             Catch::StartsWith("in:3: not JSON"));
  CHECK_THAT(WhyNot(Format::kJsonl, std::string("1\n\0\n", 4)),
             Catch::StartsWith("in:2: "));
  CHECK_THAT(WhyNot(Format::kLines, "ok\n\xff\n"),
             Catch::StartsWith("in:2: ") && Catch::Contains("UTF-8"));
  CHECK_THAT(WhyNot(Format::kCsv, "a,b\n1,2\n3\n"),
             Catch::StartsWith("in:3: ") && Catch::Contains("1 fields"));
}

TEST_CASE("a NUL is text where text may be anything", "[tools][rows]") {
  CHECK(Rows(Format::kLines, std::string("a\0b\n", 4)).size() == 1);
}

TEST_CASE("a row without end is refused in bounded memory", "[tools][rows]") {
  const std::string endless(kRecordBytesMax + 1, 'x');
  CHECK_THAT(WhyNot(Format::kLines, "a\n" + endless),
             Catch::StartsWith("in:2: ") && Catch::Contains("more than"));
  CHECK_THAT(WhyNot(Format::kJsonl, "\"" + endless + "\"\n"),
             Catch::Contains("more than"));
  // Within quotes, over many lines.
  std::string csv = "x\n\"";
  for (int i = 0; i < 17; ++i) csv += std::string(1 << 20, 'y') + "\n";
  CHECK_THAT(WhyNot(Format::kCsv, csv),
             Catch::StartsWith("in:2: ") && Catch::Contains("more than"));
}

TEST_CASE("CSV fields may be quoted, with commas, quotes and line ends in them",
          "[tools][csv]") {
  CHECK(Rows(Format::kCsv, "a,b\n\"x,y\",\"he said \"\"no\"\"\"\n") ==
        List{R"(1:{"a": "x,y", "b": "he said \"no\""})"});
  CHECK(
      Rows(Format::kCsv, "a,b\n\"two\nlines\",2\n3,4\n") ==
      List{R"(1:{"a": "two\nlines", "b": "2"})", R"(2:{"a": "3", "b": "4"})"});
  CHECK(Rows(Format::kCsv, "a,b\n,\n\"\",\n") ==
        List{R"(1:{"a": "", "b": ""})", R"(2:{"a": "", "b": ""})"});
  CHECK(Rows(Format::kCsv, "a\n\n1\n\n") == List{R"(1:{"a": "1"})"});
  CHECK(Rows(Format::kCsv, "a,b\n") == List{});
}

TEST_CASE("CSV that does not follow the rules is refused", "[tools][csv]") {
  CHECK_THAT(WhyNot(Format::kCsv, "a,b\nx\"y,2\n"),
             Catch::StartsWith("in:2: field 1"));
  CHECK_THAT(WhyNot(Format::kCsv, "a,b\n1,\"y\"z\n"),
             Catch::StartsWith("in:2: field 2"));
  CHECK_THAT(WhyNot(Format::kCsv, "a\n1\n\"open\n\n"),
             Catch::StartsWith("in:3: ") && Catch::Contains("quoted"));
  CHECK_THAT(WhyNot(Format::kCsv, "a,b,a\n1,2,3\n"), Catch::Contains("twice"));
  CHECK_THAT(WhyNot(Format::kCsv, "a,,c\n1,2,3\n"),
             Catch::Contains("without a name"));
  CHECK_THAT(WhyNot(Format::kCsv, "a\n\xff\n"), Catch::Contains("UTF-8"));
}

TEST_CASE("a CBOR sequence is read item by item", "[tools][rows]") {
  Bytes items;
  cbor::Encoder encoder(&items);
  encoder.Integer(7);
  encoder.Array(1);
  encoder.Text(std::string(100'000, 'x'));
  encoder.Null();
  const auto rows = Rows(Format::kCborSeq, items);
  REQUIRE(rows.size() == 3);
  CHECK(rows.front() == "1:7");
  CHECK(rows.back() == "3:null");
  CHECK_THAT(WhyNot(Format::kCborSeq, items + "\x18"),
             Catch::StartsWith("in:item 4 (byte"));
  CHECK_THAT(WhyNot(Format::kCborSeq, Bytes("\x18\x01", 2)),
             Catch::StartsWith("in:item 1 (byte 0)"));
}

TEST_CASE("rows that are passed over count, and are not looked into",
          "[tools][rows]") {
  const auto skip_one = [](Format format, std::string bytes) {
    const auto reader = Reader(format, std::move(bytes));
    REQUIRE(reader->Skip().value());
    const auto row = reader->Next().value();
    REQUIRE(row.has_value());
    CHECK_FALSE(reader->Skip().value());
    return cbor::Diagnose(row->Encode());
  };
  CHECK(skip_one(Format::kJsonl, "not json\n2\n") == "2");
  CHECK(skip_one(Format::kCsv, "a\n\"x\ny\"\n2\n") == R"({"a": "2"})");
  CHECK(skip_one(Format::kLines, "\xff\n2\n") == R"({"line": "2"})");
  CHECK(skip_one(Format::kCborSeq, "\x01\x02") == "2");
}

TEST_CASE("formats go by extension", "[tools][rows]") {
  CHECK(FormatOfPath("a/b.jsonl") == Format::kJsonl);
  CHECK(FormatOfPath("b.csv") == Format::kCsv);
  CHECK(FormatOfPath("b.cborseq") == Format::kCborSeq);
  CHECK(FormatOfPath("dpkg.log") == Format::kLines);
  CHECK(FormatOfPath("-") == std::nullopt);
  CHECK(FormatOfPath("b.gz") == std::nullopt);
  CHECK(ParseFormat("csv").value() == Format::kCsv);
  CHECK(absl::IsInvalidArgument(ParseFormat("xml").status()));
}

TEST_CASE("a file that is not there, or a directory, is an error",
          "[tools][rows]") {
  CHECK(absl::IsUnavailable(InputFile::Open("/nonexistent/x").status()));
  CHECK(absl::IsUnavailable(InputFile::Open("/").status()));
}

}  // namespace
}  // namespace reenact::tools
