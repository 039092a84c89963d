// A history whose parts are verified beside each other gets the report that it
// gets in one piece, whatever is wrong with it.

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/journal/snapshot_file.h"
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

VerifyReport MustVerify(const std::string& path, const Module& module,
                        std::size_t threads) {
  VerifyOptions options;
  options.path = path;
  options.modules.push_back(module);
  options.threads = threads;
  const auto report = Verify(options);
  REQUIRE_OK(report);
  return *report;
}

void CheckSame(const VerifyReport& a, const VerifyReport& b) {
  CHECK(VerdictName(a.verdict) == VerdictName(b.verdict));
  CHECK(a.from == b.from);
  CHECK(a.head == b.head);
  CHECK(a.blocks == b.blocks);
  CHECK(a.tickets == b.tickets);
  CHECK(a.failed_steps == b.failed_steps);
  CHECK(a.journal == b.journal);
  CHECK(a.state == b.state);
  CHECK(a.snapshots_checked == b.snapshots_checked);
  CHECK(a.problem == b.problem);
  CHECK(a.notes == b.notes);
  REQUIRE(a.divergence.has_value() == b.divergence.has_value());
  if (!a.divergence) return;
  CHECK(a.divergence->event_id == b.divergence->event_id);
  CHECK(a.divergence->round == b.divergence->round);
  CHECK(a.divergence->reducer == b.divergence->reducer);
  CHECK(a.divergence->key == b.divergence->key);
  CHECK(a.divergence->field == b.divergence->field);
  CHECK(a.divergence->recorded == b.divergence->recorded);
  CHECK(a.divergence->recomputed == b.divergence->recomputed);
  CHECK(a.divergence->cause_text == b.divergence->cause_text);
  REQUIRE(a.divergence->reads.size() == b.divergence->reads.size());
  for (std::size_t i = 0; i < a.divergence->reads.size(); ++i) {
    CHECK(a.divergence->reads[i].written_by ==
          b.divergence->reads[i].written_by);
    CHECK(a.divergence->reads[i].state == b.divergence->reads[i].state);
  }
}

// Verifies on one thread and on four; returns what both say.
VerifyReport VerifyBothWays(const std::string& path, const Module& module) {
  const VerifyReport serial = MustVerify(path, module, 1);
  CheckSame(serial, MustVerify(path, module, 4));
  return serial;
}

std::vector<std::string> SnapshotFiles(const std::string& world) {
  std::vector<std::string> files;
  for (const auto& [name, bytes] : SnapshotsOf(world)) {
    files.push_back(world + "/snapshots/" + name);
  }
  return files;
}

TEST_CASE("clean histories are clean in parts, with all snapshots checked",
          "[replay]") {
  for (const Play& play : AllPlays(60)) {
    INFO(play.name);
    const TemporaryDirectory directory;
    RunPlay(play, directory / "world");
    const VerifyReport report =
        VerifyBothWays(directory / "world", ModuleOf(play));
    CHECK(report.verdict == Verdict::kIdentical);
    CHECK(report.tickets == report.head.value);
    CHECK(report.snapshots_checked.size() ==
          SnapshotFiles(directory / "world").size());
  }
}

TEST_CASE("without snapshots there are parts, too", "[replay]") {
  for (Play play : AllPlays(40)) {
    INFO(play.name);
    play.config.snapshot_every = 0;
    const TemporaryDirectory directory;
    RunPlay(play, directory / "world");
    for (int i = 0; i < 4; ++i) {  // cut wherever it happens to be
      const VerifyReport report =
          VerifyBothWays(directory / "world", ModuleOf(play));
      CHECK(report.verdict == Verdict::kIdentical);
      CHECK(report.snapshots_checked.empty());
    }
  }
}

// What the first step waits for can only come from another part.
TEST_CASE("while the first part stands still another one runs", "[replay]") {
  Play play = CounterPlay(120);
  play.config.snapshot_every = 0;
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  std::mutex mutex;
  std::condition_variable changed;
  bool other = false;
  bool seen = false;
  VerifyOptions options;
  options.path = directory / "world";
  options.modules.push_back(ModuleOf(play));
  options.threads = 2;
  options.observe = [&](bool begins, int run, std::string_view,
                        std::string_view, EventId id) {
    if (!begins || run != 0) return;
    std::unique_lock lock(mutex);
    if (id.value > 1) {
      other = true;
      changed.notify_all();
    } else {
      seen = changed.wait_for(lock, std::chrono::minutes(1),
                              [&other] { return other; });
    }
  };
  const auto report = Verify(options);
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kIdentical);
  CHECK(report->tickets == 120);
  CHECK(seen);
}

TEST_CASE("a snapshot that is gone makes a longer part", "[replay]") {
  const Play play = BankPlay("declared", 120);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const std::vector<std::string> files = SnapshotFiles(directory / "world");
  REQUIRE(files.size() >= 4);
  std::filesystem::remove(files[1]);
  std::filesystem::remove(files[2]);
  CHECK(VerifyBothWays(directory / "world", ModuleOf(play)).verdict ==
        Verdict::kIdentical);
}

// The recorded snapshots stay: those after the falsehood are of the history as
// it was, those before it start parts that go wrong in their middle.
TEST_CASE("whichever part a falsehood is in, it is the first that is told",
          "[replay]") {
  const Play play = BankPlay("events", 30);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "honest");
  const History history = TakeApart(directory / "honest");
  const std::vector<Mutant> mutants = MutantsOf(history);
  REQUIRE(mutants.size() > 40);
  std::size_t diverged = 0;
  for (std::size_t i = 0; i < mutants.size(); i += mutants.size() / 20) {
    CAPTURE(mutants[i].what);
    const std::string path = directory / ("world" + std::to_string(i));
    WriteWorld(path, Chain(mutants[i].history));
    // Those that the chain after the falsehood does not name any more would be
    // of another history, which is damage of its own.
    const std::vector<Bytes> honest = BlocksOf(directory / "honest");
    const std::vector<Bytes> blocks = BlocksOf(path);
    std::filesystem::create_directories(path + "/snapshots");
    for (const auto& [name, bytes] : SnapshotsOf(directory / "honest")) {
      const auto read =
          ReadSnapshotFile(directory / ("honest/snapshots/" + name));
      REQUIRE_OK(read);
      const std::uint64_t last = read->header.block_count - 1;
      if (last < blocks.size() && blocks[last] == honest[last]) {
        WriteWholeFile(path + "/snapshots/" + name, bytes);
      }
    }
    const VerifyReport report = VerifyBothWays(path, ModuleOf(play));
    CHECK(report.verdict != Verdict::kIdentical);
    diverged += report.verdict == Verdict::kDiverged ? 1 : 0;
    std::filesystem::remove_all(path);
  }
  CHECK(diverged > 10);
}

TEST_CASE("a reducer that changed half way is told where it first differs",
          "[replay]") {
  const Play play = CounterPlay(120);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  for (const int change : {1, 30, 100}) {
    CAPTURE(change);
    const Module changed =
        MakeModule("counter", "1",
                   {MakeReducer(
                       "counter",
                       [change](StepContext& step) {
                         const auto state = step.state();
                         const std::int64_t before =
                             state ? cbor::DecodeInteger(*state).value() : 0;
                         const std::int64_t add =
                             cbor::DecodeInteger(step.event().payload).value();
                         const bool late = step.event_id().value >=
                                           static_cast<std::uint64_t>(change);
                         step.SetState(cbor::EncodeInteger(before + add +
                                                           (late ? 1 : 0)));
                         return absl::OkStatus();
                       })})
            .value();
    const VerifyReport report = VerifyBothWays(directory / "world", changed);
    CHECK(report.verdict == Verdict::kDiverged);
    REQUIRE(report.divergence);
    CHECK(report.divergence->event_id.value >=
          static_cast<std::uint64_t>(change));
    CHECK(report.divergence->event_id.value <
          static_cast<std::uint64_t>(change) + 6);
  }
}

TEST_CASE("a snapshot that lies is found by the part before it", "[replay]") {
  const Play play = BankPlay("declared", 60);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  for (const std::string& file : SnapshotFiles(directory / "world")) {
    CAPTURE(file);
    const std::string honest = ReadWholeFile(file);
    // The same with one cell less, and digests that fit.
    Bytes bytes, lie;
    std::vector<std::pair<CellRef, Bytes>> cells;
    const auto contents = ReadSnapshotFile(
        file, [&](ReducerId reducer, std::string_view key, BytesView state) {
          cells.push_back({{reducer, std::string(key)}, Bytes(state)});
          return absl::OkStatus();
        });
    REQUIRE_OK(contents);
    SnapshotEncoder encoder(contents->header, contents->sequencer,
                            [&lie](BytesView part) {
                              lie.append(part);
                              return absl::OkStatus();
                            });
    for (std::size_t i = 1; i < cells.size(); ++i) {
      REQUIRE_OK(encoder.AddCell(cells[i].first.reducer, cells[i].first.key,
                                 cells[i].second));
    }
    REQUIRE_OK(encoder.Finish());
    WriteWholeFile(file, lie);
    const VerifyReport report =
        VerifyBothWays(directory / "world", ModuleOf(play));
    CHECK(report.verdict == Verdict::kDamaged);
    CHECK_THAT(report.problem, Catch::Contains(file));
    WriteWholeFile(file, honest);
  }
}

TEST_CASE("a damaged block is told, wherever a part begins", "[replay]") {
  const Play play = CounterPlay(100);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const std::vector<Bytes> blocks = BlocksOf(directory / "world");
  for (const std::size_t at : {std::size_t{2}, blocks.size() / 2}) {
    std::vector<Bytes> damaged = blocks;
    damaged[at][damaged[at].size() / 2] ^= 1;
    ReplaceBlocks(
        directory / "world", at,
        std::vector<Bytes>(damaged.begin() + static_cast<std::ptrdiff_t>(at),
                           damaged.end()));
    const VerifyReport report =
        VerifyBothWays(directory / "world", ModuleOf(play));
    CHECK(report.verdict == Verdict::kDamaged);
    CHECK_THAT(report.problem, Catch::Contains("block " + std::to_string(at)));
    ReplaceBlocks(
        directory / "world", at,
        std::vector<Bytes>(blocks.begin() + static_cast<std::ptrdiff_t>(at),
                           blocks.end()));
  }
}

TEST_CASE("progress over parts adds up and never goes back", "[replay]") {
  const Play play = CounterPlay(120);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  VerifyOptions options;
  options.path = directory / "world";
  options.modules.push_back(ModuleOf(play));
  options.threads = 3;
  std::uint64_t last = 0;
  options.progress = [&last](std::uint64_t done, std::uint64_t all) {
    CHECK(done > last);
    CHECK(all == 120);
    last = done;
  };
  REQUIRE_OK(Verify(options));
  CHECK(last == 120);
  options.progress = nullptr;
  options.cancelled = [] { return true; };
  CHECK(Verify(options).status().code() == absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace reenact
