#include "reenact/journal/archive.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reenact/journal/memory/memory_store.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/journal/store_fixture.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

constexpr ReducerId kAccount = 0;
constexpr ReducerId kTotal = 1;

WorldConfig Config() {
  WorldConfig config;
  SetIdentity(0, config);
  config.format_version = 2;  // whose blocks do not say what is open
  config.modules = {{"bank", "1", Hash("bank"), {"account", "total"}}};
  config.reducers = {"account", "total"};
  return config;
}

// A world made by hand: rounds of steps, each of which sets the balance of its
// own account and adds one to the total.
class HandMadeWorld {
 public:
  explicit HandMadeWorld(const TemporaryDirectory& directory)
      : paths_(directory / "world") {
    REQUIRE_OK(CreateWorldDirectory(paths_));
    RocksDbOptions options;
    options.create = true;
    store_ = OpenRocksDbStore(paths_.db, options).value();
    Bytes genesis;
    EncodeEntry(entry::Genesis{Config()}, &genesis);
    Seal(Round{0}, 0, genesis, 1);
  }

  const std::string& path() const { return paths_.directory; }
  const WorldPaths& paths() const { return paths_; }

  // One round, with a step for each of the accounts.
  void AddRound(const std::vector<std::string>& accounts) {
    Bytes entries;
    std::uint64_t count = 1;
    const Round round{++round_};
    EncodeEntry(
        entry::RoundOpened{round, {}, EventId{head_ + 1}, accounts.size()},
        &entries);
    for (const std::string& account : accounts) {
      EncodeEntry(Admitted(account), &entries);
      ++count;
    }
    std::uint64_t event_id = head_;
    for (const std::string& account : accounts) {
      EncodeStep(EventId{++event_id}, account, &entries);
      count += 2;
    }
    Seal(round, accounts.size(), entries, count);
  }

  // A round with one control command that adds a reducer.
  void AddReducer(const std::string& name) {
    WorldConfig config = Config();
    config.modules.front().version = "2";
    config.modules.front().reducers.push_back(name);
    config.reducers.push_back(name);
    Bytes entries;
    const Round round{++round_};
    EncodeEntry(entry::RoundOpened{round, {}, EventId{head_ + 1}, 1}, &entries);
    EncodeEntry(entry::ModuleChanged{InputId{++input_}, config.modules,
                                     config.reducers},
                &entries);
    const EventId event_id{head_ + 1};
    EncodeEntry(entry::StepScheduled{event_id,
                                     {},
                                     UnitKind::kControl,
                                     {},
                                     Cause{InputId{input_}, {}, 0}},
                &entries);
    EncodeEntry(entry::StepCommitted{event_id, {}, {}, {}, {}}, &entries);
    Seal(round, 1, entries, 4);
  }

  // Writes the snapshot of this moment.
  void TakeSnapshot() {
    auto cells = NewMemoryStore();
    GroupBuilder group(cells.get());
    group.Block("any");
    for (const auto& [cell, state] : cells_) {
      group.Put(cell.reducer, cell.key, head_, state);
    }
    REQUIRE_OK(group.Commit());
    SnapshotHeader header;
    header.config = Config();
    header.event_id = EventId{head_};
    header.round = Round{round_};
    header.block_count = store_->block_count();
    header.block_hash = hash_;
    header.last_input = InputId{input_};
    Bytes sequencer;
    cbor::Encoder(&sequencer).Map(0);
    REQUIRE_OK(WriteSnapshotFile(paths_.Snapshot(header.event_id), header,
                                 sequencer, *cells->View()));
  }

  // Like a process that stopped when it was about to rebuild the cells.
  void ClearCells() { REQUIRE_OK(store_->ClearCells()); }

  void Close() {
    auto head = HeadFile::Open(paths_.head, {}).value();
    HeadRecord record;
    record.world_id = Config().world_id;
    record.epoch = 1;
    record.block_count = store_->block_count();
    record.event_id = EventId{head_};
    record.hash = hash_;
    record.clean = true;
    REQUIRE_OK(head->Write(record, true));
    REQUIRE_OK(store_->Close());
  }

  // The cells after each ticket: what the archive must answer.
  const std::map<CellRef, Bytes>& CellsAfter(std::uint64_t event_id) const {
    return history_.at(event_id);
  }
  std::uint64_t head() const { return head_; }
  const Digest& hash() const { return hash_; }

 private:
  Entry Admitted(const std::string& account) {
    entry::InputAdmitted input;
    input.input = InputId{++input_};
    input.reducer = kAccount;
    input.key = account;
    input.payload = cbor::EncodeInteger(1);
    return input;
  }

  void EncodeStep(EventId event_id, const std::string& account,
                  Bytes* entries) {
    EncodeEntry(entry::StepScheduled{event_id,
                                     {},
                                     UnitKind::kEvent,
                                     CellRef{kAccount, account},
                                     Cause{InputId{event_id.value}, {}, 0}},
                entries);
    Diff own;
    own.state = cbor::EncodeInteger(static_cast<std::int64_t>(event_id.value));
    Diff total;
    total.op = Diff::Op::kUpdate;
    total.cell = CellRef{kTotal, "all"};
    total.update.number = 1;
    std::vector<Diff> diffs = {own, total};
    // Every fifth step closes the account "a" as well.
    if (event_id.value % 5 == 0) {
      Diff close;
      close.op = Diff::Op::kDelete;
      close.cell = CellRef{kAccount, "a"};
      diffs.push_back(close);
    }
    EncodeEntry(entry::StepCommitted{event_id, {}, diffs, {}, {}}, entries);
    Expect(event_id, account, own.state);
  }

  void Expect(EventId event_id, const std::string& account,
              const Bytes& state) {
    cells_[{kAccount, account}] = state;
    cells_[{kTotal, "all"}] = cbor::EncodeInteger(++total_);
    if (event_id.value % 5 == 0) cells_.erase({kAccount, "a"});
    history_[event_id.value] = cells_;
  }

  void Seal(Round round, std::uint64_t tickets, const Bytes& entries,
            std::uint64_t entry_count) {
    BlockHeader header;
    header.index = store_->block_count();
    header.prev = hash_;
    header.round = round;
    header.first = EventId{head_ + 1};
    header.ticket_count = tickets;
    header.entry_count = entry_count;
    if (header.index == 0) hash_ = Digest();
    const Bytes stored = EncodeBlock(header, entries, &hash_);
    head_ += tickets;
    history_.emplace(head_, cells_);

    CellBatch batch;
    batch.Add(kAccount, "a", EventId{head_}, std::nullopt);
    for (const auto& [cell, state] : cells_) {
      batch.Add(cell.reducer, cell.key, EventId{head_}, state);
    }
    CommitGroup group;
    group.blocks = {stored};
    group.first_index = header.index;
    group.cells = {&batch};
    REQUIRE_OK(store_->Commit(group, true));
  }

  WorldPaths paths_;
  std::unique_ptr<Store> store_;
  std::map<CellRef, Bytes> cells_;
  std::map<std::uint64_t, std::map<CellRef, Bytes>> history_;
  Digest hash_;
  std::uint64_t round_ = 0;
  std::uint64_t head_ = 0;
  std::uint64_t input_ = 0;
  std::int64_t total_ = 0;
};

std::map<CellRef, Bytes> AllAt(const Archive& archive,
                               std::optional<EventId> at) {
  std::map<CellRef, Bytes> cells;
  REQUIRE_OK(archive.ScanStateAt(
      {}, at, [&](ReducerId reducer, std::string_view key, BytesView state) {
        const CellRef cell{reducer, std::string(key)};
        REQUIRE((cells.empty() || cells.rbegin()->first < cell));
        cells[cell] = Bytes(state);
        return absl::OkStatus();
      }));
  return cells;
}

// Every cell after every ticket, asked in both ways.
void CheckAllOfHistory(const Archive& archive, const HandMadeWorld& world) {
  for (std::uint64_t at = 0; at <= world.head(); ++at) {
    INFO("after event " << at);
    const auto& expected = world.CellsAfter(at);
    CHECK(AllAt(archive, EventId{at}) == expected);
    for (const CellRef& cell :
         {CellRef{kAccount, "a"}, CellRef{kAccount, "b"},
          CellRef{kTotal, "all"}, CellRef{kTotal, "none"}}) {
      const auto state =
          archive.StateAt(cell.reducer, cell.key, EventId{at}).value();
      const auto found = expected.find(cell);
      CHECK(state.has_value() == (found != expected.end()));
      if (state && found != expected.end()) CHECK(*state == found->second);
    }
  }
  CHECK(AllAt(archive, {}) == world.CellsAfter(world.head()));
}

TEST_CASE("the state after every ticket comes from recorded changes",
          "[journal][archive]") {
  const TemporaryDirectory directory;
  HandMadeWorld world(directory);
  world.AddRound({"a", "b", "c"});
  world.AddRound({"b"});
  const bool snapshot = GENERATE(false, true);
  const bool cells = GENERATE(false, true);
  if (snapshot) world.TakeSnapshot();
  world.AddRound({"a", "c", "a"});
  world.AddRound({"c"});
  if (!cells) world.ClearCells();
  world.Close();
  CAPTURE(snapshot, cells);
  const auto archive = Archive::Open(world.path());
  REQUIRE_OK(archive);
  CHECK((*archive)->head() == EventId{8});
  CHECK((*archive)->block_count() == 5);
  CHECK((*archive)->journal_digest() == world.hash());
  CheckAllOfHistory(**archive, world);
}

TEST_CASE("the state digest is the same with stored cells and without",
          "[journal][archive]") {
  Digest digests[2];
  for (const bool cells : {false, true}) {
    const TemporaryDirectory directory;
    HandMadeWorld world(directory);
    world.AddRound({"a", "b"});
    world.AddRound({"c", "a", "b"});
    if (!cells) world.ClearCells();
    world.Close();
    const auto archive = Archive::Open(world.path());
    REQUIRE_OK(archive);
    digests[cells] = (*archive)->StateDigest().value();
  }
  CHECK(digests[0] == digests[1]);
  CHECK(digests[0] != Digest());
}

TEST_CASE("a ticket's block is found by its number", "[journal][archive]") {
  const TemporaryDirectory directory;
  HandMadeWorld world(directory);
  world.AddRound({"a", "b", "c"});
  world.AddRound({"b"});
  world.AddRound({"a", "c"});
  world.Close();
  const auto archive = Archive::Open(world.path()).value();
  const std::vector<std::uint64_t> expected = {0, 1, 1, 1, 2, 3, 3};
  for (std::uint64_t event_id = 0; event_id < expected.size(); ++event_id) {
    CHECK(archive->FindBlock(EventId{event_id}).value() == expected[event_id]);
  }
  CHECK(absl::IsNotFound(archive->FindBlock(EventId{7}).status()));
}

TEST_CASE("the future has no state", "[journal][archive]") {
  const TemporaryDirectory directory;
  HandMadeWorld world(directory);
  world.AddRound({"a"});
  world.Close();
  const auto archive = Archive::Open(world.path()).value();
  CHECK(
      absl::IsOutOfRange(archive->StateAt(kAccount, "a", EventId{2}).status()));
}

TEST_CASE("entries come in order, from any block on, until somebody stops",
          "[journal][archive]") {
  const TemporaryDirectory directory;
  HandMadeWorld world(directory);
  world.AddRound({"a"});
  world.AddRound({"b"});
  world.Close();
  const auto archive = Archive::Open(world.path()).value();
  std::vector<EntryKind> kinds;
  const auto collect = [&](const BlockHeader&, const Entry& entry,
                           BytesView bytes) {
    Bytes again;
    EncodeEntry(entry, &again);
    CHECK(again == bytes);
    kinds.push_back(KindOf(entry));
    return kinds.size() < 6 ? absl::OkStatus() : absl::CancelledError("");
  };
  REQUIRE_OK(archive->ScanEntries(0, collect));
  CHECK(kinds == std::vector<EntryKind>{
                     EntryKind::kGenesis, EntryKind::kRoundOpened,
                     EntryKind::kInputAdmitted, EntryKind::kStepScheduled,
                     EntryKind::kStepCommitted, EntryKind::kRoundOpened});
  kinds.clear();
  REQUIRE_OK(archive->ScanEntries(2, collect));
  CHECK(kinds.size() == 4);
  REQUIRE_OK(archive->ScanEntries(99, collect));
  CHECK(absl::IsAborted(
      archive->ScanEntries(0, [](const BlockHeader&, const Entry&, BytesView) {
        return absl::AbortedError("enough");
      })));
}

TEST_CASE("reducers that came later have names too", "[journal][archive]") {
  const TemporaryDirectory directory;
  HandMadeWorld world(directory);
  world.AddRound({"a"});
  if (GENERATE(false, true)) world.TakeSnapshot();
  world.AddReducer("audit");
  world.Close();
  const auto archive = Archive::Open(world.path()).value();
  CHECK(archive->ReducerName(2) == "audit");
  CHECK(archive->ReducerName(7) == "?7");
  CHECK(archive->FindReducer("total") == kTotal);
  CHECK(archive->FindReducer("nobody") == std::nullopt);
  CHECK(archive->config().modules.front().version == "2");
}

TEST_CASE("a damaged snapshot is passed over", "[journal][archive]") {
  const TemporaryDirectory directory;
  HandMadeWorld world(directory);
  world.AddRound({"a", "b"});
  world.TakeSnapshot();
  const std::string path = world.paths().Snapshot(EventId{2});
  world.AddRound({"c"});
  world.Close();
  std::string bytes = ReadWholeFile(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  WriteWholeFile(path, bytes);
  const auto archive = Archive::Open(world.path());
  REQUIRE_OK(archive);
  CheckAllOfHistory(**archive, world);
}

TEST_CASE("there is no world where there is none", "[journal][archive]") {
  const TemporaryDirectory directory;
  CHECK(absl::IsNotFound(Archive::Open(directory / "world").status()));
  WriteWholeFile(directory / "file", "x");
  CHECK(absl::IsFailedPrecondition(Archive::Open(directory.path()).status()));
}

}  // namespace
}  // namespace reenact
