#include "reenact/kernel/rng.h"

#include <Random123/philox.h>

#include <limits>
#include <sstream>

#include "tests/kernel/vectors.h"

namespace reenact {
namespace {

Seed SeedOf(const nlohmann::json& vector) {
  return Seed{std::stoull(vector.at("seed").get<std::string>(), nullptr, 16)};
}

std::string Hex16(std::uint64_t value) {
  Bytes bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(value >> shift & 0xff));
  }
  return ToHex(bytes);
}

std::uint64_t Number(const nlohmann::json& text) {
  return std::stoull(text.get<std::string>());
}

std::int64_t Signed(const nlohmann::json& text) {
  return std::stoll(text.get<std::string>());
}

// Words in hexadecimal, with spaces between them.
template <typename Words>
Words ReadWords(const std::string& text) {
  Words words;
  std::istringstream stream(text);
  for (std::size_t i = 0; i < words.size(); ++i) stream >> std::hex >> words[i];
  REQUIRE(stream);
  return words;
}

TEST_CASE("Philox4x32-10 gives the words that its authors published",
          "[kernel]") {
  using Philox = r123::Philox4x32;
  for (const auto& vector : Vectors("rng.json", "philox4x32-10")) {
    const auto counter = ReadWords<Philox::ctr_type>(vector.at("counter"));
    const auto key = ReadWords<Philox::key_type>(vector.at("key"));
    const auto words = ReadWords<Philox::ctr_type>(vector.at("words"));
    REQUIRE((Philox()(counter, key) == words));
  }
}

TEST_CASE("a step's seed depends on world, ticket, reducer and key",
          "[kernel]") {
  for (const auto& vector : Vectors("rng.json", "step_seed")) {
    CAPTURE(vector.dump());
    const Digest world =
        Digest::FromBytes(Hex(vector.at("world_seed"))).value();
    REQUIRE(StepSeed(world, EventId{Number(vector.at("event_id"))},
                     vector.at("reducer").get<std::string>(),
                     vector.at("key").get<std::string>()) == SeedOf(vector));
  }
}

TEST_CASE("draws are those of spec/vectors/rng.json", "[kernel]") {
  for (const auto& vector : Vectors("rng.json", "next")) {
    CAPTURE(vector.dump());
    Rng rng(SeedOf(vector));
    for (const auto& draw : vector.at("draws")) {
      REQUIRE(Hex16(rng.Next()) == draw.get<std::string>());
    }
  }
}

TEST_CASE("draws below a bound are those of the vectors, rejections included",
          "[kernel]") {
  for (const auto& vector : Vectors("rng.json", "below")) {
    CAPTURE(vector.dump());
    const std::uint64_t bound = Number(vector.at("bound"));
    Rng rng(SeedOf(vector));
    for (const auto& draw : vector.at("draws")) {
      REQUIRE(rng.Below(bound) == Number(draw));
    }
    REQUIRE(Hex16(rng.Next()) == vector.at("then").get<std::string>());
  }
}

TEST_CASE("draws between bounds are those of the vectors", "[kernel]") {
  for (const auto& vector : Vectors("rng.json", "between")) {
    CAPTURE(vector.dump());
    const std::int64_t low = Signed(vector.at("low"));
    const std::int64_t high = Signed(vector.at("high"));
    Rng rng(SeedOf(vector));
    for (const auto& draw : vector.at("draws")) {
      const std::int64_t drawn = rng.Between(low, high);
      REQUIRE(drawn == Signed(draw));
      REQUIRE(drawn >= low);
      REQUIRE(drawn <= high);
    }
  }
}

TEST_CASE("chances are those of the vectors", "[kernel]") {
  for (const auto& vector : Vectors("rng.json", "chance")) {
    CAPTURE(vector.dump());
    Rng rng(SeedOf(vector));
    for (const char draw : vector.at("draws").get<std::string>()) {
      REQUIRE(rng.Chance(Number(vector.at("numerator")),
                         Number(vector.at("denominator"))) == (draw == '1'));
    }
  }
}

TEST_CASE("ten thousand draws have kept their digest", "[kernel]") {
  for (const auto& vector : Vectors("rng.json", "stability")) {
    CAPTURE(vector.dump());
    Rng rng(SeedOf(vector));
    Hasher hasher;
    for (int i = 0; i < vector.at("count").get<int>(); ++i) {
      hasher.AddU64(rng.Next());
    }
    REQUIRE(hasher.Finish().ToHex() ==
            vector.at("blake2b_256").get<std::string>());
  }
}

TEST_CASE("a copied generator goes on alike", "[kernel]") {
  Rng one(Seed{5});
  one.Next();
  Rng two = one;
  for (int i = 0; i < 5; ++i) REQUIRE(one.Next() == two.Next());
}

}  // namespace
}  // namespace reenact
