#include "bench/json_report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/statistics.h"
#include "bench/targets.h"

namespace reenact::bench {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no infinities; six digits are more than a measurement has.
Json Number(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0.0;
  const double scale =
      std::pow(10.0, 6 - std::ceil(std::log10(std::abs(value))));
  const double rounded = std::round(value * scale) / scale;
  return std::isfinite(rounded) ? rounded : value;
}

Json Numbers(const std::vector<double>& values) {
  Json json = Json::array();
  for (const double value : values) json.push_back(Number(value));
  return json;
}

Json MachineJson(const Machine& machine) {
  return {{"cpu", machine.cpu},
          {"cores", machine.cores},
          {"memory_bytes", machine.memory},
          {"system", machine.system},
          {"file_system", machine.file_system},
          {"compiler", machine.compiler},
          {"date", machine.date},
          {"seconds", Number(machine.seconds)},
          {"load_before", Number(machine.load_before)},
          {"load_after", Number(machine.load_after)},
          {"busy_others", Number(machine.busy_others)}};
}

Json SettingsJson(const Settings& settings) {
  return {{"pairs", settings.pairs},
          {"quick", settings.quick},
          {"seconds", Number(settings.seconds)},
          {"groups", settings.groups},
          {"workers", settings.workers},
          {"big", settings.big}};
}

Json TargetJson(const Judged& judged) {
  const Target& target = *judged.target;
  Json json = {{"measure", target.measure},
               {"at_least", Number(target.at_least)},
               {"aim", Number(target.aim)},
               {"seen", judged.seen ? Number(*judged.seen) : Json(nullptr)},
               {"unit", target.unit},
               {"less_is_better", target.better == Better::kLess},
               {"verdict", VerdictText(judged.verdict)},
               {"partly", judged.partly},
               {"figures", Json::array()}};
  for (const auto& id : target.figures) json["figures"].push_back(id);
  return json;
}

Json FigureJson(const Figure& figure) {
  const Spread spread = SpreadOf(figure.values);
  Json json = {{"id", figure.id},
               {"section", figure.section},
               {"name", figure.name},
               {"unit", figure.unit},
               {"median", Number(spread.median)},
               {"lowest", Number(spread.lowest)},
               {"highest", Number(spread.highest)},
               {"lower_quartile", Number(spread.lower_quartile)},
               {"upper_quartile", Number(spread.upper_quartile)},
               {"values", Numbers(figure.values)}};
  if (!figure.cpu_values.empty()) {
    json["cpu_median"] = Number(Median(figure.cpu_values));
    json["cpu_values"] = Numbers(figure.cpu_values);
  }
  json["notes"] = Json::object();
  for (const auto& [name, value] : figure.notes) {
    json["notes"][name] = Number(value);
  }
  return json;
}

Json CurveJson(const Curve& curve) {
  Json json = {{"section", curve.section},
               {"name", curve.name},
               {"x_label", curve.x_label},
               {"y_label", curve.y_label},
               {"points", Json::array()}};
  for (const auto& [x, y] : curve.points) {
    json["points"].push_back({Number(x), Number(y)});
  }
  return json;
}

}  // namespace

std::string JsonReport(const Results& results) {
  Json json = {{"machine", MachineJson(results.machine)},
               {"settings", SettingsJson(results.settings)},
               {"stopped", results.stopped},
               {"targets", Json::array()},
               {"figures", Json::array()},
               {"curves", Json::array()}};
  for (const Target& target : AllTargets()) {
    json["targets"].push_back(TargetJson(Judge(target, results.figures)));
  }
  for (const Figure& figure : results.figures) {
    json["figures"].push_back(FigureJson(figure));
  }
  for (const Curve& curve : results.curves) {
    json["curves"].push_back(CurveJson(curve));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace reenact::bench
