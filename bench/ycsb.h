// YCSB as deterministic databases are measured with it: transactions of 10
// operations on 10 records, of which 80 % are reads and the others updates,
// over records of about 100 bytes. (Cooper et al., "Benchmarking Cloud Serving
// Systems with YCSB", SoCC 2010, has single operations; 10 in a transaction is
// what Calvin, BOHM, PWV and Aria use.) Every record is declared.

#ifndef REENACT_BENCH_YCSB_H_
#define REENACT_BENCH_YCSB_H_

#include <cstdint>
#include <memory>

#include "workload.h"

namespace reenact::bench {

struct YcsbOptions {
  std::uint32_t records = 100'000;  // at least 10
  // Records are drawn by Zipf's law, those of one transaction distinct; in
  // tenths, so 9 is an exponent of 0.9, and 0 the uniform distribution.
  std::uint32_t zipf_tenths = 0;
};

// At the end each record must have been updated exactly as often as the inputs
// say, the last time by one of the transactions that update it.
std::unique_ptr<Workload> NewYcsb(const YcsbOptions& options);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_YCSB_H_
