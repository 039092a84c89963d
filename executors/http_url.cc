#include "reenact/executors/http_url.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace reenact {
namespace {

absl::Status Refuse(std::string_view what) {
  return absl::InvalidArgumentError(ToAbsl("the URL " + std::string(what)));
}

bool IsPlain(char c) { return c > 0x20 && c < 0x7f && c != '\\'; }

bool IsHostCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ||
         c == '-' || c == '_';
}

bool IsAddressCharacter(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' ||
         c == '.';
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return lower;
}

bool IsHost(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    return std::all_of(host.begin(), host.end(), IsAddressCharacter);
  }
  return !host.empty() &&
         std::all_of(host.begin(), host.end(), IsHostCharacter);
}

bool IsPort(std::string_view port) {
  return !port.empty() && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), IsDigit) && port[0] != '0' &&
         std::stoi(std::string(port)) <= 65535;
}

}  // namespace

absl::StatusOr<HttpOrigin> ParseHttpOrigin(std::string_view url) {
  if (!std::all_of(url.begin(), url.end(), IsPlain)) {
    return Refuse(
        "has a blank, a control character, a backslash or something beyond "
        "ASCII in it; percent-encode that");
  }
  HttpOrigin origin;
  const std::size_t colon = url.find("://");
  if (colon != std::string_view::npos) {
    origin.scheme = Lower(url.substr(0, colon));
  }
  if (origin.scheme != "http" && origin.scheme != "https") {
    return Refuse("must begin with http:// or https://");
  }
  url.remove_prefix(colon + 3);
  const std::string_view authority = url.substr(0, url.find_first_of("/?#"));
  if (authority.find('$') != std::string_view::npos) {
    return Refuse("must not have a secret in front of the path");
  }
  if (authority.find('@') != std::string_view::npos) {
    return Refuse("must not name a user; use a header");
  }
  const std::size_t bracket = authority.rfind(']');
  const std::size_t port_at = authority.rfind(':');
  std::string_view host = authority;
  origin.port = origin.scheme == "http" ? "80" : "443";
  if (port_at != std::string_view::npos &&
      (bracket == std::string_view::npos || port_at > bracket)) {
    host = authority.substr(0, port_at);
    origin.port = std::string(authority.substr(port_at + 1));
  }
  if (!IsHost(host)) return Refuse("has no host, or one that is malformed");
  if (!IsPort(origin.port)) return Refuse("has a port that is malformed");
  origin.host = Lower(host);
  return origin;
}

}  // namespace reenact
