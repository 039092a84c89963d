// The end of a replayed world's pipeline: compares what the other ones write.

#ifndef REENACT_REPLAY_WRITER_H_
#define REENACT_REPLAY_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/mutex.h"
#include "reenact/base/status.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/memory/replay_cells.h"
#include "reenact/journal/writer.h"
#include "reenact/kernel/ids.h"
#include "reenact/replay/blocks.h"

namespace reenact {

// Compares each finished round with the block that was recorded, byte for byte,
// and the state with the snapshots and the record of open work that it comes
// past. The blocks recorded have
// been checked, hash and chain, so that equal bytes mean an equal hash and none
// is worked out again.
//
// Thread safety: as JournalWriter's.
class ComparingWriter final : public JournalWriter {
 public:
  // What came of it; read it when the world is at rest.
  struct Findings {
    std::optional<std::uint64_t> mismatch;  // index of the block that differs
    Bytes recomputed;                       // as it would have been stored
    std::string problem;  // of a snapshot, or of the record of open work
    std::vector<EventId> snapshots_checked;
    bool record_checked = false;
  };
  struct Options {
    // The recorded block with the inputs of the next round to finish; null: it
    // cannot be had.
    std::function<std::unique_ptr<KeptBlock>()> recorded;
    const KnownSnapshots* snapshots = nullptr;  // may be null
    const KnownSnapshot* record = nullptr;      // of open work; may be null
    std::function<void(EventId)> progress;      // may be empty
    std::function<bool()> cancelled;            // may be empty
    // The chain's end before the first round.
    std::uint64_t block_count = 0;
    EventId last_event;
    Digest hash;
  };

  // `cells` takes what rounds change. Both outlive the writer.
  ComparingWriter(Options options, ReplayCells* cells, Findings* findings);

  // Ends with DataLoss at what differs, with Cancelled when asked to.
  void Append(std::unique_ptr<FinishedRound> round) override;
  std::unique_ptr<FinishedRound> Recycle() override;
  absl::Status Flush() override { return status(); }
  absl::Status Close() override { return status(); }
  EventId written() const override { return EventId{event_id_}; }
  EventId durable() const override { return EventId{event_id_}; }
  std::uint64_t block_count() const override;
  Digest head_hash() const override;
  absl::Status status() const override;
  absl::StatusOr<bool> WaitDurable(EventId event_id,
                                   std::uint64_t timeout_ms) const override;
  std::uint64_t group_count() const override { return 0; }
  std::uint64_t sync_count() const override { return 0; }

 private:
  absl::Status Compare(const FinishedRound& round);
  absl::Status CheckSnapshot(const FinishedRound& round,
                             const BlockHeader& header);
  absl::Status CheckRecord(const FinishedRound& round,
                           const BlockHeader& header);
  absl::Status CheckQueues(const KnownSnapshot& known, BytesView open_work);
  absl::Status Wrong(const KnownSnapshot& known, const std::string& what);

  const Options options_;
  ReplayCells* const cells_;
  Findings* const findings_;
  std::unique_ptr<FinishedRound> spare_;
  std::atomic<std::uint64_t> event_id_;
  mutable Mutex mutex_;
  std::uint64_t block_count_ ABSL_GUARDED_BY(mutex_);
  Digest hash_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reenact

#endif  // REENACT_REPLAY_WRITER_H_
