#include "reenact/kernel/rng.h"

#include <Random123/philox.h>

#include "reenact/base/check.h"

namespace reenact {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint32_t Low32(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t High32(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}
constexpr std::uint64_t Join(std::uint32_t low, std::uint32_t high) {
  return std::uint64_t{high} << 32 | low;
}

std::array<std::uint64_t, 2> PhiloxBlock(Seed seed, std::uint64_t block) {
  const r123::Philox4x32::ctr_type counter = {
      {Low32(block), High32(block), 0, 0}};
  const r123::Philox4x32::key_type key = {
      {Low32(seed.value), High32(seed.value)}};
  const auto words = r123::Philox4x32()(counter, key);
  return {Join(words[0], words[1]), Join(words[2], words[3])};
}

}  // namespace

Seed StepSeed(const Digest& world_seed, EventId event_id,
              std::string_view reducer, std::string_view key) {
  const Digest digest = Hasher("reenact.seed.v1")
                            .Add(world_seed.view())
                            .AddU64(event_id.value)
                            .AddSized(reducer)
                            .AddSized(key)
                            .Finish();
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) {
    value = value << 8 | digest.bytes[static_cast<std::size_t>(i)];
  }
  return Seed{value};
}

std::uint64_t Rng::Next() {
  if (left_ == 0) {
    drawn_ = PhiloxBlock(seed_, block_++);
    left_ = 2;
  }
  return drawn_[2 - left_--];
}

// Lemire, "Fast random integer generation in an interval", 2019: the high half
// of draw * bound, drawn again while the low half falls into the part of 2^64
// that bound does not divide.
std::uint64_t Rng::Below(std::uint64_t bound) {
  REENACT_REQUIRE(bound > 0);
  Wide product = Wide{Next()} * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t excess = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < excess) {
      product = Wide{Next()} * bound;
    }
  }
  return static_cast<std::uint64_t>(product >> 64);
}

std::int64_t Rng::Between(std::int64_t low, std::int64_t high) {
  REENACT_REQUIRE(low <= high);
  const auto base = static_cast<std::uint64_t>(low);
  const std::uint64_t count = static_cast<std::uint64_t>(high) - base + 1;
  // All of int64_t: the count wraps to 0.
  const std::uint64_t offset = count == 0 ? Next() : Below(count);
  return static_cast<std::int64_t>(base + offset);
}

bool Rng::Chance(std::uint64_t numerator, std::uint64_t denominator) {
  return Below(denominator) < numerator;
}

}  // namespace reenact
