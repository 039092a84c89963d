#include "reenact/journal/block.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <string>

#include "reenact/kernel/cbor/cbor.h"
#include "tests/journal/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

// Tickets 7 and 8 in round 3.
BlockHeader SomeHeader() {
  BlockHeader header;
  header.index = 2;
  header.prev = Hash("the block before");
  header.round = Round{3};
  header.first = EventId{7};
  header.ticket_count = 2;
  header.entry_count = 3;
  return header;
}

// The header that a good successor of SomeHeader() has.
BlockHeader Successor(const Digest& hash) {
  BlockHeader header;
  header.index = 3;
  header.prev = hash;
  header.round = Round{5};
  header.first = EventId{9};
  return header;
}

TEST_CASE("a block comes back as it was stored", "[journal]") {
  Digest hash;
  const Bytes stored = EncodeBlock(SomeHeader(), "some entries", &hash);

  const absl::StatusOr<BlockView> block = DecodeBlock(stored);

  REQUIRE_OK(block);
  CHECK(block->header == SomeHeader());
  CHECK(block->entries == "some entries");
  CHECK(block->hash == hash);
  CHECK(block->header.last() == EventId{8});
}

TEST_CASE("golden blocks have the bytes and the hash they always had",
          "[journal][golden]") {
  const std::vector<Stanza> vectors = ReadVectors("journal/blocks.txt");
  REQUIRE(vectors.size() == 3);
  std::vector<Bytes> stored;
  std::vector<BlockView> blocks;
  stored.reserve(vectors.size());  // views point into it
  for (const Stanza& vector : vectors) {
    CAPTURE(vector.at("what"));
    stored.push_back(Unhex(vector.at("hex")));
    const absl::StatusOr<BlockView> block = DecodeBlock(stored.back());
    REQUIRE_OK(block);
    CHECK(block->hash.ToHex() == vector.at("hash"));
    Digest hash;
    CHECK(ToHex(EncodeBlock(block->header, block->entries, &hash)) ==
          vector.at("hex"));
    blocks.push_back(*block);
  }
  CHECK(blocks[0].header.last() == EventId{0});
  REQUIRE_OK(CheckFollows(blocks[0].header, blocks[0].hash, blocks[1].header));
  REQUIRE_OK(CheckFollows(blocks[1].header, blocks[1].hash, blocks[2].header));
  CHECK_FALSE(blocks[1].header.open_work);
  REQUIRE(blocks[2].header.open_work);
  CHECK(blocks[2].header.open_work->bytes[31] == 0xbf);
}

TEST_CASE("a block with one bit changed is refused", "[journal]") {
  Digest hash;
  const Bytes stored = EncodeBlock(SomeHeader(), "some entries", &hash);
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    CAPTURE(bit);
    Bytes changed = stored;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    REQUIRE(absl::IsDataLoss(DecodeBlock(changed).status()));
  }
}

absl::Status StatusOf(const Bytes& stored) {
  return DecodeBlock(stored).status();
}

TEST_CASE("a block cut short or made longer is refused", "[journal]") {
  Digest hash;
  const Bytes stored = EncodeBlock(SomeHeader(), "some entries", &hash);
  for (std::size_t size = 0; size < stored.size(); ++size) {
    CAPTURE(size);
    REQUIRE(absl::IsDataLoss(
        DecodeBlock(BytesView(stored).substr(0, size)).status()));
  }
  REQUIRE(absl::IsDataLoss(StatusOf(stored + '\0')));
}

TEST_CASE("a map that is no block is refused though its hash is right",
          "[journal]") {
  const auto with_hash = [](Bytes map) {
    const Digest hash = Hasher("reenact.block.v1").Add(map).Finish();
    return map.append(hash.view());
  };
  Digest hash;
  Bytes good = EncodeBlock(SomeHeader(), "", &hash);
  good.resize(good.size() - kDigestSize);
  REQUIRE_OK(StatusOf(with_hash(good)));

  CHECK(absl::IsDataLoss(StatusOf(with_hash(""))));
  CHECK(absl::IsDataLoss(StatusOf(with_hash("\xa0"))));
  CHECK(absl::IsDataLoss(StatusOf(with_hash(good + "\x01"))));

  // Tickets that no world can have: first + tickets leaves 64 bits.
  Bytes map;
  cbor::Encoder encoder(&map);
  encoder.Map(7);
  const std::uint64_t values[] = {2,
                                  0,
                                  3,
                                  GENERATE(std::uint64_t{0}, 2),
                                  std::numeric_limits<std::uint64_t>::max(),
                                  3};
  for (std::uint64_t key = 0; key < 6; ++key) {
    encoder.Unsigned(key);
    if (key == 1) {
      encoder.ByteString(Digest().view());
    } else {
      encoder.Unsigned(values[key]);
    }
  }
  encoder.Unsigned(6);
  encoder.ByteString("");
  CHECK(absl::IsDataLoss(StatusOf(with_hash(map))));
}

TEST_CASE("the hash of a block covers its place", "[journal]") {
  const std::function<void(BlockHeader&)> changes[] = {
      [](BlockHeader& header) { ++header.index; },
      [](BlockHeader& header) { header.prev = Hash("another"); },
      [](BlockHeader& header) { ++header.round.value; },
      [](BlockHeader& header) { ++header.first.value; },
      [](BlockHeader& header) { ++header.ticket_count; },
      [](BlockHeader& header) { ++header.entry_count; }};
  Digest hash;
  EncodeBlock(SomeHeader(), "some entries", &hash);
  for (const auto& change : changes) {
    BlockHeader header = SomeHeader();
    change(header);
    Digest other;
    EncodeBlock(header, "some entries", &other);
    CHECK(other != hash);
  }
}

TEST_CASE("a block follows the one whose hash, round and tickets it continues",
          "[journal]") {
  const Digest hash = Hash("block 2");
  REQUIRE_OK(CheckFollows(SomeHeader(), hash, Successor(hash)));

  const std::pair<const char*, std::function<void(BlockHeader&)>> changes[] = {
      {"index", [](BlockHeader& header) { header.index = 2; }},
      {"index", [](BlockHeader& header) { header.index = 4; }},
      {"hash", [](BlockHeader& header) { header.prev = Hash("block 1"); }},
      {"round", [](BlockHeader& header) { header.round = Round{3}; }},
      {"round", [](BlockHeader& header) { header.round = Round{2}; }},
      {"ticket", [](BlockHeader& header) { header.first = EventId{8}; }},
      {"ticket", [](BlockHeader& header) { header.first = EventId{10}; }}};
  for (const auto& [what, change] : changes) {
    BlockHeader next = Successor(hash);
    change(next);
    const absl::Status status = CheckFollows(SomeHeader(), hash, next);
    CAPTURE(what, status);
    CHECK(absl::IsDataLoss(status));
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(what) && Catch::Contains("block 2"));
  }
}

}  // namespace
}  // namespace reenact
