#include "bench/load.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "bench/draw.h"
#include "bench/measure.h"
#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/rng.h"

namespace reenact::bench {
namespace {

constexpr std::uint32_t kFewCells = 1'000;
constexpr double kZipfExponent = 0.9;
constexpr Seed kSeed{20240229};

// A chain of dependent multiplications, which nothing can shorten.
void Spin(std::uint64_t iterations) {
  std::uint64_t x = 1;
  for (std::uint64_t i = 0; i < iterations; ++i) {
    x = x * 6364136223846793005U + 1442695040888963407U;
    asm volatile("" : "+r"(x));
  }
}

std::uint32_t Uniform(Rng& rng, std::uint32_t size) {
  return static_cast<std::uint32_t>(rng.Below(size));
}

std::uint32_t CellCount(Pattern pattern, std::uint32_t many) {
  switch (pattern) {
    case Pattern::kOne:
      return 1;
    case Pattern::kForeign10:
    case Pattern::kForeign50:
      return std::min(many, kFewCells);
    default:
      return many;
  }
}

std::uint32_t DrawCell(Pattern pattern, const Zipf& zipf, Rng& rng) {
  switch (pattern) {
    case Pattern::kZipf:
      return zipf.Draw(rng);
    case Pattern::kHalf:
      return rng.Chance(1, 2) ? 0 : Uniform(rng, zipf.size());
    default:
      return Uniform(rng, CellCount(pattern, zipf.size()));
  }
}

std::uint32_t DrawOther(Pattern pattern, std::uint32_t cells, Rng& rng) {
  const std::uint64_t percent = pattern == Pattern::kForeign10   ? 10
                                : pattern == Pattern::kForeign50 ? 50
                                                                 : 0;
  if (percent == 0 || !rng.Chance(percent, 100)) return 0;
  return Uniform(rng, cells) + 1;
}

absl::Status Count(const BusyWork& work, double us, StepContext& step) {
  REENACT_ASSIGN_OR_RETURN(std::int64_t other,
                           cbor::DecodeInteger(step.payload()));
  std::int64_t count = 0;
  if (const auto state = step.state()) {
    REENACT_ASSIGN_OR_RETURN(count, cbor::DecodeInteger(*state));
  }
  if (other > 0) {
    const std::string key = CellKey(static_cast<std::uint32_t>(other - 1));
    if (const auto state = step.Read("counter", key)) {
      REENACT_ASSIGN_OR_RETURN(other, cbor::DecodeInteger(*state));
      count += other % 2;
    }
  }
  if (us > 0 && other >= 0) work.Run(us);
  step.SetState(cbor::EncodeInteger(count + 1));
  return absl::OkStatus();
}

}  // namespace

BusyWork BusyWork::Calibrate() {
  constexpr std::uint64_t kIterations = 200'000;
  constexpr int kTries = 50;
  double fastest = std::numeric_limits<double>::max();
  for (int i = 0; i < kTries; ++i) {
    const double start = ThreadCpuSeconds();
    Spin(kIterations);
    fastest = std::min(fastest, ThreadCpuSeconds() - start);
  }
  BusyWork work;
  work.iterations_per_us_ = static_cast<double>(kIterations) / fastest / 1e6;
  return work;
}

void BusyWork::Run(double us) const {
  Spin(static_cast<std::uint64_t>(us * iterations_per_us_));
}

std::vector<Pattern> AllPatterns() {
  return {Pattern::kUniform, Pattern::kZipf,      Pattern::kHalf,
          Pattern::kOne,     Pattern::kForeign10, Pattern::kForeign50};
}

std::string_view PatternName(Pattern pattern) {
  switch (pattern) {
    case Pattern::kUniform:
      return "uniform";
    case Pattern::kZipf:
      return "zipf 0.9";
    case Pattern::kHalf:
      return "half on one cell";
    case Pattern::kOne:
      return "all on one cell";
    case Pattern::kForeign10:
      return "10 % foreign reads";
    case Pattern::kForeign50:
      return "50 % foreign reads";
  }
  return "";
}

std::string_view PatternId(Pattern pattern) {
  switch (pattern) {
    case Pattern::kUniform:
      return "uniform";
    case Pattern::kZipf:
      return "zipf";
    case Pattern::kHalf:
      return "half";
    case Pattern::kOne:
      return "one";
    case Pattern::kForeign10:
      return "foreign10";
    case Pattern::kForeign50:
      return "foreign50";
  }
  return "";
}

Load MakeLoad(Pattern pattern, double step_us, std::size_t events,
              std::uint32_t many) {
  const Zipf zipf(many, kZipfExponent);
  Load load;
  load.step_us = step_us;
  load.pattern = pattern;
  load.cell_count = CellCount(pattern, many);
  Rng rng(kSeed);
  for (std::size_t i = 0; i < events; ++i) {
    load.cells.push_back(DrawCell(pattern, zipf, rng));
    load.others.push_back(DrawOther(pattern, load.cell_count, rng));
  }
  return load;
}

std::string CellKey(std::uint32_t cell) { return "c" + std::to_string(cell); }

Module CounterModule(const BusyWork& work, double us) {
  auto counter = MakeReducer("counter", [work, us](StepContext& step) {
    return Count(work, us, step);
  });
  auto module = MakeModule("bench", "1", {std::move(counter)});
  REENACT_CHECK(module.ok());
  return *std::move(module);
}

absl::StatusOr<bool> LoadSource::Next(std::vector<Input>* row) {
  if (next_ == load_.size()) return false;
  Input& input = row->emplace_back();
  input.event.reducer = "counter";
  input.event.key = CellKey(load_.cells[next_]);
  input.event.payload = cbor::EncodeInteger(load_.others[next_]);
  input.position = position_ + ++next_;
  return true;
}

absl::StatusOr<bool> WarmUpSource::Next(std::vector<Input>* row) {
  if (next_ == cells_) return false;
  Input& input = row->emplace_back();
  input.event.reducer = "counter";
  input.event.key = CellKey(next_);
  input.event.payload = cbor::EncodeInteger(-1);
  input.position = ++next_;
  return true;
}

}  // namespace reenact::bench
