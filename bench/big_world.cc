#include "bench/big_world.h"

#include <algorithm>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "bench/measure.h"
#include "bench/statistics.h"
#include "bench/world_run.h"
#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/rng.h"
#include "reenact/world/world.h"

namespace reenact::bench {
namespace {

constexpr std::uint64_t kMebibyte = 1 << 20;
constexpr const char* kGroup = "a world larger than its cache";

// Keeps a count in front of 90 bytes of text.
absl::Status CountAndPad(StepContext& step) {
  static const std::string padding(90, 'x');
  std::int64_t count = 0;
  if (const auto state = step.state()) {
    cbor::Reader reader(*state);
    reader.ExpectArray(2);
    count = reader.Integer();
    REENACT_RETURN_IF_ERROR(reader.status());
  }
  Bytes state;
  cbor::Encoder encoder(&state);
  encoder.Array(2);
  encoder.Integer(count + 1);
  encoder.Text(padding);
  step.SetState(state);
  return absl::OkStatus();
}

// Each cell once, scattered; or cells at random. Looks at the memory in use as
// it goes.
class BigSource final : public InputSource {
 public:
  BigSource(std::string phase, std::uint64_t cells, std::uint64_t events,
            bool random, std::uint64_t first_position,
            const std::function<void(std::string_view)>& progress)
      : progress_(progress),
        phase_(std::move(phase)),
        cells_(cells),
        events_(events),
        random_(random),
        position_(first_position) {}

  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (done_ % kLook == 0) Look();
    if (done_ == events_) return false;
    constexpr std::uint64_t kPrime = 2'654'435'761;  // shares no factor
    const std::uint64_t cell =
        random_ ? rng_.Below(cells_) : done_ * kPrime % cells_;
    Input& input = row->emplace_back();
    input.event.reducer = "counter";
    input.event.key = "cell" + std::to_string(cell);
    input.event.payload = cbor::EncodeInteger(1);
    input.position = ++position_;
    ++done_;
    return true;
  }

  std::uint64_t memory_max() const { return memory_max_; }

 private:
  static constexpr std::uint64_t kLook = 50'000;

  void Look() {
    const std::uint64_t memory = ProcessMemory("VmRSS");
    memory_max_ = std::max(memory_max_, memory);
    if (!progress_) return;
    progress_(phase_ + ": " + NumberText(static_cast<double>(done_)) + " of " +
              NumberText(static_cast<double>(events_)) + ", " +
              std::to_string(memory / kMebibyte) + " MiB in memory");
  }

  const std::function<void(std::string_view)>& progress_;
  const std::string phase_;
  const std::uint64_t cells_;
  const std::uint64_t events_;
  const bool random_;
  std::uint64_t position_;
  std::uint64_t done_ = 0;
  std::uint64_t memory_max_ = 0;
  Rng rng_{Seed{7}};
};

std::uint64_t DirectorySize(const std::filesystem::path& directory) {
  std::uint64_t size = 0;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory, ignored)) {
    if (entry.is_regular_file(ignored)) size += entry.file_size(ignored);
  }
  return size;
}

WorldOptions MakeOptions(const BigWorldOptions& options) {
  auto module = MakeModule("big", "1", {MakeReducer("counter", CountAndPad)});
  REENACT_CHECK(module.ok());
  WorldOptions world;
  world.path = options.directory.string();
  world.modules.push_back(*std::move(module));
  world.cache_bytes = options.cache_mib * kMebibyte;
  return world;
}

class BigRun {
 public:
  explicit BigRun(const BigWorldOptions& options) : options_(options) {}

  absl::StatusOr<std::vector<Figure>> Run() {
    AddMemory("resident before", ProcessMemory("VmRSS"));
    REENACT_ASSIGN_OR_RETURN(world_, World::Open(MakeOptions(options_)));
    const std::uint64_t touches = options_.cells / 10;
    BigSource make("making cells", options_.cells, options_.cells, false, 0,
                   options_.progress);
    REENACT_RETURN_IF_ERROR(Feed("cells made", options_.cells, make));
    BigSource touch("changing cells", options_.cells, touches, true,
                    options_.cells, options_.progress);
    REENACT_RETURN_IF_ERROR(Feed("random changes", touches, touch));
    const WorldStats stats = world_->stats();
    AddMemory("cell cache at the end", stats.cache_bytes);
    Add("cells in it", "cells", static_cast<double>(stats.cells_cached));
    REENACT_RETURN_IF_ERROR(world_->Close());
    world_.reset();
    AddMemory("on disk", DirectorySize(options_.directory));
    REENACT_RETURN_IF_ERROR(Reopen());
    AddMemory("resident at most, ever", ProcessMemory("VmHWM"));
    return std::move(figures_);
  }

 private:
  absl::Status Feed(const std::string& what, std::uint64_t events,
                    BigSource& source) {
    const RunningWorld running(options_.running, world_.get());
    const double start = WallSeconds();
    REENACT_RETURN_IF_ERROR(world_->Feed(source));
    Add(what, "events/s",
        static_cast<double>(events) / (WallSeconds() - start));
    AddMemory("resident at most, meanwhile", source.memory_max());
    return absl::OkStatus();
  }

  absl::Status Reopen() {
    const double start = WallSeconds();
    REENACT_ASSIGN_OR_RETURN(world_, World::Open(MakeOptions(options_)));
    Add("opened again", "s", WallSeconds() - start);
    figures_.back().notes = {
        {"tickets_replayed",
         static_cast<double>(world_->open_report().tickets_replayed)}};
    AddMemory("resident then", ProcessMemory("VmRSS"));
    return world_->Close();
  }

  void Add(const std::string& name, const std::string& unit, double value) {
    Figure figure;
    figure.id = "memory.big." + std::to_string(figures_.size());
    figure.section = kGroup;
    figure.name = name;
    figure.unit = unit;
    figure.better = unit == "events/s" ? Better::kMore : Better::kLess;
    figure.values = {value};
    figures_.push_back(std::move(figure));
  }
  void AddMemory(const std::string& name, std::uint64_t bytes) {
    Add(name, "MiB", static_cast<double>(bytes) / kMebibyte);
  }

  const BigWorldOptions options_;
  std::unique_ptr<World> world_;
  std::vector<Figure> figures_;
};

}  // namespace

absl::StatusOr<std::vector<Figure>> RunBigWorld(
    const BigWorldOptions& options) {
  return BigRun(options).Run();
}

}  // namespace reenact::bench
