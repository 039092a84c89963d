// Carries out the effects of a world that runs in another process.

#ifndef REENACT_EXECUTORS_CLIENT_H_
#define REENACT_EXECUTORS_CLIENT_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/executors/dispatcher.h"
#include "reenact/executors/executor.h"
#include "reenact/executors/options.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact {

struct ClientOptions {
  std::string path;  // of the world's socket
  std::string name;  // in receipts; 1 to Receipt::kExecutorBytesMax bytes
  std::optional<SecretKey> key;  // signs them
  // Effects at a time, of all kinds together; each kind has its own limit, too.
  std::size_t concurrency = 8;
  // Of executors here: secrets, blobs, jitter, patience with who is cancelled.
  DispatcherOptions dispatcher;
};

// A process's side of spec/executor-protocol.md, with the executors that a
// dispatcher takes in the world's own process.
//
//   ExecutorClient client({.path = "w/executors", .name = "mail-2"});
//   client.Register(std::make_shared<Mail>()).IgnoreError();
//   absl::Status why = client.Run();   // until the world closes, or Stop()
//
// What is being carried out when the connection ends is cancelled; the world
// offers it again, to this process or another.
//
// Thread safety: any thread; Run() from one at a time.
class ExecutorClient {
 public:
  explicit ExecutorClient(ClientOptions options);
  ~ExecutorClient();
  ExecutorClient(const ExecutorClient&) = delete;
  ExecutorClient& operator=(const ExecutorClient&) = delete;

  // See Dispatcher::Register(). `options.executor` and `options.key` are not
  // used: a process has one name.
  absl::Status Register(std::shared_ptr<Executor> executor,
                        KindOptions options = {});

  // Connects and carries out what it is offered. Can be called again.
  // OK: Stop() was called, or the world said goodbye. Unavailable, NotFound:
  // nobody listens, or the connection broke; try again later. InvalidArgument:
  // the world's side did not like, or send, something; the message has it.
  absl::Status Run();

  // Makes Run() return, soon. May be called by a signal handler.
  void Stop();

 private:
  class Session;
  struct Registered {
    std::shared_ptr<Executor> executor;
    KindOptions options;
  };

  const ClientOptions options_;
  const int stop_fd_;
  std::vector<Registered> registered_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_CLIENT_H_
