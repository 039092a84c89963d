// Memory per cell and per ticket, journal bytes, and a world larger than its
// cache.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/big_world.h"
#include "bench/groups.h"
#include "bench/statistics.h"

namespace reenact::bench {
namespace {

constexpr const char* kSection = "memory";

// Notes the most memory in use as inputs are pulled.
class WatchedSource final : public InputSource {
 public:
  explicit WatchedSource(const Load& load) : source_(load) {}
  LoadSource& source() { return source_; }
  std::uint64_t heap_max() const { return heap_max_; }

  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (pulled_++ % 64 == 0) heap_max_ = std::max(heap_max_, HeapInUse());
    return source_.Next(row);
  }

 private:
  LoadSource source_;
  std::uint64_t pulled_ = 0;
  std::uint64_t heap_max_ = 0;
};

struct Footprint {
  double heap = 0;       // in use after the run
  double heap_most = 0;  // during it
  double accounted = 0;  // by the world itself, for cells
  double cells = 0;
};

// What a durable world has in use, beside what was before it, after it was fed
// the load.
absl::StatusOr<Footprint> RunWatched(const Load& load, std::size_t window,
                                     std::uint64_t cache, Bench* bench) {
  RunOptions run = bench->Durable(2);
  run.sync.kind = SyncPolicy::Kind::kNone;
  WorldOptions options = MakeOptions(bench->work(), load, run);
  options.window = window;
  options.cache_bytes = cache;
  const auto before = static_cast<double>(HeapInUse());
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           World::Open(std::move(options)));
  WatchedSource source(load);
  {
    const RunningWorld running(bench->hooks().running, world.get());
    REENACT_RETURN_IF_ERROR(world->Feed(source));
  }
  const WorldStats stats = world->stats();
  const Footprint footprint{static_cast<double>(HeapInUse()) - before,
                            static_cast<double>(source.heap_max()) - before,
                            static_cast<double>(stats.cache_bytes),
                            static_cast<double>(stats.cells_cached)};
  REENACT_RETURN_IF_ERROR(world->Close());
  world.reset();
  bench->RemoveDirectory(run.directory);
  return footprint;
}

Figure MemoryFigure(const std::string& id, const std::string& name,
                    std::vector<double> values) {
  return Figure{"memory." + id, kSection,          name, "bytes",
                Better::kLess,  std::move(values), {},   {}};
}

// A cache that holds all cells against one that holds hardly any: what is more
// in use is the cells.
absl::Status MeasureCells(Bench* bench) {
  const std::uint32_t cells = bench->settings().quick ? 2'000 : 200'000;
  Load load = MakeLoad(Pattern::kUniform, 0, 0, cells);
  for (std::uint32_t cell = 0; cell < cells; ++cell) {
    load.cells.push_back(cell);
    load.others.push_back(0);
  }
  const std::uint64_t caches[] = {1, 1ULL << 30};
  const auto runs =
      bench->Repeat<Footprint>("memory, cells", 2, [&](std::size_t side) {
        return RunWatched(load, 256, caches[side], bench);
      });
  std::vector<double> by_heap, accounted;
  for (std::size_t i = 0; i < runs.count(); ++i) {
    const Footprint& small = runs.sides[0][i];
    const Footprint& all = runs.sides[1][i];
    by_heap.push_back((all.heap - small.heap) / (all.cells - small.cells));
    accounted.push_back(all.accounted / all.cells);
  }
  Figure heap = MemoryFigure("cell", "a counter's cell in the cache", by_heap);
  heap.notes = {{"cells", static_cast<double>(cells)}};
  bench->Add(std::move(heap));
  bench->Add(MemoryFigure("cell-accounted", "the same, as the cache counts it",
                          accounted));
  return runs.status;
}

// A large window against a small one: what is more in use is slots and what is
// in them.
absl::Status MeasureSlots(Bench* bench) {
  const std::size_t windows[] = {256, 4096};
  const Load load = MakeLoad(Pattern::kUniform, 0,
                             bench->settings().quick ? 3'000 : 50'000, 1'000);
  const auto runs =
      bench->Repeat<Footprint>("memory, slots", 2, [&](std::size_t side) {
        return RunWatched(load, windows[side], 256ULL << 20, bench);
      });
  std::vector<double> values;
  for (std::size_t i = 0; i < runs.count(); ++i) {
    values.push_back((runs.sides[1][i].heap_most - runs.sides[0][i].heap_most) /
                     static_cast<double>(windows[1] - windows[0]));
  }
  bench->Add(
      MemoryFigure("slot", "a ticket in flight: a slot of the window", values));
  return runs.status;
}

// Inputs that were submitted and are not admitted yet.
absl::Status MeasureIngress(Bench* bench) {
  const std::size_t count = bench->settings().quick ? 1'000 : 100'000;
  const Load load = MakeLoad(Pattern::kUniform, 0, count, 1'000);
  const auto runs = bench->Repeat<double>(
      "memory, inputs in line", 1, [&](std::size_t) -> absl::StatusOr<double> {
        WorldOptions options =
            MakeOptions(bench->work(), load, bench->InMemory(0));
        options.ingress_capacity = count;
        REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<World> world,
                                 World::Open(std::move(options)));
        const auto before = static_cast<double>(HeapInUse());
        LoadSource source(load);
        std::vector<Input> row;
        for (std::size_t i = 0; i < count; ++i) {
          row.clear();
          REENACT_RETURN_IF_ERROR(source.Next(&row).status());
          row[0].position = 0;
          REENACT_RETURN_IF_ERROR(world->Submit(std::move(row[0])).status());
        }
        const auto after = static_cast<double>(HeapInUse());
        REENACT_RETURN_IF_ERROR(world->Close());
        return (after - before) / static_cast<double>(count);
      });
  bench->Add(MemoryFigure("input", "an input in line, not yet admitted",
                          runs.sides[0]));
  return runs.status;
}

absl::Status MeasureJournal(Bench* bench) {
  for (const Pattern pattern : {Pattern::kUniform, Pattern::kOne}) {
    const Load load = MakeLoad(
        pattern, 0, bench->settings().quick ? 2'000 : 300'000, bench->cells());
    bench->Progress("memory, journal bytes");
    REENACT_RETURN_IF_ERROR(bench->CheckStopped());
    REENACT_ASSIGN_OR_RETURN(const RunResult run,
                             bench->RunAndRemove(load, bench->InMemory(0)));
    Figure figure = MemoryFigure(
        "journal." + std::string(PatternId(pattern)),
        "journal, per counter ticket, " + std::string(PatternName(pattern)),
        {run.Grown(&WorldStats::journal_bytes) /
         static_cast<double>(load.size())});
    figure.notes = {{"tickets", static_cast<double>(load.size())}};
    bench->Add(std::move(figure));
  }
  return absl::OkStatus();
}

absl::Status MeasureBig(Bench* bench) {
  if (!bench->settings().big) return absl::OkStatus();
  BigWorldOptions options;
  options.directory = bench->NewDirectory();
  options.cells = bench->settings().big_cells;
  options.cache_mib = bench->settings().big_cache_mib;
  options.running = bench->hooks().running;
  options.progress = [bench](std::string_view what) {
    if (bench->hooks().progress) bench->hooks().progress(0, what);
  };
  auto figures = RunBigWorld(options);
  bench->RemoveDirectory(options.directory);
  REENACT_RETURN_IF_ERROR(figures.status());
  for (Figure& figure : *figures) bench->Add(std::move(figure));
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureMemory(Bench& bench) {
  for (const auto measure : {MeasureBig, MeasureCells, MeasureSlots,
                             MeasureIngress, MeasureJournal}) {
    REENACT_RETURN_IF_ERROR(measure(&bench));
  }
  return absl::OkStatus();
}

}  // namespace reenact::bench
