#include "reenact/replay/segments.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "reenact/base/mutex.h"
#include "reenact/journal/block_stream.h"
#include "reenact/replay/cuts.h"

namespace reenact {
namespace {

std::size_t CoreCount() {
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

// Whether the round before the snapshot's place ends with taking one. Only
// there are the queues compared that a part would start with.
bool WasTaken(const RecordedBlocks& blocks, std::uint64_t block_count) {
  const std::vector<Bytes> entries = EntriesOf(blocks, block_count - 1);
  if (entries.empty()) return false;
  const absl::StatusOr<Entry> last = DecodeEntry(entries.back());
  return last.ok() && std::holds_alternative<entry::SnapshotTaken>(*last);
}

// Finds what parts can go forward from.
class Bases {
 public:
  explicit Bases(const ReplayRun::Options& whole) : whole_(whole) {}

  // The latest place no later than part `part` of `parts` can begin.
  ReplayRun::Start Of(std::size_t part, std::size_t parts) const {
    const std::uint64_t first = whole_.start.block();
    const std::uint64_t least = first + (whole_.end - first) * part / parts;
    if (whole_.snapshots == nullptr) return whole_.start;
    auto it = whole_.snapshots->upper_bound(least);
    while (it != whole_.snapshots->begin()) {
      const auto& [place, snapshot] = *--it;
      if (place <= first) break;
      if (WasTaken(*whole_.blocks, place)) {
        ReplayRun::Start start = whole_.start;
        start.place = CheckpointOf(snapshot.contents);
        start.path = snapshot.path;
        return start;
      }
    }
    return whole_.start;
  }

 private:
  const ReplayRun::Options& whole_;
};

// The number of tickets done by all parts, for one who asks for one number.
class Progress {
 public:
  Progress(const ReplayRun::Options& whole, std::size_t parts)
      : tell_(whole.progress),
        done_(whole.start.event_id().value),
        parts_(parts, 0) {}

  void Tell(std::size_t part, std::uint64_t tickets) {
    MutexLock lock(&mutex_);
    done_ += tickets - std::exchange(parts_[part], tickets);
    if (tell_) tell_(EventId{done_});
  }

 private:
  const std::function<void(EventId)> tell_;
  Mutex mutex_;
  std::uint64_t done_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> parts_ ABSL_GUARDED_BY(mutex_);
};

// Parts that run beside each other. Once one has gone wrong, those after it
// matter no more and are told to stop.
class Segments {
 public:
  Segments(const ReplayRun::Options& whole, std::size_t parts)
      : meanwhile_(whole.meanwhile),
        segments_(parts, whole),
        outcomes_(parts),
        firsts_(parts, whole.start.event_id()),
        cuts_(whole.start.block(), whole.end, parts),
        progress_(whole, parts),
        wrong_(parts) {
    const Bases bases(whole);
    for (std::size_t i = 0; i < parts; ++i) Prepare(i, bases);
  }

  void Run() {
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < segments_.size(); ++i) {
      try {
        threads.emplace_back([this, i] { RunPart(i); });
      } catch (const std::system_error&) {
        break;  // the parts that there are run what is left
      }
    }
    RunPart(0);
    if (meanwhile_ && outcomes_[0].clean()) meanwhile_();
    for (std::thread& thread : threads) thread.join();
    segments_.resize(threads.size() + 1);
  }

  // The parts' outcomes as one. Nullopt: a part could not start, or not where
  // the one before it ended, so that one run has to say what is wrong.
  std::optional<ReplayOutcome> Merge() {
    ReplayOutcome merged = std::move(outcomes_[0]);
    for (std::size_t i = 1; i < segments_.size() && merged.clean(); ++i) {
      ReplayOutcome& outcome = outcomes_[i];
      if (absl::IsAborted(outcome.opened)) continue;  // it had nothing to run
      if (!outcome.opened.ok() || merged.ended != outcome.began) {
        return std::nullopt;
      }
      merged = Join(std::move(merged), std::move(outcome));
    }
    return merged;
  }

 private:
  void Prepare(std::size_t i, const Bases& bases) {
    ReplayRun::Options& segment = segments_[i];
    segment.progress = [this, i](EventId at) {
      progress_.Tell(i, at.value - firsts_[i].value);
    };
    segment.cancelled = [this, i, asked = segment.cancelled] {
      return wrong_.load(std::memory_order_relaxed) < i || (asked && asked());
    };
    segment.may_run = [this, i](std::uint64_t block) {
      return cuts_.MayRun(i, block);
    };
    if (i == 0) return;
    segment.start = bases.Of(i, segments_.size());
    segment.begins_at = [this, i](const Checkpoint& place) {
      return BeginsAt(i, place);
    };
  }

  absl::StatusOr<bool> BeginsAt(std::size_t i, const Checkpoint& place) {
    if (segments_[i].cancelled()) return absl::CancelledError("interrupted");
    firsts_[i] = place.event_id;
    return cuts_.BeginsAt(i, place.block_count);
  }

  void RunPart(std::size_t i) {
    outcomes_[i] = RunOnce(segments_[i]);
    if (outcomes_[i].clean() || absl::IsAborted(outcomes_[i].opened)) return;
    std::size_t first = wrong_.load();
    while (i < first && !wrong_.compare_exchange_weak(first, i)) {
    }
  }

  static ReplayOutcome Join(ReplayOutcome before, ReplayOutcome outcome) {
    outcome.tickets += before.tickets;
    outcome.failed_steps += before.failed_steps;
    outcome.reruns += before.reruns;
    outcome.findings.record_checked |= before.findings.record_checked;
    auto& checked = outcome.findings.snapshots_checked;
    checked.insert(checked.begin(), before.findings.snapshots_checked.begin(),
                   before.findings.snapshots_checked.end());
    outcome.modules.insert(outcome.modules.begin(), before.modules.begin(),
                           before.modules.end());
    return outcome;
  }

  const std::function<void()> meanwhile_;
  std::vector<ReplayRun::Options> segments_;
  std::vector<ReplayOutcome> outcomes_;
  std::vector<EventId> firsts_;  // by part, its own thread's
  Cuts cuts_;
  Progress progress_;
  std::atomic<std::size_t>
      wrong_;  // the first part that is; their number: none
};

// So many blocks make a part that is worth its start.
constexpr std::uint64_t kBlocksPerPart = 16;

std::size_t PartsFor(const ReplayRun::Options& options, std::size_t threads) {
  const std::uint64_t blocks =
      options.end - std::min(options.end, options.start.block());
  if (threads > 0) return std::min<std::uint64_t>(threads, blocks);
  if (options.workers > 0) return 1;
  return std::min<std::uint64_t>(CoreCount(), blocks / kBlocksPerPart);
}

}  // namespace

ReplayOutcome RunOnce(const ReplayRun::Options& options) {
  ReplayOutcome outcome;
  absl::StatusOr<std::unique_ptr<ReplayRun>> run = ReplayRun::Open(options);
  outcome.opened = run.status();
  if (!run.ok()) return outcome;
  outcome.status = (*run)->Run();
  outcome.findings = (*run)->findings();
  outcome.impure = (*run)->impure();
  const WorldStats stats = (*run)->stats();
  outcome.tickets = stats.committed + stats.failed;
  outcome.failed_steps = stats.failed;
  outcome.reruns = stats.reruns;
  const BlockScript& script = (*run)->script();
  outcome.block = script.block();
  outcome.controls = script.controls();
  outcome.problem = script.problem();
  outcome.modules = script.modules();
  if (!outcome.status.ok()) return outcome;
  if (options.begins_at) outcome.began = (*run)->began();
  if (outcome.block + 1 < options.blocks->block_count()) {
    absl::StatusOr<ReplayRun::Boundary> here = (*run)->Here();
    if (here.ok()) outcome.ended = *std::move(here);
    return outcome;
  }
  const absl::StatusOr<Digest> state = (*run)->StateDigest();
  if (state.ok()) outcome.state = *state;
  return outcome;
}

ReplayOutcome RunInSegments(const ReplayRun::Options& options,
                            std::size_t threads) {
  const std::size_t parts = PartsFor(options, threads);
  if (parts > 1) {
    Segments segments(options, parts);
    segments.Run();
    std::optional<ReplayOutcome> outcome = segments.Merge();
    if (outcome) return *std::move(outcome);
  }
  ReplayRun::Options whole = options;
  whole.read_ahead = HasCoreToSpare();
  return RunOnce(whole);
}

}  // namespace reenact
