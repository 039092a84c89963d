// An executor's process, for tests that stop and kill it.
//
//   executor_child client SOCKET NAME KIND   ExecutorClient
//   executor_child raw SOCKET NAME KIND      the protocol, and a receipt that
//                                            is sent whatever happened
//
// Both write "started" when they have an effect, and answer it when a line
// comes in on standard input. `raw` then writes the verdict, and ends.

#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "reenact/executors/client.h"
#include "tests/executors/raw_executor.h"

namespace reenact {
namespace {

void Say(const std::string& line) { std::cout << line << std::endl; }

class Obedient final : public Executor {
 public:
  explicit Obedient(std::string kind) : kind_(std::move(kind)) {}

  std::string_view kind() const override { return kind_; }
  Answer Execute(Task&) override {
    Say("started");
    std::string line;
    std::getline(std::cin, line);
    return Answer::Ok(line);
  }

 private:
  const std::string kind_;
};

int RunClient(const std::string& path, const std::string& name,
              const std::string& kind) {
  ClientOptions options;
  options.path = path;
  options.name = name;
  ExecutorClient client(options);
  if (!client.Register(std::make_shared<Obedient>(kind)).ok()) return 2;
  return client.Run().ok() ? 0 : 1;
}

int RunRaw(const std::string& path, const std::string& name,
           const std::string& kind) {
  RawExecutor executor(path, name);
  executor.Hello(kind);
  const auto welcome = executor.Next<frames::Welcome>();
  const auto granted = executor.Claim();
  if (!welcome || !granted) return 1;
  Say("started");
  // As long as this process runs, its lease does not end.
  pollfd input{STDIN_FILENO, POLLIN, 0};
  while (poll(&input, 1, static_cast<int>(welcome->lease_ms / 3)) == 0) {
    executor.Send(frames::Renew{granted->intent, granted->epoch});
  }
  executor.SendReceipt(executor.ReceiptFor(*granted));
  const auto verdict = executor.Next<frames::Verdict>();
  if (!verdict) return 1;
  Say(verdict->verdict + " " + verdict->message);
  return 0;
}

}  // namespace
}  // namespace reenact

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::string mode = argv[1];
  return mode == "raw" ? reenact::RunRaw(argv[2], argv[3], argv[4])
                       : reenact::RunClient(argv[2], argv[3], argv[4]);
}
