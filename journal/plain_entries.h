// A fast way through the entries that most of a block consists of.

#ifndef REENACT_JOURNAL_PLAIN_ENTRIES_H_
#define REENACT_JOURNAL_PLAIN_ENTRIES_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// What most steps come to: StepScheduled of a unit whose cause is an input, and
// StepCommitted with the step's own cell put to `state`. Views into the bytes
// that it was read from.
struct PlainStep {
  EventId event_id;
  entry::CellRefView cell;
  InputId cause;
  BytesView state;
};

// Each reads what it is named after, if that is what `reader` has next, as a
// whole. False: it is something else, or unusual (keys that are not ASCII,
// say), or damaged, and the reader stands where it stood: an EntryReader on the
// same reader, between two entries, knows what to do with it. Never takes
// anything that an EntryReader would refuse.
//
// Thread safety: none.
bool TakePlainInput(cbor::Reader* reader, entry::InputAdmittedView* input);
bool TakePlainStep(cbor::Reader* reader, PlainStep* step);  // two entries

// What a run of plain inputs comes to for one who does not run their steps:
// numbered without a gap, none twice. Views into the bytes it was read from.
struct PlainInputs {
  std::size_t begin = 0;  // where they stand in what was read
  std::size_t size = 0;   // their bytes
  std::uint64_t count = 0;
  InputId first;
  std::uint64_t position = 0;  // the last that one has; 0: none
  ReducerId reducer_max = 0;   // of all
  std::vector<std::pair<std::string_view, InputId>> submissions;
};

// Those that a block's entries begin with, behind RoundOpened: as many as are
// plain and follow each other.
PlainInputs ReadPlainInputs(BytesView entries);

}  // namespace reenact

#endif  // REENACT_JOURNAL_PLAIN_ENTRIES_H_
