#include "reenact/executors/http_url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

namespace reenact {
namespace {

absl::Status Refuse(std::string_view what) {
  return absl::InvalidArgumentError(ToAbsl("the URL " + std::string(what)));
}

bool IsPlain(char c) { return c > 0x20 && c < 0x7f && c != '\\'; }

// Where the authority ends; the text begins with it.
std::size_t AuthorityEnd(std::string_view text) {
  return std::min(text.find_first_of("/?#"), text.size());
}

// What is wrong with what is no plain URL, for people.
absl::Status Explain(std::string_view url) {
  if (!std::all_of(url.begin(), url.end(), IsPlain)) {
    return Refuse(
        "has a blank, a control character, a backslash or something beyond "
        "ASCII in it; percent-encode that");
  }
  const std::size_t begin = url.find("://");
  if (begin == url.npos) return Refuse("must begin with http:// or https://");
  const std::string_view rest = url.substr(begin + 3);
  const std::string_view authority = rest.substr(0, AuthorityEnd(rest));
  if (authority.find('$') != authority.npos) {
    return Refuse("must not have a secret in front of the path");
  }
  if (authority.find('@') != authority.npos) {
    return Refuse("must not name a user; use a header");
  }
  if (authority.size() < rest.size() && rest[authority.size()] != '/') {
    return Refuse("must have a \"/\" between the host and what follows it");
  }
  return Refuse(
      "must begin with http:// or https:// and a plain host: a DNS name, four "
      "decimal numbers from 0 to 255, or an IPv6 address in brackets that is "
      "no IPv4 address, with or without a port");
}

struct Free {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};

// One part of a URL as libcurl has it; empty if there is none.
std::string Part(CURLU* url, CURLUPart part, const char* before = "") {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    return "";
  }
  const std::unique_ptr<char, Free> owner(text);
  return std::string(before) + text;
}

// Whether libcurl takes `url` for a URL of `place`, and asks for it as it is
// written.
bool LibcurlAgrees(const std::string& url, const PlainUrl& place) {
  const std::unique_ptr<CURLU, Free> read(curl_url());
  if (read == nullptr ||
      curl_url_set(read.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return false;
  }
  const std::string authority = Part(read.get(), CURLUPART_SCHEME) + "://" +
                                Part(read.get(), CURLUPART_HOST) +
                                Part(read.get(), CURLUPART_PORT, ":");
  if (ParsePlainUrl(authority) != place) return false;
  const std::string asked = Part(read.get(), CURLUPART_PATH) +
                            Part(read.get(), CURLUPART_QUERY, "?") +
                            Part(read.get(), CURLUPART_FRAGMENT, "#");
  const std::size_t begin = url.find("://") + 3;
  const std::string written =
      url.substr(begin + AuthorityEnd(std::string_view(url).substr(begin)));
  return asked == (written.empty() ? "/" : written);
}

}  // namespace

absl::StatusOr<PlainUrl> ParseHttpUrl(std::string_view url) {
  const std::optional<PlainUrl> place = ParsePlainUrl(url);
  if (!place) return Explain(url);
  if (!LibcurlAgrees(std::string(url), *place)) {
    return Refuse(
        "would be asked for otherwise than it is written; leave out \"/./\", "
        "\"/../\", and a \"?\" or \"#\" with nothing behind it");
  }
  return *place;
}

}  // namespace reenact
