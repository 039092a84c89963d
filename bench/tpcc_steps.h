// The two transactions of bench/tpcc.h, as reducers.

#ifndef REENACT_BENCH_TPCC_STEPS_H_
#define REENACT_BENCH_TPCC_STEPS_H_

#include <memory>

#include "reenact/kernel/reducer.h"

namespace reenact::bench::tpcc {

// Steps of tpcc.next-order: NewOrderRequests. Clause 2.4.2.
std::shared_ptr<const Reducer> NewOrderReducer();

// Steps of tpcc.history: PaymentRequests. Clause 2.5.2.
std::shared_ptr<const Reducer> PaymentReducer();

}  // namespace reenact::bench::tpcc

#endif  // REENACT_BENCH_TPCC_STEPS_H_
