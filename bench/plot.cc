#include "bench/plot.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "bench/markup.h"
#include "bench/statistics.h"
#include "bench/targets.h"

namespace reenact::bench {
namespace {

constexpr double kWidth = 680;
constexpr std::size_t kColors = 6;

std::string At(double value) { return Coordinate(value); }

// Attributes of a straight line.
void Line(Markup* svg, double x1, double y1, double x2, double y2,
          const std::string& style) {
  svg->Empty("line", {{"x1", At(x1)},
                      {"y1", At(y1)},
                      {"x2", At(x2)},
                      {"y2", At(y2)},
                      {"class", style}});
}

void Label(Markup* svg, double x, double y, std::string_view text,
           const std::string& style) {
  svg->Element("text", text, {{"x", At(x)}, {"y", At(y)}, {"class", style}});
}

void Box(Markup* svg, double x, double y, double width, double height,
         const std::string& style) {
  svg->Empty("rect", {{"x", At(x)},
                      {"y", At(y)},
                      {"width", At(std::max(width, 0.0))},
                      {"height", At(height)},
                      {"class", style}});
}

// "1.5 M" on an axis.
std::string ShortNumber(double value) {
  if (value >= 1e6) return NumberText(value / 1e6) + " M";
  if (value >= 1e4) return NumberText(value / 1e3) + " k";
  return NumberText(value);
}

void OpenSvg(Markup* svg, double height, std::string_view label) {
  svg->Open("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
                    {"viewBox", "0 0 " + At(kWidth) + " " + At(height)},
                    {"role", "img"},
                    {"aria-label", std::string(label)},
                    {"class", "plot"}});
}

// --- bars --------------------------------------------------------------------

class Bars {
 public:
  explicit Bars(const std::vector<const Figure*>& figures)
      : figures_(figures), high_(High()) {}

  std::string Draw() {
    const auto rows = static_cast<double>(figures_.size());
    const double bottom = kTop + rows * kRow;
    OpenSvg(&svg_, bottom + 22, figures_[0]->section);
    Axis(bottom);
    for (std::size_t i = 0; i < figures_.size(); ++i) {
      Row(*figures_[i], kTop + static_cast<double>(i) * kRow);
    }
    svg_.Close();
    return std::move(svg_).Finish();
  }

 private:
  static constexpr double kTop = 6, kRow = 24, kLeft = 300, kRight = 610;

  // What the axis reaches to: a value far out must not make all others small.
  double High() const {
    double typical = 0, highest = 0;
    for (const Figure* figure : figures_) {
      const Spread spread = SpreadOf(figure->values);
      typical = std::max({typical, spread.median, spread.upper_quartile});
      highest = std::max(highest, spread.highest);
      if (const Target* target = TargetOf(figure->id)) {
        typical = std::max({typical, target->at_least, target->aim});
      }
    }
    if (figures_[0]->section.starts_with("parallel")) {
      typical = std::max(typical, 2.0);
    }
    const double high = std::min(highest, 1.5 * typical);
    return std::max({high, typical, 1e-9}) * 1.04;
  }

  double X(double value) const {
    const double part = std::clamp(value / high_, 0.0, 1.0);
    return kLeft + part * (kRight - kLeft);
  }

  void Axis(double bottom) {
    for (const double tick : Ticks(high_)) {
      Line(&svg_, X(tick), kTop, X(tick), bottom, "grid");
      Label(&svg_, X(tick), bottom + 14, ShortNumber(tick), "tick middle");
    }
    Label(&svg_, kLeft - 8, bottom + 14, figures_[0]->unit, "tick end");
    if (figures_[0]->unit == "×") {
      Line(&svg_, X(1), kTop, X(1), bottom, "one");
    }
  }

  void Row(const Figure& figure, double top) {
    const Spread spread = SpreadOf(figure.values);
    const double middle = top + kRow / 2;
    svg_.Open("g");
    svg_.Element("title", figure.name + ": median " +
                              NumberText(spread.median) + ", " +
                              NumberText(spread.lowest) + " to " +
                              NumberText(spread.highest) + " " + figure.unit);
    Label(&svg_, kLeft - 8, middle + 4, figure.name, "label end");
    Box(&svg_, kLeft, top + 5, X(spread.median) - kLeft, kRow - 10, "bar");
    Box(&svg_, X(spread.lower_quartile), top + 8,
        std::max(X(spread.upper_quartile) - X(spread.lower_quartile), 1.0),
        kRow - 16, "half");
    Line(&svg_, X(spread.lowest), middle, X(spread.highest), middle, "whisker");
    for (const double end : {spread.lowest, spread.highest}) {
      if (end <= high_) {
        Line(&svg_, X(end), middle - 4, X(end), middle + 4, "whisker");
      } else {
        Label(&svg_, kRight + 1, middle + 4, "›", "label");
      }
    }
    TargetLines(figure, top);
    Label(&svg_, kWidth - 4, middle + 4, ShortNumber(spread.median),
          "value end");
    svg_.Close();
  }

  void TargetLines(const Figure& figure, double top) {
    const Target* target = TargetOf(figure.id);
    if (target == nullptr) return;
    Line(&svg_, X(target->at_least), top + 1, X(target->at_least),
         top + kRow - 1, "least");
    Line(&svg_, X(target->aim), top + 1, X(target->aim), top + kRow - 1, "aim");
  }

  const std::vector<const Figure*>& figures_;
  const double high_;
  Markup svg_;
};

// --- curves ------------------------------------------------------------------

class Curves {
 public:
  explicit Curves(const std::vector<const Curve*>& curves) : curves_(curves) {
    FindRange();
  }

  std::string Draw() {
    const double legend =
        kBottom + 44 + 18 * std::ceil(static_cast<double>(curves_.size()) / 2);
    OpenSvg(&svg_, legend, curves_[0]->section);
    AxisX();
    AxisY();
    for (std::size_t i = 0; i < curves_.size(); ++i) {
      Draw(*curves_[i], Color(i));
      Legend(i);
    }
    svg_.Close();
    return std::move(svg_).Finish();
  }

 private:
  static constexpr double kLeft = 66, kRight = 664, kTop = 22, kBottom = 300;

  bool y_log() const { return curves_[0]->y_log; }
  bool ticked() const { return !curves_[0]->x_ticks.empty(); }

  void FindRange() {
    x_low_ = y_low_ = 1e300;
    for (const Curve* curve : curves_) {
      for (const auto& [x, y] : curve->points) {
        x_low_ = std::min(x_low_, x);
        x_high_ = std::max(x_high_, x);
        if (y > 0) y_low_ = std::min(y_low_, y);
        y_high_ = std::max(y_high_, y);
      }
    }
    y_high_ = std::max(y_high_ * 1.05, 1e-9);
    y_low_ = std::min(y_low_, y_high_ / 10);
    if (!ticked()) x_low_ = std::max(x_low_, 1e-9);
  }

  double X(double x) const {
    double part = 0.5;
    if (ticked()) {
      const auto last = static_cast<double>(curves_[0]->x_ticks.size() - 1);
      if (last > 0) part = x / last;
    } else if (x_high_ > x_low_) {
      part = std::log(x / x_low_) / std::log(x_high_ / x_low_);
    }
    return kLeft + part * (kRight - kLeft);
  }
  double Y(double y) const {
    const double part = y_log() ? std::log(std::max(y, y_low_) / y_low_) /
                                      std::log(y_high_ / y_low_)
                                : y / y_high_;
    return kBottom - part * (kBottom - kTop);
  }

  void TickX(double x, std::string_view text) {
    Line(&svg_, X(x), kTop, X(x), kBottom, "grid");
    Label(&svg_, X(x), kBottom + 16, text, "tick middle");
  }
  void AxisX() {
    if (ticked()) {
      const auto& ticks = curves_[0]->x_ticks;
      for (std::size_t i = 0; i < ticks.size(); ++i) {
        TickX(static_cast<double>(i), ticks[i]);
      }
    } else {
      for (double x = 1; x <= x_high_ * 1.001; x *= 2) {
        if (x >= x_low_ * 0.999) TickX(x, NumberText(x));
      }
    }
    Label(&svg_, (kLeft + kRight) / 2, kBottom + 34, curves_[0]->x_label,
          "tick middle");
  }

  void TickY(double y) {
    if (y < y_low_ * 0.999 && y_log()) return;
    Line(&svg_, kLeft, Y(y), kRight, Y(y), "grid");
    Label(&svg_, kLeft - 6, Y(y) + 4, ShortNumber(y), "tick end");
  }
  void AxisY() {
    Label(&svg_, kLeft - 60, 12, curves_[0]->y_label, "tick");
    if (!y_log()) {
      for (const double y : Ticks(y_high_)) TickY(y);
      return;
    }
    const bool narrow = y_high_ / y_low_ < 1000;
    double decade = std::pow(10.0, std::floor(std::log10(y_low_)));
    for (; decade <= y_high_; decade *= 10) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const bool wanted = factor == 1 || narrow;
        if (wanted && decade * factor <= y_high_) TickY(decade * factor);
      }
    }
  }

  // Points have the color of the line that they are held against: the one
  // before them.
  std::string Color(std::size_t i) const {
    std::size_t lines = 0;
    for (std::size_t j = 0; j <= i; ++j) lines += !curves_[j]->points_only;
    return "c" +
           std::to_string((std::max<std::size_t>(lines, 1) - 1) % kColors);
  }

  void Draw(const Curve& curve, const std::string& color) {
    std::string path;
    for (const auto& [x, y] : curve.points) {
      path += (path.empty() ? "" : " ") + At(X(x)) + "," + At(Y(y));
    }
    if (!curve.points_only) {
      svg_.Empty("polyline", {{"points", path}, {"class", "line " + color}});
    }
    const std::string radius = curve.points_only ? "5" : "2.5";
    for (const auto& [x, y] : curve.points) {
      svg_.Empty("circle", {{"cx", At(X(x))},
                            {"cy", At(Y(y))},
                            {"r", radius},
                            {"class", "dot " + color}});
    }
  }

  void Legend(std::size_t i) {
    const double x = i % 2 == 0 ? kLeft : (kLeft + kRight) / 2;
    const double y = kBottom + 56 + 18 * static_cast<double>(i / 2);
    const std::string color = Color(i);
    if (!curves_[i]->points_only) {
      Line(&svg_, x, y - 4, x + 22, y - 4, "line " + color);
    }
    svg_.Empty("circle", {{"cx", At(x + 11)},
                          {"cy", At(y - 4)},
                          {"r", curves_[i]->points_only ? "5" : "2.5"},
                          {"class", "dot " + color}});
    Label(&svg_, x + 30, y, curves_[i]->name, "label");
  }

  const std::vector<const Curve*>& curves_;
  double x_low_ = 0, x_high_ = 0, y_low_ = 0, y_high_ = 0;
  Markup svg_;
};

}  // namespace

std::vector<double> Ticks(double high) {
  const double decade = std::pow(10.0, std::floor(std::log10(high / 4)));
  double step = decade;
  for (const double factor : {1.0, 2.0, 2.5, 5.0, 10.0}) {
    step = decade * factor;
    if (high / step <= 7) break;
  }
  std::vector<double> ticks;
  for (int i = 0; i * step <= high; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string BarPlot(const std::vector<const Figure*>& figures) {
  return Bars(figures).Draw();
}

std::string CurvePlot(const std::vector<const Curve*>& curves) {
  return Curves(curves).Draw();
}

std::string_view PlotStyle() {
  return R"(
.plot { width: 100%; height: auto; display: block; }
.plot text { font: 12px system-ui, sans-serif; fill: var(--text); }
.plot .tick { fill: var(--faint); font-size: 11px; }
.plot .value { font-weight: 600; }
.plot .end { text-anchor: end; }
.plot .middle { text-anchor: middle; }
.plot .grid { stroke: var(--rule); stroke-width: 1; }
.plot .one { stroke: var(--faint); stroke-width: 1; }
.plot .bar { fill: var(--bar); }
.plot .half { fill: var(--half); }
.plot .whisker { stroke: var(--text); stroke-width: 1.2; }
.plot .least { stroke: var(--bad); stroke-width: 2.4; }
.plot .aim { stroke: var(--good); stroke-width: 2.4; stroke-dasharray: 3 2; }
.plot .line { fill: none; stroke-width: 2; }
.plot .c0 { stroke: var(--c0); } .plot .dot.c0 { fill: var(--c0); }
.plot .c1 { stroke: var(--c1); } .plot .dot.c1 { fill: var(--c1); }
.plot .c2 { stroke: var(--c2); } .plot .dot.c2 { fill: var(--c2); }
.plot .c3 { stroke: var(--c3); } .plot .dot.c3 { fill: var(--c3); }
.plot .c4 { stroke: var(--c4); } .plot .dot.c4 { fill: var(--c4); }
.plot .c5 { stroke: var(--c5); } .plot .dot.c5 { fill: var(--c5); }
)";
}

}  // namespace reenact::bench
