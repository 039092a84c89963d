// Secrets: resolved late, and not seen again.

#include "reenact/executors/secrets.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

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
  const Secrets secrets = OneSecret("v");
  CHECK(secrets.Expand("a ${secret:key}${secret:key} b").value() == "a vv b");
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
       {"dXNlcjpzM2NyJnQvVmFsdWUK", "dXNlOnMzY3ImdC9WYWx1ZQo=",
        "dXM6czNjciZ0L1ZhbHVlCg=="}) {
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
        return std::string(name == "long" ? "abcdefgh" : "cdef");
      });
  REQUIRE_OK(secrets.Expand("${secret:short}${secret:long}"));
  CHECK(secrets.Redact("abcdefgh cdef") == "${secret:long} ${secret:short}");
}

TEST_CASE("secrets come from a directory that only its owner sees",
          "[secrets]") {
  const TemporaryDirectory directory;
  WriteWholeFile(directory / "key", "value\n");
  WriteWholeFile(directory / "two", "value\n\n");
  const Secrets secrets = Secrets::FromDirectory(directory.path()).value();
  CHECK(secrets.Expand("${secret:key}").value() == "value");
  CHECK(secrets.Expand("${secret:two}").value() == "value\n");
  CHECK(absl::IsNotFound(secrets.Expand("${secret:none}").status()));
  WriteWholeFile(directory / "key", "new");
  CHECK(secrets.Expand("${secret:key}").value() == "new");
  CHECK(secrets.Redact("value new") == "${secret:key} ${secret:key}");

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
  ::setenv("REENACT_SECRET_key", "value", 1);
  const Secrets secrets = Secrets::FromEnvironment("REENACT_SECRET_");
  CHECK(secrets.Expand("<${secret:key}>").value() == "<value>");
  ::unsetenv("REENACT_SECRET_key");
  CHECK(absl::IsNotFound(secrets.Expand("${secret:key}").status()));
}

}  // namespace
}  // namespace reenact
