// Explorations whose runs are made in processes of their own: what `reenact
// fuzz` and a scenario's program do. A unit test explores in its own process,
// which may have threads and so cannot fork.
//
// The process that explores never runs a step. It forks one for each batch of
// runs, for each failure to be confirmed, and for each try to make that
// smaller; so what a step leaves behind (a static, a thread_local) goes no
// further than its batch, and what it does to its process is survived.

#ifndef REENACT_HARNESS_EXPLORE_PROCESSES_H_
#define REENACT_HARNESS_EXPLORE_PROCESSES_H_

#include <memory>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/harness/explore.h"

namespace reenact::harness {

// The same program once more, started by exec(), so that code, stack and heap
// lie elsewhere, with another time zone, locale, environment and directory. It
// makes runs when asked.
//
// Thread safety: none.
class OtherProcess {
 public:
  // `arguments`: this program's. Null if it cannot be started.
  static std::unique_ptr<OtherProcess> Start(
      const std::vector<std::string>& arguments);
  ~OtherProcess();
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;

  // The run of `log`, made there. Unavailable: it has gone.
  absl::StatusOr<RunResult> Run(const RunSettings& settings,
                                const ChoiceLog& log);

 private:
  OtherProcess(int pid, int fd) : pid_(pid), fd_(fd) {}

  const int pid_;
  const int fd_;
};

// What such a process does, until nobody asks any more: `fd` is what Start()
// gave it behind kOtherOption.
inline constexpr const char* kOtherOption = "--other-process";
void ServeOtherProcess(const Scenario& scenario, const ExploreOptions& options,
                       int fd);

// `other` may be null: then nothing is compared with another process.
Exploration ExploreInProcesses(const Scenario& scenario,
                               const ExploreOptions& options,
                               OtherProcess* other);
Exploration ExploreAllInProcesses(const Scenario& scenario,
                                  const ExploreOptions& options,
                                  int preemptions, bool* complete,
                                  OtherProcess* other);

// A replay, in fresh processes until it fails, kReplays at most; a failure is
// made small. Errors: as RunReplay().
inline constexpr int kReplays = 10;
absl::StatusOr<Exploration> ReplayInProcesses(const Scenario& scenario,
                                              const ExploreOptions& options,
                                              std::string_view replay,
                                              OtherProcess* other);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_EXPLORE_PROCESSES_H_
