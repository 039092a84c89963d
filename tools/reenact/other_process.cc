#include "tools/reenact/other_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "reenact/harness/other_environment.h"

namespace reenact::tools {

std::unique_ptr<OtherProcess> OtherProcess::Start(
    std::vector<std::string> arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return nullptr;
  arguments.insert(arguments.begin(), "reenact");
  const pid_t pid = StartInOtherEnvironment(std::move(arguments), ends[1], -1);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return nullptr;
  }
  return std::unique_ptr<OtherProcess>(new OtherProcess(pid, ends[0]));
}

OtherProcess::~OtherProcess() {
  close(out_);
  if (pid_ < 0) return;
  (void)kill(pid_, SIGKILL);
  (void)waitpid(pid_, nullptr, 0);
}

std::optional<std::string> OtherProcess::Finish() {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(out_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  int status = 0;
  if (waitpid(std::exchange(pid_, -1), &status, 0) < 0) return std::nullopt;
  if (!WIFEXITED(status)) return std::nullopt;
  return text;
}

}  // namespace reenact::tools
