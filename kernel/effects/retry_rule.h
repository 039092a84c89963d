// How often, and for how long, an effect is tried again.

#ifndef REENACT_KERNEL_EFFECTS_RETRY_RULE_H_
#define REENACT_KERNEL_EFFECTS_RETRY_RULE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "reenact/kernel/cbor/cbor.h"

namespace reenact {

// What an intent or a policy says about attempts. What it does not say,
// somebody else does: the policy for an intent, for both whoever carries out
// the effect. Times are the machine's, in milliseconds: attempts are outside of
// history. spec/executors.md has what each of them does.
struct RetryRule {
  static constexpr std::uint64_t kAttemptsMax = 1'000'000;
  static constexpr std::uint64_t kMsMax =
      std::uint64_t{365} * 24 * 60 * 60 * 1000;

  std::optional<std::uint64_t> attempts{};    // in all; 1: no other
  std::optional<std::uint64_t> first_ms{};    // the first wait, at most
  std::optional<std::uint64_t> longest_ms{};  // any wait, at most
  std::optional<std::uint64_t> for_ms{};      // all attempts and waits

  bool empty() const { return *this == RetryRule(); }
  // 1 to kAttemptsMax attempts, times of at most kMsMax, all attempts not 0.
  bool IsValid() const;
  // What it does not say is as `other` has it.
  RetryRule Or(const RetryRule& other) const;
  // "at most 5 attempts, at first within 100 ms, later within 30000 ms, for
  // 300000 ms in all", as far as it says anything.
  std::string ToString() const;

  // A CBOR map {0: attempts, 1: first_ms, 2: longest_ms, 3: for_ms} of what it
  // says. REQUIRES: not empty().
  void Encode(cbor::Encoder& encoder) const;
  // The reader fails on what Encode() does not write, or is not valid.
  static RetryRule Decode(cbor::Reader& reader);

  friend bool operator==(const RetryRule&, const RetryRule&) = default;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_EFFECTS_RETRY_RULE_H_
