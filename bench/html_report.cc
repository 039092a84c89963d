#include "bench/html_report.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "bench/markup.h"
#include "bench/plot.h"
#include "bench/statistics.h"
#include "bench/targets.h"

namespace reenact::bench {
namespace {

// Above this part of the machine in other hands, the wall's clock says little.
constexpr double kBusy = 0.1;

// In here nothing may be '<' or '&'.
constexpr std::string_view kStyle = R"(
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1d2430; --faint: #667085; --rule: #e2e6ec;
  --panel: #f6f8fa; --bar: #8ab4e8; --half: #2f6db5; --good: #1a7f4b;
  --met: #2f6db5; --bad: #c03530; --c0: #2f6db5; --c1: #d9730d; --c2: #1a7f4b;
  --c3: #8a4fbf; --c4: #c03530; --c5: #667085;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181f; --text: #e4e8ee; --faint: #98a2b3; --rule: #2c3440;
    --panel: #1b212a; --bar: #2f5f96; --half: #7fb2ee; --good: #4cc38a;
    --met: #7fb2ee; --bad: #f2716b; --c0: #7fb2ee; --c1: #f0a35e;
    --c2: #4cc38a; --c3: #bf94ea; --c4: #f2716b; --c5: #98a2b3;
  }
}
@media print {
  :root {
    --page: #ffffff; --text: #000000; --faint: #444444; --rule: #cccccc;
    --panel: #ffffff; --bar: #a9c6ea; --half: #2f6db5; --good: #1a7f4b;
    --met: #2f6db5; --bad: #c03530; --c0: #2f6db5; --c1: #d9730d;
    --c2: #1a7f4b; --c3: #8a4fbf; --c4: #c03530; --c5: #667085;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 24px 28px 60px; max-width: 1480px;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif;
}
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 36px 0 10px; }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 6px 0; max-width: 84ch; }
.faint { color: var(--faint); }
.warning {
  border: 1px solid var(--bad); border-left-width: 5px; border-radius: 4px;
  padding: 8px 12px; margin: 12px 0; max-width: 92ch;
}
.plots {
  display: grid; gap: 14px 22px;
  grid-template-columns: repeat(auto-fill, minmax(min(600px, 100%), 1fr));
}
figure {
  margin: 0; padding: 12px 14px; background: var(--panel);
  border: 1px solid var(--rule); border-radius: 6px;
}
figcaption { font-weight: 600; margin-bottom: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
.scroll { overflow-x: auto; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--rule); }
th { text-align: left; font-weight: 600; color: var(--faint); }
td.number, th.number {
  text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
}
th.section { color: var(--text); padding-top: 16px; }
.verdict { font-weight: 600; white-space: nowrap; }
.aim-reached { color: var(--good); } .met { color: var(--met); }
.missed { color: var(--bad); }
.not-measured { color: var(--faint); font-weight: 400; }
.key-least { color: var(--bad); font-weight: 600; }
.key-aim { color: var(--good); font-weight: 600; }
li { max-width: 84ch; }
)";

constexpr std::string_view kMethod[] = {
    "Ratios, not times. Both sides of a ratio ran in the same process, in "
    "turn, in an order that was reversed with each repetition. A bar is the "
    "median of the ratios of all repetitions, the dark band their middle "
    "half, the whisker goes from the lowest to the highest.",
    "By cpu is the same ratio in processor time of all threads. It moves "
    "little when somebody else has the processor. For parallel ÷ serial it "
    "says what having workers costs: 0.95 is 5 % more work in all.",
    "Equal journals. The digest of the journal of each run was equal to that "
    "of the serial one; otherwise there would be no report.",
    "Reducers count in their cell and then compute: multiplications whose "
    "number was calibrated once, in processor time. Steps read no clock.",
    "Cells were warm: each cell that a load may touch was written once before "
    "the timing began, on both sides. Rows that say cold are not.",
    "Only feeding is timed: from the first input pulled until all is "
    "committed and, in a durable world, durable.",
    "Plain writes, which durable worlds are held against, are the very blocks "
    "that the world wrote, put into a RocksDB of their own or a file that had "
    "its full size already. They keep no cells and run no steps.",
    "Latencies of open loops count from when a request was due, by a schedule "
    "fixed beforehand, not from when it was sent: a world that falls behind "
    "does not slow down what shows it.",
};

class Page {
 public:
  explicit Page(const Results& results) : results_(results) {}

  std::string Draw() {
    html_.Raw("<!DOCTYPE html>\n");
    html_.Open("html", {{"lang", "en"}, {"xmlns", kXhtml}});
    Head();
    html_.Open("body");
    Title();
    Targets();
    Plots();
    Method();
    Table();
    html_.Close();
    html_.Close();
    return std::move(html_).Finish();
  }

 private:
  static constexpr const char* kXhtml = "http://www.w3.org/1999/xhtml";

  void Head() {
    html_.Open("head");
    html_.Empty("meta", {{"charset", "utf-8"}});
    html_.Empty("meta", {{"name", "viewport"},
                         {"content", "width=device-width, initial-scale=1"}});
    html_.Element("title", "Reenact: how fast it is");
    html_.Open("style");
    html_.Raw(kStyle);
    html_.Raw(PlotStyle());
    html_.Close();
    html_.Close();
  }

  void Title() {
    const Machine& machine = results_.machine;
    html_.Element("h1", "Reenact: how fast it is");
    html_.Element("p",
                  machine.date + " · " + machine.cpu + ", " +
                      std::to_string(machine.cores) + " cores · " +
                      std::to_string(results_.settings.pairs) + " repetitions",
                  {{"class", "faint"}});
    if (results_.settings.quick) {
      Warning(
          "A quick run: it proves that everything runs, and no figure in "
          "it means anything.");
    }
    if (results_.stopped) {
      Warning("Stopped before the end: what was complete by then is here.");
    }
    if (machine.busy_others > kBusy) {
      Warning("The machine was busy: others had " +
              NumberText(100 * machine.busy_others) +
              " % of it. Figures by the wall's clock say more about that than "
              "about Reenact; look at those by cpu.");
    }
  }

  void Warning(std::string_view text) {
    html_.Element("p", text, {{"class", "warning"}});
  }

  void Targets() {
    html_.Element("h2", "Targets");
    html_.Open("div", {{"class", "scroll"}});
    html_.Open("table");
    HeaderRow({"measure", "#at least", "#aim", "#seen", "unit", "verdict"});
    for (const Target& target : AllTargets()) {
      TargetRow(Judge(target, results_.figures));
    }
    html_.Close();
    html_.Close();
    html_.Element("p",
                  "Where less is better, \"at least\" reads \"at most\". "
                  "Where a target is about several figures, the worst counts.",
                  {{"class", "faint"}});
  }

  // A '#' in front: a column of numbers.
  void HeaderRow(const std::vector<std::string_view>& names) {
    html_.Open("tr");
    for (const std::string_view name : names) {
      const bool number = name.starts_with('#');
      html_.Element("th", number ? name.substr(1) : name,
                    {{"class", number ? "number" : "text"}});
    }
    html_.Close();
  }
  void Number(std::string_view text) {
    html_.Element("td", text, {{"class", "number"}});
  }

  void TargetRow(const Judged& judged) {
    const Target& target = *judged.target;
    html_.Open("tr");
    html_.Element("td", target.measure);
    Number(NumberText(target.at_least));
    Number(NumberText(target.aim));
    Number(judged.seen ? NumberText(*judged.seen) : "");
    html_.Element("td", target.unit);
    std::string text(VerdictText(judged.verdict));
    std::string style = text;
    std::replace(style.begin(), style.end(), ' ', '-');
    if (judged.partly) text += " (in part)";
    if (!judged.seen) text += ": " + std::string(target.how);
    html_.Element("td", text, {{"class", "verdict " + style}});
    html_.Close();
  }

  void Plots() {
    html_.Element("h2", "Plots");
    html_.Open("p");
    html_.Text(
        "Bar: median. Dark band: the middle half. Whisker: lowest to "
        "highest; › goes on beyond the scale. ");
    html_.Element("span", "Solid line: at least.", {{"class", "key-least"}});
    html_.Text(" ");
    html_.Element("span", "Dashed line: the aim.", {{"class", "key-aim"}});
    html_.Close();
    html_.Open("div", {{"class", "plots"}});
    for (const auto& figures : FiguresByPlot()) {
      Plot(figures[0]->section, BarPlot(figures));
    }
    for (const auto& curves : CurvesByPlot()) {
      Plot(curves[0]->section, CurvePlot(curves));
    }
    html_.Close();
  }

  void Plot(std::string_view caption, std::string_view svg) {
    html_.Open("figure");
    html_.Element("figcaption", caption);
    html_.Raw(svg);
    html_.Close();
  }

  // One section and one unit each, in the order they came in.
  std::vector<std::vector<const Figure*>> FiguresByPlot() const {
    std::vector<std::vector<const Figure*>> plots;
    for (const Figure& figure : results_.figures) {
      if (figure.id.starts_with("scaling.predicted")) continue;  // a curve is
      const auto same = [&](const std::vector<const Figure*>& plot) {
        return plot[0]->section == figure.section &&
               plot[0]->unit == figure.unit;
      };
      const auto found = std::find_if(plots.begin(), plots.end(), same);
      if (found == plots.end()) {
        plots.push_back({&figure});
      } else {
        found->push_back(&figure);
      }
    }
    return plots;
  }
  std::vector<std::vector<const Curve*>> CurvesByPlot() const {
    std::vector<std::vector<const Curve*>> plots;
    for (const Curve& curve : results_.curves) {
      const auto same = [&](const std::vector<const Curve*>& plot) {
        return plot[0]->section == curve.section;
      };
      const auto found = std::find_if(plots.begin(), plots.end(), same);
      if (found == plots.end()) {
        plots.push_back({&curve});
      } else {
        found->push_back(&curve);
      }
    }
    return plots;
  }

  void Method() {
    html_.Element("h2", "Machine and method");
    const Machine& machine = results_.machine;
    html_.Element(
        "p", machine.cpu + ", " + std::to_string(machine.cores) + " cores, " +
                 NumberText(static_cast<double>(machine.memory >> 30)) +
                 " GiB, " + machine.system + "; durable worlds on " +
                 machine.file_system + "; " + machine.compiler + ".");
    html_.Element("p", "Load average " + NumberText(machine.load_before) +
                           " before and " + NumberText(machine.load_after) +
                           " after; others had " +
                           NumberText(100 * machine.busy_others) +
                           " % of the machine. It took " +
                           NumberText(machine.seconds) + " s.");
    html_.Open("ul");
    for (const std::string_view point : kMethod) html_.Element("li", point);
    html_.Close();
  }

  void Table() {
    html_.Element("h2", "All figures");
    html_.Open("div", {{"class", "scroll"}});
    html_.Open("table");
    HeaderRow({"", "#median", "#by cpu", "#middle half", "#lowest – highest",
               "unit", "beside it"});
    std::string_view section;
    for (const Figure& figure : results_.figures) {
      if (figure.section != section) SectionRow(figure.section);
      section = figure.section;
      FigureRow(figure);
    }
    html_.Close();
    html_.Close();
  }

  void SectionRow(std::string_view section) {
    html_.Open("tr");
    html_.Element("th", section, {{"class", "section"}, {"colspan", "7"}});
    html_.Close();
  }

  void FigureRow(const Figure& figure) {
    const Spread spread = SpreadOf(figure.values);
    html_.Open("tr");
    html_.Element("td", figure.name);
    Number(NumberText(spread.median));
    Number(figure.cpu_values.empty() ? ""
                                     : NumberText(Median(figure.cpu_values)));
    Number(NumberText(spread.lower_quartile) + " – " +
           NumberText(spread.upper_quartile));
    Number(NumberText(spread.lowest) + " – " + NumberText(spread.highest));
    html_.Element("td", figure.unit);
    html_.Element("td", Notes(figure), {{"class", "faint"}});
    html_.Close();
  }

  static std::string Notes(const Figure& figure) {
    std::string text;
    for (const auto& [name, value] : figure.notes) {
      text += (text.empty() ? "" : ", ") + name + " " + NumberText(value);
    }
    return text;
  }

  const Results& results_;
  Markup html_;
};

}  // namespace

std::string HtmlReport(const Results& results) { return Page(results).Draw(); }

}  // namespace reenact::bench
