// Memory that is not there: the n-th allocation fails, for n = 1, 2, 3 ...,
// while a world is opened, works, takes a snapshot, is read and verified. Each
// runs in a process of its own: what is left of it afterwards is judged by
// another.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <string>

#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/replay/replay.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/run_tests.h"
#include "tests/support/status_matchers.h"

extern char** environ;

namespace {

// Of the whole program, RocksDB's among them; counted while it is armed.
std::atomic<std::int64_t> allocations{0};
std::atomic<std::int64_t> fails_at{0};  // 0: none
std::atomic<bool> failed{false};

void* Allocate(std::size_t size, std::size_t alignment) {
  const std::int64_t at = fails_at.load(std::memory_order_relaxed);
  if (at != 0 && ++allocations == at) {
    failed = true;
    throw std::bad_alloc();
  }
  void* const memory =
      alignment == 0 ? std::malloc(size)
                     : std::aligned_alloc(alignment, (size + alignment - 1) /
                                                         alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size, 0); }
void* operator new[](std::size_t size) { return Allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return Allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace reenact {
namespace {

const Workload kWorkload{.name = "few",
                         .seed = 5,
                         .inputs = 8,
                         .round_limit = 4,
                         .snapshot_every = 2};

constexpr std::int64_t kNever = std::int64_t{1} << 60;

// What a process of this program does instead of testing; see main().
enum Exit : int { kFine = 0, kStatus = 10, kNotReached = 11, kThrown = 12 };

absl::Status DoWhat(const std::string& what, const std::string& path) {
  if (what == "verify") {
    VerifyOptions verify;
    verify.path = path;
    verify.modules.push_back(MakeTortureModule());
    verify.threads = 1;
    return Verify(verify).status();
  }
  return RunWorkload(kWorkload, path);
}

// In the child: exits with one of the codes, or is ended by the kernel.
[[noreturn]] void BeChild(const std::string& what, const std::string& path,
                          std::int64_t nth) {
  const disk::Watch quick(nullptr);
  absl::Status status;
  fails_at = nth;
  try {
    status = DoWhat(what, path);
  } catch (const std::bad_alloc&) {
    fails_at = 0;
    std::_Exit(kThrown);
  }
  fails_at = 0;
  if (nth == kNever) {
    std::ofstream(path + ".count") << allocations.load();
  }
  if (!failed) std::_Exit(kNotReached);
  std::_Exit(status.ok() ? kFine : kStatus);
}

int Spawn(const std::string& what, const std::string& path, std::int64_t nth) {
  char program[] = "/proc/self/exe";
  std::string words[] = {"--allocation", what, path, std::to_string(nth)};
  char* arguments[] = {program,         words[0].data(), words[1].data(),
                       words[2].data(), words[3].data(), nullptr};
  posix_spawn_file_actions_t actions;
  REQUIRE(::posix_spawn_file_actions_init(&actions) == 0);
  // What a process that ends by itself has to say.
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t process = 0;
  REQUIRE(::posix_spawn(&process, program, &actions, nullptr, arguments,
                        environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  REQUIRE(::waitpid(process, &status, 0) == process);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

class Allocations {
 public:
  Allocations() : truth_(MakeTruth()) {}

  // Fails allocations of `what`, spread evenly, one in each run, in a copy of
  // the world `from` ("": in a new one).
  void Sweep(const std::string& what, const std::string& from) {
    const std::int64_t count = Count(what, from);
    const auto runs =
        static_cast<std::int64_t>(ForTier(300, 5'000) / kShare + 25);
    const std::int64_t step = std::max<std::int64_t>(1, count / runs);
    std::map<int, std::uint64_t> ends;
    for (std::int64_t nth = 1;; nth += step) {
      const std::string path = Copy(from);
      const int end = Spawn(what, path, nth);
      INFO(what << " from '" << from << "', allocation " << nth << ", ended "
                << end);
      ++ends[end];
      // A status, an exception of this thread, or the end of the process.
      const bool known = end == kFine || end == kStatus || end == kNotReached ||
                         end == kThrown || end == 128 + SIGABRT;
      CHECK(known);
      CHECK(truth_.Judge(path, 0) == "");
      std::filesystem::remove_all(path);
      if (end == kNotReached) break;
    }
    std::uint64_t all = 0;
    for (const auto& [end, times] : ends) all += times;
    std::printf(
        "%s from '%s': %llu fine, %llu statuses, %llu thrown, %llu "
        "aborted\n",
        what.c_str(), from.c_str(),
        static_cast<unsigned long long>(ends[kFine]),
        static_cast<unsigned long long>(ends[kStatus]),
        static_cast<unsigned long long>(ends[kThrown]),
        static_cast<unsigned long long>(ends[128 + SIGABRT]));
    Score("allocations that failed", all - 1);
  }

 private:
  std::string Copy(const std::string& from) {
    std::string path = scratch_.Fresh();
    if (!from.empty()) {
      std::filesystem::copy(scratch_ / from, path,
                            std::filesystem::copy_options::recursive);
    }
    return path;
  }

  // How many allocations there are if none fails.
  std::int64_t Count(const std::string& what, const std::string& from) {
    const std::string path = Copy(from);
    CHECK(Spawn(what, path, kNever) == kNotReached);
    const std::string count = ReadWholeFile(path + ".count");
    std::filesystem::remove_all(path);
    return std::stoll(count);
  }

  Truth MakeTruth() {
    REQUIRE_OK(RunWorkload(kWorkload, scratch_ / "whole"));
    Workload half = kWorkload;
    half.inputs = 0;
    REQUIRE_OK(RunWorkload(half, scratch_ / "half"));
    return Truth(kWorkload, scratch_ / "whole");
  }

  const disk::Watch quick_{nullptr};
  Scratch scratch_;
  const Truth truth_;
};

TEST_CASE(
    "chaos 32: memory runs out at any allocation of making and running a "
    "world",
    "[chaos]") {
  Allocations().Sweep("run", "");
}
TEST_CASE(
    "chaos 32: memory runs out at any allocation of opening a world and "
    "going on",
    "[chaos]") {
  Allocations().Sweep("run", "half");
}
TEST_CASE("chaos 32: memory runs out at any allocation of verifying a world",
          "[chaos]") {
  Allocations().Sweep("verify", "whole");
}

}  // namespace
}  // namespace reenact

int main(int argc, char** argv) {
  if (argc == 5 && std::string(argv[1]) == "--allocation") {
    reenact::BeChild(argv[2], argv[3], std::strtoll(argv[4], nullptr, 10));
  }
  return reenact::RunTests(argc, argv);
}
