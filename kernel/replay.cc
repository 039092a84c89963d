// Replay: the same world over again, with its inputs from the journal and a
// store that compares what it is given with what was recorded.

#include "reenact/kernel/replay.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <variant>

#include "reenact/journal/archive.h"
#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/memory_store.h"
#include "reenact/journal/posix_file.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/cbor.h"
#include "reenact/kernel/check.h"
#include "reenact/kernel/mutex.h"
#include "reenact/kernel/world.h"
#include "reenact/kernel/world_internal.h"
#include "reenact/workers/pool.h"
#include "reenact/workers/step_run.h"

namespace reenact {

namespace {

// The files of a slice: a world cut down to what still diverges.
constexpr char kSliceMarker[] = "SLICE";
constexpr char kSliceFormat[] = "reenact slice format 1\n";
constexpr char kSliceBase[] = "base.snap";
constexpr char kSliceTail[] = "tail.cborseq";

// --- what was recorded -------------------------------------------------------

// Recorded blocks, by index.
class RecordedBlocks {
 public:
  virtual ~RecordedBlocks() = default;
  virtual std::uint64_t block_count() const = 0;
  virtual absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const = 0;
};

class ArchiveBlocks final : public RecordedBlocks {
 public:
  explicit ArchiveBlocks(const Archive* archive) : archive_(archive) {}
  std::uint64_t block_count() const override { return archive_->block_count(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    return archive_->store().ReadBlock(index);
  }

 private:
  const Archive* const archive_;
};

class SliceBlocks final : public RecordedBlocks {
 public:
  std::uint64_t first = 0;
  std::vector<Bytes> blocks;

  std::uint64_t block_count() const override { return first + blocks.size(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    if (index < first || index >= block_count()) {
      return absl::OutOfRangeError("block " + std::to_string(index) +
                                   ": the slice does not have it");
    }
    return blocks[index - first];
  }
};

// Turns recorded blocks into what a world needs to be driven again.
class BlockScript final : public RoundScript {
 public:
  BlockScript(const RecordedBlocks* blocks, std::uint64_t from,
              const WorldConfig& config)
      : blocks_(blocks), next_(from), reducers_(config.reducers) {
    end_ = blocks->block_count();
  }

  // Ends before block `end` until told otherwise.
  void EndBefore(std::uint64_t end) { end_ = end; }

  absl::StatusOr<bool> Next(ScriptedRound* round) override {
    if (next_ >= end_) return false;
    REENACT_ASSIGN_OR_RETURN(Bytes stored, blocks_->ReadBlock(next_));
    REENACT_ASSIGN_OR_RETURN(BlockView block, DecodeBlock(stored));
    ++next_;
    controls_ = false;
    round->round = block.header.round;
    cbor::Reader reader(block.entries);
    for (std::uint64_t i = 0; i < block.header.entry_count; ++i) {
      const BytesView rest = block.entries.substr(reader.offset());
      const absl::StatusOr<EntryKind> kind = PeekEntryKind(rest);
      // Inputs come first: what follows are consequences.
      if (kind.ok() && IsConsequence(*kind)) break;
      absl::StatusOr<Entry> entry = DecodeEntry(reader);
      absl::Status status = entry.status();
      if (status.ok()) status = Take(*entry, round);
      if (!status.ok()) return Unreadable(i, status);
    }
    return true;
  }

  // The modules that history went on with, change by change.
  const std::vector<ModuleRecord>& modules() const { return modules_; }
  // Whether the round read last changes modules or rules, or asks for a
  // snapshot, and has no other input.
  bool controls() const { return controls_; }
  // The block read last; and what is wrong with it, if its inputs cannot be
  // read.
  std::uint64_t block() const { return next_ - 1; }
  const std::string& problem() const { return problem_; }

 private:
  static bool IsConsequence(EntryKind kind) {
    return kind == EntryKind::kStepScheduled ||
           kind == EntryKind::kStepCommitted ||
           kind == EntryKind::kStepFailed || kind == EntryKind::kSnapshotTaken;
  }

  absl::Status Unreadable(std::uint64_t index, const absl::Status& status) {
    const std::string place = "journal, block " + std::to_string(block()) +
                              ", entry " + std::to_string(index);
    problem_ = place + ": " + std::string(ToStd(status.message()));
    return absl::DataLossError(problem_);
  }

  absl::Status Take(Entry& entry, ScriptedRound* round) {
    if (auto* opened = std::get_if<entry::RoundOpened>(&entry)) {
      round->time = opened->time;
    } else if (auto* input = std::get_if<entry::InputAdmitted>(&entry)) {
      if (input->reducer >= reducers_.size()) {
        return absl::DataLossError("input " +
                                   std::to_string(input->input.value) +
                                   " names a reducer that is not there");
      }
      Input in;
      in.event.reducer = reducers_[input->reducer];
      in.event.key = std::move(input->key);
      in.event.schema = std::move(input->schema);
      in.event.payload = std::move(input->payload);
      in.submission_id = std::move(input->submission_id);
      in.priority = input->priority;
      in.time = input->time;
      in.position = input->position;
      round->inputs.push_back(std::move(in));
    } else if (std::holds_alternative<entry::Genesis>(entry)) {
      return absl::DataLossError("a second genesis");
    } else {
      if (auto* change = std::get_if<entry::ModuleChanged>(&entry)) {
        reducers_ = change->reducers;
        modules_.insert(modules_.end(), change->modules.begin(),
                        change->modules.end());
      }
      controls_ = true;
      Bytes bytes;
      EncodeEntry(entry, &bytes);
      round->controls.push_back(std::move(bytes));
    }
    return absl::OkStatus();
  }

  const RecordedBlocks* const blocks_;
  std::uint64_t next_;
  std::uint64_t end_ = 0;
  std::vector<std::string> reducers_;
  std::vector<ModuleRecord> modules_;
  bool controls_ = false;
  std::string problem_;
};

// A snapshot on disk that the replay comes past.
struct KnownSnapshot {
  EventId event_id;
  std::string path;
  SnapshotContents contents;
};

// Keeps cells, and compares blocks instead of keeping them.
class ComparingStore final : public Store {
 public:
  struct Shared {
    const RecordedBlocks* recorded = nullptr;
    std::map<std::uint64_t, KnownSnapshot> snapshots;  // by block count
    std::function<void(EventId)> progress;
    std::function<bool()> cancelled;
    // What came of it.
    std::optional<std::uint64_t> mismatch;  // block index
    Bytes recomputed;
    std::string problem;
    std::vector<EventId> snapshots_checked;
  };

  explicit ComparingStore(Shared* shared)
      : shared_(shared), cells_(NewMemoryStore()) {}

  absl::Status Commit(const CommitGroup& group, bool) override {
    for (std::size_t i = 0; i < group.blocks.size(); ++i) {
      REENACT_RETURN_IF_ERROR(Compare(group.first_index + i, group.blocks[i]));
    }
    block_count_ = group.first_index + group.blocks.size();
    CommitGroup cells;
    cells.cells = group.cells;
    REENACT_RETURN_IF_ERROR(cells_->Commit(cells, false));
    return CheckSnapshot(group.open_work);
  }

  absl::Status Sync() override { return absl::OkStatus(); }
  std::uint64_t block_count() const override { return block_count_; }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    return shared_->recorded->ReadBlock(index);
  }
  absl::Status ScanBlocks(
      std::uint64_t,
      const std::function<absl::Status(std::uint64_t, BytesView)>&)
      const override {
    return absl::UnimplementedError("a replay keeps no blocks");
  }
  std::uint64_t cells_through() const override { return block_count_; }
  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const override {
    return cells_->ReadCell(reducer, key);
  }
  absl::StatusOr<Bytes> ReadOpenWork() const override { return Bytes(); }
  std::unique_ptr<CellView> View() const override { return cells_->View(); }
  absl::Status ClearCells() override { return cells_->ClearCells(); }
  absl::Status CutBlocks(std::uint64_t) override {
    return absl::UnimplementedError("a replay cuts no blocks");
  }
  std::vector<std::pair<std::string, std::uint64_t>> Stats() const override {
    return {};
  }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  absl::Status Compare(std::uint64_t index, BytesView block) {
    if (shared_->cancelled && shared_->cancelled()) {
      return absl::CancelledError("interrupted");
    }
    REENACT_ASSIGN_OR_RETURN(Bytes recorded, ReadBlock(index));
    if (recorded != block) {
      shared_->mismatch = index;
      shared_->recomputed = Bytes(block);
      return absl::DataLossError("block " + std::to_string(index) + " differs");
    }
    if (shared_->progress) {
      REENACT_ASSIGN_OR_RETURN(BlockView view, DecodeBlock(block));
      shared_->progress(view.header.last());
    }
    return absl::OkStatus();
  }

  // Where a snapshot was taken, its file must say what the replay found.
  absl::Status CheckSnapshot(BytesView open_work) {
    const auto it = shared_->snapshots.find(block_count_);
    if (it == shared_->snapshots.end()) return absl::OkStatus();
    const KnownSnapshot& known = it->second;
    REENACT_ASSIGN_OR_RETURN(SnapshotDigests digests,
                             StateDigestOf(*cells_->View()));
    if (digests.state != known.contents.digests.state) {
      shared_->problem = known.path +
                         ": its cells are not the state at ticket " +
                         std::to_string(known.event_id.value);
      return absl::DataLossError(shared_->problem);
    }
    if (!open_work.empty()) {
      REENACT_ASSIGN_OR_RETURN(SnapshotContents work,
                               DecodeOpenWork(open_work));
      if (work.header != known.contents.header ||
          work.sequencer != known.contents.sequencer) {
        shared_->problem = known.path +
                           ": its queues are not those at ticket " +
                           std::to_string(known.event_id.value);
        return absl::DataLossError(shared_->problem);
      }
    }
    shared_->snapshots_checked.push_back(known.event_id);
    return absl::OkStatus();
  }

  Shared* const shared_;
  std::unique_ptr<Store> cells_;
  std::uint64_t block_count_ = 0;
};

// --- watching steps ----------------------------------------------------------

class Observer final : public StepObserver {
 public:
  explicit Observer(const VerifyOptions* options) : options_(options) {}

  // Keeps what ticket `event_id` read.
  void Watch(EventId event_id) { watched_ = event_id; }
  const std::vector<ObservedRead>& reads() const { return reads_; }
  // From now on notes every cell that is touched, for a slice.
  void NoteCells() { noting_ = true; }
  void NoteCell(const CellRef& cell) { cells_.insert(cell); }
  const std::set<CellRef>& cells() const { return cells_; }
  const std::set<ReducerId>& scanned() const { return scanned_; }

  void Begin(int run, const Ticket& ticket) override {
    if (options_->observe) {
      options_->observe(true, run, ticket.code->name(), ticket.event_id);
    }
  }

  void End(int run, const Ticket& ticket, const StepResult& result) override {
    if (options_->observe) {
      options_->observe(false, run, ticket.code->name(), ticket.event_id);
    }
    if (run != 0) return;
    if (noting_) Note(result);
    if (ticket.event_id == watched_) Keep(result);
  }

  void SetTable(const std::vector<std::string>& reducers) { table_ = reducers; }

 private:
  void Keep(const StepResult& result) {
    reads_.clear();
    for (const StepResult::Read& read : result.reads) {
      const auto state = read.version->state();
      reads_.push_back({{table_[read.cell->reducer], read.cell->key},
                        read.version->written_by(),
                        state ? std::optional<Bytes>(*state) : std::nullopt});
    }
  }

  void Note(const StepResult& result) {
    for (const auto& read : result.reads) Note(read.cell);
    for (const auto& write : result.writes) Note(write.cell);
    for (const auto& update : result.updates) Note(update.cell);
    for (const auto& scan : result.scans) scanned_.insert(scan.reducer);
  }
  void Note(const Cell* cell) { cells_.insert({cell->reducer, cell->key}); }

  const VerifyOptions* const options_;
  std::vector<std::string> table_;
  EventId watched_;
  std::vector<ObservedRead> reads_;
  bool noting_ = false;
  std::set<CellRef> cells_;
  std::set<ReducerId> scanned_;
};

// --- comparing two blocks ----------------------------------------------------

std::vector<Bytes> SplitEntries(BytesView entries) {
  std::vector<Bytes> items;
  cbor::Reader reader(entries);
  while (!reader.AtEnd()) {
    const BytesView item = reader.Item();
    if (!reader.ok()) break;
    items.emplace_back(item);
  }
  return items;
}

std::string DescribeOutcome(const Entry& entry) {
  if (const auto* failed = std::get_if<entry::StepFailed>(&entry)) {
    return "failed: " + FailureName(failed->code);
  }
  return std::string(EntryKindName(KindOf(entry)));
}

// Finds what differs between two entries and says it in the terms of a user.
class EntryComparison {
 public:
  EntryComparison(const std::vector<std::string>& reducers, Divergence* out)
      : reducers_(reducers), out_(out) {}

  void Compare(BytesView recorded, BytesView recomputed) {
    const absl::StatusOr<Entry> a = DecodeEntry(recorded);
    const absl::StatusOr<Entry> b = DecodeEntry(recomputed);
    out_->recorded = recorded.empty() ? "nothing" : cbor::Diagnose(recorded);
    out_->recomputed =
        recomputed.empty() ? "nothing" : cbor::Diagnose(recomputed);
    out_->field = "entry";
    // What was recomputed is in its place; what is recorded need not be.
    if (b.ok()) Place(*b);
    if (a.ok() && out_->event_id.value == 0) Place(*a);
    if (!a.ok() || !b.ok()) return;
    if (KindOf(*a) != KindOf(*b)) {
      out_->field = "outcome";
      out_->recorded = DescribeOutcome(*a);
      out_->recomputed = DescribeOutcome(*b);
      return;
    }
    out_->field = EntryKindName(KindOf(*a));
    const auto* x = std::get_if<entry::StepCommitted>(&*a);
    const auto* y = std::get_if<entry::StepCommitted>(&*b);
    if (x != nullptr && SameTicket(*x, *y)) CompareSteps(*x, *y);
    const auto* p = std::get_if<entry::StepScheduled>(&*a);
    if (p != nullptr) ComparePlaces(*p, std::get<entry::StepScheduled>(*b));
    const auto* r = std::get_if<entry::RoundOpened>(&*a);
    if (r != nullptr) CompareRounds(*r, std::get<entry::RoundOpened>(*b));
    const auto* f = std::get_if<entry::StepFailed>(&*a);
    if (f != nullptr && SameTicket(*f, std::get<entry::StepFailed>(*b))) {
      out_->field = "failure code";
      out_->recorded = DescribeOutcome(*a);
      out_->recomputed = DescribeOutcome(*b);
    }
  }

 private:
  void Place(const Entry& entry) {
    std::visit(
        [this](const auto& e) {
          if constexpr (requires { e.lane_id; }) out_->event_id = e.event_id;
        },
        entry);
  }

  template <typename Step>
  static bool SameTicket(const Step& a, const Step& b) {
    return a.event_id == b.event_id && a.lane_id == b.lane_id;
  }

  void Say(const std::string& field, const std::string& recorded,
           const std::string& recomputed) {
    out_->field = field;
    out_->recorded = recorded;
    out_->recomputed = recomputed;
  }

  static std::string CauseOf(const Cause& cause) {
    if (cause.is_input()) return "input " + std::to_string(cause.input.value);
    return "event " + std::to_string(cause.index) + " of ticket " +
           std::to_string(cause.parent.value);
  }

  // The whole entries are shown unless one thing alone differs.
  void ComparePlaces(const entry::StepScheduled& a,
                     const entry::StepScheduled& b) {
    if (!SameTicket(a, b)) return;
    if (a.subject != b.subject && a.subject && b.subject) {
      Say("the cell", NameOf(a.subject), NameOf(b.subject));
    } else if (a.cause != b.cause) {
      Say("cause", CauseOf(a.cause), CauseOf(b.cause));
    } else if (a.kind != b.kind) {
      Say("kind of unit", std::string(UnitKindName(a.kind)),
          std::string(UnitKindName(b.kind)));
    }
  }

  void CompareRounds(const entry::RoundOpened& a, const entry::RoundOpened& b) {
    if (a.round != b.round) {
      Say("number of the round", std::to_string(a.round.value),
          std::to_string(b.round.value));
    } else if (a.time != b.time) {
      Say("logical time of the round", std::to_string(a.time.value),
          std::to_string(b.time.value));
    } else if (a.count != b.count) {
      Say("tickets in the round", std::to_string(a.count),
          std::to_string(b.count));
    }
  }

  std::string NameOf(const std::optional<CellRef>& cell) const {
    if (!cell) return out_->reducer + "/" + out_->key;
    const std::string reducer = cell->reducer < reducers_.size()
                                    ? reducers_[cell->reducer]
                                    : "?" + std::to_string(cell->reducer);
    return reducer + "/" + cell->key;
  }

  std::string Describe(const Diff& diff) const {
    switch (diff.op) {
      case Diff::Op::kPut:
        return cbor::Diagnose(diff.state);
      case Diff::Op::kDelete:
        return "deleted";
      case Diff::Op::kUpdate:
        break;
    }
    Bytes bytes;
    EncodeUpdate(true, 0, "", diff.update, &bytes);
    return "update " + cbor::Diagnose(bytes);
  }

  void CompareSteps(const entry::StepCommitted& a,
                    const entry::StepCommitted& b) {
    const std::size_t n = std::max(a.diffs.size(), b.diffs.size());
    for (std::size_t i = 0; i < n; ++i) {
      const Diff* x = i < a.diffs.size() ? &a.diffs[i] : nullptr;
      const Diff* y = i < b.diffs.size() ? &b.diffs[i] : nullptr;
      if (x != nullptr && y != nullptr && *x == *y) continue;
      const bool same_cell = x != nullptr && y != nullptr && x->cell == y->cell;
      out_->field = "state of " + NameOf((x != nullptr ? x : y)->cell);
      out_->recorded = x != nullptr ? Describe(*x) : "not changed";
      out_->recomputed =
          y == nullptr ? "not changed"
          : same_cell  ? Describe(*y)
                       : "change " + NameOf(y->cell) + " to " + Describe(*y);
      return;
    }
    if (a.events != b.events) {
      CompareLists("raised event", a.events, b.events, EncodeRaised);
    } else {
      CompareLists("effect intent", a.effects, b.effects, EncodeEffect);
    }
  }

  template <typename T, typename EncodeFn>
  void CompareLists(const std::string& what, const std::vector<T>& a,
                    const std::vector<T>& b, EncodeFn encode) {
    const auto show = [&](const std::vector<T>& list, std::size_t i) {
      if (i >= list.size()) return std::string("none");
      Bytes bytes;
      encode(list[i], &bytes);
      return cbor::Diagnose(bytes);
    };
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      if (i < a.size() && i < b.size() && a[i] == b[i]) continue;
      out_->field = what + " " + std::to_string(i);
      out_->recorded = show(a, i);
      out_->recomputed = show(b, i);
      return;
    }
  }

  const std::vector<std::string>& reducers_;
  Divergence* const out_;
};

// --- the verifier ------------------------------------------------------------

class Verifier {
 public:
  explicit Verifier(const VerifyOptions& options)
      : options_(options), observer_(&options) {}

  absl::StatusOr<VerifyReport> Run() {
    struct stat found;
    const std::string marker = options_.path + "/" + kSliceMarker;
    if (::stat(marker.c_str(), &found) == 0) return RunSlice();
    return RunWorld();
  }

 private:
  static constexpr EventId kNoTicket{0};

  absl::StatusOr<VerifyReport> RunWorld() {
    absl::StatusOr<std::unique_ptr<Archive>> archive =
        Archive::Open(options_.path);
    if (!archive.ok()) {
      if (archive.status().code() != absl::StatusCode::kDataLoss) {
        return archive.status();
      }
      return Damaged(archive.status());
    }
    archive_ = *std::move(archive);
    ArchiveBlocks blocks(archive_.get());
    blocks_ = &blocks;
    report_.head = archive_->head();
    report_.blocks = archive_->block_count();
    report_.journal = archive_->journal_digest();
    NoteTail();
    absl::Status status = CheckChain();
    if (status.ok()) status = ReadSnapshots();
    if (!status.ok()) return Damaged(status);
    REENACT_RETURN_IF_ERROR(ChooseStart());
    REENACT_RETURN_IF_ERROR(Replay());
    if (report_.verdict == Verdict::kIdentical) LookForStraySnapshots();
    if (report_.verdict == Verdict::kIdentical) CompareStoredCells();
    if (report_.verdict == Verdict::kDiverged ||
        report_.verdict == Verdict::kDamaged) {
      REENACT_RETURN_IF_ERROR(DoubtStart());
    }
    if (report_.verdict == Verdict::kIdentical) CompareModules();
    return std::move(report_);
  }

  void NoteTail() {
    const Findings& findings = archive_->findings();
    if (Decide(findings) == OpenDecision::kOpenCutTail) {
      report_.notes.push_back(
          "the journal ends in a tail that is not whole and that nobody was "
          "told about; opening the world cuts it: " +
          findings.detail);
    }
  }

  // Every block's hash and place, before anything is believed.
  absl::Status CheckChain() {
    std::optional<BlockHeader> last;
    Digest hash;
    for (std::uint64_t i = 0; i < blocks_->block_count(); ++i) {
      if (Cancelled()) return absl::CancelledError("interrupted");
      REENACT_ASSIGN_OR_RETURN(Bytes stored, blocks_->ReadBlock(i));
      absl::StatusOr<BlockView> block = DecodeBlock(stored);
      const std::string place = "journal (db), block " + std::to_string(i);
      if (!block.ok()) return Annotate(block.status(), place);
      if (last) {
        REENACT_RETURN_IF_ERROR(
            Annotate(CheckFollows(*last, hash, block->header), place));
      }
      last = block->header;
      hash = block->hash;
    }
    return absl::OkStatus();
  }

  absl::Status ReadSnapshots() {
    REENACT_ASSIGN_OR_RETURN(std::vector<EventId> ids,
                             ListSnapshots(archive_->paths().snapshots));
    for (EventId id : ids) {
      KnownSnapshot known;
      known.event_id = id;
      known.path = archive_->paths().Snapshot(id);
      REENACT_ASSIGN_OR_RETURN(known.contents, ReadSnapshotFile(known.path));
      const SnapshotHeader& header = known.contents.header;
      if (header.block_count == 0 ||
          header.block_count > blocks_->block_count()) {
        return absl::DataLossError(known.path + ": it is ahead of the journal");
      }
      REENACT_ASSIGN_OR_RETURN(Bytes stored,
                               blocks_->ReadBlock(header.block_count - 1));
      REENACT_ASSIGN_OR_RETURN(BlockView block, DecodeBlock(stored));
      if (block.hash != header.block_hash || header.event_id != id ||
          block.header.last() != id) {
        return absl::DataLossError(known.path + ": it is of another history");
      }
      shared_.snapshots.emplace(header.block_count, std::move(known));
    }
    return absl::OkStatus();
  }

  absl::Status ChooseStart() {
    if (options_.from_snapshot && !shared_.snapshots.empty()) {
      const KnownSnapshot& newest = shared_.snapshots.rbegin()->second;
      base_path_ = newest.path;
      start_ = PlaceOf(newest.contents);
      shared_.snapshots_checked.push_back(newest.event_id);
      return absl::OkStatus();
    }
    if (options_.from_snapshot) {
      report_.notes.push_back("there is no snapshot: replayed from genesis");
    }
    REENACT_CHECK(archive_->findings().genesis.has_value());
    genesis_ = *archive_->findings().genesis;
    return absl::OkStatus();
  }

  const WorldConfig& StartConfig() const {
    return start_ ? start_->config : genesis_;
  }
  std::uint64_t FirstBlock() const { return start_ ? start_->block_count : 1; }

  bool Cancelled() const { return options_.cancelled && options_.cancelled(); }

  absl::StatusOr<std::unique_ptr<World>> OpenReplay(
      std::unique_ptr<Pool> pool, ComparingStore::Shared* shared,
      RoundScript* script, bool run_twice) {
    auto store = std::make_unique<ComparingStore>(shared);
    if (start_) REENACT_RETURN_IF_ERROR(LoadBase(store.get()));
    observer_.SetTable(FullTable());
    WorldOptions options;
    options.config = StartConfig();
    options.modules = options_.modules;
    options.cache_bytes = 256ULL << 20;
    WorldInternals internals;
    internals.pool = std::move(pool);
    internals.store = std::move(store);
    internals.script = script;
    internals.start = start_;
    internals.config_as_is = true;
    internals.want_open_work = true;
    internals.observer = &observer_;
    internals.run_twice = run_twice;
    internals.impure = &impure_;
    return OpenWorld(std::move(options), std::move(internals));
  }

  // The reducer table with every name that it is ever given.
  std::vector<std::string> FullTable() const {
    std::vector<std::string> table = archive_ != nullptr
                                         ? archive_->config().reducers
                                         : StartConfig().reducers;
    return table;
  }

  absl::Status LoadBase(Store* store) {
    CellBatch batch;
    REENACT_RETURN_IF_ERROR(
        ReadSnapshotFile(base_path_, [&batch](ReducerId reducer,
                                              std::string_view key,
                                              BytesView state) {
          batch.Add(reducer, key, EventId{0}, state);
          return absl::OkStatus();
        }).status());
    CommitGroup group;
    group.first_index = start_->block_count;
    group.cells.push_back(&batch);
    auto snapshots = std::exchange(shared_.snapshots, {});
    const absl::Status status = store->Commit(group, false);
    shared_.snapshots = std::move(snapshots);
    return status;
  }

  absl::Status Replay() {
    shared_.recorded = blocks_;
    shared_.cancelled = options_.cancelled;
    shared_.progress = [this](EventId done) {
      if (options_.progress) {
        options_.progress(done.value, report_.head.value);
      }
    };
    script_.emplace(blocks_, FirstBlock(), StartConfig());
    report_.from = start_ ? start_->event_id : EventId{0};
    auto pool = options_.workers == 0 ? NewInlinePool()
                                      : NewThreadPool(options_.workers);
    absl::StatusOr<std::unique_ptr<World>> world =
        OpenReplay(std::move(pool), &shared_, &*script_, options_.run_twice);
    REENACT_RETURN_IF_ERROR(world.status());
    const absl::Status status = (*world)->Run();
    TakeResults(**world);
    return Judge(status);
  }

  void TakeResults(World& world) {
    const WorldStats stats = world.stats();
    report_.tickets = stats.committed + stats.failed;
    report_.failed_steps = stats.failed;
    report_.reruns = stats.reruns;
    report_.snapshots_checked = shared_.snapshots_checked;
    if (!shared_.mismatch && !impure_ && shared_.problem.empty()) {
      absl::StatusOr<Digest> digest =
          dynamic_cast<WorldPlace&>(world).StateDigest();
      if (digest.ok()) report_.state = *digest;
    }
  }

  absl::Status Judge(const absl::Status& status) {
    if (status.ok()) return absl::OkStatus();
    if (status.code() == absl::StatusCode::kCancelled) return status;
    if (impure_) {
      report_.verdict = Verdict::kImpure;
      Divergence divergence;
      divergence.event_id = impure_->event_id;
      divergence.reducer = impure_->cell.reducer;
      divergence.key = impure_->cell.key;
      FillFromJournal(&divergence);
      DescribeRuns(&divergence);
      report_.divergence = std::move(divergence);
      return absl::OkStatus();
    }
    if (!shared_.problem.empty()) return Damage(shared_.problem);
    if (shared_.mismatch) {
      report_.verdict = Verdict::kDiverged;
      return Explain();
    }
    if (!script_->problem().empty()) return Damage(script_->problem());
    return JudgeInputs(status);
  }

  // What one of two runs of a step came to, and what the other did.
  void DescribeRuns(Divergence* divergence) {
    const std::vector<Bytes> first = SplitEntries(impure_->first);
    const std::vector<Bytes> second = SplitEntries(impure_->second);
    if (first.size() != 2 || second.size() != 2) return;
    const std::vector<std::string> table = FullTable();
    EntryComparison(table, divergence).Compare(first[1], second[1]);
    divergence->field = "two runs of one step: " + divergence->field;
  }

  absl::Status Damage(std::string problem) {
    report_.verdict = Verdict::kDamaged;
    report_.problem = std::move(problem);
    return absl::OkStatus();
  }

  // The round read last could not be played.
  absl::Status JudgeInputs(const absl::Status& status) {
    const std::string message(ToStd(status.message()));
    if (status.code() == absl::StatusCode::kDataLoss) {
      report_.verdict = Verdict::kDiverged;
      Divergence divergence;
      divergence.field = "scheduling";
      divergence.recorded = "block " + std::to_string(script_->block());
      divergence.recomputed = message;
      report_.divergence = std::move(divergence);
      return absl::OkStatus();
    }
    const bool refused = status.code() == absl::StatusCode::kInvalidArgument ||
                         status.code() == absl::StatusCode::kNotFound;
    // A change of modules asks for modules that were not given.
    if (!refused || script_->controls()) return status;
    return Damage("journal, block " + std::to_string(script_->block()) +
                  ": no world admits this input: " + message);
  }

  // --- the first divergence, explained ---

  absl::Status Explain() {
    const std::uint64_t index = *shared_.mismatch;
    const Bytes recomputed = shared_.recomputed;
    REENACT_ASSIGN_OR_RETURN(Bytes recorded, blocks_->ReadBlock(index));
    REENACT_ASSIGN_OR_RETURN(BlockView a, DecodeBlock(recorded));
    REENACT_ASSIGN_OR_RETURN(BlockView b, DecodeBlock(recomputed));

    Divergence divergence;
    divergence.round = a.header.round;
    const std::vector<Bytes> xs = SplitEntries(a.entries);
    const std::vector<Bytes> ys = SplitEntries(b.entries);
    std::size_t i = 0;
    while (i < xs.size() && i < ys.size() && xs[i] == ys[i]) ++i;
    const Bytes x = i < xs.size() ? xs[i] : Bytes();
    const Bytes y = i < ys.size() ? ys[i] : Bytes();
    if (x.empty() && y.empty()) {
      divergence.field = "block header";
      divergence.recorded =
          "block " + std::to_string(index) + " " + a.hash.ToHex().substr(0, 16);
      divergence.recomputed = b.hash.ToHex().substr(0, 16);
    } else {
      // Once for the ticket, once more when its cell is known.
      const std::vector<std::string> table = FullTable();
      EntryComparison(table, &divergence).Compare(x, y);
      if (!FillFromEntries(ys, &divergence)) FillFromJournal(&divergence);
      EntryComparison(table, &divergence).Compare(x, y);
    }
    report_.divergence = std::move(divergence);
    return Rerun(index, recomputed);
  }

  // Reducer, key and cause of the divergent ticket, from its StepScheduled.
  void FillFromJournal(Divergence* divergence) {
    if (divergence->event_id == kNoTicket) return;
    for (std::uint64_t i = FirstBlockOf(divergence->event_id);
         i < blocks_->block_count(); ++i) {
      absl::StatusOr<Bytes> stored = blocks_->ReadBlock(i);
      if (!stored.ok()) return;
      absl::StatusOr<BlockView> block = DecodeBlock(*stored);
      if (!block.ok()) return;
      if (block->header.last() < divergence->event_id) continue;
      divergence->round = block->header.round;
      FillFromEntries(SplitEntries(block->entries), divergence);
      return;
    }
  }

  bool FillFromEntries(const std::vector<Bytes>& entries,
                       Divergence* divergence) {
    const std::vector<std::string> table = FullTable();
    for (const Bytes& item : entries) {
      const absl::StatusOr<Entry> entry = DecodeEntry(item);
      if (!entry.ok()) continue;
      const auto* step = std::get_if<entry::StepScheduled>(&*entry);
      if (step == nullptr || step->event_id != divergence->event_id) continue;
      if (step->subject && step->subject->reducer < table.size()) {
        divergence->reducer = table[step->subject->reducer];
        divergence->key = step->subject->key;
      }
      divergence->cause = step->cause;
      divergence->cause_text = DescribeCause(step->cause);
      return true;
    }
    return false;
  }

  std::uint64_t FirstBlockOf(EventId event_id) const {
    if (archive_ == nullptr) return FirstBlock();
    return archive_->FindBlock(event_id).value_or(FirstBlock());
  }

  std::string DescribeCause(const Cause& cause) const {
    if (!cause.is_input()) {
      return "event " + std::to_string(cause.index) + " that ticket " +
             std::to_string(cause.parent.value) + " raised";
    }
    return "input " + std::to_string(cause.input.value) +
           DescribePosition(cause.input);
  }

  // Where an input stood in what it came from, looked for in recent blocks.
  std::string DescribePosition(InputId input) const {
    constexpr std::uint64_t kBlocksMax = 1000;
    const std::uint64_t end =
        std::min(script_->block() + 1, blocks_->block_count());
    const std::uint64_t first =
        std::max(FirstBlock(), end - std::min(end, kBlocksMax));
    for (std::uint64_t i = end; i > first; --i) {
      const absl::StatusOr<Bytes> stored = blocks_->ReadBlock(i - 1);
      const absl::StatusOr<BlockView> block =
          stored.ok() ? DecodeBlock(*stored) : stored.status();
      if (!block.ok()) break;
      for (const Bytes& item : SplitEntries(block->entries)) {
        const absl::StatusOr<Entry> entry = DecodeEntry(item);
        const auto* admitted =
            entry.ok() ? std::get_if<entry::InputAdmitted>(&*entry) : nullptr;
        if (admitted == nullptr || admitted->input != input) continue;
        if (admitted->position == 0) return "";
        return " at position " + std::to_string(admitted->position);
      }
    }
    return "";
  }

  // Runs up to the divergent block again, serially: what did the step read, is
  // it the same this time, and what is the least that shows it?
  absl::Status Rerun(std::uint64_t index, const Bytes& before) {
    ComparingStore::Shared shared;
    shared.recorded = blocks_;
    shared.cancelled = options_.cancelled;
    observer_.Watch(report_.divergence->event_id);
    BlockScript script(blocks_, FirstBlock(), StartConfig());
    script.EndBefore(index);
    REENACT_ASSIGN_OR_RETURN(
        std::unique_ptr<World> world,
        OpenReplay(NewInlinePool(), &shared, &script, false));
    if (!world->Run().ok()) {
      if (Cancelled()) return absl::CancelledError("interrupted");
      return Unstable("an earlier ticket differed this time");
    }
    auto& placed = dynamic_cast<WorldPlace&>(*world);
    REENACT_ASSIGN_OR_RETURN(StartingPlace place, placed.Place());
    std::map<CellRef, Bytes> cells;
    if (!options_.slice.empty()) {
      REENACT_ASSIGN_OR_RETURN(cells, placed.Cells());
    }
    observer_.NoteCells();
    NoteRecordedCells(index);
    script.EndBefore(index + 1);
    (void)world->Run();
    report_.divergence->reads = observer_.reads();
    if (shared.mismatch != index || shared.recomputed != before) {
      return Unstable("the same ticket came out otherwise this time");
    }
    return options_.slice.empty() ? absl::OkStatus()
                                  : WriteSlice(place, cells, index);
  }

  // What the recorded block changed belongs into a slice, too: the reducers
  // that were recorded may touch what those that diverge leave alone.
  void NoteRecordedCells(std::uint64_t index) {
    const absl::StatusOr<Bytes> stored = blocks_->ReadBlock(index);
    const absl::StatusOr<BlockView> block =
        stored.ok() ? DecodeBlock(*stored) : stored.status();
    if (!block.ok()) return;
    for (const Bytes& item : SplitEntries(block->entries)) {
      const absl::StatusOr<Entry> entry = DecodeEntry(item);
      if (!entry.ok()) continue;
      const auto* place = std::get_if<entry::StepScheduled>(&*entry);
      if (place != nullptr && place->subject) {
        observer_.NoteCell(*place->subject);
      }
      const auto* step = std::get_if<entry::StepCommitted>(&*entry);
      if (step == nullptr) continue;
      for (const Diff& diff : step->diffs) {
        if (diff.cell) observer_.NoteCell(*diff.cell);
      }
    }
  }

  absl::Status Unstable(const std::string& how) {
    report_.verdict = Verdict::kImpure;
    report_.notes.push_back("replayed twice: " + how);
    return absl::OkStatus();
  }

  // --- slices ---

  absl::Status WriteSlice(const StartingPlace& place,
                          const std::map<CellRef, Bytes>& cells,
                          std::uint64_t index) {
    const absl::Status status = TryWriteSlice(place, cells, index);
    report_.slice_note =
        status.ok() ? options_.slice
                    : "no slice: " + std::string(ToStd(status.message()));
    return absl::OkStatus();
  }

  absl::Status TryWriteSlice(const StartingPlace& place,
                             const std::map<CellRef, Bytes>& cells,
                             std::uint64_t index) {
    if (::mkdir(options_.slice.c_str(), 0700) != 0) {
      return posix::ErrnoStatus(errno, options_.slice, "make directory");
    }
    const SnapshotHeader header = HeaderOf(place);
    Bytes base;
    SnapshotEncoder encoder(header, place.sequencer, [&base](BytesView bytes) {
      base.append(bytes);
      return absl::OkStatus();
    });
    for (const auto& [cell, state] : cells) {
      if (observer_.cells().contains(cell) ||
          observer_.scanned().contains(cell.reducer)) {
        REENACT_RETURN_IF_ERROR(encoder.AddCell(cell.reducer, cell.key, state));
      }
    }
    REENACT_RETURN_IF_ERROR(encoder.Finish().status());
    REENACT_ASSIGN_OR_RETURN(Bytes block, blocks_->ReadBlock(index));
    Bytes tail;
    cbor::Encoder(&tail).ByteString(block);
    REENACT_RETURN_IF_ERROR(WriteFile(kSliceBase, base));
    REENACT_RETURN_IF_ERROR(WriteFile(kSliceTail, tail));
    return WriteFile(kSliceMarker, kSliceFormat);
  }

  absl::Status WriteFile(const char* name, BytesView bytes) {
    REENACT_ASSIGN_OR_RETURN(posix::File file,
                             posix::File::Open(options_.slice + "/" + name,
                                               O_WRONLY | O_CREAT | O_EXCL));
    REENACT_RETURN_IF_ERROR(file.Append(bytes));
    return file.Sync();
  }

  absl::StatusOr<Bytes> ReadWhole(const char* name) {
    REENACT_ASSIGN_OR_RETURN(
        posix::File file,
        posix::File::Open(options_.path + "/" + name, O_RDONLY));
    REENACT_ASSIGN_OR_RETURN(std::uint64_t size, file.Size());
    Bytes bytes;
    REENACT_RETURN_IF_ERROR(file.Read(size, &bytes));
    return bytes;
  }

  absl::StatusOr<VerifyReport> RunSlice() {
    REENACT_ASSIGN_OR_RETURN(Bytes marker, ReadWhole(kSliceMarker));
    if (marker != kSliceFormat) {
      return absl::UnimplementedError(options_.path +
                                      ": a slice of an unknown format");
    }
    base_path_ = options_.path + "/" + kSliceBase;
    absl::StatusOr<SnapshotContents> base = ReadSnapshotFile(base_path_);
    if (!base.ok()) return Damaged(base.status());
    start_ = PlaceOf(*base);
    SliceBlocks blocks;
    blocks.first = start_->block_count;
    const absl::Status status = ReadTail(&blocks);
    if (!status.ok()) return Damaged(status);
    blocks_ = &blocks;
    report_.blocks = blocks.blocks.size();
    REENACT_RETURN_IF_ERROR(Replay());
    if (report_.verdict == Verdict::kIdentical) {
      CompareModules();
    }
    return std::move(report_);
  }

  absl::Status ReadTail(SliceBlocks* blocks) {
    REENACT_ASSIGN_OR_RETURN(Bytes tail, ReadWhole(kSliceTail));
    cbor::Reader reader(tail);
    BlockHeader last;
    last.index = start_->block_count - 1;
    last.round = start_->round;
    last.first = start_->event_id.Next();
    Digest hash = start_->block_hash;
    while (!reader.AtEnd()) {
      const BytesView stored = reader.ByteString();
      REENACT_RETURN_IF_ERROR(Annotate(reader.status(), kSliceTail));
      REENACT_ASSIGN_OR_RETURN(BlockView block, DecodeBlock(stored));
      REENACT_RETURN_IF_ERROR(
          Annotate(CheckFollows(last, hash, block.header), kSliceTail));
      last = block.header;
      hash = block.hash;
      report_.head = block.header.last();
      blocks->blocks.emplace_back(stored);
    }
    report_.journal = hash;
    return absl::OkStatus();
  }

  // --- the rest ---

  // A replay that comes past the place of a snapshot compares it, if one was
  // taken there.
  void LookForStraySnapshots() {
    for (const auto& [block_count, known] : shared_.snapshots) {
      if (known.event_id < report_.from) continue;
      const auto& checked = shared_.snapshots_checked;
      if (std::count(checked.begin(), checked.end(), known.event_id) == 0) {
        (void)Damage(known.path +
                     ": by the journal no snapshot was taken of ticket " +
                     std::to_string(known.event_id.value));
        return;
      }
    }
  }

  // A replay from a snapshot that went wrong: was it the snapshot's fault? Its
  // cells must be what the recorded changes come to.
  absl::Status DoubtStart() {
    if (!start_) return absl::OkStatus();
    REENACT_ASSIGN_OR_RETURN(Digest recorded, FoldState(start_->block_count));
    const KnownSnapshot& base = shared_.snapshots.at(start_->block_count);
    if (recorded != base.contents.digests.state) {
      report_.divergence.reset();
      return Damage(base.path +
                    ": its cells are not the state that the journal records "
                    "at ticket " +
                    std::to_string(base.event_id.value));
    }
    report_.notes.push_back(
        "replayed from a snapshot, whose queues were believed; a replay from "
        "genesis does not depend on it");
    return absl::OkStatus();
  }

  // The digest of the cells that the changes in the first blocks come to,
  // without running a reducer.
  absl::StatusOr<Digest> FoldState(std::uint64_t end) {
    std::map<CellRef, Bytes> cells;
    std::map<EventId, CellRef> subjects;
    REENACT_RETURN_IF_ERROR(archive_->ScanEntries(
        0, [&](const BlockHeader& block, const Entry& entry, BytesView) {
          if (block.index >= end) return absl::CancelledError("enough");
          if (std::holds_alternative<entry::RoundOpened>(entry)) {
            subjects.clear();
          }
          const auto* step = std::get_if<entry::StepScheduled>(&entry);
          if (step != nullptr && step->subject) {
            subjects[step->event_id] = *step->subject;
          }
          const auto* done = std::get_if<entry::StepCommitted>(&entry);
          return done == nullptr
                     ? absl::OkStatus()
                     : Fold(*done, subjects[done->event_id], &cells);
        }));
    SnapshotEncoder encoder(SnapshotHeader{}, "\xf6",
                            [](BytesView) { return absl::OkStatus(); });
    for (const auto& [cell, state] : cells) {
      REENACT_RETURN_IF_ERROR(encoder.AddCell(cell.reducer, cell.key, state));
    }
    REENACT_ASSIGN_OR_RETURN(SnapshotDigests digests, encoder.Finish());
    return digests.state;
  }

  static absl::Status Fold(const entry::StepCommitted& step, const CellRef& own,
                           std::map<CellRef, Bytes>* cells) {
    for (const Diff& diff : step.diffs) {
      const CellRef cell = diff.cell.value_or(own);
      const auto it = cells->find(cell);
      if (diff.op == Diff::Op::kPut) {
        (*cells)[cell] = diff.state;
      } else if (diff.op == Diff::Op::kDelete) {
        cells->erase(cell);
      } else {
        REENACT_ASSIGN_OR_RETURN(
            Bytes state, ApplyUpdate(it == cells->end()
                                         ? std::nullopt
                                         : std::optional<BytesView>(it->second),
                                     diff.update));
        (*cells)[cell] = std::move(state);
      }
    }
    return absl::OkStatus();
  }

  // The cells in the database must be what the replay came to.
  void CompareStoredCells() {
    if (archive_->store().cells_through() != archive_->block_count()) {
      report_.notes.push_back(
          "the stored cells are not as of the head; they were not compared");
      return;
    }
    const absl::StatusOr<Digest> stored = archive_->StateDigest();
    if (!stored.ok()) {
      (void)Damaged(stored.status());
    } else if (*stored != report_.state) {
      (void)Damaged(absl::DataLossError(
          "db: the stored cells are not the state that the journal leads to"));
    }
  }

  void CompareModules() {
    bool changed = false;
    std::vector<ModuleRecord> recorded = StartConfig().modules;
    recorded.insert(recorded.end(), script_->modules().begin(),
                    script_->modules().end());
    std::set<Digest> seen;
    for (const ModuleRecord& record : recorded) {
      if (!seen.insert(record.digest).second) continue;
      const bool given =
          std::any_of(options_.modules.begin(), options_.modules.end(),
                      [&record](const Module& module) {
                        return module.record.digest == record.digest;
                      });
      if (given) continue;
      changed = true;
      report_.notes.push_back("module \"" + record.name + "\" " +
                              record.version + " was recorded with digest " +
                              record.digest.ToHex().substr(0, 16) +
                              "...; none given has it");
    }
    if (changed) report_.verdict = Verdict::kModuleChanged;
  }

  absl::StatusOr<VerifyReport> Damaged(const absl::Status& status) {
    if (status.code() == absl::StatusCode::kCancelled ||
        status.code() == absl::StatusCode::kUnimplemented) {
      return status;
    }
    report_.verdict = Verdict::kDamaged;
    report_.problem = std::string(ToStd(status.message()));
    return report_;
  }

  const VerifyOptions& options_;
  Observer observer_;
  VerifyReport report_;
  std::unique_ptr<Archive> archive_;  // null for a slice
  const RecordedBlocks* blocks_ = nullptr;
  ComparingStore::Shared shared_;
  std::optional<WorldInternals::Impure> impure_;
  std::optional<StartingPlace> start_;
  std::string base_path_;  // of the snapshot to start from
  WorldConfig genesis_;
  std::optional<BlockScript> script_;
};

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kIdentical:
      return "identical";
    case Verdict::kDiverged:
      return "diverged";
    case Verdict::kImpure:
      return "impure";
    case Verdict::kDamaged:
      return "damaged";
    case Verdict::kModuleChanged:
      return "module-changed";
  }
  return "?";
}

absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options) {
  if (options.modules.empty()) {
    return absl::InvalidArgumentError("verifying needs at least one module");
  }
  return Verifier(options).Run();
}

}  // namespace reenact
