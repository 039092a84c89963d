#include "reenact/executors/new_file.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a new file is there once it is placed, not before", "[new_file]") {
  const TemporaryDirectory directory;
  WriteWholeFile(directory / "name", "old");
  {
    NewFile file = NewFile::In(directory.path()).value();
    REQUIRE_OK(file.Append("ne"));
    REQUIRE_OK(file.Append("w"));
    CHECK(ReadWholeFile(directory / "name") == "old");
    // Somebody writes it, so it is not abandoned.
    REQUIRE_OK(NewFile::RemoveAbandoned(directory.path()));
    REQUIRE_OK(file.Place(directory / "name"));
  }
  CHECK(ReadWholeFile(directory / "name") == "new");
}

TEST_CASE("a new file that is given up leaves nothing", "[new_file]") {
  const TemporaryDirectory directory;
  {
    NewFile file = NewFile::In(directory.path()).value();
    REQUIRE_OK(file.Append("x"));
    CHECK_FALSE(fs::is_empty(directory.path()));
    CHECK_FALSE(file.Place(directory / "no/such/place").ok());
  }
  CHECK(fs::is_empty(directory.path()));
}

}  // namespace
}  // namespace reenact
