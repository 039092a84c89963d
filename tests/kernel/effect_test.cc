#include "reenact/kernel/effects/effect.h"

#include <set>

#include "tests/journal/vectors.h"

namespace reenact {
namespace {

const Bytes kWorld(16, 'w');

TEST_CASE("the vectors of intents are what we compute", "[kernel]") {
  const auto vectors = ReadVectors("effects/identity.txt");
  REQUIRE(vectors.size() >= 5);
  for (const Stanza& vector : vectors) {
    CAPTURE(vector.at("what"));
    EffectIntent intent;
    intent.kind = vector.at("kind");
    intent.params = Unhex(vector.at("params"));
    intent.capability = vector.at("capability");
    (vector.count("rule") != 0 ? intent.identity : intent.idempotency) =
        Unhex(vector.at("business"));
    const IntentNames names =
        NamesOf(Unhex(vector.at("world_id")), intent,
                EventId{std::stoull(vector.at("event_id"))},
                static_cast<std::uint32_t>(std::stoul(vector.at("index"))));
    REQUIRE(names.idempotency_key.ToHex() == vector.at("key"));
    REQUIRE(names.intent_hash.ToHex() == vector.at("intent"));
  }
}

TEST_CASE("an idempotency key is of one intent of one world", "[kernel]") {
  std::set<Digest> keys;
  for (const char* world : {"0123456789abcdef", "0123456789abcdeg"}) {
    for (const char* business : {"", "a", "aa"}) {
      for (std::uint64_t event_id : {1u, 2u, 256u}) {
        for (std::uint32_t index : {0u, 1u, 256u}) {
          keys.insert(
              IdempotencyKey(world, business, EventId{event_id}, index));
        }
      }
    }
  }
  REQUIRE(keys.size() == 2 * 3 * 3 * 3);
}

TEST_CASE("an intent hash changes with everything that it names", "[kernel]") {
  const Digest key = IdempotencyKey(kWorld, "", EventId{1}, 0);
  const Digest other = IdempotencyKey(kWorld, "", EventId{2}, 0);
  const Digest hash = IntentHash("ab", "\x61 c", "d", key);
  REQUIRE_FALSE(IntentHash("a", "b\x61 c", "d", key) == hash);
  REQUIRE_FALSE(IntentHash("ab", "\x61 ", "cd", key) == hash);
  REQUIRE_FALSE(IntentHash("ab", "\x61 c", "", key) == hash);
  REQUIRE_FALSE(IntentHash("ab", "\x61 c", "d", other) == hash);
  REQUIRE(IntentHash("ab", "\x61 c", "d", key) == hash);
}

}  // namespace
}  // namespace reenact
