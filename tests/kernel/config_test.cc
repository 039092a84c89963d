#include "reenact/kernel/config.h"

#include "tests/kernel/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

Bytes Encode(const WorldConfig& config) {
  Bytes out;
  cbor::Encoder encoder(&out);
  EncodeConfig(config, encoder);
  return out;
}

absl::StatusOr<WorldConfig> Decode(BytesView bytes) {
  cbor::Reader reader(bytes);
  return DecodeConfig(reader);
}

// A configuration in which every field differs from its default.
WorldConfig Unusual() {
  WorldConfig config;
  SetIdentity(42, config);
  config.clock = ClockKind::kInput;
  config.limits = {1, 2, 3, 4, 5, 6};
  config.scheduling.round_limit = 1;
  config.scheduling.pipeline_depth = 3;
  config.scheduling.entity_round_limit = 4;
  config.scheduling.entity_quantum = 5;
  config.scheduling.class_quantum = {6, 7, 8, 9, 10, 11};
  config.scheduling.aging_tickets = 12;
  config.scheduling.backlog_limit = 13;
  config.scheduling.dedupe_horizon = 14;
  config.snapshot_every = 15;
  config.modules = {{"bank", "1.2.3", Hash("a"), {"account", "teller"}},
                    {"empty", "", Hash("b"), {}}};
  config.reducers = {"teller", "gone", "account"};
  return config;
}

TEST_CASE("a configuration is read back as it was written", "[kernel]") {
  WorldConfig plain;
  SetIdentity(0, plain);
  for (const WorldConfig& config : {plain, Unusual()}) {
    const Bytes bytes = Encode(config);
    REQUIRE_OK(cbor::Validate(bytes));
    REQUIRE_OK(CheckConfig(config));
    const auto read = Decode(bytes);
    REQUIRE_OK(read);
    REQUIRE(*read == config);
    REQUIRE(Encode(*read) == bytes);
  }
}

TEST_CASE("a configuration cut anywhere is refused", "[kernel]") {
  const Bytes bytes = Encode(Unusual());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE(Decode(bytes.substr(0, size)).status().code() ==
            absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a newer format is told apart from damage", "[kernel]") {
  const Bytes newer = Hex("aa0104");  // ten fields, the first: version 4
  REQUIRE(Decode(newer + Bytes(20, '\0')).status() ==
          absl::UnimplementedError(
              "format version 4 is newer than this program, which knows up to "
              "3"));
  REQUIRE(Decode(Hex("a90100") + Bytes(20, '\0')).status().code() ==
          absl::StatusCode::kInvalidArgument);
}

TEST_CASE("parts are encoded as they stand in the whole", "[kernel]") {
  const WorldConfig config = Unusual();
  Bytes parts;
  cbor::Encoder encoder(&parts);
  EncodeScheduling(config.scheduling, encoder);
  const std::size_t cut = parts.size();
  EncodeModules(config.modules, encoder);
  const Bytes whole = Encode(config);
  REQUIRE(whole.find(parts.substr(0, cut)) != whole.npos);
  REQUIRE(whole.find(parts.substr(cut)) != whole.npos);

  cbor::Reader reader(parts);
  REQUIRE(DecodeScheduling(reader) == config.scheduling);
  REQUIRE(DecodeModules(reader) == config.modules);
  reader.ExpectEnd();
  REQUIRE_OK(reader.status());
}

TEST_CASE("a field that makes no sense is named", "[kernel]") {
  WorldConfig config = Unusual();
  std::string named;
  SECTION("an id of another size") {
    config.world_id = "short";
    named = "world_id is of 5 bytes, not of 16";
  }
  SECTION("rounds of nothing") {
    config.scheduling.round_limit = 0;
    named = "scheduling.round_limit is 0, not from 1 to 4294967295";
  }
  SECTION("a pipeline without depth") {
    config.scheduling.pipeline_depth = 0;
    named = "scheduling.pipeline_depth is 0, not from 1 to 1024";
  }
  SECTION("a class that never gets a turn") {
    config.scheduling.class_quantum[3] = 0;
    named = "scheduling.class_quantum is 0, not from 1 to 4294967295";
  }
  SECTION("no fuel") {
    config.limits.fuel_max = 0;
    named = "limits.fuel_max is 0, not from 1 to 9223372036854775807";
  }
  SECTION("a reducer twice") {
    config.reducers.push_back("gone");
    named = "reducers: gone is there twice";
  }
  SECTION("a reducer name with a space") {
    config.reducers.push_back("a b");
    named =
        "reducers: \"a b\" is not 1 to 64 letters, digits, '.', '_' and '-'";
  }
  SECTION("a module's reducer without a number") {
    config.modules[1].reducers = {"stranger"};
    named = "modules: stranger of empty is missing from reducers";
  }
  SECTION("a reducer of two modules") {
    config.modules[1].reducers = {"teller"};
    named = "modules.reducers: teller is there twice";
  }
  SECTION("a module twice") {
    config.modules[1].name = "bank";
    named = "modules: bank is there twice";
  }
  REQUIRE(CheckConfig(config) == absl::InvalidArgumentError(named));
}

TEST_CASE("a seed decides a world's identity", "[kernel]") {
  WorldConfig one;
  WorldConfig same;
  WorldConfig other;
  SetIdentity(0, one);
  SetIdentity(0, same);
  SetIdentity(1, other);
  REQUIRE(one == same);
  REQUIRE(one.world_id.size() == 16);
  REQUIRE_FALSE(one.world_id == other.world_id);
  REQUIRE_FALSE(one.seed == other.seed);
  // Part of every journal: these bytes never change.
  REQUIRE(ToHex(one.world_id) == "30d35b93d2e8010091305989921a711d");
  REQUIRE(one.seed.ToHex() ==
          "d8c58014d929d1f399ab30f4ae8c6009a47366bbc0e9a3ed857fa3b5b89a00a8");
  WorldConfig seeded;
  SetSeed(1, seeded);
  REQUIRE(seeded.seed == other.seed);
  REQUIRE(seeded.world_id.empty());
}

TEST_CASE("an id that is drawn is another one each time", "[kernel]") {
  const Bytes id = DrawWorldId();
  REQUIRE(id.size() == kWorldIdSize);
  REQUIRE(id != DrawWorldId());
}

}  // namespace
}  // namespace reenact
