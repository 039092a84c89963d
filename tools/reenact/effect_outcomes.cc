#include "tools/reenact/effect_outcomes.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/reenact/terminal.h"

namespace reenact::tools {
namespace {

// By name, in the order of a report.
std::vector<std::pair<std::string_view, std::uint64_t>> Counts(
    const EffectOutcomes& outcomes) {
  std::vector<std::pair<std::string_view, std::uint64_t>> counts;
  for (std::size_t i = 0; i < kReceiptStatuses; ++i) {
    counts.emplace_back(ReceiptStatusName(static_cast<ReceiptStatus>(i)),
                        outcomes.ended[i]);
  }
  counts.emplace_back("open", outcomes.open);
  counts.emplace_back("held", outcomes.held);
  return counts;
}

}  // namespace

bool EffectOutcomes::AllWell() const {
  EffectOutcomes bad = *this;
  bad.ended[static_cast<std::size_t>(ReceiptStatus::kOk)] = 0;
  return bad.None();
}

bool EffectOutcomes::None() const {
  const auto counts = Counts(*this);
  return std::all_of(counts.begin(), counts.end(),
                     [](const auto& count) { return count.second == 0; });
}

EffectOutcomes OutcomesOf(const World& world) {
  EffectOutcomes outcomes;
  outcomes.ended = world.stats().effects_ended;
  for (const EffectState& state : world.Effects()) {
    if (state.effect.kind == "timer") continue;
    ++(state.held ? outcomes.held : outcomes.open);
  }
  return outcomes;
}

Json ToJson(const EffectOutcomes& outcomes) {
  Json json = Json::object();
  for (const auto& [name, count] : Counts(outcomes)) {
    json[std::string(name)] = count;
  }
  return json;
}

std::string ToText(const EffectOutcomes& outcomes) {
  std::string text;
  for (const auto& [name, count] : Counts(outcomes)) {
    if (count == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", WithCommas(count), " ",
                    std::string(name));
  }
  return text.empty() ? "none" : text;
}

}  // namespace reenact::tools
