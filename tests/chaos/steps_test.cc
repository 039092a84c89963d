// Steps that go wrong or come in each other's way: crashes, head-of-line
// blocking, nothing but conflicts, overload, other workers, other code.

#include <signal.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "reenact/workers/pool.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using cbor::EncodeInteger;

std::int64_t Number(std::optional<BytesView> state) {
  return state ? cbor::DecodeInteger(*state).value() : 0;
}

using Step = std::function<absl::Status(StepContext&)>;

WorldOptions OptionsWith(Step step, std::string path = "",
                         std::string version = "1") {
  WorldOptions options;
  options.path = std::move(path);
  SetIdentity(0, options.config);  // worlds are compared by their bytes
  options.modules.push_back(MakeModule("steps", std::move(version),
                                       {MakeReducer("steps", std::move(step))})
                                .value());
  options.config.scheduling.round_limit = 8;
  options.config.scheduling.entity_round_limit = 8;
  return options;
}

Input To(std::string key, std::int64_t payload) {
  Input input;
  input.event = {"steps", std::move(key), "", EncodeInteger(payload)};
  return input;
}

// Each for a cell of its own, of `cells`; the payload is the input's number.
std::vector<Input> Inputs(std::int64_t count, std::int64_t cells) {
  std::vector<Input> inputs;
  for (std::int64_t i = 1; i <= count; ++i) {
    inputs.push_back(To("k" + std::to_string(i % cells), i));
  }
  return inputs;
}

absl::Status CountAndRemember(StepContext& step) {
  step.SetState(
      EncodeInteger(Number(step.state()) * 3 + Number(step.payload())));
  return absl::OkStatus();
}

// --- crashes -----------------------------------------------------------------

enum class Crash { kNone, kSegfault, kAbort, kDivision, kStack };

int Overflow(volatile const char* above);
// Through a pointer, so that nobody sees that it never ends.
int (*volatile overflow)(volatile const char*) = Overflow;

int Overflow(volatile const char* above) {
  volatile char frame[4096];
  frame[0] = *above;
  return overflow(frame) + frame[0];
}

void CrashBy(Crash crash) {
  volatile int zero = 0;
  switch (crash) {
    case Crash::kSegfault:
      ::raise(SIGSEGV);
      break;
    case Crash::kAbort:
      std::abort();
    case Crash::kDivision:
      zero = 1 / zero;
      ::raise(SIGFPE);  // where a division by 0 is not noticed
      break;
    case Crash::kStack: {
      const char top = 1;
      zero = overflow(&top);
      break;
    }
    case Crash::kNone:
      break;
  }
}

constexpr int kRefused = 9;

// Goes on with the world to the end, if nothing crashes.
int FeedAll(const std::string& path, std::size_t workers, Crash crash,
            std::int64_t at) {
  WorldOptions options = OptionsWith(
      [crash, at](StepContext& step) {
        if (Number(step.payload()) == at) CrashBy(crash);
        return CountAndRemember(step);
      },
      path);
  options.workers = workers;
  auto world = World::Open(std::move(options));
  if (!world.ok()) return kRefused;
  InputList source(Inputs(60, 7), (*world)->position());
  const bool fed = (*world)->Feed(source).ok() && (*world)->Close().ok();
  return fed ? 0 : kRefused;
}

TEST_CASE(
    "chaos 24: a step that crashes takes the process along, and is the first "
    "one that is not done when the world is opened",
    "[chaos]") {
  const Crash crash = GENERATE(Crash::kSegfault, Crash::kAbort,
                               Crash::kDivision, Crash::kStack);
  const std::size_t workers = GENERATE(as<std::size_t>(), 0, 2);
  Scratch scratch;
  const std::string plain = scratch / "plain";
  const std::string world = scratch / "world";
  REQUIRE(InProcess([&] { return FeedAll(plain, 0, Crash::kNone, 0); }) == 0);
  // As often as anybody tries: the crash is no outcome, and not recorded.
  for (int i = 0; i < 3; ++i) {
    const int end =
        InProcess([&] { return FeedAll(world, workers, crash, 37); });
    CHECK(end != 0);
    CHECK(end != kRefused);
  }
  CHECK(InProcess([&] {
          auto opened = World::Open(OptionsWith(CountAndRemember, world));
          if (!opened.ok()) return kRefused;
          return (*opened)->open_report().head < EventId{37} ? 0 : 1;
        }) == 0);
  // Mended, it goes on as if nothing had been.
  CHECK(InProcess([&] { return FeedAll(world, workers, Crash::kNone, 0); }) ==
        0);
  CHECK(InProcess([&] {
          return FirstDifference(BlocksOf(plain), BlocksOf(world)).empty() ? 0
                                                                           : 1;
        }) == 0);
}

// --- order -------------------------------------------------------------------

TEST_CASE("chaos 33: one worker, 64, and one again make one history",
          "[chaos]") {
  const auto run = [](const std::string& path,
                      const std::vector<std::size_t>& workers) {
    const std::vector<Input> inputs = TortureInputs({33, 300, 5});
    for (std::size_t i = 0; i < workers.size(); ++i) {
      WorldOptions options;
      options.path = path;
      options.modules.push_back(MakeTortureModule());
      options.config = TortureConfig(33);
      options.workers = workers[i];
      auto world = World::Open(std::move(options));
      REQUIRE_OK(world);
      const std::size_t end = inputs.size() * (i + 1) / workers.size();
      const std::vector<Input> part(
          inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(end));
      InputList source(part, (*world)->position());
      REQUIRE_OK((*world)->Feed(source));
      REQUIRE_OK((*world)->Close());
    }
    return BlocksOf(path);
  };
  Scratch scratch;
  CHECK(FirstDifference(run(scratch / "serial", {0, 0, 0}),
                        run(scratch / "many", {1, 64, 1})) == "");
}

TEST_CASE(
    "chaos 34: where every speculation is stale, each step runs twice at most, "
    "and history is the serial one",
    "[chaos]") {
  // Reads what it did not declare and every other step writes.
  const auto clash = [](StepContext& step) {
    const std::int64_t hot = Number(step.Read("steps", "hot"));
    step.Write("steps", "hot", EncodeInteger((hot * 7 + 1) % 1'000'003));
    step.SetState(EncodeInteger(hot));
    return absl::OkStatus();
  };
  WorldOptions options = OptionsWith(clash);
  options.config.scheduling.round_limit = 64;
  const std::vector<Input> inputs = Inputs(2000, 2000);
  const Outcome serial = RunInMemory(options, inputs);
  options.workers = 4;
  const Outcome parallel = RunInMemory(options, inputs);
  CHECK(FirstDifference(serial.blocks, parallel.blocks) == "");
  CHECK(parallel.states == serial.states);
  CHECK(parallel.stats.conflicts > 0);
  CHECK(parallel.stats.reruns == parallel.stats.conflicts);
  CHECK(parallel.stats.reruns < parallel.stats.tickets);
}

TEST_CASE(
    "chaos 40: behind a slow step others are computed, as many as the window "
    "holds, and none is committed before it",
    "[chaos]") {
  constexpr int kWindow = 8;
  std::atomic<int> begun{0};
  std::atomic<int> begun_meanwhile{-1};
  std::atomic<std::uint64_t> head_meanwhile{99};
  World* open = nullptr;
  const auto slow_first = [&](StepContext& step) {
    ++begun;
    if (step.key() == "slow" && begun_meanwhile < 0) {
      // Until nothing has begun for a while.
      for (int seen = -1; seen != begun;) {
        seen = begun;
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
      }
      begun_meanwhile = begun.load();
      head_meanwhile = open->head().value;
    }
    return CountAndRemember(step);
  };
  WorldOptions options = OptionsWith(slow_first);
  options.config.scheduling.round_limit = 64;
  options.workers = 4;
  options.window = kWindow;
  auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  open = world->get();
  std::vector<Input> inputs = Inputs(60, 60);
  inputs.insert(inputs.begin(), To("slow", 0));
  InputList source(inputs);
  REQUIRE_OK((*world)->Feed(source));
  CHECK(begun_meanwhile <= kWindow);
  CHECK(head_meanwhile == 0);
  CHECK((*world)->head() == EventId{61});
}

TEST_CASE(
    "chaos 42: offered far more than it can take a world refuses, holds no "
    "more than it said, and loses nothing that it took",
    "[chaos]") {
  constexpr int kThreads = 8;
  constexpr std::int64_t kEach = 500;
  constexpr std::size_t kCapacity = 16;
  WorldOptions options = OptionsWith(CountAndRemember);
  options.ingress_capacity = kCapacity;
  auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  REQUIRE_OK((*world)->Start());
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> committed{0};
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<Submission> taken;
      for (std::int64_t i = 0; i < kEach;) {
        auto submission = (*world)->Submit(To("k" + std::to_string(t), i));
        if (submission.ok()) {
          taken.push_back(*std::move(submission));
          ++i;
        } else if (absl::IsResourceExhausted(submission.status())) {
          ++refused;
        } else {
          wrong = true;
          return;
        }
      }
      for (const Submission& submission : taken) {
        if (submission.WaitDurable().ok()) ++committed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE_OK((*world)->Stop());
  CHECK_FALSE(wrong);
  CHECK(refused > 0);
  CHECK(committed == kThreads * kEach);
  CHECK((*world)->head() == EventId{kThreads * kEach});
  CHECK((*world)->stats().external_waiting == 0);
}

// --- other code --------------------------------------------------------------

// Notes which code ran it, in each cell that a ticket touches; and raises
// something for later.
Step Versioned(std::int64_t version) {
  return [version](StepContext& step) {
    step.SetState(EncodeInteger(version));
    step.Write("steps", "t" + std::to_string(step.event_id().value),
               EncodeInteger(version));
    const std::int64_t left = Number(step.payload()) % 4;
    if (left > 0) {
      step.Raise({"steps", "child", "", EncodeInteger(left - 1)});
      step.RaiseAt(LogicalTime{step.time().value + 3},
                   {"steps", "later", "", EncodeInteger(0)});
    }
    return absl::OkStatus();
  };
}

TEST_CASE(
    "chaos 43: an upgrade has a ticket; what was waiting and what comes are "
    "run by the new code, nothing before it is",
    "[chaos]") {
  Scratch scratch;
  std::vector<std::vector<Bytes>> histories;
  for (const std::size_t workers : {0, 4}) {
    const std::string path = scratch / std::to_string(workers);
    const auto open = [&](std::int64_t version) {
      WorldOptions options =
          OptionsWith(Versioned(version), path, std::to_string(version));
      options.workers = workers;
      options.accept_module_change = true;
      auto world = World::Open(std::move(options));
      REQUIRE_OK(world);
      return *std::move(world);
    };
    std::uint64_t change = 0;
    {
      auto world = open(1);
      InputList source(Inputs(50, 9));
      source.before = [&world](std::uint64_t position) {
        if (position == 40) world->Interrupt();
      };
      REQUIRE(absl::IsCancelled(world->Feed(source)));
      CHECK(world->stats().derived_waiting + world->stats().timers_waiting > 0);
      change = world->head().value + 1;
      REQUIRE_OK(world->Close());
    }
    auto world = open(2);
    InputList source(Inputs(50, 9), world->position());
    REQUIRE_OK(world->Feed(source));
    const auto cells = world->Scan("steps", "t", "u", 10'000);
    REQUIRE_OK(cells);
    std::uint64_t by_new_code = 0;
    for (const auto& [key, state] : *cells) {
      const bool after = std::stoull(key.substr(1)) > change;
      by_new_code += after ? 1 : 0;
      CHECK(Number(state) == (after ? 2 : 1));
    }
    CHECK(by_new_code > 10);
    REQUIRE_OK(world->Close());
    histories.push_back(BlocksOf(path));
  }
  CHECK(FirstDifference(histories[0], histories[1]) == "");

  VerifyOptions verify;
  verify.path = scratch / "4";
  for (const std::int64_t version : {1, 2}) {
    verify.modules.push_back(
        OptionsWith(Versioned(version), "", std::to_string(version))
            .modules[0]);
  }
  const auto report = Verify(verify);
  REQUIRE_OK(report);
  INFO(report->problem);
  CHECK(VerdictName(report->verdict) == VerdictName(Verdict::kIdentical));
}

}  // namespace
}  // namespace reenact
