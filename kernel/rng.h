// Random numbers for steps: fixed by spec/rng.md, tested against
// spec/vectors/rng.json, the same on every machine for ever.

#ifndef REENACT_KERNEL_RNG_H_
#define REENACT_KERNEL_RNG_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// The key of a step's generator.
struct Seed {
  std::uint64_t value = 0;

  friend constexpr auto operator<=>(Seed, Seed) = default;
};

// The first 8 bytes, big-endian, of
//   BLAKE2b-256("reenact.seed.v1" as a domain, the world's seed, event_id,
//               reducer and key, both length-prefixed).
Seed StepSeed(const Digest& world_seed, EventId event_id,
              std::string_view reducer, std::string_view key);

// The generator that a step draws from: Philox4x32-10 (Salmon, Moraes, Dror,
// Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//
// Counter-based: draw n depends on the seed and n only. Not <random>: the
// standard leaves its distributions' output to the library, and a journal
// outlives the library it was written with.
//
// Thread safety: none.
class Rng {
 public:
  explicit Rng(Seed seed) : seed_(seed) {}

  // 64 uniform bits.
  std::uint64_t Next();

  // Uniform in [0, bound), without bias. REQUIRES: bound > 0. As those below,
  // it throws std::logic_error where what it requires is not so, and the step
  // fails with FailureCode::kException.
  std::uint64_t Below(std::uint64_t bound);

  // Uniform in [low, high]. REQUIRES: low <= high.
  std::int64_t Between(std::int64_t low, std::int64_t high);

  // True `numerator` times out of `denominator`. REQUIRES: denominator > 0.
  bool Chance(std::uint64_t numerator, std::uint64_t denominator);

 private:
  Seed seed_;
  std::uint64_t block_ = 0;  // the counter of the next Philox block
  std::array<std::uint64_t, 2> drawn_{};
  unsigned left_ = 0;  // how many of drawn_ have not been handed out
};

}  // namespace reenact

#endif  // REENACT_KERNEL_RNG_H_
