#include "reenact/executors/dispatcher.h"

#include <poll.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "reenact/executors/attempt_log.h"
#include "tests/executors/fake_world.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr milliseconds kNoPatience{0};

SecretKey TestKey() {
  SigningSeed seed{};
  seed[0] = 7;
  return SecretKeyOf(seed);
}

// Retries come at once.
KindOptions Eager() {
  KindOptions options;
  options.executor = "here";
  options.retry = {5, milliseconds(0), milliseconds(0)};
  return options;
}

struct Fixture {
  explicit Fixture(DispatcherOptions options = {})
      : dispatcher(std::move(options)) {
    world.Listen(&dispatcher);
  }
  void Register(Doing::Function function, KindOptions options = Eager()) {
    REQUIRE_OK(dispatcher.Register(Do("do", std::move(function)), options));
  }
  void Start() { REQUIRE_OK(dispatcher.Start(&world, WorldId(), 1)); }
  void Open(std::uint64_t number) { world.Open(EffectOf(number)); }

  FakeWorld world;
  Dispatcher dispatcher;
};

Answer Number(Task& task) {
  return Answer::Ok(cbor::Value::Parse(task.effect().params).value());
}

TEST_CASE("what is open is carried out, and its receipt comes in",
          "[executors]") {
  Fixture at;
  at.Register(Number);
  at.Open(1);  // before it was started: noted
  at.Start();
  at.Open(2);
  for (const std::uint64_t number : {1u, 2u}) {
    const Receipt receipt = at.world.WaitFor(IntentOf(number));
    REQUIRE(receipt.status == ReceiptStatus::kOk);
    REQUIRE(receipt.payload ==
            cbor::EncodeInteger(static_cast<std::int64_t>(number)));
    REQUIRE(receipt.executor == "here");
    REQUIRE(receipt.lease_epoch >> 32 == 1);
  }
  REQUIRE_OK(at.dispatcher.Stop(hours(1)));
  const DispatcherStats stats = at.dispatcher.Stats();
  REQUIRE(stats.opened == 2);
  REQUIRE(stats.started == 2);
  REQUIRE(stats.submitted == 2);
  REQUIRE(stats.running == 0);
}

TEST_CASE("no more than the concurrency run at a time, and that many do",
          "[executors]") {
  Fixture at;
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  Signal began;
  Signal go;
  KindOptions options = Eager();
  options.concurrency = 3;
  at.Register(
      [&](Task&) {
        const int now = ++running;
        int seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        began.Give();
        go.Wait();
        --running;
        return Answer::Ok({});
      },
      options);
  at.Start();
  for (std::uint64_t n = 1; n <= 20; ++n) at.Open(n);
  began.Wait(3);
  go.Give();
  at.world.WaitForAccepted(20);
  REQUIRE(most == 3);
}

TEST_CASE("what fails for the moment is tried again, with the same key",
          "[executors]") {
  Fixture at;
  std::atomic<int> attempts{0};
  std::atomic<bool> same{true};
  at.Register([&](Task& task) {
    same = same &&
           task.effect().idempotency_key == EffectOf(1).idempotency_key &&
           static_cast<int>(task.attempt()) == ++attempts;
    if (attempts < 3) return Answer::Transient("busy", {{"calls", 1}});
    return Answer::Ok({}, {{"calls", 1}});
  });
  at.Start();
  at.Open(1);
  REQUIRE(at.world.WaitFor(IntentOf(1)).usage == Amounts{{"calls", 3}});
  REQUIRE(same);
  REQUIRE(at.dispatcher.Stats().retries == 2);
}

// The notes of attempts as a crash leaves them that comes while the attempt
// after `failed` others runs, of which each used a call.
void CrashAfter(int failed, const TemporaryDirectory& from,
                const TemporaryDirectory& to) {
  const auto log = AttemptLog::Open(from / ".", 1).value();
  FakeWorld world;
  DispatcherOptions options;
  options.attempts = log.get();
  Dispatcher dispatcher(std::move(options));
  world.Listen(&dispatcher);
  Signal runs;
  KindOptions quick;
  quick.retry = {10, milliseconds(0), milliseconds(0)};
  REQUIRE_OK(dispatcher.Register(
      Do("do",
         [&](Task& task) {
           if (task.attempt() <= static_cast<std::uint32_t>(failed)) {
             return Answer::Transient("busy", {{"calls", 1}});
           }
           runs.Give();
           while (!task.cancelled()) std::this_thread::yield();
           return Answer::Transient("stopped", {{"calls", 1}});
         }),
      quick));
  REQUIRE_OK(dispatcher.Start(&world, WorldId(), 1));
  world.Open(EffectOf(1));
  runs.Wait();
  std::filesystem::copy_file(from / "attempts", to / "attempts");
  REQUIRE_OK(dispatcher.Stop(milliseconds(0)));
}

TEST_CASE(
    "trial 13: attempts and what they used count whichever process made "
    "them",
    "[executors]") {
  const TemporaryDirectory before;
  const TemporaryDirectory after;
  CrashAfter(2, before, after);
  const auto log = AttemptLog::Open(after / ".", 1).value();
  const auto past = log->Find(IntentOf(1));
  REQUIRE(past.has_value());
  CHECK(past->count == 3);
  CHECK(past->in_doubt);

  const std::uint32_t allowed = GENERATE(3, 4, 5);
  CAPTURE(allowed);
  FakeWorld world;
  DispatcherOptions options;
  options.attempts = log.get();
  Dispatcher dispatcher(std::move(options));
  world.Listen(&dispatcher);
  std::atomic<std::uint32_t> made{0};
  KindOptions quick;
  quick.retry = {allowed, milliseconds(0), milliseconds(0)};
  REQUIRE_OK(
      dispatcher.Register(Do("do",
                             [&](Task&) {
                               ++made;
                               return Answer::Transient("busy", {{"calls", 1}});
                             }),
                          quick));
  REQUIRE_OK(dispatcher.Start(&world, WorldId(), 2));
  world.Open(EffectOf(1));
  const Receipt receipt = world.WaitFor(IntentOf(1));
  CHECK(made == allowed - 3);
  // The third may have been carried out: nobody lived to see.
  CHECK(receipt.status == ReceiptStatus::kTimeout);
  // What is known of it is that it was begun.
  CHECK(receipt.usage.Of("calls") == 2 + made);
  // That it has ended is heard behind the receipt.
  while (log->Find(IntentOf(1))) std::this_thread::yield();
  REQUIRE_OK(dispatcher.Stop(std::chrono::seconds(5)));
}

TEST_CASE(
    "trial 13: notes of attempts that are torn or damaged count as far as "
    "they are whole",
    "[executors]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "attempts";
  {
    const auto log = AttemptLog::Open(directory / ".", 5).value();
    for (std::uint64_t n = 1; n <= 3; ++n) {
      REQUIRE_OK(log->Began(IntentOf(n), {{"calls", 1}}, 5));
    }
    REQUIRE_OK(log->Began(IntentOf(1), {{"calls", 1}}, 9));
    log->Forget(IntentOf(2));
  }
  {
    const auto log = AttemptLog::Open(directory / ".", 9).value();
    const PastAttempts twice{2, {{"calls", 2}}, true, 5, 0};
    CHECK(log->Find(IntentOf(1)) == twice);
    CHECK_FALSE(log->Find(IntentOf(2)).has_value());
    CHECK(log->Find(IntentOf(3)).has_value());
  }
  const auto size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size - 1);
  {
    const auto log = AttemptLog::Open(directory / ".", 9).value();
    CHECK(log->Find(IntentOf(1)).has_value() !=
          log->Find(IntentOf(3)).has_value());
  }
  // A year later nothing of it is of use to anybody.
  const auto log = AttemptLog::Open(directory / ".", 100'000'000'000).value();
  CHECK_FALSE(log->Find(IntentOf(1)).has_value());
  CHECK_FALSE(log->Find(IntentOf(3)).has_value());
}

TEST_CASE("retries end", "[executors]") {
  Fixture at;
  at.Register([](Task&) { return Answer::Transient("busy"); });
  at.Start();
  at.Open(1);
  REQUIRE(at.world.WaitFor(IntentOf(1)).status == ReceiptStatus::kError);
  REQUIRE(at.dispatcher.Stats().started == 5);
}

TEST_CASE("an exception becomes an answer that does not tell what it said",
          "[executors]") {
  Fixture at;
  const bool is_standard = GENERATE(true, false);
  at.Register([&](Task&) -> Answer {
    if (is_standard) throw std::runtime_error("password=hunter2");
    throw 7;
  });
  at.Start();
  at.Open(1);
  const Receipt receipt = at.world.WaitFor(IntentOf(1));
  REQUIRE(receipt.status == ReceiptStatus::kTimeout);
  REQUIRE(cbor::Diagnose(receipt.payload) ==
          R"({"error": "the executor threw an exception"})");
  REQUIRE(at.dispatcher.Stats().thrown == 1);
}

TEST_CASE("of an answer that no receipt can hold nothing is known",
          "[executors]") {
  Fixture at;
  Answer answer;
  SECTION("a payload that is no CBOR") { answer.payload = "\x18\x01"; }
  SECTION("too much evidence") { answer.evidence.resize(257, {"a", {}, 0}); }
  SECTION("evidence without a name") { answer.evidence.resize(1); }
  at.Register([&](Task&) { return answer; });
  at.Start();
  at.Open(1);
  const Receipt receipt = at.world.WaitFor(IntentOf(1));
  REQUIRE(receipt.status == ReceiptStatus::kTimeout);
  REQUIRE(cbor::Diagnose(receipt.payload) ==
          R"({"error": "the executor's answer is malformed"})");
}

TEST_CASE("trial 11: a refusal says nothing of attempts before it",
          "[executors]") {
  Fixture at;
  OpenEffect effect = EffectOf(1);
  Answer first = Answer::Transient("busy");  // refused for the moment
  ReceiptStatus end = ReceiptStatus::kError;
  SECTION("all were refused") {}
  SECTION("one was sent, and nobody knows what came of it") {
    first.status = end = ReceiptStatus::kTimeout;
  }
  SECTION("one may have been, before the world was opened") {
    effect.begun = true;
    end = ReceiptStatus::kTimeout;
  }
  at.Register([&](Task& task) {
    const std::uint32_t before = effect.begun ? 1 : 0;
    return task.attempt() == 1 + before ? first : Answer::Error("no room");
  });
  at.Start();
  at.world.Open(effect);
  const Receipt receipt = at.world.WaitFor(IntentOf(1));
  CHECK(receipt.status == end);
  const auto payload = cbor::Value::Parse(receipt.payload).value();
  CHECK(payload.GetText("error").value() == "no room");
  CHECK(payload.GetText("earlier").ok() == (end == ReceiptStatus::kTimeout));
}

TEST_CASE("a receipt that the world will not have becomes an error",
          "[executors]") {
  Fixture at;
  at.world.HaveRoomForPayloads(200);
  at.Register([](Task&) { return Answer::Ok(cbor::Value(Bytes(300, 'x'))); });
  at.Start();
  at.Open(1);
  const Receipt receipt = at.world.WaitFor(IntentOf(1));
  REQUIRE(receipt.status == ReceiptStatus::kError);
  REQUIRE(cbor::Diagnose(receipt.payload) ==
          R"({"error": "the world refused the receipt: too large"})");
}

TEST_CASE(
    "chaos 49: an executor that overruns is answered for; what it says later "
    "is "
    "dropped",
    "[executors]") {
  Fixture at;
  Signal go;
  Signal returned;
  std::atomic<bool> cancelled{false};
  KindOptions options = Eager();
  options.attempt_timeout = milliseconds(1);
  options.overrun = milliseconds(1);
  at.Register(
      [&](Task& task) {
        go.Wait();
        cancelled = task.cancelled();
        returned.Give();
        return Answer::Ok({});
      },
      options);
  at.Start();
  at.Open(1);
  REQUIRE(at.world.WaitFor(IntentOf(1)).status == ReceiptStatus::kTimeout);
  go.Give();
  returned.Wait();
  REQUIRE_OK(at.dispatcher.Stop(hours(1)));
  REQUIRE(cancelled);
  REQUIRE(at.dispatcher.Stats().late == 1);
  REQUIRE(at.dispatcher.Stats().overruns == 1);
  REQUIRE(at.world.Verdicts().size() == 1);
}

TEST_CASE("what is closed is cancelled, also for who waits in poll()",
          "[executors]") {
  Fixture at;
  Signal began;
  Signal ended;
  std::atomic<bool> cancelled{false};
  at.Register([&](Task& task) {
    began.Give();
    pollfd waiting{task.cancel_fd(), POLLIN, 0};
    cancelled = poll(&waiting, 1, -1) == 1 && task.cancelled();
    ended.Give();
    Answer answer;
    answer.status = ReceiptStatus::kCancelled;
    return answer;
  });
  at.Start();
  at.Open(1);
  began.Wait();
  at.world.Close(IntentOf(1));
  ended.Wait();
  REQUIRE(cancelled);
  REQUIRE_OK(at.dispatcher.Stop(hours(1)));
  REQUIRE(at.world.Verdicts().empty());
}

TEST_CASE("a receipt waits for room", "[executors]") {
  DispatcherOptions options;
  options.full = {0, milliseconds(0), milliseconds(0)};
  Fixture at(options);
  at.Register(Number);
  at.world.HaveNoRoom(50);
  at.Start();
  for (std::uint64_t n = 1; n <= 5; ++n) at.Open(n);
  at.world.WaitForAccepted(5);
  REQUIRE(at.dispatcher.Stats().full == 50);
  REQUIRE(at.world.Verdicts().size() == 5);
}

TEST_CASE("receipts are signed with the key of their executor", "[executors]") {
  Fixture at;
  KindOptions options = Eager();
  options.key = TestKey();
  at.world.DemandSignature(PublicKeyOf(TestKey()));
  at.Register(Number, options);
  at.Start();
  at.Open(1);
  REQUIRE(IsSignedBy(WorldId(), PublicKeyOf(TestKey()),
                     at.world.WaitFor(IntentOf(1))));
}

TEST_CASE("a key that the world does not know leaves the effect open, in view",
          "[executors]") {
  Fixture at;
  at.world.DemandSignature(PublicKeyOf(TestKey()));
  at.Register(Number);  // without a key
  at.Start();
  at.Open(1);
  at.world.WaitForVerdicts(2);  // the answer, and the error in its place
  REQUIRE_OK(at.dispatcher.Stop(hours(1)));
  REQUIRE(at.world.Accepted() == 0);
}

Policy::Executors Listing(std::string name, Policy::Executor executor = {}) {
  return {{std::move(name), std::move(executor)}};
}

// What is said of the kind "do" once nothing is left to be looked at.
KindStats StatsOfDo(Dispatcher& dispatcher) {
  for (const KindStats& kind : dispatcher.Stats().kinds) {
    if (kind.kind == "do") return kind;
  }
  return {};
}

TEST_CASE("trial 09: what cannot be answered so that it counts is not started",
          "[executors]") {
  Fixture at;
  KindOptions options = Eager();
  options.key = TestKey();
  std::atomic<int> started = 0;
  at.Register(
      [&started](Task& task) {
        ++started;
        return Number(task);
      },
      options);
  SigningSeed other{};
  struct Case {
    Policy::Executors listed;
    const char* why;
  };
  const std::vector<Case> cases = {
      {Listing("ci"), "other executors only"},
      {Listing("here", {std::nullopt, {"mail.*"}}), "other kinds only"},
      {Listing("here", {PublicKeyOf(SecretKeyOf(other)), {}}), "another key"}};
  // Before it begins, and while it runs.
  at.dispatcher.Listed(cases[0].listed);
  at.Start();
  at.Open(1);
  for (const Case& wrong : cases) {
    at.dispatcher.Listed(wrong.listed);
    CHECK_THAT(StatsOfDo(at.dispatcher).barred, Catch::Contains(wrong.why));
    CHECK_FALSE(StatsOfDo(at.dispatcher).served);
  }
  CHECK(started == 0);
  at.dispatcher.Listed(Listing("here", {PublicKeyOf(TestKey()), {"d*"}}));
  CHECK(at.world.WaitFor(IntentOf(1)).executor == "here");
  CHECK(started == 1);
  CHECK(StatsOfDo(at.dispatcher).barred.empty());
  at.dispatcher.Listed({});
  at.Open(2);
  at.world.WaitFor(IntentOf(2));
}

TEST_CASE(
    "trial 09: an executor without a key does nothing where the policy "
    "wants a signature",
    "[executors]") {
  Fixture at;
  at.Register(Number);
  at.dispatcher.Listed(Listing("here", {PublicKeyOf(TestKey()), {}}));
  at.Start();
  CHECK_THAT(StatsOfDo(at.dispatcher).barred, Catch::Contains("no key"));
}

TEST_CASE(
    "trial 09: what the world refused too often is tried again under "
    "another policy",
    "[executors]") {
  Fixture at;
  at.world.DemandSignature(PublicKeyOf(TestKey()));
  at.Register(Number);  // without a key
  at.Start();
  at.Open(1);
  at.world.WaitForVerdicts(2);
  while (at.dispatcher.Stats().stuck == 0) std::this_thread::yield();
  at.world.DemandNoSignature();
  at.dispatcher.Listed(Listing("here"));
  at.world.WaitFor(IntentOf(1));
}

TEST_CASE("stopping waits for what runs, and starts nothing more",
          "[executors]") {
  Fixture at;
  Signal began;
  Signal go;
  KindOptions options = Eager();
  options.concurrency = 1;
  at.Register(
      [&](Task& task) {
        began.Give();
        go.Wait();
        return Number(task);
      },
      options);
  at.Start();
  at.Open(1);
  at.Open(2);
  began.Wait();
  std::thread stopper([&] { at.dispatcher.Stop(hours(1)).IgnoreError(); });
  go.Give();
  stopper.join();
  REQUIRE(at.dispatcher.Stats().started == at.world.Accepted());
  at.world.WaitFor(IntentOf(1));
}

TEST_CASE("stopping without patience cancels; the effects stay open",
          "[executors]") {
  DispatcherOptions options;
  options.cancel_wait = hours(1);
  Fixture at(options);
  Signal began;
  at.Register([&](Task& task) {
    began.Give();
    pollfd waiting{task.cancel_fd(), POLLIN, 0};
    poll(&waiting, 1, -1);
    Answer answer;
    answer.status = ReceiptStatus::kCancelled;
    return answer;
  });
  at.Start();
  at.Open(1);
  began.Wait();
  REQUIRE_OK(at.dispatcher.Stop(kNoPatience));
  REQUIRE(at.world.Verdicts().empty());
  REQUIRE(at.dispatcher.Stats().ready == 1);
}

TEST_CASE("chaos 49: an executor that never returns is left behind, and named",
          "[executors]") {
  Signal go;
  Signal returned;
  {
    DispatcherOptions options;
    options.cancel_wait = milliseconds(1);
    Fixture at(options);
    Signal began;
    at.Register([&](Task&) {
      began.Give();
      go.Wait();
      returned.Give();
      return Answer::Ok({});
    });
    at.Start();
    at.Open(1);
    began.Wait();
    const absl::Status stopped = at.dispatcher.Stop(kNoPatience);
    REQUIRE(absl::IsDeadlineExceeded(stopped));
    REQUIRE(ToStd(stopped.message()).find("do") != std::string_view::npos);
  }
  go.Give();  // it returns into what its thread has kept
  returned.Wait();
}

TEST_CASE("a door without room does not keep a dispatcher from stopping",
          "[executors]") {
  Fixture at;
  at.Register(Number);
  at.world.HaveNoRoom(1'000'000'000);
  at.Start();
  at.Open(1);
  while (at.dispatcher.Stats().full == 0) std::this_thread::yield();
  REQUIRE_OK(at.dispatcher.Stop(hours(1)));
  REQUIRE(at.dispatcher.Stats().undelivered == 1);
}

TEST_CASE("registering is checked", "[executors]") {
  Fixture at;
  at.Register(Number);
  REQUIRE(
      absl::IsAlreadyExists(at.dispatcher.Register(Do("do", Number), Eager())));
  KindOptions none = Eager();
  none.concurrency = 0;
  REQUIRE(absl::IsInvalidArgument(
      at.dispatcher.Register(Do("other", Number), none)));
  KindOptions long_name = Eager();
  long_name.executor.assign(65, 'x');
  REQUIRE(absl::IsInvalidArgument(
      at.dispatcher.Register(Do("other", Number), long_name)));
  at.Start();
  REQUIRE(absl::IsFailedPrecondition(
      at.dispatcher.Register(Do("other", Number), Eager())));
  REQUIRE(
      absl::IsFailedPrecondition(at.dispatcher.Start(&at.world, WorldId(), 2)));
}

TEST_CASE(
    "a storm of effects, half of them closed meanwhile, leaves nothing "
    "behind",
    "[executors]") {
  constexpr std::uint64_t kEffects = 2000;
  DispatcherOptions options;
  options.full = {0, milliseconds(0), milliseconds(1)};
  Fixture at(options);
  at.Register(Number);
  at.world.HaveNoRoom(100);
  at.Start();
  std::thread opener([&] {
    for (std::uint64_t n = 1; n <= kEffects; ++n) at.Open(n);
  });
  std::thread closer([&] {
    for (std::uint64_t n = 2; n <= kEffects; n += 2) {
      at.world.Close(IntentOf(n));
    }
  });
  opener.join();
  closer.join();
  for (std::uint64_t n = 1; n <= kEffects; n += 2) {
    at.world.WaitFor(IntentOf(n));
  }
  REQUIRE_OK(at.dispatcher.Stop(hours(1)));
}

}  // namespace
}  // namespace reenact
