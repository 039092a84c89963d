// What happened, as bytes: the closed set of journal entries.
//
// Each entry is one CBOR map with small integer keys, kind first (key 0).
// spec/journal.md is the format's promise, spec/journal.cddl its grammar. What
// is empty or has its default is left out, and a decoder refuses an entry that
// spells a default out, so that an entry has one encoding.

#ifndef REENACT_JOURNAL_ENTRY_H_
#define REENACT_JOURNAL_ENTRY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "reenact/kernel/bytes.h"
#include "reenact/kernel/cbor.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "reenact/kernel/reducer.h"
#include "reenact/kernel/status.h"

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
  // Reserved: 16 EffectQueued, 17 ReceiptAppended, 18 GrantChanged,
  // 19 PolicyChanged. Refused by this version.
};

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

}  // namespace entry

using Entry =
    std::variant<entry::Genesis, entry::RoundOpened, entry::InputAdmitted,
                 entry::StepScheduled, entry::StepCommitted, entry::StepFailed,
                 entry::SnapshotTaken, entry::ModuleChanged,
                 entry::ConfigChanged, entry::SnapshotRequested>;

EntryKind KindOf(const Entry& entry);

// Appends the entry's canonical bytes to `out`.
void EncodeEntry(const Entry& entry, Bytes* out);

// The parts that workers and the committer write one by one, for speed; each is
// what EncodeEntry() gives for the same entry.
void EncodeRoundOpened(const entry::RoundOpened& round, Bytes* out);
void EncodeInputAdmitted(InputId id, ReducerId reducer, const Input& input,
                         Bytes* out);
void EncodeStepScheduled(EventId event_id, LaneId lane_id, UnitKind kind,
                         ReducerId reducer, std::string_view key,
                         const Cause& cause, Bytes* out);
void EncodeStepFailed(EventId event_id, LaneId lane_id, FailureCode code,
                      Bytes* out);
// The head of a StepCommitted. As many diffs, events and effects as it says
// follow, in that order: each non-empty group starts with BeginGroup().
void EncodeStepCommittedHead(EventId event_id, LaneId lane_id,
                             std::size_t diff_count, std::size_t event_count,
                             std::size_t effect_count, Bytes* out);
enum class StepGroup : std::uint8_t { kDiffs = 3, kEvents = 4, kEffects = 5 };
void BeginGroup(StepGroup group, std::size_t count, Bytes* out);
// `own`: the cell is the step's own, `reducer` and `key` are not looked at.
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

// The kind of the entry at the head of `bytes`, without decoding the rest.
absl::StatusOr<EntryKind> PeekEntryKind(BytesView bytes);

}  // namespace reenact

#endif  // REENACT_JOURNAL_ENTRY_H_
