// Golden worlds replay to what they were, for ever.

#include "tests/golden/golden.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/history.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = REENACT_SOURCE_DIR "/tests/golden/";

// Verifies with 0 and 8 workers, from genesis and from the newest snapshot.
void RequireAsExpected(const std::string& world, const Play& play,
                       const Expectations& expected) {
  for (const std::size_t workers : {0U, 8U}) {
    for (const bool from_snapshot : {false, true}) {
      CAPTURE(workers, from_snapshot);
      VerifyOptions options;
      options.path = world;
      options.modules.push_back(ModuleOf(play));
      options.workers = workers;
      options.from_snapshot = from_snapshot;
      const auto report = Verify(options);
      REQUIRE_OK(report);
      INFO(report->problem);
      REQUIRE(report->verdict == Verdict::kIdentical);
      CHECK(std::to_string(report->head.value) == expected.at("head"));
      CHECK(report->journal.ToHex() == expected.at("journal"));
      CHECK(report->state.ToHex() == expected.at("state"));
      if (from_snapshot) {
        CHECK(report->from > EventId{0});
      } else {
        CHECK(std::to_string(report->failed_steps) == expected.at("failed"));
      }
    }
  }
}

TEST_CASE("golden worlds replay to what they were", "[golden]") {
  for (const auto& [name, play] : GoldenPlays()) {
    INFO(name);
    const TemporaryDirectory directory;
    const std::string world = directory / "world";
    WriteWorld(world, ReadJournal(kGolden + name));
    fs::create_directories(world + "/snapshots");
    fs::copy(kGolden + name + "/snapshots", world + "/snapshots",
             fs::copy_options::recursive);
    RequireAsExpected(world, play, ReadExpectations(kGolden + name));
  }
}

TEST_CASE("the same input makes the golden bytes again", "[golden]") {
  for (const auto& [name, play] : GoldenPlays()) {
    INFO(name);
    const TemporaryDirectory directory;
    WriteGolden(directory / name, play);
    for (const char* file : {"/journal.cborseq", "/expected.txt"}) {
      CHECK(ReadWholeFile(directory / name + file) ==
            ReadWholeFile(kGolden + name + file));
    }
    CHECK(SnapshotsOf(directory / name) == SnapshotsOf(kGolden + name));
  }
}

TEST_CASE("a world's directory that an older build wrote replays", "[golden]") {
  const TemporaryDirectory directory;
  fs::copy(kGolden + "counter-directory", directory / "world",
           fs::copy_options::recursive);
  RequireAsExpected(directory / "world", GoldenPlays().at("counter"),
                    ReadExpectations(kGolden + "counter"));
}

// Writes new golden worlds; see README.md.
TEST_CASE("write golden worlds", "[.write]") {
  const char* target = std::getenv("REENACT_GOLDEN");
  REQUIRE(target != nullptr);
  for (const auto& [name, play] : GoldenPlays()) {
    const std::string directory = std::string(target) + "/" + name;
    if (!fs::exists(directory)) WriteGolden(directory, play);
  }
}

TEST_CASE("write a golden directory", "[.write]") {
  const char* target = std::getenv("REENACT_GOLDEN");
  REQUIRE(target != nullptr);
  RunPlay(GoldenPlays().at("counter"),
          std::string(target) + "/counter-directory");
}

}  // namespace
}  // namespace reenact
