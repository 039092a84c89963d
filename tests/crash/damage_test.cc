// Whatever is damaged at rest: a refusal that says where, or no harm. Never a
// wrong state.

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "reenact/journal/archive.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/snapshot_file.h"
#include "tests/crash/crash_world.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

void MakeWorld(const std::string& path, std::uint64_t inputs) {
  auto world = World::Open(CrashOptions(9, path));
  REQUIRE_OK(world);
  std::vector<Input> some = CrashInputs(9);
  some.resize(inputs);
  InputList source(std::move(some), (*world)->position());
  REQUIRE_OK((*world)->Feed(source));
  REQUIRE_OK((*world)->Close());
}

std::vector<std::string> FilesOf(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& file : fs::recursive_directory_iterator(directory)) {
    if (file.is_regular_file()) {
      files.push_back(fs::relative(file.path(), directory).string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// db/000012.sst is "db/*.sst": RocksDB's numbers vary.
std::string KindOf(const std::string& file) {
  if (file.rfind("snapshots/", 0) == 0) return "snapshots/*";
  if (file.rfind("db/", 0) != 0) return file;
  const std::string name = file.substr(3);
  if (name.find('.') != name.npos && std::isdigit(name[0])) {
    return "db/*" + name.substr(name.find('.'));
  }
  return "db/" + name.substr(0, name.find('-'));
}

struct Truth {
  std::vector<Bytes> blocks;
  StateMap states;
};

// Opens the world and reads all of it. Empty: it is as it was. Else why not.
std::string Examine(const std::string& path, const Truth& truth) {
  {
    auto world = World::Open(CrashOptions(9, path));
    if (!world.ok()) return world.status().ToString();
    const absl::Status closed = (*world)->Close();
    if (!closed.ok()) return closed.ToString();
  }
  const auto archive = Archive::Open(path);
  if (!archive.ok()) return archive.status().ToString();
  std::vector<Bytes> blocks;
  absl::Status status = (*archive)->store().ScanBlocks(
      0, [&blocks](std::uint64_t, BytesView stored) {
        blocks.emplace_back(stored);
        return absl::OkStatus();
      });
  if (!status.ok()) return status.ToString();
  status =
      (*archive)->ScanEntries(0, [](const BlockHeader&, const Entry&,
                                    BytesView) { return absl::OkStatus(); });
  if (!status.ok()) return status.ToString();
  StateMap states;
  status = (*archive)->store().View()->ScanAll(
      [&states](ReducerId reducer, std::string_view key, EventId,
                BytesView state) {
        states[{reducer, std::string(key)}] = Bytes(state);
        return absl::OkStatus();
      });
  if (!status.ok()) return status.ToString();
  CHECK((blocks == truth.blocks));
  CHECK((states == truth.states));
  return "";
}

// Files that decide nothing: what RocksDB keeps for people, locks, and what
// opening does not need when the rest is whole.
const std::set<std::string> kHarmless = {
    "OWNER",   "HEAD",       "db/LOG",           "db/OPTIONS", "db/IDENTITY",
    "db/LOCK", "db/LOG.old", "db/MANIFEST.tail", "snapshots/*"};

TEST_CASE("chaos 17: a flipped bit anywhere is a refusal or no harm",
          "[crash]") {
  TemporaryDirectory directory;
  MakeWorld(directory / "world", 60);
  const Truth truth{BlocksOf(directory / "world"),
                    StatesOf(directory / "world")};
  Dice dice(4);
  int refused = 0;
  for (const std::string& file : FilesOf(directory / "world")) {
    const auto size = fs::file_size(directory / ("world/" + file));
    for (int i = 0; i < 6 && size > 0; ++i) {
      const std::uint64_t bit = dice.Below(8 * size);
      CAPTURE(file, size, bit);
      fs::copy(directory / "world", directory / "flipped",
               fs::copy_options::recursive);
      const std::string path = directory / ("flipped/" + file);
      std::string bytes = ReadWholeFile(path);
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      WriteWholeFile(path, bytes);
      if (KindOf(file) == "snapshots/*") {
        CHECK(ReadSnapshotFile(path).status().code() ==
              absl::StatusCode::kDataLoss);
      }
      const std::string problem = Examine(directory / "flipped", truth);
      INFO(problem);
      if (problem.empty()) {
        // An unused tail of a block of a log does no harm either.
        CHECK((kHarmless.count(KindOf(file)) == 1 || file == "WORLD" ||
               file.rfind("db/", 0) == 0));
      } else {
        CHECK(problem.find(directory / "flipped") != problem.npos);
        ++refused;
      }
      fs::remove_all(directory / "flipped");
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("chaos 21: a file that is gone or empty is a refusal or no harm",
          "[crash]") {
  TemporaryDirectory directory;
  MakeWorld(directory / "world", 60);
  const Truth truth{BlocksOf(directory / "world"),
                    StatesOf(directory / "world")};
  std::set<std::string> harmless;
  for (const std::string& file : FilesOf(directory / "world")) {
    for (const bool gone : {true, false}) {
      CAPTURE(file, gone);
      fs::copy(directory / "world", directory / "less",
               fs::copy_options::recursive);
      if (gone) {
        fs::remove(directory / ("less/" + file));
      } else {
        fs::resize_file(directory / ("less/" + file), 0);
      }
      const std::string problem = Examine(directory / "less", truth);
      INFO(problem);
      if (problem.empty()) {
        harmless.insert(KindOf(file));
        CHECK(kHarmless.count(KindOf(file)) == 1);
      } else {
        CHECK(problem.find(directory / "less") != problem.npos);
      }
      fs::remove_all(directory / "less");
    }
  }
  CHECK(harmless.count("HEAD") == 0);
  CHECK(harmless.count("WORLD") == 0);
  CHECK(harmless.count("db/CURRENT") == 0);
}

TEST_CASE("chaos 53: a damaged snapshot is passed over for an older one",
          "[crash]") {
  TemporaryDirectory directory;
  const std::string path = directory / "world";
  MakeWorld(path, 200);
  const std::string head = ReadWholeFile(path + "/HEAD");
  const auto blocks = BlocksOf(path);
  const auto states = StatesOf(path);
  REQUIRE(SnapshotsOf(path).size() >= 2);
  const auto snapshots = ListSnapshots(path + "/snapshots");
  REQUIRE_OK(snapshots);
  MakeWorld(path, 400);
  // Back to where HEAD was, with cells that are ahead of it.
  WriteWholeFile(path + "/HEAD", head);
  {
    const auto store = OpenRocksDbStore(path + "/db", {});
    REQUIRE_OK(store);
    REQUIRE_OK((*store)->CutBlocks(blocks.size()));
    REQUIRE_OK((*store)->Close());
  }
  const auto all = ListSnapshots(path + "/snapshots");
  REQUIRE_OK(all);
  for (const EventId later : *all) {
    if (later > snapshots->back()) {
      fs::remove(WorldPaths(path).Snapshot(later));
    }
  }
  const std::string newest = WorldPaths(path).Snapshot(snapshots->back());
  std::string bytes = ReadWholeFile(newest);
  bytes[bytes.size() / 2] ^= 1;
  WriteWholeFile(newest, bytes);

  auto world = World::Open(CrashOptions(9, path));
  REQUIRE_OK(world);
  const OpenReport& report = (*world)->open_report();
  CHECK(report.cells_rebuilt);
  CHECK(report.snapshot_used == (*snapshots)[snapshots->size() - 2]);
  REQUIRE(report.warnings.size() == 1);
  CHECK(report.warnings[0].find(newest) != std::string::npos);
  REQUIRE_OK((*world)->Close());
  CHECK((BlocksOf(path) == blocks));
  CHECK((StatesOf(path) == states));
}

}  // namespace
}  // namespace reenact
