#ifndef REENACT_BENCH_BIG_WORLD_H_
#define REENACT_BENCH_BIG_WORLD_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "measure.h"
#include "reenact/kernel/status.h"

namespace reenact::bench {

struct BigWorldOptions {
  std::filesystem::path directory;
  std::uint64_t cells = 10'000'000;
  std::uint64_t cache_mib = 256;
};

// Makes a world of more cells than its cache holds, with states of about 100
// bytes, changes a tenth as many at random, and opens it again, telling the
// progress and the memory in use on standard error.
absl::StatusOr<std::vector<Figure>> RunBigWorld(const BigWorldOptions& options);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_BIG_WORLD_H_
