// A server on the loopback that answers as a test says, well or badly.

#ifndef REENACT_TESTS_EXECUTORS_HTTP_SERVER_H_
#define REENACT_TESTS_EXECUTORS_HTTP_SERVER_H_

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reenact/base/mutex.h"

namespace reenact {

class HttpServer {
 public:
  // One connection after its client has sent a request.
  class Exchange {
   public:
    Exchange(int fd, std::string text) : request(std::move(text)), fd_(fd) {}

    const std::string request;  // head and body as they came

    std::string Target() const;  // "/path?query"
    std::string Body() const;
    // The bytes as they are.
    void Send(const std::string& bytes) const;
    // A well-formed response; the connection can be used again.
    void Respond(int status, const std::string& body,
                 const std::string& headers = "") const;
    // Sends nothing until the client goes away.
    void WaitForClient() const;
    // The next thing that the client sees is a reset, or the end.
    void Reset() const;
    void HangUp() const;

   private:
    const int fd_;
  };
  using Handler = std::function<void(const Exchange&)>;

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // From now on nobody can connect.
  void Deafen();

  std::string Url(const std::string& target = "/") const;
  int connections() const;
  std::vector<std::string> requests() const;

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  int listening_ = -1;
  int port_ = 0;
  mutable Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  int connections_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread acceptor_;
};

// A port of the loopback where nobody listens.
int UnusedPort();

}  // namespace reenact

#endif  // REENACT_TESTS_EXECUTORS_HTTP_SERVER_H_
