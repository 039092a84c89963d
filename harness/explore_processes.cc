#include "reenact/harness/explore_processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/harness/child.h"
#include "reenact/harness/other_environment.h"
#include "reenact/harness/run_bytes.h"

namespace reenact::harness {

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::uint64_t kBatch = 64;
// What a step may take while a loop without end is made smaller, and how often.
constexpr double kStuckSeconds = 0.5;
constexpr std::uint64_t kStuckRuns = 60;

constexpr const char* kElsewhere = "a step gives the same in any process";
constexpr const char* kBehind = "a run gives the same whatever ran before it";

std::uint64_t Lines(const std::string& text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

// What is known of a run whose process did not live to its end.
RunResult Died(const Ending& ending, const SharedRecord& record,
               double step_seconds) {
  RunResult died;
  died.violation = ending.ToViolation(record, step_seconds);
  died.log = record.Log();
  died.begun = record.Events();
  died.tickets = Lines(died.begun);
  return died;
}

// Of one that was stopped, or had no process: it says nothing.
RunResult NotMade(const Ending& ending) {
  RunResult none;
  none.drift = ending.said.empty() ? absl::CancelledError("it was stopped")
                                   : absl::UnavailableError(ending.said);
  return none;
}
bool WasMade(const RunResult& run) {
  return !absl::IsCancelled(run.drift) && !absl::IsUnavailable(run.drift);
}

// --- one run -----------------------------------------------------------------

// Makes runs in fresh processes: none of them finds anything of another.
class Fresh {
 public:
  Fresh(const Scenario& scenario, const ExploreOptions& options,
        OtherProcess* other)
      : scenario_(scenario), options_(options), other_(other) {}

  RunResult Once(const RunSettings& settings, const Shape& shape,
                 const Choices& choices) {
    return OnceWithin(settings, shape, choices, options_.step_seconds);
  }

  // The same, with a time for each step.
  RunResult OnceWithin(const RunSettings& settings, const Shape& shape,
                       const Choices& choices, double step_seconds) {
    return Child(step_seconds, [&](const Child::Send& send) {
      send(EncodeRun(
          RunOnce(scenario_, settings, shape, choices, true, &record_)));
    });
  }

  // The same, and whether its history gives the same where less of it was run,
  // and in another process.
  RunResult Everywhere(const RunSettings& settings, const Shape& shape,
                       const Choices& choices) {
    RunResult run = Once(settings, shape, choices);
    if (run.violation || !WasMade(run) ||
        settings.engine == EngineKind::kFree) {
      return run;
    }
    if (run.blocks.size() > 2) {
      run.violation = PartOf(settings, run);
      if (run.violation) return run;
    }
    if (other_ != nullptr) run.violation = Compare(settings, run);
    return run;
  }

  // All of them in one process, one behind the other, and the last one alone:
  // what the last one came to, and whether that is the same.
  RunResult Behind(const RunSettings& settings,
                   const std::vector<Script>& before, const Script& last) {
    RunResult run = Child(options_.step_seconds, [&](const Child::Send& send) {
      for (const Script& script : before) {
        (void)RunOnce(scenario_, settings, Shape(), Choices(script), false,
                      &record_);
      }
      send(EncodeRun(RunOnce(scenario_, settings, Shape(), Choices(last), true,
                             &record_)));
    });
    if (run.violation || !WasMade(run)) return run;
    const RunResult alone = Once(settings, Shape(), Choices(last));
    if (!WasMade(alone)) return alone;
    if (alone.violation || alone.journal == run.journal) return run;
    run.violation =
        Violation{kBehind, DescribeDifferences(alone.blocks, "alone",
                                               run.blocks, "behind others")};
    return run;
  }

  // The logs of runs that are made in one process.
  std::vector<Script> LogsOf(const RunSettings& settings, const Shape& shape,
                             const std::vector<std::uint64_t>& seeds) {
    std::vector<Script> logs;
    (void)RunChild(
        &record_, options_.step_seconds, options_.cancelled,
        [&](const Child::Send& send) {
          for (const std::uint64_t seed : seeds) {
            send(EncodeRun(RunOnce(scenario_, settings, shape, Choices(seed),
                                   false, &record_)));
          }
        },
        [&logs](BytesView bytes) {
          const auto run = DecodeRun(bytes);
          if (run.ok()) logs.push_back(ScriptOf(run->log));
        });
    return logs;
  }

 private:
  RunResult Child(double step_seconds,
                  const std::function<void(const Child::Send&)>& body) {
    std::optional<RunResult> run;
    const Ending ending = RunChild(&record_, step_seconds, options_.cancelled,
                                   body, [&run](BytesView bytes) {
                                     auto decoded = DecodeRun(bytes);
                                     if (decoded.ok())
                                       run = *std::move(decoded);
                                   });
    if (run) return *std::move(run);
    return ending.stopped ? NotMade(ending)
                          : Died(ending, record_, step_seconds);
  }

  // The second half of the history, alone: a value that was kept from the first
  // half is not there.
  std::optional<Violation> PartOf(const RunSettings& settings,
                                  const RunResult& run) {
    const RunResult part =
        Child(options_.step_seconds, [&](const Child::Send& send) {
          RunResult result;
          result.violation =
              ReplayPart(scenario_, settings, Choices(ScriptOf(run.log)),
                         run.blocks, run.blocks.size() / 2, &record_);
          send(EncodeRun(result));
        });
    if (!part.violation) return std::nullopt;
    return Violation{
        kElsewhere,
        absl::StrCat(part.violation->detail,
                     "In a fresh process that began with block ",
                     run.blocks.size() / 2,
                     " of the history, this came to something else: it "
                     "depends on what earlier steps left in their process.\n")};
  }

  std::optional<Violation> Compare(const RunSettings& settings,
                                   const RunResult& run) {
    const absl::StatusOr<RunResult> other = other_->Run(settings, run.log);
    if (!other.ok() || !WasMade(*other)) return std::nullopt;
    std::string detail;
    if (other->violation) {
      detail = other->violation->detail;
    } else if (other->journal != run.journal) {
      detail =
          DescribeDifferences(run.blocks, "here", other->blocks, "elsewhere");
    } else {
      return std::nullopt;
    }
    return Violation{
        kElsewhere,
        absl::StrCat(detail,
                     "The other process has another time zone, locale, "
                     "environment and directory, and its code, stack and heap "
                     "lie elsewhere.\n")};
  }

  const Scenario& scenario_;
  const ExploreOptions& options_;
  OtherProcess* const other_;
  SharedRecord record_;
};

// --- what to make of a failure -----------------------------------------------

// How often a run that held is made once more before it is believed.
constexpr int kTries = 20;

class Confirmation {
 public:
  Confirmation(const Scenario& scenario, const ExploreOptions& options,
               Fresh* fresh)
      : scenario_(scenario),
        options_(options),
        settings_(options.settings),
        fresh_(*fresh) {}

  // `failed`: as it was met; `seeds`: of the runs that its process made before.
  Found Confirm(RunResult failed, std::uint64_t number, const Shape& shape,
                const std::vector<std::uint64_t>& seeds) {
    Found found;
    found.seed = number;
    found.first = ReplayString(scenario_, settings_, failed.log);
    if (settings_.engine == EngineKind::kFree) {
      found.result = std::move(failed);
      return found;  // cannot be had again
    }
    const Script script = ScriptOf(failed.log);
    RunResult again = fresh_.Everywhere(settings_, Shape(), Choices(script));
    if (again.violation) return Small(std::move(found), std::move(again));
    found.replay = found.first;
    if (BehindOthers(script, shape, seeds, &found)) return found;
    Repeat(script, &found);
    if (found.result.log.empty()) found.result = std::move(failed);
    return found;
  }

  // Makes `failed`, which a fresh process gives, as small as can be.
  Found Small(Found found, RunResult failed) {
    const std::string property = failed.violation->property;
    const RunResult first = failed;
    const bool everywhere = property == kElsewhere;
    const bool stuck = property == "a step comes to an end";
    const auto run = [this, everywhere, stuck](Script script) {
      const Choices choices(std::move(script));
      return everywhere
                 ? fresh_.Everywhere(settings_, Shape(), choices)
                 : fresh_.OnceWithin(
                       settings_, Shape(), choices,
                       stuck ? std::min(kStuckSeconds, options_.step_seconds)
                             : options_.step_seconds);
    };
    const std::uint64_t runs_max =
        stuck ? std::min(kStuckRuns, options_.shrink_runs)
              : options_.shrink_runs;
    RunResult small = ShrinkWith(std::move(failed), run, runs_max,
                                 options_.cancelled, &found.shrink_runs);
    // Once more as a replay makes it.
    found.result =
        fresh_.Everywhere(settings_, Shape(), Choices(ScriptOf(small.log)));
    if (!found.result.violation ||
        found.result.violation->property != property) {
      found.result = first;
    }
    found.replay = ReplayString(scenario_, settings_, found.result.log);
    return found;
  }

 private:
  // A fresh process held; do the runs before it make the difference?
  bool BehindOthers(const Script& script, const Shape& shape,
                    const std::vector<std::uint64_t>& seeds, Found* found) {
    if (seeds.empty()) return false;
    const std::vector<Script> logs = fresh_.LogsOf(settings_, shape, seeds);
    const auto try_these = [&](std::vector<Script> before) {
      RunResult run = fresh_.Behind(settings_, before, script);
      if (!run.violation) return false;
      found->result = std::move(run);
      found->replay =
          ReplayStringBehind(scenario_, settings_, before, found->result.log);
      found->reproduction = absl::StrCat(
          "In a fresh process this run holds; behind ", before.size(),
          " other run(s) in one process it does not. So what a step comes to "
          "depends on what earlier ones left in their process: a static, a "
          "thread_local, a cache. The string has those runs, too.\n");
      return true;
    };
    for (std::size_t i = logs.size(); i > 0; --i) {
      if (try_these({logs[i - 1]})) return true;
    }
    return logs.size() > 1 && try_these(logs);
  }

  // Or was it chance?
  void Repeat(const Script& script, Found* found) {
    int failed = 0;
    for (int i = 0; i < kTries; ++i) {
      RunResult run = fresh_.Everywhere(settings_, Shape(), Choices(script));
      if (!run.violation) continue;
      ++failed;
      found->result = std::move(run);
    }
    found->reproduction = absl::StrCat(
        "Of ", kTries, " fresh processes ", failed,
        " gave it again, with the same choices: it depends on something that "
        "is not drawn, such as threads of a reducer's own or addresses.\n");
  }

  const Scenario& scenario_;
  const ExploreOptions& options_;
  const RunSettings& settings_;
  Fresh& fresh_;
};

// --- exploring ---------------------------------------------------------------

class Explorer {
 public:
  Explorer(const Scenario& scenario, const ExploreOptions& options,
           OtherProcess* other)
      : scenario_(scenario),
        options_(options),
        fresh_(scenario, options, other) {}

  Exploration Go() {
    start_ = Clock::now();
    std::size_t count = options_.threads;
    if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
    batches_.resize(count);
    do {
      for (auto& batch : batches_) {
        if (batch == nullptr) batch = Launch(count);
      }
      Wait();
      for (auto& batch : batches_) {
        if (batch != nullptr && !Serve(batch.get())) batch.reset();
      }
      JudgeSample();
    } while (Active() > 0 || MayGoOn() || !samples_.empty());
    sum_.seconds = SecondsSince(start_);
    if (failed_) {
      sum_.found = Confirmation(scenario_, options_, &fresh_)
                       .Confirm(std::move(failed_->run), failed_->number,
                                ShapeOf(failed_->number), failed_->before);
    }
    return std::move(sum_);
  }

 private:
  // Runs [next, end), in one child.
  struct Batch {
    SharedRecord record;
    std::unique_ptr<Child> child;
    std::uint64_t begin = 0;
    std::uint64_t next = 0;
    std::uint64_t end = 0;
  };
  struct Failed {
    std::uint64_t number = 0;
    RunResult run;
    std::vector<std::uint64_t> before;  // seeds of what ran in its process
  };
  // A run that is made once more, in a fresh process.
  struct Sample {
    std::uint64_t number = 0;
    std::uint64_t digest = 0;
    std::string journal;
    std::vector<std::uint64_t> before;
  };

  // From the first runs, so that the same seed gives the same run.
  Shape ShapeOf(std::uint64_t number) const {
    return number < kTrialRuns || !shape_ ? Shape() : *shape_;
  }

  std::size_t Active() const {
    return static_cast<std::size_t>(
        std::count_if(batches_.begin(), batches_.end(),
                      [](const auto& batch) { return batch != nullptr; }));
  }

  bool MayGoOn() {
    if (options_.cancelled && options_.cancelled()) sum_.cancelled = true;
    return next_ < options_.runs && !failed_ && sum_.problem.ok() &&
           !sum_.cancelled && !TimeIsUp();
  }
  bool TimeIsUp() const {
    return options_.seconds > 0 && SecondsSince(start_) >= options_.seconds;
  }

  std::unique_ptr<Batch> Launch(std::size_t count) {
    if (!MayGoOn()) return nullptr;
    std::uint64_t end = std::min(options_.runs, next_ + kBatch);
    if (next_ < kTrialRuns) {
      end = std::min({options_.runs, kTrialRuns, next_ + kTrialRuns / count});
      end = std::max(end, next_ + 1);
    } else if (!shape_) {
      if (Active() > 0) return nullptr;  // what is known of them decides
      shape_ = sum_.shape();
      sum_.decisions_assumed = shape_->decisions_most;
    }
    auto batch = std::make_unique<Batch>();
    batch->begin = batch->next = next_;
    batch->end = next_ = end;
    const auto body = [this, b = batch.get()](const Child::Send& send) {
      MakeRuns(b, send);
    };
    auto child = Child::Start(&batch->record, options_.step_seconds, body);
    if (!child.ok()) {
      sum_.problem = child.status();
      return nullptr;
    }
    batch->child = *std::move(child);
    return batch;
  }

  // In the child.
  void MakeRuns(Batch* batch, const Child::Send& send) {
    for (std::uint64_t number = batch->begin; number < batch->end; ++number) {
      if (TimeIsUp()) return;
      RunResult run =
          RunOnce(scenario_, options_.settings, ShapeOf(number),
                  Choices(SeedOf(options_, number)), false, &batch->record);
      const bool violated = run.violation.has_value();
      if (!violated) run.log.clear();
      send(EncodeRun(run));
      if (violated) return;
    }
  }

  void Wait() {
    std::vector<pollfd> waits;
    for (const auto& batch : batches_) {
      if (batch != nullptr) waits.push_back({batch->child->fd(), POLLIN, 0});
    }
    constexpr int kPollMs = 20;
    if (!waits.empty()) (void)poll(waits.data(), waits.size(), kPollMs);
  }

  // False once it has ended.
  bool Serve(Batch* batch) {
    const auto receive = [this, batch](BytesView bytes) {
      auto run = DecodeRun(bytes);
      if (run.ok()) Take(batch, *std::move(run));
    };
    if (batch->child->Receive(receive)) {
      batch->child->Watch();
      const bool beaten = failed_ && failed_->number < batch->next;
      if (beaten || sum_.cancelled) batch->child->Stop();
      return true;
    }
    const Ending ending = batch->child->Finish();
    if (ending.in_order || ending.stopped) return false;
    Take(batch, Died(ending, batch->record, options_.step_seconds));
    return false;
  }

  std::vector<std::uint64_t> Before(const Batch& batch) const {
    std::vector<std::uint64_t> seeds;
    for (std::uint64_t number = batch.begin; number < batch.next; ++number) {
      seeds.push_back(SeedOf(options_, number));
    }
    return seeds;
  }

  void Take(Batch* batch, RunResult run) {
    const std::uint64_t number = batch->next;
    AddUp(run, &sum_);
    if (run.violation) {
      Fail(number, std::move(run), Before(*batch));
    } else if (options_.double_run_one_in > 0 &&
               options_.settings.engine != EngineKind::kFree &&
               number % options_.double_run_one_in == 0) {
      samples_.push_back({number, run.digest, run.journal, Before(*batch)});
    }
    ++batch->next;
    if (options_.progress && sum_.runs % 256 == 0) {
      options_.progress(sum_.runs);
    }
  }

  // The lowest number, whichever process was first.
  void Fail(std::uint64_t number, RunResult run,
            std::vector<std::uint64_t> before) {
    if (failed_ && failed_->number <= number) return;
    failed_ = Failed{number, std::move(run), std::move(before)};
  }

  // One run of the batches, once more, alone.
  void JudgeSample() {
    if (samples_.empty()) return;
    const Sample sample = std::move(samples_.front());
    samples_.pop_front();
    if (failed_ && failed_->number <= sample.number) return;
    if (sum_.cancelled || !sum_.problem.ok()) return;
    RunResult run = fresh_.Everywhere(options_.settings, ShapeOf(sample.number),
                                      Choices(SeedOf(options_, sample.number)));
    ++sum_.double_runs;
    if (absl::IsUnavailable(run.drift)) sum_.problem = run.drift;
    if (!WasMade(run) || (options_.cancelled && options_.cancelled())) return;
    if (!run.violation && run.journal != sample.journal) {
      run.violation =
          Violation{kBehind,
                    "Alone, its history is another one than in the process of "
                    "the runs before it.\n"};
    }
    if (run.violation)
      return Fail(sample.number, std::move(run), sample.before);
    if (run.digest == sample.digest) return;
    sum_.problem = absl::InternalError(absl::StrCat(
        "run ", sample.number,
        " recorded the same twice, but passed other points: the scenario or a "
        "reducer waits, locks or starts threads by something that is not "
        "drawn.\nThe steps of the run:\n",
        DescribeEvents(run.blocks)));
  }

  const Scenario& scenario_;
  const ExploreOptions& options_;
  Fresh fresh_;
  Clock::time_point start_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::uint64_t next_ = 0;
  Exploration sum_;
  std::optional<Shape> shape_;
  std::optional<Failed> failed_;
  std::deque<Sample> samples_;
};

}  // namespace

Exploration ExploreInProcesses(const Scenario& scenario,
                               const ExploreOptions& options,
                               OtherProcess* other) {
  return Explorer(scenario, options, other).Go();
}

Exploration ExploreAllInProcesses(const Scenario& scenario,
                                  const ExploreOptions& options,
                                  int preemptions, bool* complete,
                                  OtherProcess* other) {
  const auto start = Clock::now();
  constexpr const char* kComplete = "complete";
  Exploration sum;
  SharedRecord record;
  std::optional<RunResult> failed;
  const auto take = [&](RunResult run) {
    AddUp(run, &sum);
    if (run.violation) failed = std::move(run);
    if (options.progress && sum.runs % 256 == 0) options.progress(sum.runs);
  };
  *complete = false;
  const Ending ending = RunChild(
      &record, options.step_seconds, options.cancelled,
      [&](const Child::Send& send) {
        const bool all = VisitAllSchedules(scenario, options, preemptions,
                                           &record, [&](RunResult run) {
                                             if (!run.violation)
                                               run.log.clear();
                                             send(EncodeRun(run));
                                           });
        if (all) send(kComplete);
      },
      [&](BytesView bytes) {
        if (bytes == kComplete) {
          *complete = true;
        } else if (auto run = DecodeRun(bytes); run.ok()) {
          take(*std::move(run));
        }
      });
  sum.cancelled = ending.stopped;
  if (!ending.in_order && !ending.stopped) {
    take(Died(ending, record, options.step_seconds));
  }
  if (failed) {
    Fresh fresh(scenario, options, other);
    sum.found = Confirmation(scenario, options, &fresh)
                    .Confirm(*std::move(failed), 0, Shape(), {});
  }
  sum.seconds = SecondsSince(start);
  return sum;
}

absl::StatusOr<Exploration> ReplayInProcesses(const Scenario& scenario,
                                              const ExploreOptions& options,
                                              std::string_view text,
                                              OtherProcess* other) {
  REENACT_ASSIGN_OR_RETURN(const Replay replay, ParseReplay(text));
  REENACT_RETURN_IF_ERROR(CheckScenario(scenario, replay));
  ExploreOptions own = options;
  own.settings = replay.settings;
  Fresh fresh(scenario, own, other);
  Exploration sum;
  RunResult run;
  for (int i = 0; i < kReplays && !run.violation; ++i) {
    run = replay.before.empty()
              ? fresh.Everywhere(own.settings, Shape(), Choices(replay.script))
              : fresh.Behind(own.settings, replay.before, replay.script);
    sum.cancelled = absl::IsCancelled(run.drift);
    if (sum.cancelled) return sum;
    REENACT_RETURN_IF_ERROR(run.drift);
    REENACT_RETURN_IF_ERROR(DriftOf(replay.script, run.log));
    AddUp(run, &sum);
    ++sum.double_runs;
  }
  if (!run.violation) return sum;
  Found found;
  found.first = std::string(text);
  if (replay.before.empty()) {
    sum.found = Confirmation(scenario, own, &fresh)
                    .Small(std::move(found), std::move(run));
  } else {
    found.replay = found.first;
    found.result = std::move(run);
    found.reproduction =
        absl::StrCat("It is made behind ", replay.before.size(),
                     " other run(s) in one process.\n");
    sum.found = std::move(found);
  }
  return sum;
}

// --- the other process -------------------------------------------------------

namespace {

bool WriteAll(int fd, const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t count = send(fd, at, size, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

bool ReadAll(int fd, void* bytes, std::size_t size) {
  char* at = static_cast<char*>(bytes);
  while (size > 0) {
    const ssize_t count = read(fd, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

bool WriteMessage(int fd, BytesView message) {
  const std::uint64_t size = message.size();
  return WriteAll(fd, &size, sizeof size) &&
         WriteAll(fd, message.data(), message.size());
}

std::optional<Bytes> ReadMessage(int fd) {
  std::uint64_t size = 0;
  if (!ReadAll(fd, &size, sizeof size)) return std::nullopt;
  Bytes message(size, '\0');
  if (!ReadAll(fd, message.data(), size)) return std::nullopt;
  return message;
}

}  // namespace

std::unique_ptr<OtherProcess> OtherProcess::Start(
    const std::vector<std::string>& arguments) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return nullptr;
  }
  std::vector<std::string> all = arguments;
  all.push_back(absl::StrCat(kOtherOption, "=", ends[1]));
  const pid_t pid = StartInOtherEnvironment(std::move(all), -1, ends[1]);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return nullptr;
  }
  return std::unique_ptr<OtherProcess>(new OtherProcess(pid, ends[0]));
}

OtherProcess::~OtherProcess() {
  close(fd_);
  (void)kill(pid_, SIGKILL);
  (void)waitpid(pid_, nullptr, 0);
}

absl::StatusOr<RunResult> OtherProcess::Run(const RunSettings& settings,
                                            const ChoiceLog& log) {
  BytesOut out;
  out.Number(static_cast<std::uint64_t>(settings.engine));
  out.Number(settings.workers_max);
  out.Number(settings.crashes ? 1 : 0);
  out.Number(settings.io_errors ? 1 : 0);
  out.Number(settings.plain ? 1 : 0);
  out.Number(log.size());
  for (const Choice& choice : log) out.Number(choice.value);
  std::optional<Bytes> answer;
  if (WriteMessage(fd_, out.Take())) answer = ReadMessage(fd_);
  if (!answer) return absl::UnavailableError("the other process has gone");
  return DecodeRun(*answer);
}

void ServeOtherProcess(const Scenario& scenario, const ExploreOptions& options,
                       int fd) {
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  (void)signal(SIGINT, SIG_IGN);
  if (chdir("/") != 0) return;
  Fresh fresh(scenario, options, nullptr);
  while (const std::optional<Bytes> asked = ReadMessage(fd)) {
    BytesIn in(*asked);
    RunSettings settings;
    settings.engine = static_cast<EngineKind>(in.Number());
    settings.workers_max = static_cast<std::uint32_t>(in.Number());
    settings.crashes = in.Number() != 0;
    settings.io_errors = in.Number() != 0;
    settings.plain = in.Number() != 0;
    Script script;
    for (std::uint64_t left = in.Number(); left > 0 && in.ok(); --left) {
      script.values.push_back(static_cast<std::uint32_t>(in.Number()));
    }
    const RunResult run =
        fresh.Once(settings, Shape(), Choices(std::move(script)));
    if (!WriteMessage(fd, EncodeRun(run))) return;
  }
}

}  // namespace reenact::harness
