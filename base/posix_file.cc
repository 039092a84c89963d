#include "reenact/base/posix_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "reenact/base/disk_watch.h"
#include "reenact/base/instrument.h"

namespace reenact::posix {
namespace {

using disk::Call;

constexpr std::string_view kOpened = "/proc/self/fd/";

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return absl::StatusCode::kResourceExhausted;
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

// Calls `call` again for as long as signals interrupt it.
template <typename Call>
auto Uninterrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// Makes a call, unless a harness has it fail. `make` gets what there is to
// write.
template <typename Make>
auto Watched(Call call, Make make) {
#if defined(REENACT_INSTRUMENTED)
  disk::Watcher* const watcher = disk::watcher;
  std::uint64_t mark = 0;
  std::string path;
  std::string to;
  if (watcher != nullptr) {
    call.path = path = Shown(std::string(call.path));
    call.to = to = Shown(std::string(call.to));
    if (const int error = watcher->Before(&call, &mark); error != 0) {
      errno = error;
      return decltype(make(call.bytes))(-1);
    }
  }
#endif
  const auto result = Uninterrupted([&] { return make(call.bytes); });
#if defined(REENACT_INSTRUMENTED)
  if (watcher != nullptr && result != -1) {
    if (call.what == Call::What::kWrite) {
      call.bytes = call.bytes.substr(0, static_cast<std::size_t>(result));
    }
    watcher->After(call, mark);
  }
#endif
  return result;
}

void WatchRead([[maybe_unused]] const std::string& path,
               [[maybe_unused]] char* bytes,
               [[maybe_unused]] std::size_t size) {
#if defined(REENACT_INSTRUMENTED)
  if (disk::watcher == nullptr) return;
  disk::watcher->Read(Shown(path), Call::kAtEnd, bytes, size);
#endif
}

Call::What WhatOpens(int flags) {
  if ((flags & O_CREAT) == 0) return Call::What::kOpen;
  return (flags & O_TRUNC) == 0 ? Call::What::kCreate : Call::What::kReplace;
}

}  // namespace

absl::Status ErrnoStatus(int error, const std::string& path,
                         std::string_view what) {
  std::string message = "'" + Shown(path) + "': ";
  message += what;
  message += ": ";
  message += error == ELOOP
                 ? std::string("it is a symbolic link, which is not followed")
                 : std::generic_category().message(error);
  return absl::Status(CodeOf(error), ToAbsl(message));
}

absl::StatusOr<File> File::Open(const std::string& path, int flags) {
  const int fd = Watched({WhatOpens(flags), path}, [&](BytesView) {
    // To open a pipe would wait for whoever is at its other end.
    return ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                  kFileMode);
  });
  if (fd == -1) return ErrnoStatus(errno, path, "cannot open it");
  File file(fd, path);
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    return ErrnoStatus(errno, path, "cannot look at it");
  }
  if ((flags & O_DIRECTORY) == 0 && !S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        ToAbsl("'" + Shown(path) + "': it is not a plain file"));
  }
  // The umask may have taken bits from the mode of a new file.
  if ((flags & O_CREAT) != 0 && ::fchmod(fd, kFileMode) != 0) {
    return ErrnoStatus(errno, path, "cannot set its mode");
  }
  return file;
}

File::~File() {
  if (fd_ != -1) ::close(fd_);
}

absl::Status File::Append(BytesView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = Watched(
        {Call::What::kWrite, path_, {}, Call::kAtEnd, bytes},
        [&](BytesView some) { return ::write(fd_, some.data(), some.size()); });
    if (written <= 0) return ErrnoStatus(errno, path_, "cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status File::WriteAt(std::uint64_t offset, BytesView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = Watched(
        {Call::What::kWrite, path_, {}, offset, bytes}, [&](BytesView some) {
          return ::pwrite(fd_, some.data(), some.size(),
                          static_cast<off_t>(offset));
        });
    if (written <= 0) return ErrnoStatus(errno, path_, "cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status File::Read(std::size_t size, Bytes* buffer) {
  buffer->resize(size);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = Watched({Call::What::kRead, path_}, [&](BytesView) {
      return ::read(fd_, buffer->data() + have, size - have);
    });
    if (got == -1) return ErrnoStatus(errno, path_, "cannot read");
    if (got == 0) break;
    WatchRead(path_, buffer->data() + have, static_cast<std::size_t>(got));
    have += static_cast<std::size_t>(got);
  }
  buffer->resize(have);
  return absl::OkStatus();
}

absl::Status File::Rewind() {
  if (::lseek(fd_, 0, SEEK_SET) != 0) {
    return ErrnoStatus(errno, path_, "cannot go back to its start");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> File::Size() const {
  struct stat status;
  if (::fstat(fd_, &status) != 0) {
    return ErrnoStatus(errno, path_, "cannot look at it");
  }
  return static_cast<std::uint64_t>(status.st_size);
}

absl::Status File::Sync() {
  if (Watched({Call::What::kSync, path_},
              [&](BytesView) { return ::fdatasync(fd_); }) != 0) {
    return ErrnoStatus(errno, path_, "cannot sync");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> File::TryLock() {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd_, F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return ErrnoStatus(errno, path_, "cannot lock it");
}

Directory::Directory(File file)
    : file_(std::move(file)),
      path_(std::string(kOpened) + std::to_string(file_.fd()) + "/.") {}

absl::StatusOr<Directory> Directory::Open(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(File file, File::Open(path, O_PATH | O_DIRECTORY));
  Directory directory(std::move(file));
  if (::access(directory.path().c_str(), F_OK) == 0) return directory;
  if (errno != ENOENT) return ErrnoStatus(errno, path, "cannot open it");
  return absl::UnavailableError(ToAbsl("'" + directory.path() +
                                       "': it does not lead to '" + path +
                                       "'; mount /proc"));
}

std::string Shown(const std::string& path) {
  if (path.compare(0, kOpened.size(), kOpened) != 0) return path;
  const std::size_t end = path.find("/.", kOpened.size());
  if (end == std::string::npos) return path;
  char name[PATH_MAX];
  const ssize_t size =
      ::readlink(path.substr(0, end).c_str(), name, sizeof(name));
  if (size <= 0) return path;
  return std::string(name, static_cast<std::size_t>(size)) +
         path.substr(end + 2);
}

absl::StatusOr<Kind> KindOfPath(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return Kind::kNothing;
    return ErrnoStatus(errno, path, "cannot look at it");
  }
  if (S_ISREG(status.st_mode)) return Kind::kFile;
  if (S_ISDIR(status.st_mode)) return Kind::kDirectory;
  if (S_ISLNK(status.st_mode)) return Kind::kLink;
  return Kind::kOther;
}

absl::StatusOr<std::optional<Bytes>> ReadSmallFile(const std::string& path,
                                                   std::size_t size_max) {
  REENACT_ASSIGN_OR_RETURN(const Kind kind, KindOfPath(path));
  if (kind == Kind::kNothing) return std::optional<Bytes>();
  if (kind != Kind::kFile && kind != Kind::kLink) {
    return absl::FailedPreconditionError(
        ToAbsl("'" + Shown(path) + "': it is not a plain file"));
  }
  REENACT_ASSIGN_OR_RETURN(File file, File::Open(path, O_RDONLY));
  REENACT_ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  Bytes bytes;
  REENACT_RETURN_IF_ERROR(
      file.Read(std::min<std::uint64_t>(size, size_max) + 1, &bytes));
  if (bytes.size() > size_max) {
    return absl::DataLossError(ToAbsl("'" + Shown(path) +
                                      "': it has more than " +
                                      std::to_string(size_max) + " bytes"));
  }
  return std::optional<Bytes>(std::move(bytes));
}

absl::Status SyncDirectory(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(File directory,
                           File::Open(path, O_RDONLY | O_DIRECTORY));
  if (Watched({Call::What::kSyncDirectory, path},
              [&](BytesView) { return ::fsync(directory.fd()); }) != 0) {
    return ErrnoStatus(errno, path, "cannot sync");
  }
  return absl::OkStatus();
}

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status MakeDirectory(const std::string& path) {
  if (Watched({Call::What::kMakeDirectory, path},
              [&](BytesView) {
                return ::mkdir(path.c_str(), kDirectoryMode);
              }) != 0 &&
      errno != EEXIST) {
    return ErrnoStatus(errno, path, "cannot make the directory");
  }
  REENACT_ASSIGN_OR_RETURN(File directory,
                           File::Open(path, O_RDONLY | O_DIRECTORY));
  if (::fchmod(directory.fd(), kDirectoryMode) != 0) {
    return ErrnoStatus(errno, path, "cannot set its mode");
  }
  return absl::OkStatus();
}

absl::Status RenameDurably(const std::string& from, const std::string& to) {
  if (Watched({Call::What::kRename, from, to}, [&](BytesView) {
        return ::rename(from.c_str(), to.c_str());
      }) != 0) {
    return ErrnoStatus(errno, to, "cannot put the new file in place");
  }
  REENACT_FAILPOINT_RETURN("D18 renamed, before the directory's sync");
  return SyncParent(to);
}

absl::Status SyncParent(const std::string& path) {
  return SyncDirectory(ParentOf(path) + "/.");
}

absl::Status RemoveFile(const std::string& path) {
  if (Watched({Call::What::kRemove, path},
              [&](BytesView) { return ::unlink(path.c_str()); }) != 0 &&
      errno != ENOENT) {
    return ErrnoStatus(errno, path, "cannot remove it");
  }
  return absl::OkStatus();
}

}  // namespace reenact::posix
