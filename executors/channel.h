// A socket that speaks in frames.

#ifndef REENACT_EXECUTORS_CHANNEL_H_
#define REENACT_EXECUTORS_CHANNEL_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/executors/frames.h"

namespace reenact {

// Owns a non-blocking stream socket.
//
// Thread safety: none.
class Channel {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Channel(int fd, std::size_t frame_bytes_max);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int fd() const { return fd_; }

  // Takes in what has come, but not more than a few pages, so that others get
  // their turn. Unavailable: nothing will come any more.
  absl::Status Fill(Time now);
  // See frames::Splitter.
  absl::StatusOr<std::optional<BytesView>> Next() { return in_.Next(); }
  BytesView Begun() const { return in_.Begun(); }

  void Put(BytesView frames, Time now);
  // Sends what the other side takes. Unavailable: it takes nothing any more.
  absl::Status Flush(Time now);
  std::size_t unsent() const { return out_.size() - sent_; }

  // Since when a frame has been on its way and did not get on: in, out.
  std::optional<Time> InSince() const;
  std::optional<Time> OutSince() const;

 private:
  const int fd_;
  frames::Splitter in_;
  Bytes out_;
  std::size_t sent_ = 0;
  Time in_since_;
  Time out_since_;
};

// A connection to who listens at `path`. InvalidArgument: a path that no socket
// can have, which is more than 107 bytes. NotFound: there is no such file.
// Unavailable: nobody listens there. ResourceExhausted: too many want to
// connect.
absl::StatusOr<int> ConnectTo(const std::string& path);
// A listening socket in the file `path`, for its owner only (mode 0600). A
// socket that nobody listens at any more is replaced.
// AlreadyExists: something else is there, or somebody listens.
absl::StatusOr<int> ListenAt(const std::string& path);

}  // namespace reenact

#endif  // REENACT_EXECUTORS_CHANNEL_H_
