// The tables of spec/executors.md that say how an effect ends when something
// goes wrong, row by row: each is provoked, and comes out as it says there.

#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "reenact/executors/http_executor.h"
#include "reenact/executors/inbox.h"
#include "reenact/executors/message_executor.h"
#include "reenact/executors/process_executor.h"
#include "tests/executors/child.h"
#include "tests/executors/fake_task.h"
#include "tests/executors/http_server.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using cbor::Value;
using std::chrono::milliseconds;
using Exchange = HttpServer::Exchange;

// --- the tables --------------------------------------------------------------

struct Row {
  std::string what;
  std::string status;
  std::string transient;
};

std::vector<std::string> CellsOf(const std::string& line) {
  std::vector<std::string> cells;
  for (std::size_t at = 1; at < line.size();) {
    const std::size_t end = line.find('|', at);
    cells.push_back(line.substr(at + 1, end - at - 2));
    at = end + 1;
  }
  return cells;
}

// The table of what happened in a kind's section.
std::vector<Row> TableOf(const std::string& kind) {
  std::ifstream page(REENACT_SOURCE_DIR "/spec/executors.md");
  std::vector<Row> rows;
  bool in_section = false;
  bool in_table = false;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("## ", 0) == 0) in_section = line == "## " + kind;
    if (!in_section) continue;
    if (line == "| what happened | status | transient |") {
      in_table = true;
    } else if (in_table && line.rfind("| ", 0) != 0) {
      in_table = false;
    } else if (in_table && line.rfind("| ---", 0) != 0) {
      const std::vector<std::string> cells = CellsOf(line);
      REQUIRE(cells.size() == 3);
      rows.push_back({cells[0], cells[1], cells[2]});
    }
  }
  return rows;
}

// By what happened: the answers of one or more ways to have it happen.
using Ways = std::map<std::string, std::function<std::vector<Answer>()>>;

void Walk(const std::string& kind, const Ways& ways) {
  std::set<std::string> walked;
  for (const Row& row : TableOf(kind)) {
    INFO(row.what);
    REQUIRE(ways.count(row.what) == 1);
    walked.insert(row.what);
    for (const Answer& answer : ways.at(row.what)()) {
      INFO(ErrorOf(answer));
      CHECK(ReceiptStatusName(answer.status) == row.status);
      CHECK((answer.transient ? "yes" : "no") == row.transient);
    }
  }
  for (const auto& [what, way] : ways) {
    INFO(what);
    CHECK(walked.count(what) == 1);
  }
}

// No descriptor can be opened while there is one of these.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

// --- http.request ------------------------------------------------------------

Answer Ask(const Value& params, HttpOptions options = {}) {
  HttpExecutor executor(std::move(options));
  FakeTask task(params);
  return executor.Execute(task);
}

Answer AskAt(const std::string& url) { return Ask(Value::Map({{"url", url}})); }

// A POST, to a server that does what `handler` does.
Answer Post(const HttpServer::Handler& handler, Value params = Value::Map(),
            HttpOptions options = {}) {
  const HttpServer server(handler);
  params.Set("url", server.Url());
  params.Set("method", "POST");
  return Ask(params, std::move(options));
}

std::vector<Answer> PostForEach(const std::vector<int>& statuses) {
  std::vector<Answer> answers;
  for (const int status : statuses) {
    answers.push_back(Post([status](const Exchange& exchange) {
      exchange.Respond(status, status == 304 ? "" : "why");
    }));
  }
  return answers;
}

void Close(const Exchange& exchange) { exchange.HangUp(); }
void Reset(const Exchange& exchange) { exchange.Reset(); }

// What is sent, and then the connection is closed, or reset.
std::vector<Answer> PostAndBreak(const std::string& sent) {
  std::vector<Answer> answers;
  for (const auto end : {Close, Reset}) {
    answers.push_back(Post([&sent, end](const Exchange& exchange) {
      if (!sent.empty()) exchange.Send(sent);
      end(exchange);
    }));
  }
  return answers;
}

// Does with each connection what a test says, before any request is read.
class Sockets {
 public:
  explicit Sockets(std::function<void(int)> handler) {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listening_, any, size) == 0);
    REQUIRE(::listen(listening_, 8) == 0);
    REQUIRE(::getsockname(listening_, any, &size) == 0);
    place_ = "://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
    thread_ = std::thread([this, handler = std::move(handler)] {
      for (int fd; (fd = ::accept(listening_, nullptr, nullptr)) >= 0;) {
        handler(fd);
        ::close(fd);
      }
    });
  }
  ~Sockets() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
  }

  std::string Url(const std::string& scheme) const { return scheme + place_; }

 private:
  int listening_ = -1;
  std::string place_;
  std::thread thread_;
};

void WaitForEnd(int fd) {
  char part[4096];
  while (::read(fd, part, sizeof part) > 0) {
  }
}

// A body that no buffer of the system holds, of which a part is read.
Answer PostToWhoReadsAPart() {
  const Sockets sockets([](int fd) {
    char part[4096];
    [[maybe_unused]] const ssize_t got = ::read(fd, part, sizeof part);
    const linger none{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  });
  return Ask(Value::Map(
      {{"url", sockets.Url("http")}, {"body", std::string(15 << 20, 'x')}}));
}

Answer AskWithoutTime() {
  HttpExecutor executor;
  FakeTask task(Value::Map({{"url", "http://127.0.0.1:1/"}}));
  task.set_time_left(milliseconds(-1));
  return executor.Execute(task);
}

// Until it has come as far as the server: how soon depends on the machine.
Answer AskWhoIsSilent() {
  const HttpServer server(
      [](const Exchange& exchange) { exchange.WaitForClient(); });
  for (int timeout_ms = 50;; timeout_ms *= 2) {
    const Answer answer =
        Ask(Value::Map({{"url", server.Url()}, {"timeout_ms", timeout_ms}}));
    if (!server.requests().empty()) return answer;
  }
}

// The second request goes out on the connection of the first, which breaks, and
// libcurl connects anew for it.
Answer AskTwiceWhereTheSecondFindsNobody() {
  HttpServer* self = nullptr;
  HttpServer server([&self](const Exchange& exchange) {
    if (exchange.Target() == "/first") return exchange.Respond(200, "");
    self->Deafen();
    exchange.Reset();
  });
  self = &server;
  HttpExecutor executor;
  FakeTask first(Value::Map({{"url", server.Url("/first")}}));
  REQUIRE(executor.Execute(first).status == ReceiptStatus::kOk);
  FakeTask second(
      Value::Map({{"url", server.Url("/second")}, {"method", "POST"}}));
  Answer answer = executor.Execute(second);
  REQUIRE(server.connections() == 1);
  REQUIRE(server.requests().size() == 2);
  return answer;
}

// A POST that leads to another place of the same server.
Answer PostAndFollow(const HttpServer::Handler& there) {
  return Post(
      [&there](const Exchange& exchange) {
        if (exchange.Target() != "/") return there(exchange);
        exchange.Respond(303, "", "Location: /there\r\n");
      },
      Value::Map({{"follow_redirects", true}}));
}

Answer PostAndFollowToNobody() {
  HttpServer* self = nullptr;
  HttpServer server([&self](const Exchange& exchange) {
    self->Deafen();
    exchange.Respond(303, "", "Connection: close\r\nLocation: /there\r\n");
  });
  self = &server;
  Answer answer = Ask(Value::Map(
      {{"url", server.Url()}, {"method", "POST"}, {"follow_redirects", true}}));
  REQUIRE(server.requests().size() == 1);
  return answer;
}

Answer PostElsewhere(const std::string& location) {
  return Post(
      [&location](const Exchange& exchange) {
        exchange.Respond(302, "", "Location: " + location + "\r\n");
      },
      Value::Map({{"follow_redirects", true}}));
}

Answer AskPublicOnly() {
  const Sockets sockets([](int) {});
  HttpOptions options;
  options.public_only = true;
  return Ask(Value::Map({{"url", sockets.Url("http")}}), options);
}

Answer AskForTooMuch() {
  return Post(
      [](const Exchange& exchange) { exchange.Respond(200, "0123456789"); },
      Value::Map({{"response_bytes_max", 5}}));
}

Answer AskForTooManyHeaders() {
  return Post([](const Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100; ++i) {
      exchange.Send("X: " + std::string(1000, 'x') + "\r\n");
    }
    exchange.Reset();
  });
}

#ifdef REENACT_PYTHON
// With a certificate that the executor trusts, or not: what goes wrong then is
// the answer.
Answer AskOverTls(bool trusted) {
  const std::string base = REENACT_SOURCE_DIR "/tests/executors/tls_server";
  Child python({REENACT_PYTHON, base + ".py"});
  HttpOptions options;
  if (trusted) options.ca_file = base + ".pem";
  return Ask(Value::Map({{"url", "https://127.0.0.1:" + python.Line() + "/"}}),
             options);
}
#endif

TEST_CASE("trial 11: each row of the table of http.request is as it says",
          "[failures]") {
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
  Ways ways = {
      {"an expected status",
       [] {
         return PostForEach({200, 204});
       }},
      {"parameters that make no sense, a URL that is not plain",
       [] {
         return std::vector{Ask(Value::Map()), AskAt("http://127.1/")};
       }},
      {"no such host",
       [] {
         return std::vector{Ask(Value::Map(
             {{"url", "http://no-such-host.invalid/"}, {"timeout_ms", 2000}}))};
       }},
      {"nobody listens there",
       [] {
         return std::vector{
             AskAt("http://127.0.0.1:" + std::to_string(UnusedPort()) + "/")};
       }},
      {"no public address, and the program connects to no others",
       [] { return std::vector{AskPublicOnly()}; }},
      {"no connection in time, or no time left to make one",
       [] {
         const Sockets sockets(WaitForEnd);  // no word of TLS
         return std::vector{AskWithoutTime(),
                            Ask(Value::Map({{"url", sockets.Url("https")},
                                            {"timeout_ms", 50}}))};
       }},
      {"TLS that is not agreed on",
       [] {
         const Sockets closes([](int) {});
         const Sockets talks([](int fd) {
           [[maybe_unused]] const ssize_t sent =
               ::send(fd, "HTTP/1.1 400 what\r\n\r\n", 21, MSG_NOSIGNAL);
           WaitForEnd(fd);
         });
         return std::vector{AskAt(closes.Url("https")),
                            AskAt(talks.Url("https"))};
       }},
      {"a certificate that nobody vouches for",
       []() -> std::vector<Answer> {
#ifdef REENACT_PYTHON
         return {AskOverTls(false)};
#else
         return {};
#endif
       }},
      {"a status of 400 to 499, but those below",
       [] {
         return PostForEach({400, 401, 403, 404, 409, 410, 422, 499});
       }},
      {"425, 429",
       [] {
         return PostForEach({425, 429});
       }},
      {"408, 500 and above",
       [] {
         return PostForEach({408, 500, 501, 502, 503, 504, 599});
       }},
      {"any other status that was not expected",
       [] {
         std::vector<Answer> answers = PostForEach({300, 301, 302, 303, 304});
         answers.push_back(
             Post([](const Exchange& exchange) { exchange.Respond(202, ""); },
                  Value::Map({{"expect_status", Value::Array({200})}})));
         return answers;
       }},
      {"part of the request was sent, then the connection broke",
       [] { return std::vector{PostToWhoReadsAPart()}; }},
      {"sent, then reset or closed without an answer",
       [] {
         std::vector<Answer> answers = PostAndBreak("");
#ifdef REENACT_PYTHON
         answers.push_back(AskOverTls(true));
#endif
         return answers;
       }},
      {"half of an answer, then reset or closed",
       [&half] {
         std::vector<Answer> answers = PostAndBreak(half);
         for (const std::string& part :
              {half.substr(0, 15), half.substr(0, 20), half.substr(0, 36),
               std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                           "\r\n4\r\nhalf\r\n")}) {
           answers.push_back(PostAndBreak(part).front());
         }
         return answers;
       }},
      {"sent, and no answer in time",
       [] { return std::vector{AskWhoIsSilent()}; }},
      {"a kept connection that broke, and nobody listens any more",
       [] { return std::vector{AskTwiceWhereTheSecondFindsNobody()}; }},
      {"an answer that is no HTTP",
       [] {
         return std::vector{PostAndBreak("SSH-2.0-OpenSSH_9.2\r\n").front(),
                            PostAndBreak("HTTP/7 x\r\n\r\n").front()};
       }},
      {"more than `response_bytes_max`, or more than 64 KiB of headers",
       [] {
         return std::vector{AskForTooMuch(), AskForTooManyHeaders()};
       }},
      {"an answer that there is no blob store for",
       [] {
         return std::vector{Post([](const Exchange& exchange) {
           exchange.Respond(200, std::string(100'000, 'x'));
         })};
       }},
      {"a redirect elsewhere, or more than five",
       [] {
         return std::vector{PostElsewhere("http://127.0.0.1:1/"),
                            PostElsewhere("/")};
       }},
      {"behind a redirect that was followed: a status of 400 to 499",
       [] {
         return std::vector{PostAndFollow(
             [](const Exchange& exchange) { exchange.Respond(404, ""); })};
       }},
      {"behind a redirect that was followed: no connection",
       [] { return std::vector{PostAndFollowToNobody()}; }},
  };
  Walk("http.request", ways);
}

// --- process.run -------------------------------------------------------------

Answer Run(const std::vector<std::string>& argv, Value params = Value::Map()) {
  params.Set("argv",
             Value::Array(std::vector<Value>(argv.begin(), argv.end())));
  ProcessOptions options;
  options.grace = milliseconds(100);
  ProcessExecutor executor(options);
  FakeTask task(params);
  return executor.Execute(task);
}

Answer RunScript(const std::string& script, Value params = Value::Map()) {
  return Run({"/bin/sh", "-c", script}, std::move(params));
}

Answer RunWith(std::string_view field, Value value) {
  Value params = Value::Map();
  params.Set(field, std::move(value));
  return Run({"true"}, std::move(params));
}

Answer RunWithoutDescriptors() {
  const NoDescriptors none;
  return Run({"true"});
}

Answer RunAndCancel() {
  FakeTask task(Value::Map({{"argv", Value::Array({"sleep", "1000"})}}));
  task.Cancel();
  ProcessExecutor executor;
  return executor.Execute(task);
}

Answer RunUnderWhoIgnoresChildren() {
  ::signal(SIGCHLD, SIG_IGN);
  Answer answer = RunScript("sleep 0.1");
  ::signal(SIGCHLD, SIG_DFL);
  return answer;
}

TEST_CASE("trial 11: each row of the table of process.run is as it says",
          "[failures]") {
  const TemporaryDirectory directory;
  const std::string text = directory / "text";
  std::ofstream(text) << "no program";
  std::filesystem::permissions(text, std::filesystem::perms::owner_all);
  Walk(
      "process.run",
      {{"an expected exit status, all outputs there",
        [] { return std::vector{Run({"true"})}; }},
       {"parameters that make no sense",
        [] {
          return std::vector{Run({}), RunWith("timeout_ms", 0),
                             RunWith("shell", true), Run({"a/b"})};
        }},
       {"no such program, directory or input",
        [&] {
          return std::vector{Run({"no-such-program"}), Run({"/no/such"}),
                             Run({text}),  // the system knows no such format
                             RunWith("cwd", directory / "none"),
                             RunWith("inputs", Value::Array({"/no/such"}))};
        }},
       {"no memory, descriptors or processes to start it",
        [] { return std::vector{RunWithoutDescriptors()}; }},
       {"another exit status", [] { return std::vector{RunScript("exit 3")}; }},
       {"an output that is missing",
        [] {
          return std::vector{RunWith("outputs", Value::Array({"/no/such"}))};
        }},
       {"a signal",
        [] {
          return std::vector{
              RunScript("kill -9 $$"), RunScript("kill -SEGV $$"),
              RunScript("kill -TERM $$"),
              RunScript("while :; do :; done",
                        Value::Map({{"limits", Value::Map({{"cpu_s", 1}})}}))};
        }},
       {"too much output",
        [] {
          return std::vector{
              Run({"yes"}, Value::Map({{"stdout_bytes_max", 1000}})),
              RunScript("yes >&2", Value::Map({{"stderr_bytes_max", 1000}}))};
        }},
       {"more time than it has",
        [] {
          return std::vector{
              Run({"sleep", "1000"}, Value::Map({{"timeout_ms", 50}})),
              // Though it ends tidily when it is asked to.
              RunScript("trap 'exit 0' TERM; while :; do sleep 0.01; done",
                        Value::Map({{"timeout_ms", 200}}))};
        }},
       {"how it ended is lost: the program that runs the executor ignores "
        "SIGCHLD, or waits for all children",
        [] { return std::vector{RunUnderWhoIgnoresChildren()}; }},
       {"output that there is no blob store for",
        [&] {
          return std::vector{
              RunScript("head -c 50000 /dev/zero"),
              Run({"true"}, Value::Map({{"outputs", Value::Array({text})},
                                        {"keep_outputs", true}}))};
        }},
       {"cancelled", [] { return std::vector{RunAndCancel()}; }}});
}

// --- message.send ------------------------------------------------------------

WorldOptions CounterWorld(const std::string& path = "") {
  auto counter = MakeReducer("counter", [](StepContext& step) {
    step.SetState(Bytes(step.event().payload));
    return absl::OkStatus();
  });
  WorldOptions options;
  options.path = path;
  options.modules.push_back(MakeModule("demo", "1", {counter}).value());
  return options;
}

Value Message(const std::string& to, const std::string& reducer = "counter") {
  return Value::Map(
      {{"to", to}, {"reducer", reducer}, {"key", "k"}, {"payload", 5}});
}

TEST_CASE("trial 11: each row of the table of message.send is as it says",
          "[failures]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "w";
  REQUIRE_OK(World::Open(CounterWorld(path)).value()->Close());
  const auto running = World::Open(CounterWorld()).value();
  REQUIRE_OK(running->Start());
  const auto idle = World::Open(CounterWorld()).value();
  auto closing = World::Open(CounterWorld()).value();
  MessageExecutor executor;
  executor.Add("running", ToWorld(running.get()));
  executor.Add("idle", ToWorld(idle.get()));
  executor.Add("closing", ToWorld(closing.get()));
  executor.Add("inbox", ToInbox(path));
  executor.Add("nowhere", ToInbox(directory.path()));
  const auto send = [&executor](const Value& params,
                                milliseconds left = milliseconds(60'000)) {
    FakeTask task(params);
    task.set_time_left(left);
    return executor.Execute(task);
  };
  Walk("message.send",
       {{"it is durable on the other side, now or before",
         [&] {
           return std::vector{send(Message("running")),
                              send(Message("running")), send(Message("inbox")),
                              send(Message("inbox"))};
         }},
        {"parameters that make no sense, or a name that no world is known by",
         [&] {
           return std::vector{send(Value::Map({{"to", "idle"}})),
                              send(Message("nobody"))};
         }},
        {"no world in the directory",
         [&] { return std::vector{send(Message("nowhere"))}; }},
        {"the other world takes no such event",
         [&] { return std::vector{send(Message("running", "no-such"))}; }},
        {"no descriptors or space for its file",
         [&] {
           const NoDescriptors none;
           return std::vector{send(Message("inbox"))};
         }},
        {"its file could not be put into its place",
         [&] {
           FakeTask task(Message("inbox"));
           task.mutable_effect()->idempotency_key = Hash("in the way");
           std::filesystem::create_directory(path + "/inbox/" +
                                             MessageName(task.effect()));
           return std::vector{executor.Execute(task)};
         }},
        {"the other world does not run",
         [&] { return std::vector{send(Message("idle"), milliseconds(30))}; }},
        {"the other world is closed meanwhile", [&] {
           send(Message("closing"), milliseconds(1));  // and waits there
           REQUIRE_OK(closing->Close());
           return std::vector{send(Message("closing"))};
         }}});
}

}  // namespace
}  // namespace reenact
