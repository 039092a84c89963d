// The part of a URL that decides who is asked.

#ifndef REENACT_EXECUTORS_HTTP_URL_H_
#define REENACT_EXECUTORS_HTTP_URL_H_

#include <string>
#include <string_view>

#include "reenact/kernel/status.h"

namespace reenact {

// Scheme and authority, in lower case: two URLs with the same are of the same
// place.
struct HttpOrigin {
  std::string scheme;  // "http" or "https"
  std::string host;    // "example.com", "[::1]"
  std::string port;    // "443", also if it was not named

  friend bool operator==(const HttpOrigin&, const HttpOrigin&) = default;
};

// InvalidArgument: `url` is not an absolute URL of http or https, has a user or
// a password, or has characters that one program reads so and another so:
// blanks, control characters, backslashes, anything beyond ASCII; or there is a
// reference to a secret before the path, since what may be asked is decided by
// who looks at the URL without secrets. The message does not hold the URL.
absl::StatusOr<HttpOrigin> ParseHttpOrigin(std::string_view url);

}  // namespace reenact

#endif  // REENACT_EXECUTORS_HTTP_URL_H_
