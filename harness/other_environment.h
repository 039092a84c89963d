// This program started anew, as a process in which a step sees something else
// of whatever it may see without asking anybody.

#ifndef REENACT_HARNESS_OTHER_ENVIRONMENT_H_
#define REENACT_HARNESS_OTHER_ENVIRONMENT_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace reenact {

// The environment as it is, but for another time zone, locale, home, host name
// and user, memory from the heap that is filled, and more of it, which moves
// the stack.
inline std::vector<std::string> OtherEnvironment() {
  std::string_view locale;
  std::vector<std::string> all;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view text = *at;
    const std::string_view name = text.substr(0, text.find('='));
    if (name == "LC_ALL") locale = text.substr(text.find('=') + 1);
    bool replaced = false;
    for (const std::string_view other :
         {"TZ", "LC_ALL", "HOME", "HOSTNAME", "USER", "REENACT_OTHER_PROCESS",
          "GLIBC_TUNABLES"}) {
      replaced = replaced || name == other;
    }
    if (!replaced) all.emplace_back(text);
  }
  all.emplace_back("TZ=REENACT-13:30");
  all.emplace_back(locale == "C.UTF-8" ? "LC_ALL=C" : "LC_ALL=C.UTF-8");
  all.emplace_back("HOME=/nowhere");
  all.emplace_back("HOSTNAME=elsewhere");
  all.emplace_back("USER=somebody");
  all.push_back("REENACT_OTHER_PROCESS=" + std::string(12'345, '.'));
  all.emplace_back("GLIBC_TUNABLES=glibc.malloc.perturb=165");
  return all;
}

// Starts this program with these arguments, its name the first of them, in the
// other environment, with code, stack and heap elsewhere. Its input and errors
// are nothing, its output goes to `output` (-1: nowhere), and it has the
// descriptor `kept` (-1: none) under the same number. It dies with the thread
// that calls. Returns its id, or -1.
//
// The directory is for the new program to leave, once it has found what it was
// told to read.
inline pid_t StartInOtherEnvironment(std::vector<std::string> arguments,
                                     int output, int kept) {
  // What takes memory comes before the fork: other threads may have its locks.
  std::vector<std::string> environment = OtherEnvironment();
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  };
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int now = personality(0xffffffff);
  if (now >= 0) {
    (void)personality(static_cast<unsigned long>(now & ~ADDR_NO_RANDOMIZE));
  }
  const int nowhere = open("/dev/null", O_RDWR);
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDERR_FILENO);
  dup2(output == -1 ? nowhere : output, STDOUT_FILENO);
  if (kept != -1) (void)fcntl(kept, F_SETFD, 0);
  execve("/proc/self/exe", argv.data(), envp.data());
  _exit(127);
}

}  // namespace reenact

#endif  // REENACT_HARNESS_OTHER_ENVIRONMENT_H_
