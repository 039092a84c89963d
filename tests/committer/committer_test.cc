#include "reenact/committer/committer.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "reenact/journal/entry.h"

namespace reenact {
namespace {

// Does as it is told and notes what was asked of it.
class StepDouble final : public PendingStep {
 public:
  explicit StepDouble(std::uint64_t id) : id_{id} {}

  bool stale = false;
  StepOutcome result;         // of the first run
  StepOutcome second_result;  // of the second
  std::optional<FailureCode> settles_to;
  std::optional<FailureCode> refused_with;
  std::vector<std::string> calls;

  EventId event_id() const override { return id_; }
  bool IsStale() const override { return stale; }
  void RunAgain() override {
    calls.push_back("run again");
    stale = false;
    again_ = true;
  }
  const StepOutcome& outcome() const override {
    return again_ ? second_result : result;
  }
  std::optional<FailureCode> Settle() override {
    calls.push_back("settle");
    return settles_to;
  }
  std::optional<FailureCode> Gate() override {
    calls.push_back("gate");
    return refused_with;
  }
  void Publish() override { calls.push_back("publish"); }
  void Discard() override { calls.push_back("discard"); }
  void AppendEntries(std::optional<FailureCode> failure,
                     Bytes* entries) const override {
    EncodeStepScheduled(id_, LaneId{0}, UnitKind::kEvent, 0, "a",
                        Cause{InputId{1}, EventId{0}, 0}, entries);
    if (failure) {
      EncodeStepFailed(id_, LaneId{0}, *failure, {}, entries);
    } else {
      EncodeStepCommittedHead(id_, LaneId{0}, 0, 0, 0, entries);
    }
  }

 private:
  const EventId id_;
  bool again_ = false;
};

using Calls = std::vector<std::string>;

TEST_CASE("a step whose reads still hold commits as it is", "[committer]") {
  Committer committer(EventId{5});
  StepDouble step(5);
  Bytes entries;
  CHECK(committer.Commit(step, &entries) == std::nullopt);
  CHECK(step.calls == Calls{"settle", "gate", "publish"});
  CHECK(committer.next() == EventId{6});
  CHECK(committer.counts().committed == 1);
  CHECK(committer.counts().conflicts == 0);
}

TEST_CASE("a stale step runs once more, and leaves no trace of it",
          "[committer]") {
  Bytes fresh_entries;
  StepDouble fresh(1);
  Committer(EventId{1}).Commit(fresh, &fresh_entries);

  Committer committer(EventId{1});
  StepDouble stale(1);
  stale.stale = true;
  Bytes entries;
  CHECK(committer.Commit(stale, &entries) == std::nullopt);
  CHECK(stale.calls == Calls{"run again", "settle", "gate", "publish"});
  CHECK(committer.counts().conflicts == 1);
  CHECK(committer.counts().reruns == 1);
  CHECK(entries == fresh_entries);
}

TEST_CASE("what a stale run failed with does not count", "[committer]") {
  Committer committer(EventId{1});
  StepDouble step(1);
  step.stale = true;
  step.result.failure = FailureCode::kException;
  Bytes entries;
  CHECK(committer.Commit(step, &entries) == std::nullopt);
  CHECK(committer.counts().failed == 0);

  StepDouble other(2);
  other.stale = true;
  other.second_result.failure = FailureCode::kOutOfFuel;
  CHECK(committer.Commit(other, &entries) == FailureCode::kOutOfFuel);
  CHECK(other.calls == Calls{"run again", "discard"});
}

TEST_CASE("a step that failed changes nothing and is recorded", "[committer]") {
  Committer committer(EventId{1});
  StepDouble step(1);
  step.result.failure = FailureCode::kException;
  Bytes entries;
  CHECK(committer.Commit(step, &entries) == FailureCode::kException);
  CHECK(step.calls == Calls{"discard"});
  CHECK(committer.counts().failed == 1);
  CHECK(committer.counts().failures.at(FailureCode::kException) == 1);
  cbor::Reader reader(entries);
  REQUIRE(DecodeEntry(reader).ok());
  const auto outcome = DecodeEntry(reader);
  REQUIRE(outcome.ok());
  CHECK(std::get<entry::StepFailed>(*outcome).code == FailureCode::kException);
  CHECK(reader.AtEnd());
}

TEST_CASE("an update that cannot be applied fails its step at commit",
          "[committer]") {
  Committer committer(EventId{1});
  StepDouble step(1);
  step.settles_to = FailureCode::kOutOfBounds;
  Bytes entries;
  CHECK(committer.Commit(step, &entries) == FailureCode::kOutOfBounds);
  CHECK(step.calls == Calls{"settle", "discard"});
  CHECK(committer.counts().failures.at(FailureCode::kOutOfBounds) == 1);
}

TEST_CASE("entries are added behind those that are there", "[committer]") {
  Committer committer(EventId{1});
  Bytes entries;
  StepDouble first(1);
  StepDouble second(2);
  committer.Commit(first, &entries);
  const Bytes one = entries;
  committer.Commit(second, &entries);
  CHECK(entries.substr(0, one.size()) == one);
  CHECK(entries.size() == 2 * one.size());
  CHECK(committer.next() == EventId{3});
}

}  // namespace
}  // namespace reenact
