// Where the memory of cells' values comes from.

#include "reenact/workers/version.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace reenact {
namespace {

// Not where AddressSanitizer is to see every free.
constexpr bool kKept = REENACT_KEEPS_VERSIONS != 0;

TEST_CASE("version: says what it was made with") {
  VersionPool pool;
  VersionCache cache(&pool);
  const std::string long_state(100'000, 'x');
  for (const std::string& state :
       {std::string(), std::string("a"), std::string(15, 'b'),
        std::string(16, 'c'), std::string(17, 'd'), std::string(496, 'e'),
        std::string(497, 'f'), long_state}) {
    const Version* version = cache.New(85, state);
    CHECK(version->state() == state);
    CHECK(version->written_by() == EventId{42});
    cache.Free(version);
  }
  const Version* absent = cache.New(7, std::nullopt);
  CHECK(absent->state() == std::nullopt);
  cache.Free(absent);
}

TEST_CASE("version: memory that is given back is used again") {
  VersionPool pool;
  VersionCache cache(&pool);
  const Version* first = cache.New(2, "a state");
  const void* const memory = first;
  cache.Free(first);
  // Any state of about the same size fits.
  const Version* second = cache.New(4, "another one");
  if (kKept) CHECK(static_cast<const void*>(second) == memory);
  CHECK(second->state() == "another one");
  cache.Free(second);
}

TEST_CASE("version: what one cache lets go of, another one makes use of") {
  VersionPool pool;
  VersionCache makes(&pool);
  VersionCache frees(&pool);
  std::set<const void*> seen;
  std::size_t fresh = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<const Version*> versions;
    for (int i = 0; i < 100; ++i) {
      versions.push_back(makes.New(2, "0123456789"));
      if (seen.insert(versions.back()).second) ++fresh;
    }
    for (const Version* version : versions) frees.Free(version);
  }
  // A chain in either cache and what a round needs; not 50 rounds' worth.
  if (kKept) CHECK(fresh <= 100 + 2 * VersionPool::kChain);
}

TEST_CASE("version: the shared value of absent cells is never freed") {
  VersionPool pool;
  VersionCache cache(&pool);
  cache.Free(&kNeverThere);
  Version::Free(&kNeverThere);
  cache.Free(nullptr);
  CHECK(kNeverThere.state() == std::nullopt);
}

TEST_CASE("version: plain and cached memory can be mixed") {
  VersionPool pool;
  VersionCache cache(&pool);
  const Version* plain = Version::New(2, "plain");
  cache.Free(plain);
  const Version* cached = cache.New(4, "cached");
  CHECK(cached->state() == "cached");
  Version::Free(cached);
}

TEST_CASE("version: threads pass memory to each other") {
  VersionPool pool;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      VersionCache cache(&pool);
      std::vector<const Version*> mine;
      const std::string state(static_cast<std::size_t>(t) * 7 + 1, 's');
      for (int i = 0; i < 20'000; ++i) {
        mine.push_back(cache.New(static_cast<std::uint64_t>(i) << 1, state));
        if (mine.size() < 200) continue;
        for (const Version* version : mine) {
          if (version->state() != state) std::abort();
          cache.Free(version);
        }
        mine.clear();
      }
      for (const Version* version : mine) cache.Free(version);
    });
  }
  for (std::thread& thread : threads) thread.join();
  SUCCEED("no version was anyone else's");
}

}  // namespace
}  // namespace reenact
