#include "bench/schedule.h"

#include <cmath>
#include <cstdint>

#include "reenact/base/check.h"

namespace reenact::bench {

std::vector<double> PoissonArrivals(double rate, std::size_t count, Seed seed) {
  REENACT_CHECK(rate > 0);
  std::vector<double> arrivals;
  arrivals.reserve(count);
  Rng rng(seed);
  double now = 0;
  for (std::size_t i = 0; i < count; ++i) {
    // In (0, 1]: the logarithm of 0 is not a time.
    const double uniform =
        static_cast<double>(rng.Below(1ULL << 53) + 1) * 0x1p-53;
    now -= std::log(uniform) / rate;
    arrivals.push_back(now);
  }
  return arrivals;
}

std::vector<double> LatenciesFromDue(const std::vector<double>& due,
                                     const std::vector<double>& done) {
  REENACT_CHECK(due.size() == done.size());
  std::vector<double> latencies;
  latencies.reserve(due.size());
  for (std::size_t i = 0; i < due.size(); ++i) {
    latencies.push_back(done[i] - due[i]);
  }
  return latencies;
}

}  // namespace reenact::bench
