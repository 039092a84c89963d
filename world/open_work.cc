#include "reenact/world/open_work.h"

#include <utility>

#include "reenact/journal/cell_changes.h"

namespace reenact {
namespace {

absl::StatusOr<Sequencer> ReadQueues(const StartingPlace& place) {
  if (place.sequencer.empty()) return Sequencer(place.config.scheduling);
  return Sequencer::Decode(place.config.scheduling, place.sequencer);
}

}  // namespace

absl::StatusOr<OpenWork> ReadOpenWork(const StartingPlace& place) {
  const std::size_t reducers = place.config.reducers.size();
  absl::StatusOr<Sequencer> queues = ReadQueues(place);
  absl::Status status = queues.status();
  if (status.ok()) status = queues->CheckAt(place.round, reducers);
  if (!status.ok()) return Annotate(AsDataLoss(status), "queues");
  absl::StatusOr<Ledger> ledger = Ledger::Decode(
      place.config.world_id, place.ledger, place.config.format_version);
  status = ledger.status();
  if (status.ok()) {
    status = ledger->CheckAt(place.event_id, place.round, reducers);
  }
  if (!status.ok()) return Annotate(AsDataLoss(status), "ledger");
  return OpenWork{*std::move(queues), *std::move(ledger)};
}

}  // namespace reenact
