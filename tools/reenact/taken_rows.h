// Where a file differs from what a world has taken in of it.

#ifndef REENACT_TOOLS_REENACT_TAKEN_ROWS_H_
#define REENACT_TOOLS_REENACT_TAKEN_ROWS_H_

#include <optional>
#include <string>

#include "reenact/kernel/module.h"
#include "tools/reenact/rows.h"

namespace reenact::tools {

struct TakenRows {
  std::string world;   // its directory
  std::string source;  // by the name that it was fed under
  std::string file;    // as it is now
  Format format = Format::kJsonl;
  InputMapper mapper;
};

// The place, "FILE:LINE", of the first row that is not the one which the world
// admitted. Nothing: it cannot be told any more, since the file cannot be read
// twice, or the world not at all. Reads both from the beginning.
std::optional<std::string> FirstOtherRow(const TakenRows& taken);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_TAKEN_ROWS_H_
