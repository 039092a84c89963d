// Every way we know to falsify a history, one falsehood at a time.

#ifndef REENACT_TESTS_REPLAY_MUTANTS_H_
#define REENACT_TESTS_REPLAY_MUTANTS_H_

#include <string>
#include <vector>

#include "reenact/kernel/ids.h"
#include "tests/replay/history.h"

namespace reenact {

struct Mutant {
  std::string what;  // "block 3, entry 7: the state is another"
  EventId event_id;  // the first ticket whose record is false; 0: none is
  Round round;       // of the block that is false
  History history;
};

// At least one mutant for each consequence in `history`, and some of inputs
// that other entries contradict. Every one can be chained.
std::vector<Mutant> MutantsOf(const History& history);

}  // namespace reenact

#endif  // REENACT_TESTS_REPLAY_MUTANTS_H_
