// What becomes of repeated measurements.

#ifndef REENACT_BENCH_STATISTICS_H_
#define REENACT_BENCH_STATISTICS_H_

#include <cstddef>
#include <string>
#include <vector>

namespace reenact::bench {

// The middle value, or the mean of the two middle ones. REQUIRES: not empty.
double Median(std::vector<double> values);

// The value at `part`, 0 to 1, of the way through the sorted values, between
// two of them if need be. REQUIRES: not empty.
double Quantile(std::vector<double> values, double part);

// The smallest value that at least `part` of all do not exceed: what "p99" of a
// latency means, always one that was seen. REQUIRES: sorted and not empty.
double Percentile(const std::vector<double>& sorted, double part);

// Repeated values in short.
struct Spread {
  std::size_t count = 0;
  double median = 0;
  double lowest = 0;
  double highest = 0;
  double lower_quartile = 0;
  double upper_quartile = 0;
};
Spread SpreadOf(const std::vector<double>& values);  // REQUIRES: not empty

// "1,234,567", "12.3", "0.95", "0.0004": about three digits, more if they are
// whole ones.
std::string NumberText(double value);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_STATISTICS_H_
