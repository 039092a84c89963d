// Effects of kind process.run.

#ifndef REENACT_EXECUTORS_PROCESS_EXECUTOR_H_
#define REENACT_EXECUTORS_PROCESS_EXECUTOR_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "reenact/executors/executor.h"

namespace reenact {

// What one program allows the processes that it starts; parameters of an effect
// can ask for less, not for more.
struct ProcessOptions {
  // Where a program is looked for that is named without a path.
  std::vector<std::string> path{"/usr/local/bin", "/usr/bin", "/bin"};
  // What relative paths are relative to, and where processes run by default.
  std::string directory = "/";
  // Variables that every process gets beside those of its effect.
  std::vector<std::pair<std::string, std::string>> env;

  std::chrono::milliseconds timeout_max{3'600'000};
  // From SIGTERM to SIGKILL.
  std::chrono::milliseconds grace{2'000};
  std::uint64_t argument_bytes_max = 512 << 10;  // arguments and variables
  std::uint64_t input_bytes_max = 16 << 20;
  std::uint64_t output_bytes_max = 16 << 20;
  // Longer outputs go to the blob store.
  std::uint64_t inline_bytes_max = 16 << 10;
};

// Runs a program. There is no shell: argv is what the program gets.
// spec/executors.md has the parameters and the payload.
//
//   params: {"argv": ["cc", "-c", "a.c"], "cwd": "/home/ann/demo",
//            "env": {"LANG": "C"}, "inputs": ["a.c"], "outputs": ["a.o"]}
//
// The environment is what "env" and the options say, and
// REENACT_IDEMPOTENCY_KEY. An exit status that was not expected is an answer of
// status error with the whole payload.
//
// Thread safety: any thread.
class ProcessExecutor final : public Executor {
 public:
  explicit ProcessExecutor(ProcessOptions options = {});

  std::string_view kind() const override { return "process.run"; }
  Answer Execute(Task& task) override;
  Amounts LeastUsage() const override { return {{"calls", 1}}; }

 private:
  const ProcessOptions options_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_PROCESS_EXECUTOR_H_
