#include "tools/reenact/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "reenact/kernel/world.h"

namespace reenact::tools {
namespace {

std::atomic<int> stop_signal{0};
std::atomic<World*> world_to_interrupt{nullptr};
static_assert(std::atomic<World*>::is_always_lock_free);

void OnStopSignal(int signal) {
  int none = 0;
  if (!stop_signal.compare_exchange_strong(none, signal)) _exit(128 + signal);
  if (World* world = world_to_interrupt.load()) world->Interrupt();
}

}  // namespace

void CatchStopSignals() {
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
