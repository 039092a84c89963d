#include "reenact/world/rollback_step.h"

#include <cstddef>
#include <limits>
#include <string>

namespace reenact {

// By reducer, then key: what differs from the cells as they are.
absl::Status RollbackStep::Plan(RollbackTarget target, std::size_t reducers,
                                CellTable* cells) {
  changes_.clear();
  events_ = std::move(target.events);
  auto then = target.cells.begin();
  Rows present;
  for (ReducerId reducer = 0; reducer < reducers; ++reducer) {
    present.clear();
    {
      MutexLock lock(cells->exclusive());
      REENACT_RETURN_IF_ERROR(cells->Scan(
          reducer, {}, {}, std::numeric_limits<std::size_t>::max(), &present));
    }
    auto now = present.begin();
    for (;;) {
      const bool has_then =
          then != target.cells.end() && then->first.reducer == reducer;
      const bool has_now = now != present.end();
      if (!has_then && !has_now) break;
      if (!has_now || (has_then && then->first.key < now->first)) {
        Change(then->first, then->second);
        ++then;
      } else if (!has_then || now->first < then->first.key) {
        Change({reducer, now->first}, std::nullopt);
        ++now;
      } else {
        if (then->second != now->second) Change(then->first, then->second);
        ++then;
        ++now;
      }
    }
  }
  return absl::OkStatus();
}

void RollbackStep::Fill(Slot* slot, CellTable* cells) {
  const EventId by = slot->ticket.event_id;
  StepResult& result = slot->result();
  for (const auto& [ref, state] : changes_) {
    Cell* const cell = cells->Find(ref.reducer, ref.key, by);
    cells->Load(cell);
    result.writes.push_back(
        {cell, cells->NewVersion(
                   by.value << 1,
                   state ? std::optional<BytesView>(*state) : std::nullopt)});
  }
  result.outcome.raised = std::move(events_);
  result.encoded = false;  // when it ran, there was nothing of this
  result.entries.clear();
  changes_.clear();
  events_.clear();
}

}  // namespace reenact
