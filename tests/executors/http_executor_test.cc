// http.request against a server on the loopback that behaves, or does not.

#include "reenact/executors/http_executor.h"

#include <stdlib.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <thread>

#include "reenact/executors/dispatcher.h"
#include "reenact/executors/retry_after.h"
#include "tests/executors/fake_task.h"
#include "tests/executors/fake_world.h"
#include "tests/executors/http_server.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using cbor::Value;
using std::chrono::milliseconds;
using Exchange = HttpServer::Exchange;
using Catch::Matchers::Contains;

Answer Ask(const Value& params, HttpOptions options = {}) {
  HttpExecutor executor(std::move(options));
  FakeTask task(params);
  return executor.Execute(task);
}

// The answer to a GET of a server that does what `handler` does.
Answer AskOf(const HttpServer::Handler& handler, HttpOptions options = {}) {
  const HttpServer server(handler);
  return Ask(Value::Map({{"url", server.Url()}}), std::move(options));
}

TEST_CASE("a request is answered with status, headers, body and evidence",
          "[http]") {
  const HttpServer server([](const Exchange& exchange) {
    exchange.Respond(200, "hello", "Content-Type: text/x\r\nX-Other: y\r\n");
  });
  const Answer answer = Ask(Value::Map({{"url", server.Url("/a?b=c")}}));
  REQUIRE(answer.status == ReceiptStatus::kOk);
  CHECK(PayloadOf(answer) ==
        Value::Map({{"status", 200},
                    {"headers", Value::Map({{"content-type", "text/x"}})},
                    {"body", Value::ByteString("hello")}}));
  REQUIRE(answer.evidence.size() == 1);
  CHECK(answer.evidence[0] == Evidence{"body", Hash("hello"), 5});
  CHECK(answer.usage.Of("calls") == 1);
  CHECK(answer.usage.Of("bytes_in") > 5);
  CHECK(answer.usage.Of("bytes_out") == server.requests().at(0).size());
  CHECK_THAT(server.requests().at(0), Catch::StartsWith("GET /a?b=c HTTP/1.1"));
}

TEST_CASE("method, headers, body and idempotency key reach the server",
          "[http]") {
  const HttpServer server(
      [](const Exchange& exchange) { exchange.Respond(201, ""); });
  const Answer answer =
      Ask(Value::Map({{"method", "PUT"},
                      {"url", server.Url()},
                      {"headers", Value::Map({{"X-One", "1"}, {"X-None", ""}})},
                      {"body", Value::ByteString(std::string("a\0b", 3))}}));
  CHECK(answer.status == ReceiptStatus::kOk);
  const std::string request = server.requests().at(0);
  CHECK_THAT(request, Catch::StartsWith("PUT / HTTP/1.1\r\n"));
  CHECK_THAT(request, Contains("\r\nX-One: 1\r\n"));
  CHECK_THAT(request, Contains("\r\nX-None:\r\n"));
  CHECK_THAT(request,
             Contains("\r\nIdempotency-Key: " + Hash("key").ToHex() + "\r\n"));
  CHECK_THAT(request, !Contains("Content-Type"));
  CHECK_THAT(request, !Contains("Expect"));
  CHECK_THAT(request, Catch::EndsWith(std::string("\r\n\r\na\0b", 7)));
  CHECK(answer.usage.Of("bytes_out") >= request.size());
}

TEST_CASE("HEAD has no body, whatever its length says", "[http]") {
  const HttpServer server([](const Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  });
  const Answer answer =
      Ask(Value::Map({{"method", "HEAD"}, {"url", server.Url()}}));
  CHECK(answer.status == ReceiptStatus::kOk);
  CHECK(BytesIn(answer, "body").empty());
}

TEST_CASE("a status that was not expected leaves all there is", "[http]") {
  struct Case {
    int status;
    bool transient;
    ReceiptStatus end = ReceiptStatus::kError;
  };
  constexpr auto kUnknown = ReceiptStatus::kTimeout;
  const auto expected =
      GENERATE(Case{404, false}, Case{400, false}, Case{304, false, kUnknown},
               Case{408, true, kUnknown}, Case{429, true},
               Case{500, true, kUnknown}, Case{503, true, kUnknown});
  const Answer answer = AskOf([&](const Exchange& exchange) {
    exchange.Respond(expected.status, expected.status == 304 ? "" : "why",
                     "Retry-After: 7\r\n");
  });
  CHECK(answer.status == expected.end);
  CHECK(answer.transient == expected.transient);
  CHECK(answer.retry_after.has_value() == expected.transient);
  if (answer.retry_after) CHECK(*answer.retry_after == milliseconds(7000));
  CHECK(PayloadOf(answer).GetInteger("status").value() == expected.status);
  CHECK(ErrorOf(answer) == "status " + std::to_string(expected.status));
}

TEST_CASE("a status may be expected", "[http]") {
  const HttpServer server(
      [](const Exchange& exchange) { exchange.Respond(404, "none"); });
  Value params = Value::Map(
      {{"url", server.Url()}, {"expect_status", Value::Array({200, 404})}});
  CHECK(Ask(params).status == ReceiptStatus::kOk);
  params.Set("expect_status", Value::Array({201}));
  CHECK(Ask(params).status == ReceiptStatus::kError);
}

TEST_CASE("redirects are followed on request, and to the same place only",
          "[http]") {
  const HttpServer other(
      [](const Exchange& exchange) { exchange.Respond(200, "other"); });
  const HttpServer server([&](const Exchange& exchange) {
    const std::string target = exchange.Target();
    if (target == "/here") {
      exchange.Respond(302, "", "Location: /there\r\n");
    } else if (target == "/away") {
      exchange.Respond(302, "", "Location: " + other.Url("/") + "\r\n");
    } else if (target == "/round") {
      exchange.Respond(307, "", "Location: /round\r\n");
    } else if (target == "/file") {
      exchange.Respond(302, "", "Location: file:///etc/passwd\r\n");
    } else {
      exchange.Respond(200, exchange.request.substr(0, 4));
    }
  });
  const auto follow = [&](const std::string& target) {
    return Ask(Value::Map({{"method", "POST"},
                           {"url", server.Url(target)},
                           {"body", "x"},
                           {"follow_redirects", true}}));
  };
  SECTION("not by default") {
    const Answer answer = Ask(Value::Map({{"url", server.Url("/here")}}));
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK(PayloadOf(answer).GetInteger("status").value() == 302);
  }
  SECTION("a POST goes on as GET, and each hop counts") {
    const Answer answer = follow("/here");
    CHECK(answer.status == ReceiptStatus::kOk);
    CHECK(BytesIn(answer, "body") == "GET ");
    CHECK(answer.usage.Of("calls") == 2);
  }
  SECTION("not to another port") {
    const Answer answer = follow("/away");
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK_THAT(ErrorOf(answer), Contains("another place"));
    CHECK(other.connections() == 0);
  }
  SECTION("not to another scheme") {
    CHECK(follow("/file").status == ReceiptStatus::kTimeout);
  }
  SECTION("not for ever") {
    const Answer answer = follow("/round");
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK(answer.usage.Of("calls") == 6);
  }
}

TEST_CASE("a response that is too large is refused, however it comes",
          "[http]") {
  HttpOptions options;
  options.response_bytes_max = 1000;
  const std::string kilobyte(1024, 'x');
  SECTION("with its length") {
    const Answer answer = AskOf(
        [&](const Exchange& exchange) { exchange.Respond(200, kilobyte); },
        options);
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK_FALSE(answer.transient);
    CHECK_THAT(ErrorOf(answer), Contains("more than 1000 bytes"));
  }
  SECTION("in chunks without end") {
    const Answer answer = AskOf(
        [&](const Exchange& exchange) {
          exchange.Send(
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
          for (int i = 0; i < 100; ++i) {
            exchange.Send("400\r\n" + kilobyte + "\r\n");
          }
        },
        options);
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK_THAT(ErrorOf(answer), Contains("more than 1000 bytes"));
  }
  SECTION("as headers") {
    const Answer answer = AskOf([&](const Exchange& exchange) {
      exchange.Send("HTTP/1.1 200 OK\r\n");
      for (int i = 0; i < 200; ++i) exchange.Send("X: " + kilobyte + "\r\n");
    });
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK_THAT(ErrorOf(answer), Contains("headers"));
  }
  SECTION("exactly what is allowed is fine") {
    CHECK(AskOf(
              [&](const Exchange& exchange) {
                exchange.Respond(200, kilobyte.substr(24));
              },
              options)
              .status == ReceiptStatus::kOk);
  }
}

TEST_CASE("chunks become one body", "[http]") {
  const Answer answer = AskOf([](const Exchange& exchange) {
    exchange.Send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  });
  CHECK(BytesIn(answer, "body") == "abcde");
}

TEST_CASE("a connection that breaks is worth another try", "[http]") {
  const auto handler = GENERATE(
      HttpServer::Handler([](const Exchange& exchange) { exchange.Reset(); }),
      HttpServer::Handler([](const Exchange& exchange) {
        exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        exchange.Reset();
      }));
  const Answer answer = AskOf(handler);
  CHECK(answer.status == ReceiptStatus::kTimeout);
  CHECK(answer.transient);
  CHECK(answer.payload.find("half") == std::string::npos);
}

TEST_CASE("what is no HTTP is not asked for again", "[http]") {
  const std::string noise =
      GENERATE(std::string("SSH-2.0-OpenSSH_9.2\r\n"), std::string(100, '\0'),
               std::string("HTTP/1.1 99999 what\r\n\r\n"),
               std::string("HTTP/7 x\r\n\r\n"));
  const Answer answer = AskOf([&](const Exchange& exchange) {
    exchange.Send(noise);
    exchange.Reset();
  });
  CHECK(answer.status == ReceiptStatus::kTimeout);
}

TEST_CASE("where nobody listens it is worth another try", "[http]") {
  const Answer answer = Ask(Value::Map(
      {{"url", "http://127.0.0.1:" + std::to_string(UnusedPort()) + "/"}}));
  CHECK(answer.status == ReceiptStatus::kError);
  CHECK(answer.transient);
  CHECK_THAT(ErrorOf(answer), Contains("127.0.0.1"));
}

TEST_CASE("a server that does not answer in time leaves a time-out", "[http]") {
  const HttpServer server([](const Exchange& exchange) {
    exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow");
    exchange.WaitForClient();
  });
  // How long it takes to connect depends on the machine.
  milliseconds patience(50);
  Answer answer;
  SECTION("the effect's own") {
    do {
      answer = Ask(Value::Map(
          {{"url", server.Url()}, {"timeout_ms", patience.count()}}));
      patience *= 2;
    } while (server.requests().empty());
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK(answer.transient);
  }
  SECTION("the task's deadline") {
    HttpExecutor executor;
    FakeTask task(Value::Map({{"url", server.Url()}}));
    do {
      task.set_time_left(patience);
      answer = executor.Execute(task);
      patience *= 2;
    } while (server.requests().empty());
    CHECK(answer.status == ReceiptStatus::kTimeout);
    task.set_time_left(milliseconds(-50));
    CHECK(executor.Execute(task).transient);
  }
}

TEST_CASE("a request that is not wanted any more ends", "[http]") {
  std::optional<FakeTask> task;  // outlives the server's threads
  const HttpServer server([&](const Exchange& exchange) {
    task->Cancel();
    exchange.WaitForClient();
  });
  task.emplace(Value::Map({{"url", server.Url()}}));
  HttpExecutor executor;
  const Answer answer = executor.Execute(*task);
  CHECK(answer.status == ReceiptStatus::kCancelled);
  CHECK(answer.usage.Of("calls") == 1);
}

TEST_CASE("long bodies go to the blob store, in both directions", "[http]") {
  const TemporaryDirectory directory;
  const auto blobs = BlobStore::Open(directory / "blobs").value();
  const std::string text(100'000, 'y');
  const HttpServer server(
      [](const Exchange& exchange) { exchange.Respond(200, exchange.Body()); });
  const Digest digest = blobs->Put(text).value();
  const Value params = Value::Map(
      {{"url", server.Url()},
       {"body",
        Value::Map({{"blob", Value::ByteString(Bytes(digest.view()))}})}});
  HttpExecutor executor;
  FakeTask task(params, blobs.get());
  const Answer answer = executor.Execute(task);
  REQUIRE(answer.status == ReceiptStatus::kOk);
  CHECK(*PayloadOf(answer).Find("body") ==
        Value::Map({{"blob", Value::ByteString(Bytes(digest.view()))},
                    {"size", 100'000}}));
  CHECK(answer.evidence.at(0) == Evidence{"body", digest, 100'000});

  SECTION("without one the answer says so") {
    const Answer refused =
        Ask(Value::Map({{"url", server.Url()}, {"body", text}}));
    CHECK(refused.status == ReceiptStatus::kTimeout);
    CHECK_THAT(ErrorOf(refused), Contains("no blob store"));
  }
}

TEST_CASE("proxies of the environment are not asked", "[http]") {
  const std::string dead = "http://127.0.0.1:" + std::to_string(UnusedPort());
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    ::setenv(name, dead.c_str(), 1);
  }
  const Answer answer =
      AskOf([](const Exchange& exchange) { exchange.Respond(200, "direct"); });
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    ::unsetenv(name);
  }
  CHECK(BytesIn(answer, "body") == "direct");

  HttpOptions options;
  options.proxy = dead;
  CHECK(AskOf([](const Exchange& exchange) { exchange.Respond(200, ""); },
              options)
            .transient);
}

TEST_CASE("trial 13: a response says how long to wait, in seconds or by a date",
          "[http]") {
  using std::chrono::seconds;
  const std::string date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  const auto [headers,
              patience] = GENERATE_COPY(table<std::string,
                                              std::optional<milliseconds>>({
      {"Retry-After: 120\r\n", seconds(120)},
      {"Retry-After: 0\r\n", seconds(0)},
      {"retry-after:7 \r\n", seconds(7)},
      {"Retry-After: 99999999999999999999\r\n", kVeryLong},
      {"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", kVeryLong},
      {date + "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n", seconds(60)},
      {date + "Retry-After: Sunday, 06-Nov-94 08:50:37 GMT\r\n", seconds(60)},
      {date + "Retry-After: Sun Nov  6 08:50:37 1994\r\n", seconds(60)},
      {"Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n", seconds(0)},
      {"Retry-After: 5\r\nRetry-After: 9\r\nRetry-After: x\r\n", seconds(9)},
      {"Retry-After: soon\r\n", std::nullopt},
      {"Retry-After: -5\r\n", std::nullopt},
      {"", std::nullopt},
  }));
  CAPTURE(headers);
  const Answer answer = AskOf([&headers = headers](const Exchange& exchange) {
    exchange.Respond(503, "busy", headers);
  });
  REQUIRE(answer.transient);
  REQUIRE(answer.retry_after == patience);
}

TEST_CASE("trial 13: requests that hang to one host do not hold up another",
          "[http]") {
  HttpServer slow([](const Exchange& exchange) { exchange.WaitForClient(); });
  HttpServer quick(
      [](const Exchange& exchange) { exchange.Respond(200, "here"); });
  const auto asking = [](std::uint64_t number, const HttpServer& server) {
    OpenEffect effect = EffectOf(number, "http.request");
    effect.params = Value::Map({{"url", server.Url()}}).Encode();
    effect.intent_hash =
        IntentHash(effect.kind, effect.params, "", effect.idempotency_key);
    return effect;
  };
  FakeWorld world;
  Dispatcher dispatcher;
  REQUIRE(dispatcher.Register(std::make_shared<HttpExecutor>()).ok());
  world.Listen(&dispatcher);
  REQUIRE(dispatcher.Start(&world, WorldId(), 1).ok());
  for (std::uint64_t n = 1; n <= 8; ++n) world.Open(asking(n, slow));
  const OpenEffect effect = asking(9, quick);
  world.Open(effect);
  CHECK(world.WaitFor(effect.intent_hash).status == ReceiptStatus::kOk);
  REQUIRE(dispatcher.Stop(milliseconds(0)).ok());
}

TEST_CASE("connections are used again, cookies are not kept", "[http]") {
  const HttpServer server([](const Exchange& exchange) {
    exchange.Respond(200, "", "Set-Cookie: a=b\r\n");
  });
  HttpExecutor executor;
  for (int i = 0; i < 3; ++i) {
    FakeTask task(Value::Map({{"url", server.Url()}}));
    CHECK(executor.Execute(task).status == ReceiptStatus::kOk);
  }
  CHECK(server.connections() == 1);
  for (const std::string& request : server.requests()) {
    CHECK_THAT(request, !Contains("Cookie"));
  }
}

TEST_CASE("many requests run beside each other", "[http]") {
  const HttpServer server([](const Exchange& exchange) {
    exchange.Respond(200, exchange.Target());
  });
  HttpExecutor executor;
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string target =
            "/" + std::to_string(t) + "/" + std::to_string(i);
        FakeTask task(Value::Map({{"url", server.Url(target)}}));
        if (BytesIn(executor.Execute(task), "body") == target) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 80);
}

TEST_CASE("trial 07: a host in disguise is not contacted", "[http]") {
  const HttpServer server(
      [](const Exchange& exchange) { exchange.Respond(200, "in"); });
  const std::string url = server.Url();  // http://127.0.0.1:PORT/
  const std::string port = url.substr(url.rfind(':'));
  for (const std::string& odd :
       {"http://2130706433" + port, "http://0177.0.0.1" + port,
        "http://0x7f.1" + port, "http://127.1" + port, "http://0" + port,
        "http://[::ffff:127.0.0.1]" + port,
        "http://127.0.0.1" + port.substr(0, port.size() - 1) + "?x",
        "http://127.0.0.1" + port.substr(0, port.size() - 1) + "#x",
        "http://127.0.0.1." + port, url + "a/../b"}) {
    INFO(odd);
    const Answer answer = Ask(Value::Map({{"url", odd}}));
    CHECK(answer.status == ReceiptStatus::kError);
    CHECK_FALSE(answer.transient);
    CHECK(answer.usage.empty());
    CHECK_THAT(ErrorOf(answer), Contains("the URL"));
  }
  CHECK(server.connections() == 0);
  CHECK(Ask(Value::Map({{"url", url}})).status == ReceiptStatus::kOk);
}

TEST_CASE(
    "trial 07: a program that wants public addresses connects to no "
    "others, whatever the name",
    "[http]") {
  const HttpServer server(
      [](const Exchange& exchange) { exchange.Respond(200, "in"); });
  const std::string url = server.Url();
  const std::string port = url.substr(url.rfind(':'));
  HttpOptions options;
  options.public_only = true;
  for (const std::string& place :
       {url, "http://localhost" + port, "http://a.localhost" + port,
        "http://[::1]" + port, std::string("http://169.254.169.254/"),
        std::string("http://10.0.0.1/")}) {
    INFO(place);
    const Answer answer = Ask(Value::Map({{"url", place}}), options);
    CHECK(answer.status == ReceiptStatus::kError);
    CHECK_FALSE(answer.transient);
    CHECK_THAT(ErrorOf(answer), Contains("no public address"));
  }
  CHECK(server.connections() == 0);

  options.proxy = url;
  const Answer answer =
      Ask(Value::Map({{"url", "http://a.example/"}}), options);
  CHECK_THAT(ErrorOf(answer), Contains("proxy"));
  CHECK(server.connections() == 0);
}

TEST_CASE("parameters that make no sense are named", "[http]") {
  struct Case {
    Value params;
    const char* message;
  };
  const auto with = [](std::string_view field, Value value) {
    Value params = Value::Map({{"url", "http://127.0.0.1/"}});
    params.Set(field, std::move(value));
    return params;
  };
  const std::vector<Case> cases = {
      {Value::Map(), "\"url\" is missing"},
      {Value(5), "must be a map"},
      {with("urll", 1), "no parameter \"urll\""},
      {with("url", "ftp://x/"), "http:// or https://"},
      {with("url", "http://u:p@x/"), "must not name a user"},
      {with("url", "http://${secret:host}/"), "in front of the path"},
      {with("url", "http://x/ y"), "a blank"},
      {with("method", "CONNECT"), "\"method\""},
      {with("method", "GET /"), "\"method\""},
      {with("headers", Value::Map({{"X", "a\r\nY: b"}})), "line break"},
      {with("headers", Value::Map({{"X:", "a"}})), "no name of a header"},
      {with("headers", Value::Map({{"Host", "a"}})), "set by the executor"},
      {with("headers", Value::Map({{"Idempotency-key", "a"}})),
       "set by the executor"},
      {with("headers", Value::Map({{"X", 1}})), "from text to text"},
      {with("headers", Value::Map({{"X", "${secret:no}"}})),
       "no secret \"no\""},
      {with("headers", Value::Map({{"X", "${secret:no"}})), "closing"},
      {with("timeout_ms", 0), "\"timeout_ms\""},
      {with("timeout_ms", "1"), "\"timeout_ms\""},
      {with("response_bytes_max", std::int64_t{1} << 40),
       "\"response_bytes_max\""},
      {with("body", 5), "\"body\""},
      {with("body", Value::Map({{"blob", Value::ByteString("x")}})),
       "32 bytes"},
      {with("expect_status", 200), "array of integers"},
  };
  for (const Case& wrong : cases) {
    const Answer answer = Ask(wrong.params);
    CHECK(answer.status == ReceiptStatus::kError);
    CHECK_FALSE(answer.transient);
    CHECK_THAT(ErrorOf(answer), Contains(wrong.message));
    CHECK(answer.usage.empty());
  }
}

}  // namespace
}  // namespace reenact
