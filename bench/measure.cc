#include "bench/measure.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace reenact::bench {
namespace {

double Seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

// Of this process and of those that it has started and that have ended.
double OwnSeconds() {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) * 1e-6;
  };
  rusage children{};
  getrusage(RUSAGE_CHILDREN, &children);
  return CpuSeconds() + seconds(children.ru_utime) + seconds(children.ru_stime);
}

double LoadAverage() {
  double average = 0;
  return getloadavg(&average, 1) == 1 ? average : 0;
}

// Seconds that all of the machine's cores together have been busy, with what
// the host took away.
double BusySeconds() {
  std::ifstream stat("/proc/stat");
  std::string label;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0,
         steal = 0;
  stat >> label >> user >> nice >> system >> idle >> wait >> irq >> soft >>
      steal;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return (user + nice + system + irq + soft + steal) / ticks;
}

std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string SystemName() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release;
}

std::string FileSystemName(const std::filesystem::path& directory) {
  struct statfs found {};
  if (statfs(directory.c_str(), &found) != 0) return "unknown";
  switch (static_cast<std::uint32_t>(found.f_type)) {
    case 0x0000EF53:
      return "ext4";
    case 0x01021994:
      return "tmpfs (in memory: a sync there costs nothing)";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x794C7630:
      return "overlay";
    default:
      return "other";
  }
}

std::string CompilerName() {
#ifdef __clang__
  const std::string name = "clang ";
#else
  const std::string name = "g++ ";
#endif
#ifdef __OPTIMIZE__
  return name + __VERSION__ + ", optimized";
#else
  return name + __VERSION__ + ", not optimized";
#endif
}

std::string DateNow() {
  const std::time_t now = time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

}  // namespace

double WallSeconds() { return Seconds(CLOCK_MONOTONIC); }
double CpuSeconds() { return Seconds(CLOCK_PROCESS_CPUTIME_ID); }
double ThreadCpuSeconds() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }

std::uint64_t ProcessMemory(std::string_view what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what)) {
      return std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10)
             << 10;
    }
  }
  return 0;
}

std::uint64_t HeapInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

MachineWatch::MachineWatch(const std::filesystem::path& directory)
    : start_wall_(WallSeconds()),
      start_cpu_(OwnSeconds()),
      start_busy_(BusySeconds()) {
  machine_.cpu = CpuName();
  machine_.cores = std::thread::hardware_concurrency();
  machine_.memory = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                    static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  machine_.system = SystemName();
  machine_.file_system = FileSystemName(directory);
  machine_.compiler = CompilerName();
  machine_.date = DateNow();
  machine_.load_before = LoadAverage();
}

Machine MachineWatch::Finish() const {
  Machine machine = machine_;
  machine.load_after = LoadAverage();
  machine.seconds = WallSeconds() - start_wall_;
  const double all = machine.seconds * machine.cores;
  const double ours = OwnSeconds() - start_cpu_;
  const double busy = BusySeconds() - start_busy_;
  if (all > 0) machine.busy_others = std::max(0.0, busy - ours) / all;
  return machine;
}

}  // namespace reenact::bench
