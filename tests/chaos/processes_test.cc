// Real processes that die at every point that has a name, and at any moment.

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "reenact/base/instrument.h"
#include "reenact/harness/dice.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/journal/archive.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/replay/replay.h"
#include "tests/chaos/chaos_world.h"
#include "tests/chaos/scratch.h"
#include "tests/support/status_matchers.h"

extern char** environ;

namespace reenact {
namespace {

namespace fs = std::filesystem;

constexpr char kMidAppend[] = "D08 mid append";
constexpr char kBeforeSync[] = "D09 before the log's sync";

// A process that goes on with a world, and the numbers that it writes.
class Child {
 public:
  struct What {
    std::uint64_t seed = 1;
    std::uint64_t inputs = 60;
    std::uint64_t workers = 0;
    std::string sync = "every-block";
    std::string point = "-";
    std::uint64_t hit = 1;
  };
  Child(const std::string& directory, const What& what) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    posix_spawn_file_actions_t actions;
    REQUIRE(::posix_spawn_file_actions_init(&actions) == 0);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    ::posix_spawn_file_actions_addclose(&actions, ends[0]);
    ::posix_spawn_file_actions_addclose(&actions, ends[1]);
    std::string words[] = {REENACT_CHAOS_CHILD,
                           directory,
                           std::to_string(what.seed),
                           std::to_string(what.inputs),
                           std::to_string(what.workers),
                           what.sync,
                           what.point,
                           std::to_string(what.hit)};
    char* arguments[std::size(words) + 1] = {};
    for (std::size_t i = 0; i < std::size(words); ++i) {
      arguments[i] = words[i].data();
    }
    REQUIRE(::posix_spawn(&process_, arguments[0], &actions, nullptr, arguments,
                          environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    output_ = ends[0];
  }
  ~Child() {
    Signal(SIGKILL);
    int status = 0;
    if (!waited_) ::waitpid(process_, &status, 0);
    ::close(output_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The next number; false once the process has ended and all was read.
  bool Next(std::uint64_t* number) {
    return ::read(output_, number, sizeof *number) == sizeof *number;
  }
  void Signal(int signal) {
    if (!waited_) ::kill(process_, signal);
  }
  // The exit code, 137 if it was killed.
  int Wait() {
    int status = 0;
    REQUIRE(::waitpid(process_, &status, 0) == process_);
    waited_ = true;
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    return WEXITSTATUS(status);
  }

 private:
  pid_t process_ = 0;
  int output_ = -1;
  bool waited_ = false;
};

constexpr int kKilled = 137;

// Runs a child to its end. What it was told goes up; what it finds at its start
// must be at least what was told before.
int RunChild(const std::string& directory, const Child::What& what,
             std::uint64_t* told) {
  Child child(directory, what);
  std::uint64_t number = 0;
  bool first = true;
  while (child.Next(&number)) {
    if (first) CHECK(number >= *told);
    first = false;
    *told = std::max(*told, number);
  }
  return child.Wait();
}

void CheckReplays(const std::string& directory) {
  VerifyOptions verify;
  verify.path = directory;
  verify.modules = ChaosModules();
  verify.threads = 1;
  const auto report = Verify(verify);
  REQUIRE_OK(report);
  INFO(report->problem);
  CHECK(VerdictName(report->verdict) == VerdictName(Verdict::kIdentical));
}

// A world with a tail that is not whole and cells that are ahead of it, so that
// opening has to cut and to build anew.
void MakeTornWorld(const std::string& directory, const Child::What& what) {
  std::uint64_t told = 0;
  REQUIRE(RunChild(directory, what, &told) == 0);
  auto store = OpenRocksDbStore(WorldPaths(directory).db, {});
  REQUIRE_OK(store);
  CellBatch cells;
  cells.Add(0, "torn", EventId{told + 1}, cbor::EncodeInteger(1));
  CommitGroup group;
  group.blocks = {"no block"};
  group.first_index = (*store)->block_count();
  group.cells = {&cells};
  REQUIRE_OK((*store)->Commit(group, true));
  REQUIRE_OK((*store)->Close());
}

std::set<std::string> AllFailpoints() {
  std::set<std::string> names = {kMidAppend, kBeforeSync};
  for (const instrument::Point& point : instrument::Points()) {
    if (point.kind == instrument::Kind::kFailpoint) names.insert(point.name);
  }
  return names;
}

// Kills at one point, then goes on without. Whether it was killed.
bool KillOnce(const std::string& directory, Child::What what) {
  std::uint64_t told = 0;
  const int code = RunChild(directory, what, &told);
  CHECK((code == kKilled || code == 0));
  // Without syncs, told is what the system was given: a kill loses none of it.
  const bool killed = code == kKilled;
  what.point = "-";
  CHECK(RunChild(directory, what, &told) == 0);
  return killed;
}

// Those of the plan are met by any world that works.
bool IsDurabilityPoint(const std::string& name) {
  return name[0] == 'D' && std::isdigit(name[1]) != 0;
}

class KillMatrix {
 public:
  KillMatrix() {
    std::uint64_t told = 0;
    REQUIRE(RunChild(scratch_ / "half", {}, &told) == 0);
    MakeTornWorld(scratch_ / "torn", {});
  }

  // Kills in a copy of `from` ("": in a new world); whether it was.
  bool Kill(const std::string& from, const Child::What& what, bool replay) {
    INFO(what.point << ", time " << what.hit << ", " << what.workers
                    << " workers, from '" << from << "'");
    const std::string directory = scratch_.Fresh();
    if (!from.empty()) {
      fs::copy(scratch_ / from, directory, fs::copy_options::recursive);
    }
    const bool killed = KillOnce(directory, what);
    if (replay) CheckReplays(directory);
    fs::remove_all(directory);
    kills_ += killed ? 1 : 0;
    return killed;
  }

  // Wherever it is met: by a new world, one that is opened, one that has to be
  // mended, one that works for longer alone, and one that seldom syncs.
  bool KillSomewhere(const std::string& point) {
    Child::What what;
    what.inputs = 120;
    what.workers = 2;
    what.point = point;
    for (const char* from : {"", "half", "torn"}) {
      if (Kill(from, what, true)) return true;
    }
    what.inputs = 600;
    what.workers = 0;
    if (Kill("", what, true)) return true;
    what.sync = "none";
    return Kill("half", what, true);
  }

  std::uint64_t kills() const { return kills_; }

 private:
  Scratch scratch_;
  std::uint64_t kills_ = 0;
};

TEST_CASE(
    "chaos 01: killed at every failpoint, first to third time, with one to "
    "eight workers",
    "[chaos]") {
  const std::set<std::string> names = AllFailpoints();
  CHECK(names.size() >= 40);
  KillMatrix matrix;
  for (const std::string& name : names) {
    if (!IsDurabilityPoint(name)) {
      INFO(name);
      CHECK(matrix.KillSomewhere(name));
      continue;
    }
    std::uint64_t killed = 0;
    for (const std::uint64_t hit : {1, 2, 3}) {
      for (const std::uint64_t workers : {1, 2, 4, 8}) {
        Child::What what;
        what.workers = workers;
        what.point = name;
        what.hit = hit;
        killed += matrix.Kill("", what, workers == 2) ? 1 : 0;
      }
    }
    INFO(name);
    CHECK(killed > 0);
  }
  CHECK(matrix.kills() >= 240);
  Score("real process kills", matrix.kills());
  Score("failpoints hit", names.size());
}

// Each intent that was queued has been answered, once.
void CheckEffects(const std::string& directory) {
  const auto archive = Archive::Open(directory);
  REQUIRE_OK(archive);
  std::map<std::string, int> receipts;
  std::set<std::string> queued;
  REQUIRE_OK((*archive)->ScanEntries(
      0, [&](const BlockHeader&, const Entry& entry, BytesView) {
        if (const auto* effect = std::get_if<entry::EffectQueued>(&entry)) {
          CHECK(queued.insert(effect->intent_hash.ToHex()).second);
        }
        if (const auto* got = std::get_if<entry::ReceiptAppended>(&entry)) {
          ++receipts[got->receipt.intent_hash.ToHex()];
        }
        return absl::OkStatus();
      }));
  CHECK(!queued.empty());
  for (const auto& [hash, count] : receipts) {
    CHECK(count == 1);
    CHECK(queued.count(hash) == 1);
  }
}

TEST_CASE(
    "chaos 08: killed between the sync, the handing out of an effect, its "
    "receipt "
    "and what that changes, nothing is handed out before it is durable, or "
    "answered twice",
    "[chaos]") {
  Scratch scratch;
  std::uint64_t kills = 0;
  for (const std::string& point : AllFailpoints()) {
    if (point < "D10" || point >= "D16") continue;
    for (const std::uint64_t hit : {1, 4, 6}) {
      Child::What what;
      what.workers = 2;
      what.point = point;
      what.hit = hit;
      INFO(point << ", time " << hit);
      const std::string directory = scratch.Fresh();
      kills += KillOnce(directory, what) ? 1 : 0;
      CheckReplays(directory);
      CheckEffects(directory);
      fs::remove_all(directory);
    }
  }
  CHECK(kills >= 12);
  Score("real process kills", kills);
}

TEST_CASE(
    "chaos 03: a process ends before every call of the system that changes the "
    "disk",
    "[chaos]") {
  KillMatrix matrix;
  for (const char* from : {"", "half"}) {
    Child::What what;
    what.inputs = from[0] == '\0' ? 12 : 72;
    what.point = "a call";
    for (what.hit = 1;; ++what.hit) {
      if (!matrix.Kill(from, what, what.hit % 8 == 0)) break;
    }
    CHECK(what.hit > 50);
  }
  Score("real process kills", matrix.kills());
}

TEST_CASE(
    "chaos 10: one world killed again and again, with other workers and "
    "caches each time, is the world that was not",
    "[chaos]") {
  Scratch scratch;
  Dice dice(10);
  const std::uint64_t wanted = ForTier(240, 10'000);
  std::uint64_t kills = 0;
  for (std::uint64_t seed = 1; kills < wanted; ++seed) {
    const std::string directory = scratch.Fresh();
    std::uint64_t told = 0;
    Child::What what;
    what.seed = seed;
    what.inputs = 2000;
    for (bool killed = true; killed;) {
      what.workers = dice.Below(9);
      what.hit = 1 + dice.Below(6);
      INFO("seed " << seed << ", kills " << kills);
      Child child(directory, what);
      std::uint64_t left = dice.Below(60);
      std::uint64_t number = 0;
      bool first = true;
      while (child.Next(&number)) {
        if (first) CHECK(number >= told);
        first = false;
        told = std::max(told, number);
        if (left-- == 0) child.Signal(SIGKILL);
      }
      const int code = child.Wait();
      CHECK((code == 0 || code == kKilled));
      killed = code == kKilled;
      kills += killed ? 1 : 0;
      if (killed && kills >= wanted) break;
    }
    CheckReplays(directory);
    fs::remove_all(directory);
  }
  Score("real process kills", kills);
}

TEST_CASE(
    "chaos 62: asked to end by a signal at any time, it ends in order or at "
    "once, and the exit code says which",
    "[chaos]") {
  Scratch scratch;
  Dice dice(62);
  int drained = 0;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    for (int i = 0; i < 6; ++i) {
      const std::string directory = scratch.Fresh();
      Child::What what;
      what.seed = dice.Next() % 50;
      what.inputs = 400;
      what.workers = dice.Below(3);
      std::uint64_t told = 0;
      {
        Child child(directory, what);
        std::uint64_t left = 1 + dice.Below(40);
        std::uint64_t number = 0;
        while (child.Next(&number)) {
          told = std::max(told, number);
          if (left-- == 0) child.Signal(signal);
        }
        const int code = child.Wait();
        INFO("signal " << signal << ", code " << code);
        const bool handled = signal == SIGTERM || signal == SIGINT;
        // It may have been done already.
        CHECK((code == 0 || code == (handled ? 5 : 128 + signal)));
        drained += code == 5 ? 1 : 0;
      }
      CHECK(RunChild(directory, what, &told) == 0);
      CheckReplays(directory);
      fs::remove_all(directory);
    }
  }
  CHECK(drained > 0);
}

}  // namespace
}  // namespace reenact
