// What the tests of stores share: building groups, and reading all of a store.

#ifndef REENACT_TESTS_JOURNAL_STORE_FIXTURE_H_
#define REENACT_TESTS_JOURNAL_STORE_FIXTURE_H_

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/journal/store.h"
#include "tests/support/status_matchers.h"

namespace reenact {

using CellMap = std::map<std::pair<ReducerId, std::string>,
                         std::pair<std::uint64_t, Bytes>>;

// A group under construction: Group(store).Block("b").Put(1, "k", 7, "v").
class GroupBuilder {
 public:
  explicit GroupBuilder(Store* store) : store_(store) {
    group_.first_index = store->block_count();
  }

  GroupBuilder& Block(Bytes stored) {
    group_.blocks.push_back(std::move(stored));
    return *this;
  }
  GroupBuilder& Put(ReducerId reducer, std::string_view key,
                    std::uint64_t version, BytesView state) {
    batches_.emplace_back();
    batches_.back().Add(reducer, key, EventId{version}, state);
    return *this;
  }
  GroupBuilder& Delete(ReducerId reducer, std::string_view key,
                       std::uint64_t version) {
    batches_.emplace_back();
    batches_.back().Add(reducer, key, EventId{version}, std::nullopt);
    return *this;
  }
  GroupBuilder& OpenWork(Bytes record) {
    group_.open_work = std::move(record);
    return *this;
  }
  absl::Status Commit(bool sync = true) {
    for (const CellBatch& batch : batches_) group_.cells.push_back(&batch);
    return store_->Commit(group_, sync);
  }

 private:
  Store* store_;
  CommitGroup group_;
  std::vector<CellBatch> batches_;
};

inline CellMap AllCells(const CellView& view) {
  CellMap cells;
  REQUIRE_OK(view.ScanAll([&cells](ReducerId reducer, std::string_view key,
                                   EventId version, BytesView state) {
    cells[{reducer, std::string(key)}] = {version.value, Bytes(state)};
    return absl::OkStatus();
  }));
  return cells;
}
inline CellMap AllCells(const Store& store) { return AllCells(*store.View()); }

inline std::vector<Bytes> AllBlocks(const Store& store) {
  std::vector<Bytes> blocks;
  REQUIRE_OK(
      store.ScanBlocks(0, [&blocks](std::uint64_t index, BytesView stored) {
        REQUIRE(index == blocks.size());
        blocks.emplace_back(stored);
        return absl::OkStatus();
      }));
  return blocks;
}

}  // namespace reenact

#endif  // REENACT_TESTS_JOURNAL_STORE_FIXTURE_H_
