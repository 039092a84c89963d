#include "tools/reenact/signals.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reenact/world/world.h"
#include "tools/reenact/common.h"
#include "tools/reenact/step_watch.h"

namespace reenact::tools {
namespace {

// How long a step may take before it is said that it is waited for.
constexpr std::chrono::seconds kPatience{1};

// Signals this close together are one wish: timeout(1) sends one to its child
// and one to the process group, and a terminal's Ctrl-C reaches a wrapper that
// passes it on.
constexpr std::int64_t kOneWishNanos = 300'000'000;

std::atomic<int> stop_signal{0};
std::atomic<std::int64_t> stopped_at_nanos{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);
std::atomic<World*> world_to_interrupt{nullptr};
static_assert(std::atomic<World*>::is_always_lock_free);
sem_t stop_wanted;
std::atomic<const World*> world_to_write{nullptr};

std::int64_t MonotonicNanos() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void OnStopSignal(int signal) {
  std::int64_t first = 0;
  const std::int64_t now = MonotonicNanos();
  if (!stopped_at_nanos.compare_exchange_strong(first, now)) {
    if (now - first < kOneWishNanos) return;
    // _exit() would be taken for the step's own, on a thread that runs one.
    ::syscall(SYS_exit_group, 128 + signal);
  }
  stop_signal.store(signal);
  if (World* world = world_to_interrupt.load()) world->Interrupt();
  sem_post(&stop_wanted);
}

// The call that has been running since the signal; null: there is none.
const RunningCall* FindStuck(const std::vector<RunningCall>& then,
                             const std::vector<RunningCall>& now) {
  for (const RunningCall& call : then) {
    const auto same = [&call](const RunningCall& other) {
      return call.SameCallAs(other);
    };
    if (std::any_of(now.begin(), now.end(), same)) return &call;
  }
  return nullptr;
}

// A step cannot be stopped, so who wants to stop is told what is waited for.
void TellWhatIsWaitedFor() {
  while (sem_wait(&stop_wanted) != 0) continue;
  std::vector<RunningCall> then = CallsNow();
  for (;;) {
    std::this_thread::sleep_for(kPatience);
    std::vector<RunningCall> now = CallsNow();
    if (const RunningCall* const stuck = FindStuck(then, now)) {
      Complain(ExitCode::kOk, absl::StrCat("waiting for ", TextOf(*stuck),
                                           "; a second signal ends at once"));
      return;
    }
    then = std::move(now);
  }
}

// The threads that commit and write go on while the one that crashed is here.
// That may be for nothing: it may have crashed holding what they need.
void AwaitWriter() {
  constexpr int kLooks = 200;
  const World* const world = world_to_write.load();
  for (int i = 0, caught_up = 0; world != nullptr && i < kLooks; ++i) {
    // Some times, since a round may have been complete and not handed over.
    caught_up = world->caught_up() ? caught_up + 1 : 0;
    if (caught_up == 3) return;
    const timespec pause = {0, 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace

StepGuardOptions StepGuard() {
  StepGuardOptions options;
  options.exit_code = static_cast<int>(ExitCode::kCrashed);
  options.before_end = AwaitWriter;
  return options;
}

void WriteBeforeCrash(const World* world) { world_to_write.store(world); }

void CatchStopSignals() {
  sem_init(&stop_wanted, 0, 0);
  // Runs for as long as the process.
  std::thread(TellWhatIsWaitedFor).detach();
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int StopSignal() { return stop_signal.load(); }

void InterruptOnStop(World* world) {
  world_to_interrupt.store(world);
  // A signal that came before found no world.
  if (world != nullptr && StopSignal() != 0) world->Interrupt();
}

}  // namespace reenact::tools
