// What happened, as bytes: the closed set of journal entries.
//
// Each entry is one CBOR map with small integer keys, kind first (key 0).
// spec/journal.md is the format's promise, spec/journal.cddl its grammar. What
// is empty or has its default is left out, and a decoder refuses an entry that
// spells a default out, so that an entry has one encoding.

#ifndef REENACT_JOURNAL_ENTRY_H_
#define REENACT_JOURNAL_ENTRY_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "reenact/kernel/reducer.h"
#include "reenact/kernel/source.h"

namespace reenact {

// Numbers are part of the format and never change meaning.
enum class EntryKind : std::uint8_t {
  kGenesis = 0,
  kRoundOpened = 1,
  kInputAdmitted = 2,
  kStepScheduled = 3,
  kStepCommitted = 4,
  kStepFailed = 5,
  kSnapshotTaken = 6,
  kModuleChanged = 7,      // an input
  kConfigChanged = 8,      // an input
  kSnapshotRequested = 9,  // an input
  // 10 to 15 are not used.
  kEffectQueued = 16,
  kReceiptAppended = 17,  // an input
  kGrantChanged = 18,     // an input
  kPolicyChanged = 19,    // an input
  kReceiptRefused = 20,   // an input
  kEffectClosed = 21,
  kEffectJudged = 22,      // an input
  kEffectsCancelled = 23,  // an input
  kRolledBack = 24,        // an input
  kFailureOrdered = 25,    // an input, without a number
  kReceiptShared = 28,
};

// What the gate made of an intent. Numbers are part of the format.
enum class EffectVerdict : std::uint8_t {
  kOpen = 0,      // executors are asked to see to it
  kHeld = 1,      // somebody has to approve it first
  kDenied = 2,    // comes back as a receipt of status denied
  kAnswered = 3,  // by a receipt that was there already
  kJoined = 4,    // waits for the answer to another one that is open
};
std::string_view EffectVerdictName(EffectVerdict verdict);  // "open"

// "StepCommitted"
std::string_view EntryKindName(EntryKind kind);

namespace entry {

struct Genesis {
  WorldConfig config;
  friend bool operator==(const Genesis&, const Genesis&) = default;
};
struct RoundOpened {
  Round round;
  LogicalTime time;
  EventId first;            // the round's first ticket, even if it has none
  std::uint64_t count = 0;  // of tickets
  // How far it takes in the source that the world is fed; none: not further.
  std::optional<SourceRead> source{};
  friend bool operator==(const RoundOpened&, const RoundOpened&) = default;
};
struct InputAdmitted {
  InputId input;
  ReducerId reducer = 0;
  std::string key;
  std::string schema;
  Bytes payload;
  std::string submission_id;
  std::uint8_t priority = kPriorityDefault;
  LogicalTime time;
  std::uint64_t position = 0;
  friend bool operator==(const InputAdmitted&, const InputAdmitted&) = default;
};
struct StepScheduled {
  EventId event_id;
  LaneId lane_id;
  UnitKind kind = UnitKind::kEvent;
  std::optional<CellRef> subject;  // nullopt: a control command has none
  Cause cause;
  friend bool operator==(const StepScheduled&, const StepScheduled&) = default;
};
struct StepCommitted {
  EventId event_id;
  LaneId lane_id;
  std::vector<Diff> diffs;
  std::vector<RaisedEvent> events;
  std::vector<EffectIntent> effects;
  friend bool operator==(const StepCommitted&, const StepCommitted&) = default;
};
struct StepFailed {
  EventId event_id;
  LaneId lane_id;
  FailureCode code = FailureCode::kException;
  std::string detail{};  // what refused it, if the gate did
  friend bool operator==(const StepFailed&, const StepFailed&) = default;
};
// The snapshot that the rules, or a request, place at the end of this round.
struct SnapshotTaken {
  Round round;
  EventId event_id;  // the last ticket before it
  friend bool operator==(const SnapshotTaken&, const SnapshotTaken&) = default;
};
// Modules as they are from this ticket on; `reducers` is the whole table, the
// old one with new names at its end.
struct ModuleChanged {
  InputId input;
  std::vector<ModuleRecord> modules;
  std::vector<std::string> reducers;
  friend bool operator==(const ModuleChanged&, const ModuleChanged&) = default;
};
struct ConfigChanged {
  InputId input;
  Scheduling scheduling;
  std::uint64_t snapshot_every = 0;
  friend bool operator==(const ConfigChanged&, const ConfigChanged&) = default;
};
struct SnapshotRequested {
  InputId input;
  friend bool operator==(const SnapshotRequested&,
                         const SnapshotRequested&) = default;
};
// What the gate made of intent `index` of the StepCommitted before it.
struct EffectQueued {
  EventId event_id;
  LaneId lane_id;
  std::uint32_t index = 0;
  Digest intent_hash;
  Digest idempotency_key;
  EffectVerdict verdict = EffectVerdict::kOpen;
  Amounts reserved;
  std::string reason;   // the rule that had it held, or why it was denied
  InputId answered_by;  // kAnswered: the input that brought the receipt
  std::optional<Digest> joins;  // kJoined, and then alone: the other's hash
  RetryRule retry{};  // what intent and policy say; of what may go out
  friend bool operator==(const EffectQueued&, const EffectQueued&) = default;
};
// A receipt that was accepted. Its ticket goes to the cell that has the intent.
struct ReceiptAppended {
  InputId input;
  Receipt receipt;
  friend bool operator==(const ReceiptAppended&,
                         const ReceiptAppended&) = default;
};
// Something that came in a receipt's place and changed nothing.
struct ReceiptRefused {
  InputId input;
  Digest intent_hash;    // zeros: none that could be read
  std::string executor;  // who says to have sent it
  std::string reason;
  Digest digest;  // BLAKE2b-256 of what came
  friend bool operator==(const ReceiptRefused&,
                         const ReceiptRefused&) = default;
};
// A receipt for another effect ends this one, too.
struct ReceiptShared {
  Digest intent_hash;
  Receipt receipt;  // as it stands in the other's ReceiptAppended
  friend bool operator==(const ReceiptShared&, const ReceiptShared&) = default;
};
// The end of an effect without an executor's receipt: its timer is due, its
// deadline has passed, it was cancelled or not approved.
struct EffectClosed {
  Digest intent_hash;
  ReceiptStatus status = ReceiptStatus::kTimeout;
  std::string reason;
  friend bool operator==(const EffectClosed&, const EffectClosed&) = default;
};
struct GrantChanged {
  InputId input;
  GrantChange change;
  friend bool operator==(const GrantChanged&, const GrantChanged&) = default;
};
// The policy from this ticket on; `document` is its canonical content, or null
// for none.
struct PolicyChanged {
  InputId input;
  Bytes document;
  friend bool operator==(const PolicyChanged&, const PolicyChanged&) = default;
};
// Somebody's word on a held effect.
struct EffectJudged {
  InputId input;
  Digest intent_hash;
  bool approved = false;
  std::string by;
  std::string note;
  friend bool operator==(const EffectJudged&, const EffectJudged&) = default;
};
// One effect, or all that a cell has open, its timers included.
struct EffectsCancelled {
  InputId input;
  std::optional<Digest> intent_hash;
  std::optional<CellRef> cell;  // one of the two is set
  std::string by;
  friend bool operator==(const EffectsCancelled&,
                         const EffectsCancelled&) = default;
};

// Back to a snapshot. What that changes is in the StepCommitted of its ticket.
struct RolledBack {
  InputId input;
  EventId to;   // the last ticket before the snapshot
  Round round;  // the one that it was taken after
  std::string by;
  std::string reason;
  SourceMarks sources{};  // how far they had been taken in at the snapshot
  friend bool operator==(const RolledBack&, const RolledBack&) = default;
};

// The step of this ticket, one of its block, is not run: it fails. For one that
// crashes whatever runs it.
struct FailureOrdered {
  EventId event_id;
  std::string by;
  std::string reason;
  friend bool operator==(const FailureOrdered&,
                         const FailureOrdered&) = default;
};

struct InputAdmittedView;  // see below

}  // namespace entry

using Entry = std::variant<
    entry::Genesis, entry::RoundOpened, entry::InputAdmitted,
    entry::StepScheduled, entry::StepCommitted, entry::StepFailed,
    entry::SnapshotTaken, entry::ModuleChanged, entry::ConfigChanged,
    entry::SnapshotRequested, entry::EffectQueued, entry::ReceiptAppended,
    entry::GrantChanged, entry::PolicyChanged, entry::ReceiptRefused,
    entry::EffectClosed, entry::EffectJudged, entry::EffectsCancelled,
    entry::RolledBack, entry::FailureOrdered, entry::ReceiptShared>;

EntryKind KindOf(const Entry& entry);

// Appends the entry's canonical bytes to `out`.
void EncodeEntry(const Entry& entry, Bytes* out);

// As many diffs, events and effects as the head of a StepCommitted says follow
// it, in that order: each non-empty group starts with BeginGroup().
enum class StepGroup : std::uint8_t { kDiffs = 3, kEvents = 4, kEffects = 5 };

// Writes what workers and the committer write one by one, for speed; each entry
// is what EncodeEntry() gives for it. Bytes are gathered here and appended to
// `out` when there are many, by Flush() and at the end.
//
// Thread safety: none.
class EntryWriter {
 public:
  // `out` outlives the writer, and is left alone until the writer is flushed.
  explicit EntryWriter(Bytes* out) : out_(out) {}
  ~EntryWriter() { Flush(); }
  EntryWriter(const EntryWriter&) = delete;
  EntryWriter& operator=(const EntryWriter&) = delete;

  void RoundOpened(const entry::RoundOpened& round);
  void InputAdmitted(InputId id, ReducerId reducer, const Input& input);
  void InputAdmitted(const entry::InputAdmitted& input);
  // As input `id`, whatever number it has.
  void InputAdmitted(InputId id, const entry::InputAdmittedView& input);
  void StepScheduled(EventId event_id, LaneId lane_id, UnitKind kind,
                     ReducerId reducer, std::string_view key,
                     const Cause& cause);
  // What most steps come to, at once: StepScheduled, and StepCommitted with the
  // step's own cell put to `state`.
  void StepWithOnePut(EventId event_id, LaneId lane_id, UnitKind kind,
                      ReducerId reducer, std::string_view key,
                      const Cause& cause, BytesView state);
  void StepFailed(EventId event_id, LaneId lane_id, FailureCode code,
                  std::string_view detail = {});
  void StepCommittedHead(EventId event_id, LaneId lane_id,
                         std::size_t diff_count, std::size_t event_count,
                         std::size_t effect_count);
  void BeginGroup(StepGroup group, std::size_t count);
  // `own`: the cell is the step's own, `reducer` and `key` are not looked at.
  void Put(bool own, ReducerId reducer, std::string_view key, BytesView state);
  void Delete(bool own, ReducerId reducer, std::string_view key);
  void Update(bool own, ReducerId reducer, std::string_view key,
              const reenact::Update& update);
  void Raised(const RaisedEvent& event);
  void Effect(const EffectIntent& effect);

  void Flush() {
    if (next_ == buffer_) return;
    out_->append(buffer_, static_cast<std::size_t>(next_ - buffer_));
    next_ = buffer_;
  }

 private:
  // What is written between two calls of Room() or Copy() fits into this.
  static constexpr std::size_t kMargin = 96;
  static constexpr std::size_t kBuffer = 416;

  template <typename EventPart, typename InputPart>
  void Admitted(InputId id, ReducerId reducer, const EventPart& event,
                const InputPart& input);

  // Where the next bytes go; there is room for kMargin.
  char* Room() {
    if (next_ > buffer_ + kBuffer) Flush();
    return next_;
  }
  // Copies `bytes` to `at` and returns the place behind; there is room for
  // kMargin.
  char* Copy(char* at, BytesView bytes);
  char* CopyLong(char* at, BytesView bytes);
  char* Text(char* at, std::string_view text);
  // What follows the event id in a StepScheduled.
  char* Scheduled(char* at, LaneId lane_id, UnitKind kind, ReducerId reducer,
                  std::string_view key, const Cause& cause);
  char* DiffHead(Diff::Op op, std::uint64_t size, bool own, ReducerId reducer,
                 std::string_view key);

  Bytes* const out_;
  char* next_ = buffer_;
  char buffer_[kBuffer + kMargin];
};

// The same, one at a time.
void EncodeRoundOpened(const entry::RoundOpened& round, Bytes* out);
void EncodeInputAdmitted(InputId id, ReducerId reducer, const Input& input,
                         Bytes* out);
void EncodeStepScheduled(EventId event_id, LaneId lane_id, UnitKind kind,
                         ReducerId reducer, std::string_view key,
                         const Cause& cause, Bytes* out);
void EncodeStepFailed(EventId event_id, LaneId lane_id, FailureCode code,
                      std::string_view detail, Bytes* out);
void EncodeStepCommittedHead(EventId event_id, LaneId lane_id,
                             std::size_t diff_count, std::size_t event_count,
                             std::size_t effect_count, Bytes* out);
void BeginGroup(StepGroup group, std::size_t count, Bytes* out);
void EncodePut(bool own, ReducerId reducer, std::string_view key,
               BytesView state, Bytes* out);
void EncodeDelete(bool own, ReducerId reducer, std::string_view key,
                  Bytes* out);
void EncodeUpdate(bool own, ReducerId reducer, std::string_view key,
                  const Update& update, Bytes* out);
void EncodeRaised(const RaisedEvent& event, Bytes* out);
void EncodeEffect(const EffectIntent& effect, Bytes* out);

// Reads the next entry of a CBOR sequence; `reader` fails if there is none, or
// if it is not exactly in the format.
absl::StatusOr<Entry> DecodeEntry(cbor::Reader& reader);
absl::StatusOr<Entry> DecodeEntry(BytesView bytes);  // exactly one

// --- reading without copying -------------------------------------------------

namespace entry {

// What entries say, in views into the bytes that they were read from. Own()
// gives what outlives those.
struct CellRefView {
  ReducerId reducer = kNoReducer;
  std::string_view key;

  CellRef Own() const { return CellRef{reducer, std::string(key)}; }
};
struct InputAdmittedView {
  InputId input;
  ReducerId reducer = 0;
  std::string_view key;
  std::string_view schema;
  BytesView payload;
  std::string_view submission_id;
  std::uint8_t priority = kPriorityDefault;
  LogicalTime time;
  std::uint64_t position = 0;

  InputAdmitted Own() const;
};
struct StepScheduledView {
  EventId event_id;
  LaneId lane_id;
  UnitKind kind = UnitKind::kEvent;
  std::optional<CellRefView> subject;  // nullopt: a control command has none
  Cause cause;

  StepScheduled Own() const;
};
// The head of a StepCommitted; the rest is read item by item.
struct StepCommittedHead {
  EventId event_id;
  LaneId lane_id;
};
struct UpdateView {
  Update::Op op = Update::Op::kAdd;
  std::string_view field;
  std::int64_t number = 0;
  BytesView item;
  std::int64_t low = std::numeric_limits<std::int64_t>::min();
  std::int64_t high = std::numeric_limits<std::int64_t>::max();

  Update Own() const;
};
struct DiffView {
  Diff::Op op = Diff::Op::kPut;
  std::optional<CellRefView> cell;  // nullopt: the step's own cell
  BytesView state;                  // kPut
  UpdateView update;                // kUpdate

  Diff Own() const;
};
struct RaisedEventView {
  ReducerId reducer = 0;
  std::string_view key;
  std::string_view schema;
  BytesView payload;
  std::optional<LogicalTime> due;

  RaisedEvent Own() const;
};
struct EffectIntentView {
  std::string_view kind;
  std::string_view capability;
  BytesView params;
  BytesView idempotency;
  Amounts reserve;
  bool must_pass = false;
  std::optional<LogicalTime> deadline;
  std::string_view cache_scope;
  BytesView identity;
  RetryRule retry;

  EffectIntent Own() const;
};

}  // namespace entry

// The members of an entry's map, asked for in ascending order of their keys.
// For EntryReader.
class EntryFields {
 public:
  // `reader` stands behind the map's head and `read` of its members.
  void Begin(cbor::Reader* reader, std::uint64_t left) {
    reader_ = reader;
    left_ = left;
  }
  // Whether `key`, below 24, comes next; then its value is what the reader
  // reads next.
  bool Has(std::uint64_t key) {
    if (left_ == 0 || !reader_->Take(key)) return false;
    --left_;
    return true;
  }
  void Need(std::uint64_t key) {
    if (!Has(key)) Miss(key);
  }
  // Fails unless everything has been asked for.
  void End() {
    if (left_ != 0) Exceed();
  }

 private:
  void Miss(std::uint64_t key);
  void Exceed();

  cbor::Reader* reader_ = nullptr;
  std::uint64_t left_ = 0;
};

// Reads the entries of a CBOR sequence in views, and allocates nothing for
// those that steps and inputs make. It refuses what DecodeEntry() refuses, in
// the same words: also entries, and parts of entries, that the caller passes
// over.
//
//   cbor::Reader bytes(block.entries);
//   EntryReader entries(&bytes);
//   while (const auto kind = entries.Next()) {
//     if (*kind != EntryKind::kStepCommitted) continue;  // checked all the
//     same const entry::StepCommittedHead step = entries.StepCommitted();
//     entry::DiffView diff;
//     while (entries.NextDiff(&diff)) Apply(step.event_id, diff);
//   }
//   REENACT_RETURN_IF_ERROR(entries.status());
//
// Errors stick, and what is returned after one means nothing. What has been
// returned of an entry is sure to be part of a good one only once Next() or
// Finish() has been called and status() is OK.
//
// Thread safety: none.
class EntryReader {
 public:
  // `reader` stands at the start of an entry, and is not used by others while
  // an entry is read.
  explicit EntryReader(cbor::Reader* reader)
      : reader_(reader), begin_(reader->offset()) {}
  EntryReader(const EntryReader&) = delete;
  EntryReader& operator=(const EntryReader&) = delete;

  // Goes on to the next entry and says of which kind it is; nullopt if there is
  // none, or something failed.
  std::optional<EntryKind> Next();

  // One of these reads the entry that Next() announced.
  // REQUIRES: it is of that kind, and has not been read.
  entry::RoundOpened RoundOpened();
  entry::InputAdmittedView InputAdmitted();
  entry::StepScheduledView StepScheduled();
  entry::StepCommittedHead StepCommitted();
  entry::StepFailed StepFailed();
  absl::StatusOr<Entry> Any();  // of whatever kind, in memory of its own

  // The items behind the head of a StepCommitted, one after the other; false if
  // there are no more of the sort. To ask for an event passes over the diffs
  // that are left, and so on. REQUIRES: StepCommitted() was called last, apart
  // from these.
  bool NextDiff(entry::DiffView* diff);
  bool NextEvent(entry::RaisedEventView* event);
  bool NextEffect(entry::EffectIntentView* effect);

  // Passes over what is left of the entry, and returns its bytes, whole.
  BytesView Finish();

  // OK, or what DecodeEntry() says of the same bytes.
  absl::Status status() const;

 private:
  enum class State : std::uint8_t {
    kBetween,    // entries
    kAnnounced,  // the kind has been read
    kItems,      // of a StepCommitted are being read
  };

  void Read(EntryKind kind);  // the announced entry is about to be read
  entry::StepCommitted WholeStep();
  absl::StatusOr<Entry> ReadAny();
  bool NextItem(StepGroup group);
  void OpenGroup();
  void SkipItem();
  void Pass();
  void PassItems();
  void End();

  cbor::Reader* const reader_;
  EntryFields fields_;
  State state_ = State::kBetween;
  EntryKind kind_ = EntryKind::kGenesis;
  bool inside_ = false;  // an entry whose kind is known
  StepGroup group_ = StepGroup::kDiffs;
  std::uint64_t next_group_ = 0;  // the key of the one to look for next
  std::uint64_t items_left_ = 0;  // of group_
  std::size_t begin_;             // of the entry
  absl::Status failure_;          // if it is not the reader's
};

// The kind of the entry at the head of `bytes`, without decoding the rest.
absl::StatusOr<EntryKind> PeekEntryKind(BytesView bytes);

}  // namespace reenact

#endif  // REENACT_JOURNAL_ENTRY_H_
