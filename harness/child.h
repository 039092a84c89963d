// Processes that make runs, which a run cannot end: what a step does to its
// process (a crash, an exit, a loop without end) is told by whoever forked it.

#ifndef REENACT_HARNESS_CHILD_H_
#define REENACT_HARNESS_CHILD_H_

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "reenact/base/bytes.h"
#include "reenact/harness/choices.h"
#include "reenact/harness/recorded_check.h"
#include "reenact/kernel/ids.h"

namespace reenact::harness {

// Memory that a child shares with whoever forked it: how far it has come, and
// what it had drawn, for when it can say no more itself.
class SharedRecord {
 public:
  SharedRecord();
  ~SharedRecord();
  SharedRecord(const SharedRecord&) = delete;
  SharedRecord& operator=(const SharedRecord&) = delete;

  // Before each child.
  void Clear();

  // --- by the child ----------------------------------------------------------
  // Before each run: what the one before it had drawn is forgotten.
  void BeginRun();
  // `task` runs from now on.
  void Running(std::uint64_t task);
  void BeginStep(std::uint64_t task, EventId event_id, std::string_view reducer,
                 std::string_view key);
  void EndStep(std::uint64_t task);
  // A line for a step that begins: its number first.
  void AddEvent(std::string_view line);
  ChoiceMirror* mirror();
  // The task of what runs after the simulation: its checks.
  static constexpr std::uint64_t kChecking = 127;

  // --- by who forked it ------------------------------------------------------
  // Changes with each run and step.
  std::uint64_t progress() const;
  // "event 3, counter/c1", or "" if it was not a step that ran.
  std::string CurrentStep() const;
  ChoiceLog Log() const;
  // The lines of the run's steps, each once, in ticket order.
  std::string Events() const;

 private:
  struct Layout;
  Layout* const layout_;
};

// How a child ended.
struct Ending {
  bool in_order = false;  // it had done all it was to do
  bool stuck = false;     // it was ended, since it got no further
  bool stopped = false;   // it was ended, since nobody wants to know any more
  int signal = 0;
  int exit_code = 0;
  std::string said;  // the end of what it wrote to standard error

  // Of an ending that was not in order: which property broke, and how.
  Violation ToViolation(const SharedRecord& record, double limit) const;
};

// One child, which runs `body` and sends messages.
//
// Thread safety: none; the process that starts one has no other threads.
class Child {
 public:
  using Send = std::function<void(BytesView)>;
  // Forks. `record` outlives it. Unavailable: there is no process to be had.
  static absl::StatusOr<std::unique_ptr<Child>> Start(
      SharedRecord* record, double step_seconds,
      const std::function<void(const Send&)>& body);
  ~Child();  // kills it if need be
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int fd() const { return fd_; }
  // Takes what has been sent, without waiting, and gives each message to
  // `receive`. False once no more will come.
  bool Receive(const std::function<void(BytesView)>& receive);
  // Kills it if a step has been running for too long.
  void Watch();
  void Stop();
  // REQUIRES: Receive() has said false.
  Ending Finish();

 private:
  Child(SharedRecord* record, double step_seconds)
      : record_(*record), step_seconds_(step_seconds) {}

  SharedRecord& record_;
  const double step_seconds_;
  pid_t pid_ = -1;
  int fd_ = -1;
  int said_ = -1;
  Bytes received_;
  std::uint64_t progress_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::chrono::steady_clock::time_point watched_;
  Ending ending_;
};

// Starts one and waits for its end, or for `cancelled`, which may be empty.
Ending RunChild(SharedRecord* record, double step_seconds,
                const std::function<bool()>& cancelled,
                const std::function<void(const Child::Send&)>& body,
                const std::function<void(BytesView)>& receive);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_CHILD_H_
