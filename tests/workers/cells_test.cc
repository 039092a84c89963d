#include "reenact/workers/cells.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/workers/map_source.h"

namespace reenact {
namespace {

constexpr std::size_t kWindow = 4;

// Publishes `state` as ticket `id`, one round for each.
void Put(CellTable& table, std::string_view key, std::uint64_t id,
         std::optional<BytesView> state) {
  Cell* cell = table.Find(0, key, EventId{id});
  table.Publish(cell, Version::New(id << 1, state), EventId{id}, Round{id});
}

std::vector<std::pair<std::string, Bytes>> ScanAll(const CellTable& table,
                                                   std::size_t limit = 99) {
  std::vector<std::pair<std::string, Bytes>> found;
  MutexLock lock(table.exclusive());
  REQUIRE_OK(table.Scan(0, "", "", limit, &found));
  return found;
}

std::optional<Bytes> Read(const CellTable& table, std::string_view key) {
  MutexLock lock(table.exclusive());
  auto state = table.Read(0, key);
  REQUIRE_OK(state);
  return *std::move(state);
}

using Pairs = std::vector<std::pair<std::string, Bytes>>;

TEST_CASE("a cell is loaded once, and found at the same place", "[workers]") {
  MapSource source;
  source.cells[{0, "a"}] = {EventId{7}, "A"};
  CellTable table(&source, 1 << 20, kWindow);
  Cell* cell = table.Find(0, "a", EventId{8});
  CHECK(table.Find(0, "a", EventId{9}) == cell);
  CHECK(table.Find(1, "a", EventId{9}) != cell);
  const Version* version = table.Load(cell);
  CHECK(version->state() == "A");
  CHECK(version->written_by() == EventId{7});
  CHECK(table.Load(cell) == version);
  CHECK(table.load_count() == 1);
  CHECK_FALSE(table.Load(table.Find(0, "b", EventId{9}))->state().has_value());
}

TEST_CASE("an error of the source sticks", "[workers]") {
  MapSource source;
  source.error = absl::DataLossError("torn");
  CellTable table(&source, 1 << 20, kWindow);
  CHECK(table.ok());
  CHECK_FALSE(table.Load(table.Find(0, "a", EventId{1}))->state().has_value());
  CHECK_FALSE(table.ok());
  CHECK(table.status() == source.error);
  table.Fail(absl::InternalError("later"));
  CHECK(table.status() == source.error);
}

TEST_CASE("each changed cell is listed once a round", "[workers]") {
  MapSource source;
  CellTable table(&source, 1 << 20, kWindow);
  Cell* a = table.Find(0, "a", EventId{1});
  Cell* b = table.Find(0, "b", EventId{1});
  table.Publish(b, Version::New(2, "1"), EventId{1}, Round{1});
  table.Publish(a, Version::New(4, "2"), EventId{2}, Round{1});
  table.Publish(b, Version::New(6, "3"), EventId{3}, Round{1});
  CHECK(*table.changed() == std::vector<Cell*>{b, a});
  table.changed()->clear();
  table.Publish(b, Version::New(8, "4"), EventId{4}, Round{2});
  CHECK(*table.changed() == std::vector<Cell*>{b});
}

TEST_CASE("a scan lays what is not stored over what is", "[workers]") {
  MapSource source;
  source.cells[{0, "a"}] = {EventId{1}, "old a"};
  source.cells[{0, "c"}] = {EventId{1}, "old c"};
  source.cells[{0, "e"}] = {EventId{1}, "old e"};
  source.cells[{1, "x"}] = {EventId{1}, "another's"};
  CellTable table(&source, 1 << 20, kWindow);
  Put(table, "b", 2, "new b");
  Put(table, "c", 3, std::nullopt);
  Put(table, "e", 4, "new e");
  Put(table, "f", 5, "new f");
  CHECK(ScanAll(table) ==
        Pairs{{"a", "old a"}, {"b", "new b"}, {"e", "new e"}, {"f", "new f"}});
  CHECK(ScanAll(table, 2) == Pairs{{"a", "old a"}, {"b", "new b"}});
  CHECK(ScanAll(table, 0).empty());
  std::vector<std::pair<std::string, Bytes>> found;
  MutexLock lock(table.exclusive());
  REQUIRE_OK(table.Scan(0, "b", "e", 99, &found));
  CHECK(found == Pairs{{"b", "new b"}});
}

TEST_CASE("a cell leaves when it is stored and nobody can look at it",
          "[workers]") {
  MapSource source;
  CellTable table(&source, 0, kWindow);
  Put(table, "a", 1, "A");
  // Not stored yet, whatever was committed since.
  table.Advance(EventId{100}, EventId{0});
  CHECK(table.cell_count() == 1);
  CHECK(Read(table, "a") == "A");
  // Stored, but tickets of the last window may look at it.
  source.cells[{0, "a"}] = {EventId{1}, "A"};
  table.Find(0, "a", EventId{98});
  table.Advance(EventId{100}, EventId{100});
  CHECK(table.cell_count() == 1);
  table.Advance(EventId{98 + kWindow}, EventId{98 + kWindow});
  table.Advance(EventId{98 + 5 * kWindow}, EventId{98 + 5 * kWindow});
  CHECK(table.cell_count() == 0);
  CHECK(table.bytes() == 0);
  CHECK(Read(table, "a") == "A");
  CHECK(ScanAll(table) == Pairs{{"a", "A"}});
}

TEST_CASE("a cell written again stays until that is stored", "[workers]") {
  MapSource source;
  CellTable table(&source, 0, kWindow);
  Put(table, "a", 1, "old");
  Put(table, "a", 50, "new");
  source.cells[{0, "a"}] = {EventId{1}, "old"};
  table.Advance(EventId{1000}, EventId{49});
  CHECK(table.cell_count() == 1);
  CHECK(ScanAll(table) == Pairs{{"a", "new"}});
  source.cells[{0, "a"}] = {EventId{50}, "new"};
  table.Advance(EventId{1000}, EventId{50});
  CHECK(table.cell_count() == 0);
}

TEST_CASE("a cache with room drops nothing", "[workers]") {
  MapSource source;
  CellTable table(&source, 1 << 20, kWindow);
  for (std::uint64_t i = 1; i <= 50; ++i) {
    Put(table, "k" + std::to_string(i), i, "x");
  }
  table.Advance(EventId{1000}, EventId{1000});
  CHECK(table.cell_count() == 50);
}

}  // namespace
}  // namespace reenact
