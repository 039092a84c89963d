// What a stretch of recorded history did to cells, worked out from its diffs
// without running a reducer.

#ifndef REENACT_JOURNAL_CELL_CHANGES_H_
#define REENACT_JOURNAL_CELL_CHANGES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cell_hash.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"

namespace reenact {

// Cells by what became of them. What they were before need not be known: then
// updates are kept until somebody says.
//
// Thread safety: none.
class CellChanges {
 public:
  struct Change {
    ReducerId reducer = kNoReducer;
    std::string key;
    EventId version;  // the last ticket that changed it
    // Known: `state` is what the cell is now, `exists` whether it is at all.
    // Otherwise it is what it was, and then `updates`.
    bool known = false;
    bool exists = false;
    Bytes state;
    std::vector<Update> updates;
  };
  using State = std::optional<Bytes>;
  // The state of a cell before all of this.
  using Read = std::function<absl::StatusOr<State>(ReducerId reducer,
                                                   std::string_view key)>;

  // With `read` all changes are known.
  explicit CellChanges(Read read = nullptr) : read_(std::move(read)) {}

  // DataLoss: an update that does not fit: one that was recorded does.
  absl::Status Add(const entry::CellRefView& cell, EventId by,
                   const entry::DiffView& diff);

  // A diff that puts `state`, for PutAll().
  struct NewState {
    entry::CellRefView cell;
    EventId by;
    BytesView state;
    std::uint64_t hash;  // CellHash() of the cell
  };
  // The same as Add() of all of them, in order. What the later ones need is on
  // its way from memory while the earlier ones are dealt with.
  void PutAll(const std::vector<NewState>& puts);

  // What the cell is after `change`, if it was `before`. DataLoss as for Add().
  static absl::StatusOr<State> After(const Change& change, State before);

  bool empty() const { return changes_.empty(); }
  // About how much memory they take.
  std::size_t byte_size() const { return byte_size_; }
  const std::deque<Change>& all() const {
    return changes_;
  }  // first come first
  // Ascending by reducer, then key.
  std::vector<const Change*> Sorted() const;
  void Clear();

 private:
  // A place in the table of changes: the whole hash, so that a search looks at
  // a change only if it is most likely the right one; null: free.
  struct Slot {
    std::uint64_t hash = 0;
    Change* change = nullptr;
  };

  Change* Find(const entry::CellRefView& cell, std::uint64_t hash);
  // The slot where a search begins. REQUIRES: there are any.
  Slot& First(std::uint64_t hash) { return slots_[hash & (slots_.size() - 1)]; }
  void Grow();
  void Set(bool exists, BytesView state, Change* change);
  absl::Status AddUpdate(const entry::UpdateView& update, Change* change);

  const Read read_;
  std::deque<Change> changes_;  // elements never move
  std::vector<Slot> slots_;     // a power of two of them, at most half in use
  std::size_t byte_size_ = 0;
};

// Whether a status is no word on recorded bytes: they could not be read for
// reasons of the system's or the caller's, or are of a newer format.
bool IsNoVerdict(const absl::Status& status);

// What a reader says of recorded bytes that cannot be read, as damage; a status
// that is no word on them stays as it is.
absl::Status AsDataLoss(const absl::Status& status);

// Visits the diffs in a block's entries, in order, with the cells that they
// are about, up to those of ticket `last`. A visitor's error ends it.
//
// DataLoss: the entries cannot be read, are not `count`, or a step changes its
// own cell and the entry before it does not say which.
absl::Status VisitDiffs(
    BytesView entries, std::uint64_t count, EventId last,
    const std::function<absl::Status(const entry::CellRefView& cell, EventId by,
                                     const entry::DiffView& diff)>& visit);

}  // namespace reenact

#endif  // REENACT_JOURNAL_CELL_CHANGES_H_
