// The same bytes written with less around them: what a durable world is held
// against.

#ifndef REENACT_BENCH_BASELINES_H_
#define REENACT_BENCH_BASELINES_H_

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact::bench {

// The last `blocks` stored blocks of the closed world in `directory`, one by
// one.
absl::StatusOr<std::vector<Bytes>> LastBlocks(
    const std::filesystem::path& directory, std::size_t blocks);

// The same bytes in at most `groups` pieces of about as many blocks each.
std::vector<Bytes> Packed(const std::vector<Bytes>& blocks, std::size_t groups);

// Time to write the pieces one after the other in a new file or database in
// `directory`; with `sync` each is made durable before the next. Making the
// file, of its full size already, and opening the database are not counted.
absl::StatusOr<Timing> TimeRawFile(const std::filesystem::path& directory,
                                   const std::vector<Bytes>& pieces, bool sync);
absl::StatusOr<Timing> TimeRocksDb(const std::filesystem::path& directory,
                                   const std::vector<Bytes>& pieces, bool sync);

// Seconds that each of `count` appends of `size` bytes took, with fdatasync, to
// a file of its full size.
absl::StatusOr<std::vector<double>> SyncLatencies(
    const std::filesystem::path& directory, std::size_t count,
    std::size_t size = 200);

// How many appends of `size` bytes a second `threads` threads get through in
// about `seconds`, each of which waits until its last one is durable: whoever
// finds nobody writing writes for all who wait, as LevelDB does
// (DBImpl::Write()), to a file of its full size. Without `sync` nobody waits
// for the disk, and what is left is waking each other.
absl::StatusOr<double> WaitingAppendsPerSecond(
    const std::filesystem::path& directory, std::size_t threads, double seconds,
    std::size_t size, bool sync);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_BASELINES_H_
