// A process that dies at any moment loses nothing that it was told is durable.

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "tests/crash/crash_world.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

extern char** environ;

namespace reenact {
namespace {

// The process, and the numbers that it writes.
class Child {
 public:
  Child(const std::string& directory, std::uint64_t seed, std::size_t workers) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    posix_spawn_file_actions_t actions;
    REQUIRE(::posix_spawn_file_actions_init(&actions) == 0);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    ::posix_spawn_file_actions_addclose(&actions, ends[0]);
    ::posix_spawn_file_actions_addclose(&actions, ends[1]);
    std::string seed_text = std::to_string(seed);
    std::string workers_text = std::to_string(workers);
    std::string path = directory;
    char program[] = REENACT_CRASH_CHILD;
    char* arguments[] = {program, path.data(), seed_text.data(),
                         workers_text.data(), nullptr};
    REQUIRE(::posix_spawn(&process_, program, &actions, nullptr, arguments,
                          environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    output_ = ends[0];
  }
  ~Child() {
    Kill();
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
  void Kill() {
    if (!waited_) ::kill(process_, SIGKILL);
  }
  // Whether it was killed; ended by itself it must have been content.
  bool WasKilled() {
    int status = 0;
    REQUIRE(::waitpid(process_, &status, 0) == process_);
    waited_ = true;
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGKILL;
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
    return false;
  }

 private:
  pid_t process_ = 0;
  int output_ = -1;
  bool waited_ = false;
};

TEST_CASE(
    "chaos 09: killed fifty times, a world has the history of one that was not",
    "[crash]") {
  int kills = 0;
  for (std::uint64_t seed = 0; kills < 50; ++seed) {
    CAPTURE(seed, kills);
    TemporaryDirectory directory;
    const WorldOptions whole = CrashOptions(seed, directory / "whole");
    {
      auto world = World::Open(whole);
      REQUIRE_OK(world);
      InputList source(CrashInputs(seed));
      REQUIRE_OK((*world)->Feed(source));
      REQUIRE_OK((*world)->Close());
    }
    Dice dice(seed);
    std::uint64_t acknowledged = 0;
    for (bool killed = true; killed;) {
      Child child(directory / "killed", seed, dice.Below(4));
      std::uint64_t left = dice.Below(70);
      std::uint64_t number = 0;
      bool first = true;
      while (child.Next(&number)) {
        if (first) CHECK(number >= acknowledged);  // nothing is lost
        first = false;
        acknowledged = std::max(acknowledged, number);
        if (left-- == 0) child.Kill();  // what is in the pipe still counts
      }
      killed = child.WasKilled();
      kills += killed;
    }
    const auto blocks = BlocksOf(directory / "killed");
    const auto expected = BlocksOf(whole.path);
    INFO(FirstDifference(blocks, expected));
    CHECK((blocks == expected));
    CHECK((StatesOf(directory / "killed") == StatesOf(whole.path)));
  }
}

}  // namespace
}  // namespace reenact
