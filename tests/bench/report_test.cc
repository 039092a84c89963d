// Results as a table, as JSON and as a page, whatever is in them.

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/html_report.h"
#include "bench/json_report.h"
#include "bench/markup.h"
#include "bench/plot.h"
#include "bench/table.h"
#include "tests/bench/well_formed.h"

namespace reenact::bench {
namespace {

using Catch::Contains;
using nlohmann::json;
using tests::NotWellFormed;

constexpr const char* kNasty = "a<b> & \"c\" 'd' </svg><script>x</script> \x01";

Figure Speed(std::string name) {
  Figure figure;
  figure.id = "parallel.memory.uniform.10us.2";
  figure.section = "parallel ÷ serial";
  figure.name = std::move(name);
  figure.unit = "×";
  figure.values = {1.7, 1.9, 1.8};
  figure.cpu_values = {0.97, 0.98, 0.99};
  figure.notes = {{"cores", 1.95}};
  return figure;
}

Curve Line(std::string name) {
  return {"scaling",
          std::move(name),
          "cores",
          "tickets/s",
          false,
          false,
          {{1, 10}, {2, 19}, {64, 200}},
          {}};
}

Results Sample() {
  Results results;
  results.machine.cpu = "a processor";
  results.machine.cores = 2;
  results.figures = {Speed("10 µs"), Speed(kNasty)};
  results.curves = {Line("predicted"), Line(kNasty)};
  return results;
}

TEST_CASE("what is not well-formed is told from what is", "[bench]") {
  CHECK(NotWellFormed("<a><b c=\"d\"/>e &amp; &#39;</a>\n") == "");
  for (const char* bad :
       {"", "<a>", "<a></b>", "<a/>", "<a>&</a>", "<a>&nbsp;</a>", "<a><</a>",
        "<a b></a>", "<a b=\"<\"></a>", "<a b=\"1\" b=\"2\"></a>", "<a></a>x",
        "<a></a><b></b>", "<a>\x01</a>", "<a></a></a>"}) {
    CAPTURE(bad);
    CHECK_FALSE(NotWellFormed(bad).empty());
  }
}

TEST_CASE("text in a page is text and nothing else", "[bench]") {
  CHECK(Escape("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(Escape("10 µs ÷ \xf0\x9f\x90\x8c\n") == "10 µs ÷ \xf0\x9f\x90\x8c\n");
  const std::string replaced = "\xef\xbf\xbd";
  CHECK(Escape(std::string("\0", 1)) == replaced);
  CHECK(Escape("\x1b[2J") == replaced + "[2J");
  CHECK(Escape("\xff") == replaced);
  CHECK(Escape("\xc3") == replaced);                 // cut off
  CHECK(Escape("\xc0\x80") == replaced + replaced);  // too long for a NUL
  CHECK(Escape("\xed\xa0\x80") == replaced + replaced + replaced);  // surrogate
}

TEST_CASE("elements close in order and attributes are escaped", "[bench]") {
  Markup markup;
  markup.Open("a", {{"href", "\"><script>"}});
  markup.Element("b", "1 < 2");
  markup.Empty("br");
  markup.Close();
  const std::string text = std::move(markup).Finish();
  CHECK(NotWellFormed(text) == "");
  CHECK_THAT(text, Contains("<b>1 &lt; 2</b>"));
  CHECK_THAT(text, !Contains("<script>"));
}

TEST_CASE("a page is well-formed and self-contained", "[bench]") {
  const std::string page = HtmlReport(Sample());
  CHECK(NotWellFormed(page) == "");
  CHECK_THAT(page, Contains("<svg"));
  CHECK_THAT(page, Contains("prefers-color-scheme: dark"));
  CHECK_THAT(page, Contains("@media print"));
  CHECK_THAT(page, Contains("1.80"));  // the median
  // Nothing is fetched and nothing runs; the only addresses are names of
  // languages.
  CHECK_THAT(page, !Contains("<script"));
  CHECK_THAT(page, !Contains("src="));
  CHECK_THAT(page, !Contains("href="));
  CHECK_THAT(page, !Contains("url("));
  CHECK_THAT(page, !Contains("@import"));
}

TEST_CASE("a page of nothing is a page, too", "[bench]") {
  const std::string page = HtmlReport(Results());
  CHECK(NotWellFormed(page) == "");
  CHECK_THAT(page, Contains("not measured"));
}

TEST_CASE("a page says what its figures are worth", "[bench]") {
  Results results = Sample();
  CHECK_THAT(HtmlReport(results), !Contains("class=\"warning\""));
  results.machine.busy_others = 0.4;
  CHECK_THAT(HtmlReport(results), Contains("others had 40 % of it"));
  results.settings.quick = true;
  CHECK_THAT(HtmlReport(results), Contains("A quick run"));
  results.stopped = true;
  CHECK_THAT(HtmlReport(results), Contains("Stopped before the end"));
}

TEST_CASE("plots take what measurements may give", "[bench]") {
  for (const std::vector<double>& values :
       std::vector<std::vector<double>>{{0}, {-5, 3}, {1e-12}, {1e12, 1}}) {
    CAPTURE(values);
    Figure figure = Speed("strange");
    figure.values = values;
    const std::string plot = BarPlot({&figure});
    CHECK(NotWellFormed(plot) == "");
    CHECK_THAT(plot, !Contains("nan") && !Contains("inf"));

    Curve curve = Line("strange");
    curve.y_log = true;
    curve.points.clear();
    for (const double value : values) curve.points.push_back({1, value});
    const std::string line = CurvePlot({&curve});
    CHECK(NotWellFormed(line) == "");
    CHECK_THAT(line, !Contains("nan") && !Contains("inf"));
  }
}

TEST_CASE("an axis has a handful of round numbers", "[bench]") {
  CHECK(Ticks(2) == std::vector<double>{0, 0.5, 1, 1.5, 2});
  for (double high = 0.001; high < 1e9; high *= 1.37) {
    CAPTURE(high);
    const auto ticks = Ticks(high);
    CHECK(ticks.size() >= 4);
    CHECK(ticks.size() <= 9);
    CHECK(ticks.back() <= high);
  }
}

TEST_CASE("JSON has all values, and the verdicts", "[bench]") {
  const json parsed = json::parse(JsonReport(Sample()));
  CHECK(parsed["machine"]["cores"] == 2);
  CHECK(parsed["stopped"] == false);
  const json& figure = parsed["figures"][0];
  CHECK(figure["name"] == "10 µs");
  CHECK(figure["median"] == 1.8);
  CHECK(figure["lowest"] == 1.7);
  CHECK(figure["highest"] == 1.9);
  CHECK(figure["values"] == json({1.7, 1.9, 1.8}));
  CHECK(figure["cpu_median"] == 0.98);
  CHECK(figure["notes"]["cores"] == 1.95);
  CHECK(parsed["curves"][0]["points"].size() == 3);

  const auto judged = [&](const std::string& id) {
    for (const json& target : parsed["targets"]) {
      if (target["figures"][0] == id) return target;
    }
    return json();
  };
  const json met = judged("parallel.memory.uniform.10us.2");
  CHECK(met["verdict"] == "met");
  CHECK(met["seen"] == 1.8);
  CHECK(judged("durable.none.rate")["verdict"] == "not measured");
  CHECK(judged("durable.none.rate")["seen"].is_null());
}

TEST_CASE("JSON takes what is no number and no text", "[bench]") {
  Results results = Sample();
  results.figures[0].name = "\xff\"";
  results.figures[0].values = {std::numeric_limits<double>::infinity()};
  results.figures[0].notes = {{"nothing", std::nan("")}};
  const json parsed = json::parse(JsonReport(results));
  CHECK(parsed["figures"][0]["median"].is_null());
  CHECK(parsed["figures"][0]["notes"]["nothing"].is_null());
}

TEST_CASE("columns of the table stand below each other", "[bench]") {
  CHECK(Padded("10 µs", 7) == "10 µs  ");
  CHECK(Padded("10 µs", -7) == "  10 µs");
  CHECK(Padded("too long", 3) == "too long");
  const std::string line = TableLine(Speed("10 µs, 2 workers"));
  CHECK_THAT(line, Contains("1.80") && Contains("1.70 - 1.90") &&
                       Contains("cores 1.95"));
}

}  // namespace
}  // namespace reenact::bench
