#include "tools/reenact/feed.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "tests/support/status_matchers.h"
#include "tools/reenact/json.h"

namespace reenact::tools {
namespace {

WorldConfig Config() {
  WorldConfig config;
  config.reducers = {"counter"};
  return config;
}

FeedSource Source(std::string rows, InputMapper mapper, std::uint64_t after = 0,
                  std::uint64_t limit = 0) {
  FeedSource::Options options;
  options.mapper = std::move(mapper);
  options.config = Config();
  options.taken.position = after;
  options.limit = limit;
  return FeedSource(RowReader::Make(Format::kJsonl, InputFile::FromBytes(
                                                        "in", std::move(rows))),
                    std::move(options));
}

// The keys and positions of what a source delivers: "a@1 b@3".
std::string Delivered(FeedSource source) {
  std::string text;
  std::vector<Input> row;
  while (true) {
    row.clear();
    const auto more = source.Next(&row);
    if (!more.ok()) return text + "! " + std::string(more.status().message());
    if (!*more) return text;
    for (const Input& input : row) {
      text += (text.empty() ? "" : " ") + input.event.key + "@" +
              std::to_string(input.position);
    }
  }
}

TEST_CASE("rows are payloads of events with a key from a field",
          "[tools][feed]") {
  const InputMapper mapper = RowIsPayload("counter", "id");
  CHECK(Delivered(Source("{\"id\":\"a\"}\n\n{\"id\":\"b\"}\n", mapper)) ==
        "a@1 b@3");
  const auto inputs = mapper(*ParseJson(R"({"id": "a", "n": 1})"));
  REQUIRE_OK(inputs);
  CHECK(inputs->front().event.reducer == "counter");
  CHECK(cbor::Diagnose(inputs->front().event.payload) ==
        R"({"n": 1, "id": "a"})");
}

TEST_CASE("a key that is not there or no text is refused with its place",
          "[tools][feed]") {
  const InputMapper mapper = RowIsPayload("counter", "id");
  CHECK_THAT(Delivered(Source("{\"id\":\"a\"}\n{\"id\":7}\n", mapper)),
             Catch::StartsWith("a@1! in:2: field \"id\" must be a text"));
  CHECK_THAT(Delivered(Source("{\"x\":\"a\"}\n", mapper)),
             Catch::StartsWith("! in:1: no field \"id\""));
  CHECK_THAT(Delivered(Source("[1]\n", mapper)),
             Catch::StartsWith("! in:1: the row must be an object"));
}

TEST_CASE("rows are events themselves", "[tools][feed]") {
  const auto inputs = RowIsEvent()(*ParseJson(
      R"({"reducer": "counter", "key": "a", "payload": [1], "schema": "s",
          "id": "x1", "priority": 0, "time": -5})"));
  REQUIRE_OK(inputs);
  const Input& input = inputs->front();
  CHECK(input.event.key == "a");
  CHECK(input.event.schema == "s");
  CHECK(input.submission_id == "x1");
  CHECK(input.priority == 0);
  CHECK(input.time.value == -5);
  CHECK(cbor::Diagnose(input.event.payload) == "[1]");

  for (const char* row :
       {R"({"reducer": "counter", "key": "a"})",
        R"({"reducer": "counter", "key": 1, "payload": 1})",
        R"({"reducer": "counter", "key": "a", "payload": 1, "priority": 4})",
        R"({"reducer": "counter", "key": "a", "payload": 1, "more": 1})"}) {
    CHECK(absl::IsInvalidArgument(RowIsEvent()(*ParseJson(row)).status()));
    CHECK(IsEventRow(*ParseJson(row)) ==
          (std::string_view(row).find("priority") != std::string_view::npos ||
           std::string_view(row).find("\"key\": 1") != std::string_view::npos));
  }
}

TEST_CASE("what a world would refuse is refused with its place",
          "[tools][feed]") {
  const auto event = [](const std::string& reducer, const std::string& key) {
    return R"({"payload":0,"reducer":")" + reducer + R"(","key":")" + key +
           "\"}\n";
  };
  CHECK_THAT(Delivered(Source(event("nobody", "a"), RowIsEvent())),
             Catch::Contains("in:1: no reducer \"nobody\""));
  CHECK_THAT(
      Delivered(Source(event("counter", std::string(1025, 'k')), RowIsEvent())),
      Catch::Contains("in:1: the key has 1025 bytes"));
  CHECK_THAT(Delivered(Source(
                 "{\"id\":\"a\",\"x\":\"" + std::string(2 << 20, 'x') + "\"}\n",
                 RowIsPayload("counter", "id"))),
             Catch::Contains("in:1: the payload has"));
}

TEST_CASE(
    "trial 04b: a row with the schema of answers, or too deep a payload, "
    "is refused with its place",
    "[tools][feed]") {
  const std::string good = R"({"reducer":"counter","key":"a","payload":1)";
  CHECK_THAT(Delivered(Source(
                 good + "}\n" + good + R"(,"schema":"reenact.answer"})" + "\n",
                 RowIsEvent())),
             Catch::StartsWith(
                 "a@1! in:2: the schema \"reenact.answer\" is for answers"));
  // A mapper may make of a row what no row can be.
  const InputMapper deeper = [](const cbor::Value& row) {
    Input input;
    input.event = {"counter", "a", "", cbor::Value::Array({row}).Encode()};
    return absl::StatusOr<std::vector<Input>>({input});
  };
  const std::string deep = std::string(64, '[') + std::string(64, ']') + "\n";
  CHECK_THAT(Delivered(Source("[]\n" + deep, deeper)),
             Catch::StartsWith("a@1! in:2: the payload: an item nested too"));
}

TEST_CASE("rows that a world had are passed over, whatever is in them",
          "[tools][feed]") {
  const InputMapper mapper = RowIsPayload("counter", "id");
  const std::string rows =
      "bad\n{\"id\":\"b\"}\n\n{\"id\":\"c\"}\n{\"id\":\"d\"}\n";
  CHECK(Delivered(Source(rows, mapper, 2)) == "c@4 d@5");
  CHECK(Delivered(Source(rows, mapper, 3)) == "c@4 d@5");  // an empty line
  CHECK(Delivered(Source(rows, mapper, 5)) == "");
  CHECK(Delivered(Source(rows, mapper, 99)) == "");
}

TEST_CASE("a limit ends the input early", "[tools][feed]") {
  const InputMapper mapper = RowIsPayload("counter", "id");
  CHECK(Delivered(Source("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", mapper, 0, 1)) ==
        "a@1");
}

TEST_CASE("a mapper that throws is an error of the row", "[tools][feed]") {
  const InputMapper mapper =
      [](const cbor::Value&) -> absl::StatusOr<std::vector<Input>> {
    throw std::runtime_error("surprise");
  };
  CHECK_THAT(Delivered(Source("1\n", mapper)),
             Catch::StartsWith("! in:1: ") && Catch::Contains("surprise"));
}

}  // namespace
}  // namespace reenact::tools
