#include "examples/bank/bank.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "examples/bank/generate.h"
#include "tests/support/status_matchers.h"
#include "tests/support/step_double.h"

namespace reenact::examples {
namespace {

using cbor::Value;

constexpr auto kDeclared = BankVariant::kDeclared;
constexpr auto kUndeclared = BankVariant::kUndeclared;
constexpr auto kEvents = BankVariant::kEvents;

std::int64_t InFlight(const SerialDouble& world) {
  std::int64_t sum = 0;
  for (const Event& event : world.raised) sum += CreditOf(event).value();
  return sum;
}

std::int64_t Total(const SerialDouble& world, BankVariant variant) {
  return TotalBalance(world.StatesOf(BankReducerName(variant))).value();
}

std::int64_t Balance(const SerialDouble& world, BankVariant variant,
                     const std::string& account) {
  const auto found =
      world.cells.find({std::string(BankReducerName(variant)), account});
  return found == world.cells.end() ? 0 : BalanceOf(found->second).value();
}

TEST_CASE("a transfer moves the amount", "[examples][bank]") {
  const BankVariant variant = GENERATE(kDeclared, kUndeclared, kEvents);
  CAPTURE(BankReducerName(variant));
  SerialDouble world(MakeBankReducers());
  REQUIRE_OK(world.Step(OpenAccount(variant, "ada", 100)));
  REQUIRE_OK(world.Step(OpenAccount(variant, "ben", 10)));
  REQUIRE_OK(world.Step(Transfer(variant, "ada", "ben", 30)));
  world.RunRaised();
  REQUIRE(Balance(world, variant, "ada") == 70);
  REQUIRE(Balance(world, variant, "ben") == 40);
}

TEST_CASE("a transfer beyond the balance is refused and moves nothing",
          "[examples][bank]") {
  const BankVariant variant = GENERATE(kDeclared, kUndeclared, kEvents);
  CAPTURE(BankReducerName(variant));
  SerialDouble world(MakeBankReducers());
  REQUIRE_OK(world.Step(OpenAccount(variant, "ada", 100)));
  const CellMap before = world.cells;
  REQUIRE(world.Step(Transfer(variant, "ada", "ben", 101)).code() ==
          absl::StatusCode::kFailedPrecondition);
  REQUIRE(world.Step(Transfer(variant, "nobody", "ada", 1)).code() ==
          absl::StatusCode::kFailedPrecondition);
  REQUIRE(world.cells == before);
  REQUIRE(world.raised.empty());
}

TEST_CASE("a transfer that makes no sense is refused", "[examples][bank]") {
  const BankVariant variant = GENERATE(kDeclared, kUndeclared, kEvents);
  CAPTURE(BankReducerName(variant));
  SerialDouble world(MakeBankReducers());
  REQUIRE_OK(world.Step(OpenAccount(variant, "ada", 100)));
  Event unknown = OpenAccount(variant, "ada", 1);
  unknown.schema = "bank.close";
  const std::vector<Event> events = {
      Transfer(variant, "ada", "ada", 1), Transfer(variant, "ada", "ben", 0),
      Transfer(variant, "ada", "ben", -5),
      OpenAccount(variant, "ada", kBankAmountMax + 1), unknown};
  for (const Event& event : events) {
    CAPTURE(event.schema, cbor::Diagnose(event.payload));
    REQUIRE(world.Step(event).code() == absl::StatusCode::kInvalidArgument);
  }
  REQUIRE(Total(world, variant) == 100);
}

TEST_CASE("only the declared variant says what it will write",
          "[examples][bank]") {
  for (const BankVariant variant : {kUndeclared, kEvents}) {
    const TouchRecorder touched(*MakeBankReducer(variant),
                                Transfer(variant, "ada", "ben", 1));
    REQUIRE(touched.writes.empty());
    REQUIRE(touched.reads.empty());
  }
  const TouchRecorder touched(*MakeBankReducer(kDeclared),
                              Transfer(kDeclared, "ada", "ben", 1));
  REQUIRE(touched.writes == std::set<CellId>{{"bank.declared", "ben"}});
}

TEST_CASE("the declared variant touches what it declares and no more",
          "[examples][bank]") {
  const auto reducer = MakeBankReducer(kDeclared);
  SerialDouble world({reducer});
  REQUIRE_OK(world.Step(OpenAccount(kDeclared, "ada", 5)));
  const Event event = Transfer(kDeclared, "ada", "ben", 5);
  StepDouble step(world.cells, event);
  REQUIRE_OK(reducer->Step(step));
  const std::set<CellId> both = {{"bank.declared", "ada"},
                                 {"bank.declared", "ben"}};
  REQUIRE(step.reads == both);
  REQUIRE(step.writes == both);
}

TEST_CASE("an event that says nothing readable declares nothing",
          "[examples][bank]") {
  Event event = Transfer(kDeclared, "ada", "ben", 1);
  event.payload = cbor::EncodeInteger(1);
  const auto reducer = MakeBankReducer(kDeclared);
  REQUIRE(TouchRecorder(*reducer, event).writes.empty());
  StepDouble step({}, event);
  REQUIRE(reducer->Step(step).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("no transfer makes or loses money", "[examples][bank]") {
  const BankVariant variant = GENERATE(kDeclared, kUndeclared, kEvents);
  const auto seed = GENERATE(range<std::uint64_t>(1, 6));
  CAPTURE(BankReducerName(variant), seed);
  BankWorkload workload{.variant = variant,
                        .accounts = 10,
                        .transfers = 300,
                        .seed = seed,
                        .opening = 150};
  workload.hot_percent = 50;

  SerialDouble world(MakeBankReducers());
  std::int64_t credits_seen = 0;
  for (const Input& input : GenerateInputs(workload)) {
    world.Step(input.event).IgnoreError();
    if (world.StatesOf(BankReducerName(variant)).size() < 10) continue;
    credits_seen += InFlight(world);
    REQUIRE(Total(world, variant) + InFlight(world) == 1500);
    if (world.raised.size() > 20) world.RunRaised();
  }
  world.RunRaised();
  REQUIRE(Total(world, variant) == 1500);
  REQUIRE((credits_seen > 0) == (variant == kEvents));
  REQUIRE(world.failed > 0);  // some account ran dry on the way
}

TEST_CASE("a workload is the same for the same seed and grows at its end",
          "[examples][bank]") {
  const BankWorkload workload{.accounts = 5, .transfers = 20, .seed = 7};
  BankWorkload longer = workload;
  longer.transfers = 40;
  BankWorkload other = workload;
  other.seed = 8;
  const std::string lines = GenerateJsonLines(workload);
  REQUIRE(GenerateJsonLines(workload) == lines);
  REQUIRE(GenerateJsonLines(longer).substr(0, lines.size()) == lines);
  REQUIRE(GenerateJsonLines(other) != lines);
}

TEST_CASE("a workload's lines are pinned", "[examples][bank]") {
  BankWorkload workload{.variant = kEvents, .accounts = 3, .transfers = 2};
  workload.seed = 1;
  REQUIRE(
      GenerateJsonLines(workload) ==
      R"({"op":"open","account":"account-0","amount":1000,"variant":"events"}
{"op":"open","account":"account-1","amount":1000,"variant":"events"}
{"op":"open","account":"account-2","amount":1000,"variant":"events"}
{"op":"transfer","account":"account-2","to":"account-1",)"
      R"("amount":56,"variant":"events"}
{"op":"transfer","account":"account-0","to":"account-1",)"
      R"("amount":84,"variant":"events"}
)");
}

TEST_CASE("a workload's rows map to its inputs", "[examples][bank]") {
  const BankVariant variant = GENERATE(kDeclared, kUndeclared, kEvents);
  const BankWorkload workload{
      .variant = variant, .accounts = 3, .transfers = 5, .seed = 3};
  const std::vector<Input> inputs = GenerateInputs(workload);
  std::size_t next = 0;
  std::string name(BankReducerName(variant));
  name.erase(0, name.find('.') + 1);
  VisitOperations(workload, [&](const BankOperation& operation) {
    Value row = Value::Map({{"op", operation.to.empty() ? "open" : "transfer"},
                            {"account", operation.account},
                            {"amount", operation.amount},
                            {"variant", name}});
    if (!operation.to.empty()) row.Set("to", operation.to);
    const auto mapped = MapBankRow(row);
    REQUIRE_OK(mapped);
    REQUIRE(*mapped == std::vector<Input>{inputs.at(next++)});
  });
  REQUIRE(next == inputs.size());
}

TEST_CASE("a row is declared unless it says otherwise", "[examples][bank]") {
  const auto mapped = MapBankRow(
      Value::Map({{"op", "open"}, {"account", "ada"}, {"amount", "12"}}));
  REQUIRE_OK(mapped);
  REQUIRE(mapped->front().event == OpenAccount(kDeclared, "ada", 12));
}

TEST_CASE("a bad row is refused by field", "[examples][bank]") {
  const Value good = Value::Map({{"op", "transfer"},
                                 {"account", "ada"},
                                 {"to", "ben"},
                                 {"amount", 5},
                                 {"variant", "events"}});
  REQUIRE_OK(MapBankRow(good));
  const std::string field =
      GENERATE(as<std::string>(), "op", "account", "to", "amount", "variant");
  CAPTURE(field);
  Value wrong = good;
  wrong.Set(field, Value::Array());
  const absl::Status status = MapBankRow(wrong).status();
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(std::string(status.message()).find("\"" + field + "\"") !=
          std::string::npos);
  if (field == "variant") return;
  Value missing = good;
  missing.Erase(field);
  REQUIRE(MapBankRow(missing).status().message() ==
          "field \"" + field + "\": missing");
}

TEST_CASE("an operation or variant that does not exist is refused",
          "[examples][bank]") {
  Value row = Value::Map({{"op", "close"}, {"account", "a"}, {"amount", 5}});
  REQUIRE(MapBankRow(row).status().message() ==
          "field \"op\": neither open nor transfer");
  row.Set("variant", "quick");
  REQUIRE(MapBankRow(row).status().message() ==
          "field \"variant\": neither declared, undeclared nor events: "
          "'quick'");
}

}  // namespace
}  // namespace reenact::examples
