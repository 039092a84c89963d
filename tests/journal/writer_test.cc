#include "reenact/journal/writer.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "reenact/base/mutex.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/kernel/rng.h"
#include "tests/journal/store_fixture.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();

// What a writer did, in order: "commit 0-2 sync", "sync", "head 3", and what it
// was told to do: wait before a commit, or fail.
class Script {
 public:
  // From here on commits wait for Release().
  void Hold() {
    MutexLock lock(&mutex_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(&mutex_);
    held_ = false;
    changed_.SignalAll();
  }
  // Waits until a commit is being held.
  void AwaitHeld() {
    MutexLock lock(&mutex_);
    while (!waiting_) changed_.Wait(&mutex_);
  }
  // The next line that starts with `prefix` fails.
  void FailNext(std::string prefix) {
    MutexLock lock(&mutex_);
    fail_ = std::move(prefix);
  }
  void AwaitLine(const std::string& prefix) {
    MutexLock lock(&mutex_);
    while (std::none_of(lines_.begin(), lines_.end(), [&](const auto& line) {
      return line.starts_with(prefix);
    })) {
      changed_.Wait(&mutex_);
    }
  }
  std::vector<std::string> Lines() {
    MutexLock lock(&mutex_);
    return lines_;
  }

  absl::Status Say(const std::string& line) {
    MutexLock lock(&mutex_);
    while (held_ && line.starts_with("commit")) {
      waiting_ = true;
      changed_.SignalAll();
      changed_.Wait(&mutex_);
    }
    waiting_ = false;
    lines_.push_back(line);
    changed_.SignalAll();
    if (fail_.empty() || !line.starts_with(fail_)) return absl::OkStatus();
    fail_.clear();
    return absl::ResourceExhaustedError("planned: " + line);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  std::string fail_ ABSL_GUARDED_BY(mutex_);
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;
};

// A memory store that follows a script, and knows what a crash would leave.
class ScriptedStore final : public Store {
 public:
  explicit ScriptedStore(Script* script) : script_(script) {}

  absl::Status Commit(const CommitGroup& group, bool sync) override {
    const std::uint64_t last = group.first_index + group.blocks.size() - 1;
    REENACT_RETURN_IF_ERROR(
        script_->Say("commit " + std::to_string(group.first_index) + "-" +
                     std::to_string(last) + (sync ? " sync" : "")));
    REENACT_RETURN_IF_ERROR(store_->Commit(group, sync));
    if (sync) synced_ = block_count();
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    REENACT_RETURN_IF_ERROR(script_->Say("sync"));
    synced_ = block_count();
    return absl::OkStatus();
  }
  std::uint64_t synced() const { return synced_; }

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
  absl::Status Close() override { return store_->Close(); }

 private:
  Script* const script_;
  const std::unique_ptr<Store> store_ = NewMemoryStore();
  std::atomic<std::uint64_t> synced_{0};
};

// A head file that is watched: what it acknowledges must be synced, and be the
// chain's end.
class WatchedHead final : public HeadFile {
 public:
  WatchedHead(Script* script, const ScriptedStore* store,
              std::atomic<int>* lies)
      : script_(script), store_(store), lies_(lies) {}

  absl::Status Write(HeadRecord record, bool sync) override {
    if (!IsTrue(record)) ++*lies_;
    return script_->Say("head " + std::to_string(record.block_count) +
                        (record.clean ? " clean" : "") + (sync ? " sync" : ""));
  }

 private:
  bool IsTrue(const HeadRecord& record) const {
    if (record.block_count > store_->synced()) return false;
    if (record.world_id != "world" || record.epoch != 4) return false;
    const auto stored = store_->ReadBlock(record.block_count - 1);
    if (!stored.ok()) return false;
    const auto block = DecodeBlock(*stored);
    return block.ok() && block->hash == record.hash &&
           block->header.last() == record.event_id;
  }

  Script* const script_;
  const ScriptedStore* const store_;
  std::atomic<int>* const lies_;
};

using Lines = std::vector<std::string>;

// A writer over the doubles above; rounds have one ticket each.
class Fixture {
 public:
  explicit Fixture(SyncPolicy sync = {}, bool own_thread = true,
                   std::size_t queued_rounds_max = 8) {
    options.sync = sync;
    options.own_thread = own_thread;
    options.queued_rounds_max = queued_rounds_max;
    options.world_id = "world";
    options.epoch = 4;
    options.now_ms = [this] { return now_ms.load(); };
  }

  void Start() {
    writer = JournalWriter::Start(
        &store, std::make_unique<WatchedHead>(&script, &store, &lies), options,
        [this] {
          ++progress;
          if (on_progress) on_progress();
        });
    next_ = options.last_event.value + 1;
  }

  // Appends the round of the next ticket.
  void Append(std::function<absl::Status()> then = nullptr) {
    writer->Append(NextRound(std::move(then)));
  }
  void AppendHere() { writer->AppendHere(NextRound(nullptr)); }

  std::unique_ptr<FinishedRound> NextRound(std::function<absl::Status()> then) {
    std::unique_ptr<FinishedRound> round = writer->Recycle();
    round->round = Round{next_};
    round->first = EventId{next_};
    round->ticket_count = 1;
    round->entry_count = 1;
    round->entries = "entries " + std::to_string(next_);
    round->cells.Add(1, "cell", EventId{next_}, std::to_string(next_));
    if (then) {
      round->after_commit = [then](const BlockHeader&, const Digest&) {
        return then();
      };
    }
    ++next_;
    return round;
  }

  Script script;
  ScriptedStore store{&script};
  std::atomic<int> lies{0};
  std::atomic<int> progress{0};
  std::function<void()> on_progress;        // set before Start()
  std::atomic<std::uint64_t> now_ms{1000};  // stands still
  JournalWriter::Options options;
  std::unique_ptr<JournalWriter> writer;

 private:
  std::uint64_t next_ = 1;
};

constexpr SyncPolicy kEveryBlock{SyncPolicy::Kind::kEveryBlock, 100};
constexpr SyncPolicy kNever{SyncPolicy::Kind::kNone, 100};

TEST_CASE("rounds that arrive while a group is written form the next one",
          "[journal]") {
  Fixture f;
  f.Start();
  f.script.Hold();
  f.Append();
  f.script.AwaitHeld();
  for (int i = 0; i < 4; ++i) f.Append();
  CHECK(f.writer->durable() == EventId{0});
  f.script.Release();
  REQUIRE_OK(f.writer->Flush());
  CHECK(f.script.Lines() == Lines{"commit 0-0 sync", "head 1 sync",
                                  "commit 1-4 sync", "head 5", "head 5 sync"});
  CHECK(f.writer->group_count() == 2);
  CHECK(f.writer->sync_count() == 2);
  CHECK(f.writer->durable() == EventId{5});
  CHECK(f.writer->block_count() == 5);
  CHECK(f.progress == 2);
  CHECK(f.lies == 0);
}

TEST_CASE("while nothing is written, a round can be written where it is",
          "[journal]") {
  Fixture f;
  std::thread::id where;
  f.on_progress = [&where] { where = std::this_thread::get_id(); };
  f.Start();
  f.AppendHere();
  CHECK(f.writer->durable() == EventId{1});
  CHECK(where == std::this_thread::get_id());
  f.AppendHere();
  CHECK(f.writer->durable() == EventId{2});
  CHECK(f.script.Lines() ==
        Lines{"commit 0-0 sync", "head 1 sync", "commit 1-1 sync", "head 2"});
  CHECK(f.lies == 0);
}

TEST_CASE("behind others, a round is written in its turn", "[journal]") {
  Fixture f;
  f.Start();
  f.script.Hold();
  f.Append();
  f.script.AwaitHeld();
  f.AppendHere();  // the thread has the first one
  f.AppendHere();  // and the queue has the second
  CHECK(f.writer->durable() == EventId{0});
  f.script.Release();
  REQUIRE_OK(f.writer->Flush());
  CHECK(f.script.Lines() == Lines{"commit 0-0 sync", "head 1 sync",
                                  "commit 1-2 sync", "head 3", "head 3 sync"});
  CHECK(f.lies == 0);
}

TEST_CASE("rounds written here, there and flushed are one chain", "[journal]") {
  Fixture f(
      SyncPolicy{GENERATE(SyncPolicy::Kind::kEveryBlock,
                          SyncPolicy::Kind::kInterval, SyncPolicy::Kind::kNone),
                 1});
  f.options.now_ms = nullptr;
  f.Start();
  Rng rng(Seed{7});
  for (int i = 0; i < 300; ++i) {
    switch (rng.Below(4)) {
      case 0:
        f.Append();
        break;
      case 1:
        REQUIRE_OK(f.writer->Flush());
        break;
      default:
        f.AppendHere();
    }
  }
  REQUIRE_OK(f.writer->Close());
  CHECK(f.writer->durable().value == f.writer->block_count());
  CHECK(f.store.synced() == f.writer->block_count());
  Digest hash;
  for (std::uint64_t i = 0; i < f.writer->block_count(); ++i) {
    const auto stored = f.store.ReadBlock(i);
    const auto block = DecodeBlock(*stored);
    REQUIRE_OK(block.status());
    CHECK(block->header.prev == hash);
    hash = block->hash;
  }
  CHECK(f.writer->head_hash() == hash);
  CHECK(f.lies == 0);
}

TEST_CASE("an interval that begins with a round written here ends, too",
          "[journal]") {
  Fixture f(SyncPolicy{SyncPolicy::Kind::kInterval, 1});
  f.options.now_ms = nullptr;
  f.Start();
  f.AppendHere();
  f.script.AwaitLine("head 1");
  CHECK(f.script.Lines() == Lines{"commit 0-0", "sync", "head 1"});
}

TEST_CASE("an error of a round written here is final", "[journal]") {
  Fixture f;
  f.Start();
  f.script.FailNext("commit");
  f.AppendHere();
  CHECK_FALSE(f.writer->status().ok());
  f.AppendHere();
  CHECK(f.writer->durable() == EventId{0});
  CHECK(f.writer->Close() == f.writer->status());
}

TEST_CASE("blocks are chained in the order of the rounds", "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  auto genesis = f.writer->Recycle();
  genesis->first = EventId{1};
  genesis->entry_count = 1;
  genesis->entries = "genesis";
  f.writer->Append(std::move(genesis));
  for (int i = 0; i < 50; ++i) f.Append();
  REQUIRE_OK(f.writer->Close());

  const std::vector<Bytes> blocks = AllBlocks(f.store);
  REQUIRE(blocks.size() == 51);
  BlockView before = DecodeBlock(blocks[0]).value();
  CHECK(before.header.prev == Digest());
  CHECK(before.entries == "genesis");
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    const auto block = DecodeBlock(blocks[i]);
    REQUIRE_OK(block);
    REQUIRE_OK(CheckFollows(before.header, before.hash, block->header));
    REQUIRE(block->entries == "entries " + std::to_string(i));
    before = *block;
  }
  CHECK(f.writer->head_hash() == before.hash);
  CHECK(f.writer->block_count() == 51);
}

TEST_CASE("a writer goes on where the chain ended", "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  f.Append();
  f.Append();
  REQUIRE_OK(f.writer->Close());
  f.options.next_index = f.writer->block_count();
  f.options.prev_hash = f.writer->head_hash();
  f.options.last_event = f.writer->durable();
  f.Start();
  CHECK(f.writer->durable() == EventId{2});
  f.Append();
  // Before the first block, HEAD stops saying that the world was closed.
  REQUIRE_OK(f.writer->Close());
  const Lines all = f.script.Lines();
  const auto clean = std::find(all.begin(), all.end(), "head 2 clean sync");
  REQUIRE(clean != all.end());
  CHECK(Lines(clean, all.end()) ==
        Lines{"head 2 clean sync", "sync", "head 2 sync", "commit 2-2 sync",
              "head 3", "head 3 sync", "head 3 clean sync"});
  CHECK(f.lies == 0);
}

TEST_CASE("Append waits while the queue is full", "[journal]") {
  constexpr std::size_t kQueued = 2;
  Fixture f(kEveryBlock, true, kQueued);
  f.Start();
  f.script.Hold();
  f.Append();
  f.script.AwaitHeld();
  std::atomic<std::size_t> appended{0};
  std::thread appender([&] {
    for (int i = 0; i < 10; ++i) {
      f.Append();
      ++appended;
    }
  });
  while (appended < kQueued) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  CHECK(appended == kQueued);
  f.script.Release();
  appender.join();
  REQUIRE_OK(f.writer->Flush());
  CHECK(f.writer->durable() == EventId{11});
  CHECK(f.script.Lines()[2] == "commit 1-2 sync");
}

TEST_CASE("the first error is final", "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  const std::string what = GENERATE("commit 2", "head 3");
  // HEAD is written once everybody has been told.
  const std::uint64_t durable = what == "head 3" ? 3 : 2;
  f.Start();
  f.Append();
  REQUIRE_OK(f.writer->Flush());
  f.Append();
  REQUIRE_OK(f.writer->Flush());
  f.script.FailNext(what);
  f.Append();
  const absl::Status error = f.writer->Flush();
  REQUIRE(absl::IsResourceExhausted(error));
  const std::size_t lines = f.script.Lines().size();

  for (int i = 0; i < 20; ++i) f.Append();  // dropped, and nobody waits
  CHECK(f.writer->status() == error);
  CHECK(f.writer->Flush() == error);
  CHECK(f.writer->WaitDurable(EventId{durable + 1}, kForEver).status() ==
        error);
  CHECK(f.writer->WaitDurable(EventId{durable}, 0).value());
  CHECK(f.writer->Close() == error);
  CHECK(f.writer->Close() == error);
  CHECK(f.writer->durable() == EventId{durable});
  CHECK(f.writer->block_count() == durable);
  CHECK(f.progress == static_cast<int>(durable) + 1);  // the error, too
  CHECK(f.script.Lines().size() == lines);
}

TEST_CASE("who waits for a ticket hears of the error", "[journal]") {
  Fixture f;
  f.Start();
  f.script.Hold();
  f.script.FailNext("commit");
  f.Append();
  absl::Status heard;
  std::thread waiter(
      [&] { heard = f.writer->WaitDurable(EventId{1}, kForEver).status(); });
  f.script.AwaitHeld();
  f.script.Release();
  waiter.join();
  CHECK(absl::IsResourceExhausted(heard));
}

TEST_CASE("a group costs one sync; HEAD is synced now and then, and at the end",
          "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  f.Append();
  f.script.AwaitLine("head 1 sync");
  f.Append();
  f.script.AwaitLine("head 2");
  f.now_ms += 99;
  f.Append();
  f.script.AwaitLine("head 3");
  f.now_ms += 1;
  f.Append();
  f.script.AwaitLine("head 4");
  CHECK(f.script.Lines() ==
        Lines{"commit 0-0 sync", "head 1 sync", "commit 1-1 sync", "head 2",
              "commit 2-2 sync", "head 3", "commit 3-3 sync", "head 4 sync"});
  CHECK(f.writer->sync_count() == 4);
  f.Append();
  REQUIRE_OK(f.writer->Flush());
  CHECK(f.script.Lines().back() == "head 5 sync");
  CHECK(f.lies == 0);
}

TEST_CASE("HEAD never says more than what is synced", "[journal]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 9));
  const SyncPolicy::Kind kind =
      GENERATE(SyncPolicy::Kind::kEveryBlock, SyncPolicy::Kind::kInterval,
               SyncPolicy::Kind::kNone);
  const bool own_thread = GENERATE(true, false);
  INFO("seed " << seed);
  Fixture f(SyncPolicy{kind, 3}, own_thread);
  std::atomic<std::uint64_t> now{0};
  f.options.now_ms = [&now] { return now++; };
  f.Start();
  Rng rng(Seed{seed});
  for (int i = 0; i < 100; ++i) {
    if (rng.Chance(1, 10)) {
      f.Append([] { return absl::OkStatus(); });
    } else {
      f.Append();
    }
    if (rng.Chance(1, 20)) REQUIRE_OK(f.writer->Flush());
  }
  REQUIRE_OK(f.writer->Close());
  CHECK(f.lies == 0);
  CHECK(f.script.Lines().back() == "head 100 clean sync");
  CHECK(f.store.synced() == 100);
  CHECK(f.writer->written() == EventId{100});
}

TEST_CASE("an interval syncs what has waited so long", "[journal]") {
  Fixture f(SyncPolicy{SyncPolicy::Kind::kInterval, 100}, false);
  std::uint64_t now = 1000;
  f.options.now_ms = [&now] { return now; };
  f.Start();
  f.Append();
  CHECK(f.writer->durable() == EventId{1});  // handed to the system
  now += 99;
  f.Append();
  CHECK(f.script.Lines() == Lines{"commit 0-0", "commit 1-1"});
  now += 1;
  f.Append();
  CHECK(f.script.Lines() ==
        Lines{"commit 0-0", "commit 1-1", "commit 2-2", "sync", "head 3"});
  now += 50;  // the interval starts anew with what is not synced
  f.Append();
  now += 99;
  f.Append();
  CHECK(f.writer->sync_count() == 1);
  now += 1;
  f.Append();
  CHECK(f.writer->sync_count() == 2);
}

TEST_CASE("an interval syncs although nothing more arrives", "[journal]") {
  Fixture f(SyncPolicy{SyncPolicy::Kind::kInterval, 1});
  f.options.now_ms = nullptr;
  f.Start();
  f.Append();
  f.script.AwaitLine("head 1");
  CHECK(f.script.Lines() == Lines{"commit 0-0", "sync", "head 1"});
}

TEST_CASE("without syncs, Flush and Close still do", "[journal]") {
  Fixture f(kNever, GENERATE(true, false));
  f.Start();
  f.Append();
  REQUIRE_OK(f.writer->Flush());
  REQUIRE_OK(f.writer->Flush());  // nothing to do
  CHECK(f.script.Lines() == Lines{"commit 0-0", "sync", "head 1 sync"});
  f.Append();
  REQUIRE_OK(f.writer->Close());
  CHECK(f.script.Lines() == Lines{"commit 0-0", "sync", "head 1 sync",
                                  "commit 1-1", "sync", "head 2 sync",
                                  "head 2 clean sync"});
}

TEST_CASE("closing again does nothing", "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  f.Append();
  REQUIRE_OK(f.writer->Close());
  const Lines lines = f.script.Lines();
  REQUIRE_OK(f.writer->Close());
  CHECK(f.script.Lines() == lines);
  CHECK(lines.back() == "head 1 clean sync");
  // Nothing will come any more, so nobody waits for it.
  CHECK_FALSE(f.writer->WaitDurable(EventId{2}, kForEver).value());
}

TEST_CASE("a world that was not written to is closed without a trace",
          "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  REQUIRE_OK(f.writer->Flush());
  REQUIRE_OK(f.writer->Close());
  CHECK(f.script.Lines().empty());
}

TEST_CASE("an error of closing is the result of closing", "[journal]") {
  Fixture f(kNever, GENERATE(true, false));
  f.Start();
  f.Append();
  f.script.FailNext(GENERATE("sync", "head 1 sync", "head 1 clean"));
  const absl::Status error = f.writer->Close();
  CHECK(absl::IsResourceExhausted(error));
  CHECK(f.writer->Close() == error);
  CHECK(f.writer->status() == error);
}

TEST_CASE("what follows a round sees exactly that round's cells", "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  f.script.Hold();
  std::vector<Bytes> seen;
  const auto look = [&] {
    seen.push_back(AllCells(f.store).at({1, "cell"}).second);
    return absl::OkStatus();
  };
  if (!f.options.own_thread) f.script.Release();
  f.Append();
  if (f.options.own_thread) f.script.AwaitHeld();
  f.Append();
  f.Append(look);
  f.Append(look);
  f.Append();
  f.script.Release();
  REQUIRE_OK(f.writer->Flush());
  CHECK(seen == std::vector<Bytes>{"3", "4"});
  if (f.options.own_thread) CHECK(f.writer->group_count() == 4);
}

TEST_CASE("an error of what follows a round is final", "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  f.Append([] { return absl::UnavailableError("no snapshot"); });
  CHECK(absl::IsUnavailable(f.writer->Flush()));
  CHECK(f.writer->durable() == EventId{1});  // it was synced before
  f.Append();
  CHECK(absl::IsUnavailable(f.writer->Close()));
  CHECK(f.store.block_count() == 1);
}

TEST_CASE("a recycled round is empty and keeps its memory", "[journal]") {
  Fixture f(kEveryBlock, GENERATE(true, false));
  f.Start();
  auto round = f.writer->Recycle();
  round->first = EventId{1};
  round->entries = Bytes(100'000, 'x');
  round->cells.Add(1, "cell", EventId{1}, "state");
  const char* memory = round->entries.data();
  f.writer->Append(std::move(round));
  REQUIRE_OK(f.writer->Flush());
  auto again = f.writer->Recycle();
  CHECK(again->entries.empty());
  CHECK(again->cells.empty());
  CHECK_FALSE(again->after_commit);
  CHECK(again->entries.data() == memory);
}

TEST_CASE("without a thread, Append returns when it is durable", "[journal]") {
  Fixture f(kEveryBlock, false);
  f.Start();
  f.Append();
  CHECK(f.writer->written() == EventId{1});
  CHECK(f.writer->durable() == EventId{1});
  CHECK(f.writer->WaitDurable(EventId{1}, 0).value());
  CHECK_FALSE(f.writer->WaitDurable(EventId{2}, 0).value());
}

TEST_CASE("durable follows written, which follows what was appended",
          "[journal]") {
  Fixture f(kEveryBlock);
  f.Start();
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    EventId before;
    while (!done) {
      const EventId durable = f.writer->durable();
      if (durable > f.writer->written() || durable < before) ++wrong;
      before = durable;
    }
  });
  for (int i = 0; i < 500; ++i) f.Append();
  const auto reached = f.writer->WaitDurable(EventId{500}, kForEver);
  done = true;
  reader.join();
  CHECK(reached.value());
  CHECK(wrong == 0);
}

TEST_CASE("a writer that is let go of without closing just stops",
          "[journal]") {
  Fixture f(kNever);
  f.Start();
  f.Append();
  f.writer.reset();
  for (const std::string& line : f.script.Lines()) {
    CHECK(line == "commit 0-0");
  }
}

}  // namespace
}  // namespace reenact
