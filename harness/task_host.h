// Stacks for tasks of which one runs at a time: fibers, or threads that take
// turns.

#ifndef REENACT_HARNESS_TASK_HOST_H_
#define REENACT_HARNESS_TASK_HOST_H_

#include <functional>
#include <memory>
#include <string_view>

#include "reenact/base/instrument.h"
#include "reenact/base/status.h"

namespace reenact::harness {

enum class EngineKind {
  kFibers,   // everything on one thread: fast, and every order can be had again
  kThreads,  // a thread for each task, one of which runs: the same orders, for
             // code that asks which thread it is on
  kFree,     // threads that run freely and are disturbed at the same points:
             // for ThreadSanitizer, which taking turns would blind
};
// "fibers", "threads", "free". InvalidArgument lists them.
absl::StatusOr<EngineKind> EngineFromName(std::string_view name);

class HostedTask {
 public:
  virtual ~HostedTask() = default;
};

// Thread safety: as said for each; Enter(), Resume() and Leave() on one thread.
class TaskHost {
 public:
  // REQUIRES: not kFree.
  static std::unique_ptr<TaskHost> Make(EngineKind kind);
  virtual ~TaskHost() = default;

  // `conductor` is that of every task.
  virtual void Enter(instrument::Conductor* conductor) = 0;
  virtual void Leave() = 0;

  // A task that runs `body` once it is resumed, to its end. By any task.
  virtual std::unique_ptr<HostedTask> Start(std::function<void()> body) = 0;
  // Lets a task run until it suspends itself, or ends.
  virtual void Resume(HostedTask* task) = 0;
  // Gives control back to Resume(). By the task itself.
  virtual void Suspend(HostedTask* task) = 0;
};

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_TASK_HOST_H_
