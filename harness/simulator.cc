#include "reenact/harness/simulator.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "reenact/base/check.h"

namespace reenact::harness {

namespace {
constexpr std::uint64_t kTicksNs[] = {0, 40, 700, 20'000};
}  // namespace

Simulator::Simulator(Choices* choices, Strategy* strategy, Options options)
    : choices_(choices),
      strategy_(strategy),
      options_(std::move(options)),
      host_(TaskHost::Make(options_.engine)) {
  // How long steps seem to take decides how many are claimed at once.
  tick_ns_ = kTicksNs[choices_->Below(4, "clock.tick")];
}

Simulator::~Simulator() = default;

Simulator::End Simulator::Run(std::function<void()> body) {
  host_->Enter(this);
  (void)Spawn("main", std::move(body));
  next_ = 0;
  while (next_) {
    current_ = *next_;
    if (options_.at_switch) options_.at_switch(current_);
    host_->Resume(current().hosted.get());
    if (no_end_) break;
  }
  host_->Leave();
  if (no_end_) return End::kNoEnd;
  const bool all = std::all_of(tasks_.begin(), tasks_.end(), [](const auto& t) {
    return t->state == State::kDone;
  });
  return all ? End::kFinished : End::kDeadlock;
}

std::string Simulator::DescribeTasks() const {
  std::string text;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const Task& task = *tasks_[i];
    if (task.state == State::kDone) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", "task ", i, " (",
                    task.name,
                    task.state == State::kWaiting ? ") waits at " : ") is at ",
                    task.next.site);
  }
  return text;
}

void Simulator::Pass(const char* site, const void* object, bool write) {
  Task& task = current();
  task.next = {current_, site, object, write};
  ++steps_;
  if (steps_ + jumps_ > options_.steps_max) {
    no_end_ = true;
    next_.reset();
    LeaveCurrent();
  }
  if (options_.at_point) options_.at_point(steps_);
}

void Simulator::Yield(const char* site, const void* object, bool write) {
  Pass(site, object, write);
  next_ = Choose();
  if (next_ != current_) LeaveCurrent();
}

bool Simulator::Wait(const char* site, const void* object,
                     std::optional<std::uint64_t> timeout_ns) {
  Pass(site, object, true);
  Task& task = current();
  task.state = State::kWaiting;
  task.timed_out = false;
  task.deadline.reset();
  if (timeout_ns) task.deadline = now_ns_ + *timeout_ns;
  next_ = Choose();
  if (next_ != current_) LeaveCurrent();
  return !task.timed_out;
}

void Simulator::Wake(const void* object) {
  for (const auto& task : tasks_) {
    if (task->state != State::kWaiting || task->next.object != object) continue;
    task->state = State::kReady;
    task->deadline.reset();
  }
}

std::uint64_t Simulator::NowNs() { return now_ns_ += tick_ns_; }

instrument::TaskId Simulator::Spawn(const char* name,
                                    std::function<void()> body) {
  const std::uint64_t id = tasks_.size();
  tasks_.push_back(std::make_unique<Task>());
  Task* const task = tasks_.back().get();
  task->name = name;
  task->next = {id, "task.start", task, true};
  task->hosted = host_->Start([this, task, body = std::move(body)] {
    body();
    EndOf(task);
  });
  return id;
}

void Simulator::EndOf(Task* task) {
  task->state = State::kDone;
  Wake(task);
  next_ = Choose();
}

void Simulator::Join(instrument::TaskId id) {
  Task* const task = tasks_[id].get();
  while (task->state != State::kDone) Wait("task.join", task, std::nullopt);
}

std::optional<std::uint64_t> Simulator::Choose() {
  do {
    ready_.clear();
    const bool current_ready = current().state == State::kReady;
    if (current_ready) ready_.push_back(current().next);
    for (std::uint64_t id = 0; id < tasks_.size(); ++id) {
      if (id != current_ && tasks_[id]->state == State::kReady) {
        ready_.push_back(tasks_[id]->next);
      }
    }
    if (ready_.empty()) continue;
    std::uint32_t pick = 0;
    if (ready_.size() > 1) {
      ++decisions_;
      const auto count = static_cast<std::uint32_t>(ready_.size());
      if (!choices_->follows()) {
        pick = static_cast<std::uint32_t>(
            strategy_->Pick(ready_, current_ready, *choices_));
      }
      pick = choices_->Settle(pick, count, "schedule");
    }
    const Candidate& chosen = ready_[pick];
    if (current_ready && chosen.task != current_) ++switches_;
    digest_ = (digest_ ^ chosen.task ^
               reinterpret_cast<std::uintptr_t>(chosen.site)) *
              1099511628211U;
    if (options_.trace) trace_.push_back({chosen.task, chosen.site});
    return chosen.task;
  } while (JumpToNextDeadline());
  return std::nullopt;
}

bool Simulator::JumpToNextDeadline() {
  Task* earliest = nullptr;
  for (const auto& task : tasks_) {
    if (task->state != State::kWaiting || !task->deadline) continue;
    if (earliest == nullptr || *task->deadline < *earliest->deadline) {
      earliest = task.get();
    }
  }
  if (earliest == nullptr) return false;
  if (options_.before_jump) options_.before_jump();
  now_ns_ = std::max(now_ns_, *earliest->deadline);
  ++jumps_;
  earliest->deadline.reset();
  earliest->timed_out = true;
  earliest->state = State::kReady;
  return true;
}

void Simulator::LeaveCurrent() { host_->Suspend(current().hosted.get()); }

}  // namespace reenact::harness
