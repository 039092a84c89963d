#include "tools/reenact/key_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "reenact/base/bytes.h"
#include "reenact/kernel/hash.h"

namespace reenact::tools {
namespace {

absl::Status Errno(const std::string& path) {
  if (errno != ENOENT) return absl::ErrnoToStatus(errno, path);
  return absl::UnavailableError(path + ": there is no such file or directory");
}

// A descriptor that is closed at the end.
struct Fd {
  ~Fd() {
    if (value >= 0) ::close(value);
  }
  const int value;
};

}  // namespace

absl::Status MakeKeyFile(const std::string& path) {
  SigningSeed seed;
  if (::getrandom(seed.data(), seed.size(), 0) != std::ssize(seed)) {
    return Errno("random bytes of the machine");
  }
  const std::string_view bytes(reinterpret_cast<const char*>(seed.data()),
                               seed.size());
  const std::string line = ToHex(bytes) + "\n";
  const Fd file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (file.value < 0) return Errno(path);
  errno = ENOSPC;  // what it is if only a part was written
  if (::write(file.value, line.data(), line.size()) != std::ssize(line) ||
      ::fsync(file.value) != 0) {
    const absl::Status status = Errno(path);
    ::unlink(path.c_str());
    return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<SecretKey> ReadKeyFile(const std::string& path) {
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) return Errno(path);
  struct stat status {};
  if (::fstat(file.value, &status) != 0) return Errno(path);
  if (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": others may use this key; chmod 600 it"));
  }
  char text[128];
  const ssize_t size = ::read(file.value, text, sizeof text);
  if (size < 0) return Errno(path);
  std::string_view line(text, static_cast<std::size_t>(size));
  if (line.ends_with('\n')) line.remove_suffix(1);
  const auto bytes = FromHex(line);
  SigningSeed seed;
  if (!bytes.ok() || bytes->size() != seed.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": should be 64 hexadecimal digits, as `reenact policy key` ",
        "writes them"));
  }
  std::copy(bytes->begin(), bytes->end(), seed.begin());
  return SecretKeyOf(seed);
}

std::string PublicKeyText(const SecretKey& key) {
  const PublicKey bytes = PublicKeyOf(key);
  return ToHex(
      BytesView(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace reenact::tools
