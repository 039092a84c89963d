// A disk that says no, at the first call, the second, the third ... until none
// is left: the world stops with a clear error, has told nobody anything untrue,
// and opens when the disk is well again.

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "reenact/harness/disk/faulty_disk.h"
#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using What = disk::Call::What;
using disk::Calls;
using disk::Fault;

const Workload kWorkloads[] = {
    {.name = "made", .inputs = 4, .round_limit = 1},
    {.name = "snapshots",
     .seed = 2,
     .inputs = 10,
     .round_limit = 2,
     .snapshot_every = 2,
     .snapshots_kept = 1},
    {.name = "opened again", .seed = 3, .inputs = 12, .sessions = 3},
    {.name = "opened again by two",
     .seed = 4,
     .inputs = 16,
     .sessions = 2,
     .snapshot_every = 3,
     .workers = 2},
};

constexpr std::uint32_t kReads = Calls({What::kRead});
constexpr std::uint32_t kWrites = Calls({What::kWrite});
constexpr std::uint32_t kSyncs = Calls({What::kSync, What::kSyncDirectory});
constexpr std::uint32_t kNames = Calls(
    {What::kOpen, What::kCreate, What::kReplace, What::kRename, What::kLink,
     What::kRemove, What::kMakeDirectory, What::kTruncate, What::kList});

// The whole workload's truth, from a run that nothing disturbs.
Truth TruthOf(const Workload& workload) {
  Scratch scratch;
  REQUIRE(RunWorkload(workload, scratch / "world").ok());
  return Truth(workload, scratch / "world");
}

bool IsForCallers(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kPermissionDenied:
      return true;
    default:
      return false;
  }
}

// A run with one fault, and what it told its callers.
class FaultyRun {
 public:
  FaultyRun(const Workload& workload, const std::string& path,
            const Fault& fault)
      : disk_(fault) {
    disk_.SetFiring([this](const disk::Call& call) { Fires(call); });
    disk::Watch watch(&disk_);
    status_ = RunWorkload(workload, path, [this](World* world) {
      if (world == nullptr) told_ = Told();
      open_.store(world);
    });
  }

  bool fired() const { return disk_.fired() > 0; }
  const absl::Status& status() const { return status_; }
  std::uint64_t told() const { return told_; }
  // What had been told when the journal's log or HEAD failed.
  std::uint64_t told_at_failure() const { return told_at_failure_; }

 private:
  std::uint64_t Told() const {
    World* const world = open_.load();
    return std::max(told_.load(),
                    world == nullptr ? 0 : world->durable().value);
  }
  void Fires(const disk::Call& call) {
    const bool journal =
        call.path.ends_with(".log") || call.path.ends_with("/HEAD");
    const bool written = call.what == What::kWrite || call.what == What::kSync;
    std::uint64_t none = ~std::uint64_t{0};
    if (journal && written) {
      told_at_failure_.compare_exchange_strong(none, Told());
    }
  }

  disk::FaultyDisk disk_;
  absl::Status status_;
  std::atomic<World*> open_{nullptr};
  std::atomic<std::uint64_t> told_{0};
  std::atomic<std::uint64_t> told_at_failure_{~std::uint64_t{0}};
};

// One fault at its n-th place, for n = 1, 1 + share, 1 + 2 share ... Returns
// how many there were.
std::uint64_t Sweep(const Truth& truth, Fault fault, std::uint64_t share) {
  Scratch scratch;
  std::uint64_t faults = 0;
  for (fault.nth = 1;; fault.nth += share) {
    const std::string path = scratch.Fresh();
    FaultyRun run(truth.workload(), path, fault);
    INFO(truth.workload().name
         << ", errno " << fault.error << ", calls " << fault.calls
         << ", number " << fault.nth << (fault.for_good ? " and on" : "")
         << (fault.half ? ", half" : "") << ": " << run.status());
    if (!run.fired()) {
      CHECK(run.status().ok());
      return faults;
    }
    ++faults;
    if (!run.status().ok()) CHECK(IsForCallers(run.status().code()));
    CHECK(run.told() <= run.told_at_failure());
    CHECK(truth.Judge(path, run.told()) == "");
    if (faults % 8 == 0) CHECK(truth.GoOn(path) == "");
    std::filesystem::remove_all(path);
  }
}

void SweepAll(std::uint32_t calls, int error, bool half,
              std::uint64_t share = kShare) {
  const disk::Watch quick(nullptr);
  std::uint64_t faults = 0;
  for (const Workload& workload : kWorkloads) {
    const Truth truth = TruthOf(workload);
    for (const bool for_good : {false, true}) {
      faults += Sweep(truth, {calls, error, 1, for_good, half}, share);
    }
  }
  Score("injected input/output errors", faults);
}

TEST_CASE("chaos 11: an error of the n-th write, or of it and all after it",
          "[chaos]") {
  SweepAll(kWrites, EIO, false);
}
TEST_CASE("chaos 11: an error of the n-th read, or of it and all after it",
          "[chaos]") {
  SweepAll(kReads, EIO, false);
}
TEST_CASE("chaos 11: an error of the n-th open, rename, link or removal",
          "[chaos]") {
  SweepAll(kNames, EIO, false);
}
TEST_CASE("chaos 12: an error of the n-th sync poisons what was to follow",
          "[chaos]") {
  SweepAll(kSyncs, EIO, false);
}
TEST_CASE("chaos 14: a full disk at the n-th write, half of which is written",
          "[chaos]") {
  SweepAll(kWrites, ENOSPC, true);
}

// A store that was full used to end the process, or, where it was a compaction
// that found it out, to go on: the database resumed by itself, and is asked for
// its own errors now. Commits to one whose n-th write or sync of such a file
// finds the disk full, once. False: that was while it was made, or not at all.
bool StopsForGood(const char* file, std::uint64_t nth) {
  CAPTURE(file, nth);
  disk::FaultyDisk full(
      {.calls = kWrites | kSyncs, .error = ENOSPC, .nth = nth, .below = file});
  disk::Watch watch(&full);
  Scratch scratch;
  RocksDbOptions options;
  options.create = true;
  options.write_buffer_bytes = 64 << 10;
  const auto store = OpenRocksDbStore(scratch.Fresh(), options);
  if (!store.ok()) return false;
  const auto commit = [&store] {
    CommitGroup group;
    group.first_index = (*store)->block_count();
    group.blocks.push_back(Bytes(4096, 'b'));
    return (*store)->Commit(group, /*sync=*/false);
  };
  absl::Status status;
  for (int i = 0; i < 400 && status.ok(); ++i) status = commit();
  if (full.fired() == 0) return false;
  // What a thread of the database finds is known a moment later.
  for (int i = 0; i < 10'000 && status.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    status = commit();
  }
  CHECK(absl::IsResourceExhausted(status));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(commit().ok());
  return true;
}

TEST_CASE(
    "chaos 14: a database that found the disk full beside commits stops, and "
    "does "
    "not go on by itself when there is room",
    "[chaos]") {
  int stopped = 0;
  for (const char* file : {".sst", "MANIFEST"}) {
    for (std::uint64_t nth = 1; nth < 24; ++nth) {
      stopped += StopsForGood(file, nth) ? 1 : 0;
    }
  }
  CHECK(stopped > 3);
}

// The places are those of chaos 11; what the system says is another.
const std::uint64_t kSome = ForTier(2, 1) * kShare;

TEST_CASE("chaos 22: no descriptor for the n-th file", "[chaos]") {
  SweepAll(kNames, EMFILE, false, kSome);
}
TEST_CASE("chaos 22: a disk that may only be read, from the n-th name on",
          "[chaos]") {
  SweepAll(kNames, EROFS, false, kSome);
}
TEST_CASE("chaos 22: a quota is used up at the n-th write", "[chaos]") {
  SweepAll(kWrites, EDQUOT, false, kSome);
}

}  // namespace
}  // namespace reenact
