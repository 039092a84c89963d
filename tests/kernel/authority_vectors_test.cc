// spec/vectors/authority: bytes that another implementation would write, too.
// They were written down with Python's cbor2 and fractions.

#include <catch2/catch.hpp>
#include <sstream>
#include <string>

#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/authority/policy.h"
#include "tests/journal/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

Amounts DecodeAmounts(const std::string& hex) {
  const Bytes bytes = Unhex(hex);
  cbor::Reader reader(bytes);
  const Amounts amounts = Amounts::Decode(reader);
  reader.ExpectEnd();
  REQUIRE_OK(reader.status());
  return amounts;
}

GrantChange DecodeChange(const std::string& hex) {
  const Bytes bytes = Unhex(hex);
  cbor::Reader reader(bytes);
  const GrantChange change = DecodeGrantChange(reader);
  reader.ExpectEnd();
  REQUIRE_OK(reader.status());
  return change;
}

template <typename T>
std::string HexOf(const T& value) {
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  value.Encode(encoder);
  return ToHex(bytes);
}

TEST_CASE("the vectors of changes of grants are what we write",
          "[kernel][grants]") {
  const auto vectors = ReadVectors("authority/changes.txt");
  REQUIRE(vectors.size() >= 7);
  for (const Stanza& vector : vectors) {
    INFO(vector.at("what"));
    const GrantChange change = DecodeChange(vector.at("hex"));
    REQUIRE_OK(CheckGrantChange(change));
    Bytes bytes;
    cbor::Encoder encoder(&bytes);
    EncodeGrantChange(change, encoder);
    CHECK(ToHex(bytes) == vector.at("hex"));
    CHECK(cbor::Diagnose(bytes) == vector.at("diag"));
  }
}

TEST_CASE("the vectors of what is no change of grants are refused",
          "[kernel][grants]") {
  const auto vectors = ReadVectors("authority/refused.txt");
  REQUIRE(vectors.size() >= 15);
  for (const Stanza& vector : vectors) {
    INFO(vector.at("what"));
    const Bytes bytes = Unhex(vector.at("hex"));
    cbor::Reader reader(bytes);
    DecodeGrantChange(reader);
    CHECK(absl::IsInvalidArgument(reader.status()));
  }
}

TEST_CASE("the history of grants in the vectors is what ours comes to",
          "[kernel][grants]") {
  Grants grants;
  const auto vectors = ReadVectors("authority/grants.txt");
  REQUIRE(vectors.size() >= 8);
  for (const Stanza& vector : vectors) {
    INFO(vector.at("what"));
    if (vector.contains("change")) {
      REQUIRE_OK(grants.Apply(DecodeChange(vector.at("change"))));
    } else if (vector.contains("usage")) {
      const Amounts beyond =
          grants.Settle(vector.at("grant"), DecodeAmounts(vector.at("amounts")),
                        DecodeAmounts(vector.at("usage")));
      CHECK(HexOf(beyond) == vector.at("beyond"));
    } else {
      grants.Reserve(vector.at("grant"), DecodeAmounts(vector.at("amounts")));
    }
    REQUIRE_OK(grants.CheckConservation());
    CHECK(HexOf(grants) == vector.at("books"));
    CHECK(cbor::Diagnose(Unhex(vector.at("books"))) == vector.at("diag"));
    const Bytes bytes = Unhex(vector.at("books"));
    cbor::Reader reader(bytes);
    CHECK(Grants::Decode(reader) == grants);
  }
}

// The times at which an effect passes, and the rates in the end.
std::string Passes(const Policy& policy, const std::string& times,
                   Rates* rates) {
  std::istringstream list(times);
  std::string passes;
  for (std::int64_t time; list >> time;) {
    EffectFacts facts;
    facts.kind = "http.request";
    const auto decision = policy.Decide(facts, LogicalTime{time}, *rates);
    if (decision.verdict == Policy::Verdict::kDeny) continue;
    policy.Take(decision, LogicalTime{time}, rates);
    passes += (passes.empty() ? "" : " ") + std::to_string(time);
  }
  return passes;
}

TEST_CASE("the vectors of policies have our digests, and our rates",
          "[kernel][policy]") {
  const auto vectors = ReadVectors("authority/policies.txt");
  REQUIRE(vectors.size() >= 7);
  for (const Stanza& vector : vectors) {
    INFO(vector.at("what"));
    const auto document = cbor::Value::Parse(Unhex(vector.at("hex")));
    REQUIRE_OK(document);
    const auto policy = Policy::Parse(*document);
    REQUIRE_OK(policy);
    CHECK(ToHex(policy->content()) == vector.at("hex"));
    CHECK(policy->digest().ToHex() == vector.at("digest"));
    CHECK(cbor::Diagnose(policy->content()) == vector.at("diag"));
    if (!vector.contains("times")) continue;
    Rates rates;
    CHECK(Passes(*policy, vector.at("times"), &rates) == vector.at("passes"));
    CHECK(HexOf(rates) == vector.at("rates"));
  }
}

}  // namespace
}  // namespace reenact
