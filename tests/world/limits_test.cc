// Every field of everything that a step, an input, a receipt or a command may
// bring, at its limit and over it. Whatever it is: a door refuses it, or the
// step fails, or it is history that can be opened again, verified, put into a
// snapshot and rolled back to.

#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/journal/directory/directory.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/replay/replay.h"
#include "reenact/world/world.h"
#include "reenact/world/world_internal.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using cbor::Value;

constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kPayloadMax = 4096;
constexpr std::uint64_t kKeyMax = 64;
const std::string kNoText = "\xff\xfe";

// An item of so many levels.
Bytes Deep(std::size_t levels) { return Bytes(levels - 1, '\x81') + '\x80'; }

// An item of so many bytes, from 24 to 65,000.
Bytes Long(std::size_t bytes) {
  const std::size_t head = bytes <= 24 + 1 ? 1 : bytes <= 257 ? 2 : 3;
  return cbor::EncodeText(std::string(bytes - head, 'x'));
}

std::optional<FailureCode> None() { return std::nullopt; }
constexpr FailureCode kInvalid = FailureCode::kInvalidOutput;

struct Trial {
  std::string name;
  std::function<void(StepContext&)> act;
  std::optional<FailureCode> failure;
};

Event ToSink(std::string key = "k", Bytes payload = cbor::EncodeInteger(1),
             std::string schema = "") {
  return {"sink", std::move(key), std::move(schema), std::move(payload)};
}

EffectIntent Mail() {
  EffectIntent intent;
  intent.kind = "mail";
  intent.params = Value::Map().Encode();
  return intent;
}

// One that differs from Mail() in what `change` changes.
std::function<void(StepContext&)> Intending(
    const std::function<void(EffectIntent&)>& change) {
  return [change](StepContext& step) {
    EffectIntent intent = Mail();
    change(intent);
    step.Intend(std::move(intent));
  };
}

std::function<void(StepContext&)> Reserving(const Amounts& reserve,
                                            bool granted = true) {
  return Intending([reserve, granted](EffectIntent& intent) {
    if (granted) intent.capability = "g";
    intent.reserve = reserve;
  });
}

std::function<void(StepContext&)> Updating(
    const std::function<void(Update&)>& change) {
  return [change](StepContext& step) {
    Update update;
    change(update);
    step.Apply("sink", "updated", std::move(update));
  };
}

Amounts Dimensions(std::size_t count) {
  Amounts amounts;
  for (std::size_t i = 0; i < count; ++i) {
    amounts.Set("d" + std::to_string(i), 1);
  }
  return amounts;
}

WorldOptions Options(const std::string& path, const std::vector<Trial>& trials,
                     const std::string& rule = "") {
  WorldOptions options;
  options.path = path;
  options.snapshots_kept = 0;
  options.sync.kind = SyncPolicy::Kind::kNone;
  options.config.limits.payload_bytes_max = kPayloadMax;
  options.config.limits.key_bytes_max = kKeyMax;
  options.config.limits.output_bytes_max = 1 << 20;
  // Does the trial whose number it is told.
  auto trial = MakeReducer("trial", [&trials](StepContext& step) {
    if (step.event().schema == kAnswerSchema) {
      if (!EffectAnswer::Parse(step.payload()).ok()) {
        return absl::DataLossError("no answer");
      }
      return absl::OkStatus();
    }
    const auto number = cbor::DecodeInteger(step.payload());
    if (number.ok() && *number >= 0)
      trials[static_cast<std::size_t>(*number)].act(step);
    return absl::OkStatus();
  });
  // Keeps what it is told.
  class Sink final : public Reducer {
   public:
    explicit Sink(std::string rule) : rule_(std::move(rule)) {}
    std::string_view name() const override { return "sink"; }
    absl::Status Step(StepContext& step) const override {
      step.SetState(step.payload());
      return absl::OkStatus();
    }
    std::vector<Invariant> invariants() const override {
      if (rule_.empty()) return {};
      return {{rule_,
               [](std::string_view key, std::optional<BytesView>) {
                 return key != "forbidden";
               },
               OnBreak::kFail}};
    }

   private:
    const std::string rule_;
  };
  options.modules.push_back(
      MakeModule("trials", "1", {trial, std::make_shared<Sink>(rule)}).value());
  return options;
}

Input To(std::string reducer, std::string key, Bytes payload) {
  Input input;
  input.event = {std::move(reducer), std::move(key), "", std::move(payload)};
  return input;
}

std::unique_ptr<World> MustOpen(const WorldOptions& options) {
  auto world = World::Open(options);
  REQUIRE_OK(world);
  return *std::move(world);
}

Submission::Outcome MustTake(World& world, Input input) {
  const auto submission = world.Submit(std::move(input));
  REQUIRE_OK(submission);
  REQUIRE_OK(world.Run());
  const auto outcome = submission->WaitDurable();
  REQUIRE_OK(outcome);
  return *outcome;
}

void MustGoOn(World& world) {
  CHECK_FALSE(
      MustTake(world, To("sink", "plain", cbor::EncodeInteger(7))).failure);
}

void MustVerify(const WorldOptions& options, bool from_snapshot) {
  VerifyOptions verify;
  verify.path = options.path;
  verify.modules = options.modules;
  verify.threads = 1;
  verify.from_snapshot = from_snapshot;
  const auto report = Verify(verify);
  REQUIRE_OK(report);
  INFO(report->problem);
  INFO((report->divergence
            ? report->divergence->field + ": " + report->divergence->recorded +
                  " -> " + report->divergence->recomputed
            : std::string()));
  CHECK(report->verdict == Verdict::kIdentical);
}

// Reopens, verifies, takes a snapshot, reads it, rolls back to it, goes on.
void MustLive(const WorldOptions& options) {
  auto world = MustOpen(options);
  MustGoOn(*world);
  const auto submission = world->RequestSnapshot();
  REQUIRE_OK(submission);
  REQUIRE_OK(world->Run());
  const EventId snapshot = submission->WaitDurable().value().event_id;
  MustGoOn(*world);
  REQUIRE_OK(
      ReadSnapshotFile(WorldPaths(options.path).Snapshot(snapshot)).status());
  const auto back = world->RollBack(snapshot, "ann", "");
  REQUIRE_OK(back);
  REQUIRE_OK(world->Run());
  const auto outcome = back->WaitDurable();
  REQUIRE_OK(outcome);
  CHECK_FALSE(outcome->failure);
  MustGoOn(*world);
  REQUIRE_OK(world->Close());
  MustVerify(options, false);
  MustVerify(options, true);
  REQUIRE_OK(MustOpen(options)->Close());
}

// Those of `numbers` in one world.
void TryOf(const std::vector<Trial>& trials,
           const std::vector<std::size_t>& numbers) {
  TemporaryDirectory directory;
  const WorldOptions options = Options(directory / "w", trials);
  auto world = MustOpen(options);
  GrantChange grant;
  grant.grant.name = "g";
  grant.grant.limit = {{"calls", 10}};
  grant.grant.limit.Set(std::string(64, 'd'), 10);
  REQUIRE_OK(world->ChangeGrant(grant));
  for (const std::size_t number : numbers) {
    INFO(trials[number].name);
    const auto outcome = MustTake(
        *world, To("trial", "t",
                   cbor::EncodeInteger(static_cast<std::int64_t>(number))));
    CHECK(outcome.failure == trials[number].failure);
  }
  REQUIRE_OK(world->Close());
  MustLive(options);
}

// Each in a world of its own, so that one does not hide another; but what fails
// leaves no more than that, so all of it together.
void Try(const std::vector<Trial>& trials) {
  std::vector<std::size_t> failing;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    INFO(trials[i].name);
    if (trials[i].failure) {
      failing.push_back(i);
    } else {
      TryOf(trials, {i});
    }
  }
  if (!failing.empty()) TryOf(trials, failing);
}

TEST_CASE(
    "trial 03: states and events at every limit and over it leave a "
    "world that opens",
    "[world][limits]") {
  const auto set = [](Bytes state) {
    return [state](StepContext& step) { step.SetState(state); };
  };
  const auto raise = [](Event event) {
    return [event](StepContext& step) { step.Raise(event); };
  };
  Try({
      {"a state of 64 levels", set(Deep(64)), None()},
      {"a state of 65 levels", set(Deep(65)), kInvalid},
      {"another cell's state of 64 levels",
       [](StepContext& step) { step.Write("sink", "deep", Deep(64)); }, None()},
      {"a state that is no item", set("\xff"), kInvalid},
      {"a key at its limit",
       [](StepContext& step) {
         step.Write("sink", std::string(kKeyMax, 'k'), Deep(1));
       },
       None()},
      {"a key over it",
       [](StepContext& step) {
         step.Write("sink", std::string(kKeyMax + 1, 'k'), Deep(1));
       },
       kInvalid},
      {"a key that is no text",
       [](StepContext& step) { step.Delete("sink", kNoText); }, kInvalid},
      {"a payload of 64 levels", raise(ToSink("k", Deep(64))), None()},
      {"a payload of 65 levels", raise(ToSink("k", Deep(65))), kInvalid},
      {"a payload at its limit", raise(ToSink("k", Long(kPayloadMax))), None()},
      {"a payload over it", raise(ToSink("k", Long(kPayloadMax + 1))),
       kInvalid},
      {"an event's key over its limit",
       raise(ToSink(std::string(kKeyMax + 1, 'k'))), kInvalid},
      {"a schema that is no text", raise(ToSink("k", Deep(1), kNoText)),
       kInvalid},
      {"a schema of 10,000 bytes",
       raise(ToSink("k", Deep(1), std::string(10'000, 's'))), None()},
      {"the schema of answers",
       raise(ToSink("k", Deep(1), std::string(kAnswerSchema))), kInvalid},
  });
}

TEST_CASE(
    "trial 03: updates at every limit and over it leave a world that "
    "opens",
    "[world][limits]") {
  const auto join = [](std::string field, std::size_t levels, Update::Op op) {
    return Updating([=](Update& update) {
      update.op = op;
      update.field = field;
      update.item = Deep(levels);
    });
  };
  Try({
      {"an item of 63 levels appended", join("", 63, Update::Op::kAppend),
       None()},
      {"an item of 64 levels appended", join("", 64, Update::Op::kAppend),
       kInvalid},
      {"an item of 62 levels joined into a field",
       join("f", 62, Update::Op::kUnion), None()},
      {"an item of 63 levels joined into a field",
       join("f", 63, Update::Op::kUnion), kInvalid},
      {"a field that is no text", join(kNoText, 1, Update::Op::kUnion),
       kInvalid},
      {"a field of 10,000 bytes",
       join(std::string(10'000, 'f'), 1, Update::Op::kUnion), None()},
      {"no item",
       Updating([](Update& update) { update.op = Update::Op::kUnion; }),
       kInvalid},
      {"an operation that there is not",
       Updating([](Update& update) { update.op = static_cast<Update::Op>(9); }),
       FailureCode::kTypeMismatch},
      {"the lowest number",
       Updating([](Update& update) { update.number = kLowest; }), None()},
      {"the highest number",
       Updating([](Update& update) { update.number = kHighest; }), None()},
      {"bounds that leave nothing", Updating([](Update& update) {
         update.low = 1;
         update.high = -1;
       }),
       FailureCode::kOutOfBounds},
      {"bounds at the ends",
       Updating([](Update& update) { update.low = kLowest + 1; }), None()},
  });
}

TEST_CASE(
    "trial 03: intents at every limit and over it leave a world that "
    "opens",
    "[world][limits]") {
  Amounts empty_name{{"calls", 1}};
  empty_name.Set("", 1);
  Try({
      {"a dimension of no bytes", Reserving(empty_name), kInvalid},
      {"a dimension of no bytes, without a grant", Reserving(empty_name, false),
       kInvalid},
      {"a dimension of 64 bytes", Reserving({{std::string(64, 'd'), 1}}),
       None()},
      {"a dimension of 65 bytes", Reserving({{std::string(65, 'd'), 1}}),
       kInvalid},
      {"a dimension that is no text", Reserving({{kNoText, 1}}), kInvalid},
      {"64 dimensions", Reserving(Dimensions(64)), None()},
      {"65 dimensions", Reserving(Dimensions(65)), kInvalid},
      {"all that 64 bits hold",
       Reserving({{"calls", std::numeric_limits<std::uint64_t>::max()}}),
       None()},
      {"parameters of 64 levels",
       Intending([](EffectIntent& intent) { intent.params = Deep(64); }),
       None()},
      {"parameters of 64 levels, judged", Intending([](EffectIntent& intent) {
         intent.params = Deep(64);
         intent.capability = "g";
       }),
       None()},
      {"parameters of 65 levels",
       Intending([](EffectIntent& intent) { intent.params = Deep(65); }),
       kInvalid},
      {"no parameters",
       Intending([](EffectIntent& intent) { intent.params.clear(); }),
       kInvalid},
      {"a kind of no bytes",
       Intending([](EffectIntent& intent) { intent.kind.clear(); }), None()},
      {"a kind of 10,000 bytes",
       Intending([](EffectIntent& intent) { intent.kind.assign(10'000, 'k'); }),
       None()},
      {"a kind that is no text",
       Intending([](EffectIntent& intent) { intent.kind = kNoText; }),
       kInvalid},
      {"a capability that is no text",
       Intending([](EffectIntent& intent) { intent.capability = kNoText; }),
       kInvalid},
      {"a capability of 10,000 bytes", Intending([](EffectIntent& intent) {
         intent.capability.assign(10'000, 'g');
       }),
       None()},
      {"a scope that is no text",
       Intending([](EffectIntent& intent) { intent.cache_scope = kNoText; }),
       kInvalid},
      {"business data that is no text",
       Intending([](EffectIntent& intent) { intent.idempotency = kNoText; }),
       None()},
      {"the earliest deadline", Intending([](EffectIntent& intent) {
         intent.deadline = LogicalTime{kLowest};
       }),
       None()},
      {"the latest deadline", Intending([](EffectIntent& intent) {
         intent.deadline = LogicalTime{kHighest};
       }),
       None()},
  });
}

// --- time --------------------------------------------------------------------

std::function<void(StepContext&)> WakingAt(std::int64_t due) {
  return [due](StepContext& step) { step.RaiseAt(LogicalTime{due}, ToSink()); };
}

std::function<void(StepContext&)> Timing(std::string_view what,
                                         std::int64_t time) {
  return Intending([what = std::string(what), time](EffectIntent& intent) {
    intent.kind = "timer";
    intent.params = Value::Map({{what, time}}).Encode();
  });
}

TEST_CASE(
    "trial 03: timers at every limit of rounds and over it leave a world "
    "that opens and goes on",
    "[world][limits]") {
  const std::int64_t latest = kDueMaxOfRounds.value;
  Try({
      {"raised for the lowest time", WakingAt(kLowest), None()},
      {"raised for before the start", WakingAt(-1), None()},
      {"raised for the latest time there is", WakingAt(latest), None()},
      {"raised for one later", WakingAt(latest + 1), kInvalid},
      {"raised for the highest number", WakingAt(kHighest), kInvalid},
      {"a timer at the lowest time", Timing("at", kLowest), None()},
      {"a timer at the latest time there is", Timing("at", latest), None()},
      // Those are denied.
      {"a timer at one later", Timing("at", latest + 1), None()},
      {"a timer at the highest number", Timing("at", kHighest), None()},
      {"a timer after the longest while", Timing("after", kHighest), None()},
  });
}

TEST_CASE(
    "trial 03: timers at every limit of other clocks leave a world that "
    "opens",
    "[world][limits]") {
  std::vector<Trial> trials = {
      {"the highest", WakingAt(kHighest), None()},
      {"the lowest", WakingAt(kLowest), None()},
      {"a timer at the highest", Timing("at", kHighest), None()},
  };
  for (std::size_t i = 0; i < trials.size(); ++i) {
    for (const std::int64_t now : {kLowest, std::int64_t{0}, kHighest}) {
      INFO(trials[i].name << ", at " << now);
      TemporaryDirectory directory;
      WorldOptions options = Options(directory / "w", trials);
      options.config.clock = ClockKind::kInput;
      auto world = MustOpen(options);
      Input input =
          To("trial", "t", cbor::EncodeInteger(static_cast<std::int64_t>(i)));
      input.time = LogicalTime{now};
      CHECK_FALSE(MustTake(*world, std::move(input)).failure);
      REQUIRE_OK(world->Close());
      MustLive(options);
    }
  }
}

TEST_CASE(
    "trial 03: in a world of format 2 a timer beyond the last round never "
    "comes, and the world opens",
    "[world][limits]") {
  const std::vector<Trial> trials = {
      {"", WakingAt(kHighest), None()},
      {"", Timing("at", kHighest), None()},
      {"", WakingAt(static_cast<std::int64_t>(kRoundMax) + 1), None()},
      {"", Reserving({{std::string(65, 'd'), 1}}), None()},
      {"", Reserving(Dimensions(65)), None()},
      {"", Reserving({{"", 1}}, false), None()},
  };
  for (std::size_t i = 0; i < trials.size(); ++i) {
    CAPTURE(i);
    TemporaryDirectory directory;
    WorldOptions options = Options(directory / "w", trials);
    options.config.format_version = 2;
    auto world = MustOpen(options);
    CHECK_FALSE(
        MustTake(*world, To("trial", "t",
                            cbor::EncodeInteger(static_cast<std::int64_t>(i))))
            .failure);
    REQUIRE_OK(world->Close());
    MustLive(options);
  }
}

TEST_CASE(
    "trial 03: a world that has come to its last round says so, and opens",
    "[world][limits]") {
  const std::vector<Trial> trials = {
      {"", WakingAt(static_cast<std::int64_t>(kRoundMax)), None()}};
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w", trials);
  options.config.format_version = 2;  // a step of format 3 may not ask for it
  auto world = MustOpen(options);
  MustTake(*world, To("trial", "t", cbor::EncodeInteger(0)));
  const EventId head = world->head();
  REQUIRE_OK(world->Close());
  world = MustOpen(options);
  REQUIRE_OK(world->Submit(To("sink", "plain", cbor::EncodeInteger(7))));
  const absl::Status end = world->Run();
  CHECK(absl::IsOutOfRange(end));
  CHECK_THAT(std::string(end.message()), Catch::Contains("last round"));
  world->Close().IgnoreError();
  world = MustOpen(options);
  CHECK(world->head() == head);
  REQUIRE_OK(world->Close());
  MustVerify(options, false);
}

// --- names and inputs --------------------------------------------------------

TEST_CASE(
    "trial 03: a rule whose name is no text fails a step, and the world "
    "opens",
    "[world][limits]") {
  TemporaryDirectory directory;
  const std::vector<Trial> none;
  const WorldOptions options =
      Options(directory / "w", none, "caf\xe9, caf\xc3\xa9");
  auto world = MustOpen(options);
  CHECK(MustTake(*world, To("sink", "forbidden", cbor::EncodeInteger(1)))
            .failure == FailureCode::kInvariant);
  REQUIRE_OK(world->Close());
  MustLive(options);
}

TEST_CASE(
    "trial 03: inputs at every limit and over it leave a world that opens",
    "[world][limits]") {
  struct Case {
    std::string name;
    std::function<void(Input&)> change;
    bool fits;
  };
  const std::vector<Case> cases = {
      {"a key at its limit",
       [](Input& in) { in.event.key.assign(kKeyMax, 'k'); }, true},
      {"a key over it",
       [](Input& in) { in.event.key.assign(kKeyMax + 1, 'k'); }, false},
      {"a key of no bytes", [](Input& in) { in.event.key.clear(); }, true},
      {"a key that is no text", [](Input& in) { in.event.key = kNoText; },
       false},
      {"a payload at its limit",
       [](Input& in) { in.event.payload = Long(kPayloadMax); }, true},
      {"a payload over it",
       [](Input& in) { in.event.payload = Long(kPayloadMax + 1); }, false},
      {"a payload of 64 levels", [](Input& in) { in.event.payload = Deep(64); },
       true},
      {"a payload of 65 levels", [](Input& in) { in.event.payload = Deep(65); },
       false},
      {"no payload", [](Input& in) { in.event.payload.clear(); }, false},
      {"a schema that is no text", [](Input& in) { in.event.schema = kNoText; },
       false},
      {"the schema of answers",
       [](Input& in) { in.event.schema = kAnswerSchema; }, false},
      {"a submission id of 64 bytes, no text",
       [](Input& in) { in.submission_id.assign(64, '\xff'); }, true},
      {"a submission id of 65 bytes",
       [](Input& in) { in.submission_id.assign(65, 'i'); }, false},
      {"the last priority", [](Input& in) { in.priority = kPriorities - 1; },
       true},
      {"a priority after it", [](Input& in) { in.priority = kPriorities; },
       false},
      {"the lowest time", [](Input& in) { in.time = LogicalTime{kLowest}; },
       true},
      {"the highest time", [](Input& in) { in.time = LogicalTime{kHighest}; },
       true},
      {"the highest position",
       [](Input& in) {
         in.position = std::numeric_limits<std::uint64_t>::max();
       },
       true},
  };
  const std::vector<Trial> none;
  for (const Case& each : cases) {
    INFO(each.name);
    TemporaryDirectory directory;
    const WorldOptions options = Options(directory / "w", none);
    auto world = MustOpen(options);
    Input input = To("sink", "k", cbor::EncodeInteger(1));
    each.change(input);
    const auto submission = world->Submit(std::move(input));
    CHECK(submission.ok() == each.fits);
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Close());
    MustLive(options);
  }
}

TEST_CASE(
    "trial 03: commands at every limit and over it leave a world that "
    "opens",
    "[world][limits]") {
  const std::vector<Trial> none;
  TemporaryDirectory directory;
  const WorldOptions options = Options(directory / "w", none);
  auto world = MustOpen(options);
  const auto grant = [&world](const std::function<void(Grant&)>& change) {
    GrantChange made;
    made.grant.name = "g";
    made.grant.limit = {{"calls", 1}};
    change(made.grant);
    return world->ChangeGrant(made).ok();
  };
  CHECK_FALSE(grant([](Grant& g) { g.name = kNoText; }));
  CHECK_FALSE(grant([](Grant& g) { g.name = std::string(65, 'n'); }));
  CHECK(grant([](Grant& g) { g.name = std::string(64, 'n'); }));
  CHECK_FALSE(grant([](Grant& g) { g.limit = {{"", 1}}; }));
  CHECK_FALSE(grant([](Grant& g) { g.limit = {{std::string(65, 'd'), 1}}; }));
  CHECK_FALSE(grant([](Grant& g) { g.limit = Dimensions(65); }));
  CHECK(grant([](Grant& g) { g.limit = Dimensions(64); }));
  CHECK_FALSE(grant([](Grant& g) { g.kinds = {kNoText}; }));
  CHECK(grant([](Grant& g) { g.expires = LogicalTime{kHighest}; }));
  CHECK_FALSE(world->SetPolicy(Deep(65)).ok());
  CHECK_FALSE(world->SetPolicy(Deep(64)).ok());
  for (const std::string& words :
       {std::string(1024, 'w'), std::string(1025, 'w'), kNoText}) {
    const bool fits = words.size() == 1024;
    CHECK(world->CancelEffect(Digest(), words).ok() == fits);
    CHECK(world->CancelEffectsOf("sink", "k", words).ok() == fits);
    CHECK(world->Approve(Digest(), "ann", words).ok() == fits);
    CHECK(world->Reject(Digest(), words, "").ok() == fits);
  }
  REQUIRE_OK(world->Run());
  world->RefuseReceipt(kNoText, kNoText, Digest());
  world->RefuseReceipt(std::string(65, 'e'), std::string(1025, 'r'),
                       Hash("other"));
  REQUIRE_OK(world->Run());
  REQUIRE_OK(world->Close());
  MustLive(options);
}

// --- receipts ----------------------------------------------------------------

TEST_CASE(
    "trial 04: receipts at every limit and over it are answered or "
    "refused, and the world opens",
    "[world][limits]") {
  const std::vector<Trial> trials = {{"", Reserving({{"calls", 1}}), None()}};
  struct Case {
    std::string name;
    std::function<void(Receipt&)> change;
    bool fits;
  };
  const std::vector<Case> cases = {
      {"a payload of 63 levels", [](Receipt& r) { r.payload = Deep(63); },
       true},
      {"a payload of 64 levels", [](Receipt& r) { r.payload = Deep(64); },
       false},
      {"a payload of 65 levels", [](Receipt& r) { r.payload = Deep(65); },
       false},
      {"a payload that is no item", [](Receipt& r) { r.payload = "\xff"; },
       false},
      {"a payload at its limit",
       [](Receipt& r) { r.payload = Long(kPayloadMax / 2); }, true},
      {"a payload over it",
       [](Receipt& r) { r.payload = Long(kPayloadMax / 2 + 1); }, false},
      {"usage of 64 dimensions", [](Receipt& r) { r.usage = Dimensions(64); },
       true},
      {"usage of 65 dimensions", [](Receipt& r) { r.usage = Dimensions(65); },
       false},
      {"usage of all that 64 bits hold",
       [](Receipt& r) {
         r.usage = {{"calls", std::numeric_limits<std::uint64_t>::max()}};
       },
       true},
      {"an executor that is no text", [](Receipt& r) { r.executor = kNoText; },
       false},
      {"an executor of 65 bytes",
       [](Receipt& r) { r.executor.assign(65, 'e'); }, false},
      {"evidence whose name is no text",
       [](Receipt& r) {
         r.evidence = {{kNoText, Digest(), 1}};
       },
       false},
      {"the most evidence",
       [](Receipt& r) {
         r.evidence.assign(
             Receipt::kEvidenceMax,
             {std::string(1024, 'n'), Digest(), ~std::uint64_t{0}});
       },
       true},
      {"evidence that is too much",
       [](Receipt& r) {
         r.evidence.assign(Receipt::kEvidenceMax + 1, {"n", Digest(), 1});
       },
       false},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    TemporaryDirectory directory;
    const WorldOptions options = Options(directory / "w", trials);
    auto world = MustOpen(options);
    GrantChange grant;
    grant.grant.name = "g";
    grant.grant.limit = {{"calls", 10}};
    REQUIRE_OK(world->ChangeGrant(grant));
    MustTake(*world, To("trial", "t", cbor::EncodeInteger(0)));
    REQUIRE(world->Effects().size() == 1);
    Receipt receipt;
    receipt.intent_hash = world->Effects()[0].effect.intent_hash;
    receipt.executor = "test";
    each.change(receipt);
    absl::Status verdict = absl::UnknownError("not told");
    const absl::Status taken = world->SubmitReceipt(
        receipt, [&verdict](const absl::Status& s) { verdict = s; });
    REQUIRE_OK(world->Run());
    CHECK((taken.ok() && verdict.ok()) == each.fits);
    CHECK(world->Effects().empty() == each.fits);
    REQUIRE_OK(world->Close());
    MustLive(options);
  }
}

// --- CHECKs that data could reach --------------------------------------------

TEST_CASE(
    "trial 04: a step that asks a value for what it is not, or the "
    "generator for nothing, fails, and the process lives",
    "[world][limits]") {
  const auto on = [](const std::function<void(Value&)>& what) {
    return [what](StepContext& step) {
      Value value = Value::Parse(step.payload()).value();
      what(value);
    };
  };
  const auto thrown = FailureCode::kException;
  Try({
      {"items of a number", on([](Value& v) { (void)v.items(); }), thrown},
      {"pairs of a number", on([](Value& v) { (void)v.pairs(); }), thrown},
      {"the size of a number", on([](Value& v) { (void)v.size(); }), thrown},
      {"a member of a number", on([](Value& v) { v.Set("a", 1); }), thrown},
      {"an item more of a number", on([](Value& v) { v.Append(1); }), thrown},
      {"one member less of a number", on([](Value& v) { v.Erase("a"); }),
       thrown},
      {"a draw out of nothing",
       [](StepContext& step) { (void)step.rng().Below(0); }, thrown},
      {"a draw between the wrong ends",
       [](StepContext& step) { (void)step.rng().Between(1, 0); }, thrown},
      {"a chance out of nothing",
       [](StepContext& step) { (void)step.rng().Chance(1, 0); }, thrown},
      {"a tree of 64 levels",
       [](StepContext& step) {
         step.SetState(Value::Array({Value::Parse(Deep(63)).value()}).Encode());
       },
       None()},
      {"a tree of 65 levels",
       [](StepContext& step) {
         step.SetState(Value::Array({Value::Parse(Deep(64)).value()}).Encode());
       },
       kInvalid},
      {"a tree of 200 levels",
       [](StepContext& step) {
         Value tree = Value::Array();
         for (int i = 0; i < 199; ++i) tree = Value::Array({tree});
         EffectIntent intent = Mail();
         intent.params = tree.Encode();
         step.Intend(std::move(intent));
       },
       kInvalid},
  });
}

}  // namespace
}  // namespace reenact
