#include "reenact/kernel/authority/policy.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/base/test_points.h"

namespace reenact {
namespace {

using cbor::Value;
using Verdict = Policy::Verdict;

// A product of 64 bits each.
__extension__ using Wide = unsigned __int128;

constexpr std::string_view kVerdicts[] = {"allow", "deny", "ask"};

std::string_view VerdictName(Verdict verdict) {
  return kVerdicts[static_cast<std::size_t>(verdict)];
}

absl::Status Refuse(std::string what) {
  return absl::InvalidArgumentError(what);
}

std::string Quoted(std::string_view text) {
  return cbor::Diagnose(cbor::EncodeText(text));
}

// Whether an error's message begins with a place: "name: ", "where[0].path: ".
bool BeginsWithPlace(std::string_view message) {
  const std::size_t end =
      message.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
  return end != message.npos && end > 0 &&
         std::string_view(":.[").find(message[end]) != std::string_view::npos;
}

// The same error at `member`, which may be an index in brackets.
absl::Status Within(std::string_view member, const absl::Status& status) {
  if (status.ok()) return status;
  const std::string_view message = ToStd(status.message());
  const char* const separator = message.starts_with('[')   ? ""
                                : BeginsWithPlace(message) ? "."
                                                           : ": ";
  return Refuse(std::string(member) + separator + std::string(message));
}

std::string At(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

absl::Status CheckCount(std::size_t count, std::size_t most) {
  if (count <= most) return absl::OkStatus();
  return Refuse(std::to_string(count) + ", at most " + std::to_string(most) +
                " can be");
}

absl::Status NotA(const char* what, const Value& value) {
  return Refuse(std::string("should be ") + what + ", not " +
                std::string(value.TypeName()));
}

absl::StatusOr<std::string> ParseName(std::string_view text) {
  if (!text.empty() && text.size() <= Policy::kNameBytesMax) {
    return std::string(text);
  }
  return Refuse("should be 1 to " + std::to_string(Policy::kNameBytesMax) +
                " bytes");
}

absl::StatusOr<std::string> ParseNameValue(const Value& value) {
  if (!value.IsText()) return NotA("text", value);
  return ParseName(*value.AsText());
}

absl::StatusOr<std::string> ParsePattern(const Value& value) {
  if (!value.IsText()) return NotA("text", value);
  const std::string_view text = *value.AsText();
  REENACT_RETURN_IF_ERROR(CheckPattern(text));
  return std::string(text);
}

// A pattern, or a list of them.
absl::StatusOr<std::vector<std::string>> ParsePatterns(const Value& value) {
  std::vector<std::string> patterns;
  if (!value.IsArray()) {
    REENACT_ASSIGN_OR_RETURN(std::string pattern, ParsePattern(value));
    patterns.push_back(std::move(pattern));
    return patterns;
  }
  if (value.size() == 0) return Refuse("an empty list, which matches nothing");
  REENACT_RETURN_IF_ERROR(CheckCount(value.size(), Policy::kPatternsMax));
  for (std::size_t i = 0; i < value.size(); ++i) {
    auto pattern = ParsePattern(value.items()[i]);
    REENACT_RETURN_IF_ERROR(Within(At("", i), pattern.status()));
    patterns.push_back(*std::move(pattern));
  }
  return patterns;
}

// From 1 to int64's greatest.
absl::StatusOr<std::int64_t> ParsePositive(const Value& value) {
  const auto number = value.AsInteger();
  if (number.ok() && *number > 0) return *number;
  return Refuse("should be a whole number from 1 to 2^63-1");
}

absl::StatusOr<std::uint64_t> ParseFrom(std::uint64_t low, std::uint64_t high,
                                        const Value& value) {
  const auto number = value.AsInteger();
  if (number.ok() && *number >= 0 &&
      static_cast<std::uint64_t>(*number) >= low &&
      static_cast<std::uint64_t>(*number) <= high) {
    return static_cast<std::uint64_t>(*number);
  }
  return Refuse("should be a whole number from " + std::to_string(low) +
                " to " + std::to_string(high));
}

absl::StatusOr<Verdict> ParseVerdict(const Value& value) {
  if (value.IsText()) {
    for (std::size_t i = 0; i < std::size(kVerdicts); ++i) {
      if (*value.AsText() == kVerdicts[i]) return static_cast<Verdict>(i);
    }
  }
  return Refuse("should be \"allow\", \"deny\" or \"ask\"");
}

absl::StatusOr<PublicKey> ParseKey(const Value& value) {
  if (!value.IsText()) return NotA("text", value);
  const auto bytes = FromHex(*value.AsText());
  PublicKey key;
  if (!bytes.ok() || bytes->size() != key.size() ||
      ToHex(*bytes) != *value.AsText()) {
    return Refuse(
        "should be a public key of Ed25519: 64 hexadecimal digits in "
        "lower case");
  }
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

// Whether as much or more of any dimension is asked for.
bool AsksFor(const Amounts& reserve, const Amounts* asked) {
  if (reserve.empty()) return true;
  return asked != nullptr &&
         std::any_of(reserve.items().begin(), reserve.items().end(),
                     [&](const Amounts::Item& item) {
                       return asked->Of(item.dimension) >= item.value;
                     });
}

// " where a or b", or nothing if everything matches.
std::string PatternWords(const char* before,
                         const std::vector<std::string>& patterns) {
  std::string words;
  for (const std::string& pattern : patterns) {
    words += words.empty() ? before : " or ";
    words += pattern.empty() ? "none" : Quoted(pattern);
  }
  return words;
}

}  // namespace

// --- Documents ---------------------------------------------------------------

// Each function reads one kind of map: it refuses members that it does not
// know, and the one above puts the place before its message.
class Policy::Parser {
 public:
  explicit Parser(Policy* policy) : policy_(*policy) {}

  absl::Status Parse(const Value& document) {
    REENACT_RETURN_IF_ERROR(
        Members(document,
                "version, rules, otherwise, executors, cache, cache_count and "
                "retry",
                [this](std::string_view member, const Value& value) {
                  return SetMember(member, value);
                }));
    if (document.Find("version") == nullptr) {
      return Refuse("version: is missing; add \"version\": 1");
    }
    return absl::OkStatus();
  }

 private:
  enum class Known { kYes, kNo };
  using Read = absl::StatusOr<Known>;

  // Calls `set` for each member; it says whether it knows it.
  template <typename Set>
  static absl::Status Members(const Value& map, const char* known, Set set) {
    if (!map.IsMap()) return NotA("a map", map);
    for (const auto& [key, value] : map.pairs()) {
      if (!key.IsText()) return Refuse("a member's name should be text");
      const std::string_view member = *key.AsText();
      const Read read = set(member, value);
      if (!read.ok()) return read.status();
      if (*read == Known::kYes) continue;
      return Refuse("unknown member " + Quoted(member.substr(0, 64)) +
                    "; there are " + known);
    }
    return absl::OkStatus();
  }

  // What was read goes to `target`; errors are at `member`.
  template <typename T, typename U>
  static Read Set(std::string_view member, absl::StatusOr<T> value, U* target) {
    if (!value.ok()) return Within(member, value.status());
    *target = *std::move(value);
    return Known::kYes;
  }
  static Read Done(std::string_view member, const absl::Status& status) {
    if (!status.ok()) return Within(member, status);
    return Known::kYes;
  }
  Read SetMember(std::string_view member, const Value& value) {
    if (member == "version") {
      const bool one = value == Value(1);
      return Done(member, one ? absl::OkStatus()
                              : Refuse("should be 1, the only one there is"));
    }
    if (member == "rules") return ParseRules(value);
    if (member == "otherwise") {
      return Set(member, ParseVerdict(value), &policy_.otherwise_);
    }
    if (member == "executors") return Done(member, ParseExecutors(value));
    if (member == "cache") return Done(member, ParseCache(value));
    if (member == "cache_count") return Done(member, ParseCacheCount(value));
    if (member == "retry") return Done(member, ParseRetries(value));
    return Known::kNo;
  }

  Read ParseRules(const Value& value) {
    if (!value.IsArray()) return Done("rules", NotA("a list", value));
    REENACT_RETURN_IF_ERROR(
        Within("rules", CheckCount(value.size(), kRulesMax)));
    std::set<std::string> names;
    for (std::size_t i = 0; i < value.size(); ++i) {
      Rule rule;
      absl::Status status = ParseRule(value.items()[i], &rule);
      if (status.ok() && !names.insert(rule.name).second) {
        status = Refuse("name: " + Quoted(rule.name) +
                        " is the name of another rule, too");
      }
      REENACT_RETURN_IF_ERROR(Within(At("rules", i), status));
      policy_.rules_.push_back(std::move(rule));
    }
    return Known::kYes;
  }

  static absl::Status ParseRule(const Value& document, Rule* rule) {
    REENACT_RETURN_IF_ERROR(Members(
        document,
        "name, kind, capability, reducer, key, where, reserve, rate and then",
        [rule](std::string_view member, const Value& value) {
          return SetRuleMember(member, value, rule);
        }));
    if (rule->name.empty()) return Refuse("has no name");
    if (!rule->then && rule->rate_count == 0) {
      return Refuse("decides nothing; add then, or rate");
    }
    if (rule->then == Verdict::kDeny && rule->rate_count > 0) {
      return Refuse("a rate for what is denied anyway");
    }
    return absl::OkStatus();
  }

  static Read SetRuleMember(std::string_view member, const Value& value,
                            Rule* rule) {
    if (member == "name") {
      return Set(member, ParseNameValue(value), &rule->name);
    }
    if (member == "kind")
      return Set(member, ParsePatterns(value), &rule->kinds);
    if (member == "capability") {
      return Set(member, ParsePatterns(value), &rule->capabilities);
    }
    if (member == "reducer") {
      return Set(member, ParsePatterns(value), &rule->reducers);
    }
    if (member == "key") return Set(member, ParsePatterns(value), &rule->keys);
    if (member == "where") return ParseWhere(value, &rule->where);
    if (member == "reserve") return ParseReserve(value, &rule->reserve);
    if (member == "rate") return Done(member, ParseRate(value, rule));
    if (member == "then") return Set(member, ParseVerdict(value), &rule->then);
    return Known::kNo;
  }

  static Read ParseWhere(const Value& value, std::vector<Predicate>* where) {
    if (!value.IsArray()) {
      return Done("where", NotA("a list of conditions", value));
    }
    REENACT_RETURN_IF_ERROR(
        Within("where", CheckCount(value.size(), kWhereMax)));
    for (std::size_t i = 0; i < value.size(); ++i) {
      auto predicate = ParsePredicate(value.items()[i]);
      REENACT_RETURN_IF_ERROR(Within(At("where", i), predicate.status()));
      where->push_back(*std::move(predicate));
    }
    return Known::kYes;
  }

  static Read ParseReserve(const Value& value, Amounts* reserve) {
    REENACT_RETURN_IF_ERROR(
        Set("reserve", ParseAmounts(value), reserve).status());
    if (reserve->empty()) {
      return Refuse("reserve: should name a dimension, with 1 or more of it");
    }
    return Known::kYes;
  }

  static absl::Status ParseRate(const Value& document, Rule* rule) {
    std::int64_t count = 0;
    REENACT_RETURN_IF_ERROR(
        Members(document, "count and per",
                [&](std::string_view member, const Value& value) -> Read {
                  if (member == "count") {
                    return Set(member, ParsePositive(value), &count);
                  }
                  if (member == "per") {
                    return Set(member, ParsePositive(value), &rule->rate_per);
                  }
                  return Known::kNo;
                }));
    if (count == 0) return Refuse("has no count");
    if (rule->rate_per == 0) return Refuse("has no per");
    rule->rate_count = static_cast<std::uint64_t>(count);
    return absl::OkStatus();
  }

  absl::Status ParseExecutors(const Value& document) {
    if (!document.IsMap()) return NotA("a map from names", document);
    REENACT_RETURN_IF_ERROR(CheckCount(document.size(), kExecutorsMax));
    for (const auto& [key, value] : document.pairs()) {
      REENACT_ASSIGN_OR_RETURN(std::string name, ParseNameValue(key));
      Executor executor;
      REENACT_RETURN_IF_ERROR(
          Within("[" + Quoted(name) + "]", ParseExecutor(value, &executor)));
      policy_.executors_.emplace(std::move(name), std::move(executor));
    }
    return absl::OkStatus();
  }

  static absl::Status ParseExecutor(const Value& document, Executor* executor) {
    return Members(document, "key and kinds",
                   [executor](std::string_view member, const Value& value) {
                     if (member == "key") {
                       return Set(member, ParseKey(value), &executor->key);
                     }
                     if (member == "kinds") {
                       return Set(member, ParsePatterns(value),
                                  &executor->kinds);
                     }
                     return Read(Known::kNo);
                   });
  }

  // Calls `set` for each kind and what is under it.
  template <typename Set>
  static absl::Status Kinds(const Value& document, std::size_t most, Set set) {
    if (!document.IsMap()) return NotA("a map from kinds", document);
    REENACT_RETURN_IF_ERROR(CheckCount(document.size(), most));
    for (const auto& [key, value] : document.pairs()) {
      REENACT_ASSIGN_OR_RETURN(const std::string kind, ParseNameValue(key));
      const std::string place = "[" + Quoted(kind) + "]";
      if (kind.find('*') != kind.npos) {
        return Refuse(place + ": should be one kind, without \"*\"");
      }
      REENACT_RETURN_IF_ERROR(Within(place, set(kind, value)));
    }
    return absl::OkStatus();
  }

  absl::Status ParseCache(const Value& document) {
    return Kinds(document, kCacheMax,
                 [this](const std::string& kind, const Value& value) {
                   return ParseCacheEntry(value, &policy_.cache_[kind]);
                 });
  }

  absl::Status ParseRetries(const Value& document) {
    return Kinds(document, kRetriesMax,
                 [this](const std::string& kind, const Value& value) {
                   return ParseRetry(value, &policy_.retries_[kind]);
                 });
  }

  static absl::Status ParseRetry(const Value& document, RetryRule* rule) {
    constexpr std::uint64_t kMs = RetryRule::kMsMax;
    REENACT_RETURN_IF_ERROR(Members(
        document, "attempts, first_ms, longest_ms and for_ms",
        [rule](std::string_view member, const Value& value) -> Read {
          if (member == "attempts") {
            return Set(member, ParseFrom(1, RetryRule::kAttemptsMax, value),
                       &rule->attempts);
          }
          if (member == "first_ms") {
            return Set(member, ParseFrom(0, kMs, value), &rule->first_ms);
          }
          if (member == "longest_ms") {
            return Set(member, ParseFrom(0, kMs, value), &rule->longest_ms);
          }
          if (member == "for_ms") {
            return Set(member, ParseFrom(1, kMs, value), &rule->for_ms);
          }
          return Known::kNo;
        }));
    return rule->empty() ? Refuse("says nothing") : absl::OkStatus();
  }

  static absl::Status ParseCacheEntry(const Value& document,
                                      std::int64_t* ttl) {
    REENACT_RETURN_IF_ERROR(
        Members(document, "ttl",
                [ttl](std::string_view member, const Value& value) -> Read {
                  if (member != "ttl") return Known::kNo;
                  return Set(member, ParsePositive(value), ttl);
                }));
    return *ttl > 0 ? absl::OkStatus() : Refuse("has no ttl");
  }

  absl::Status ParseCacheCount(const Value& value) {
    const auto count = value.AsInteger();
    if (!count.ok() || *count < 1 || *count > kCacheCountMax) {
      return Refuse("should be from 1 to " + std::to_string(kCacheCountMax));
    }
    policy_.cache_count_ = *count;
    return absl::OkStatus();
  }

  Policy& policy_;
};

absl::StatusOr<Policy> Policy::Parse(const Value& document) {
  Policy policy;
  REENACT_RETURN_IF_ERROR(Parser(&policy).Parse(document));
  policy.content_ = document.Encode();
  if (policy.content_.size() > kContentBytesMax) {
    return Refuse("a policy of " + std::to_string(policy.content_.size()) +
                  " bytes, at most " + std::to_string(kContentBytesMax) +
                  " can be");
  }
  policy.digest_ = Hash(policy.content_);
  return policy;
}

// --- Decisions ---------------------------------------------------------------

bool Policy::Matches(const Rule& rule, const EffectFacts& facts) {
  static const Value kNoParams;
  const Value& params = facts.params ? *facts.params : kNoParams;
  return MatchesAny(rule.kinds, facts.kind) &&
         MatchesAny(rule.capabilities, facts.capability) &&
         MatchesAny(rule.reducers, facts.reducer) &&
         MatchesAny(rule.keys, facts.key) &&
         AsksFor(rule.reserve, facts.reserve) &&
         std::all_of(rule.where.begin(), rule.where.end(),
                     [&](const Predicate& predicate) {
                       return Holds(predicate, params);
                     });
}

Rates::Bucket Policy::BucketAt(std::uint64_t index, LogicalTime now,
                               const Rates& rates) const {
  const Rule& rule = rules_[index];
  const auto found = rates.buckets.find(index);
  if (found == rates.buckets.end()) return {rule.rate_count, 0, now};
  Rates::Bucket bucket = found->second;
  if (now <= bucket.time) return bucket;
  // The distance of two of 64 bits with a sign has 64 without.
  const std::uint64_t elapsed = static_cast<std::uint64_t>(now.value) -
                                static_cast<std::uint64_t>(bucket.time.value);
  const auto per = static_cast<std::uint64_t>(rule.rate_per);
  const Wide back = Wide{elapsed} * rule.rate_count + bucket.fraction;
  const Wide tokens = bucket.tokens + back / per;
  if (tokens >= rule.rate_count) return {rule.rate_count, 0, now};
  return {static_cast<std::uint64_t>(tokens),
          static_cast<std::uint64_t>(back % per), now};
}

Policy::Decision Policy::Decide(const EffectFacts& facts, LogicalTime now,
                                const Rates& rates) const {
  Decision decision;
  if (none()) return decision;
  const auto decided = [&](Verdict verdict, std::string_view rule) {
    decision.verdict = verdict;
    decision.rule = std::string(rule);
    if (verdict == Verdict::kDeny) decision.rates.clear();
    return std::move(decision);
  };
  for (std::uint64_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    if (!Matches(rule, facts)) continue;
    if (rule.rate_count > 0) {
      if (BucketAt(i, now, rates).tokens == 0) {
        REENACT_PROBE("policy: a rate is used up");
        return decided(Verdict::kDeny, rule.name);
      }
      decision.rates.push_back(i);
    }
    if (rule.then) return decided(*rule.then, rule.name);
  }
  REENACT_PROBE("policy: no rule decides");
  return decided(otherwise_, "otherwise");
}

void Policy::Take(const Decision& decision, LogicalTime now,
                  Rates* rates) const {
  for (const std::uint64_t index : decision.rates) {
    REENACT_CHECK(index < rules_.size() && rules_[index].rate_count > 0);
    Rates::Bucket bucket = BucketAt(index, now, *rates);
    if (bucket.tokens > 0) --bucket.tokens;
    rates->buckets[index] = bucket;
  }
}

const Policy::Executor* Policy::FindExecutor(std::string_view name) const {
  const auto found = executors_.find(name);
  return found == executors_.end() ? nullptr : &found->second;
}

std::optional<std::int64_t> Policy::CacheTtl(std::string_view kind) const {
  const auto found = cache_.find(kind);
  if (found == cache_.end()) return std::nullopt;
  return found->second;
}

RetryRule Policy::RetryOf(std::string_view kind) const {
  const auto found = retries_.find(kind);
  return found == retries_.end() ? RetryRule() : found->second;
}

// --- In words ----------------------------------------------------------------

// "deny http.request where url host 169.254.169.254"
std::string Policy::InWords(const Rule& rule) {
  std::string words;
  if (rule.rate_count > 0) {
    words = "at most " + std::to_string(rule.rate_count) + " per " +
            std::to_string(rule.rate_per);
  }
  if (rule.then) {
    if (!words.empty()) words += ", then ";
    words += VerdictName(*rule.then);
  }
  words +=
      rule.kinds.empty() ? " everything" : PatternWords(" kind ", rule.kinds);
  words += PatternWords(" under ", rule.capabilities);
  words += PatternWords(" by reducer ", rule.reducers);
  words += PatternWords(" with key ", rule.keys);
  const char* separator = " where ";
  for (const Predicate& predicate : rule.where) {
    words += separator + ToString(predicate);
    separator = " and ";
  }
  separator = " that reserves ";
  for (const Amounts::Item& item : rule.reserve.items()) {
    words +=
        separator + std::to_string(item.value) + " or more " + item.dimension;
    separator = " or ";
  }
  return words;
}

std::string Policy::Explain(const EffectFacts* facts, LogicalTime now,
                            const Rates& rates) const {
  if (none()) return "no policy: everything is allowed\n";
  bool open = facts != nullptr;  // nothing has decided yet
  const auto mark = [&](std::uint64_t index) -> std::string {
    const Rule& rule = rules_[index];
    if (facts == nullptr) return "";
    if (!open) return "  (not asked)";
    if (!Matches(rule, *facts)) return "  (does not match)";
    std::string words = "  <-- ";
    if (rule.rate_count > 0) {
      const std::uint64_t left = BucketAt(index, now, rates).tokens;
      open = left > 0;
      if (!open) return words + "denies: no token is left";
      words += std::to_string(left) + " tokens left";
      if (!rule.then) return words + ", goes on";
      words += ", ";
    }
    open = false;
    return words + "decides: " + std::string(VerdictName(*rule.then));
  };
  std::string text;
  for (std::uint64_t i = 0; i < rules_.size(); ++i) {
    text += std::to_string(i) + " " + Quoted(rules_[i].name) + ": " +
            InWords(rules_[i]) + mark(i) + "\n";
  }
  text += "otherwise: " + std::string(VerdictName(otherwise_));
  if (facts == nullptr) return text + "\n" + OthersInWords();
  return text + (open ? "  <-- decides\n" : "  (not asked)\n");
}

std::string Policy::OthersInWords() const {
  std::string text;
  for (const auto& [name, executor] : executors_) {
    text += "executor " + Quoted(name) + " answers " +
            (executor.kinds.empty() ? "everything"
                                    : PatternWords("", executor.kinds));
    if (executor.key) {
      const auto* const key =
          reinterpret_cast<const char*>(executor.key->data());
      text += ", signed with " + ToHex(BytesView(key, executor.key->size()));
    }
    text += "\n";
  }
  for (const auto& [kind, ttl] : cache_) {
    text += "cache " + Quoted(kind) + " for " + std::to_string(ttl) + "\n";
  }
  if (cache_count_) {
    text += "cache " + std::to_string(*cache_count_) + " answers\n";
  }
  for (const auto& [kind, rule] : retries_) {
    text += "retry " + Quoted(kind) + ": " + rule.ToString() + "\n";
  }
  return text;
}

// --- Rates -------------------------------------------------------------------

void Rates::Encode(cbor::Encoder& encoder) const {
  encoder.Map(buckets.size());
  for (const auto& [index, bucket] : buckets) {
    encoder.Unsigned(index);
    encoder.Array(3);
    encoder.Unsigned(bucket.tokens);
    encoder.Unsigned(bucket.fraction);
    encoder.Integer(bucket.time.value);
  }
}

Rates Rates::Decode(cbor::Reader& reader) {
  Rates rates;
  const std::uint64_t size = reader.Map();
  if (size > Policy::kRulesMax) reader.Fail("too many buckets");
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    const std::uint64_t index = reader.Unsigned();
    if (index >= Policy::kRulesMax ||
        (!rates.buckets.empty() && index <= rates.buckets.rbegin()->first)) {
      reader.Fail("buckets out of order, or of no rule");
    }
    reader.ExpectArray(3);
    Bucket& bucket = rates.buckets[index];
    bucket.tokens = reader.Unsigned();
    bucket.fraction = reader.Unsigned();
    bucket.time = LogicalTime{reader.Integer()};
  }
  return reader.ok() ? rates : Rates();
}

}  // namespace reenact
