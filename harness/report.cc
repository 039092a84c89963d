#include "reenact/harness/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reenact::harness {

namespace {

std::string Format(const char* format, double value) {
  char text[64];
  (void)std::snprintf(text, sizeof text, format, value);
  return text;
}

// 1234567 as 1,234,567.
std::string Grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

double PerRun(const Exploration& e, std::uint64_t sum) {
  return e.runs == 0 ? 0
                     : static_cast<double>(sum) / static_cast<double>(e.runs);
}

// A stretch in which one task ran alone.
struct Stretch {
  std::uint64_t task;
  std::uint64_t from;  // step
  std::uint64_t to;
  std::string first;
  std::string last;
};

std::vector<Stretch> StretchesOf(const RunResult& run) {
  std::vector<Stretch> all;
  for (std::size_t i = 0; i < run.trace.size(); ++i) {
    const TraceStep& step = run.trace[i];
    if (all.empty() || all.back().task != step.task) {
      all.push_back({step.task, i, i, step.site, step.site});
    }
    all.back().to = i;
    all.back().last = step.site;
  }
  return all;
}

std::string TaskName(const RunResult& run, std::uint64_t task) {
  return absl::StrCat(task < run.task_names.size() ? run.task_names[task] : "?",
                      " ", task);
}

// How many runs of PCT with that depth there were among them.
double PctRuns(const ReportInput& input, int depth) {
  const double runs = static_cast<double>(input.exploration->runs);
  const RunSettings& settings = input.options->settings;
  if (settings.strategy == StrategyKind::kPct) {
    if (settings.depth == 0) return runs / 5;
    return settings.depth == depth ? runs : 0;
  }
  return settings.strategy == StrategyKind::kPortfolio ? runs * 0.3 / 5 : 0;
}

struct Missed {
  int depth;
  double probability;
};

std::vector<Missed> MissedBugs(const ReportInput& input) {
  std::vector<Missed> all;
  const Exploration& e = *input.exploration;
  if (e.found || e.runs == 0 || input.exhaustive) return all;
  for (int depth = 1; depth <= 5; ++depth) {
    const double runs = PctRuns(input, depth);
    if (runs < 1) continue;
    const double missed = MissedAtMost(
        e.tasks_most, std::max(e.decisions_most, e.decisions_assumed), depth,
        runs);
    if (missed < 0.5) all.push_back({depth, missed});
  }
  return all;
}

std::string Percent(double probability) {
  if (probability < 1e-6) return "< 0.0001 %";
  return absl::StrCat(
      "< ",
      Format(probability < 0.001 ? "%.4f" : "%.2f", probability * 100 * 1.0001),
      " %");
}

std::string Verdict(const ReportInput& input) {
  const Exploration& e = *input.exploration;
  if (!e.problem.ok()) return "harness problem";
  if (e.found) return "violated";
  return "held";
}

// The steps of the smallest run, in ticket order.
std::string EventsOf(const RunResult& run) {
  return run.blocks.empty() ? run.begun : DescribeEvents(run.blocks);
}

void AppendEvents(const RunResult& run, std::string* text) {
  const std::string all = EventsOf(run);
  if (all.empty()) return;
  constexpr std::size_t kShown = 40;
  std::size_t lines =
      static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n'));
  std::size_t from = 0;
  std::size_t skipped = 0;
  for (; lines - skipped > kShown; ++skipped) from = all.find('\n', from) + 1;
  absl::StrAppend(text, "\nevents, in ticket order:\n");
  if (skipped > 0) absl::StrAppend(text, "  ... ", skipped, " before these\n");
  absl::StrAppend(text, all.substr(from));
}

void AppendFound(const ReportInput& input, std::string* text) {
  const Found& found = *input.exploration->found;
  const RunResult& run = found.result;
  if (run.violation) {
    absl::StrAppend(text, "\nviolated: ", run.violation->property, "\n");
  }
  AppendEvents(run, text);
  if (run.violation) {
    absl::StrAppend(text, "\nwhat differs:\n", run.violation->detail);
  }
  if (!found.reproduction.empty()) {
    absl::StrAppend(text, "\n", found.reproduction);
  }
  absl::StrAppend(text, "\nsmallest run: ", run.tickets, " tickets, ",
                  run.workers, " workers, ", run.faults, " faults, ",
                  run.switches, " context switches (run ", found.seed,
                  ", shrunk in ", Grouped(found.shrink_runs), " runs)\n");
  if (!run.trace.empty()) {
    absl::StrAppend(text, "\nwho ran when:\n", Timeline(run));
  }
  if (found.replay.empty()) {
    absl::StrAppend(text,
                    "\nThreads ran freely, so this run cannot be had again; "
                    "try --engine fibers.\n");
    return;
  }
  absl::StrAppend(text, "\nagain:\n  ", input.command, " --replay ",
                  found.replay, "\n\nas a test:\n\n",
                  TestCase(*input.scenario, found));
}

}  // namespace

std::string Timeline(const RunResult& run) {
  std::string text;
  const std::vector<Stretch> all = StretchesOf(run);
  constexpr std::size_t kShown = 40;
  const std::size_t skip = all.size() > kShown ? all.size() - kShown : 0;
  if (skip > 0) {
    absl::StrAppend(&text, "  ... ", skip, " stretches before these\n");
  }
  for (std::size_t i = skip; i < all.size(); ++i) {
    const Stretch& s = all[i];
    std::string name = TaskName(run, s.task);
    name.resize(std::max<std::size_t>(name.size(), 12), ' ');
    absl::StrAppend(&text, "  ", name, " ", s.from, "-", s.to, "  ", s.first);
    if (s.to != s.from) absl::StrAppend(&text, " ... ", s.last);
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string TestCase(const Scenario& scenario, const Found& found) {
  const std::string property =
      found.result.violation ? found.result.violation->property : "";
  return absl::StrCat("TEST_CASE(\"", scenario.name, ": ", property,
                      "\") {\n  REENACT_REQUIRE_HOLDS(scenario,\n      \"",
                      found.replay, "\");\n}\n");
}

std::string ProbabilityStatement(const ReportInput& input) {
  const Exploration& e = *input.exploration;
  if (e.found || e.runs == 0) return "";
  std::string text =
      absl::StrCat("histories of up to ", Grouped(e.tickets_most), " tickets, ",
                   Grouped(e.longest_cell),
                   " of one cell: what takes a longer one, or events that are "
                   "not there, was "
                   "not looked for\n");
  for (const Missed& missed : MissedBugs(input)) {
    absl::StrAppend(&text, "of schedules: a bug of depth ", missed.depth,
                    " would have been missed with probability ",
                    Percent(missed.probability), "\n");
  }
  return text;
}

std::string TextReport(const ReportInput& input) {
  const Exploration& e = *input.exploration;
  std::string text = absl::StrCat(
      input.scenario->name, ": ", Grouped(e.runs), " runs in ",
      Format("%.1f", e.seconds), " s (",
      Grouped(static_cast<std::uint64_t>(
          e.seconds > 0 ? static_cast<double>(e.runs) / e.seconds : 0)),
      " a second), ", e.double_runs, " of them twice\n");
  absl::StrAppend(&text, "  a run: ", Format("%.0f", PerRun(e, e.steps)),
                  " steps, ", Format("%.0f", PerRun(e, e.switches)),
                  " switches, ", Format("%.1f", PerRun(e, e.tickets)),
                  " tickets, ", Format("%.2f", PerRun(e, e.reruns)),
                  " re-runs; at most ", e.decisions_most, " decisions, ",
                  e.tasks_most, " tasks\n");
  absl::StrAppend(&text, "  ", Grouped(e.faults), " power cuts, ",
                  Grouped(e.recoveries), " recoveries, ", Grouped(e.effects),
                  " effects; ", Grouped(e.model_runs),
                  " runs compared with the independent model\n");
  for (const auto& [name, tally] : e.reducers) {
    absl::StrAppend(
        &text, "  reducer ", name, ": ", Grouped(tally.steps), " steps, ",
        Grouped(tally.failed), " failed, ", Grouped(tally.runs), " runs, ",
        Format("%.1f", tally.runs == 0 ? 0
                                       : static_cast<double>(tally.reads) /
                                             static_cast<double>(tally.runs)),
        " reads each\n");
  }
  if (!e.problem.ok()) {
    absl::StrAppend(&text, "harness problem: ", e.problem.message(), "\n");
    return text;
  }
  if (e.found) {
    AppendFound(input, &text);
    return text;
  }
  absl::StrAppend(&text, "held: every property, in every run\n",
                  ProbabilityStatement(input));
  if (input.exhaustive) {
    absl::StrAppend(&text, input.complete
                               ? "those were all schedules within the bound\n"
                               : "NOT all schedules: the budget was spent\n");
  }
  return text;
}

std::string JsonReport(const ReportInput& input) {
  const Exploration& e = *input.exploration;
  nlohmann::ordered_json json;
  json["scenario"] = input.scenario->name;
  json["verdict"] = Verdict(input);
  json["runs"] = e.runs;
  json["seconds"] = e.seconds;
  json["seed"] = input.options->seed;
  json["strategy"] =
      std::string(StrategyName(input.options->settings.strategy));
  json["workers_max"] = input.options->settings.workers_max;
  json["double_runs"] = e.double_runs;
  json["model_runs"] = e.model_runs;
  json["steps"] = e.steps;
  json["switches"] = e.switches;
  json["tickets"] = e.tickets;
  json["reruns"] = e.reruns;
  json["conflicts"] = e.conflicts;
  json["power_cuts"] = e.faults;
  json["recoveries"] = e.recoveries;
  json["effects"] = e.effects;
  json["tickets_most"] = e.tickets_most;
  json["longest_cell"] = e.longest_cell;
  json["decisions_most"] = e.decisions_most;
  json["tasks_most"] = e.tasks_most;
  if (input.exhaustive) json["complete"] = input.complete;
  for (const Missed& missed : MissedBugs(input)) {
    json["missed_at_most"][std::to_string(missed.depth)] = missed.probability;
  }
  for (const auto& [name, tally] : e.reducers) {
    json["reducers"][name] = {{"steps", tally.steps},
                              {"failed", tally.failed},
                              {"runs", tally.runs},
                              {"reads", tally.reads},
                              {"bytes", tally.bytes}};
  }
  if (!e.problem.ok()) json["problem"] = std::string(e.problem.message());
  if (e.found) {
    const RunResult& run = e.found->result;
    nlohmann::ordered_json found;
    found["property"] = run.violation ? run.violation->property : "";
    found["events"] = EventsOf(run);
    found["detail"] = run.violation ? run.violation->detail : "";
    found["reproduction"] = e.found->reproduction;
    found["replay"] = e.found->replay;
    found["first"] = e.found->first;
    found["tickets"] = run.tickets;
    found["workers"] = run.workers;
    found["faults"] = run.faults;
    found["switches"] = run.switches;
    found["shrink_runs"] = e.found->shrink_runs;
    found["timeline"] = Timeline(run);
    json["found"] = std::move(found);
  }
  // Details may quote bytes that are no UTF-8.
  return json.dump(2, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Row(std::string_view name, std::string_view value) {
  return absl::StrCat("<tr><th>", Escaped(name), "</th><td>", Escaped(value),
                      "</td></tr>\n");
}

// A lane for each task, a bar for each stretch.
std::string Lanes(const RunResult& run) {
  const std::vector<Stretch> all = StretchesOf(run);
  if (all.empty()) return "";
  constexpr double kWidth = 1000, kLane = 22, kLeft = 110;
  const double scale =
      kWidth / static_cast<double>(std::max<std::size_t>(1, run.trace.size()));
  const double height = kLane * static_cast<double>(run.task_names.size()) + 10;
  std::string svg = absl::StrCat("<svg viewBox=\"0 0 ", kLeft + kWidth, " ",
                                 height, "\" role=\"img\">\n");
  for (std::uint64_t task = 0; task < run.task_names.size(); ++task) {
    absl::StrAppend(&svg, "<text x=\"0\" y=\"",
                    kLane * static_cast<double>(task) + 15, "\">",
                    Escaped(TaskName(run, task)), "</text>\n");
  }
  for (const Stretch& s : all) {
    absl::StrAppend(
        &svg, "<rect x=\"", kLeft + scale * static_cast<double>(s.from),
        "\" y=\"", kLane * static_cast<double>(s.task) + 3, "\" width=\"",
        std::max(1.0, scale * static_cast<double>(s.to - s.from + 1)),
        "\" height=\"16\"><title>steps ", s.from, "-", s.to, ": ",
        Escaped(s.first), " ... ", Escaped(s.last), "</title></rect>\n");
  }
  return svg + "</svg>\n";
}

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;"
    "padding:0 1em;color:#222;background:#fff}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}"
    "table{border-collapse:collapse}th,td{text-align:left;padding:.2em 1em "
    ".2em "
    "0;border-bottom:1px solid #ddd;font-weight:normal}"
    "td{font-variant-numeric:tabular-nums}"
    "pre{background:#f5f5f5;padding:1em;overflow:auto;white-space:pre-wrap;"
    "word-break:break-all}"
    ".held{color:#060}.violated{color:#a00}svg{width:100%}"
    "rect{fill:#47a}svg text{font-size:12px;fill:#444}";

}  // namespace

std::string HtmlReport(const ReportInput& input) {
  const Exploration& e = *input.exploration;
  const std::string verdict = Verdict(input);
  std::string page = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>",
      Escaped(input.scenario->name), ": ", verdict, "</title><style>",
      std::string(kStyle), "</style></head><body>\n<h1>",
      Escaped(input.scenario->name), ": <span class=\"",
      verdict == "held" ? "held" : "violated", "\">", verdict,
      "</span></h1>\n<table>\n");
  absl::StrAppend(
      &page, Row("runs", Grouped(e.runs)),
      Row("seconds", Format("%.1f", e.seconds)),
      Row("seed", std::to_string(input.options->seed)),
      Row("strategy",
          std::string(StrategyName(input.options->settings.strategy))),
      Row("steps in a run", Format("%.0f", PerRun(e, e.steps))),
      Row("switches in a run", Format("%.0f", PerRun(e, e.switches))),
      Row("tickets in a run", Format("%.1f", PerRun(e, e.tickets))),
      Row("conflicts", Grouped(e.conflicts)), Row("re-runs", Grouped(e.reruns)),
      Row("power cuts", Grouped(e.faults)),
      Row("recoveries", Grouped(e.recoveries)),
      Row("effects", Grouped(e.effects)),
      Row("runs made twice", Grouped(e.double_runs)),
      Row("compared with the model", Grouped(e.model_runs)));
  absl::StrAppend(&page, "</table>\n");
  const std::string statement = ProbabilityStatement(input);
  if (!statement.empty()) {
    absl::StrAppend(&page, "<pre>", Escaped(statement), "</pre>\n");
  }
  absl::StrAppend(&page,
                  "<h2>Reducers</h2>\n<table><tr><th>reducer</th>"
                  "<th>steps</th><th>failed</th><th>runs</th>"
                  "<th>in vain</th><th>reads a run</th>"
                  "<th>bytes a step</th></tr>\n");
  for (const auto& [name, t] : e.reducers) {
    const std::uint64_t vain = t.runs > t.steps ? t.runs - t.steps : 0;
    const auto each = [](std::uint64_t sum, std::uint64_t count) {
      return Format("%.1f", count == 0 ? 0
                                       : static_cast<double>(sum) /
                                             static_cast<double>(count));
    };
    absl::StrAppend(&page, "<tr><td>", Escaped(name), "</td><td>",
                    Grouped(t.steps), "</td><td>", Grouped(t.failed),
                    "</td><td>", Grouped(t.runs), "</td><td>", Grouped(vain),
                    "</td><td>");
    absl::StrAppend(&page, each(t.reads, t.runs), "</td><td>",
                    each(t.bytes, t.steps), "</td></tr>\n");
  }
  absl::StrAppend(&page, "</table>\n");
  if (e.found) {
    const RunResult& run = e.found->result;
    std::string text;
    AppendFound(input, &text);
    absl::StrAppend(&page, "<h2>The smallest failure</h2>\n<pre>",
                    Escaped(text), "</pre>\n<h2>Who ran when</h2>\n",
                    Lanes(run));
  }
  if (!e.problem.ok()) {
    absl::StrAppend(&page, "<pre>", Escaped(std::string(e.problem.message())),
                    "</pre>\n");
  }
  return page + "</body></html>\n";
}

}  // namespace reenact::harness
