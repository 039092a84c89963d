// Peer-to-peer transfers, as Block-STM is measured with (Gelashvili et al.,
// "Block-STM: Scaling Blockchain Execution by Turning Ordering Curse to a
// Performance Blessing", PPoPP 2023): each reads and writes the two accounts
// that it moves money between, both drawn evenly. Both are declared.

#ifndef REENACT_BENCH_TRANSFERS_H_
#define REENACT_BENCH_TRANSFERS_H_

#include <cstdint>
#include <memory>

#include "workload.h"

namespace reenact::bench {

// At the end each account must hold exactly what the inputs lead to, and all of
// them together what they began with. REQUIRES: accounts >= 2.
std::unique_ptr<Workload> NewTransfers(std::uint32_t accounts);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_TRANSFERS_H_
