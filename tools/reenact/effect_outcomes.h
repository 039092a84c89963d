// How the effects of a run ended, as its report has it.

#ifndef REENACT_TOOLS_REENACT_EFFECT_OUTCOMES_H_
#define REENACT_TOOLS_REENACT_EFFECT_OUTCOMES_H_

#include <cstdint>
#include <string>

#include "reenact/kernel/effects/receipt.h"
#include "reenact/world/world.h"
#include "tools/reenact/json.h"

namespace reenact::tools {

// What ended in this opening of a world, by how, and what is left of all
// openings. Timers are not effects here: nobody carries them out.
struct EffectOutcomes {
  EffectsEnded ended{};
  std::uint64_t open = 0;  // with executors, or waiting for them
  std::uint64_t held = 0;  // waits for an approval

  // Whatever there was has ended with ok.
  bool AllWell() const;
  bool None() const;
};

EffectOutcomes OutcomesOf(const World& world);

// {"ok": 3, "error": 0, ..., "open": 1, "held": 0}
Json ToJson(const EffectOutcomes& outcomes);
// "3 ok, 1 timeout, 1 open": what there is; "none" if there is nothing.
std::string ToText(const EffectOutcomes& outcomes);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_EFFECT_OUTCOMES_H_
