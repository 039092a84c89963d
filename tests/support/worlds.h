// Worlds for tests: sources of input, stores that outlive a world, and what is
// compared afterwards.

#ifndef REENACT_TESTS_SUPPORT_WORLDS_H_
#define REENACT_TESTS_SUPPORT_WORLDS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/harness/dice.h"
#include "reenact/harness/state_map.h"
#include "reenact/journal/store.h"
#include "reenact/world/world.h"
#include "reenact/world/world_internal.h"

namespace reenact {

// Inputs one by one, those behind `after` only, with their places as positions.
class InputList final : public InputSource {
 public:
  explicit InputList(std::vector<Input> inputs, std::uint64_t after = 0)
      : inputs_(std::move(inputs)), next_(after) {}

  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (next_ >= inputs_.size()) return false;
    if (before) before(next_ + 1);
    row->push_back(inputs_[next_]);
    row->back().position = ++next_;
    return true;
  }

  // Called before each row with its position.
  std::function<void(std::uint64_t position)> before;

 private:
  std::vector<Input> inputs_;
  std::uint64_t next_;
};

// Hands a store to a world and keeps it afterwards.
class SharedStore : public Store {
 public:
  explicit SharedStore(std::shared_ptr<Store> store)
      : store_(std::move(store)) {}

  absl::Status Commit(const CommitGroup& group, bool sync) override {
    return store_->Commit(group, sync);
  }
  absl::Status Sync() override { return store_->Sync(); }
  std::uint64_t block_count() const override { return store_->block_count(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    return store_->ReadBlock(index);
  }
  absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t, BytesView)>& visit)
      const override {
    return store_->ScanBlocks(from, visit);
  }
  std::uint64_t cells_through() const override {
    return store_->cells_through();
  }
  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const override {
    return store_->ReadCell(reducer, key);
  }
  absl::StatusOr<Bytes> ReadOpenWork() const override {
    return store_->ReadOpenWork();
  }
  std::unique_ptr<CellView> View() const override { return store_->View(); }
  absl::Status ClearCells() override { return store_->ClearCells(); }
  absl::Status CutBlocks(std::uint64_t count) override {
    return store_->CutBlocks(count);
  }
  std::vector<std::pair<std::string, std::uint64_t>> Stats() const override {
    return store_->Stats();
  }
  absl::Status Close() override { return absl::OkStatus(); }

 protected:
  std::shared_ptr<Store> store_;
};

// What a store, or a world's directory, holds.
std::vector<Bytes> BlocksOf(const Store& store);
std::vector<Bytes> BlocksOf(const std::string& directory);
StateMap StatesOf(const Store& store);
StateMap StatesOf(const std::string& directory);
// The snapshot files of a world's directory by name.
std::map<std::string, Bytes> SnapshotsOf(const std::string& directory);
// One entry a line in diagnostic notation, for messages.
std::string Describe(BytesView block);
// The first block that differs, described twice; "" if none does.
std::string FirstDifference(const std::vector<Bytes>& a,
                            const std::vector<Bytes>& b);

// What a run left behind.
struct Outcome {
  std::vector<Bytes> blocks;
  StateMap states;
  WorldStats stats;
};

// Feeds `inputs` to a new world in memory with the pool given (null: what the
// options say), never short-cutting short steps.
// `failures` are made to fail, by "test", since they were "drawn". `threads` of
// the pool run steps; 0: all.
Outcome RunInMemory(WorldOptions options, const std::vector<Input>& inputs,
                    std::unique_ptr<Pool> pool = nullptr,
                    const std::vector<EventId>& failures = {},
                    std::size_t threads = 0);

}  // namespace reenact

#endif  // REENACT_TESTS_SUPPORT_WORLDS_H_
