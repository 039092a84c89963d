#include "scaling_model.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <initializer_list>
#include <limits>
#include <queue>
#include <tuple>
#include <utility>

#include "draw.h"
#include "reenact/base/check.h"
#include "reenact/kernel/rng.h"

namespace reenact::bench {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

// The cells of each ticket, drawn before the simulation: the same ones whatever
// the number of cores.
struct Accesses {
  struct Touch {
    std::uint32_t cell = 0;
    bool write = true;
  };
  std::vector<Touch> touched;          // `touches` for each ticket
  std::vector<std::uint32_t> foreign;  // or kNone
};

Accesses DrawAccesses(const AccessPattern& pattern, std::size_t tickets) {
  const Zipf zipf(pattern.cells, pattern.zipf);
  Rng rng(Seed{pattern.seed});
  constexpr std::uint64_t kWhole = 1'000'000;
  const auto chance = [&rng](double share) {
    return share > 0 &&
           rng.Chance(static_cast<std::uint64_t>(share * kWhole), kWhole);
  };
  Accesses accesses;
  for (std::size_t i = 0; i < tickets; ++i) {
    accesses.touched.push_back(
        {chance(pattern.hot_share) ? 0 : zipf.Draw(rng), true});
    for (std::uint32_t k = 1; k < pattern.touches; ++k) {
      const std::uint32_t cell = zipf.Draw(rng);
      accesses.touched.push_back({cell, chance(pattern.write_share)});
    }
    accesses.foreign.push_back(chance(pattern.foreign_share) ? zipf.Draw(rng)
                                                             : kNone);
  }
  return accesses;
}

struct Ticket {
  std::size_t blockers = 0;  // predecessors that have not run, and the claim
  std::vector<std::uint32_t> waiters;
  std::uint32_t foreign_writer = kNone;  // whose write it should see
  std::size_t issued_on = 0, run_on = 0;
  bool done = false;
  bool stale = false;
};

// What a core does until an event ends it.
struct Action {
  enum class Kind : std::uint8_t {
    kNothing,
    kCompose,
    kIssue,
    kCommit,
    kInTurn,  // issued, executed and committed at once
    kClaim,
    kExecute,
    kWrite,
  };
  Kind kind = Kind::kNothing;
  std::uint32_t ticket = 0;
};

struct Core {
  Action action;
  // The pass of the ordered role, if the core has it.
  enum class Phase : std::uint8_t { kCommit, kIssue, kCompose };
  Phase phase = Phase::kCommit;
  std::size_t committed = 0, composed = 0;  // in this pass
  bool had_role = false;  // just now, so it is time to run steps
  // The claim.
  std::uint32_t next = 0, end = 0;
  std::vector<std::uint32_t> runnable;  // taken from the back
};

class Simulation {
 public:
  Simulation(const ScalingInput& input, std::size_t cores)
      : in_(input),
        cost_(input.costs),
        tickets_(input.rounds * input.round_limit),
        slowdown_(1 + input.costs.contention * static_cast<double>(cores - 1)),
        inline_(cost_.execute + cost_.encode < input.inline_below_ns),
        accesses_(DrawAccesses(input.access, tickets_.size())),
        last_writer_(input.access.cells, kNone),
        cell_ns_(input.access.cells),
        cores_(cores) {}

  ScalingPoint Run() {
    FindWork();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      if (event.core == kDisk) {
        syncing_ = false;
      } else {
        End(event.core);
        if (!Start(event.core)) idle_.push_back(event.core);
      }
      FindWork();
    }
    REENACT_CHECK(committed_ == tickets_.size() && queue_.empty());
    return Point();
  }

 private:
  static constexpr std::size_t kNobody = static_cast<std::size_t>(-1);
  static constexpr std::size_t kDisk = kNobody;

  struct Event {
    double at = 0;
    std::uint64_t number = 0;  // of two at the same time the earlier made
    std::size_t core = 0;
    bool operator>(const Event& other) const {
      return std::tie(at, number) > std::tie(other.at, other.number);
    }
  };
  using Costs = std::initializer_list<std::pair<Stage, double>>;

  // --- what can be done ------------------------------------------------------

  std::uint32_t size() const {
    return static_cast<std::uint32_t>(tickets_.size());
  }
  std::uint32_t InWholeRounds(std::uint32_t tickets) const {
    const auto limit = static_cast<std::uint32_t>(in_.round_limit);
    return tickets / limit * limit;
  }
  bool EndsRound(std::uint32_t ticket) const {
    return (ticket + 1) % in_.round_limit == 0;
  }

  bool CanCompose() const {
    if (composed_ == size()) return false;
    if (composed_ % in_.round_limit != 0) return true;
    if (inline_) return committed_ == composed_;
    const std::size_t round = composed_ / in_.round_limit;
    return round < in_.pipeline_depth ||
           committed_ >= (round - in_.pipeline_depth + 1) * in_.round_limit;
  }
  bool CanIssue() const {
    return !inline_ && issued_ < InWholeRounds(composed_) &&
           issued_ < committed_ + in_.window;
  }
  bool QueueHasRoomFor(std::uint32_t ticket) const {
    return !EndsRound(ticket) || queue_.size() < in_.queued_rounds;
  }
  bool CanCommit() const {
    return committed_ < issued_ && tickets_[committed_].done &&
           QueueHasRoomFor(committed_);
  }
  bool CanRunInTurn() const {
    return inline_ && committed_ < InWholeRounds(composed_) &&
           QueueHasRoomFor(committed_);
  }
  bool CanWrite() const { return !queue_.empty() && !writing_ && !syncing_; }

  // --- starting --------------------------------------------------------------

  void FindWork() {
    if (idle_.empty() && !started_) {
      started_ = true;
      for (std::size_t i = cores_.size(); i > 0; --i) idle_.push_back(i - 1);
    }
    // Idle cores are alike: if one finds nothing, none does.
    while (!idle_.empty() && Start(idle_.back())) idle_.pop_back();
  }

  bool Start(std::size_t core) {
    if (CanWrite()) {
      if (role_ == core) role_ = kNobody;
      return StartWrite(core);
    }
    if (role_ == core && StartOrdered(core)) return true;
    if (StartClaimed(core)) return true;
    // As a worker does: the ordered work, then a claim, then again.
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (!cores_[core].had_role && role_ == kNobody && TakeRole(core)) {
        return true;
      }
      cores_[core].had_role = false;
      if (StartClaim(core)) return true;
    }
    return false;
  }

  bool TakeRole(std::size_t core) {
    role_ = core;
    cores_[core].phase = Core::Phase::kCommit;
    cores_[core].committed = cores_[core].composed = 0;
    return StartOrdered(core);
  }

  // False: the pass is over, and the role is free.
  bool StartOrdered(std::size_t index) {
    Core& core = cores_[index];
    if (core.phase == Core::Phase::kCommit) {
      if (core.committed < in_.burst && CanRunInTurn()) {
        return StartInTurn(index);
      }
      if (core.committed < in_.burst && CanCommit()) return StartCommit(index);
      core.phase = Core::Phase::kIssue;
    }
    if (core.phase == Core::Phase::kIssue) {
      if (CanIssue()) {
        return Begin(index, {Action::Kind::kIssue, issued_},
                     {{Stage::kIssue, cost_.issue}});
      }
      core.phase = Core::Phase::kCompose;
    }
    if (core.composed < in_.pull_burst && CanCompose()) {
      return Begin(index, {Action::Kind::kCompose, composed_},
                   {{Stage::kCompose, cost_.compose}});
    }
    role_ = kNobody;
    core.had_role = true;
    return false;
  }

  bool StartInTurn(std::size_t core) {
    AddToCells(committed_);
    return Begin(core, {Action::Kind::kInTurn, committed_},
                 {{Stage::kIssue, cost_.issue},
                  {Stage::kExecute, cost_.execute},
                  {Stage::kEncode, cost_.encode},
                  {Stage::kCommit, cost_.commit},
                  {Stage::kHandOver, cost_.hand_over}});
  }

  bool StartCommit(std::size_t core) {
    const Ticket& ticket = tickets_[committed_];
    const double rerun = ticket.stale ? cost_.execute + cost_.encode : 0;
    reruns_ += ticket.stale ? 1 : 0;
    return Begin(
        core, {Action::Kind::kCommit, committed_},
        {{Stage::kCommit, cost_.commit},
         {Stage::kRerun, rerun},
         {Stage::kHandOver, cost_.hand_over},
         {Stage::kTransfer, ticket.run_on == core ? 0 : cost_.transfer}});
  }

  bool StartClaim(std::size_t core) {
    if (claimed_ == issued_) return false;
    const double step = cost_.execute + cost_.encode;
    const double fitting = step > 0 ? in_.claim_work_ns / step
                                    : static_cast<double>(in_.claim_max);
    const auto want = static_cast<std::uint32_t>(
        std::clamp(fitting, 1.0, static_cast<double>(in_.claim_max)));
    cores_[core].next = claimed_;
    claimed_ = std::min(claimed_ + want, issued_);
    cores_[core].end = claimed_;
    return Begin(core, {Action::Kind::kClaim, 0},
                 {{Stage::kClaim, cost_.claim}});
  }

  // What the core has claimed, or what that has released.
  bool StartClaimed(std::size_t index) {
    Core& core = cores_[index];
    while (core.runnable.empty() && core.next < core.end) {
      const std::uint32_t ticket = core.next++;
      if (--tickets_[ticket].blockers == 0) core.runnable.push_back(ticket);
    }
    if (core.runnable.empty()) return false;
    const std::uint32_t number = core.runnable.back();
    core.runnable.pop_back();
    Ticket& ticket = tickets_[number];
    ticket.run_on = index;
    ticket.stale =
        ticket.foreign_writer != kNone && !tickets_[ticket.foreign_writer].done;
    AddToCells(number);
    return Begin(
        index, {Action::Kind::kExecute, number},
        {{Stage::kExecute, cost_.execute},
         {Stage::kEncode, cost_.encode},
         {Stage::kTransfer, ticket.issued_on == index ? 0 : cost_.transfer}});
  }

  void AddToCells(std::uint32_t number) {
    for (std::uint32_t k = 0; k < in_.access.touches; ++k) {
      const auto& [cell, write] = TouchOf(number, k);
      if (write) cell_ns_[cell] += cost_.execute + cost_.encode;
    }
  }
  const Accesses::Touch& TouchOf(std::uint32_t number, std::uint32_t k) const {
    return accesses_.touched[number * in_.access.touches + k];
  }

  bool StartWrite(std::size_t core) {
    writing_ = true;
    const double rounds = static_cast<double>(queue_.size());
    queue_.clear();
    return Begin(core, {Action::Kind::kWrite, 0},
                 {{Stage::kWrite, cost_.write * rounds *
                                      static_cast<double>(in_.round_limit)}});
  }

  bool Begin(std::size_t core, Action action, Costs costs) {
    double took = 0;
    for (const auto& [stage, ns] : costs) {
      busy_[static_cast<std::size_t>(stage)] += ns * slowdown_;
      took += ns * slowdown_;
    }
    if (role_ == core) ordered_ += took;
    cores_[core].action = action;
    events_.push({now_ + took, ++event_count_, core});
    return true;
  }

  // --- ending ----------------------------------------------------------------

  void End(std::size_t index) {
    Core& core = cores_[index];
    const std::uint32_t ticket = core.action.ticket;
    switch (core.action.kind) {
      case Action::Kind::kNothing:
      case Action::Kind::kClaim:
        break;
      case Action::Kind::kCompose:
        ++composed_;
        ++core.composed;
        // A whole round can be issued before more is composed.
        if (EndsRound(ticket)) core.phase = Core::Phase::kIssue;
        break;
      case Action::Kind::kIssue:
        Issued(ticket, index);
        break;
      case Action::Kind::kInTurn:
        ++issued_;
        ++claimed_;
        tickets_[ticket].done = true;
        [[fallthrough]];
      case Action::Kind::kCommit:
        ++committed_;
        ++core.committed;
        if (EndsRound(ticket)) queue_.push_back(ticket);
        break;
      case Action::Kind::kExecute:
        Executed(ticket, &core);
        break;
      case Action::Kind::kWrite:
        writing_ = false;
        if (cost_.sync > 0) {
          syncing_ = true;
          busy_[static_cast<std::size_t>(Stage::kSync)] += cost_.sync;
          events_.push({now_ + cost_.sync, ++event_count_, kDisk});
        }
        break;
    }
    core.action = {};
  }

  void Issued(std::uint32_t number, std::size_t core) {
    ++issued_;
    Ticket& ticket = tickets_[number];
    ticket.issued_on = core;
    ticket.blockers = 1;
    const std::uint32_t foreign = accesses_.foreign[number];
    if (foreign != kNone) ticket.foreign_writer = last_writer_[foreign];
    for (std::uint32_t k = 0; k < in_.access.touches; ++k) {
      const auto& [cell, write] = TouchOf(number, k);
      const std::uint32_t before = last_writer_[cell];
      if (write) last_writer_[cell] = number;
      if (before == kNone || before == number || tickets_[before].done) {
        continue;
      }
      tickets_[before].waiters.push_back(number);
      ++ticket.blockers;
    }
  }

  void Executed(std::uint32_t number, Core* core) {
    tickets_[number].done = true;
    std::vector<std::uint32_t>& waiters = tickets_[number].waiters;
    // The lowest ticket is taken first.
    std::sort(waiters.begin(), waiters.end(), std::greater<>());
    for (const std::uint32_t waiter : waiters) {
      if (--tickets_[waiter].blockers == 0) core->runnable.push_back(waiter);
    }
    waiters = {};
  }

  // --- the result ------------------------------------------------------------

  ScalingPoint Point() const {
    ScalingPoint point;
    point.cores = cores_.size();
    point.inline_steps = inline_;
    const double tickets = static_cast<double>(tickets_.size());
    point.reruns = static_cast<double>(reruns_) / tickets;
    if (now_ == 0) return point;  // nothing costs anything
    point.tickets_per_s = tickets / now_ * 1e9;
    double on_cores = 0;
    for (std::size_t i = 0; i < kStages; ++i) {
      point.busy[i] = busy_[i] / now_;
      if (i != static_cast<std::size_t>(Stage::kSync)) on_cores += busy_[i];
    }
    point.cores_used = on_cores / now_ / static_cast<double>(cores_.size());
    point.ordered_used = ordered_ / now_;
    point.hot_cell_used =
        *std::max_element(cell_ns_.begin(), cell_ns_.end()) * slowdown_ / now_;
    SetBottleneck(&point);
    return point;
  }

  void SetBottleneck(ScalingPoint* point) const {
    constexpr double kMuch = 0.8;
    const double write = point->of(Stage::kWrite);
    const double sync = point->of(Stage::kSync);
    const std::pair<double, Bottleneck> candidates[] = {
        {point->cores_used, Bottleneck::kCores},
        {point->ordered_used, Bottleneck::kOrdered},
        {point->hot_cell_used, Bottleneck::kHotCell},
        // One thread does both in turn.
        {write + sync, write > sync ? Bottleneck::kWriter : Bottleneck::kSync}};
    double most = kMuch;
    point->bottleneck = Bottleneck::kWindow;
    for (const auto& [used, bottleneck] : candidates) {
      if (used <= most) continue;
      most = used;
      point->bottleneck = bottleneck;
    }
    point->largest = Largest(*point);
  }

  static Stage Largest(const ScalingPoint& point) {
    switch (point.bottleneck) {
      case Bottleneck::kWriter:
        return Stage::kWrite;
      case Bottleneck::kSync:
        return Stage::kSync;
      case Bottleneck::kHotCell:
        return Stage::kExecute;
      case Bottleneck::kOrdered:
        return LargestOf(point, /*ordered=*/true);
      case Bottleneck::kCores:
      case Bottleneck::kWindow:
        break;
    }
    return LargestOf(point, /*ordered=*/false);
  }

  static Stage LargestOf(const ScalingPoint& point, bool ordered) {
    Stage largest = Stage::kCompose;
    for (std::size_t i = 0; i < kStages; ++i) {
      const Stage stage = static_cast<Stage>(i);
      const bool by_role =
          stage == Stage::kCompose || stage == Stage::kIssue ||
          stage == Stage::kCommit || stage == Stage::kRerun ||
          stage == Stage::kHandOver || stage == Stage::kTransfer ||
          (point.inline_steps &&
           (stage == Stage::kExecute || stage == Stage::kEncode));
      if (stage == Stage::kSync || (ordered && !by_role)) continue;
      if (point.of(stage) > point.of(largest)) largest = stage;
    }
    return largest;
  }

  const ScalingInput& in_;
  const StageCosts& cost_;
  std::vector<Ticket> tickets_;
  const double slowdown_;
  const bool inline_;
  const Accesses accesses_;
  std::vector<std::uint32_t> last_writer_;  // by cell
  std::vector<double> cell_ns_;  // what its steps took, without slowdown
  std::vector<Core> cores_;
  std::vector<std::size_t> idle_;
  bool started_ = false;

  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t event_count_ = 0;
  double now_ = 0;
  std::size_t role_ = kNobody;
  // How many tickets have come this far.
  std::uint32_t composed_ = 0, issued_ = 0, claimed_ = 0, committed_ = 0;
  std::deque<std::uint32_t> queue_;  // finished rounds, by their last tickets
  bool writing_ = false, syncing_ = false;

  std::array<double, kStages> busy_{};
  double ordered_ = 0;
  std::uint64_t reruns_ = 0;
};

}  // namespace

std::string_view StageName(Stage stage) {
  static constexpr std::string_view kNames[] = {
      "compose", "issue",     "claim",    "execute", "encode", "commit",
      "rerun",   "hand over", "transfer", "write",   "sync"};
  static_assert(std::size(kNames) == kStages);
  return kNames[static_cast<std::size_t>(stage)];
}

std::string_view BottleneckName(Bottleneck bottleneck) {
  switch (bottleneck) {
    case Bottleneck::kCores:
      return "cores";
    case Bottleneck::kOrdered:
      return "ordered work";
    case Bottleneck::kHotCell:
      return "one cell";
    case Bottleneck::kWriter:
      return "the writer";
    case Bottleneck::kSync:
      return "sync";
    case Bottleneck::kWindow:
      return "the window";
  }
  return "?";
}

ScalingPoint SimulateScaling(const ScalingInput& input, std::size_t cores) {
  REENACT_CHECK(cores > 0 && input.access.cells > 0 &&
                input.access.touches > 0 && input.rounds > 0 &&
                input.round_limit > 0 && input.pipeline_depth > 0 &&
                input.window > 0 && input.burst > 0 && input.pull_burst > 0 &&
                input.claim_max > 0 && input.queued_rounds > 0);
  return Simulation(input, cores).Run();
}

std::vector<ScalingPoint> PredictScaling(
    const ScalingInput& input, const std::vector<std::size_t>& cores) {
  std::vector<ScalingPoint> points;
  for (const std::size_t count : cores) {
    points.push_back(SimulateScaling(input, count));
  }
  return points;
}

}  // namespace reenact::bench
