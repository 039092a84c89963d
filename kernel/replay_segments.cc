#include "reenact/kernel/replay_segments.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "reenact/journal/block_stream.h"
#include "reenact/kernel/mutex.h"

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

// The first and, cut at some of its snapshots, the other parts of a history.
class Cutter {
 public:
  explicit Cutter(const ReplayRun::Options& whole) : whole_(whole) {}

  std::vector<ReplayRun::Options> Cut(std::size_t parts) const {
    std::vector<ReplayRun::Options> segments = {whole_};
    if (whole_.snapshots == nullptr || parts < 2) return segments;
    const std::uint64_t first = whole_.start.block();
    // Blocks are near enough to work: rounds are full where there is much.
    for (std::size_t i = 1; i < parts; ++i) {
      const std::uint64_t goal = first + (whole_.end - first) * i / parts;
      const std::optional<std::uint64_t> place =
          Nearest(goal, segments.back().start.block());
      if (!place) continue;
      segments.back().end = *place;
      segments.push_back(From(whole_.snapshots->at(*place)));
    }
    return segments;
  }

 private:
  // The place nearest to `goal`, and after `after`, where a part can start.
  std::optional<std::uint64_t> Nearest(std::uint64_t goal,
                                       std::uint64_t after) const {
    const auto distance = [goal](std::uint64_t place) {
      return std::max(goal, place) - std::min(goal, place);
    };
    std::optional<std::uint64_t> nearest;
    for (const auto& [place, known] : *whole_.snapshots) {
      if (place <= after || place >= whole_.end) continue;
      if (nearest && distance(*nearest) <= distance(place)) continue;
      if (WasTaken(*whole_.blocks, place)) nearest = place;
    }
    return nearest;
  }

  ReplayRun::Options From(const KnownSnapshot& snapshot) const {
    ReplayRun::Options options = whole_;
    options.start.place = PlaceOf(snapshot.contents);
    options.start.path = snapshot.path;
    return options;
  }

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
  Segments(const ReplayRun::Options& whole,
           std::vector<ReplayRun::Options> segments)
      : segments_(std::move(segments)),
        outcomes_(segments_.size()),
        progress_(whole, segments_.size()),
        wrong_(segments_.size()) {
    for (std::size_t i = 0; i < segments_.size(); ++i) Prepare(i);
  }

  void Run() {
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < segments_.size(); ++i) {
      try {
        threads.emplace_back([this, i] { RunPart(i); });
      } catch (const std::system_error&) {
        break;  // the rest on this thread
      }
    }
    RunPart(0);
    for (std::size_t i = threads.size() + 1; i < segments_.size(); ++i) {
      RunPart(i);
    }
    for (std::thread& thread : threads) thread.join();
  }

  // The parts' outcomes as one. Nullopt: a part could not start, so that it has
  // to be known what would have become of the ones before it.
  std::optional<ReplayOutcome> Merge() {
    ReplayOutcome merged = std::move(outcomes_[0]);
    for (std::size_t i = 1; i < outcomes_.size() && merged.clean(); ++i) {
      if (!outcomes_[i].opened.ok()) return std::nullopt;
      merged = Join(std::move(merged), std::move(outcomes_[i]));
    }
    return merged;
  }

 private:
  void Prepare(std::size_t i) {
    ReplayRun::Options& segment = segments_[i];
    const std::uint64_t first = segment.start.event_id().value;
    segment.progress = [this, i, first](EventId at) {
      progress_.Tell(i, at.value - first);
    };
    segment.cancelled = [this, i, asked = segment.cancelled] {
      return wrong_.load(std::memory_order_relaxed) < i || (asked && asked());
    };
  }

  void RunPart(std::size_t i) {
    outcomes_[i] = RunOnce(segments_[i]);
    if (outcomes_[i].clean()) return;
    std::size_t first = wrong_.load();
    while (i < first && !wrong_.compare_exchange_weak(first, i)) {
    }
  }

  static ReplayOutcome Join(ReplayOutcome before, ReplayOutcome outcome) {
    outcome.tickets += before.tickets;
    outcome.failed_steps += before.failed_steps;
    outcome.reruns += before.reruns;
    auto& checked = outcome.findings.snapshots_checked;
    checked.insert(checked.begin(), before.findings.snapshots_checked.begin(),
                   before.findings.snapshots_checked.end());
    outcome.modules.insert(outcome.modules.begin(), before.modules.begin(),
                           before.modules.end());
    return outcome;
  }

  std::vector<ReplayRun::Options> segments_;
  std::vector<ReplayOutcome> outcomes_;
  Progress progress_;
  std::atomic<std::size_t>
      wrong_;  // the first part that is; their number: none
};

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
  if (!outcome.status.ok() || options.end != options.blocks->block_count()) {
    return outcome;
  }
  const absl::StatusOr<Digest> state = (*run)->StateDigest();
  if (state.ok()) outcome.state = *state;
  return outcome;
}

ReplayOutcome RunInSegments(const ReplayRun::Options& options,
                            std::size_t threads) {
  const bool spare = HasCoreToSpare();
  if (threads == 0) threads = options.workers == 0 ? CoreCount() : 1;
  std::vector<ReplayRun::Options> parts = Cutter(options).Cut(threads);
  if (parts.size() > 1) {
    Segments segments(options, std::move(parts));
    segments.Run();
    std::optional<ReplayOutcome> outcome = segments.Merge();
    if (outcome) return *std::move(outcome);
  }
  ReplayRun::Options whole = options;
  whole.read_ahead = spare;
  return RunOnce(whole);
}

}  // namespace reenact
