// The world that crashes: the same in the test and in the process that is
// killed.

#ifndef REENACT_TESTS_CRASH_CRASH_WORLD_H_
#define REENACT_TESTS_CRASH_CRASH_WORLD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/torture.h"
#include "tests/support/worlds.h"

namespace reenact {

inline WorldOptions CrashOptions(std::uint64_t seed, std::string path) {
  WorldOptions options;
  options.path = std::move(path);
  options.modules.push_back(MakeTortureModule());
  options.config = TortureConfig(seed);
  options.config.scheduling.round_limit = 8;
  options.config.snapshot_every = 5;
  return options;
}

inline std::vector<Input> CrashInputs(std::uint64_t seed) {
  return TortureInputs({seed, 600, 10});
}

}  // namespace reenact

#endif  // REENACT_TESTS_CRASH_CRASH_WORLD_H_
