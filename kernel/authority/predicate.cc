#include "reenact/kernel/authority/predicate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace reenact {
namespace {

using Test = Predicate::Test;

struct TestName {
  Test test;
  const char* member;  // in documents
  const char* words;   // in messages
};
constexpr TestName kTests[] = {
    {Test::kIs, "is", "is"},
    {Test::kPrefix, "prefix", "begins with"},
    {Test::kPathIn, "path_in", "path in"},
    {Test::kHost, "host", "host"},
    {Test::kAtMost, "at_most", "at most"},
    {Test::kAtLeast, "at_least", "at least"},
    {Test::kAbsent, "absent", "absent"},
};

const TestName& NameOf(Test test) {
  return kTests[static_cast<std::size_t>(test)];
}

absl::Status Refuse(std::string what) {
  return absl::InvalidArgumentError(what);
}

std::string Shown(std::string_view text) {
  constexpr std::size_t kShownMax = 100;
  if (!cbor::IsUtf8(text)) return "a text that is not UTF-8";
  std::string shown = cbor::Diagnose(cbor::EncodeText(text));
  return shown.size() <= kShownMax ? shown : "a long text";
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool IsLetterOrDigit(char c) {
  return IsDigit(c) || (Lower(c) >= 'a' && Lower(c) <= 'z');
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = Lower(c);
  return lower;
}

// Cuts off `text` what is before the first `separator`, and that.
std::string_view CutPart(std::string_view* text, char separator) {
  const std::size_t end = std::min(text->find(separator), text->size());
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return part;
}

// A decimal number from 0 to `max` without a leading zero.
std::optional<unsigned> ParseDecimal(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > max) return std::nullopt;
  return value;
}

// --- Hosts -------------------------------------------------------------------

bool IsDnsLabel(std::string_view label) {
  constexpr std::size_t kLabelBytesMax = 63;
  return !label.empty() && label.size() <= kLabelBytesMax &&
         label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) {
           return IsLetterOrDigit(c) || c == '-' || c == '_';
         });
}

// Whether some parser takes a host with this last label for an IPv4 address:
// "1", "0x7f".
bool IsNumeric(std::string_view label) {
  const bool hexadecimal =
      label.size() > 1 && label[0] == '0' && Lower(label[1]) == 'x';
  return hexadecimal || std::all_of(label.begin(), label.end(), IsDigit);
}

bool IsDnsName(std::string_view host) {
  constexpr std::size_t kNameBytesMax = 253;
  if (host.empty() || host.size() > kNameBytesMax || host.back() == '.') {
    return false;
  }
  std::string_view label;
  while (!host.empty()) {
    label = CutPart(&host, '.');
    if (!IsDnsLabel(label)) return false;
  }
  return !IsNumeric(label);
}

bool IsIpv4(std::string_view host) {
  if (host.empty() || host.back() == '.') return false;
  int count = 0;
  for (; !host.empty(); ++count) {
    if (!ParseDecimal(CutPart(&host, '.'), 255)) return false;
  }
  return count == 4;
}

using Ipv6 = std::array<std::uint16_t, 8>;

// Groups of hexadecimal digits with single colons, none or up to eight of them;
// nullopt if it is something else.
std::optional<std::vector<std::uint16_t>> ParseGroups(std::string_view text) {
  std::vector<std::uint16_t> groups;
  if (text.empty()) return groups;
  if (text.back() == ':') return std::nullopt;
  while (!text.empty()) {
    const std::string_view group = CutPart(&text, ':');
    std::uint16_t value = 0;
    const char* const end = group.data() + group.size();
    const auto [rest, error] = std::from_chars(group.data(), end, value, 16);
    if (group.size() > 4 || error != std::errc() || rest != end ||
        groups.size() == 8) {
      return std::nullopt;
    }
    groups.push_back(value);
  }
  return groups;
}

// Without brackets, a zone, or decimal numbers in it.
std::optional<Ipv6> ParseIpv6(std::string_view text) {
  const std::size_t gap = text.find("::");
  const auto head = ParseGroups(text.substr(0, gap));
  const auto tail = ParseGroups(gap == text.npos ? "" : text.substr(gap + 2));
  if (!head || !tail) return std::nullopt;
  const std::size_t count = head->size() + tail->size();
  if (gap == text.npos ? count != 8 : count > 7) return std::nullopt;
  Ipv6 address{};
  std::copy(head->begin(), head->end(), address.begin());
  std::copy_backward(tail->begin(), tail->end(), address.end());
  return address;
}

// Whether it stands for an IPv4 address: ::a.b.c.d, ::ffff:a.b.c.d, and
// 64:ff9b::a.b.c.d, which a gateway translates.
bool IsEmbeddedIpv4(const Ipv6& address) {
  const auto is_zero = [](std::uint16_t group) { return group == 0; };
  const bool five_zeros =
      std::all_of(address.begin(), address.begin() + 5, is_zero);
  if (five_zeros && address[5] == 0xffff) return true;
  if (five_zeros && address[5] == 0) return address[6] != 0 || address[7] > 1;
  return address[0] == 0x64 && address[1] == 0xff9b &&
         std::all_of(address.begin() + 2, address.begin() + 6, is_zero);
}

// RFC 5952: the first of the longest runs of zeros, if longer than one, is
// "::"; digits in lower case.
std::string ToString(const Ipv6& address) {
  std::size_t gap = 8, gap_size = 1;
  for (std::size_t begin = 0; begin < 8; ++begin) {
    std::size_t end = begin;
    while (end < 8 && address[end] == 0) ++end;
    if (end - begin > gap_size) {
      gap = begin;
      gap_size = end - begin;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == gap) {
      text += "::";
      i += gap_size - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    char digits[4];
    const auto end = std::to_chars(digits, digits + 4, address[i], 16).ptr;
    text.append(digits, end);
  }
  return text;
}

// As PlainUrl has it; nullopt if it is not plain.
std::optional<std::string> ParseHost(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const auto address = ParseIpv6(host.substr(1, host.size() - 2));
    if (!address || IsEmbeddedIpv4(*address)) return std::nullopt;
    return "[" + ToString(*address) + "]";
  }
  if (!IsIpv4(host) && !IsDnsName(host)) return std::nullopt;
  return Lower(host);
}

// "host", "host:port": cuts off the port. False: something of it is wrong.
bool CutPort(std::string_view* authority, std::optional<std::uint16_t>* port) {
  const std::size_t colon = authority->rfind(':');
  const std::size_t bracket = authority->rfind(']');
  if (colon == authority->npos ||
      (bracket != authority->npos && bracket > colon)) {
    return true;
  }
  const auto number = ParseDecimal(authority->substr(colon + 1), 0xffff);
  if (!number || *number == 0) return false;
  *port = static_cast<std::uint16_t>(*number);
  authority->remove_suffix(authority->size() - colon);
  return true;
}

// What a value of kHost says.
struct HostRule {
  bool below = false;  // "*.host"
  std::string host;
  std::optional<std::uint16_t> port;

  bool Matches(const PlainUrl& url) const {
    if (port && *port != url.port) return false;
    if (!below) return url.host == host;
    return url.host.size() > host.size() + 1 && url.host.ends_with(host) &&
           url.host[url.host.size() - host.size() - 1] == '.';
  }
};

std::optional<HostRule> ParseHostRule(std::string_view text) {
  HostRule rule;
  if (!CutPort(&text, &rule.port)) return std::nullopt;
  rule.below = text.substr(0, 2) == "*.";
  if (rule.below) {
    text.remove_prefix(2);
    if (!IsDnsName(text)) return std::nullopt;
  }
  auto host = ParseHost(text);
  if (!host) return std::nullopt;
  rule.host = *std::move(host);
  return rule;
}

// --- Parameters --------------------------------------------------------------

// The item of an array that `name` is the index of.
const cbor::Value* FindItem(const cbor::Value& array, std::string_view name) {
  const auto index = ParseDecimal(name, 99999);
  return index && *index < array.size() ? &array.items()[*index] : nullptr;
}

// Null: there is no such parameter.
const cbor::Value* FindParameter(const cbor::Value& params,
                                 std::string_view path) {
  const cbor::Value* value = &params;
  while (value != nullptr && !path.empty()) {
    const std::string_view name = CutPart(&path, '.');
    value = value->IsArray() ? FindItem(*value, name) : value->Find(name);
  }
  return value;
}

// An integer of CBOR's whole range; orders as the numbers do.
struct WholeNumber {
  bool negative = false;
  std::uint64_t magnitude = 0;  // -1 - n of a negative one

  bool IsAtMost(const WholeNumber& other) const {
    if (negative != other.negative) return negative;
    return negative ? magnitude >= other.magnitude
                    : magnitude <= other.magnitude;
  }
};

// REQUIRES: value.IsInteger()
WholeNumber ToWholeNumber(const cbor::Value& value) {
  const Bytes item = value.Encode();
  cbor::Reader reader(item);
  WholeNumber number;
  number.negative = reader.Peek() == cbor::Type::kNegative;
  number.magnitude = number.negative ? reader.Negative() : reader.Unsigned();
  return number;
}

bool IsAtMost(const cbor::Value& a, const cbor::Value& b) {
  return a.IsInteger() && b.IsInteger() &&
         ToWholeNumber(a).IsAtMost(ToWholeNumber(b));
}

bool IsPathIn(std::string_view path, std::string_view directory) {
  if (directory == "/") return path[0] == '/';
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// Calls `matches` for the values, which are texts, until one does.
template <typename Matches>
bool AnyText(const Predicate& predicate, Matches matches) {
  return std::any_of(predicate.values.begin(), predicate.values.end(),
                     [&](const cbor::Value& value) {
                       const auto text = value.AsText();
                       return text.ok() && matches(*text);
                     });
}

bool HoldsForText(const Predicate& predicate, std::string_view text) {
  if (predicate.test == Test::kPrefix) {
    return AnyText(predicate, [&](std::string_view value) {
      return text.starts_with(value);
    });
  }
  if (predicate.test == Test::kPathIn) {
    return IsPlainPath(text) && AnyText(predicate, [&](std::string_view value) {
             return IsPathIn(text, value);
           });
  }
  const auto url = ParsePlainUrl(text);
  return url && AnyText(predicate, [&](std::string_view value) {
           const auto rule = ParseHostRule(value);
           return rule && rule->Matches(*url);
         });
}

// --- What makes sense --------------------------------------------------------

absl::Status CheckText(Test test, std::string_view text) {
  if (test == Test::kPrefix && text.empty()) {
    return Refuse("an empty prefix, which everything begins with");
  }
  if (test == Test::kPathIn && text != "/" && !IsPlainPath(text)) {
    return Refuse(Shown(text) +
                  " should be a path without \"..\", \".\", \"//\" and a \"/\" "
                  "at its end");
  }
  if (test == Test::kHost && !ParseHostRule(text)) {
    return Refuse(Shown(text) +
                  " should be HOST, HOST:PORT, *.HOST or *.HOST:PORT, where "
                  "HOST is a DNS name; or an IPv4 address, or an IPv6 address "
                  "in brackets, with or without a port");
  }
  return absl::OkStatus();
}

bool HasParts(const cbor::Value& value) {
  return value.IsArray() || value.IsMap();
}

absl::Status CheckValue(Test test, const cbor::Value& value) {
  if (HasParts(value)) {
    return Refuse("should be one value, not " + std::string(value.TypeName()));
  }
  if (test == Test::kAtMost || test == Test::kAtLeast) {
    if (!value.IsInteger()) return Refuse("should be an integer");
  } else if (test != Test::kIs && !value.IsText()) {
    return Refuse("should be text");
  }
  if (value.IsText() && !cbor::IsUtf8(*value.AsText())) {
    return Refuse("should be UTF-8");
  }
  if (value.Encode().size() > Predicate::kValueBytesMax) {
    return Refuse("is larger than " +
                  std::to_string(Predicate::kValueBytesMax) + " bytes");
  }
  return value.IsText() ? CheckText(test, *value.AsText()) : absl::OkStatus();
}

absl::Status CheckPath(std::string_view path) {
  if (path.size() > Predicate::kPathBytesMax) {
    return Refuse("path: is larger than " +
                  std::to_string(Predicate::kPathBytesMax) + " bytes");
  }
  if (!cbor::IsUtf8(path)) return Refuse("path: should be UTF-8");
  const bool odd = path.starts_with('.') || path.ends_with('.') ||
                   path.find("..") != path.npos;
  if (odd) {
    return Refuse("path: " + Shown(path) +
                  " should be names or indices with single dots between them");
  }
  return absl::OkStatus();
}

absl::Status CheckCount(Test test, std::size_t count) {
  const bool one = test == Test::kAtMost || test == Test::kAtLeast;
  const std::size_t least = test == Test::kAbsent ? 0 : 1;
  const std::size_t most = one ? 1 : least * Predicate::kValuesMax;
  if (count >= least && count <= most) return absl::OkStatus();
  return Refuse(std::string(NameOf(test).member) + ": " +
                std::to_string(count) + " values, not from " +
                std::to_string(least) + " to " + std::to_string(most));
}

// --- Documents ---------------------------------------------------------------

const TestName* FindTest(std::string_view member) {
  const auto* const found =
      std::find_if(std::begin(kTests), std::end(kTests),
                   [&](const TestName& name) { return name.member == member; });
  return found == std::end(kTests) ? nullptr : found;
}

absl::Status SetTest(const TestName& name, const cbor::Value& value,
                     Predicate* predicate) {
  predicate->test = name.test;
  if (name.test == Test::kAbsent) {
    if (value == cbor::Value(true)) return absl::OkStatus();
    return Refuse("absent: should be true");
  }
  const bool list = value.IsArray() && name.test != Test::kAtMost &&
                    name.test != Test::kAtLeast;
  predicate->values = list ? value.items() : std::vector<cbor::Value>{value};
  return absl::OkStatus();
}

absl::Status SetMember(std::string_view member, const cbor::Value& value,
                       bool* has_test, Predicate* predicate) {
  if (member == "path") {
    if (!value.IsText()) return Refuse("path: should be text");
    predicate->path = std::string(*value.AsText());
    return absl::OkStatus();
  }
  const TestName* const name = FindTest(member);
  if (name == nullptr) {
    return Refuse("unknown member " + Shown(member) +
                  "; there are path, is, prefix, path_in, host, at_most, "
                  "at_least and absent");
  }
  if (*has_test) {
    return Refuse(std::string(NameOf(predicate->test).member) + " and " +
                  name->member + " in one condition; make it two");
  }
  *has_test = true;
  return SetTest(*name, value, predicate);
}

}  // namespace

bool IsPlainPath(std::string_view path) {
  if (path.find('\0') != path.npos) return false;
  if (path == "/") return true;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.empty() || path.back() == '/') return false;
  while (!path.empty()) {
    const std::string_view name = CutPart(&path, '/');
    if (name.empty() || name == "." || name == "..") return false;
  }
  return true;
}

std::optional<PlainUrl> ParsePlainUrl(std::string_view url) {
  const bool plain = std::all_of(url.begin(), url.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != '\\';
  });
  if (!plain) return std::nullopt;
  PlainUrl parsed;
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) return std::nullopt;
  const std::string name = Lower(url.substr(0, scheme));
  parsed.secure = name == "https";
  if (name != "http" && !parsed.secure) return std::nullopt;
  url.remove_prefix(scheme + 3);
  std::string_view authority = CutPart(&url, '/');
  std::optional<std::uint16_t> port;
  if (!CutPort(&authority, &port)) return std::nullopt;
  auto host = ParseHost(authority);
  if (!host) return std::nullopt;
  parsed.host = *std::move(host);
  parsed.port = port.value_or(parsed.secure ? 443 : 80);
  return parsed;
}

bool Holds(const Predicate& predicate, const cbor::Value& params) {
  const cbor::Value* const value = FindParameter(params, predicate.path);
  if (value == nullptr) return predicate.test == Test::kAbsent;
  switch (predicate.test) {
    case Test::kIs:
      return std::find(predicate.values.begin(), predicate.values.end(),
                       *value) != predicate.values.end();
    case Test::kPrefix:
    case Test::kPathIn:
    case Test::kHost:
      return value->IsText() && HoldsForText(predicate, *value->AsText());
    case Test::kAtMost:
      return IsAtMost(*value, predicate.values.front());
    case Test::kAtLeast:
      return IsAtMost(predicate.values.front(), *value);
    case Test::kAbsent:
      return false;
  }
  return false;
}

absl::Status CheckPredicate(const Predicate& predicate) {
  REENACT_RETURN_IF_ERROR(CheckPath(predicate.path));
  REENACT_RETURN_IF_ERROR(CheckCount(predicate.test, predicate.values.size()));
  for (std::size_t i = 0; i < predicate.values.size(); ++i) {
    const absl::Status status = CheckValue(predicate.test, predicate.values[i]);
    if (status.ok()) continue;
    const std::string place = NameOf(predicate.test).member;
    const bool list = predicate.values.size() > 1;
    return Annotate(status,
                    list ? place + "[" + std::to_string(i) + "]" : place);
  }
  return absl::OkStatus();
}

void EncodePredicate(const Predicate& predicate, cbor::Encoder& encoder) {
  encoder.Array(3);
  encoder.Text(predicate.path);
  encoder.Unsigned(static_cast<std::uint64_t>(predicate.test));
  encoder.Array(predicate.values.size());
  for (const cbor::Value& value : predicate.values) {
    encoder.Raw(value.Encode());
  }
}

Predicate DecodePredicate(cbor::Reader& reader) {
  Predicate predicate;
  reader.ExpectArray(3);
  predicate.path = reader.Text();
  const std::uint64_t test = reader.Unsigned();
  if (test >= std::size(kTests)) {
    reader.Fail("a test that does not exist");
    return {};
  }
  predicate.test = static_cast<Test>(test);
  const std::uint64_t count = reader.Array();
  if (count > Predicate::kValuesMax) reader.Fail("too many values");
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const auto value = cbor::Value::Parse(reader.Item());
    if (value.ok()) predicate.values.push_back(*value);
  }
  if (!reader.ok()) return {};
  const absl::Status status = CheckPredicate(predicate);
  if (status.ok()) return predicate;
  reader.Fail(ToStd(status.message()));
  return {};
}

absl::StatusOr<Predicate> ParsePredicate(const cbor::Value& document) {
  if (!document.IsMap()) {
    return Refuse(
        "should be a map like {\"path\": \"url\", \"host\": "
        "\"example.com\"}, not " +
        std::string(document.TypeName()));
  }
  Predicate predicate;
  bool has_test = false;
  for (const auto& [member, value] : document.pairs()) {
    if (!member.IsText()) return Refuse("a member's name should be text");
    REENACT_RETURN_IF_ERROR(
        SetMember(*member.AsText(), value, &has_test, &predicate));
  }
  if (document.Find("path") == nullptr) return Refuse("has no path");
  if (!has_test) {
    return Refuse(
        "has no test; add is, prefix, path_in, host, at_most, "
        "at_least or absent");
  }
  REENACT_RETURN_IF_ERROR(CheckPredicate(predicate));
  return predicate;
}

std::string ToString(const Predicate& predicate) {
  std::string text = predicate.path.empty() ? "params" : predicate.path;
  text += " ";
  text += NameOf(predicate.test).words;
  const char* separator = " ";
  for (const cbor::Value& value : predicate.values) {
    text += separator;
    // Hosts need no quotes: CheckPredicate() has seen them.
    text += predicate.test == Test::kHost ? std::string(*value.AsText())
                                          : cbor::Diagnose(value.Encode());
    separator = " or ";
  }
  return text;
}

bool MatchesPattern(std::string_view pattern, std::string_view text) {
  if (pattern.ends_with('*')) {
    pattern.remove_suffix(1);
    return text.starts_with(pattern);
  }
  return text == pattern;
}

bool MatchesAny(const std::vector<std::string>& patterns,
                std::string_view text) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(),
                                         [&](const std::string& pattern) {
                                           return MatchesPattern(pattern, text);
                                         });
}

absl::Status CheckPattern(std::string_view pattern) {
  if (pattern.size() > kPatternBytesMax) {
    return Refuse("a pattern of more than " + std::to_string(kPatternBytesMax) +
                  " bytes");
  }
  if (!cbor::IsUtf8(pattern)) return Refuse("a pattern that is not UTF-8");
  const std::size_t star = pattern.find('*');
  if (star != pattern.npos && star + 1 != pattern.size()) {
    return Refuse(Shown(pattern) + " has a \"*\" that is not its end");
  }
  return absl::OkStatus();
}

}  // namespace reenact
