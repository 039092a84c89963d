// The frame that all groups of measures run in: what was asked for, how often
// sides take turns, how long that may take, and where figures go.

#ifndef REENACT_BENCH_BENCH_H_
#define REENACT_BENCH_BENCH_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/figure.h"
#include "bench/load.h"
#include "bench/measure.h"
#include "bench/temporary_directory.h"
#include "bench/world_run.h"
#include "reenact/base/status.h"

namespace reenact {
class World;
}

namespace reenact::bench {

struct Settings {
  int pairs = 7;
  bool quick = false;  // tiny sizes: proves that it runs, and nothing else
  double seconds = 0;  // about how long everything may take; 0: no such bound
  std::vector<std::string> groups;               // empty: all
  std::vector<std::size_t> workers = {0, 1, 2};  // 0, the base, always runs
  std::filesystem::path directory;               // for worlds; empty: $TMPDIR
  bool big = false;                              // what takes minutes, too
  std::uint64_t big_cells = 10'000'000;
  std::uint64_t big_cache_mib = 256;
  std::filesystem::path counts;     // a file of tools/instructions; empty: none
  std::uint64_t crash_tickets = 0;  // 0: 10 M with `big`, less without
};

// InvalidArgument: no such group, or a number that makes no sense. Names the
// option.
absl::Status CheckSettings(const Settings& settings);

// What surrounds a benchmark. Any may be empty.
struct Hooks {
  std::function<void(std::string_view text)> print;  // lines of the table
  // How much of the whole is done, 0 to 1, and what is next.
  std::function<void(double done, std::string_view what)> progress;
  std::function<bool()> stopped;  // asked between runs
  // A world that runs now and is to be interrupted when the user says so; or
  // null, before it goes.
  std::function<void(World*)> running;
  // The command line of a process that calls MakeCrashedWorld() with the two
  // arguments that are put behind it; empty: crashes are not measured.
  std::vector<std::string> crash_command;
};

struct Results {
  std::vector<Figure> figures;
  std::vector<Curve> curves;
  Machine machine;
  Settings settings;
  bool stopped = false;  // not all that was asked for
};

// The repetitions of an experiment: those that were complete on all sides.
template <typename T>
struct Repeated {
  std::vector<std::vector<T>> sides;  // by side, then by repetition
  absl::Status status;                // why there are not more

  std::size_t count() const { return sides.empty() ? 0 : sides[0].size(); }
};

// Thread safety: none.
class Bench {
 public:
  Bench(Settings settings, Hooks hooks);

  const Settings& settings() const { return settings_; }
  const Hooks& hooks() const { return hooks_; }
  const BusyWork& work() const { return work_; }
  bool stopped() const { return hooks_.stopped && hooks_.stopped(); }
  absl::Status CheckStopped() const {
    return stopped() ? absl::CancelledError("stopped") : absl::OkStatus();
  }

  // A path below a directory that ends with the benchmark.
  std::filesystem::path NewDirectory();
  void RemoveDirectory(const std::filesystem::path& directory) const;

  // Seconds that one run should take now, so that what is planned fits.
  double RunSeconds() const;
  // How many events make such a run, at `step_us` each.
  std::size_t EventsFor(double step_us) const;
  std::uint32_t cells() const { return settings_.quick ? 500 : 100'000; }

  // Options for a run in memory, or in a new directory, which
  // RunAndRemove() removes.
  RunOptions InMemory(std::size_t workers) const;
  RunOptions Durable(std::size_t workers);
  absl::StatusOr<RunResult> RunAndRemove(const Load& load,
                                         const RunOptions& options);

  // Calls `run` once per side and repetition, in an order that turns with each
  // repetition, so that what drifts meets all sides alike. The first error, or
  // a wish to stop, ends it; the repetition it ends does not count.
  template <typename T>
  Repeated<T> Repeat(const std::string& what, std::size_t sides,
                     const std::function<absl::StatusOr<T>(std::size_t)>& run) {
    Repeated<T> all;
    all.sides.resize(sides);
    for (int i = 0; i < settings_.pairs && all.status.ok(); ++i) {
      std::vector<T> whole(sides);
      all.status = Once<T>(what, i, run, &whole);
      for (std::size_t side = 0; all.status.ok() && side < sides; ++side) {
        all.sides[side].push_back(std::move(whole[side]));
      }
    }
    return all;
  }

  // Prints the figure and keeps it; one without values is passed over.
  void Add(Figure figure);
  void Add(Curve curve);
  const std::vector<Figure>& figures() const { return figures_; }
  // The median of a figure, or `otherwise` if it was not measured.
  double MedianOf(std::string_view id, double otherwise) const;

  // Says what is next; one more run of those planned is done.
  void Progress(std::string_view what);

  // Runs the groups that are wanted.
  absl::Status Run();
  Results Finish(const MachineWatch& watch);

 private:
  template <typename T>
  absl::Status Once(const std::string& what, int repetition,
                    const std::function<absl::StatusOr<T>(std::size_t)>& run,
                    std::vector<T>* results) {
    const std::size_t sides = results->size();
    for (std::size_t i = 0; i < sides; ++i) {
      REENACT_RETURN_IF_ERROR(CheckStopped());
      Progress(what);
      const std::size_t side = repetition % 2 == 0 ? i : sides - 1 - i;
      REENACT_ASSIGN_OR_RETURN((*results)[side], run(side));
    }
    return absl::OkStatus();
  }
  absl::Status AddCounts();
  void Print(std::string_view text) const {
    if (hooks_.print) hooks_.print(text);
  }

  const Settings settings_;
  const Hooks hooks_;
  const TemporaryDirectory temporary_;
  const BusyWork work_ = BusyWork::Calibrate();
  const double start_ = WallSeconds();
  double runs_planned_ = 0;
  double runs_done_ = 0;
  int directories_ = 0;
  std::vector<Figure> figures_;
  std::vector<Curve> curves_;
};

// A ratio of speeds in the wall's time, and in processor time.
void AddRatio(const Timing& base, const Timing& side, Figure* figure);

// Runs what `settings` ask for and prints the table and the targets. What was
// measured until the user stopped it is a result like any other.
//
// Internal: journals of two sides differ, or a step failed. Other errors: of
// the disk.
absl::StatusOr<Results> RunBench(Settings settings, Hooks hooks);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_BENCH_H_
