#include "reenact/executors/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace reenact {
namespace {

constexpr std::size_t kReadBytes = 1 << 16;
constexpr int kBacklog = 64;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::Status Failed(const std::string& path, const char* what) {
  const int error = errno;
  return absl::ErrnoToStatus(error, ToAbsl(path + ": " + what));
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path ||
      path.find('\0') != path.npos) {
    return absl::InvalidArgumentError(
        path + ": a socket's path has from 1 to " +
        std::to_string(sizeof address.sun_path - 1) +
        " bytes; choose a shorter one");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<int> NewSocket(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Failed(path, "socket");
  return fd;
}

// Takes away a socket that nobody listens at; leaves everything else.
absl::Status RemoveLeftover(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) {
    return absl::AlreadyExistsError(path + ": is there, and is no socket");
  }
  const auto other = ConnectTo(path);
  if (other.ok()) {
    close(*other);
    return absl::AlreadyExistsError(path + ": somebody listens there");
  }
  if (!absl::IsUnavailable(other.status())) return other.status();
  if (unlink(path.c_str()) != 0) return Failed(path, "unlink");
  return absl::OkStatus();
}

}  // namespace

Channel::Channel(int fd, std::size_t frame_bytes_max)
    : fd_(fd), in_(frame_bytes_max) {}

Channel::~Channel() { close(fd_); }

absl::Status Channel::Fill(Time now) {
  char bytes[kReadBytes];
  const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
  if (size > 0) {
    if (in_.IsBetweenFrames()) in_since_ = now;
    in_.Add(BytesView(bytes, static_cast<std::size_t>(size)));
    return absl::OkStatus();
  }
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  return absl::UnavailableError("the other side has closed the connection");
}

void Channel::Put(BytesView frames, Time now) {
  if (unsent() == 0) out_since_ = now;
  out_.append(frames);
}

absl::Status Channel::Flush(Time now) {
  while (unsent() > 0) {
    const ssize_t size = send(fd_, out_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return absl::OkStatus();
    if (size <= 0) {
      return absl::UnavailableError("the other side has closed the connection");
    }
    sent_ += static_cast<std::size_t>(size);
    out_since_ = now;
  }
  out_.clear();
  if (out_.capacity() > kReadBytes) out_ = Bytes();
  sent_ = 0;
  return absl::OkStatus();
}

std::optional<Channel::Time> Channel::InSince() const {
  if (in_.IsBetweenFrames()) return std::nullopt;
  return in_since_;
}

std::optional<Channel::Time> Channel::OutSince() const {
  if (unsent() == 0) return std::nullopt;
  return out_since_;
}

absl::StatusOr<int> ConnectTo(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  REENACT_ASSIGN_OR_RETURN(const int fd, NewSocket(path));
  Descriptor socket(fd);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address),
              sizeof address) != 0) {
    if (errno == ECONNREFUSED) {
      return absl::UnavailableError(path + ": nobody listens there now");
    }
    if (errno == EAGAIN) {
      return absl::ResourceExhaustedError(
          path + ": too many wait to be let in; try again later");
    }
    return Failed(path, "connect");
  }
  return socket.release();
}

absl::StatusOr<int> ListenAt(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  REENACT_RETURN_IF_ERROR(RemoveLeftover(path));
  REENACT_ASSIGN_OR_RETURN(const int fd, NewSocket(path));
  Descriptor socket(fd);
  // The file that bind() makes has the socket's mode, so that there is no
  // moment in which others could connect; umask would be of the whole process.
  if (fchmod(fd, S_IRUSR | S_IWUSR) != 0) return Failed(path, "fchmod");
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return Failed(path, "bind");
  }
  if (chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return Failed(path, "chmod");
  if (listen(fd, kBacklog) != 0) return Failed(path, "listen");
  return socket.release();
}

}  // namespace reenact
