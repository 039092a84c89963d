#include "reenact/kernel/effects/retry_rule.h"

#include <algorithm>
#include <array>

namespace reenact {
namespace {

using Part = std::optional<std::uint64_t> RetryRule::*;

// In the order of their keys.
constexpr std::array<Part, 4> kParts = {
    &RetryRule::attempts, &RetryRule::first_ms, &RetryRule::longest_ms,
    &RetryRule::for_ms};

}  // namespace

bool RetryRule::IsValid() const {
  return attempts.value_or(1) >= 1 && attempts.value_or(1) <= kAttemptsMax &&
         first_ms.value_or(0) <= kMsMax && longest_ms.value_or(0) <= kMsMax &&
         for_ms.value_or(1) >= 1 && for_ms.value_or(1) <= kMsMax;
}

RetryRule RetryRule::Or(const RetryRule& other) const {
  RetryRule rule = *this;
  for (const Part part : kParts) {
    if (!(rule.*part)) rule.*part = other.*part;
  }
  return rule;
}

std::string RetryRule::ToString() const {
  std::string text;
  const auto add = [&text](const std::optional<std::uint64_t>& value,
                           const char* before, const char* behind) {
    if (!value) return;
    if (!text.empty()) text += ", ";
    text += before + std::to_string(*value) + behind;
  };
  add(attempts, "at most ", " attempts");
  add(first_ms, "at first within ", " ms");
  add(longest_ms, "later within ", " ms");
  add(for_ms, "for ", " ms in all");
  return text;
}

void RetryRule::Encode(cbor::Encoder& encoder) const {
  encoder.Map(static_cast<std::uint64_t>(
      std::count_if(kParts.begin(), kParts.end(),
                    [this](Part part) { return (this->*part).has_value(); })));
  for (std::size_t key = 0; key < kParts.size(); ++key) {
    const std::optional<std::uint64_t>& value = this->*kParts[key];
    if (!value) continue;
    encoder.Unsigned(key);
    encoder.Unsigned(*value);
  }
}

RetryRule RetryRule::Decode(cbor::Reader& reader) {
  RetryRule rule;
  const std::uint64_t size = reader.Map();
  if (size == 0) reader.Fail("the retry rule is empty; omit the key");
  std::uint64_t next = 0;
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    const std::uint64_t key = reader.Unsigned();
    if (key < next || key >= kParts.size()) {
      reader.Fail("a retry rule has no such key there");
      break;
    }
    next = key + 1;
    rule.*kParts[key] = reader.Unsigned();
  }
  if (reader.ok() && !rule.IsValid()) {
    reader.Fail("a retry rule is out of range");
  }
  return reader.ok() ? rule : RetryRule();
}

}  // namespace reenact
