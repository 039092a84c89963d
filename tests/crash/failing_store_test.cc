// The first error of the store ends a world for good; the next open decides.

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "reenact/journal/block.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/workers/pool.h"
#include "tests/crash/crash_world.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

// Fails the n-th write, and as a store must, all after it.
class FailingStore final : public SharedStore {
 public:
  enum class What { kCommit, kCommitWritten, kSync };

  FailingStore(std::shared_ptr<Store> store, What what, int n)
      : SharedStore(std::move(store)), what_(what), left_(n) {}

  absl::Status Commit(const CommitGroup& group, bool sync) override {
    if (failed_) return Failure();
    const bool fails = what_ != What::kSync && --left_ == 0;
    if (fails && what_ == What::kCommit) return Failure();
    REENACT_RETURN_IF_ERROR(SharedStore::Commit(group, sync));
    return fails ? Failure() : absl::OkStatus();
  }
  absl::Status Sync() override {
    if (failed_) return Failure();
    if (what_ == What::kSync && --left_ == 0) return Failure();
    return SharedStore::Sync();
  }
  absl::Status Close() override { return store_->Close(); }

 private:
  absl::Status Failure() {
    failed_ = true;
    return absl::UnavailableError("the disk said no");
  }

  const What what_;
  int left_;
  bool failed_ = false;
};

// The place after genesis.
Checkpoint AfterGenesis(const Store& store, const WorldConfig& config) {
  const auto stored = store.ReadBlock(0);
  REQUIRE_OK(stored);
  const auto block = DecodeBlock(*stored);
  REQUIRE_OK(block);
  Checkpoint place;
  place.config = config;
  place.block_count = 1;
  place.block_hash = block->hash;
  return place;
}

TEST_CASE(
    "chaos 12: an error of the store closes the world, and opening goes on",
    "[crash]") {
  using What = FailingStore::What;
  TemporaryDirectory directory;
  const WorldOptions whole = CrashOptions(77, directory / "whole");
  {
    auto world = World::Open(whole);
    REQUIRE_OK(world);
    InputList source(CrashInputs(77));
    REQUIRE_OK((*world)->Feed(source));
  }
  const What what = GENERATE(What::kCommit, What::kCommitWritten);
  const int n = GENERATE(1, 2, 3, 7, 20);
  const std::size_t workers = GENERATE(0, 2);
  CAPTURE(static_cast<int>(what), n, workers);
  WorldOptions options = CrashOptions(77, directory / "failing");
  WorldConfig config;
  {
    auto world = World::Open(options);
    REQUIRE_OK(world);
    config = (*world)->config();
  }
  EventId durable;
  {
    auto opened = OpenRocksDbStore(options.path + "/db", {});
    REQUIRE_OK(opened);
    const std::shared_ptr<Store> store = *std::move(opened);
    WorldInternals internals;
    internals.start = AfterGenesis(*store, config);
    internals.store = std::make_unique<FailingStore>(store, what, n);
    internals.never_inline = true;
    WorldOptions in_store = options;
    in_store.path.clear();
    in_store.workers = workers;
    auto world = OpenWorld(in_store, std::move(internals));
    REQUIRE_OK(world);
    std::vector<Submission> submissions;
    for (const Input& input : TortureInputs({1, 5, 4})) {
      auto submission = (*world)->Submit(input);
      REQUIRE_OK(submission);
      submissions.push_back(*std::move(submission));
    }
    InputList source(CrashInputs(77));
    const absl::Status failed = (*world)->Feed(source);
    CHECK(failed.code() == absl::StatusCode::kUnavailable);
    CHECK(failed.message() == "the disk said no");
    durable = (*world)->durable();
    CHECK((*world)->Run() == failed);
    CHECK((*world)->Feed(source) == failed);
    CHECK((*world)->Submit(TortureInputs({1, 1, 4})[0]).status() == failed);
    CHECK((*world)->RequestSnapshot().status() == failed);
    for (const Submission& submission : submissions) {
      const auto outcome = submission.WaitDurable();
      if (outcome.ok()) {
        CHECK(outcome->event_id <= durable);
      } else if (outcome.status().code() != absl::StatusCode::kAlreadyExists) {
        CHECK(outcome.status() == failed);
      }
    }
    CHECK((*world)->durable() == durable);
    CHECK((*world)->Close() == failed);
  }
  auto world = World::Open(options);
  REQUIRE_OK(world);
  CHECK((*world)->head() >= durable);
  REQUIRE_OK((*world)->Run());
}

TEST_CASE("after an error of the store the same feed gives the same history",
          "[crash]") {
  TemporaryDirectory directory;
  const WorldOptions whole = CrashOptions(78, directory / "whole");
  {
    auto world = World::Open(whole);
    REQUIRE_OK(world);
    InputList source(CrashInputs(78));
    REQUIRE_OK((*world)->Feed(source));
  }
  const int n = GENERATE(1, 2, 3, 5, 11);
  CAPTURE(n);
  const WorldOptions options = CrashOptions(78, directory / "failing");
  WorldConfig config;
  {
    auto world = World::Open(options);
    REQUIRE_OK(world);
    config = (*world)->config();
  }
  {
    auto opened = OpenRocksDbStore(options.path + "/db", {});
    REQUIRE_OK(opened);
    const std::shared_ptr<Store> store = *std::move(opened);
    WorldInternals internals;
    internals.start = AfterGenesis(*store, config);
    internals.store = std::make_unique<FailingStore>(
        store, FailingStore::What::kCommitWritten, n);
    WorldOptions in_store = options;
    in_store.path.clear();
    auto world = OpenWorld(in_store, std::move(internals));
    REQUIRE_OK(world);
    InputList source(CrashInputs(78));
    CHECK((*world)->Feed(source).code() == absl::StatusCode::kUnavailable);
  }
  {
    auto world = World::Open(options);
    REQUIRE_OK(world);
    // Written, though nobody was told: kept, because it is whole.
    CHECK((*world)->open_report().blocks_extended ==
          static_cast<std::uint64_t>(n));
    InputList source(CrashInputs(78), (*world)->position());
    REQUIRE_OK((*world)->Feed(source));
  }
  const auto blocks = BlocksOf(options.path);
  const auto expected = BlocksOf(whole.path);
  INFO(FirstDifference(blocks, expected));
  CHECK((blocks == expected));
  CHECK((StatesOf(options.path) == StatesOf(whole.path)));
}

}  // namespace
}  // namespace reenact
