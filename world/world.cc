// A world as its users see it: what they may ask of it, and who drives it.

#include "reenact/world/world.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <new>
#include <optional>
#include <utility>

#include "reenact/base/background.h"
#include "reenact/base/instrument.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/authority/admission.h"
#include "reenact/kernel/authority/policy.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/world/parts.h"
#include "reenact/world/pipeline.h"
#include "reenact/world/world_internal.h"

namespace reenact {

absl::StatusOr<EventId> Submission::WaitTicketed() const {
  REENACT_ASSIGN_OR_RETURN(Outcome outcome, state_->Wait(State::kTicketed));
  return outcome.event_id;
}

absl::StatusOr<Submission::Outcome> Submission::WaitCommitted() const {
  return state_->Wait(State::kCommitted);
}

absl::StatusOr<Submission::Outcome> Submission::WaitDurable() const {
  return state_->WaitDurable(state_);
}

std::optional<absl::StatusOr<Submission::Outcome>> Submission::TryWaitDurable()
    const {
  return state_->TryWaitDurable(state_);
}

namespace {

// How long a background world waits before it looks at the clock again.
constexpr std::uint64_t kIdleWaitMs = 50;

class WorldImpl final : public World, public CheckpointSource {
 public:
  WorldImpl(WorldOptions options, WorldInternals internals)
      : parts_(std::move(options), std::move(internals)) {}
  ~WorldImpl() override { (void)Close(); }

  absl::Status Open() {
    REENACT_RETURN_IF_ERROR(parts_.Open());
    pipeline_.emplace(&parts_);
    return absl::OkStatus();
  }

  const OpenReport& open_report() const override { return parts_.report; }
  WorldConfig config() const override;
  absl::StatusOr<Submission> Submit(Input input) override;
  absl::Status Run() override;
  absl::Status Feed(InputSource& source) override;
  void Interrupt() override { parts_.interrupted.store(true); }
  absl::Status Start() override;
  absl::Status Stop() override;
  absl::StatusOr<Submission> RequestSnapshot() override;
  absl::StatusOr<Submission> ChangeConfig(
      const Scheduling& scheduling, std::uint64_t snapshot_every) override;
  absl::StatusOr<Submission> ChangeGrant(const GrantChange& change) override;
  absl::StatusOr<Submission> SetPolicy(BytesView document) override;
  absl::StatusOr<Submission> Approve(const Digest& intent_hash,
                                     std::string_view by,
                                     std::string_view note) override {
    return Judge(intent_hash, true, by, note);
  }
  absl::StatusOr<Submission> Reject(const Digest& intent_hash,
                                    std::string_view by,
                                    std::string_view note) override {
    return Judge(intent_hash, false, by, note);
  }
  absl::StatusOr<Submission> CancelEffect(const Digest& intent_hash,
                                          std::string_view by) override;
  absl::StatusOr<Submission> CancelEffectsOf(std::string_view reducer,
                                             std::string_view key,
                                             std::string_view by) override;
  absl::StatusOr<Submission> RollBack(EventId snapshot, std::string_view by,
                                      std::string_view reason) override;
  absl::Status FailEvent(EventId event_id, std::string_view by,
                         std::string_view reason) override;
  absl::Status SubmitReceipt(Receipt receipt, Done done) override;
  void RefuseReceipt(std::string_view executor, std::string_view reason,
                     const Digest& digest) override;
  std::chrono::microseconds TimeUntil(LogicalTime time) const override;
  std::vector<EffectState> Effects() const override;
  AuthorityState Authority() const override;
  std::uint64_t epoch() const override { return parts_.epoch; }
  absl::StatusOr<std::optional<Bytes>> Read(
      std::string_view reducer, std::string_view key) const override;
  absl::StatusOr<std::vector<std::pair<std::string, Bytes>>> Scan(
      std::string_view reducer, std::string_view from, std::string_view to,
      std::size_t limit) const override;
  EventId head() const override { return parts_.window->committed(); }
  EventId durable() const override { return parts_.writer->durable(); }
  bool caught_up() const override { return pipeline_->caught_up(); }
  std::uint64_t position() const override {
    return parts_.admission->position();
  }
  SourceMark source(std::string_view name) const override;
  Digest journal_digest() const override { return parts_.writer->head_hash(); }
  WorldStats stats() const override;
  absl::Status Close() override;

  absl::StatusOr<Checkpoint> Place() override;
  absl::StatusOr<std::map<CellRef, Bytes>> Cells() override;
  absl::StatusOr<Digest> StateDigest() override;

 private:
  bool IsReducer(std::string_view name) const;
  absl::Status CheckInput(const Input& input) const;
  absl::Status PutInLine(Incoming incoming);
  absl::StatusOr<Submission> Offer(Incoming incoming);
  absl::Status CheckEffects() const;
  absl::StatusOr<Submission> OfferControl(const Entry& entry);
  absl::StatusOr<Submission> Judge(const Digest& intent_hash, bool approved,
                                   std::string_view by, std::string_view note);
  absl::Status BeginFeed(InputSource& source);
  absl::Status Drive();
  absl::Status FlushAfter(absl::Status status);
  void BackgroundLoop();
  void EndSubmissions(const absl::Status& status);

  WorldParts parts_;
  std::optional<Pipeline> pipeline_;
  Doorbell doorbell_;  // rung by whoever puts something in line
  Background background_;
  std::atomic<bool> stopping_{false};
  bool closed_ = false;
  absl::Status close_status_;
};

// --- input -------------------------------------------------------------------

bool WorldImpl::IsReducer(std::string_view name) const {
  for (const Module& module : parts_.options.modules) {
    const std::vector<std::string>& names = module.record.reducers;
    if (std::find(names.begin(), names.end(), name) != names.end()) return true;
  }
  return false;
}

absl::Status WorldImpl::CheckInput(const Input& input) const {
  if (!IsReducer(input.event.reducer)) {
    return NoSuchReducer(input.event.reducer);
  }
  return CheckAdmissible(input, parts_.rules.limits);
}

absl::StatusOr<Submission> WorldImpl::Submit(Input input) {
  if (parts_.failed()) return parts_.status();
  REENACT_RETURN_IF_ERROR(CheckInput(input));
  return Offer(Incoming{std::move(input), nullptr});
}

absl::Status WorldImpl::PutInLine(Incoming incoming) {
  const absl::Status offered = parts_.admission->Offer(std::move(incoming));
  if (!offered.ok()) return parts_.failed() ? parts_.status() : offered;
  doorbell_.Ring();
  return absl::OkStatus();
}

absl::StatusOr<Submission> WorldImpl::Offer(Incoming incoming) {
  incoming.state = parts_.submissions.New();
  SubmissionState state = incoming.state;
  REENACT_RETURN_IF_ERROR(PutInLine(std::move(incoming)));
  return Submission(std::move(state));
}

absl::StatusOr<Submission> WorldImpl::RequestSnapshot() {
  if (parts_.failed()) return parts_.status();
  return Offer(
      Incoming{EncodeToBytes(entry::SnapshotRequested{kAnyInput}), nullptr});
}

absl::StatusOr<Submission> WorldImpl::ChangeConfig(
    const Scheduling& scheduling, std::uint64_t snapshot_every) {
  if (parts_.failed()) return parts_.status();
  WorldConfig changed = parts_.options.config;
  changed.scheduling = scheduling;
  changed.snapshot_every = snapshot_every;
  REENACT_RETURN_IF_ERROR(CheckConfig(changed));
  if (scheduling.pipeline_depth != config().scheduling.pipeline_depth) {
    return absl::InvalidArgumentError(
        "the pipeline depth is a constant of the world");
  }
  entry::ConfigChanged change;
  change.input = kAnyInput;
  change.scheduling = scheduling;
  change.snapshot_every = snapshot_every;
  return Offer(Incoming{EncodeToBytes(change), nullptr});
}

// --- effects, from outside ---------------------------------------------------

absl::Status WorldImpl::CheckEffects() const {
  if (parts_.failed()) return parts_.status();
  if (parts_.format_version >= kFormatVersionEffects) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this world has format 1, which has no effects; make a new world");
}

absl::StatusOr<Submission> WorldImpl::OfferControl(const Entry& entry) {
  REENACT_RETURN_IF_ERROR(CheckEffects());
  return Offer(Incoming{EncodeToBytes(entry), nullptr});
}

absl::StatusOr<Submission> WorldImpl::ChangeGrant(const GrantChange& change) {
  // What cannot be written or read again must not get as far as the journal.
  Bytes item;
  cbor::Encoder encoder(&item);
  EncodeGrantChange(change, encoder);
  cbor::Reader reader(item);
  const GrantChange again = DecodeGrantChange(reader);
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(Annotate(reader.status(), "grant"));
  return OfferControl(entry::GrantChanged{kAnyInput, again});
}

absl::StatusOr<Submission> WorldImpl::SetPolicy(BytesView document) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value value,
                           cbor::Value::Parse(document));
  if (!value.IsNull()) REENACT_RETURN_IF_ERROR(Policy::Parse(value).status());
  return OfferControl(entry::PolicyChanged{kAnyInput, Bytes(document)});
}

namespace {

absl::Status CheckWords(std::string_view what, std::string_view words) {
  if (words.size() <= 1024 && cbor::IsUtf8(words)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      std::string(what) + " is not UTF-8, or has more than 1024 bytes");
}

}  // namespace

absl::StatusOr<Submission> WorldImpl::Judge(const Digest& intent_hash,
                                            bool approved, std::string_view by,
                                            std::string_view note) {
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the note", note));
  return OfferControl(entry::EffectJudged{kAnyInput, intent_hash, approved,
                                          std::string(by), std::string(note)});
}

absl::StatusOr<Submission> WorldImpl::CancelEffect(const Digest& intent_hash,
                                                   std::string_view by) {
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  return OfferControl(entry::EffectsCancelled{kAnyInput, intent_hash,
                                              std::nullopt, std::string(by)});
}

absl::StatusOr<Submission> WorldImpl::CancelEffectsOf(std::string_view reducer,
                                                      std::string_view key,
                                                      std::string_view by) {
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the key", key));
  std::optional<ReducerId> id;
  {
    ReaderLock lock(*parts_.cells);
    id = parts_.rules.Find(reducer);
  }
  if (!id) return NoSuchReducer(reducer);
  return OfferControl(entry::EffectsCancelled{kAnyInput, std::nullopt,
                                              CellRef{*id, std::string(key)},
                                              std::string(by)});
}

absl::StatusOr<Submission> WorldImpl::RollBack(EventId snapshot,
                                               std::string_view by,
                                               std::string_view reason) {
  REENACT_RETURN_IF_ERROR(CheckEffects());
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the reason", reason));
  REENACT_ASSIGN_OR_RETURN(const SnapshotHeader header,
                           parts_.storage->ReadSnapshotHeader(snapshot));
  return OfferControl(entry::RolledBack{kAnyInput, snapshot, header.round,
                                        std::string(by), std::string(reason),
                                        header.sources});
}

absl::Status WorldImpl::FailEvent(EventId event_id, std::string_view by,
                                  std::string_view reason) {
  if (parts_.failed()) return parts_.status();
  REENACT_RETURN_IF_ERROR(CheckWords("the name", by));
  REENACT_RETURN_IF_ERROR(CheckWords("the reason", reason));
  if (reason.empty()) {
    return absl::InvalidArgumentError("say why the event is to fail");
  }
  if (parts_.format_version < kFormatVersionFailures) {
    return absl::FailedPreconditionError(
        "this world has a format before 3, which cannot record that an event "
        "was made to fail; make a new world");
  }
  if (background_.started()) {
    return absl::FailedPreconditionError("the world runs in the background");
  }
  if (event_id < parts_.state->next_ticket()) {
    return absl::FailedPreconditionError(
        "event " + std::to_string(event_id.value) +
        " is history; the next is " +
        std::to_string(parts_.state->next_ticket().value));
  }
  parts_.failures.Add({event_id, std::string(by), std::string(reason)});
  return absl::OkStatus();
}

absl::Status WorldImpl::SubmitReceipt(Receipt receipt, Done done) {
  REENACT_RETURN_IF_ERROR(CheckEffects());
  if (receipt.payload.size() > parts_.rules.limits.payload_bytes_max / 2) {
    return absl::InvalidArgumentError(
        "the receipt's payload has " + std::to_string(receipt.payload.size()) +
        " bytes, more than " +
        std::to_string(parts_.rules.limits.payload_bytes_max / 2) +
        "; put it into a blob");
  }
  // As strict with what comes by a call as with what comes by a socket. The
  // payload is the ledger's to look at, once it knows who signed it.
  Bytes item;
  cbor::Encoder encoder(&item);
  EncodeReceipt(receipt, encoder);
  REENACT_ASSIGN_OR_RETURN(Receipt checked, DecodeReceiptUnread(item));
  return PutInLine(
      Incoming{IncomingReceipt{std::move(checked), std::move(done)}, nullptr});
}

std::chrono::microseconds WorldImpl::TimeUntil(LogicalTime time) const {
  using std::chrono::microseconds;
  const LogicalTime last{
      parts_.progress.last_time.load(std::memory_order_relaxed)};
  if (time <= last) return microseconds(0);
  if (parts_.clock != ClockKind::kWall) return microseconds::max();
  const LogicalTime now = parts_.WallTime();
  std::int64_t left = 0;
  if (__builtin_sub_overflow(time.value, now.value, &left)) {
    return microseconds::max();
  }
  return std::max(microseconds(left), microseconds(0));
}

void WorldImpl::RefuseReceipt(std::string_view executor,
                              std::string_view reason, const Digest& digest) {
  if (!CheckEffects().ok()) return;
  entry::ReceiptRefused refused;
  refused.executor = cbor::IsUtf8(executor)
                         ? executor.substr(0, Receipt::kExecutorBytesMax)
                         : "?";
  if (!cbor::IsUtf8(refused.executor)) refused.executor = "?";
  refused.reason = CheckWords("", reason).ok() ? reason : "?";
  refused.digest = digest;
  // What there is no room for was not recorded; the sender is told so anyway.
  (void)PutInLine(
      Incoming{IncomingReceipt{std::move(refused), nullptr}, nullptr});
}

absl::Status WorldImpl::BeginFeed(InputSource& source) {
  MutexLock lock(&parts_.sources_mutex);
  return parts_.admission->feed().Begin(source, parts_.state->at().sources,
                                        parts_.format_version);
}

SourceMark WorldImpl::source(std::string_view name) const {
  MutexLock lock(&parts_.sources_mutex);
  const SourceMarks& sources = parts_.state->at().sources;
  const auto found = sources.find(name);
  return found == sources.end() ? SourceMark() : found->second;
}

// --- driving -----------------------------------------------------------------

absl::Status WorldImpl::Drive() {
  if (parts_.failed()) return parts_.status();
  const absl::Status driven = pipeline_->Drive();
  if (!driven.ok()) EndSubmissions(driven);
  return driven;
}

absl::Status WorldImpl::FlushAfter(absl::Status status) {
  const absl::Status flushed = parts_.writer->Flush();
  if (!flushed.ok()) {
    parts_.Fail(flushed);
    return parts_.status();
  }
  {
    // All is written now, so what is beyond the cache's budget can go.
    MutexLock lock(parts_.cells->exclusive());
    parts_.cells->Advance(parts_.window->committed(), parts_.writer->written());
  }
  if (status.ok() && parts_.interrupted.exchange(false)) {
    REENACT_PROBE("world: a run is interrupted");
    return absl::CancelledError("interrupted at the end of a round");
  }
  return status;
}

absl::Status WorldImpl::Run() {
  if (closed_) return absl::FailedPreconditionError("the world is closed");
  if (background_.started()) {
    return absl::FailedPreconditionError("the world runs in the background");
  }
  REENACT_RETURN_IF_ERROR(Drive());
  return FlushAfter(absl::OkStatus());
}

absl::Status WorldImpl::Feed(InputSource& source) {
  if (closed_) return absl::FailedPreconditionError("the world is closed");
  if (background_.started()) {
    return absl::FailedPreconditionError("the world runs in the background");
  }
  REENACT_RETURN_IF_ERROR(BeginFeed(source));
  absl::Status status = Drive();
  // What was admitted before the source failed is not composed yet.
  const absl::Status source_status = parts_.admission->feed().TakeStatus();
  if (status.ok() && !source_status.ok()) status = Drive();
  parts_.admission->feed().End();
  REENACT_RETURN_IF_ERROR(status);
  return FlushAfter(source_status);
}

absl::Status WorldImpl::Start() {
  if (closed_) return absl::FailedPreconditionError("the world is closed");
  if (parts_.failed()) return parts_.status();
  if (background_.started()) return absl::OkStatus();
  stopping_ = false;
  background_.Start([this] { BackgroundLoop(); });
  return absl::OkStatus();
}

void WorldImpl::BackgroundLoop() {
  while (Drive().ok() && !stopping_) {
    REENACT_PROBE("world: there is nothing to do");
    // A submission that came after the last look rang the bell.
    doorbell_.Wait(kIdleWaitMs);
  }
}

absl::Status WorldImpl::Stop() {
  if (!background_.started())
    return parts_.failed() ? parts_.status() : absl::OkStatus();
  REENACT_PROBE("world: stopped in the background");
  stopping_ = true;
  parts_.interrupted = true;
  doorbell_.Ring();
  background_.Join();
  parts_.interrupted = false;
  if (parts_.failed()) return parts_.status();
  return FlushAfter(absl::OkStatus());
}

absl::Status WorldImpl::Close() {
  if (closed_) return close_status_;
  closed_ = true;
  if (parts_.admission) parts_.admission->Close();
  // Null where memory ran out before there was one.
  if (parts_.writer == nullptr) return close_status_;
  close_status_ = Stop();
  REENACT_FAILPOINT("stopped, before the writer closes");
  const absl::Status written = parts_.writer->Close();
  if (close_status_.ok()) close_status_ = written;
  REENACT_FAILPOINT("writer closed, before the store");
  const absl::Status stored = parts_.CauseOf(parts_.store->Close());
  if (close_status_.ok()) close_status_ = stored;
  EndSubmissions(close_status_.ok()
                     ? absl::FailedPreconditionError("the world was closed")
                     : close_status_);
  REENACT_FAILPOINT("store closed, before the lock is let go");
  parts_.storage->Close();
  return close_status_;
}

void WorldImpl::EndSubmissions(const absl::Status& status) {
  // Null where opening failed: nobody has submitted anything.
  if (!parts_.admission) return;
  // Nobody would ever look at what came now.
  parts_.admission->Close();
  parts_.NotifyDurable();
  parts_.submissions.End(status);
  parts_.notifier->End(status);
  parts_.admission->End(status);
}

// --- reading -----------------------------------------------------------------

absl::StatusOr<std::optional<Bytes>> WorldImpl::Read(
    std::string_view reducer, std::string_view key) const {
  ReaderLock lock(*parts_.cells);
  const std::optional<ReducerId> id = parts_.rules.Find(reducer);
  if (!id) {
    return absl::NotFoundError("no reducer is called \"" +
                               std::string(reducer) + "\"");
  }
  return parts_.cells->Read(*id, key);
}

absl::StatusOr<std::vector<std::pair<std::string, Bytes>>> WorldImpl::Scan(
    std::string_view reducer, std::string_view from, std::string_view to,
    std::size_t limit) const {
  ReaderLock lock(*parts_.cells);
  const std::optional<ReducerId> id = parts_.rules.Find(reducer);
  if (!id) {
    return absl::NotFoundError("no reducer is called \"" +
                               std::string(reducer) + "\"");
  }
  std::vector<std::pair<std::string, Bytes>> found;
  REENACT_RETURN_IF_ERROR(parts_.cells->Scan(*id, from, to, limit, &found));
  return found;
}

WorldConfig WorldImpl::config() const {
  ReaderLock lock(*parts_.cells);
  return parts_.state->config();
}

WorldStats WorldImpl::stats() const {
  ReaderLock lock(*parts_.cells);
  WorldStats stats = parts_.progress.published;
  const Committer::Counts& counts = parts_.committer->counts();
  stats.committed = counts.committed;
  stats.failed = counts.failed;
  stats.conflicts = counts.conflicts;
  stats.reruns = counts.reruns;
  stats.failures.assign(counts.failures.begin(), counts.failures.end());
  for (const auto& [place, open] : parts_.state->ledger().open()) {
    stats.effects_held += open.held ? 1 : 0;
  }
  stats.waits = parts_.window->wait_count();
  stats.cells_cached = parts_.cells->cell_count();
  stats.cache_bytes = parts_.cells->bytes();
  stats.cell_loads = parts_.cells->load_count();
  stats.groups = parts_.writer->group_count();
  stats.syncs = parts_.writer->sync_count();
  return stats;
}

std::vector<EffectState> WorldImpl::Effects() const {
  ReaderLock lock(*parts_.cells);
  std::vector<EffectState> all;
  for (const auto& [place, open] : parts_.state->ledger().open()) {
    all.push_back({open.effect, open.held, open.rule, open.joins.has_value()});
    all.back().effect.origin.reducer = parts_.rules.name(open.reducer);
  }
  return all;
}

AuthorityState WorldImpl::Authority() const {
  ReaderLock lock(*parts_.cells);
  return {parts_.state->ledger().grants(),
          parts_.state->ledger().policy().content()};
}

absl::StatusOr<Checkpoint> WorldImpl::Place() {
  parts_.state->SetJournalEnd(parts_.writer->block_count(),
                              parts_.writer->head_hash());
  return parts_.state->Encode();
}

absl::StatusOr<std::map<CellRef, Bytes>> WorldImpl::Cells() {
  std::map<CellRef, Bytes> cells;
  REENACT_RETURN_IF_ERROR(parts_.store->View()->ScanAll(
      [&cells](ReducerId reducer, std::string_view key, EventId,
               BytesView state) {
        cells.emplace(CellRef{reducer, std::string(key)}, state);
        return absl::OkStatus();
      }));
  return cells;
}

absl::StatusOr<Digest> WorldImpl::StateDigest() {
  REENACT_ASSIGN_OR_RETURN(SnapshotDigests digests,
                           StateDigestOf(*parts_.store->View()));
  return digests.state;
}

}  // namespace

absl::StatusOr<std::unique_ptr<World>> OpenWorld(WorldOptions options,
                                                 WorldInternals internals) {
  try {
    const bool start = options.start;
    auto world =
        std::make_unique<WorldImpl>(std::move(options), std::move(internals));
    REENACT_RETURN_IF_ERROR(world->Open());
    if (start) REENACT_RETURN_IF_ERROR(world->Start());
    return std::unique_ptr<World>(std::move(world));
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
}

absl::StatusOr<std::unique_ptr<World>> World::Open(WorldOptions options) {
  return OpenWorld(std::move(options), WorldInternals{});
}

}  // namespace reenact
