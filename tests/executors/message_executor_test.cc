// message.send to worlds of this process.

#include "reenact/executors/message_executor.h"

#include <catch2/catch.hpp>
#include <thread>

#include "tests/executors/fake_task.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Catch::Matchers::Contains;
using cbor::Value;
using std::chrono::milliseconds;

WorldOptions CounterWorld() {
  auto counter = MakeReducer("counter", [](StepContext& step) {
    const auto state = step.state();
    const auto count = state ? cbor::DecodeInteger(*state).value() : 0;
    step.SetState(cbor::EncodeInteger(
        count + cbor::DecodeInteger(step.event().payload).value()));
    return absl::OkStatus();
  });
  WorldOptions options;
  options.modules.push_back(MakeModule("demo", "1", {counter}).value());
  return options;
}

Value Message() {
  return Value::Map(
      {{"to", "other"}, {"reducer", "counter"}, {"key", "k"}, {"payload", 5}});
}

std::int64_t CountOf(const World& world) {
  const auto state = world.Read("counter", "k").value();
  return state ? cbor::DecodeInteger(*state).value() : 0;
}

TEST_CASE("a message is delivered once, however often it is sent",
          "[message]") {
  const auto world = World::Open(CounterWorld()).value();
  REQUIRE_OK(world->Start());
  MessageExecutor executor;
  executor.Add("other", ToWorld(world.get()));
  for (int i = 0; i < 3; ++i) {
    FakeTask task(Message());
    const Answer answer = executor.Execute(task);
    REQUIRE(answer.status == ReceiptStatus::kOk);
    CHECK(PayloadOf(answer) ==
          Value::Map({{"to", "other"}, {"id", Hash("key").ToHex()}}));
    CHECK(answer.usage == Amounts({{"calls", 1}, {"bytes", 1}}));
  }
  FakeTask another(Message());
  another.mutable_effect()->idempotency_key = Hash("another");
  CHECK(executor.Execute(another).status == ReceiptStatus::kOk);
  CHECK(CountOf(*world) == 10);
  executor.Remove("other");
  FakeTask gone(Message());
  CHECK_THAT(ErrorOf(executor.Execute(gone)), Contains("\"other\""));
  REQUIRE_OK(world->Close());
}

TEST_CASE("a world that stands still leaves a time-out, then takes it once",
          "[message]") {
  const auto world = World::Open(CounterWorld()).value();
  MessageExecutor executor;
  executor.Add("other", ToWorld(world.get()));
  for (int i = 0; i < 2; ++i) {
    FakeTask task(Message());
    task.set_time_left(milliseconds(30));
    const Answer answer = executor.Execute(task);
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK(answer.transient);
  }
  FakeTask cancelled(Message());
  cancelled.Cancel();
  CHECK(executor.Execute(cancelled).status == ReceiptStatus::kCancelled);
  REQUIRE_OK(world->Start());
  FakeTask task(Message());
  CHECK(executor.Execute(task).status == ReceiptStatus::kOk);
  CHECK(CountOf(*world) == 5);
}

TEST_CASE("closing a world ends what waits for it", "[message]") {
  auto world = World::Open(CounterWorld()).value();
  MessageExecutor executor;
  executor.Add("other", ToWorld(world.get()));
  FakeTask task(Message());
  ReceiptStatus status = ReceiptStatus::kOk;
  std::thread sender([&] { status = executor.Execute(task).status; });
  const absl::Status closed = world->Close();
  executor.Remove("other");
  sender.join();
  REQUIRE_OK(closed);
  CHECK(status != ReceiptStatus::kOk);
}

TEST_CASE("messages that make no sense are refused", "[message]") {
  const auto world = World::Open(CounterWorld()).value();
  MessageExecutor executor;
  executor.Add("other", ToWorld(world.get()));
  const auto error = [&](std::string_view field, const Value& value) {
    Value params = Message();
    if (value.IsNull()) {
      params.Erase(field);
    } else {
      params.Set(field, value);
    }
    FakeTask task(params);
    const Answer answer = executor.Execute(task);
    CHECK(answer.status == ReceiptStatus::kError);
    CHECK_FALSE(answer.transient);
    return ErrorOf(answer);
  };
  CHECK_THAT(error("to", "nobody"), Contains("nobody"));
  CHECK_THAT(error("payload", Value()), Contains("\"payload\""));
  CHECK_THAT(error("priority", 4), Contains("\"priority\""));
  CHECK_THAT(error("reducer", "none"), Contains("none"));
  CHECK_THAT(error("extra", 1), Contains("\"extra\""));
}

}  // namespace
}  // namespace reenact
