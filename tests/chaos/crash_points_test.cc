// A crash before every single operation on the disk, with whatever it may
// leave: the world opens, and nothing that was acknowledged is lost.

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "reenact/harness/dice.h"
#include "reenact/harness/disk/recorded_disk.h"
#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/harness/scoreboard.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"

namespace reenact {
namespace {

using disk::Damage;
using Kind = Damage::Kind;

constexpr SyncPolicy kNoSync{SyncPolicy::Kind::kNone, 0};

const Workload kWorkloads[] = {
    {.name = "made and closed", .inputs = 0},
    {.name = "one ticket a round", .seed = 2, .inputs = 12, .round_limit = 1},
    {.name = "rounds of four", .seed = 3},
    {.name = "two workers", .seed = 4, .workers = 2},
    {.name = "snapshots", .seed = 5, .snapshot_every = 4},
    {.name = "snapshots, two kept",
     .seed = 6,
     .snapshot_every = 2,
     .snapshots_kept = 2},
    {.name = "opened again", .seed = 7, .sessions = 4},
    {.name = "opened again, with snapshots",
     .seed = 8,
     .inputs = 60,
     .sessions = 3,
     .snapshot_every = 5,
     .snapshots_kept = 1},
    {.name = "asked for things", .seed = 9, .sessions = 2, .asks = true},
    {.name = "never synced before the end",
     .seed = 10,
     .sessions = 2,
     .sync = kNoSync},
};

// Cuts everywhere, counts, and says where something was wrong.
class Sweep {
 public:
  explicit Sweep(const Workload& workload) : recorded_(Record(workload)) {}

  std::size_t size() const { return recorded_.log.size() + 1; }

  // Before operation `count`; images that were judged before are not again.
  void Cut(std::size_t count, const Damage& damage) {
    disk::Image image = ImageOf(count, damage);
    ++points_;
    if (image == last_) return;
    last_ = image;
    INFO(recorded_.truth.workload().name << ", before " << count << " ("
                                         << Describe(recorded_.log, count)
                                         << "), " << Describe(damage));
    const std::string path = scratch_.Fresh();
    Judge(image, path);
    std::filesystem::remove_all(path);
  }

  // Recovers from `count`, is cut in that, and so on, `depth` times in all.
  void CutRecovery(std::size_t count, const Damage& damage, int depth,
                   Dice* dice) {
    disk::Image image = ImageOf(count, damage);
    INFO(recorded_.truth.workload().name << ", before " << count << ", "
                                         << Describe(damage));
    Deeper(image, depth, dice);
  }

  std::string What(std::size_t k) const { return Describe(recorded_.log, k); }
  std::uint64_t cycles() const { return cycles_; }
  std::uint64_t points() const { return points_; }

 private:
  disk::Image ImageOf(std::size_t count, const Damage& damage) const {
    disk::Image image = AfterCrash(recorded_.log, count, damage);
    const SyncPolicy& sync = recorded_.truth.workload().sync;
    if (sync.kind != SyncPolicy::Kind::kEveryBlock &&
        damage.kind != Kind::kKilled) {
      image.acknowledged = 0;  // nothing was promised
    }
    return image;
  }

  void Judge(const disk::Image& image, const std::string& path) {
    ++cycles_;
    const absl::Status written = Write(image, path);
    std::string problem = written.ok() ? "" : written.ToString();
    if (problem.empty()) {
      problem = recorded_.truth.Judge(path, image.acknowledged);
    }
    if (problem.empty() && cycles_ % 16 == 0) {
      problem = recorded_.truth.GoOn(path);
    }
    CHECK(problem == "");
  }

  void Deeper(const disk::Image& image, int depth, Dice* dice) {
    const std::string path = scratch_.Fresh();
    REQUIRE(Write(image, path).ok());
    disk::RecordedDisk recorder(path);
    const std::uint64_t told = image.acknowledged;
    std::string problem;
    {
      disk::Watch watch(&recorder);
      problem = recorded_.truth.Judge(path, told);
      ++cycles_;
    }
    CHECK(problem == "");
    const disk::Log log = recorder.TakeLog();
    std::filesystem::remove_all(path);
    if (depth == 0) return;
    for (int i = 0; i < 4; ++i) {
      const std::size_t count =
          recorder.first() + dice->Below(log.size() + 1 - recorder.first());
      disk::Image next = AfterCrash(log, count, DrawDamage(dice));
      INFO("then before " << count << " (" << Describe(log, count) << ")");
      next.acknowledged = told;
      Deeper(next, depth - 1, dice);
    }
  }

  static Damage DrawDamage(Dice* dice) {
    const std::uint64_t what = dice->Below(4);
    if (what == 0) return {Kind::kKilled};
    if (what == 1) return {Kind::kDropped};
    return {Kind::kDrawn, dice->Next()};
  }

  const disk::Watch quick_{nullptr};
  Recorded recorded_;
  Scratch scratch_;
  disk::Image last_;
  std::uint64_t cycles_ = 0;
  std::uint64_t points_ = 0;
};

void Report(const Sweep& sweep) {
  Score("crash points", sweep.points());
  Score("in-memory crash/recover cycles", sweep.cycles());
}

const Workload& EachWorkload() {
  const auto index = GENERATE(range<std::size_t>(0, std::size(kWorkloads)));
  return kWorkloads[index];
}

TEST_CASE("chaos 02: killed before every operation on the disk, it opens",
          "[chaos]") {
  Sweep sweep(EachWorkload());
  for (std::size_t k = 0; k < sweep.size(); k += kShare) {
    sweep.Cut(k, {Kind::kKilled});
  }
  Report(sweep);
}

TEST_CASE(
    "chaos 04: the power goes before every operation on the disk, and "
    "nothing unsynced is there",
    "[chaos]") {
  Sweep sweep(EachWorkload());
  for (std::size_t k = 0; k < sweep.size(); k += kShare) {
    sweep.Cut(k, {Kind::kDropped});
  }
  Report(sweep);
}

TEST_CASE("chaos 05: a power cut tears unsynced sectors, and the world opens",
          "[chaos]") {
  Sweep sweep(EachWorkload());
  const std::uint64_t seeds = ForTier(3, 25);
  for (std::size_t k = 0; k < sweep.size(); k += kShare) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      sweep.Cut(k, {Kind::kDrawn, seed});
    }
  }
  Report(sweep);
}

TEST_CASE("chaos 06: a crash in the recovery from a crash is one more crash",
          "[chaos]") {
  Sweep sweep(EachWorkload());
  Dice dice(6);
  const std::uint64_t cuts = ForTier(12, 120) / kShare + 1;
  for (std::uint64_t i = 0; i < cuts; ++i) {
    sweep.CutRecovery(dice.Below(sweep.size()), {Kind::kDrawn, dice.Next()}, 2,
                      &dice);
  }
  Report(sweep);
}

TEST_CASE(
    "chaos 07: the power goes while a snapshot is written, synced, renamed or "
    "an "
    "old one removed",
    "[chaos]") {
  Sweep sweep(kWorkloads[5]);
  std::uint64_t cuts = 0;
  for (std::size_t k = 0; k < sweep.size(); ++k) {
    if (sweep.What(k).find("snapshots") == std::string::npos) continue;
    if (++cuts % kShare != 0) continue;
    sweep.Cut(k, {Kind::kKilled});
    sweep.Cut(k, {Kind::kDropped});
    for (std::uint64_t seed = 101; seed < 109; ++seed) {
      sweep.Cut(k, {Kind::kDrawn, seed});
    }
  }
  CHECK(cuts > 20);
  Report(sweep);
}

// For whoever reads a failure: what was done to the disk.
TEST_CASE("the operations of each workload", "[.operations]") {
  const Recorded recorded = Record(EachWorkload());
  WARN(recorded.truth.workload().name);
  for (std::size_t k = 0; k < recorded.log.size(); ++k) {
    std::printf("%4zu %s\n", k, Describe(recorded.log, k).c_str());
  }
}

}  // namespace
}  // namespace reenact
