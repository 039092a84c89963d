// Small worlds to be replayed: who reacts, and to what.

#ifndef REENACT_TESTS_REPLAY_PLAYS_H_
#define REENACT_TESTS_REPLAY_PLAYS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/reducer.h"
#include "reenact/world/world.h"

namespace reenact {

struct Play {
  std::string name;
  std::vector<std::shared_ptr<const Reducer>> reducers;
  WorldConfig config;
  std::vector<Input> inputs;
};

// `size`: of the input, in the play's own measure. Equal arguments give equal
// plays for ever: golden worlds depend on it.
Play CounterPlay(std::size_t size);
Play BankPlay(const std::string& variant, std::size_t size);
Play CasesPlay(std::size_t size);  // 50 lines at most
Play TorturePlay(std::uint64_t seed, std::size_t size);
// Effects of format 3: acts that several ask for, with deadlines, cancellations
// and retry rules.
Play OrdersPlay(std::size_t size);
// All of the above, small rounds, snapshots every few of them.
std::vector<Play> AllPlays(std::size_t size);

// An input that says nothing but its event.
Input InputFor(std::string reducer, std::string key, Bytes payload);

Module ModuleOf(const Play& play);
// Options that make the play's world at `path`.
WorldOptions OptionsOf(const Play& play, const std::string& path);
// Makes the play's world at `path`, feeds it all input and closes it.
WorldStats RunPlay(const Play& play, const std::string& path,
                   std::size_t workers = 0);

}  // namespace reenact

#endif  // REENACT_TESTS_REPLAY_PLAYS_H_
