// Runs the command `reenact` as its users do: as a process.

#ifndef REENACT_TESTS_TOOLS_COMMAND_H_
#define REENACT_TESTS_TOOLS_COMMAND_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace reenact::tests {

struct CommandResult {
  int code = -1;  // the exit code, or 1000 + the signal that killed it
  std::string out;
  std::string err;
};

// A process under way. Standard output and error go to files.
class Command {
 public:
  // `arguments` begin with the program; it is looked up in PATH.
  explicit Command(const std::vector<std::string>& arguments);
  ~Command();  // kills it if need be
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Writes to its standard input; returns once it has taken all but what a pipe
  // holds, which is at most 64 KiB, or has closed it.
  void Write(std::string_view text);
  void Signal(int signal);
  // Closes its standard input and waits for its end.
  CommandResult Finish();

 private:
  pid_t pid_ = -1;
  int stdin_ = -1;
  int out_ = -1;
  int err_ = -1;
};

CommandResult RunProgram(const std::vector<std::string>& arguments,
                         std::string_view input = "");

// `reenact` with these arguments.
std::vector<std::string> Reenact(std::vector<std::string> arguments);
inline CommandResult RunReenact(std::vector<std::string> arguments,
                                std::string_view input = "") {
  return RunProgram(Reenact(std::move(arguments)), input);
}

}  // namespace reenact::tests

#endif  // REENACT_TESTS_TOOLS_COMMAND_H_
