#include "reenact/executors/new_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

namespace reenact {
namespace {

constexpr std::string_view kPrefix = ".new-";

std::string NextTemporaryName() {
  static std::atomic<std::uint64_t> count{0};
  return std::string(kPrefix) + std::to_string(::getpid()) + "-" +
         std::to_string(count.fetch_add(1));
}

// Whether the file is ours from now on: locked, and still under its name. Who
// removes abandoned files may have been faster than the lock.
bool Claim(int fd) {
  struct stat status;
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &status) == 0 &&
         status.st_nlink > 0;
}

absl::Status RemoveIfAbandoned(const std::string& path) {
  const absl::StatusOr<posix::File> file = posix::File::Open(path, O_RDONLY);
  // Placed or removed meanwhile, or nothing that was made here.
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  REENACT_RETURN_IF_ERROR(file.status());
  if (!Claim(file->fd())) return absl::OkStatus();
  return posix::RemoveFile(path);
}

}  // namespace

absl::StatusOr<NewFile> NewFile::In(const std::string& directory) {
  for (;;) {
    const std::string path = directory + "/" + NextTemporaryName();
    if (::access(path.c_str(), F_OK) == 0) continue;  // of a process long gone
    REENACT_ASSIGN_OR_RETURN(
        posix::File file, posix::File::Open(path, O_WRONLY | O_CREAT | O_EXCL));
    if (Claim(file.fd())) return NewFile(std::move(file));
  }
}

NewFile::~NewFile() {
  if (!placed_) ::unlink(file_.path().c_str());
}

absl::Status NewFile::Append(BytesView bytes) { return file_.Append(bytes); }

absl::Status NewFile::Place(const std::string& path) {
  REENACT_RETURN_IF_ERROR(file_.Sync());
  if (::rename(file_.path().c_str(), path.c_str()) != 0) {
    return posix::ErrnoStatus(errno, path, "cannot put the new file in place");
  }
  placed_ = true;
  return posix::SyncParent(path);
}

bool NewFile::IsTemporaryName(std::string_view name) {
  return name.substr(0, kPrefix.size()) == kPrefix;
}

absl::Status NewFile::RemoveAbandoned(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  std::filesystem::directory_iterator at(directory, error);
  for (; !error && at != std::filesystem::directory_iterator();
       at.increment(error)) {
    if (IsTemporaryName(at->path().filename().string())) {
      paths.push_back(at->path().string());
    }
  }
  if (error) {
    return posix::ErrnoStatus(error.value(), directory, "cannot list it");
  }
  for (const std::string& path : paths) {
    REENACT_RETURN_IF_ERROR(RemoveIfAbandoned(path));
  }
  return absl::OkStatus();
}

}  // namespace reenact
