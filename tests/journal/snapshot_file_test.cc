#include "reenact/journal/snapshot_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "reenact/journal/memory/memory_store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/journal/temporary_directory.h"
#include "tests/journal/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Cell = std::tuple<ReducerId, std::string, Bytes>;

SnapshotHeader SomeHeader() {
  SnapshotHeader header;
  header.config.world_id = Bytes(16, 'w');
  header.config.reducers = {"counter", "total"};
  header.event_id = EventId{1000};
  header.round = Round{100};
  header.time = LogicalTime{-5};
  header.block_count = 90;
  header.block_hash = Hash("block 89");
  header.last_input = InputId{800};
  header.position = 799;
  return header;
}

std::vector<Cell> SomeCells() {
  return {{0, "a", cbor::EncodeInteger(1)},
          {0, "b", cbor::EncodeText("two")},
          {1, "", cbor::EncodeInteger(-3)},
          {1, "all", cbor::EncodeInteger(0)}};
}

const Bytes kQueues("\x82\x01\x02", 3);

// A store with `cells`, written in the order given.
std::unique_ptr<Store> StoreWith(const std::vector<Cell>& cells) {
  std::unique_ptr<Store> store = NewMemoryStore();
  CellBatch batch;
  std::uint64_t ticket = 0;
  for (const auto& [reducer, key, state] : cells) {
    batch.Add(reducer, key, EventId{++ticket}, state);
  }
  CommitGroup group;
  group.cells = {&batch};
  group.blocks = {"block"};
  REQUIRE_OK(store->Commit(group, true));
  return store;
}

// The bytes of a snapshot, cells in the order given, right or wrong.
Bytes Encoded(const std::vector<Cell>& cells) {
  Bytes out;
  SnapshotEncoder encoder(SomeHeader(), kQueues, [&out](BytesView bytes) {
    out.append(bytes);
    return absl::OkStatus();
  });
  for (const auto& [reducer, key, state] : cells) {
    REQUIRE_OK(encoder.AddCell(reducer, key, state));
  }
  REQUIRE_OK(encoder.Finish());
  return out;
}

// Bytes that end in the digest that a snapshot of them has.
Bytes WithDigest(Bytes bytes) {
  const Digest digest = Hasher("reenact.snapshot.v1").Add(bytes).Finish();
  return bytes.append(digest.view());
}

absl::StatusOr<std::vector<Cell>> ReadCells(const std::string& path) {
  std::vector<Cell> cells;
  const auto contents = ReadSnapshotFile(
      path, [&cells](ReducerId reducer, std::string_view key, BytesView state) {
        cells.emplace_back(reducer, key, state);
        return absl::OkStatus();
      });
  REENACT_RETURN_IF_ERROR(contents.status());
  return cells;
}

// A view that fails after its second cell, as a disk might.
class FailingView final : public CellView {
 public:
  absl::Status Scan(ReducerId, std::string_view, std::string_view,
                    const Visit&) const override {
    return absl::UnavailableError("not used");
  }
  absl::Status ScanAll(const Visit& visit) const override {
    REENACT_RETURN_IF_ERROR(visit(0, "a", EventId{1}, "\x01"));
    REENACT_RETURN_IF_ERROR(visit(0, "b", EventId{2}, "\x02"));
    return absl::UnavailableError("the disk is gone");
  }
};

TEST_CASE("a snapshot comes back as it was written", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const auto store = StoreWith(SomeCells());

  const auto written =
      WriteSnapshotFile(path, SomeHeader(), kQueues, *store->View());

  REQUIRE_OK(written);
  const auto contents = ReadSnapshotFile(path);
  REQUIRE_OK(contents);
  CHECK(contents->header == SomeHeader());
  CHECK(contents->sequencer == kQueues);
  CHECK(contents->digests.cell_count == 4);
  CHECK(contents->digests.file == written->file);
  CHECK(contents->digests.state == written->state);
  CHECK(ReadCells(path).value() == SomeCells());
  CHECK(StateDigestOf(*store->View())->state == written->state);
}

TEST_CASE("a golden snapshot has the bytes it always had",
          "[snapshot][golden]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const Stanza vector = ReadVectors("snapshot/small.txt").at(0);
  const Bytes bytes =
      Unhex(vector.at("header") + vector.at("queues") + vector.at("cells") +
            vector.at("end") + vector.at("digest"));
  WriteWholeFile(path, bytes);

  const auto contents = ReadSnapshotFile(path);
  REQUIRE_OK(contents);
  CHECK(contents->digests.file.ToHex() == vector.at("digest"));
  CHECK(cbor::Diagnose(Unhex(vector.at("header"))) == vector.at("header_diag"));
  CHECK(cbor::Diagnose(Unhex(vector.at("end"))) == vector.at("end_diag"));

  const auto store = StoreWith(ReadCells(path).value());
  const std::string again = directory / "again.snap";
  REQUIRE_OK(WriteSnapshotFile(again, contents->header, contents->sequencer,
                               *store->View()));
  CHECK(ReadWholeFile(again) == bytes);
}

TEST_CASE("equal states have equal snapshots, whatever led there",
          "[snapshot]") {
  const TemporaryDirectory directory;
  std::vector<Cell> cells = SomeCells();
  const auto forwards = StoreWith(cells);
  std::reverse(cells.begin(), cells.end());
  // Other versions too: cells were written by other tickets.
  cells.insert(cells.begin(), {1, "all", cbor::EncodeInteger(99)});
  const auto backwards = StoreWith(cells);

  REQUIRE_OK(WriteSnapshotFile(directory / "f", SomeHeader(), kQueues,
                               *forwards->View()));
  REQUIRE_OK(WriteSnapshotFile(directory / "b", SomeHeader(), kQueues,
                               *backwards->View()));

  CHECK(ReadWholeFile(directory / "f") == ReadWholeFile(directory / "b"));
}

TEST_CASE("a state digest depends on cells and on nothing else", "[snapshot]") {
  const auto digest = [](const std::vector<Cell>& cells) {
    return StateDigestOf(*StoreWith(cells)->View())->state;
  };
  std::vector<Cell> cells = SomeCells();
  const Digest all = digest(cells);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::vector<Cell> fewer = cells;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(digest(fewer) != all);
  }
  std::get<2>(cells[0]) = cbor::EncodeInteger(2);
  CHECK(digest(cells) != all);
}

TEST_CASE("a snapshot of a world without cells is one", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  REQUIRE_OK(
      WriteSnapshotFile(path, SomeHeader(), kQueues, *StoreWith({})->View()));
  CHECK(ReadCells(path).value().empty());
}

TEST_CASE("cells longer than any buffer survive", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  std::vector<Cell> cells;
  for (ReducerId i = 0; i < 5; ++i) {
    const std::size_t size = std::size_t{1} << (15 + i);  // to 512 KiB
    cells.emplace_back(i, std::string(i, 'k'),
                       cbor::EncodeText(std::string(size + i, 'x')));
  }
  for (int i = 0; i < 20000; ++i) {
    cells.emplace_back(7, std::to_string(100000 + i), cbor::EncodeInteger(i));
  }
  REQUIRE_OK(WriteSnapshotFile(path, SomeHeader(), kQueues,
                               *StoreWith(cells)->View()));
  REQUIRE(ReadCells(path).value() == cells);
}

TEST_CASE("a snapshot with one bit changed is refused by name", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const Bytes bytes = Encoded(SomeCells());
  for (std::size_t byte = 0; byte < bytes.size(); ++byte) {
    CAPTURE(byte);
    Bytes changed = bytes;
    changed[byte] = static_cast<char>(changed[byte] ^ 1 << byte % 8);
    WriteWholeFile(path, changed);
    const absl::Status status = ReadSnapshotFile(path).status();
    REQUIRE(absl::IsDataLoss(status));
    REQUIRE_THAT(std::string(status.message()),
                 Catch::Contains(path) && Catch::Contains("byte"));
  }
}

TEST_CASE("a snapshot cut short or made longer is refused", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const Bytes bytes = Encoded(SomeCells());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    WriteWholeFile(path, bytes.substr(0, size));
    REQUIRE(absl::IsDataLoss(ReadSnapshotFile(path).status()));
  }
  WriteWholeFile(path, bytes + '\0');
  REQUIRE(absl::IsDataLoss(ReadSnapshotFile(path).status()));
}

TEST_CASE("cells out of order, or twice, are refused though digests are right",
          "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const Bytes one = cbor::EncodeInteger(1);
  const std::vector<Cell> wrong =
      GENERATE_COPY(std::vector<Cell>{{0, "b", one}, {0, "a", one}},
                    std::vector<Cell>{{1, "a", one}, {0, "b", one}},
                    std::vector<Cell>{{0, "aa", one}, {0, "a", one}},
                    std::vector<Cell>{{0, "a", one}, {0, "a", one}});
  WriteWholeFile(path, Encoded(wrong));
  const absl::Status status = ReadCells(path).status();
  REQUIRE(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("not above the cell before it"));
}

TEST_CASE("bytes that are no snapshot are refused though the digest is right",
          "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const Bytes good = Encoded(SomeCells());
  const Bytes body = good.substr(0, good.size() - kDigestSize);
  WriteWholeFile(path, WithDigest(body));
  REQUIRE_OK(ReadSnapshotFile(path));

  const Bytes bad = GENERATE_COPY(
      Bytes(), Bytes("\xf6", 1), Bytes("\xa0", 1),
      Bytes(body).append("\x01", 1),     // something after the end
      Bytes(body).insert(0, 1, '\x01'),  // something before the header
      body.substr(0, body.size() - 44),  // no end
      Bytes(body).append(body));         // twice
  WriteWholeFile(path, WithDigest(bad));
  CHECK(absl::IsDataLoss(ReadSnapshotFile(path).status()));
}

TEST_CASE("an end that counts other cells than there are is refused",
          "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  Bytes bytes = Encoded(SomeCells());
  bytes.resize(bytes.size() - kDigestSize);
  // "end", key 1, the count, key 2
  const std::size_t at = bytes.rfind(std::string("\x01\x04\x02", 3));
  REQUIRE(at != Bytes::npos);
  bytes[at + 1] = '\x05';
  WriteWholeFile(path, WithDigest(bytes));
  const absl::Status status = ReadSnapshotFile(path).status();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains("5 cells"));
}

TEST_CASE("a snapshot of a newer format is refused as such", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  encoder.Map(3);
  encoder.Unsigned(0);
  encoder.Text("reenact.snapshot");
  encoder.Unsigned(1);
  encoder.Unsigned(2);
  encoder.Unsigned(77);
  encoder.Null();
  WriteWholeFile(path, WithDigest(bytes));
  CHECK(absl::IsUnimplemented(ReadSnapshotFile(path).status()));
}

TEST_CASE("a snapshot that is not there is not found", "[snapshot]") {
  const TemporaryDirectory directory;
  CHECK(absl::IsNotFound(ReadSnapshotFile(directory / "s.snap").status()));
}

TEST_CASE("a visitor's error ends the reading and is what is returned",
          "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  WriteWholeFile(path, Encoded(SomeCells()));
  int visited = 0;
  const auto contents = ReadSnapshotFile(
      path, [&visited](ReducerId, std::string_view, BytesView) {
        return ++visited == 2 ? absl::AbortedError("enough") : absl::OkStatus();
      });
  CHECK(contents.status() == absl::AbortedError("enough"));
  CHECK(visited == 2);
}

TEST_CASE("an error while a snapshot is written leaves nothing", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const auto written =
      WriteSnapshotFile(path, SomeHeader(), kQueues, FailingView());
  CHECK(written.status() == absl::UnavailableError("the disk is gone"));
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("an error leaves the snapshot that was there", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  const Bytes before = Encoded(SomeCells());
  WriteWholeFile(path, before);
  CHECK_FALSE(
      WriteSnapshotFile(path, SomeHeader(), kQueues, FailingView()).ok());
  CHECK(ReadWholeFile(path) == before);
}

TEST_CASE("a sink's error is what an encoder returns", "[snapshot]") {
  const auto fails_at = GENERATE(1, 2, 3, 4);
  int calls = 0;
  SnapshotEncoder encoder(SomeHeader(), kQueues, [&](BytesView) {
    return ++calls == fails_at ? absl::ResourceExhaustedError("full")
                               : absl::OkStatus();
  });
  (void)encoder.AddCell(0, "a", "\x01");
  CHECK(encoder.Finish().status() == absl::ResourceExhaustedError("full"));
  CHECK(calls == fails_at);  // nothing is written after an error
}

TEST_CASE("leftovers of a crash are removed, and nothing else is",
          "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string ten = "00000000000000000010.snap";
  const std::string nine = "00000000000000000009.snap";
  for (const std::string& name :
       {ten, nine, nine + ".tmp", std::string("notes.txt"),
        std::string("10.snap"), std::string("99999999999999999999.snap")}) {
    WriteWholeFile(directory / name, "x");
  }
  REQUIRE_OK(RemoveTemporarySnapshots(directory.path()));
  CHECK_FALSE(std::filesystem::exists(directory / (nine + ".tmp")));
  CHECK(std::filesystem::exists(directory / "notes.txt"));
  CHECK(ListSnapshots(directory.path()).value() ==
        std::vector<EventId>{EventId{9}, EventId{10}});
}

TEST_CASE("the newest snapshots are kept", "[snapshot]") {
  const TemporaryDirectory directory;
  const auto name = [](int event_id) {
    return "0000000000000000000" + std::to_string(event_id) + ".snap";
  };
  for (const int event_id : {3, 1, 9, 7}) {
    WriteWholeFile(directory / name(event_id), "x");
  }
  WriteWholeFile(directory / "notes.txt", "x");

  REQUIRE_OK(RemoveOldSnapshots(directory.path(), 2));
  CHECK(ListSnapshots(directory.path()).value() ==
        std::vector<EventId>{EventId{7}, EventId{9}});
  CHECK(std::filesystem::exists(directory / "notes.txt"));

  REQUIRE_OK(RemoveOldSnapshots(directory.path(), 5));
  CHECK(ListSnapshots(directory.path())->size() == 2);
}

TEST_CASE("open work comes back, and is refused with one bit changed",
          "[snapshot]") {
  const Bytes bytes = EncodeOpenWork(SomeHeader(), kQueues);
  const auto contents = DecodeOpenWork(bytes);
  REQUIRE_OK(contents);
  CHECK(contents->header == SomeHeader());
  CHECK(contents->sequencer == kQueues);

  for (std::size_t byte = 0; byte < bytes.size(); ++byte) {
    CAPTURE(byte);
    Bytes changed = bytes;
    changed[byte] = static_cast<char>(changed[byte] ^ 1 << byte % 8);
    REQUIRE(absl::IsDataLoss(DecodeOpenWork(changed).status()));
    REQUIRE(absl::IsDataLoss(
        DecodeOpenWork(BytesView(bytes).substr(0, byte)).status()));
  }
}

TEST_CASE("a snapshot is private and replaces a leftover", "[snapshot]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "s.snap";
  WriteWholeFile(path + ".tmp", "left by a crash");
  REQUIRE_OK(WriteSnapshotFile(path, SomeHeader(), kQueues,
                               *StoreWith(SomeCells())->View()));
  struct stat status;
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(path + ".tmp"));
  CHECK(ReadCells(path).value() == SomeCells());
}

}  // namespace
}  // namespace reenact
