// Replay-or-die: what is verified, in which order, and what to say of it.

#include "reenact/replay/replay.h"

#include <algorithm>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "reenact/base/check.h"
#include "reenact/journal/archive.h"
#include "reenact/journal/block.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/cell_changes.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/journal/store.h"
#include "reenact/replay/blocks.h"
#include "reenact/replay/report.h"
#include "reenact/replay/run.h"
#include "reenact/replay/segments.h"
#include "reenact/replay/slice.h"
#include "reenact/workers/step_run.h"
#include "reenact/world/state.h"

namespace reenact {

namespace {

class ArchiveBlocks final : public RecordedBlocks {
 public:
  explicit ArchiveBlocks(const Archive* archive) : archive_(archive) {}
  std::uint64_t block_count() const override { return archive_->block_count(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    return archive_->store().ReadBlock(index);
  }
  absl::Status Scan(std::uint64_t from, const Visit& visit) const override {
    return archive_->store().ScanBlocks(from, visit);
  }

 private:
  const Archive* const archive_;
};

// --- watching steps ----------------------------------------------------------

using ObserveStep = decltype(VerifyOptions::observe);

// Tells the caller about steps.
class Announcer : public StepObserver {
 public:
  explicit Announcer(const ObserveStep* observe) : observe_(observe) {}
  virtual ~Announcer() = default;

  void Begin(int run, const Ticket& ticket) override {
    Tell(true, run, ticket);
  }
  void End(int run, const Ticket& ticket, const StepResult&) override {
    Tell(false, run, ticket);
  }

 private:
  void Tell(bool begins, int run, const Ticket& ticket) const {
    if (*observe_) {
      (*observe_)(begins, run, ticket.code->name(), ticket.event.key,
                  ticket.event_id);
    }
  }

  const ObserveStep* const observe_;
};

// Keeps what steps touched, too.
class Observer final : public Announcer {
 public:
  // Keeps what ticket `watched` read.
  Observer(const ObserveStep* observe, std::vector<std::string> table,
           EventId watched)
      : Announcer(observe), table_(std::move(table)), watched_(watched) {}

  const std::vector<ObservedRead>& reads() const { return reads_; }
  // From now on notes every cell that is touched, for a slice.
  void NoteCells() { noting_ = true; }
  void NoteCell(const CellRef& cell) { cells_.insert(cell); }
  // Whether the cell was touched, or may have been seen by a scan.
  bool Noted(const CellRef& cell) const {
    return cells_.contains(cell) || scanned_.contains(cell.reducer);
  }

  void End(int run, const Ticket& ticket, const StepResult& result) override {
    Announcer::End(run, ticket, result);
    if (run != 0) return;
    if (noting_) Note(result);
    if (ticket.event_id == watched_) Keep(result);
  }

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

  const std::vector<std::string> table_;
  const EventId watched_;
  std::vector<ObservedRead> reads_;
  bool noting_ = false;
  std::set<CellRef> cells_;
  std::set<ReducerId> scanned_;
};

// --- the verifier ------------------------------------------------------------

class Verifier {
 public:
  explicit Verifier(const VerifyOptions& options)
      : options_(options), announcer_(&options.observe) {}

  absl::StatusOr<VerifyReport> Run() {
    return IsSlice(options_.path) ? RunSlice() : RunWorld();
  }

 private:
  static constexpr EventId kNoTicket{0};
  static constexpr const char* kRecordName = "db: the record of open work";

  absl::StatusOr<VerifyReport> RunWorld() {
    absl::StatusOr<std::unique_ptr<Archive>> archive =
        Archive::OpenWithoutConfig(options_.path);
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
    NoteHead();
    absl::Status status = ReadSnapshots();
    if (status.ok()) status = ReadRecord();
    if (status.ok()) {
      ChooseStart();
      Replay();
      // What comes before the start was not read by the replay.
      if (start_.place) status = CheckChain(start_.block());
    }
    // Whatever went wrong: is the journal itself whole?
    if (!status.ok() || !outcome_.clean()) {
      const absl::Status config = archive_->ReadConfig();
      if (absl::IsDataLoss(config)) return Damaged(config);
      REENACT_RETURN_IF_ERROR(config);
      const absl::Status chain = CheckChain(blocks_->block_count());
      if (!chain.ok()) status = chain;
    }
    if (!status.ok()) return Damaged(status);
    REENACT_RETURN_IF_ERROR(TakeResults());
    REENACT_RETURN_IF_ERROR(Judge());
    if (report_.verdict == Verdict::kIdentical) LookForStraySnapshots();
    if (report_.verdict == Verdict::kIdentical) LookForStrayRecord();
    if (report_.verdict == Verdict::kIdentical) {
      REENACT_RETURN_IF_ERROR(CompareStoredCells());
    }
    if (report_.verdict == Verdict::kDiverged ||
        report_.verdict == Verdict::kDamaged) {
      REENACT_RETURN_IF_ERROR(DoubtStart());
    }
    if (report_.verdict == Verdict::kIdentical) CompareModules();
    return std::move(report_);
  }

  absl::StatusOr<VerifyReport> RunSlice() {
    REENACT_RETURN_IF_ERROR(CheckSliceFormat(options_.path));
    const absl::StatusOr<Slice> slice = ReadSlice(options_.path);
    if (!slice.ok()) return Damaged(slice.status());
    start_.place = slice->start;
    start_.path = slice->base_path;
    blocks_ = &slice->blocks;
    report_.head = slice->head;
    report_.journal = slice->journal;
    report_.blocks = slice->blocks.blocks.size();
    Replay();
    REENACT_RETURN_IF_ERROR(TakeResults());
    REENACT_RETURN_IF_ERROR(Judge());
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

  void NoteHead() {
    const std::string& damaged = archive_->findings().head_detail;
    if (damaged.empty()) return;
    report_.notes.push_back(damaged + "; read past it, the other slot counts");
  }

  // The hash and the place of each block before `end`.
  absl::Status CheckChain(std::uint64_t end) {
    const auto stream = BlockStream::Start(
        [this](std::uint64_t from, const RecordedBlocks::Visit& visit) {
          return blocks_->Scan(from, visit);
        },
        ChainEnd::Nothing(), end, HasCoreToSpare());
    for (;;) {
      if (Cancelled()) return absl::CancelledError("interrupted");
      const auto block = stream->Next();
      if (!block.ok()) return Annotate(block.status(), "journal (db)");
      if (*block == nullptr) return absl::OkStatus();
    }
  }

  absl::Status ReadSnapshots() {
    REENACT_ASSIGN_OR_RETURN(std::vector<EventId> ids,
                             ListSnapshots(archive_->paths().snapshots));
    for (EventId id : ids) {
      KnownSnapshot known;
      known.event_id = id;
      known.path = archive_->paths().Snapshot(id);
      REENACT_ASSIGN_OR_RETURN(known.contents, ReadSnapshotFile(known.path));
      absl::Status status = CheckPlace(known.contents);
      if (status.ok() && known.contents.header.event_id != id) {
        status = absl::DataLossError("it is of another ticket");
      }
      REENACT_RETURN_IF_ERROR(Annotate(status, known.path));
      REENACT_RETURN_IF_ERROR(CheckQueues(known));
      const std::uint64_t count = known.contents.header.block_count;
      snapshots_.emplace(count, std::move(known));
    }
    return absl::OkStatus();
  }

  // Whether the block that it says it is right after is there, and says so.
  absl::Status CheckPlace(const SnapshotContents& contents) {
    const std::uint64_t count = contents.header.block_count;
    if (count == 0 || count > blocks_->block_count()) {
      return absl::DataLossError("it is ahead of the journal");
    }
    REENACT_ASSIGN_OR_RETURN(const Bytes stored, blocks_->ReadBlock(count - 1));
    REENACT_ASSIGN_OR_RETURN(const BlockView block, DecodeBlock(stored));
    return CheckIsAfter(contents.header, contents.sequencer, block);
  }

  // Whether a world can go on with these queues, for a replay that starts with
  // them. That they are the right ones is for the replay before to say.
  static absl::Status CheckQueues(const KnownSnapshot& known) {
    const absl::Status read = State::At(CheckpointOf(known.contents)).status();
    if (read.ok()) return read;
    return absl::DataLossError(known.path +
                               ": its queues are not those at ticket " +
                               std::to_string(known.event_id.value) + ": " +
                               std::string(ToStd(read.message())));
  }

  // The record of open work that the next opening goes on from.
  absl::Status ReadRecord() {
    REENACT_ASSIGN_OR_RETURN(const Bytes bytes,
                             archive_->store().ReadOpenWork());
    if (bytes.empty()) return absl::OkStatus();
    KnownSnapshot record;
    record.path = kRecordName;
    absl::StatusOr<SnapshotContents> contents = DecodeOpenWork(bytes);
    if (!contents.ok()) return Annotate(contents.status(), record.path);
    record.contents = *std::move(contents);
    record.event_id = record.contents.header.event_id;
    REENACT_RETURN_IF_ERROR(Annotate(CheckPlace(record.contents), record.path));
    record_ = std::move(record);
    return absl::OkStatus();
  }

  // A replay that comes past the place of the record compares it. Where one
  // begins later, only the next one from genesis can.
  void LookForStrayRecord() {
    if (!record_ || outcome_.findings.record_checked) return;
    const SnapshotHeader& header = record_->contents.header;
    const std::string place = "block " + std::to_string(header.block_count - 1);
    if (!start_.place || header.block_count > start_.block()) {
      (void)Damage(record_->path + ": a world makes none at the end of " +
                   place);
    } else if (header.block_count < start_.block()) {
      report_.notes.push_back("the record of open work is as of " + place +
                              ", before the snapshot; it was not compared");
    } else if (CheckpointOf(record_->contents) != *start_.place) {
      (void)Damage(record_->path +
                   ": it is not what the snapshot says at "
                   "the end of " +
                   place);
    }
  }

  void ChooseStart() {
    if (options_.from_snapshot && !snapshots_.empty()) {
      const KnownSnapshot& newest = snapshots_.rbegin()->second;
      start_.path = newest.path;
      start_.place = CheckpointOf(newest.contents);
      return;
    }
    if (options_.from_snapshot) {
      report_.notes.push_back("there is no snapshot: replayed from genesis");
    }
    REENACT_CHECK(archive_->findings().genesis.has_value());
    start_.genesis = *archive_->findings().genesis;
  }

  bool Cancelled() const { return options_.cancelled && options_.cancelled(); }

  // The reducer table with every name that it is ever given. REQUIRES: all is
  // not well.
  std::vector<std::string> FullTable() const {
    return archive_ != nullptr ? archive_->config().reducers
                               : start_.config().reducers;
  }

  ReplayRun::Options RunOptions() {
    ReplayRun::Options run;
    run.blocks = blocks_;
    run.snapshots = archive_ != nullptr ? &snapshots_ : nullptr;
    run.record = record_ ? &*record_ : nullptr;
    run.modules = options_.modules;
    run.start = start_;
    run.end = blocks_->block_count();
    run.workers = options_.workers;
    run.run_twice = options_.run_twice;
    run.cancelled = options_.cancelled;
    if (options_.observe) run.observer = &announcer_;
    if (options_.progress) {
      run.progress = [this](EventId done) {
        options_.progress(done.value, report_.head.value);
      };
    }
    return run;
  }

  void Replay() {
    report_.from = start_.event_id();
    ReplayRun::Options options = RunOptions();
    if (archive_ != nullptr) {
      options.meanwhile = [this] { DigestStoredCells(); };
    }
    outcome_ = RunInSegments(options, options_.threads);
  }

  bool CellsAreOfHead() const {
    return archive_->store().cells_through() == archive_->block_count();
  }

  void DigestStoredCells() {
    if (CellsAreOfHead()) stored_cells_ = archive_->StateDigest();
  }

  absl::Status TakeResults() {
    if (absl::IsDataLoss(outcome_.opened)) {
      return Damage(std::string(ToStd(outcome_.opened.message())));
    }
    REENACT_RETURN_IF_ERROR(outcome_.opened);
    report_.tickets = outcome_.tickets;
    report_.failed_steps = outcome_.failed_steps;
    report_.reruns = outcome_.reruns;
    if (archive_ != nullptr && start_.place) {
      report_.snapshots_checked.push_back(report_.from);
    }
    const auto& checked = outcome_.findings.snapshots_checked;
    report_.snapshots_checked.insert(report_.snapshots_checked.end(),
                                     checked.begin(), checked.end());
    report_.state = outcome_.state;
    return absl::OkStatus();
  }

  absl::Status Judge() {
    const absl::Status& status = outcome_.status;
    if (status.ok()) return absl::OkStatus();
    if (status.code() == absl::StatusCode::kCancelled) return status;
    if (outcome_.impure) {
      report_.verdict = Verdict::kImpure;
      Divergence divergence;
      divergence.event_id = outcome_.impure->event_id;
      divergence.reducer = outcome_.impure->cell.reducer;
      divergence.key = outcome_.impure->cell.key;
      FillFromJournal(&divergence);
      DescribeRuns(&divergence);
      report_.divergence = std::move(divergence);
      return absl::OkStatus();
    }
    if (!outcome_.findings.problem.empty()) {
      return Damage(outcome_.findings.problem);
    }
    if (outcome_.findings.mismatch) {
      report_.verdict = Verdict::kDiverged;
      return Explain();
    }
    if (!outcome_.problem.empty()) return Damage(outcome_.problem);
    return JudgeInputs(status);
  }

  // What one of two runs of a step came to, and what the other did.
  void DescribeRuns(Divergence* divergence) {
    if (outcome_.impure->touched) {
      divergence->field = "two calls of Touch()";
      divergence->recorded = outcome_.impure->touched->first;
      divergence->recomputed = outcome_.impure->touched->second;
      return;
    }
    const std::vector<Bytes> first = SplitEntries(outcome_.impure->first);
    const std::vector<Bytes> second = SplitEntries(outcome_.impure->second);
    if (first.size() != 2 || second.size() != 2) return;
    DescribeDifference(FullTable(), first[1], second[1], divergence);
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
      divergence.recorded = "block " + std::to_string(outcome_.block);
      divergence.recomputed = message;
      report_.divergence = std::move(divergence);
      return absl::OkStatus();
    }
    const bool refused = status.code() == absl::StatusCode::kInvalidArgument ||
                         status.code() == absl::StatusCode::kNotFound;
    // A change of modules asks for modules that were not given.
    if (!refused || outcome_.controls) return status;
    return Damage("journal, block " + std::to_string(outcome_.block) +
                  ": no world admits this input: " + message);
  }

  // --- the first divergence, explained ---------------------------------------

  absl::Status Explain() {
    const std::uint64_t index = *outcome_.findings.mismatch;
    REENACT_ASSIGN_OR_RETURN(const Bytes recorded, blocks_->ReadBlock(index));
    REENACT_ASSIGN_OR_RETURN(const BlockView a, DecodeBlock(recorded));
    REENACT_ASSIGN_OR_RETURN(const BlockView b,
                             DecodeBlock(outcome_.findings.recomputed));

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
      if (a.header.open_work != b.header.open_work) {
        divergence.field = "open work";
        divergence.recorded = DigestOrNone(a.header.open_work);
        divergence.recomputed = DigestOrNone(b.header.open_work);
      }
    } else {
      // Once for the ticket, once more when its cell is known.
      const std::vector<std::string> table = FullTable();
      DescribeDifference(table, x, y, &divergence);
      if (FillFromSchedule(table, ys, &divergence)) {
        DescribeInput(&divergence);
      } else {
        FillFromJournal(&divergence);
      }
      DescribeDifference(table, x, y, &divergence);
    }
    report_.divergence = std::move(divergence);
    return Rerun(index);
  }

  static std::string DigestOrNone(const std::optional<Digest>& digest) {
    return digest ? "digest " + digest->ToHex().substr(0, 16) : "none";
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
      if (FillFromSchedule(FullTable(), SplitEntries(block->entries),
                           divergence)) {
        DescribeInput(divergence);
      }
      return;
    }
  }

  std::uint64_t FirstBlockOf(EventId event_id) const {
    if (archive_ == nullptr) return start_.block();
    return archive_->FindBlock(event_id).value_or(start_.block());
  }

  // Where the input stood in what it came from, looked for in recent blocks.
  void DescribeInput(Divergence* divergence) const {
    if (!divergence->cause->is_input()) return;
    constexpr std::uint64_t kBlocksMax = 1000;
    const std::uint64_t end =
        std::min(outcome_.block + 1, blocks_->block_count());
    const std::uint64_t first =
        std::max(start_.block(), end - std::min(end, kBlocksMax));
    for (std::uint64_t i = end; i > first; --i) {
      for (const Bytes& item : EntriesOf(*blocks_, i - 1)) {
        const absl::StatusOr<Entry> entry = DecodeEntry(item);
        const auto* admitted =
            entry.ok() ? std::get_if<entry::InputAdmitted>(&*entry) : nullptr;
        if (admitted == nullptr ||
            admitted->input != divergence->cause->input) {
          continue;
        }
        if (admitted->position != 0) {
          divergence->cause_text +=
              " at position " + std::to_string(admitted->position);
        }
        return;
      }
    }
  }

  // Runs up to the divergent block again, serially: what did the step read, is
  // it the same this time, and what is the least that shows it?
  absl::Status Rerun(std::uint64_t index) {
    Observer observer(&options_.observe, FullTable(),
                      report_.divergence->event_id);
    ReplayRun::Options options = RunOptions();
    options.snapshots = nullptr;
    options.record = nullptr;
    options.progress = nullptr;
    options.observer = &observer;
    options.workers = 0;
    options.run_twice = false;
    REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<ReplayRun> run,
                             ReplayRun::Open(std::move(options)));
    if (!run->RunBefore(index).ok()) {
      if (Cancelled()) return absl::CancelledError("interrupted");
      return Unstable("an earlier ticket differed this time");
    }
    REENACT_ASSIGN_OR_RETURN(const Checkpoint place, run->Place());
    std::map<CellRef, Bytes> cells;
    if (!options_.slice.empty()) {
      REENACT_ASSIGN_OR_RETURN(cells, run->Cells());
    }
    observer.NoteCells();
    NoteRecordedCells(index, &observer);
    (void)run->RunBefore(index + 1);
    report_.divergence->reads = observer.reads();
    const ComparingWriter::Findings& findings = run->findings();
    if (findings.mismatch != index ||
        findings.recomputed != outcome_.findings.recomputed) {
      return Unstable("the same ticket came out otherwise this time");
    }
    if (!options_.slice.empty()) {
      MakeSlice(place, cells, observer, index);
    }
    return absl::OkStatus();
  }

  // What the recorded block changed belongs into a slice, too: the reducers
  // that were recorded may touch what those that diverge leave alone.
  void NoteRecordedCells(std::uint64_t index, Observer* observer) const {
    for (const Bytes& item : EntriesOf(*blocks_, index)) {
      const absl::StatusOr<Entry> entry = DecodeEntry(item);
      if (!entry.ok()) continue;
      const auto* place = std::get_if<entry::StepScheduled>(&*entry);
      if (place != nullptr && place->subject) {
        observer->NoteCell(*place->subject);
      }
      const auto* step = std::get_if<entry::StepCommitted>(&*entry);
      if (step == nullptr) continue;
      for (const Diff& diff : step->diffs) {
        if (diff.cell) observer->NoteCell(*diff.cell);
      }
    }
  }

  absl::Status Unstable(const std::string& how) {
    report_.verdict = Verdict::kImpure;
    report_.notes.push_back("replayed twice: " + how);
    return absl::OkStatus();
  }

  void MakeSlice(const Checkpoint& place, const std::map<CellRef, Bytes>& cells,
                 const Observer& observer, std::uint64_t index) {
    const absl::StatusOr<Bytes> block = blocks_->ReadBlock(index);
    absl::Status status = block.status();
    if (status.ok()) {
      status = WriteSlice(
          options_.slice, place, cells,
          [&observer](const CellRef& cell) { return observer.Noted(cell); },
          *block);
    }
    report_.slice_note =
        status.ok() ? options_.slice
                    : "no slice: " + std::string(ToStd(status.message()));
  }

  // --- the rest --------------------------------------------------------------

  // A replay that comes past the place of a snapshot compares it, if one was
  // taken there.
  void LookForStraySnapshots() {
    for (const auto& [block_count, known] : snapshots_) {
      if (known.event_id < report_.from) continue;
      const auto& checked = report_.snapshots_checked;
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
    if (!start_.place) return absl::OkStatus();
    REENACT_ASSIGN_OR_RETURN(Digest recorded, FoldState(start_.block()));
    const KnownSnapshot& base = snapshots_.at(start_.block());
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
  // without running a reducer, nor believing a snapshot.
  absl::StatusOr<Digest> FoldState(std::uint64_t end) {
    CellChanges changes([](ReducerId, std::string_view) {
      return absl::StatusOr<CellChanges::State>(CellChanges::State());
    });
    const auto stream = BlockStream::Start(
        [this](std::uint64_t from, const RecordedBlocks::Visit& visit) {
          return blocks_->Scan(from, visit);
        },
        ChainEnd::Nothing(), end, HasCoreToSpare());
    for (;;) {
      REENACT_ASSIGN_OR_RETURN(const auto block, stream->Next());
      if (block == nullptr) break;
      REENACT_RETURN_IF_ERROR(VisitDiffs(
          block->entries(), block->header().entry_count, report_.head,
          [&changes](const auto& cell, EventId by, const auto& diff) {
            return changes.Add(cell, by, diff);
          }));
    }
    SnapshotEncoder encoder(SnapshotHeader{}, "\xf6",
                            [](BytesView) { return absl::OkStatus(); });
    for (const CellChanges::Change* change : changes.Sorted()) {
      if (!change->exists) continue;
      REENACT_RETURN_IF_ERROR(
          encoder.AddCell(change->reducer, change->key, change->state));
    }
    REENACT_ASSIGN_OR_RETURN(const SnapshotDigests digests, encoder.Finish());
    return digests.state;
  }

  // The cells in the database must be what the replay came to.
  absl::Status CompareStoredCells() {
    if (!CellsAreOfHead()) {
      report_.notes.push_back(
          "the stored cells are not as of the head; they were not compared");
      return absl::OkStatus();
    }
    if (!stored_cells_) DigestStoredCells();
    if (!stored_cells_->ok()) return Damaged(stored_cells_->status()).status();
    if (**stored_cells_ == report_.state) return absl::OkStatus();
    return Damage(
        "db: the stored cells are not the state that the journal leads to");
  }

  void CompareModules() {
    bool changed = false;
    std::vector<ModuleRecord> recorded = start_.config().modules;
    recorded.insert(recorded.end(), outcome_.modules.begin(),
                    outcome_.modules.end());
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
    if (IsNoVerdict(status)) return status;
    report_.verdict = Verdict::kDamaged;
    report_.problem = std::string(ToStd(status.message()));
    return report_;
  }

  const VerifyOptions& options_;
  Announcer announcer_;
  VerifyReport report_;
  std::unique_ptr<Archive> archive_;  // null for a slice
  const RecordedBlocks* blocks_ = nullptr;
  KnownSnapshots snapshots_;
  std::optional<KnownSnapshot> record_;  // of open work
  ReplayRun::Start start_;
  ReplayOutcome outcome_;
  std::optional<absl::StatusOr<Digest>> stored_cells_;
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
  try {
    return Verifier(options).Run();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "memory has run out; verify again when there is some");
  }
}

}  // namespace reenact
