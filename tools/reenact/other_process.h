// The same command once more, in a process that sees another machine.

#ifndef REENACT_TOOLS_REENACT_OTHER_PROCESS_H_
#define REENACT_TOOLS_REENACT_OTHER_PROCESS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace reenact::tools {

// Runs beside this one. See harness/other_environment.h for what differs.
//
// Thread safety: none.
class OtherProcess {
 public:
  // `arguments` begin behind the command's name. Null: it cannot be started.
  static std::unique_ptr<OtherProcess> Start(
      std::vector<std::string> arguments);
  ~OtherProcess();  // kills it if need be
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;

  // Waits for its end. What it printed; nullopt: it did not end in order.
  std::optional<std::string> Finish();

 private:
  OtherProcess(int pid, int out) : pid_(pid), out_(out) {}

  int pid_;
  const int out_;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_OTHER_PROCESS_H_
