// What is open at a place in history, for whoever goes on from there.

#ifndef REENACT_WORLD_OPEN_WORK_H_
#define REENACT_WORLD_OPEN_WORK_H_

#include "reenact/base/status.h"
#include "reenact/committer/ledger.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/sequencer/sequencer.h"

namespace reenact {

struct OpenWork {
  Sequencer queues;
  Ledger ledger;
};

// The queues and the ledger that a place says. That they are the right ones is
// for a replay to say; that a world can go on with them is known afterwards.
//
// DataLoss: they are of another form, or no world has them at the end of that
// round: of a later one, for a reducer that the table does not have.
absl::StatusOr<OpenWork> ReadOpenWork(const StartingPlace& place);

}  // namespace reenact

#endif  // REENACT_WORLD_OPEN_WORK_H_
