// Snapshots are checked, not believed.

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "reenact/journal/directory/directory.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/plays.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using Catch::Contains;

VerifyReport MustVerify(const std::string& path, const Play& play,
                        bool from_snapshot) {
  VerifyOptions options;
  options.path = path;
  options.modules.push_back(ModuleOf(play));
  options.from_snapshot = from_snapshot;
  const auto report = Verify(options);
  REQUIRE_OK(report);
  return *report;
}

struct Loaded {
  SnapshotContents contents;
  std::map<CellRef, Bytes> cells;
};

Loaded Load(const std::string& path) {
  Loaded loaded;
  const auto contents = ReadSnapshotFile(
      path,
      [&loaded](ReducerId reducer, std::string_view key, BytesView state) {
        loaded.cells[{reducer, std::string(key)}] = Bytes(state);
        return absl::OkStatus();
      });
  REQUIRE_OK(contents);
  loaded.contents = *contents;
  return loaded;
}

// With digests that fit, so that the file by itself is in order.
void Store(const Loaded& loaded, const std::string& path) {
  Bytes bytes;
  SnapshotEncoder encoder(loaded.contents.header, loaded.contents.sequencer,
                          [&bytes](BytesView part) {
                            bytes.append(part);
                            return absl::OkStatus();
                          });
  for (const auto& [cell, state] : loaded.cells) {
    REQUIRE_OK(encoder.AddCell(cell.reducer, cell.key, state));
  }
  REQUIRE_OK(encoder.Finish());
  WriteWholeFile(path, bytes);
  REQUIRE_OK(ReadSnapshotFile(path));
}

// All snapshot files of a world, oldest first.
std::vector<std::string> FilesOf(const std::string& world) {
  std::vector<std::string> files;
  for (const auto& [name, bytes] : SnapshotsOf(world)) {
    files.push_back(world + "/snapshots/" + name);
  }
  return files;
}

TEST_CASE("a snapshot with other cells is damage, whatever its digests",
          "[replay]") {
  const Play play = BankPlay("declared", 60);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const std::vector<std::string> files = FilesOf(directory / "world");
  REQUIRE(files.size() >= 3);
  // Of the oldest, the newest and one in between.
  for (const std::string& file : {files.front(), files[1], files.back()}) {
    const Loaded honest = Load(file);
    const std::vector<std::function<void(Loaded*)>> kForgeries = {
        [](Loaded* l) { l->cells.begin()->second = Bytes("\x01"); },
        [](Loaded* l) { l->cells.rbegin()->second = Bytes("\x01"); },
        [](Loaded* l) { l->cells.erase(l->cells.begin()); },
        [](Loaded* l) {
          l->cells[{0, "nobody"}] = Bytes("\x01");
        },
    };
    for (const auto& forge : kForgeries) {
      Loaded forged = honest;
      forge(&forged);
      Store(forged, file);
      for (const bool from_snapshot : {false, true}) {
        if (from_snapshot && file != files.back()) continue;
        CAPTURE(file, from_snapshot);
        const VerifyReport report =
            MustVerify(directory / "world", play, from_snapshot);
        CHECK(report.verdict == Verdict::kDamaged);
        CHECK_THAT(report.problem, Contains(file) && Contains("cells"));
        CHECK_FALSE(report.divergence);
      }
    }
    Store(honest, file);
  }
  CHECK(MustVerify(directory / "world", play, false).verdict ==
        Verdict::kIdentical);
}

TEST_CASE("a snapshot of another moment or world is refused", "[replay]") {
  const Play play = BankPlay("events", 40);
  Play other = play;
  SetIdentity(99, other.config);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  RunPlay(other, directory / "other");
  const std::vector<std::string> files = FilesOf(directory / "world");
  const std::vector<std::string> others = FilesOf(directory / "other");
  REQUIRE(files.size() >= 3);
  const auto refused = [&](const std::string& file) {
    for (const bool from_snapshot : {false, true}) {
      const VerifyReport report =
          MustVerify(directory / "world", play, from_snapshot);
      CHECK(report.verdict == Verdict::kDamaged);
      CHECK_THAT(report.problem, Contains(file));
    }
  };
  SECTION("of another moment") {
    WriteWholeFile(files[0], ReadWholeFile(files[1]));
    refused(files[0]);
  }
  SECTION("of another world") {
    REQUIRE(files == FilesOf(directory / "world"));
    const std::string name =
        std::filesystem::path(files[1]).filename().string();
    WriteWholeFile(files[1],
                   ReadWholeFile(directory / ("other/snapshots/" + name)));
    refused(files[1]);
  }
  SECTION("of a moment that is not yet") {
    Loaded ahead = Load(files.back());
    ahead.contents.header.block_count += 100;
    Store(ahead, files.back());
    refused(files.back());
  }
  SECTION("of a moment when none was taken") {
    Loaded stray = Load(files[0]);
    const std::vector<Bytes> blocks = BlocksOf(directory / "world");
    SnapshotHeader& header = stray.contents.header;
    const auto block = DecodeBlock(blocks[header.block_count]);
    REQUIRE_OK(block);
    ++header.block_count;
    header.block_hash = block->hash;
    header.round = block->header.round;
    header.event_id = block->header.last();
    const std::string file =
        WorldPaths(directory / "world").Snapshot(header.event_id);
    REQUIRE_FALSE(std::filesystem::exists(file));
    Store(stray, file);
    const VerifyReport report = MustVerify(directory / "world", play, false);
    CHECK(report.verdict == Verdict::kDamaged);
    CHECK_THAT(report.problem, Contains(file));
  }
}

TEST_CASE("a snapshot with other queues is caught", "[replay]") {
  const Play play = TorturePlay(2, 80);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const std::vector<std::string> files = FilesOf(directory / "world");
  REQUIRE(files.size() >= 2);
  Loaded a = Load(files[0]);
  const Loaded b = Load(files[1]);
  REQUIRE(a.contents.sequencer != b.contents.sequencer);
  a.contents.sequencer = b.contents.sequencer;
  Store(a, files[0]);
  const VerifyReport report = MustVerify(directory / "world", play, false);
  CHECK(report.verdict == Verdict::kDamaged);
  CHECK_THAT(report.problem, Contains(files[0]));
}

TEST_CASE("a bit that flips in a snapshot is damage, and the file is named",
          "[replay]") {
  const Play play = CounterPlay(20);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const std::string file = FilesOf(directory / "world").at(0);
  const std::string bytes = ReadWholeFile(file);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
    WriteWholeFile(file, flipped);
    const VerifyReport report = MustVerify(directory / "world", play, false);
    CAPTURE(at, report.problem);
    CHECK(report.verdict == Verdict::kDamaged);
    CHECK_THAT(report.problem, Contains(file));
  }
}

}  // namespace
}  // namespace reenact
