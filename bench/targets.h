// What the figures should show, and whether they do.

#ifndef REENACT_BENCH_TARGETS_H_
#define REENACT_BENCH_TARGETS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/figure.h"

namespace reenact::bench {

struct Target {
  std::string_view measure;
  double at_least = 0;  // at most, where less is better
  double aim = 0;
  std::string_view unit;
  Better better = Better::kMore;
  // The figures that it is about; the worst of them counts.
  std::vector<std::string_view> figures;
  // Said where there is nothing to see: how to measure it.
  std::string_view how;
};

// targets.cc is the only place that they are written down in.
const std::vector<Target>& AllTargets();

enum class Verdict { kAim, kMet, kMissed, kNotMeasured };
std::string_view VerdictText(Verdict verdict);  // "aim reached", "met" ...

struct Judged {
  const Target* target = nullptr;
  Verdict verdict = Verdict::kNotMeasured;
  std::optional<double> seen;  // the median of the worst figure
  const Figure* figure = nullptr;
  bool partly = false;  // not all of its figures were measured
};

// A target none of whose figures is there is not measured.
Judged Judge(const Target& target, const std::vector<Figure>& figures);
// What is to be reached for one figure, if it has a target.
const Target* TargetOf(std::string_view figure);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_TARGETS_H_
