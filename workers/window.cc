#include "reenact/workers/window.h"

#include <algorithm>

#include "absl/base/attributes.h"
#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/workers/module_call.h"

namespace reenact {

namespace {

// What one claim should keep a worker busy for: long against the cost of
// claiming, short against what the other workers could do meanwhile.
constexpr std::uint64_t kClaimNs = 8000;
constexpr std::uint64_t kClaimMax = 32;
// A cost that is so much above four times what is usual does not count in full.
constexpr std::uint64_t kOutlierNs = 1000;
// The first steps load code and cells: of so many the cheapest counts.
constexpr std::uint64_t kColdSteps = 8;
// One of so many steps that run in their turn is timed.
constexpr std::uint64_t kSampleEvery = 16;

// A hint for the size of claims; nothing recorded depends on it.
using instrument::NowNs;

// What the thread is at while the ticket's reducer runs.
ModuleCall CallOf(const Slot& slot, bool ahead) {
  return ModuleCall(CallKind::kStep, slot.ticket.event_id.value,
                    &slot.ticket.event, ahead);
}

}  // namespace

struct alignas(64) Window::Worker {
  Worker(CellTable* cells, const StepRules* rules,
         const std::atomic<std::uint64_t>* committed)
      : run(cells, rules, committed) {}

  StepRun run;
  std::vector<Slot*> runnable;
};

// Hands what Reducer::Touch() declares to a slot.
class Window::Collector final : public TouchSet {
 public:
  Collector(Window* window, Slot* slot) : window_(window), slot_(slot) {}

  void Reads(std::string_view reducer, std::string_view key) override {
    Add(reducer, key, false);
  }
  void Writes(std::string_view reducer, std::string_view key) override {
    Add(reducer, key, true);
  }

 private:
  void Add(std::string_view reducer, std::string_view key, bool write) {
    // What does not exist cannot be waited for; the step finds out by itself.
    const std::optional<ReducerId> id = window_->rules_->Find(reducer);
    if (!id || key.size() > window_->rules_->limits.key_bytes_max) return;
    window_->AddTouch(
        slot_, window_->cells_->Find(*id, key, slot_->ticket.event_id), write);
  }

  Window* window_;
  Slot* slot_;
};

Window::Window(CellTable* cells, const StepRules* rules, Encode encode,
               EventId committed, const Options& options)
    : cells_(cells),
      rules_(rules),
      encode_(std::move(encode)),
      size_(options.size),
      mask_(2 * options.size - 1),
      options_(options),
      is_watched_(options.run_twice || options.observer != nullptr),
      slots_(new Slot[2 * options.size]),
      committed_(committed.value),
      issued_(committed.value),
      claimed_(committed.value),
      limit_(options.size) {
  REENACT_CHECK(size_ > 0 && (size_ & (size_ - 1)) == 0);
  for (std::size_t i = 0; i < std::max<std::size_t>(1, options.workers); ++i) {
    workers_.push_back(std::make_unique<Worker>(cells, rules, &committed_));
  }
  ordered_ = std::make_unique<Worker>(cells, rules, &committed_);
}

Window::~Window() {
  // A world that failed may leave steps that nobody committed.
  for (std::size_t i = 0; i < 2 * size_; ++i) {
    for (StepResult& result : slots_[i].results) {
      if (result.settled) continue;
      for (StepResult::Write& write : result.writes) {
        Version::Free(write.version);
      }
    }
  }
}

Slot* Window::Issue(bool serial) {
  const std::uint64_t id = issued().value + 1;
  Slot* slot = &At(id);
  REENACT_CHECK(HasRoom() && slot->ticket.event_id.value == id);
  slot->touches.clear();
  slot->own = nullptr;
  for (StepResult& result : slot->results) {
    if (result.ran) result.Clear();
  }
  slot->in_turn = serial;
  slot->waiters.store(nullptr, std::memory_order_relaxed);
  slot->state.store(Slot::State::kIssued, std::memory_order_relaxed);
  if (slot->ticket.code != nullptr) {
    slot->own = slot->ticket.own;
    if (slot->own == nullptr) {
      slot->own = cells_->Find(slot->ticket.reducer, slot->ticket.event.key,
                               slot->ticket.event_id);
    }
  }
  if (serial) {
    REENACT_CHECK(issued().value == committed().value);
    claimed_.store(id, std::memory_order_relaxed);
  } else {
    slot->blockers.store(1, std::memory_order_relaxed);
    if (slot->own != nullptr) CollectTouches(slot);
    Link(slot);
  }
  issued_.store(id, std::memory_order_release);
  return slot;
}

void Window::CollectTouches(Slot* slot) {
  AddTouch(slot, slot->own, true);
  Collector collector(this, slot);
  const ModuleCall call(CallKind::kTouch, slot->ticket.event_id.value,
                        &slot->ticket.event);
  try {
    slot->ticket.code->Touch(slot->ticket.event, collector);
  } catch (...) {
    // Touches are hints: the step says what is wrong, in its turn.
  }
}

void Window::AddTouch(Slot* slot, Cell* cell, bool write) {
  for (Touch& touch : slot->touches) {
    REENACT_PROBE_IF(touch.cell == cell, "window: a cell is declared twice");
    if (touch.cell != cell) continue;
    touch.write = touch.write || write;
    return;
  }
  slot->touches.push_back(
      Touch{cell, write, slot, slot->ticket.event_id.value});
}

void Window::Link(Slot* slot) {
  // The touches stay where they are from here on.
  for (Touch& touch : slot->touches) {
    Touch* before = touch.cell->tail.load(std::memory_order_relaxed);
    if (REENACT_SEEN(before != nullptr,
                     "window: somebody writes that cell before")) {
      slot->blockers.fetch_add(1, std::memory_order_relaxed);
      if (!WaitFor(before->slot, &touch)) {
        slot->blockers.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    if (touch.write) {
      touch.older = before;
      touch.older_id = before == nullptr ? 0 : before->event_id;
      touch.cell->tail.store(&touch, std::memory_order_release);
    }
  }
}

// Puts `touch` in line behind `predecessor`; false if that is done already.
bool Window::WaitFor(Slot* predecessor, Touch* touch) {
  instrument::Yield("window.wait_for", predecessor);
  Touch* head = predecessor->waiters.load(std::memory_order_acquire);
  do {
    if (head == Slot::Closed()) {
      REENACT_PROBE("window: a predecessor was done before it was waited for");
      return REENACT_PLANTED("waits for a step that is done");
    }
    touch->next_waiter = head;
  } while (!predecessor->waiters.compare_exchange_weak(
      head, touch, std::memory_order_release, std::memory_order_acquire));
  return true;
}

Slot* Window::Next() {
  const std::uint64_t next = committed().value + 1;
  return next <= issued().value ? &At(next) : nullptr;
}

void Window::RunStep(Slot* slot, RunMode mode, StepRun* run,
                     StepResult* result) {
  result->ran = true;
  if (slot->ticket.code != nullptr) {
    const ModuleCall call = CallOf(*slot, mode == RunMode::kSpeculative);
    if (is_watched_) {
      RunWatched(slot, mode, run, result);
    } else {
      run->Run(slot, mode, result);
    }
  } else if (slot->ticket.failure != nullptr) {
    result->outcome.failure = FailureCode::kFailedByOrder;
  } else if (slot->ticket.kind != UnitKind::kControl) {
    // Only a history that no world wrote leads here.
    result->outcome.failure = FailureCode::kUnknownReducer;
  }
  if (mode == RunMode::kInTurn && !options_.run_twice) return;
  encode_(*slot, *result, &result->entries);
  result->encoded = true;
}

// For those who look at each run, or run each step twice.
ABSL_ATTRIBUTE_NOINLINE void Window::RunWatched(Slot* slot, RunMode mode,
                                                StepRun* run,
                                                StepResult* result) {
  StepObserver* const observer = options_.observer;
  if (!options_.run_twice) {
    observer->Begin(0, slot->ticket);
    run->Run(slot, mode, result);
    observer->End(0, slot->ticket, *result);
    return;
  }
  run->RunTwice(slot, mode, observer, result);
  if (result->impure) encode_(*slot, *run->second(), &result->other);
  run->ForgetSecond();
}

void Window::RunInTurn(Slot* slot) {
  REENACT_PROBE("window: a step is run in its turn");
  // A sample of the cost tells when steps have become worth handing over. One
  // that cost more than was thought is followed by another: if that is a trend,
  // each further step that is run here keeps a core idle.
  const bool sampled =
      options_.workers > 0 &&
      (inline_count_++ % kSampleEvery == 0 || dearer_than_thought_ ||
       costs_observed_.load(std::memory_order_relaxed) < kColdSteps);
  const std::uint64_t start = sampled ? NowNs() : 0;
  RunStep(slot, RunMode::kInTurn, &ordered_->run, &slot->results[0]);
  REENACT_FAILPOINT("a step run in turn");
  slot->state.store(Slot::State::kDone, std::memory_order_release);
  if (!sampled) return;
  const std::uint64_t cost = NowNs() - start;
  dearer_than_thought_ = cost > 2 * step_cost_ns();
  ObserveCost(cost);
}

void Window::RunAgain(Slot* slot) {
  // Into the other result: readers may be looking at the first.
  REENACT_PROBE("window: a step runs again");
  instrument::Yield("window.run_again", slot);
  RunStep(slot, RunMode::kAgain, &ordered_->run, &slot->results[1]);
  slot->state.store(Slot::State::kRedone, std::memory_order_release);
}

void Window::CheckAgain(Slot* slot) {
  StepResult* const result = &slot->result();
  {
    const ModuleCall call = CallOf(*slot, false);
    ordered_->run.Compare(slot, result);
  }
  if (result->impure) {
    if (!result->encoded) encode_(*slot, *result, &result->entries);
    result->encoded = true;
    encode_(*slot, *ordered_->run.second(), &result->other);
  }
  ordered_->run.ForgetSecond();
}

void Window::Committed(Slot* slot) {
  Unlink(slot);
  committed_.store(slot->ticket.event_id.value, std::memory_order_release);
}

// Nobody needs to look for this ticket's writes any more: they are committed.
void Window::Unlink(Slot* slot) {
  for (Touch& touch : slot->touches) {
    if (touch.cell->tail.load(std::memory_order_relaxed) == &touch) {
      touch.cell->tail.store(nullptr, std::memory_order_release);
    }
  }
}

bool Window::IsCurrent(const Slot& slot, const StepResult& result) const {
  for (const StepResult::Read& read : result.reads) {
    if (REENACT_PLANTED("absences are not validated") &&
        !read.version->exists) {
      continue;
    }
    const Version* now = read.cell->committed.load(std::memory_order_acquire);
    // Not loaded: what was read was a version that nobody published, of a step
    // that failed after all or was run again.
    if (now == nullptr &&
        REENACT_PLANTED("a read of what nobody published is current")) {
      continue;
    }
    REENACT_PROBE_IF(now != nullptr && now->stamp != read.version->stamp,
                     "window: a read is stale");
    if (now == nullptr || now->stamp != read.version->stamp) return false;
    if (REENACT_PLANTED("only the first read is validated")) break;
  }
  for (const StepResult::Scan& scan : result.scans) {
    if (REENACT_PLANTED("scanned ranges are not validated")) break;
    if (!ScanIsCurrent(slot, scan)) return false;
  }
  return true;
}

// Whether no ticket between the scan and its own wrote into the scanned range.
bool Window::ScanIsCurrent(const Slot& slot,
                           const StepResult::Scan& scan) const {
  const auto in_range = [&scan](const Cell* cell) {
    return cell->reducer == scan.reducer && cell->key >= scan.from &&
           (scan.to.empty() || cell->key < scan.to);
  };
  for (std::uint64_t id = scan.as_of.value + 1; id < slot.ticket.event_id.value;
       ++id) {
    const StepResult& other = At(id).result();
    for (const StepResult::Write& write : other.writes) {
      if (REENACT_SEEN(in_range(write.cell),
                       "window: somebody wrote into the range"))
        return false;
    }
    for (const StepResult::Pending& update : other.updates) {
      if (REENACT_SEEN(in_range(update.cell),
                       "window: somebody updated in the range"))
        return false;
    }
  }
  return true;
}

void Window::DiscardWrites(const Slot& slot, StepResult* result) {
  for (StepResult::Write& write : result->writes) {
    REENACT_PROBE("window: a write is thrown away");
    cells_->Discard(write.version, slot.ticket.event_id);
  }
  // The list itself stays: readers may be looking at it.
  result->settled = true;
}

std::uint64_t Window::ClaimSize() const {
  const std::uint64_t cost = step_cost_ns();
  return cost == 0 ? 1
                   : std::clamp<std::uint64_t>(kClaimNs / cost, 1, kClaimMax);
}

std::size_t Window::claims_waiting() const {
  const std::uint64_t claimed = claimed_.load(std::memory_order_relaxed);
  const std::uint64_t issued = issued_.load(std::memory_order_relaxed);
  const std::uint64_t waiting = (issued <= claimed ? 0 : issued - claimed) +
                                shared_count_.load(std::memory_order_relaxed);
  const std::uint64_t size = ClaimSize();
  return (waiting + size - 1) / size;
}

// As much as a claim, and no more before the caller looks round: somebody has
// to commit and issue, and it may be that nobody else is awake.
std::size_t Window::RunSome(std::size_t index) {
  const std::uint64_t want = ClaimSize();
  instrument::Yield("window.claim", &claimed_);
  Worker* worker = workers_[index].get();
  if (worker->runnable.empty() && !TakeShared(want, worker) &&
      !Claim(want, worker)) {
    REENACT_PROBE("window: there is nothing to claim");
    return 0;
  }
  const std::uint64_t start = NowNs();
  std::size_t ran = 0;
  while (!worker->runnable.empty() && ran < want) {
    Slot* next = worker->runnable.back();
    worker->runnable.pop_back();
    Execute(next, worker);
    ++ran;
  }
  if (ran > 0) ObserveCost((NowNs() - start) / ran);
  REENACT_PROBE_IF(!worker->runnable.empty() && worker->runnable.size() <= want,
                   "window: released steps are kept");
  if (worker->runnable.size() > want) Share(want, worker);
  return ran == 0 ? 1 : ran;
}

bool Window::HasBegun(std::size_t worker) const {
  return !workers_[worker]->runnable.empty();
}

// False if nothing was left to claim. What waits for a predecessor will be run
// by whoever runs that.
bool Window::Claim(std::uint64_t want, Worker* worker) {
  std::uint64_t from = claimed_.load(std::memory_order_relaxed);
  std::uint64_t to = 0;
  do {
    const std::uint64_t issued = issued_.load(std::memory_order_acquire);
    if (from >= issued) return false;
    to = std::min(from + want, issued);
  } while (!claimed_.compare_exchange_weak(from, to, std::memory_order_acq_rel,
                                           std::memory_order_relaxed));
  // The lowest ticket at the back, where they are taken from.
  for (std::uint64_t id = to; id > from; --id) {
    Slot* slot = &At(id);
    if (slot->blockers.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      worker->runnable.push_back(slot);
    } else {
      REENACT_PROBE("window: a step waits for one before it");
      waits_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  return true;
}

// A step that many waited for leaves its worker with more than one claim: the
// highest tickets of them are anybody's.
void Window::Share(std::uint64_t keep, Worker* worker) {
  const auto end = worker->runnable.end() - static_cast<std::ptrdiff_t>(keep);
  REENACT_PROBE("window: a claim is shared");
  SpinLockHolder lock(&shared_lock_);
  if (!REENACT_PLANTED("steps that are shared are lost")) {
    shared_.insert(shared_.end(), worker->runnable.begin(), end);
  }
  shared_count_.store(shared_.size(), std::memory_order_release);
  worker->runnable.erase(worker->runnable.begin(), end);
}

bool Window::TakeShared(std::uint64_t want, Worker* worker) {
  if (shared_count_.load(std::memory_order_acquire) == 0) return false;
  SpinLockHolder lock(&shared_lock_);
  const std::size_t count = std::min<std::size_t>(want, shared_.size());
  REENACT_PROBE_IF(count > 0, "window: shared steps are taken");
  const auto begin = shared_.end() - static_cast<std::ptrdiff_t>(count);
  worker->runnable.assign(begin, shared_.end());
  shared_.erase(begin, shared_.end());
  shared_count_.store(shared_.size(), std::memory_order_release);
  return count > 0;
}

void Window::ObserveCost(std::uint64_t ns_per_step) {
  const std::uint64_t old = step_cost_ns();
  if (old == 0 ||
      costs_observed_.fetch_add(1, std::memory_order_relaxed) < kColdSteps) {
    const std::uint64_t least =
        old == 0 ? ns_per_step : std::min(old, ns_per_step);
    cost_ns_.store(least, std::memory_order_relaxed);
    return;
  }
  // One step that was interrupted, or had to go to the disk, is no trend.
  const std::uint64_t seen = std::min(ns_per_step, 4 * old + kOutlierNs);
  cost_ns_.store((7 * old + seen) / 8, std::memory_order_relaxed);
}

void Window::Execute(Slot* slot, Worker* worker) {
  slot->state.store(Slot::State::kRunning, std::memory_order_relaxed);
  instrument::Yield("window.run", slot);
  RunStep(slot, RunMode::kSpeculative, &worker->run, &slot->results[0]);
  // Once it is done it can be committed and, a ring later, its slot used again,
  // however long this thread sleeps here: after that only those who wait for
  // it are touched, and they cannot be committed before they are released.
  Touch* waiters =
      slot->waiters.exchange(Slot::Closed(), std::memory_order_acq_rel);
  instrument::Yield("window.done", slot);
  REENACT_FAILPOINT("D03 before a result is posted");
  slot->state.store(Slot::State::kDone, std::memory_order_release);
  Release(waiters, &worker->runnable);
}

// Lets the tickets go that waited for nothing else.
void Window::Release(Touch* waiter, std::vector<Slot*>* runnable) {
  const std::size_t first = runnable->size();
  while (waiter != nullptr) {
    // Read before the ticket is released: its slot is its own from then on.
    Touch* next = waiter->next_waiter;
    Slot* freed = waiter->slot;
    if (freed->blockers.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      runnable->push_back(freed);
    }
    waiter = next;
  }
  // Taken from the back: the lowest ticket first.
  std::sort(runnable->begin() + static_cast<std::ptrdiff_t>(first),
            runnable->end(), [](const Slot* a, const Slot* b) {
              return a->ticket.event_id > b->ticket.event_id;
            });
}

void Window::DrainReady() {
  std::uint64_t claimed = claimed_.load(std::memory_order_relaxed);
  for (; claimed < issued().value; ++claimed) {
    Slot* slot = &At(claimed + 1);
    if (slot->blockers.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      ready_.push_back(slot);
    } else {
      waits_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  claimed_.store(claimed, std::memory_order_relaxed);
}

std::size_t Window::ReadyCount() {
  DrainReady();
  return ready_.size();
}

void Window::RunReady(std::size_t index) {
  Slot* slot = ready_[index];
  ready_[index] = ready_.back();
  ready_.pop_back();
  Worker* worker = workers_[0].get();
  worker->runnable.clear();
  Execute(slot, worker);
  ready_.insert(ready_.end(), worker->runnable.begin(), worker->runnable.end());
  worker->runnable.clear();
}

}  // namespace reenact
