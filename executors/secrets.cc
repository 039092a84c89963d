#include "reenact/executors/secrets.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "reenact/journal/posix_file.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/mutex.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOpen = "${secret:";
constexpr std::string_view kEscape = "$${";
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kValueBytesMax = 64 << 10;
// What is left of a value in base64 whatever stands around it: fewer characters
// than this say nothing.
constexpr std::size_t kCoreMin = 6;

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ||
         c == '_' || c == '-';
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), IsNameCharacter);
}

// --- the forms in which a value may come back --------------------------------

std::string Upper(std::string text) {
  for (char& c : text) {
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

// Percent-encoding of everything that `keep` does not name.
template <typename Keep>
std::string Percent(std::string_view value, const char* digits, Keep keep) {
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (keep(byte)) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

void AddPercent(std::string_view value, std::set<std::string>* forms) {
  const auto unreserved = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
  };
  const auto component = [&](unsigned char c) {  // as in encodeURIComponent()
    return unreserved(c) || std::string_view("!*'()").find(static_cast<char>(
                                c)) != std::string_view::npos;
  };
  const auto none = [](unsigned char) { return false; };
  for (const char* digits : {"0123456789ABCDEF", "0123456789abcdef"}) {
    forms->insert(Percent(value, digits, component));
    forms->insert(Percent(value, digits, none));
    std::string plain = Percent(value, digits, unreserved);
    forms->insert(plain);
    for (auto at = plain.find("%20"); at != std::string::npos;
         at = plain.find("%20", at)) {
      plain.replace(at, 3, "+");
    }
    forms->insert(plain);
  }
}

std::string Base64(std::string_view value, const char* alphabet) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const char c : value) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (have += 8; have >= 6; have -= 6) {
      out += alphabet[bits >> (have - 6) & 63];
    }
  }
  if (have > 0) out += alphabet[bits << (6 - have) & 63];
  return out;
}

// In base64 of a longer text the characters at both ends hold bits of what
// stands beside the value; those between are the same whatever that is. There
// are three ways to lie across groups of three bytes.
void AddBase64(std::string_view value, std::set<std::string>* forms) {
  for (const char* last : {"+/", "-_"}) {
    const std::string alphabet =
        std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789") +
        last;
    forms->insert(Base64(value, alphabet.c_str()));
    for (std::size_t before = 0; before < 3; ++before) {
      const std::string shifted = std::string(before, '\0').append(value);
      const std::string text = Base64(shifted, alphabet.c_str());
      const std::size_t first = (before * 8 + 5) / 6;
      const std::size_t end = shifted.size() * 8 / 6;
      if (end >= first + kCoreMin) {
        forms->insert(text.substr(first, end - first));
      }
    }
  }
}

void AddUtf16(std::string_view value, std::set<std::string>* forms) {
  std::string little;
  std::string big;
  for (const char c : value) {
    little += c;
    little += '\0';
    big += '\0';
    big += c;
  }
  forms->insert(little);
  forms->insert(big);
}

std::string JsonEscaped(std::string_view value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

std::set<std::string> FormsOf(std::string_view value) {
  std::set<std::string> forms{std::string(value), ToHex(value),
                              Upper(ToHex(value)), JsonEscaped(value)};
  AddPercent(value, &forms);
  AddBase64(value, &forms);
  AddUtf16(value, &forms);
  return forms;
}

// --- where values come from --------------------------------------------------

absl::Status NoSuchSecret(std::string_view name, std::string_view where) {
  return absl::NotFoundError(ToAbsl("there is no secret \"" +
                                    std::string(name) + "\"" +
                                    std::string(where)));
}

// Whether `directory`, or one that it lies in, is a world's.
bool IsInsideWorld(const fs::path& directory) {
  for (fs::path at = directory;; at = at.parent_path()) {
    std::error_code ignored;
    if (fs::exists(at / "WORLD", ignored)) return true;
    if (at == at.parent_path()) return false;
  }
}

absl::Status CheckDirectory(const std::string& directory) {
  const auto refuse = [&](std::string_view why) {
    return absl::FailedPreconditionError(
        ToAbsl("'" + directory + "': " + std::string(why)));
  };
  struct stat status;
  if (::stat(directory.c_str(), &status) != 0) {
    return posix::ErrnoStatus(errno, directory, "cannot look at it");
  }
  if (!S_ISDIR(status.st_mode)) return refuse("it is not a directory");
  if ((status.st_mode & 077) != 0) {
    return refuse("secrets in it are open to others; chmod 700 it");
  }
  if (status.st_uid != ::geteuid() && status.st_uid != 0) {
    return refuse("it belongs to somebody else");
  }
  std::error_code error;
  const fs::path real = fs::canonical(directory, error);
  if (error) return posix::ErrnoStatus(error.value(), directory, "no path");
  if (IsInsideWorld(real)) {
    return refuse("it lies in a world's directory; keep secrets elsewhere");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSecret(const std::string& directory,
                                       std::string_view name) {
  // Modes may have changed since it was opened.
  REENACT_RETURN_IF_ERROR(CheckDirectory(directory));
  REENACT_ASSIGN_OR_RETURN(
      std::optional<Bytes> value,
      posix::ReadSmallFile(directory + "/" + std::string(name),
                           kValueBytesMax));
  if (!value.has_value()) return NoSuchSecret(name, " in '" + directory + "'");
  if (!value->empty() && value->back() == '\n') value->pop_back();
  return *std::move(value);
}

}  // namespace

struct Secrets::State {
  explicit State(Resolve how) : resolve(std::move(how)) {}

  struct Form {
    std::string text;
    std::string reference;
  };

  void Remember(std::string_view name, const std::string& value) {
    if (value.empty()) return;
    MutexLock lock(&mutex);
    if (!known.emplace(value, name).second) return;
    const std::string reference =
        std::string(kOpen) + std::string(name) + "}";
    for (const std::string& text : FormsOf(value)) {
      std::vector<Form>& forms =
          by_first[static_cast<unsigned char>(text.front())];
      // The longest first: it may hold others.
      const auto place = std::find_if(
          forms.begin(), forms.end(),
          [&](const Form& form) { return form.text.size() < text.size(); });
      forms.insert(place, Form{text, reference});
    }
  }

  // What stands at the beginning of `text`, if it is a form of a value.
  const Form* Match(std::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    for (const Form& form : by_first[static_cast<unsigned char>(text[0])]) {
      if (text.substr(0, form.text.size()) == form.text) return &form;
    }
    return nullptr;
  }

  const Resolve resolve;  // may be empty
  Mutex mutex;
  std::map<std::string, std::string> known ABSL_GUARDED_BY(mutex);
  std::array<std::vector<Form>, 256> by_first ABSL_GUARDED_BY(mutex);
};

Secrets::Secrets() : Secrets(Resolve()) {}

Secrets::Secrets(Resolve resolve)
    : state_(std::make_shared<State>(std::move(resolve))) {}

absl::StatusOr<Secrets> Secrets::FromDirectory(std::string directory) {
  REENACT_RETURN_IF_ERROR(CheckDirectory(directory));
  return Secrets([directory = std::move(directory)](std::string_view name) {
    return ReadSecret(directory, name);
  });
}

Secrets Secrets::FromEnvironment(std::string prefix) {
  return Secrets([prefix = std::move(prefix)](
                     std::string_view name) -> absl::StatusOr<std::string> {
    const std::string variable = prefix + std::string(name);
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr) {
      return NoSuchSecret(name, ": no variable " + variable);
    }
    return std::string(value);
  });
}

absl::StatusOr<std::string> Secrets::Expand(std::string_view text) const {
  std::string out;
  while (!text.empty()) {
    if (text.substr(0, kEscape.size()) == kEscape) {
      out += "${";
      text.remove_prefix(kEscape.size());
      continue;
    }
    if (text.substr(0, kOpen.size()) != kOpen) {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    text.remove_prefix(kOpen.size());
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) {
      return absl::InvalidArgumentError(
          "a reference to a secret has no closing '}'");
    }
    const std::string_view name = text.substr(0, end);
    if (!IsName(name)) {
      return absl::InvalidArgumentError(
          "a secret's name is letters, digits, '.', '_' and '-', not beginning "
          "with '.'");
    }
    if (!state_->resolve) return NoSuchSecret(name, ": there are none here");
    REENACT_ASSIGN_OR_RETURN(const std::string value, state_->resolve(name));
    state_->Remember(name, value);
    out += value;
    text.remove_prefix(end + 1);
  }
  return out;
}

bool Secrets::HasReference(std::string_view text) {
  return text.find(kOpen) != std::string_view::npos ||
         text.find(kEscape) != std::string_view::npos;
}

std::string Secrets::Redact(std::string_view text) const {
  MutexLock lock(&state_->mutex);
  if (state_->known.empty()) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const State::Form* form = state_->Match(text);
    out += form != nullptr ? std::string_view(form->reference)
                           : text.substr(0, 1);
    text.remove_prefix(form != nullptr ? form->text.size() : 1);
  }
  return out;
}

}  // namespace reenact
