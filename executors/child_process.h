// One child process, from its start to its end.

#ifndef REENACT_EXECUTORS_CHILD_PROCESS_H_
#define REENACT_EXECUTORS_CHILD_PROCESS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact {

struct ChildSpec {
  using Clock = std::chrono::steady_clock;

  std::string program;            // an absolute path
  std::vector<std::string> argv;  // no NUL in any of these
  std::vector<std::string> env;   // "NAME=value"; all that it gets
  std::string directory;
  Bytes input;  // what it reads from its standard input

  std::uint64_t stdout_max = 0;
  std::uint64_t stderr_max = 0;
  // (RLIMIT_..., value), soft and hard. None of them: what this process has.
  std::vector<std::pair<int, std::uint64_t>> limits;

  // At `deadline` it is asked to end (SIGTERM), `grace` later it is ended.
  Clock::time_point deadline;
  std::chrono::milliseconds grace{0};
  // Once readable: the same at once. -1: never.
  int cancel_fd = -1;
};

struct ChildResult {
  enum class End {
    kExited,     // `code` is its exit status
    kSignalled,  // `code` is the signal
    kTimedOut,   // these three: it was ended, by whatever way
    kCancelled,
    kTooMuchOutput,
    // Somebody else in this process waited for it, or children are not waited
    // for here (SIGCHLD is ignored): it ended, and nobody knows how.
    kLost,
    kUnwatched,  // it ran, but nobody could wait for it, so it was ended
  };

  End end = End::kExited;
  int code = 0;
  Bytes out;
  Bytes err;
  std::chrono::milliseconds elapsed{0};
  std::chrono::milliseconds cpu{0};
};

// Starts it in a session and a process group of its own, with no descriptors
// but the standard ones, no signal blocked or ignored and no core files, and
// waits for its end. When it has ended, or has to, whatever is left of its
// group is killed. It is killed, too, if the calling thread dies; what it
// started is not, then.
//
// Does not depend on what this program does with SIGCHLD, but for kLost.
//
// An error: the program has not run. NotFound, PermissionDenied,
// FailedPrecondition, InvalidArgument: it cannot be started as it is.
// ResourceExhausted, Unavailable: not now.
//
// Thread safety: any thread.
absl::StatusOr<ChildResult> RunChild(const ChildSpec& spec);

}  // namespace reenact

#endif  // REENACT_EXECUTORS_CHILD_PROCESS_H_
