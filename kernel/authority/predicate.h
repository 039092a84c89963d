// Conditions on what an effect is about, as grants and policies state them.

#ifndef REENACT_KERNEL_AUTHORITY_PREDICATE_H_
#define REENACT_KERNEL_AUTHORITY_PREDICATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact {

// What is known of an effect when it is judged. Views, for the length of a
// call.
struct EffectFacts {
  std::string_view kind;
  std::string_view capability;
  std::string_view reducer;  // the cell that wants it
  std::string_view key;
  const cbor::Value* params = nullptr;
  const Amounts* reserve = nullptr;
};

// One condition on one parameter.
//
//   {"path": "url", "host": ["api.example.com", "*.example.org"]}
//   {"path": "argv.0", "is": ["/usr/bin/cc"]}
struct Predicate {
  // Numbers are part of the format.
  enum class Test : std::uint8_t {
    kIs = 0,       // equal to one of `values`, which have no parts
    kPrefix = 1,   // text that begins with one of them
    kPathIn = 2,   // a plain path at or below one of them; IsPlainPath()
    kHost = 3,     // a plain URL whose host is one of them; ParsePlainUrl().
                   // "*.x" is every host below x. Ports count only if the value
                   // has one
    kAtMost = 4,   // an integer, not above the only value
    kAtLeast = 5,  // an integer, not below it
    kAbsent = 6,   // there is no such parameter; no values
  };
  static constexpr std::size_t kPathBytesMax = 256;
  static constexpr std::size_t kValuesMax = 1024;
  static constexpr std::size_t kValueBytesMax = 4096;  // of each, encoded

  // Members and indices from the parameters' root, with dots: "argv.0". Empty:
  // the parameters themselves.
  std::string path;
  Test test = Test::kIs;
  std::vector<cbor::Value> values;

  friend bool operator==(const Predicate&, const Predicate&) = default;
};

// Whether it holds. What is not there, or is of another type, never matches
// (but for kAbsent): so a condition is safe to allow by, while a rule that
// denies by one does not see what hides. O(size of the parameter and the
// values).
// REQUIRES: CheckPredicate() is OK.
bool Holds(const Predicate& predicate, const cbor::Value& params);

// OK, or InvalidArgument that says what makes no sense.
absl::Status CheckPredicate(const Predicate& predicate);

// [path, test, [values]]. Decode: the reader fails on what makes no sense.
void EncodePredicate(const Predicate& predicate, cbor::Encoder& encoder);
Predicate DecodePredicate(cbor::Reader& reader);

// As people write it: {"path": "url", "host": ["a.example", "*.b.example"]}.
// Beside "path" there is one of "is", "prefix", "path_in", "host" (a value or
// an array of them), "at_most", "at_least" (an integer), "absent" (true).
// InvalidArgument: what makes no sense; the message begins with the place if it
// is a member's: "host[1]: ...".
absl::StatusOr<Predicate> ParsePredicate(const cbor::Value& document);

// "url host api.example.com": for messages.
std::string ToString(const Predicate& predicate);

// Whether `text` is `pattern`, or `pattern` ends in "*" and `text` begins with
// what is before it.
bool MatchesPattern(std::string_view pattern, std::string_view text);
// Whether it is one of them, or there are none.
bool MatchesAny(const std::vector<std::string>& patterns,
                std::string_view text);
// OK, or InvalidArgument: more than kPatternBytesMax bytes, no UTF-8, or a "*"
// that is not the end.
inline constexpr std::size_t kPatternBytesMax = 256;
absl::Status CheckPattern(std::string_view pattern);

// A URL that no two parsers can take for two: http://HOST[:PORT][/...] or the
// same with https, of visible ASCII without a backslash, where HOST is a DNS
// name, four decimal numbers from 0 to 255, or an IPv6 address in brackets. No
// user, no empty or odd port, no encoded, numeric, mapped or absolute ("a.b.")
// host: all of that is a way to write one host and to reach another.
struct PlainUrl {
  std::string host;  // in lower case; IPv6 with brackets, as RFC 5952 has it
  std::uint16_t port = 0;  // what the scheme implies, if there is none
  bool secure = false;     // https

  friend bool operator==(const PlainUrl&, const PlainUrl&) = default;
};
// nullopt: it is not plain. An executor of URLs refuses those too, so that what
// it contacts is what was judged.
std::optional<PlainUrl> ParsePlainUrl(std::string_view url);

// Whether `path` is a path, absolute or not, without "..", ".", "//", a "/" at
// its end, or a NUL: text that names one place, as far as there are no links.
bool IsPlainPath(std::string_view path);

}  // namespace reenact

#endif  // REENACT_KERNEL_AUTHORITY_PREDICATE_H_
