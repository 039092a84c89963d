// Plays the worked example of spec/scheduling.md.

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reenact/harness/sequencer_model.h"
#include "reenact/sequencer/sequencer.h"
#include "units.h"

namespace reenact {
namespace {

using Json = nlohmann::json;

std::string ReadSpec(const std::string& name) {
  std::ifstream file(REENACT_SOURCE_DIR "/spec/" + name, std::ios::binary);
  REQUIRE(file.good());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Scheduling RulesOf(const Json& json) {
  Scheduling rules;
  json.at("round_limit").get_to(rules.round_limit);
  json.at("pipeline_depth").get_to(rules.pipeline_depth);
  json.at("entity_round_limit").get_to(rules.entity_round_limit);
  json.at("entity_quantum").get_to(rules.entity_quantum);
  json.at("class_quantum").get_to(rules.class_quantum);
  json.at("aging_tickets").get_to(rules.aging_tickets);
  json.at("backlog_limit").get_to(rules.backlog_limit);
  json.at("dedupe_horizon").get_to(rules.dedupe_horizon);
  return rules;
}

UnitKind KindOf(const std::string& name) {
  if (name == "event") return UnitKind::kEvent;
  if (name == "derived") return UnitKind::kDerived;
  if (name == "timer") return UnitKind::kTimer;
  REQUIRE(name == "control");
  return UnitKind::kControl;
}

// The units that one line of the example stands for; each payload is a name.
std::vector<Unit> UnitsOf(const Json& json, std::uint64_t* inputs) {
  std::vector<Unit> units;
  for (const std::string name : json.at("names")) {
    Unit unit;
    unit.kind = KindOf(json.at("kind"));
    unit.payload = name;
    if (json.contains("cell")) {
      unit.reducer = 0;
      unit.key = json.at("cell");
    }
    unit.priority = json.value("priority", kPriorityDefault);
    unit.cause.parent.value = json.value("parent", std::uint64_t{0});
    unit.cause.index = json.value("index", 0U);
    unit.due.value = json.value("due", std::int64_t{0});
    if (unit.cause.parent.value == 0) unit.cause.input.value = ++*inputs;
    units.push_back(std::move(unit));
  }
  return units;
}

std::vector<std::string> NamesOf(const std::vector<Unit>& units) {
  std::vector<std::string> names;
  for (const Unit& unit : units) names.push_back(unit.payload);
  return names;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += " " + name;
  return joined;
}

// The line of the document's table.
std::string TableLine(const Json& round) {
  const auto number = [&round](const char* name) {
    return std::to_string(round.at(name).get<std::uint64_t>());
  };
  std::string before;
  std::vector<std::string> names;
  for (const Json& line : round.at("admitted")) {
    for (const std::string name : line.at("names")) names.push_back(name);
  }
  if (!names.empty()) before += " admitted:" + Joined(names);
  names.clear();
  for (const Json& line : round.at("handed_over")) {
    for (const std::string name : line.at("names")) names.push_back(name);
  }
  if (!names.empty()) before += "; round 1 handed over:" + Joined(names);
  return "| " + number("round") + " | " + number("time") + " |" + before +
         " | " + number("first") + "–" + number("last") + " |" +
         Joined(round.at("units")) + " |\n";
}

TEST_CASE("the worked example comes out as written", "[sequencer][spec]") {
  const Json example = Json::parse(ReadSpec("vectors/scheduling.json"));
  const std::string document = ReadSpec("scheduling.md");
  const Scheduling rules = RulesOf(example.at("scheduling"));
  Sequencer sequencer(rules);
  SequencerModel model(rules);
  std::uint64_t inputs = 0;
  REQUIRE(example.at("rounds").size() == 7);
  for (const Json& each : example.at("rounds")) {
    const Round round{each.at("round")};
    const LogicalTime now{each.at("time")};
    const EventId first{each.at("first")};
    CAPTURE(round.value);
    for (const Json& line : each.at("admitted")) {
      for (const Unit& unit : UnitsOf(line, &inputs)) {
        Admit(sequencer, unit, "", first);
        model.Admit(unit, "", first);
      }
    }
    std::vector<Unit> raised;
    for (const Json& line : each.at("handed_over")) {
      REQUIRE(line.at("round") == 1);
      for (Unit& unit : UnitsOf(line, &inputs)) raised.push_back(unit);
    }
    EnqueueRaised(sequencer, Round{1}, raised);
    model.EnqueueRaised(Round{1}, raised);
    REQUIRE(sequencer.NextRound(now) == round);
    const std::vector<Unit> units = Compose(sequencer, round, now, first);
    const std::vector<std::string> expected = each.at("units");
    CHECK(NamesOf(units) == expected);
    CHECK(NamesOf(model.Compose(round, now, first)) == expected);
    CHECK(first.value + units.size() - 1 == each.at("last"));
    INFO(TableLine(each));
    CHECK(document.find(TableLine(each)) != std::string::npos);
  }
  CHECK(sequencer.empty());
}

}  // namespace
}  // namespace reenact
