// The few system calls that a world's own files need, with statuses that name
// the file. Nothing here follows a symbolic link in the last part of a path.

#ifndef REENACT_BASE_POSIX_FILE_H_
#define REENACT_BASE_POSIX_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact::posix {

inline constexpr unsigned kDirectoryMode = 0700;
inline constexpr unsigned kFileMode = 0600;

// What errno `error` means for the caller, with "'path': what: reason"; the
// path as Shown() has it.
//
// NotFound, PermissionDenied, ResourceExhausted (no space, no descriptors),
// FailedPrecondition (a symbolic link, or not a directory), else Unavailable.
absl::Status ErrnoStatus(int error, const std::string& path,
                         std::string_view what);

// An open file. Closed at the end of its life.
class File {
 public:
  // `flags` as for open(2); close-on-exec, no-follow and non-blocking are
  // added. What is created has kFileMode, whatever the umask.
  // FailedPrecondition: it is no plain file, and `flags` did not ask for a
  // directory.
  static absl::StatusOr<File> Open(const std::string& path, int flags);

  File(File&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    return *this;
  }
  ~File();

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

  absl::Status Append(BytesView bytes);
  absl::Status WriteAt(std::uint64_t offset, BytesView bytes);
  // Fills `buffer` with up to `size` bytes; fewer only at the end of the file.
  absl::Status Read(std::size_t size, Bytes* buffer);
  // Reads from the start again.
  absl::Status Rewind();
  absl::StatusOr<std::uint64_t> Size() const;
  absl::Status Sync();
  // Locks it for as long as it is open; false: somebody else has it locked. The
  // lock belongs to the open file, not to the process: it also keeps out a
  // second one in this process, and no other close() lets go of it.
  absl::StatusOr<bool> TryLock();

 private:
  File(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_;
  std::string path_;
};

// A directory that is open: what is done through path() is done in it, or
// fails, whatever its name has come to lead to. For who owns what is in a
// directory while others may move it away and put another one in its place.
//
// Thread safety: const.
class Directory {
 public:
  // NotFound, FailedPrecondition (a symbolic link, or no directory) ... as
  // File. Unavailable: /proc is not mounted, which path() leads through.
  static absl::StatusOr<Directory> Open(const std::string& path);

  // "/proc/self/fd/7/.": good for every call as long as this object lives, and
  // for nobody outside this process.
  const std::string& path() const { return path_; }

 private:
  explicit Directory(File file);

  File file_;
  std::string path_;
};

// How a path is called for people: where the directory is now, if the path is
// one through a Directory, else as it is.
std::string Shown(const std::string& path);

enum class Kind { kNothing, kFile, kDirectory, kLink, kOther };
absl::StatusOr<Kind> KindOfPath(const std::string& path);

// The bytes of a file of at most `size_max` bytes; nullopt: there is none.
// FailedPrecondition: it is not a plain file. DataLoss: it is longer.
absl::StatusOr<std::optional<Bytes>> ReadSmallFile(const std::string& path,
                                                   std::size_t size_max);

// Makes the entries of a directory survive a crash.
absl::Status SyncDirectory(const std::string& path);
// The directory that `path` is in, which a link may lead to: so that what has
// got, or lost, its name there survives a crash.
absl::Status SyncParent(const std::string& path);
// The directory that `path` lies in: "." if it names none.
std::string ParentOf(const std::string& path);

// Makes a directory, or takes one that is there; its mode is kDirectoryMode
// then.
absl::Status MakeDirectory(const std::string& path);

// Puts `from` in the place of `to` and syncs their directory.
absl::Status RenameDurably(const std::string& from, const std::string& to);

// Removes a file; OK if there is none.
absl::Status RemoveFile(const std::string& path);

}  // namespace reenact::posix

#endif  // REENACT_BASE_POSIX_FILE_H_
