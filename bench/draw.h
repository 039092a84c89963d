// What the workloads draw at random, all from the kernel's own generator, so
// that a seed is a workload on every machine.

#ifndef REENACT_BENCH_DRAW_H_
#define REENACT_BENCH_DRAW_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reenact/kernel/rng.h"
#include "reenact/world/world.h"

namespace reenact::bench {

// Numbers of [0, size) by Zipf's law: k is drawn in proportion to
// 1 / (k + 1) ^ exponent. An exponent of 0 is the uniform distribution.
class Zipf {
 public:
  Zipf(std::uint32_t size, double exponent);
  std::uint32_t size() const {
    return static_cast<std::uint32_t>(sums_.size());
  }
  std::uint32_t Draw(Rng& rng) const;

 private:
  std::vector<double> sums_;  // of weights, cumulated
};

// `low` to `high` lower-case letters.
std::string DrawText(Rng& rng, std::size_t low, std::size_t high);

// "0042": as many digits as `digits`, or more if they are needed.
std::string Digits(std::uint64_t number, std::size_t digits);

// `count` inputs, one to a row, that `next` makes as they are pulled. Their
// positions begin behind `position`.
std::unique_ptr<InputSource> GeneratedSource(std::size_t count,
                                             std::uint64_t position,
                                             std::function<Input()> next);

// The same of inputs that are there: pulling one costs a move.
std::unique_ptr<InputSource> ReadySource(std::vector<Input> inputs,
                                         std::uint64_t position);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_DRAW_H_
