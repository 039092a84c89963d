// When the requests of an open loop are due.

#ifndef REENACT_BENCH_SCHEDULE_H_
#define REENACT_BENCH_SCHEDULE_H_

#include <cstddef>
#include <vector>

#include "reenact/kernel/rng.h"

namespace reenact::bench {

// Seconds after the start at which each of `count` requests is due: a Poisson
// process of `rate` per second, the same one for the same seed. Fixed before
// anything is sent, so that a world that falls behind does not slow the
// requests down that would show it.
//
// REQUIRES: rate > 0.
std::vector<double> PoissonArrivals(double rate, std::size_t count, Seed seed);

// Seconds from due to done of each; what was sent late has waited all the same.
// REQUIRES: as many of each.
std::vector<double> LatenciesFromDue(const std::vector<double>& due,
                                     const std::vector<double>& done);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_SCHEDULE_H_
