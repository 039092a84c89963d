#include "tests/golden/golden.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {

std::map<std::string, Play> GoldenPlays() {
  std::map<std::string, Play> plays;
  plays.emplace("counter", CounterPlay(60));
  plays.emplace("bank-declared", BankPlay("declared", 60));
  plays.emplace("bank-undeclared", BankPlay("undeclared", 60));
  plays.emplace("bank-events", BankPlay("events", 60));
  plays.emplace("cases", CasesPlay(50));
  plays.emplace("torture-1", TorturePlay(1, 60));
  plays.emplace("torture-2", TorturePlay(2, 60));
  plays.emplace("torture-5", TorturePlay(5, 60));
  for (auto& [name, play] : plays) play.config.format_version = 1;
  // From format 2 on intents are judged; from 3 on blocks bind what is open.
  for (const std::uint64_t format : {2, 3}) {
    const std::string suffix = "-format-" + std::to_string(format);
    std::map<std::string, Play> judged;
    judged.emplace("counter" + suffix, CounterPlay(60));
    judged.emplace("torture-2" + suffix, TorturePlay(2, 60));
    judged.emplace("torture-5" + suffix, TorturePlay(5, 60));
    if (format >= 3) judged.emplace("orders" + suffix, OrdersPlay(60));
    for (auto& [name, play] : judged) play.config.format_version = format;
    plays.merge(judged);
  }
  return plays;
}

Expectations ReadExpectations(const std::string& directory) {
  Expectations expectations;
  std::istringstream lines(ReadWholeFile(directory + "/expected.txt"));
  for (std::string name, value; lines >> name >> value;) {
    expectations[name] = value;
  }
  return expectations;
}

std::vector<Bytes> ReadJournal(const std::string& directory) {
  const std::string bytes = ReadWholeFile(directory + "/journal.cborseq");
  std::vector<Bytes> blocks;
  cbor::Reader reader(bytes);
  while (!reader.AtEnd()) {
    blocks.emplace_back(reader.ByteString());
    REQUIRE_OK(reader.status());
  }
  return blocks;
}

void WriteGolden(const std::string& directory, const Play& play) {
  REQUIRE(std::filesystem::create_directory(directory));
  const TemporaryDirectory temporary;
  const std::string world = temporary / "world";
  RunPlay(play, world);
  Bytes journal;
  for (const Bytes& block : BlocksOf(world)) {
    cbor::Encoder(&journal).ByteString(block);
  }
  WriteWholeFile(directory + "/journal.cborseq", journal);
  std::filesystem::create_directory(directory + "/snapshots");
  for (const auto& [name, bytes] : SnapshotsOf(world)) {
    WriteWholeFile(directory + "/snapshots/" + name, bytes);
  }
  VerifyOptions options;
  options.path = world;
  options.modules.push_back(ModuleOf(play));
  const auto report = Verify(options);
  REQUIRE_OK(report);
  REQUIRE(report->verdict == Verdict::kIdentical);
  WriteWholeFile(directory + "/expected.txt",
                 "head " + std::to_string(report->head.value) + "\nfailed " +
                     std::to_string(report->failed_steps) + "\njournal " +
                     report->journal.ToHex() + "\nstate " +
                     report->state.ToHex() + "\n");
}

}  // namespace reenact
