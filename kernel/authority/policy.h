// Rules about effects: who may, who may not, and who has to ask.

#ifndef REENACT_KERNEL_AUTHORITY_POLICY_H_
#define REENACT_KERNEL_AUTHORITY_POLICY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/authority/predicate.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/effects/retry_rule.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// How much of each rate rule is used up. A pure value beside the policy, since
// it changes with each effect; another policy begins with an empty one.
class Rates {
 public:
  struct Bucket {
    std::uint64_t tokens = 0;  // left when it was `time`
    // What had come back of the next token then, in parts of the rule's `per`:
    // it is kept, so that no time is lost however often tokens are taken.
    std::uint64_t fraction = 0;
    LogicalTime time;

    friend bool operator==(const Bucket&, const Bucket&) = default;
  };
  // By index of the rule. One that is not here is full.
  std::map<std::uint64_t, Bucket> buckets;

  // A CBOR map from index to [tokens, fraction, time]. Decode: the reader fails
  // on anything that Encode does not write.
  void Encode(cbor::Encoder& encoder) const;
  static Rates Decode(cbor::Reader& reader);

  friend bool operator==(const Rates&, const Rates&) = default;
};

// An ordered list of rules, with what else a world lays down about effects.
//
// The document is a map, read from a JSON file by `reenact policy`:
//
//   { "version": 1,
//     "rules": [
//       { "name": "no-metadata", "kind": "http.request",
//         "where": [{"path": "url", "host": ["169.254.169.254"]}],
//         "then": "deny" },
//       { "name": "slow", "kind": "http.*", "rate": {"count": 10, "per": 60} },
//       { "name": "dear", "reserve": {"cents": 500}, "then": "ask" },
//       { "name": "rest", "then": "allow" } ],
//     "executors": {
//       "ci": { "key": "<64 hex digits>", "kinds": ["process.run"] } },
//     "cache": { "http.request": { "ttl": 3600 } },
//     "cache_count": 1000,
//     "retry": { "http.request": { "attempts": 10, "first_ms": 200,
//                                  "longest_ms": 60000, "for_ms": 3600000 } } }
//
// The first rule that matches and has a `then` decides; a rate rule that
// matches denies if its bucket is empty, and else goes on to its own `then` or
// to the next rules. If none decides, "otherwise" does ("deny" unless the
// document says so); without a policy everything is allowed. spec/authority.md
// has the document's grammar.
//
// A bucket holds `count` tokens at most, and `count` of them come back evenly
// in each `per` of logical time. So in any time of length T no more than
// count + count * T / per effects pass.
//
// Thread safety: const calls may run together.
class Policy {
 public:
  enum class Verdict : std::uint8_t { kAllow = 0, kDeny = 1, kAsk = 2 };
  struct Decision {
    Verdict verdict = Verdict::kAllow;
    std::string rule;  // its name; "otherwise"; empty without a policy
    // Rate rules that it passed; they lose a token if the effect goes out.
    std::vector<std::uint64_t> rates;
  };
  // Someone who may answer. Only those listed have a key.
  struct Executor {
    std::optional<PublicKey> key;    // set: receipts must be signed with it
    std::vector<std::string> kinds;  // patterns; none: every kind

    friend bool operator==(const Executor&, const Executor&) = default;
  };
  using Executors = std::map<std::string, Executor, std::less<>>;  // by name

  static constexpr std::size_t kContentBytesMax = 1 << 20;
  static constexpr std::size_t kRulesMax = 1024;
  static constexpr std::size_t kWhereMax = 64;      // of a rule
  static constexpr std::size_t kPatternsMax = 256;  // of a member
  static constexpr std::size_t kExecutorsMax = 1024;
  static constexpr std::size_t kCacheMax = 1024;
  static constexpr std::size_t kRetriesMax = 1024;
  static constexpr std::int64_t kCacheCountMax = 65536;
  static constexpr std::size_t kNameBytesMax = 64;  // of rules and executors

  Policy() = default;  // none

  // InvalidArgument: what is wrong and where: "rules[2].where[0].host: ...".
  // REQUIRES: text is UTF-8 and depth at most kDepthMax, as Value::Parse() and
  // JSON have it.
  static absl::StatusOr<Policy> Parse(const cbor::Value& document);
  // The document as it was parsed, canonical; and its BLAKE2b-256. Empty and
  // zeros without a policy. Parse() of the content gives this policy.
  const Bytes& content() const { return content_; }
  const Digest& digest() const { return digest_; }
  bool none() const { return content_.empty(); }

  // O(rules that come before the one that decides).
  Decision Decide(const EffectFacts& facts, LogicalTime now,
                  const Rates& rates) const;
  // Takes a token from each bucket that `decision` names. One that is empty,
  // since time has passed between the two, stays empty.
  void Take(const Decision& decision, LogicalTime now, Rates* rates) const;

  // Null: not listed.
  const Executor* FindExecutor(std::string_view name) const;
  // Whose receipts count. Empty: everybody's do.
  const Executors& executors() const { return executors_; }
  // How long a receipt of this kind may answer for others, in logical time.
  std::optional<std::int64_t> CacheTtl(std::string_view kind) const;

  // How many such receipts are kept; nullopt: it does not say.
  std::optional<std::int64_t> cache_count() const { return cache_count_; }

  // What it says about attempts at effects of this kind; empty: nothing.
  RetryRule RetryOf(std::string_view kind) const;
  bool has_retries() const { return !retries_.empty(); }

  // Every rule in words, in order, a line each. With `facts`: and what each
  // makes of them. Without: then executors and cache, too. What `reenact policy
  // explain` and `check` print.
  std::string Explain(const EffectFacts* facts, LogicalTime now,
                      const Rates& rates) const;

 private:
  // Patterns: none matches everything.
  struct Rule {
    std::string name;
    std::vector<std::string> kinds;
    std::vector<std::string> capabilities;
    std::vector<std::string> reducers;
    std::vector<std::string> keys;
    std::vector<Predicate> where;
    // Matches if as much or more of any of its dimensions is asked for.
    Amounts reserve;
    std::optional<Verdict> then;
    std::uint64_t rate_count = 0;  // tokens a full bucket has; 0: no rate
    std::int64_t rate_per = 0;     // logical time in which as many come back
  };
  // Reads a document; policy.cc.
  class Parser;

  static bool Matches(const Rule& rule, const EffectFacts& facts);
  // What is in the bucket of `rules_[index]` now.
  Rates::Bucket BucketAt(std::uint64_t index, LogicalTime now,
                         const Rates& rates) const;
  static std::string InWords(const Rule& rule);
  std::string OthersInWords() const;

  Bytes content_;
  Digest digest_;
  std::vector<Rule> rules_;
  Verdict otherwise_ = Verdict::kDeny;  // of a policy
  Executors executors_;
  std::map<std::string, std::int64_t, std::less<>> cache_;
  std::optional<std::int64_t> cache_count_;
  std::map<std::string, RetryRule, std::less<>> retries_;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_AUTHORITY_POLICY_H_
