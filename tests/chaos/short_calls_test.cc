// Calls of the system that do less than they are asked, or are interrupted: the
// C library's, for everything in this program, RocksDB included.

#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <string>

#include "reenact/harness/scoreboard.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"
#include "tests/support/status_matchers.h"

namespace {

std::atomic<bool> disturbing{false};
std::atomic<std::uint64_t> calls{0};
std::atomic<std::uint64_t> disturbed{0};
std::atomic<std::uint64_t> syncs{0};
std::atomic<std::uint64_t> syncs_disturbed{0};

// Every third call of a file's is cut short, every fifth interrupted before it
// has done anything.
bool Interrupts(int fd, std::size_t* size) {
  if (!disturbing || fd <= 2) return false;
  const std::uint64_t call = ++calls;
  if (call % 5 == 0) {
    ++disturbed;
    errno = EINTR;
    return true;
  }
  if (call % 3 == 0 && *size > 1) {
    ++disturbed;
    *size = (*size + 1) / 2;
  }
  return false;
}

// Two of three.
bool InterruptsSync() {
  if (!disturbing || ++syncs % 3 == 0) return false;
  ++syncs_disturbed;
  errno = EINTR;
  return true;
}

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t read(int fd, void* bytes, std::size_t size) {
  static const auto real = Real<ssize_t (*)(int, void*, std::size_t)>("read");
  if (Interrupts(fd, &size)) return -1;
  return real(fd, bytes, size);
}
ssize_t write(int fd, const void* bytes, std::size_t size) {
  static const auto real =
      Real<ssize_t (*)(int, const void*, std::size_t)>("write");
  if (Interrupts(fd, &size)) return -1;
  return real(fd, bytes, size);
}
ssize_t pread(int fd, void* bytes, std::size_t size, off_t at) {
  static const auto real =
      Real<ssize_t (*)(int, void*, std::size_t, off_t)>("pread");
  if (Interrupts(fd, &size)) return -1;
  return real(fd, bytes, size, at);
}
ssize_t pread64(int fd, void* bytes, std::size_t size, off64_t at) {
  static const auto real =
      Real<ssize_t (*)(int, void*, std::size_t, off64_t)>("pread64");
  if (Interrupts(fd, &size)) return -1;
  return real(fd, bytes, size, at);
}
ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t at) {
  static const auto real =
      Real<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite");
  if (Interrupts(fd, &size)) return -1;
  return real(fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, std::size_t size, off64_t at) {
  static const auto real =
      Real<ssize_t (*)(int, const void*, std::size_t, off64_t)>("pwrite64");
  if (Interrupts(fd, &size)) return -1;
  return real(fd, bytes, size, at);
}

int fsync(int fd) {
  static const auto real = Real<int (*)(int)>("fsync");
  return InterruptsSync() ? -1 : real(fd);
}
int fdatasync(int fd) {
  static const auto real = Real<int (*)(int)>("fdatasync");
  return InterruptsSync() ? -1 : real(fd);
}

}  // extern "C"

namespace reenact {
namespace {

TEST_CASE(
    "chaos 15, trial 04c: reads and writes that are cut short or interrupted, "
    "and syncs, are not noticed",
    "[chaos]") {
  const Workload workload{
      .name = "short calls", .seed = 15, .sessions = 5, .snapshot_every = 3};
  Scratch scratch;
  REQUIRE_OK(RunWorkload(workload, scratch / "whole"));
  const Truth truth(workload, scratch / "whole");
  disturbing = true;
  const absl::Status ran = RunWorkload(workload, scratch / "world");
  const std::string verdict = truth.Judge(scratch / "world", 0);
  disturbing = false;
  CHECK(ran == absl::OkStatus());
  CHECK(verdict == "");
  CHECK(truth.GoOn(scratch / "world") == "");
  CHECK(disturbed > 100);
  CHECK(syncs_disturbed > 20);
  Score("calls cut short or interrupted", disturbed + syncs_disturbed);
}

}  // namespace
}  // namespace reenact
