// What every store promises; what only the RocksDB store promises is in
// rocksdb_store_test.cc.

#include "reenact/journal/store.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "reenact/journal/memory/memory_store.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/kernel/rng.h"
#include "tests/journal/store_fixture.h"
#include "tests/journal/temporary_directory.h"

namespace reenact {
namespace {

// One of the two stores, and the directory it needs.
struct AnyStore {
  explicit AnyStore(bool in_memory) {
    if (in_memory) {
      store = NewMemoryStore();
      return;
    }
    RocksDbOptions options;
    options.create = true;
    auto opened = OpenRocksDbStore(directory / "db", options);
    REQUIRE_OK(opened);
    store = *std::move(opened);
  }
  Store* operator->() const { return store.get(); }
  Store* get() const { return store.get(); }

  TemporaryDirectory directory;
  std::unique_ptr<Store> store;
};

std::vector<std::string> KeysIn(const CellView& view, ReducerId reducer,
                                std::string_view from, std::string_view to,
                                std::size_t at_most = 100) {
  std::vector<std::string> keys;
  REQUIRE_OK(view.Scan(reducer, from, to,
                       [&](ReducerId found, std::string_view key, EventId,
                           BytesView) -> absl::Status {
                         REQUIRE(found == reducer);
                         keys.emplace_back(key);
                         if (keys.size() < at_most) return absl::OkStatus();
                         return absl::CancelledError("enough");
                       }));
  return keys;
}

TEST_CASE("a batch gives its rows back, and forgets them", "[journal]") {
  CellBatch batch;
  batch.Add(3, "key", EventId{7}, "state");
  batch.Add(3, "", EventId{8}, "");
  batch.Add(4, "gone", EventId{9}, std::nullopt);
  REQUIRE(batch.size() == 3);
  CHECK(batch[0].reducer == 3);
  CHECK(batch[0].key == "key");
  CHECK(batch[0].version == EventId{7});
  CHECK(batch[0].state == BytesView("state"));
  CHECK(batch[1].key.empty());
  CHECK(batch[1].state == BytesView(""));
  CHECK(batch[2].key == "gone");
  CHECK_FALSE(batch[2].state.has_value());
  CHECK(batch.byte_size() == 12);

  batch.Clear();
  CHECK(batch.empty());
  CHECK(batch.byte_size() == 0);
}

TEST_CASE("a group's blocks and cells are read back", "[journal]") {
  AnyStore store(GENERATE(true, false));
  CHECK(store->block_count() == 0);
  CHECK(store->cells_through() == 0);

  REQUIRE_OK(GroupBuilder(store.get())
                 .Block("first")
                 .Block(std::string("sec\0nd", 6))
                 .Put(1, "a", 5, "state")
                 .Commit());
  CHECK(store->block_count() == 2);
  CHECK(store->cells_through() == 2);
  CHECK(store->ReadBlock(1).value() == std::string("sec\0nd", 6));
  CHECK(AllBlocks(*store.get()).size() == 2);
  const auto cell = store->ReadCell(1, "a");
  REQUIRE_OK(cell);
  REQUIRE(cell->has_value());
  CHECK((*cell)->version == EventId{5});
  CHECK((*cell)->state == "state");
  CHECK_FALSE(store->ReadCell(1, "b").value().has_value());
  CHECK_FALSE(store->ReadCell(2, "a").value().has_value());
  CHECK(absl::IsOutOfRange(store->ReadBlock(2).status()));
}

TEST_CASE("the last batch of a group wins", "[journal]") {
  AnyStore store(GENERATE(true, false));
  REQUIRE_OK(GroupBuilder(store.get())
                 .Block("b")
                 .Put(1, "kept", 1, "old")
                 .Put(1, "gone", 2, "old")
                 .Put(1, "back", 3, "old")
                 .Delete(1, "gone", 4)
                 .Delete(1, "back", 5)
                 .Put(1, "back", 6, "new")
                 .Put(1, "kept", 7, "new")
                 .Commit());
  CHECK(AllCells(*store.get()) ==
        CellMap{{{1, "back"}, {6, "new"}}, {{1, "kept"}, {7, "new"}}});
}

TEST_CASE("a view keeps the cells of its moment", "[journal]") {
  AnyStore store(GENERATE(true, false));
  REQUIRE_OK(GroupBuilder(store.get())
                 .Block("b")
                 .Put(1, "a", 1, "one")
                 .Put(1, "b", 1, "one")
                 .Commit());
  const std::unique_ptr<CellView> view = store->View();
  REQUIRE_OK(GroupBuilder(store.get())
                 .Block("b")
                 .Put(1, "a", 2, "two")
                 .Delete(1, "b", 2)
                 .Put(1, "c", 2, "two")
                 .Commit());
  CHECK(AllCells(*view) ==
        CellMap{{{1, "a"}, {1, "one"}}, {{1, "b"}, {1, "one"}}});
  CHECK(AllCells(*store.get()) ==
        CellMap{{{1, "a"}, {2, "two"}}, {{1, "c"}, {2, "two"}}});
}

TEST_CASE("a scan keeps to its reducer and its range, in order", "[journal]") {
  AnyStore store(GENERATE(true, false));
  GroupBuilder group(store.get());
  group.Block("b");
  for (const char* key : {"b", "", "a", "ab", "\xff\xff", "c"}) {
    group.Put(7, key, 1, "state").Put(8, key, 1, "state").Put(6, key, 1, "x");
  }
  REQUIRE_OK(group.Commit());

  using Keys = std::vector<std::string>;
  const std::unique_ptr<CellView> view = store->View();
  CHECK(KeysIn(*view, 7, "", "") == Keys{"", "a", "ab", "b", "c", "\xff\xff"});
  CHECK(KeysIn(*view, 7, "a", "b") == Keys{"a", "ab"});
  CHECK(KeysIn(*view, 7, "aa", "") == Keys{"ab", "b", "c", "\xff\xff"});
  CHECK(KeysIn(*view, 7, "b", "a").empty());
  CHECK(KeysIn(*view, 7, "b", "b").empty());
  CHECK(KeysIn(*view, 9, "", "").empty());
  CHECK(KeysIn(*view, 7, "", "", 2) == Keys{"", "a"});
  const absl::Status stopped =
      view->ScanAll([](ReducerId, std::string_view, EventId, BytesView) {
        return absl::NotFoundError("enough");
      });
  CHECK(absl::IsNotFound(stopped));
}

TEST_CASE("cells can be cleared and rebuilt without their blocks",
          "[journal]") {
  AnyStore store(GENERATE(true, false));
  for (int i = 0; i < 3; ++i) {
    REQUIRE_OK(
        GroupBuilder(store.get()).Block("b").Put(1, "a", 1, "old").Commit());
  }
  REQUIRE_OK(store->ClearCells());
  CHECK(AllCells(*store.get()).empty());
  CHECK(store->cells_through() == 0);
  CHECK(store->block_count() == 3);

  CellBatch cells;
  cells.Add(1, "b", EventId{4}, "rebuilt");
  CommitGroup group;
  group.first_index = 2;
  group.cells = {&cells};
  REQUIRE_OK(store->Commit(group, true));
  CHECK(store->cells_through() == 2);
  CHECK(store->block_count() == 3);
  CHECK(AllCells(*store.get()) == CellMap{{{1, "b"}, {4, "rebuilt"}}});
}

TEST_CASE("a tail is cut, and written anew", "[journal]") {
  AnyStore store(GENERATE(true, false));
  GroupBuilder group(store.get());
  for (const char* block : {"0", "1", "2", "3"}) group.Block(block);
  REQUIRE_OK(group.Commit());

  REQUIRE_OK(store->CutBlocks(2));
  CHECK(AllBlocks(*store.get()) == std::vector<Bytes>{"0", "1"});
  CHECK(absl::IsOutOfRange(store->ReadBlock(2).status()));
  REQUIRE_OK(GroupBuilder(store.get()).Block("new").Commit());
  CHECK(AllBlocks(*store.get()) == std::vector<Bytes>{"0", "1", "new"});
  REQUIRE_OK(store->CutBlocks(7));
  CHECK(store->block_count() == 3);
}

TEST_CASE("a closed store refuses, as often as it is asked", "[journal]") {
  AnyStore store(GENERATE(true, false));
  REQUIRE_OK(GroupBuilder(store.get()).Block("b").Commit());
  REQUIRE_OK(store->Close());
  REQUIRE_OK(store->Close());
  CHECK(absl::IsFailedPrecondition(store->ReadBlock(0).status()));
  CHECK(absl::IsFailedPrecondition(store->ReadCell(1, "a").status()));
  CHECK(absl::IsFailedPrecondition(store->Sync()));
  CHECK(absl::IsFailedPrecondition(store->Commit(CommitGroup(), true)));
}

TEST_CASE("random groups leave what a map says", "[journal]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 6));
  AnyStore store(GENERATE(true, false));
  INFO("seed " << seed);
  Rng rng(Seed{seed});
  CellMap expected;
  std::vector<Bytes> blocks;
  std::uint64_t version = 0;
  for (int i = 0; i < 30; ++i) {
    GroupBuilder group(store.get());
    for (std::uint64_t n = 1 + rng.Below(3); n > 0; --n) {
      blocks.push_back(std::to_string(rng.Next()));
      group.Block(blocks.back());
    }
    for (std::uint64_t n = rng.Below(20); n > 0; --n) {
      const auto reducer = static_cast<ReducerId>(rng.Below(3));
      const std::string key = std::to_string(rng.Below(20));
      ++version;
      if (rng.Chance(1, 3)) {
        group.Delete(reducer, key, version);
        expected.erase({reducer, key});
      } else {
        const Bytes state = std::to_string(rng.Next());
        group.Put(reducer, key, version, state);
        expected[{reducer, key}] = {version, state};
      }
    }
    REQUIRE_OK(group.Commit(rng.Chance(1, 2)));
    REQUIRE(AllCells(*store.get()) == expected);
  }
  CHECK(AllBlocks(*store.get()) == blocks);
}

TEST_CASE("readers see each commit whole", "[journal]") {
  AnyStore store(GENERATE(true, false));
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!done) {
      const std::unique_ptr<CellView> view = store->View();
      std::string states;
      const absl::Status status = view->ScanAll(
          [&states](ReducerId, std::string_view, EventId, BytesView state) {
            states += state;
            return absl::OkStatus();
          });
      const bool whole =
          status.ok() &&
          (states.empty() || (states.size() == 2 && states[0] == states[1]));
      if (!whole) ++torn;
      const std::uint64_t count = store->block_count();
      if (count > 0 && !store->ReadBlock(count - 1).ok()) ++torn;
    }
  });
  for (std::uint64_t i = 0; i < 300; ++i) {
    const std::string state(1, static_cast<char>('a' + i % 26));
    const absl::Status status = GroupBuilder(store.get())
                                    .Block("b")
                                    .Put(1, "left", i, state)
                                    .Put(2, "right", i, state)
                                    .Commit(false);
    if (!status.ok()) ++torn;
  }
  done = true;
  reader.join();
  CHECK(torn == 0);
}

TEST_CASE("statistics have names and plausible numbers", "[journal]") {
  AnyStore store(GENERATE(true, false));
  REQUIRE_OK(GroupBuilder(store.get())
                 .Block(Bytes(1000, 'x'))
                 .Put(1, "a", 1, "state")
                 .Commit());
  std::map<std::string, std::uint64_t> stats;
  for (const auto& [name, value] : store->Stats()) stats[name] = value;
  CHECK(stats.at("blocks.count") == 1);
  CHECK(stats.at("blocks.bytes") >= 1000);
  CHECK(stats.at("cells.count.estimate") == 1);
}

}  // namespace
}  // namespace reenact
