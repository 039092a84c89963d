// The same bytes written with less around them: what a durable world is held
// against.

#ifndef REENACT_BENCH_BASELINES_H_
#define REENACT_BENCH_BASELINES_H_

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "measure.h"
#include "reenact/kernel/bytes.h"
#include "reenact/kernel/status.h"

namespace reenact::bench {

// The stored blocks of the closed world in `directory`, packed as its groups
// were: evenly, into `groups` pieces at most.
absl::StatusOr<std::vector<Bytes>> PackedBlocks(
    const std::filesystem::path& directory, std::size_t groups);

// Time to write the pieces one after the other in a new file or database in
// `directory`, each made durable before the next. Making the file, of its full
// size already, and opening the database are not counted.
absl::StatusOr<Timing> TimeRawFile(const std::filesystem::path& directory,
                                   const std::vector<Bytes>& pieces);
absl::StatusOr<Timing> TimeRocksDb(const std::filesystem::path& directory,
                                   const std::vector<Bytes>& pieces, bool sync);

// Microseconds that each of `count` appends of 200 bytes took, with fdatasync,
// to a file of its full size.
absl::StatusOr<std::vector<double>> SyncLatencies(
    const std::filesystem::path& directory, std::size_t count);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_BASELINES_H_
