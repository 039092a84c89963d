// Reducers that do everything a reducer may do, and much that it may not, as
// chance wants it: what they read decides what they do next, so that a stale
// read cannot hide.

#ifndef REENACT_TESTS_SUPPORT_TORTURE_H_
#define REENACT_TESTS_SUPPORT_TORTURE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "reenact/kernel/event.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

// "t.a", "t.b" and "t.c".
std::vector<std::shared_ptr<const Reducer>> MakeTortureReducers();
Module MakeTortureModule();

struct TortureWorkload {
  std::uint64_t seed = 0;
  std::uint64_t inputs = 200;
  std::uint64_t keys = 8;  // of each reducer
};

std::vector<Input> TortureInputs(const TortureWorkload& workload);

// Limits and scheduling so small that histories run into all of them.
WorldConfig TortureConfig(std::uint64_t seed);

}  // namespace reenact

#endif  // REENACT_TESTS_SUPPORT_TORTURE_H_
