#include "reenact/executors/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string_view>
#include <system_error>

namespace reenact {
namespace {

using Clock = ChildSpec::Clock;
using std::chrono::milliseconds;

// How long output is waited for after the child and its group are gone: only
// what has left the group can still hold it back.
constexpr milliseconds kDrain{500};
// Above the descriptors that the child is given.
constexpr int kFirstFree = 16;

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

absl::Status SystemError(int error, std::string_view what) {
  const std::string message =
      std::string(what) + ": " + std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case E2BIG:
    case EINVAL:
      return absl::InvalidArgumentError(message);
    case ENOEXEC:
    case ELOOP:
    case EISDIR:
      return absl::FailedPreconditionError(message);
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// The same description under a number that the child does not use.
absl::StatusOr<Fd> OutOfTheWay(const Fd& fd) {
  Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstFree));
  if (!copy.is_open()) return SystemError(errno, "cannot copy a descriptor");
  return copy;
}

struct Pipe {
  Fd read;
  Fd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return SystemError(errno, "cannot make a pipe");
  }
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  REENACT_ASSIGN_OR_RETURN(pipe.write, OutOfTheWay(pipe.write));
  return pipe;
}

// A file in memory: nobody has to feed it to a child that may not read.
absl::StatusOr<Fd> InputOf(BytesView input) {
  if (input.empty()) {
    const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.is_open()) return SystemError(errno, "/dev/null");
    return OutOfTheWay(null);
  }
  const Fd file(::memfd_create("stdin", MFD_CLOEXEC));
  if (!file.is_open()) return SystemError(errno, "cannot make its input");
  while (!input.empty()) {
    const ssize_t written = ::write(file.get(), input.data(), input.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return SystemError(errno, "cannot write its input");
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) {
    return SystemError(errno, "cannot rewind its input");
  }
  return OutOfTheWay(file);
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// --- in the child ------------------------------------------------------------

// All that the child needs, made before there is one: between vfork() and
// execve() nothing may allocate, lock, or write to what the parent has.
struct Launch {
  const char* program;
  const char* directory;
  char* const* argv;
  char* const* env;
  int in, out, err, report;
  const std::pair<int, std::uint64_t>* limits;
  std::size_t limit_count;
  pid_t parent;
};

enum class Stage : int { kSetUp, kLimit, kDirectory, kProgram };

struct Failure {
  Stage stage;
  int error;
};

constexpr int kReport = 3;

[[noreturn]] void Fail(Stage stage) {
  const Failure failure{stage, errno};
  (void)!::write(kReport, &failure, sizeof failure);
  ::_exit(127);
}

void ResetSignals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) {
    ::sigaction(signal, &action, nullptr);  // not for KILL and STOP
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void BecomeProgram(const Launch& launch) {
  if (::dup3(launch.report, kReport, O_CLOEXEC) < 0) ::_exit(127);
  if (::dup2(launch.in, 0) < 0 || ::dup2(launch.out, 1) < 0 ||
      ::dup2(launch.err, 2) < 0 || ::close_range(4, ~0U, 0) != 0) {
    Fail(Stage::kSetUp);
  }
  if (::setsid() < 0) Fail(Stage::kSetUp);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) Fail(Stage::kSetUp);
  if (::getppid() != launch.parent) ::_exit(127);  // it died before that
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  for (std::size_t i = 0; i < launch.limit_count; ++i) {
    const rlimit limit{launch.limits[i].second, launch.limits[i].second};
    if (::setrlimit(static_cast<__rlimit_resource_t>(launch.limits[i].first),
                    &limit) != 0) {
      Fail(Stage::kLimit);
    }
  }
  if (::chdir(launch.directory) != 0) Fail(Stage::kDirectory);
  ResetSignals();
  ::execve(launch.program, launch.argv, launch.env);
  Fail(Stage::kProgram);
}

// --- in the parent -----------------------------------------------------------

// No handler of this program may run in the child, which shares its memory.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

pid_t Fork(const Launch& launch) {
  const AllSignalsBlocked blocked;
  const pid_t pid = ::vfork();
  if (pid == 0) BecomeProgram(launch);
  return pid;
}

absl::Status StatusOf(const Failure& failure, const ChildSpec& spec) {
  switch (failure.stage) {
    case Stage::kLimit:
      return SystemError(failure.error, "cannot set its limits");
    case Stage::kDirectory:
      return SystemError(failure.error,
                         "cannot work in '" + spec.directory + "'");
    case Stage::kProgram:
      return SystemError(failure.error, "cannot run '" + spec.program + "'");
    case Stage::kSetUp:
      break;
  }
  return SystemError(failure.error, "cannot set it up");
}

// One of the child's outputs.
struct Output {
  Fd fd;
  std::uint64_t max = 0;
  Bytes bytes;

  // Takes what there is. False: there is more than `max`.
  bool Read() {
    std::array<char, 65536> part;
    for (;;) {
      const ssize_t got = ::read(fd.get(), part.data(), part.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return true;
      if (got <= 0) {
        fd.Close();
        return true;
      }
      const auto size = static_cast<std::size_t>(got);
      if (size > max - bytes.size()) {
        fd.Close();
        return false;
      }
      bytes.append(part.data(), size);
    }
  }
};

class Child {
 public:
  // Without `pidfd`: it has ended, and the system has reaped it.
  Child(const ChildSpec& spec, pid_t pid, Fd pidfd, Fd out, Fd err)
      : spec_(spec), pid_(pid), pidfd_(std::move(pidfd)) {
    out_ = {std::move(out), spec.stdout_max, {}};
    err_ = {std::move(err), spec.stderr_max, {}};
    for (Output* output : {&out_, &err_}) {
      ::fcntl(output->fd.get(), F_SETFL, O_NONBLOCK);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  ChildResult WaitForEnd() {
    while (!ended_) Step(Patience());
    // It is not reaped yet, so its number is still its own and its group's;
    // unless nobody could watch it, when the number may be another's by now.
    if (pidfd_.is_open()) ::kill(-pid_, SIGKILL);
    const Clock::time_point until = Clock::now() + kDrain;
    while (HasOutput() && Clock::now() < until) Step(until);
    Reap();
    result_.elapsed =
        std::chrono::duration_cast<milliseconds>(Clock::now() - begin_);
    result_.out = std::move(out_.bytes);
    result_.err = std::move(err_.bytes);
    return std::move(result_);
  }

 private:
  bool HasOutput() const { return out_.fd.is_open() || err_.fd.is_open(); }
  Clock::time_point Patience() const {
    return reason_ ? kill_at_ : spec_.deadline;
  }

  // Waits until something happens, or `until`, and reacts.
  void Step(Clock::time_point until) {
    std::array<pollfd, 4> fds{
        {{out_.fd.get(), POLLIN, 0},
         {err_.fd.get(), POLLIN, 0},
         {ended_ ? -1 : pidfd_.get(), POLLIN, 0},
         {reason_ || ended_ ? -1 : spec_.cancel_fd, POLLIN, 0}}};
    const auto left =
        std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    // An hour at most, so that the number fits.
    const int wait = static_cast<int>(
        std::clamp<std::int64_t>(left, 0, std::int64_t{3'600'000}));
    if (::poll(fds.data(), fds.size(), wait) < 0 && errno != EINTR) return;
    for (Output* output : {&out_, &err_}) {
      if (output->fd.is_open() && !output->Read()) {
        End(ChildResult::End::kTooMuchOutput);
      }
    }
    if (fds[2].revents != 0) ended_ = true;
    if (ended_) return;
    if (fds[3].revents != 0) End(ChildResult::End::kCancelled);
    if (Clock::now() >= until) Overdue();
  }

  void Overdue() {
    if (!reason_) {
      End(ChildResult::End::kTimedOut);
    } else {
      ::kill(-pid_, SIGKILL);
      // Nothing more can be done to it but wait.
      kill_at_ = Clock::now() + kDrain;
    }
  }

  void End(ChildResult::End reason) {
    if (reason_ && reason != ChildResult::End::kTooMuchOutput) return;
    result_.end = reason;
    if (reason_ || ended_) return;
    reason_ = true;
    kill_at_ = Clock::now() + spec_.grace;
    ::kill(-pid_, SIGTERM);
  }

  void Reap() {
    int status = 0;
    rusage used{};
    pid_t got;
    do {
      got = ::wait4(pid_, &status, 0, &used);
    } while (got < 0 && errno == EINTR);
    const auto time = [](const timeval& t) {
      return milliseconds(t.tv_sec * 1000 + t.tv_usec / 1000);
    };
    result_.cpu = time(used.ru_utime) + time(used.ru_stime);
    if (result_.end != ChildResult::End::kExited) return;
    if (got != pid_) {
      result_.end = ChildResult::End::kLost;
    } else if (WIFSIGNALED(status)) {
      result_.end = ChildResult::End::kSignalled;
      result_.code = WTERMSIG(status);
    } else {
      result_.code = WEXITSTATUS(status);
    }
  }

  const ChildSpec& spec_;
  const pid_t pid_;
  const Fd pidfd_;
  const Clock::time_point begin_ = Clock::now();
  Output out_;
  Output err_;
  ChildResult result_;
  bool ended_ = !pidfd_.is_open();
  bool reason_ = false;  // it was asked to end; result_.end says why
  Clock::time_point kill_at_;
};

}  // namespace

absl::StatusOr<ChildResult> RunChild(const ChildSpec& spec) {
  REENACT_ASSIGN_OR_RETURN(Fd in, InputOf(spec.input));
  REENACT_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  REENACT_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  REENACT_ASSIGN_OR_RETURN(Pipe report, MakePipe());
  const std::vector<char*> argv = Pointers(spec.argv);
  const std::vector<char*> env = Pointers(spec.env);
  const Launch launch{spec.program.c_str(),
                      spec.directory.c_str(),
                      argv.data(),
                      env.data(),
                      in.get(),
                      out.write.get(),
                      err.write.get(),
                      report.write.get(),
                      spec.limits.data(),
                      spec.limits.size(),
                      ::getpid()};
  const pid_t pid = Fork(launch);
  if (pid < 0) return SystemError(errno, "cannot start a process");
  for (Fd* fd : {&in, &out.write, &err.write, &report.write}) fd->Close();

  Failure failure{};
  ssize_t got;
  do {
    got = ::read(report.read.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got != 0) {
    ::waitpid(pid, nullptr, 0);
    return StatusOf(failure, spec);
  }
  // The packaged <sys/pidfd.h> is not for C++.
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  // Where SIGCHLD is ignored, a short process is gone by now (ESRCH).
  if (!pidfd.is_open() && errno != ESRCH) {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ChildResult result;
    result.end = ChildResult::End::kUnwatched;
    return result;
  }
  Child child(spec, pid, std::move(pidfd), std::move(out.read),
              std::move(err.read));
  return child.WaitForEnd();
}

}  // namespace reenact
