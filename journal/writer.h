// The journal's end: takes finished rounds in order, seals them into blocks,
// commits them in groups and says what is durable.

#ifndef REENACT_JOURNAL_WRITER_H_
#define REENACT_JOURNAL_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/directory/head.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/sync_policy.h"

namespace reenact {

// A round whose tickets have all been committed.
struct FinishedRound {
  Round round;
  EventId first;
  std::uint64_t ticket_count = 0;
  std::uint64_t entry_count = 0;
  Bytes entries;    // a CBOR sequence
  CellBatch cells;  // the cells it changed, as they are after it
  std::optional<Digest> open_work_digest;  // for its block, if that has one
  // Gives the open work as of this round's end, to be stored with it; called by
  // whoever writes, with the block the round has become. May be empty.
  std::function<Bytes(const BlockHeader& header, const Digest& hash)> open_work;
  // Run by whoever writes, once this round and all before it are in the store;
  // an error of it is final. For snapshots. May be empty.
  std::function<absl::Status(const BlockHeader& header, const Digest& hash)>
      after_commit;

  // As new, with the memory that it has.
  void Clear() {
    entries.clear();
    cells.Clear();
    after_commit = nullptr;
    open_work = nullptr;
    open_work_digest.reset();
  }
};

// Takes rounds from one thread and writes them, in order, on a thread of its
// own (or inside Append(), for worlds in memory; or inside AppendHere()). While
// a group is written and synced, the rounds that arrive form the next one.
//
// Invariant: durable() <= written() <= what was appended, and none of them ever
// goes back. After an error none of them moves again.
//
// Thread safety: Append(), AppendHere() and Flush() from one thread at a time;
// the rest from any thread.
class JournalWriter {
 public:
  struct Options {
    SyncPolicy sync;
    bool own_thread = true;
    std::size_t queued_rounds_max = 8;  // Append() waits beyond that
    // Where the chain goes on.
    std::uint64_t next_index = 0;
    Digest prev_hash;
    EventId last_event;
    // Identity for head records; no head record is written without `head`.
    Bytes world_id;
    std::uint64_t epoch = 0;
    // What `interval` is measured with; empty: the system's steady clock. A
    // test may have its own.
    std::function<std::uint64_t()> now_ms;
    // Whether the world is still its owner's (Ownership::Check()): asked before
    // each head record that is synced, so at closing, too, and after an error,
    // whose cause it is then. By any thread. Empty: it is.
    std::function<absl::Status()> check_owner;
  };

  // `head` may be null. `store` outlives the writer. `progress` is called by
  // whoever writes, whenever durable() or status() has changed; it must not
  // call back into the writer except for the const functions.
  static std::unique_ptr<JournalWriter> Start(Store* store,
                                              std::unique_ptr<HeadFile> head,
                                              Options options,
                                              std::function<void()> progress);
  // Stops without flushing; call Close() first.
  virtual ~JournalWriter() = default;

  // Hands a round over. Waits while queued_rounds_max are waiting. After an
  // error it drops the round: status() says so.
  virtual void Append(std::unique_ptr<FinishedRound> round) = 0;
  // Append(); but if nothing waits and nothing is being written, this thread
  // writes and syncs the round itself. For whoever has nothing else to do until
  // then: it saves two changes of thread.
  virtual void AppendHere(std::unique_ptr<FinishedRound> round) {
    Append(std::move(round));
  }
  // Returns a round's memory for the next one, or a new one.
  virtual std::unique_ptr<FinishedRound> Recycle() = 0;

  // Waits until all that was appended is written, and synced whatever the
  // policy, and the head record too.
  virtual absl::Status Flush() = 0;
  // Flush(), then a head record that says so; stops the thread. Idempotent: a
  // later call gives the same result. Append() must not be called again.
  virtual absl::Status Close() = 0;

  // The last ticket in the store, so that its cells can be read from there.
  virtual EventId written() const = 0;
  // The last ticket that callers may be told is durable.
  virtual EventId durable() const = 0;
  // The chain's end among what is durable: block count and hash.
  virtual std::uint64_t block_count() const = 0;
  virtual Digest head_hash() const = 0;
  // OK, or the error that ended it, for good.
  virtual absl::Status status() const = 0;
  // Waits until durable() >= `event_id` or an error; false after `timeout_ms`,
  // or once the writer is closed.
  virtual absl::StatusOr<bool> WaitDurable(EventId event_id,
                                           std::uint64_t timeout_ms) const = 0;
  // Groups and syncs so far, for metrics.
  virtual std::uint64_t group_count() const = 0;
  virtual std::uint64_t sync_count() const = 0;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_WRITER_H_
