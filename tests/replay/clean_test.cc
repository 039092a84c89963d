// No false alarm: whatever an honest world has been through, it replays to
// itself.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/plays.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using Catch::Contains;

VerifyOptions OptionsFor(const std::string& path,
                         const std::vector<Module>& modules) {
  VerifyOptions options;
  options.path = path;
  options.modules = modules;
  return options;
}

// Verifies the world in every way there is; all must say the same.
void RequireIdentical(const std::string& path,
                      const std::vector<Module>& modules) {
  Digest state;
  for (const bool from_snapshot : {false, true}) {
    for (const std::size_t workers : {0U, 1U, 2U, 8U}) {
      VerifyOptions options = OptionsFor(path, modules);
      options.workers = workers;
      options.from_snapshot = from_snapshot;
      options.run_twice = workers % 2 == 0;
      const auto report = Verify(options);
      REQUIRE_OK(report);
      CAPTURE(from_snapshot, workers, report->problem);
      if (report->divergence) {
        CAPTURE(report->divergence->event_id.value, report->divergence->field,
                report->divergence->recorded, report->divergence->recomputed);
        REQUIRE(report->verdict == Verdict::kIdentical);
      }
      REQUIRE(report->verdict == Verdict::kIdentical);
      REQUIRE(report->tickets == report->head.value - report->from.value);
      REQUIRE(report->snapshots_checked.size() >=
              (report->from.value != 0 ? 1 : 0));
      if (state == Digest{}) state = report->state;
      REQUIRE(report->state == state);
    }
  }
}

TEST_CASE("every example replays to itself, whoever runs it", "[replay]") {
  for (const Play& play : AllPlays(60)) {
    INFO(play.name);
    const TemporaryDirectory directory;
    RunPlay(play, directory / "world", 4);
    RequireIdentical(directory / "world", {ModuleOf(play)});

    VerifyOptions options = OptionsFor(directory / "world", {ModuleOf(play)});
    auto report = Verify(options);
    REQUIRE_OK(report);
    CHECK(report->from == EventId{0});
    CHECK(report->snapshots_checked.size() ==
          SnapshotsOf(directory / "world").size());
    CHECK(report->snapshots_checked.size() >= 1);
    options.from_snapshot = true;
    report = Verify(options);
    REQUIRE_OK(report);
    CHECK(report->from > EventId{0});
  }
}

TEST_CASE("chance makes worlds that replay to themselves", "[replay]") {
  std::uint64_t failed = 0, raised = 0;
  for (std::uint64_t seed = 20; seed < 30; ++seed) {
    CAPTURE(seed);
    const Play play = TorturePlay(seed, 150);
    const TemporaryDirectory directory;
    const WorldStats stats = RunPlay(play, directory / "world", seed % 3 * 2);
    failed += stats.failed;
    raised += stats.raised;
    RequireIdentical(directory / "world", {ModuleOf(play)});
  }
  CHECK(failed > 100);
  CHECK(raised > 100);
}

TEST_CASE("an interrupted and continued world replays to itself", "[replay]") {
  const Play play = BankPlay("events", 80);
  const TemporaryDirectory directory;
  WorldOptions options = OptionsOf(play, directory / "world");
  int sessions = 0;
  for (bool done = false; !done; ++sessions) {
    options.workers = static_cast<std::size_t>(sessions % 3);
    const auto world = World::Open(options);
    REQUIRE_OK(world);
    InputList source(play.inputs, (*world)->open_report().position);
    const std::uint64_t stop = (*world)->open_report().position + 15;
    source.before = [&](std::uint64_t position) {
      if (position == stop) (*world)->Interrupt();
    };
    const absl::Status status = (*world)->Feed(source);
    done = status.ok();
    if (!done) REQUIRE(status.code() == absl::StatusCode::kCancelled);
    REQUIRE_OK((*world)->Close());
  }
  CHECK(sessions > 3);
  RequireIdentical(directory / "world", {ModuleOf(play)});
}

TEST_CASE("a world with recorded changes replays to itself", "[replay]") {
  const Play play = TorturePlay(5, 40);
  const TemporaryDirectory directory;
  const auto world = World::Open(OptionsOf(play, directory / "world"));
  REQUIRE_OK(world);
  const auto submit = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      REQUIRE_OK((*world)->Submit(play.inputs[i]));
    }
  };
  submit(0, 10);
  REQUIRE_OK((*world)->RequestSnapshot());
  submit(10, 20);
  REQUIRE_OK((*world)->Run());
  Scheduling rules = play.config.scheduling;
  rules.round_limit = 3;
  REQUIRE_OK((*world)->ChangeConfig(rules, 5));
  submit(20, 40);
  REQUIRE_OK((*world)->Run());
  REQUIRE_OK((*world)->RequestSnapshot());
  REQUIRE_OK((*world)->Run());
  REQUIRE_OK((*world)->Close());
  RequireIdentical(directory / "world", {ModuleOf(play)});
}

TEST_CASE("a live world by the wall clock replays to itself", "[replay]") {
  Play play = TorturePlay(2, 100);
  play.config.clock = ClockKind::kWall;
  const TemporaryDirectory directory;
  WorldOptions options = OptionsOf(play, directory / "world");
  options.workers = 2;
  std::int64_t now = 1'000'000;
  options.wall_clock = [&now] { return LogicalTime{now += 7}; };
  const auto world = World::Open(options);
  REQUIRE_OK(world);
  REQUIRE_OK((*world)->Start());
  for (const Input& input : play.inputs) REQUIRE_OK((*world)->Submit(input));
  REQUIRE_OK((*world)->Stop());
  REQUIRE_OK((*world)->Close());
  RequireIdentical(directory / "world", {ModuleOf(play)});
}

TEST_CASE("a world that has nothing in it replays to itself", "[replay]") {
  const Play play = CounterPlay(0);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  const auto report = Verify(OptionsFor(directory / "world", {ModuleOf(play)}));
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kIdentical);
  CHECK(report->head == EventId{0});
}

// --- modules -----------------------------------------------------------------

std::shared_ptr<const Reducer> Adds(std::int64_t number) {
  return MakeReducer("adds", [number](StepContext& step) {
    const auto state = step.state();
    const std::int64_t before = state ? *cbor::DecodeInteger(*state) : 0;
    step.SetState(cbor::EncodeInteger(before + number));
    return absl::OkStatus();
  });
}

Module AddsModule(const std::string& version, std::int64_t number) {
  return MakeModule("adds", version, {Adds(number)}).value();
}

void RunSome(const std::string& path, const Module& module) {
  WorldOptions options;
  options.path = path;
  options.modules.push_back(module);
  options.accept_module_change = true;
  const auto world = World::Open(options);
  REQUIRE_OK(world);
  for (int i = 0; i < 5; ++i) {
    REQUIRE_OK((*world)->Submit(InputFor("adds", "k", Bytes("\x01"))));
  }
  REQUIRE_OK((*world)->Run());
  REQUIRE_OK((*world)->Close());
}

TEST_CASE("after a change of modules all of them are needed", "[replay]") {
  const Module one = AddsModule("1", 1), two = AddsModule("2", 2);
  const TemporaryDirectory directory;
  const std::string world = directory / "world";
  RunSome(world, one);
  RunSome(world, two);
  RequireIdentical(world, {one, two});
  RequireIdentical(world, {two, one});

  const auto with_new = Verify(OptionsFor(world, {two}));
  REQUIRE_OK(with_new);
  CHECK(with_new->verdict == Verdict::kDiverged);
  CHECK(with_new->divergence->event_id == EventId{1});
  const auto with_old = Verify(OptionsFor(world, {one}));
  REQUIRE_OK(with_old);
  CHECK(with_old->verdict == Verdict::kDiverged);
  CHECK(with_old->divergence->event_id == EventId{7});  // 6 is the change
}

TEST_CASE("only another digest is a change of modules", "[replay]") {
  const TemporaryDirectory directory;
  const std::string world = directory / "world";
  RunSome(world, AddsModule("1", 1));
  const auto same = Verify(OptionsFor(world, {AddsModule("1", 1)}));
  REQUIRE_OK(same);
  CHECK(same->verdict == Verdict::kIdentical);
  CHECK(same->notes.empty());

  const auto other = Verify(OptionsFor(world, {AddsModule("2", 1)}));
  REQUIRE_OK(other);
  CHECK(other->verdict == Verdict::kModuleChanged);
  REQUIRE(other->notes.size() == 1);
  CHECK_THAT(other->notes[0], Contains("adds"));

  // The module that was recorded first is missing, though its successor's steps
  // give the same.
  RunSome(world, AddsModule("2", 1));
  const auto successor = Verify(OptionsFor(world, {AddsModule("2", 1)}));
  REQUIRE_OK(successor);
  CHECK(successor->verdict == Verdict::kModuleChanged);
  RequireIdentical(world, {AddsModule("1", 1), AddsModule("2", 1)});
}

// --- no verdict --------------------------------------------------------------

TEST_CASE("without a world or its reducers there is no verdict", "[replay]") {
  const Play play = CounterPlay(10);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  CHECK(Verify(OptionsFor(directory / "none", {ModuleOf(play)}))
            .status()
            .code() == absl::StatusCode::kNotFound);
  CHECK(Verify(OptionsFor(directory / "world", {})).status().code() ==
        absl::StatusCode::kInvalidArgument);
  const auto other =
      Verify(OptionsFor(directory / "world", {AddsModule("1", 1)}));
  CHECK(other.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(ToStd(other.status().message())), Contains("counter"));
}

TEST_CASE("verification says how far it is, and can be stopped", "[replay]") {
  const Play play = CounterPlay(100);
  const TemporaryDirectory directory;
  RunPlay(play, directory / "world");
  VerifyOptions options = OptionsFor(directory / "world", {ModuleOf(play)});
  std::uint64_t last = 0;
  options.progress = [&last](std::uint64_t done, std::uint64_t all) {
    CHECK(done >= last);
    CHECK(all == 100);
    last = done;
  };
  REQUIRE_OK(Verify(options));
  CHECK(last == 100);
  options.progress = nullptr;
  options.cancelled = [] { return true; };
  CHECK(Verify(options).status().code() == absl::StatusCode::kCancelled);
  int asked = 0;
  options.cancelled = [&asked] { return ++asked > 10; };
  CHECK(Verify(options).status().code() == absl::StatusCode::kCancelled);
}

TEST_CASE("a world in use can be verified", "[replay]") {
  const Play play = BankPlay("declared", 30);
  const TemporaryDirectory directory;
  const auto world = World::Open(OptionsOf(play, directory / "world"));
  REQUIRE_OK(world);
  InputList source(play.inputs);
  REQUIRE_OK((*world)->Feed(source));
  const auto report = Verify(OptionsFor(directory / "world", {ModuleOf(play)}));
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kIdentical);
  CHECK(report->head == (*world)->head());
  CHECK(report->journal == (*world)->journal_digest());
  REQUIRE_OK((*world)->Close());
}

}  // namespace
}  // namespace reenact
