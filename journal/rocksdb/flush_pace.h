// How fast a database writes what it has in memory to its files.

#ifndef REENACT_JOURNAL_ROCKSDB_FLUSH_PACE_H_
#define REENACT_JOURNAL_ROCKSDB_FLUSH_PACE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

namespace reenact {

// Spreads the flush of a memtable over a good part of the time that the next
// one takes to fill. A flush at full speed is a burst of tens of megabytes on
// the disk that syncs of the log wait behind; one at a fixed speed would be in
// the way where much is written. So flushes go kTimes as fast as blocks have
// come lately.
//
// Thread safety: none.
class FlushPace {
 public:
  // Bytes each second, before anything is known.
  static constexpr std::int64_t kAtFirst = 256 << 20;

  // So many bytes more went to the log at `now_ns`, which only grows. Returns
  // the bytes each second to flush with from now on, now and then.
  std::optional<std::int64_t> Wrote(std::size_t bytes, std::uint64_t now_ns);

  // The same for `bytes` that came within `ns`.
  static std::int64_t PaceFor(std::uint64_t bytes, std::uint64_t ns);

 private:
  std::uint64_t bytes_ = 0;  // since begin_ns_
  std::uint64_t begin_ns_ = 0;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_ROCKSDB_FLUSH_PACE_H_
