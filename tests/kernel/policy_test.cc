#include "reenact/kernel/authority/policy.h"

#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/hash.h"
#include "reenact/kernel/rng.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Catch::Contains;
using cbor::Value;
using nlohmann::json;
using Verdict = Policy::Verdict;

constexpr std::int64_t kLate = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kEarly = std::numeric_limits<std::int64_t>::min();

Value ToValue(const json& from) {
  if (from.is_boolean()) return from.get<bool>();
  if (from.is_number_unsigned()) return from.get<std::uint64_t>();
  if (from.is_number_integer()) return from.get<std::int64_t>();
  if (from.is_number()) return from.get<double>();
  if (from.is_string()) return from.get<std::string>();
  Value value = from.is_object() ? Value::Map() : Value::Array();
  for (const auto& [key, item] : from.items()) {
    if (from.is_object()) {
      value.Set(key, ToValue(item));
    } else {
      value.Append(ToValue(item));
    }
  }
  return from.is_null() ? Value() : value;
}

absl::StatusOr<Policy> TryParse(const std::string& text) {
  return Policy::Parse(ToValue(json::parse(text)));
}

Policy Parse(const std::string& text) {
  auto policy = TryParse(text);
  REQUIRE_OK(policy);
  return *std::move(policy);
}

// A document with one rule, and what it does otherwise.
Policy WithRule(const std::string& members) {
  return Parse(R"({"version": 1, "rules": [{"name": "it", )" + members + "}]}");
}

std::string WhyNot(const std::string& text) {
  const auto policy = TryParse(text);
  INFO(text);
  REQUIRE(absl::IsInvalidArgument(policy.status()));
  return std::string(policy.status().message());
}

// An effect; what a test does not say is as here.
struct Effect {
  std::string kind = "http.request";
  std::string capability = "crawler";
  std::string reducer = "spider";
  std::string key = "k1";
  Value params = Value::Map({{"url", "http://a.com/"}});
  Amounts reserve = {};

  EffectFacts facts() const {
    return {kind, capability, reducer, key, &params, &reserve};
  }
};

Verdict Judge(const Policy& policy, const Effect& effect = {},
              LogicalTime now = {}, const Rates& rates = {}) {
  return policy.Decide(effect.facts(), now, rates).verdict;
}

// Lets effects out as they come.
class Gate {
 public:
  explicit Gate(Policy policy) : policy_(std::move(policy)) {}

  bool Pass(std::int64_t now, const Effect& effect = {}) {
    const auto decision =
        policy_.Decide(effect.facts(), LogicalTime{now}, rates_);
    if (decision.verdict == Verdict::kDeny) return false;
    policy_.Take(decision, LogicalTime{now}, &rates_);
    return true;
  }
  // How many of `count` pass.
  int Pass(std::int64_t now, int count) {
    int passed = 0;
    for (int i = 0; i < count; ++i) passed += Pass(now);
    return passed;
  }
  const Rates& rates() const { return rates_; }

 private:
  Policy policy_;
  Rates rates_;
};

TEST_CASE("without a policy everything is allowed", "[kernel][policy]") {
  const Policy policy;
  CHECK(policy.none());
  CHECK(policy.content().empty());
  CHECK(policy.digest() == Digest());
  const auto decision = policy.Decide(Effect().facts(), {}, {});
  CHECK(decision.verdict == Verdict::kAllow);
  CHECK(decision.rule.empty());
  CHECK(policy.executors().empty());
}

TEST_CASE("a policy denies what no rule decides, unless it says otherwise",
          "[kernel][policy]") {
  CHECK(Judge(Parse(R"({"version": 1})")) == Verdict::kDeny);
  CHECK(Judge(Parse(R"({"version": 1, "otherwise": "allow"})")) ==
        Verdict::kAllow);
  CHECK(Judge(Parse(R"({"version": 1, "otherwise": "ask"})")) == Verdict::kAsk);
  CHECK(Parse(R"({"version": 1})").Decide(Effect().facts(), {}, {}).rule ==
        "otherwise");
}

TEST_CASE("the first rule that matches decides", "[kernel][policy]") {
  const Policy policy = Parse(R"({"version": 1, "rules": [
    {"name": "one", "kind": "blob.*", "then": "allow"},
    {"name": "two", "kind": "http.request", "then": "ask"},
    {"name": "three", "then": "deny"},
    {"name": "four", "then": "allow"}]})");
  const auto decide = [&](const char* kind) {
    Effect effect;
    effect.kind = kind;
    return policy.Decide(effect.facts(), {}, {});
  };
  CHECK(decide("blob.put").rule == "one");
  CHECK(decide("http.request").rule == "two");
  CHECK(decide("http.request").verdict == Verdict::kAsk);
  CHECK(decide("process.run").rule == "three");
}

TEST_CASE("a rule matches if all it says is so", "[kernel][policy]") {
  const auto matches = [](const char* members, const Effect& effect) {
    return Judge(WithRule(std::string(members) + R"(, "then": "allow")"),
                 effect) == Verdict::kAllow;
  };
  const Effect effect;
  CHECK(matches(R"("kind": "http.*")", effect));
  CHECK(matches(R"("kind": ["blob.put", "http.request"])", effect));
  CHECK_FALSE(matches(R"("kind": "http")", effect));
  CHECK(matches(R"("capability": "crawl*")", effect));
  CHECK_FALSE(matches(R"("capability": "")", effect));
  CHECK(matches(R"("reducer": "spider", "key": "k*")", effect));
  CHECK_FALSE(matches(R"("reducer": "spider", "key": "k2")", effect));
  CHECK(matches(R"("where": [{"path": "url", "host": "a.com"}])", effect));
  CHECK_FALSE(matches(R"("where": [{"path": "url", "host": "a.com"},
                                   {"path": "method", "is": "GET"}])",
                      effect));
  Effect free = effect;
  free.capability = "";
  CHECK(matches(R"("capability": "")", free));
}

TEST_CASE("a rule on what is reserved matches as much or more of any of it",
          "[kernel][policy]") {
  const Policy policy =
      WithRule(R"("reserve": {"cents": 500, "calls": 10}, "then": "ask")");
  const auto asks = [&](Amounts reserve) {
    Effect effect;
    effect.reserve = std::move(reserve);
    return Judge(policy, effect) == Verdict::kAsk;
  };
  CHECK_FALSE(asks({}));
  CHECK_FALSE(asks({{"cents", 499}, {"calls", 9}, {"bytes", 1000}}));
  CHECK(asks({{"cents", 500}}));
  CHECK(asks({{"calls", ~std::uint64_t{0}}}));
}

TEST_CASE("a bucket lets as many pass as it holds, then as many as come back",
          "[kernel][policy]") {
  Gate gate(Parse(R"({"version": 1, "otherwise": "allow", "rules": [
    {"name": "slow", "rate": {"count": 3, "per": 10}}]})"));
  CHECK(gate.Pass(100, 5) == 3);
  CHECK(gate.Pass(103, 5) == 0);  // 0.9 of a token
  CHECK(gate.Pass(104, 5) == 1);  // 1.2
  CHECK(gate.Pass(106, 5) == 0);  // 0.8
  CHECK(gate.Pass(107, 5) == 1);  // 1.1
  CHECK(gate.Pass(1000, 5) == 3);
}

TEST_CASE("a bucket that is asked often loses no time", "[kernel][policy]") {
  // 7 in 10 of time, asked at every moment: after 10,000 moments, all 7,000
  // have passed, and the 7 that were there to begin with.
  Gate gate(WithRule(R"("rate": {"count": 7, "per": 10}, "then": "allow")"));
  CHECK(gate.Pass(0, 10) == 7);
  int passed = 0;
  for (int now = 1; now <= 10'000; ++now) passed += gate.Pass(now, 2);
  CHECK(passed == 7'000);
}

TEST_CASE("a bucket never lets more pass than its rate, however it is asked",
          "[kernel][policy]") {
  // The time at which each of the last `count` passed.
  Rng rng(Seed{7});
  for (int round = 0; round < 200; ++round) {
    const std::int64_t count = 1 + static_cast<std::int64_t>(rng.Below(9));
    const std::int64_t per = 1 + static_cast<std::int64_t>(rng.Below(50));
    Gate gate(WithRule(R"("rate": {"count": )" + std::to_string(count) +
                       R"(, "per": )" + std::to_string(per) +
                       R"(}, "then": "allow")"));
    std::int64_t now = -1000;
    std::vector<std::int64_t> passed;
    for (int i = 0; i < 100; ++i) {
      now += static_cast<std::int64_t>(rng.Below(8));
      if (gate.Pass(now)) passed.push_back(now);
    }
    CAPTURE(count, per);
    bool within = true;
    for (std::size_t a = 0; a < passed.size(); ++a) {
      for (std::size_t b = a; b < passed.size(); ++b) {
        const auto in_between = static_cast<std::int64_t>(b - a) + 1;
        const std::int64_t length = passed[b] - passed[a];
        within = within && (in_between - count) * per <= count * length;
      }
    }
    REQUIRE(within);
  }
}

TEST_CASE("time may jump as far as it can", "[kernel][policy]") {
  const std::string greatest = std::to_string(kLate);
  for (const std::string& count : {std::string("1"), greatest}) {
    for (const std::string& per : {std::string("1"), greatest}) {
      CAPTURE(count, per);
      Gate gate(WithRule(R"("rate": {"count": )" + count + R"(, "per": )" +
                         per + R"(}, "then": "allow")"));
      CHECK(gate.Pass(kEarly));
      CHECK(gate.Pass(kLate));
      CHECK(gate.rates().buckets.at(0).time == LogicalTime{kLate});
    }
  }
  // One in all of time: half of it brings back half of it.
  Gate gate(WithRule(R"("rate": {"count": 1, "per": )" + greatest +
                     R"(}, "then": "allow")"));
  CHECK(gate.Pass(0));
  CHECK_FALSE(gate.Pass(kLate / 2));
  CHECK_FALSE(gate.Pass(kLate - 1));
  CHECK(gate.Pass(kLate));
}

TEST_CASE("time that stands still, or goes back, brings nothing",
          "[kernel][policy]") {
  Gate gate(WithRule(R"("rate": {"count": 1, "per": 10}, "then": "allow")"));
  CHECK(gate.Pass(100));
  CHECK_FALSE(gate.Pass(100));
  CHECK_FALSE(gate.Pass(-100));
  CHECK_FALSE(gate.Pass(109));
  CHECK(gate.Pass(110));
}

TEST_CASE("tokens are taken for what goes out only", "[kernel][policy]") {
  const Policy policy = Parse(R"({"version": 1, "rules": [
    {"name": "all", "rate": {"count": 1, "per": 10}},
    {"name": "http", "kind": "http.*", "rate": {"count": 5, "per": 10}},
    {"name": "blobs", "kind": "blob.*", "then": "deny"},
    {"name": "rest", "then": "allow"}]})");
  Effect blob;
  blob.kind = "blob.put";
  CHECK(policy.Decide(blob.facts(), {}, {}).rates.empty());
  const auto decision = policy.Decide(Effect().facts(), {}, {});
  CHECK(decision.rates == std::vector<std::uint64_t>{0, 1});
  Gate gate(policy);
  CHECK_FALSE(gate.Pass(0, blob));
  CHECK(gate.Pass(0));
  CHECK_FALSE(gate.Pass(0));
  CHECK(gate.rates().buckets.at(0).tokens == 0);
  CHECK(gate.rates().buckets.at(1).tokens == 4);
}

TEST_CASE("an empty bucket names its rule, and stays empty if taken from",
          "[kernel][policy]") {
  const Policy policy =
      WithRule(R"("rate": {"count": 1, "per": 10}, "then": "ask")");
  Rates rates;
  const auto decision = policy.Decide(Effect().facts(), {}, rates);
  CHECK(decision.verdict == Verdict::kAsk);
  policy.Take(decision, {}, &rates);
  const auto denied = policy.Decide(Effect().facts(), {}, rates);
  CHECK(denied.verdict == Verdict::kDeny);
  CHECK(denied.rule == "it");
  policy.Take(decision, {}, &rates);
  CHECK(rates.buckets.at(0).tokens == 0);
}

TEST_CASE("rates are read back as they were written", "[kernel][policy]") {
  Rates rates;
  rates.buckets[0] = {3, 7, LogicalTime{-5}};
  rates.buckets[24] = {~std::uint64_t{0}, 0, LogicalTime{kLate}};
  rates.buckets[300] = {0, 1, LogicalTime{kEarly}};
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  rates.Encode(encoder);
  REQUIRE_OK(cbor::Validate(bytes));
  cbor::Reader reader(bytes);
  CHECK(Rates::Decode(reader) == rates);
  CHECK(reader.AtEnd());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    cbor::Reader cut(BytesView(bytes).substr(0, size));
    Rates::Decode(cut);
    CHECK_FALSE(cut.ok());
  }
  for (const char* hex : {"a2018301000000"
                          "830000"
                          "00",
                          "a1190400830000"
                          "00",
                          "a20083000000"
                          "0083000000",
                          "a100820000"}) {
    INFO(hex);
    const Bytes bad = *FromHex(hex);
    cbor::Reader refused(bad);
    CHECK(Rates::Decode(refused).buckets.empty());
    CHECK_FALSE(refused.ok());
  }
}

TEST_CASE("executors and their keys, and how long receipts live",
          "[kernel][policy]") {
  const std::string key(64, 'a');
  const Policy policy = Parse(R"({"version": 1,
    "executors": {"ci": {"key": ")" +
                              key + R"(", "kinds": "process.run"},
                  "web": {}},
    "cache": {"http.request": {"ttl": 3600}},
    "retry": {"http.request": {"attempts": 9, "for_ms": 60000}}})");
  CHECK(policy.executors().size() == 2);
  const auto* const ci = policy.FindExecutor("ci");
  REQUIRE(ci != nullptr);
  REQUIRE(ci->key);
  CHECK(ci->key->front() == 0xaa);
  CHECK(ci->kinds == std::vector<std::string>{"process.run"});
  REQUIRE(policy.FindExecutor("web") != nullptr);
  CHECK_FALSE(policy.FindExecutor("web")->key);
  CHECK(policy.FindExecutor("nobody") == nullptr);
  CHECK_THAT(
      policy.Explain(nullptr, {}, {}),
      Contains("executor \"ci\" answers \"process.run\", signed with " + key +
               "\n" +
               "executor \"web\" answers everything\n"
               "cache \"http.request\" for 3600\n"
               "retry \"http.request\": at most 9 attempts, for 60000 ms "
               "in all\n"));
  CHECK(policy.CacheTtl("http.request") == 3600);
  CHECK_FALSE(policy.CacheTtl("http"));
}

TEST_CASE("a policy is known by its canonical content", "[kernel][policy]") {
  const Policy one = Parse(R"({"version": 1, "otherwise": "ask"})");
  const Policy other = Parse(R"( {"otherwise":"ask","version":1} )");
  CHECK(one.content() == other.content());
  CHECK(one.digest() == other.digest());
  CHECK(one.digest() == Hash(one.content()));
  CHECK_FALSE(one.digest() == Parse(R"({"version": 1})").digest());
  const auto document = Value::Parse(one.content());
  REQUIRE_OK(document);
  const auto again = Policy::Parse(*document);
  REQUIRE_OK(again);
  CHECK(again->digest() == one.digest());
  CHECK(Judge(*again) == Verdict::kAsk);
}

TEST_CASE("what is wrong with a policy is said with its place",
          "[kernel][policy]") {
  const auto rule = [](const std::string& members) {
    return R"({"version": 1, "rules": [{"name": "a", "then": "deny"}, {)" +
           members + "}]}";
  };
  const auto where = [&](const std::string& condition) {
    return rule(R"("name": "b", "then": "deny", "where": [{"path": "x",
                "is": 1}, )" +
                condition + "]");
  };
  std::string many = R"({"version": 1, "rules": [)";
  for (int i = 0; i < 1025; ++i) {
    many += R"({"name": "r)" + std::to_string(i) + R"(", "then": "deny"},)";
  }
  many.back() = ']';
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"[]", "should be a map, not array"},
      {"{}", "version: is missing"},
      {R"({"version": 2})", "version: should be 1"},
      {R"({"version": 1, "rule": []})", "unknown member \"rule\""},
      {R"({"version": 1, "otherwise": "maybe"})", "otherwise: should be"},
      {R"({"version": 1, "rules": {}})", "rules: should be a list"},
      {R"({"version": 1, "rules": [7]})", "rules[0]: should be a map"},
      {many + "}", "rules: 1025, at most 1024"},
      {rule(R"("then": "deny")"), "rules[1]: has no name"},
      {rule(R"("name": "", "then": "deny")"), "rules[1].name: should be"},
      {rule(R"("name": "a", "then": "deny")"), "rules[1].name: \"a\" is the"},
      {rule(R"("name": "b")"), "rules[1]: decides nothing"},
      {rule(R"("name": "b", "then": "no")"), "rules[1].then: should be"},
      {rule(R"("name": "b", "then": "deny", "kinds": "x")"),
       "rules[1]: unknown member \"kinds\""},
      {rule(R"("name": "b", "then": "deny", "kind": "a*b")"),
       "rules[1].kind: \"a*b\" has"},
      {rule(R"("name": "b", "then": "deny", "kind": ["a", 5])"),
       "rules[1].kind[1]: should be text"},
      {rule(R"("name": "b", "then": "deny", "kind": [])"),
       "rules[1].kind: an empty list"},
      {where(R"({"path": "x", "host": "http://a.com"})"),
       "rules[1].where[1].host: \"http://a.com\" should be"},
      {where(R"({"path": "x", "host": ["a.com", "*"]})"),
       "rules[1].where[1].host[1]: "},
      {where(R"({"path": "x"})"), "rules[1].where[1]: has no test"},
      {where(R"({"path": "..", "is": 1})"), "rules[1].where[1].path: "},
      {where("7"), "rules[1].where[1]: should be a map"},
      {rule(R"("name": "b", "then": "ask", "reserve": {"cents": -1})"),
       "rules[1].reserve: cents should be"},
      {rule(R"("name": "b", "then": "ask", "reserve": {"cents": 0})"),
       "rules[1].reserve: should name"},
      {rule(R"("name": "b", "rate": {"count": 1})"),
       "rules[1].rate: has no per"},
      {rule(R"("name": "b", "rate": {"per": 1})"),
       "rules[1].rate: has no count"},
      {rule(R"("name": "b", "rate": {"count": 0, "per": 1})"),
       "rules[1].rate.count: should be"},
      {rule(R"("name": "b", "rate": {"count": 1, "per": 1.5})"),
       "rules[1].rate.per: should be"},
      {rule(R"("name": "b", "rate": {"count": 9223372036854775808, "per": 1})"),
       "rules[1].rate.count: should be"},
      {rule(R"("name": "b", "then": "deny", "rate": {"count": 1, "per": 1})"),
       "rules[1]: a rate for what is denied"},
      {R"({"version": 1, "executors": {"": {}}})", "executors: should be 1 to"},
      {R"({"version": 1, "executors": {"a b": {"key": "AA"}}})",
       "executors[\"a b\"].key: should be a public key"},
      {R"({"version": 1, "executors": {"ci": {"kinds": [7]}}})",
       "executors[\"ci\"].kinds[0]: should be text"},
      {R"({"version": 1, "executors": {"ci": {"secret": "x"}}})",
       "executors[\"ci\"]: unknown member \"secret\""},
      {R"({"version": 1, "cache": {"http.*": {"ttl": 1}}})",
       "cache[\"http.*\"]: should be one kind"},
      {R"({"version": 1, "cache": {"k": {}}})", "cache[\"k\"]: has no ttl"},
      {R"({"version": 1, "retry": {"http.*": {"attempts": 1}}})",
       "retry[\"http.*\"]: should be one kind"},
      {R"({"version": 1, "retry": {"k": {}}})", "retry[\"k\"]: says nothing"},
      {R"({"version": 1, "retry": {"k": {"attempts": 0}}})",
       "retry[\"k\"].attempts: should be a whole number from 1 to 1000000"},
      {R"({"version": 1, "retry": {"k": {"for_ms": -1}}})",
       "retry[\"k\"].for_ms: should be a whole number from 1 to 31536000000"},
      {R"({"version": 1, "retry": {"k": {"first": 1}}})",
       "retry[\"k\"]: unknown member"},
      {R"({"version": 1, "cache": {"k": {"ttl": 0}}})",
       "cache[\"k\"].ttl: should be"},
  };
  for (const auto& [text, why] : wrong) {
    CHECK_THAT(WhyNot(text), Catch::StartsWith(why));
  }
}

TEST_CASE("a policy larger than a mebibyte is refused", "[kernel][policy]") {
  json rules = json::array();
  const json texts = std::vector<std::string>(60, std::string(4000, 'x'));
  for (int i = 0; i < 5; ++i) {
    rules.push_back({{"name", "r" + std::to_string(i)},
                     {"then", "deny"},
                     {"where", {{{"path", "x"}, {"is", texts}}}}});
  }
  const json document = {{"version", 1}, {"rules", rules}};
  CHECK_THAT(WhyNot(document.dump()), Contains("at most 1048576 can be"));
}

TEST_CASE("a policy explains itself, and what it makes of an effect",
          "[kernel][policy]") {
  const Policy policy = Parse(R"({"version": 1, "rules": [
    {"name": "no-metadata", "kind": "http.request", "then": "deny",
     "where": [{"path": "url", "host": ["169.254.169.254", "b.com"]},
               {"path": "body", "absent": true}]},
    {"name": "slow", "kind": "http.*", "rate": {"count": 10, "per": 60}},
    {"name": "dear", "reserve": {"cents": 500}, "capability": ["", "c*"],
     "reducer": "spider", "key": "k1", "then": "ask"},
    {"name": "rest", "then": "allow"}]})");
  CHECK(policy.Explain(nullptr, {}, {}) ==
        "0 \"no-metadata\": deny kind \"http.request\" where url host "
        "169.254.169.254 or b.com and body absent\n"
        "1 \"slow\": at most 10 per 60 kind \"http.*\"\n"
        "2 \"dear\": ask everything under none or \"c*\" by reducer \"spider\" "
        "with key \"k1\" that reserves 500 or more cents\n"
        "3 \"rest\": allow everything\n"
        "otherwise: deny\n");
  const Effect effect;
  const EffectFacts facts = effect.facts();
  CHECK_THAT(policy.Explain(&facts, {}, {}),
             Contains("b.com and body absent  (does not match)\n") &&
                 Contains("\"http.*\"  <-- 10 tokens left, goes on\n") &&
                 Contains("cents  (does not match)\n") &&
                 Contains("allow everything  <-- decides: allow\n") &&
                 Contains("otherwise: deny  (not asked)\n"));
  Rates rates;
  rates.buckets[1] = {0, 0, {}};
  CHECK_THAT(policy.Explain(&facts, {}, rates),
             Contains("<-- denies: no token is left\n") &&
                 Contains("cents  (not asked)\n"));
  CHECK(Policy().Explain(&facts, {}, {}) ==
        "no policy: everything is allowed\n");
  CHECK_THAT(Parse(R"({"version": 1})").Explain(&facts, {}, {}),
             Contains("otherwise: deny  <-- decides\n"));
}

}  // namespace
}  // namespace reenact
