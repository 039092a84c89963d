// What history says of a world's configuration, held to what a world can say.

#ifndef REENACT_JOURNAL_RECORDED_CONFIG_H_
#define REENACT_JOURNAL_RECORDED_CONFIG_H_

#include "reenact/base/status.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/config.h"

namespace reenact {

// OK, or InvalidArgument with what no world begins with: what CheckConfig()
// refuses, no module, or a reducer that no module brings.
absl::Status CheckGenesis(const WorldConfig& config);

// Applies a ModuleChanged or a ConfigChanged to the configuration before it;
// every other entry changes nothing. InvalidArgument: no world records such a
// change; `config` is as it was.
absl::Status ApplyConfigChange(const Entry& entry, WorldConfig* config);

}  // namespace reenact

#endif  // REENACT_JOURNAL_RECORDED_CONFIG_H_
