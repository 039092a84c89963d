#include "reenact/executors/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "reenact/executors/client.h"
#include "tests/executors/child.h"
#include "tests/executors/fake_world.h"
#include "tests/executors/raw_executor.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

SecretKey TestKey() {
  SigningSeed seed{};
  seed[0] = 9;
  return SecretKeyOf(seed);
}

using Remotes = decltype(DispatcherOptions::remotes);

KindOptions Named(std::string name) {
  KindOptions options;
  options.executor = std::move(name);
  return options;
}

Answer Count(Task&) { return Answer::Ok(cbor::Value::Map()); }

// A world with a socket.
struct Fixture {
  explicit Fixture(milliseconds lease = hours(1), ServerOptions settings = {},
                   std::uint64_t opening_epoch = 1, Remotes remotes = {})
      : dispatcher(Options(lease, std::move(remotes))) {
    world.Listen(&dispatcher);
    // A kind that is carried out here.
    REQUIRE_OK(dispatcher.Register(Do("near", Count), Named("home")));
    REQUIRE_OK(dispatcher.Start(&world, WorldId(), opening_epoch));
    path = directory / "socket";
    options = std::move(settings);
    options.path = path;
    Serve();
  }
  static DispatcherOptions Options(milliseconds lease, Remotes remotes) {
    DispatcherOptions options;
    options.remotes = std::move(remotes);
    options.lease = lease;
    options.refused = {3, milliseconds(0), milliseconds(0)};
    return options;
  }
  void Serve() {
    auto started = ExecutorServer::Start(&dispatcher, options);
    REQUIRE_OK(started);
    server = *std::move(started);
  }
  void Open(std::uint64_t number) { world.Open(EffectOf(number, "far")); }
  Child Start(const std::string& mode, const std::string& name) {
    return Child({REENACT_EXECUTOR_CHILD, mode, path, name, "far"});
  }

  TemporaryDirectory directory;
  std::string path;
  ServerOptions options;
  FakeWorld world;
  Dispatcher dispatcher;
  std::unique_ptr<ExecutorServer> server;
};

Digest Far(std::uint64_t number) { return IntentOf(number, "far"); }

// --- executors that behave ---------------------------------------------------

TEST_CASE("a client carries out what the world offers", "[executors]") {
  Fixture at;
  at.world.DemandSignature(PublicKeyOf(TestKey()));
  ClientOptions options;
  options.path = at.path;
  options.name = "far-1";
  options.key = TestKey();
  options.concurrency = 3;
  ExecutorClient client(options);
  KindOptions eager;
  eager.retry = {3, milliseconds(0), milliseconds(0)};
  REQUIRE_OK(client.Register(
      Do("far",
         [](Task& task) {
           if (task.attempt() == 1) return Answer::Transient("busy");
           return Answer::Ok(cbor::Value::Parse(task.effect().params).value());
         }),
      eager));
  absl::Status ended = absl::InternalError("still running");
  std::thread thread([&] { ended = client.Run(); });
  for (std::uint64_t n = 1; n <= 100; ++n) at.Open(n);
  at.world.WaitForAccepted(100);
  const Receipt receipt = at.world.WaitFor(Far(42));
  REQUIRE(receipt.executor == "far-1");
  REQUIRE(receipt.payload == cbor::EncodeInteger(42));
  REQUIRE(receipt.lease_epoch >> 32 == 1);

  SECTION("until it is stopped") { client.Stop(); }
  SECTION("until the world closes") { at.server->Stop(); }
  thread.join();
  REQUIRE_OK(ended);
  REQUIRE(at.dispatcher.Stats().claimed == 100);
}

TEST_CASE("what a client runs is cancelled when the world closes it",
          "[executors]") {
  Fixture at;
  Signal began;
  Signal ended;
  ClientOptions options;
  options.path = at.path;
  options.name = "far-1";
  options.dispatcher.cancel_wait = hours(1);
  ExecutorClient client(options);
  REQUIRE_OK(client.Register(Do("far", [&](Task& task) {
    began.Give();
    pollfd waiting{task.cancel_fd(), POLLIN, 0};
    poll(&waiting, 1, -1);
    ended.Give();
    return Answer::Ok({});
  })));
  std::thread thread([&] { client.Run().IgnoreError(); });
  at.Open(1);
  began.Wait();
  at.world.Close(Far(1));
  ended.Wait();
  client.Stop();
  thread.join();
  REQUIRE(at.world.Verdicts().empty());
}

TEST_CASE("a client says that nobody is there", "[executors]") {
  ClientOptions options;
  options.name = "far-1";
  SECTION("no socket") {
    options.path = "/nonexistent/socket";
    ExecutorClient client(options);
    REQUIRE_OK(client.Register(Do("far", [](Task&) { return Answer(); })));
    REQUIRE(absl::IsNotFound(client.Run()));
  }
  SECTION("a path that no socket can have") {
    options.path.assign(108, 'x');
    ExecutorClient client(options);
    REQUIRE_OK(client.Register(Do("far", [](Task&) { return Answer(); })));
    REQUIRE(absl::IsInvalidArgument(client.Run()));
  }
  SECTION("nothing to serve") {
    REQUIRE(absl::IsFailedPrecondition(ExecutorClient(options).Run()));
  }
}

TEST_CASE("chaos 49: answers may come in any order", "[executors]") {
  Fixture at;
  RawExecutor executor(at.path);
  executor.Hello("far", 3);
  for (std::uint64_t n = 1; n <= 3; ++n) at.Open(n);
  std::vector<frames::Granted> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(executor.Claim().value());
  for (const std::size_t i : {2u, 0u, 1u}) {
    executor.SendReceipt(executor.ReceiptFor(leases[i]));
  }
  std::set<Digest> judged;
  for (int i = 0; i < 3; ++i) {
    const auto verdict = executor.Next<frames::Verdict>();
    REQUIRE(verdict->verdict == "accepted");
    judged.insert(verdict->intent);
  }
  REQUIRE(judged == std::set<Digest>{Far(1), Far(2), Far(3)});
}

TEST_CASE("the same receipt twice is a duplicate, another one is overtaken",
          "[executors]") {
  Fixture at;
  RawExecutor executor(at.path);
  executor.Hello("far");
  at.Open(1);
  const auto granted = executor.Claim().value();
  Receipt receipt = executor.ReceiptFor(granted);
  executor.SendReceipt(receipt);
  executor.SendReceipt(receipt);
  receipt.status = ReceiptStatus::kError;
  executor.SendReceipt(receipt);
  for (const char* verdict : {"accepted", "duplicate", "overtaken"}) {
    REQUIRE(executor.Next<frames::Verdict>()->verdict == verdict);
  }
  REQUIRE(at.world.Accepted() == 1);
}

TEST_CASE("a receipt for an effect that nobody knows is the world's to judge",
          "[executors]") {
  Fixture at;
  RawExecutor executor(at.path);
  executor.Hello("far");
  executor.SendReceipt(executor.ReceiptFor({Far(99), 5, 1}));
  REQUIRE(executor.Next<frames::Verdict>()->verdict == "unknown");
}

TEST_CASE("a payload is the world's to judge, after the signature",
          "[executors]") {
  Fixture at;
  RawExecutor executor(at.path);
  executor.Hello("far");
  at.Open(1);
  Receipt receipt = executor.ReceiptFor(executor.Claim().value());
  receipt.payload = Bytes(1'000'000, '\x81');  // a million levels, none ends
  SECTION("a wrong payload") {
    executor.SendReceipt(receipt);
    REQUIRE(executor.Next<frames::Verdict>()->verdict == "malformed");
    // It would come again, so the effect ends with an error.
    REQUIRE(at.world.WaitFor(Far(1)).status == ReceiptStatus::kError);
    REQUIRE(at.dispatcher.Stats().claimed == 1);
  }
  SECTION("a wrong signature as well") {
    at.world.DemandSignature(PublicKeyOf(TestKey()));
    executor.SendReceipt(receipt);
    REQUIRE(executor.Next<frames::Verdict>()->verdict == "denied");
  }
}

// --- who may take what -------------------------------------------------------

// Why the world's side does not like a hello.
std::string ErrorTo(Fixture& at, const std::string& name,
                    const std::string& kind) {
  RawExecutor executor(at.path, name);
  executor.Hello(kind);
  const auto error = executor.Next<frames::Error>();
  return error ? error->message : "";
}

TEST_CASE(
    "trial 08: a process takes no kind that is carried out here, and no "
    "name of this process",
    "[executors]") {
  Fixture at;
  CHECK_THAT(ErrorTo(at, "guest", "near"),
             Catch::Contains("near is carried out by the world's own"));
  for (const char* name : {"home", "near"}) {
    CHECK_THAT(ErrorTo(at, name, "far"),
               Catch::Contains("a name of the world's own process"));
  }
  RawExecutor guest(at.path, "guest");
  guest.Hello("far");
  for (std::uint64_t n = 1; n <= 40; ++n) at.world.Open(EffectOf(n, "near"));
  for (std::uint64_t n = 1; n <= 40; ++n) {
    CHECK(at.world.WaitFor(IntentOf(n, "near")).executor == "home");
  }
  at.Open(41);
  CHECK(guest.Next<frames::Offer>()->effect.kind == "far");
}

TEST_CASE(
    "trial 08: what is configured for a process is left to it, and to "
    "nobody else",
    "[executors]") {
  Fixture at(hours(1), {}, 1, {{"ci", {"near"}}, {"mail", {"far"}}});
  CHECK_THAT(ErrorTo(at, "guest", "far"), Catch::Contains("\"guest\" may"));
  CHECK_THAT(ErrorTo(at, "mail", "near"),
             Catch::Contains("\"mail\" may not carry out near"));
  CHECK_THAT(ErrorTo(at, "home", "near"), Catch::Contains("own process"));
  at.world.Open(EffectOf(1, "near"));
  RawExecutor ci(at.path, "ci");
  ci.Hello("near");
  ci.SendReceipt(ci.ReceiptFor(ci.Claim().value()));
  REQUIRE(ci.Next<frames::Verdict>()->verdict == "accepted");
  CHECK(at.world.WaitFor(IntentOf(1, "near")).executor == "ci");
}

TEST_CASE("trial 09: a process whose receipts cannot count is offered nothing",
          "[executors]") {
  Fixture at;
  at.dispatcher.Listed({{"ci", {std::nullopt, {"far"}}}});
  RawExecutor guest(at.path, "guest");
  guest.Hello("far", 10);
  RawExecutor ci(at.path, "ci");
  ci.Hello("far", 10);
  for (std::uint64_t n = 1; n <= 5; ++n) at.Open(n);
  for (int n = 1; n <= 5; ++n) REQUIRE(ci.Next<frames::Offer>());
  at.dispatcher.Listed({{"guest", {}}});
  at.Open(6);
  CHECK(guest.Next<frames::Offer>()->effect.intent_hash == Far(6));
}

TEST_CASE("trial 09: a process whose signature is not right is asked once",
          "[executors]") {
  Fixture at;
  at.world.DemandSignature(PublicKeyOf(TestKey()));
  RawExecutor guest(at.path, "guest");
  guest.Hello("far");
  at.Open(1);
  guest.SendReceipt(guest.ReceiptFor(guest.Claim().value()));
  REQUIRE(guest.Next<frames::Verdict>()->verdict == "denied");
  at.world.DemandNoSignature();
  RawExecutor other(at.path, "other");
  other.Hello("far");
  other.SendReceipt(other.ReceiptFor(other.Claim().value()));
  REQUIRE(other.Next<frames::Verdict>()->verdict == "accepted");
}

// --- leases ------------------------------------------------------------------

TEST_CASE(
    "chaos 52: a process that was stopped past its lease is refused, in "
    "view",
    "[executors]") {
  // What another process did meanwhile must not be overwritten by one that
  // wakes up and still believes in its lease.
  Fixture at(milliseconds(2000));
  Child stopped = at.Start("raw", "stopped");
  at.Open(1);
  REQUIRE(stopped.Line() == "started");
  stopped.Stop();
  Child other = at.Start("client", "other");
  REQUIRE(other.Line() == "started");  // once the lease has expired
  REQUIRE(at.dispatcher.Stats().expired >= 1);

  stopped.Say("go");
  stopped.Continue();
  REQUIRE(stopped.Line() == "overtaken stale lease");
  REQUIRE(stopped.Wait() == 0);
  REQUIRE(at.world.WaitForRefusals(1)[0] == "stopped: stale lease");
  REQUIRE(at.world.Accepted() == 0);

  other.Say("done by the other");
  const Receipt receipt = at.world.WaitFor(Far(1));
  REQUIRE(receipt.executor == "other");
  REQUIRE(receipt.payload == cbor::EncodeText("done by the other"));
  REQUIRE(at.world.Verdicts() ==
          std::vector<absl::StatusCode>{absl::StatusCode::kOk});
}

TEST_CASE("what a killed process held goes to another at once", "[executors]") {
  Fixture at;  // leases of an hour
  Child killed = at.Start("client", "killed");
  at.Open(1);
  REQUIRE(killed.Line() == "started");
  killed.Kill();
  Child other = at.Start("client", "other");
  REQUIRE(other.Line() == "started");
  other.Say("done");
  REQUIRE(at.world.WaitFor(Far(1)).executor == "other");
}

TEST_CASE("a lease from before the world was opened again is stale",
          "[executors]") {
  Receipt old;
  {
    Fixture before(hours(1), {}, 1);
    RawExecutor executor(before.path);
    executor.Hello("far");
    before.Open(1);
    old = executor.ReceiptFor(executor.Claim().value());
  }
  Fixture after(hours(1), {}, 2);
  RawExecutor executor(after.path);
  executor.Hello("far");
  after.Open(1);
  const auto granted = executor.Claim().value();
  REQUIRE(granted.epoch > old.lease_epoch);
  executor.SendReceipt(old);
  REQUIRE(executor.Next<frames::Verdict>()->message == "stale lease");
  REQUIRE(after.world.WaitForRefusals(1)[0] == "raw: stale lease");
  executor.SendReceipt(executor.ReceiptFor(granted));
  REQUIRE(executor.Next<frames::Verdict>()->verdict == "accepted");
}

TEST_CASE("what is not on offer cannot be claimed, nor renewed",
          "[executors]") {
  Fixture at;
  RawExecutor one(at.path, "one");
  one.Hello("far");
  at.Open(1);
  const auto granted = one.Claim().value();
  RawExecutor two(at.path, "two");
  two.Hello("far");
  two.Send(frames::Claim{Far(1)});
  REQUIRE(two.Next<frames::Cancel>()->reason == "not on offer");
  two.Send(frames::Renew{Far(1), granted.epoch});
  REQUIRE(two.Next<frames::Cancel>()->reason == "stale lease");
  two.SendReceipt(two.ReceiptFor(granted));
  REQUIRE(two.Next<frames::Verdict>()->message == "stale lease");
}

// --- executors that do not behave --------------------------------------------

struct Mischief {
  const char* what;
  Bytes bytes;
  bool greets = true;        // says hello before
  std::string refusal = {};  // what goes on record
};

std::vector<Mischief> AllMischief() {
  const auto hex = [](const char* digits) { return FromHex(digits).value(); };
  const auto prefixed = [](const Bytes& item) {
    Bytes bytes;
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(item.size() >> shift & 0xff));
    }
    return bytes + item;
  };
  const Bytes deep(1'000'000, '\x81');
  const Bytes receipt = hex("a2000601");
  const std::string refused = "raw: malformed frame";
  return {
      {"no hello", frames::Encode(frames::Claim{Far(1)}), false},
      {"not CBOR at all", "GET / HTTP/1.1\r\n\r\n", false},
      {"a length of nothing", hex("00000000")},
      {"a length of 1 GiB", hex("40000000")},
      {"a length of 4 GiB", hex("ffffffff")},
      {"a length of 1 GiB that begins as a receipt", hex("40000000") + receipt,
       true, refused},
      {"a truncated item", prefixed(hex("a200030158"))},
      {"a type that is none", prefixed(hex("a1000b"))},
      {"a long head", prefixed(hex("a1001803"))},
      {"an indefinite map", prefixed(hex("bf0003ff"))},
      {"a tag", prefixed(hex("c0a10003"))},
      {"keys in the wrong order", prefixed(hex("a201000003"))},
      {"text for a digest", prefixed(hex("a2000301") + cbor::EncodeText("x"))},
      {"a million levels", prefixed(deep)},
      {"a million levels for a receipt", prefixed(receipt + deep), true,
       refused},
      {"a receipt of 2^64 - 1 bytes",
       prefixed(receipt + hex("5bffffffffffffffff")), true, refused},
      {"a receipt that is an integer", prefixed(receipt + hex("00")), true,
       refused},
      {"a receipt that is none", frames::Encode(frames::Submit{"\xa0"}), true,
       "raw: malformed receipt"},
      {"a second hello", frames::Encode(frames::Hello{{1}, "raw", {"far"}, 1})},
      {"what only the world says", frames::Encode(frames::Claim{Far(1)}) +
                                       frames::Encode(frames::Error{"x"})},
      {"versions of the future only",
       frames::Encode(frames::Hello{{2, 3}, "raw", {"far"}, 1}), false},
  };
}

TEST_CASE("chaos 48: what is no frame is answered with an error, and the end",
          "[executors]") {
  Fixture at;
  std::size_t refusals = 0;
  for (const Mischief& mischief : AllMischief()) {
    CAPTURE(mischief.what);
    RawExecutor executor(at.path);
    if (mischief.greets) executor.Hello("far");
    executor.SendBytes(mischief.bytes);
    const auto error = executor.Next<frames::Error>();
    REQUIRE(error.has_value());
    REQUIRE_FALSE(error->message.empty());
    REQUIRE(executor.HasEnded());
    refusals += !mischief.refusal.empty();
    REQUIRE(at.world.WaitForRefusals(refusals).size() == refusals);
    if (!mischief.refusal.empty()) {
      REQUIRE(at.world.Refusals().back() == mischief.refusal);
    }
  }
  // Others have not noticed.
  RawExecutor executor(at.path);
  executor.Hello("far");
  at.Open(1);
  executor.SendReceipt(executor.ReceiptFor(executor.Claim().value()));
  REQUIRE(executor.Next<frames::Verdict>()->verdict == "accepted");
}

// What `receipt` says, as one with a member that receipts do not have.
Bytes WithOneMember(const Receipt& receipt) {
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  EncodeReceipt(receipt, encoder);
  bytes[0] = static_cast<char>(bytes[0] + 1);
  return bytes + Bytes("\x09\x00", 2);
}

TEST_CASE(
    "trial 04b: what could never be a receipt ends its effect with an "
    "error, after one attempt",
    "[executors]") {
  ServerOptions options;
  options.frame_bytes_max = 1 << 16;
  Fixture at(hours(1), options);
  at.world.HaveRoomForPayloads(200);
  RawExecutor executor(at.path);
  executor.Hello("far");
  at.Open(1);
  Receipt receipt = executor.ReceiptFor(executor.Claim().value());
  std::string reason = "the world refused the receipt: ";
  bool stays = true;
  SECTION("a payload that is too large") {
    receipt.payload = cbor::EncodeText(std::string(300, 'x'));
    reason += "too large";
    executor.SendReceipt(receipt);
  }
  SECTION("a payload that is no CBOR") {
    receipt.payload = "\x18\x01";
    reason += "receipt: payload: ";
    executor.SendReceipt(receipt);
  }
  SECTION("a payload that is too deep for an answer") {
    receipt.payload = Bytes(63, '\x81') + '\x80';
    reason += "receipt: payload: an item nested too deeply";
    executor.SendReceipt(receipt);
  }
  SECTION("a receipt with a member more") {
    executor.Send(frames::Submit{WithOneMember(receipt)});
    reason = "the executor's receipt: malformed receipt";
    stays = false;
  }
  SECTION("a frame that is longer than frames may be") {
    receipt.payload.assign((1 << 16) + 1, 'x');
    executor.SendReceipt(receipt);
    reason = "the executor's receipt: malformed frame";
    stays = false;
  }
  const Receipt instead = at.world.WaitFor(Far(1));
  CHECK(instead.status == ReceiptStatus::kError);
  CHECK(instead.executor == "raw");
  CHECK(instead.lease_epoch == receipt.lease_epoch);
  CHECK_THAT(std::string(
                 cbor::Value::Parse(instead.payload)->GetText("error").value()),
             Catch::StartsWith(reason));
  CHECK(at.dispatcher.Stats().claimed == 1);
  if (stays) {
    CHECK(executor.Next<frames::Verdict>()->verdict == "malformed");
    at.Open(2);
    executor.SendReceipt(executor.ReceiptFor(executor.Claim().value()));
    at.world.WaitFor(Far(2));
  } else {
    CHECK(executor.Next<frames::Error>().has_value());
  }
}

TEST_CASE(
    "trial 04b: in the name of an executor that signs nobody answers, and "
    "it is not asked again",
    "[executors]") {
  Fixture at;
  at.world.DemandSignature(PublicKeyOf(TestKey()));
  RawExecutor executor(at.path);
  executor.Hello("far");
  at.Open(1);
  Receipt receipt = executor.ReceiptFor(executor.Claim().value());
  receipt.payload = "\x18\x01";
  SignReceipt(WorldId(), TestKey(), &receipt);
  executor.SendReceipt(receipt);
  at.world.WaitForVerdicts(2);
  CHECK(at.world.Verdicts() ==
        std::vector<absl::StatusCode>{absl::StatusCode::kInvalidArgument,
                                      absl::StatusCode::kPermissionDenied});
  CHECK(at.world.Accepted() == 0);
  CHECK(at.dispatcher.Stats().claimed == 1);
}

TEST_CASE("a receipt in another executor's name is refused", "[executors]") {
  Fixture at;
  RawExecutor executor(at.path);
  executor.Hello("far");
  at.Open(1);
  Receipt receipt = executor.ReceiptFor(executor.Claim().value());
  receipt.executor = "another";
  executor.SendReceipt(receipt);
  REQUIRE(executor.Next<frames::Error>().has_value());
  REQUIRE(at.world.WaitForRefusals(1)[0] == "raw: another executor's name");
}

TEST_CASE("who says nothing, or half a frame, is let go", "[executors]") {
  ServerOptions options;
  // What a busy machine needs to let it say hello in.
  options.patience = milliseconds(1000);
  Fixture at(hours(1), options);
  RawExecutor executor(at.path);
  SECTION("nothing") {}
  SECTION("half a length") { executor.SendBytes(Bytes(2, '\0')); }
  SECTION("hello, and half a frame") {
    executor.Hello("far");
    REQUIRE(executor.Next<frames::Welcome>().has_value());
    executor.SendBytes(FromHex("00000026a200").value());
  }
  REQUIRE_FALSE(executor.Next<frames::Error>().has_value());
  REQUIRE(at.server->Stats().dropped == 1);
}

TEST_CASE(
    "who takes in nothing is let go, and what it was offered goes to "
    "another",
    "[executors]") {
  ServerOptions options;
  SECTION("too much for it to wait") { options.unsent_bytes_max = 1 << 20; }
  SECTION("too long") { options.patience = milliseconds(2000); }
  Fixture at(hours(1), options);
  RawExecutor deaf(at.path, "deaf");
  deaf.Hello("far", 64);
  REQUIRE(deaf.Next<frames::Welcome>().has_value());
  for (std::uint64_t n = 1; n <= 64; ++n) {
    OpenEffect effect = EffectOf(n, "far");
    effect.params = Bytes(100'000, 'x');
    at.world.Open(effect);
  }
  while (at.server->Stats().dropped == 0) std::this_thread::yield();
  RawExecutor other(at.path, "other");
  other.Hello("far");
  other.SendReceipt(other.ReceiptFor(other.Claim().value()));
  REQUIRE(other.Next<frames::Verdict>()->verdict == "accepted");
}

TEST_CASE("more connections than there may be are turned away", "[executors]") {
  ServerOptions options;
  options.connections_max = 2;
  Fixture at(hours(1), options);
  RawExecutor one(at.path);
  one.Hello("far");
  REQUIRE(one.Next<frames::Welcome>().has_value());
  {
    RawExecutor two(at.path);
    two.Hello("far");
    REQUIRE(two.Next<frames::Welcome>().has_value());
    RawExecutor three(at.path);
    REQUIRE(three.HasEnded());
  }
  while (at.server->Stats().connected > 1) std::this_thread::yield();
  RawExecutor four(at.path);
  four.Hello("far");
  REQUIRE(four.Next<frames::Welcome>().has_value());
}

TEST_CASE("more receipts than can be judged end a connection", "[executors]") {
  // The door holds its verdicts back.
  class SilentDoor final : public ReceiptSink {
   public:
    absl::Status SubmitReceipt(Receipt, Done) override {
      return absl::OkStatus();
    }
    void RefuseReceipt(std::string_view, std::string_view,
                       const Digest&) override {}
  } door;
  TemporaryDirectory directory;
  Dispatcher dispatcher;
  REQUIRE_OK(dispatcher.Start(&door, WorldId(), 1));
  auto server =
      ExecutorServer::Start(&dispatcher, {.path = directory / "socket"});
  REQUIRE_OK(server);
  RawExecutor executor(directory / "socket");
  executor.Hello("far", 1);
  for (int i = 0; i < 19; ++i) {  // 2 * 1 + 16, and one more
    executor.SendReceipt(executor.ReceiptFor({Far(1), 1, 1}));
  }
  REQUIRE(executor.Next<frames::Error>()->message.find("too many") == 0);
}

// --- the socket --------------------------------------------------------------

TEST_CASE("a socket is its owner's alone, and goes with its server",
          "[executors]") {
  Fixture at;
  struct stat status {};
  REQUIRE(stat(at.path.c_str(), &status) == 0);
  REQUIRE(S_ISSOCK(status.st_mode));
  REQUIRE((status.st_mode & 0777) == 0600);
  at.server->Stop();
  REQUIRE_FALSE(std::filesystem::exists(at.path));
}

TEST_CASE("a place that is taken is not taken away", "[executors]") {
  Fixture at;
  REQUIRE(absl::IsAlreadyExists(
      ExecutorServer::Start(&at.dispatcher, at.options).status()));
  RawExecutor executor(at.path);  // it still listens
  ServerOptions other;
  other.path = at.directory / "file";
  std::ofstream(other.path) << "precious";
  REQUIRE(absl::IsAlreadyExists(
      ExecutorServer::Start(&at.dispatcher, other).status()));
  REQUIRE(std::filesystem::file_size(other.path) == 8);
  other.path = at.directory / std::string(108, 'x');
  REQUIRE(absl::IsInvalidArgument(
      ExecutorServer::Start(&at.dispatcher, other).status()));
  other.path = at.directory / "no/such/folder";
  REQUIRE(
      absl::IsNotFound(ExecutorServer::Start(&at.dispatcher, other).status()));
}

TEST_CASE("a socket that a killed process left behind is replaced",
          "[executors]") {
  Fixture at;
  at.server.reset();
  close(ListenAt(at.path).value());  // as a killed process leaves it
  REQUIRE(std::filesystem::exists(at.path));
  at.Serve();
  RawExecutor executor(at.path);
  executor.Hello("far");
  REQUIRE(executor.Next<frames::Welcome>()->opening_epoch == 1);
}

TEST_CASE("a server that stops says goodbye; what was held is ready again",
          "[executors]") {
  Fixture at;
  RawExecutor executor(at.path);
  executor.Hello("far");
  at.Open(1);
  REQUIRE(executor.Claim().has_value());
  at.server->Stop();
  REQUIRE(executor.Next<frames::Bye>().has_value());
  REQUIRE(executor.HasEnded());
  REQUIRE(at.dispatcher.Stats().ready == 1);
  REQUIRE(at.dispatcher.Stats().attached == 0);
}

// --- other languages ---------------------------------------------------------

#ifdef REENACT_PYTHON
TEST_CASE("an executor in Python carries out what the world offers",
          "[executors]") {
  Fixture at;
  Child python({REENACT_PYTHON,
                REENACT_SOURCE_DIR "/examples/executors/executor.py", at.path,
                "--count", "3"});
  const auto open = [&at](std::uint64_t number, const cbor::Value& params) {
    OpenEffect effect = EffectOf(number, "text.reverse");
    effect.params = params.Encode();
    at.world.Open(effect);
    return effect.intent_hash;
  };
  const Digest abc = open(1, cbor::Value::Map({{"text", "abc"}}));
  const Digest empty = open(2, cbor::Value::Map({{"text", ""}}));
  const Digest wrong = open(3, cbor::Value(7));
  const Receipt receipt = at.world.WaitFor(abc);
  REQUIRE(cbor::Diagnose(receipt.payload) == R"({"text": "cba"})");
  REQUIRE(receipt.usage == Amounts{{"characters", 3}});
  REQUIRE(receipt.executor == "reverser");
  REQUIRE(at.world.WaitFor(empty).usage.empty());
  REQUIRE(at.world.WaitFor(wrong).status == ReceiptStatus::kError);
  for (int i = 0; i < 3; ++i) REQUIRE(python.Line() == "verdict accepted");
  REQUIRE(python.Wait() == 0);
}
#endif

}  // namespace
}  // namespace reenact
