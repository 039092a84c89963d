#include "reenact/kernel/outcome.h"

#include <algorithm>
#include <limits>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using cbor::EncodeInteger;
using cbor::EncodeText;
using cbor::Value;
using Op = Update::Op;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Update Number(Op op, std::int64_t number, std::string field = "") {
  Update update;
  update.op = op;
  update.number = number;
  update.field = std::move(field);
  return update;
}

Update Item(Op op, Value item, std::string field = "") {
  Update update;
  update.op = op;
  update.item = item.Encode();
  update.field = std::move(field);
  return update;
}

// The state after `update`, shown; "" stands for an absent cell.
std::string After(const Bytes& state, const Update& update) {
  std::optional<BytesView> before;
  if (!state.empty()) before = state;
  const auto after = ApplyUpdate(before, update);
  if (!after.ok()) return after.status().ToString();
  REQUIRE_OK(cbor::Validate(*after));
  return cbor::Diagnose(*after);
}

TEST_CASE("numbers are added, raised and lowered", "[kernel]") {
  REQUIRE(After(EncodeInteger(5), Number(Op::kAdd, -7)) == "-2");
  REQUIRE(After(EncodeInteger(5), Number(Op::kMax, 7)) == "7");
  REQUIRE(After(EncodeInteger(5), Number(Op::kMax, -7)) == "5");
  REQUIRE(After(EncodeInteger(5), Number(Op::kMin, -7)) == "-7");
  REQUIRE(After(EncodeInteger(5), Number(Op::kMin, 7)) == "5");
}

TEST_CASE("an absent cell counts as 0 when adding, else as not there",
          "[kernel]") {
  REQUIRE(After("", Number(Op::kAdd, -7)) == "-7");
  REQUIRE(After("", Number(Op::kMax, -7)) == "-7");
  REQUIRE(After("", Number(Op::kMin, 7)) == "7");
  REQUIRE(After("", Item(Op::kUnion, 1)) == "[1]");
  REQUIRE(After("", Item(Op::kAppend, 1)) == "[1]");
  REQUIRE(After("", Number(Op::kAdd, 3, "n")) == R"({"n": 3})");
  REQUIRE(After("", Item(Op::kUnion, "x", "set")) == R"({"set": ["x"]})");
}

TEST_CASE("a sum stops at its bounds and at int64_t's", "[kernel]") {
  Update bounded = Number(Op::kAdd, -3);
  bounded.low = 0;
  bounded.high = 10;
  REQUIRE(After(EncodeInteger(3), bounded) == "0");
  REQUIRE(After(EncodeInteger(2), bounded) ==
          "OUT_OF_RANGE: 2 + -3 is not from 0 to 10");
  REQUIRE(After("", bounded) == "OUT_OF_RANGE: 0 + -3 is not from 0 to 10");
  REQUIRE(After(EncodeInteger(14), bounded) ==
          "OUT_OF_RANGE: 14 + -3 is not from 0 to 10");
  REQUIRE(After(EncodeInteger(kMax - 1), Number(Op::kAdd, 1)) ==
          std::to_string(kMax));
  const Bytes extremes = EncodeInteger(kMax);
  REQUIRE(ApplyUpdate(extremes, Number(Op::kAdd, 1)).status().code() ==
          absl::StatusCode::kOutOfRange);
  const Bytes least = EncodeInteger(kMin);
  REQUIRE(ApplyUpdate(least, Number(Op::kAdd, -1)).status().code() ==
          absl::StatusCode::kOutOfRange);
}

TEST_CASE("a union stays sorted by bytes and holds nothing twice", "[kernel]") {
  Bytes state;
  for (const Value& item :
       std::initializer_list<Value>{"b", 300, "aa", -1, "a", 7, "b", 300, 7}) {
    const Bytes before = state;
    std::optional<BytesView> view;
    if (!before.empty()) view = before;
    state = ApplyUpdate(view, Item(Op::kUnion, item)).value();
  }
  REQUIRE(cbor::Diagnose(state) == R"([7, 300, -1, "a", "b", "aa"])");
}

TEST_CASE("a union comes out alike in whatever order it was made", "[kernel]") {
  std::vector<std::string> items = {"a", "b", "cc", "d"};
  do {
    Bytes state = Value::Array().Encode();
    for (const std::string& item : items) {
      state = ApplyUpdate(state, Item(Op::kUnion, item)).value();
    }
    REQUIRE(cbor::Diagnose(state) == R"(["a", "b", "d", "cc"])");
  } while (std::next_permutation(items.begin(), items.end()));
}

TEST_CASE("items are appended, past the sizes of an array's head", "[kernel]") {
  Bytes state;
  for (int i = 0; i < 300; ++i) {
    const Bytes before = state;
    std::optional<BytesView> view;
    if (!before.empty()) view = before;
    state = ApplyUpdate(view, Item(Op::kAppend, i)).value();
  }
  REQUIRE_OK(cbor::Validate(state));
  const Value value = Value::Parse(state).value();
  REQUIRE(value.size() == 300);
  for (int i = 0; i < 300; ++i) {
    REQUIRE(value.items()[static_cast<std::size_t>(i)] == Value(i));
  }
}

TEST_CASE("a field changes where it is, or goes where it belongs", "[kernel]") {
  const Bytes state =
      Value::Map({{"b", 1}, {"dd", Value::Array({"x"})}}).Encode();
  REQUIRE(After(state, Number(Op::kAdd, 1, "b")) == R"({"b": 2, "dd": ["x"]})");
  REQUIRE(After(state, Number(Op::kAdd, 1, "a")) ==
          R"({"a": 1, "b": 1, "dd": ["x"]})");
  REQUIRE(After(state, Number(Op::kMax, 1, "c")) ==
          R"({"b": 1, "c": 1, "dd": ["x"]})");
  REQUIRE(After(state, Number(Op::kMin, 1, "zz")) ==
          R"({"b": 1, "dd": ["x"], "zz": 1})");
  REQUIRE(After(state, Item(Op::kAppend, Value(), "dd")) ==
          R"({"b": 1, "dd": ["x", null]})");
  REQUIRE(After(Value::Map().Encode(), Number(Op::kAdd, 1, "a")) ==
          R"({"a": 1})");
}

TEST_CASE("a state of another type is told apart from a bound", "[kernel]") {
  const auto code = [](const Bytes& state, const Update& update) {
    return ApplyUpdate(state, update).status().code();
  };
  constexpr auto kMismatch = absl::StatusCode::kInvalidArgument;
  REQUIRE(code(EncodeText("5"), Number(Op::kAdd, 1)) == kMismatch);
  REQUIRE(code(Value(1.0).Encode(), Number(Op::kMax, 1)) == kMismatch);
  REQUIRE(code(Value(std::uint64_t{1} << 63).Encode(), Number(Op::kMin, 1)) ==
          kMismatch);
  REQUIRE(code(EncodeInteger(1), Item(Op::kUnion, 1)) == kMismatch);
  REQUIRE(code(Value::Map().Encode(), Item(Op::kAppend, 1)) == kMismatch);
  REQUIRE(code(EncodeInteger(1), Number(Op::kAdd, 1, "a")) == kMismatch);
  REQUIRE(code(Value::Map({{"a", "x"}}).Encode(), Number(Op::kAdd, 1, "a")) ==
          kMismatch);
  // An array that is no set.
  REQUIRE(code(Value::Array({2, 1}).Encode(), Item(Op::kUnion, 3)) ==
          kMismatch);
}

TEST_CASE("kinds and failures have names", "[kernel]") {
  REQUIRE(UnitKindName(UnitKind::kEvent) == "event");
  REQUIRE(UnitKindName(UnitKind::kDerived) == "derived");
  REQUIRE(UnitKindName(UnitKind::kTimer) == "timer");
  REQUIRE(UnitKindName(UnitKind::kControl) == "control");
  REQUIRE(FailureName(FailureCode{3}) == "invalid_argument");
  REQUIRE(FailureName(FailureCode{16}) == "unauthenticated");
  REQUIRE(FailureName(FailureCode::kException) == "exception");
  REQUIRE(FailureName(FailureCode::kRefusedByGate) == "refused_by_gate");
  REQUIRE(FailureName(FailureCode{0}) == "code 0");
  REQUIRE(FailureName(FailureCode{77}) == "code 77");
}

TEST_CASE("a reducer's name is 1 to 64 plain characters", "[kernel]") {
  REQUIRE(IsReducerName("bank.account-v2_x"));
  REQUIRE(IsReducerName(std::string(64, 'a')));
  REQUIRE_FALSE(IsReducerName(std::string(65, 'a')));
  REQUIRE_FALSE(IsReducerName(""));
  REQUIRE_FALSE(IsReducerName("a b"));
  REQUIRE_FALSE(IsReducerName("Zo\u00eb"));
  REQUIRE_FALSE(IsReducerName(std::string("a\0b", 3)));
}

}  // namespace
}  // namespace reenact
