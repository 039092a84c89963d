// Properties over values and bytes that nobody chose. A failure prints the seed
// with which RC_PARAMS repeats it.

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "tests/kernel/random_value.h"

namespace reenact::cbor {
namespace {

// The same cases in every run, unless the environment asks for others.
const int kParamsSet = setenv("RC_PARAMS", "seed=20101 max_success=2000", 0);

Value FromChoices(const std::vector<std::uint8_t>& bytes) {
  Choices choices(bytes);
  return RandomValue(choices);
}

TEST_CASE("what is encoded is canonical and decodes to itself", "[kernel]") {
  REQUIRE(kParamsSet == 0);
  REQUIRE(rc::check([](const std::vector<std::uint8_t>& choices) {
    const Value value = FromChoices(choices);
    const Bytes bytes = value.Encode();
    RC_ASSERT(Validate(bytes).ok());
    const auto back = Value::Parse(bytes);
    RC_ASSERT(back.ok());
    RC_ASSERT(*back == value);
    RC_ASSERT(back->Encode() == bytes);
  }));
}

TEST_CASE("two values are equal exactly if their bytes are", "[kernel]") {
  REQUIRE(rc::check([](const std::vector<std::uint8_t>& one,
                       const std::vector<std::uint8_t>& two) {
    const Value a = FromChoices(one);
    const Value b = FromChoices(two);
    RC_ASSERT((a == b) == (a.Encode() == b.Encode()));
  }));
}

TEST_CASE("any bytes are refused or are what the encoder writes", "[kernel]") {
  REQUIRE(rc::check([](const std::vector<std::uint8_t>& raw) {
    // In an allocation of its own, so that a sanitizer sees a byte too many.
    const std::unique_ptr<char[]> data(new char[raw.size()]);
    std::copy(raw.begin(), raw.end(), data.get());
    const BytesView bytes(data.get(), raw.size());
    const auto value = Value::Parse(bytes);
    RC_ASSERT(value.ok() == Validate(bytes).ok());
    if (value.ok()) RC_ASSERT(value->Encode() == bytes);
  }));
}

TEST_CASE("a changed byte is refused or makes another value", "[kernel]") {
  REQUIRE(rc::check([](const std::vector<std::uint8_t>& choices,
                       std::size_t place, std::uint8_t bits) {
    RC_PRE(bits != 0);
    const Value value = FromChoices(choices);
    Bytes bytes = value.Encode();
    char& byte = bytes[place % bytes.size()];
    byte = static_cast<char>(byte ^ bits);
    const auto changed = Value::Parse(bytes);
    if (!changed.ok()) return;
    RC_ASSERT_FALSE(*changed == value);
    RC_ASSERT(changed->Encode() == bytes);
  }));
}

}  // namespace
}  // namespace reenact::cbor
