// Fast-forward comes to the same place as the world did, by whichever way.

#include "reenact/world/forward.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/journal/memory/memory_store.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/workers/pool.h"
#include "reenact/world/world_internal.h"
#include "tests/replay/history.h"
#include "tests/replay/plays.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

// A play's history in memory, and where its world stood afterwards.
struct Played {
  std::vector<Bytes> blocks;
  StateMap states;
  Checkpoint place;
};

Played RunInStore(const Play& play) {
  const std::shared_ptr<Store> store = NewMemoryStore();
  WorldInternals internals;
  internals.store = std::make_unique<SharedStore>(store);
  const auto world = OpenWorld(OptionsOf(play, ""), std::move(internals));
  REQUIRE_OK(world);
  InputList source(play.inputs);
  REQUIRE_OK((*world)->Feed(source));
  Played played;
  const auto place = dynamic_cast<CheckpointSource&>(**world).Place();
  REQUIRE_OK(place);
  played.place = *place;
  REQUIRE_OK((*world)->Close());
  played.blocks = BlocksOf(*store);
  played.states = StatesOf(*store);
  return played;
}

Checkpoint Genesis(const std::vector<Bytes>& blocks) {
  const auto block = DecodeBlock(blocks.front());
  REQUIRE_OK(block);
  Checkpoint place;
  place.config =
      std::get<entry::Genesis>(EntryOf(Bytes(block->entries))).config;
  place.block_count = 1;
  place.block_hash = block->hash;
  return place;
}

std::unique_ptr<Store> StoreWith(const std::vector<Bytes>& blocks) {
  auto store = NewMemoryStore();
  CommitGroup group;
  group.blocks = blocks;
  REQUIRE_OK(store->Commit(group, false));
  REQUIRE_OK(store->ClearCells());
  return store;
}

void CheckSamePlace(const Checkpoint& a, const Checkpoint& b) {
  CHECK(a.config == b.config);
  CHECK(a.event_id == b.event_id);
  CHECK(a.round == b.round);
  CHECK(a.time == b.time);
  CHECK(a.block_count == b.block_count);
  CHECK(a.block_hash == b.block_hash);
  CHECK(a.last_input == b.last_input);
  CHECK(a.position == b.position);
  CHECK(a.sequencer == b.sequencer);
}

// From every third block on, and with cells written at once and only at the
// end: all ways come to the same places.
void CheckAllWays(const Played& played) {
  const auto slow = StoreWith(played.blocks);
  const auto fast = StoreWith(played.blocks);
  const auto often = StoreWith(played.blocks);
  Checkpoint slow_place = Genesis(played.blocks);
  Checkpoint fast_place = slow_place;
  Checkpoint often_place = slow_place;
  ForwardOptions always, at_once;
  always.always_schedule = true;
  at_once.unwritten_bytes_max = 1;
  while (slow_place.block_count < played.blocks.size()) {
    const std::uint64_t end = std::min<std::uint64_t>(
        slow_place.block_count + 3, played.blocks.size());
    CAPTURE(end);
    REQUIRE_OK(FastForward(slow.get(), end, &slow_place, always));
    REQUIRE_OK(FastForward(fast.get(), end, &fast_place));
    REQUIRE_OK(FastForward(often.get(), end, &often_place, at_once));
    CheckSamePlace(fast_place, slow_place);
    CheckSamePlace(often_place, slow_place);
    REQUIRE(StatesOf(*fast) == StatesOf(*slow));
    REQUIRE(StatesOf(*often) == StatesOf(*slow));
  }
  CHECK(StatesOf(*fast) == played.states);
  CheckSamePlace(fast_place, played.place);
  // And in one go.
  const auto whole = StoreWith(played.blocks);
  Checkpoint place = Genesis(played.blocks);
  REQUIRE_OK(FastForward(whole.get(), played.blocks.size(), &place));
  CheckSamePlace(place, played.place);
  CHECK(StatesOf(*whole) == played.states);
}

TEST_CASE("going forward stops where it is told to, and goes on from there",
          "[replay]") {
  const Played played = RunInStore(BankPlay("events", 40));
  const std::unique_ptr<Store> all = StoreWith(played.blocks);
  const std::unique_ptr<Store> cells = NewMemoryStore();
  const auto scan = [&all](std::uint64_t from, const auto& visit) {
    return all->ScanBlocks(from, visit);
  };
  const std::uint64_t half = played.blocks.size() / 2;
  ForwardOptions options;
  options.stop = [half](const Checkpoint& place) -> absl::StatusOr<bool> {
    return place.block_count == half;
  };
  Checkpoint place = Genesis(played.blocks);
  REQUIRE_OK(
      FastForward(scan, all.get(), played.blocks.size(), &place, options));
  CHECK(place.block_count == half);
  CHECK(all->cells_through() == half);
  REQUIRE_OK(FastForward(all.get(), played.blocks.size(), &place));
  CheckSamePlace(place, played.place);
  CHECK(StatesOf(*all) == played.states);

  options.stop = [](const Checkpoint&) -> absl::StatusOr<bool> {
    return absl::AbortedError("enough");
  };
  Checkpoint again = Genesis(played.blocks);
  CHECK(absl::IsAborted(
      FastForward(scan, cells.get(), played.blocks.size(), &again, options)));
}

TEST_CASE("every example is fast-forwarded to where it ended", "[replay]") {
  for (const Play& play : AllPlays(60)) {
    INFO(play.name);
    CheckAllWays(RunInStore(play));
  }
}

TEST_CASE("chance makes worlds that are fast-forwarded to where they ended",
          "[replay]") {
  for (std::uint64_t seed = 40; seed < 60; ++seed) {
    CAPTURE(seed);
    CheckAllWays(RunInStore(TorturePlay(seed, 120)));
  }
}

// What outlives a round that is passed over: ids of submissions, those within
// the horizon, an id that comes again after it included.
TEST_CASE("submission ids are remembered when rounds are passed over",
          "[replay]") {
  Play play = CounterPlay(200);
  play.config.scheduling.dedupe_horizon = 7;
  for (std::size_t i = 0; i < play.inputs.size(); ++i) {
    if (i % 3 != 0) play.inputs[i].submission_id = "s" + std::to_string(i % 40);
  }
  const Played played = RunInStore(play);
  CheckAllWays(played);
  const auto sequencer =
      Sequencer::Decode(played.place.config.scheduling, played.place.sequencer);
  REQUIRE_OK(sequencer);
  CHECK(sequencer->FindSubmission("s" + std::to_string(199 % 40)));
  CHECK_FALSE(sequencer->FindSubmission("s1"));
}

TEST_CASE("diffs of blocks whose cells are stored are not applied again",
          "[replay]") {
  const Played played = RunInStore(BankPlay("declared", 40));
  const std::uint64_t half = played.blocks.size() / 2;
  const auto store = StoreWith(played.blocks);
  Checkpoint place = Genesis(played.blocks);
  REQUIRE_OK(FastForward(store.get(), half, &place));
  REQUIRE(store->cells_through() == half);
  // As after a crash: the place is lost, the cells are not.
  Checkpoint again = Genesis(played.blocks);
  REQUIRE_OK(FastForward(store.get(), played.blocks.size(), &again));
  CheckSamePlace(again, played.place);
  CHECK(StatesOf(*store) == played.states);
}

TEST_CASE("a block that does not follow, or is damaged, ends it", "[replay]") {
  const Played played = RunInStore(CounterPlay(60));
  REQUIRE(played.blocks.size() > 6);
  std::vector<Bytes> blocks = played.blocks;
  SECTION("a bit flips") { blocks[4][blocks[4].size() / 2] ^= 1; }
  SECTION("a block is another") { blocks[4] = blocks[5]; }
  const auto store = StoreWith(blocks);
  Checkpoint place = Genesis(blocks);
  const absl::Status status = FastForward(store.get(), blocks.size(), &place);
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(status.message()), Catch::Contains("block 4"));
}

TEST_CASE("chaos 39: tickets that nothing admitted asked for are refused",
          "[replay]") {
  const Played played = RunInStore(CounterPlay(60));
  History history = TakeApart(played.blocks);
  HistoryBlock& block = history[4];  // without a snapshot at its end
  SECTION("one input has two tickets, another none") {
    std::vector<std::size_t> steps;
    for (std::size_t i = 0; i < block.entries.size(); ++i) {
      if (std::holds_alternative<entry::StepScheduled>(
              EntryOf(block.entries[i]))) {
        steps.push_back(i);
      }
    }
    REQUIRE(steps.size() >= 2);
    auto step =
        std::get<entry::StepScheduled>(EntryOf(block.entries[steps[1]]));
    step.cause =
        std::get<entry::StepScheduled>(EntryOf(block.entries[steps[0]])).cause;
    block.entries[steps[1]] = BytesOf(step);
  }
  SECTION("an input has no ticket") {
    block.entries.pop_back();
    block.entries.pop_back();
  }
  const std::vector<Bytes> blocks = Chain(history);
  const auto store = StoreWith(blocks);
  Checkpoint place = Genesis(blocks);
  const absl::Status status = FastForward(store.get(), blocks.size(), &place);
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(status.message()), Catch::Contains("block 4"));
}

}  // namespace
}  // namespace reenact
