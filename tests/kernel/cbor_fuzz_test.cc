// The fuzzer's function over vectors with a few bytes changed: what every run
// of the tests can afford.

#include <cstdint>

#include "reenact/kernel/rng.h"
#include "tests/fuzz/targets.h"
#include "tests/kernel/vectors.h"

namespace reenact {
namespace {

void Feed(const Bytes& bytes) {
  REQUIRE(CborFuzzOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                           bytes.size()) == 0);
}

// Changes, adds or takes a byte.
void Mutate(Rng& rng, Bytes& bytes) {
  const std::size_t place = rng.Below(bytes.size() + 1);
  const char byte = static_cast<char>(rng.Below(256));
  if (place == bytes.size() || rng.Chance(1, 4)) {
    bytes.insert(place, 1, byte);
  } else if (rng.Chance(1, 4)) {
    bytes.erase(place, 1);
  } else {
    bytes[place] = byte;
  }
}

TEST_CASE("all inputs of one and two bytes hold the codec's promises",
          "[kernel]") {
  for (unsigned first = 0; first < 256; ++first) {
    Feed(Bytes(1, static_cast<char>(first)));
    for (unsigned second = 0; second < 256; ++second) {
      Feed({static_cast<char>(first), static_cast<char>(second)});
    }
  }
}

TEST_CASE("vectors with changed bytes hold the codec's promises", "[kernel]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 11));
  CAPTURE(seed);
  Rng rng(Seed{seed});
  for (const auto* list : {"rfc8949_appendix_a", "accepted", "refused"}) {
    for (const auto& vector : Vectors("cbor.json", list)) {
      Bytes bytes = Hex(vector.at("hex"));
      for (int i = 0; i < 20; ++i) {
        Mutate(rng, bytes);
        Feed(bytes);
      }
    }
  }
}

}  // namespace
}  // namespace reenact
