// How the tables of bench/tpcc.h are filled (4.3.3.1).

#ifndef REENACT_BENCH_TPCC_LOAD_H_
#define REENACT_BENCH_TPCC_LOAD_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "reenact/kernel/reducer.h"
#include "reenact/kernel/rng.h"
#include "reenact/world/world.h"
#include "tpcc.h"

namespace reenact::bench::tpcc {

// The non-uniform distribution of 2.1.6 over [low, high].
std::int64_t NonUniform(Rng& rng, std::uint64_t a, std::uint64_t c,
                        std::int64_t low, std::int64_t high);

// Last names that customers of a district can have: 1,000, or as many as there
// are customers if that is less.
std::int64_t LastNameCount(const TpccOptions& options);

// What fills the tables: each event of it a part of them.
std::shared_ptr<const Reducer> Loader(const TpccOptions& options);
std::vector<Input> LoadingInputs(const TpccOptions& options);

}  // namespace reenact::bench::tpcc

#endif  // REENACT_BENCH_TPCC_LOAD_H_
