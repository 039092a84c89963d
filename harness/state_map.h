#ifndef REENACT_HARNESS_STATE_MAP_H_
#define REENACT_HARNESS_STATE_MAP_H_

#include <map>
#include <string>
#include <utility>

#include "reenact/base/bytes.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// All cells of a world.
using StateMap = std::map<std::pair<ReducerId, std::string>, Bytes>;

}  // namespace reenact

#endif  // REENACT_HARNESS_STATE_MAP_H_
