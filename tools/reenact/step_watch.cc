#include "tools/reenact/step_watch.h"

#include <algorithm>
#include <utility>

namespace reenact::tools {
namespace {

// A reducer that says when its steps begin and end.
class WatchedReducer final : public Reducer {
 public:
  WatchedReducer(std::shared_ptr<const Reducer> reducer, StepWatch* watch)
      : reducer_(std::move(reducer)), watch_(*watch) {}

  std::string_view name() const override { return reducer_->name(); }
  absl::Status Step(StepContext& step) const override {
    const Around around(watch_, step);
    return reducer_->Step(step);
  }
  void Touch(const EventView& event, TouchSet& touches) const override {
    reducer_->Touch(event, touches);
  }
  std::vector<Invariant> invariants() const override {
    return reducer_->invariants();
  }
  std::vector<Aggregate> aggregates() const override {
    return reducer_->aggregates();
  }

 private:
  // A step may throw.
  class Around {
   public:
    Around(StepWatch& watch, const StepContext& step) : watch_(watch) {
      watch_.Begins(step);
    }
    ~Around() { watch_.Ends(); }
    Around(const Around&) = delete;
    Around& operator=(const Around&) = delete;

   private:
    StepWatch& watch_;
  };

  const std::shared_ptr<const Reducer> reducer_;
  StepWatch& watch_;
};

}  // namespace

StepWatch::StepWatch(std::chrono::milliseconds limit,
                     std::function<void(const Stuck&)> stuck)
    : limit_(limit), stuck_(std::move(stuck)), thread_([this] { Run(); }) {}

StepWatch::~StepWatch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StepWatch::Watch(Module* module) {
  for (auto& reducer : module->reducers) {
    reducer = std::make_shared<WatchedReducer>(std::move(reducer), this);
  }
}

void StepWatch::Begins(const StepContext& step) {
  const EventView& event = step.event();
  const std::lock_guard<std::mutex> lock(mutex_);
  running_[std::this_thread::get_id()] = {
      Clock::now(),
      {step.event_id(), std::string(event.reducer), std::string(event.key)}};
}

void StepWatch::Ends() {
  const std::lock_guard<std::mutex> lock(mutex_);
  running_.erase(std::this_thread::get_id());
}

void StepWatch::Run() {
  // So that what is told is late by a quarter at most.
  const auto pause = std::max(limit_ / 4, std::chrono::milliseconds(1));
  std::unique_lock<std::mutex> lock(mutex_);
  while (!changed_.wait_for(lock, pause, [this] { return stop_; })) {
    const auto oldest = std::min_element(
        running_.begin(), running_.end(), [](const auto& a, const auto& b) {
          return a.second.since < b.second.since;
        });
    if (oldest == running_.end()) continue;
    if (Clock::now() - oldest->second.since < limit_) continue;
    const Stuck step = oldest->second.step;
    lock.unlock();
    stuck_(step);
    return;
  }
}

}  // namespace reenact::tools
