#include "reenact/workers/step_guard.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "reenact/workers/module_call.h"

namespace reenact {
namespace {

constexpr std::size_t kTextMax = 512;
constexpr std::size_t kStackBytes = std::size_t{64} << 10;
constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// All of it is looked at by handlers.
StepGuardOptions guard_options;
char prefix_text[kTextMax] = "reenact: ";
char advice_text[kTextMax] =
    "; it and what its round had before it is not recorded";
std::atomic<bool> released{false};
std::atomic<bool> ending{false};

// Ends the process whatever has taken the place of _exit(), without a flush.
[[noreturn]] void EndNow(int code) {
  for (;;) ::syscall(SYS_exit_group, code);
}

// One line, made and written by what a handler may call.
class Message {
 public:
  Message& Add(std::string_view text) {
    const std::size_t size = std::min(text.size(), sizeof text_ - used_ - 1);
    std::memcpy(text_ + used_, text.data(), size);
    used_ += size;
    return *this;
  }
  Message& Add(const RunningCall& call) {
    char text[kCallTextMax];
    return Add(std::string_view(text, DescribeCall(call, text, sizeof text)));
  }
  Message& AddNumber(std::uint64_t number, unsigned base) {
    char digits[20];
    std::size_t at = sizeof digits;
    do {
      digits[--at] = "0123456789abcdef"[number % base];
      number /= base;
    } while (number > 0);
    return Add(std::string_view(digits + at, sizeof digits - at));
  }
  // A mapper and a module that is loaded have no event that could fail.
  Message& AddAdvice(const RunningCall& call) {
    constexpr std::string_view kEvent = "{event}";
    if (call.kind != CallKind::kStep && call.kind != CallKind::kTouch) {
      return *this;
    }
    std::string_view rest = advice_text;
    for (;;) {
      const std::size_t at = rest.find(kEvent);
      Add(rest.substr(0, at));
      if (at == rest.npos) return *this;
      AddNumber(call.number, 10);
      rest.remove_prefix(at + kEvent.size());
    }
  }
  void Write() {
    text_[used_++] = '\n';
    for (std::size_t at = 0; at < used_;) {
      const ssize_t count = ::write(STDERR_FILENO, text_ + at, used_ - at);
      if (count <= 0) return;
      at += static_cast<std::size_t>(count);
    }
  }

 private:
  char text_[3 * kTextMax];
  std::size_t used_ = 0;
};

// --- crashes -----------------------------------------------------------------

std::string_view NameOf(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    default:
      return "SIGABRT";
  }
}

bool IsStackOverflow(int signal, [[maybe_unused]] const siginfo_t& info,
                     [[maybe_unused]] const void* context) {
  if (signal != SIGSEGV) return false;
#if defined(__x86_64__)
  // What a frame that does not fit touches first is near the stack's end: below
  // it, or above where the frame is large, since no more of it is there.
  const auto* const interrupted = static_cast<const ucontext_t*>(context);
  const auto top =
      static_cast<std::uintptr_t>(interrupted->uc_mcontext.gregs[REG_RSP]);
  const auto address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  constexpr std::uintptr_t kNear = std::uintptr_t{64} << 10;
  return address + kNear > top && address < top + kNear;
#else
  return false;
#endif
}

void AddCause(int signal, const siginfo_t& info, const void* context,
              Message* message) {
  message->Add(NameOf(signal));
  if (IsStackOverflow(signal, info, context)) {
    message->Add(", its stack has overflowed");
  } else if (signal == SIGSEGV || signal == SIGBUS) {
    message->Add(" at address 0x");
    message->AddNumber(reinterpret_cast<std::uintptr_t>(info.si_addr), 16);
  }
}

// Takes effect once the handler returns.
void DieOf(int signal) {
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

// By a copy of this process, in which only this thread goes on.
void LeaveCore(int signal) {
  rlimit limit;
  if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur == 0) return;
  const auto child = static_cast<pid_t>(::syscall(SYS_fork));
  if (child == 0) {
    ::signal(signal, SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
    ::syscall(SYS_kill, ::syscall(SYS_getpid), signal);
    EndNow(guard_options.exit_code);
  }
  if (child > 0) ::waitpid(child, nullptr, 0);
}

[[noreturn]] void End() {
  if (guard_options.before_end != nullptr) guard_options.before_end();
  EndNow(guard_options.exit_code);
}

// The first one that ends the process does so; others wait for it.
void BeTheOneWhoEnds() {
  if (!ending.exchange(true)) return;
  for (;;) ::pause();
}

// Sent by somebody else, who has a reason that no step has to do with.
bool IsFromOutside(const siginfo_t& info) {
  return info.si_code <= 0 && info.si_pid != ::syscall(SYS_getpid);
}

void OnCrash(int signal, siginfo_t* info, void* context) {
  static thread_local bool crashed = false;
  if (crashed || IsFromOutside(*info)) return DieOf(signal);
  crashed = true;
  BeTheOneWhoEnds();
  RunningCall call;
  Message message;
  message.Add(prefix_text);
  if (!CallOfThisThread(&call)) {
    message.Add("crashed outside of any step: ");
    AddCause(signal, *info, context, &message);
    message.Write();
    return DieOf(signal);
  }
  message.Add(call).Add(" crashed: ");
  AddCause(signal, *info, context, &message);
  if (call.ahead) {
    message.Add(
        ", running ahead of its turn on a state that may not have been the "
        "last word (--workers 0 never does)");
  }
  message.AddAdvice(call).Write();
  LeaveCore(signal);
  End();
}

// --- stacks for handlers -----------------------------------------------------

// A thread's own may be what has no room.
class HandlerStack {
 public:
  HandlerStack() {
    stack_t there;
    if (::sigaltstack(nullptr, &there) != 0 ||
        (there.ss_flags & SS_DISABLE) == 0) {
      return;  // somebody, a sanitizer maybe, was here before
    }
    memory_ = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) {
      memory_ = nullptr;
      return;
    }
    stack_t stack = {};
    stack.ss_sp = memory_;
    stack.ss_size = kStackBytes;
    ::sigaltstack(&stack, nullptr);
  }
  ~HandlerStack() {
    RunningCall call;
    // exit() in a step: it is still needed.
    if (memory_ == nullptr || CallOfThisThread(&call)) return;
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
    ::munmap(memory_, kStackBytes);
  }

 private:
  void* memory_ = nullptr;
};

void GiveThreadStack() {
  thread_local const HandlerStack stack;
  (void)stack;
}

// --- exits -------------------------------------------------------------------

void KeepFirst(const RunningCall& call, void* first) {
  auto* const kept = static_cast<RunningCall*>(first);
  if (kept->kind == CallKind::kNone || call.number < kept->number) *kept = call;
}

[[noreturn]] void EndFor(const RunningCall& call, std::string_view function) {
  BeTheOneWhoEnds();
  Message message;
  message.Add(prefix_text).Add(call).Add(" called ").Add(function);
  message.Add(", which would end the process").AddAdvice(call).Write();
  End();
}

// Whoever called: a thread that a step has started, too.
void OnExit() {
  if (released.load()) return;
  RunningCall call;
  if (!CallOfThisThread(&call)) ForEachCall(KeepFirst, &call);
  if (call.kind != CallKind::kNone) EndFor(call, "exit()");
  BeTheOneWhoEnds();
  Message message;
  message.Add(prefix_text)
      .Add("something called exit() before the end")
      .Write();
  End();
}

void Keep(std::string_view text, char* place) {
  const std::size_t size = std::min(text.size(), kTextMax - 1);
  std::memcpy(place, text.data(), size);
  place[size] = '\0';
}

}  // namespace

void GuardSteps(const StepGuardOptions& options) {
  guard_options = options;
  SetThreadHook(GiveThreadStack);
  GiveThreadStack();
  struct sigaction action = {};
  action.sa_sigaction = OnCrash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (const int signal : kSignals) ::sigaction(signal, &action, nullptr);
  (void)::atexit(OnExit);
  (void)::at_quick_exit(OnExit);
}

void SetStepGuardText(std::string_view prefix, std::string_view advice) {
  Keep(prefix, prefix_text);
  Keep(advice, advice_text);
}

void ReleaseStepGuard() { released.store(true); }

void EndIfInStep(const char* function) {
  RunningCall call;
  if (!released.load() && CallOfThisThread(&call)) EndFor(call, function);
}

}  // namespace reenact
