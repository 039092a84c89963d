// A world that is killed while it works.

#ifndef REENACT_BENCH_CRASH_H_
#define REENACT_BENCH_CRASH_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/world/world.h"

namespace reenact::bench {

// Options of the world that MakeCrashedWorld() makes: the defaults, and a
// counter over 100,000 cells.
WorldOptions CrashedWorldOptions(const std::filesystem::path& directory);

// Feeds a new world in `directory` without end, for a process that is going to
// be killed; writes one byte to standard output once `tickets` are durable.
// Returns an error, or when twice as many are: nobody has killed it.
absl::Status MakeCrashedWorld(const std::filesystem::path& directory,
                              std::uint64_t tickets);

// Runs `command` with the directory and the number behind it and kills it, in
// the middle of its work, when it has written its byte. Unavailable: it ended
// before. Cancelled: `stopped`, asked several times a second, said so.
absl::Status RunUntilKilled(std::vector<std::string> command,
                            const std::filesystem::path& directory,
                            std::uint64_t tickets,
                            const std::function<bool()>& stopped);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_CRASH_H_
