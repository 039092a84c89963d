#include "reenact/journal/directory/directory.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

unsigned ModeOf(const std::string& path) {
  struct stat status;
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

// Sets the umask for a while.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  mode_t before_;
};

TEST_CASE("a new world's files are private whatever the umask",
          "[journal][directory]") {
  const TemporaryDirectory directory;
  const WorldPaths paths(directory / "world");
  {
    const Umask umask(GENERATE(0000, 0022, 0277));
    REQUIRE_OK(CreateWorldDirectory(paths));
  }
  CHECK(ReadWholeFile(paths.marker) == "reenact world format 3\n");
  for (const std::string& path : {paths.directory, paths.db, paths.snapshots}) {
    CHECK(ModeOf(path) == 0700);
  }
  for (const std::string& path : {paths.marker, paths.owner}) {
    CHECK(ModeOf(path) == 0600);
  }
}

TEST_CASE("making a world's directory again changes nothing",
          "[journal][directory]") {
  const TemporaryDirectory directory;
  const WorldPaths paths(directory / "world");
  REQUIRE_OK(CreateWorldDirectory(paths));
  WriteWholeFile(paths.head, "kept");
  REQUIRE_OK(CreateWorldDirectory(paths));
  CHECK(ReadWholeFile(paths.head) == "kept");
}

TEST_CASE("trial 21: a world's directory is made with those that it lies in",
          "[journal][directory]") {
  const TemporaryDirectory directory;
  REQUIRE_OK(CreateWorldDirectory(WorldPaths(directory / "a//b/world/")));
  CHECK(std::filesystem::is_directory(directory / "a/b/world/db"));
  WriteWholeFile(directory / "file", "x");
  const absl::Status status =
      CreateWorldDirectory(WorldPaths(directory / "file/world"));
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains("file/world"));
}

TEST_CASE("paths of a world", "[journal][directory]") {
  const WorldPaths paths("some/world//");
  CHECK(paths.directory == "some/world");
  CHECK(paths.head == "some/world/HEAD");
  CHECK(paths.Snapshot(EventId{42}) ==
        "some/world/snapshots/00000000000000000042.snap");
  CHECK(WorldPaths("/").directory == "/");
}

TEST_CASE("a world has one owner at a time", "[journal][directory]") {
  const TemporaryDirectory directory;
  const WorldPaths paths(directory / "world");
  REQUIRE_OK(CreateWorldDirectory(paths));

  auto first = AcquireOwnership(paths);
  REQUIRE_OK(first);
  REQUIRE_OK((*first)->Check());

  const auto second = AcquireOwnership(paths);
  REQUIRE(absl::IsFailedPrecondition(second.status()));
  CHECK_THAT(std::string(second.status().message()),
             Catch::Contains(paths.owner) && Catch::Contains("open"));

  first->reset();
  REQUIRE_OK(AcquireOwnership(paths));
}

TEST_CASE("chaos 52: an owner notices that its lock file is gone or another",
          "[journal][directory]") {
  const TemporaryDirectory directory;
  const WorldPaths paths(directory / "world");
  REQUIRE_OK(CreateWorldDirectory(paths));
  const auto owner = AcquireOwnership(paths).value();

  fs::remove(paths.owner);
  CHECK(absl::IsUnavailable(owner->Check()));

  // Somebody else can lock the new file, so the first owner must stop.
  const auto other = AcquireOwnership(paths);
  REQUIRE_OK(other);
  CHECK(absl::IsUnavailable(owner->Check()));
  CHECK((*other)->Check().ok());
}

TEST_CASE("nobody owns a world that is not there", "[journal][directory]") {
  const TemporaryDirectory directory;
  CHECK(absl::IsNotFound(
      AcquireOwnership(WorldPaths(directory / "world")).status()));
}

TEST_CASE("a lock file that is a symbolic link is refused",
          "[journal][directory]") {
  const TemporaryDirectory directory;
  const WorldPaths paths(directory / "world");
  REQUIRE_OK(CreateWorldDirectory(paths));
  fs::rename(paths.owner, directory / "elsewhere");
  fs::create_symlink(directory / "elsewhere", paths.owner);
  CHECK(absl::IsFailedPrecondition(AcquireOwnership(paths).status()));
}

TEST_CASE("modes are set right below a world, and links are left alone",
          "[journal][directory]") {
  const TemporaryDirectory directory;
  const WorldPaths paths(directory / "world");
  REQUIRE_OK(CreateWorldDirectory(paths));
  WriteWholeFile(directory / "outside", "x");
  fs::permissions(directory / "outside", fs::perms(0644));
  fs::create_symlink(directory / "outside", paths.db + "/link");
  WriteWholeFile(paths.db + "/000001.log", "x");
  fs::permissions(paths.db + "/000001.log", fs::perms(0644));
  fs::permissions(paths.db, fs::perms(0755));

  REQUIRE_OK(FixModes(paths));

  CHECK(ModeOf(paths.db) == 0700);
  CHECK(ModeOf(paths.db + "/000001.log") == 0600);
  CHECK(ModeOf(directory / "outside") == 0644);
}

}  // namespace
}  // namespace reenact
