// The one law: whatever runs a world, the bytes are the same.

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "examples/bank/bank.h"
#include "examples/bank/generate.h"
#include "examples/cases/cases.h"
#include "examples/counter/counter.h"
#include "examples/packages/packages.h"
#include "reenact/harness/model_kernel.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/workers/pool.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/torture.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using cbor::Value;

// A world to run: who reacts, and to what.
struct Play {
  std::string name;
  std::vector<std::shared_ptr<const Reducer>> reducers;
  WorldConfig config;
  std::vector<Input> inputs;
  std::vector<EventId> failures{};
};

Module ModuleOf(const Play& play) {
  auto module = MakeModule(play.name, "1", play.reducers);
  REQUIRE_OK(module);
  return *std::move(module);
}

WorldOptions OptionsOf(const Play& play) {
  WorldOptions options;
  options.config = play.config;
  if (options.config.world_id.empty()) SetIdentity(0, options.config);
  options.modules.push_back(ModuleOf(play));
  return options;
}

ModelKernel ModelOf(const Play& play) {
  const Module module = ModuleOf(play);
  WorldConfig config = play.config;
  if (config.world_id.empty()) SetIdentity(0, config);
  config.modules = {module.record};
  config.reducers = module.record.reducers;
  ModelKernel model(config, module.reducers);
  for (const EventId id : play.failures) {
    model.FailEvent(id, "test", "drawn");
  }
  model.Feed(play.inputs);
  return model;
}

// What happened while plays were compared, to see that it was not nothing.
struct Tally {
  std::uint64_t reruns = 0;
  std::uint64_t waits = 0;
  std::uint64_t failed = 0;
  std::uint64_t raised = 0;
};

void RequireSame(const Outcome& run, const ModelKernel& model, Tally* tally) {
  if (run.blocks != model.blocks()) {
    FAIL(FirstDifference(run.blocks, model.blocks()));
  }
  REQUIRE(run.states == model.states());
  REQUIRE(run.stats.failed == model.failed());
  tally->reruns += run.stats.reruns;
  tally->waits += run.stats.waits;
  tally->failed += run.stats.failed;
  tally->raised += run.stats.raised;
}

void CompareAll(const Play& play, std::vector<std::size_t> workers,
                std::uint64_t shuffles, Tally* tally) {
  INFO(play.name);
  const ModelKernel model = ModelOf(play);
  for (const std::size_t count : workers) {
    CAPTURE(count);
    WorldOptions options = OptionsOf(play);
    options.workers = count;
    RequireSame(
        RunInMemory(std::move(options), play.inputs, nullptr, play.failures),
        model, tally);
  }
  for (std::uint64_t seed = 0; seed < shuffles; ++seed) {
    CAPTURE(seed);
    WorldOptions options = OptionsOf(play);
    options.window = std::size_t{1} << (3 + seed % 6);
    RequireSame(RunInMemory(std::move(options), play.inputs,
                            NewShuffledPool(seed), play.failures),
                model, tally);
  }
}

// --- plays -------------------------------------------------------------------

Play TorturePlay(std::uint64_t seed, std::uint64_t inputs) {
  return {"torture", MakeTortureReducers(), TortureConfig(seed),
          TortureInputs({seed, inputs, 2 + seed % 12})};
}

Play BankPlay(examples::BankVariant variant, std::uint64_t transfers) {
  examples::BankWorkload workload;
  workload.variant = variant;
  workload.accounts = 40;
  workload.transfers = transfers;
  workload.opening = 200;
  workload.hot_percent = 30;
  workload.seed = 7;
  return {"bank",
          examples::MakeBankReducers(),
          {},
          examples::GenerateInputs(workload)};
}

Play CounterPlay() {
  Play play{"counter", {std::make_shared<examples::Counter>()}, {}, {}};
  Dice dice(11);
  for (int i = 0; i < 800; ++i) {
    Input input;
    const auto add = static_cast<std::int64_t>(dice.Below(9)) - 4;
    input.event = {"counter", "c" + std::to_string(dice.Below(5)), "",
                   cbor::EncodeInteger(add)};
    play.inputs.push_back(std::move(input));
  }
  return play;
}

// What the samples of the examples consist of.
Value ToValue(const nlohmann::json& json) {
  if (json.is_string()) return Value(json.get<std::string>());
  if (json.is_number_integer()) return Value(json.get<std::int64_t>());
  if (json.is_number()) return Value(json.get<double>());
  REQUIRE(json.is_object());
  Value map = Value::Map();
  for (const auto& [name, member] : json.items()) {
    map.Set(Value(name), ToValue(member));
  }
  return map;
}

void AddAll(absl::StatusOr<std::vector<Input>> mapped, Play* play) {
  REQUIRE_OK(mapped);
  for (Input& input : *mapped) play->inputs.push_back(std::move(input));
}

Play CasesPlay() {
  Play play{"cases", examples::MakeCasesReducers(), {}, {}};
  play.config.clock = ClockKind::kInput;
  std::ifstream file(REENACT_SOURCE_DIR "/examples/cases/sample.jsonl");
  for (std::string line; std::getline(file, line);) {
    AddAll(examples::MapCaseRow(ToValue(nlohmann::json::parse(line))), &play);
  }
  REQUIRE(play.inputs.size() >= 50);
  return play;
}

Play PackagesPlay() {
  Play play{"packages", {std::make_shared<examples::PackageReducer>()}, {}, {}};
  Dice dice(3);
  const char* kLines[] = {"upgrade PKG 1.0 1.1",
                          "status unpacked PKG 1.1",
                          "status half-configured PKG 1.1",
                          "status installed PKG 1.1",
                          "install PKG <none> 1.0",
                          "remove PKG 1.1 <none>",
                          "startup archives unpack"};
  for (int i = 0; i < 400; ++i) {
    std::string line = kLines[dice.Below(std::size(kLines))];
    if (const auto at = line.find("PKG"); at != line.npos) {
      line.replace(at, 3, "lib" + std::to_string(dice.Below(12)) + ":amd64");
    }
    line = "2026-01-31 04:05:50 " + line;
    AddAll(examples::MapPackageRow(Value::Map({{"line", Value(line)}})), &play);
  }
  return play;
}

std::vector<Play> ExamplePlays() {
  return {CounterPlay(),
          BankPlay(examples::BankVariant::kDeclared, 600),
          BankPlay(examples::BankVariant::kUndeclared, 600),
          BankPlay(examples::BankVariant::kEvents, 600),
          CasesPlay(),
          PackagesPlay()};
}

// --- stories -----------------------------------------------------------------

TEST_CASE("the examples give the model's bytes, whoever runs them", "[world]") {
  Tally tally;
  for (const Play& play : ExamplePlays()) {
    CompareAll(play, {0, 1, 2, 4, 8, 16}, 3, &tally);
  }
  CHECK(tally.reruns > 0);
  CHECK(tally.waits > 0);
  CHECK(tally.failed > 0);
  CHECK(tally.raised > 0);
}

TEST_CASE("reducers that do everything give the model's bytes", "[world]") {
  Tally tally;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    CompareAll(TorturePlay(seed, 120), {0, 2}, 2, &tally);
  }
  for (std::uint64_t seed = 100; seed < 104; ++seed) {
    CAPTURE(seed);
    CompareAll(TorturePlay(seed, 600), {0, 1, 2, 4, 8, 16}, 6, &tally);
  }
  CHECK(tally.reruns > 100);
  CHECK(tally.waits > 100);
  CHECK(tally.failed > 100);
  CHECK(tally.raised > 1000);
}

TEST_CASE("trial 05: steps that are made to fail give the model's bytes",
          "[world]") {
  Tally tally;
  for (std::uint64_t seed = 400; seed < 408; ++seed) {
    CAPTURE(seed);
    Play play = TorturePlay(seed, 120);
    Dice dice(seed);
    for (int i = 0; i < 12; ++i) {
      play.failures.push_back(EventId{1 + dice.Below(300)});
    }
    CompareAll(play, {0, 2}, 2, &tally);
  }
  CHECK(tally.failed > 8 * 4 * 4);
}

TEST_CASE("trial 05: a world of an older format is not told to fail an event",
          "[world]") {
  Play play = CounterPlay();
  play.config.format_version = 2;
  const auto world = reenact::World::Open(OptionsOf(play));
  REQUIRE_OK(world);
  const absl::Status status = (*world)->FailEvent(EventId{1}, "ann", "loops");
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK((*world)->FailEvent(EventId{1}, "ann", "").code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a cache that holds next to nothing changes no byte", "[world]") {
  Tally tally;
  std::uint64_t loads = 0;
  for (std::uint64_t seed = 200; seed < 216; ++seed) {
    CAPTURE(seed);
    Play play = TorturePlay(seed, 250);
    play.inputs = TortureInputs({seed, 250, 200});
    const ModelKernel model = ModelOf(play);
    for (const std::size_t workers : {0, 2, 4}) {
      CAPTURE(workers);
      WorldOptions options = OptionsOf(play);
      options.workers = workers;
      options.cache_bytes = 1;
      options.window = 8;
      const Outcome run = RunInMemory(std::move(options), play.inputs);
      RequireSame(run, model, &tally);
      loads += run.stats.cell_loads;
    }
    for (std::uint64_t shuffle = 0; shuffle < 4; ++shuffle) {
      CAPTURE(shuffle);
      WorldOptions options = OptionsOf(play);
      options.cache_bytes = 1;
      options.window = 8;
      RequireSame(RunInMemory(std::move(options), play.inputs,
                              NewShuffledPool(shuffle)),
                  model, &tally);
    }
  }
  CHECK(loads > 200 * 3 * 16);  // cells were dropped and came back
}

TEST_CASE("trial 28: however many of the threads run steps, no byte changes",
          "[world]") {
  Tally tally;
  for (std::uint64_t seed = 400; seed < 408; ++seed) {
    CAPTURE(seed);
    const Play play = TorturePlay(seed, 250);
    const ModelKernel model = ModelOf(play);
    for (std::size_t threads = 1; threads <= 4; ++threads) {
      CAPTURE(threads);
      WorldOptions options = OptionsOf(play);
      options.workers = 4;
      options.window = 16;
      RequireSame(
          RunInMemory(std::move(options), play.inputs, nullptr, {}, threads),
          model, &tally);
    }
  }
}

TEST_CASE("trial 28: a world that tries settings as it runs changes no byte",
          "[world]") {
  const Play play = TorturePlay(420, 6'000);
  const auto digest = [&play](std::size_t workers) {
    WorldOptions options = OptionsOf(play);
    options.workers = workers;
    auto world = World::Open(std::move(options));
    REQUIRE_OK(world);
    InputList source(play.inputs);
    REQUIRE_OK((*world)->Feed(source));
    REQUIRE_OK((*world)->Close());
    return (*world)->journal_digest();
  };
  const Digest serial = digest(0);
  for (const std::size_t workers : {2, 3, 4, 8}) {
    CAPTURE(workers);
    CHECK(digest(workers) == serial);
  }
}

struct OnDisk {
  std::vector<Bytes> blocks;
  StateMap states;
  std::map<std::string, Bytes> snapshots;
  Digest digest;
  WorldStats stats;
};

OnDisk RunOnDisk(const Play& play, std::size_t workers,
                 std::unique_ptr<Pool> pool) {
  TemporaryDirectory directory;
  WorldOptions options = OptionsOf(play);
  options.path = directory / "world";
  options.workers = workers;
  WorldInternals internals;
  internals.pool = std::move(pool);
  internals.never_inline = true;
  auto world = OpenWorld(options, std::move(internals));
  REQUIRE_OK(world);
  InputList source(play.inputs);
  REQUIRE_OK((*world)->Feed(source));
  OnDisk result;
  result.digest = (*world)->journal_digest();
  result.stats = (*world)->stats();
  REQUIRE_OK((*world)->Close());
  result.blocks = BlocksOf(options.path);
  result.states = StatesOf(options.path);
  result.snapshots = SnapshotsOf(options.path);
  return result;
}

TEST_CASE("on disk the journal and every snapshot are the same bytes",
          "[world]") {
  std::vector<Play> plays = {TorturePlay(300, 300), TorturePlay(301, 300),
                             BankPlay(examples::BankVariant::kUndeclared, 300),
                             CasesPlay()};
  for (Play& play : plays) {
    INFO(play.name);
    play.config.snapshot_every = 2;
    play.config.scheduling.round_limit = 16;
    const ModelKernel model = ModelOf(play);
    const OnDisk serial = RunOnDisk(play, 0, nullptr);
    REQUIRE(serial.blocks == model.blocks());
    REQUIRE(serial.states == model.states());
    REQUIRE(serial.snapshots.size() >= 2);
    REQUIRE(serial.snapshots.size() == serial.stats.snapshots);
    const auto same = [&](const OnDisk& other) {
      CHECK(other.digest == serial.digest);
      CHECK(other.blocks == serial.blocks);
      CHECK(other.states == serial.states);
      CHECK(other.snapshots == serial.snapshots);
    };
    same(RunOnDisk(play, 1, nullptr));
    same(RunOnDisk(play, 4, nullptr));
    same(RunOnDisk(play, 0, NewShuffledPool(1)));
    same(RunOnDisk(play, 0, NewShuffledPool(2)));
  }
}

}  // namespace
}  // namespace reenact
