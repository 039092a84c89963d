// Golden worlds: histories that stay as they were written, and must replay.

#ifndef REENACT_TESTS_GOLDEN_GOLDEN_H_
#define REENACT_TESTS_GOLDEN_GOLDEN_H_

#include <map>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "tests/replay/plays.h"

namespace reenact {

// The worlds by the names of their folders here. A play in this list is never
// changed: a new one gets a new name.
std::map<std::string, Play> GoldenPlays();

// What `expected.txt` says: "name value" a line.
using Expectations = std::map<std::string, std::string>;
Expectations ReadExpectations(const std::string& directory);

// The blocks in `journal.cborseq`, a CBOR sequence of byte strings.
std::vector<Bytes> ReadJournal(const std::string& directory);

// Writes the files of one golden world into the new directory `directory`,
// out of a world that has just been made.
void WriteGolden(const std::string& directory, const Play& play);

}  // namespace reenact

#endif  // REENACT_TESTS_GOLDEN_GOLDEN_H_
