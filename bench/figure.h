// What a benchmark has to say: figures, and curves to look at.

#ifndef REENACT_BENCH_FIGURE_H_
#define REENACT_BENCH_FIGURE_H_

#include <string>
#include <utility>
#include <vector>

namespace reenact::bench {

enum class Better { kMore, kLess, kNeither };

// One line of the result: as many values as there were repetitions, at least
// one.
struct Figure {
  std::string id;       // "parallel.memory.uniform.10us.2": for targets
  std::string section;  // "parallel ÷ serial, in memory"
  std::string name;     // "uniform, 10 µs, 2 workers"
  std::string unit;     // "×", "tickets/s", "µs" ...
  Better better = Better::kMore;
  std::vector<double> values;
  // The same in processor time instead of the wall's, if that makes sense.
  std::vector<double> cpu_values;
  // Other medians of the same runs, by name: "re-runs %", "cores" ...
  std::vector<std::pair<std::string, double>> notes;
};

// A line of a plot. Those of one section are drawn together.
struct Curve {
  std::string section;
  std::string name;
  std::string x_label, y_label;
  bool y_log = false;
  bool points_only = false;  // measured points beside predicted lines
  // Ascending in x, which is placed as `x_ticks` says, if there are any: as
  // many as there are points. Otherwise x is drawn to scale of its logarithm.
  std::vector<std::pair<double, double>> points;
  std::vector<std::string> x_ticks;
};

}  // namespace reenact::bench

#endif  // REENACT_BENCH_FIGURE_H_
