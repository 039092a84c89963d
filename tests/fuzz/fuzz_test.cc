// The fuzzers' functions over the corpus and over what a few changes make of
// it: what every run of the tests can afford.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/kernel/rng.h"
#include "tests/fuzz/targets.h"

namespace reenact {
namespace {

using Target = int (*)(const std::uint8_t* data, std::size_t size);

// What does not hold ends the process.
void Feed(Target target, const Bytes& bytes) {
  const int result =
      target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (result != 0) FAIL("a target is refused");
}

// The seeds of a target, in order of their names.
std::vector<Bytes> Corpus(const std::string& target) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(
           REENACT_SOURCE_DIR "/tests/fuzz/corpus/" + target)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file),
                       std::istreambuf_iterator<char>());
  }
  REQUIRE_FALSE(seeds.empty());
  return seeds;
}

// A part of `bytes`, of any place and up to 32 bytes.
Bytes Part(Rng& rng, const Bytes& bytes) {
  if (bytes.empty()) return bytes;
  return bytes.substr(rng.Below(bytes.size()), 1 + rng.Below(32));
}

// One change: a bit, a byte, a part gone, one doubled, or one of another seed.
void Change(Rng& rng, const Bytes& other, Bytes& bytes) {
  if (bytes.empty()) bytes = "\xa0";
  const std::size_t place = rng.Below(bytes.size());
  const char byte = static_cast<char>(rng.Below(256));
  switch (rng.Below(6)) {
    case 0:
      bytes[place] = static_cast<char>(bytes[place] ^ 1 << rng.Below(8));
      return;
    case 1:
      bytes[place] = byte;
      return;
    case 2:
      bytes.insert(place, 1, byte);
      return;
    case 3:
      bytes.erase(place, 1 + rng.Below(8));
      return;
    case 4:
      bytes.insert(place, Part(rng, bytes));
      return;
    default:
      bytes.insert(place, Part(rng, other));
  }
}

// 12 million in all in an optimized build, which takes two minutes of one core.
#if defined(NDEBUG) && !defined(REENACT_SANITIZED)
constexpr std::uint64_t kTimes = 670;
#elif defined(NDEBUG)
constexpr std::uint64_t kTimes = 20;
#else
constexpr std::uint64_t kTimes = 1;
#endif

// Feeds every seed, every beginning of a short one, and some thousands of times
// one that has up to eight changes.
void Try(const std::string& name, Target target, std::uint64_t thousands) {
  const std::vector<Bytes> seeds = Corpus(name);
  for (const Bytes& seed : seeds) {
    Feed(target, seed);
    for (std::size_t i = 0; i < std::min<std::size_t>(seed.size(), 64); ++i) {
      Feed(target, seed.substr(0, i));
    }
  }
  Rng rng(Seed{7});
  const std::uint64_t changed = 1000 * thousands * kTimes;
  for (std::uint64_t i = 0; i < changed; ++i) {
    Bytes bytes = seeds[rng.Below(seeds.size())];
    const Bytes& other = seeds[rng.Below(seeds.size())];
    for (std::uint64_t n = 1 + rng.Below(8); n > 0; --n) {
      Change(rng, other, bytes);
    }
    Feed(target, bytes);
  }
  Score("fuzz executions", changed);
}

TEST_CASE("changed CBOR holds the codec's promises", "[fuzz]") {
  Try("cbor", CborFuzzOneInput, 6);
}

TEST_CASE("changed frames hold the protocol's promises", "[fuzz]") {
  Try("frame", FrameFuzzOneInput, 2);
}

TEST_CASE(
    "changed entries and blocks are refused or are others, by all readers",
    "[fuzz]") {
  Try("journal", JournalFuzzOneInput, 4);
}

TEST_CASE("changed snapshots, open work and head slots are refused or others",
          "[fuzz]") {
  Try("snapshot", SnapshotFuzzOneInput, 1);
}

TEST_CASE("changed receipts, grants and policies are refused or others",
          "[fuzz]") {
  Try("receipt", ReceiptFuzzOneInput, 4);
}

TEST_CASE("changed event files are refused where they are wrong, or are others",
          "[fuzz]") {
  Try("rows", RowsFuzzOneInput, 1);
}

}  // namespace
}  // namespace reenact
