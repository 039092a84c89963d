#include "reenact/world/forward.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/base/instrument.h"
#include "reenact/committer/ledger.h"
#include "reenact/journal/block.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/cell_changes.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/plain_entries.h"
#include "reenact/journal/recorded_config.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cell_hash.h"
#include "reenact/kernel/due_times.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/world/state.h"

namespace reenact {
namespace {

// A thread that reads ahead is worth starting for more blocks than that.
constexpr std::uint64_t kBlocksAlone = 8;

// The changes of blocks, on their way to the store.
class CellWriter {
 public:
  CellWriter(Store* store, std::size_t bytes_max)
      : store_(store),
        bytes_max_(bytes_max),
        changes_([store](ReducerId reducer, std::string_view key) {
          return Present(*store, reducer, key);
        }) {}

  // Whether the cells of this block are in the store.
  bool IsStored(std::uint64_t block) const {
    return block < store_->cells_through();
  }

  // Applies the diffs that are left of the step.
  absl::Status Add(EventId by, const std::optional<entry::CellRefView>& own,
                   EntryReader* entries) {
    entry::DiffView diff;
    while (entries->NextDiff(&diff)) {
      if (!diff.cell && !own) {
        return absl::DataLossError("ticket " + std::to_string(by.value) +
                                   " changes a cell that it does not have");
      }
      REENACT_RETURN_IF_ERROR(
          changes_.Add(diff.cell ? *diff.cell : *own, by, diff));
    }
    return absl::OkStatus();
  }

  void PutAll(const std::vector<CellChanges::NewState>& puts) {
    changes_.PutAll(puts);
  }

  // The blocks up to `block_count` are in the changes.
  absl::Status EndBlock(std::uint64_t block_count) {
    if (changes_.byte_size() < bytes_max_) return absl::OkStatus();
    return Write(block_count);
  }

  absl::Status Write(std::uint64_t block_count) {
    if (changes_.empty()) return absl::OkStatus();
    CellBatch cells;
    for (const CellChanges::Change& change : changes_.all()) {
      cells.Add(change.reducer, change.key, change.version,
                change.exists ? std::optional<BytesView>(change.state)
                              : std::nullopt);
    }
    changes_.Clear();
    CommitGroup group;
    group.first_index = block_count;
    group.cells.push_back(&cells);
    return store_->Commit(group, false);
  }

 private:
  static absl::StatusOr<std::optional<Bytes>> Present(const Store& store,
                                                      ReducerId reducer,
                                                      std::string_view key) {
    REENACT_ASSIGN_OR_RETURN(std::optional<StoredCell> stored,
                             store.ReadCell(reducer, key));
    if (!stored) return std::optional<Bytes>();
    return std::optional<Bytes>(std::move(stored->state));
  }

  Store* const store_;
  const std::size_t bytes_max_;
  CellChanges changes_;
};

bool IsTicketOf(const entry::StepScheduledView& step, const Unit& unit) {
  return step.kind == unit.kind && step.cause == unit.cause && step.subject &&
         step.subject->reducer == unit.reducer && step.subject->key == unit.key;
}

// What a block says of the place after it.
struct After {
  Round round;
  LogicalTime time;
  EventId first;
  InputId last_input;
  std::uint64_t position = 0;
};

// Applies recorded blocks to a place in history, without running reducers.
class Forwarder {
 public:
  Forwarder(Store* store, State state, const ForwardOptions& options)
      : options_(options),
        state_(std::move(state)),
        cells_(store, options.unwritten_bytes_max) {}

  const Checkpoint& at() const { return state_.at(); }
  const WorldConfig& config() const { return state_.config(); }

  absl::Status Apply(const KeptBlock& block) {
    block_ = &block;
    stored_ = cells_.IsStored(block.header().index);
    applied_ = EventId{0};
    bool passed = false;
    if (!options_.always_schedule && state_.queues().empty()) {
      REENACT_ASSIGN_OR_RETURN(passed, TrySkipRound());
      PutAll();
    }
    if (!passed) REENACT_RETURN_IF_ERROR(Schedule());
    // Nobody is told of what is history.
    state_.ledger().TakeNotices(after_.time);
    state_.TakeInputs(after_.last_input, after_.position);
    state_.Advance(after_.round, after_.time, block.header().ticket_count);
    state_.SetJournalEnd(block.header().index + 1, block.hash());
    return cells_.EndBlock(at().block_count);
  }

  // The place that it has come to. The cells are in the store.
  absl::StatusOr<Checkpoint> Finish() {
    REENACT_RETURN_IF_ERROR(cells_.Write(at().block_count));
    return state_.Encode();
  }

 private:
  // "block 7, entry 2"; the block alone, if it is no entry's fault.
  std::string At() const {
    std::string at = "block " + std::to_string(block_->header().index);
    if (entries_read_ > 0) at += ", entry " + std::to_string(entries_read_ - 1);
    return at;
  }
  absl::Status Wrong(std::string_view what) const {
    return absl::DataLossError(ToAbsl(At() + ": " + std::string(what)));
  }
  absl::Status Wrong(const absl::Status& status) const {
    return Annotate(AsDataLoss(status), At());
  }
  absl::Status WrongBlock(std::string_view what) {
    entries_read_ = 0;
    return Wrong(what);
  }

  // The beginning of either way.
  void Begin() {
    after_ = After{at().round, at().time, EventId{0}, at().last_input, 0};
    opened_ = false;
    snapshot_ = false;
    own_.reset();
    entries_read_ = 0;
    next_ticket_ = block_->header().first;
    open_ticket_ = false;
  }

  absl::Status OnRound(const entry::RoundOpened& round) {
    const BlockHeader& header = block_->header();
    if (entries_read_ != 1 || round.round != header.round ||
        round.first != header.first || round.count != header.ticket_count) {
      return Wrong("a RoundOpened that is not its block's");
    }
    if (round.round.value > kRoundMax) return Wrong("no world gets so far");
    opened_ = true;
    after_.round = round.round;
    after_.time = round.time;
    after_.first = round.first;
    return round.source ? OnSource(*round.source) : absl::OkStatus();
  }

  absl::Status OnSource(const SourceRead& read) {
    if (config().format_version < kFormatVersionSources) {
      return Wrong("a source with a name, which this format does not have");
    }
    state_.TakeSource(read);
    if (at().sources.size() <= kSourcesMax) return absl::OkStatus();
    return Wrong("more sources than a world remembers");
  }

  absl::Status OnInput(const entry::InputAdmittedView& input) {
    if (input.input.value != after_.last_input.value + 1) {
      return Wrong("input " + std::to_string(input.input.value) +
                   " is out of order");
    }
    if (input.submission_id.size() > kSubmissionIdBytesMax) {
      return Wrong("input " + std::to_string(input.input.value) +
                   " has a submission id of more than 64 bytes");
    }
    REENACT_RETURN_IF_ERROR(CheckReducer(input.reducer));
    after_.last_input = input.input;
    if (input.position != 0) after_.position = input.position;
    return absl::OkStatus();
  }

  absl::Status CheckReducer(ReducerId reducer) const {
    if (reducer < config().reducers.size()) return absl::OkStatus();
    return Wrong("there is no reducer " + std::to_string(reducer));
  }

  // Tickets are in order, and each has one outcome, right behind it.
  absl::Status OnTicket(EventId event_id) {
    if (!opened_) return Wrong("a ticket before RoundOpened");
    if (open_ticket_ || event_id != next_ticket_) {
      return Wrong("ticket " + std::to_string(event_id.value) +
                   " is out of order");
    }
    open_ticket_ = true;
    return absl::OkStatus();
  }
  absl::Status OnOutcome(EventId event_id) {
    if (!open_ticket_ || event_id != next_ticket_) {
      return Wrong("an outcome of ticket " + std::to_string(event_id.value) +
                   ", which is not there");
    }
    open_ticket_ = false;
    next_ticket_ = next_ticket_.Next();
    return absl::OkStatus();
  }

  // Steps in front of which `applied_` stands have been here before.
  absl::Status OnDiffs(EventId by, EntryReader* entries) {
    if (stored_ || by <= applied_) return absl::OkStatus();
    applied_ = by;
    PutAll();
    const absl::Status status = cells_.Add(by, own_, entries);
    return status.ok() ? status : Wrong(status);
  }

  absl::Status EndOfEntries(const EntryReader& entries, std::uint64_t count) {
    if (!entries.status().ok()) {
      ++entries_read_;  // the one that cannot be read
      return Wrong(entries.status());
    }
    if (count != block_->header().entry_count) {
      return WrongBlock("it has " + std::to_string(count) +
                        " entries and says that it has " +
                        std::to_string(block_->header().entry_count));
    }
    if (!opened_ || open_ticket_ ||
        next_ticket_ != block_->header().last().Next()) {
      return WrongBlock("its tickets are not those that it says");
    }
    const bool binds =
        config().format_version >= kFormatVersionOpenWork &&
        (snapshot_ || block_->header().index % kOpenWorkEvery == 0);
    if (block_->header().open_work.has_value() != binds) {
      return WrongBlock(binds ? "it does not say what is open at its end"
                              : "it says what is open at its end");
    }
    return absl::OkStatus();
  }

  // --- blocks that leave nothing waiting -------------------------------------

  absl::StatusOr<bool> TrySkipRound();
  absl::Status PassInput(const entry::InputAdmittedView& input);
  bool PassInputs(const PlainInputs& inputs);
  bool PassStep(const PlainStep& step);
  bool TakeTicket(InputId cause);
  // Applies the diffs of the steps passed lately.
  void PutAll() {
    cells_.PutAll(puts_);
    puts_.clear();
  }

  // --- all others ------------------------------------------------------------

  absl::Status Schedule();
  absl::Status OnEntry(EntryKind kind, EntryReader* entries);
  absl::Status OnStep(EntryReader* entries);
  absl::Status OnScheduled(const entry::StepScheduledView& step);
  absl::Status OnControl(EntryReader* entries);
  absl::Status OnFailureOrdered(EntryReader* entries);
  absl::Status ChangeLedger();
  absl::Status ApplyToLedger(const Entry& control);
  absl::Status OnReceipt(EntryReader* entries);
  absl::Status OnEffects(EventId by, EntryReader* entries);
  absl::Status OnRecorded(EntryReader* entries);
  absl::Status FollowRaised();
  absl::Status RollBackIfAsked();
  void ExpectEntries();
  absl::Status ExpectRecorded();
  absl::Status ComposeOnce();

  const ForwardOptions options_;
  State state_;
  CellWriter cells_;

  // Of the block that is being applied.
  const KeptBlock* block_ = nullptr;
  bool stored_ = false;
  std::uint64_t entries_read_ = 0;
  EventId next_ticket_;       // that comes next, or whose outcome does
  bool open_ticket_ = false;  // it is there, and its outcome is not
  EventId at_;                // the ticket that is read
  EventId applied_;           // diffs of steps up to here are in `cells_`
  After after_;
  bool opened_ = false;
  bool snapshot_ = false;  // one is taken at its end
  std::optional<entry::CellRefView> own_;
  // Passing over: its inputs, and which of them have had their tickets.
  std::vector<std::pair<std::string_view, InputId>> submissions_;
  std::vector<char> ticketed_;
  std::vector<CellChanges::NewState> puts_;  // not in `cells_` yet
  std::uint64_t tickets_ = 0;
  // Scheduling.
  std::vector<Entry> controls_;  // in order of their tickets
  std::size_t next_control_ = 0;
  Ledger::Consequences consequences_;
  std::deque<Entry> expected_;  // what the ledger says, until it is read
  State::RoundEnd end_;
  bool composed_once_ = false;
  std::vector<Unit*> composed_;
  std::size_t next_unit_ = 0;
};

// --- blocks that leave nothing waiting ---------------------------------------

// False: the scheduling rules have to be run. Then nothing but diffs has been
// applied, up to `applied_`.
absl::StatusOr<bool> Forwarder::TrySkipRound() {
  Begin();
  submissions_.clear();
  ticketed_.clear();
  tickets_ = 0;
  cbor::Reader reader(block_->entries());
  EntryReader entries(&reader);
  std::uint64_t count = 0;
  entry::InputAdmittedView plain_input;
  PlainStep plain_step;
  for (;;) {
    entries.Finish();
    if (!entries.status().ok()) return Wrong(entries.status());
    if (block_->inputs().begin == reader.offset() &&
        PassInputs(block_->inputs())) {
      count += block_->inputs().count;
      entries_read_ = count;
      reader.Pass(block_->inputs().size);
    }
    while (TakePlainInput(&reader, &plain_input)) {
      entries_read_ = ++count;
      REENACT_RETURN_IF_ERROR(PassInput(plain_input));
    }
    while (TakePlainStep(&reader, &plain_step)) {
      count += 2;
      entries_read_ = count;
      if (!PassStep(plain_step)) return false;
    }
    const std::optional<EntryKind> kind = entries.Next();
    if (!kind) break;
    entries_read_ = ++count;
    if (*kind == EntryKind::kStepScheduled) {
      const entry::StepScheduledView step = entries.StepScheduled();
      if (!entries.status().ok()) return Wrong(entries.status());
      REENACT_RETURN_IF_ERROR(OnTicket(step.event_id));
      own_ = step.subject;
      if (own_) REENACT_RETURN_IF_ERROR(CheckReducer(own_->reducer));
      if (!step.cause.is_input() || !TakeTicket(step.cause.input)) return false;
    } else if (*kind == EntryKind::kStepCommitted) {
      const EventId by = entries.StepCommitted().event_id;
      if (!entries.status().ok()) return Wrong(entries.status());
      REENACT_RETURN_IF_ERROR(OnOutcome(by));
      REENACT_RETURN_IF_ERROR(OnDiffs(by, &entries));
      entry::RaisedEventView raised;
      if (entries.NextEvent(&raised)) return false;
      entry::EffectIntentView effect;
      if (state_.has_effects() && entries.NextEffect(&effect)) return false;
    } else if (*kind == EntryKind::kInputAdmitted) {
      const entry::InputAdmittedView input = entries.InputAdmitted();
      if (!entries.status().ok()) return Wrong(entries.status());
      REENACT_RETURN_IF_ERROR(PassInput(input));
    } else if (*kind == EntryKind::kRoundOpened) {
      const entry::RoundOpened round = entries.RoundOpened();
      if (!entries.status().ok()) return Wrong(entries.status());
      REENACT_RETURN_IF_ERROR(OnRound(round));
    } else if (*kind == EntryKind::kStepFailed) {
      const entry::StepFailed failed = entries.StepFailed();
      if (!entries.status().ok()) return Wrong(entries.status());
      REENACT_RETURN_IF_ERROR(OnOutcome(failed.event_id));
    } else if (*kind == EntryKind::kSnapshotTaken) {
      snapshot_ = true;
    } else {
      return false;
    }
  }
  REENACT_RETURN_IF_ERROR(EndOfEntries(entries, count));
  if (!opened_ || tickets_ != ticketed_.size()) return false;
  for (const auto& [id, input] : submissions_) {
    state_.queues().RememberSubmission(id, input);
  }
  state_.queues().SkipRound(after_.round);
  return true;
}

absl::Status Forwarder::PassInput(const entry::InputAdmittedView& input) {
  REENACT_RETURN_IF_ERROR(OnInput(input));
  ticketed_.push_back(0);
  if (!input.submission_id.empty()) {
    submissions_.emplace_back(input.submission_id, input.input);
  }
  return absl::OkStatus();
}

// All of them at once. False: they have to be looked at one by one.
bool Forwarder::PassInputs(const PlainInputs& inputs) {
  if (inputs.count == 0 || inputs.first.value != after_.last_input.value + 1 ||
      inputs.reducer_max >= config().reducers.size()) {
    return false;
  }
  after_.last_input.value += inputs.count;
  if (inputs.position != 0) after_.position = inputs.position;
  ticketed_.resize(ticketed_.size() + inputs.count);
  submissions_.insert(submissions_.end(), inputs.submissions.begin(),
                      inputs.submissions.end());
  return true;
}

// False as for TakeTicket().
bool Forwarder::PassStep(const PlainStep& step) {
  own_ = step.cell;
  if (open_ticket_ || step.event_id != next_ticket_ ||
      step.cell.reducer >= config().reducers.size()) {
    return false;
  }
  next_ticket_ = next_ticket_.Next();
  if (!TakeTicket(step.cause)) return false;
  if (stored_ || step.event_id <= applied_) return true;
  applied_ = step.event_id;
  puts_.push_back({step.cell, step.event_id, step.state,
                   CellHash(step.cell.reducer, step.cell.key)});
  return true;
}

// Whether the ticket's cause is an input of this block that had none yet.
bool Forwarder::TakeTicket(InputId cause) {
  if (cause <= at().last_input) return false;
  const std::uint64_t index = cause.value - at().last_input.value - 1;
  if (index >= ticketed_.size() || ticketed_[index] != 0) return false;
  ticketed_[index] = 1;
  ++tickets_;
  return true;
}

// --- all others --------------------------------------------------------------

absl::Status Forwarder::Schedule() {
  Begin();
  composed_once_ = false;
  next_unit_ = 0;
  end_.Clear();
  controls_.clear();
  next_control_ = 0;
  expected_.clear();
  cbor::Reader reader(block_->entries());
  EntryReader entries(&reader);
  std::uint64_t count = 0;
  while (const std::optional<EntryKind> kind = entries.Next()) {
    entries_read_ = ++count;
    REENACT_RETURN_IF_ERROR(OnEntry(*kind, &entries));
    entries.Finish();
    if (!entries.status().ok()) return Wrong(entries.status());
  }
  REENACT_RETURN_IF_ERROR(EndOfEntries(entries, count));
  entries_read_ = 0;  // what is wrong from here on is no entry's fault
  if (!end_.control) {
    REENACT_RETURN_IF_ERROR(ComposeOnce());
    if (next_unit_ != composed_.size()) {
      return Wrong("it has fewer tickets than the scheduling rules give");
    }
  }
  if (next_control_ != controls_.size() || !expected_.empty()) {
    return Wrong(
        "it ends before what its control commands and effects lead to");
  }
  for (Unit* unit : composed_) state_.queues().Recycle(unit);
  composed_.clear();
  if (!end_.raised.empty() &&
      REENACT_PLANTED("recovery loses what was raised last")) {
    state_.queues().Recycle(end_.raised.back());
    end_.raised.pop_back();
  }
  state_.EndRound(after_.round, &end_);
  return absl::OkStatus();
}

absl::Status Forwarder::OnEntry(EntryKind kind, EntryReader* entries) {
  switch (kind) {
    case EntryKind::kRoundOpened: {
      const entry::RoundOpened round = entries->RoundOpened();
      if (!entries->status().ok()) return Wrong(entries->status());
      return OnRound(round);
    }
    case EntryKind::kInputAdmitted: {
      const entry::InputAdmittedView input = entries->InputAdmitted();
      if (!entries->status().ok()) return Wrong(entries->status());
      REENACT_RETURN_IF_ERROR(OnInput(input));
      state_.Admit(input, input.input);
      return absl::OkStatus();
    }
    case EntryKind::kStepScheduled: {
      const entry::StepScheduledView step = entries->StepScheduled();
      if (!entries->status().ok()) return Wrong(entries->status());
      return OnScheduled(step);
    }
    case EntryKind::kStepCommitted:
      return OnStep(entries);
    case EntryKind::kStepFailed: {
      const entry::StepFailed failed = entries->StepFailed();
      if (!entries->status().ok()) return Wrong(entries->status());
      return OnOutcome(failed.event_id);
    }
    case EntryKind::kSnapshotTaken:
      snapshot_ = true;
      return absl::OkStatus();
    case EntryKind::kGenesis:
      return Wrong("a second Genesis");
    case EntryKind::kModuleChanged:
    case EntryKind::kConfigChanged:
    case EntryKind::kSnapshotRequested:
    case EntryKind::kGrantChanged:
    case EntryKind::kPolicyChanged:
    case EntryKind::kEffectJudged:
    case EntryKind::kEffectsCancelled:
    case EntryKind::kRolledBack:
      return OnControl(entries);
    case EntryKind::kReceiptAppended:
    case EntryKind::kReceiptRefused:
      return OnReceipt(entries);
    case EntryKind::kFailureOrdered:
      return OnFailureOrdered(entries);
    case EntryKind::kEffectQueued:
    case EntryKind::kEffectClosed:
    case EntryKind::kReceiptShared:
      return OnRecorded(entries);
  }
  return Wrong("an entry of an unknown kind");
}

absl::Status Forwarder::OnScheduled(const entry::StepScheduledView& step) {
  REENACT_RETURN_IF_ERROR(OnTicket(step.event_id));
  own_ = step.subject;
  at_ = step.event_id;
  REENACT_RETURN_IF_ERROR(ExpectRecorded());
  if (end_.control) return ChangeLedger();
  REENACT_RETURN_IF_ERROR(ComposeOnce());
  if (next_unit_ >= composed_.size() ||
      !IsTicketOf(step, *composed_[next_unit_])) {
    return Wrong("ticket " + std::to_string(step.event_id.value) +
                 " is not the one that the scheduling rules give");
  }
  ++next_unit_;
  return absl::OkStatus();
}

absl::Status Forwarder::OnStep(EntryReader* entries) {
  const EventId by = entries->StepCommitted().event_id;
  if (!entries->status().ok()) return Wrong(entries->status());
  REENACT_RETURN_IF_ERROR(OnOutcome(by));
  REENACT_RETURN_IF_ERROR(OnDiffs(by, entries));
  entry::RaisedEventView event;
  for (std::uint32_t i = 0; entries->NextEvent(&event); ++i) {
    REENACT_RETURN_IF_ERROR(CheckReducer(event.reducer));
    state_.Raise(event.Own(), by, i, &end_);
  }
  REENACT_RETURN_IF_ERROR(RollBackIfAsked());
  return state_.has_effects() ? OnEffects(by, entries) : absl::OkStatus();
}

// Unlike other commands, a rollback can fail for what its changes would break,
// so it counts only once its step has committed.
absl::Status Forwarder::RollBackIfAsked() {
  if (!end_.control || next_control_ == 0) return absl::OkStatus();
  const auto* back =
      std::get_if<entry::RolledBack>(&controls_[next_control_ - 1]);
  if (back == nullptr) return absl::OkStatus();
  if (!back->sources.empty() &&
      config().format_version < kFormatVersionSources) {
    return Wrong("a source with a name, which this format does not have");
  }
  REENACT_RETURN_IF_ERROR(ApplyToLedger(controls_[next_control_ - 1]));
  state_.ApplyRollback(*back, &end_);
  return FollowRaised();
}

// --- effects -----------------------------------------------------------------
//
// The ledger is told what it was told then, and has to come to the entries that
// follow.

// What a control command does, it does at its ticket. One that failed is on
// record as a failed step.
absl::Status Forwarder::ChangeLedger() {
  if (next_control_ == controls_.size()) {
    return Wrong("a control command has a ticket and is not there");
  }
  const Entry& control = controls_[next_control_++];
  if (std::holds_alternative<entry::RolledBack>(control)) {
    return absl::OkStatus();  // see RollBackIfAsked()
  }
  ApplyToLedger(control).IgnoreError();
  return FollowRaised();
}

absl::Status Forwarder::ApplyToLedger(const Entry& control) {
  return state_.ledger().Apply(control, at_, after_.time, config().reducers,
                               &consequences_);
}

absl::Status Forwarder::OnEffects(EventId by, EntryReader* entries) {
  std::vector<EffectIntent> intents;
  entry::EffectIntentView view;
  while (entries->NextEffect(&view)) intents.push_back(view.Own());
  if (!entries->status().ok()) return Wrong(entries->status());
  if (intents.empty()) return absl::OkStatus();
  const std::uint64_t format = config().format_version;
  for (const EffectIntent& intent : intents) {
    const bool identity =
        !intent.identity.empty() && format < kFormatVersionSharing;
    const bool retry = !intent.retry.empty() && format < kFormatVersionRetries;
    if (!identity && !retry) continue;
    return Wrong("ticket " + std::to_string(by.value) + " has " +
                 (identity ? "an identity" : "a retry rule") +
                 ", which a world of format " + std::to_string(format) +
                 " knows nothing of");
  }
  if (!own_ || own_->reducer >= config().reducers.size()) {
    return Wrong("ticket " + std::to_string(by.value) +
                 " has effects and no cell");
  }
  Ledger::Step step;
  step.event_id = by;
  step.round = after_.round;
  step.time = after_.time;
  step.reducer = own_->reducer;
  step.reducer_name = config().reducers[own_->reducer];
  step.key = own_->key;
  step.due_max = DueMaxOf(config());
  if (state_.ledger().Judge(step, intents, &consequences_)) {
    return Wrong("ticket " + std::to_string(by.value) +
                 " has effects that were not permitted");
  }
  return FollowRaised();
}

absl::Status Forwarder::FollowRaised() {
  ExpectEntries();
  state_.TakeConsequences(&consequences_, &end_);
  return absl::OkStatus();
}

// What the ledger says comes next on record.
void Forwarder::ExpectEntries() {
  for (Entry& entry : consequences_.entries) {
    expected_.push_back(std::move(entry));
  }
  consequences_.entries.clear();
}

absl::Status Forwarder::OnReceipt(EntryReader* entries) {
  absl::StatusOr<Entry> entry = entries->Any();
  if (!entry.ok()) return Wrong(entry.status());
  if (!expected_.empty()) {
    return Wrong("an effect is missing that the receipt before leads to");
  }
  state_.TakeInputs(after_.last_input, 0);
  const InputId input = state_.next_input();
  if (auto* refused = std::get_if<entry::ReceiptRefused>(&*entry)) {
    if (refused->input != input) return Wrong("a receipt is out of order");
    state_.AdmitRefusal(*refused, &consequences_);
  } else {
    const auto& appended = std::get<entry::ReceiptAppended>(*entry);
    if (appended.input != input) return Wrong("a receipt is out of order");
    state_.AdmitReceipt(appended.receipt, &consequences_).IgnoreError();
  }
  after_.last_input = input;
  if (consequences_.entries.empty() || consequences_.entries[0] != *entry) {
    return Wrong("input " + std::to_string(input.value) +
                 " is a receipt that the effects before it do not lead to");
  }
  // Those that it ends, too.
  consequences_.entries.erase(consequences_.entries.begin());
  ExpectEntries();
  state_.AdmitAnswers(&consequences_);
  return absl::OkStatus();
}

// An EffectQueued, EffectClosed or ReceiptShared.
absl::Status Forwarder::OnRecorded(EntryReader* entries) {
  const absl::StatusOr<Entry> entry = entries->Any();
  if (!entry.ok()) return Wrong(entry.status());
  // The first of those that time closed; the rest follow.
  if (expected_.empty() && !composed_once_ && !end_.control) {
    REENACT_RETURN_IF_ERROR(ComposeOnce());
  }
  if (expected_.empty() || expected_.front() != *entry) {
    return Wrong("an effect is not what the steps before it lead to");
  }
  expected_.pop_front();
  return absl::OkStatus();
}

absl::Status Forwarder::ExpectRecorded() {
  // Composing may come to some more, which are on record before it.
  if (!end_.control) REENACT_RETURN_IF_ERROR(ComposeOnce());
  if (expected_.empty()) return absl::OkStatus();
  return Wrong("an effect is missing that the steps before it lead to");
}

absl::Status Forwarder::OnControl(EntryReader* entries) {
  const absl::StatusOr<Entry> entry = entries->Any();
  if (!entry.ok()) return Wrong(entry.status());
  if (composed_once_) return Wrong("a control command behind a ticket");
  end_.control = true;
  controls_.push_back(*entry);
  if (const absl::Status status = state_.ApplyConfig(*entry); !status.ok()) {
    return Wrong(status);
  }
  const InputId input = std::visit(
      [](const auto& e) {
        if constexpr (requires { e.input; }) {
          return InputId{e.input};
        } else {
          return InputId();
        }
      },
      *entry);
  if (input.value != after_.last_input.value + 1) {
    return Wrong("input " + std::to_string(input.value) + " is out of order");
  }
  after_.last_input = input;
  return absl::OkStatus();
}

// Its ticket's failure is on record, too, and changes nothing.
absl::Status Forwarder::OnFailureOrdered(EntryReader* entries) {
  const absl::StatusOr<Entry> entry = entries->Any();
  if (!entry.ok()) return Wrong(entry.status());
  const EventId id = std::get<entry::FailureOrdered>(*entry).event_id;
  if (config().format_version < kFormatVersionFailures || !opened_ ||
      id < after_.first || id > block_->header().last()) {
    return Wrong("a failure is ordered of ticket " + std::to_string(id.value) +
                 ", which is not in it");
  }
  return absl::OkStatus();
}

absl::Status Forwarder::ComposeOnce() {
  if (composed_once_) return absl::OkStatus();
  if (!opened_) return Wrong("it has no RoundOpened");
  composed_once_ = true;
  if (state_.HasDue(after_.round, after_.time)) {
    state_.CloseDue(after_.round, after_.time, &consequences_);
    ExpectEntries();
    state_.AdmitAnswers(&consequences_);
  }
  state_.queues().Compose(after_.round, after_.time, after_.first, &composed_);
  return absl::OkStatus();
}

}  // namespace

absl::Status FastForward(Store* store, std::uint64_t block_count,
                         Checkpoint* place, const ForwardOptions& options) {
  return FastForward(
      [store](std::uint64_t from, const auto& visit) {
        return store->ScanBlocks(from, visit);
      },
      store, block_count, place, options);
}

absl::Status FastForward(const BlockStream::Scan& scan, Store* cells,
                         std::uint64_t block_count, Checkpoint* place,
                         const ForwardOptions& options) {
  REENACT_ASSIGN_OR_RETURN(State state, State::At(*place));
  const bool ahead = options.read_ahead &&
                     block_count > place->block_count + kBlocksAlone &&
                     HasCoreToSpare();
  const std::unique_ptr<BlockStream> blocks =
      BlockStream::Start(scan,
                         ChainEndBefore(place->block_count, place->round,
                                        place->event_id, place->block_hash),
                         block_count, ahead, /*inputs=*/true);
  Forwarder forwarder(cells, std::move(state), options);
  for (;;) {
    if (options.stop) {
      REENACT_ASSIGN_OR_RETURN(const bool here, options.stop(forwarder.at()));
      if (here) break;
    }
    REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<KeptBlock> block,
                             blocks->Next());
    if (block == nullptr) break;
    REENACT_RETURN_IF_ERROR(forwarder.Apply(*block));
  }
  REENACT_ASSIGN_OR_RETURN(*place, forwarder.Finish());
  return absl::OkStatus();
}

absl::StatusOr<Checkpoint> CheckpointAfterGenesis(
    const BlockStream::Scan& scan) {
  const std::unique_ptr<BlockStream> blocks =
      BlockStream::Start(scan, ChainEnd::Nothing(), 1, /*ahead=*/false);
  REENACT_ASSIGN_OR_RETURN(const auto block, blocks->Next());
  if (block == nullptr) {
    return absl::DataLossError("the first block is not there");
  }
  REENACT_ASSIGN_OR_RETURN(const Entry first, DecodeEntry(block->entries()));
  const auto* const genesis = std::get_if<entry::Genesis>(&first);
  if (genesis == nullptr) {
    return absl::DataLossError("the first block does not begin with Genesis");
  }
  REENACT_RETURN_IF_ERROR(
      Annotate(AsDataLoss(CheckGenesis(genesis->config)), "Genesis"));
  Checkpoint place;
  place.config = genesis->config;
  place.block_count = 1;
  place.block_hash = block->hash();
  return place;
}

}  // namespace reenact
