#include "reenact/kernel/cell_hash.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace reenact {
namespace {

TEST_CASE("equal cells have equal hashes, wherever their keys lie",
          "[cell_hash]") {
  for (std::size_t size = 0; size <= 100; ++size) {
    const std::string key(size, 'k');
    const std::string elsewhere = "xyz" + key + "xyz";
    CAPTURE(size);
    CHECK(CellHash(3, key) ==
          CellHash(3, std::string_view(elsewhere).substr(3, size)));
  }
}

TEST_CASE("every byte of a key counts, and so do its length and the reducer",
          "[cell_hash]") {
  for (std::size_t size = 0; size <= 100; ++size) {
    CAPTURE(size);
    std::string key(size, '\0');
    std::set<std::uint64_t> hashes = {CellHash(0, key), CellHash(1, key),
                                      CellHash(kNoReducer, key),
                                      CellHash(0, key + '\0')};
    for (std::size_t at = 0; at < size; ++at) {
      for (const char bit : {'\x01', '\x10', '\x80'}) {
        key[at] = bit;
        hashes.insert(CellHash(0, key));
        key[at] = '\0';
      }
    }
    CHECK(hashes.size() == 4 + 3 * size);
  }
}

// Tables take the lowest bits and the highest ones. With 2^16 keys in 2^16
// places a fair draw leaves 1/e of the places empty, that is 24,109 with a
// standard deviation of 78.
TEST_CASE("keys that count up fall all over the table, by any bits",
          "[cell_hash]") {
  constexpr std::size_t kPlaces = 65'536;
  const char* const prefix =
      GENERATE("", "k", "cell-", "account/0000", "a prefix of some length, ");
  CAPTURE(prefix);
  for (const int shift : {0, 20, 48}) {
    CAPTURE(shift);
    std::vector<bool> taken(kPlaces);
    std::size_t empty = kPlaces;
    for (std::size_t i = 0; i < kPlaces; ++i) {
      const std::uint64_t hash = CellHash(0, prefix + std::to_string(i));
      auto place = taken[(hash >> shift) % kPlaces];
      empty -= place ? 0 : 1;
      place = true;
    }
    CHECK(empty > 24'109 - 800);
    CHECK(empty < 24'109 + 800);
  }
}

// What tests of tables rely on.
TEST_CASE("whoever knows the blinder can make keys collide", "[cell_hash]") {
  const std::uint64_t blinder = internal::HashBlinder();
  std::string key(16, '\0');
  std::memcpy(key.data(), &blinder, sizeof blinder);
  const std::uint64_t hash = CellHash(0, key);
  key.back() = 'x';
  CHECK(CellHash(0, key) == hash);
  key.front() = static_cast<char>(key.front() ^ 1);
  CHECK(CellHash(0, key) != hash);
}

}  // namespace
}  // namespace reenact
