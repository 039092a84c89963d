// Effects of kind http.request.

#ifndef REENACT_EXECUTORS_HTTP_EXECUTOR_H_
#define REENACT_EXECUTORS_HTTP_EXECUTOR_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "reenact/executors/executor.h"

namespace reenact {

// What one program allows its requests; parameters of an effect can ask for
// less, not for more.
struct HttpOptions {
  std::chrono::milliseconds timeout_max{300'000};
  std::uint64_t request_bytes_max = 16 << 20;
  std::uint64_t response_bytes_max = 16 << 20;
  // Longer bodies go to the blob store.
  std::uint64_t inline_bytes_max = 16 << 10;
  // Connects to addresses of the internet only: not to loopback, private and
  // link-local ones and their like. What is judged is the address that is
  // connected to, each time, redirects included, whatever a name resolved to
  // before. Not together with a proxy, which resolves names by itself: then
  // every request is refused.
  bool public_only = false;
  // "http://proxy:3128". Empty: none, whatever the environment says.
  std::string proxy;
  // Certificates that are trusted, PEM. Empty: the system's.
  std::string ca_file;
  std::string user_agent = "reenact";
};

// Asks a server by HTTP or HTTPS. spec/executors.md has the parameters, the
// payload, and which failures are worth another try.
//
//   params: {"method": "POST", "url": "https://api.example.com/orders",
//            "headers": {"authorization": "Bearer ${secret:shop}"},
//            "body": "..."}
//
// Every attempt has the header Idempotency-Key: a server that heeds it does
// once what it is asked more than once. Certificates are verified; there are no
// cookies, no .netrc and no proxies but the one given; redirects are followed
// on request only, and only to the same scheme, host and port.
//
// Thread safety: any thread. Connections are kept and used again.
class HttpExecutor final : public Executor {
 public:
  explicit HttpExecutor(HttpOptions options = {});
  ~HttpExecutor() override;

  std::string_view kind() const override { return "http.request"; }
  Answer Execute(Task& task) override;
  Amounts LeastUsage() const override { return {{"calls", 1}}; }
  // Host and port.
  std::string PeerOf(const OpenEffect& effect) const override;

 private:
  class Connections;

  const HttpOptions options_;
  const std::unique_ptr<Connections> connections_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_HTTP_EXECUTOR_H_
