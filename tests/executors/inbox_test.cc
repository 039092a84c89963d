// Messages between processes: once, whoever is killed when.

#include "reenact/executors/inbox.h"

#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "reenact/executors/child_process.h"
#include "reenact/executors/message_executor.h"
#include "tests/executors/fake_task.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using cbor::Value;
using std::chrono::milliseconds;

Input MessageNumber(int number) {
  Input input;
  input.event = {"counter", "k", "s", cbor::EncodeInteger(number)};
  input.submission_id = Hash(std::to_string(number)).ToHex();
  input.time = LogicalTime{-number};
  input.priority = 2;
  return input;
}

std::string NameOf(int number) {
  OpenEffect effect;
  effect.event_id = EventId{static_cast<std::uint64_t>(number)};
  effect.idempotency_key = Hash(std::to_string(number));
  return MessageName(effect);
}

ChildResult RunInbox(const std::string& world, const std::string& how,
                     milliseconds patience = milliseconds(60'000)) {
  ChildSpec spec;
  spec.program = REENACT_INBOX_CHILD;
  spec.argv = {"inbox_child", world, how};
  spec.directory = "/";
  spec.stdout_max = spec.stderr_max = 1 << 20;
  spec.deadline = ChildSpec::Clock::now() + patience;
  return RunChild(spec).value();
}

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Fixture {
 protected:
  Fixture() { REQUIRE(RunInbox(world_, "never").out == "0\n"); }

  absl::Status Put(int number) {
    return PutIntoInbox(world_, NameOf(number), MessageNumber(number));
  }

  const TemporaryDirectory directory_;
  const std::string world_ = directory_ / "world";
};

TEST_CASE("a message is decoded as it was encoded, and strictly", "[inbox]") {
  const Bytes message = EncodeMessage(MessageNumber(3));
  CHECK(DecodeMessage(message).value() == MessageNumber(3));
  for (std::size_t size = 0; size < message.size(); ++size) {
    CHECK(absl::IsInvalidArgument(
        DecodeMessage(BytesView(message).substr(0, size)).status()));
  }
  CHECK(absl::IsInvalidArgument(DecodeMessage(message + '\0').status()));
  Bytes later = message;
  later[later.find("reenact.message") + 16] = 2;
  CHECK(absl::IsUnimplemented(DecodeMessage(later).status()));
}

TEST_CASE_METHOD(Fixture, "messages are taken in by their order, once",
                 "[inbox]") {
  for (int number : {12, 3, 7}) REQUIRE_OK(Put(number));
  REQUIRE_OK(Put(3));
  CHECK(NamesIn(world_ + "/inbox") ==
        std::vector<std::string>{NameOf(3), NameOf(7), NameOf(12)});
  CHECK(RunInbox(world_, "never").out == "3\n");
  CHECK(NamesIn(world_ + "/inbox").empty());
  // A sender that did not hear of its success sends again.
  REQUIRE_OK(Put(7));
  CHECK(RunInbox(world_, "never").out == "3\n");
  CHECK(NamesIn(world_ + "/inbox").empty());
}

TEST_CASE_METHOD(Fixture, "a world that dies before it removes finds it again",
                 "[inbox]") {
  REQUIRE_OK(Put(1));
  REQUIRE_OK(Put(2));
  CHECK(RunInbox(world_, "durable").code == 137);
  CHECK(NamesIn(world_ + "/inbox").size() == 2);
  REQUIRE_OK(Put(3));
  CHECK(RunInbox(world_, "never").out == "3\n");
}

TEST_CASE_METHOD(Fixture, "whenever the world is killed, each counts once",
                 "[inbox]") {
  int sent = 0;
  for (int round = 0; round < 12; ++round) {
    std::thread sender([&] {
      for (int i = 0; i < 10; ++i) {
        if (!Put(++sent).ok()) FAIL("cannot put");
        std::this_thread::sleep_for(milliseconds(3));
      }
    });
    // Without grace: SIGTERM ends it as it is, wherever it is.
    RunInbox(world_, "more", milliseconds(15 + 7 * round));
    sender.join();
  }
  CHECK(RunInbox(world_, "never").out == std::to_string(sent) + "\n");
  CHECK(NamesIn(world_ + "/inbox").empty());
}

TEST_CASE_METHOD(Fixture,
                 "trial 04b: what is no message for it does not stop "
                 "the world",
                 "[inbox]") {
  REQUIRE_OK(Put(5));
  const std::string inbox = world_ + "/inbox/";
  WriteWholeFile(inbox + "0-garbage.msg", "garbage");
  WriteWholeFile(inbox + "1-long.msg", std::string(kMessageBytesMax + 1, 'x'));
  // One message under another one's name.
  WriteWholeFile(inbox + NameOf(1), EncodeMessage(MessageNumber(2)));
  Input stranger = MessageNumber(6);
  stranger.event.reducer = "stranger";
  REQUIRE_OK(PutIntoInbox(world_, NameOf(6), stranger));
  // trial 04b: a schema that no message may have; trial 04: too deep a payload.
  Input answer = MessageNumber(7);
  answer.event.schema = "reenact.answer";
  REQUIRE_OK(PutIntoInbox(world_, NameOf(7), answer));
  Input deep = MessageNumber(8);
  deep.event.payload = Bytes(64, '\x81') + '\x80';
  REQUIRE_OK(PutIntoInbox(world_, NameOf(8), deep));
  fs::create_directory(inbox + "9-directory.msg");
  fs::create_symlink(inbox + NameOf(5), inbox + NameOf(4));
  WriteWholeFile(inbox + ".new-1-1", "half");
  WriteWholeFile(inbox + "notes.txt", "left alone");

  const std::string out = RunInbox(world_, "never").out;
  CHECK_THAT(out, Catch::StartsWith("1\n"));
  CHECK_THAT(out, Contains(NameOf(6) + ": no reducer"));
  CHECK_THAT(out, Contains(NameOf(7) + ": the schema \"reenact.answer\" is"));
  CHECK_THAT(out, Contains(NameOf(8) + ": an item nested too deeply"));
  CHECK(NamesIn(world_ + "/inbox/refused").size() == 8);
  CHECK(NamesIn(world_ + "/inbox") ==
        std::vector<std::string>{"notes.txt", "refused"});
}

TEST_CASE_METHOD(Fixture, "an effect puts its message into the inbox",
                 "[inbox]") {
  MessageExecutor executor;
  executor.Add("other", ToInbox(world_));
  FakeTask task(Value::Map(
      {{"to", "other"}, {"reducer", "counter"}, {"key", "k"}, {"payload", 1}}));
  CHECK(executor.Execute(task).status == ReceiptStatus::kOk);
  CHECK(executor.Execute(task).status == ReceiptStatus::kOk);
  CHECK(NamesIn(world_ + "/inbox") ==
        std::vector<std::string>{MessageName(task.effect())});
  CHECK(RunInbox(world_, "never").out == "1\n");
}

TEST_CASE(
    "trial 06: the inbox of a world that was replaced takes nothing from the "
    "new "
    "one",
    "[inbox]") {
  const TemporaryDirectory directory;
  const std::string world = directory / "world";
  WorldConfig config;
  config.reducers = {"counter"};
  const auto make = [&world] {
    fs::create_directory(world);
    WriteWholeFile(world + "/WORLD", "a world");
    REQUIRE_OK(PutIntoInbox(world, NameOf(1), MessageNumber(1)));
  };
  make();
  const auto inbox = InboxSource::Open(world, config);
  REQUIRE_OK(inbox);
  std::vector<Input> row;
  REQUIRE((*inbox)->Next(&row).value());
  fs::rename(world, directory / "old");
  make();
  WriteWholeFile(world + "/inbox/2.msg", "garbage");
  REQUIRE_OK((*inbox)->RemoveDelivered());
  REQUIRE_FALSE((*inbox)->Next(&row).value());
  CHECK(NamesIn(directory / "old/inbox").empty());
  CHECK(NamesIn(world + "/inbox") ==
        std::vector<std::string>{NameOf(1), "2.msg"});
}

TEST_CASE("there is no inbox where there is no world", "[inbox]") {
  const TemporaryDirectory directory;
  CHECK(absl::IsFailedPrecondition(
      PutIntoInbox(directory.path(), NameOf(1), MessageNumber(1))));
  CHECK(absl::IsFailedPrecondition(
      InboxSource::Open(directory.path(), {}).status()));
  CHECK(fs::is_empty(directory.path()));
}

}  // namespace
}  // namespace reenact
