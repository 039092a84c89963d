// Opening a world: from what is found on disk to a decision. spec/journal.md
// has the table, and what a crash can leave.

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "reenact/journal/block.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/directory/head.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace Catch {
template <>
struct StringMaker<reenact::OpenDecision> {
  static std::string convert(reenact::OpenDecision decision) {
    return std::string(reenact::OpenDecisionName(decision));
  }
};
}  // namespace Catch

namespace reenact {
namespace {

namespace fs = std::filesystem;

// --- the table ---------------------------------------------------------------

// The columns of the table, in order.
constexpr bool Findings::*kColumns[] = {
    &Findings::directory_exists, &Findings::directory_empty,
    &Findings::marker_valid,     &Findings::format_known,
    &Findings::head_valid,       &Findings::head_damaged,
    &Findings::database_exists,  &Findings::database_opens,
    &Findings::genesis_valid,    &Findings::same_world,
    &Findings::reaches_head,     &Findings::head_hash_matches,
    &Findings::tail_exists,      &Findings::tail_valid,
    &Findings::cells_not_ahead};
constexpr std::size_t kColumnCount = std::size(kColumns);

// '1' yes, '0' no, '-' either.
struct Row {
  const char* pattern;  // blanks are for the eye
  OpenDecision decision;
};

using enum OpenDecision;

constexpr Row kTable[] = {
    // dir  WORLD HEAD database          tail cells
    // ex em va kn  va da  ex op ge wo re ha  ex va  na
    {"  -  1  1  -  -  -   -  -  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  -  1  0  -  1  -   -  -  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  -  1  0  -  0  1   -  -  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  -  1  0  -  0  0   1  -  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  -  1  0  -  0  0   0  -  -  -  -  -   -  -   -", kCreate},
    {"  0  0  -  -  -  -   -  -  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  1  0  0  -  -  -   -  -  -  -  -  -   -  -   -", kRefuseNotAWorld},
    {"  1  0  1  0  -  -   -  -  -  -  -  -   -  -   -", kRefuseVersion},
    // HEAD says nothing
    {"  1  0  1  1  0  1   -  -  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  1  0  1  1  0  0   0  -  -  -  -  -   -  -   -", kCreate},
    {"  1  0  1  1  0  0   1  0  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  1  0  1  1  0  0   1  1  0  -  -  -   -  -   -", kRefuseDamaged},
    {"  1  0  1  1  0  0   1  1  1  -  -  -   1  -   -", kRefuseDamaged},
    {"  1  0  1  1  0  0   1  1  1  -  -  -   0  1   -", kRefuseDamaged},
    {"  1  0  1  1  0  0   1  1  1  -  -  -   0  0   1", kOpenExtend},
    {"  1  0  1  1  0  0   1  1  1  -  -  -   0  0   0", kOpenRebuildCells},
    // HEAD says what was acknowledged
    {"  1  0  1  1  1  -   0  -  -  -  -  -   -  -   -", kRefuseLostAcked},
    {"  1  0  1  1  1  -   1  0  -  -  -  -   -  -   -", kRefuseDamaged},
    {"  1  0  1  1  1  -   1  1  0  -  -  -   -  -   -", kRefuseDamaged},
    {"  1  0  1  1  1  -   1  1  1  0  -  -   -  -   -", kRefuseForeign},
    {"  1  0  1  1  1  -   1  1  1  1  0  -   -  -   -", kRefuseLostAcked},
    {"  1  0  1  1  1  -   1  1  1  1  1  0   -  -   -", kRefuseDamaged},
    {"  1  0  1  1  1  -   1  1  1  1  1  1   0  1   -", kRefuseDamaged},
    {"  1  0  1  1  1  -   1  1  1  1  1  1   0  0   1", kOpen},
    {"  1  0  1  1  1  -   1  1  1  1  1  1   0  0   0", kOpenRebuildCells},
    {"  1  0  1  1  1  -   1  1  1  1  1  1   1  1   1", kOpenExtend},
    {"  1  0  1  1  1  -   1  1  1  1  1  1   1  1   0", kOpenRebuildCells},
    {"  1  0  1  1  1  -   1  1  1  1  1  1   1  0   1", kOpenCutTail},
    {"  1  0  1  1  1  -   1  1  1  1  1  1   1  0   0", kOpenRebuildCells},
};

std::string WithoutBlanks(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

bool Matches(const std::string& pattern, unsigned combination) {
  for (std::size_t i = 0; i < kColumnCount; ++i) {
    const bool set = (combination >> i & 1) != 0;
    if (pattern[i] != '-' && (pattern[i] == '1') != set) return false;
  }
  return true;
}

TEST_CASE("every combination of findings has exactly one decision",
          "[journal][recovery]") {
  std::vector<std::string> patterns;
  for (const Row& row : kTable) {
    patterns.push_back(WithoutBlanks(row.pattern));
    REQUIRE(patterns.back().size() == kColumnCount);
  }
  for (unsigned combination = 0; combination < 1U << kColumnCount;
       ++combination) {
    Findings findings;
    for (std::size_t i = 0; i < kColumnCount; ++i) {
      findings.*kColumns[i] = (combination >> i & 1) != 0;
    }
    const Row* match = nullptr;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      if (!Matches(patterns[i], combination)) continue;
      CAPTURE(combination, patterns[i]);
      REQUIRE(match == nullptr);
      match = &kTable[i];
    }
    CAPTURE(combination);
    REQUIRE(match != nullptr);
    if (Decide(findings) != match->decision) {
      CAPTURE(match->pattern);
      REQUIRE(Decide(findings) == match->decision);
    }
  }
}

TEST_CASE("the table in the specification is the one that is tested",
          "[journal][recovery]") {
  const std::string spec = ReadWholeFile(REENACT_SOURCE_DIR "/spec/journal.md");
  std::size_t at = 0;
  for (const Row& row : kTable) {
    std::string line = "|";
    for (const char answer : WithoutBlanks(row.pattern)) {
      line += std::string(" ") + answer + " |";
    }
    line += " " + std::string(OpenDecisionName(row.decision)) + " |";
    CAPTURE(line);
    at = spec.find(line, at);
    REQUIRE(at != std::string::npos);
    at += line.size();
  }
}

TEST_CASE("nothing but a refusal has a status that is not OK",
          "[journal][recovery]") {
  const WorldPaths paths("some/world");
  Findings findings;
  findings.detail = "the detail";
  findings.found_format = 9;
  const auto code = [&](OpenDecision decision) {
    const absl::Status status = RefusalStatus(decision, findings, paths);
    if (!status.ok()) {
      const std::string message(status.message());
      CHECK_THAT(message, Catch::Contains("some/world") &&
                              Catch::Contains("the detail"));
      CHECK(message.find('\n') == std::string::npos);
    }
    return status.code();
  };
  CHECK(code(OpenDecision::kCreate) == absl::StatusCode::kOk);
  CHECK(code(OpenDecision::kOpen) == absl::StatusCode::kOk);
  CHECK(code(OpenDecision::kOpenExtend) == absl::StatusCode::kOk);
  CHECK(code(OpenDecision::kOpenCutTail) == absl::StatusCode::kOk);
  CHECK(code(OpenDecision::kOpenRebuildCells) == absl::StatusCode::kOk);
  CHECK(code(OpenDecision::kRefuseNotAWorld) ==
        absl::StatusCode::kFailedPrecondition);
  CHECK(code(OpenDecision::kRefuseVersion) == absl::StatusCode::kUnimplemented);
  CHECK(code(OpenDecision::kRefuseDamaged) == absl::StatusCode::kDataLoss);
  CHECK(code(OpenDecision::kRefuseLostAcked) == absl::StatusCode::kDataLoss);
  CHECK(code(OpenDecision::kRefuseForeign) ==
        absl::StatusCode::kFailedPrecondition);
}

// --- worlds on disk ----------------------------------------------------------

// A chain: genesis, then one ticket in each block.
struct Chain {
  std::vector<Bytes> blocks;
  std::vector<Digest> hashes;
  WorldConfig config;
};

Chain MakeChain(std::uint64_t seed, std::uint64_t block_count) {
  Chain chain;
  SetIdentity(seed, chain.config);
  chain.config.modules = {{"bank", "1", Hash("bank"), {"account"}}};
  chain.config.reducers = {"account"};
  BlockHeader header;
  header.first = EventId{1};
  for (std::uint64_t index = 0; index < block_count; ++index) {
    Bytes entries;
    EncodeEntry(index == 0 ? Entry(entry::Genesis{chain.config})
                           : Entry(entry::StepCommitted{
                                 EventId{index}, LaneId{0}, {}, {}, {}}),
                &entries);
    header.index = index;
    header.round = Round{index};
    header.entry_count = 1;
    header.ticket_count = index == 0 ? 0 : 1;
    header.first = EventId{index == 0 ? 1 : index};
    header.prev = index == 0 ? Digest() : chain.hashes.back();
    Digest hash;
    chain.blocks.push_back(EncodeBlock(header, entries, &hash));
    chain.hashes.push_back(hash);
  }
  return chain;
}

HeadRecord RecordOf(const Chain& chain, std::uint64_t block_count) {
  HeadRecord record;
  record.world_id = chain.config.world_id;
  record.epoch = 1;
  record.block_count = block_count;
  record.event_id = EventId{block_count - 1};
  record.hash = chain.hashes[block_count - 1];
  return record;
}

// A world's directory whose parts a test may put together as it likes.
class World {
 public:
  World() : paths_(directory_ / "world") {}

  const WorldPaths& paths() const { return paths_; }

  void Create() { REQUIRE_OK(CreateWorldDirectory(paths_)); }

  // Blocks from where the store ends, and a cell as of the last of them.
  void Store(const std::vector<Bytes>& blocks) {
    RocksDbOptions options;
    options.create = true;
    auto store = OpenRocksDbStore(paths_.db, options).value();
    for (const Bytes& block : blocks) {
      CellBatch batch;
      batch.Add(0, "a", EventId{1}, "\x01");
      CommitGroup group;
      group.first_index = store->block_count();
      group.blocks = {block};
      group.cells = {&batch};
      REQUIRE_OK(store->Commit(group, true));
    }
    REQUIRE_OK(store->Close());
  }
  void Head(const HeadRecord& record) {
    const auto last = ReadHeadFile(paths_.head).value().newest();
    REQUIRE_OK(HeadFile::Open(paths_.head, last).value()->Write(record, true));
  }
  void EmptyHead() {
    REQUIRE_OK(HeadFile::Open(paths_.head, std::nullopt).status());
  }

  Findings Look() const {
    const auto before = Snapshot();
    const absl::StatusOr<Findings> findings = Inspect(paths_);
    REQUIRE_OK(findings);
    REQUIRE(Snapshot() == before);  // nothing is modified
    return *findings;
  }

 private:
  // Every file with its bytes.
  std::vector<std::pair<std::string, std::string>> Snapshot() const {
    std::vector<std::pair<std::string, std::string>> files;
    if (!fs::exists(paths_.directory)) return files;
    for (const auto& file :
         fs::recursive_directory_iterator(paths_.directory)) {
      files.emplace_back(
          file.path().string(),
          file.is_regular_file() ? ReadWholeFile(file.path().string()) : "");
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  TemporaryDirectory directory_;
  WorldPaths paths_;
};

std::vector<Bytes> Part(const Chain& chain, std::size_t from, std::size_t to) {
  return {chain.blocks.begin() + static_cast<std::ptrdiff_t>(from),
          chain.blocks.begin() + static_cast<std::ptrdiff_t>(to)};
}

void Damage(const std::string& path, std::size_t offset) {
  std::string bytes = ReadWholeFile(path);
  REQUIRE(offset < bytes.size());
  bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
  WriteWholeFile(path, bytes);
}

TEST_CASE("where nothing is, a world is made", "[journal][recovery]") {
  World world;
  SECTION("no directory") {}
  SECTION("an empty directory") {
    fs::create_directory(world.paths().directory);
  }
  SECTION("a directory in which the marker was not finished") {
    fs::create_directory(world.paths().directory);
    WriteWholeFile(world.paths().marker + ".tmp", "reenact wo");
  }
  SECTION("a directory without a database") { world.Create(); }
  SECTION("an empty database") {
    world.Create();
    world.Store({});
  }
  SECTION("a head file that was never written") {
    world.Create();
    world.EmptyHead();
  }
  CHECK(Decide(world.Look()) == OpenDecision::kCreate);
}

TEST_CASE("a creation that was cut short after genesis goes on",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 1);
  world.Create();
  world.Store(chain.blocks);
  if (GENERATE(false, true)) world.EmptyHead();

  const Findings findings = world.Look();

  CHECK(Decide(findings) == OpenDecision::kOpenExtend);
  CHECK_FALSE(findings.head_valid);
  REQUIRE(findings.head.has_value());
  CHECK(findings.head->hash == chain.hashes[0]);
  CHECK(findings.head->event_id == EventId{0});
  CHECK(findings.kept_blocks() == 1);
}

TEST_CASE("a world that was closed in order is opened", "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  world.Create();
  world.Store(chain.blocks);
  world.Head(RecordOf(chain, 4));

  const Findings findings = world.Look();

  CHECK(Decide(findings) == OpenDecision::kOpen);
  CHECK(findings.kept_blocks() == 4);
  CHECK(findings.genesis->world_id == chain.config.world_id);
  CHECK(findings.detail.empty());
  CHECK(RefusalStatus(Decide(findings), findings, world.paths()).ok());
}

TEST_CASE("blocks that nobody was told about are kept if they are whole",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 5);
  world.Create();
  world.Store(chain.blocks);
  const auto acknowledged = GENERATE(range<std::uint64_t>(1, 5));
  world.Head(RecordOf(chain, acknowledged));

  const Findings findings = world.Look();

  CHECK(Decide(findings) == OpenDecision::kOpenExtend);
  CHECK(findings.tail_valid_blocks == 5 - acknowledged);
  CHECK(findings.kept_blocks() == 5);
}

TEST_CASE("a torn tail is cut where it tears, and said",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 6);
  std::vector<Bytes> blocks = chain.blocks;
  blocks[4].pop_back();
  world.Create();
  world.Store(blocks);
  world.Head(RecordOf(chain, 3));

  const Findings findings = world.Look();

  // The cells are as of block 5, which is not kept.
  CHECK(Decide(findings) == OpenDecision::kOpenRebuildCells);
  CHECK_FALSE(findings.tail_valid);
  CHECK(findings.kept_blocks() == 4);
  CHECK_THAT(findings.detail, Catch::Contains("block 4"));
}

TEST_CASE("a tail that does not continue the chain is cut",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  std::vector<Bytes> blocks = chain.blocks;
  blocks.push_back(MakeChain(2, 5).blocks[4]);
  world.Create();
  world.Store(blocks);
  world.Head(RecordOf(chain, 3));

  const Findings findings = world.Look();

  CHECK(findings.tail_exists);
  CHECK_FALSE(findings.tail_valid);
  CHECK(findings.kept_blocks() == 4);
  CHECK_THAT(findings.detail, Catch::Contains("does not follow"));
}

TEST_CASE("a torn head slot falls back, and the tail is found whole",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  world.Create();
  world.Store(chain.blocks);
  world.Head(RecordOf(chain, 3));  // generation 1: slot 1
  world.Head(RecordOf(chain, 4));  // generation 2: slot 0
  Damage(world.paths().head, 50);

  const Findings findings = world.Look();

  CHECK(findings.head_damaged);
  CHECK(findings.head->block_count == 3);
  CHECK(Decide(findings) == OpenDecision::kOpenExtend);
  CHECK(findings.kept_blocks() == 4);
  CHECK_THAT(findings.detail, Catch::Contains("HEAD"));
}

// A power cut between the first write to HEAD and its sync was once taken for
// damage, and a world that nobody had been told about could not be opened.
TEST_CASE("a first head record that tore is a creation that goes on",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 2);
  world.Create();
  const bool stored = GENERATE(false, true);
  if (stored) world.Store(Part(chain, 0, 1));
  world.Head(RecordOf(chain, 1));  // generation 1: slot 1
  Damage(world.paths().head, kHeadSlotSize + 50);

  const Findings findings = world.Look();

  CHECK_FALSE(findings.head_damaged);
  CHECK_FALSE(findings.head_valid);
  CHECK(Decide(findings) ==
        (stored ? OpenDecision::kOpenExtend : OpenDecision::kCreate));
}

TEST_CASE("a first head record is not believed to be torn beside blocks",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 2);
  world.Create();
  world.Store(chain.blocks);
  world.Head(RecordOf(chain, 1));
  Damage(world.paths().head, kHeadSlotSize + 50);
  CHECK(Decide(world.Look()) == OpenDecision::kRefuseDamaged);
}

TEST_CASE("acknowledged blocks that are gone are a refusal",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  world.Create();
  SECTION("some of them") { world.Store(Part(chain, 0, 3)); }
  SECTION("the database") {}
  SECTION("the database's directory") { fs::remove(world.paths().db); }
  world.Head(RecordOf(chain, 4));

  const Findings findings = world.Look();
  const absl::Status status =
      RefusalStatus(Decide(findings), findings, world.paths());

  CHECK(Decide(findings) == OpenDecision::kRefuseLostAcked);
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()),
             Catch::Contains(world.paths().directory));
}

TEST_CASE("a damaged acknowledged block is a refusal that names it",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  std::vector<Bytes> blocks = chain.blocks;
  const auto index = GENERATE(std::size_t{0}, std::size_t{3});
  blocks[index][40] = static_cast<char>(blocks[index][40] ^ 1);
  world.Create();
  world.Store(blocks);
  world.Head(RecordOf(chain, 4));

  const Findings findings = world.Look();

  CHECK(Decide(findings) == OpenDecision::kRefuseDamaged);
  CHECK_THAT(findings.detail,
             Catch::Contains("block " + std::to_string(index)));
}

TEST_CASE("chaos 58: another history of the same world is a refusal",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  world.Create();
  world.Store(chain.blocks);
  HeadRecord record = RecordOf(chain, 4);
  record.hash = Hash("what was acknowledged");
  world.Head(record);
  CHECK(Decide(world.Look()) == OpenDecision::kRefuseDamaged);
}

TEST_CASE("the journal of another world is a refusal", "[journal][recovery]") {
  World world;
  world.Create();
  world.Store(MakeChain(1, 4).blocks);
  world.Head(RecordOf(MakeChain(2, 4), 4));

  const Findings findings = world.Look();

  CHECK(Decide(findings) == OpenDecision::kRefuseForeign);
  CHECK(absl::IsFailedPrecondition(
      RefusalStatus(Decide(findings), findings, world.paths())));
}

TEST_CASE("a journal without its head record is a refusal",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  world.Create();
  world.Store(chain.blocks);
  SECTION("HEAD is gone") {}
  SECTION("HEAD is empty") { world.EmptyHead(); }
  SECTION("both slots are damaged") {
    world.Head(RecordOf(chain, 3));
    world.Head(RecordOf(chain, 4));
    Damage(world.paths().head, 50);
    Damage(world.paths().head, 5000);
  }
  const Findings findings = world.Look();
  CHECK(Decide(findings) == OpenDecision::kRefuseDamaged);
  CHECK_THAT(findings.detail, Catch::Contains("HEAD"));
}

TEST_CASE("a directory with other files is not a world",
          "[journal][recovery]") {
  World world;
  fs::create_directory(world.paths().directory);
  WriteWholeFile(world.paths().directory + "/notes.txt", "x");
  const Findings findings = world.Look();
  CHECK(Decide(findings) == OpenDecision::kRefuseNotAWorld);
  CHECK_THAT(findings.detail, Catch::Contains("notes.txt"));
}

TEST_CASE("a marker that is not well-formed is no marker",
          "[journal][recovery]") {
  World world;
  world.Create();
  const auto text = GENERATE(
      as<std::string>(), "", "reenact world format 1",
      "reenact world format \n", "reenact world format 01\n",
      "reenact world format 1\n\n", "reenact world format -1\n",
      "Reenact world format 1\n",
      "reenact world format 99999999999999999999999999\n",
      "reenact world format 1\nand a line that is longer than any marker is\n");
  CAPTURE(text);
  WriteWholeFile(world.paths().marker, text);
  CHECK(Decide(world.Look()) == OpenDecision::kRefuseNotAWorld);
}

TEST_CASE("chaos 55: a world of another format is a refusal that says which",
          "[journal][recovery]") {
  World world;
  world.Create();
  WriteWholeFile(world.paths().marker, "reenact world format 4\n");
  const Findings findings = world.Look();
  CHECK(Decide(findings) == OpenDecision::kRefuseVersion);
  const absl::Status status =
      RefusalStatus(Decide(findings), findings, world.paths());
  CHECK(absl::IsUnimplemented(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains("format 4"));
}

TEST_CASE("a damaged database is a refusal", "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  world.Create();
  world.Store(chain.blocks);
  world.Head(RecordOf(chain, 4));
  WriteWholeFile(world.paths().db + "/CURRENT", "MANIFEST-999999\n");
  const Findings findings = world.Look();
  CHECK(Decide(findings) == OpenDecision::kRefuseDamaged);
  CHECK_FALSE(findings.detail.empty());
}

TEST_CASE("a world's file that is a symbolic link is refused by name",
          "[journal][recovery]") {
  World world;
  world.Create();
  world.EmptyHead();
  const std::string path =
      world.paths().directory + "/" +
      GENERATE(as<std::string>(), "WORLD", "OWNER", "HEAD", "db", "snapshots");
  fs::rename(path, world.paths().directory + "/elsewhere");
  fs::create_symlink("elsewhere", path);
  const absl::Status status = Inspect(world.paths()).status();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains(path));
}

TEST_CASE("a path that is no directory is refused", "[journal][recovery]") {
  const TemporaryDirectory directory;
  WriteWholeFile(directory / "world", "x");
  CHECK(absl::IsFailedPrecondition(
      Inspect(WorldPaths(directory / "world")).status()));
}

TEST_CASE("a world can be looked at while somebody owns it",
          "[journal][recovery]") {
  World world;
  const Chain chain = MakeChain(1, 4);
  world.Create();
  world.Store(chain.blocks);
  world.Head(RecordOf(chain, 4));
  const auto owner = AcquireOwnership(world.paths()).value();
  const auto store = OpenRocksDbStore(world.paths().db, {}).value();
  const absl::StatusOr<Findings> findings = Inspect(world.paths());
  REQUIRE_OK(findings);
  CHECK(Decide(*findings) == OpenDecision::kOpen);
}

}  // namespace
}  // namespace reenact
