// Slices: the least that still diverges.

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "examples/counter/counter.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/plays.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using Catch::Contains;

// The play's reducers, except that from ticket `from` on `name` refuses every
// other event.
Play Changed(Play play, const std::string& name, std::uint64_t from) {
  for (auto& reducer : play.reducers) {
    if (reducer->name() != name) continue;
    reducer = MakeReducer(
        name,
        [real = reducer, from](StepContext& step) {
          if (step.event_id().value >= from) {
            return absl::ResourceExhaustedError("enough");
          }
          return real->Step(step);
        },
        [real = reducer](const EventView& event, TouchSet& touches) {
          real->Touch(event, touches);
        });
  }
  return play;
}

absl::StatusOr<VerifyReport> VerifyWith(const std::string& path,
                                        const Play& play,
                                        const std::string& slice = "",
                                        std::size_t workers = 0) {
  VerifyOptions options;
  options.path = path;
  options.modules.push_back(ModuleOf(play));
  options.slice = slice;
  options.workers = workers;
  return Verify(options);
}

std::uint64_t SizeOf(const std::string& path) {
  std::uint64_t size = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(path)) {
    if (file.is_regular_file()) size += file.file_size();
  }
  return size;
}

// Counters, so many that a slice can leave most of them out.
Play ManyCounters() {
  Play play = CounterPlay(0);
  for (int i = 0; i < 3000; ++i) {
    Input input;
    input.event = {"counter", "c" + std::to_string(i % 1000), "",
                   cbor::EncodeInteger(i)};
    play.inputs.push_back(std::move(input));
  }
  play.config.snapshot_every = 100;
  return play;
}

TEST_CASE("a slice diverges as the world does, and is much smaller",
          "[replay]") {
  const Play play = ManyCounters();
  const Play changed = Changed(play, "counter", 2500);
  const TemporaryDirectory directory;
  const std::string world = directory / "world", slice = directory / "slice";
  RunPlay(play, world);
  const auto report = VerifyWith(world, changed, slice);
  REQUIRE_OK(report);
  REQUIRE(report->verdict == Verdict::kDiverged);
  CHECK(report->divergence->event_id == EventId{2500});
  CHECK(report->slice_note == slice);

  CHECK(SizeOf(slice) * 20 < SizeOf(world));
  const auto base = ReadSnapshotFile(slice + "/base.snap");
  REQUIRE_OK(base);
  CHECK(base->digests.cell_count <= play.config.scheduling.round_limit);
  CHECK(base->digests.cell_count > 0);
}

TEST_CASE("a slice tells the same of every example", "[replay]") {
  for (const Play& play : AllPlays(40)) {
    INFO(play.name);
    const TemporaryDirectory directory;
    RunPlay(play, directory / "world");
    for (const auto& reducer : play.reducers) {
      const std::string name(reducer->name());
      CAPTURE(name);
      const Play changed = Changed(play, name, 20);
      const std::string slice = directory / ("slice-" + name);
      const auto whole = VerifyWith(directory / "world", changed, slice);
      REQUIRE_OK(whole);
      if (whole->verdict == Verdict::kIdentical) continue;  // it never ran
      REQUIRE(whole->verdict == Verdict::kDiverged);
      for (const std::size_t workers : {0U, 2U}) {
        const auto small = VerifyWith(slice, changed, "", workers);
        REQUIRE_OK(small);
        REQUIRE(small->verdict == Verdict::kDiverged);
        CHECK(small->divergence->event_id == whole->divergence->event_id);
        CHECK(small->divergence->round == whole->divergence->round);
        CHECK(small->divergence->reducer == whole->divergence->reducer);
        CHECK(small->divergence->key == whole->divergence->key);
        CHECK(small->divergence->field == whole->divergence->field);
        CHECK(small->divergence->recorded == whole->divergence->recorded);
        CHECK(small->divergence->recomputed == whole->divergence->recomputed);
      }
      // A step that no longer reads leaves no trace of what it would read.
      if (play.name == "torture" || play.name == "cases") continue;
      const auto right = VerifyWith(slice, play);
      REQUIRE_OK(right);
      CHECK(right->verdict == Verdict::kIdentical);
    }
  }
}

TEST_CASE("a slice goes into a new directory only", "[replay]") {
  const Play play = CounterPlay(30);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const auto report = VerifyWith(
      directory / "world", Changed(play, "counter", 10), directory.path());
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kDiverged);
  CHECK_THAT(report->slice_note, Contains("no slice"));
}

TEST_CASE("no slice is written of a world that does not diverge", "[replay]") {
  const Play play = CounterPlay(30);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const auto report =
      VerifyWith(directory / "world", play, directory / "slice");
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kIdentical);
  CHECK_FALSE(std::filesystem::exists(directory / "slice"));
}

TEST_CASE("every byte of a slice is checked", "[replay]") {
  const Play play = CounterPlay(30);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const std::string slice = directory / "slice";
  REQUIRE_OK(
      VerifyWith(directory / "world", Changed(play, "counter", 20), slice));
  for (const char* name : {"base.snap", "tail.cborseq"}) {
    const std::string file = slice + "/" + name;
    const std::string bytes = ReadWholeFile(file);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
      WriteWholeFile(file, flipped);
      const auto report = VerifyWith(slice, play);
      CAPTURE(name, at);
      // A length that cannot be, or bytes that are not what they were.
      REQUIRE_OK(report);
      CHECK(report->verdict == Verdict::kDamaged);
      CHECK_FALSE(report->problem.empty());
    }
    WriteWholeFile(file, bytes);
  }
  WriteWholeFile(slice + "/SLICE", "reenact slice format 2\n");
  CHECK(VerifyWith(slice, play).status().code() ==
        absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace reenact
