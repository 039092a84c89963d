// Units as plain values, for tests: what a sequencer is given is copied into
// units of its own, and what it composes is copied out and given back.

#ifndef REENACT_TESTS_SEQUENCER_UNITS_H_
#define REENACT_TESTS_SEQUENCER_UNITS_H_

#include <string_view>
#include <vector>

#include "reenact/sequencer/sequencer.h"

namespace reenact {

inline Unit* UnitOf(Sequencer& sequencer, const Unit& value) {
  Unit* const unit = sequencer.NewUnit();
  *unit = value;
  return unit;
}

inline void Admit(Sequencer& sequencer, const Unit& value,
                  std::string_view submission_id, EventId next) {
  sequencer.Admit(UnitOf(sequencer, value), submission_id, next);
}

inline void EnqueueRaised(Sequencer& sequencer, Round round,
                          const std::vector<Unit>& values) {
  std::vector<Unit*> raised;
  for (const Unit& value : values) raised.push_back(UnitOf(sequencer, value));
  sequencer.EnqueueRaised(round, &raised);
}

inline std::vector<Unit> Compose(Sequencer& sequencer, Round round,
                                 LogicalTime now, EventId first) {
  std::vector<Unit*> units;
  sequencer.Compose(round, now, first, &units);
  std::vector<Unit> values;
  for (Unit* unit : units) {
    values.push_back(*unit);
    sequencer.Recycle(unit);
  }
  return values;
}

}  // namespace reenact

#endif  // REENACT_TESTS_SEQUENCER_UNITS_H_
