#include "reenact/journal/cell_changes.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

// A recorded update is one that worked, so one that does not is damage.
absl::Status Damage(const absl::Status& status,
                    const CellChanges::Change& change) {
  return absl::DataLossError(
      "a recorded update of cell " + std::to_string(change.reducer) + "/" +
      change.key +
      " does not fit its state: " + std::string(ToStd(status.message())));
}

absl::Status Update1(const Update& update, const CellChanges::Change& change,
                     CellChanges::State* state) {
  absl::StatusOr<Bytes> after = ApplyUpdate(*state, update);
  if (!after.ok()) return Damage(after.status(), change);
  *state = *std::move(after);
  return absl::OkStatus();
}

}  // namespace

CellChanges::Change* CellChanges::Find(const entry::CellRefView& cell,
                                       std::uint64_t hash) {
  if (2 * changes_.size() >= slots_.size()) Grow();
  Slot* slot = &First(hash);
  for (; slot->change != nullptr;
       slot = slot == &slots_.back() ? slots_.data() : slot + 1) {
    Change* const change = slot->change;
    if (slot->hash == hash && change->reducer == cell.reducer &&
        SameBytes(change->key, cell.key)) {
      return change;
    }
  }
  Change& change = changes_.emplace_back();
  change.reducer = cell.reducer;
  change.key = cell.key;
  byte_size_ += sizeof(Change) + 4 * sizeof(Slot) + cell.key.size();
  *slot = {hash, &change};
  return &change;
}

void CellChanges::Grow() {
  constexpr std::size_t kLeast = 16;
  std::vector<Slot> old(std::max(kLeast, 2 * slots_.size()));
  old.swap(slots_);
  for (const Slot& from : old) {
    if (from.change == nullptr) continue;
    Slot* slot = &First(from.hash);
    while (slot->change != nullptr) {
      slot = slot == &slots_.back() ? slots_.data() : slot + 1;
    }
    *slot = from;
  }
}

void CellChanges::PutAll(const std::vector<NewState>& puts) {
  // Slots are asked for twice as far ahead as the changes that they lead to.
  constexpr std::size_t kAhead = 12;
  if (slots_.empty()) Grow();
  for (std::size_t i = 0; i < puts.size(); ++i) {
    if (i + 2 * kAhead < puts.size()) {
      __builtin_prefetch(&First(puts[i + 2 * kAhead].hash));
    }
    if (i + kAhead < puts.size()) {
      const char* const change =
          reinterpret_cast<const char*>(First(puts[i + kAhead].hash).change);
      __builtin_prefetch(change);
      __builtin_prefetch(change + 64);
    }
    Change* const change = Find(puts[i].cell, puts[i].hash);
    change->version = puts[i].by;
    Set(true, puts[i].state, change);
  }
}

absl::Status CellChanges::Add(const entry::CellRefView& cell, EventId by,
                              const entry::DiffView& diff) {
  Change* const change = Find(cell, CellHash(cell.reducer, cell.key));
  change->version = by;
  if (diff.op == Diff::Op::kUpdate) return AddUpdate(diff.update, change);
  Set(diff.op == Diff::Op::kPut, diff.state, change);
  return absl::OkStatus();
}

void CellChanges::Set(bool exists, BytesView state, Change* change) {
  change->known = true;
  change->exists = exists;
  if (!change->updates.empty()) change->updates.clear();
  byte_size_ += state.size();
  byte_size_ -= change->state.size();
  change->state.assign(state);
}

absl::Status CellChanges::AddUpdate(const entry::UpdateView& update,
                                    Change* change) {
  State state;
  if (!change->known && read_ == nullptr) {
    change->updates.push_back(update.Own());
    byte_size_ += sizeof(Update) + update.field.size() + update.item.size();
    return absl::OkStatus();
  }
  if (!change->known) {
    REENACT_ASSIGN_OR_RETURN(state, read_(change->reducer, change->key));
  } else if (change->exists) {
    state = std::move(change->state);
  }
  byte_size_ -= change->known && change->exists ? state->size() : 0;
  REENACT_RETURN_IF_ERROR(Update1(update.Own(), *change, &state));
  change->known = true;
  change->exists = true;
  change->state = *std::move(state);
  byte_size_ += change->state.size();
  return absl::OkStatus();
}

absl::StatusOr<CellChanges::State> CellChanges::After(const Change& change,
                                                      State before) {
  if (change.known) return change.exists ? State(change.state) : State();
  for (const Update& update : change.updates) {
    REENACT_RETURN_IF_ERROR(Update1(update, change, &before));
  }
  return before;
}

std::vector<const CellChanges::Change*> CellChanges::Sorted() const {
  std::vector<const Change*> sorted;
  sorted.reserve(changes_.size());
  for (const Change& change : changes_) sorted.push_back(&change);
  std::sort(sorted.begin(), sorted.end(), [](const Change* a, const Change* b) {
    return std::tie(a->reducer, a->key) < std::tie(b->reducer, b->key);
  });
  return sorted;
}

void CellChanges::Clear() {
  std::fill(slots_.begin(), slots_.end(), Slot());
  changes_.clear();
  byte_size_ = 0;
}

bool IsNoVerdict(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return true;
    default:
      return false;
  }
}

absl::Status AsDataLoss(const absl::Status& status) {
  if (status.ok() || IsNoVerdict(status)) return status;
  return absl::DataLossError(status.message());
}

absl::Status VisitDiffs(
    BytesView entries, std::uint64_t count, EventId last,
    const std::function<absl::Status(const entry::CellRefView& cell, EventId by,
                                     const entry::DiffView& diff)>& visit) {
  cbor::Reader reader(entries);
  EntryReader in(&reader);
  entry::StepScheduledView scheduled;
  entry::DiffView diff;
  std::uint64_t seen = 0;
  while (const auto kind = in.Next()) {
    ++seen;
    if (*kind == EntryKind::kStepScheduled) scheduled = in.StepScheduled();
    if (*kind != EntryKind::kStepCommitted) continue;
    const EventId by = in.StepCommitted().event_id;
    if (by > last) return absl::OkStatus();
    while (in.NextDiff(&diff)) {
      if (!diff.cell && (scheduled.event_id != by || !scheduled.subject)) {
        return absl::DataLossError("step " + std::to_string(by.value) +
                                   " changes its own cell, and no entry says "
                                   "which");
      }
      REENACT_RETURN_IF_ERROR(
          visit(diff.cell ? *diff.cell : *scheduled.subject, by, diff));
    }
  }
  REENACT_RETURN_IF_ERROR(AsDataLoss(in.status()));
  if (seen == count) return absl::OkStatus();
  return absl::DataLossError("it has " + std::to_string(seen) +
                             " entries and says that it has " +
                             std::to_string(count));
}

}  // namespace reenact
