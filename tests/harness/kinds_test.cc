// What each kind of mistake gives, by each of those who look for it: the table
// in spec/harness.md.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/journal/temporary_directory.h"
#include "tests/tools/command.h"

namespace reenact::tests {
namespace {

const std::string kModule = REENACT_BINARY_DIR "/tests/modules/impure_kinds.so";

// The kinds, in the order of the table in the document.
std::vector<std::vector<std::string>> DocumentedTable() {
  std::ifstream file(REENACT_SOURCE_DIR "/spec/harness.md");
  std::vector<std::vector<std::string>> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("| a step looks at", 0) == 0) inside = true;
    if (inside && line.empty()) break;
    if (!inside) continue;
    std::vector<std::string> cells;
    std::istringstream parts(line);
    std::string cell;
    std::getline(parts, cell, '|');
    while (std::getline(parts, cell, '|')) {
      const std::size_t first = cell.find_first_not_of(' ');
      const std::size_t last = cell.find_last_not_of(' ');
      cells.push_back(
          first == cell.npos ? "" : cell.substr(first, last - first + 1));
    }
    rows.push_back(cells);
  }
  if (rows.size() < 2) return {};
  return {rows.begin() + 2, rows.end()};
}

std::string After(const std::string& text, const std::string& label) {
  const std::size_t at = text.find(label);
  if (at == text.npos) return "";
  const std::size_t from = text.find_first_not_of(' ', at + label.size());
  return text.substr(from, text.find('\n', from) - from);
}

class Kinds {
 public:
  Kinds() {
    std::ofstream file(events_);
    for (int i = 0; i < 200; ++i) {
      file << R"({"counter": "c)" << i % 2 << R"(", "add": )" << i << "}\n";
    }
  }
  ~Kinds() { unsetenv("REENACT_KIND"); }

  // The row of the table for `kind`.
  std::vector<std::string> Try(const std::string& kind) {
    REQUIRE(setenv("REENACT_KIND", kind.c_str(), 1) == 0);
    const std::string world = directory_ / ("w" + std::to_string(++worlds_));
    Command fuzz(Reenact({"fuzz", "--module", kModule, "--events", events_,
                          "--runs", "60", "--shrink", "10", "--quiet"}));
    Command check(
        Reenact({"run", "--module", kModule, "--world", world + "c", "--events",
                 events_, "--quiet", "--self-check", "1"}));
    const CommandResult run =
        RunReenact({"run", "--module", kModule, "--world", world, "--events",
                    events_, "--quiet"});
    CAPTURE(kind, run.err);
    REQUIRE(run.code == 0);
    const CommandResult verified =
        RunReenact({"verify", world, "--module", kModule});
    const std::string word =
        verified.out.substr(0, verified.out.find_first_of(": "));
    const CommandResult fuzzed = fuzz.Finish();
    const CommandResult checked = check.Finish();
    const std::string violated = After(fuzzed.out, "\nviolated:");
    return {kind, word, After(verified.out, "\n  called:"),
            violated.empty() ? "held" : violated,
            checked.code == 5   ? "ends"
            : checked.code == 0 ? "goes on"
                                : "?"};
  }

 private:
  const TemporaryDirectory directory_;
  const std::string events_ = directory_ / "events.jsonl";
  int worlds_ = 0;
};

std::string Row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += " " + cell + " |";
  return text;
}

TEST_CASE("trial 24: what each kind of mistake gives is what the table says",
          "[fuzz]") {
#ifdef REENACT_SANITIZED
  WARN("sanitizers intercept the same functions, so there are no probes");
#else
  const auto documented = DocumentedTable();
  REQUIRE(documented.size() > 30);
  Kinds kinds;
  std::string wrong;
  for (const auto& row : documented) {
    const std::string found = Row(kinds.Try(row.front()));
    if (found != Row(row)) wrong += "\n" + found;
  }
  CAPTURE(wrong);
  CHECK(wrong.empty());
#endif
}

}  // namespace
}  // namespace reenact::tests
