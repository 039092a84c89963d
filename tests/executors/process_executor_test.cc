// process.run with programs that behave, and with those that do not.

#include "reenact/executors/process_executor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/executors/fake_task.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Catch::Matchers::Contains;
using cbor::Value;
using std::chrono::milliseconds;

Value Argv(const std::vector<std::string>& argv) {
  std::vector<Value> items(argv.begin(), argv.end());
  return Value::Array(std::move(items));
}

Value Command(const std::vector<std::string>& argv) {
  return Value::Map({{"argv", Argv(argv)}});
}

Value Script(const std::string& text) {
  return Command({"/bin/sh", "-c", text});
}

ProcessOptions Impatient() {
  ProcessOptions options;
  options.grace = milliseconds(100);
  return options;
}

Answer RunWith(const Value& params, ProcessOptions options = Impatient()) {
  ProcessExecutor executor(std::move(options));
  FakeTask task(params);
  return executor.Execute(task);
}

// Whether a process is there and not just waiting to be reaped.
bool IsRunning(const std::string& pid) {
  REQUIRE(!pid.empty());
  std::ifstream file("/proc/" + pid + "/stat");
  std::string stat;
  if (!std::getline(file, stat)) return false;
  return stat.at(stat.rfind(')') + 2) != 'Z';
}

// Bounded; a kill is carried out a moment after it is sent.
bool Ends(const std::string& pid) {
  for (int i = 0; i < 1000 && IsRunning(pid); ++i) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  return !IsRunning(pid);
}

std::string FirstLine(const Bytes& text) {
  return text.substr(0, text.find('\n'));
}

// The answer of a script that says something before its time-out, which is
// longer from try to try: how soon that is depends on the machine.
Answer TimeOutOnceReady(Value params, const ProcessOptions& options) {
  for (int timeout_ms = 50;; timeout_ms *= 2) {
    params.Set("timeout_ms", timeout_ms);
    Answer answer = RunWith(params, options);
    REQUIRE(answer.status == ReceiptStatus::kTimeout);
    if (!BytesIn(answer, "stdout").empty()) return answer;
  }
}

TEST_CASE("a program's outputs and exit status are the answer", "[process]") {
  const Answer answer = RunWith(Script("echo out; echo err >&2"));
  REQUIRE(answer.status == ReceiptStatus::kOk);
  CHECK(PayloadOf(answer) ==
        Value::Map({{"exit", 0},
                    {"stdout", Value::ByteString("out\n")},
                    {"stderr", Value::ByteString("err\n")}}));
  CHECK(answer.evidence == std::vector<Evidence>{{"stdout", Hash("out\n"), 4},
                                                 {"stderr", Hash("err\n"), 4}});
  CHECK(answer.usage.Of("calls") == 1);
}

TEST_CASE("no shell reads the arguments", "[process]") {
  const std::string text = "$HOME `id` $(id) * ; | > /x \"'\\ \n";
  CHECK(BytesIn(RunWith(Command({"printf", "%s", text})), "stdout") == text);
}

TEST_CASE("the environment is what the effect says", "[process]") {
  ::setenv("REENACT_TEST_LEAK", "leak", 1);
  ProcessOptions options;
  options.env = {{"BASE", "1"}, {"BOTH", "old"}};
  Value params = Command({"/usr/bin/env"});
  params.Set("env", Value::Map({{"OWN", "2"}, {"BOTH", "new"}}));
  CHECK(BytesIn(RunWith(params, options), "stdout") ==
        "BASE=1\nOWN=2\nBOTH=new\nREENACT_IDEMPOTENCY_KEY=" +
            Hash("key").ToHex() + "\n");
  ::unsetenv("REENACT_TEST_LEAK");
}

TEST_CASE("standard input is a text, bytes, a blob, or empty", "[process]") {
  const TemporaryDirectory directory;
  const auto blobs = BlobStore::Open(directory / "blobs").value();
  const std::string large(300'000, 'z');
  const Digest digest = blobs->Put(large).value();
  Value params = Command({"wc", "-c"});
  const auto count = [&] {
    ProcessExecutor executor;
    FakeTask task(params, blobs.get());
    return FirstLine(BytesIn(executor.Execute(task), "stdout"));
  };
  CHECK(count() == "0");
  params.Set("stdin", "four");
  CHECK(count() == "4");
  params.Set("stdin", Value::ByteString("\xff\xfe"));
  CHECK(count() == "2");
  params.Set("stdin",
             Value::Map({{"blob", Value::ByteString(Bytes(digest.view()))}}));
  CHECK(count() == "300000");
}

TEST_CASE("a program need not read its input", "[process]") {
  Value params = Command({"true"});
  params.Set("stdin", std::string(1'000'000, 'x'));
  CHECK(RunWith(params).status == ReceiptStatus::kOk);
}

TEST_CASE("an exit status that was not expected is an error", "[process]") {
  Value params = Script("echo partly; exit 3");
  const Answer answer = RunWith(params);
  CHECK(answer.status == ReceiptStatus::kError);
  CHECK_FALSE(answer.transient);
  CHECK(PayloadOf(answer).GetInteger("exit").value() == 3);
  CHECK(BytesIn(answer, "stdout") == "partly\n");
  CHECK(ErrorOf(answer) == "exit status 3");
  params.Set("expect_exit", Value::Array({0, 3}));
  CHECK(RunWith(params).status == ReceiptStatus::kOk);
}

TEST_CASE("a signal leaves open how far it came", "[process]") {
  const Answer answer = RunWith(Script("kill -9 $$"));
  CHECK(answer.status == ReceiptStatus::kTimeout);
  CHECK(PayloadOf(answer).GetInteger("signal").value() == SIGKILL);
}

TEST_CASE("at its time-out a process is ended with all that it started",
          "[process]") {
  const Answer answer =
      TimeOutOnceReady(Script("sleep 1000 & echo $!; sleep 1000"), Impatient());
  CHECK(Ends(FirstLine(BytesIn(answer, "stdout"))));
}

TEST_CASE("a process that does not heed SIGTERM is killed", "[process]") {
  const Answer answer = TimeOutOnceReady(
      Script("trap '' TERM; echo $$; while :; do sleep 0.05; done"),
      Impatient());
  CHECK(Ends(FirstLine(BytesIn(answer, "stdout"))));
}

TEST_CASE("a process has time to end by itself", "[process]") {
  ProcessOptions options;
  options.grace = milliseconds(60'000);
  const Answer answer = TimeOutOnceReady(
      Script("trap 'echo tidy; exit 0' TERM; echo ready; while :; do sleep "
             "0.01; done"),
      options);
  CHECK(BytesIn(answer, "stdout") == "ready\ntidy\n");
}

TEST_CASE("what a process leaves behind ends with it", "[process]") {
  const Answer answer = RunWith(Script("sleep 1000 & echo $!"));
  CHECK(answer.status == ReceiptStatus::kOk);
  CHECK(Ends(FirstLine(BytesIn(answer, "stdout"))));
}

TEST_CASE("a process that is not wanted any more ends", "[process]") {
  const TemporaryDirectory directory;
  const std::string started = directory / "started";
  FakeTask task(Script("touch " + started + "; sleep 1000"));
  std::thread canceller([&] {
    for (int i = 0; i < 4000 && !std::filesystem::exists(started); ++i) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    task.Cancel();
  });
  ProcessExecutor executor(Impatient());
  CHECK(executor.Execute(task).status == ReceiptStatus::kCancelled);
  canceller.join();
}

TEST_CASE("the task's deadline holds for the process, too", "[process]") {
  FakeTask task(Command({"sleep", "1000"}));
  task.set_time_left(milliseconds(200));
  ProcessExecutor executor;
  CHECK(executor.Execute(task).status == ReceiptStatus::kTimeout);
}

TEST_CASE("output beyond the limit ends the process", "[process]") {
  Value params = Command({"yes"});
  params.Set("stdout_bytes_max", 1000);
  const Answer answer = RunWith(params);
  CHECK(answer.status == ReceiptStatus::kTimeout);
  CHECK_THAT(ErrorOf(answer), Contains("more than 1000 bytes"));
  CHECK(answer.payload.size() < 500);

  Value errors = Script("yes >&2");
  errors.Set("stderr_bytes_max", 1000);
  CHECK(RunWith(errors).status == ReceiptStatus::kTimeout);
}

TEST_CASE("long output goes to the blob store", "[process]") {
  const TemporaryDirectory directory;
  const auto blobs = BlobStore::Open(directory / "blobs").value();
  FakeTask task(Script("head -c 50000 /dev/zero"), blobs.get());
  ProcessExecutor executor;
  const Answer answer = executor.Execute(task);
  const Digest digest = Hash(std::string(50'000, '\0'));
  CHECK(*PayloadOf(answer).Find("stdout") ==
        Value::Map({{"blob", Value::ByteString(Bytes(digest.view()))},
                    {"size", 50'000}}));
  CHECK(blobs->Has(digest));
}

TEST_CASE("arguments that are too long are refused before anything runs",
          "[process]") {
  const Answer answer = RunWith(Command({"true", std::string(600'000, 'x')}));
  CHECK(answer.status == ReceiptStatus::kError);
  CHECK_THAT(ErrorOf(answer), Contains("the limit is"));
  CHECK(answer.usage.empty());
  SECTION("and what only the system refuses is its message") {
    ProcessOptions options;
    options.argument_bytes_max = 64 << 20;
    const Answer system =
        RunWith(Command({"true", std::string(600'000, 'x')}), options);
    CHECK(system.status == ReceiptStatus::kError);
    CHECK_THAT(ErrorOf(system), Contains("true'"));
  }
}

TEST_CASE("a process has the standard descriptors and no others", "[process]") {
  const int leak = ::open("/dev/null", O_RDONLY);  // without close-on-exec
  REQUIRE(leak >= 3);
  const Answer answer = RunWith(Script("ls /proc/$$/fd"));
  ::close(leak);
  CHECK(BytesIn(answer, "stdout") == "0\n1\n2\n");
}

TEST_CASE("no signal is blocked or ignored in a process", "[process]") {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const Answer answer =
      RunWith(Command({"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"}));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  CHECK(BytesIn(answer, "stdout") ==
        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("limits hold for the process", "[process]") {
  Value params = Script("ulimit -n; ulimit -c");
  params.Set("limits", Value::Map({{"files", 20}}));
  CHECK(BytesIn(RunWith(params), "stdout") == "20\n0\n");
  params.Set("limits", Value::Map({{"file", 20}}));
  CHECK_THAT(ErrorOf(RunWith(params)), Contains("limits.\"file\""));
}

TEST_CASE("inputs and outputs leave their digests as evidence", "[process]") {
  const TemporaryDirectory directory;
  WriteWholeFile(directory / "in", "input");
  Value params = Command({"cp", "in", "out"});
  params.Set("cwd", directory.path());
  params.Set("inputs", Value::Array({"in"}));
  params.Set("outputs", Value::Array({"out"}));
  const Answer answer = RunWith(params);
  REQUIRE(answer.status == ReceiptStatus::kOk);
  REQUIRE(answer.evidence.size() == 4);
  CHECK(answer.evidence[0] == Evidence{"input:in", Hash("input"), 5});
  CHECK(answer.evidence[3] == Evidence{"output:out", Hash("input"), 5});
  const Value payload = PayloadOf(answer);
  CHECK(*payload.Find("outputs")->Find("out")->Find("digest") ==
        Value::ByteString(Bytes(Hash("input").view())));

  SECTION("kept on request") {
    const auto blobs = BlobStore::Open(directory / "blobs").value();
    params.Set("keep_outputs", true);
    FakeTask task(params, blobs.get());
    ProcessExecutor executor;
    CHECK(executor.Execute(task).status == ReceiptStatus::kOk);
    CHECK(blobs->Get(Hash("input"), 5).value() == "input");
  }
  SECTION("an input that is missing: nothing runs") {
    std::filesystem::remove(directory / "out");
    params.Set("inputs", Value::Array({"other"}));
    const Answer missing = RunWith(params);
    CHECK(missing.status == ReceiptStatus::kError);
    CHECK_THAT(ErrorOf(missing), Contains("input:other"));
    CHECK_FALSE(std::filesystem::exists(directory / "out"));
  }
  SECTION("an output that is missing is an error") {
    params.Set("outputs", Value::Array({"nothing"}));
    const Answer missing = RunWith(params);
    CHECK(missing.status == ReceiptStatus::kError);
    CHECK_THAT(ErrorOf(missing), Contains("output:nothing"));
    CHECK(PayloadOf(missing).GetInteger("exit").value() == 0);
  }
  SECTION("a pipe is no file") {
    REQUIRE(::mkfifo((directory / "pipe").c_str(), 0600) == 0);
    params.Set("inputs", Value::Array({"pipe"}));
    CHECK_THAT(ErrorOf(RunWith(params)), Contains("plain file"));
  }
}

TEST_CASE("no zombie stays", "[process]") {
  RunWith(Command({"true"}));
  RunWith(Command({"/no/such/program"}));
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a program that ignores SIGCHLD is told what it loses", "[process]") {
  ::signal(SIGCHLD, SIG_IGN);
  // One is gone before anybody can watch it, mostly; the other is not.
  for (const char* script : {"echo done", "sleep 0.1; echo done"}) {
    CAPTURE(script);
    const Answer answer = RunWith(Script(script));
    CHECK(answer.status == ReceiptStatus::kTimeout);
    CHECK_THAT(ErrorOf(answer), Contains("SIGCHLD"));
    CHECK(BytesIn(answer, "stdout") == "done\n");
  }
  ::signal(SIGCHLD, SIG_DFL);
}

TEST_CASE("many processes run beside each other", "[process]") {
  ProcessExecutor executor;
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string text = std::to_string(t * 100 + i);
        FakeTask task(Command({"printf", "%s", text}));
        if (BytesIn(executor.Execute(task), "stdout") == text) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 40);
}

TEST_CASE("what cannot be run is named", "[process]") {
  const TemporaryDirectory directory;
  WriteWholeFile(directory / "text", "no program");
  const auto with = [](std::string_view field, Value value) {
    Value params = Command({"true"});
    params.Set(field, std::move(value));
    return params;
  };
  struct Case {
    Value params;
    const char* message;
  };
  const std::vector<Case> cases = {
      {Value::Map(), "\"argv\" is missing or empty"},
      {with("argv", "true"), "array of texts"},
      {with("argv", Value::Array()), "missing or empty"},
      {Command({""}), "names no program"},
      {Command({"no-such-program"}), "no program \"no-such-program\""},
      {Command({"./text"}), "absolute path"},
      {Command({"/no/such/program"}), "/no/such/program"},
      {Command({directory / "text"}), "Permission denied"},
      {Command({std::string("a\0b", 3)}), "NUL"},
      {Command({"true", "${secret:x}"}), "must not hold a secret"},
      {with("shell", true), "no parameter \"shell\""},
      {with("cwd", directory / "none"), "cannot work in"},
      {with("cwd", directory / "text"), "cannot work in"},
      {with("env", Value::Map({{"A=B", "x"}})), "env.A=B"},
      {with("env", Value::Map({{"", "x"}})), "\"env.\""},
      {with("env", Value::Map({{"A", std::string("x\0", 2)}})), "NUL"},
      {with("env", Value::Map({{"A", "${secret:none}"}})), "\"none\""},
      {with("env", Value::Map({{"REENACT_IDEMPOTENCY_KEY", "x"}})),
       "no name that can be set"},
      {with("timeout_ms", -1), "\"timeout_ms\""},
      {with("inputs", Value::Array({""})), "\"inputs\""},
      {with("keep_outputs", 1), "true or false"},
  };
  for (const Case& wrong : cases) {
    const Answer answer = RunWith(wrong.params);
    CHECK(answer.status == ReceiptStatus::kError);
    CHECK_FALSE(answer.transient);
    CHECK_THAT(ErrorOf(answer), Contains(wrong.message));
  }
}

}  // namespace
}  // namespace reenact
