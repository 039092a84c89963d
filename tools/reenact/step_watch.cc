#include "tools/reenact/step_watch.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/reenact/command_line.h"
#include "tools/reenact/common.h"

namespace reenact::tools {

std::string TextOf(const RunningCall& call) {
  char text[kCallTextMax];
  return std::string(text, DescribeCall(call, text, sizeof text));
}

std::vector<RunningCall> CallsNow() {
  std::vector<RunningCall> calls;
  ForEachCall(
      [](const RunningCall& call, void* all) {
        static_cast<std::vector<RunningCall>*>(all)->push_back(call);
      },
      &calls);
  return calls;
}

StepWatch::StepWatch(std::chrono::milliseconds limit,
                     std::function<void(const RunningCall&)> stuck)
    : limit_(limit), stuck_(std::move(stuck)), thread_([this] { Run(); }) {}

StepWatch::~StepWatch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

const RunningCall* StepWatch::FindStuck() {
  const Clock::time_point now = Clock::now();
  std::vector<Seen> seen;
  for (const RunningCall& call : CallsNow()) {
    const auto before = std::find_if(
        seen_.begin(), seen_.end(),
        [&call](const Seen& old) { return old.call.SameCallAs(call); });
    seen.push_back({call, before == seen_.end() ? now : before->since});
  }
  seen_ = std::move(seen);
  const auto oldest = std::min_element(
      seen_.begin(), seen_.end(),
      [](const Seen& a, const Seen& b) { return a.since < b.since; });
  if (oldest == seen_.end() || now - oldest->since < limit_) return nullptr;
  return &oldest->call;
}

void StepWatch::Run() {
  // So that what is told is late by half at most.
  const auto pause = std::max(limit_ / 4, std::chrono::milliseconds(1));
  std::unique_lock<std::mutex> lock(mutex_);
  while (!changed_.wait_for(lock, pause, [this] { return stop_; })) {
    const RunningCall* const stuck = FindStuck();
    if (stuck == nullptr) continue;
    lock.unlock();
    stuck_(*stuck);
    return;
  }
}

void AddStepTimeout(CLI::App& command, double* seconds) {
  command
      .add_option("--step-timeout", *seconds,
                  "How long a step may run, such as 30s or 500ms; one that has "
                  "not returned then ends the command, with exit code 11. 0: "
                  "for ever. Leaves no trace")
      ->transform(Seconds(0, 1e6))
      ->capture_default_str();
}

// There is no way to end a step from outside but to end the process, which
// loses nothing: what it was about to come to is not recorded.
std::unique_ptr<StepWatch> EndWhenStuck(const std::string& world,
                                        double seconds, std::string advice,
                                        std::function<void()> clear) {
  if (seconds <= 0) return nullptr;
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(seconds));
  return std::make_unique<StepWatch>(limit, [=](const RunningCall& stuck) {
    if (clear) clear();
    const ExitCode code = Complain(
        ExitCode::kStuck, absl::StrCat(world, ": ", TextOf(stuck),
                                       " has been running for more than ",
                                       seconds, " s", advice));
    std::_Exit(static_cast<int>(code));
  });
}

}  // namespace reenact::tools
