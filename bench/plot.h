// Figures and curves as SVG, to be put into a page that has plot.cc's style.

#ifndef REENACT_BENCH_PLOT_H_
#define REENACT_BENCH_PLOT_H_

#include <string>
#include <string_view>
#include <vector>

#include "bench/figure.h"

namespace reenact::bench {

// A bar for each figure, from 0 to its median, with the middle half of its
// values, a whisker from lowest to highest and lines where its target is. Drawn
// to one scale, so all have one unit. REQUIRES: not empty.
std::string BarPlot(const std::vector<const Figure*>& figures);

// All curves in one frame; labels and scale are those of the first. REQUIRES:
// not empty, no curve is.
std::string CurvePlot(const std::vector<const Curve*>& curves);

// The style that both need.
std::string_view PlotStyle();

// Round numbers that divide [0, high] into three to seven parts, with 0.
std::vector<double> Ticks(double high);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_PLOT_H_
