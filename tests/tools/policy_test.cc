// `reenact policy` from outside.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/tools/command.h"

namespace reenact::tests {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;

const std::string kCrawler =
    REENACT_SOURCE_DIR "/examples/policies/crawler.json";

constexpr const char* kSmall = R"({
  // no rules: everything is somebody's decision
  "version": 1, "otherwise": "ask" /* for now */
})";

CommandResult Policy(std::vector<std::string> arguments,
                     const std::string& input = "") {
  arguments.insert(arguments.begin(), "policy");
  return RunReenact(std::move(arguments), input);
}

CommandResult ExplainCrawler(std::vector<std::string> more) {
  more.insert(more.begin(), {"explain", kCrawler});
  return Policy(std::move(more));
}

TEST_CASE("policy: help teaches: what, an example, exit codes",
          "[tools][policy]") {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {"--help"}, {"check", "--help"}, {"explain", "--help"}}) {
    const CommandResult help = Policy(arguments);
    CHECK(help.code == 0);
    CHECK_THAT(help.out, Contains("Usage:") && Contains("Example") &&
                             Contains("Exit codes:") &&
                             Contains("reenact policy"));
  }
}

TEST_CASE("policy check says what a policy says, and its digest",
          "[tools][policy]") {
  const CommandResult result = Policy({"check", "-"}, kSmall);
  INFO(result.err);
  REQUIRE(result.code == 0);
  // BLAKE2b-256 of a2 6776657273696f6e 01 696f7468657277697365 6361736b.
  CHECK(result.out ==
        "digest "
        "65dd55cc576bfc2ad10cfdaca050ad5aa7e40daad25e976ac2b5e99776b8ce1c"
        "\notherwise: ask\n");
  const CommandResult same =
      Policy({"check", "-", "--json"}, R"({"otherwise":"ask","version":1})");
  REQUIRE(same.code == 0);
  const json report = json::parse(same.out);
  CHECK_THAT(result.out, Contains(report["digest"].get<std::string>()));
  CHECK(report["words"] == "otherwise: ask\n");
  CHECK(report["bytes"] == 24);
}

TEST_CASE("policy check accepts every example", "[tools][policy]") {
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(
           REENACT_SOURCE_DIR "/examples/policies")) {
    const CommandResult result = Policy({"check", file.path()});
    INFO(file.path().string() + ": " + result.err);
    CHECK(result.code == 0);
    CHECK_THAT(result.out, StartsWith("digest ") && Contains("otherwise: "));
    ++count;
  }
  CHECK(count >= 2);
}

TEST_CASE("policy check names the file and the place", "[tools][policy]") {
  struct Row {
    std::string text, what;
  };
  for (const Row& row : {
           Row{"{", "stdin: not JSON at byte "},
           Row{R"({"version": 1, "version": 1})", "stands twice"},
           Row{R"({"version": 3})", "stdin: version: should be 1"},
           Row{R"({"version": 1, "rules": [{"name": "a", "then": "deny",
                 "where": [{"path": "url", "host": "a.com/x"}]}]})",
               "stdin: rules[0].where[0].host: \"a.com/x\" should be"},
           Row{std::string(5 << 20, ' ') + "{}", "stdin: larger than 4194304"},
       }) {
    const CommandResult result = Policy({"check", "-"}, row.text);
    CHECK(result.code == 7);
    CHECK_THAT(result.err, StartsWith("reenact: ") && Contains(row.what));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.out.empty());
  }
  CHECK(Policy({"check", "/no/such/file"}).code == 9);
  CHECK(Policy({"check", "/"}).code == 9);
}

TEST_CASE("policy explain says which rule decides", "[tools][policy]") {
  struct Row {
    std::vector<std::string> arguments;
    std::string verdict;
  };
  const std::vector<Row> rows = {
      {{"--kind", "http.request", "--cell", "page/home", "--params",
        R"({"url": "http://a.com/", "method": "GET"})"},
       "allow, by \"read\""},
      {{"--kind", "http.request", "--cell", "page/home", "--params",
        R"({"url": "http://LOCALHOST:80/", "method": "GET"})"},
       "deny, by \"no-inside\""},
      {{"--kind", "http.request", "--cell", "other/home", "--params",
        R"({"url": "http://a.com/", "method": "GET"})"},
       "deny, by \"otherwise\""},
      {{"--kind", "blob.put", "--reserve", "bytes=5", "--reserve", "cents=500"},
       "ask, by \"dear\""},
      {{"--kind", "blob.put", "--reserve", "cents=499", "--time", "-7"},
       "allow, by \"keep\""},
  };
  for (const Row& row : rows) {
    const CommandResult result = ExplainCrawler(row.arguments);
    INFO(result.err);
    CHECK(result.code == 0);
    CHECK_THAT(result.out, StartsWith(row.verdict + "\n\n0 \"no-inside\": ") &&
                               Contains("decides"));
  }
}

TEST_CASE(
    "trial 30: each example policy lets its example do what it is for, and "
    "nothing beside",
    "[tools][policy]") {
  struct Row {
    std::string policy, kind, cell, params, verdict;
  };
  // Parameters as `examples/build` and `examples/fetch` intend them.
  const std::vector<Row> rows = {
      {"build", "process.run", "target/app",
       R"({"argv": ["/usr/bin/cc", "-o", "app", "a.o"], "cwd": "/srv/build",
           "inputs": ["a.o"], "outputs": ["app"]})",
       "allow, by \"compile\""},
      {"build", "process.run", "target/app",
       R"({"argv": ["/usr/bin/ar", "r", "a.a"], "cwd": "/srv/build/lib",
           "timeout_ms": 600000})",
       "allow, by \"compile\""},
      {"build", "process.run", "target/app",
       R"({"argv": ["/usr/bin/cc"], "cwd": "/srv/build", "timeout_ms": 600001})",
       "deny, by \"too-long\""},
      {"build", "process.run", "target/app",
       R"({"argv": ["/bin/sh", "-c", "cc"], "cwd": "/srv/build"})",
       "deny, by \"otherwise\""},
      {"build", "process.run", "target/app",
       R"({"argv": ["/usr/bin/cc"], "cwd": "/srv/build/../home"})",
       "deny, by \"otherwise\""},
      {"build", "process.run", "target/app", R"({"argv": ["/usr/bin/cc"]})",
       "deny, by \"otherwise\""},
      {"build", "blob.put", "target/app", "{}", "allow, by \"artifacts\""},
      {"build", "http.request", "any/release-1",
       R"({"url": "https://releases.example.com/app", "method": "PUT"})",
       "ask, by \"publish\""},
      {"build", "http.request", "any/release-1",
       R"({"url": "https://releases.example.com/app", "follow_redirects": true})",
       "deny, by \"otherwise\""},
      {"crawler", "http.request", "page/a.com",
       R"({"url": "http://a.com/", "method": "GET"})", "allow, by \"read\""},
      {"crawler", "http.request", "page/a.com",
       R"({"url": "http://a.com/", "method": "POST"})",
       "deny, by \"otherwise\""},
      {"crawler", "http.request", "page/a.com",
       R"({"url": "http://[::1]/", "method": "GET"})",
       "deny, by \"no-inside\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.policy, row.cell, row.params);
    const CommandResult result = Policy(
        {"explain",
         REENACT_SOURCE_DIR "/examples/policies/" + row.policy + ".json",
         "--kind", row.kind, "--cell", row.cell, "--params", row.params});
    CHECK(result.code == 0);
    CHECK_THAT(result.out, StartsWith(row.verdict + "\n"));
  }
}

TEST_CASE("policy explain tells scripts", "[tools][policy]") {
  const CommandResult result = ExplainCrawler(
      {"--kind", "http.request", "--cell", "page/x", "--json", "--params",
       R"({"url": "http://a.com/", "method": "HEAD"})"});
  REQUIRE(result.code == 0);
  const json report = json::parse(result.out);
  CHECK(report["verdict"] == "allow");
  CHECK(report["rule"] == "read");
  CHECK(report["rates"] == json::array({1}));
  CHECK_THAT(report["words"].get<std::string>(),
             Contains("<-- 100 tokens left, goes on"));
}

TEST_CASE("policy: a command line that makes no sense is a usage error",
          "[tools][policy]") {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"dance"},
      {"check"},
      {"check", "a", "b"},
      {"explain", kCrawler},
      {"explain", "--kind", "k"},
      {"explain", kCrawler, "--kind", "k", "--params", "{"},
      {"explain", kCrawler, "--kind", "k", "--reserve", "calls"},
      {"explain", kCrawler, "--kind", "k", "--reserve", "calls=-1"},
      {"explain", kCrawler, "--kind", "k", "--reserve", "=1"},
      {"explain", kCrawler, "--kind", "k", "--reserve", "a=1", "--reserve",
       "a=2"},
      {"explain", kCrawler, "--kind", "k", "--time", "noon"},
  };
  for (const auto& arguments : wrong) {
    const CommandResult result = Policy(arguments);
    CAPTURE(arguments, result.err);
    CHECK(result.code == 2);
    CHECK_FALSE(result.err.empty());
  }
}

}  // namespace
}  // namespace reenact::tests
