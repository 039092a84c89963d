#ifndef REENACT_KERNEL_CHECKPOINT_H_
#define REENACT_KERNEL_CHECKPOINT_H_

#include <cstdint>

#include "reenact/base/bytes.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/source.h"

namespace reenact {

// A place in history to start from, at the end of a round. The store's cells
// are as of it.
struct Checkpoint {
  WorldConfig config;
  EventId event_id;
  Round round;
  LogicalTime time;
  std::uint64_t block_count = 0;
  Digest block_hash;
  InputId last_input;
  std::uint64_t position = 0;
  SourceMarks sources;
  Bytes sequencer;  // Sequencer::Encode(); empty: an empty one
  Bytes ledger;     // Ledger::Encode(); empty: an unused one

  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_CHECKPOINT_H_
