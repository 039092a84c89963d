#include "bench/table.h"

#include <algorithm>
#include <cstdlib>

#include "bench/statistics.h"
#include "bench/targets.h"

namespace reenact::bench {
namespace {

constexpr int kName = 50;
constexpr int kNumber = -11;

int CharactersOf(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string RangeText(double low, double high) {
  return NumberText(low) + " - " + NumberText(high);
}

std::string JudgedLine(const Judged& judged) {
  const Target& target = *judged.target;
  std::string line = "  " + Padded(target.measure, 74);
  line += Padded(NumberText(target.at_least), kNumber);
  line += Padded(NumberText(target.aim), kNumber);
  line += Padded(judged.seen ? NumberText(*judged.seen) : "-", kNumber);
  line += "  " + Padded(target.unit, 13);
  line += VerdictText(judged.verdict);
  if (judged.partly) line += " (not all of it measured)";
  if (!judged.seen) line += " (" + std::string(target.how) + ")";
  return line + "\n";
}

}  // namespace

std::string Padded(std::string_view text, int width) {
  const int missing = std::abs(width) - CharactersOf(text);
  const std::string spaces(static_cast<std::size_t>(std::max(missing, 0)), ' ');
  return width < 0 ? spaces + std::string(text) : std::string(text) + spaces;
}

std::string TableHeading(std::string_view section) {
  return "\n" + std::string(section) + "\n  " + Padded("", kName) +
         Padded("median", kNumber) + Padded("by cpu", kNumber) + "   " +
         Padded("middle half", 25) + Padded("lowest - highest", 25) + "\n";
}

std::string TableLine(const Figure& figure) {
  const Spread spread = SpreadOf(figure.values);
  const std::string cpu =
      figure.cpu_values.empty() ? "" : NumberText(Median(figure.cpu_values));
  std::string line = "  " + Padded(figure.name, kName);
  line += Padded(NumberText(spread.median), kNumber);
  line += Padded(cpu, kNumber) + "   ";
  line += Padded(RangeText(spread.lower_quartile, spread.upper_quartile), 25);
  line += Padded(RangeText(spread.lowest, spread.highest), 25);
  line += figure.unit;
  for (const auto& [name, value] : figure.notes) {
    line += "  " + name + " " + NumberText(value);
  }
  return line + "\n";
}

std::string TargetsTable(const std::vector<Figure>& figures) {
  std::string text = "\ntargets\n  " + Padded("", 74) +
                     Padded("at least", kNumber) + Padded("aim", kNumber) +
                     Padded("seen", kNumber) + "\n";
  for (const Target& target : AllTargets()) {
    text += JudgedLine(Judge(target, figures));
  }
  return text;
}

std::string MachineText(const Machine& machine) {
  return "\n" + machine.cpu + ", " + std::to_string(machine.cores) +
         " cores, " + NumberText(static_cast<double>(machine.memory >> 30)) +
         " GiB, " + machine.system + ", worlds on " + machine.file_system +
         "; " + machine.compiler + "\n" + machine.date + ", took " +
         NumberText(machine.seconds) + " s; load " +
         NumberText(machine.load_before) + " before, " +
         NumberText(machine.load_after) + " after; others had " +
         NumberText(100 * machine.busy_others) + " % of the machine\n";
}

}  // namespace reenact::bench
