#include "tests/executors/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>
#include <utility>

namespace reenact {
namespace {

struct Listening {
  int fd;
  int port;
};

Listening Listen() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) ==
          0);
  REQUIRE(::listen(fd, 64) == 0);
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return {fd, ntohs(address.sin_port)};
}

std::size_t BodySize(const std::string& head) {
  const char* name = ::strcasestr(head.c_str(), "\r\ncontent-length:");
  return name == nullptr ? 0 : std::stoul(name + 17);
}

// A whole request; nothing, once the client has gone.
std::optional<std::string> ReadRequest(int fd, std::string* buffer) {
  for (;;) {
    const std::size_t head = buffer->find("\r\n\r\n");
    if (head != std::string::npos) {
      const std::size_t size = head + 4 + BodySize(buffer->substr(0, head));
      if (buffer->size() >= size) {
        std::string request = buffer->substr(0, size);
        buffer->erase(0, size);
        return request;
      }
    }
    char part[4096];
    const ssize_t got = ::read(fd, part, sizeof part);
    if (got <= 0) return std::nullopt;
    buffer->append(part, static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string HttpServer::Exchange::Target() const {
  const std::size_t begin = request.find(' ') + 1;
  return request.substr(begin, request.find(' ', begin) - begin);
}

std::string HttpServer::Exchange::Body() const {
  return request.substr(request.find("\r\n\r\n") + 4);
}

void HttpServer::Exchange::Send(const std::string& bytes) const {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t got =
        ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (got <= 0) return;
    sent += static_cast<std::size_t>(got);
  }
}

void HttpServer::Exchange::Respond(int status, const std::string& body,
                                   const std::string& headers) const {
  Send("HTTP/1.1 " + std::to_string(status) + " so\r\n" + headers +
       "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

void HttpServer::Exchange::WaitForClient() const {
  pollfd gone{fd_, POLLRDHUP, 0};
  ::poll(&gone, 1, 20'000);
}

void HttpServer::Exchange::Reset() const {
  const linger none{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void HttpServer::Exchange::HangUp() const {
  const linger none{1, 1};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  const Listening listening = Listen();
  listening_ = listening.fd;
  port_ = listening.port;
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  ::shutdown(listening_, SHUT_RDWR);
  acceptor_.join();
  {
    MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  ::close(listening_);
}

void HttpServer::Deafen() { ::shutdown(listening_, SHUT_RDWR); }

std::string HttpServer::Url(const std::string& target) const {
  return "http://127.0.0.1:" + std::to_string(port_) + target;
}

int HttpServer::connections() const {
  MutexLock lock(&mutex_);
  return connections_;
}

std::vector<std::string> HttpServer::requests() const {
  MutexLock lock(&mutex_);
  return requests_;
}

void HttpServer::Accept() {
  for (;;) {
    const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    MutexLock lock(&mutex_);
    if (stopping_) {
      ::close(fd);
      return;
    }
    ++connections_;
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpServer::Serve(int fd) {
  std::string buffer;
  while (auto request = ReadRequest(fd, &buffer)) {
    {
      MutexLock lock(&mutex_);
      requests_.push_back(*request);
    }
    handler_(Exchange(fd, *std::move(request)));
    // Only what Respond() sends says where it ends.
    linger how{};
    socklen_t size = sizeof how;
    ::getsockopt(fd, SOL_SOCKET, SO_LINGER, &how, &size);
    if (how.l_onoff != 0) break;
  }
  MutexLock lock(&mutex_);
  std::erase(open_, fd);
  ::close(fd);
}

int UnusedPort() {
  const Listening listening = Listen();
  ::close(listening.fd);
  return listening.port;
}

}  // namespace reenact
