// What a program that embeds a world can count on.

#include "reenact/world/world.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/workers/pool.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/torture.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using cbor::EncodeInteger;

std::int64_t Number(std::optional<BytesView> state) {
  return state ? cbor::DecodeInteger(*state).value() : 0;
}

// Adds its payload to its cell.
std::shared_ptr<const Reducer> Counter() {
  return MakeReducer("counter", [](StepContext& step) {
    step.SetState(EncodeInteger(Number(step.state()) + Number(step.payload())));
    return absl::OkStatus();
  });
}

// Does what a test wants.
std::shared_ptr<const Reducer> Custom(
    std::function<absl::Status(StepContext&)> step) {
  return MakeReducer("custom", std::move(step));
}

WorldOptions Options(std::vector<std::shared_ptr<const Reducer>> reducers,
                     std::string path = "") {
  WorldOptions options;
  options.path = std::move(path);
  SetIdentity(0, options.config);  // some are compared with each other
  options.modules.push_back(
      MakeModule("demo", "1", std::move(reducers)).value());
  return options;
}

Input To(std::string reducer, std::string key, std::int64_t payload,
         std::string id = "") {
  Input input;
  input.event = {std::move(reducer), std::move(key), "",
                 EncodeInteger(payload)};
  input.submission_id = std::move(id);
  return input;
}

std::unique_ptr<World> MustOpen(WorldOptions options) {
  auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  return *std::move(world);
}

Submission MustSubmit(World& world, Input input) {
  auto submission = world.Submit(std::move(input));
  REQUIRE_OK(submission);
  return *std::move(submission);
}

std::int64_t NumberIn(const World& world, std::string_view reducer,
                      std::string_view key) {
  const auto state = world.Read(reducer, key);
  REQUIRE_OK(state);
  return *state ? cbor::DecodeInteger(**state).value() : 0;
}

// The code that a submission's step failed with; 0: it committed.
FailureCode FailureOf(const Submission& submission) {
  const auto outcome = submission.WaitDurable();
  REQUIRE_OK(outcome);
  return outcome->failure.value_or(FailureCode{});
}

// --- opening -----------------------------------------------------------------

TEST_CASE("a world is made once and found again", "[world]") {
  TemporaryDirectory directory;
  const WorldOptions options = Options({Counter()}, directory / "w");
  Digest digest;
  {
    auto world = MustOpen(options);
    CHECK(world->open_report().created);
    CHECK(world->head() == EventId{0});
    MustSubmit(*world, To("counter", "a", 3));
    REQUIRE_OK(world->Run());
    CHECK(world->head() == EventId{1});
    CHECK(world->durable() == EventId{1});
    digest = world->journal_digest();
    REQUIRE_OK(world->Close());
  }
  auto world = MustOpen(options);
  CHECK_FALSE(world->open_report().created);
  CHECK(world->open_report().head == EventId{1});
  CHECK(world->open_report().blocks == 2);
  CHECK(world->open_report().blocks_cut == 0);
  CHECK(world->journal_digest() == digest);
  CHECK(NumberIn(*world, "counter", "a") == 3);
  MustSubmit(*world, To("counter", "a", 4));
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "counter", "a") == 7);
}

TEST_CASE("a world that must exist is not made", "[world]") {
  TemporaryDirectory directory;
  WorldOptions options = Options({Counter()}, directory / "w");
  options.must_exist = true;
  CHECK(World::Open(options).status().code() == absl::StatusCode::kNotFound);
  CHECK_FALSE(std::filesystem::exists(options.path));
}

TEST_CASE("a world has one owner", "[world]") {
  TemporaryDirectory directory;
  const WorldOptions options = Options({Counter()}, directory / "w");
  auto world = MustOpen(options);
  const auto second = World::Open(options);
  CHECK(second.status().code() == absl::StatusCode::kFailedPrecondition);
  REQUIRE_OK(world->Close());
  MustOpen(options);
}

TEST_CASE("options that make no sense are refused", "[world]") {
  const auto code = [](const WorldOptions& options) {
    return World::Open(options).status().code();
  };
  CHECK(code(WorldOptions{}) == absl::StatusCode::kInvalidArgument);
  WorldOptions options = Options({Counter()});
  options.window = 3;
  CHECK(code(options) == absl::StatusCode::kInvalidArgument);
  options = Options({Counter()});
  options.modules.push_back(MakeModule("twin", "1", {Counter()}).value());
  CHECK(code(options) == absl::StatusCode::kInvalidArgument);
  options = Options({Counter()});
  options.config.scheduling.round_limit = 0;
  CHECK(code(options) == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a world in memory needs no directory", "[world]") {
  auto world = MustOpen(Options({Counter()}));
  CHECK(world->open_report().created);
  const Submission submission = MustSubmit(*world, To("counter", "a", 1));
  REQUIRE_OK(world->Run());
  CHECK(FailureOf(submission) == FailureCode{});
  CHECK(NumberIn(*world, "counter", "a") == 1);
  REQUIRE_OK(world->Close());
}

TEST_CASE("closing twice is closing once", "[world]") {
  TemporaryDirectory directory;
  auto world = MustOpen(Options({Counter()}, directory / "w"));
  REQUIRE_OK(world->Close());
  REQUIRE_OK(world->Close());
  CHECK(world->Run().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(world->Start().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(world->Submit(To("counter", "a", 1)).status().code() ==
        absl::StatusCode::kFailedPrecondition);
}

// --- feeding -----------------------------------------------------------------

TEST_CASE("an interrupted run that goes on is the run", "[world]") {
  TemporaryDirectory directory;
  const std::vector<Input> inputs = TortureInputs({5, 400, 10});
  WorldOptions options;
  options.modules.push_back(MakeTortureModule());
  options.config = TortureConfig(5);
  options.config.snapshot_every = 3;
  options.path = directory / "whole";
  {
    auto world = MustOpen(options);
    InputList source(inputs);
    REQUIRE_OK(world->Feed(source));
  }
  const std::size_t workers = GENERATE(0, 3);
  const bool reopen = GENERATE(false, true);
  CAPTURE(workers, reopen);
  options.workers = workers;
  options.path = directory / "parts";
  std::unique_ptr<World> world = MustOpen(options);
  Dice dice(1);
  int interruptions = 0;
  for (;;) {
    InputList source(inputs, world->position());
    const std::uint64_t stop_at = world->position() + 1 + dice.Below(80);
    source.before = [&](std::uint64_t position) {
      if (position == stop_at) world->Interrupt();
    };
    const absl::Status status = world->Feed(source);
    if (status.ok()) break;
    REQUIRE(status.code() == absl::StatusCode::kCancelled);
    CHECK(world->durable() == world->head());
    ++interruptions;
    if (reopen) {
      world.reset();
      world = MustOpen(options);
      CHECK(world->open_report().position == world->position());
    }
  }
  CHECK(interruptions > 3);
  REQUIRE_OK(world->Close());
  const auto parts = BlocksOf(options.path);
  const auto whole = BlocksOf(directory / "whole");
  INFO(FirstDifference(parts, whole));
  CHECK((parts == whole));
  CHECK((StatesOf(options.path) == StatesOf(directory / "whole")));
  CHECK((SnapshotsOf(options.path) == SnapshotsOf(directory / "whole")));
}

TEST_CASE("an error of the source ends the feeding, not the world", "[world]") {
  struct Broken : InputSource {
    int rows = 0;
    absl::StatusOr<bool> Next(std::vector<Input>* row) override {
      if (++rows > 3) return absl::DataLossError("line 4: torn");
      row->push_back(To("counter", "a", 1));
      return true;
    }
  };
  auto world = MustOpen(Options({Counter()}));
  Broken source;
  const absl::Status status = world->Feed(source);
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(status.message() == "line 4: torn");
  CHECK(NumberIn(*world, "counter", "a") == 3);
  REQUIRE_OK(world->Run());
}

TEST_CASE("a row that makes no sense ends the feeding", "[world]") {
  auto world = MustOpen(Options({Counter()}));
  InputList source({To("counter", "a", 1), To("nobody", "a", 1)});
  CHECK(world->Feed(source).code() == absl::StatusCode::kNotFound);
  CHECK(world->head() == EventId{1});
}

// --- submitting --------------------------------------------------------------

TEST_CASE("what many threads submit is committed once each", "[world]") {
  TemporaryDirectory directory;
  const bool on_disk = GENERATE(false, true);
  const std::size_t workers = GENERATE(0, 1, 3);
  CAPTURE(on_disk, workers);
  WorldOptions options = Options({Counter()}, on_disk ? directory / "w" : "");
  options.workers = workers;
  options.sync.kind = SyncPolicy::Kind::kNone;
  auto world = MustOpen(options);
  REQUIRE_OK(world->Start());
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&world, &wrong, t] {
      for (int i = 0; i < kEach; ++i) {
        auto submission =
            world->Submit(To("counter", "c" + std::to_string(i % 3), 1));
        if (!submission.ok()) {
          ++wrong;
          continue;
        }
        const auto ticketed = submission->WaitTicketed();
        const auto committed = submission->WaitCommitted();
        const auto durable = submission->WaitDurable();
        if (!ticketed.ok() || !committed.ok() || !durable.ok() ||
            committed->event_id != *ticketed || committed->failure ||
            durable->event_id > world->durable() ||
            !world->Read("counter", "c0").ok() ||
            world->stats().tickets < ticketed->value / 1000000 || t < 0) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  REQUIRE_OK(world->Stop());
  CHECK(world->head() == EventId{kThreads * kEach});
  const auto cells = world->Scan("counter", "", "", 10);
  REQUIRE_OK(cells);
  REQUIRE(cells->size() == 3);
  std::int64_t sum = 0;
  for (const auto& [key, state] : *cells) sum += Number(state);
  CHECK(sum == kThreads * kEach);
  REQUIRE_OK(world->Close());
}

TEST_CASE("reading while a world runs sees whole steps", "[world]") {
  // Both cells always hold the same.
  auto twins = Custom([](StepContext& step) {
    const std::int64_t next = Number(step.Read("custom", "b")) + 1;
    step.Write("custom", "b", EncodeInteger(next));
    step.Write("custom", "c", EncodeInteger(next));
    return absl::OkStatus();
  });
  WorldOptions options = Options({twins});
  options.workers = 3;
  auto world = MustOpen(options);
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!done) {
      const auto cells = world->Scan("custom", "", "", 10);
      const bool whole =
          cells.ok() &&
          (cells->empty() ||
           (cells->size() == 2 && (*cells)[0].second == (*cells)[1].second));
      if (!whole) ++torn;
    }
  });
  std::vector<Input> inputs;
  for (int i = 0; i < 3000; ++i) {
    inputs.push_back(To("custom", "k" + std::to_string(i % 7), 0));
  }
  InputList source(inputs);
  const absl::Status status = world->Feed(source);
  done = true;
  reader.join();
  REQUIRE_OK(status);
  CHECK(torn == 0);
  CHECK(NumberIn(*world, "custom", "c") == 3000);
}

TEST_CASE("a submission id counts once, also after reopening", "[world]") {
  TemporaryDirectory directory;
  const WorldOptions options = Options({Counter()}, directory / "w");
  {
    auto world = MustOpen(options);
    MustSubmit(*world, To("counter", "a", 1, "order-1"));
    const auto again = MustSubmit(*world, To("counter", "a", 1, "order-1"));
    REQUIRE_OK(world->Run());
    CHECK(again.WaitTicketed().status().code() ==
          absl::StatusCode::kAlreadyExists);
    CHECK(world->stats().duplicates == 1);
    CHECK(NumberIn(*world, "counter", "a") == 1);
  }
  auto world = MustOpen(options);
  const auto again = MustSubmit(*world, To("counter", "a", 1, "order-1"));
  const auto other = MustSubmit(*world, To("counter", "a", 1, "order-2"));
  REQUIRE_OK(world->Run());
  CHECK(again.WaitDurable().status().code() ==
        absl::StatusCode::kAlreadyExists);
  CHECK(FailureOf(other) == FailureCode{});
  CHECK(NumberIn(*world, "counter", "a") == 2);
}

TEST_CASE("a full ingress refuses, and nothing of it is recorded", "[world]") {
  WorldOptions options = Options({Counter()});
  options.ingress_capacity = 2;
  auto world = MustOpen(options);
  MustSubmit(*world, To("counter", "a", 1));
  MustSubmit(*world, To("counter", "a", 1));
  CHECK(world->Submit(To("counter", "a", 1)).status().code() ==
        absl::StatusCode::kResourceExhausted);
  REQUIRE_OK(world->Run());
  CHECK(world->head() == EventId{2});
  MustSubmit(*world, To("counter", "a", 1));
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "counter", "a") == 3);
}

TEST_CASE("a malformed input is refused at the door", "[world]") {
  WorldOptions options = Options({Counter()});
  options.config.limits.key_bytes_max = 4;
  options.config.limits.payload_bytes_max = 8;
  auto world = MustOpen(options);
  const auto code = [&](Input input) {
    return world->Submit(std::move(input)).status().code();
  };
  CHECK(code(To("nobody", "a", 1)) == absl::StatusCode::kNotFound);
  CHECK(code(To("counter", "four", 1)) == absl::StatusCode::kOk);
  CHECK(code(To("counter", "fives", 1)) == absl::StatusCode::kInvalidArgument);
  CHECK(code(To("counter", "\xff", 1)) == absl::StatusCode::kInvalidArgument);
  CHECK(code(To("counter", "a", 1, std::string(65, 'x'))) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code(To("counter", "a", 1, std::string(64, 'x'))) ==
        absl::StatusCode::kOk);
  Input input = To("counter", "a", 1);
  input.priority = kPriorities;
  CHECK(code(input) == absl::StatusCode::kInvalidArgument);
  input = To("counter", "a", 1);
  input.event.payload = "\x18\x01";  // 1, spelled too long
  CHECK(code(input) == absl::StatusCode::kInvalidArgument);
  input.event.payload = "";
  CHECK(code(input) == absl::StatusCode::kInvalidArgument);
  input.event.payload = cbor::EncodeText("too long");
  CHECK(code(input) == absl::StatusCode::kInvalidArgument);
  REQUIRE_OK(world->Run());
  CHECK(world->head() == EventId{2});
}

TEST_CASE("what was not admitted ends with the world", "[world]") {
  auto world = MustOpen(Options({Counter()}));
  const auto submission = MustSubmit(*world, To("counter", "a", 1));
  REQUIRE_OK(world->Close());
  CHECK(submission.WaitDurable().status().code() ==
        absl::StatusCode::kFailedPrecondition);
}

// --- time --------------------------------------------------------------------

// Raises a timer `payload` ticks ahead; the timer notes when it came.
std::shared_ptr<const Reducer> Alarm() {
  return Custom([](StepContext& step) {
    if (step.event().schema == "ring") {
      step.SetState(EncodeInteger(step.time().value));
    } else {
      step.RaiseAt(LogicalTime{step.time().value + Number(step.payload())},
                   {"custom", "rang", "ring", EncodeInteger(0)});
    }
    return absl::OkStatus();
  });
}

TEST_CASE("with the rounds' clock a timer makes its own round", "[world]") {
  auto world = MustOpen(Options({Alarm()}));
  MustSubmit(*world, To("custom", "a", 1000));
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "rang") == 1001);
  CHECK(world->head() == EventId{2});
  CHECK(world->stats().rounds == 2);  // those between leave no trace
}

TEST_CASE("a timer makes its round though another is due before it",
          "[world]") {
  WorldOptions options = Options({Custom([](StepContext& step) {
    step.SetState(EncodeInteger(step.time().value));
    const std::int64_t due = Number(step.payload());
    const Event timer{"custom", "timer of " + std::string(step.key()), "",
                      EncodeInteger(0)};
    if (due > 0) step.RaiseAt(LogicalTime{due}, timer);
    return absl::OkStatus();
  })});
  options.config.clock = ClockKind::kRounds;
  options.config.scheduling.round_limit = 1;
  options.config.scheduling.pipeline_depth = 4;
  auto world = MustOpen(options);
  MustSubmit(*world, To("custom", "a", 6));  // round 1: handed over for 5
  MustSubmit(*world, To("custom", "b", 0));
  MustSubmit(*world, To("custom", "c", 4));  // round 3: handed over for 7
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "timer of a") == 6);
  CHECK(NumberIn(*world, "custom", "timer of c") == 7);
  REQUIRE_OK(world->Close());
}

TEST_CASE("with the input's clock a timer waits for the input", "[world]") {
  TemporaryDirectory directory;
  WorldOptions options = Options({Alarm()}, directory / "w");
  options.config.clock = ClockKind::kInput;
  Input first = To("custom", "a", 50);
  first.time = LogicalTime{100};
  {
    auto world = MustOpen(options);
    MustSubmit(*world, first);
    REQUIRE_OK(world->Run());
    CHECK(world->head() == EventId{1});
    CHECK(world->stats().timers_waiting == 1);
  }
  // It waits on in the world that is opened again.
  auto world = MustOpen(options);
  Input late = To("custom", "b", 1000);
  late.time = LogicalTime{149};
  MustSubmit(*world, late);
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "rang") == 0);
  late.time = LogicalTime{150};
  MustSubmit(*world, late);
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "rang") == 150);
}

TEST_CASE("the wall's clock is the embedder's, and never goes back",
          "[world]") {
  std::int64_t now = 500;
  WorldOptions options = Options({Alarm()});
  options.config.clock = ClockKind::kWall;
  options.wall_clock = [&now] { return LogicalTime{now}; };
  auto world = MustOpen(options);
  MustSubmit(*world, To("custom", "a", 10));
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "rang") == 0);
  now = 400;  // somebody set it
  MustSubmit(*world, To("custom", "a", 5000));
  REQUIRE_OK(world->Run());
  now = 510;
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "rang") == 510);
  now = 5499;
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "rang") == 510);
  now = 5500;  // 500 + 5000: the second step saw 500, not 400
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "rang") == 5500);
}

TEST_CASE("what a step raises comes d rounds later, at once in a quiet world",
          "[world]") {
  auto chain = Custom([](StepContext& step) {
    const std::int64_t left = Number(step.payload());
    step.SetState(EncodeInteger(step.time().value));
    if (left > 0) {
      step.Raise({"custom", std::to_string(left), "", EncodeInteger(left - 1)});
    }
    return absl::OkStatus();
  });
  const std::uint64_t depth = GENERATE(1, 2, 5);
  const std::size_t workers = GENERATE(0, 2);
  WorldOptions options = Options({chain});
  options.config.scheduling.pipeline_depth = depth;
  options.workers = workers;
  auto world = MustOpen(options);
  MustSubmit(*world, To("custom", "start", 3));
  REQUIRE_OK(world->Run());
  const auto d = static_cast<std::int64_t>(depth);
  CHECK(NumberIn(*world, "custom", "start") == 1);
  CHECK(NumberIn(*world, "custom", "3") == 1 + d);
  CHECK(NumberIn(*world, "custom", "2") == 1 + 2 * d);
  CHECK(NumberIn(*world, "custom", "1") == 1 + 3 * d);
  CHECK(world->stats().rounds == 4);
}

// --- snapshots and changes ---------------------------------------------------

TEST_CASE("a snapshot is taken when asked for, and opening can use it",
          "[world]") {
  TemporaryDirectory directory;
  const WorldOptions options = Options({Counter()}, directory / "w");
  {
    auto world = MustOpen(options);
    MustSubmit(*world, To("counter", "a", 1));
    REQUIRE_OK(world->Run());
    const auto snapshot = world->RequestSnapshot();
    REQUIRE_OK(snapshot);
    MustSubmit(*world, To("counter", "a", 2));
    REQUIRE_OK(world->Run());
    CHECK(FailureOf(*snapshot) == FailureCode{});
    CHECK(world->stats().snapshots == 1);
    CHECK(world->head() == EventId{3});  // the request has a ticket
  }
  REQUIRE(SnapshotsOf(options.path).size() == 1);
  CHECK(SnapshotsOf(options.path).begin()->first ==
        "00000000000000000002.snap");
  auto world = MustOpen(options);
  CHECK(world->open_report().snapshot_used == EventId{2});
  CHECK(world->open_report().tickets_replayed == 1);
  CHECK(NumberIn(*world, "counter", "a") == 3);
}

TEST_CASE("only the newest snapshots are kept if that is wanted", "[world]") {
  TemporaryDirectory directory;
  WorldOptions options = Options({Counter()}, directory / "w");
  options.config.snapshot_every = 1;
  options.snapshots_kept = 2;
  auto world = MustOpen(options);
  for (int i = 0; i < 5; ++i) {
    MustSubmit(*world, To("counter", "a", 1));
    REQUIRE_OK(world->Run());
  }
  REQUIRE_OK(world->Close());
  const auto snapshots = SnapshotsOf(options.path);
  CHECK(snapshots.size() == 2);
  CHECK(snapshots.count("00000000000000000005.snap") == 1);
}

TEST_CASE("a change of rules has a ticket, and lasts", "[world]") {
  TemporaryDirectory directory;
  WorldOptions options = Options({Counter()}, directory / "w");
  options.config.scheduling.pipeline_depth = 3;
  Scheduling rules = options.config.scheduling;
  rules.round_limit = 2;
  {
    auto world = MustOpen(options);
    const auto change = world->ChangeConfig(rules, 7);
    REQUIRE_OK(change);
    for (int i = 0; i < 4; ++i) MustSubmit(*world, To("counter", "a", 1));
    REQUIRE_OK(world->Run());
    CHECK(change->WaitTicketed().value() == EventId{1});
    CHECK(world->config().scheduling == rules);
    CHECK(world->config().snapshot_every == 7);
    CHECK(world->stats().rounds == 3);  // the change, and two of two
    Scheduling deeper = rules;
    deeper.pipeline_depth = 4;
    CHECK(world->ChangeConfig(deeper, 0).status().code() ==
          absl::StatusCode::kInvalidArgument);
  }
  // The options of a world that exists do not count, unless asked to.
  WorldOptions again = Options({Counter()}, options.path);
  {
    auto world = MustOpen(again);
    CHECK(world->config().scheduling == rules);
    REQUIRE_OK(world->ChangeConfig(rules, 0));
    REQUIRE_OK(world->Run());
    CHECK(world->head() == EventId{6});
  }
  again.accept_config_change = true;
  again.config.scheduling = rules;
  again.config.scheduling.round_limit = 9;
  auto world = MustOpen(again);
  MustSubmit(*world, To("counter", "a", 1));
  REQUIRE_OK(world->Run());
  CHECK(world->config().scheduling.round_limit == 9);
  CHECK(world->head() == EventId{8});
}

TEST_CASE("another module is refused, or recorded if accepted", "[world]") {
  TemporaryDirectory directory;
  const WorldOptions old = Options({Counter()}, directory / "w");
  {
    auto world = MustOpen(old);
    MustSubmit(*world, To("counter", "a", 1));
    REQUIRE_OK(world->Run());
  }
  WorldOptions now = old;
  now.modules = {
      MakeModule("demo", "2", {Counter(), Custom([](StepContext& step) {
                                 step.SetState(EncodeInteger(1));
                                 return absl::OkStatus();
                               })})
          .value()};
  const auto refused = World::Open(now);
  CHECK(refused.status().code() == absl::StatusCode::kFailedPrecondition);
  now.accept_module_change = true;
  {
    auto world = MustOpen(now);
    // For a reducer that history knows only from the change on.
    const auto first = MustSubmit(*world, To("custom", "a", 1));
    REQUIRE_OK(world->Run());
    CHECK(first.WaitTicketed().value() == EventId{3});
    CHECK(world->config().modules[0].version == "2");
    CHECK(world->config().reducers ==
          std::vector<std::string>{"counter", "custom"});
  }
  // Once recorded it is what the world was run with.
  now.accept_module_change = false;
  auto world = MustOpen(now);
  CHECK(NumberIn(*world, "counter", "a") == 1);
  CHECK(NumberIn(*world, "custom", "a") == 1);
  CHECK(world->head() == EventId{3});
}

// --- steps -------------------------------------------------------------------

TEST_CASE("a world may be larger than its cache", "[world]") {
  TemporaryDirectory directory;
  WorldOptions options = Options({Counter()}, directory / "w");
  options.cache_bytes = 20'000;
  options.window = 16;
  options.workers = GENERATE(0, 2);
  options.sync.kind = SyncPolicy::Kind::kNone;
  auto world = MustOpen(options);
  std::vector<Input> inputs;
  for (int i = 0; i < 6000; ++i) {
    inputs.push_back(To("counter", "k" + std::to_string(i % 1500), 1));
  }
  // What is not written yet stays in memory; a world at rest is within its
  // budget, however slow the disk was, and has to load what it needs again.
  for (int part = 0; part < 2; ++part) {
    InputList source(
        {inputs.begin() + part * 3000, inputs.begin() + (part + 1) * 3000});
    REQUIRE_OK(world->Feed(source));
    CHECK(world->stats().cells_cached < 1000);
  }
  CHECK(world->stats().cell_loads > 2000);
  const auto cells = world->Scan("counter", "", "", 5000);
  REQUIRE_OK(cells);
  REQUIRE(cells->size() == 1500);
  for (const auto& [key, state] : *cells) CHECK(Number(state) == 4);
  CHECK(NumberIn(*world, "counter", "k77") == 4);
}

TEST_CASE("updates of one cell commute, within their bounds", "[world]") {
  auto add = Custom([](StepContext& step) {
    Update update;
    update.number = Number(step.payload());
    update.low = 0;
    update.high = 10;
    step.Apply("custom", "sum", update);
    step.SetState(EncodeInteger(1));
    return absl::OkStatus();
  });
  auto world = MustOpen(Options({add}));
  const auto six = MustSubmit(*world, To("custom", "a", 6));
  const auto five = MustSubmit(*world, To("custom", "b", 5));
  const auto four = MustSubmit(*world, To("custom", "c", 4));
  const auto less = MustSubmit(*world, To("custom", "d", -11));
  REQUIRE_OK(world->Run());
  CHECK(FailureOf(six) == FailureCode{});
  CHECK(FailureOf(five) == FailureCode::kOutOfBounds);
  CHECK(FailureOf(four) == FailureCode{});
  CHECK(FailureOf(less) == FailureCode::kOutOfBounds);
  CHECK(NumberIn(*world, "custom", "sum") == 10);
  CHECK(NumberIn(*world, "custom", "a") == 1);
  CHECK(NumberIn(*world, "custom", "b") == 0);  // all of it or nothing
}

TEST_CASE("an update of a state of another type fails its step", "[world]") {
  auto mixed = Custom([](StepContext& step) {
    if (step.key() == "text") {
      step.SetState(cbor::EncodeText("no number"));
    } else {
      step.Apply("custom", "text", Update{});
    }
    return absl::OkStatus();
  });
  auto world = MustOpen(Options({mixed}));
  MustSubmit(*world, To("custom", "text", 0));
  const auto update = MustSubmit(*world, To("custom", "u", 0));
  REQUIRE_OK(world->Run());
  CHECK(FailureOf(update) == FailureCode::kTypeMismatch);
}

TEST_CASE("an update that would nest too deeply fails its step", "[world]") {
  auto append = Custom([](StepContext& step) {
    // Inside the cell's array it stands one level deeper than here.
    const auto levels = static_cast<std::size_t>(Number(step.payload()));
    Update update;
    update.op = Update::Op::kAppend;
    update.item = Bytes(levels - 1, '\x81') + '\x80';
    step.Apply("custom", "list", update);
    return absl::OkStatus();
  });
  auto world = MustOpen(Options({append}));
  const auto deep = MustSubmit(*world, To("custom", "a", cbor::kDepthMax - 1));
  const auto deeper = MustSubmit(*world, To("custom", "b", cbor::kDepthMax));
  REQUIRE_OK(world->Run());
  CHECK(FailureOf(deep) == FailureCode{});
  CHECK(FailureOf(deeper) == FailureCode::kInvalidOutput);
}

TEST_CASE("several updates of one cell by one step count together", "[world]") {
  auto twice = Custom([](StepContext& step) {
    Update update;
    update.number = 1;
    step.Apply("custom", "sum", update);
    step.Apply("custom", "sum", update);
    if (Number(step.payload()) == 1) {
      const auto now = step.Read("custom", "sum");  // its own two among them
      step.SetState(now.value());
    }
    return absl::OkStatus();
  });
  auto world = MustOpen(Options({twice}));
  MustSubmit(*world, To("custom", "a", 0));
  MustSubmit(*world, To("custom", "b", 1));
  MustSubmit(*world, To("custom", "c", 0));
  REQUIRE_OK(world->Run());
  CHECK(NumberIn(*world, "custom", "sum") == 6);
  CHECK(NumberIn(*world, "custom", "b") == 4);
}

TEST_CASE("a phantom in a scanned range is a conflict", "[world]") {
  // "count" notes how many cells there are; others make themselves.
  auto census = Custom([](StepContext& step) {
    if (step.key() == "count") {
      const auto cells = step.Scan("custom", "p", "q", 100);
      step.SetState(EncodeInteger(static_cast<std::int64_t>(cells.size())));
    } else {
      step.SetState(EncodeInteger(1));
    }
    return absl::OkStatus();
  });
  std::uint64_t conflicts = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    WorldInternals internals;
    internals.pool = NewShuffledPool(seed);
    auto opened = OpenWorld(Options({census}), std::move(internals));
    REQUIRE_OK(opened);
    World& world = **opened;
    for (int i = 0; i < 5; ++i) {
      MustSubmit(world, To("custom", "p" + std::to_string(i), 0));
    }
    MustSubmit(world, To("custom", "count", 0));
    MustSubmit(world, To("custom", "p9", 0));
    REQUIRE_OK(world.Run());
    CHECK(NumberIn(world, "custom", "count") == 5);
    conflicts += world.stats().conflicts;
    CHECK(world.stats().conflicts == world.stats().reruns);
  }
  CHECK(conflicts > 0);
}

TEST_CASE(
    "chaos 26, 27, 28, 60: a step may use what its limits say, and not one "
    "more",
    "[world]") {
  const std::size_t workers = GENERATE(0, 2);
  const auto run = [workers](
                       Limits limits, std::int64_t amount,
                       std::function<void(StepContext&, std::int64_t)> use) {
    WorldOptions options = Options({Custom([use](StepContext& step) {
      use(step, Number(step.payload()));
      return absl::OkStatus();
    })});
    options.config.limits = limits;
    options.workers = workers;
    auto world = MustOpen(options);
    const auto submission = MustSubmit(*world, To("custom", "a", amount));
    REQUIRE_OK(world->Run());
    return FailureOf(submission);
  };
  Limits limits;
  limits.events_max = 3;
  limits.effects_max = 4;
  limits.output_bytes_max = 1000;
  limits.fuel_max = 50;
  limits.key_bytes_max = 6;
  const auto raise = [](StepContext& step, std::int64_t n) {
    for (; n > 0; --n) {
      step.RaiseAt(LogicalTime{1'000'000'000},
                   {"custom", "", "", EncodeInteger(0)});
    }
  };
  CHECK(run(limits, 3, raise) == FailureCode{});
  CHECK(run(limits, 4, raise) == FailureCode::kTooManyEvents);
  const auto intend = [](StepContext& step, std::int64_t n) {
    for (; n > 0; --n) step.Intend({"mail", "", EncodeInteger(0), ""});
  };
  CHECK(run(limits, 4, intend) == FailureCode{});
  CHECK(run(limits, 5, intend) == FailureCode::kTooManyEffects);
  const auto write = [](StepContext& step, std::int64_t n) {
    // The head of a text of this size takes three bytes.
    step.SetState(
        cbor::EncodeText(std::string(static_cast<std::size_t>(n) - 3, 'x')));
  };
  CHECK(run(limits, 1000, write) == FailureCode{});
  CHECK(run(limits, 1001, write) == FailureCode::kTooMuchOutput);
  const auto burn = [](StepContext& step, std::int64_t n) {
    step.UseFuel(static_cast<std::uint64_t>(n));
  };
  CHECK(run(limits, 50, burn) == FailureCode{});
  CHECK(run(limits, 51, burn) == FailureCode::kOutOfFuel);
  const auto name = [](StepContext& step, std::int64_t n) {
    step.Write("custom", std::string(static_cast<std::size_t>(n), 'k'),
               EncodeInteger(0));
  };
  CHECK(run(limits, 6, name) == FailureCode{});
  CHECK(run(limits, 7, name) == FailureCode::kInvalidOutput);
}

TEST_CASE("chaos 23: a step that fails changes nothing, and history goes on",
          "[world]") {
  auto moody = Custom([](StepContext& step) -> absl::Status {
    step.SetState(EncodeInteger(1));
    step.Write("custom", "other", EncodeInteger(1));
    step.Raise({"custom", "child", "", EncodeInteger(0)});
    switch (Number(step.payload())) {
      case 1:
        throw std::runtime_error("on purpose");
      case 2:
        throw 7;
      case 3:
        return absl::NotFoundError("on purpose");
      case 4:
        step.SetState("no CBOR");
        return absl::OkStatus();
      case 5:
        step.Read("nobody", "a");
        return absl::OkStatus();
      default:
        return absl::AbortedError("a child");
    }
  });
  WorldOptions options = Options({moody});
  options.workers = GENERATE(0, 2);
  auto world = MustOpen(options);
  const FailureCode expected[] = {
      FailureCode::kException, FailureCode::kException,
      static_cast<FailureCode>(absl::StatusCode::kNotFound),
      FailureCode::kInvalidOutput, FailureCode::kUnknownReducer};
  std::vector<Submission> submissions;
  for (int i = 1; i <= 5; ++i) {
    submissions.push_back(MustSubmit(*world, To("custom", "a", i)));
  }
  REQUIRE_OK(world->Run());
  for (std::size_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(FailureOf(submissions[i]) == expected[i]);
  }
  CHECK(world->head() == EventId{5});
  CHECK(world->stats().failed == 5);
  CHECK(world->Scan("custom", "", "", 10).value().empty());
}

TEST_CASE("cells rebuilt from blocks are the cells that were", "[world]") {
  // Puts and updates of one cell in one round, both ways round.
  auto both = Custom([](StepContext& step) {
    if (Number(step.payload()) == 0) {
      step.Write("custom", "x", EncodeInteger(100));
    } else {
      Update update;
      update.number = Number(step.payload());
      step.Apply("custom", "x", update);
    }
    return absl::OkStatus();
  });
  TemporaryDirectory directory;
  const WorldOptions options = Options({both}, directory / "w");
  {
    auto world = MustOpen(options);
    for (const std::int64_t n : {5, 0, 7, 8}) {
      MustSubmit(*world, To("custom", "a", n));
    }
    REQUIRE_OK(world->Run());
  }
  const std::string head = ReadWholeFile(options.path + "/HEAD");
  {
    auto world = MustOpen(options);
    MustSubmit(*world, To("custom", "a", 1000));
    REQUIRE_OK(world->Run());
    CHECK(NumberIn(*world, "custom", "x") == 1115);
  }
  // The last block was never acknowledged, and is gone; its cells are not.
  WriteWholeFile(options.path + "/HEAD", head);
  {
    const auto store = OpenRocksDbStore(options.path + "/db", {});
    REQUIRE_OK(store);
    REQUIRE_OK((*store)->CutBlocks(2));
    REQUIRE_OK((*store)->Close());
  }
  auto world = MustOpen(options);
  CHECK(world->open_report().cells_rebuilt);
  CHECK(world->head() == EventId{4});
  CHECK(NumberIn(*world, "custom", "x") == 115);
}

// What a rebuild of the cells leaves that a crash cuts short: the cells as of
// an early block, and everything else as it was. Each block of `world` but the
// first put its index into the cell of that name.
void LeaveCellsAsOf(const std::string& path, std::uint64_t block) {
  const auto store = OpenRocksDbStore(path + "/db", {});
  REQUIRE_OK(store);
  REQUIRE_OK((*store)->ClearCells());
  CellBatch cells;
  for (std::uint64_t i = 1; i <= block; ++i) {
    cells.Add(0, std::to_string(i), EventId{i},
              EncodeInteger(static_cast<std::int64_t>(i)));
  }
  CommitGroup group;
  group.first_index = block + 1;
  group.cells = {&cells};
  REQUIRE_OK((*store)->Commit(group, true));
  REQUIRE_OK((*store)->Close());
}

// Recovery took the record of open work, or the newest snapshot, for the place
// to go on from, although the stored cells were those of an earlier block: what
// had changed between the two was lost, and nothing said so. Now a place counts
// only if the cells reach it.
TEST_CASE("a rebuild of cells that was cut short is done again, whole",
          "[world]") {
  constexpr std::int64_t kBlocks = 300;  // open work is recorded at block 256
  const bool with_snapshot = GENERATE(false, true);
  const std::uint64_t cells_as_of = GENERATE(1, 40, 200, 255, 299);
  CAPTURE(with_snapshot, cells_as_of);
  TemporaryDirectory directory;
  WorldOptions options = Options({Counter()}, directory / "w");
  options.config.snapshot_every = with_snapshot ? 50 : 0;
  options.config.scheduling.round_limit = 1;
  {
    auto world = MustOpen(options);
    for (std::int64_t i = 1; i <= kBlocks; ++i) {
      MustSubmit(*world, To("counter", std::to_string(i), i));
    }
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Close());
  }
  const StateMap states = StatesOf(options.path);
  REQUIRE(states.size() == kBlocks);
  const auto blocks = BlocksOf(options.path);
  REQUIRE(blocks.size() == kBlocks + 1);
  LeaveCellsAsOf(options.path, cells_as_of);
  {
    auto world = MustOpen(options);
    const OpenReport& report = world->open_report();
    CHECK(report.cells_rebuilt == (report.snapshot_used.value > cells_as_of));
    CHECK(report.cells_rebuilt == (with_snapshot && cells_as_of < 50));
    for (std::int64_t i = 1; i <= kBlocks; ++i) {
      CHECK(NumberIn(*world, "counter", std::to_string(i)) == i);
    }
    REQUIRE_OK(world->Close());
  }
  CHECK((StatesOf(options.path) == states));
  CHECK((BlocksOf(options.path) == blocks));
}

TEST_CASE("cells that memory would not hold at once come from a snapshot",
          "[world]") {
  auto large = Custom([](StepContext& step) {
    Bytes state;
    cbor::Encoder(&state).Text(std::string(20'000, 'x') +
                               std::string(step.key()));
    step.SetState(state);
    return absl::OkStatus();
  });
  TemporaryDirectory directory;
  const WorldOptions options = Options({large}, directory / "w");
  {
    auto world = MustOpen(options);
    for (int i = 0; i < 200; ++i) {
      MustSubmit(*world, To("custom", std::to_string(i), 0));
    }
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->RequestSnapshot());
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Close());
  }
  const StateMap states = StatesOf(options.path);
  REQUIRE(states.size() == 200);
  {
    const auto store = OpenRocksDbStore(options.path + "/db", {});
    REQUIRE_OK(store);
    REQUIRE_OK((*store)->ClearCells());
    REQUIRE_OK((*store)->Close());
  }
  {
    auto world = MustOpen(options);
    CHECK(world->open_report().cells_rebuilt);
    CHECK(world->open_report().snapshot_used == EventId{201});
    REQUIRE_OK(world->Close());
  }
  CHECK((StatesOf(options.path) == states));
}

// --- self-check --------------------------------------------------------------

// Adds how often it was called, which no step may know.
std::shared_ptr<const Reducer> Impure(std::uint64_t from) {
  auto calls = std::make_shared<std::atomic<std::int64_t>>(0);
  return Custom([calls, from](StepContext& step) {
    const std::int64_t call = calls->fetch_add(1);
    const bool impure = step.event_id().value >= from;
    step.SetState(EncodeInteger(impure ? call : 0));
    return absl::OkStatus();
  });
}

TEST_CASE("steps that have become long are soon run beside each other",
          "[world]") {
  WorldOptions options = Options({Custom([](StepContext& step) {
    if (Number(step.payload()) == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    step.SetState(EncodeInteger(1));
    return absl::OkStatus();
  })});
  options.workers = 2;
  auto world = MustOpen(options);
  const auto run = [&world](int count, int payload) {
    for (int i = 0; i < count; ++i) {
      MustSubmit(*world, To("custom", std::to_string(i), payload));
    }
    REQUIRE_OK(world->Run());
    return world->stats().inline_steps;
  };
  // Most of these are worth no other thread on any machine that is not very
  // slow; on such a one there is nothing to be unlearnt.
  const std::uint64_t before = run(1000, 0);
  // Every sixteenth is measured, and each one after the first that was long.
  CHECK(run(200, 1) - before <= 32);
  REQUIRE_OK(world->Close());
}

TEST_CASE("a sample of steps runs twice, and leaves no trace", "[world]") {
  Digest plain;
  for (const std::uint64_t self_check : {0, 1, 4, 1000}) {
    for (const std::size_t workers : {0, 2}) {
      CAPTURE(self_check, workers);
      WorldOptions options = Options({Counter()});
      options.self_check = self_check;
      options.workers = workers;
      auto world = MustOpen(options);
      for (int i = 0; i < 400; ++i) {
        MustSubmit(*world, To("counter", std::to_string(i % 7), i));
      }
      REQUIRE_OK(world->Run());
      const WorldStats stats = world->stats();
      CHECK(stats.nondeterministic == 0);
      if (self_check == 0) CHECK(stats.self_checks == 0);
      if (self_check == 1) CHECK(stats.self_checks == 400);
      if (self_check == 4) {
        CHECK(stats.self_checks > 50);
        CHECK(stats.self_checks < 150);
      }
      if (plain == Digest()) plain = world->journal_digest();
      CHECK(world->journal_digest() == plain);
      REQUIRE_OK(world->Close());
    }
  }
}

TEST_CASE("a step that differs ends the world before it is recorded",
          "[world]") {
  for (const std::size_t workers : {0, 2}) {
    CAPTURE(workers);
    WorldOptions options = Options({Impure(5)});
    options.self_check = 1;
    options.workers = workers;
    auto world = MustOpen(options);
    for (int i = 0; i < 9; ++i) {
      MustSubmit(*world, To("custom", std::to_string(i), i));
    }
    const absl::Status status = world->Run();
    REQUIRE(absl::IsInternal(status));
    CHECK(std::string(status.message())
              .find("\"custom\", key \"4\", at ticket 5") != std::string::npos);
    CHECK(world->durable() < EventId{5});
    CHECK(absl::IsInternal(world->Submit(To("custom", "x", 1)).status()));
  }
}

TEST_CASE("or is reported, and recorded as its first run went", "[world]") {
  std::vector<NondeterministicStep> found;
  WorldOptions options = Options({Impure(5)});
  options.self_check = 1;
  options.workers = 2;
  options.on_nondeterminism = [&found](const NondeterministicStep& step) {
    found.push_back(step);
  };
  auto world = MustOpen(options);
  for (int i = 0; i < 9; ++i) {
    MustSubmit(*world, To("custom", std::to_string(i), i));
  }
  REQUIRE_OK(world->Run());
  CHECK(world->head() == EventId{9});
  CHECK(world->stats().nondeterministic == 5);
  REQUIRE(found.size() == 5);
  CHECK(found[0].event_id == EventId{5});
  CHECK(found[0].cell == CellId{"custom", "4"});
  CHECK(found[0].first != found[0].second);
}

}  // namespace
}  // namespace reenact
