// Each read of what a world does, in its turn: it fails, once, or one bit of it
// is wrong, once. What comes of it is the truth or a refusal, and what was
// written meanwhile is whole.

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/harness/disk/recorded_disk.h"
#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/journal/archive.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/replay/replay.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"
#include "tests/journal/store_fixture.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;
using What = disk::Call::What;

// What is wrong with one read.
enum class Fault { kFails, kFirstBit, kMiddleBit, kLastBit };
using Faults = std::vector<Fault>;
const Faults kAll = {Fault::kFails, Fault::kFirstBit, Fault::kMiddleBit,
                     Fault::kLastBit};
const Faults kSome = {Fault::kFails, Fault::kMiddleBit};

void Spoil(Fault fault, char* bytes, std::size_t size) {
  const std::size_t at = fault == Fault::kFirstBit
                             ? std::min<std::size_t>(20, size - 1)
                         : fault == Fault::kMiddleBit ? size / 2
                                                      : size - 1;
  bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
}

// The n-th read of paths that contain `below` is spoiled.
class BadRead final : public disk::Watcher {
 public:
  BadRead(Fault fault, std::uint64_t nth, std::string below = "")
      : fault_(fault), nth_(nth), below_(std::move(below)) {}

  int Before(disk::Call* call, std::uint64_t*) override {
    if (fault_ != Fault::kFails || call->what != What::kRead) return 0;
    return IsIt(call->path) ? EIO : 0;
  }
  void After(const disk::Call&, std::uint64_t) override {}
  void Read(std::string_view path, std::uint64_t, char* bytes,
            std::size_t size) override {
    if (fault_ != Fault::kFails && IsIt(path)) Spoil(fault_, bytes, size);
  }

  // Whether there were so many reads.
  bool fired() const { return seen_ >= nth_; }

 private:
  bool IsIt(std::string_view path) {
    // RocksDB writes down its options, and nobody goes by them.
    if (path.find("OPTIONS") != path.npos) return false;
    if (path.find(below_) == path.npos) return false;
    return ++seen_ == nth_;
  }

  const Fault fault_;
  const std::uint64_t nth_;
  const std::string below_;
  std::atomic<std::uint64_t> seen_{0};
};

// Tries each fault at each `share`-th read of what `body` does; `after` follows
// when the disk is well again. Returns how many there were.
std::uint64_t AtEachRead(const Faults& faults, std::uint64_t share,
                         const std::string& below,
                         const std::function<void()>& body,
                         const std::function<void()>& after) {
  std::uint64_t count = 0;
  for (const Fault fault : faults) {
    for (std::uint64_t nth = 1;; nth += share) {
      INFO("fault " << static_cast<int>(fault) << " at read " << nth << " of '"
                    << below << "'");
      BadRead bad(fault, nth, below);
      {
        const disk::Watch watch(&bad);
        body();
      }
      after();
      if (!bad.fired()) break;
      ++count;
    }
  }
  return count;
}

// --- cells that are handed over ----------------------------------------------

// Block `index` changes so many cells that a file of them has several blocks.
constexpr std::uint64_t kCells = 300;
std::string KeyOf(std::uint64_t index, std::uint64_t number) {
  return "cell " + std::to_string((97 * index + number) % 800);
}

CellMap CellsAfter(std::uint64_t block_count) {
  CellMap cells;
  for (std::uint64_t index = 0; index < block_count; ++index) {
    for (std::uint64_t i = 0; i < kCells; ++i) {
      cells[{1, KeyOf(index, i)}] = {index + 1, Bytes(100, 'x')};
    }
  }
  return cells;
}

// A store with so many files of cells.
absl::Status MakeStore(const std::string& path, std::uint64_t files) {
  RocksDbOptions options;
  options.create = true;
  options.write_buffer_bytes = 64 << 10;
  REENACT_ASSIGN_OR_RETURN(const auto store, OpenRocksDbStore(path, options));
  for (std::uint64_t index = 0; index < files; ++index) {
    GroupBuilder group(store.get());
    group.Block("block " + std::to_string(index));
    for (std::uint64_t i = 0; i < kCells; ++i) {
      group.Put(1, KeyOf(index, i), index + 1, Bytes(100, 'x'));
    }
    REENACT_RETURN_IF_ERROR(group.Commit());
  }
  return store->Close();
}

// The cells are those of the block that they say they are as of, from which
// opening goes on.
void CheckCells(const std::string& path) {
  RocksDbOptions options;
  options.read_only = true;
  const auto store = OpenRocksDbStore(path, options);
  if (absl::IsNotFound(store.status())) return;
  REQUIRE_OK(store);
  const std::uint64_t through = (*store)->cells_through();
  REQUIRE(through <= AllBlocks(**store).size());
  const CellMap cells = CellsAfter(through);
  CHECK((AllCells(**store) == cells));
  // A scan may come by a cell that nobody finds by its name.
  std::uint64_t found = 0;
  for (const auto& [name, cell] : cells) {
    const auto read = (*store)->ReadCell(name.first, name.second);
    REQUIRE_OK(read);
    found += read->has_value() ? 1 : 0;
  }
  CHECK(found == cells.size());
}

TEST_CASE(
    "trial 04d: no failed or wrong read while a file of cells is handed over "
    "loses a cell",
    "[chaos]") {
  Scratch scratch;
  std::string path;
  for (const char* below : {"cells.new", ".sst", ""}) {
    AtEachRead(
        kAll, 1, below,
        [&] {
          path = scratch.Fresh();
          MakeStore(path, 2).IgnoreError();
        },
        [&] {
          CheckCells(path);
          fs::remove_all(path);
        });
  }
}

TEST_CASE(
    "trial 04d: no failed or wrong read while files of cells become one loses "
    "a "
    "cell",
    "[chaos]") {
  Scratch scratch;
  std::string path;
  AtEachRead(
      kSome, (kShare + 1) / 2, ".sst",
      [&] {
        path = scratch.Fresh();
        MakeStore(path, 10).IgnoreError();
      },
      [&] {
        CheckCells(path);
        fs::remove_all(path);
      });
}

// Flips a bit of each file of cells on the disk, once it is synced.
class BitRot final : public disk::Watcher {
 public:
  explicit BitRot(std::size_t at) : at_(at) {}
  int Before(disk::Call*, std::uint64_t*) override { return 0; }
  void After(const disk::Call& call, std::uint64_t) override {
    if (call.what != What::kSync || !call.path.ends_with("cells.new")) return;
    const std::string path(call.path);
    std::string bytes = ReadWholeFile(path);
    if (at_ >= bytes.size()) return;
    bytes[at_] = static_cast<char>(bytes[at_] ^ 4);
    WriteWholeFile(path, bytes);
    ++fired_;
  }
  void Read(std::string_view, std::uint64_t, char*, std::size_t) override {}
  int fired() const { return fired_; }

 private:
  const std::size_t at_;
  std::atomic<int> fired_{0};
};

TEST_CASE(
    "trial 04d: a bit that flips in a file of cells before it is handed over "
    "ends the world, and the next one has all cells",
    "[chaos]") {
  const std::size_t at = GENERATE(0, 7, 100, 4000, 5000, 30000);
  Scratch scratch;
  const std::string path = scratch / "db";
  BitRot rot(at);
  {
    const disk::Watch watch(&rot);
    const absl::Status made = MakeStore(path, 2);
    REQUIRE(rot.fired() == 1);  // and then it ended
    CHECK(absl::IsDataLoss(made));
    CHECK_THAT(std::string(made.message()), Catch::Contains("cells.new"));
  }
  CheckCells(path);
}

// --- worlds ------------------------------------------------------------------

const Workload kWorkloads[] = {
    {.name = "many cells", .inputs = 1400, .keys = 3000, .round_limit = 40},
    {.name = "opened again, with snapshots",
     .seed = 2,
     .inputs = 240,
     .keys = 400,
     .sessions = 3,
     .round_limit = 24,
     .snapshot_every = 6},
};

Truth TruthOf(const Workload& workload) {
  Scratch scratch;
  REQUIRE_OK(RunWorkload(workload, scratch / "world"));
  return Truth(workload, scratch / "world");
}

TEST_CASE(
    "trial 04d: a world whose n-th read fails or is wrong goes on to the same "
    "state, or stops; and what it wrote is whole",
    "[chaos]") {
  std::uint64_t faults = 0;
  for (const Workload& workload : kWorkloads) {
    const Truth truth = TruthOf(workload);
    Scratch scratch;
    std::string path;
    faults += AtEachRead(
        kSome, ForTier(6, 1) * (kShare + 1) / 2, "",
        [&] {
          path = scratch.Fresh();
          RunWorkload(workload, path).IgnoreError();
        },
        [&] {
          INFO(workload.name);
          CHECK(truth.Judge(path, 0) == "");
          fs::remove_all(path);
        });
  }
  CHECK(faults > 10);
  Score("reads that failed or were wrong", faults);
}

// One byte of the n-th read of snapshots is wrong.
class BadByte final : public disk::Watcher {
 public:
  BadByte(std::uint64_t nth, std::size_t at) : nth_(nth), at_(at) {}
  int Before(disk::Call*, std::uint64_t*) override { return 0; }
  void After(const disk::Call&, std::uint64_t) override {}
  void Read(std::string_view path, std::uint64_t, char* bytes,
            std::size_t size) override {
    if (!path.ends_with(".snap") || ++seen_ != nth_ || at_ >= size) return;
    bytes[at_] = static_cast<char>(bytes[at_] ^ 1);
    fired_ = true;
  }
  bool fired() const { return fired_; }

 private:
  const std::uint64_t nth_;
  const std::size_t at_;
  std::uint64_t seen_ = 0;
  bool fired_ = false;
};

// A snapshot is read twice: first to see that it has its digest.
TEST_CASE("trial 04d: no byte of a snapshot that is misread is believed",
          "[chaos]") {
  Scratch scratch;
  REQUIRE_OK(RunWorkload(
      {.name = "snapshot", .inputs = 12, .keys = 4, .snapshot_every = 3},
      scratch / "w"));
  const std::vector<EventId> all =
      ListSnapshots(WorldPaths(scratch / "w").snapshots).value();
  REQUIRE(!all.empty());
  const std::string path = WorldPaths(scratch / "w").Snapshot(all.back());
  const auto truth = ReadSnapshotFile(path);
  REQUIRE_OK(truth);
  std::uint64_t faults = 0;
  for (std::uint64_t nth = 1; nth <= 3; ++nth) {
    for (std::size_t at = 0;; ++at) {
      INFO("read " << nth << ", byte " << at);
      BadByte bad(nth, at);
      const disk::Watch watch(&bad);
      const auto read = ReadSnapshotFile(path);
      if (!bad.fired()) break;
      ++faults;
      CHECK_FALSE(read.ok());
    }
  }
  CHECK(faults > 1000);
  Score("reads that failed or were wrong", faults);
}

// --- tools -------------------------------------------------------------------

// What tools read of a world, as one text; "": they could not.
std::string ReadAll(const std::string& path) {
  const auto archive = Archive::Open(path);
  if (!archive.ok()) return "";
  const auto digest = (*archive)->StateDigest();
  if (!digest.ok()) return "";
  std::string all = std::to_string((*archive)->head().value) + " " +
                    (*archive)->journal_digest().ToHex() + " " +
                    digest->ToHex();
  const EventId middle{(*archive)->head().value / 2};
  absl::Status status = (*archive)->ScanStateAt(
      std::nullopt, middle,
      [&all](ReducerId reducer, std::string_view key, BytesView state) {
        all += std::to_string(reducer);
        all += key;
        all += state;
        return absl::OkStatus();
      });
  if (!status.ok()) return "";
  status = (*archive)->ScanEntries(
      0, [&all](const BlockHeader&, const Entry&, BytesView bytes) {
        all += bytes;
        return absl::OkStatus();
      });
  return status.ok() ? all : "";
}

// As it was closed, and as it was killed after the last acknowledgement.
std::vector<disk::Image> ImagesOf(const Recorded& recorded) {
  std::size_t count = recorded.log.size();
  while (recorded.log[count - 1].kind != disk::Operation::Kind::kAcknowledged) {
    --count;
  }
  return {AfterCrash(recorded.log, recorded.log.size(), {}),
          AfterCrash(recorded.log, count + 2, {})};
}

TEST_CASE(
    "trial 04d: what tools read of a world is the same, or an error, whichever "
    "read fails or is wrong",
    "[chaos]") {
  const Recorded recorded = Record(kWorkloads[1]);
  Scratch scratch;
  std::uint64_t faults = 0;
  for (const disk::Image& image : ImagesOf(recorded)) {
    const std::string path = scratch.Fresh();
    REQUIRE_OK(Write(image, path));
    const std::string truth = ReadAll(path);
    REQUIRE(!truth.empty());
    std::uint64_t same = 0;
    const std::uint64_t here = AtEachRead(
        kSome, (kShare + 3) / 4, "",
        [&] {
          const std::string all = ReadAll(path);
          INFO(all.substr(0, 80) << " / " << truth.substr(0, 80));
          CHECK((all.empty() || all == truth));
          same += all.empty() ? 0 : 1;
        },
        [] {});
    CHECK(same < here);
    faults += here;
    CHECK(ReadAll(path) == truth);
  }
  Score("reads that failed or were wrong", faults);
}

TEST_CASE(
    "trial 04d: a verification whose n-th read fails or is wrong says "
    "identical, or damaged, and nothing else",
    "[chaos]") {
  const Recorded recorded = Record(kWorkloads[1]);
  Scratch scratch;
  std::uint64_t faults = 0;
  for (const bool from_snapshot : {false, true}) {
    const disk::Image image = ImagesOf(recorded)[from_snapshot ? 0 : 1];
    const std::string path = scratch.Fresh();
    REQUIRE_OK(Write(image, path));
    VerifyOptions options;
    options.path = path;
    options.modules.push_back(MakeTortureModule());
    options.threads = 1;
    options.run_twice = false;
    options.from_snapshot = from_snapshot;
    const auto truth = Verify(options);
    REQUIRE_OK(truth);
    REQUIRE(truth->verdict == Verdict::kIdentical);
    faults += AtEachRead(
        kSome, ForTier(6, 1) * (kShare + 1) / 2, "",
        [&] {
          const auto report = Verify(options);
          if (!report.ok()) return;
          INFO(VerdictName(report->verdict) << " " << report->problem);
          if (report->verdict == Verdict::kIdentical) {
            CHECK(report->head == truth->head);
            CHECK(report->journal == truth->journal);
            CHECK(report->state == truth->state);
          } else {
            CHECK(report->verdict == Verdict::kDamaged);
          }
        },
        [] {});
  }
  Score("reads that failed or were wrong", faults);
}

}  // namespace
}  // namespace reenact
