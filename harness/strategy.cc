#include "reenact/harness/strategy.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"

namespace reenact::harness {

namespace {

class Serial final : public Strategy {
 public:
  std::size_t Pick(const std::vector<Candidate>&, bool, Choices&) override {
    return 0;
  }
};

class RoundRobin final : public Strategy {
 public:
  std::size_t Pick(const std::vector<Candidate>& ready, bool current_ready,
                   Choices&) override {
    if (!current_ready || ready.size() == 1) return 0;
    // The next higher number, or the lowest.
    std::size_t next = 0, lowest = 1;
    for (std::size_t i = 1; i < ready.size(); ++i) {
      if (ready[i].task < ready[lowest].task) lowest = i;
      if (ready[i].task > ready[0].task &&
          (next == 0 || ready[i].task < ready[next].task)) {
        next = i;
      }
    }
    return next == 0 ? lowest : next;
  }
};

class RandomWalk final : public Strategy {
 public:
  std::size_t Pick(const std::vector<Candidate>& ready, bool,
                   Choices& choices) override {
    return choices.Private(ready.size());
  }
};

// The highest of `of(candidate)`.
template <typename F>
std::size_t Highest(const std::vector<Candidate>& ready, const F& of) {
  std::size_t best = 0;
  auto high = of(ready[0]);
  for (std::size_t i = 1; i < ready.size(); ++i) {
    const auto priority = of(ready[i]);
    if (priority > high) {
      high = priority;
      best = i;
    }
  }
  return best;
}

class Pct final : public Strategy {
 public:
  Pct(int depth, const Shape& shape, Choices& choices) {
    for (int i = 1; i < depth; ++i) {
      changes_.push_back(
          choices.Private(std::max<std::uint64_t>(1, shape.decisions_most)));
    }
    std::sort(changes_.begin(), changes_.end());
  }
  std::size_t Pick(const std::vector<Candidate>& ready, bool,
                   Choices& choices) override {
    for (const Candidate& candidate : ready) {
      // Above all that changes hand out.
      priorities_.try_emplace(candidate.task,
                              (1U << 20) + choices.Private(1U << 30));
    }
    std::size_t best = Best(ready);
    // In a spin nobody would ever lower the one that spins.
    alone_ = ready[best].task == last_ ? alone_ + 1 : 0;
    last_ = ready[best].task;
    if (alone_ > kAloneMax) {
      alone_ = 0;
      priorities_[last_] = --lowest_;
      best = Best(ready);
    }
    while (next_ < changes_.size() && step_ >= changes_[next_]) {
      priorities_[ready[best].task] =
          static_cast<std::int64_t>(changes_.size() - next_);
      ++next_;
      best = Best(ready);
    }
    ++step_;
    return best;
  }

 private:
  static constexpr std::uint64_t kAloneMax = 400;

  std::size_t Best(const std::vector<Candidate>& ready) {
    return Highest(ready,
                   [this](const Candidate& c) { return priorities_[c.task]; });
  }

  std::map<std::uint64_t, std::int64_t> priorities_;
  std::vector<std::uint64_t> changes_;  // ascending
  std::size_t next_ = 0;
  std::uint64_t step_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t alone_ = 0;
  std::int64_t lowest_ = 0;
};

class Pos final : public Strategy {
 public:
  std::size_t Pick(const std::vector<Candidate>& ready, bool,
                   Choices& choices) override {
    for (const Candidate& candidate : ready) {
      Event& event = events_[candidate.task];
      if (event.object == candidate.object && event.site == candidate.site &&
          event.set) {
        continue;
      }
      event = {candidate.object, candidate.site, true,
               choices.Private(~std::uint64_t{0})};
    }
    const std::size_t best = Highest(
        ready, [this](const Candidate& c) { return events_[c.task].priority; });
    const Candidate& chosen = ready[best];
    for (const Candidate& other : ready) {
      const bool races =
          other.object == chosen.object && (other.write || chosen.write);
      if (races || other.task == chosen.task) events_[other.task].set = false;
    }
    return best;
  }

 private:
  struct Event {
    const void* object = nullptr;
    const char* site = "";
    bool set = false;
    std::uint64_t priority = 0;
  };
  std::map<std::uint64_t, Event> events_;
};

// Weighs each task by the points it probably has before it.
class Uniform final : public Strategy {
 public:
  explicit Uniform(const Shape& shape)
      : each_(std::max<std::uint64_t>(
            1, shape.decisions / std::max<std::uint64_t>(1, shape.tasks))) {}
  std::size_t Pick(const std::vector<Candidate>& ready, bool,
                   Choices& choices) override {
    std::uint64_t sum = 0;
    for (const Candidate& candidate : ready) sum += Left(candidate.task);
    std::uint64_t at = choices.Private(sum);
    for (std::size_t i = 0; i < ready.size(); ++i) {
      const std::uint64_t left = Left(ready[i].task);
      if (at < left) {
        ++used_[ready[i].task];
        return i;
      }
      at -= left;
    }
    return 0;
  }

 private:
  std::uint64_t Left(std::uint64_t task) {
    const std::uint64_t used = used_[task];
    return used >= each_ ? 1 : each_ - used;
  }
  const std::uint64_t each_;
  std::map<std::uint64_t, std::uint64_t> used_;
};

class Starve final : public Strategy {
 public:
  Starve(const Shape& shape, Choices& choices)
      : victim_(choices.Private(shape.tasks + 1)),
        from_(choices.Private(std::max<std::uint64_t>(1, shape.decisions))),
        // How long: evenly in its logarithm.
        to_(from_ + (std::uint64_t{1} << choices.Private(14))) {}
  std::size_t Pick(const std::vector<Candidate>& ready, bool,
                   Choices& choices) override {
    const bool starves = step_ >= from_ && step_ < to_;
    ++step_;
    const std::size_t pick = choices.Private(ready.size());
    if (!starves || ready[pick].task != victim_) return pick;
    return ready.size() == 1 ? 0 : (pick + 1) % ready.size();
  }

 private:
  const std::uint64_t victim_, from_, to_;
  std::uint64_t step_ = 0;
};

class Swizzle final : public Strategy {
 public:
  Swizzle(const Shape& shape, Choices& choices)
      : span_(std::max<std::uint64_t>(2, shape.decisions)) {
    for (std::uint64_t task = 0; task < shape.tasks + 2; ++task) {
      const std::uint64_t stop = choices.Private(span_);
      const std::uint64_t go = stop + choices.Private(span_);
      if (choices.Private(2) == 0) stopped_[task] = {stop, go};
    }
  }
  std::size_t Pick(const std::vector<Candidate>& ready, bool,
                   Choices& choices) override {
    ++step_;
    std::vector<std::size_t> free;
    for (std::size_t i = 0; i < ready.size(); ++i) {
      const auto it = stopped_.find(ready[i].task);
      if (it == stopped_.end() || step_ < it->second.first ||
          step_ >= it->second.second) {
        free.push_back(i);
      }
    }
    if (free.empty()) return choices.Private(ready.size());
    return free[choices.Private(free.size())];
  }

 private:
  const std::uint64_t span_;
  std::uint64_t step_ = 0;
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> stopped_;
};

struct Named {
  StrategyKind kind;
  std::string_view name;
};
constexpr Named kNames[] = {{StrategyKind::kSerial, "serial"},
                            {StrategyKind::kRoundRobin, "round-robin"},
                            {StrategyKind::kRandomWalk, "random"},
                            {StrategyKind::kPct, "pct"},
                            {StrategyKind::kPos, "pos"},
                            {StrategyKind::kUniform, "uniform"},
                            {StrategyKind::kStarve, "starve"},
                            {StrategyKind::kSwizzle, "swizzle"},
                            {StrategyKind::kPortfolio, "portfolio"}};

// Different bugs fall to different strategies.
StrategyKind DrawKind(Choices& choices) {
  const std::uint64_t percent = choices.Private(100);
  if (percent < 30) return StrategyKind::kRandomWalk;
  if (percent < 60) return StrategyKind::kPct;
  if (percent < 83) return StrategyKind::kPos;
  if (percent < 92) return StrategyKind::kUniform;
  if (percent < 96) return StrategyKind::kStarve;
  if (percent < 99) return StrategyKind::kSwizzle;
  return StrategyKind::kRoundRobin;
}

}  // namespace

absl::StatusOr<StrategyKind> StrategyFromName(std::string_view name) {
  std::string all;
  for (const Named& named : kNames) {
    if (named.name == name) return named.kind;
    absl::StrAppend(&all, all.empty() ? "" : ", ", std::string(named.name));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "no strategy is called \"", std::string(name), "\"; there are ", all));
}

std::string_view StrategyName(StrategyKind kind) {
  for (const Named& named : kNames) {
    if (named.kind == kind) return named.name;
  }
  return "?";
}

std::unique_ptr<Strategy> MakeStrategy(StrategyKind kind, int depth,
                                       const Shape& shape, Choices& choices) {
  if (kind == StrategyKind::kPortfolio) kind = DrawKind(choices);
  switch (kind) {
    case StrategyKind::kSerial:
      return std::make_unique<Serial>();
    case StrategyKind::kRoundRobin:
      return std::make_unique<RoundRobin>();
    case StrategyKind::kPct:
      return std::make_unique<Pct>(
          depth > 0 ? depth : 1 + static_cast<int>(choices.Private(5)), shape,
          choices);
    case StrategyKind::kPos:
      return std::make_unique<Pos>();
    case StrategyKind::kUniform:
      return std::make_unique<Uniform>(shape);
    case StrategyKind::kStarve:
      return std::make_unique<Starve>(shape, choices);
    case StrategyKind::kSwizzle:
      return std::make_unique<Swizzle>(shape, choices);
    default:
      return std::make_unique<RandomWalk>();
  }
}

double MissedAtMost(std::uint64_t tasks, std::uint64_t decisions, int depth,
                    double runs) {
  const double one =
      1.0 / (static_cast<double>(tasks) *
             std::pow(static_cast<double>(decisions), depth - 1));
  return std::exp(runs * std::log1p(-std::min(one, 1.0 - 1e-12)));
}

}  // namespace reenact::harness
