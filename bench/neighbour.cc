#include "bench/neighbour.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace reenact::bench {
namespace {

constexpr rlim_t kSecondsMax = 600;

// In the new process, where nothing may be called but what a signal's handler
// may call.
[[noreturn]] void Spin(pid_t parent) {
  const rlimit limit = {kSecondsMax, kSecondsMax};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (setrlimit(RLIMIT_CPU, &limit) != 0 || getppid() != parent) _exit(1);
  for (;;) asm volatile("");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Neighbour>> Neighbour::Start() {
  const pid_t parent = getpid();
  const pid_t process = fork();
  if (process < 0) return absl::ErrnoToStatus(errno, "fork");
  if (process == 0) Spin(parent);
  return std::unique_ptr<Neighbour>(new Neighbour(process));
}

Neighbour::~Neighbour() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

}  // namespace reenact::bench
