#ifndef REENACT_BENCH_COUNTS_H_
#define REENACT_BENCH_COUNTS_H_

#include <filesystem>
#include <vector>

#include "bench/figure.h"
#include "reenact/base/status.h"

namespace reenact::bench {

// Instructions per ticket as tools/instructions has counted them and written
// them down, "instructions.serial" and so on. InvalidArgument: it is no such
// file.
absl::StatusOr<std::vector<Figure>> ReadCounts(
    const std::filesystem::path& file);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_COUNTS_H_
