// A world once more, written to be read: one map of cells, one ticket at a
// time, no cache, no thread, no speculation. The kernel must give the same
// bytes.
//
// It shares with the kernel what has tests of its own against published vectors
// or golden bytes: CBOR, the digests, the generator, the encoding of one entry,
// of a block and of what is open. Scheduling is
// reenact/harness/sequencer_model.h; steps, updates, limits and what an entry
// says are here.

#ifndef REENACT_HARNESS_MODEL_KERNEL_H_
#define REENACT_HARNESS_MODEL_KERNEL_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/committer/ledger.h"
#include "reenact/harness/sequencer_model.h"
#include "reenact/harness/state_map.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/reducer.h"
#include "reenact/sequencer/sequencer.h"

namespace reenact {

class ModelKernel {
 public:
  // `config` as Genesis records it; `reducers` by ReducerId.
  ModelKernel(WorldConfig config,
              std::vector<std::shared_ptr<const Reducer>> reducers);

  // As World::Feed() with one row for each input.
  void Feed(const std::vector<Input>& inputs);
  // As World::FailEvent(), before Feed().
  void FailEvent(EventId event_id, std::string_view by,
                 std::string_view reason) {
    failures_[event_id] = {event_id, std::string(by), std::string(reason)};
  }

  const std::vector<Bytes>& blocks() const { return blocks_; }
  const StateMap& states() const { return cells_; }
  std::uint64_t failed() const { return failed_; }

 private:
  void Admit(const Input& input);
  std::optional<Round> NextRound() const;
  LogicalTime TimeOf(Round round) const;
  void PlayRound(Round round);
  void PlayTicket(Round round, const Unit& unit, std::vector<Unit>* raised);
  void Record(const Entry& entry);
  void EndBlock(Round round, EventId first, std::uint64_t tickets,
                bool snapshot = false);
  Digest OpenWork() const;
  void TellOfRaised(Round round, const std::vector<Unit>& raised);

  WorldConfig config_;
  std::vector<std::shared_ptr<const Reducer>> reducers_;
  SequencerModel sequencer_;
  StateMap cells_;
  std::map<EventId, entry::FailureOrdered> failures_;
  std::vector<Bytes> blocks_;
  Digest chain_end_;
  std::vector<Entry> entries_;   // of the block under construction
  std::vector<Entry> admitted_;  // of the block after it
  Round last_round_;
  LogicalTime time_;
  LogicalTime input_time_;
  EventId next_{1};
  std::uint64_t inputs_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t failed_ = 0;
  std::map<Bytes, IntentNames> identities_;  // of the first intent of each
  // The kernel's own, told what the model came to: for the bytes of what is
  // open, and nothing else. What they would decide themselves is not looked at.
  Sequencer queues_;
  Ledger ledger_;
};

}  // namespace reenact

#endif  // REENACT_HARNESS_MODEL_KERNEL_H_
