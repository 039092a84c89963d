#include "reenact/journal/archive.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/cell_changes.h"
#include "reenact/journal/recorded_config.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/outcome.h"

namespace reenact {
namespace {

// Cells in ascending order, and the blocks that they are as of.
struct Base {
  std::uint64_t blocks = 0;
  std::function<absl::Status(const Archive::VisitCell&)> scan_all;
  std::function<absl::Status(ReducerId, const Archive::VisitCell&)> scan;
  CellChanges::Read read;
};

// Cells visited in order, with changes merged in.
class MergedScan {
 public:
  MergedScan(const CellChanges& changes, const Archive::VisitCell& visit)
      : changes_(changes.Sorted()), next_(changes_.begin()), visit_(visit) {}

  absl::Status OnBaseCell(ReducerId reducer, std::string_view key,
                          BytesView state) {
    while (next_ != changes_.end() && NameOf(**next_) < Name(reducer, key)) {
      REENACT_RETURN_IF_ERROR(Visit(**next_++, {}));
    }
    if (next_ == changes_.end() || NameOf(**next_) != Name(reducer, key)) {
      return visit_(reducer, key, state);
    }
    return Visit(**next_++, Bytes(state));
  }

  // Visits the changed cells behind the last that the base has.
  absl::Status Finish() {
    while (next_ != changes_.end()) {
      REENACT_RETURN_IF_ERROR(Visit(**next_++, {}));
    }
    return absl::OkStatus();
  }

 private:
  using Name = std::pair<ReducerId, std::string_view>;

  static Name NameOf(const CellChanges::Change& change) {
    return {change.reducer, change.key};
  }

  absl::Status Visit(const CellChanges::Change& change,
                     CellChanges::State before) const {
    REENACT_ASSIGN_OR_RETURN(const CellChanges::State after,
                             CellChanges::After(change, std::move(before)));
    if (!after) return absl::OkStatus();
    return visit_(change.reducer, change.key, *after);
  }

  const std::vector<const CellChanges::Change*> changes_;
  std::vector<const CellChanges::Change*>::const_iterator next_;
  const Archive::VisitCell& visit_;
};

// Cancelled ends a scan with OK; this tells it from an early end by the caller.
absl::Status EndOf(const absl::Status& status) {
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

// The cells at an archive's head, for what wants a view of a store.
class ArchivedCells final : public CellView {
 public:
  explicit ArchivedCells(const Archive& archive) : archive_(archive) {}

  absl::Status Scan(ReducerId only, std::string_view from, std::string_view to,
                    const Visit& visit) const override {
    return archive_.ScanStateAt(
        only, {},
        [&](ReducerId reducer, std::string_view key, BytesView state) {
          if (key < from || (!to.empty() && key >= to)) return absl::OkStatus();
          return visit(reducer, key, EventId{}, state);
        });
  }
  absl::Status ScanAll(const Visit& visit) const override {
    return archive_.ScanStateAt(
        {}, {}, [&](ReducerId reducer, std::string_view key, BytesView state) {
          return visit(reducer, key, EventId{}, state);
        });
  }

 private:
  const Archive& archive_;
};

class ArchiveImpl final : public Archive {
 public:
  ArchiveImpl(WorldPaths paths, Findings findings, std::unique_ptr<Store> store)
      : paths_(std::move(paths)),
        findings_(std::move(findings)),
        store_(std::move(store)) {}
  ~ArchiveImpl() override { store_->Close().IgnoreError(); }

  absl::Status Init(OpenDecision decision) {
    block_count_ = store_->block_count();
    if (decision == OpenDecision::kOpenCutTail && findings_.head) {
      block_count_ = std::min(block_count_, findings_.head->block_count +
                                                findings_.tail_valid_blocks);
    }
    if (block_count_ == 0) {
      return absl::DataLossError(
          absl::StrCat(paths_.db, ": block 0, with Genesis, is not there"));
    }
    REENACT_ASSIGN_OR_RETURN(last_block_, Header(block_count_ - 1));
    return absl::OkStatus();
  }

  const Findings& findings() const override { return findings_; }
  const WorldPaths& paths() const override { return paths_; }
  Store& store() const override { return *store_; }
  std::uint64_t block_count() const override { return block_count_; }
  EventId head() const override { return LastTicket(last_block_.first); }
  Digest journal_digest() const override { return last_block_.second; }
  absl::Status ReadConfig() override;
  const WorldConfig& config() const override { return config_; }

  absl::StatusOr<Digest> StateDigest() const override {
    if (store_->cells_through() == block_count_) {
      REENACT_ASSIGN_OR_RETURN(const SnapshotDigests digests,
                               StateDigestOf(*store_->View()));
      return digests.state;
    }
    REENACT_ASSIGN_OR_RETURN(const SnapshotDigests digests,
                             StateDigestOf(ArchivedCells(*this)));
    return digests.state;
  }

  std::string ReducerName(ReducerId reducer) const override {
    if (reducer < config_.reducers.size()) return config_.reducers[reducer];
    return absl::StrCat("?", reducer);
  }

  std::optional<ReducerId> FindReducer(std::string_view name) const override {
    const auto& names = config_.reducers;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    return static_cast<ReducerId>(found - names.begin());
  }

  absl::Status ScanEntries(std::uint64_t from,
                           const VisitEntry& visit) const override;
  absl::StatusOr<std::uint64_t> FindBlock(EventId event_id) const override;
  absl::StatusOr<std::optional<Bytes>> StateAt(
      ReducerId reducer, std::string_view key,
      std::optional<EventId> at) const override;
  absl::Status ScanStateAt(std::optional<ReducerId> reducer,
                           std::optional<EventId> at,
                           const VisitCell& visit) const override;

 private:
  using HeaderAndHash = std::pair<BlockHeader, Digest>;

  static EventId LastTicket(const BlockHeader& header) {
    return header.index == 0 ? EventId{0} : header.last();
  }

  absl::StatusOr<HeaderAndHash> Header(std::uint64_t index) const {
    REENACT_ASSIGN_OR_RETURN(const Bytes stored, store_->ReadBlock(index));
    auto block = DecodeBlock(stored);
    if (!block.ok()) return InBlock(index, block.status());
    return HeaderAndHash{block->header, block->hash};
  }

  absl::Status InBlock(std::uint64_t index, const absl::Status& status) const {
    return Annotate(status, absl::StrCat(paths_.db, ": block ", index));
  }

  std::optional<SnapshotHeader> NewestHeader();
  absl::Status ChangeConfig(const KeptBlock& block);
  // Whether a snapshot is whole and part of this history.
  bool IsValid(const SnapshotContents& contents) const;
  // The newest snapshot with event_id <= at that can be believed.
  std::optional<EventId> NewestSnapshot(EventId at) const;
  absl::StatusOr<Base> BaseFor(EventId at) const;
  Base StoreBase() const;
  absl::StatusOr<Base> SnapshotBase(EventId event_id) const;
  static Base EmptyBase();
  absl::Status CheckAt(EventId at) const;
  // Blocks in order, from `from` on to those that count.
  absl::StatusOr<std::unique_ptr<BlockStream>> Blocks(std::uint64_t from) const;
  // Stops at the first error that `visit` returns, and returns it.
  absl::Status ForEachBlock(
      std::uint64_t from,
      const std::function<absl::Status(const KeptBlock&)>& visit) const;
  // Adds what `wanted` picks of the diffs from block `from` to ticket `last`.
  absl::Status AddDiffs(
      std::uint64_t from, EventId last,
      const std::function<bool(const entry::CellRefView&)>& wanted,
      CellChanges* changes) const;
  absl::Status VisitBlock(const KeptBlock& block,
                          const VisitEntry& visit) const;

  WorldPaths paths_;
  Findings findings_;
  std::unique_ptr<Store> store_;
  std::uint64_t block_count_ = 0;
  HeaderAndHash last_block_;
  WorldConfig config_;
  // Snapshots whose digests have been verified already.
  mutable std::map<std::uint64_t, std::optional<SnapshotHeader>> snapshots_;
};

// From the latest place that says what it was, on to the head.
absl::Status ArchiveImpl::ReadConfig() {
  std::uint64_t from = 0;
  if (std::optional<SnapshotHeader> header = NewestHeader()) {
    config_ = std::move(header->config);
    from = header->block_count;
  }
  return ForEachBlock(from, [this](const KeptBlock& block) {
    return InBlock(block.header().index, ChangeConfig(block));
  });
}

// That of the open work, which is younger than any snapshot, if it is good.
std::optional<SnapshotHeader> ArchiveImpl::NewestHeader() {
  const absl::StatusOr<Bytes> record = store_->ReadOpenWork();
  if (record.ok() && !record->empty()) {
    const absl::StatusOr<SnapshotContents> work = DecodeOpenWork(*record);
    if (work.ok() && IsValid(*work)) return work->header;
  }
  const std::optional<EventId> snapshot = NewestSnapshot(head());
  if (!snapshot) return std::nullopt;
  return snapshots_[snapshot->value];
}

// Control commands come right behind RoundOpened, in rounds of their own.
absl::Status ArchiveImpl::ChangeConfig(const KeptBlock& block) {
  cbor::Reader reader(block.entries());
  EntryReader entries(&reader);
  std::uint64_t count = 0;
  const auto at = [&count](const absl::Status& status) {
    return Annotate(AsDataLoss(status), absl::StrCat("entry ", count));
  };
  for (; const std::optional<EntryKind> kind = entries.Next(); ++count) {
    if (*kind == EntryKind::kRoundOpened) continue;
    if (*kind == EntryKind::kInputAdmitted ||
        *kind == EntryKind::kStepScheduled) {
      return absl::OkStatus();
    }
    const absl::StatusOr<Entry> any = entries.Any();
    if (!any.ok()) return at(any.status());
    const Entry& entry = *any;
    if (const auto* genesis = std::get_if<entry::Genesis>(&entry)) {
      config_ = genesis->config;
      continue;
    }
    REENACT_RETURN_IF_ERROR(at(ApplyConfigChange(entry, &config_)));
  }
  return at(entries.status());
}

absl::Status ArchiveImpl::VisitBlock(const KeptBlock& block,
                                     const VisitEntry& visit) const {
  cbor::Reader reader(block.entries());
  std::uint64_t count = 0;
  while (!reader.AtEnd()) {
    const std::size_t start = reader.offset();
    auto entry = DecodeEntry(reader);
    const auto at = [&](const absl::Status& status) {
      return Annotate(status,
                      absl::StrCat(paths_.db, ": block ", block.header().index,
                                   ", entry ", count));
    };
    if (!entry.ok()) return at(absl::DataLossError(entry.status().message()));
    const absl::Status visited =
        visit(block.header(), *entry,
              block.entries().substr(start, reader.offset() - start));
    if (absl::IsDataLoss(visited)) return at(visited);
    REENACT_RETURN_IF_ERROR(visited);
    ++count;
  }
  if (count == block.header().entry_count) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      paths_.db, ": block ", block.header().index, " has ", count,
      " entries and says that it has ", block.header().entry_count));
}

absl::StatusOr<std::unique_ptr<BlockStream>> ArchiveImpl::Blocks(
    std::uint64_t from) const {
  // A thread that reads ahead is worth starting for more blocks than that.
  constexpr std::uint64_t kBlocksAlone = 8;
  ChainEnd before = ChainEnd::Nothing();
  if (from > 0) {
    REENACT_ASSIGN_OR_RETURN(std::tie(before.header, before.hash),
                             Header(std::min(from, block_count_) - 1));
    before.nothing = false;
  }
  const Store* store = store_.get();
  return BlockStream::Start(
      [store](std::uint64_t first, const auto& visit) {
        return store->ScanBlocks(first, visit);
      },
      before, block_count_,
      block_count_ > from + kBlocksAlone && HasCoreToSpare());
}

absl::Status ArchiveImpl::ForEachBlock(
    std::uint64_t from,
    const std::function<absl::Status(const KeptBlock&)>& visit) const {
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<BlockStream> blocks,
                           Blocks(from));
  for (;;) {
    auto block = blocks->Next();
    if (!block.ok()) return Annotate(block.status(), paths_.db);
    if (*block == nullptr) return absl::OkStatus();
    REENACT_RETURN_IF_ERROR(visit(**block));
  }
}

absl::Status ArchiveImpl::ScanEntries(std::uint64_t from,
                                      const VisitEntry& visit) const {
  return EndOf(ForEachBlock(from, [this, &visit](const KeptBlock& block) {
    return VisitBlock(block, visit);
  }));
}

absl::StatusOr<std::uint64_t> ArchiveImpl::FindBlock(EventId event_id) const {
  if (event_id > head()) {
    return absl::NotFoundError(absl::StrCat(
        "event ", event_id.value, " is beyond the head, ", head().value));
  }
  std::uint64_t low = 0;
  std::uint64_t high = block_count_ - 1;  // its last ticket is enough
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    REENACT_ASSIGN_OR_RETURN(const HeaderAndHash block, Header(middle));
    if (LastTicket(block.first) >= event_id) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

bool ArchiveImpl::IsValid(const SnapshotContents& contents) const {
  const SnapshotHeader& header = contents.header;
  if (header.block_count == 0 || header.block_count > block_count_) {
    return false;
  }
  const auto block = Header(header.block_count - 1);
  return block.ok() && CheckIsAfter(header, contents.sequencer,
                                    {block->first, {}, block->second})
                           .ok();
}

std::optional<EventId> ArchiveImpl::NewestSnapshot(EventId at) const {
  auto found = ListSnapshots(paths_.snapshots);
  if (!found.ok()) return std::nullopt;
  for (auto event_id = found->rbegin(); event_id != found->rend(); ++event_id) {
    if (*event_id > at) continue;
    auto known = snapshots_.find(event_id->value);
    if (known == snapshots_.end()) {
      auto contents = ReadSnapshotFile(paths_.Snapshot(*event_id));
      std::optional<SnapshotHeader> header;
      if (contents.ok() && IsValid(*contents)) {
        header = contents->header;
      }
      known = snapshots_.emplace(event_id->value, std::move(header)).first;
    }
    if (known->second) return *event_id;
  }
  return std::nullopt;
}

Base ArchiveImpl::StoreBase() const {
  const Store* store = store_.get();
  Base base;
  base.blocks = store->cells_through();
  base.scan_all = [store](const VisitCell& visit) {
    return store->View()->ScanAll(
        [&](ReducerId reducer, std::string_view key, EventId, BytesView state) {
          return visit(reducer, key, state);
        });
  };
  base.scan = [store](ReducerId only, const VisitCell& visit) {
    return store->View()->Scan(
        only, {}, {},
        [&](ReducerId reducer, std::string_view key, EventId, BytesView state) {
          return visit(reducer, key, state);
        });
  };
  base.read =
      [store](ReducerId reducer,
              std::string_view key) -> absl::StatusOr<std::optional<Bytes>> {
    REENACT_ASSIGN_OR_RETURN(std::optional<StoredCell> stored,
                             store->ReadCell(reducer, key));
    if (!stored) return std::optional<Bytes>();
    return std::optional<Bytes>(std::move(stored->state));
  };
  return base;
}

absl::StatusOr<Base> ArchiveImpl::SnapshotBase(EventId event_id) const {
  const std::string path = paths_.Snapshot(event_id);
  Base base;
  base.blocks = snapshots_[event_id.value]->block_count;
  base.scan_all = [path](const VisitCell& visit) {
    return ReadSnapshotFile(path, visit).status();
  };
  base.scan = [path](ReducerId only, const VisitCell& visit) {
    return ReadSnapshotFile(
               path,
               [&](ReducerId reducer, std::string_view key, BytesView state) {
                 return reducer == only ? visit(reducer, key, state)
                                        : absl::OkStatus();
               })
        .status();
  };
  base.read =
      [path](ReducerId reducer,
             std::string_view key) -> absl::StatusOr<std::optional<Bytes>> {
    std::optional<Bytes> result;
    const auto read = ReadSnapshotFile(
        path, [&](ReducerId of, std::string_view name, BytesView state) {
          if (of == reducer && name == key) result.emplace(state);
          return absl::OkStatus();
        });
    if (!read.ok()) return read.status();
    return result;
  };
  return base;
}

Base ArchiveImpl::EmptyBase() {
  Base base;
  base.scan_all = [](const VisitCell&) { return absl::OkStatus(); };
  base.scan = [](ReducerId, const VisitCell&) { return absl::OkStatus(); };
  base.read = [](ReducerId, std::string_view) {
    return std::optional<Bytes>();
  };
  return base;
}

absl::StatusOr<Base> ArchiveImpl::BaseFor(EventId at) const {
  // Stored cells serve for the head, unless they are ahead of it.
  if (at == head() && store_->cells_through() > 0 &&
      store_->cells_through() <= block_count_) {
    return StoreBase();
  }
  if (const auto snapshot = NewestSnapshot(at)) return SnapshotBase(*snapshot);
  return EmptyBase();
}

absl::Status ArchiveImpl::CheckAt(EventId at) const {
  if (at <= head()) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat("event ", at.value, " is beyond the head, ", head().value));
}

absl::Status ArchiveImpl::AddDiffs(
    std::uint64_t from, EventId last,
    const std::function<bool(const entry::CellRefView&)>& wanted,
    CellChanges* changes) const {
  if (from >= block_count_) return absl::OkStatus();
  const auto add = [&](const entry::CellRefView& cell, EventId by,
                       const entry::DiffView& diff) {
    return wanted(cell) ? changes->Add(cell, by, diff) : absl::OkStatus();
  };
  return EndOf(ForEachBlock(from, [&](const KeptBlock& block) {
    const BlockHeader& header = block.header();
    if (header.index > 0 && header.first > last) return absl::CancelledError();
    return InBlock(header.index,
                   VisitDiffs(block.entries(), header.entry_count, last, add));
  }));
}

absl::StatusOr<std::optional<Bytes>> ArchiveImpl::StateAt(
    ReducerId reducer, std::string_view key, std::optional<EventId> at) const {
  const EventId last = at.value_or(head());
  REENACT_RETURN_IF_ERROR(CheckAt(last));
  REENACT_ASSIGN_OR_RETURN(const Base base, BaseFor(last));
  CellChanges changes;
  REENACT_RETURN_IF_ERROR(AddDiffs(
      base.blocks, last,
      [&](const entry::CellRefView& cell) {
        return cell.reducer == reducer && cell.key == key;
      },
      &changes));
  const CellChanges::Change none;
  const CellChanges::Change& change =
      changes.empty() ? none : changes.all().front();
  CellChanges::State before;
  if (!change.known) {
    REENACT_ASSIGN_OR_RETURN(before, base.read(reducer, key));
  }
  return CellChanges::After(change, std::move(before));
}

absl::Status ArchiveImpl::ScanStateAt(std::optional<ReducerId> reducer,
                                      std::optional<EventId> at,
                                      const VisitCell& visit) const {
  const EventId last = at.value_or(head());
  REENACT_RETURN_IF_ERROR(CheckAt(last));
  REENACT_ASSIGN_OR_RETURN(const Base base, BaseFor(last));
  CellChanges changes;
  REENACT_RETURN_IF_ERROR(AddDiffs(
      base.blocks, last,
      [&](const entry::CellRefView& cell) {
        return !reducer || cell.reducer == *reducer;
      },
      &changes));
  // A store's scan takes Cancelled for its own end, so what the visitor said is
  // kept here.
  absl::Status ended;
  const VisitCell keep = [&](ReducerId of, std::string_view key,
                             BytesView state) {
    ended = visit(of, key, state);
    return ended;
  };
  MergedScan merged(changes, keep);
  const VisitCell merge = [&](ReducerId of, std::string_view key,
                              BytesView state) {
    return merged.OnBaseCell(of, key, state);
  };
  const absl::Status scanned =
      reducer ? base.scan(*reducer, merge) : base.scan_all(merge);
  if (!ended.ok()) return EndOf(ended);
  REENACT_RETURN_IF_ERROR(scanned);
  return EndOf(merged.Finish());
}

absl::StatusOr<std::unique_ptr<Archive>> OpenOnce(const std::string& path,
                                                  bool with_config) {
  WorldPaths paths(path);
  REENACT_ASSIGN_OR_RETURN(Findings findings, Inspect(paths));
  const OpenDecision decision = Decide(findings);
  if (decision == OpenDecision::kCreate) {
    return absl::NotFoundError(absl::StrCat(path, ": there is no world"));
  }
  REENACT_RETURN_IF_ERROR(RefusalStatus(decision, findings, paths));
  RocksDbOptions options;
  options.read_only = true;
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                           OpenRocksDbStore(paths.db, options));
  auto archive = std::make_unique<ArchiveImpl>(
      std::move(paths), std::move(findings), std::move(store));
  REENACT_RETURN_IF_ERROR(archive->Init(decision));
  if (with_config) REENACT_RETURN_IF_ERROR(archive->ReadConfig());
  return std::unique_ptr<Archive>(std::move(archive));
}

// A process that has the world open may write between our looks at HEAD and at
// the database. What is really wrong is still wrong at another look.
absl::StatusOr<std::unique_ptr<Archive>> OpenPatiently(const std::string& path,
                                                       bool with_config) {
  constexpr int kLooks = 3;
  absl::StatusOr<std::unique_ptr<Archive>> archive =
      OpenOnce(path, with_config);
  for (int look = 1;
       look < kLooks && !archive.ok() && !absl::IsNotFound(archive.status());
       ++look) {
    archive = OpenOnce(path, with_config);
  }
  return archive;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Archive>> Archive::Open(
    const std::string& path) {
  return OpenPatiently(path, true);
}

absl::StatusOr<std::unique_ptr<Archive>> Archive::OpenWithoutConfig(
    const std::string& path) {
  return OpenPatiently(path, false);
}

}  // namespace reenact
