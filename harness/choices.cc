#include "reenact/harness/choices.h"

#include "reenact/base/check.h"

namespace reenact::harness {

namespace {

// RFC 4648's base 32, in lower case: no letter looks like a digit that is used,
// and a double click takes all of it.
constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";

// LEB128.
void PutVarint(std::uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

bool TakeVarint(std::string_view* in, std::uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && !in->empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(in->front());
    in->remove_prefix(1);
    *value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

std::string ToBase32(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<std::uint8_t>(byte);
    for (count += 8; count >= 5; count -= 5) {
      text.push_back(kDigits[bits >> (count - 5) & 31]);
    }
  }
  if (count > 0) text.push_back(kDigits[bits << (5 - count) & 31]);
  return text;
}

bool FromBase32(std::string_view text, std::string* bytes) {
  std::uint32_t bits = 0;
  int count = 0;
  for (const char digit : text) {
    const std::size_t value = kDigits.find(digit);
    if (value == kDigits.npos) return false;
    bits = bits << 5 | static_cast<std::uint32_t>(value);
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes->push_back(static_cast<char>(bits >> count & 0xff));
  }
  return count < 5;
}

// FNV-1a, which is good enough to tell a mistyped string or another program.
constexpr std::uint32_t kHashStart = 2166136261U;
std::uint32_t HashOn(std::uint32_t hash, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) {
    hash = (hash ^ (value >> (8 * i) & 0xff)) * 16777619U;
  }
  return hash;
}

std::uint32_t HashOfBytes(std::string_view bytes) {
  std::uint32_t hash = kHashStart;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<std::uint8_t>(byte)) * 16777619U;
  }
  return hash;
}

}  // namespace

std::uint32_t SiteHash(std::string_view site) { return HashOfBytes(site); }

std::uint32_t CheckOf(const ChoiceLog& log) {
  std::uint32_t hash = kHashStart;
  for (const Choice& choice : log) {
    hash = HashOn(HashOn(hash, choice.bound), choice.site);
  }
  return hash;
}

Script ScriptOf(const ChoiceLog& log) {
  Script script;
  for (const Choice& choice : log) script.values.push_back(choice.value);
  script.check = CheckOf(log);
  script.length = log.size();
  return script;
}

std::string EncodeLog(const ChoiceLog& log) {
  return EncodeScript(ScriptOf(log));
}

std::string EncodeScript(const Script& script) {
  std::string bytes;
  PutVarint(script.length, &bytes);
  PutVarint(script.check.value_or(0), &bytes);
  std::uint64_t zeros = 0;
  for (const std::uint32_t value : script.values) {
    if (value == 0) {
      ++zeros;
      continue;
    }
    PutVarint(zeros, &bytes);
    PutVarint(value, &bytes);
    zeros = 0;
  }
  PutVarint(HashOfBytes(bytes) & 0x3fff, &bytes);
  return ToBase32(bytes);
}

absl::StatusOr<Script> DecodeLog(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      "not a replay string: a part is missing or mistyped");
  std::string bytes;
  if (!FromBase32(text, &bytes)) return bad;
  std::string_view in = bytes;
  std::uint64_t check = 0;
  Script script;
  if (!TakeVarint(&in, &script.length) || !TakeVarint(&in, &check) ||
      script.length > (1U << 26)) {
    return bad;
  }
  script.check = static_cast<std::uint32_t>(check);
  std::uint64_t first = 0;
  for (;;) {
    const std::size_t before = bytes.size() - in.size();
    if (!TakeVarint(&in, &first)) return bad;
    if (in.empty()) {
      if (first != (HashOfBytes(bytes.substr(0, before)) & 0x3fff)) return bad;
      return script;
    }
    std::uint64_t value = 0;
    if (!TakeVarint(&in, &value) || value > ~std::uint32_t{0} ||
        first >= script.length - script.values.size()) {
      return bad;
    }
    script.values.insert(script.values.end(), first, 0);
    script.values.push_back(static_cast<std::uint32_t>(value));
  }
}

std::uint32_t Choices::Below(std::uint32_t bound, std::string_view site) {
  REENACT_CHECK(bound > 0);
  const auto value =
      follows() ? 0 : static_cast<std::uint32_t>(dice_.Below(bound));
  return Settle(value, bound, site);
}

bool Choices::OneIn(std::uint32_t one_in, std::string_view site) {
  const bool hit = !follows() && dice_.Below(one_in) == 0;
  return Settle(hit ? 1 : 0, 2, site) != 0;
}

std::uint32_t Choices::Settle(std::uint32_t value, std::uint32_t bound,
                              std::string_view site) {
  if (follows()) {
    const std::size_t at = log_.size();
    value = at < script_->values.size() ? script_->values[at] % bound : 0;
  }
  log_.push_back({value, bound, SiteHash(site)});
  if (mirror_ != nullptr) mirror_->Add(log_.back());
  return value;
}

absl::Status Choices::Drift() const {
  return script_ ? DriftOf(*script_, log_) : absl::OkStatus();
}

absl::Status DriftOf(const Script& script, const ChoiceLog& log) {
  if (!script.check) return absl::OkStatus();
  if (log.size() == script.length && CheckOf(log) == *script.check) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      "drift: this run drew " + std::to_string(log.size()) +
      " numbers and the recorded one " + std::to_string(script.length) +
      ", or for other reasons; the program, its module or its events have "
      "changed, so the replay proves nothing");
}

}  // namespace reenact::harness
