#include "reenact/harness/scoreboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

namespace reenact {
namespace {

constexpr char kTierVariable[] = "REENACT_TIER";
constexpr char kFileVariable[] = "REENACT_SCOREBOARD";

bool AppendLine(const char* path, const std::string& line) {
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd == -1) return false;
  const ssize_t written = ::write(fd, line.data(), line.size());
  const int error = errno;
  ::close(fd);
  errno = error;
  return written == static_cast<ssize_t>(line.size());
}

}  // namespace

Tier CurrentTier() {
  const char* const name = std::getenv(kTierVariable);
  return name != nullptr && std::string_view(name) == "long" ? Tier::kLong
                                                             : Tier::kPr;
}

std::uint64_t ForTier(std::uint64_t pr, std::uint64_t long_tier) {
  return CurrentTier() == Tier::kLong ? long_tier : pr;
}

std::string ScoreLine(std::string_view measure, std::uint64_t count) {
  std::string line = "scoreboard: ";
  line += measure;
  line += " " + std::to_string(count) + "\n";
  return line;
}

void Score(std::string_view measure, std::uint64_t count) {
  const std::string line = ScoreLine(measure, count);
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
  const char* const path = std::getenv(kFileVariable);
  if (path == nullptr || *path == '\0') return;
  if (!AppendLine(path, line)) {
    std::fprintf(stderr, "%s=%s: %s\n", kFileVariable, path,
                 std::generic_category().message(errno).c_str());
  }
}

}  // namespace reenact
