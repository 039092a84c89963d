// Reading a world without running it: for tools, also beside a live process.

#ifndef REENACT_JOURNAL_ARCHIVE_H_
#define REENACT_JOURNAL_ARCHIVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/hash.h"

namespace reenact {

// A world's directory, opened for reading as of now.
//
// What lies beyond the head record and is whole counts as part of it; a tail
// that is not whole is left out and reported in findings().
//
// Thread safety: none.
class Archive {
 public:
  // NotFound: no world there. DataLoss, Unimplemented, FailedPrecondition:
  // what opening it would refuse, too.
  static absl::StatusOr<std::unique_ptr<Archive>> Open(const std::string& path);
  // The same without config(), and so without reading the blocks that may have
  // changed it, for who reads all blocks anyway; ReadConfig() can follow.
  static absl::StatusOr<std::unique_ptr<Archive>> OpenWithoutConfig(
      const std::string& path);
  virtual ~Archive() = default;

  virtual const Findings& findings() const = 0;
  virtual const WorldPaths& paths() const = 0;
  virtual Store& store() const = 0;
  // Blocks that count; and the chain's end among them.
  virtual std::uint64_t block_count() const = 0;
  virtual EventId head() const = 0;
  virtual Digest journal_digest() const = 0;
  // The digest of all cells at head(). Takes time in proportion to them.
  virtual absl::StatusOr<Digest> StateDigest() const = 0;

  // What Open() does beyond OpenWithoutConfig(), with the same errors.
  virtual absl::Status ReadConfig() = 0;
  // The configuration as of head(), with recorded changes applied.
  virtual const WorldConfig& config() const = 0;
  // The name of a reducer; "?7" if the table has no such number.
  virtual std::string ReducerName(ReducerId reducer) const = 0;
  virtual std::optional<ReducerId> FindReducer(std::string_view name) const = 0;

  // Visits entries in order, each with its block and its canonical bytes, from
  // block `from` on. Each block's hash and place in the chain is checked. A
  // visitor's error ends it and is returned, DataLoss with the place before its
  // message; Cancelled ends it with OK.
  using VisitEntry = std::function<absl::Status(
      const BlockHeader& block, const Entry& entry, BytesView bytes)>;
  virtual absl::Status ScanEntries(std::uint64_t from,
                                   const VisitEntry& visit) const = 0;

  // The block that holds a ticket, by binary search. NotFound: beyond head().
  virtual absl::StatusOr<std::uint64_t> FindBlock(EventId event_id) const = 0;

  // The state of a cell right after `at` committed, from the nearest snapshot
  // and recorded diffs; head() if `at` is nullopt. OutOfRange: beyond head().
  virtual absl::StatusOr<std::optional<Bytes>> StateAt(
      ReducerId reducer, std::string_view key,
      std::optional<EventId> at) const = 0;
  // The same for all cells, or those of one reducer, ascending.
  using VisitCell = std::function<absl::Status(
      ReducerId reducer, std::string_view key, BytesView state)>;
  virtual absl::Status ScanStateAt(std::optional<ReducerId> reducer,
                                   std::optional<EventId> at,
                                   const VisitCell& visit) const = 0;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_ARCHIVE_H_
