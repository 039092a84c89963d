// Secrets come back from programs that others wrote, in languages that each
// have their own ways to write a text down: none of them leaves a secret.

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "reenact/executors/secrets.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Json = nlohmann::json;

constexpr const char* kReference = "${secret:k}";

// Texts of what writers treat in different ways, and of what they do not.
std::vector<std::string> DrawTexts(std::uint64_t seed, int count) {
  static const std::vector<std::string> kOdd = {
      "\"",     "\\",      "/",    "&",     "<", ">", "'",
      "+",      "%",       " ",    "=",     "?", "#", ";",
      "\n",     "\t",      "\x01", "\x7f",  "ä", "€", "\U0001f511",
      "\u2028", "\\u0026", "%41",  "&amp;", "${"};
  std::mt19937_64 engine(seed);
  std::vector<std::string> texts;
  while (texts.size() < static_cast<std::size_t>(count)) {
    std::string text;
    const std::size_t size = 8 + engine() % 60;
    while (text.size() < size) {
      if (engine() % 3 == 0) {
        text += kOdd[engine() % kOdd.size()];
      } else {
        text += "abcdefABCDEF0123456789xyzXYZ"[engine() % 28];
      }
    }
    texts.push_back(text);
  }
  return texts;
}

std::string Output(const std::string& command) {
  std::string output;
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) {
    output.append(buffer, size);
  }
  REQUIRE(::pclose(pipe) == 0);
  return output;
}

// What is left beside references, blanks and padding.
std::size_t Rest(std::string text) {
  for (auto at = text.find(kReference); at != text.npos;
       at = text.find(kReference)) {
    text.erase(at, std::string_view(kReference).size());
  }
  std::erase_if(text, [](char c) {
    return c == '=' || c == '\n' || c == '\r' || c == ' ';
  });
  return text.size();
}

void CheckWriter(const std::string& program, const std::string& script,
                 std::uint64_t seed) {
  INFO("texts of seed " << seed << ", written by " << script);
  const TemporaryDirectory directory;
  const std::vector<std::string> texts = DrawTexts(seed, 40);
  const std::string file = directory / "texts.json";
  std::ofstream(file) << Json(texts).dump();
  const std::string output =
      Output(program + " '" REENACT_SOURCE_DIR "/tests/executors/writers/" +
             script + "' '" + file + "'");
  std::size_t written = 0;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line); ++written) {
    const Json way = Json::parse(line);
    const std::string text = texts.at(way[0].get<std::size_t>());
    const std::string before = way[2];
    const std::string middle = way[3];
    const std::string after = way[4];
    const Secrets secrets([&text](std::string_view) { return text; });
    REQUIRE_OK(secrets.Expand(kReference));
    const std::string redacted = secrets.Redact(before + middle + after);
    INFO("the text " << Json(text).dump() << " as " << way[1] << ": "
                     << middle);
    INFO("redacted: " << redacted);
    REQUIRE(redacted.starts_with(before));
    REQUIRE(redacted.ends_with(after));
    const std::string rest = redacted.substr(
        before.size(), redacted.size() - before.size() - after.size());
    REQUIRE(rest.find(kReference) != rest.npos);
    REQUIRE(Rest(rest) <= way[5].get<std::size_t>());
  }
  REQUIRE(written >= texts.size() * 4);
}

#ifdef REENACT_PYTHON
TEST_CASE("trial 10b: what Python writes leaves no secret", "[secrets]") {
  CheckWriter(REENACT_PYTHON, "writers.py", GENERATE(1, 2, 3));
}
#endif
#ifdef REENACT_NODE
TEST_CASE("trial 10b: what JavaScript writes leaves no secret", "[secrets]") {
  CheckWriter(REENACT_NODE, "writers.js", 4);
}
#endif
#ifdef REENACT_PERL
TEST_CASE("trial 10b: what Perl writes leaves no secret", "[secrets]") {
  CheckWriter(REENACT_PERL, "writers.pl", 5);
}
#endif
#ifdef REENACT_JQ
TEST_CASE("trial 10b: what jq writes leaves no secret", "[secrets]") {
  CheckWriter(REENACT_JQ " -c -f", "writers.jq", 6);
}
#endif

TEST_CASE("trial 10b: what C++ writes as JSON leaves no secret", "[secrets]") {
  for (const std::string& text : DrawTexts(7, 200)) {
    const Secrets secrets([&text](std::string_view) { return text; });
    REQUIRE_OK(secrets.Expand(kReference));
    for (const bool ascii : {false, true}) {
      const std::string json = Json(text).dump(-1, ' ', ascii);
      INFO(json);
      REQUIRE(secrets.Redact(json) == std::string("\"") + kReference + "\"");
    }
  }
}

}  // namespace
}  // namespace reenact
