// From what the last owner of a world left to a place to go on from.

#ifndef REENACT_WORLD_RECOVERY_H_
#define REENACT_WORLD_RECOVERY_H_

#include "reenact/base/status.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/world/world.h"

namespace reenact {

// Brings `store`, the open database of the world at `paths`, to the end of the
// blocks that `findings` says are kept: cuts what is beyond them, finds the
// latest place that the stored cells reach (or rebuilds them), and
// fast-forwards from there. Fills in all of `report` but `created`.
//
// The cells may be as of an earlier block than the last: after a crash, or when
// an earlier recovery was cut short. A place is used only if the cells reach
// it.
//
// DataLoss: what is kept cannot be read after all. Others: as the store says.
// May be repeated after a crash at any moment.
//
// REQUIRES: `decision` is one to open an existing world.
absl::StatusOr<Checkpoint> Recover(const WorldPaths& paths,
                                   OpenDecision decision,
                                   const Findings& findings, Store* store,
                                   OpenReport* report);

}  // namespace reenact

#endif  // REENACT_WORLD_RECOVERY_H_
