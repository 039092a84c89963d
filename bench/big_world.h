#ifndef REENACT_BENCH_BIG_WORLD_H_
#define REENACT_BENCH_BIG_WORLD_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include "bench/figure.h"
#include "reenact/base/status.h"
#include "reenact/world/world.h"

namespace reenact::bench {

struct BigWorldOptions {
  std::filesystem::path directory;
  std::uint64_t cells = 10'000'000;
  std::uint64_t cache_mib = 256;
  std::function<void(World*)> running;  // see Hooks
  // Told now and then what is going on and how much memory is in use.
  std::function<void(std::string_view)> progress;
};

// Makes a world of more cells than its cache holds, with states of about 100
// bytes, changes a tenth as many at random, and opens it again.
absl::StatusOr<std::vector<Figure>> RunBigWorld(const BigWorldOptions& options);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_BIG_WORLD_H_
