// What is drawn from a seed stays the same for ever: splitmix64.

#ifndef REENACT_HARNESS_DISK_DICE_H_
#define REENACT_HARNESS_DISK_DICE_H_

#include <cstdint>

namespace reenact::disk {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // REQUIRES: bound > 0.
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }

 private:
  std::uint64_t state_;
};

}  // namespace reenact::disk

#endif  // REENACT_HARNESS_DISK_DICE_H_
