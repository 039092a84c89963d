// What is drawn from a seed stays the same for ever: splitmix64, of Steele, Lea
// and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

#ifndef REENACT_HARNESS_DICE_H_
#define REENACT_HARNESS_DICE_H_

#include <cstdint>

namespace reenact {

// Spreads the bits of a number over all of it.
inline std::uint64_t Mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

class Dice {
 public:
  // How far one number is from the next before they are mixed.
  static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;

  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() { return Mix64(state_ += kStep); }
  // REQUIRES: bound > 0.
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }

 private:
  std::uint64_t state_;
};

}  // namespace reenact

#endif  // REENACT_HARNESS_DICE_H_
