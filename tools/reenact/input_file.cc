#include "tools/reenact/input_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace reenact::tools {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr int kPollMs = 200;
constexpr int kGraceMs = 1000;  // of silence, after a stop

class BufferedInput final : public InputFile {
 public:
  BufferedInput(std::string name, int fd, std::optional<std::uint64_t> size,
                std::function<bool()> stopped)
      : name_(std::move(name)),
        fd_(fd),
        size_(size),
        stopped_(std::move(stopped)) {}
  BufferedInput(std::string name, Bytes bytes)
      : name_(std::move(name)),
        size_(bytes.size()),
        buffer_(std::move(bytes)) {}
  ~BufferedInput() override {
    if (fd_ > STDERR_FILENO) close(fd_);
  }

  const std::string& name() const override { return name_; }
  std::optional<std::uint64_t> size() const override { return size_; }
  std::uint64_t consumed() const override { return consumed_; }
  std::string_view buffered() const override {
    return std::string_view(buffer_).substr(start_);
  }
  void Consume(std::size_t count) override {
    start_ += count;
    consumed_ += count;
  }

  absl::StatusOr<bool> FetchMore() override {
    if (fd_ < 0) return false;
    buffer_.erase(0, start_);
    start_ = 0;
    REENACT_RETURN_IF_ERROR(WaitReadable());
    const std::size_t old = buffer_.size();
    buffer_.resize(old + kReadBytes);
    ssize_t count;
    do {
      count = read(fd_, buffer_.data() + old, kReadBytes);
    } while (count < 0 && (errno == EINTR || errno == EAGAIN));
    const int error = errno;
    buffer_.resize(old + static_cast<std::size_t>(count < 0 ? 0 : count));
    if (count < 0) return Annotate(absl::ErrnoToStatus(error, "read"), name_);
    return count > 0;
  }

 private:
  bool Stopped() const { return stopped_ && stopped_(); }

  // A pipe may stay silent for long; a signal must not wait for it for ever.
  // What comes within the grace still counts, so that a round which has begun
  // to fill is filled, and going on later leads to the same rounds.
  absl::Status WaitReadable() const {
    for (int silent_ms = 0; !(Stopped() && silent_ms >= kGraceMs);) {
      pollfd poll_fd{fd_, POLLIN, 0};
      const int ready = poll(&poll_fd, 1, kPollMs);
      if (ready > 0) return absl::OkStatus();
      if (ready < 0 && errno != EINTR) {
        return Annotate(absl::ErrnoToStatus(errno, "poll"), name_);
      }
      silent_ms = Stopped() && ready == 0 ? silent_ms + kPollMs : 0;
    }
    return absl::CancelledError("stopped");
  }

  std::string name_;
  int fd_ = -1;
  std::optional<std::uint64_t> size_;
  std::function<bool()> stopped_;
  Bytes buffer_;
  std::size_t start_ = 0;
  std::uint64_t consumed_ = 0;
};

std::optional<std::uint64_t> RegularSize(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<InputFile>> InputFile::Open(
    const std::string& path, std::function<bool()> stopped) {
  const bool is_stdin = path == "-";
  // To open a pipe would wait for its writer, and hear of no stop meanwhile.
  const int fd = is_stdin
                     ? STDIN_FILENO
                     : open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) {
    return absl::UnavailableError(path + ": there is no such file");
  }
  if (fd < 0) return Annotate(absl::ErrnoToStatus(errno, "open"), path);
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    if (!is_stdin) close(fd);
    return absl::UnavailableError(path + ": is a directory");
  }
  return std::unique_ptr<InputFile>(std::make_unique<BufferedInput>(
      is_stdin ? "stdin" : path, fd, RegularSize(fd), std::move(stopped)));
}

absl::StatusOr<Bytes> InputFile::ReadAll(const std::string& path,
                                         std::size_t size_max) {
  struct stat info;
  if (!path.starts_with("/dev/") && stat(path.c_str(), &info) == 0 &&
      S_ISFIFO(info.st_mode)) {
    return absl::UnavailableError(path + ": is a pipe, where a file belongs");
  }
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file, Open(path));
  while (file->buffered().size() <= size_max) {
    REENACT_ASSIGN_OR_RETURN(const bool more, file->FetchMore());
    if (!more) return Bytes(file->buffered());
  }
  return absl::InvalidArgumentError(
      absl::StrCat(file->name(), ": larger than ", size_max, " bytes"));
}

std::string SourceNameOf(const std::string& path) {
  if (path == "-" || path.starts_with("/dev/fd/")) return "stdin";
  return path.substr(path.rfind('/') + 1);
}

std::unique_ptr<InputFile> InputFile::FromBytes(std::string name, Bytes bytes) {
  return std::make_unique<BufferedInput>(std::move(name), std::move(bytes));
}

}  // namespace reenact::tools
