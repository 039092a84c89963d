#include "reenact/harness/perturb.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "reenact/base/instrument.h"
#include "reenact/harness/dice.h"

namespace reenact::harness {

#if defined(REENACT_INSTRUMENTED)
namespace {

class RandomSleeper final : public instrument::Perturber {
 public:
  void Reset(std::uint64_t seed) { state_.store(seed); }
  void Yield(const char*) override {
    // One number for all threads: who gets which is left to chance, too.
    const std::uint64_t z = Mix64(state_.fetch_add(Dice::kStep));
    if (z % 16 == 0) std::this_thread::yield();
    if (z % 256 == 1) {
      std::this_thread::sleep_for(std::chrono::microseconds(z / 256 % 200));
    }
  }

 private:
  std::atomic<std::uint64_t> state_{0};
};
RandomSleeper sleeper;

}  // namespace

Perturbing::Perturbing(std::uint64_t seed) {
  sleeper.Reset(seed);
  instrument::perturber.store(&sleeper);
}
Perturbing::~Perturbing() { instrument::perturber.store(nullptr); }
#else
Perturbing::Perturbing(std::uint64_t) {}
Perturbing::~Perturbing() = default;
#endif

}  // namespace reenact::harness
