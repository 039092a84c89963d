// The machine around a world: real full disks, limits of the system, a slow
// disk, calls that do half of what they are asked, owners beside each other.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/journal/archive.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

// Exit codes of a process that tries something in a place of its own.
enum Exit : int { kHeld = 0, kBroken = 20, kRefused = 21 };

const Workload kBig{.name = "big",
                    .seed = 8,
                    .inputs = 4000,
                    .round_limit = 64,
                    .snapshot_every = 3};

int Broken(const char* what, const absl::Status& status = absl::OkStatus()) {
  std::fprintf(stderr, "%s: %s\n", what, status.ToString().c_str());
  return kBroken;
}

// Feeds the world until the system stops it; then, with `mend`, it opens, has
// what was told, and goes on to the end.
int RunInto(const std::string& path, absl::StatusCode expected,
            const std::function<void()>& mend) {
  std::atomic<std::uint64_t> told{0};
  World* open = nullptr;
  const absl::Status status = RunWorkload(kBig, path, [&](World* world) {
    if (world == nullptr) told = open->durable().value;
    open = world;
  });
  if (status.code() != expected) return Broken("stopped by", status);
  mend();
  auto world = World::Open(OptionsOf(kBig, path));
  if (!world.ok()) return Broken("opened again", world.status());
  if ((*world)->head().value < told) return Broken("lost what was told");
  const absl::Status closed = (*world)->Close();
  if (!closed.ok()) return Broken("closed", closed);
  const absl::Status went = RunWorkload(kBig, path);
  if (!went.ok()) return Broken("went on", went);
  return kHeld;
}

// A file system of so much room in a mount namespace of this process's own.
bool MountSmall(const std::string& at, const char* options) {
  if (::unshare(CLONE_NEWNS) != 0) return false;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return false;
  }
  return ::mount("tmpfs", at.c_str(), "tmpfs", 0, options) == 0;
}

bool Counted(int code, const char* what) {
  if (code != kRefused) return true;
  std::printf("skipped: %s: the system refuses the mount\n", what);
  Score("skipped for want of a mount", 1);
  return false;
}

TEST_CASE(
    "chaos 14: on a file system that is full a world stops, and goes on when "
    "there is room",
    "[chaos]") {
  TemporaryDirectory directory;
  const std::string at = directory.path();
  const int code = InProcess([&at] {
    if (!MountSmall(at, "size=900k")) return static_cast<int>(kRefused);
    const disk::Watch quick(nullptr);
    return RunInto(at + "/world", absl::StatusCode::kResourceExhausted, [&at] {
      ::mount("tmpfs", at.c_str(), "tmpfs", MS_REMOUNT, "size=64m");
    });
  });
  if (Counted(code, "a full disk")) CHECK(code == kHeld);
}

TEST_CASE("chaos 22: a file system that may only be read is a clear refusal",
          "[chaos]") {
  TemporaryDirectory directory;
  const std::string at = directory.path();
  const int code = InProcess([&at]() -> int {
    if (!MountSmall(at, "size=64m")) return kRefused;
    Workload few = kBig;
    few.inputs = 20;
    if (!RunWorkload(few, at + "/world").ok()) return kBroken;
    ::mount("tmpfs", at.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64m");
    const auto refused = World::Open(OptionsOf(few, at + "/world"));
    if (refused.status().code() != absl::StatusCode::kPermissionDenied) {
      return Broken("read-only", refused.status());
    }
    if (!Archive::Open(at + "/world").ok()) return Broken("not even read");
    ::mount("tmpfs", at.c_str(), "tmpfs", MS_REMOUNT, "size=64m");
    return World::Open(OptionsOf(few, at + "/world")).ok() ? kHeld : kBroken;
  });
  if (Counted(code, "a file system that may only be read")) {
    CHECK(code == kHeld);
  }
}

TEST_CASE(
    "chaos 22: a limit on the size of files stops a world, and none goes on",
    "[chaos]") {
  Scratch scratch;
  const std::string path = scratch / "world";
  const int code = InProcess([&path] {
    const disk::Watch quick(nullptr);
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{200 << 10, limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    return RunInto(path, absl::StatusCode::kResourceExhausted,
                   [&limit] { ::setrlimit(RLIMIT_FSIZE, &limit); });
  });
  CHECK(code == kHeld);
}

TEST_CASE(
    "chaos 22: with too few descriptors a world does not open, and says so",
    "[chaos]") {
  Scratch scratch;
  const std::string path = scratch / "world";
  const int code = InProcess([&path]() -> int {
    Workload few = kBig;
    few.inputs = 20;
    if (!RunWorkload(few, path).ok()) return kBroken;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t most = 4; most < 40; ++most) {
      const rlimit small{most, limit.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &small);
      const auto world = World::Open(OptionsOf(few, path));
      const absl::StatusCode status = world.status().code();
      if (world.ok()) break;
      if (status != absl::StatusCode::kResourceExhausted) {
        return Broken("descriptors", world.status());
      }
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return World::Open(OptionsOf(few, path)).ok() ? kHeld : kBroken;
  });
  CHECK(code == kHeld);
}

// --- 20: a slow disk ---------------------------------------------------------

// Holds syncs of the log back until it is told to let them go.
class SlowDisk final : public disk::Watcher {
 public:
  int Before(disk::Call* call, std::uint64_t*) override {
    if (call->what != disk::Call::What::kSync ||
        !call->path.ends_with(".log")) {
      return 0;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    waiting_ = holds_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !holds_; });
    return 0;
  }
  void After(const disk::Call&, std::uint64_t) override {}
  void Read(std::string_view, std::uint64_t, char*, std::size_t) override {}

  void Hold() {
    const std::lock_guard<std::mutex> lock(mutex_);
    holds_ = true;
  }
  void WaitUntilHeld() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return waiting_; });
  }
  void LetGo() {
    const std::lock_guard<std::mutex> lock(mutex_);
    holds_ = false;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool holds_ = false;
  bool waiting_ = false;
};

TEST_CASE(
    "chaos 20: while a sync takes for ever, readers read, submitters are told "
    "there is no room, and then all is durable",
    "[chaos]") {
  Scratch scratch;
  SlowDisk disk;
  const disk::Watch watch(&disk);
  Workload workload{.name = "slow", .seed = 20};
  WorldOptions options = OptionsOf(workload, scratch / "world");
  options.ingress_capacity = 16;
  options.workers = 2;
  auto world = World::Open(options);
  REQUIRE_OK(world);
  REQUIRE_OK((*world)->Start());
  disk.Hold();
  const std::vector<Input> inputs = TortureInputs({20, 4000, 10});
  std::vector<Submission> accepted;
  bool full = false;
  for (std::size_t i = 0; i < inputs.size() && !full; ++i) {
    auto submission = (*world)->Submit(inputs[i]);
    full = submission.status().code() == absl::StatusCode::kResourceExhausted;
    if (submission.ok()) accepted.push_back(*std::move(submission));
    if (i == 0) disk.WaitUntilHeld();
  }
  CHECK(full);
  const EventId durable = (*world)->durable();
  CHECK((*world)->Read("t.a", "k1").ok());
  CHECK((*world)->Scan("t.b", "", "", 100).ok());
  CHECK((*world)->durable() == durable);
  disk.LetGo();
  for (const Submission& submission : accepted) {
    const auto outcome = submission.WaitDurable();
    CHECK((outcome.ok() || absl::IsAlreadyExists(outcome.status())));
  }
  CHECK((*world)->durable() > durable);
  REQUIRE_OK((*world)->Close());
}

// --- 51, 52, 58: owners and copies -------------------------------------------

TEST_CASE(
    "chaos 51: a world has one owner, by whatever path and in whatever "
    "process",
    "[chaos]") {
  Scratch scratch;
  const std::string path = scratch / "world";
  const Workload few{.name = "few"};
  const auto refused = [&few](const std::string& by) {
    return World::Open(OptionsOf(few, by)).status().code() ==
           absl::StatusCode::kFailedPrecondition;
  };
  {
    const auto world = World::Open(OptionsOf(few, path));
    REQUIRE_OK(world);
    CHECK(refused(path));
    CHECK(refused(path + "/"));
    CHECK(refused(scratch.path() + "/./world"));
    fs::create_directory_symlink(path, scratch / "link");
    CHECK(refused(scratch / "link"));
    // A copy is another directory, with an owner of its own.
    REQUIRE_OK((*world)->Close());
    fs::copy(path, scratch / "copy", fs::copy_options::recursive);
  }
  const auto one = World::Open(OptionsOf(few, path));
  const auto other = World::Open(OptionsOf(few, scratch / "copy"));
  CHECK(one.ok());
  CHECK(other.ok());
}

TEST_CASE(
    "chaos 52: an owner whose lock file was taken away cannot be followed by a "
    "second while RocksDB's lock is held",
    "[chaos]") {
  Scratch scratch;
  const std::string path = scratch / "world";
  const Workload few{.name = "few"};
  const auto world = World::Open(OptionsOf(few, path));
  REQUIRE_OK(world);
  const bool replaced = GENERATE(false, true);
  fs::remove(path + "/OWNER");
  if (replaced) WriteWholeFile(path + "/OWNER", "");
  const auto second = World::Open(OptionsOf(few, path));
  CHECK(second.status().code() == absl::StatusCode::kFailedPrecondition);
  // It says that the directory is its own no more; what was durable stays so.
  CHECK(absl::IsUnavailable((*world)->Close()));
  const auto third = World::Open(OptionsOf(few, path));
  REQUIRE_OK(third);
  CHECK((*third)->epoch() > (*world)->epoch());
}

}  // namespace
}  // namespace reenact
