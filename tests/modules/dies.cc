// Ends the process, in the way that what it should add says.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/modules/counter_like.h"

namespace {

volatile std::int64_t sink = 0;
volatile std::int64_t zero = 0;

int* volatile nowhere = nullptr;

void UseNull() { *nowhere = 1; }

// Not a tail call, and not to be seen through: calls that are put into one
// another take so much of the stack at once that it is not known for an
// overflow.
std::int64_t UseStack(std::int64_t depth);
std::int64_t (*volatile use_more_stack)(std::int64_t) = UseStack;
std::int64_t UseStack(std::int64_t depth) {
  volatile char room[4096];
  if (depth == sink - 1) return 0;  // never
  room[depth % 4096] = static_cast<char>(depth);
  return use_more_stack(depth + 1) + room[depth % 4096];
}

void UseWhatIsBeyondAFile() {
  const int file = memfd_create("empty", 0);
  auto* const page = static_cast<volatile char*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  page[0] = 1;
}

void Throw() { throw std::runtime_error("out of here"); }

void ThrowWhereNobodyMay() noexcept { Throw(); }

// Whether standard error, a file here, has `text`.
bool WasSaid(const std::string& text) {
  std::string said(65536, '\0');
  const ssize_t size = pread(STDERR_FILENO, said.data(), said.size(), 0);
  return size > 0 && said.find(text) < static_cast<std::size_t>(size);
}

// Wants the process to stop, does not, and once it is said that it is waited
// for, wants it again.
void StandInTheWay() {
  raise(SIGTERM);
  while (!WasSaid("a second signal ends at once")) usleep(1000);
  raise(SIGTERM);
  for (;;) pause();
}

void Die(std::int64_t how) {
  switch (how) {
    case 101:
      return UseNull();
    case 102:
      sink = UseStack(0);
      return;
    case 103:
      std::abort();
    case 104:
      sink = 100 / zero;  // 1 would be compared instead
      return;
    case 105:
      __builtin_trap();
    case 106:
      return UseWhatIsBeyondAFile();
    case 107:
      return ThrowWhereNobodyMay();
    case 111:
      std::exit(0);
    case 112:
      _exit(0);
    case 113:
      std::quick_exit(0);
    case 114:
      std::thread([] { std::exit(0); }).join();
      return;
    case 121:
      return StandInTheWay();
  }
}

absl::StatusOr<std::vector<reenact::Input>> MapOrExit(
    const reenact::cbor::Value& row) {
  auto inputs = reenact::examples::MapCounterRow(row);
  if (inputs.ok() && inputs->front().event.key == "exit") std::exit(0);
  return inputs;
}

}  // namespace

REENACT_MODULE(registry) {
  registry.SetName("counter", "1.0.0");
  registry.AddReducer(std::make_shared<reenact::tests::CounterLike>(
      [](std::int64_t before, std::int64_t add) {
        Die(add);
        return before + add;
      }));
  registry.SetInputMapper(MapOrExit);
}
