#include "reenact/journal/rocksdb/flush_pace.h"

#include <catch2/catch.hpp>

namespace reenact {
namespace {

constexpr std::uint64_t kMebibyte = 1 << 20;
constexpr std::uint64_t kSecondNs = 1'000'000'000;

TEST_CASE("memtables are written four times as fast as blocks come",
          "[journal]") {
  const auto mebibytes_at = [](std::uint64_t mebibytes, std::uint64_t ns) {
    return FlushPace::PaceFor(mebibytes * kMebibyte, ns) /
           static_cast<std::int64_t>(kMebibyte);
  };
  CHECK(mebibytes_at(100, kSecondNs) == 400);
  CHECK(mebibytes_at(10, kSecondNs / 10) == 400);
  // Never so slowly that the first one after a pause is in the way.
  CHECK(mebibytes_at(4, kSecondNs * 3600) == 64);
  CHECK(mebibytes_at(4, 0) == 16384);
}

TEST_CASE("the pace follows what is written", "[journal]") {
  FlushPace pace;
  std::int64_t limit = FlushPace::kAtFirst;
  std::uint64_t now = kSecondNs;
  const auto write = [&](std::uint64_t mebibytes, std::uint64_t ns) {
    for (std::uint64_t i = 0; i < mebibytes; ++i) {
      now += ns / mebibytes;
      limit = pace.Wrote(kMebibyte, now).value_or(limit);
    }
  };
  write(3, kSecondNs);
  CHECK(limit == FlushPace::kAtFirst);  // nothing is known yet
  write(60, kSecondNs / 4);
  CHECK(limit / (960 * 1024) == 1024);  // 4 times 240 MiB/s
  write(60, kSecondNs * 2);
  CHECK(limit / (120 * 1024) == 1024);
}

}  // namespace
}  // namespace reenact
