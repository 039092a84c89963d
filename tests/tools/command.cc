#include "tests/tools/command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <utility>

namespace reenact::tests {
namespace {

// A file that is nowhere but in memory.
int Scratch() {
  const int fd = memfd_create("output", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  return fd;
}

std::string Contents(int fd) {
  std::string text;
  char buffer[65536];
  off_t offset = 0;
  ssize_t count;
  while ((count = pread(fd, buffer, sizeof buffer, offset)) > 0) {
    text.append(buffer, static_cast<std::size_t>(count));
    offset += count;
  }
  return text;
}

}  // namespace

Command::Command(const std::vector<std::string>& arguments)
    : out_(Scratch()), err_(Scratch()) {
  signal(SIGPIPE, SIG_IGN);
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  stdin_ = ends[1];
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out_, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_, STDERR_FILENO);
  const int error =
      posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  INFO(arguments.front());
  REQUIRE(error == 0);
}

Command::~Command() {
  if (stdin_ >= 0) close(stdin_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

void Command::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(stdin_, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;  // it has closed its end
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Command::Signal(int signal) { REQUIRE(kill(pid_, signal) == 0); }

CommandResult Command::Finish() {
  if (stdin_ >= 0) close(std::exchange(stdin_, -1));
  int status = 0;
  REQUIRE(waitpid(std::exchange(pid_, -1), &status, 0) > 0);
  CommandResult result;
  result.code =
      WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  result.out = Contents(out_);
  result.err = Contents(err_);
  return result;
}

CommandResult RunProgram(const std::vector<std::string>& arguments,
                         std::string_view input) {
  Command command(arguments);
  command.Write(input);
  return command.Finish();
}

std::vector<std::string> Reenact(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), REENACT_BINARY_DIR "/bin/reenact");
  return arguments;
}

}  // namespace reenact::tests
