#ifndef REENACT_HARNESS_PERTURB_H_
#define REENACT_HARNESS_PERTURB_H_

#include <cstdint>

namespace reenact::harness {

// Disturbs all threads of the process that pass the kernel's points, for as
// long as it lives: now and then one gives the processor away or sleeps for a
// moment. One at a time.
class Perturbing {
 public:
  explicit Perturbing(std::uint64_t seed);
  ~Perturbing();
  Perturbing(const Perturbing&) = delete;
  Perturbing& operator=(const Perturbing&) = delete;
};

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_PERTURB_H_
