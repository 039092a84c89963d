// Watches that steps return.

#ifndef REENACT_TOOLS_REENACT_STEP_WATCH_H_
#define REENACT_TOOLS_REENACT_STEP_WATCH_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "reenact/kernel/ids.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/reducer.h"

namespace reenact::tools {

// A thread of its own that looks how long each step has been running. How long
// one takes is no outcome, so nothing is recorded of it; whoever hears of it
// ends the process, and the ticket is the first one that is not done when the
// world is opened again.
//
// Thread safety: steps may run on any threads.
class StepWatch {
 public:
  struct Stuck {
    EventId event_id;
    std::string reducer;
    std::string key;
  };

  // `stuck` is called once, on the watch's thread, about the step that has been
  // running longest, as soon as that is longer than `limit`.
  StepWatch(std::chrono::milliseconds limit,
            std::function<void(const Stuck&)> stuck);
  ~StepWatch();
  StepWatch(const StepWatch&) = delete;
  StepWatch& operator=(const StepWatch&) = delete;

  // Has the reducers of `module` watched, which must not outlive this.
  void Watch(Module* module);

  // Around each step, on the thread that runs it.
  void Begins(const StepContext& step);
  void Ends();

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    Clock::time_point since;
    Stuck step;
  };

  void Run();

  const std::chrono::milliseconds limit_;
  const std::function<void(const Stuck&)> stuck_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::thread::id, Running> running_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_STEP_WATCH_H_
