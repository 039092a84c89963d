// Lets other processes of this machine carry out effects.

#ifndef REENACT_EXECUTORS_SERVER_H_
#define REENACT_EXECUTORS_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "reenact/base/status.h"
#include "reenact/executors/dispatcher.h"

namespace reenact {

struct ServerOptions {
  // Where the socket is made: at most 107 bytes. Only its owner can use it.
  std::string path;

  std::size_t connections_max = 64;
  // The largest frame, either way; more than the world's largest parameters and
  // payloads take.
  std::size_t frame_bytes_max = 8 << 20;
  // What may wait to be sent to one process. Who takes things in more slowly
  // than they come is dropped, and so is who takes in nothing, or leaves a
  // frame unfinished, or does not say hello, for so long.
  std::size_t unsent_bytes_max = 64 << 20;
  std::chrono::milliseconds patience{10'000};
};

struct ServerStats {
  std::size_t connected = 0;
  std::uint64_t accepted = 0;
  std::uint64_t turned_away = 0;  // too many, or of another user
  std::uint64_t protests = 0;     // connections that were closed with an error
  std::uint64_t dropped = 0;      // too slow
};

// Speaks spec/executor-protocol.md on a local socket, with a thread of its own,
// and attaches those who say hello to a dispatcher.
//
//   auto server = ExecutorServer::Start(&dispatcher, {.path = "w/executors"});
//
// Of a peer it believes that it runs as the same user, since the kernel says
// so, and nothing else: every frame is decoded strictly, and what one
// connection can make it hold is bounded (a frame, and what is unsent).
//
// Stop it before the dispatcher.
//
// Thread safety: any thread.
class ExecutorServer {
 public:
  // REQUIRES: the dispatcher was started, and outlives the server.
  // InvalidArgument, AlreadyExists, ...: about the path.
  static absl::StatusOr<std::unique_ptr<ExecutorServer>> Start(
      Dispatcher* dispatcher, ServerOptions options);
  ~ExecutorServer();
  ExecutorServer(const ExecutorServer&) = delete;
  ExecutorServer& operator=(const ExecutorServer&) = delete;

  // Says goodbye to all and removes the socket.
  void Stop();

  ServerStats Stats() const;

 private:
  class Core;
  explicit ExecutorServer(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_SERVER_H_
