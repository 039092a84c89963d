// The entries of a journal that is in memory, one after the other.

#ifndef REENACT_HARNESS_JOURNAL_ENTRIES_H_
#define REENACT_HARNESS_JOURNAL_ENTRIES_H_

#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact::harness {

// Calls `visit(entry)` with each, in order, until it returns false, and
// `block_ends()` behind each block. Errors: of DecodeBlock() and DecodeEntry().
template <typename Visit, typename BlockEnds>
absl::Status VisitEntries(const std::vector<Bytes>& blocks, const Visit& visit,
                          const BlockEnds& block_ends) {
  for (const Bytes& stored : blocks) {
    REENACT_ASSIGN_OR_RETURN(const BlockView block, DecodeBlock(stored));
    cbor::Reader reader(block.entries);
    while (!reader.AtEnd()) {
      REENACT_ASSIGN_OR_RETURN(const Entry entry, DecodeEntry(reader));
      if (!visit(entry)) return absl::OkStatus();
    }
    block_ends();
  }
  return absl::OkStatus();
}

// Calls `visit(entry)` with every entry.
template <typename Visit>
absl::Status ForEachEntry(const std::vector<Bytes>& blocks,
                          const Visit& visit) {
  const auto go_on = [&visit](const Entry& entry) {
    visit(entry);
    return true;
  };
  return VisitEntries(blocks, go_on, [] {});
}

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_JOURNAL_ENTRIES_H_
