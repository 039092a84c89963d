#include "reenact/executors/agenda.h"

#include <algorithm>
#include <map>
#include <vector>

#include "reenact/executors/retry_after.h"
#include "reenact/kernel/rng.h"
#include "tests/executors/open_effects.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Fate = Agenda::Fate;
using Standing = Agenda::Standing;

constexpr std::uint64_t kOpening = 3;
constexpr std::uint64_t kFirstEpoch = (kOpening << 32) + 1;

// An agenda, and the time, which passes when it is told to.
struct Fixture {
  Fixture() {
    KindOptions options;
    options.executor = "local";
    options.concurrency = 2;
    options.attempt_timeout = seconds(10);
    options.overall_timeout = seconds(60);
    options.overrun = seconds(1);
    options.retry = {3, seconds(1), seconds(8)};
    agenda.Serve("do", options);
  }

  void Open(std::uint64_t number, std::string_view kind = "do") {
    REQUIRE(agenda.Open(EffectOf(number, kind)));
  }
  Lease Start() {
    auto lease = agenda.Start(now);
    REQUIRE(lease.has_value());
    return *lease;
  }
  std::vector<Agenda::Expired> Pass(std::chrono::milliseconds time) {
    now += time;
    return agenda.Due(now);
  }
  Lease ClaimFor(HolderId holder) {
    const auto effect = agenda.Offer(holder, now);
    REQUIRE(effect != nullptr);
    return agenda.Claim(holder, effect->intent_hash, now).value();
  }

  // What the world's clock says to deadlines, which count microseconds here.
  void OpenUntil(std::uint64_t number, std::chrono::microseconds deadline) {
    OpenEffect effect = EffectOf(number);
    effect.deadline = LogicalTime{deadline.count()};
    REQUIRE(agenda.Open(effect));
  }

  std::uint64_t random = 0;
  std::chrono::microseconds world_time{0};
  Agenda agenda{{.opening_epoch = kOpening,
                 .lease = seconds(30),
                 .refused = {3, seconds(1), seconds(8)},
                 .random = [this] { return random; },
                 .time_until =
                     [this](LogicalTime time) {
                       const std::chrono::microseconds left(time.value -
                                                            world_time.count());
                       return std::max(left, std::chrono::microseconds(0));
                     }}};
  Agenda::Time now{std::chrono::hours(1)};
};

TEST_CASE("effects are started in the order of their steps", "[executors]") {
  Fixture at;
  for (const std::uint64_t number : {9u, 3u, 7u}) at.Open(number);
  REQUIRE(at.agenda.Startable() == 2);
  REQUIRE(at.Start().effect->event_id == EventId{3});
  REQUIRE(at.Start().effect->event_id == EventId{7});
}

TEST_CASE("no more attempts of a kind run than its concurrency",
          "[executors]") {
  Fixture at;
  for (const std::uint64_t number : {1u, 2u, 3u}) at.Open(number);
  const Lease first = at.Start();
  at.Start();
  REQUIRE_FALSE(at.agenda.Start(at.now).has_value());
  REQUIRE(at.agenda.Startable() == 0);

  REQUIRE(at.agenda.Finish(first, Answer::Ok({}), at.now).fate == Fate::kFinal);
  REQUIRE(at.Start().effect->event_id == EventId{3});
}

TEST_CASE("an answer becomes a receipt under the lease it was made under",
          "[executors]") {
  Fixture at;
  at.Open(1);
  const Lease lease = at.Start();
  REQUIRE(lease.epoch == kFirstEpoch);
  REQUIRE(lease.until == at.now + seconds(10));

  const auto finished =
      at.agenda.Finish(lease, Answer::Ok(7, {{"calls", 1}}), at.now);
  REQUIRE(finished.fate == Fate::kFinal);
  REQUIRE(finished.receipt.intent_hash == IntentOf(1));
  REQUIRE(finished.receipt.status == ReceiptStatus::kOk);
  REQUIRE(finished.receipt.payload == cbor::EncodeInteger(7));
  REQUIRE(finished.receipt.usage == Amounts{{"calls", 1}});
  REQUIRE(finished.receipt.executor == "local");
  REQUIRE(finished.receipt.lease_epoch == kFirstEpoch);
}

TEST_CASE("what failed for the moment is tried again after a wait",
          "[executors]") {
  Fixture at;
  at.random = 1000;  // of a ceiling of 1 s, then of 2 s
  at.Open(1);
  const Lease first = at.Start();
  REQUIRE(
      at.agenda.Finish(first, Answer::Transient("busy", {{"calls", 1}}), at.now)
          .fate == Fate::kAgain);
  REQUIRE_FALSE(at.agenda.Start(at.now).has_value());
  REQUIRE(at.agenda.NextAlarm() == at.now + seconds(1));
  REQUIRE(at.Pass(seconds(1)).empty());

  const Lease second = at.Start();
  REQUIRE(second.attempt == 2);
  REQUIRE(second.epoch > first.epoch);
  const auto finished =
      at.agenda.Finish(second, Answer::Ok({}, {{"calls", 1}}), at.now);
  REQUIRE(finished.fate == Fate::kFinal);
  REQUIRE(finished.receipt.usage == Amounts{{"calls", 2}});
}

TEST_CASE("the last attempt's answer counts, even if it was worth another",
          "[executors]") {
  Fixture at;
  at.Open(1);
  for (int attempt = 1; attempt < 3; ++attempt) {
    const Lease lease = at.Start();
    REQUIRE(at.agenda.Finish(lease, Answer::Transient("busy"), at.now).fate ==
            Fate::kAgain);
    REQUIRE(at.Pass(milliseconds(0)).empty());
  }
  const auto last =
      at.agenda.Finish(at.Start(), Answer::Transient("busy"), at.now);
  REQUIRE(last.fate == Fate::kFinal);
  REQUIRE(last.receipt.status == ReceiptStatus::kError);
  REQUIRE(at.agenda.Stats().retries == 2);
}

TEST_CASE(
    "who is asked for patience has it, but not beyond the overall "
    "time-out",
    "[executors]") {
  Fixture at;
  at.Open(1);
  Answer answer = Answer::Transient("busy");
  answer.retry_after = seconds(20);
  REQUIRE(at.agenda.Finish(at.Start(), answer, at.now).fate == Fate::kAgain);
  REQUIRE(at.agenda.NextAlarm() == at.now + seconds(20));
  at.Pass(seconds(20));

  answer.retry_after = GENERATE(milliseconds(40'000), milliseconds::max());
  REQUIRE(at.agenda.Finish(at.Start(), answer, at.now).fate == Fate::kFinal);
}

TEST_CASE(
    "trial 13: the rule on record for an effect goes before that of its "
    "kind",
    "[executors]") {
  Fixture at;
  at.random = ~0ULL - 16;
  OpenEffect once = EffectOf(1);
  once.retry.attempts = 1;
  REQUIRE(at.agenda.Open(once));
  REQUIRE(
      at.agenda.Finish(at.Start(), Answer::Transient("busy"), at.now).fate ==
      Fate::kFinal);

  // Longer than the kind's 60 s, more often than its 3 times, waits within 2 s.
  OpenEffect patient = EffectOf(2);
  patient.retry = {6, 2000, 2000, 600'000};
  REQUIRE(at.agenda.Open(patient));
  Answer answer = Answer::Transient("busy");
  answer.retry_after = seconds(100);
  for (int attempt = 1; attempt < 6; ++attempt) {
    REQUIRE(at.agenda.Finish(at.Start(), answer, at.now).fate == Fate::kAgain);
    const auto wait = *at.agenda.NextAlarm() - at.now;
    REQUIRE(wait >= seconds(100));
    REQUIRE(wait <= seconds(102));
    at.Pass(seconds(102));
  }
  REQUIRE(at.agenda.Finish(at.Start(), answer, at.now).fate == Fate::kFinal);

  OpenEffect hasty = EffectOf(3);
  hasty.retry.for_ms = 2000;
  REQUIRE(at.agenda.Open(hasty));
  const Lease lease = at.Start();
  REQUIRE(lease.until == at.now + seconds(2));
  answer.retry_after = kVeryLong;
  REQUIRE(at.agenda.Finish(lease, answer, at.now).fate == Fate::kFinal);
}

TEST_CASE(
    "trial 13: of those who were asked for the same patience no two come "
    "back at once",
    "[executors]") {
  Fixture at;
  Rng rng(Seed{13});
  Answer answer = Answer::Transient("busy");
  answer.retry_after = seconds(5);
  for (std::uint64_t n = 1; n <= 40; ++n) {
    at.random = rng.Next();
    at.Open(n);
    REQUIRE(at.agenda.Finish(at.Start(), answer, at.now).fate == Fate::kAgain);
  }
  std::map<std::int64_t, int> in_a_tenth;
  while (const auto alarm = at.agenda.NextAlarm()) {
    const auto wait = std::chrono::duration_cast<milliseconds>(*alarm - at.now);
    REQUIRE(wait >= seconds(5));
    REQUIRE(wait <= seconds(10));
    const auto due = at.agenda.Stats().delayed;
    at.agenda.Due(*alarm);
    in_a_tenth[wait.count() / 100] +=
        static_cast<int>(due - at.agenda.Stats().delayed);
  }
  for (const auto& [tenth, count] : in_a_tenth) REQUIRE(count <= 4);
}

TEST_CASE(
    "trial 13: patience that leaves little time is had, and the rest of it "
    "spread",
    "[executors]") {
  Fixture at;
  at.random = 7'777;
  at.Open(1);
  Answer answer = Answer::Transient("busy");
  answer.retry_after = milliseconds(59'990);
  REQUIRE(at.agenda.Finish(at.Start(), answer, at.now).fate == Fate::kAgain);
  REQUIRE(*at.agenda.NextAlarm() >= at.now + milliseconds(59'990));
  REQUIRE(*at.agenda.NextAlarm() < at.now + seconds(60));
}

TEST_CASE("trial 13: effects that wait for one peer leave room for others",
          "[executors]") {
  Fixture at;
  KindOptions options;
  options.concurrency = 8;
  options.per_peer = 4;
  at.agenda.Serve("ask", options);
  for (std::uint64_t n = 1; n <= 8; ++n) {
    REQUIRE(at.agenda.Open(EffectOf(n, "ask"), "slow"));
  }
  REQUIRE(at.agenda.Open(EffectOf(9, "ask"), "quick"));
  REQUIRE(at.agenda.Open(EffectOf(10, "ask")));
  REQUIRE(at.agenda.Startable() == 6);
  std::vector<Lease> leases;
  while (auto lease = at.agenda.Start(at.now)) leases.push_back(*lease);
  std::vector<std::uint64_t> started;
  for (const Lease& lease : leases) {
    started.push_back(lease.effect->event_id.value);
  }
  REQUIRE(started == std::vector<std::uint64_t>{1, 2, 3, 4, 9, 10});
  REQUIRE(at.agenda.Startable() == 0);

  // One that has returned makes room for the next, one that is closed does once
  // it returns.
  REQUIRE(at.agenda.Close(IntentOf(2, "ask")).has_value());
  REQUIRE(at.agenda.Startable() == 0);
  at.agenda.Finish(leases[1], Answer::Ok({}), at.now);
  REQUIRE(at.agenda.Startable() == 1);
  at.agenda.Finish(leases[0], Answer::Ok({}), at.now);
  REQUIRE(at.Start().effect->event_id == EventId{5});
  REQUIRE(at.Start().effect->event_id == EventId{6});
  REQUIRE_FALSE(at.agenda.Start(at.now).has_value());

  // A process that attaches has its own limit.
  const HolderId holder = at.agenda.Attach("p", {"ask"}, 1);
  REQUIRE(at.agenda.Offer(holder, at.now)->event_id == EventId{7});
}

TEST_CASE("an attempt never has more time than is left in all", "[executors]") {
  Fixture at;
  at.Open(1);
  const auto started = at.now;
  Answer answer = Answer::Transient("busy");
  answer.retry_after = seconds(55);
  REQUIRE(at.agenda.Finish(at.Start(), answer, at.now).fate == Fate::kAgain);
  at.Pass(seconds(55));
  REQUIRE(at.Start().until == started + seconds(60));
}

TEST_CASE("an executor that overruns is answered for, and its answer is late",
          "[executors]") {
  Fixture at;
  at.Open(1);
  const Lease lease = at.Start();
  REQUIRE(at.Pass(milliseconds(10'999)).empty());
  const auto expired = at.Pass(milliseconds(1));
  REQUIRE(expired.size() == 1);
  REQUIRE(expired[0].holder == 0);
  REQUIRE(expired[0].epoch == lease.epoch);
  REQUIRE(expired[0].receipt->status == ReceiptStatus::kTimeout);
  REQUIRE(expired[0].receipt->lease_epoch == lease.epoch);

  // It counts as running until it returns.
  REQUIRE(at.agenda.Stats().running == 1);
  REQUIRE(at.agenda.Finish(lease, Answer::Ok({}), at.now).fate == Fate::kLate);
  REQUIRE(at.agenda.Stats().running == 0);
  REQUIRE(at.agenda.Stats().late == 1);
  REQUIRE(at.agenda.Stats().overruns == 1);
}

TEST_CASE("what is closed is cancelled where it runs, and its answer is late",
          "[executors]") {
  Fixture at;
  at.Open(1);
  const Lease lease = at.Start();
  const auto held = at.agenda.Close(IntentOf(1));
  REQUIRE(held->holder == 0);
  REQUIRE(held->epoch == lease.epoch);
  REQUIRE(at.agenda.Finish(lease, Answer::Ok({}), at.now).fate == Fate::kLate);
  REQUIRE_FALSE(at.agenda.NextAlarm().has_value());
  REQUIRE_FALSE(at.agenda.Close(IntentOf(1)).has_value());
}

TEST_CASE("what is closed while it waits is never started", "[executors]") {
  Fixture at;
  at.Open(1);
  at.Open(2);
  REQUIRE_FALSE(at.agenda.Close(IntentOf(1)).has_value());
  const Lease lease = at.Start();
  REQUIRE(lease.effect->event_id == EventId{2});
  REQUIRE(at.agenda.Finish(lease, Answer::Transient("busy"), at.now).fate ==
          Fate::kAgain);
  REQUIRE_FALSE(at.agenda.Close(IntentOf(2)).has_value());
  REQUIRE(at.Pass(seconds(100)).empty());
  REQUIRE_FALSE(at.agenda.Start(at.now).has_value());
}

TEST_CASE(
    "trial 12: what waits behind a limit is not started once it is too "
    "late",
    "[executors]") {
  Fixture at;
  at.Open(1);
  at.Open(2);
  at.OpenUntil(3, seconds(5));
  at.OpenUntil(4, seconds(9));
  at.Start();
  const Lease second = at.Start();
  at.world_time = seconds(5);
  REQUIRE(at.agenda.Finish(second, Answer::Ok({}), at.now).fate ==
          Fate::kFinal);
  REQUIRE(at.Start().effect->event_id == EventId{4});
  REQUIRE(at.agenda.Stats().overdue == 1);
  REQUIRE_FALSE(at.agenda.Close(IntentOf(3)).has_value());
  REQUIRE(at.agenda.Stats().overdue == 0);
}

TEST_CASE("trial 12: no process is offered, or granted, what is too late",
          "[executors]") {
  Fixture at;
  const HolderId holder = at.agenda.Attach("p", {"do"}, 4);
  at.OpenUntil(1, seconds(5));
  at.OpenUntil(2, seconds(6));
  REQUIRE(at.agenda.Offer(holder, at.now)->event_id == EventId{1});
  at.world_time = seconds(6);
  REQUIRE(
      absl::IsNotFound(at.agenda.Claim(holder, IntentOf(1), at.now).status()));
  REQUIRE(at.agenda.Offer(holder, at.now) == nullptr);
  REQUIRE(at.agenda.Stats().overdue == 2);
  at.Open(3);
  REQUIRE(at.ClaimFor(holder).effect->event_id == EventId{3});
}

TEST_CASE("trial 12: nothing is tried again after its deadline",
          "[executors]") {
  Fixture at;
  at.random = 1000;
  at.OpenUntil(1, seconds(5));
  at.world_time = milliseconds(4'000);
  const auto finished =
      at.agenda.Finish(at.Start(), Answer::Transient("busy"), at.now);
  REQUIRE(finished.fate == Fate::kFinal);

  // Or its wait took longer than it seemed.
  at.OpenUntil(2, seconds(10));
  REQUIRE(
      at.agenda.Finish(at.Start(), Answer::Transient("busy"), at.now).fate ==
      Fate::kAgain);
  at.world_time = seconds(10);
  at.Pass(seconds(1));
  REQUIRE_FALSE(at.agenda.Start(at.now).has_value());
  REQUIRE(at.agenda.Stats().overdue == 1);
}

TEST_CASE("an effect that is made known twice is there once", "[executors]") {
  Fixture at;
  at.Open(1);
  REQUIRE_FALSE(at.agenda.Open(EffectOf(1)));
  at.Start();
  REQUIRE_FALSE(at.agenda.Open(EffectOf(1)));
  REQUIRE(at.agenda.Startable() == 0);
  REQUIRE(at.agenda.Stats().known == 2);
}

TEST_CASE("an effect that nobody serves stays open, in view", "[executors]") {
  Fixture at;
  at.Open(1, "fax.send");
  REQUIRE(at.agenda.Startable() == 0);
  const DispatcherStats stats = at.agenda.Stats();
  REQUIRE(stats.ready == 1);
  const auto fax =
      std::find_if(stats.kinds.begin(), stats.kinds.end(),
                   [](const KindStats& k) { return k.kind == "fax.send"; });
  REQUIRE(fax != stats.kinds.end());
  REQUIRE(fax->open == 1);
  REQUIRE_FALSE(fax->served);

  const HolderId holder = at.agenda.Attach("fax-1", {"fax.send"}, 1);
  REQUIRE(at.agenda.Offer(holder, at.now)->event_id == EventId{1});
}

// --- other processes ---------------------------------------------------------

TEST_CASE("a process is offered no more than it can carry out", "[executors]") {
  Fixture at;
  for (std::uint64_t n = 1; n <= 4; ++n) at.Open(n, "fax");
  const HolderId holder = at.agenda.Attach("p", {"fax", "pager"}, 2);
  REQUIRE(at.agenda.Offer(holder, at.now)->event_id == EventId{1});
  REQUIRE(at.agenda.Offer(holder, at.now)->event_id == EventId{2});
  REQUIRE(at.agenda.Offer(holder, at.now) == nullptr);
  REQUIRE(at.agenda.Claim(holder, IntentOf(1, "fax"), at.now)->epoch ==
          kFirstEpoch);
  REQUIRE(at.agenda.Offer(holder, at.now) == nullptr);
  REQUIRE(at.agenda.Receive(holder, IntentOf(1, "fax"), kFirstEpoch) ==
          Standing::kCurrent);
  REQUIRE(at.agenda.Offer(holder, at.now)->event_id == EventId{3});
}

TEST_CASE("what was not offered to a process cannot be claimed by it",
          "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const HolderId one = at.agenda.Attach("one", {"fax"}, 1);
  const HolderId two = at.agenda.Attach("two", {"fax"}, 1);
  REQUIRE(at.agenda.Offer(one, at.now) != nullptr);
  REQUIRE(at.agenda.Offer(two, at.now) == nullptr);
  const Digest intent = IntentOf(1, "fax");
  REQUIRE(absl::IsNotFound(at.agenda.Claim(two, intent, at.now).status()));
  REQUIRE(absl::IsNotFound(
      at.agenda.Claim(two, IntentOf(2, "fax"), at.now).status()));
  REQUIRE_OK(at.agenda.Claim(one, intent, at.now));
  REQUIRE(absl::IsNotFound(at.agenda.Claim(one, intent, at.now).status()));
}

TEST_CASE("a lease lasts as long as it is renewed", "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const HolderId holder = at.agenda.Attach("p", {"fax"}, 1);
  const Lease lease = at.ClaimFor(holder);
  for (int i = 0; i < 5; ++i) {
    REQUIRE(at.Pass(seconds(29)).empty());
    REQUIRE_OK(
        at.agenda.Renew(holder, IntentOf(1, "fax"), lease.epoch, at.now));
  }
  REQUIRE(at.Pass(seconds(30)).size() == 1);
  REQUIRE(absl::IsFailedPrecondition(
      at.agenda.Renew(holder, IntentOf(1, "fax"), lease.epoch, at.now)));
}

TEST_CASE("an expired lease goes to another, whose receipt alone is current",
          "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const Digest intent = IntentOf(1, "fax");
  const HolderId slow = at.agenda.Attach("slow", {"fax"}, 1);
  const HolderId other = at.agenda.Attach("other", {"fax"}, 1);
  const Lease first = at.ClaimFor(slow);
  const auto expired = at.Pass(seconds(30));
  REQUIRE(expired.size() == 1);
  REQUIRE(expired[0].holder == slow);
  REQUIRE(expired[0].epoch == first.epoch);
  REQUIRE_FALSE(expired[0].receipt.has_value());

  // Until it is heard of, it gets nothing.
  REQUIRE(at.agenda.Offer(slow, at.now) == nullptr);
  // Nobody has claimed it yet, and still the old lease is good for nothing.
  REQUIRE(at.agenda.Receive(slow, intent, first.epoch) == Standing::kStale);
  const Lease second = at.ClaimFor(other);
  REQUIRE(second.epoch > first.epoch);
  REQUIRE(second.attempt == 2);
  REQUIRE(at.agenda.Receive(slow, intent, first.epoch) == Standing::kStale);
  REQUIRE(at.agenda.Receive(slow, intent, second.epoch) == Standing::kStale);
  REQUIRE(at.agenda.Receive(other, intent, second.epoch) == Standing::kCurrent);
  REQUIRE(at.agenda.Receive(slow, intent, first.epoch) == Standing::kStale);
  REQUIRE(at.agenda.Stats().stale == 4);

  at.agenda.Heard(slow);
  at.Open(2, "fax");
  REQUIRE(at.agenda.Offer(slow, at.now) != nullptr);
}

TEST_CASE("an offer that is not claimed expires", "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const HolderId deaf = at.agenda.Attach("deaf", {"fax"}, 1);
  const HolderId other = at.agenda.Attach("other", {"fax"}, 1);
  REQUIRE(at.agenda.Offer(deaf, at.now) != nullptr);
  const auto expired = at.Pass(seconds(30));
  REQUIRE(expired.size() == 1);
  REQUIRE(expired[0].epoch == 0);
  REQUIRE(at.agenda.Offer(deaf, at.now) == nullptr);
  at.ClaimFor(other);
  REQUIRE(absl::IsNotFound(
      at.agenda.Claim(deaf, IntentOf(1, "fax"), at.now).status()));
}

TEST_CASE("what a process held is offered to others when it is gone",
          "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  at.Open(2, "fax");
  const HolderId one = at.agenda.Attach("one", {"fax"}, 2);
  const Lease lease = at.ClaimFor(one);
  REQUIRE(at.agenda.Offer(one, at.now) != nullptr);
  at.agenda.Detach(one);
  REQUIRE_FALSE(at.agenda.NextAlarm().has_value());

  const HolderId two = at.agenda.Attach("two", {"fax"}, 2);
  REQUIRE(at.ClaimFor(two).epoch > lease.epoch);
  REQUIRE(at.ClaimFor(two).effect->event_id == EventId{2});
  REQUIRE(at.agenda.Offer(one, at.now) == nullptr);
}

TEST_CASE(
    "the same receipt twice is the world's to judge, before and after "
    "its verdict",
    "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const HolderId holder = at.agenda.Attach("p", {"fax"}, 1);
  const Lease lease = at.ClaimFor(holder);
  const Digest intent = IntentOf(1, "fax");
  REQUIRE(at.agenda.Receive(holder, intent, lease.epoch) == Standing::kCurrent);
  REQUIRE(at.agenda.Receive(holder, intent, lease.epoch) == Standing::kCurrent);
  at.agenda.Settled(intent);
  REQUIRE(at.agenda.Receive(holder, intent, lease.epoch) == Standing::kUnknown);
  REQUIRE(at.agenda.Stats().closed == 1);
}

TEST_CASE("a process's receipt that the world refuses leads to another lease",
          "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const HolderId holder = at.agenda.Attach("p", {"fax"}, 1);
  const Digest intent = IntentOf(1, "fax");
  for (int refusal = 1; refusal <= 3; ++refusal) {
    const Lease lease = at.ClaimFor(holder);
    REQUIRE(at.agenda.Receive(holder, intent, lease.epoch) ==
            Standing::kCurrent);
    REQUIRE_FALSE(
        at.agenda.Refused(intent, lease.epoch, "unsigned", false, at.now));
    at.Pass(seconds(8));
  }
  // Not for ever: it would do the same thing over and over.
  REQUIRE(at.agenda.Offer(holder, at.now) == nullptr);
  REQUIRE(at.agenda.Stats().stuck == 1);
  REQUIRE_FALSE(at.agenda.Close(intent).has_value());
  REQUIRE(at.agenda.Stats().stuck == 0);
}

TEST_CASE(
    "trial 04b: a process's receipt that the world would refuse again "
    "becomes an error in its name, once",
    "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const HolderId holder = at.agenda.Attach("p", {"fax"}, 1);
  const Digest intent = IntentOf(1, "fax");
  const Lease lease = at.ClaimFor(holder);
  REQUIRE(at.agenda.Receive(holder, intent, lease.epoch) == Standing::kCurrent);
  at.agenda.Detach(holder);  // it may be gone by then
  const auto instead =
      at.agenda.Refused(intent, lease.epoch, "too large", true, at.now);
  REQUIRE(instead.has_value());
  CHECK(instead->status == ReceiptStatus::kError);
  CHECK(instead->executor == "p");
  CHECK(instead->lease_epoch == lease.epoch);
  CHECK(cbor::Diagnose(instead->payload) == R"({"error": "too large"})");
  // Where that may not be said in its name, it is not done over and over.
  REQUIRE_FALSE(
      at.agenda.Refused(intent, lease.epoch, "unsigned", false, at.now));
  CHECK(at.agenda.Stats().stuck == 1);
}

TEST_CASE("trial 11: what another process had accepted may have been done",
          "[executors]") {
  Fixture at;
  at.Open(1, "fax");
  const HolderId first = at.agenda.Attach("p", {"fax"}, 1);
  const Digest intent = IntentOf(1, "fax");
  bool accepted = true;
  SECTION("it goes away") {
    REQUIRE(at.ClaimFor(first).attempt == 1);
    at.agenda.Detach(first);
  }
  SECTION("it lets its lease expire") {
    REQUIRE(at.ClaimFor(first).attempt == 1);
    REQUIRE(at.Pass(std::chrono::hours(1)).size() == 1);
  }
  SECTION("it goes away with an offer, which it had not accepted") {
    accepted = false;
    REQUIRE(at.agenda.Offer(first, at.now) != nullptr);
    at.agenda.Detach(first);
  }
  // Nobody has answered for it: the effect is open, for the next one.
  CHECK(at.agenda.Stats().ready == 1);
  const HolderId second = at.agenda.Attach("q", {"fax"}, 1);
  const Lease lease = at.ClaimFor(second);
  CHECK(lease.attempt == (accepted ? 2 : 1));
  // What is answered in its place says what is known of all attempts.
  const auto instead = at.agenda.Malformed(second, intent, "no receipt");
  REQUIRE(instead.has_value());
  CHECK(instead->status ==
        (accepted ? ReceiptStatus::kTimeout : ReceiptStatus::kError));
}

TEST_CASE("our own answer that the world refuses becomes an error, once",
          "[executors]") {
  Fixture at;
  at.Open(1);
  const Lease lease = at.Start();
  REQUIRE(at.agenda.Finish(lease, Answer::Ok(1), at.now).fate == Fate::kFinal);
  const auto instead =
      at.agenda.Refused(IntentOf(1), lease.epoch, "too large", true, at.now);
  REQUIRE(instead->status == ReceiptStatus::kError);
  REQUIRE(cbor::Diagnose(instead->payload) == R"({"error": "too large"})");
  REQUIRE_FALSE(
      at.agenda.Refused(IntentOf(1), lease.epoch, "still", true, at.now));
  REQUIRE(at.agenda.Stats().stuck == 1);
}

TEST_CASE("an attempt that is abandoned leaves the effect as it was",
          "[executors]") {
  Fixture at;
  at.Open(1);
  at.agenda.Abandon(at.Start(), Answer::Error("stopped"), at.now);
  REQUIRE(at.agenda.Stats().running == 0);
  REQUIRE(at.Start().effect->event_id == EventId{1});
}

// Whatever happens in whatever order: no lease is current twice, no effect is
// lost, and no epoch is given out twice.
TEST_CASE("effects are neither lost nor held twice", "[executors]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 41));
  CAPTURE(seed);
  Rng rng(Seed{seed});
  Fixture at;
  constexpr std::uint64_t kEffects = 12;
  std::vector<HolderId> holders;
  std::vector<Lease> local;                        // running
  std::vector<std::pair<HolderId, Lease>> remote;  // claimed at some time
  std::set<std::uint64_t> epochs;
  std::map<Digest, int> answered;
  for (std::uint64_t n = 1; n <= kEffects; ++n) {
    at.Open(n, rng.Chance(1, 2) ? "do" : "fax");
  }
  const auto any = [&rng](auto& items) { return rng.Below(items.size()); };

  for (int i = 0; i < 2000 && answered.size() < kEffects; ++i) {
    switch (rng.Below(8)) {
      case 0:
        if (auto lease = at.agenda.Start(at.now)) {
          REQUIRE(epochs.insert(lease->epoch).second);
          local.push_back(*lease);
        }
        break;
      case 1: {
        if (local.empty()) break;
        const std::size_t i_local = any(local);
        const Lease lease = local[i_local];
        local.erase(local.begin() + static_cast<std::ptrdiff_t>(i_local));
        Answer answer =
            rng.Chance(1, 2) ? Answer::Ok({}) : Answer::Transient("busy");
        const auto finished = at.agenda.Finish(lease, answer, at.now);
        if (finished.fate == Fate::kFinal) {
          ++answered[lease.effect->intent_hash];
        }
        break;
      }
      case 2:
        if (holders.size() < 3) {
          holders.push_back(at.agenda.Attach("p", {"fax", "do"}, 2));
        }
        break;
      case 3: {
        if (holders.empty()) break;
        const HolderId holder = holders[any(holders)];
        at.agenda.Heard(holder);
        const auto effect = at.agenda.Offer(holder, at.now);
        if (!effect || rng.Chance(1, 4)) break;
        const auto lease = at.agenda.Claim(holder, effect->intent_hash, at.now);
        REQUIRE_OK(lease);
        REQUIRE(epochs.insert(lease->epoch).second);
        remote.emplace_back(holder, *lease);
        break;
      }
      case 4: {
        if (remote.empty()) break;
        const auto [holder, lease] = remote[any(remote)];
        const Digest intent = lease.effect->intent_hash;
        if (answered.contains(intent)) break;  // the same receipt again
        if (at.agenda.Receive(holder, intent, lease.epoch) ==
            Standing::kCurrent) {
          ++answered[intent];
        }
        break;
      }
      case 5: {
        if (remote.empty()) break;
        const auto& [holder, lease] = remote[any(remote)];
        at.agenda.Renew(holder, lease.effect->intent_hash, lease.epoch, at.now)
            .IgnoreError();
        break;
      }
      case 6:
        if (!holders.empty() && rng.Chance(1, 8)) {
          const std::size_t gone = any(holders);
          at.agenda.Detach(holders[gone]);
          holders.erase(holders.begin() + static_cast<std::ptrdiff_t>(gone));
        }
        break;
      default:
        for (const auto& expired : at.Pass(seconds(rng.Below(7)))) {
          if (expired.receipt) ++answered[expired.intent];
        }
    }
    const DispatcherStats stats = at.agenda.Stats();
    REQUIRE(stats.ready + stats.delayed + stats.offered + stats.held +
                stats.answered ==
            kEffects);
    REQUIRE(stats.running <= 2);
    for (const auto& [intent, times] : answered) REQUIRE(times == 1);
  }
  // Time and a willing process finish what is left.
  const HolderId last = at.agenda.Attach("last", {"fax", "do"}, 100);
  for (int i = 0; i < 200 && answered.size() < kEffects; ++i) {
    for (const auto& expired : at.Pass(seconds(10))) {
      if (expired.receipt) ++answered[expired.intent];
    }
    at.agenda.Heard(last);
    while (at.agenda.Offer(last, at.now)) {
    }
    for (std::uint64_t n = 1; n <= kEffects; ++n) {
      for (const char* kind : {"do", "fax"}) {
        const auto lease = at.agenda.Claim(last, IntentOf(n, kind), at.now);
        if (!lease.ok()) continue;
        REQUIRE(at.agenda.Receive(last, IntentOf(n, kind), lease->epoch) ==
                Standing::kCurrent);
        ++answered[IntentOf(n, kind)];
      }
    }
  }
  REQUIRE(answered.size() == kEffects);
}

}  // namespace
}  // namespace reenact
