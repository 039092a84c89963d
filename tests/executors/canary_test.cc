// Scenario 59: a secret goes out, comes back in every shape, and is in nothing
// that is kept.

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "reenact/executors/http_executor.h"
#include "reenact/executors/process_executor.h"
#include "tests/executors/fake_task.h"
#include "tests/executors/http_server.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using cbor::Value;

// Nothing in it that URLs or JSON would spell otherwise but for '/', so the
// shapes can be written by hand.
const std::string kCanary = "canary/Value/7Qx9";
const std::vector<std::string> kShapes = {
    "canary/Value/7Qx9",
    "63616e6172792f56616c75652f37517839",
    "63616E6172792F56616C75652F37517839",
    "Y2FuYXJ5L1ZhbHVlLzdReDk",
    "canary%2FValue%2F7Qx9",
    "canary%2fValue%2f7Qx9",
    // Basic authorization of "user:canary/Value/7Qx9".
    "Y2FuYXJ5L1ZhbHVlLzdReD",
    "NhbmFyeS9WYWx1ZS83UXg5",
    "jYW5hcnkvVmFsdWUvN1F4O",
};

// Little-endian, then big-endian.
std::string Utf16() {
  std::string out;
  for (const char c : kCanary) {
    out += c;
    out += '\0';
  }
  out += " ";
  for (const char c : kCanary) {
    out += '\0';
    out += c;
  }
  return out;
}

std::string AllShapes() {
  std::string all;
  for (const std::string& shape : kShapes) all += shape + "\n";
  return all + Utf16();
}

Secrets CanarySecrets() {
  return Secrets([](std::string_view) { return kCanary; });
}

void CheckIsClean(const std::string& bytes) {
  for (const std::string& shape : kShapes) {
    INFO(shape);
    CHECK(bytes.find(shape) == std::string::npos);
  }
  CHECK(bytes.find(std::string("c\0a\0n\0a", 7)) == std::string::npos);
}

void CheckIsClean(const Answer& answer, const TemporaryDirectory& directory) {
  CheckIsClean(answer.payload);
  for (const Evidence& evidence : answer.evidence) {
    CheckIsClean(evidence.name);
    // A digest of the value would tell who guesses it that the guess is right.
    CHECK(evidence.digest != Hash(kCanary));
  }
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory.path())) {
    if (entry.is_regular_file()) CheckIsClean(ReadWholeFile(entry.path()));
  }
}

TEST_CASE("chaos 59: a server that sends secrets back leaves none",
          "[canary]") {
  const TemporaryDirectory directory;
  const auto blobs = BlobStore::Open(directory / "blobs").value();
  const int times = GENERATE(1, 500);  // in the receipt, as a blob
  const int status = GENERATE(200, 500);
  const HttpServer server([&](const HttpServer::Exchange& exchange) {
    std::string echo = exchange.request;
    for (int i = 0; i < times; ++i) echo += AllShapes();
    exchange.Respond(status, echo, "X-Echo: " + kCanary + "\r\n");
  });
  FakeTask task(
      Value::Map(
          {{"url", server.Url("/?key=${secret:a}")},
           {"headers", Value::Map({{"Authorization", "Bearer ${secret:a}"}})},
           {"body", "${secret:a}"},
           {"response_headers", Value::Array({"x-echo"})}}),
      blobs.get(), CanarySecrets());
  HttpExecutor executor;
  const Answer answer = executor.Execute(task);
  const std::string request = server.requests().at(0);
  REQUIRE(request.find("Bearer " + kCanary + "\r\n") != std::string::npos);
  REQUIRE(request.find("?key=" + kCanary) != std::string::npos);
  REQUIRE(request.substr(request.size() - kCanary.size()) == kCanary);
  CHECK(PayloadOf(answer).GetInteger("status").value() == status);
  CheckIsClean(answer, directory);
}

TEST_CASE("chaos 59: what goes wrong with secrets does not tell them",
          "[canary]") {
  const TemporaryDirectory directory;
  const HttpServer server([](const HttpServer::Exchange& exchange) {
    exchange.Respond(302, "", "Location: http://" + kCanary + ":1/\r\n");
  });
  const std::vector<Value> requests = {
      Value::Map(
          {{"url", server.Url("/${secret:a}")}, {"follow_redirects", true}}),
      Value::Map({{"url", "http://127.0.0.1:" + std::to_string(UnusedPort()) +
                              "/${secret:a}"}}),
      Value::Map({{"url", "http://127.0.0.1:1/${secret:a} "}}),
      Value::Map({{"url", "http://127.0.0.1:1/"},
                  {"headers", Value::Map({{"X", "${secret:a}\r\n"}})}}),
  };
  HttpExecutor executor;
  for (const Value& params : requests) {
    FakeTask task(params, nullptr, CanarySecrets());
    const Answer answer = executor.Execute(task);
    CHECK(answer.status != ReceiptStatus::kOk);
    CheckIsClean(answer, directory);
  }
}

TEST_CASE("chaos 59: a process that prints secrets leaves none", "[canary]") {
  const TemporaryDirectory directory;
  const auto blobs = BlobStore::Open(directory / "blobs").value();
  const std::string end =
      GENERATE("exit 0", "exit 1", "kill -9 $$", "sleep 99");
  const char* const times = GENERATE("1", "2000");
  FakeTask task(
      Value::Map(
          {{"argv",
            Value::Array(
                {"/bin/sh", "-c",
                 "read line; for i in $(seq " + std::string(times) +
                     "); do echo \"$KEY $line\"; done; "
                     "printf %s \"$KEY\" | base64; printf %s \"u:$KEY\" | "
                     "base64; printf %s \"$KEY\" | od -An -tx1 | tr -d ' \\n';"
                     "echo \"$KEY\" >&2; " +
                     end})},
           {"env",
            Value::Map({{"KEY", "${secret:a}"}, {"PATH", "/usr/bin:/bin"}})},
           {"stdin", "${secret:a}\n"},
           {"timeout_ms", 3000}}),
      blobs.get(), CanarySecrets());
  ProcessOptions options;
  options.grace = std::chrono::milliseconds(50);
  ProcessExecutor executor(options);
  const Answer answer = executor.Execute(task);
  CheckIsClean(answer, directory);
  if (end == "exit 0") {
    CHECK(answer.status == ReceiptStatus::kOk);
    CHECK(BytesIn(answer, "stderr") == "${secret:a}\n");
  }
}

}  // namespace
}  // namespace reenact
