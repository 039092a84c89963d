// What must hold of the tables of bench/tpcc.h.

#ifndef REENACT_BENCH_TPCC_CHECK_H_
#define REENACT_BENCH_TPCC_CHECK_H_

#include <cstdint>
#include <map>
#include <utility>

#include "reenact/base/status.h"
#include "reenact/world/world.h"
#include "tpcc.h"

namespace reenact::bench::tpcc {

// What a world was asked to do, without what was to be rolled back.
struct Expected {
  // By warehouse and district.
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> orders;
  std::uint64_t payments = 0;
  std::int64_t paid = 0;  // in cents
};

// DataLoss: a condition does not hold; the message names the clause, or what
// else is wrong, and the row.
absl::Status CheckTables(const TpccOptions& options, const Expected& expected,
                         const World& world);

}  // namespace reenact::bench::tpcc

#endif  // REENACT_BENCH_TPCC_CHECK_H_
