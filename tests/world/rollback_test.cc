// Back to a snapshot: what comes back, what stays as it is, and that a replay
// comes to the same without the snapshot's file.

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/journal/archive.h"
#include "reenact/journal/memory/replay_cells.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/replay/replay.h"
#include "reenact/world/forward.h"
#include "reenact/world/world.h"
#include "reenact/world/world_internal.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using cbor::Value;
using Notes = std::vector<std::string>;

// Writes down what it is told, does what that says, and writes down every
// answer.
std::shared_ptr<const Reducer> Agent() {
  return MakeReducer("agent", [](StepContext& step) {
    Value notes = Value::Array();
    if (const auto state = step.state()) notes = Value::Parse(*state).value();
    if (step.event().schema == kAnswerSchema) {
      const EffectAnswer answer = EffectAnswer::Parse(step.payload()).value();
      notes.Append(answer.kind + " " +
                   std::string(ReceiptStatusName(answer.status)));
      step.SetState(notes.Encode());
      return absl::OkStatus();
    }
    const Value event = Value::Parse(step.payload()).value();
    notes.Append(event.GetText("say").value());
    if (event.Find("wake")) {
      step.RaiseAt(LogicalTime{event.GetInteger("wake").value()},
                   {"agent", std::string(step.key()), "",
                    Value::Map({{"say", "woken"}}).Encode()});
    }
    if (event.Find("tell")) {
      step.Raise({"agent", std::string(event.GetText("tell").value()), "",
                  Value::Map({{"say", "told"}}).Encode()});
    }
    if (event.Find("cost")) {
      EffectIntent intent;
      intent.kind = "mail";
      intent.params = Value::Map().Encode();
      intent.capability = "g";
      const auto cost =
          static_cast<std::uint64_t>(event.GetInteger("cost").value());
      if (cost != 0) intent.reserve = {{"calls", cost}};
      step.Intend(std::move(intent));
    }
    step.SetState(notes.Encode());
    return absl::OkStatus();
  });
}

Input Say(std::string key, std::string_view what) {
  Input input;
  input.event = {"agent", std::move(key), "",
                 Value::Map({{"say", what}}).Encode()};
  return input;
}

Input Saying(std::string key, Value event) {
  Input input;
  input.event = {"agent", std::move(key), "", event.Encode()};
  return input;
}

class Listener final : public EffectListener {
 public:
  void Open(const OpenEffect& effect) override { opened.push_back(effect); }
  void Closed(const Digest& intent_hash) override {
    closed.push_back(intent_hash);
  }

  std::vector<OpenEffect> opened;
  std::vector<Digest> closed;
};

WorldOptions Options(std::string path) {
  WorldOptions options;
  options.path = std::move(path);
  SetIdentity(0, options.config);  // some are compared with each other
  options.snapshots_kept = 0;
  options.modules.push_back(MakeModule("demo", "1", {Agent()}).value());
  return options;
}

std::unique_ptr<World> MustOpen(WorldOptions options) {
  auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  return *std::move(world);
}

void Take(World& world, Input input) {
  REQUIRE_OK(world.Submit(std::move(input)));
  REQUIRE_OK(world.Run());
}

void MustGrant(World& world, std::uint64_t calls) {
  GrantChange change;
  change.grant.name = "g";
  change.grant.limit = {{"calls", calls}};
  REQUIRE_OK(world.ChangeGrant(change));
  REQUIRE_OK(world.Run());
}

std::uint64_t FreeOf(const World& world) {
  const AuthorityState state = world.Authority();
  REQUIRE_OK(state.grants.CheckConservation());
  const auto it = state.grants.accounts().find("g");
  REQUIRE(it != state.grants.accounts().end());
  return it->second.free.Of("calls");
}

Receipt ReceiptFor(const OpenEffect& effect, std::uint64_t calls) {
  Receipt receipt;
  receipt.intent_hash = effect.intent_hash;
  receipt.payload = Value("done").Encode();
  receipt.executor = "test";
  if (calls != 0) receipt.usage = {{"calls", calls}};
  return receipt;
}

absl::Status Send(World& world, Receipt receipt) {
  absl::Status verdict = absl::UnknownError("not told");
  REQUIRE_OK(world.SubmitReceipt(
      std::move(receipt), [&verdict](const absl::Status& s) { verdict = s; }));
  REQUIRE_OK(world.Run());
  return verdict;
}

// The ticket after which the snapshot stands.
EventId Snapshot(World& world) {
  const auto submission = world.RequestSnapshot();
  REQUIRE_OK(submission);
  REQUIRE_OK(world.Run());
  return submission->WaitDurable().value().event_id;
}

void MustRollBack(World& world, EventId to) {
  const auto submission = world.RollBack(to, "ann", "a mistake");
  REQUIRE_OK(submission);
  REQUIRE_OK(world.Run());
  const auto outcome = submission->WaitDurable();
  REQUIRE_OK(outcome);
  REQUIRE(outcome->failure == std::nullopt);
}

std::optional<Notes> NotesOf(const World& world, std::string_view key) {
  const auto state = world.Read("agent", key);
  REQUIRE_OK(state);
  if (!*state) return std::nullopt;
  Notes notes;
  const Value list = Value::Parse(**state).value();
  for (const Value& note : list.items()) {
    notes.emplace_back(note.AsText().value());
  }
  return notes;
}

std::map<CellRef, Bytes> CellsOf(const Store& store) {
  std::map<CellRef, Bytes> cells;
  REQUIRE_OK(
      store.View()->ScanAll([&cells](ReducerId reducer, std::string_view key,
                                     EventId, BytesView state) {
        cells.emplace(CellRef{reducer, std::string(key)}, state);
        return absl::OkStatus();
      }));
  return cells;
}

// Whatever way its history is gone through again, it comes to the same place:
// `place`, when the world at `path` was closed.
void CheckReplays(const std::string& path, const Checkpoint& place,
                  const std::vector<Module>& modules) {
  VerifyOptions verify;
  verify.path = path;
  verify.modules = modules;
  for (const bool files : {true, false}) {
    if (!files) {
      std::filesystem::remove_all(path + "/snapshots");
      std::filesystem::create_directory(path + "/snapshots");
    }
    for (const bool from_snapshot : {false, true}) {
      for (const std::size_t threads : {1, 3}) {
        for (const std::size_t workers : {0, 2}) {
          verify.from_snapshot = from_snapshot;
          verify.threads = threads;
          verify.workers = workers;
          const auto report = Verify(verify);
          REQUIRE_OK(report);
          INFO("files " << files << ", from snapshot " << from_snapshot
                        << ", threads " << threads << ", workers " << workers);
          INFO(report->problem);
          if (report->divergence) {
            UNSCOPED_INFO("ticket " << report->divergence->event_id.value
                                    << ": " << report->divergence->field << ": "
                                    << report->divergence->recorded << " -> "
                                    << report->divergence->recomputed);
          }
          for (const std::string& note : report->notes) UNSCOPED_INFO(note);
          CHECK(report->verdict == Verdict::kIdentical);
        }
      }
    }
  }
  const auto archive = Archive::Open(path);
  REQUIRE_OK(archive);
  const Bytes stored = (*archive)->store().ReadBlock(0).value();
  const auto genesis = DecodeBlock(stored);
  REQUIRE_OK(genesis);
  const auto entry = DecodeEntry(genesis->entries);
  REQUIRE_OK(entry);
  for (const bool schedule : {false, true}) {
    ReplayCells cells;
    Checkpoint applied;
    applied.config = std::get<entry::Genesis>(*entry).config;
    applied.block_count = 1;
    applied.block_hash = genesis->hash;
    ForwardOptions options;
    options.always_schedule = schedule;
    REQUIRE_OK(FastForward(
        [&archive](std::uint64_t from, const auto& visit) {
          return (*archive)->store().ScanBlocks(from, visit);
        },
        &cells, (*archive)->block_count(), &applied, options));
    CHECK(applied == place);
    CHECK(CellsOf(cells) == CellsOf((*archive)->store()));
  }
}

Checkpoint CloseAt(std::unique_ptr<World> world) {
  const auto place = dynamic_cast<CheckpointSource&>(*world).Place();
  REQUIRE_OK(place);
  REQUIRE_OK(world->Close());
  return *place;
}

// --- what comes back, and what does not --------------------------------------

TEST_CASE(
    "a rollback brings cells and what waited back, and leaves money as "
    "it is spent",
    "[rollback]") {
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  auto world = MustOpen(options);
  MustGrant(*world, 10);
  // Its mail is open and its timer far away at the snapshot.
  Take(*world,
       Saying("a", Value::Map(
                       {{"say", "first"}, {"cost", 2}, {"wake", 1'000'000}})));
  Take(*world, Say("b", "stays"));
  REQUIRE(listener.opened.size() == 1);
  // The timer is all that waits, and a world whose clock counts rounds goes
  // there; so it has rung.
  CHECK(NotesOf(*world, "a") == Notes{"first", "woken"});
  const EventId to = Snapshot(*world);

  // After it: the mail of `a` is answered, `b` changes, `c` and `d` come to be,
  // one with a mail that is done and one with a mail that is open.
  CHECK(Send(*world, ReceiptFor(listener.opened[0], 2)).ok());
  Take(*world, Say("b", "goes"));
  Take(*world, Saying("c", Value::Map({{"say", "x"}, {"cost", 1}})));
  CHECK(Send(*world, ReceiptFor(listener.opened[1], 1)).ok());
  Take(*world, Saying("d", Value::Map({{"say", "y"}, {"cost", 3}})));
  CHECK(FreeOf(*world) == 10 - 2 - 1 - 3);
  REQUIRE(listener.opened.size() == 3);
  const std::size_t closed = listener.closed.size();

  MustRollBack(*world, to);
  // The answer that had come since comes once more: its cell still waits.
  CHECK(NotesOf(*world, "a") == Notes{"first", "woken", "mail ok"});
  CHECK(NotesOf(*world, "b") == Notes{"stays"});
  CHECK(NotesOf(*world, "c") == std::nullopt);
  CHECK(NotesOf(*world, "d") == std::nullopt);
  // The open mail of `d` is fenced off, and what it reserved is free again.
  CHECK(world->Effects().empty());
  CHECK(FreeOf(*world) == 10 - 2 - 1);
  REQUIRE(listener.closed.size() == closed + 1);
  CHECK(listener.closed.back() == listener.opened[2].intent_hash);
  const std::uint64_t refused = world->stats().receipts_refused;
  const Digest before = world->journal_digest();
  CHECK(absl::IsFailedPrecondition(
      Send(*world, ReceiptFor(listener.opened[2], 3))));
  CHECK(world->stats().receipts_refused == refused + 1);
  CHECK(world->journal_digest() != before);  // on record
  const Digest once = world->journal_digest();
  CHECK(absl::IsFailedPrecondition(
      Send(*world, ReceiptFor(listener.opened[2], 3))));
  CHECK(world->journal_digest() == once);  // once
  CHECK(FreeOf(*world) == 10 - 2 - 1);
  CHECK(NotesOf(*world, "d") == std::nullopt);

  // It goes on from there, also after it was opened again.
  Take(*world, Saying("d", Value::Map({{"say", "again"}, {"cost", 3}})));
  REQUIRE_OK(world->Close());
  world = MustOpen(options);
  CHECK(NotesOf(*world, "d") == Notes{"again"});
  CHECK(NotesOf(*world, "c") == std::nullopt);
  CHECK(world->Effects().size() == 1);
  const Checkpoint place = CloseAt(std::move(world));
  CheckReplays(directory / "w", place, options.modules);
}

TEST_CASE("what waits at the snapshot waits again, in a clock of inputs",
          "[rollback]") {
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w");
  options.config.clock = ClockKind::kInput;
  auto world = MustOpen(options);
  Take(*world, Saying("a", Value::Map({{"say", "first"}, {"wake", 100}})));
  const EventId to = Snapshot(*world);
  const auto at = [](Input input, std::int64_t time) {
    input.time = LogicalTime{time};
    return input;
  };
  Take(*world, at(Say("b", "later"), 100));
  CHECK(NotesOf(*world, "a") == Notes{"first", "woken"});
  // One that was raised since is gone with the step that raised it.
  Take(*world, Saying("b", Value::Map({{"say", "more"}, {"wake", 500}})));
  CHECK(world->stats().timers_waiting == 1);
  MustRollBack(*world, to);
  // The time of the timer has come already.
  CHECK(NotesOf(*world, "a") == Notes{"first", "woken"});
  CHECK(NotesOf(*world, "b") == std::nullopt);
  CHECK(world->stats().timers_waiting == 0);
  Take(*world, at(Say("c", "end"), 600));
  CHECK(NotesOf(*world, "b") == std::nullopt);
  const Checkpoint place = CloseAt(std::move(world));
  CheckReplays(directory / "w", place, options.modules);
}

// What ann says, as the file `name` has it.
class Sayings final : public InputSource {
 public:
  Sayings(std::string name, Notes said, std::uint64_t after)
      : name_(std::move(name)), said_(std::move(said)), next_(after) {
    for (std::size_t i = 0; i < next_; ++i) content_.Add(said_.at(i));
  }
  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (next_ == said_.size()) return false;
    content_.Add(said_[next_]);
    row->push_back(Say("ann", said_[next_]));
    row->back().position = ++next_;
    return true;
  }
  std::string_view name() const override { return name_; }
  Digest digest() const override { return Hasher(content_).Finish(); }

 private:
  const std::string name_;
  const Notes said_;
  std::size_t next_;
  Hasher content_;
};

void MustFeed(World& world, const std::string& name, Notes said) {
  Sayings source(name, std::move(said), world.source(name).position);
  REQUIRE_OK(world.Feed(source));
}

TEST_CASE(
    "trial 16: a world knows each source by name, and a rollback takes "
    "them back",
    "[rollback]") {
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w");
  options.config.snapshot_every = GENERATE(0U, 2U);
  auto world = MustOpen(options);
  CHECK(world->source("monday") == SourceMark());
  MustFeed(*world, "monday", {"a", "b"});
  const SourceMark monday{2, Hash("ab")};
  CHECK(world->source("monday") == monday);
  MustFeed(*world, "tuesday", {"c", "d", "e"});
  CHECK(world->source("monday") == monday);
  CHECK(world->source("tuesday") == SourceMark{3, Hash("cde")});
  CHECK(NotesOf(*world, "ann") == Notes{"a", "b", "c", "d", "e"});

  // It knows them when it is opened again, from wherever that begins.
  REQUIRE_OK(world->Close());
  world = MustOpen(options);
  CHECK(world->source("monday") == monday);
  const EventId to = Snapshot(*world);

  MustFeed(*world, "monday", {"a", "b", "wrong"});
  MustFeed(*world, "wednesday", {"f"});
  CHECK(world->source("monday") == SourceMark{3, Hash("abwrong")});
  MustRollBack(*world, to);
  CHECK(world->source("monday") == monday);
  CHECK(world->source("wednesday") == SourceMark());
  REQUIRE_OK(world->Close());
  world = MustOpen(options);
  CHECK(world->source("monday") == monday);

  MustFeed(*world, "monday", {"a", "b", "right"});
  CHECK(NotesOf(*world, "ann") == Notes{"a", "b", "c", "d", "e", "right"});
  const Checkpoint place = CloseAt(std::move(world));
  CHECK(place.sources.size() == 2);
  CheckReplays(directory / "w", place, options.modules);
}

TEST_CASE("trial 16: sources with names are refused where a world knows none",
          "[rollback]") {
  WorldOptions options = Options("");
  Sayings without("", {"a"}, 0), named("monday", {"a"}, 0);
  Sayings wrong("\xff", {"a"}, 0), long_one(std::string(256, 'n'), {"a"}, 0);
  options.config.format_version = 2;
  auto world = MustOpen(options);
  CHECK(absl::IsFailedPrecondition(world->Feed(named)));
  CHECK(world->position() == 0);
  REQUIRE_OK(world->Feed(without));
  CHECK(world->position() == 1);

  options.config.format_version = kFormatVersion;
  world = MustOpen(options);
  CHECK(absl::IsInvalidArgument(world->Feed(wrong)));
  CHECK(absl::IsInvalidArgument(world->Feed(long_one)));
  REQUIRE_OK(world->Feed(named));
  CHECK(world->source("monday").position == 1);
}

TEST_CASE("trial 18: a world that is started goes by the machine's clock",
          "[rollback]") {
  WorldOptions options = Options("");
  options.start = true;
  std::atomic<std::int64_t> now{1000};
  options.wall_clock = [&now] { return LogicalTime{now.load()}; };
  const auto world = MustOpen(options);
  CHECK(world->config().clock == ClockKind::kWall);
  CHECK(absl::IsFailedPrecondition(world->Run()));  // it runs already
  const auto said = world->Submit(
      Saying("ann", Value::Map({{"say", "first"}, {"wake", 2000}})));
  REQUIRE_OK(said);
  REQUIRE_OK(said->WaitDurable());
  // An hour may pass; with `rounds` it had rung at once.
  CHECK(NotesOf(*world, "ann") == Notes{"first"});
  now = 2000;
  const auto more = world->Submit(Say("bob", "later"));
  REQUIRE_OK(more);
  REQUIRE_OK(more->WaitDurable());
  REQUIRE_OK(world->Stop());
  REQUIRE_OK(world->Run());
  CHECK(NotesOf(*world, "ann") == Notes{"first", "woken"});
}

TEST_CASE("what was submitted and has no ticket at a rollback never has one",
          "[rollback]") {
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w");
  options.config.scheduling.entity_round_limit = 1;
  auto world = MustOpen(options);
  const EventId to = Snapshot(*world);
  std::vector<Submission> submissions;
  for (int i = 0; i < 5; ++i) {
    auto submission = world->Submit(Say("a", "x"));
    REQUIRE_OK(submission);
    submissions.push_back(*std::move(submission));
  }
  MustRollBack(*world, to);
  CHECK(NotesOf(*world, "a") == std::nullopt);
  std::size_t aborted = 0;
  for (const Submission& submission : submissions) {
    aborted += absl::IsAborted(submission.WaitDurable().status()) ? 1 : 0;
  }
  CHECK(aborted == 4);
  Take(*world, Say("a", "y"));
  CHECK(NotesOf(*world, "a") == Notes{"y"});
  const Checkpoint place = CloseAt(std::move(world));
  CheckReplays(directory / "w", place, options.modules);
}

TEST_CASE("one can roll back again, also to what was rolled back",
          "[rollback]") {
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  auto world = MustOpen(options);
  MustGrant(*world, 10);
  Take(*world, Say("a", "1"));
  const EventId first = Snapshot(*world);
  Take(*world, Saying("a", Value::Map({{"say", "2"}, {"cost", 4}})));
  const EventId second = Snapshot(*world);
  Take(*world, Say("a", "3"));
  MustRollBack(*world, first);
  CHECK(NotesOf(*world, "a") == Notes{"1"});
  CHECK(FreeOf(*world) == 10);
  Take(*world, Say("a", "4"));
  // The mail that was open there was fenced off by the first rollback.
  MustRollBack(*world, second);
  CHECK(NotesOf(*world, "a") == Notes{"1", "2", "mail cancelled"});
  MustRollBack(*world, first);
  MustRollBack(*world, first);
  CHECK(NotesOf(*world, "a") == Notes{"1"});
  CHECK(FreeOf(*world) == 10);
  const Checkpoint place = CloseAt(std::move(world));
  CheckReplays(directory / "w", place, options.modules);
}

// --- whoever computes it -----------------------------------------------------

struct Ending {
  Digest journal;
  Checkpoint place;

  friend bool operator==(const Ending&, const Ending&) = default;
};

Ending PlayAtRandom(const std::string& path, std::size_t workers) {
  Listener listener;
  WorldOptions options = Options(path);
  options.effects = &listener;
  options.workers = workers;
  options.config.scheduling.entity_round_limit = 2;
  auto world = MustOpen(options);
  MustGrant(*world, 1000);
  std::uint64_t state = 11;
  const auto below = [&state](std::uint64_t n) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % n;
  };
  std::vector<EventId> snapshots{Snapshot(*world)};
  std::size_t seen = 0;
  for (int wave = 0; wave < 24; ++wave) {
    for (int i = 0; i < 20; ++i) {
      Value event = Value::Map({{"say", std::to_string(wave)}});
      const std::string key = "c" + std::to_string(below(9));
      if (below(2) == 0) event.Set("cost", static_cast<std::int64_t>(below(4)));
      if (below(3) == 0) event.Set("tell", "d" + std::to_string(below(5)));
      if (below(4) == 0) {
        event.Set("wake", static_cast<std::int64_t>(wave * 9 + below(60)));
      }
      REQUIRE_OK(world->Submit(Saying(key, event)));
      // Among inputs, so that some wait and others are on their way.
      if (i == 11 && wave % 4 == 1) REQUIRE_OK(world->RequestSnapshot());
      if (i == 13 && wave % 3 == 2) {
        REQUIRE_OK(world->RollBack(snapshots[below(snapshots.size())], "", ""));
      }
    }
    for (; seen < listener.opened.size(); ++seen) {
      if (below(3) == 0) continue;
      REQUIRE_OK(world->SubmitReceipt(
          ReceiptFor(listener.opened[seen], below(5)), nullptr));
    }
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Authority().grants.CheckConservation());
    if (wave % 5 == 0) snapshots.push_back(Snapshot(*world));
  }
  Ending ending{world->journal_digest(), CloseAt(std::move(world))};
  return ending;
}

TEST_CASE(
    "rollbacks among everything else give one history, whoever computes "
    "it, and it replays",
    "[rollback]") {
  TemporaryDirectory directory;
  const Ending reference = PlayAtRandom(directory / "w0", 0);
  for (const std::size_t workers : {1, 2, 4}) {
    INFO(workers << " workers");
    CHECK(PlayAtRandom(directory / ("w" + std::to_string(workers)), workers) ==
          reference);
  }
  CheckReplays(directory / "w2", reference.place, Options("").modules);
}

// --- what is refused ---------------------------------------------------------

TEST_CASE("there has to be such a snapshot", "[rollback]") {
  TemporaryDirectory directory;
  auto world = MustOpen(Options(directory / "w"));
  Take(*world, Say("a", "1"));
  const EventId to = Snapshot(*world);
  Take(*world, Say("a", "2"));
  const Digest before = world->journal_digest();
  for (const std::uint64_t ticket : {std::uint64_t{0}, std::uint64_t{1},
                                     to.value + 1, to.value + 1'000'000}) {
    const auto refused = world->RollBack(EventId{ticket}, "", "");
    CHECK(absl::IsNotFound(refused.status()));
    CHECK_THAT(std::string(ToStd(refused.status().message())),
               Catch::Contains("there are " + std::to_string(to.value)));
  }
  CHECK(absl::IsInvalidArgument(world->RollBack(to, "\xff", "").status()));
  // One that goes away, or is another's, after it was asked for.
  const std::string file = WorldPaths(directory / "w").Snapshot(to);
  const auto late = world->RollBack(to, "", "");
  REQUIRE_OK(late);
  std::filesystem::rename(file, file + ".away");
  REQUIRE_OK(world->Run());
  CHECK(absl::IsNotFound(late->WaitDurable().status()));
  {
    auto other = MustOpen(Options(directory / "v"));
    Take(*other, Say("b", "1"));
    CHECK(Snapshot(*other) == to);
    REQUIRE_OK(other->Close());
  }
  std::filesystem::rename(WorldPaths(directory / "v").Snapshot(to), file);
  const auto foreign = world->RollBack(to, "", "");
  REQUIRE_OK(foreign);
  REQUIRE_OK(world->Run());
  CHECK(absl::IsDataLoss(foreign->WaitDurable().status()));
  // One under another's name.
  const std::string copy = WorldPaths(directory / "w").Snapshot(EventId{1});
  std::filesystem::copy_file(file, copy);
  CHECK(absl::IsDataLoss(world->RollBack(EventId{1}, "", "").status()));
  std::filesystem::remove(copy);
  // Nothing of all that is history.
  CHECK(world->journal_digest() == before);
  CHECK(NotesOf(*world, "a") == Notes{"1", "2"});
  Take(*world, Say("a", "3"));
  REQUIRE_OK(world->Close());

  WorldOptions in_memory = Options("");
  auto memory = MustOpen(in_memory);
  CHECK(absl::IsFailedPrecondition(memory->RollBack(to, "", "").status()));
}

// --- worlds that halt --------------------------------------------------------

// Counts to ten, and must not go on.
class ToTen final : public Reducer {
 public:
  std::string_view name() const override { return "to-ten"; }
  absl::Status Step(StepContext& step) const override {
    std::int64_t count = 0;
    if (const auto state = step.state()) {
      count = cbor::DecodeInteger(*state).value();
    }
    step.SetState(cbor::EncodeInteger(
        count + cbor::DecodeInteger(step.payload()).value()));
    return absl::OkStatus();
  }
  std::vector<Invariant> invariants() const override {
    return {{"ten at most",
             [](std::string_view, std::optional<BytesView> state) {
               return !state || cbor::DecodeInteger(*state).value() <= 10;
             },
             OnBreak::kHalt}};
  }
};

TEST_CASE("a world that an invariant halts goes on from a snapshot",
          "[rollback]") {
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w");
  options.modules = {
      MakeModule("ten", "1", {std::make_shared<ToTen>()}).value()};
  options.config.scheduling.entity_round_limit = 1;
  const auto add = [](std::int64_t amount) {
    Input input;
    input.event = {"to-ten", "a", "", cbor::EncodeInteger(amount)};
    return input;
  };
  auto world = MustOpen(options);
  Take(*world, add(1));
  const EventId to = Snapshot(*world);
  // The second waits on record when the world halts at it.
  REQUIRE_OK(world->Submit(add(8)));
  REQUIRE_OK(world->Submit(add(8)));
  CHECK(absl::IsFailedPrecondition(world->Run()));
  (void)world->Close();
  world = MustOpen(options);
  CHECK(absl::IsFailedPrecondition(world->Run()));
  (void)world->Close();

  world = MustOpen(options);
  MustRollBack(*world, to);
  REQUIRE_OK(world->Run());
  CHECK(world->Read("to-ten", "a").value() == cbor::EncodeInteger(1));
  Take(*world, add(9));
  CHECK(world->Read("to-ten", "a").value() == cbor::EncodeInteger(10));
  const Checkpoint place = CloseAt(std::move(world));
  CheckReplays(directory / "w", place, options.modules);
}

}  // namespace
}  // namespace reenact
