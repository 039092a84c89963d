#include "reenact/world/submission.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using State = Submission::State;
using StatePtr = DurabilityWatermark::StatePtr;

struct Line {
  std::shared_ptr<DurabilityWatermark> line =
      std::make_shared<DurabilityWatermark>();

  // A submission that was committed as ticket `event_id`.
  StatePtr Committed(std::uint64_t event_id) const {
    auto state = std::make_shared<State>(line);
    state->Ticketed(EventId{event_id});
    state->Committed(std::nullopt, state);
    return state;
  }
};

TEST_CASE("who asks after it has become durable is told at once", "[kernel]") {
  const Line f;
  const StatePtr state = f.Committed(7);
  f.line->Advance(EventId{9});
  CHECK(Submission(state).WaitDurable()->event_id == EventId{7});
  CHECK(f.line.use_count() == 2);  // this one's and the submission's
  CHECK(state.use_count() == 1);   // the line does not keep it
}

TEST_CASE("what is durable never goes back", "[kernel]") {
  const Line f;
  f.line->Advance(EventId{9});
  f.line->Advance(EventId{3});
  CHECK(f.line->reached() == EventId{9});
}

TEST_CASE("each who waits hears of its own ticket, however early it came",
          "[kernel]") {
  const Line f;
  constexpr std::uint64_t kTickets = 200;
  std::vector<StatePtr> states;
  for (std::uint64_t i = 0; i < kTickets; ++i) {
    states.push_back(std::make_shared<State>(f.line));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      // Two walk forwards, two backwards, so that some wait for the last.
      for (std::uint64_t i = 0; i < kTickets; ++i) {
        const std::uint64_t at = t % 2 == 0 ? i : kTickets - 1 - i;
        const Submission submission(states[at]);
        const auto ticketed = submission.WaitTicketed();
        const auto durable = submission.WaitDurable();
        const auto committed = submission.WaitCommitted();
        if (!ticketed.ok() || !durable.ok() || !committed.ok() ||
            ticketed->value != at + 1 || durable->event_id != *ticketed ||
            f.line->reached() < *ticketed ||
            committed->failure.has_value() != (at % 3 == 0)) {
          ++wrong;
        }
      }
    });
  }
  for (std::uint64_t i = 0; i < kTickets; ++i) {
    states[i]->Ticketed(EventId{i + 1});
    states[i]->Committed(
        i % 3 == 0 ? std::optional(FailureCode::kInvalidOutput) : std::nullopt,
        states[i]);
    if (i % 10 == 9) f.line->Advance(EventId{i + 1});
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  for (const StatePtr& state : states) CHECK(state.use_count() == 1);
}

TEST_CASE("the end of a world ends all waiting for what is not durable",
          "[kernel]") {
  const Line f;
  const StatePtr durable = f.Committed(1);
  const StatePtr waited_for = f.Committed(2);
  const StatePtr asked_late = f.Committed(3);
  absl::Status heard;
  std::thread waiter(
      [&] { heard = Submission(waited_for).WaitDurable().status(); });
  f.line->Advance(EventId{1});
  f.line->End(absl::UnavailableError("the disk is gone"));
  waiter.join();
  CHECK(heard.message() == "the disk is gone");
  CHECK(Submission(asked_late).WaitDurable().status() == heard);
  CHECK(Submission(asked_late).WaitCommitted()->event_id == EventId{3});
  CHECK(Submission(durable).WaitDurable()->event_id == EventId{1});
}

TEST_CASE("a submission that was never admitted ends by itself", "[kernel]") {
  const Line f;
  const auto state = std::make_shared<State>(f.line);
  absl::Status heard;
  std::thread waiter(
      [&] { heard = Submission(state).WaitTicketed().status(); });
  state->End(absl::AlreadyExistsError("twice"));
  waiter.join();
  CHECK(absl::IsAlreadyExists(heard));
  CHECK(absl::IsAlreadyExists(Submission(state).WaitDurable().status()));
}

}  // namespace
}  // namespace reenact
