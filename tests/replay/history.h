// Histories to be tampered with: taken from a world's directory apart, changed,
// chained again and put back, so that nothing but running the reducers again
// can tell.

#ifndef REENACT_TESTS_REPLAY_HISTORY_H_
#define REENACT_TESTS_REPLAY_HISTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"

namespace reenact {

struct HistoryBlock {
  BlockHeader header;
  std::vector<Bytes> entries;
};
using History = std::vector<HistoryBlock>;

History TakeApart(const std::vector<Bytes>& blocks);
History TakeApart(const std::string& directory);
// The stored bytes: indices, hashes and counts of entries are as they must be;
// round, first ticket and tickets are what the headers say.
std::vector<Bytes> Chain(const History& history);
// The cells that the recorded diffs come to. A diff that does not apply is left
// out.
std::map<CellRef, Bytes> Fold(const std::vector<Bytes>& blocks);

// A world's directory with these blocks, the cells that they record and a HEAD
// that acknowledges them.
void WriteWorld(const std::string& directory, const std::vector<Bytes>& blocks);
// The same history as a slice that begins right after genesis: three small
// files, which is what makes thousands of them bearable. REQUIRES: `directory`
// exists; what it holds is overwritten.
void WriteSlice(const std::string& directory, const std::vector<Bytes>& blocks);
// Puts other blocks in the place of those from `first` on, and nothing else.
void ReplaceBlocks(const std::string& directory, std::uint64_t first,
                   const std::vector<Bytes>& blocks);

Entry EntryOf(const Bytes& bytes);
Bytes BytesOf(const Entry& entry);

}  // namespace reenact

#endif  // REENACT_TESTS_REPLAY_HISTORY_H_
