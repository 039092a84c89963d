// Secrets: resolved late, and not seen again.

#include "reenact/executors/secrets.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

Secrets OneSecret(const std::string& value) {
  return Secrets([value](std::string_view name) -> absl::StatusOr<std::string> {
    if (name == "key") return value;
    return absl::NotFoundError(ToAbsl("no \"" + std::string(name) + "\""));
  });
}

TEST_CASE("references are replaced, and nothing else", "[secrets]") {
  const Secrets secrets = OneSecret("s3cret-v");
  CHECK(secrets.Expand("a ${secret:key}${secret:key} b").value() ==
        "a s3cret-vs3cret-v b");
  CHECK(secrets.Expand("$HOME ${HOME} $ { $${secret:key}").value() ==
        "$HOME ${HOME} $ { ${secret:key}");
  CHECK(secrets.Expand("").value().empty());
  CHECK(absl::IsNotFound(secrets.Expand("${secret:other}").status()));
  for (const char* text : {"${secret:key", "${secret:}", "${secret:../x}",
                           "${secret:.x}", "${secret:a b}"}) {
    CHECK(absl::IsInvalidArgument(secrets.Expand(text).status()));
  }
  CHECK(absl::IsNotFound(Secrets().Expand("${secret:key}").status()));
  CHECK(Secrets::HasReference("x${secret:y"));
  CHECK_FALSE(Secrets::HasReference("${HOME}"));
}

TEST_CASE("a secret's value does not expand again", "[secrets]") {
  CHECK(OneSecret("${secret:key}").Expand("${secret:key}").value() ==
        "${secret:key}");
}

TEST_CASE("what comes back has references in the place of values",
          "[secrets]") {
  const Secrets secrets = OneSecret("s3cr&t/Value");
  CHECK(secrets.Redact("s3cr&t/Value") == "s3cr&t/Value");  // not handed out
  REQUIRE_OK(secrets.Expand("${secret:key}"));
  const std::string reference = "<${secret:key}>";
  for (const char* form :
       {"s3cr&t/Value", "7333637226742f56616c7565", "7333637226742F56616C7565",
        "czNjciZ0L1ZhbHVl", "s3cr%26t%2FValue", "s3cr%26t%2fValue"}) {
    CHECK(secrets.Redact("<" + std::string(form) + ">") == reference);
  }
  // Inside of longer base64: printf 'user:s3cr&t/Value\n' | base64, and with a
  // letter less before it, and two.
  for (const char* text :
       {"dXNlcjpzM2NyJnQvVmFsdWUK",
        "dXNlOnMzY3ImdC9WYWx1ZQo=", "dXM6czNjciZ0L1ZhbHVlCg=="}) {
    const std::string redacted = secrets.Redact(text);
    CHECK(redacted.find("${secret:key}") != std::string::npos);
    CHECK(redacted.find("NjciZ0L1ZhbH") == std::string::npos);
    CHECK(redacted.find("2NyJnQvVmFsd") == std::string::npos);
    CHECK(redacted.find("Y3ImdC9WYWx1") == std::string::npos);
  }
}

TEST_CASE("a value inside of another does not hide it", "[secrets]") {
  const Secrets secrets(
      [](std::string_view name) -> absl::StatusOr<std::string> {
        return std::string(name == "long" ? "12345678.0" : "12345678");
      });
  REQUIRE_OK(secrets.Expand("${secret:short}${secret:long}"));
  CHECK(secrets.Redact("12345678.0 12345678") ==
        "${secret:long} ${secret:short}");
}

// Which of values "v0", "v1" ... may stand where.
Secrets Several(const std::vector<std::string>& values) {
  const Secrets secrets(
      [values](std::string_view name) -> absl::StatusOr<std::string> {
        return values.at(static_cast<std::size_t>(name[1] - '0'));
      });
  for (std::size_t i = 0; i < values.size(); ++i) {
    REQUIRE_OK(secrets.Expand("${secret:v" + std::to_string(i) + "}"));
  }
  return secrets;
}

TEST_CASE("trial 10b: a value is found in every spelling of JSON",
          "[secrets]") {
  const Secrets secrets = Several({"p\u00e4ss/wo&rd\"\\"});
  for (const char* text : {"p\u00e4ss/wo&rd\"\\", R"(p\u00e4ss\/wo&rd\"\\)",
                           R"(p\u00E4ss/wo\u0026rd\u0022\\)",
                           R"(\u0070\u00e4\u0073s\u002fwo&rd\"\u005c)",
                           R"(p\\u00e4ss\/wo\\u0026rd\\\"\\\\)"}) {
    INFO(text);
    CHECK(secrets.Redact("<" + std::string(text) + ">") == "<${secret:v0}>");
  }
  const Secrets key = Several({"key \U0001f511!"});
  CHECK(key.Redact(R"("key \ud83d\uDD11!")") == R"("${secret:v0}")");
  // Bytes that are no UTF-8, as Python writes them.
  const Secrets bytes = Several({"bytes \xe4\xff"});
  CHECK(bytes.Redact(R"("bytes \udce4\udcff")") == R"("${secret:v0}")");
  CHECK(bytes.Redact(R"(b'bytes \xe4\xff')") == "b'${secret:v0}'");
}

TEST_CASE("trial 10b: base64 is found with line ends in it", "[secrets]") {
  const Secrets secrets = Several({"s3cr&t/Value"});
  for (const char* text : {"czNj\nciZ0\nL1Zh\nbHVl", "czNjciZ0\r\nL1ZhbHVl",
                           R"(czNjciZ0\nL1ZhbHVl)", R"(czNjciZ0\r\nL1ZhbHVl)",
                           "czNjciZ0\n   L1ZhbHVl", "czNjciZ0%0AL1ZhbHVl",
                           "733363722674\n2f56616c7565"}) {
    INFO(text);
    CHECK(secrets.Redact("<" + std::string(text) + ">") == "<${secret:v0}>");
  }
}

TEST_CASE("trial 10b: of values that overlap nothing stays", "[secrets]") {
  const Secrets secrets = Several({"abcdefgh", "efghijkl", "cdefghij"});
  CHECK(secrets.Redact("<abcdefghijkl>") ==
        "<${secret:v0}${secret:v2}${secret:v1}>");
  CHECK(secrets.Redact("<efghijkl>") == "<${secret:v1}>");
  CHECK(secrets.Redact("abcdefghabcdefgh") == "${secret:v0}${secret:v0}");
  // One that overlaps itself.
  CHECK(Several({"abababab"}).Redact("<abababababa>") == "<${secret:v0}a>");
}

TEST_CASE(
    "trial 10b: whatever values there are, all that is in one goes, and "
    "nothing else",
    "[secrets]") {
  std::mt19937_64 engine(10);
  const auto draw = [&engine](std::size_t size) {
    std::string text(size, ' ');
    for (char& c : text) c = "xy"[engine() % 2];
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> values;
    for (int i = 0; i < 3; ++i) values.push_back(draw(8 + engine() % 4));
    const std::string text = draw(200);
    std::string expected = text;
    for (const std::string& value : values) {
      for (auto at = text.find(value); at != text.npos;
           at = text.find(value, at + 1)) {
        expected.replace(at, value.size(), value.size(), '-');
      }
    }
    std::erase(expected, '-');
    std::string redacted = Several(values).Redact(text);
    for (int i = 0; i < 3; ++i) {
      const std::string reference = "${secret:v" + std::to_string(i) + "}";
      for (auto at = redacted.find(reference); at != redacted.npos;
           at = redacted.find(reference)) {
        redacted.erase(at, reference.size());
      }
    }
    INFO("round " << round << ": " << text);
    REQUIRE(redacted == expected);
  }
}

TEST_CASE(
    "trial 10b: what is too short to be told from other text is no secret",
    "[secrets]") {
  for (const char* value : {"", "ab", "1234567"}) {
    const Secrets secrets = OneSecret(value);
    const auto expanded = secrets.Expand("Bearer ${secret:key}");
    CHECK(absl::IsInvalidArgument(expanded.status()));
    CHECK_THAT(std::string(expanded.status().message()),
               Catch::Contains("\"key\" has"));
    CHECK(secrets.Redact("about 1234567") == "about 1234567");
  }
  CHECK(OneSecret("12345678").Expand("${secret:key}").value() == "12345678");
}

TEST_CASE("secrets come from a directory that only its owner sees",
          "[secrets]") {
  const TemporaryDirectory directory;
  WriteWholeFile(directory / "key", "old value\n");
  WriteWholeFile(directory / "two", "old value\n\n");
  const Secrets secrets = Secrets::FromDirectory(directory.path()).value();
  CHECK(secrets.Expand("${secret:key}").value() == "old value");
  CHECK(secrets.Expand("${secret:two}").value() == "old value\n");
  CHECK(absl::IsNotFound(secrets.Expand("${secret:none}").status()));
  WriteWholeFile(directory / "key", "new value");
  CHECK(secrets.Expand("${secret:key}").value() == "new value");
  CHECK(secrets.Redact("old value new value") == "${secret:key} ${secret:key}");

  SECTION("open to others, it is refused, even if that was later") {
    REQUIRE(::chmod(directory.path().c_str(), 0750) == 0);
    CHECK(absl::IsFailedPrecondition(
        Secrets::FromDirectory(directory.path()).status()));
    CHECK_FALSE(secrets.Expand("${secret:key}").ok());
  }
  SECTION("inside a world's directory it is refused") {
    const std::string inside = directory / "world/deep/secrets";
    fs::create_directories(inside);
    REQUIRE(::chmod(inside.c_str(), 0700) == 0);
    REQUIRE_OK(Secrets::FromDirectory(inside));
    WriteWholeFile(directory / "world/WORLD", "");
    CHECK(absl::IsFailedPrecondition(Secrets::FromDirectory(inside).status()));
  }
  SECTION("links in it are not followed") {
    fs::create_symlink(directory / "key", directory / "link");
    CHECK_FALSE(secrets.Expand("${secret:link}").ok());
  }
  CHECK_FALSE(Secrets::FromDirectory(directory / "none").ok());
}

TEST_CASE("secrets come from the environment", "[secrets]") {
  ::setenv("REENACT_SECRET_key", "the value", 1);
  const Secrets secrets = Secrets::FromEnvironment("REENACT_SECRET_");
  CHECK(secrets.Expand("<${secret:key}>").value() == "<the value>");
  ::unsetenv("REENACT_SECRET_key");
  CHECK(absl::IsNotFound(secrets.Expand("${secret:key}").status()));
}

}  // namespace
}  // namespace reenact
