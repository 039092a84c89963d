// Reads the files of spec/vectors: stanzas of lines "name value", separated by
// empty lines; '#' starts a comment.

#ifndef REENACT_TESTS_JOURNAL_VECTORS_H_
#define REENACT_TESTS_JOURNAL_VECTORS_H_

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/kernel/hash.h"

namespace reenact {

using Stanza = std::map<std::string, std::string>;

inline std::vector<Stanza> ReadVectors(const std::string& name) {
  std::ifstream file(std::string(REENACT_SOURCE_DIR "/spec/vectors/") + name);
  REQUIRE(file.is_open());
  std::vector<Stanza> stanzas;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') {
      inside = false;
      continue;
    }
    if (!inside) stanzas.emplace_back();
    inside = true;
    const std::size_t space = line.find(' ');
    stanzas.back()[line.substr(0, space)] =
        space == std::string::npos ? "" : line.substr(space + 1);
  }
  return stanzas;
}

inline Bytes Unhex(const std::string& hex) { return FromHex(hex).value(); }

}  // namespace reenact

#endif  // REENACT_TESTS_JOURNAL_VECTORS_H_
