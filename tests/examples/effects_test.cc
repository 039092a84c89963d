// Worlds that act, through the command: a real server on the loopback, real
// processes, and the command killed at any moment.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "reenact/base/mutex.h"
#include "reenact/journal/archive.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "tests/executors/http_server.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"
#include "tests/tools/command.h"
#include "tools/reenact/effect_table.h"
#include "tools/reenact/json.h"

namespace reenact {
namespace {

using tests::Command;
using tests::CommandResult;
using tests::Reenact;
using tests::RunReenact;
using tools::EffectTable;
using tools::Json;

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<std::string> RunArgs(const std::string& module,
                                 const std::string& world,
                                 const std::string& events) {
  return {"run", "--module", module, "--world",
          world, "--events", events, "--with-executors"};
}

Json StateOf(const std::string& world, const std::string& reducer,
             const std::string& key) {
  const CommandResult result =
      RunReenact({"state", world, reducer, key, "--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  return Json::parse(result.out);
}

void CheckVerifies(const std::string& module, const std::string& world) {
  const CommandResult result =
      RunReenact({"verify", world, "--module", module});
  INFO(result.out << result.err);
  CHECK(result.code == 0);
}

// The value of a header in a request.
std::string HeaderOf(const std::string& request, const std::string& name) {
  const std::size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}

// Counts what a server was asked, by idempotency key.
class Counter {
 public:
  void Note(const std::string& request) {
    const std::string key = HeaderOf(request, "Idempotency-Key");
    MutexLock lock(&mutex_);
    ++by_key_[key];
  }
  std::map<std::string, int> by_key() const {
    MutexLock lock(&mutex_);
    return by_key_;
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, int> by_key_ ABSL_GUARDED_BY(mutex_);
};

// --- fetch -------------------------------------------------------------------

TEST_CASE(
    "fetch: pages within a budget, tried again where it helps, and had "
    "from the cache",
    "[examples][effects]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  std::atomic<int> flaky{0};
  HttpServer server([&flaky](const HttpServer::Exchange& exchange) {
    if (exchange.Target() == "/missing") return exchange.Respond(404, "no");
    if (exchange.Target() == "/flaky" && ++flaky < 3) {
      return exchange.Respond(503, "not now", "Retry-After: 0\r\n");
    }
    exchange.Respond(200, "hello " + exchange.Target());
  });
  WriteFile(directory / "grant.json",
            R"({"name": "fetch", "kinds": ["http.request"],
                "where": [{"path": "url", "host": ["127.0.0.1"]}],
                "limit": {"calls": 4}})");
  WriteFile(directory / "policy.json",
            R"({"version": 1, "otherwise": "allow",
                "cache": {"http.request": {"ttl": 1000000}}})");
  WriteFile(directory / "none.jsonl", "");
  REQUIRE(RunReenact({"run", "--module", "fetch", "--world", world, "--events",
                      directory / "none.jsonl", "--clock", "rounds"})
              .code == 0);
  const CommandResult granted =
      RunReenact({"grant", "create", world, directory / "grant.json",
                  "--module", "fetch"});
  INFO(granted.err);
  REQUIRE(granted.code == 0);
  const CommandResult ruled = RunReenact(
      {"policy", "set", world, directory / "policy.json", "--module", "fetch"});
  INFO(ruled.err);
  REQUIRE(ruled.code == 0);

  const auto row = [&server](const std::string& target,
                             const std::string& name) {
    return R"({"url": ")" + server.Url(target) + R"(", "name": ")" + name +
           "\"}\n";
  };
  WriteFile(directory / "urls.jsonl",
            row("/a", "a") + row("/missing", "m") + row("/flaky", "f"));
  const CommandResult first =
      RunReenact(RunArgs("fetch", world, directory / "urls.jsonl"));
  INFO(first.err << first.out);
  REQUIRE(first.code == 0);
  CHECK(StateOf(world, "page", "a")["state"] == "fetched");
  CHECK(StateOf(world, "page", "m")["state"] == "failed");
  CHECK(StateOf(world, "page", "f")["state"] == "fetched");
  const int asked = static_cast<int>(server.requests().size());

  // The same page again costs nothing; a host that the grant does not name is
  // not asked.
  WriteFile(directory / "urls.jsonl",
            row("/a", "a") + row("/missing", "m") + row("/flaky", "f") +
                row("/a", "again") +
                "{\"url\": \"http://localhost.example/\", \"name\": \"x\"}\n");
  const CommandResult second =
      RunReenact(RunArgs("fetch", world, directory / "urls.jsonl"));
  INFO(second.err << second.out);
  REQUIRE(second.code == 0);
  CHECK(StateOf(world, "page", "again")["cached"] == true);
  CHECK(StateOf(world, "page", "x")["state"] == "failed");
  CHECK(static_cast<int>(server.requests().size()) == asked);

  const CommandResult effects = RunReenact({"effects", world});
  INFO(effects.out);
  CHECK(effects.code == 0);
  CHECK(effects.out.find("(cached)") != std::string::npos);
  CHECK(effects.out.find("denied") != std::string::npos);
  const CommandResult budget = RunReenact({"budget", world, "--json"});
  REQUIRE(budget.code == 0);
  const Json fetch = Json::parse(budget.out);
  CHECK(fetch["reserved"].empty());
  CHECK(fetch["spent"]["calls"] >= 3);
  CheckVerifies("fetch", world);
}

// --- one answer for several --------------------------------------------------

// Rows for the module `asks`, in a file that grows, each run with what it has
// by then.
class Asking {
 public:
  explicit Asking(const std::string& directory)
      : world_(directory + "/w"), rows_(directory + "/rows.jsonl") {}

  void Add(const std::string& key, const std::string& url,
           const std::string& more) {
    text_ += R"({"key": ")" + key + R"(", "kind": "http.request", )" +
             R"("params": {"method": "GET", "url": ")" + url + "\"}, " + more +
             "}\n";
  }
  void Run() const {
    WriteFile(rows_, text_);
    std::vector<std::string> args =
        RunArgs(REENACT_BINARY_DIR "/tests/modules/asks.so", world_, rows_);
    args.insert(args.end(), {"--clock", "rounds"});
    const CommandResult result = RunReenact(args);
    INFO(result.err << result.out);
    REQUIRE(result.code == 0);
  }
  // The last that a cell has heard.
  Json Heard(const std::string& key) const {
    return StateOf(world_, "asker", key).back();
  }
  const std::string& world() const { return world_; }

 private:
  const std::string world_;
  const std::string rows_;
  std::string text_;
};

TEST_CASE(
    "trial 14: who asks for the same page at once shares one request, and "
    "has it again later, whatever its size",
    "[examples][effects][trial]") {
  TemporaryDirectory directory;
  HttpServer server([](const HttpServer::Exchange& exchange) {
    exchange.Respond(200, std::string(exchange.Target() == "/4"    ? 4'100
                                      : exchange.Target() == "/12" ? 12'000
                                                                   : 40'000,
                                      'x'));
  });
  const std::string module = REENACT_BINARY_DIR "/tests/modules/asks.so";
  Asking asking(directory / "");
  asking.Run();
  WriteFile(directory / "policy.json",
            R"({"version": 1, "otherwise": "allow", "cache_count": 100,
                "cache": {"http.request": {"ttl": 1000000}}})");
  const CommandResult ruled =
      RunReenact({"policy", "set", asking.world(), directory / "policy.json",
                  "--module", module});
  INFO(ruled.err);
  REQUIRE(ruled.code == 0);
  const std::vector<std::string> targets = {"/4", "/12", "/40"};
  for (const std::string& target : targets) {
    for (const char* who : {"a", "b", "c"}) {
      asking.Add(who + target, server.Url(target), R"("scope": "pages")");
    }
  }
  asking.Run();
  CHECK(server.requests().size() == 3);
  for (const std::string& target : targets) {
    asking.Add("d" + target, server.Url(target), R"("scope": "pages")");
  }
  asking.Run();
  CHECK(server.requests().size() == 3);
  for (const std::string& target : targets) {
    for (const char* who : {"a", "b", "c", "d"}) {
      CAPTURE(target, who);
      CHECK(asking.Heard(who + target)["status"] == "ok");
      CHECK(asking.Heard(who + target)["payload"] ==
            asking.Heard("a" + target)["payload"]);
    }
    CHECK(asking.Heard("d" + target)["cached"] == true);
  }
  CheckVerifies(module, asking.world());
}

TEST_CASE(
    "trial 02: what failed is asked again under the same key, and not once "
    "it was answered",
    "[examples][effects][trial]") {
  TemporaryDirectory directory;
  std::atomic<int> asked{0};
  Counter counter;
  HttpServer server([&](const HttpServer::Exchange& exchange) {
    counter.Note(exchange.request);
    exchange.Respond(++asked == 1 ? 404 : 200, "paid");
  });
  Asking asking(directory / "");
  for (int i = 0; i < 3; ++i) {
    asking.Add("k", server.Url("/pay"), R"("identity": "order 17")");
    asking.Run();
    CHECK(asking.Heard("k")["status"] == (i == 0 ? "error" : "ok"));
  }
  CHECK(asked == 2);
  CHECK(counter.by_key().size() == 1);
  CHECK(asking.Heard("k")["cached"] == true);
  CheckVerifies(REENACT_BINARY_DIR "/tests/modules/asks.so", asking.world());
}

// --- who may answer, and who may be asked ------------------------------------

// A world of fetch that may fetch one page, `url`, under a policy.
struct OnePage {
  OnePage(const std::string& url, const std::string& policy) {
    WriteFile(directory / "none.jsonl", "");
    WriteFile(directory / "urls.jsonl",
              R"({"url": ")" + url + R"(", "name": "page"})" + "\n");
    WriteFile(directory / "grant.json",
              R"({"name": "fetch", "limit": {"calls": 100}})");
    MustRun({"run", "--module", "fetch", "--world", world, "--events",
             directory / "none.jsonl"});
    MustRun({"grant", "create", world, directory / "grant.json", "--module",
             "fetch"});
    SetPolicy(policy);
  }
  static CommandResult MustRun(const std::vector<std::string>& args) {
    CommandResult result = RunReenact(args);
    INFO(result.err << result.out);
    REQUIRE(result.code == 0);
    return result;
  }
  void SetPolicy(const std::string& policy) {
    WriteFile(directory / "policy.json", policy);
    MustRun({"policy", "set", world, directory / "policy.json", "--module",
             "fetch"});
  }
  CommandResult Run(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args =
        RunArgs("fetch", world, directory / "urls.jsonl");
    args.insert(args.end(), more.begin(), more.end());
    return RunReenact(args);
  }

  TemporaryDirectory directory;
  const std::string world = directory / "w";
};

TEST_CASE(
    "trial 09: what the policy lets nobody here answer is never begun, "
    "run after run, and said",
    "[examples][effects]") {
  HttpServer server([](const HttpServer::Exchange& exchange) {
    exchange.Respond(200, "hello");
  });
  OnePage at(server.Url("/a"),
             R"({"version": 1, "otherwise": "allow",
                 "executors": {"ci": {"kinds": "process.run"}}})");
  for (int i = 0; i < 3; ++i) {
    const CommandResult run = at.Run();
    INFO(run.err);
    CHECK(run.err.find(
              "not carried out here: blob.get, blob.put, http.request") !=
          std::string::npos);
    CHECK(run.err.find("waiting for an executor of http.request: 1; the policy "
                       "lists other executors only") != std::string::npos);
  }
  CHECK(server.requests().empty());
  CHECK(StateOf(at.world, "page", "page")["state"] == "asked");

  // Listed with a key, it signs.
  const std::string file = at.directory / "executors.key";
  std::string key = OnePage::MustRun({"policy", "key", file}).out;
  key.pop_back();
  CHECK(OnePage::MustRun({"policy", "key", file}).out == key + "\n");
  at.SetPolicy(R"({"version": 1, "otherwise": "allow",
                   "executors": {"http.request": {"key": ")" +
               key + "\"}}}");
  const CommandResult unsigned_run = at.Run();
  INFO(unsigned_run.err);
  CHECK(unsigned_run.err.find("http.request: the policy wants a signature") !=
        std::string::npos);
  CHECK(server.requests().empty());
  CHECK(at.Run({"--executor-key", file}).code == 0);
  CHECK(StateOf(at.world, "page", "page")["state"] == "fetched");
  CHECK(server.requests().size() == 1);
  CheckVerifies("fetch", at.world);
}

TEST_CASE("trial 07: a policy that denies a host is not got around",
          "[examples][effects]") {
  HttpServer server([](const HttpServer::Exchange& exchange) {
    exchange.Respond(200, "hello");
  });
  const std::string url = server.Url();
  const std::string port = url.substr(url.rfind(':'));
  const bool disguised = GENERATE(true, false);
  OnePage at(disguised ? "http://2130706433" + port : url,
             disguised ? R"({"version": 1, "otherwise": "allow", "rules": [
                            {"name": "no", "then": "deny", "where": [
                              {"path": "url", "host": "127.0.0.1"}]}]})"
                       : R"({"version": 1, "otherwise": "allow"})");
  const CommandResult run = at.Run({"--public-addresses"});
  INFO(run.err);
  CHECK(StateOf(at.world, "page", "page")["state"] == "failed");
  CHECK(server.connections() == 0);
}

TEST_CASE("trial 08: which process may take what makes sense, or is not begun",
          "[examples][effects]") {
  TemporaryDirectory directory;
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"run",           "--module",
                                     "fetch",         "--world",
                                     directory / "w", "--with-executors"};
    args.insert(args.end(), more.begin(), more.end());
    return RunReenact(args);
  };
  CHECK(run({"--executor", "ci=process.run"}).code == 2);
  for (const char* wrong : {"ci", "=a", "ci=", "ci=a,,b", "ci=a,"}) {
    INFO(wrong);
    CHECK(
        run({"--executor-socket", directory / "s", "--executor", wrong}).code ==
        2);
  }
  WriteFile(directory / "key", "abc\n");
  std::filesystem::permissions(directory / "key",
                               std::filesystem::perms::owner_read);
  CHECK(run({"--executor-key", directory / "key"}).code == 7);
  std::filesystem::permissions(directory / "key",
                               std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);
  CHECK(run({"--executor-key", directory / "key"}).code == 8);
}

// --- secrets -----------------------------------------------------------------

TEST_CASE(
    "chaos 59: a secret is sent, and is nowhere in the world or in what "
    "the command says",
    "[examples][effects][chaos]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  const std::string canary = "c4n4ry-5up3r-s3cret-value";
  HttpServer server([&canary](const HttpServer::Exchange& exchange) {
    // Sends back what it got, in the body and in a header.
    exchange.Respond(exchange.Target() == "/bad" ? 500 : 200,
                     "you said " + exchange.request,
                     "X-Echo: " + canary + "\r\n");
  });
  const std::string secrets = directory / "secrets";
  std::filesystem::create_directory(secrets);
  std::filesystem::permissions(secrets, std::filesystem::perms::owner_all);
  WriteFile(secrets + "/token", canary + "\n");
  const auto row = [&server](const std::string& target) {
    return R"({"url": ")" + server.Url(target) +
           R"(?key=${secret:token}", "name": ")" + target + "\"}\n";
  };
  WriteFile(directory / "urls.jsonl", row("/good") + row("/bad"));
  WriteFile(directory / "none.jsonl", "");
  WriteFile(directory / "grant.json",
            R"({"name": "fetch", "limit": {"calls": 100}})");
  REQUIRE(RunReenact({"run", "--module", "fetch", "--world", world, "--events",
                      directory / "none.jsonl"})
              .code == 0);
  REQUIRE(RunReenact({"grant", "create", world, directory / "grant.json",
                      "--module", "fetch"})
              .code == 0);
  std::vector<std::string> args =
      RunArgs("fetch", world, directory / "urls.jsonl");
  args.insert(args.end(), {"--secrets", secrets});
  const CommandResult run = RunReenact(args);
  INFO(run.err << run.out);
  REQUIRE(run.code == 0);
  // The server did get it.
  bool sent = false;
  for (const std::string& request : server.requests()) {
    sent = sent || request.find(canary) != std::string::npos;
  }
  CHECK(sent);

  std::string all = run.out + run.err;
  for (const char* command : {"log", "effects", "state", "stat"}) {
    const CommandResult said = RunReenact({command, world});
    all += said.out + said.err;
  }
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(world)) {
    if (file.is_regular_file()) all += ReadWholeFile(file.path());
  }
  std::string utf16;
  for (const char letter : canary) (utf16 += letter) += '\0';
  for (const std::string& shape : {canary, ToHex(canary), utf16}) {
    CHECK(all.find(shape) == std::string::npos);
  }
}

// --- saga --------------------------------------------------------------------

TEST_CASE("saga: three bookings or none", "[examples][effects]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  HttpServer server([](const HttpServer::Exchange& exchange) {
    const bool full = exchange.Target() == "/car" &&
                      exchange.Body().find("unlucky") != std::string::npos;
    exchange.Respond(full ? 409 : 200, full ? "no car left" : "booked");
  });
  std::string service = server.Url("/");
  service.pop_back();
  WriteFile(directory / "trips.jsonl",
            R"({"trip": "lucky", "service": ")" + service + "\"}\n" +
                R"({"trip": "unlucky", "service": ")" + service + "\"}\n");
  const CommandResult run =
      RunReenact(RunArgs("saga", world, directory / "trips.jsonl"));
  INFO(run.err << run.out);
  REQUIRE(run.code == 0);
  CHECK(StateOf(world, "trip", "lucky")["state"] == "booked");
  const Json unlucky = StateOf(world, "trip", "unlucky");
  CHECK(unlucky["state"] == "cancelled");
  CHECK(unlucky["why"] == "car: error");
  std::vector<std::string> asked;
  for (const std::string& request : server.requests()) {
    if (request.find("unlucky") == std::string::npos) continue;
    const std::size_t begin = request.find(' ') + 1;
    asked.push_back(request.substr(begin, request.find(' ', begin) - begin));
  }
  CHECK(asked == std::vector<std::string>{"/flight", "/hotel", "/car",
                                          "/hotel/cancel", "/flight/cancel"});
  const CommandResult why = RunReenact({"why", world, "2"});
  INFO(why.out);
  CHECK(why.out.find("http.request") != std::string::npos);
  CheckVerifies("saga", world);
}

// What a trip asked its service for, each target once, in order.
std::vector<std::string> AskedFor(const HttpServer& server,
                                  const std::string& trip) {
  std::vector<std::string> asked;
  for (const std::string& request : server.requests()) {
    if (request.find("\"" + trip + "\"") == std::string::npos) continue;
    const std::size_t begin = request.find(' ') + 1;
    const std::string target =
        request.substr(begin, request.find(' ', begin) - begin);
    if (asked.empty() || asked.back() != target) asked.push_back(target);
  }
  return asked;
}

// A room was booked, the answer did not arrive, and nobody cancelled it.
TEST_CASE(
    "trial 11: a booking whose answer is cut off is cancelled, one that is "
    "refused is not",
    "[examples][effects]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  HttpServer server([](const HttpServer::Exchange& exchange) {
    const auto is = [&](const char* trip) {
      return exchange.Body().find(trip) != std::string::npos;
    };
    if (exchange.Target() == "/hotel/cancel" && is("closed")) {
      return exchange.Respond(404, "no such booking");
    }
    if (exchange.Target() != "/hotel") return exchange.Respond(200, "");
    if (is("refused")) return exchange.Respond(409, "full");
    if (is("error")) return exchange.Respond(500, "");
    if (is("half"))
      exchange.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha");
    return is("closed") ? exchange.HangUp() : exchange.Reset();
  });
  std::string service = server.Url("/");
  service.pop_back();
  std::string rows;
  for (const char* trip : {"reset", "closed", "half", "error", "refused"}) {
    rows += R"({"trip": ")" + std::string(trip) + R"(", "service": ")" +
            service + "\"}\n";
  }
  WriteFile(directory / "trips.jsonl", rows);
  const CommandResult run =
      RunReenact(RunArgs("saga", world, directory / "trips.jsonl"));
  INFO(run.err << run.out);
  REQUIRE(run.code == 0);
  using Targets = std::vector<std::string>;
  for (const char* trip : {"reset", "closed", "half", "error"}) {
    INFO(trip);
    const Json state = StateOf(world, "trip", trip);
    CHECK(state["state"] == "cancelled");
    CHECK(state["why"] == "hotel: timeout");
    CHECK(AskedFor(server, trip) ==
          Targets{"/flight", "/hotel", "/hotel/cancel", "/flight/cancel"});
  }
  CHECK(StateOf(world, "trip", "refused")["why"] == "hotel: error");
  CHECK(AskedFor(server, "refused") ==
        Targets{"/flight", "/hotel", "/flight/cancel"});
  CheckVerifies("saga", world);
}

// The request had arrived when the command was killed; the next run was told
// "409, that is booked already", and took it for a refusal.
TEST_CASE(
    "trial 11: what a killed run had sent is not called refused by the next",
    "[examples][effects]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  std::atomic<int> bookings{0};
  HttpServer server([&bookings](const HttpServer::Exchange& exchange) {
    if (exchange.Target() != "/flight") return exchange.Respond(200, "");
    if (++bookings == 1) return exchange.WaitForClient();
    exchange.Respond(409, "booked already");
  });
  std::string service = server.Url("/");
  service.pop_back();
  WriteFile(directory / "trips.jsonl",
            R"({"trip": "t", "service": ")" + service + "\"}\n");
  const auto args = RunArgs("saga", world, directory / "trips.jsonl");
  {
    Command command(Reenact(args));
    while (bookings == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    command.Signal(SIGKILL);
    command.Finish();
  }
  const CommandResult again = RunReenact(args);
  INFO(again.err << again.out);
  REQUIRE(again.code == 0);
  const Json trip = StateOf(world, "trip", "t");
  CHECK(trip["state"] == "cancelled");
  CHECK(trip["why"] == "flight: timeout");
  CHECK(AskedFor(server, "t") ==
        std::vector<std::string>{"/flight", "/flight/cancel"});
  CheckVerifies("saga", world);
}

// --- how effects ended -------------------------------------------------------

// Half of what a run was to do had failed, and it said 0 and no word of it.
TEST_CASE(
    "trial 15: a run counts its effects by how they ended, and "
    "--strict-effects ends with 13",
    "[examples][effects]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  const std::string module = REENACT_BINARY_DIR "/tests/modules/asks.so";
  const auto run = [&](const std::string& rows,
                       const std::vector<std::string>& more) {
    WriteFile(directory / "rows.jsonl", rows);
    std::vector<std::string> args =
        RunArgs(module, world, directory / "rows.jsonl");
    args.insert(args.end(), {"--append", "--clock", "rounds"});
    args.insert(args.end(), more.begin(), more.end());
    return RunReenact(args);
  };
  const auto script = [](const std::string& key, const std::string& text) {
    return R"({"key": ")" + key + R"(", "kind": "process.run", "params": )" +
           R"({"argv": ["/bin/sh", "-c", ")" + text + "\"]}}\n";
  };
  const auto fax = [](const std::string& key) {
    return R"({"key": ")" + key + R"(", "kind": "fax", "params": {}})" + "\n";
  };
  const CommandResult well =
      run(script("a", "true") +
              R"({"key": "t", "kind": "timer", "params": {"after": 5}})" + "\n",
          {"--strict-effects"});
  INFO(well.err);
  REQUIRE(well.code == 0);
  CHECK(well.out.find("effects     1 ok\n") != std::string::npos);
  CHECK(run("", {}).out.find("effects ") == std::string::npos);

  WriteFile(directory / "policy.json",
            R"({"version": 1, "otherwise": "allow", "rules": [
                {"name": "never", "key": "denied", "then": "deny"},
                {"name": "dear", "key": "held", "then": "ask"}]})");
  REQUIRE(RunReenact({"policy", "set", world, directory / "policy.json",
                      "--module", module})
              .code == 0);
  const CommandResult mixed =
      run(script("b", "true") + script("c", "exit 3") +
              script("d", "kill -9 $$") + script("denied", "true") +
              script("held", "true") + fax("open") + fax("cancelled") +
              R"({"key": "cancelled", "kind": "effect.cancel", )"
              R"("params": {"all": true}})" +
              "\n",
          {"--json"});
  INFO(mixed.err);
  REQUIRE(mixed.code == 0);
  CHECK(Json::parse(mixed.out)["effects"] ==
        Json::parse(R"({"ok": 1, "error": 1, "timeout": 1, "denied": 1,
                        "cancelled": 1, "open": 1, "held": 1})"));
  // What ended in another run is that one's; what is left is everyone's.
  const CommandResult strict = run("", {"--strict-effects"});
  CHECK(strict.code == 13);
  CHECK(strict.out.find("effects     1 open, 1 held\n") != std::string::npos);
  CHECK(strict.err.find("not all effects ended with ok: 1 open, 1 held") !=
        std::string::npos);
  CheckVerifies(module, world);
}

// --- build -------------------------------------------------------------------

TEST_CASE("build: a graph of processes that a kill does not begin anew",
          "[examples][effects]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  const std::string work = directory / "work";
  std::filesystem::create_directory(work);
  const auto target = [&work](const std::string& name, const std::string& needs,
                              const std::string& script) {
    return R"({"target": ")" + name + R"(", "needs": [)" + needs +
           R"(], "cwd": ")" + work + R"(", "argv": ["/bin/sh", "-c", ")" +
           script + R"("], "outputs": [")" + name + "\"]}\n";
  };
  // Each notes that it ran; the last but one takes its time.
  WriteFile(
      directory / "targets.jsonl",
      target("app", R"("a.o", "b.o")", "echo app >> ran; cat a.o b.o > app") +
          target("a.o", "", "echo a.o >> ran; echo a > a.o") +
          target("b.o", R"("b.c")",
                 "echo b.o >> ran; while ! test -e go; do sleep 0.02; done; "
                 "cat b.c > b.o") +
          target("b.c", "", "echo b.c >> ran; echo b > b.c"));
  const std::vector<std::string> args =
      RunArgs("build", world, directory / "targets.jsonl");
  const auto ran = [&work] {
    std::multiset<std::string> names;
    std::ifstream file(work + "/ran");
    for (std::string line; std::getline(file, line);) names.insert(line);
    return names;
  };
  {
    Command command(Reenact(args));
    while (ran().count("b.o") == 0 || ran().count("a.o") == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    // Until a.o has its receipt, too.
    for (;;) {
      const CommandResult done = RunReenact({"effects", world, "--done"});
      if (done.out.find("target/a.o") != std::string::npos) break;
    }
    command.Signal(SIGKILL);
    command.Finish();
  }
  WriteFile(work + "/go", "");
  const CommandResult again = RunReenact(args);
  INFO(again.err << again.out);
  REQUIRE(again.code == 0);
  const Json app = StateOf(world, "target", "app");
  CHECK(app["state"] == "built");
  CHECK(app["files"]["output:app"] == Hash("a\nb\n").ToHex());
  CHECK(ran().count("a.o") == 1);
  CHECK(ran().count("b.c") == 1);
  CHECK(ran().count("app") == 1);
  CHECK(ran().count("b.o") >= 1);
  CheckVerifies("build", world);
}

// --- kill -9 -----------------------------------------------------------------

// Accepted receipts by intent.
std::map<Digest, int> ReceiptsOf(const std::string& world) {
  const auto archive = Archive::Open(world);
  REQUIRE_OK(archive);
  std::map<Digest, int> receipts;
  REQUIRE_OK((*archive)->ScanEntries(
      0, [&receipts](const BlockHeader&, const Entry& entry, BytesView) {
        if (const auto* one = std::get_if<entry::ReceiptAppended>(&entry)) {
          ++receipts[one->receipt.intent_hash];
        }
        return absl::OkStatus();
      }));
  return receipts;
}

TEST_CASE(
    "chaos 08: killed 50 times while 100 effects are open, each effect has "
    "one receipt, and the server saw each key",
    "[examples][effects][chaos]") {
  TemporaryDirectory directory;
  const std::string world = directory / "w";
  Counter counter;
  HttpServer server([&counter](const HttpServer::Exchange& exchange) {
    counter.Note(exchange.request);
    std::this_thread::sleep_for(std::chrono::milliseconds(15));
    exchange.Respond(200, "ok");
  });
  constexpr int kEffects = 100;
  std::string rows;
  for (int i = 0; i < kEffects; ++i) {
    const std::string target = "/page/" + std::to_string(i);
    rows += R"({"url": ")" + server.Url(target) + "\"}\n";
  }
  WriteFile(directory / "urls.jsonl", rows);
  WriteFile(directory / "grant.json",
            R"({"name": "fetch", "limit": {"calls": 100000}})");
  WriteFile(directory / "none.jsonl", "");
  REQUIRE(RunReenact({"run", "--module", "fetch", "--world", world, "--events",
                      directory / "none.jsonl"})
              .code == 0);
  REQUIRE(RunReenact({"grant", "create", world, directory / "grant.json",
                      "--module", "fetch"})
              .code == 0);
  // All of them open before the first kill.
  REQUIRE(RunReenact({"run", "--module", "fetch", "--world", world, "--events",
                      directory / "urls.jsonl"})
              .code == 0);
  std::vector<std::string> args =
      RunArgs("fetch", world, directory / "urls.jsonl");
  args.insert(args.end(), {"--concurrency", "1"});
  Dice dice(20);
  for (int kill = 0; kill < 50; ++kill) {
    Command command(Reenact(args));
    std::this_thread::sleep_for(std::chrono::milliseconds(dice.Below(300)));
    command.Signal(SIGKILL);
    command.Finish();
  }
  const CommandResult last =
      RunReenact(RunArgs("fetch", world, directory / "urls.jsonl"));
  INFO(last.err << last.out);
  REQUIRE(last.code == 0);

  const auto archive = Archive::Open(world);
  REQUIRE_OK(archive);
  const auto table = EffectTable::Read(**archive);
  REQUIRE_OK(table);
  REQUIRE(table->rows().size() == kEffects);
  const std::map<Digest, int> receipts = ReceiptsOf(world);
  const std::map<std::string, int> seen = counter.by_key();
  REQUIRE(seen.size() == kEffects);
  for (const EffectTable::Row& row : table->rows()) {
    CHECK(row.state == EffectTable::State::kDone);
    REQUIRE(receipts.count(row.intent_hash) == 1);
    CHECK(receipts.at(row.intent_hash) == 1);
  }
  CheckVerifies("fetch", world);
}

}  // namespace
}  // namespace reenact
