// What a rollback's step does.

#ifndef REENACT_WORLD_ROLLBACK_STEP_H_
#define REENACT_WORLD_ROLLBACK_STEP_H_

#include <optional>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/outcome.h"
#include "reenact/workers/cells.h"
#include "reenact/workers/slot.h"
#include "reenact/world/rollback.h"

namespace reenact {

// The changes that bring the cells back to a target, and the events that it
// raises: worked out before its ticket, while nothing is in flight, and put
// into its slot before it commits.
//
// Thread safety: none; it belongs to the ordered role.
class RollbackStep {
 public:
  // Works the step out, against the cells of `reducers` reducers as they are.
  // Errors: those of reading cells.
  absl::Status Plan(RollbackTarget target, std::size_t reducers,
                    CellTable* cells);
  // Makes the planned step the outcome of the control command in `slot`, and
  // forgets it. Nothing was planned: the command changes no cell.
  void Fill(Slot* slot, CellTable* cells);

 private:
  using State = std::optional<Bytes>;  // nullopt: the cell does not exist
  using Rows = std::vector<std::pair<std::string, Bytes>>;

  void Change(CellRef cell, State state) {
    changes_.emplace_back(std::move(cell), std::move(state));
  }

  std::vector<std::pair<CellRef, State>> changes_;  // by reducer, then key
  std::vector<RaisedEvent> events_;
};

}  // namespace reenact

#endif  // REENACT_WORLD_ROLLBACK_STEP_H_
