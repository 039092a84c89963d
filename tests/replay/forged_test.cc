// Histories that no world wrote: chained again, in well-formed blocks, by
// somebody who knows the format. Each is refused as damage or as a divergence,
// or is the history of other inputs; none ends the process.

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/journal/archive.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/replay/replay.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/world/effects.h"
#include "reenact/world/forward.h"
#include "reenact/world/world.h"
#include "tests/journal/temporary_directory.h"
#include "tests/replay/history.h"
#include "tests/replay/mutants.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"
#include "tests/tools/command.h"
#include "tools/reenact/effect_table.h"

namespace reenact {
namespace {

using Catch::Contains;
using cbor::Value;
using tests::RunReenact;
using tools::EffectTable;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

// --- a world with something of everything ------------------------------------

EffectIntent ForgedIntent(std::string kind, std::string capability,
                          std::uint64_t calls) {
  EffectIntent intent;
  intent.kind = std::move(kind);
  intent.capability = std::move(capability);
  intent.params = Value::Map({{"n", 1}}).Encode();
  if (calls > 0) intent.reserve = Amounts{{"calls", calls}};
  return intent;
}

EffectIntent ForgedTimer() {
  EffectIntent intent;
  intent.kind = "timer";
  intent.params = Value::Map({{"after", 3}}).Encode();
  return intent;
}

EffectIntent ForgedCancel() {
  EffectIntent intent;
  intent.kind = "effect.cancel";
  intent.params = Value::Map({{"all", true}}).Encode();
  return intent;
}

// Does what the number says that it is sent, and counts.
absl::Status Spend(StepContext& step) {
  const auto count = step.state() ? cbor::DecodeInteger(*step.state())
                                  : absl::StatusOr<std::int64_t>(0);
  const auto what = cbor::DecodeInteger(step.payload());
  step.SetState(cbor::EncodeInteger(count.value_or(0) + 1));
  if (!what.ok()) return absl::OkStatus();  // an answer
  switch (*what) {
    case 1:
      step.Intend(ForgedIntent("mail", "g", 2));
      break;
    case 2:
      step.Raise({"spender", "other", "", cbor::EncodeInteger(0)});
      break;
    case 3:
      step.RaiseAt(
          LogicalTime{step.time().value + 40},
          {"spender", std::string(step.key()), "", cbor::EncodeInteger(0)});
      break;
    case 4:
      step.Intend(ForgedTimer());
      break;
    case 5:
      step.Intend(ForgedIntent("mail", "h", 1));
      step.Intend(ForgedIntent("dear", "g", 3));
      break;
    case 6:
      return absl::InvalidArgumentError("no");
    case 7:
      step.Intend(ForgedCancel());
      break;
    default:
      break;
  }
  return absl::OkStatus();
}

std::vector<Module> SpenderModules() {
  auto module = MakeModule("spender", "1", {MakeReducer("spender", Spend)});
  REQUIRE_OK(module);
  return {*std::move(module)};
}

class Opened final : public EffectListener {
 public:
  void Open(const OpenEffect& effect) override { effects.push_back(effect); }
  void Closed(const Digest&) override {}
  std::vector<OpenEffect> effects;
};

// Makes the world at `path`; gives its blocks.
class Spender {
 public:
  explicit Spender(const std::string& path, bool rolls_back = false) {
    WorldOptions options;
    options.path = path;
    options.modules = SpenderModules();
    options.effects = &opened_;
    options.config.scheduling.round_limit = 3;
    auto world = World::Open(std::move(options));
    REQUIRE_OK(world);
    world_ = *std::move(world);
    Live(rolls_back);
    REQUIRE_OK(world_->Close());
    world_.reset();
  }

 private:
  void Live(bool rolls_back) {
    Grant("g", "", 40);
    Grant("h", "g", 10);
    Policy();
    Send({0, 1, 1, 2, 3});
    Answer(0, 1);
    Send({5, 4, 6, 1});
    Answer(1, 5);  // more than was reserved
    Approve();
    Tell(world_->RequestSnapshot());
    snapshot_ = world_->head();
    Send({1, 1, 7, 2});
    Tell(world_->CancelEffect(opened_.effects.back().intent_hash, "ann"));
    Answer(0, 1);  // twice
    GrantChange take;
    take.op = GrantChange::Op::kTake;
    take.grant.name = "h";
    take.grant.limit = Amounts{{"calls", 2}};
    Tell(world_->ChangeGrant(take));
    Scheduling rules = world_->config().scheduling;
    rules.round_limit = 4;
    Tell(world_->ChangeConfig(rules, 0));
    Send({1, 0, 3, 5, 0});
    if (rolls_back) Tell(world_->RollBack(snapshot_, "ann", "why not"));
    Send({1, 0, 0});
  }

  template <typename Submitted>
  void Tell(const Submitted& submitted) {
    REQUIRE_OK(submitted);
    REQUIRE_OK(world_->Run());
  }
  void Grant(std::string name, std::string parent, std::uint64_t calls) {
    GrantChange change;
    change.grant.name = std::move(name);
    change.grant.parent = std::move(parent);
    change.grant.limit = Amounts{{"calls", calls}};
    Tell(world_->ChangeGrant(change));
  }
  void Policy() {
    Tell(world_->SetPolicy(
        Value::Map({{"version", 1},
                    {"rules", Value::Array({Value::Map({{"name", "dear"},
                                                        {"kind", "dear"},
                                                        {"then", "ask"}})})},
                    {"otherwise", "allow"}})
            .Encode()));
  }
  void Send(const std::vector<std::int64_t>& numbers) {
    for (const std::int64_t number : numbers) {
      Input input;
      input.event = {"spender", "k" + std::to_string(sent_++ % 2), "",
                     cbor::EncodeInteger(number)};
      Tell(world_->Submit(std::move(input)));
    }
  }
  void Answer(std::size_t which, std::uint64_t calls) {
    Receipt receipt;
    receipt.intent_hash = opened_.effects.at(which).intent_hash;
    receipt.payload = Value("done").Encode();
    receipt.usage = Amounts{{"calls", calls}};
    receipt.executor = "test";
    REQUIRE_OK(
        world_->SubmitReceipt(std::move(receipt), [](const absl::Status&) {}));
    REQUIRE_OK(world_->Run());
  }
  void Approve() {
    for (const EffectState& each : world_->Effects()) {
      if (!each.held) continue;
      Tell(world_->Approve(each.effect.intent_hash, "ann", ""));
      return;
    }
    FAIL("nothing is held");
  }

  Opened opened_;
  std::unique_ptr<World> world_;
  EventId snapshot_;
  std::uint64_t sent_ = 0;
};

History SpenderHistory(bool rolls_back = false) {
  const TemporaryDirectory directory;
  Spender spender(directory / "world", rolls_back);
  return TakeApart(directory / "world");
}

// --- what is made of it ------------------------------------------------------

struct Forgery {
  std::string what;
  History history;
};

bool IsDamageOrNewer(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsUnimplemented(status);
}

// As opening goes through it from the beginning.
absl::Status GoForward(const std::vector<Bytes>& blocks, bool always) {
  const std::unique_ptr<Store> store = NewMemoryStore();
  CommitGroup group;
  group.blocks = blocks;
  REQUIRE_OK(store->Commit(group, false));
  REQUIRE_OK(store->ClearCells());
  const auto scan = [&store](std::uint64_t from, const auto& visit) {
    return store->ScanBlocks(from, visit);
  };
  auto place = CheckpointAfterGenesis(scan);
  if (!place.ok()) return place.status();
  ForwardOptions options;
  options.always_schedule = always;
  options.read_ahead = false;
  return FastForward(scan, store.get(), blocks.size(), &*place, options);
}

absl::StatusOr<VerifyReport> VerifyForged(const std::string& path) {
  VerifyOptions options;
  options.path = path;
  options.modules = SpenderModules();
  options.threads = 1;
  options.run_twice = false;
  return Verify(options);
}

// Replayed without a database around it.
void CheckSlice(const Forgery& forgery, const std::string& directory,
                std::uint64_t* identical) {
  const std::vector<Bytes> blocks = Chain(forgery.history);
  const absl::Status slow = GoForward(blocks, true);
  const absl::Status fast = GoForward(blocks, false);
  INFO(forgery.what << "\n" << slow << "\n" << fast);
  CHECK((slow.ok() || IsDamageOrNewer(slow)));
  CHECK((fast.ok() || IsDamageOrNewer(fast)));
  for (const absl::Status& status : {slow, fast}) {
    if (absl::IsDataLoss(status)) {
      CHECK_THAT(std::string(status.message()), Contains("block "));
    }
  }
  WriteSlice(directory, blocks);
  const auto report = VerifyForged(directory);
  if (!report.ok()) {
    INFO(report.status());
    CHECK(IsDamageOrNewer(report.status()));
    return;
  }
  if (report->verdict != Verdict::kIdentical) return;
  ++*identical;
  // What replays is what a world could have written, so it can be gone through.
  CHECK(slow.ok());
  CHECK(fast.ok());
}

// As a world's directory, by every way that reads one.
void CheckWhole(const Forgery& forgery) {
  INFO(forgery.what);
  const TemporaryDirectory directory;
  const std::string path = directory / "world";
  WriteWorld(path, Chain(forgery.history));
  const auto archive = Archive::Open(path);
  if (archive.ok()) {
    const absl::Status table = EffectTable::Read(**archive).status();
    if (!table.ok()) {
      CHECK(absl::IsDataLoss(table));
      CHECK_THAT(std::string(table.message()),
                 Contains("db: block ") && Contains("entry "));
    }
  } else {
    CHECK(IsDamageOrNewer(archive.status()));
  }
  const auto report = VerifyForged(path);
  if (!report.ok()) CHECK(IsDamageOrNewer(report.status()));
  WorldOptions options;
  options.path = path;
  options.modules = SpenderModules();
  const auto world = World::Open(std::move(options));
  if (!world.ok()) {
    INFO(world.status());
    // Where the modules are others by its record, that comes first.
    CHECK((IsDamageOrNewer(world.status()) ||
           absl::IsFailedPrecondition(world.status())));
    return;
  }
  (void)(*world)->Run();
  (void)(*world)->Close();
}

// The places of all entries of one kind.
struct EntryPlace {
  std::size_t block;
  std::size_t entry;
};
template <typename E>
std::vector<EntryPlace> PlacesOf(const History& history) {
  std::vector<EntryPlace> places;
  for (std::size_t b = 0; b < history.size(); ++b) {
    for (std::size_t e = 0; e < history[b].entries.size(); ++e) {
      if (std::holds_alternative<E>(EntryOf(history[b].entries[e]))) {
        places.push_back({b, e});
      }
    }
  }
  return places;
}

// A forgery in which `change` has been at the n-th entry of a kind.
template <typename E>
Forgery Changed(const History& history, std::size_t nth,
                const std::string& what,
                const std::function<void(E*)>& change) {
  const std::vector<EntryPlace> places = PlacesOf<E>(history);
  REQUIRE(nth < places.size());
  Forgery forgery{what, history};
  Bytes& bytes = forgery.history[places[nth].block].entries[places[nth].entry];
  E entry = std::get<E>(EntryOf(bytes));
  change(&entry);
  bytes = BytesOf(entry);
  return forgery;
}

// --- the forger --------------------------------------------------------------

class Forger {
 public:
  explicit Forger(const History& history) : history_(history) {
    for (const HistoryBlock& block : history) {
      for (const Bytes& bytes : block.entries) {
        const auto kind = static_cast<std::size_t>(KindOf(EntryOf(bytes)));
        if (examples_.size() <= kind) examples_.resize(kind + 1);
        if (examples_[kind].empty()) examples_[kind] = bytes;
      }
    }
  }

  std::vector<Forgery> All() {
    for (const Mutant& mutant : MutantsOf(history_)) {
      all_.push_back({mutant.what, mutant.history});
    }
    for (block_ = 1; block_ < history_.size(); ++block_) {
      ForgeBlock();
      ForgeRound();
      for (entry_ = 0; entry_ < history_[block_].entries.size(); ++entry_) {
        ForgeEntry();
      }
    }
    ForgeControls();
    return std::move(all_);
  }

 private:
  using Change = std::function<void(History*)>;

  void Add(const std::string& what, const Change& change) {
    Forgery forgery{"block " + std::to_string(block_) + ", entry " +
                        std::to_string(entry_) + ": " + what,
                    history_};
    change(&forgery.history);
    all_.push_back(std::move(forgery));
  }
  std::vector<Bytes>& EntriesIn(History* history) const {
    return (*history)[block_].entries;
  }

  void ForgeBlock() {
    const auto at = static_cast<std::ptrdiff_t>(block_);
    Add("it is gone", [at](History* h) { h->erase(h->begin() + at); });
    Add("it is there twice", [at](History* h) {
      const HistoryBlock again = (*h)[static_cast<std::size_t>(at)];
      h->insert(h->begin() + at, again);
    });
    Add("it has no entry", [this](History* h) { EntriesIn(h).clear(); });
    if (block_ + 1 < history_.size()) {
      Add("it has the entries of the next", [this](History* h) {
        std::swap(EntriesIn(h), (*h)[block_ + 1].entries);
      });
    }
    for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1} << 62,
                                       std::uint64_t{1} << 63, kMost}) {
      const std::string text = std::to_string(number);
      Add("its header says round " + text, [this, number](History* h) {
        (*h)[block_].header.round = Round{number};
      });
      if (number < kMost / 2) {
        Add("its header says tickets " + text, [this, number](History* h) {
          (*h)[block_].header.ticket_count = number;
        });
      }
    }
  }

  // The header and RoundOpened agree on something absurd.
  void ForgeRound() {
    entry_ = 0;
    auto round = std::get_if<entry::RoundOpened>(&opened_);
    opened_ = EntryOf(history_[block_].entries[0]);
    round = std::get_if<entry::RoundOpened>(&opened_);
    if (round == nullptr) return;
    for (const std::uint64_t number :
         {std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << 62) - 1,
          std::uint64_t{1} << 62, (std::uint64_t{1} << 62) + 1, kMost}) {
      Add("it is round " + std::to_string(number),
          [this, number, round](History* h) {
            entry::RoundOpened other = *round;
            other.round = (*h)[block_].header.round = Round{number};
            EntriesIn(h)[0] = BytesOf(other);
          });
    }
    for (const std::int64_t time : {std::numeric_limits<std::int64_t>::min(),
                                    std::numeric_limits<std::int64_t>::max()}) {
      Add("it is at time " + std::to_string(time),
          [this, time, round](History* h) {
            entry::RoundOpened other = *round;
            other.time = LogicalTime{time};
            EntriesIn(h)[0] = BytesOf(other);
          });
    }
  }

  void ForgeEntry() {
    const auto at = static_cast<std::ptrdiff_t>(entry_);
    Add("it is there twice", [this, at](History* h) {
      const Bytes again = EntriesIn(h)[entry_];
      EntriesIn(h).insert(EntriesIn(h).begin() + at, again);
    });
    Add("it is in the next block", [this, at](History* h) {
      if (block_ + 1 == h->size()) return;
      (*h)[block_ + 1].entries.push_back(EntriesIn(h)[entry_]);
      EntriesIn(h).erase(EntriesIn(h).begin() + at);
    });
    // One of another kind in its place, and in front of it; not all of them.
    for (std::size_t kind = 0; kind < examples_.size(); ++kind) {
      if (examples_[kind].empty() || ++drawn_ % 5 != 0) continue;
      const bool instead = drawn_ % 2 == 0;
      Add("one of kind " + std::to_string(kind) +
              (instead ? " instead" : " before"),
          [this, at, kind, instead](History* h) {
            if (instead) {
              EntriesIn(h)[entry_] = examples_[kind];
            } else {
              EntriesIn(h).insert(EntriesIn(h).begin() + at, examples_[kind]);
            }
          });
    }
    const Entry entry = EntryOf(history_[block_].entries[entry_]);
    if (const auto* step = std::get_if<entry::StepCommitted>(&entry)) {
      ForgeStep(*step);
    } else if (const auto* place = std::get_if<entry::StepScheduled>(&entry)) {
      ForgeTicket(*place);
    }
  }

  void Replace(const std::string& what, const Entry& entry) {
    Add(what,
        [this, &entry](History* h) { EntriesIn(h)[entry_] = BytesOf(entry); });
  }

  void ForgeStep(const entry::StepCommitted& step) {
    entry::StepCommitted other = step;
    other.events.push_back({77, "nobody", "", Bytes("\x01"), {}});
    Replace("an event for a reducer that is not there", other);
    other = step;
    other.events.push_back(
        {0, "k0", "", Bytes("\x01"),
         LogicalTime{std::numeric_limits<std::int64_t>::max()}});
    Replace("a timer at the end of time", other);
    other = step;
    other.effects.push_back(ForgedIntent("mail", "nobody", kMost));
    Replace("an effect without a grant", other);
    other = step;
    other.event_id = EventId{1};
    Replace("the outcome of ticket 1", other);
    other.event_id = EventId{kMost};
    Replace("the outcome of the last ticket there can be", other);
    other = step;
    other.diffs.push_back({Diff::Op::kUpdate,
                           CellRef{0, "k0"},
                           {},
                           Update{Update::Op::kUnion, "x", 0, Bytes("\x01")}});
    Replace("an update that does not fit", other);
  }

  void ForgeTicket(const entry::StepScheduled& place) {
    entry::StepScheduled other = place;
    other.subject.reset();
    other.kind = UnitKind::kControl;
    Replace("a control command that nobody gave", other);
    other = place;
    if (other.subject) other.subject->reducer = 77;
    Replace("a ticket for a reducer that is not there", other);
    other = place;
    other.kind = UnitKind::kReceipt;
    other.cause = Cause{InputId{0}, EventId{1}, 0};
    Replace("an answer to nothing", other);
  }

  // What a control command may not say, in the place of one that was given.
  void ForgeControls() {
    const auto rules = PlacesOf<entry::ConfigChanged>(history_).at(0);
    block_ = rules.block;
    entry_ = rules.entry;
    const auto given = std::get<entry::ConfigChanged>(
        EntryOf(history_[block_].entries[entry_]));
    for (const std::uint64_t number :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, kMost}) {
      entry::ConfigChanged other = given;
      other.scheduling.pipeline_depth = number;
      Replace("a pipeline depth of " + std::to_string(number), other);
      other = given;
      other.scheduling.round_limit = number;
      Replace("a round limit of " + std::to_string(number), other);
      other = given;
      other.scheduling.entity_quantum = number;
      other.scheduling.class_quantum[0] = number;
      other.scheduling.dedupe_horizon = number;
      Replace("quanta of " + std::to_string(number), other);
      other = given;
      other.snapshot_every = number;
      Replace("snapshots every " + std::to_string(number), other);
    }
    const auto genesis =
        std::get<entry::Genesis>(EntryOf(history_[0].entries[0]));
    entry::ModuleChanged modules{given.input, genesis.config.modules,
                                 genesis.config.reducers};
    Replace("the same modules", modules);
    modules.modules.clear();
    Replace("no modules", modules);
    modules.reducers.clear();
    Replace("no reducers", modules);
    modules = {given.input, genesis.config.modules, {"other", "spender"}};
    Replace("reducers in another order", modules);
    modules.reducers = {"spender", "spender"};
    Replace("a reducer twice", modules);
  }

  const History& history_;
  std::vector<Bytes> examples_;  // by kind
  std::size_t block_ = 0;
  std::size_t entry_ = 0;
  std::size_t drawn_ = 0;
  Entry opened_;
  std::vector<Forgery> all_;
};

TEST_CASE(
    "trial 04c: a forged history is refused or is another one, and never "
    "ends the process",
    "[replay]") {
  const History history = SpenderHistory();
  const TemporaryDirectory directory;
  std::uint64_t identical = 0;
  {
    CheckSlice({"as it was", history}, directory.path(), &identical);
    REQUIRE(identical == 1);
  }
  const std::vector<Forgery> forgeries = Forger(history).All();
  CHECK(forgeries.size() > 1000);
  std::size_t count = 0;
  for (const Forgery& forgery : forgeries) {
    CheckSlice(forgery, directory.path(), &identical);
    if (count++ % 60 == 0) CheckWhole(forgery);
  }
  // Those that changed nothing, or an input that nothing depends on.
  CAPTURE(forgeries.size());
  CHECK(identical < forgeries.size() / 50);
}

// A rollback is worked out from genesis on, which a slice does not have.
TEST_CASE("trial 04c: a forged rollback is refused, and never ends the process",
          "[replay]") {
  const History history = SpenderHistory(/*rolls_back=*/true);
  CheckWhole({"as it was", history});
  const std::size_t block = PlacesOf<entry::RolledBack>(history).at(0).block;
  std::size_t count = 0;
  for (const Mutant& mutant : MutantsOf(history)) {
    if (mutant.round != history[block].header.round) continue;
    if (count++ % 3 == 0) CheckWhole({mutant.what, mutant.history});
  }
  CHECK(count > 5);
}

TEST_CASE(
    "trial 04c: a change of rules that no world records ends opening and "
    "replay, not the process",
    "[replay]") {
  const History history = SpenderHistory();
  const Forgery forgery = Changed<entry::ConfigChanged>(
      history, 0, "another depth",
      [](auto* e) { e->scheduling.pipeline_depth = 5; });
  const TemporaryDirectory directory;
  const std::string path = directory / "world";
  WriteWorld(path, Chain(forgery.history));
  const auto report = VerifyForged(path);
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kDamaged);
  const std::string block =
      "block " +
      std::to_string(PlacesOf<entry::ConfigChanged>(history).at(0).block);
  CHECK_THAT(report->problem, Contains(block) && Contains("entry ") &&
                                  Contains("pipeline_depth"));
  WorldOptions options;
  options.path = path;
  options.modules = SpenderModules();
  const auto world = World::Open(std::move(options));
  REQUIRE(absl::IsDataLoss(world.status()));
  CHECK_THAT(
      std::string(world.status().message()),
      Contains("/db: " + block + ", entry ") && Contains("pipeline_depth"));
}

// The six that ended `reenact effects`, `budget` and `policy show`.
std::vector<Forgery> ForgedEffects(const History& history) {
  std::vector<Forgery> all;
  const auto twice = [&](const std::string& what, const EntryPlace& place) {
    Forgery forgery{what, history};
    auto& entries = forgery.history[place.block].entries;
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(place.entry),
                   Bytes(entries[place.entry]));
    all.push_back(std::move(forgery));
  };
  twice("queued twice", PlacesOf<entry::EffectQueued>(history).at(0));
  twice("receipt twice", PlacesOf<entry::ReceiptAppended>(history).at(0));
  all.push_back(
      Changed<entry::EffectQueued>(history, 0, "reserved more", [](auto* e) {
        e->reserved = Amounts{{"calls", 1000}};
      }));
  all.push_back(
      Changed<entry::ReceiptAppended>(history, 0, "usage huge", [](auto* e) {
        e->receipt.usage = Amounts{{"calls", kMost}};
      }));
  all.push_back(
      Changed<entry::GrantChanged>(history, 0, "limit lowered", [](auto* e) {
        e->change.grant.limit = Amounts{{"calls", 11}};
      }));
  all.push_back(Changed<entry::GrantChanged>(
      history, 0, "grant renamed",
      [](auto* e) { e->change.grant.name = "other"; }));
  return all;
}

TEST_CASE(
    "trial 04c: commands that read effects say damage, file, block and "
    "entry of those that cannot have been",
    "[replay]") {
  const History history = SpenderHistory();
  for (const Forgery& forgery : ForgedEffects(history)) {
    CheckWhole(forgery);
    const TemporaryDirectory directory;
    const std::string path = directory / "world";
    WriteWorld(path, Chain(forgery.history));
    const std::vector<std::vector<std::string>> commands = {
        {"effects", path}, {"budget", path}, {"policy", "show", path}};
    for (const auto& command : commands) {
      const tests::CommandResult result = RunReenact(command);
      CAPTURE(forgery.what, command, result.out, result.err);
      CHECK(result.code == 3);
      CHECK_THAT(result.err,
                 Contains(path + "/db: block ") && Contains("entry "));
    }
  }
}

TEST_CASE("trial 04c: a Genesis without modules is damage", "[replay]") {
  const History history = SpenderHistory();
  const auto with = [&](const std::function<void(WorldConfig*)>& change) {
    const Forgery forgery = Changed<entry::Genesis>(
        history, 0, "genesis", [&](auto* e) { change(&e->config); });
    CheckWhole(forgery);
    const TemporaryDirectory directory;
    WriteWorld(directory / "world", Chain(forgery.history));
    const auto report = VerifyForged(directory / "world");
    REQUIRE_OK(report);
    CHECK_THAT(report->problem, Contains("block 0"));
    return report->verdict;
  };
  CHECK(with([](WorldConfig* c) { c->modules.clear(); }) == Verdict::kDamaged);
  CHECK(with([](WorldConfig* c) {
          c->modules.clear();
          c->reducers.clear();
        }) == Verdict::kDamaged);
  CHECK(with([](WorldConfig* c) { c->reducers.push_back("nobody"); }) ==
        Verdict::kDamaged);
  CHECK(with([](WorldConfig* c) { c->limits.fuel_max = 0; }) ==
        Verdict::kDamaged);
}

// --- the record of open work -------------------------------------------------

struct Record {
  SnapshotHeader header;
  Bytes sequencer;
};

Record RecordOf(const std::string& path) {
  RocksDbOptions options;
  options.read_only = true;
  const auto store = OpenRocksDbStore(path + "/db", options);
  REQUIRE_OK(store);
  const auto bytes = (*store)->ReadOpenWork();
  REQUIRE_OK(bytes);
  const auto contents = DecodeOpenWork(*bytes);
  REQUIRE_OK(contents);
  REQUIRE_OK((*store)->Close());
  return {contents->header, contents->sequencer};
}

void PutRecord(const std::string& path, const Record& record) {
  const auto store = OpenRocksDbStore(path + "/db", {});
  REQUIRE_OK(store);
  CommitGroup group;
  group.first_index = (*store)->block_count();
  group.open_work = EncodeOpenWork(record.header, record.sequencer);
  REQUIRE_OK((*store)->Commit(group, true));
  REQUIRE_OK((*store)->Close());
}

// A world whose last word is a snapshot, so that the record is as of its head.
void MakeAtRest(const std::string& path, std::uint64_t format) {
  WorldOptions options;
  options.path = path;
  options.modules = SpenderModules();
  options.config.format_version = format;
  const auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  for (const std::int64_t number : {0, 2, 3}) {
    Input input;
    input.event = {"spender", "k", "", cbor::EncodeInteger(number)};
    REQUIRE_OK((*world)->Submit(std::move(input)));
  }
  REQUIRE_OK((*world)->Run());
  REQUIRE_OK((*world)->RequestSnapshot());
  REQUIRE_OK((*world)->Run());
  REQUIRE_OK((*world)->Close());
}

// The queues with a unit more, that nobody raised.
Bytes WithStranger(const Record& record, const Unit& stranger) {
  const Scheduling& rules = record.header.config.scheduling;
  auto sequencer = Sequencer::Decode(rules, record.sequencer);
  REQUIRE_OK(sequencer);
  Unit* const unit = sequencer->NewUnit();
  *unit = stranger;
  sequencer->Admit(unit, {}, record.header.event_id.Next());
  Bytes encoded;
  sequencer->Encode(&encoded);
  return encoded;
}

Unit Stranger(ReducerId reducer) {
  Unit unit;
  unit.kind = UnitKind::kEvent;
  unit.reducer = reducer;
  unit.key = "k";
  unit.payload = cbor::EncodeInteger(0);
  unit.cause = Cause{InputId{2}, EventId{0}, 0};
  return unit;
}

TEST_CASE(
    "trial 04c: a record of open work that history does not lead to is "
    "damage to verify",
    "[replay]") {
  const std::uint64_t format = GENERATE(as<std::uint64_t>(), 1, 2, 3);
  CAPTURE(format);
  const TemporaryDirectory directory;
  const std::string path = directory / "world";
  MakeAtRest(path, format);
  std::filesystem::remove_all(path + "/snapshots");
  std::filesystem::create_directory(path + "/snapshots");
  const Record honest = RecordOf(path);
  const auto verdict = [&] {
    const auto report = VerifyForged(path);
    REQUIRE_OK(report);
    if (report->verdict == Verdict::kDamaged) {
      CHECK_THAT(report->problem, Contains("db: the record of open work"));
    }
    return report->verdict;
  };
  REQUIRE(verdict() == Verdict::kIdentical);
  const std::vector<std::function<void(Record*)>> forgeries = {
      [](Record* r) { r->sequencer = WithStranger(*r, Stranger(0)); },
      [](Record* r) { r->sequencer = WithStranger(*r, Stranger(9)); },
      [](Record* r) { ++r->header.last_input.value; },
      [](Record* r) { ++r->header.position; },
      [](Record* r) { ++r->header.time.value; },
      [](Record* r) { r->header.round.value += 7; },
      [](Record* r) { r->header.config.seed.bytes[0] ^= 1; },
      [](Record* r) { r->header.ledger = Value(1).Encode(); },
      [](Record* r) { r->sequencer = Value(1).Encode(); },
  };
  for (const auto& forge : forgeries) {
    Record forged = honest;
    forge(&forged);
    PutRecord(path, forged);
    CHECK(verdict() == Verdict::kDamaged);
  }
  PutRecord(path, honest);
  CHECK(verdict() == Verdict::kIdentical);
}

TEST_CASE(
    "trial 04c: a record of open work that no world has is passed over "
    "by opening, with a warning",
    "[replay]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "world";
  MakeAtRest(path, kFormatVersion);
  const Record honest = RecordOf(path);
  const std::vector<std::function<void(Record*)>> forgeries = {
      [](Record* r) { r->sequencer = WithStranger(*r, Stranger(9)); },
      [](Record* r) { r->header.round.value += 7; },
      [](Record* r) { r->header.config.seed.bytes[0] ^= 1; },
      [](Record* r) { r->header.ledger = Value(1).Encode(); },
      [](Record* r) { r->sequencer = Value(1).Encode(); },
  };
  for (const auto& forge : forgeries) {
    Record forged = honest;
    forge(&forged);
    PutRecord(path, forged);
    WorldOptions options;
    options.path = path;
    options.modules = SpenderModules();
    const auto world = World::Open(std::move(options));
    REQUIRE_OK(world);
    REQUIRE((*world)->open_report().warnings.size() == 1);
    CHECK_THAT((*world)->open_report().warnings[0],
               Contains("the record of open work"));
    REQUIRE_OK((*world)->Run());
    REQUIRE_OK((*world)->Close());
  }
}

// --- the rest ----------------------------------------------------------------

TEST_CASE("trial 04c: verify says that it read past a damaged slot of HEAD",
          "[replay]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "world";
  Spender spender(path);
  std::string head = ReadWholeFile(path + "/HEAD");
  const auto findings = ReadHeadFile(path + "/HEAD");
  REQUIRE_OK(findings);
  const std::size_t older =
      findings->newest()->generation % 2 == 0 ? kHeadSlotSize : 0;
  head[older + 20] = static_cast<char>(head[older + 20] ^ 1);
  WriteWholeFile(path + "/HEAD", head);
  const auto report = VerifyForged(path);
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kIdentical);
  REQUIRE(report->notes.size() == 1);
  CHECK_THAT(report->notes[0],
             Contains("HEAD: the slot at byte " + std::to_string(older)));
}

}  // namespace
}  // namespace reenact
