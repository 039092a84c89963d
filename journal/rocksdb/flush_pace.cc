#include "reenact/journal/rocksdb/flush_pace.h"

#include <algorithm>

namespace reenact {
namespace {

constexpr std::uint64_t kMebibyte = 1 << 20;
// A flush then takes a quarter of the time that its memtable took to fill: the
// other memtables never fill up behind it.
constexpr std::uint64_t kTimes = 4;
// What comes is measured over so many bytes, a part of any memtable.
constexpr std::uint64_t kMeasuredBytes = 4 * kMebibyte;
// A world that was idle seems slow until it has written that much again.
constexpr std::uint64_t kSlowest = 64 * kMebibyte;
constexpr std::uint64_t kFastest = 16384 * kMebibyte;

}  // namespace

std::int64_t FlushPace::PaceFor(std::uint64_t bytes, std::uint64_t ns) {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  const std::uint64_t pace =
      kTimes * bytes * kNsPerSecond / std::max<std::uint64_t>(ns, 1);
  return static_cast<std::int64_t>(std::clamp(pace, kSlowest, kFastest));
}

std::optional<std::int64_t> FlushPace::Wrote(std::size_t bytes,
                                             std::uint64_t now_ns) {
  bytes_ += bytes;
  if (bytes_ < kMeasuredBytes) return std::nullopt;
  std::optional<std::int64_t> pace;
  if (begin_ns_ != 0) pace = PaceFor(bytes_, now_ns - begin_ns_);
  bytes_ = 0;
  begin_ns_ = now_ns;
  return pace;
}

}  // namespace reenact
