// The catch rate: whatever is false in a journal, replay finds it, and says
// where it is.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/history.h"
#include "tests/replay/mutants.h"
#include "tests/replay/plays.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using Catch::Contains;

VerifyReport MustVerify(const std::string& directory, const Play& play) {
  VerifyOptions options;
  options.path = directory;
  options.modules.push_back(ModuleOf(play));
  const auto report = Verify(options);
  REQUIRE_OK(report);
  return *report;
}

// The blocks of a play's world that has just been run.
std::vector<Bytes> BlocksOfPlay(const Play& play) {
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  return BlocksOf(directory / "world");
}

// "" if the verifier has caught the mutant, and named what is false in it.
std::string Miss(const Mutant& mutant, const VerifyReport& report) {
  if (report.verdict == Verdict::kDamaged) {
    // Where the rules of the chain already forbid it.
    return report.problem.empty() ? "damaged, but not where" : "";
  }
  if (report.verdict != Verdict::kDiverged) {
    return "verdict " + std::string(VerdictName(report.verdict));
  }
  const Divergence& found = *report.divergence;
  if (found.event_id != mutant.event_id) {
    return "event_id " + std::to_string(found.event_id.value) + " instead of " +
           std::to_string(mutant.event_id.value);
  }
  if (found.round != mutant.round) {
    return "round " + std::to_string(found.round.value) + " instead of " +
           std::to_string(mutant.round.value);
  }
  if (found.field.empty() || found.recorded == found.recomputed) {
    return "nothing is said about " + found.field;
  }
  if (found.event_id.value != 0 &&
      (found.reducer.empty() || !found.cause || found.cause_text.empty())) {
    return "no reducer, or no cause";
  }
  return "";
}

TEST_CASE("every false consequence is caught at its ticket", "[replay]") {
  std::size_t mutants = 0, damaged = 0;
  std::set<std::string> kinds;
  for (const Play& play : AllPlays(8)) {
    const std::vector<Bytes> blocks = BlocksOfPlay(play);
    const History history = TakeApart(blocks);
    {
      const TemporaryDirectory directory;
      WriteWorld(directory / "world", Chain(history));
      REQUIRE(MustVerify(directory / "world", play).verdict ==
              Verdict::kIdentical);
    }
    const TemporaryDirectory directory;
    for (const Mutant& mutant : MutantsOf(history)) {
      // Some as whole worlds, with cells and HEAD that agree with the blocks.
      const bool whole = mutants++ % 40 == 0;
      const std::string world = whole ? directory / "world" : directory.path();
      if (whole) WriteWorld(world, Chain(mutant.history));
      if (!whole) WriteSlice(world, Chain(mutant.history));
      const VerifyReport report = MustVerify(world, play);
      if (whole) std::filesystem::remove_all(world);
      INFO(play.name << ": " << mutant.what << "\n"
                     << report.problem
                     << (report.divergence ? report.divergence->field : ""));
      CHECK(Miss(mutant, report) == "");
      if (report.verdict == Verdict::kDamaged) ++damaged;
      kinds.insert(mutant.what.substr(mutant.what.find(": ")));
    }
  }
  CAPTURE(mutants, damaged);
  CHECK(mutants > 1500);
  CHECK(kinds.size() > 30);
  // Nearly all of them only by running the reducers again.
  CHECK(damaged * 20 < mutants);
}

TEST_CASE("a journal with another seed or clock is another history",
          "[replay]") {
  const Play play = TorturePlay(2, 30);
  const History history = TakeApart(BlocksOfPlay(play));
  const auto with = [&](const std::function<void(WorldConfig*)>& change) {
    History changed = history;
    auto genesis = std::get<entry::Genesis>(EntryOf(changed[0].entries[0]));
    change(&genesis.config);
    changed[0].entries[0] = BytesOf(genesis);
    const TemporaryDirectory directory;
    WriteWorld(directory / "world", Chain(changed));
    return MustVerify(directory / "world", play).verdict;
  };
  CHECK(with([](WorldConfig*) {}) == Verdict::kIdentical);
  CHECK(with([](WorldConfig* c) { c->seed.bytes[31] ^= 1; }) ==
        Verdict::kDiverged);
  CHECK(with([](WorldConfig* c) {
          c->clock = c->clock == ClockKind::kRounds ? ClockKind::kInput
                                                    : ClockKind::kRounds;
        }) == Verdict::kDiverged);
  CHECK(with([](WorldConfig* c) { c->limits.fuel_max = 3; }) ==
        Verdict::kDiverged);
  CHECK(with([](WorldConfig* c) { ++c->scheduling.pipeline_depth; }) ==
        Verdict::kDiverged);
  CHECK(with([](WorldConfig* c) { c->snapshot_every = 1; }) ==
        Verdict::kDiverged);
}

TEST_CASE(
    "chaos 57: a journal that is well-formed and absurd is refused, in no more "
    "memory than it has bytes",
    "[replay]") {
  const Play play = TorturePlay(2, 10);
  History history = TakeApart(BlocksOfPlay(play));
  constexpr std::uint64_t kHuge = ~std::uint64_t{0} / 2;

  SECTION("tickets without end") { history[1].header.ticket_count = kHuge; }
  SECTION("a first ticket without end") {
    history[1].header.first = EventId{kHuge};
  }
  SECTION("four thousand million tickets") {
    history[1].header.ticket_count = std::uint64_t{1} << 32;
  }
  SECTION("a round without end") { history[1].header.round = Round{kHuge}; }
  SECTION("a round before the one before") {
    history[2].header.round = history[1].header.round;
  }
  SECTION("one entry a hundred thousand times") {
    const Bytes entry = history[1].entries.back();
    history[1].entries.insert(history[1].entries.end(), 100'000, entry);
  }
  SECTION("all inputs of the world in each block") {
    History all = history;
    for (HistoryBlock& block : all) {
      for (const HistoryBlock& other : history) {
        if (&block == &all[0]) continue;
        block.entries.insert(block.entries.end(), other.entries.begin(),
                             other.entries.end());
      }
    }
    history = all;
  }
  SECTION("genesis in the midst") {
    history[1].entries.insert(history[1].entries.begin(),
                              history[0].entries[0]);
  }
  SECTION("the blocks twice") {
    history.insert(history.end(), history.begin() + 1, history.end());
  }
  SECTION("a limit of everything") {
    auto genesis = std::get<entry::Genesis>(EntryOf(history[0].entries[0]));
    genesis.config.scheduling.round_limit = kHuge;
    genesis.config.scheduling.pipeline_depth = kHuge;
    genesis.config.scheduling.dedupe_horizon = kHuge;
    genesis.config.scheduling.backlog_limit = kHuge;
    history[0].entries[0] = BytesOf(genesis);
  }
  const TemporaryDirectory directory;
  WriteWorld(directory / "world", Chain(history));
  VerifyOptions options;
  options.path = directory / "world";
  options.modules.push_back(ModuleOf(play));
  const auto report = Verify(options);
  if (report.ok()) {
    CHECK(report->verdict != Verdict::kIdentical);
  } else {
    CHECK(report.status().code() == absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("an input that no world admits is damage", "[replay]") {
  const Play play = TorturePlay(2, 10);
  History history = TakeApart(BlocksOfPlay(play));
  Entry entry = EntryOf(history[1].entries[1]);
  auto& input = std::get<entry::InputAdmitted>(entry);

  SECTION("a key that is too long") { input.key = std::string(17, 'k'); }
  SECTION("a reducer that is not there") { input.reducer = 7; }
  history[1].entries[1] = BytesOf(entry);
  const TemporaryDirectory directory;
  WriteWorld(directory / "world", Chain(history));
  const VerifyReport report = MustVerify(directory / "world", play);
  CHECK(report.verdict == Verdict::kDamaged);
  CHECK_THAT(report.problem, Contains("block 1"));
}

TEST_CASE("an entry that is no entry is damage", "[replay]") {
  const Play play = CounterPlay(10);
  History history = TakeApart(BlocksOfPlay(play));
  history[1].entries[1] = cbor::EncodeInteger(1);
  const TemporaryDirectory directory;
  WriteWorld(directory / "world", Chain(history));
  const VerifyReport report = MustVerify(directory / "world", play);
  CHECK(report.verdict == Verdict::kDamaged);
  CHECK_THAT(report.problem, Contains("block 1"));
}

TEST_CASE("a false entry that is not chained again is damage", "[replay]") {
  const Play play = BankPlay("events", 6);
  const std::vector<Bytes> blocks = BlocksOfPlay(play);
  const History history = TakeApart(blocks);
  const TemporaryDirectory directory;
  WriteWorld(directory / "world", blocks);
  std::size_t mutants = 0;
  for (const Mutant& mutant : MutantsOf(history)) {
    if (mutants++ % 20 != 0) continue;
    const std::vector<Bytes> chained = Chain(mutant.history);
    std::uint64_t first = 1;
    while (chained[first] == blocks[first]) ++first;
    if (first + 1 == blocks.size()) continue;  // HEAD's business, below
    // The block itself is in order; the one that follows it names another.
    std::vector<Bytes> mixed(
        blocks.begin() + static_cast<std::ptrdiff_t>(first), blocks.end());
    mixed[0] = chained[first];
    ReplaceBlocks(directory / "world", first, mixed);
    const VerifyReport report = MustVerify(directory / "world", play);
    INFO(mutant.what << "\n" << report.problem);
    CHECK(report.verdict == Verdict::kDamaged);
    CHECK_THAT(report.problem, Contains("block " + std::to_string(first + 1)));
    ReplaceBlocks(
        directory / "world", first,
        {blocks.begin() + static_cast<std::ptrdiff_t>(first), blocks.end()});
  }
  REQUIRE(mutants > 100);

  // The last block has only HEAD to contradict it.
  History other = history;
  other.back().entries.pop_back();
  const std::uint64_t last = blocks.size() - 1;
  ReplaceBlocks(directory / "world", last, {Chain(other).back()});
  const VerifyReport report = MustVerify(directory / "world", play);
  CHECK(report.verdict == Verdict::kDamaged);
  CHECK_THAT(report.problem, Contains("HEAD"));
}

TEST_CASE("a bit that flips in a world is damage, and the block is named",
          "[replay]") {
  const Play play = CounterPlay(8);
  const std::vector<Bytes> blocks = BlocksOfPlay(play);
  const TemporaryDirectory directory;
  WriteWorld(directory / "world", blocks);
  std::size_t flips = 0;
  for (std::uint64_t i = 0; i < blocks.size(); ++i) {
    for (std::size_t at = 0; at < blocks[i].size(); at += 7, ++flips) {
      std::vector<Bytes> rest(blocks.begin() + static_cast<std::ptrdiff_t>(i),
                              blocks.end());
      rest[0][at] = static_cast<char>(rest[0][at] ^ 1 << flips % 8);
      ReplaceBlocks(directory / "world", i, rest);
      const VerifyReport report = MustVerify(directory / "world", play);
      INFO("block " << i << ", byte " << at << ": " << report.problem);
      CHECK(report.verdict == Verdict::kDamaged);
      CHECK_THAT(report.problem, Contains("block " + std::to_string(i)));
    }
    ReplaceBlocks(
        directory / "world", i,
        {blocks.begin() + static_cast<std::ptrdiff_t>(i), blocks.end()});
  }
  CHECK(flips > 100);
  CHECK(MustVerify(directory / "world", play).verdict == Verdict::kIdentical);
}

TEST_CASE("every bit of every block counts", "[replay]") {
  const Play play = CounterPlay(8);
  const std::vector<Bytes> blocks = BlocksOfPlay(play);
  const TemporaryDirectory directory;
  std::size_t flips = 0;
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    for (std::size_t bit = 0; bit < blocks[i].size() * 8; ++bit, ++flips) {
      std::vector<Bytes> flipped = blocks;
      char& byte = flipped[i][bit / 8];
      byte = static_cast<char>(byte ^ 1 << bit % 8);
      WriteSlice(directory.path(), flipped);
      CAPTURE(i, bit);
      CHECK(MustVerify(directory.path(), play).verdict == Verdict::kDamaged);
    }
  }
  CHECK(flips > 2000);
}

TEST_CASE("stored cells that the journal does not lead to are damage",
          "[replay]") {
  const Play play = BankPlay("declared", 10);
  const TemporaryDirectory directory;
  const std::vector<Bytes> blocks = BlocksOfPlay(play);
  History forged = TakeApart(blocks);
  // The cells of one history, the blocks of another.
  const auto last =
      std::find_if(forged.back().entries.rbegin(), forged.back().entries.rend(),
                   [](const Bytes& bytes) {
                     return KindOf(EntryOf(bytes)) == EntryKind::kStepCommitted;
                   });
  REQUIRE(last != forged.back().entries.rend());
  auto step = std::get<entry::StepCommitted>(EntryOf(*last));
  step.diffs.push_back({Diff::Op::kPut, CellRef{0, "x"}, Bytes("\x01"), {}});
  *last = BytesOf(step);
  WriteWorld(directory / "world", Chain(forged));
  REQUIRE(MustVerify(directory / "world", play).verdict == Verdict::kDiverged);
  WriteWorld(directory / "other", blocks);
  std::filesystem::copy_file(directory / "other/HEAD", directory / "world/HEAD",
                             std::filesystem::copy_options::overwrite_existing);
  ReplaceBlocks(directory / "world", blocks.size() - 1, {blocks.back()});
  const VerifyReport report = MustVerify(directory / "world", play);
  CHECK(report.verdict == Verdict::kDamaged);
  CHECK_THAT(report.problem, Contains("cells"));
}

}  // namespace
}  // namespace reenact
