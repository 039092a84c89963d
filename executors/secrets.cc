#include "reenact/executors/secrets.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reenact/base/mutex.h"
#include "reenact/base/posix_file.h"
#include "reenact/executors/traces.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOpen = "${secret:";
constexpr std::string_view kEscape = "$${";
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kValueBytesMax = 64 << 10;

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ||
         c == '_' || c == '-';
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), IsNameCharacter);
}

// --- where values come from --------------------------------------------------

absl::Status NoSuchSecret(std::string_view name, std::string_view where) {
  return absl::NotFoundError(ToAbsl(
      "there is no secret \"" + std::string(name) + "\"" + std::string(where)));
}

absl::Status CheckLength(std::string_view name, std::string_view value) {
  if (value.size() >= Traces::kBytesMin) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the secret \"", ToAbsl(name), "\" has ", value.size(),
      " bytes; one of fewer than ", Traces::kBytesMin,
      " cannot be told from other text that comes back, so it is not sent"));
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
  // What was handed out so far.
  struct Known {
    std::set<std::string, std::less<>> values;
    std::vector<std::string> references;
    Traces traces;
  };

  explicit State(Resolve how) : resolve(std::move(how)) {}

  void Remember(std::string_view name, const std::string& value) {
    MutexLock lock(&mutex);
    if (known->values.contains(value)) return;
    auto more = std::make_shared<Known>(*known);
    more->values.insert(value);
    more->traces.Add(value, more->references.size());
    more->references.push_back(std::string(kOpen) + std::string(name) + "}");
    known = std::move(more);
  }

  std::shared_ptr<const Known> Look() {
    MutexLock lock(&mutex);
    return known;
  }

  const Resolve resolve;  // may be empty
  Mutex mutex;
  // Another one each time, so that nobody waits for who searches.
  std::shared_ptr<const Known> known ABSL_GUARDED_BY(mutex) =
      std::make_shared<Known>();
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
    REENACT_RETURN_IF_ERROR(CheckLength(name, value));
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

// Ranges that overlap go together: what is left of one behind another would be
// the end of a secret.
std::string Secrets::Redact(std::string_view text) const {
  const std::shared_ptr<const State::Known> known = state_->Look();
  if (known->references.empty()) return std::string(text);
  std::vector<Traces::Range> found = known->traces.FindAll(text);
  std::stable_sort(
      found.begin(), found.end(), [](const auto& a, const auto& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
      });
  std::string out;
  std::size_t done = 0;
  const std::string* last = nullptr;
  for (const Traces::Range& range : found) {
    if (range.end <= done) continue;
    const std::string& reference = known->references[range.value];
    const bool overlaps = range.begin < done;
    if (!overlaps) out += text.substr(done, range.begin - done);
    if (!overlaps || *last != reference) out += reference;
    last = &reference;
    done = range.end;
  }
  return out += text.substr(done);
}

}  // namespace reenact
