// What a world allocates while nothing new happens. A program of its own, since
// it counts every `new`.

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

#include "reenact/committer/read_back.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/workers/pool.h"
#include "reenact/world/world.h"
#include "reenact/world/world_internal.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace reenact {
namespace {

// Where what is written is read again, that is most of it.
constexpr double kAllowed = kReadBack ? 6 : 0.01;
constexpr std::uint64_t kCells = 500;
constexpr std::uint64_t kWarm = 40'000;
constexpr std::uint64_t kEvents = 120'000;

// Counts in 500 cells.
Module Counting() {
  auto module = MakeModule(
      "counting", "1", {MakeReducer("counter", [](StepContext& step) {
        const auto state = step.state();
        const auto count = state ? cbor::DecodeInteger(*state).value() : 0;
        step.SetState(cbor::EncodeInteger(count + 1));
        return absl::OkStatus();
      })});
  REQUIRE_OK(module);
  return *std::move(module);
}

// Tells how many allocations there were from one event to the last.
class Source final : public InputSource {
 public:
  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (next_ == kWarm) at_warm = allocations;
    if (next_ == kEvents) {
      at_end = allocations;
      return false;
    }
    Input& input = row->emplace_back();
    input.event.reducer = "counter";
    input.event.key = "c" + std::to_string(next_ * 7919 % kCells);
    input.event.payload.assign(1, '\x01');
    input.position = ++next_;
    return true;
  }

  std::uint64_t at_warm = 0;
  std::uint64_t at_end = 0;

 private:
  std::uint64_t next_ = 0;
};

double AllocationsPerTicket(WorldInternals internals) {
  WorldOptions options;
  options.modules.push_back(Counting());
  auto world = OpenWorld(std::move(options), std::move(internals));
  REQUIRE_OK(world);
  Source source;
  REQUIRE_OK((*world)->Feed(source));
  CHECK((*world)->stats().committed == kEvents);
  CHECK(source.at_warm > 0);  // they are counted at all
  REQUIRE_OK((*world)->Close());
  return static_cast<double>(source.at_end - source.at_warm) /
         static_cast<double>(kEvents - kWarm);
}

TEST_CASE("steady state: a step allocates nothing") {
  // What is left belongs to blocks, of which there is one for 1,024 tickets.
  SECTION("one after the other") { CHECK(AllocationsPerTicket({}) < kAllowed); }
  SECTION("through the window") {
    WorldInternals internals;
    internals.pool = NewShuffledPool(7);
    internals.never_inline = true;
    CHECK(AllocationsPerTicket(std::move(internals)) < kAllowed);
  }
  SECTION("by two threads") {
    WorldInternals internals;
    internals.pool = NewThreadPool(2);
    internals.never_inline = true;
    CHECK(AllocationsPerTicket(std::move(internals)) < kAllowed);
  }
}

}  // namespace
}  // namespace reenact
