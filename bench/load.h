// What the whole-kernel runs do: inputs and a reducer of known cost.

#ifndef REENACT_BENCH_LOAD_H_
#define REENACT_BENCH_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/kernel/module.h"
#include "reenact/world/world.h"

namespace reenact::bench {

// How much arithmetic takes a microsecond of this machine's time, found once.
// Steps then count iterations and never look at a clock.
class BusyWork {
 public:
  static BusyWork Calibrate();

  double iterations_per_us() const { return iterations_per_us_; }
  void Run(double us) const;

 private:
  double iterations_per_us_ = 0;
};

// Which cells events go to.
enum class Pattern {
  kUniform,    // many cells, evenly
  kZipf,       // many cells, by Zipf's law with exponent 0.9
  kHalf,       // half of the events on one cell, the rest evenly
  kOne,        // all on one cell
  kForeign10,  // 1,000 cells at most; a tenth of the steps reads another
               // cell, undeclared
  kForeign50,  // the same, half of the steps
};
std::vector<Pattern> AllPatterns();
std::string_view PatternName(Pattern pattern);  // "all on one cell"
std::string_view PatternId(Pattern pattern);    // "one"

// The inputs of a run, made before it starts: the same for both sides.
struct Load {
  double step_us = 0;
  Pattern pattern = Pattern::kUniform;
  std::uint32_t cell_count = 0;       // that the pattern may touch
  std::vector<std::uint32_t> cells;   // of each event, its own
  std::vector<std::uint32_t> others;  // the cell that it reads plus one, or 0

  std::size_t size() const { return cells.size(); }
};
// `many` is how many cells "many" are.
Load MakeLoad(Pattern pattern, double step_us, std::size_t events,
              std::uint32_t many = 100'000);

// "c1234"
std::string CellKey(std::uint32_t cell);

// A reducer that counts in its own cell, reads the cell that its payload names,
// and works for `us` in between, unless the payload is -1.
Module CounterModule(const BusyWork& work, double us);

class LoadSource final : public InputSource {
 public:
  explicit LoadSource(const Load& load) : load_(load) {}
  absl::StatusOr<bool> Next(std::vector<Input>* row) override;
  // The position that the first input comes after.
  void StartAfter(std::uint64_t position) { position_ = position; }

 private:
  const Load& load_;
  std::size_t next_ = 0;
  std::uint64_t position_ = 0;
};

// Every cell of the load once, by steps that only count.
class WarmUpSource final : public InputSource {
 public:
  explicit WarmUpSource(const Load& load) : cells_(load.cell_count) {}
  absl::StatusOr<bool> Next(std::vector<Input>* row) override;

 private:
  const std::uint32_t cells_;
  std::uint32_t next_ = 0;
};

}  // namespace reenact::bench

#endif  // REENACT_BENCH_LOAD_H_
