#include "reenact/harness/explore.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reenact::harness {

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// --- shrinking ---------------------------------------------------------------

// Smaller is better, the first part most.
using Size = std::array<std::uint64_t, 4>;

Size SizeOf(const RunResult& run) {
  return {run.faults, run.switches, run.tickets, run.log.size()};
}

std::vector<std::uint32_t> ValuesOf(const ChoiceLog& log) {
  std::vector<std::uint32_t> values;
  for (const Choice& choice : log) values.push_back(choice.value);
  while (!values.empty() && values.back() == 0) values.pop_back();
  return values;
}

class Shrinker {
 public:
  Shrinker(RunResult failed, const std::function<RunResult(Script)>& run,
           std::uint64_t runs_max, const std::function<bool()>& cancelled)
      : run_(run),
        cancelled_(cancelled),
        best_(std::move(failed)),
        values_(ValuesOf(best_.log)),
        runs_max_(runs_max) {}

  RunResult Go() {
    bool better = true;
    while (better && runs_ < runs_max_) {
      better = CutEnd();
      better |= InChunks(&Shrinker::Delete);
      better |= InChunks(&Shrinker::Zero);
      better |= LowerEach();
    }
    return std::move(best_);
  }
  std::uint64_t runs() const { return runs_; }

 private:
  using Values = std::vector<std::uint32_t>;

  // Takes `values` if the same property breaks and the run is smaller.
  bool Try(Values values) {
    if (cancelled_ && cancelled_()) runs_max_ = runs_;
    if (runs_ >= runs_max_) return false;
    ++runs_;
    Script script;
    script.values = std::move(values);
    RunResult run = run_(std::move(script));
    if (!run.violation ||
        run.violation->property != best_.violation->property ||
        SizeOf(run) >= SizeOf(best_)) {
      return false;
    }
    best_ = std::move(run);
    values_ = ValuesOf(best_.log);
    return true;
  }

  bool CutEnd() {
    bool better = false;
    for (std::size_t keep = values_.size() / 2; keep < values_.size();
         keep += 1 + (values_.size() - keep) / 2) {
      Values values(values_.begin(),
                    values_.begin() + static_cast<std::ptrdiff_t>(keep));
      if (!Try(std::move(values))) continue;
      better = true;
      keep = values_.size() / 2;
    }
    return better;
  }

  bool InChunks(bool (Shrinker::*change)(std::size_t, std::size_t)) {
    bool better = false;
    for (std::size_t size = std::max<std::size_t>(1, values_.size() / 2);;
         size /= 2) {
      for (std::size_t at = 0; at < values_.size();) {
        if ((this->*change)(at, size)) {
          better = true;
        } else {
          at += size;
        }
        if (runs_ >= runs_max_) return better;
      }
      if (size == 1) return better;
    }
  }

  bool Delete(std::size_t at, std::size_t size) {
    Values values = values_;
    const auto from = values.begin() + static_cast<std::ptrdiff_t>(at);
    const auto to = values.begin() + static_cast<std::ptrdiff_t>(
                                         std::min(at + size, values.size()));
    values.erase(from, to);
    return Try(std::move(values));
  }

  bool Zero(std::size_t at, std::size_t size) {
    Values values = values_;
    bool changes = false;
    for (std::size_t i = at; i < std::min(at + size, values.size()); ++i) {
      changes = changes || values[i] != 0;
      values[i] = 0;
    }
    return changes && Try(std::move(values));
  }

  bool LowerEach() {
    bool better = false;
    for (std::size_t at = 0; at < values_.size(); ++at) {
      while (at < values_.size() && values_[at] > 1) {
        Values values = values_;
        values[at] /= 2;
        if (!Try(std::move(values))) break;
        better = true;
      }
      if (at < values_.size() && values_[at] > 0) {
        Values values = values_;
        --values[at];
        better |= Try(std::move(values));
      }
    }
    return better;
  }

  const std::function<RunResult(Script)>& run_;
  const std::function<bool()>& cancelled_;
  RunResult best_;
  Values values_;
  std::uint64_t runs_max_;
  std::uint64_t runs_ = 0;
};

Found MakeFound(const Scenario& scenario, const RunSettings& settings,
                RunResult failed, std::uint64_t seed, std::uint64_t runs_max) {
  Found found;
  found.seed = seed;
  found.first = ReplayString(scenario, settings, failed.log);
  if (settings.engine == EngineKind::kFree) {
    found.result = std::move(failed);
    return found;  // cannot be had again
  }
  const auto run = [&scenario, &settings](Script script) {
    return RunOnce(scenario, settings, Shape(), Choices(std::move(script)));
  };
  const std::function<RunResult(Script)> run_once = run;
  const std::function<bool()> never;
  Shrinker shrinker(std::move(failed), run_once, runs_max, never);
  const RunResult small = shrinker.Go();
  found.shrink_runs = shrinker.runs();
  found.replay = ReplayString(scenario, settings, small.log);
  Script script;
  script.values = ValuesOf(small.log);
  found.result = RunOnce(scenario, settings, Shape(),
                         Choices(std::move(script)), /*keep=*/true);
  return found;
}

// --- exploring ---------------------------------------------------------------

class Explorer {
 public:
  Explorer(const Scenario& scenario, const ExploreOptions& options)
      : scenario_(scenario), options_(options) {}

  Exploration Go() {
    const auto start = Clock::now();
    std::size_t threads = options_.threads;
    if (threads == 0) {
      threads = std::max(1U, std::thread::hardware_concurrency());
    }
    if (options_.settings.engine == EngineKind::kFree) threads = 1;
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < threads; ++i) {
      others.emplace_back([this, start] { Loop(start); });
    }
    Loop(start);
    for (std::thread& other : others) other.join();
    sum_.seconds = SecondsSince(start);
    sum_.cancelled = cancelled_;
    if (failed_) {
      sum_.found = MakeFound(scenario_, options_.settings, *std::move(failed_),
                             failed_seed_, options_.shrink_runs);
    }
    return std::move(sum_);
  }

 private:
  void Loop(Clock::time_point start) {
    for (;;) {
      const std::uint64_t number = next_.fetch_add(1);
      if (number >= options_.runs || stop_.load()) return;
      if (options_.seconds > 0 && SecondsSince(start) >= options_.seconds) {
        return;
      }
      if (options_.cancelled && number % 16 == 0 && options_.cancelled()) {
        cancelled_ = true;
        return;
      }
      One(number);
    }
  }

  void One(std::uint64_t number) {
    const std::uint64_t seed = SeedOf(options_, number);
    const Shape shape = CurrentShape(number);
    RunResult run = RunOnce(scenario_, options_.settings, shape, Choices(seed));
    const bool twice = options_.double_run_one_in > 0 &&
                       options_.settings.engine != EngineKind::kFree &&
                       number % options_.double_run_one_in == 0;
    absl::Status problem;
    if (twice) {
      const RunResult again =
          RunOnce(scenario_, options_.settings, shape, Choices(seed));
      // A step that is impure may make runs differ; that is what it is named
      // for, first of all.
      if (again.digest != run.digest && !run.violation && !again.violation) {
        problem = absl::InternalError(absl::StrCat(
            "two runs with seed ", number,
            " went different ways: the scenario, a reducer or the harness "
            "depends on something that is not drawn; `reenact fuzz` and a "
            "scenario's program say which"));
      }
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    AddUp(run, &sum_);
    if (twice) ++sum_.double_runs;
    if (!problem.ok() && sum_.problem.ok()) {
      sum_.problem = problem;
      stop_ = true;
    }
    // The lowest number, whichever thread was first.
    if (run.violation && (!failed_ || number < failed_seed_)) {
      failed_ = std::move(run);
      failed_seed_ = number;
      stop_ = true;
    }
    if (options_.progress && sum_.runs % 256 == 0) {
      options_.progress(sum_.runs);
    }
  }

  // From the runs so far: a step more or less does not matter, but the same
  // seed must give the same run; so it changes at few places.
  Shape CurrentShape(std::uint64_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (number < kTrialRuns) return Shape();
    if (!shape_) {
      shape_ = sum_.shape();
      sum_.decisions_assumed = shape_->decisions_most;
    }
    return *shape_;
  }

  const Scenario& scenario_;
  const ExploreOptions& options_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  Exploration sum_;
  std::optional<Shape> shape_;
  std::optional<RunResult> failed_;
  std::uint64_t failed_seed_ = 0;
};

// Whether a run may differ at this choice, and what comes before it counts.
bool IsSchedule(const Choice& choice) {
  static const std::uint32_t kSite = SiteHash("schedule");
  return choice.site == kSite;
}

// The next one in order: the last choice that can be raised, is. False if there
// is none.
bool NextSchedule(const ChoiceLog& log, int preemptions,
                  std::vector<std::uint32_t>* values) {
  int used = 0;
  for (const Choice& choice : log) {
    if (IsSchedule(choice) && choice.value != 0) ++used;
  }
  for (std::size_t at = log.size(); at > 0; --at) {
    const Choice& choice = log[at - 1];
    if (!IsSchedule(choice)) continue;
    const int before = used - (choice.value != 0 ? 1 : 0);
    if (choice.value + 1 < choice.bound && before < preemptions) {
      values->clear();
      for (std::size_t i = 0; i < at; ++i) values->push_back(log[i].value);
      ++values->back();
      return true;
    }
    used = before;
  }
  return false;
}

}  // namespace

void AddUp(const RunResult& run, Exploration* sum) {
  ++sum->runs;
  sum->model_runs += run.model_applied ? 1 : 0;
  sum->steps += run.steps;
  sum->switches += run.switches;
  sum->tickets += run.tickets;
  sum->tickets_most = std::max(sum->tickets_most, run.tickets);
  sum->longest_cell = std::max(sum->longest_cell, run.longest_cell);
  sum->reruns += run.stats.reruns;
  sum->conflicts += run.stats.conflicts;
  sum->recoveries += run.lives > 0 ? run.lives - 1 : 0;
  sum->faults += run.faults;
  sum->effects += run.effects;
  sum->decisions += run.decisions;
  sum->decisions_most = std::max(sum->decisions_most, run.decisions);
  sum->tasks_most = std::max(sum->tasks_most, run.tasks);
  for (const auto& [name, tally] : run.reducers) sum->reducers[name] += tally;
}

RunResult ShrinkWith(RunResult failed,
                     const std::function<RunResult(Script)>& run,
                     std::uint64_t runs_max,
                     const std::function<bool()>& cancelled,
                     std::uint64_t* runs) {
  Shrinker shrinker(std::move(failed), run, runs_max, cancelled);
  RunResult small = shrinker.Go();
  *runs = shrinker.runs();
  return small;
}

Shape Exploration::shape() const {
  Shape shape;
  if (runs == 0) return shape;
  shape.points = std::max<std::uint64_t>(1, steps / runs);
  shape.decisions = std::max<std::uint64_t>(1, decisions / runs);
  // Runs to come may be longer.
  shape.decisions_most =
      std::max<std::uint64_t>(1, decisions_most + decisions_most / 8);
  shape.tasks = std::max<std::uint64_t>(1, tasks_most);
  return shape;
}

Exploration Explore(const Scenario& scenario, const ExploreOptions& options) {
  return Explorer(scenario, options).Go();
}

bool VisitAllSchedules(const Scenario& scenario, const ExploreOptions& options,
                       int preemptions, SharedRecord* record,
                       const std::function<void(RunResult)>& visit) {
  const auto start = Clock::now();
  std::vector<std::uint32_t> values;
  for (std::uint64_t runs = 0; runs < options.runs; ++runs) {
    if (options.seconds > 0 && SecondsSince(start) >= options.seconds) break;
    if (options.cancelled && options.cancelled()) break;
    Script script;
    script.values = values;
    RunResult run = RunOnce(scenario, options.settings, Shape(),
                            Choices(std::move(script)), false, record);
    const bool violated = run.violation.has_value();
    const ChoiceLog log = run.log;
    visit(std::move(run));
    if (violated) return false;
    if (!NextSchedule(log, preemptions, &values)) return true;
  }
  return false;
}

Exploration ExploreAll(const Scenario& scenario, const ExploreOptions& options,
                       int preemptions, bool* complete) {
  const auto start = Clock::now();
  Exploration sum;
  *complete = VisitAllSchedules(
      scenario, options, preemptions, nullptr, [&](RunResult run) {
        AddUp(run, &sum);
        if (options.progress && sum.runs % 256 == 0) options.progress(sum.runs);
        if (!run.violation) return;
        sum.found = MakeFound(scenario, options.settings, std::move(run), 0,
                              options.shrink_runs);
      });
  sum.cancelled = options.cancelled && options.cancelled();
  sum.seconds = SecondsSince(start);
  return sum;
}

std::string ReplayString(const Scenario& scenario, const RunSettings& settings,
                         const ChoiceLog& log) {
  return absl::StrCat("run:v1:", scenario.name, ":w", settings.workers_max,
                      settings.crashes ? "c" : "",
                      settings.io_errors ? "i" : "", settings.plain ? "p" : "",
                      ":", EncodeLog(log));
}

std::string ReplayStringBehind(const Scenario& scenario,
                               const RunSettings& settings,
                               const std::vector<Script>& before,
                               const ChoiceLog& log) {
  std::string text = ReplayString(scenario, settings, {});
  text.resize(text.rfind(':') + 1);
  for (const Script& script : before) {
    absl::StrAppend(&text, EncodeScript(script), "+");
  }
  return text + EncodeLog(log);
}

absl::StatusOr<Replay> ParseReplay(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      "not a replay string; it looks like run:v1:SCENARIO:w4ci:LETTERS");
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  if (parts.size() != 5 || parts[0] != "run") return bad;
  if (parts[1] != "v1") {
    return absl::InvalidArgumentError(absl::StrCat(
        "a replay string of version ", parts[1], "; this program knows v1"));
  }
  Replay replay;
  replay.scenario = parts[2];
  std::string_view settings = parts[3];
  if (settings.empty() || settings.front() != 'w') return bad;
  settings.remove_prefix(1);
  std::uint32_t workers = 0;
  while (!settings.empty() && settings.front() >= '0' &&
         settings.front() <= '9' && workers < 1000) {
    workers = workers * 10 + static_cast<std::uint32_t>(settings.front() - '0');
    settings.remove_prefix(1);
  }
  if (workers == 0 || workers > 64) return bad;
  replay.settings.workers_max = workers;
  replay.settings.crashes = settings.find('c') != settings.npos;
  replay.settings.io_errors = settings.find('i') != settings.npos;
  replay.settings.plain = settings.find('p') != settings.npos;
  std::string_view logs = parts[4];
  for (std::size_t plus = logs.find('+'); plus != logs.npos;
       plus = logs.find('+')) {
    REENACT_ASSIGN_OR_RETURN(Script before, DecodeLog(logs.substr(0, plus)));
    replay.before.push_back(std::move(before));
    logs.remove_prefix(plus + 1);
  }
  REENACT_ASSIGN_OR_RETURN(replay.script, DecodeLog(logs));
  return replay;
}

absl::Status CheckScenario(const Scenario& scenario, const Replay& replay) {
  if (replay.scenario == scenario.name) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the replay string is of scenario ", replay.scenario,
                   ", this is ", scenario.name));
}

absl::StatusOr<RunResult> RunReplay(const Scenario& scenario,
                                    std::string_view text) {
  REENACT_ASSIGN_OR_RETURN(Replay replay, ParseReplay(text));
  REENACT_RETURN_IF_ERROR(CheckScenario(scenario, replay));
  for (Script& before : replay.before) {
    (void)RunOnce(scenario, replay.settings, Shape(),
                  Choices(std::move(before)));
  }
  RunResult run = RunOnce(scenario, replay.settings, Shape(),
                          Choices(std::move(replay.script)), /*keep=*/true);
  REENACT_RETURN_IF_ERROR(run.drift);
  return run;
}

std::uint64_t SeedOf(const ExploreOptions& options, std::uint64_t number) {
  return Mix64(options.seed * Dice::kStep + number);
}

}  // namespace reenact::harness
