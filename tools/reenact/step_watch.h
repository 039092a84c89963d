// Watches that modules' code returns.

#ifndef REENACT_TOOLS_REENACT_STEP_WATCH_H_
#define REENACT_TOOLS_REENACT_STEP_WATCH_H_

#include <CLI/CLI.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "reenact/workers/module_call.h"

namespace reenact::tools {

// `event 17 (reducer 'counter', key 'c3')`.
std::string TextOf(const RunningCall& call);

// What all threads run now.
std::vector<RunningCall> CallsNow();

// A thread of its own that looks how long each call has been running. How long
// one takes is no outcome, so nothing is recorded of it; whoever hears of it
// ends the process, and the ticket is the first one that is not done when the
// world is opened again.
class StepWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // `stuck` is called once, on the watch's thread, about the call that has been
  // running longest, as soon as that is longer than `limit`.
  StepWatch(std::chrono::milliseconds limit,
            std::function<void(const RunningCall&)> stuck);
  ~StepWatch();
  StepWatch(const StepWatch&) = delete;
  StepWatch& operator=(const StepWatch&) = delete;

 private:
  struct Seen {
    RunningCall call;
    Clock::time_point since;
  };

  void Run();
  // Null: none has been running for as long as the limit.
  const RunningCall* FindStuck();

  const std::chrono::milliseconds limit_;
  const std::function<void(const RunningCall&)> stuck_;
  std::vector<Seen> seen_;  // at the last look; the thread's own
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

// The option --step-timeout.
void AddStepTimeout(CLI::App& command, double* seconds);

// Ends the process with exit code 11, and names the call, as soon as one takes
// longer than `seconds`; null if that is 0. `clear` is called before that.
std::unique_ptr<StepWatch> EndWhenStuck(const std::string& world,
                                        double seconds, std::string advice = "",
                                        std::function<void()> clear = nullptr);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_STEP_WATCH_H_
