// Steps become history: through a real window, with steps that a test scripts.

#include "reenact/committer/committer.h"

#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/workers/step_entries.h"
#include "tests/workers/map_source.h"

namespace reenact {
namespace {

using cbor::EncodeInteger;

// Tickets for one reducer, "r", that does what a test says.
class Bench {
 public:
  explicit Bench(std::function<absl::Status(StepContext&)> step)
      : reducer_(MakeReducer("r", std::move(step))) {
    rules_.SetReducers({reducer_});
    config_.reducers = {"r"};
    Window::Options options;
    options.size = 8;
    window_ = std::make_unique<Window>(&table_, &rules_, EncodeResult,
                                       EventId{0}, options);
    committer_ = std::make_unique<Committer>(
        EventId{1},
        Committer::Parts{window_.get(), &table_, &ledger_, &rules_, &config_},
        SelfCheck::Options());
  }

  void Issue(std::string key) {
    Ticket* const ticket = window_->NextTicket();
    *ticket = Ticket{};
    ticket->event_id = window_->issued().Next();
    ticket->round = Round{1};
    ticket->cause.input = InputId{1};
    ticket->reducer = 0;
    ticket->code = reducer_.get();
    keys_.push_back(std::move(key));
    ticket->event = EventView{"r", keys_.back(), "", payload_};
    window_->Issue(/*serial=*/false);
  }

  // Runs all that can run, the highest ticket first.
  void RunBackwards() {
    while (const std::size_t ready = window_->ReadyCount()) {
      window_->RunReady(ready - 1);
    }
  }

  Committer::Result Commit() {
    Slot* const slot = window_->Next();
    REQUIRE(slot != nullptr);
    REQUIRE(slot->done());
    const Committer::Result result = committer_->Commit(slot, &entries_);
    window_->Committed(slot);
    return result;
  }

  std::int64_t Number(std::string_view key) {
    const auto state = table_.Load(table_.Find(0, key, EventId{0}))->state();
    return state ? cbor::DecodeInteger(*state).value() : 0;
  }

  const Committer& committer() const { return *committer_; }
  const Bytes& entries() const { return entries_; }

 private:
  MapSource source_;
  CellTable table_{&source_, 1 << 20, 8};
  StepRules rules_;
  WorldConfig config_;
  Ledger ledger_{Bytes(16, 'w')};
  const Bytes payload_ = EncodeInteger(0);
  std::shared_ptr<const Reducer> reducer_;
  std::deque<std::string> keys_;  // what tickets view
  std::unique_ptr<Window> window_;
  std::unique_ptr<Committer> committer_;
  Bytes entries_;
};

std::int64_t NumberOf(std::optional<BytesView> state) {
  return state ? cbor::DecodeInteger(*state).value() : 0;
}

absl::Status Count(StepContext& step) {
  step.SetState(EncodeInteger(NumberOf(step.state()) + 1));
  return absl::OkStatus();
}

// Adds one to the cell, and to what it reads, undeclared, of "shared".
absl::Status CountBeyondShared(StepContext& step) {
  std::int64_t number = NumberOf(step.state()) + 1;
  if (step.event().key != "shared") {
    number += NumberOf(step.Read("r", "shared"));
  }
  step.SetState(EncodeInteger(number));
  return absl::OkStatus();
}

std::vector<Entry> EntriesOf(const Bytes& bytes) {
  std::vector<Entry> entries;
  cbor::Reader reader(bytes);
  while (!reader.AtEnd()) {
    absl::StatusOr<Entry> entry = DecodeEntry(reader);
    REQUIRE(entry.ok());
    entries.push_back(*std::move(entry));
  }
  return entries;
}

TEST_CASE("a step whose reads still hold commits as it is", "[committer]") {
  Bench bench(Count);
  bench.Issue("a");
  bench.RunBackwards();
  CHECK(bench.Commit().failure == std::nullopt);
  CHECK(bench.Number("a") == 1);
  CHECK(bench.committer().next() == EventId{2});
  CHECK(bench.committer().counts().committed == 1);
  CHECK(bench.committer().counts().conflicts == 0);
}

TEST_CASE("a stale step runs once more, and leaves no trace of it",
          "[committer]") {
  Bench stale(CountBeyondShared);
  Bench fresh(CountBeyondShared);
  for (const char* key : {"shared", "b"}) {
    stale.Issue(key);
    fresh.Issue(key);
    fresh.RunBackwards();
    fresh.Commit();
  }
  stale.RunBackwards();  // "b" reads before "shared" is written
  stale.Commit();
  CHECK(stale.Commit().failure == std::nullopt);
  CHECK(stale.committer().counts().conflicts == 1);
  CHECK(stale.committer().counts().reruns == 1);
  CHECK(fresh.committer().counts().reruns == 0);
  CHECK(stale.Number("b") == 2);
  CHECK(stale.entries() == fresh.entries());
}

TEST_CASE("what a stale run failed with does not count", "[committer]") {
  Bench bench([](StepContext& step) -> absl::Status {
    if (step.event().key == "b" && !step.Read("r", "shared")) {
      return absl::InternalError("nothing there yet");
    }
    return Count(step);
  });
  bench.Issue("shared");
  bench.Issue("b");
  bench.RunBackwards();
  bench.Commit();
  CHECK(bench.Commit().failure == std::nullopt);
  CHECK(bench.committer().counts().failed == 0);
}

TEST_CASE("a step that failed changes nothing and is recorded", "[committer]") {
  Bench bench([](StepContext& step) -> absl::Status {
    step.SetState(EncodeInteger(7));
    return absl::FailedPreconditionError("not today");
  });
  bench.Issue("a");
  bench.RunBackwards();
  const Committer::Result result = bench.Commit();
  REQUIRE(result.failure.has_value());
  CHECK(bench.Number("a") == 0);
  CHECK(bench.committer().counts().failed == 1);
  CHECK(bench.committer().counts().failures.at(*result.failure) == 1);
  const std::vector<Entry> entries = EntriesOf(bench.entries());
  REQUIRE(entries.size() == 2);
  CHECK(std::holds_alternative<entry::StepScheduled>(entries[0]));
  CHECK(std::get<entry::StepFailed>(entries[1]).code == *result.failure);
}

TEST_CASE("an update that cannot be applied fails its step at commit",
          "[committer]") {
  Bench bench([](StepContext& step) -> absl::Status {
    if (step.event().key == "a") {
      step.SetState(EncodeInteger(1));
      Update update;
      update.number = 1;
      step.Apply("r", "text", update);
    } else {
      step.SetState(cbor::EncodeText("no number"));
    }
    return absl::OkStatus();
  });
  bench.Issue("text");
  bench.Issue("a");
  bench.RunBackwards();
  CHECK(bench.Commit().failure == std::nullopt);
  const Committer::Result result = bench.Commit();
  REQUIRE(result.failure.has_value());
  CHECK(bench.committer().counts().failures.at(*result.failure) == 1);
  CHECK(bench.Number("a") == 0);
}

TEST_CASE("entries are added behind those that are there", "[committer]") {
  Bench bench(Count);
  bench.Issue("a");
  bench.Issue("b");
  bench.RunBackwards();
  bench.Commit();
  const Bytes one = bench.entries();
  bench.Commit();
  CHECK(bench.entries().substr(0, one.size()) == one);
  CHECK(bench.entries().size() == 2 * one.size());
  CHECK(bench.committer().next() == EventId{3});
}

}  // namespace
}  // namespace reenact
