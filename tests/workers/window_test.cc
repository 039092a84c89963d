#include "reenact/workers/window.h"

#include <catch2/catch.hpp>
#include <string>

#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/workers/map_source.h"

namespace reenact {
namespace {

using cbor::EncodeInteger;

// Tickets for one reducer, "r", that does what a test says.
class Bench {
 public:
  Bench(std::function<absl::Status(StepContext&)> step,
        std::function<void(const EventView&, TouchSet&)> touch = nullptr)
      : reducer_(MakeReducer("r", std::move(step), std::move(touch))) {
    rules_.SetReducers({reducer_});
    Window::Options options;
    options.size = 8;
    window_ = std::make_unique<Window>(
        &table_, &rules_, [](const Slot&, const StepResult&, Bytes*) {},
        EventId{0}, options);
  }

  void Issue(std::string key, std::int64_t payload = 0) {
    Ticket* ticket = window_->NextTicket();
    *ticket = Ticket{};
    ticket->event_id = window_->issued().Next();
    ticket->round = Round{1};
    ticket->cause.input = InputId{1};
    ticket->reducer = 0;
    ticket->code = reducer_.get();
    const auto& [own_key, own_payload] =
        kept_.emplace_back(std::move(key), EncodeInteger(payload));
    ticket->event = EventView{"r", own_key, "", own_payload};
    window_->Issue(/*serial=*/false);
  }

  // Commits the next ticket; whether it had to be run again.
  bool Commit() {
    Slot* slot = window_->Next();
    REQUIRE(slot != nullptr);
    REQUIRE(slot->done());
    const bool stale = !window_->IsCurrent(*slot, slot->result());
    if (stale) {
      window_->DiscardWrites(*slot, &slot->results[0]);
      window_->RunAgain(slot);
      REQUIRE(window_->IsCurrent(*slot, slot->result()));
    }
    StepResult* result = &slot->results[stale ? 1 : 0];
    for (const StepResult::Write& write : result->writes) {
      table_.Publish(write.cell, write.version, slot->ticket.event_id,
                     slot->ticket.round);
    }
    result->settled = true;
    window_->Committed(slot);
    return stale;
  }

  std::int64_t Number(std::string_view key) {
    const auto state = table_.Load(table_.Find(0, key, EventId{0}))->state();
    return state ? cbor::DecodeInteger(*state).value() : 0;
  }

  Window& window() { return *window_; }

 private:
  MapSource source_;
  CellTable table_{&source_, 1 << 20, 8};
  StepRules rules_;
  std::shared_ptr<const Reducer> reducer_;
  std::deque<std::pair<std::string, Bytes>> kept_;  // what tickets view
  std::unique_ptr<Window> window_;
};

std::int64_t NumberOf(std::optional<BytesView> state) {
  return state ? cbor::DecodeInteger(*state).value() : 0;
}

absl::Status Count(StepContext& step) {
  step.SetState(EncodeInteger(NumberOf(step.state()) + 1));
  return absl::OkStatus();
}

TEST_CASE("tickets of one cell run as a chain, of others at once",
          "[workers]") {
  Bench bench(Count);
  bench.Issue("a");
  bench.Issue("a");
  bench.Issue("b");
  bench.Issue("a");
  CHECK(bench.window().ReadyCount() == 2);  // the first of each cell
  CHECK(bench.window().wait_count() == 2);
  bench.window().RunReady(0);
  CHECK(bench.window().ReadyCount() == 2);  // b, and the second of a
  while (bench.window().ReadyCount() > 0) bench.window().RunReady(0);
  // Each saw what the one before it wrote, though nothing was committed.
  for (int i = 0; i < 4; ++i) CHECK_FALSE(bench.Commit());
  CHECK(bench.Number("a") == 3);
  CHECK(bench.Number("b") == 1);
  CHECK(bench.window().Next() == nullptr);
}

TEST_CASE("a declared read waits for the write before it", "[workers]") {
  Bench bench(
      [](StepContext& step) {
        step.SetState(EncodeInteger(NumberOf(step.Read("r", "shared")) * 10 +
                                    NumberOf(step.payload())));
        return absl::OkStatus();
      },
      [](const EventView&, TouchSet& touches) {
        touches.Reads("r", "shared");
      });
  bench.Issue("shared", 4);
  bench.Issue("x", 1);
  bench.Issue("y", 2);
  CHECK(bench.window().ReadyCount() == 1);
  bench.window().RunReady(0);
  CHECK(bench.window().ReadyCount() ==
        2);  // readers do not wait for each other
  bench.window().RunReady(1);
  bench.window().RunReady(0);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(bench.Commit());
  CHECK(bench.Number("x") == 41);
  CHECK(bench.Number("y") == 42);
}

TEST_CASE("an undeclared read that came too early is found out", "[workers]") {
  Bench bench([](StepContext& step) {
    if (step.key() == "reader") {
      step.SetState(EncodeInteger(NumberOf(step.Read("r", "a"))));
      return absl::OkStatus();
    }
    return Count(step);
  });
  bench.Issue("a");
  bench.Issue("reader");
  REQUIRE(bench.window().ReadyCount() == 2);
  bench.window().RunReady(1);  // the reader first
  bench.window().RunReady(0);
  CHECK_FALSE(bench.Commit());
  CHECK(bench.Commit());
  CHECK(bench.Number("reader") == 1);
}

TEST_CASE("the read of a write that never came about is stale", "[workers]") {
  // "w" writes a cell that is not in memory, if "flag" is not set.
  Bench bench(
      [](StepContext& step) {
        if (step.key() == "flag") {
          step.SetState(EncodeInteger(1));
        } else if (step.key() == "w") {
          if (NumberOf(step.Read("r", "flag")) == 1) {
            return absl::AbortedError("flag");
          }
          step.Write("r", "x", EncodeInteger(7));
        } else {
          step.SetState(EncodeInteger(NumberOf(step.Read("r", "x"))));
        }
        return absl::OkStatus();
      },
      [](const EventView& event, TouchSet& touches) {
        if (event.key == "w") touches.Writes("r", "x");
      });
  bench.Issue("flag");
  bench.Issue("w");
  bench.Issue("reader");
  REQUIRE(bench.window().ReadyCount() == 3);
  bench.window().RunReady(1);  // w, before flag: writes 7
  bench.window().RunReady(1);  // reader: sees 7
  bench.window().RunReady(0);
  CHECK_FALSE(bench.Commit());
  CHECK(bench.Commit());  // w fails now
  CHECK(bench.Commit());
  CHECK(bench.Number("x") == 0);
  CHECK(bench.Number("reader") == 0);
}

TEST_CASE("a full window has no room until a ticket is history", "[workers]") {
  Bench bench(Count);
  for (int i = 0; i < 8; ++i) bench.Issue("a");
  CHECK_FALSE(bench.window().HasRoom());
  while (bench.window().ReadyCount() > 0) bench.window().RunReady(0);
  bench.Commit();
  CHECK(bench.window().HasRoom());
  // Many times round the ring.
  for (int i = 0; i < 100; ++i) {
    bench.Issue("a");
    while (bench.window().ReadyCount() > 0) bench.window().RunReady(0);
    bench.Commit();
  }
  for (int i = 0; i < 7; ++i) bench.Commit();
  CHECK(bench.Number("a") == 108);
}

TEST_CASE("RunSome claims in order and runs what it releases", "[workers]") {
  Bench bench(Count);
  CHECK(bench.window().RunSome(0) == 0);
  for (int i = 0; i < 6; ++i) bench.Issue(i % 2 == 0 ? "a" : "b");
  while (bench.window().RunSome(0) > 0) {
  }
  for (int i = 0; i < 6; ++i) CHECK_FALSE(bench.Commit());
  CHECK(bench.Number("a") == 3);
  CHECK(bench.Number("b") == 3);
}

}  // namespace
}  // namespace reenact
