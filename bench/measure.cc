#include "measure.h"

#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace reenact::bench {
namespace {

double Seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
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
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string SystemName() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release;
}

// JSON text of something that is printable ASCII.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

std::string JsonNumber(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string FigureJson(const Figure& figure) {
  std::ostringstream out;
  out << "{\"group\":" << Quoted(figure.group)
      << ",\"name\":" << Quoted(figure.name)
      << ",\"unit\":" << Quoted(figure.unit)
      << ",\"median\":" << JsonNumber(Median(figure.values)) << ",\"values\":[";
  const char* comma = "";
  for (double value : figure.values) {
    out << comma << JsonNumber(value);
    comma = ",";
  }
  out << "]";
  if (!figure.cpu_values.empty()) {
    out << ",\"cpu_median\":" << JsonNumber(Median(figure.cpu_values));
  }
  for (const auto& [name, value] : figure.notes) {
    out << "," << Quoted(name) << ":" << JsonNumber(value);
  }
  out << "}";
  return out.str();
}

std::string MachineJson(const Machine& machine) {
  std::ostringstream out;
  out << "{\"cpu\":" << Quoted(machine.cpu) << ",\"cores\":" << machine.cores
      << ",\"system\":" << Quoted(machine.system)
      << ",\"load_before\":" << JsonNumber(machine.load_before)
      << ",\"load_after\":" << JsonNumber(machine.load_after)
      << ",\"busy_others\":" << JsonNumber(machine.busy_others) << "}";
  return out.str();
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

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

double Quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  const double at = part * static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(std::ceil(at))];
}

MachineWatch::MachineWatch()
    : start_wall_(WallSeconds()),
      start_cpu_(CpuSeconds()),
      start_busy_(BusySeconds()) {
  machine_.cpu = CpuName();
  machine_.cores = std::thread::hardware_concurrency();
  machine_.system = SystemName();
  machine_.load_before = LoadAverage();
}

Machine MachineWatch::Finish() const {
  Machine machine = machine_;
  machine.load_after = LoadAverage();
  const double all = (WallSeconds() - start_wall_) * machine.cores;
  const double ours = CpuSeconds() - start_cpu_;
  const double busy = BusySeconds() - start_busy_;
  if (all > 0) machine.busy_others = std::max(0.0, busy - ours) / all;
  return machine;
}

void Report::Add(Figure figure) {
  if (figures_.empty() || figures_.back().group != figure.group) {
    std::printf("\n%s\n  %-40s %10s %10s  %-19s\n", figure.group.c_str(), "",
                "median", "by cpu", "lowest - highest");
  }
  const auto [low, high] =
      std::minmax_element(figure.values.begin(), figure.values.end());
  const std::string spread = NumberText(*low) + " - " + NumberText(*high);
  const std::string cpu =
      figure.cpu_values.empty() ? "" : NumberText(Median(figure.cpu_values));
  std::printf("  %-40s %10s %10s  %-19s %s", figure.name.c_str(),
              NumberText(Median(figure.values)).c_str(), cpu.c_str(),
              spread.c_str(), figure.unit.c_str());
  for (const auto& [name, value] : figure.notes) {
    std::printf("  %s %s", name.c_str(), NumberText(value).c_str());
  }
  std::printf("\n");
  std::fflush(stdout);
  figures_.push_back(std::move(figure));
}

absl::Status Report::WriteJson(const std::string& path,
                               const Machine& machine) const {
  std::ofstream out(path);
  out << "{\"machine\":" << MachineJson(machine) << ",\n\"figures\":[";
  const char* comma = "\n";
  for (const Figure& figure : figures_) {
    out << comma << FigureJson(figure);
    comma = ",\n";
  }
  out << "]}\n";
  out.close();
  if (!out) return absl::UnavailableError(path + ": cannot be written");
  return absl::OkStatus();
}

std::string NumberText(double value) {
  char text[32];
  const double size = std::abs(value);
  const int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  const bool whole = value == std::floor(value);
  std::snprintf(text, sizeof text, "%.*f", whole ? 0 : decimals, value);
  return text;
}

}  // namespace reenact::bench
