// crash_child DIRECTORY SEED WORKERS: goes on with a world, writing numbers of
// 8 bytes to its output: the last ticket that was found, then, again and again,
// the last ticket that is durable.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/crash/crash_world.h"

namespace {

void Report(reenact::EventId event_id) {
  const ssize_t written = ::write(1, &event_id.value, sizeof event_id.value);
  if (written != sizeof event_id.value) std::_Exit(3);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  reenact::WorldOptions options = reenact::CrashOptions(seed, argv[1]);
  options.workers = std::strtoull(argv[3], nullptr, 10);
  auto world = reenact::World::Open(std::move(options));
  if (!world.ok()) {
    std::fprintf(stderr, "%s\n", world.status().ToString().c_str());
    return 1;
  }
  Report((*world)->open_report().head);
  reenact::InputList source(reenact::CrashInputs(seed), (*world)->position());
  source.before = [&](std::uint64_t) { Report((*world)->durable()); };
  if (!(*world)->Feed(source).ok()) return 1;
  Report((*world)->durable());
  return (*world)->Close().ok() ? 0 : 1;
}
