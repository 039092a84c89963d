// Clocks, and what becomes of what they say: medians, a table, JSON.

#ifndef REENACT_BENCH_MEASURE_H_
#define REENACT_BENCH_MEASURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/kernel/status.h"

namespace reenact::bench {

double WallSeconds();       // since some fixed moment
double CpuSeconds();        // of this process, all threads
double ThreadCpuSeconds();  // of this thread

// What something took, by the wall's clock and in processor time of all
// threads. On a machine that others use too, the second is the steadier one.
struct Timing {
  double wall = 0;
  double cpu = 0;
};

// Starts when it is made.
class Stopwatch {
 public:
  Timing Read() const { return {WallSeconds() - wall_, CpuSeconds() - cpu_}; }

 private:
  double wall_ = WallSeconds();
  double cpu_ = CpuSeconds();
};

// "VmRSS" or "VmHWM" of this process, in bytes; 0 if the system does not say.
std::uint64_t ProcessMemory(std::string_view what);

// One line of the result: as many values as there were repetitions.
struct Figure {
  std::string group;  // "parallel, in memory"
  std::string name;   // "10 us, uniform, 2 workers"
  std::string unit;   // "x", "events/s", ...
  std::vector<double> values;
  // The same in processor time instead of the wall's, if that makes sense.
  std::vector<double> cpu_values;
  // Other medians of the same runs, by name: "reruns", "cores" ...
  std::vector<std::pair<std::string, double>> notes;
};

double Median(std::vector<double> values);  // REQUIRES: not empty
// The value that `part` of the values, from 0 to 1, do not exceed.
double Quantile(std::vector<double> values, double part);

// What the figures were taken on and when.
struct Machine {
  std::string cpu;
  unsigned cores = 0;
  std::string system;
  double load_before = 0;  // average over a minute, of the whole machine
  double load_after = 0;
  // The part of the machine's time that others had, meanwhile.
  double busy_others = 0;
};

// Watches the machine from its making on.
class MachineWatch {
 public:
  MachineWatch();
  Machine Finish() const;

 private:
  Machine machine_;
  double start_wall_, start_cpu_, start_busy_;
};

// Prints a figure as soon as there is one, under a heading for each group.
class Report {
 public:
  void Add(Figure figure);
  // Writes everything as one JSON object.
  absl::Status WriteJson(const std::string& path, const Machine& machine) const;

 private:
  std::vector<Figure> figures_;
};

// "1234567", "12.3", "0.95": about three digits, more if they are whole.
std::string NumberText(double value);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_MEASURE_H_
