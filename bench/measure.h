// Clocks, and what they were read on.

#ifndef REENACT_BENCH_MEASURE_H_
#define REENACT_BENCH_MEASURE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

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

// Bytes that malloc() has given out and not got back.
std::uint64_t HeapInUse();

// What the figures were taken on, when, and what else went on.
struct Machine {
  std::string cpu;
  unsigned cores = 0;
  std::uint64_t memory = 0;  // bytes
  std::string system;        // "Linux 6.1.0"
  std::string file_system;   // of the directory for worlds: "ext4"
  std::string compiler;      // and how: "g++ 12.2.0, optimized"
  std::string date;          // "2024-02-29 12:34 UTC"
  double seconds = 0;        // that it all took
  double load_before = 0;    // average over a minute, of the whole machine
  double load_after = 0;
  // The part of the machine's time that others had, meanwhile: 0 to 1.
  double busy_others = 0;
};

// Watches the machine from its making on.
class MachineWatch {
 public:
  explicit MachineWatch(const std::filesystem::path& directory);
  Machine Finish() const;

 private:
  Machine machine_;
  double start_wall_, start_cpu_, start_busy_;
};

}  // namespace reenact::bench

#endif  // REENACT_BENCH_MEASURE_H_
