// A world whose directory is moved, removed, replaced or mounted over while it
// is open. It used to go on by the directory's name: it made and removed files
// of whatever world had that name by then, and both ended with success and
// damage.

#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/torture.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kInputs = 120;

WorldOptions OptionsOf(std::uint64_t seed, const std::string& path) {
  WorldOptions options;
  options.path = path;
  options.modules.push_back(MakeTortureModule());
  options.config = TortureConfig(seed);
  options.config.scheduling.round_limit = 4;
  options.config.snapshot_every = 5;
  options.snapshots_kept = 2;
  return options;
}

// Feeds what the world does not have yet of its first `count` inputs.
absl::Status Feed(World* world, std::uint64_t seed, std::uint64_t count) {
  std::vector<Input> inputs = TortureInputs({seed, kInputs, 20});
  inputs.resize(count);
  InputList source(std::move(inputs), world->position());
  return world->Feed(source);
}

std::vector<Bytes> WholeHistory(std::uint64_t seed) {
  const TemporaryDirectory directory;
  const auto world = World::Open(OptionsOf(seed, directory / "w"));
  REQUIRE_OK(world);
  // A world runs until nothing is left each time, so where it is fed counts.
  REQUIRE_OK(Feed(world->get(), seed, kInputs / 2));
  REQUIRE_OK(Feed(world->get(), seed, kInputs));
  REQUIRE_OK((*world)->Close());
  return BlocksOf(directory / "w");
}

void CheckReplays(const std::string& path) {
  VerifyOptions options;
  options.path = path;
  options.modules.push_back(MakeTortureModule());
  const auto report = Verify(options);
  REQUIRE_OK(report);
  INFO(report->problem);
  CHECK(report->verdict == Verdict::kIdentical);
}

// What happens to `path`, a world that is open; afterwards nothing is there, or
// an empty directory. Returns where the world is now; "": nowhere. nullopt: it
// is not permitted here.
using Happening =
    std::function<std::optional<std::string>(const std::string& path)>;

struct Case {
  const char* name;
  Happening happening;
};

const Case kCases[] = {
    {"removed",
     [](const std::string& path) {
       fs::remove_all(path);
       return std::optional<std::string>("");
     }},
    {"moved",
     [](const std::string& path) {
       fs::rename(path, path + ".bak");
       return std::optional<std::string>(path + ".bak");
     }},
    {"moved with the directory above",
     [](const std::string& path) {
       const fs::path above = fs::path(path).parent_path();
       fs::rename(above, above.string() + ".bak");
       fs::create_directory(above);
       return std::optional<std::string>(above.string() + ".bak/w");
     }},
    {"behind a link that leads elsewhere now",
     [](const std::string& path) {
       const fs::path above = fs::path(path).parent_path();
       fs::rename(above, above.string() + ".1");
       fs::create_directory(above.string() + ".2");
       fs::create_symlink(above.string() + ".2", above);
       return std::optional<std::string>(above.string() + ".1/w");
     }},
    {"mounted over",
     [](const std::string& path) -> std::optional<std::string> {
       fs::create_directory(path + ".other");
       if (::mount((path + ".other").c_str(), path.c_str(), nullptr, MS_BIND,
                   nullptr) != 0) {
         return std::nullopt;
       }
       return path;
     }},
};

TEST_CASE(
    "trial 06: a world whose directory is replaced while it is open ends with "
    "what happened, and harms neither the new world nor itself",
    "[world]") {
  static const std::vector<Bytes> old_history = WholeHistory(1);
  static const std::vector<Bytes> new_history = WholeHistory(2);
  const std::size_t which = GENERATE(range(std::size_t{0}, std::size(kCases)));
  const Case& now = kCases[which];
  const bool fed_after = GENERATE(false, true);
  CAPTURE(now.name, fed_after);
  const TemporaryDirectory directory;
  fs::create_directory(directory / "above");
  const std::string path = directory / "above/w";

  auto old_world = World::Open(OptionsOf(1, path));
  REQUIRE_OK(old_world);
  REQUIRE_OK(Feed(old_world->get(), 1, kInputs / 2));
  const std::optional<std::string> place = now.happening(path);
  if (!place) return;
  const bool mounted = *place == path;

  auto new_world = World::Open(OptionsOf(2, path));
  REQUIRE_OK(new_world);
  REQUIRE_OK(Feed(new_world->get(), 2, kInputs / 2));
  if (fed_after) {
    const absl::Status fed = Feed(old_world->get(), 1, kInputs);
    if (!fed.ok()) CHECK(absl::IsUnavailable(fed));
  }
  const absl::Status closed = (*old_world)->Close();
  old_world->reset();
  CHECK(absl::IsUnavailable(closed));
  CHECK_THAT(std::string(closed.message()),
             Catch::Contains(path + "/OWNER") &&
                 Catch::Contains("moved, removed or replaced"));
  REQUIRE_OK(Feed(new_world->get(), 2, kInputs));
  REQUIRE_OK((*new_world)->Close());
  new_world->reset();

  CHECK(BlocksOf(path) == new_history);
  CheckReplays(path);
  REQUIRE_OK(World::Open(OptionsOf(2, path)));
  if (mounted) REQUIRE(::umount2(path.c_str(), MNT_DETACH) == 0);
  if (place->empty()) return;
  // The old one goes on where it is now.
  const auto again = World::Open(OptionsOf(1, *place));
  REQUIRE_OK(again);
  REQUIRE_OK(Feed(again->get(), 1, kInputs));
  REQUIRE_OK((*again)->Close());
  CHECK(BlocksOf(*place) == old_history);
  CheckReplays(*place);
}

TEST_CASE("trial 06: a world is open whatever becomes of the working directory",
          "[world]") {
  const TemporaryDirectory directory;
  const fs::path before = fs::current_path();
  fs::current_path(directory.path());
  auto world = World::Open(OptionsOf(1, "w"));
  fs::current_path(before);
  REQUIRE_OK(world);
  REQUIRE_OK(Feed(world->get(), 1, kInputs));
  REQUIRE_OK((*world)->Close());
  CheckReplays(directory / "w");
}

}  // namespace
}  // namespace reenact
