// Runs tasks one at a time, in an order that a strategy chooses, with a clock
// of its own.

#ifndef REENACT_HARNESS_SIMULATOR_H_
#define REENACT_HARNESS_SIMULATOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/instrument.h"
#include "reenact/harness/choices.h"
#include "reenact/harness/strategy.h"
#include "reenact/harness/task_host.h"

namespace reenact::harness {

// A point that a task passed.
struct TraceStep {
  std::uint64_t task = 0;
  const char* site = "";
};

// The conductor of one run. The order of all that the tasks do depends on the
// choices and on nothing else, as long as the tasks do not.
//
// Thread safety: none; a simulator belongs to the thread that calls Run().
class Simulator final : public instrument::Conductor {
 public:
  enum class End {
    kFinished,  // every task has ended
    kDeadlock,  // all that are left wait for each other
    kNoEnd,     // Options::steps_max
  };
  struct Options {
    EngineKind engine = EngineKind::kFibers;
    std::uint64_t steps_max = 200'000;  // points, and jumps of the clock
    bool trace = false;
    // Called at each point, by the task that runs; may be empty. May not yield.
    std::function<void(std::uint64_t step)> at_point;
    // Called before a task goes on; may be empty.
    std::function<void(std::uint64_t task)> at_switch;
    // Nobody can go on before the clock is put forward to the next time-out.
    std::function<void()> before_jump;
  };

  // Both outlive the simulator.
  Simulator(Choices* choices, Strategy* strategy, Options options);
  ~Simulator() override;

  // Runs `body` as the first task, and whatever it starts. Tasks that did not
  // end are abandoned where they are, with all that they hold: after anything
  // but kFinished, memory is lost.
  End Run(std::function<void()> body);

  // What they wait for, after kDeadlock; where they are, after kNoEnd.
  std::string DescribeTasks() const;

  std::uint64_t steps() const { return steps_; }
  // Points at which more than one task could go on.
  std::uint64_t decisions() const { return decisions_; }
  // From a task that could have gone on.
  std::uint64_t switches() const { return switches_; }
  std::uint64_t tasks() const { return tasks_.size(); }
  // The one that runs.
  std::uint64_t current_task() const { return current_; }
  std::uint64_t jumps() const { return jumps_; }
  // Of the points passed and who passed them; equal for equal runs of one
  // process.
  std::uint64_t digest() const { return digest_; }
  const std::vector<TraceStep>& trace() const { return trace_; }
  const char* task_name(std::uint64_t task) const { return tasks_[task]->name; }

  // Conductor.
  void Yield(const char* site, const void* object, bool write) override;
  bool Wait(const char* site, const void* object,
            std::optional<std::uint64_t> timeout_ns) override;
  void Wake(const void* object) override;
  std::uint64_t NowNs() override;
  instrument::TaskId Spawn(const char* name,
                           std::function<void()> body) override;
  void Join(instrument::TaskId task) override;

 private:
  enum class State { kReady, kWaiting, kDone };
  struct Task {
    const char* name = "";
    State state = State::kReady;
    Candidate next;
    std::optional<std::uint64_t> deadline;
    bool timed_out = false;
    std::unique_ptr<HostedTask> hosted;
  };

  Task& current() { return *tasks_[current_]; }
  void Pass(const char* site, const void* object, bool write);
  // Who goes on; nullopt: nobody ever will.
  std::optional<std::uint64_t> Choose();
  bool JumpToNextDeadline();
  void LeaveCurrent();
  void EndOf(Task* task);

  Choices* const choices_;
  Strategy* const strategy_;
  const Options options_;
  std::unique_ptr<TaskHost> host_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::uint64_t current_ = 0;
  std::optional<std::uint64_t> next_;
  std::vector<Candidate> ready_;  // Choose()'s, for its memory
  std::uint64_t now_ns_ = 1'000'000;
  std::uint64_t tick_ns_ = 0;  // what reading the clock takes
  std::uint64_t steps_ = 0;
  std::uint64_t decisions_ = 0;
  std::uint64_t switches_ = 0;
  std::uint64_t jumps_ = 0;
  std::uint64_t digest_ = 0;
  bool no_end_ = false;
  std::vector<TraceStep> trace_;
};

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_SIMULATOR_H_
