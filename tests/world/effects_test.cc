// What a world does about the outside: intents, receipts, and what they may
// cost. The same history whoever computes it.

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reenact/committer/ledger.h"
#include "reenact/journal/archive.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/answer.h"
#include "reenact/replay/replay.h"
#include "reenact/workers/pool.h"
#include "reenact/world/forward.h"
#include "reenact/world/world.h"
#include "reenact/world/world_internal.h"
#include "sodium.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {
namespace {

using cbor::Value;

Amounts AmountsOf(const Value& map) {
  const Bytes item = map.Encode();
  cbor::Reader reader(item);
  Amounts amounts = Amounts::Decode(reader);
  if (!reader.ok()) throw std::runtime_error("no amounts");
  return amounts;
}

EffectIntent IntentOf(const Value& wish) {
  EffectIntent intent;
  intent.kind = wish.GetText("kind").value();
  if (wish.Find("cap")) intent.capability = wish.GetText("cap").value();
  const Value* params = wish.Find("params");
  intent.params = (params != nullptr ? *params : Value::Map()).Encode();
  if (wish.Find("reserve")) intent.reserve = AmountsOf(*wish.Find("reserve"));
  if (wish.Find("must")) intent.must_pass = true;
  if (wish.Find("scope")) intent.cache_scope = wish.GetText("scope").value();
  if (const Value* retry = wish.Find("retry")) {
    const auto number = [retry](std::string_view name) {
      const auto value = retry->GetInteger(name);
      if (!value.ok()) return std::optional<std::uint64_t>();
      return std::optional<std::uint64_t>(static_cast<std::uint64_t>(*value));
    };
    intent.retry = {number("attempts"), number("first_ms"),
                    number("longest_ms"), number("for_ms")};
  }
  if (wish.Find("id")) intent.identity = wish.GetText("id").value();
  if (wish.Find("deadline")) {
    intent.deadline = LogicalTime{wish.GetInteger("deadline").value()};
  }
  return intent;
}

// Does what its events say, and writes down every answer that it gets.
std::shared_ptr<const Reducer> Agent() {
  return MakeReducer("agent", [](StepContext& step) {
    Value notes = Value::Array();
    if (const auto state = step.state()) notes = Value::Parse(*state).value();
    if (step.event().schema == kAnswerSchema) {
      const EffectAnswer answer = EffectAnswer::Parse(step.payload()).value();
      std::string note =
          answer.kind + " " + std::string(ReceiptStatusName(answer.status));
      if (!answer.reason.empty()) note += ": " + answer.reason;
      if (answer.cached) note += " (cached)";
      if (answer.payload.IsText()) {
        note += " " + std::string(answer.payload.AsText().value());
      }
      notes.Append(note);
    } else {
      const Value event = Value::Parse(step.payload()).value();
      if (const Value* wishes = event.Find("intend")) {
        for (const Value& wish : wishes->items()) step.Intend(IntentOf(wish));
      }
      if (const Value* ask = event.Find("ask")) {
        notes.Append(step.Affords("g", AmountsOf(*ask)) ? "yes" : "no");
      }
      if (event.Find("wake")) {
        step.RaiseAt(LogicalTime{event.GetInteger("wake").value()},
                     {"agent", std::string(step.key()), "",
                      Value::Map({{"woken", true}}).Encode()});
      }
      if (event.Find("woken")) notes.Append("woken");
    }
    step.SetState(notes.Encode());
    return absl::OkStatus();
  });
}

Value Wish(std::string_view kind) {
  return Value::Map({{"kind", kind}, {"params", Value::Map({{"n", 1}})}});
}

Value Costing(std::string_view kind, std::uint64_t calls) {
  Value wish = Wish(kind);
  wish.Set("cap", "g");
  if (calls != 0) wish.Set("reserve", Value::Map({{"calls", calls}}));
  return wish;
}

Input To(std::string key, const Value& payload) {
  Input input;
  input.event = {"agent", std::move(key), "", payload.Encode()};
  return input;
}

Input Intending(std::string key, std::vector<Value> wishes) {
  return To(std::move(key),
            Value::Map({{"intend", Value::Array(std::move(wishes))}}));
}

WorldOptions Options(std::string path = "") {
  WorldOptions options;
  options.path = std::move(path);
  SetIdentity(0, options.config);  // some are compared with each other
  options.modules.push_back(MakeModule("demo", "1", {Agent()}).value());
  return options;
}

// Notes what a world tells it.
class Listener final : public EffectListener {
 public:
  void Open(const OpenEffect& effect) override { opened.push_back(effect); }
  void Closed(const Digest& intent_hash) override {
    closed.push_back(intent_hash);
  }
  void Listed(const Policy::Executors& executors) override {
    lists.push_back(executors);
    opened_before_list = opened.size();
  }

  std::vector<Policy::Executors> lists;
  std::size_t opened_before_list = 0;
  std::vector<OpenEffect> opened;
  std::vector<Digest> closed;
};

std::unique_ptr<World> MustOpen(WorldOptions options) {
  auto world = World::Open(std::move(options));
  REQUIRE_OK(world);
  return *std::move(world);
}

void MustSubmit(World& world, Input input) {
  REQUIRE_OK(world.Submit(std::move(input)));
}

Receipt ReceiptFor(const OpenEffect& effect, std::string_view said = "done") {
  Receipt receipt;
  receipt.intent_hash = effect.intent_hash;
  receipt.payload = Value(said).Encode();
  receipt.executor = "test";
  return receipt;
}

// Sends a receipt, runs the world, and gives what became of it.
absl::Status Send(World& world, Receipt receipt) {
  absl::Status verdict = absl::UnknownError("not told");
  REQUIRE_OK(world.SubmitReceipt(
      std::move(receipt), [&verdict](const absl::Status& s) { verdict = s; }));
  REQUIRE_OK(world.Run());
  return verdict;
}

std::vector<std::string> NotesOf(const World& world, std::string_view key) {
  const auto state = world.Read("agent", key);
  REQUIRE_OK(state);
  std::vector<std::string> notes;
  if (!*state) return notes;
  const Value list = Value::Parse(**state).value();
  for (const Value& note : list.items()) {
    notes.emplace_back(note.AsText().value());
  }
  return notes;
}

using Notes = std::vector<std::string>;

GrantChange Create(std::string name, Amounts limit) {
  GrantChange change;
  change.grant.name = std::move(name);
  change.grant.limit = std::move(limit);
  return change;
}

void MustGrant(World& world, const GrantChange& change) {
  const auto submission = world.ChangeGrant(change);
  REQUIRE_OK(submission);
  REQUIRE_OK(world.Run());
  const auto outcome = submission->WaitDurable();
  REQUIRE_OK(outcome);
  REQUIRE(outcome->failure == std::nullopt);
}

void MustSetPolicy(World& world, const Value& document) {
  const auto submission = world.SetPolicy(document.Encode());
  REQUIRE_OK(submission);
  REQUIRE_OK(world.Run());
}

std::uint64_t FreeOf(const World& world, std::string_view grant) {
  const AuthorityState state = world.Authority();
  REQUIRE_OK(state.grants.CheckConservation());
  const auto it = state.grants.accounts().find(grant);
  REQUIRE(it != state.grants.accounts().end());
  return it->second.free.Of("calls");
}

// --- the way of an effect ----------------------------------------------------

TEST_CASE("an effect is told of, answered once, and its cell hears of it",
          "[effects]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSubmit(*world, Intending("a", {Wish("mail")}));
  REQUIRE_OK(world->Run());

  REQUIRE(listener.opened.size() == 1);
  const OpenEffect& effect = listener.opened[0];
  CHECK(effect.kind == "mail");
  CHECK(effect.origin == CellId{"agent", "a"});
  CHECK(effect.event_id == EventId{1});
  CHECK(effect.idempotency_key ==
        IdempotencyKey(world->config().world_id, "", EventId{1}, 0));
  CHECK(effect.intent_hash ==
        IntentHash("mail", effect.params, "", effect.idempotency_key));
  REQUIRE(world->Effects().size() == 1);
  CHECK(world->Effects()[0].effect == effect);

  CHECK(Send(*world, ReceiptFor(effect)).ok());
  CHECK(NotesOf(*world, "a") == Notes{"mail ok done"});
  CHECK(listener.closed == std::vector<Digest>{effect.intent_hash});
  CHECK(world->Effects().empty());
  CHECK(world->stats().receipts == 1);
}

TEST_CASE(
    "chaos 44: the first receipt counts, the same one again is nothing, "
    "another one is refused and on record",
    "[effects][chaos]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSubmit(*world, Intending("a", {Wish("mail")}));
  REQUIRE_OK(world->Run());
  const OpenEffect effect = listener.opened.at(0);
  CHECK(Send(*world, ReceiptFor(effect)).ok());
  const Digest before = world->journal_digest();

  CHECK(absl::IsAlreadyExists(Send(*world, ReceiptFor(effect))));
  CHECK(world->journal_digest() == before);
  CHECK(world->stats().receipts_duplicate == 1);

  CHECK(absl::IsFailedPrecondition(
      Send(*world, ReceiptFor(effect, "something else"))));
  CHECK(world->journal_digest() != before);
  const Digest after = world->journal_digest();
  // Once is enough.
  CHECK(absl::IsFailedPrecondition(
      Send(*world, ReceiptFor(effect, "something else"))));
  CHECK(world->journal_digest() == after);
  CHECK(world->stats().receipts_refused == 2);
  CHECK(NotesOf(*world, "a") == Notes{"mail ok done"});
}

TEST_CASE("chaos 46: a receipt for an effect that nobody has is refused",
          "[effects][chaos]") {
  auto world = MustOpen(Options());
  OpenEffect nothing;
  nothing.intent_hash = Hash("nothing");
  CHECK(absl::IsNotFound(Send(*world, ReceiptFor(nothing))));
  CHECK(world->head() == EventId{0});
  CHECK(world->stats().receipts_refused == 1);
}

TEST_CASE(
    "chaos 45: what comes after a deadline, a cancellation or its end is "
    "refused and changes nothing",
    "[effects][chaos]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  Value timed = Wish("slow");
  timed.Set("deadline", 4);
  MustSubmit(*world, Intending("late", {timed}));
  MustSubmit(*world, Intending("cancelled", {Wish("mail")}));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 2);
  REQUIRE_OK(world->CancelEffect(listener.opened[1].intent_hash, "ann"));
  REQUIRE_OK(world->Run());
  for (int i = 0; i < 4; ++i) {
    MustSubmit(*world, To("other", Value::Map()));
    REQUIRE_OK(world->Run());
  }
  CHECK(NotesOf(*world, "late") ==
        Notes{"slow timeout: its deadline has passed"});
  CHECK(NotesOf(*world, "cancelled") ==
        Notes{"mail cancelled: cancelled by ann"});
  for (const OpenEffect& effect : listener.opened) {
    CHECK(absl::IsFailedPrecondition(Send(*world, ReceiptFor(effect))));
  }
  CHECK(NotesOf(*world, "late").size() == 1);
  CHECK(NotesOf(*world, "cancelled").size() == 1);
}

TEST_CASE(
    "chaos 47: a receipt that is not signed as the policy wants it is "
    "refused, whatever it says",
    "[effects][chaos]") {
  PublicKey key;
  SecretKey secret;
  REQUIRE(sodium_init() >= 0);
  crypto_sign_keypair(key.data(), secret.data());
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSetPolicy(
      *world,
      Value::Map(
          {{"version", 1},
           {"otherwise", "allow"},
           {"executors",
            Value::Map(
                {{"test",
                  Value::Map({{"key", ToHex(BytesView(
                                          reinterpret_cast<char*>(key.data()),
                                          key.size()))},
                              {"kinds", Value::Array({"mail"})}})}})}}));
  MustSubmit(*world, Intending("a", {Wish("mail"), Wish("other")}));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 2);
  const OpenEffect mail = listener.opened[0];
  const Bytes world_id = world->config().world_id;

  CHECK(absl::IsPermissionDenied(Send(*world, ReceiptFor(mail))));
  Receipt forged = ReceiptFor(mail, "forged");
  SignReceipt(world_id, secret, &forged);
  forged.payload = Value("changed after").Encode();
  CHECK(absl::IsPermissionDenied(Send(*world, forged)));
  Receipt elsewhere = ReceiptFor(mail, "elsewhere");
  SignReceipt(Bytes(16, 'x'), secret, &elsewhere);
  CHECK(absl::IsPermissionDenied(Send(*world, elsewhere)));
  Receipt stranger = ReceiptFor(mail, "stranger");
  stranger.executor = "stranger";
  CHECK(absl::IsPermissionDenied(Send(*world, stranger)));
  Receipt kind = ReceiptFor(listener.opened[1], "of another kind");
  SignReceipt(world_id, secret, &kind);
  CHECK(absl::IsPermissionDenied(Send(*world, kind)));
  CHECK(NotesOf(*world, "a").empty());

  Receipt good = ReceiptFor(mail, "good");
  SignReceipt(world_id, secret, &good);
  CHECK(Send(*world, good).ok());
  CHECK(NotesOf(*world, "a") == Notes{"mail ok good"});
}

TEST_CASE("trial 01: a receipt of one world is none in another made alike",
          "[effects][trial]") {
  const SecretKey secret = SecretKeyOf(SigningSeed{1, 2, 3});
  Receipt receipt;
  for (const bool first : {true, false}) {
    Listener listener;
    WorldOptions options = Options();
    options.config.world_id.clear();
    options.effects = &listener;
    auto world = MustOpen(options);
    MustSubmit(*world, Intending("a", {Wish("mail")}));
    REQUIRE_OK(world->Run());
    REQUIRE(listener.opened.size() == 1);
    if (first) {
      receipt = ReceiptFor(listener.opened[0], "there");
      SignReceipt(world->config().world_id, secret, &receipt);
      CHECK(Send(*world, receipt).ok());
      continue;
    }
    CHECK(listener.opened[0].idempotency_key != Digest());
    CHECK(listener.opened[0].intent_hash != receipt.intent_hash);
    CHECK(absl::IsNotFound(Send(*world, receipt)));
    CHECK(NotesOf(*world, "a").empty());
  }
}

TEST_CASE("a payload is looked at once its signature is right, not before",
          "[effects]") {
  const SecretKey secret = SecretKeyOf(SigningSeed{1, 2, 3});
  const PublicKey key = PublicKeyOf(secret);
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSetPolicy(
      *world,
      Value::Map(
          {{"version", 1},
           {"otherwise", "allow"},
           {"executors",
            Value::Map(
                {{"test", Value::Map({{"key", ToHex(BytesView(
                                                  reinterpret_cast<const char*>(
                                                      key.data()),
                                                  key.size()))}})}})}}));
  MustSubmit(*world, Intending("a", {Wish("mail")}));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 1);
  const Bytes world_id = world->config().world_id;
  // A payload that ends too early, one with something behind it, and one that
  // is not the shortest way to say what it says.
  const Bytes malformed = GENERATE(Bytes("\x82\x01", 2), Bytes("\x01\x01", 2),
                                   Bytes("\x18\x01", 2));
  Receipt receipt = ReceiptFor(listener.opened[0]);
  receipt.payload = malformed;

  const WorldStats before = world->stats();
  CHECK(absl::IsPermissionDenied(Send(*world, receipt)));
  receipt.signature = Bytes(Receipt::kSignatureBytes, '\0');
  CHECK(absl::IsPermissionDenied(Send(*world, receipt)));
  SignReceipt(world_id, secret, &receipt);
  CHECK(absl::IsInvalidArgument(Send(*world, receipt)));
  // Each is refused, and changed nothing.
  CHECK(world->stats().receipts_refused == before.receipts_refused + 3);
  CHECK(NotesOf(*world, "a").empty());
  Receipt good = ReceiptFor(listener.opened[0], "good");
  SignReceipt(world_id, secret, &good);
  CHECK(Send(*world, good).ok());
  CHECK(NotesOf(*world, "a") == Notes{"mail ok good"});
}

TEST_CASE("an answer cannot be forged as an event", "[effects]") {
  auto world = MustOpen(Options());
  Input input = To("a", Value::Map());
  input.event.schema = kAnswerSchema;
  CHECK(absl::IsInvalidArgument(world->Submit(input).status()));
}

TEST_CASE("a world of format 1 records intents and does nothing about them",
          "[effects]") {
  Listener listener;
  WorldOptions options = Options();
  options.config.format_version = 1;
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSubmit(*world, Intending("a", {Wish("mail")}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.empty());
  CHECK(world->Effects().empty());
  CHECK(absl::IsFailedPrecondition(
      world->ChangeGrant(Create("g", {{"calls", 1}})).status()));
  CHECK(absl::IsFailedPrecondition(
      world->SubmitReceipt(ReceiptFor(OpenEffect()), nullptr)));
}

// --- authority ---------------------------------------------------------------

TEST_CASE("what is reserved is settled by the receipt, and the rest is free",
          "[effects]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustGrant(*world, Create("g", {{"calls", 10}}));
  MustSubmit(*world, Intending("a", {Costing("mail", 4)}));
  REQUIRE_OK(world->Run());
  CHECK(FreeOf(*world, "g") == 6);
  Receipt receipt = ReceiptFor(listener.opened.at(0));
  receipt.usage = {{"calls", 3}};
  CHECK(Send(*world, receipt).ok());
  CHECK(FreeOf(*world, "g") == 7);
  const AuthorityState state = world->Authority();
  CHECK(state.grants.accounts().at("g").spent.Of("calls") == 3);
  CHECK(state.grants.accounts().at("g").reserved.Of("calls") == 0);
}

TEST_CASE(
    "an intent that nothing permits comes back as denied, or fails its "
    "step if it must pass",
    "[effects]") {
  auto world = MustOpen(Options());
  MustGrant(*world, Create("g", {{"calls", 1}}));
  Value unknown = Wish("mail");
  unknown.Set("cap", "nobody");
  MustSubmit(*world, Intending("a", {unknown, Costing("mail", 2)}));
  REQUIRE_OK(world->Run());
  const Notes notes = NotesOf(*world, "a");
  REQUIRE(notes.size() == 2);
  CHECK(notes[0].substr(0, 12) == "mail denied:");
  CHECK(notes[1].substr(0, 12) == "mail denied:");
  CHECK(FreeOf(*world, "g") == 1);

  Value must = Costing("mail", 1);
  must.Set("must", true);
  const auto submission =
      world->Submit(Intending("b", {Costing("mail", 1), must}));
  REQUIRE_OK(submission);
  REQUIRE_OK(world->Run());
  CHECK(submission->WaitDurable()->failure == FailureCode::kRefusedByGate);
  CHECK(NotesOf(*world, "b").empty());
  CHECK(FreeOf(*world, "g") == 1);
  CHECK(world->Effects().empty());
}

TEST_CASE("a policy that asks holds an effect until somebody says a word",
          "[effects]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustGrant(*world, Create("g", {{"calls", 10}}));
  MustSetPolicy(
      *world,
      Value::Map({{"version", 1},
                  {"rules",
                   Value::Array({Value::Map(
                       {{"name", "dear"}, {"kind", "pay"}, {"then", "ask"}})})},
                  {"otherwise", "allow"}}));
  MustSubmit(*world, Intending("a", {Costing("pay", 2), Costing("pay", 3)}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.empty());
  CHECK(FreeOf(*world, "g") == 5);
  const std::vector<EffectState> held = world->Effects();
  REQUIRE(held.size() == 2);
  CHECK(held[0].held);
  CHECK(held[0].rule == "dear");
  // Nobody was asked to do it yet.
  CHECK(absl::IsFailedPrecondition(Send(*world, ReceiptFor(held[0].effect))));

  REQUIRE_OK(world->Approve(held[0].effect.intent_hash, "ann", ""));
  REQUIRE_OK(world->Reject(held[1].effect.intent_hash, "bob", "too dear"));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 1);
  CHECK(listener.opened[0].intent_hash == held[0].effect.intent_hash);
  CHECK(NotesOf(*world, "a") ==
        Notes{"pay denied: not approved by bob: too dear"});
  CHECK(FreeOf(*world, "g") == 8);
  CHECK(Send(*world, ReceiptFor(held[0].effect, "paid")).ok());
  CHECK(NotesOf(*world, "a").back() == "pay ok paid");

  const auto twice = world->Approve(held[0].effect.intent_hash, "ann", "");
  REQUIRE_OK(twice);
  REQUIRE_OK(world->Run());
  CHECK(twice->WaitDurable()->failure == FailureCode{5});  // NotFound
}

// A policy that asks about payments, and what else it says.
Value Asking(Value rules, std::string_view otherwise = "allow") {
  rules.Append(
      Value::Map({{"name", "dear"}, {"kind", "pay"}, {"then", "ask"}}));
  return Value::Map(
      {{"version", 1}, {"rules", std::move(rules)}, {"otherwise", otherwise}});
}

GrantChange Revoke(std::string name) {
  GrantChange change;
  change.op = GrantChange::Op::kRevoke;
  change.grant.name = std::move(name);
  return change;
}

// What becomes of an approval of the only effect that is held.
std::optional<FailureCode> Approved(World& world) {
  const auto word =
      world.Approve(world.Effects().at(0).effect.intent_hash, "ann", "");
  REQUIRE_OK(word);
  REQUIRE_OK(world.Run());
  return word->WaitDurable()->failure;
}

constexpr FailureCode kDeniedByThen{7};  // PermissionDenied

TEST_CASE(
    "trial 10: an approval does not let out what the policy denies by "
    "then; it stays held",
    "[effects]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustGrant(*world, Create("g", {{"calls", 10}}));
  MustSetPolicy(*world, Asking(Value::Array()));
  MustSubmit(*world, Intending("a", {Costing("pay", 2)}));
  REQUIRE_OK(world->Run());
  REQUIRE(world->Effects().at(0).held);

  MustSetPolicy(*world, Value::Map({{"version", 1}, {"otherwise", "deny"}}));
  CHECK(Approved(*world) == kDeniedByThen);
  CHECK(listener.opened.empty());
  REQUIRE(world->Effects().size() == 1);
  CHECK(world->Effects()[0].held);
  CHECK(FreeOf(*world, "g") == 8);

  // A rule for what it says, reducer and amount included.
  MustSetPolicy(
      *world,
      Asking(Value::Array({Value::Map({{"name", "no"},
                                       {"reducer", "agent"},
                                       {"reserve", Value::Map({{"calls", 2}})},
                                       {"then", "deny"}})})));
  CHECK(Approved(*world) == kDeniedByThen);

  // That it would be asked about is what the approval answers, and its token of
  // a rate was taken when it was held.
  MustSetPolicy(*world,
                Asking(Value::Array({Value::Map(
                    {{"name", "slow"},
                     {"rate", Value::Map({{"count", 1}, {"per", 1000}})}})})));
  CHECK(Approved(*world) == std::nullopt);
  REQUIRE(listener.opened.size() == 1);
  CHECK(Send(*world, ReceiptFor(listener.opened[0], "paid")).ok());
}

TEST_CASE(
    "trial 10: an approval does not let out what its grant, or one above "
    "it, permits no more",
    "[effects]") {
  const int change = GENERATE(0, 1, 2, 3);
  auto world = MustOpen(Options());
  MustGrant(*world, Create("top", {{"calls", 20}}));
  GrantChange split = Create("g", {{"calls", 10}});
  split.grant.parent = "top";
  MustGrant(*world, split);
  MustSetPolicy(*world, Asking(Value::Array()));
  MustSubmit(*world, Intending("a", {Costing("pay", 2)}));
  REQUIRE_OK(world->Run());
  GrantChange amend = Create(change == 2 ? "top" : "g", {});
  amend.op = GrantChange::Op::kAmend;
  if (change == 2) amend.grant.kinds = {"mail"};
  if (change == 3) amend.grant.expires = LogicalTime{0};
  MustGrant(*world, change == 0   ? Revoke("g")
                    : change == 1 ? Revoke("top")
                                  : amend);
  CHECK(Approved(*world) == kDeniedByThen);
  REQUIRE(world->Effects().size() == 1);
  CHECK(world->Effects()[0].held);

  // It can still be rejected, and what it reserved is given back.
  REQUIRE_OK(world->Reject(world->Effects()[0].effect.intent_hash, "bob", ""));
  REQUIRE_OK(world->Run());
  CHECK(world->Effects().empty());
  CHECK(NotesOf(*world, "a") == Notes{"pay denied: not approved by bob"});
  REQUIRE_OK(world->Authority().grants.CheckConservation());
}

TEST_CASE("trial 10: in a world of format 2 an approval counts as it did",
          "[effects]") {
  Listener listener;
  WorldOptions options = Options();
  options.config.format_version = 2;
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSetPolicy(*world, Asking(Value::Array()));
  MustSubmit(*world, Intending("a", {Wish("pay")}));
  REQUIRE_OK(world->Run());
  MustSetPolicy(*world, Value::Map({{"version", 1}, {"otherwise", "deny"}}));
  CHECK(Approved(*world) == std::nullopt);
  CHECK(listener.opened.size() == 1);
}

TEST_CASE(
    "trial 09: a world tells whose receipts count, at its opening and at "
    "each change",
    "[effects]") {
  const TemporaryDirectory directory;
  const auto listing = [](const Value& executors) {
    return Value::Map(
        {{"version", 1}, {"otherwise", "allow"}, {"executors", executors}});
  };
  const Value ci = Value::Map({{"ci", Value::Map({{"kinds", "mail"}})}});
  {
    Listener listener;
    WorldOptions options = Options(directory / "w");
    options.effects = &listener;
    auto world = MustOpen(options);
    CHECK(listener.lists.empty());
    MustSubmit(*world, Intending("a", {Wish("mail")}));
    MustSetPolicy(*world, listing(ci));
    MustSubmit(*world, Intending("a", {Wish("mail")}));
    REQUIRE_OK(world->Run());
    REQUIRE(listener.lists.size() == 1);
    CHECK(listener.lists[0].at("ci").kinds == std::vector<std::string>{"mail"});
    CHECK(listener.opened_before_list == 1);
    CHECK(listener.opened.size() == 2);
    // Another policy, the same executors.
    Value other = listing(ci);
    other.Set("otherwise", "ask");
    MustSetPolicy(*world, other);
    CHECK(listener.lists.size() == 1);
    MustSetPolicy(*world, listing(Value::Map()));
    REQUIRE(listener.lists.size() == 2);
    CHECK(listener.lists[1].empty());
    MustSetPolicy(*world, listing(ci));
    REQUIRE_OK(world->Close());
  }
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  auto world = MustOpen(options);
  REQUIRE(listener.lists.size() == 1);
  CHECK(listener.lists[0].contains("ci"));
  CHECK(listener.opened_before_list == 0);
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 2);
}

TEST_CASE("an answer is had again from the cache as long as it lives",
          "[effects]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSetPolicy(
      *world,
      Value::Map({{"version", 1},
                  {"otherwise", "allow"},
                  {"cache", Value::Map({{"ask", Value::Map({{"ttl", 6}})}})}}));
  Value ask = Wish("ask");
  ask.Set("scope", "s");
  MustSubmit(*world, Intending("a", {ask}));
  REQUIRE_OK(world->Run());
  CHECK(Send(*world, ReceiptFor(listener.opened.at(0), "42")).ok());
  MustSubmit(*world, Intending("b", {ask}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 1);
  CHECK(NotesOf(*world, "b") == Notes{"ask ok (cached) 42"});
  Value elsewhere = ask;
  elsewhere.Set("scope", "t");
  MustSubmit(*world, Intending("c", {elsewhere}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 2);
  for (int i = 0; i < 8; ++i) {
    MustSubmit(*world, To("other", Value::Map()));
    REQUIRE_OK(world->Run());
  }
  MustSubmit(*world, Intending("d", {ask}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 3);
}

// --- one answer for several --------------------------------------------------

Value Cached(std::string_view kind, std::int64_t ttl, std::int64_t count = 0) {
  Value policy =
      Value::Map({{"version", 1},
                  {"otherwise", "allow"},
                  {"cache", Value::Map({{kind, Value::Map({{"ttl", ttl}})}})}});
  if (count != 0) policy.Set("cache_count", count);
  return policy;
}

Value Scoped(std::string_view kind, std::int64_t n = 1) {
  return Value::Map(
      {{"kind", kind}, {"params", Value::Map({{"n", n}})}, {"scope", "s"}});
}

Value Identified(std::string_view id, std::int64_t n = 1) {
  return Value::Map(
      {{"kind", "pay"}, {"params", Value::Map({{"n", n}})}, {"id", id}});
}

void CheckReplays(const WorldOptions& options, std::size_t workers = 0) {
  VerifyOptions verify;
  verify.path = options.path;
  verify.modules = options.modules;
  verify.workers = workers;
  const auto report = Verify(verify);
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kIdentical);
}

Receipt Ending(const OpenEffect& effect, ReceiptStatus status) {
  Receipt receipt = ReceiptFor(effect, ReceiptStatusName(status));
  receipt.status = status;
  return receipt;
}

TEST_CASE("trial 14: an answer of any size is had again from the cache",
          "[effects][trial]") {
  const std::size_t size = GENERATE(100, 4000, 4200, 10'000, 16'000, 300'000);
  CAPTURE(size);
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  const std::string large(size, 'x');
  {
    auto world = MustOpen(options);
    MustSetPolicy(*world, Cached("ask", 1000));
    MustSubmit(*world, Intending("a", {Scoped("ask")}));
    REQUIRE_OK(world->Run());
    CHECK(Send(*world, ReceiptFor(listener.opened.at(0), large)).ok());
    REQUIRE_OK(world->Close());
  }
  auto world = MustOpen(options);  // what is cached is in the ledger
  MustSubmit(*world, Intending("b", {Scoped("ask")}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 1);
  CHECK(NotesOf(*world, "b") == Notes{"ask ok (cached) " + large});
}

TEST_CASE("trial 14: identical intents make one request, and all are answered",
          "[effects][trial]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustGrant(*world, Create("g", {{"calls", 10}}));
  MustSetPolicy(*world, Cached("ask", 1000));
  Value ask = Scoped("ask");
  ask.Set("cap", "g");
  ask.Set("reserve", Value::Map({{"calls", 2}}));
  MustSubmit(*world, Intending("a", {ask, ask}));
  MustSubmit(*world, Intending("b", {ask}));
  REQUIRE_OK(world->Run());
  MustSubmit(*world, Intending("c", {ask}));  // while it is under way
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 1);
  CHECK(FreeOf(*world, "g") == 2);
  Receipt receipt = ReceiptFor(listener.opened[0], "42");
  receipt.usage = {{"calls", 1}};
  CHECK(Send(*world, receipt).ok());
  CHECK(NotesOf(*world, "a") == Notes{"ask ok 42", "ask ok (cached) 42"});
  CHECK(NotesOf(*world, "b") == Notes{"ask ok (cached) 42"});
  CHECK(NotesOf(*world, "c") == Notes{"ask ok (cached) 42"});
  CHECK(FreeOf(*world, "g") == 9);
  CHECK(world->Effects().empty());
}

TEST_CASE("trial 14: the policy says how many answers are kept",
          "[effects][trial]") {
  const std::int64_t count = GENERATE(0, 3, 400);
  CAPTURE(count);
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSetPolicy(*world, Cached("ask", 100'000, count));
  for (std::int64_t n = 0; n < 300; ++n) {
    MustSubmit(*world, Intending("a", {Scoped("ask", n)}));
    REQUIRE_OK(world->Run());
    REQUIRE_OK(
        world->SubmitReceipt(ReceiptFor(listener.opened.back()), nullptr));
    REQUIRE_OK(world->Run());
  }
  REQUIRE(listener.opened.size() == 300);
  const std::int64_t kept =
      count == 0 ? 256 : std::min<std::int64_t>(count, 300);
  for (std::int64_t n = 300 - kept; n < 300; ++n) {
    MustSubmit(*world, Intending("b", {Scoped("ask", n)}));
  }
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 300);
  if (kept == 300) return;
  MustSubmit(*world, Intending("b", {Scoped("ask", 299 - kept)}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 301);
}

TEST_CASE(
    "trial 02: what is not answered ok goes out again under the same key, "
    "and an answer is had again",
    "[effects][trial]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  const auto ask = [&](const std::string& cell) {
    MustSubmit(*world, Intending(cell, {Identified("order 17")}));
    REQUIRE_OK(world->Run());
  };
  ask("a");
  std::size_t asked = 0;
  for (const ReceiptStatus status :
       {ReceiptStatus::kTimeout, ReceiptStatus::kError,
        ReceiptStatus::kCancelled, ReceiptStatus::kDenied}) {
    REQUIRE(listener.opened.size() == ++asked);
    CHECK(Send(*world, Ending(listener.opened.back(), status)).ok());
    ask("a");
  }
  // Its cell's word, and time's.
  MustSubmit(
      *world,
      Intending("a", {Value::Map({{"kind", "effect.cancel"},
                                  {"params", Value::Map({{"all", true}})}})}));
  REQUIRE_OK(world->Run());
  Value soon = Identified("order 17");
  soon.Set("deadline", 100);
  MustSubmit(*world, Intending("a", {soon}));
  REQUIRE_OK(world->Run());
  for (int i = 0; i < 100; ++i) {
    MustSubmit(*world, To("clock", Value::Map()));
    REQUIRE_OK(world->Run());
  }
  CHECK(NotesOf(*world, "a").back() == "pay timeout: its deadline has passed");
  ask("a");
  REQUIRE(listener.opened.size() == asked + 3);
  // What comes late for another asking is none for this one.
  CHECK_FALSE(Send(*world, ReceiptFor(listener.opened[0])).ok());
  CHECK(Send(*world, ReceiptFor(listener.opened.back(), "paid")).ok());
  ask("b");
  CHECK(listener.opened.size() == asked + 3);
  CHECK(NotesOf(*world, "b") == Notes{"pay ok (cached) paid"});
  std::set<Digest> keys, hashes;
  for (const OpenEffect& effect : listener.opened) {
    keys.insert(effect.idempotency_key);
    hashes.insert(effect.intent_hash);
  }
  CHECK(keys ==
        std::set<Digest>{IdentityKey(world->config().world_id, "order 17")});
  CHECK(hashes.size() == listener.opened.size());
}

TEST_CASE("trial 02: whoever asks while it is under way gets that answer",
          "[effects][trial]") {
  const ReceiptStatus status = GENERATE(
      ReceiptStatus::kOk, ReceiptStatus::kError, ReceiptStatus::kTimeout);
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  {
    auto world = MustOpen(options);
    MustSubmit(*world, Intending("a", {Identified("order 17")}));
    MustSubmit(*world, Intending("b", {Identified("order 17")}));
    REQUIRE_OK(world->Run());
    CHECK(world->Effects().size() == 2);
    REQUIRE_OK(world->Close());
  }
  listener.opened.clear();
  auto world = MustOpen(options);
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 1);
  const std::string said(ReceiptStatusName(status));
  CHECK(Send(*world, Ending(listener.opened[0], status)).ok());
  CHECK(NotesOf(*world, "a") == Notes{"pay " + said + " " + said});
  CHECK(NotesOf(*world, "b") == Notes{"pay " + said + " (cached) " + said});
  CHECK(world->Effects().empty());
}

TEST_CASE(
    "trial 14: two receipts of one round that each end several effects are "
    "replayed",
    "[effects][trial]") {
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  auto world = MustOpen(options);
  for (const auto* key : {"a", "b"}) {
    MustSubmit(*world, Intending(key, {Identified("one"), Identified("two")}));
  }
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 2);
  for (const OpenEffect& effect : listener.opened) {
    REQUIRE_OK(
        world->SubmitReceipt(Ending(effect, ReceiptStatus::kOk), nullptr));
  }
  REQUIRE_OK(world->Run());
  CHECK(world->Effects().empty());
  REQUIRE_OK(world->Close());
  CheckReplays(options);
}

TEST_CASE(
    "trial 02: when the one under way is given up, the next goes out for "
    "it",
    "[effects][trial]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  for (const char* cell : {"a", "b", "c"}) {
    MustSubmit(*world, Intending(cell, {Identified("order 17")}));
    REQUIRE_OK(world->Run());
  }
  REQUIRE(listener.opened.size() == 1);
  const std::vector<EffectState> open = world->Effects();
  // What nobody was asked to do cannot be answered.
  CHECK_FALSE(Send(*world, ReceiptFor(open[1].effect)).ok());
  // A step that gives up its own and asks again waits for who comes next.
  MustSubmit(
      *world,
      Intending("a", {Value::Map({{"kind", "effect.cancel"},
                                  {"params", Value::Map({{"all", true}})}}),
                      Identified("order 17"), Identified("order 17")}));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 2);
  CHECK(listener.opened[1].intent_hash == open[1].effect.intent_hash);
  CHECK(listener.opened[1].idempotency_key ==
        listener.opened[0].idempotency_key);
  CHECK(Send(*world, ReceiptFor(listener.opened[1], "paid")).ok());
  CHECK(NotesOf(*world, "a") == Notes{"pay cancelled: its cell cancelled it",
                                      "pay ok (cached) paid",
                                      "pay ok (cached) paid"});
  CHECK(NotesOf(*world, "b") == Notes{"pay ok paid"});
  CHECK(NotesOf(*world, "c") == Notes{"pay ok (cached) paid"});
}

TEST_CASE(
    "trial 02: an identity is of one kind, one set of parameters and one "
    "capability",
    "[effects][trial]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  const auto refused = [&](std::string cell) {
    MustSubmit(*world, Intending(cell, {Identified("order 17", 2)}));
    REQUIRE_OK(world->Run());
    const Notes notes = NotesOf(*world, cell);
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].rfind("pay denied: identity: ", 0) == 0);
  };
  MustSubmit(*world, Intending("a", {Identified("order 17")}));
  REQUIRE_OK(world->Run());
  refused("b");
  CHECK(Send(*world, Ending(listener.opened[0], ReceiptStatus::kTimeout)).ok());
  refused("c");
  MustSubmit(*world, Intending("a", {Identified("order 17")}));
  REQUIRE_OK(world->Run());
  CHECK(Send(*world, ReceiptFor(listener.opened[1])).ok());
  refused("d");
  MustSubmit(*world, Intending("e", {Identified("order 18", 2),
                                     Identified("order 18", 3)}));
  REQUIRE_OK(world->Run());
  CHECK(NotesOf(*world, "e").size() == 1);
  CHECK(listener.opened.size() == 3);
}

TEST_CASE("trial 02: what is approved gets what others of its identity have",
          "[effects][trial]") {
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  auto world = MustOpen(options);
  MustSetPolicy(
      *world,
      Value::Map(
          {{"version", 1},
           {"rules", Value::Array({Value::Map(
                         {{"name", "r"}, {"key", "held*"}, {"then", "ask"}})})},
           {"otherwise", "allow"}}));
  MustSubmit(*world, Intending("held 1", {Identified("order 17")}));
  MustSubmit(*world, Intending("held 2", {Identified("order 17")}));
  MustSubmit(*world, Intending("held 3", {Identified("order 17", 2)}));
  REQUIRE_OK(world->Run());
  const std::vector<EffectState> held = world->Effects();
  REQUIRE(held.size() == 3);
  // One that is held is nothing that others wait for.
  MustSubmit(*world, Intending("free", {Identified("order 17")}));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 1);
  const auto approve = [&](std::string_view key) {
    for (const EffectState& state : held) {
      if (state.effect.origin.key != key) continue;
      REQUIRE_OK(world->Approve(state.effect.intent_hash, "ann", ""));
    }
    REQUIRE_OK(world->Run());
  };
  approve("held 1");
  CHECK(Send(*world, ReceiptFor(listener.opened[0], "paid")).ok());
  approve("held 2");
  approve("held 3");
  CHECK(listener.opened.size() == 1);
  CHECK(NotesOf(*world, "held 1") == Notes{"pay ok (cached) paid"});
  CHECK(NotesOf(*world, "held 2") == Notes{"pay ok (cached) paid"});
  REQUIRE(NotesOf(*world, "held 3").size() == 1);
  CHECK(NotesOf(*world, "held 3")[0].rfind("pay denied: identity: ", 0) == 0);
  CHECK(world->Effects().empty());
  // What was denied has not become what the identity is of.
  MustSubmit(*world, Intending("late", {Identified("order 17")}));
  MustSubmit(*world, Intending("later", {Identified("order 17", 2)}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 1);
  CHECK(NotesOf(*world, "late") == Notes{"pay ok (cached) paid"});
  REQUIRE(NotesOf(*world, "later").size() == 1);
  CHECK(NotesOf(*world, "later")[0].rfind("pay denied: identity: ", 0) == 0);
}

TEST_CASE(
    "trial 02: a world of an older format has no identities, and shares "
    "nothing",
    "[effects][trial]") {
  Listener listener;
  WorldOptions options = Options();
  options.config.format_version = 2;
  options.effects = &listener;
  auto world = MustOpen(options);
  const auto submission =
      world->Submit(Intending("a", {Identified("order 17")}));
  REQUIRE_OK(submission);
  REQUIRE_OK(world->Run());
  CHECK(submission->WaitDurable()->failure == FailureCode::kInvalidOutput);
  MustSetPolicy(*world, Cached("ask", 1000));
  MustSubmit(*world, Intending("a", {Scoped("ask"), Scoped("ask")}));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 2);
  const auto policy = world->SetPolicy(Cached("ask", 1000, 5).Encode());
  REQUIRE_OK(policy);
  REQUIRE_OK(world->Run());
  CHECK(policy->WaitDurable()->failure == FailureCode{3});  // InvalidArgument
}

// --- timers and cancelling ---------------------------------------------------

TEST_CASE("a timer is an effect that time answers, and can be cancelled",
          "[effects]") {
  auto world = MustOpen(Options());
  Value timer =
      Value::Map({{"kind", "timer"}, {"params", Value::Map({{"after", 40}})}});
  Value never =
      Value::Map({{"kind", "timer"}, {"params", Value::Map({{"at", 1000}})}});
  Value broken =
      Value::Map({{"kind", "timer"}, {"params", Value::Map({{"when", 3}})}});
  MustSubmit(*world, Intending("b", {broken}));
  MustSubmit(*world, To("b", Value::Map({{"wake", 2000}})));
  MustSubmit(*world, Intending("b", {never}));
  MustSubmit(
      *world,
      Intending("b", {Value::Map({{"kind", "effect.cancel"},
                                  {"params", Value::Map({{"all", true}})}})}));
  MustSubmit(*world, Intending("a", {timer}));
  REQUIRE_OK(world->Run());
  CHECK(NotesOf(*world, "a") == Notes{"timer ok"});
  const Notes b = NotesOf(*world, "b");
  REQUIRE(b.size() >= 2);
  CHECK(b[0] ==
        "timer denied: timer: a timer has one parameter, \"at\" or "
        "\"after\"");
  CHECK(b[1] == "timer cancelled: its cell cancelled it");
  CHECK(world->Effects().empty());
}

TEST_CASE(
    "everything that a cell has open is cancelled at once, its timers "
    "too",
    "[effects]") {
  WorldOptions options = Options();
  std::int64_t now = 1;
  options.config.clock = ClockKind::kWall;
  options.wall_clock = [&now] { return LogicalTime{now}; };
  auto world = MustOpen(options);
  MustGrant(*world, Create("g", {{"calls", 9}}));
  MustSubmit(*world, To("a", Value::Map({{"wake", 50}})));
  MustSubmit(*world, To("b", Value::Map({{"wake", 50}})));
  MustSubmit(*world, Intending("a", {Costing("mail", 2), Costing("mail", 3)}));
  REQUIRE_OK(world->Run());
  CHECK(FreeOf(*world, "g") == 4);
  REQUIRE_OK(world->CancelEffectsOf("agent", "a", "ann"));
  REQUIRE_OK(world->Run());
  CHECK(FreeOf(*world, "g") == 9);
  now = 60;
  for (int i = 0; i < 3; ++i) {
    MustSubmit(*world, To("c", Value::Map()));
    REQUIRE_OK(world->Run());
  }
  CHECK(NotesOf(*world, "a") == Notes{"mail cancelled: cancelled by ann",
                                      "mail cancelled: cancelled by ann"});
  CHECK(NotesOf(*world, "b") == Notes{"woken"});
}

TEST_CASE(
    "chaos 50: a clock that jumps, stands still or runs backward moves "
    "logical time forward only",
    "[effects][chaos]") {
  constexpr std::int64_t kHour = 3'600'000'000;
  constexpr std::int64_t kIn2038 = 2'147'483'648'000'000;
  std::int64_t now = kIn2038 - kHour;
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w");
  options.config.clock = ClockKind::kWall;
  options.wall_clock = [&now] { return LogicalTime{now}; };
  auto world = MustOpen(options);
  Value timed = Wish("slow");
  timed.Set("deadline", kIn2038 + 10 * kHour);
  MustSubmit(*world, Intending("a", {timed}));
  REQUIRE_OK(world->Run());
  const auto look = [&world, &now](std::int64_t jump) {
    now += jump;
    MustSubmit(*world, To("b", Value::Map()));
    REQUIRE_OK(world->Run());
    return NotesOf(*world, "a").size();
  };
  // An hour back, an hour ahead, nothing, to 1970, and to 2100.
  CHECK(look(-kHour) == 0);
  CHECK(look(2 * kHour) == 0);
  CHECK(look(0) == 0);
  const std::int64_t before = now;
  CHECK(look(-now) == 0);
  CHECK(look(before + 9 * kHour) == 0);
  CHECK(look(kHour) == 1);
  CHECK(look(-30 * kHour) == 1);
  CHECK(look(1'956'528'000'000'000) == 1);
  REQUIRE_OK(world->Close());

  const auto archive = Archive::Open(directory / "w");
  REQUIRE_OK(archive);
  std::optional<LogicalTime> last;
  REQUIRE_OK((*archive)->ScanEntries(
      0, [&last](const BlockHeader&, const Entry& entry, BytesView) {
        if (const auto* round = std::get_if<entry::RoundOpened>(&entry)) {
          CHECK((!last || *last <= round->time));
          last = round->time;
        }
        return absl::OkStatus();
      }));
  CheckReplays(options);
}

// --- how often it is tried ---------------------------------------------------

Value Trying(Value rule) {
  Value wish = Wish("mail");
  wish.Set("retry", std::move(rule));
  return wish;
}

TEST_CASE("trial 13: the gate decides which retry rule applies, and records it",
          "[effects]") {
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  const RetryRule both{3, 200, std::nullopt, 5000};
  const RetryRule of_policy{7, 200, std::nullopt, std::nullopt};
  {
    auto world = MustOpen(options);
    MustSetPolicy(
        *world,
        Value::Map(
            {{"version", 1},
             {"otherwise", "allow"},
             {"retry",
              Value::Map({{"mail", Value::Map({{"attempts", 7},
                                               {"first_ms", 200}})}})}}));
    MustSubmit(
        *world,
        Intending("a", {Trying(Value::Map({{"attempts", 3}, {"for_ms", 5000}})),
                        Wish("mail"), Wish("fax")}));
    REQUIRE_OK(world->Run());
    // What applies is what applied when it was intended.
    MustSetPolicy(*world, Value::Map({{"version", 1}, {"otherwise", "allow"}}));
    REQUIRE(listener.opened.size() == 3);
    CHECK(listener.opened[0].retry == both);
    CHECK(listener.opened[1].retry == of_policy);
    CHECK(listener.opened[2].retry.empty());
    REQUIRE_OK(world->RequestSnapshot());
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Close());
  }
  std::vector<OpenEffect> before = std::exchange(listener.opened, {});
  for (OpenEffect& effect : before) effect.begun = true;
  {
    auto world = MustOpen(options);
    REQUIRE_OK(world->Run());
    CHECK(listener.opened == before);
    REQUIRE_OK(world->Close());
  }
  CheckReplays(options);
  const auto archive = Archive::Open(directory / "w");
  REQUIRE_OK(archive);
  std::vector<RetryRule> recorded;
  REQUIRE_OK((*archive)->ScanEntries(
      0, [&recorded](const BlockHeader&, const Entry& entry, BytesView) {
        if (const auto* queued = std::get_if<entry::EffectQueued>(&entry)) {
          recorded.push_back(queued->retry);
        }
        return absl::OkStatus();
      }));
  CHECK(recorded == std::vector<RetryRule>{both, of_policy, {}});
}

TEST_CASE("trial 13: a rule that makes no sense fails its step", "[effects]") {
  auto world = MustOpen(Options());
  const Value rule = GENERATE(
      Value::Map({{"attempts", 0}}), Value::Map({{"attempts", 1'000'001}}),
      Value::Map({{"for_ms", 0}}), Value::Map({{"first_ms", INT64_MAX}}));
  MustSubmit(*world, Intending("a", {Trying(rule)}));
  REQUIRE_OK(world->Run());
  const std::vector<std::pair<FailureCode, std::uint64_t>> failures{
      {FailureCode::kInvalidOutput, 1}};
  CHECK(world->stats().failures == failures);
}

TEST_CASE("trial 13: a world of format 2 has no retry rules", "[effects]") {
  WorldOptions options = Options();
  options.config.format_version = 2;
  auto world = MustOpen(options);
  MustSubmit(*world, Intending("a", {Trying(Value::Map({{"attempts", 2}}))}));
  const auto policy = world->SetPolicy(
      Value::Map(
          {{"version", 1},
           {"retry", Value::Map({{"mail", Value::Map({{"attempts", 2}})}})}})
          .Encode());
  REQUIRE_OK(policy);
  REQUIRE_OK(world->Run());
  CHECK(world->Effects().empty());
  CHECK(world->stats().failed == 2);
}

// --- deadlines that are behind -----------------------------------------------

Value WishUntil(std::string_view kind, std::int64_t deadline) {
  Value wish = Wish(kind);
  wish.Set("deadline", deadline);
  return wish;
}

constexpr const char* kTooLate = "slow timeout: its deadline has passed";

TEST_CASE(
    "trial 12: what is too late when it is intended is answered at once, "
    "and nobody is asked",
    "[effects]") {
  const auto clock =
      GENERATE(ClockKind::kRounds, ClockKind::kInput, ClockKind::kWall);
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  options.config.clock = clock;
  options.wall_clock = [] { return LogicalTime{7}; };
  auto world = MustOpen(options);
  MustGrant(*world, Create("g", {{"calls", 10}}));
  for (int round = 0; round < 7; ++round) {
    Input input = To("other", Value::Map());
    input.time = LogicalTime{7};
    MustSubmit(*world, input);
    REQUIRE_OK(world->Run());
  }
  Value paid = Costing("slow", 3);
  paid.Set("deadline", 6);
  MustSubmit(*world, Intending("a", {WishUntil("slow", 7), paid,
                                     WishUntil("slow", 1000)}));
  REQUIRE_OK(world->Run());
  CHECK(NotesOf(*world, "a") == Notes{kTooLate, kTooLate});
  REQUIRE(listener.opened.size() == 1);
  CHECK(listener.opened[0].deadline == LogicalTime{1000});
  CHECK(FreeOf(*world, "g") == 10);
  REQUIRE_OK(world->Close());
  CheckReplays(options);
}

TEST_CASE(
    "trial 12: after downtime what has expired is closed first, and only "
    "the rest is offered",
    "[effects]") {
  const auto clock = GENERATE(ClockKind::kInput, ClockKind::kWall);
  TemporaryDirectory directory;
  std::int64_t now = 10;
  WorldOptions options = Options(directory / "w");
  options.config.clock = clock;
  options.wall_clock = [&now] { return LogicalTime{now}; };
  const auto say = [&now](std::string key, std::vector<Value> wishes) {
    Input input = Intending(std::move(key), std::move(wishes));
    input.time = LogicalTime{now};
    return input;
  };
  {
    auto world = MustOpen(options);
    std::vector<Value> wishes;
    for (const int until : {20, 30, 40, 50, 60}) {
      wishes.push_back(WishUntil("slow", until));
    }
    MustSubmit(*world, say("a", wishes));
    REQUIRE_OK(world->Run());
    REQUIRE(world->Effects().size() == 5);
    REQUIRE_OK(world->Close());
  }
  now = 50;
  Listener listener;
  options.effects = &listener;
  auto world = MustOpen(options);
  CHECK(listener.opened.empty());
  // A clock that is moved by inputs tells with the first one how late it is.
  if (clock == ClockKind::kInput) MustSubmit(*world, say("other", {}));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 1);
  CHECK(listener.opened[0].deadline == LogicalTime{60});
  CHECK(NotesOf(*world, "a") == Notes(4, kTooLate));
  CHECK(Send(*world, ReceiptFor(listener.opened[0])).ok());
  REQUIRE_OK(world->Close());
  CheckReplays(options);
}

TEST_CASE("trial 12: an approval lets nothing out that is too late",
          "[effects]") {
  TemporaryDirectory directory;
  std::int64_t now = 10;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  options.config.clock = ClockKind::kWall;
  options.wall_clock = [&now] { return LogicalTime{now}; };
  auto world = MustOpen(options);
  MustSetPolicy(*world, Value::Map({{"version", 1}, {"otherwise", "ask"}}));
  MustSubmit(*world, Intending("a", {WishUntil("slow", 20)}));
  REQUIRE_OK(world->Run());
  const std::vector<EffectState> held = world->Effects();
  REQUIRE(held.size() == 1);
  now = 20;
  // Before any round has looked at the time.
  REQUIRE_OK(world->Approve(held[0].effect.intent_hash, "ann", ""));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.empty());
  CHECK(NotesOf(*world, "a") == Notes{kTooLate});
  REQUIRE_OK(world->Close());
  CheckReplays(options);
}

TEST_CASE(
    "trial 12: who waited for another goes out in its place only if it is "
    "not too late",
    "[effects]") {
  TemporaryDirectory directory;
  std::int64_t now = 10;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  options.config.clock = ClockKind::kWall;
  options.wall_clock = [&now] { return LogicalTime{now}; };
  auto world = MustOpen(options);
  Value first = Wish("slow");
  first.Set("id", "charge");
  Value second = WishUntil("slow", 20);
  second.Set("id", "charge");
  MustSubmit(*world, Intending("a", {first}));
  MustSubmit(*world, Intending("b", {second}));
  REQUIRE_OK(world->Run());
  REQUIRE(listener.opened.size() == 1);
  now = 20;
  REQUIRE_OK(world->CancelEffect(listener.opened[0].intent_hash, "ann"));
  REQUIRE_OK(world->Run());
  CHECK(listener.opened.size() == 1);
  CHECK(NotesOf(*world, "b") == Notes{kTooLate});
  REQUIRE_OK(world->Close());
  CheckReplays(options);
}

TEST_CASE("trial 12: a world says how long it is until a deadline",
          "[effects]") {
  using std::chrono::microseconds;
  std::int64_t now = 10;
  WorldOptions options = Options();
  options.wall_clock = [&now] { return LogicalTime{now}; };
  SECTION("by the machine's clock") {
    options.config.clock = ClockKind::kWall;
    auto world = MustOpen(options);
    CHECK(world->TimeUntil(LogicalTime{25}) == microseconds(15));
    CHECK(world->TimeUntil(LogicalTime{10}) == microseconds(0));
    CHECK(world->TimeUntil(LogicalTime{INT64_MIN}) == microseconds(0));
    now = -10;
    CHECK(world->TimeUntil(LogicalTime{INT64_MAX}) == microseconds::max());
  }
  SECTION("or only whether it has come") {
    options.config.clock = ClockKind::kInput;
    auto world = MustOpen(options);
    CHECK(world->TimeUntil(LogicalTime{1}) == microseconds::max());
    Input input = To("a", Value::Map());
    input.time = LogicalTime{30};
    MustSubmit(*world, input);
    REQUIRE_OK(world->Run());
    CHECK(world->TimeUntil(LogicalTime{30}) == microseconds(0));
    CHECK(world->TimeUntil(LogicalTime{31}) == microseconds::max());
  }
}

TEST_CASE(
    "a round that only records what was refused keeps out of the next "
    "one's tickets",
    "[effects]") {
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w");
  auto world = MustOpen(options);
  for (int i = 0; i < 60; ++i) {
    Receipt stray;
    stray.intent_hash = Hash(Bytes(1, static_cast<char>(i)));
    CHECK(absl::IsNotFound(Send(*world, stray)));
    MustSubmit(*world, To("a", Value::Map()));
    REQUIRE_OK(world->Run());
  }
  REQUIRE_OK(world->Close());
  for (const std::size_t workers : {0, 1, 2}) CheckReplays(options, workers);
}

TEST_CASE("a world whose last word was a rejection opens again", "[effects]") {
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  {
    auto world = MustOpen(options);
    MustSetPolicy(*world, Value::Map({{"version", 1}, {"otherwise", "ask"}}));
    MustSubmit(*world, Intending("a", {Wish("mail")}));
    REQUIRE_OK(world->Run());
    REQUIRE(world->Effects().size() == 1);
    REQUIRE_OK(world->Reject(world->Effects()[0].effect.intent_hash, "b", ""));
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Close());
  }
  auto world = MustOpen(options);
  CHECK(NotesOf(*world, "a") == Notes{"mail denied: not approved by b"});
}

// --- the same history, whoever computes it -----------------------------------

struct History {
  std::vector<Bytes> blocks;
  Checkpoint place;
  StateMap states;
};

using Scenario = std::function<void(World&, Listener&)>;

History Play(const Scenario& scenario, std::unique_ptr<Pool> pool) {
  const std::shared_ptr<Store> store = NewMemoryStore();
  Listener listener;
  WorldOptions options = Options();
  options.effects = &listener;
  WorldInternals internals;
  internals.store = std::make_unique<SharedStore>(store);
  internals.never_inline = pool->workers() > 0;
  internals.pool = std::move(pool);
  const auto world = OpenWorld(options, std::move(internals));
  REQUIRE_OK(world);
  scenario(**world, listener);
  REQUIRE_OK((*world)->Run());
  History history;
  const auto place = dynamic_cast<CheckpointSource&>(**world).Place();
  REQUIRE_OK(place);
  history.place = *place;
  REQUIRE_OK((*world)->Close());
  history.blocks = BlocksOf(*store);
  history.states = StatesOf(*store);
  return history;
}

void CheckReplayOf(const Scenario& scenario) {
  TemporaryDirectory directory;
  Listener listener;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  {
    auto world = MustOpen(options);
    scenario(*world, listener);
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Close());
  }
  CheckReplays(options);
}

void CheckSame(const History& reference, const History& other) {
  CHECK(FirstDifference(reference.blocks, other.blocks) == "");
  CHECK(reference.place.ledger == other.place.ledger);
  CHECK(reference.place.sequencer == other.place.sequencer);
  CHECK(reference.states == other.states);
}

void CheckWhoever(const Scenario& scenario) {
  const History reference = Play(scenario, NewInlinePool());
  for (const std::size_t workers : {1, 2, 8}) {
    INFO(workers << " workers");
    CheckSame(reference, Play(scenario, NewThreadPool(workers)));
  }
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    INFO("schedule " << seed);
    CheckSame(reference, Play(scenario, NewShuffledPool(seed)));
  }
  // Applying what was recorded comes to the same place.
  auto store = NewMemoryStore();
  CommitGroup group;
  group.blocks = reference.blocks;
  REQUIRE_OK(store->Commit(group, false));
  REQUIRE_OK(store->ClearCells());
  const auto genesis = DecodeBlock(reference.blocks.front());
  REQUIRE_OK(genesis);
  Checkpoint place;
  const auto entry = DecodeEntry(genesis->entries);
  REQUIRE_OK(entry);
  place.config = std::get<entry::Genesis>(*entry).config;
  place.block_count = 1;
  place.block_hash = genesis->hash;
  REQUIRE_OK(FastForward(store.get(), reference.blocks.size(), &place));
  CHECK(place.ledger == reference.place.ledger);
  CHECK(place.sequencer == reference.place.sequencer);
  CHECK(StatesOf(*store) == reference.states);
  CheckReplayOf(scenario);
}

TEST_CASE("chaos 35: whoever has the lowest ticket gets the last of a budget",
          "[effects][chaos]") {
  constexpr std::uint64_t kLimit = 5;
  for (const std::uint64_t cost :
       {std::uint64_t{0}, std::uint64_t{1}, kLimit, kLimit + 1,
        std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    INFO("cost " << cost);
    const Scenario race = [cost](World& world, Listener& listener) {
      MustGrant(world, Create("g", {{"calls", kLimit}}));
      for (int i = 0; i < 40; ++i) {
        MustSubmit(world, Intending("c" + std::to_string(i % 13),
                                    {Costing("mail", cost)}));
      }
      REQUIRE_OK(world.Run());
      const std::size_t winners = cost == 0       ? 40
                                  : cost > kLimit ? 0
                                                  : kLimit / cost;
      REQUIRE(listener.opened.size() == winners);
      std::uint64_t ticket = 0;
      for (const OpenEffect& effect : listener.opened) {
        REQUIRE(effect.event_id.value > ticket);
        ticket = effect.event_id.value;
      }
      // One ticket was the grant's; no loser has a lower one.
      if (winners != 0) CHECK(ticket == winners + 1);
    };
    CheckWhoever(race);
  }
}

TEST_CASE(
    "chaos 36, 37: the first ticket after a change of grants or policy "
    "obeys it, and none before",
    "[effects][chaos]") {
  const Scenario changes = [](World& world, Listener& listener) {
    MustGrant(world, Create("g", {{"calls", 30}}));
    const auto wave = [&world](int from) {
      for (int i = 0; i < 20; ++i) {
        MustSubmit(world, Intending("c" + std::to_string((from + i) % 7),
                                    {Costing("mail", 1)}));
      }
    };
    wave(0);
    GrantChange take;
    take.op = GrantChange::Op::kTake;
    take.grant.name = "g";
    take.grant.limit = {{"calls", 5}};
    REQUIRE_OK(world.ChangeGrant(take));
    wave(1);
    REQUIRE_OK(world.SetPolicy(
        Value::Map({{"version", 1},
                    {"rules", Value::Array({Value::Map({{"name", "no"},
                                                        {"kind", "mail"},
                                                        {"key", "c3"},
                                                        {"then", "deny"}})})},
                    {"otherwise", "allow"}})
            .Encode()));
    GrantChange add = take;
    add.op = GrantChange::Op::kAdd;
    add.grant.limit = {{"calls", 100}};
    REQUIRE_OK(world.ChangeGrant(add));
    wave(2);
    GrantChange revoke;
    revoke.op = GrantChange::Op::kRevoke;
    revoke.grant.name = "g";
    REQUIRE_OK(world.ChangeGrant(revoke));
    wave(3);
    REQUIRE_OK(world.Run());
    // 20, then 5 of 20, then 20 without those of c3, then none.
    std::map<std::uint64_t, int> by_wave;
    for (const OpenEffect& effect : listener.opened) {
      ++by_wave[effect.event_id.value <= 21   ? 0
                : effect.event_id.value <= 42 ? 1
                                              : 2];
    }
    CHECK(by_wave[0] == 20);
    CHECK(by_wave[1] == 5);
    CHECK(by_wave[2] == 17);
  };
  CheckWhoever(changes);
}

TEST_CASE("steps that ask for what is left are told what is so at their ticket",
          "[effects]") {
  const Scenario asking = [](World& world, Listener&) {
    MustGrant(world, Create("g", {{"calls", 10}}));
    for (int i = 0; i < 30; ++i) {
      const std::string key = "c" + std::to_string(i);
      MustSubmit(
          world,
          To(key,
             Value::Map({{"ask", Value::Map({{"calls", 3}})},
                         {"intend", Value::Array({Costing("mail", 1)})}})));
    }
    REQUIRE_OK(world.Run());
    for (int i = 0; i < 30; ++i) {
      const Notes notes = NotesOf(world, "c" + std::to_string(i));
      REQUIRE(!notes.empty());
      CHECK(notes[0] == (10 - i >= 3 ? "yes" : "no"));
    }
  };
  CheckWhoever(asking);
}

TEST_CASE("trial 02: answers that are shared give one history",
          "[effects][trial]") {
  const std::uint64_t seed = GENERATE(1, 2);
  CAPTURE(seed);
  CheckWhoever([seed](World& world, Listener& listener) {
    std::uint64_t state = seed;
    const auto below = [&state](std::uint64_t n) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      return (state >> 33) % n;
    };
    MustGrant(world, Create("g", {{"calls", 400}}));
    Value policy = Cached("ask", 30, 2);
    policy.Set("rules", Value::Array({Value::Map({{"name", "r"},
                                                  {"key", "c1"},
                                                  {"kind", "pay"},
                                                  {"then", "ask"}})}));
    MustSetPolicy(world, policy);
    std::size_t seen = 0;
    for (int wave = 0; wave < 20; ++wave) {
      for (int i = 0; i < 8; ++i) {
        const auto n = static_cast<std::int64_t>(below(3));
        Value wish = below(3) == 0
                         ? Scoped("ask", n)
                         : Identified("order " + std::to_string(below(12)),
                                      below(20) == 0 ? 2 : 1);
        if (below(2) == 0) {
          wish.Set("cap", "g");
          wish.Set("id", "dear " + std::to_string(below(12)));
          wish.Set("reserve", Value::Map({{"calls", 1}}));
        }
        if (below(5) == 0) wish.Set("deadline", wave * 9 + 30);
        std::vector<Value> wishes{wish};
        if (below(4) == 0) wishes.push_back(wish);
        if (below(6) == 0) {
          wishes.insert(wishes.begin() + static_cast<long>(below(2)),
                        Value::Map({{"kind", "effect.cancel"},
                                    {"params", Value::Map({{"all", true}})}}));
        }
        MustSubmit(world, Intending("c" + std::to_string(below(5)),
                                    std::move(wishes)));
      }
      for (; seen < listener.opened.size(); ++seen) {
        if (below(3) == 0) continue;
        REQUIRE_OK(world.SubmitReceipt(
            Ending(listener.opened[seen],
                   static_cast<ReceiptStatus>(below(2) == 0 ? 0 : below(3))),
            nullptr));
      }
      for (const EffectState& each : world.Effects()) {
        if (!each.held || below(3) != 0) continue;
        REQUIRE_OK(below(3) == 0
                       ? world.Reject(each.effect.intent_hash, "ann", "")
                       : world.Approve(each.effect.intent_hash, "ann", ""));
      }
      REQUIRE_OK(world.Run());
      REQUIRE_OK(world.Authority().grants.CheckConservation());
      // Of one identity one at most is with executors.
      std::set<Digest> out;
      for (const EffectState& each : world.Effects()) {
        if (each.held || each.joined || each.effect.kind != "pay") continue;
        CHECK(out.insert(each.effect.idempotency_key).second);
      }
    }
  });
}

TEST_CASE(
    "receipts, deadlines, approvals and cancellations among each other "
    "give one history",
    "[effects]") {
  const Scenario all = [](World& world, Listener& listener) {
    MustGrant(world, Create("g", {{"calls", 1000}}));
    REQUIRE_OK(world.SetPolicy(
        Value::Map(
            {{"version", 1},
             {"rules",
              Value::Array(
                  {Value::Map(
                       {{"name", "dear"}, {"kind", "pay"}, {"then", "ask"}}),
                   Value::Map(
                       {{"name", "slow"},
                        {"kind", "rare"},
                        {"rate", Value::Map({{"count", 3}, {"per", 10}})}})})},
             {"otherwise", "allow"},
             {"cache", Value::Map({{"mail", Value::Map({{"ttl", 20}})}})}})
            .Encode()));
    Dice dice(7);
    std::size_t seen = 0;
    for (int wave = 0; wave < 12; ++wave) {
      for (int i = 0; i < 25; ++i) {
        const std::string key = "c" + std::to_string(dice.Below(9));
        const std::string_view kind = std::array<std::string_view, 4>{
            "mail", "pay", "rare", "slow"}[dice.Below(4)];
        Value wish = Costing(kind, 1 + dice.Below(3));
        if (kind == "slow") wish.Set("deadline", wave * 3 + 4);
        if (dice.Below(3) == 0) wish.Set("scope", "s");
        std::vector<Value> wishes{wish};
        if (dice.Below(6) == 0) {
          wishes.push_back(
              Value::Map({{"kind", "effect.cancel"},
                          {"params", Value::Map({{"all", true}})}}));
        }
        if (dice.Below(5) == 0) {
          wishes.push_back(Value::Map(
              {{"kind", "timer"},
               {"params",
                Value::Map({{"after", static_cast<int>(dice.Below(9))}})}}));
        }
        MustSubmit(world, Intending(key, std::move(wishes)));
      }
      for (; seen < listener.opened.size(); ++seen) {
        if (dice.Below(3) == 0) continue;
        Receipt receipt = ReceiptFor(listener.opened[seen]);
        receipt.usage = {{"calls", dice.Below(5)}};
        if (dice.Below(4) == 0) receipt.status = ReceiptStatus::kError;
        REQUIRE_OK(world.SubmitReceipt(receipt, nullptr));
        if (dice.Below(4) == 0) {
          receipt.payload = Value("again").Encode();
          REQUIRE_OK(world.SubmitReceipt(receipt, nullptr));
        }
      }
      int words = 0;
      for (const EffectState& state : world.Effects()) {
        if (state.held && ++words % 3 != 0) {
          REQUIRE_OK(words % 2 == 0
                         ? world.Approve(state.effect.intent_hash, "a", "")
                         : world.Reject(state.effect.intent_hash, "b", ""));
        } else if (!state.held && dice.Below(12) == 0) {
          REQUIRE_OK(world.CancelEffect(state.effect.intent_hash, "c"));
        }
      }
      REQUIRE_OK(world.Run());
      REQUIRE_OK(world.Authority().grants.CheckConservation());
    }
  };
  CheckWhoever(all);
}

TEST_CASE(
    "trial 10: approvals among changes of grants and policy give one "
    "history, and replay to it",
    "[effects]") {
  CheckWhoever([](World& world, Listener&) {
    MustGrant(world, Create("g", {{"calls", 1000}}));
    Dice dice(10);
    for (int wave = 0; wave < 12; ++wave) {
      const bool denies = dice.Below(2) == 0;
      const Value rule = Value::Map({{"name", "no"},
                                     {"key", "c" + std::to_string(wave % 3)},
                                     {"then", "deny"}});
      REQUIRE_OK(world.SetPolicy(
          Asking(denies ? Value::Array({rule}) : Value::Array()).Encode()));
      for (int i = 0; i < 4; ++i) {
        const std::string key = "c" + std::to_string(dice.Below(3));
        MustSubmit(world, Intending(key, {Costing("pay", 1)}));
      }
      for (const EffectState& state : world.Effects()) {
        if (dice.Below(3) == 0) continue;
        REQUIRE_OK(world.Approve(state.effect.intent_hash, "a", ""));
      }
      REQUIRE_OK(world.Run());
    }
    REQUIRE_OK(world.ChangeGrant(Revoke("g")));
    for (const EffectState& state : world.Effects()) {
      REQUIRE_OK(world.Approve(state.effect.intent_hash, "a", ""));
    }
    REQUIRE_OK(world.Run());
    REQUIRE_OK(world.Authority().grants.CheckConservation());
    CHECK(world.stats().failed > 5);
  });
}

// --- invariants --------------------------------------------------------------

// Adds its payload to its cell, wherever that leads.
class Account final : public Reducer {
 public:
  explicit Account(OnBreak on_break) : on_break_(on_break) {}

  std::string_view name() const override { return "account"; }
  absl::Status Step(StepContext& step) const override {
    const auto pay = [&step](std::string_view key, std::int64_t amount) {
      const auto state = step.Read("account", key);
      const std::int64_t now = state ? BalanceOf(key, *state) : 0;
      step.Write("account", key, cbor::EncodeInteger(now + amount));
    };
    const Value event = Value::Parse(step.payload()).value();
    pay(step.key(), event.GetInteger("pay").value());
    if (event.Find("to")) {
      pay(event.GetText("to").value(), -event.GetInteger("pay").value());
    }
    return absl::OkStatus();
  }
  std::vector<Invariant> invariants() const override {
    return {{"no debts",
             [](std::string_view key, std::optional<BytesView> state) {
               return !state || BalanceOf(key, *state) >= 0;
             },
             on_break_}};
  }
  std::vector<Aggregate> aggregates() const override {
    return {{"money", BalanceOf, 0, 100, OnBreak::kFail}};
  }

 private:
  static std::int64_t BalanceOf(std::string_view, BytesView state) {
    return cbor::DecodeInteger(state).value();
  }

  const OnBreak on_break_;
};

Input Pay(std::string key, std::int64_t amount, std::string_view to = "") {
  Value payload = Value::Map({{"pay", amount}});
  if (!to.empty()) payload.Set("to", to);
  Input input;
  input.event = {"account", std::move(key), "", payload.Encode()};
  return input;
}

TEST_CASE(
    "chaos 38: a commit that would break an invariant fails with its "
    "name, and nothing has changed",
    "[effects][chaos]") {
  TemporaryDirectory directory;
  const auto fails_with = [](World& world, Input input) {
    const auto submission = world.Submit(std::move(input));
    REQUIRE_OK(submission);
    REQUIRE_OK(world.Run());
    return submission->WaitDurable()->failure.value_or(FailureCode{});
  };
  WorldOptions options;
  options.path = directory / "w";
  options.workers = 2;
  options.modules.push_back(
      MakeModule("bank", "1", {std::make_shared<Account>(OnBreak::kFail)})
          .value());
  for (int opening = 0; opening < 2; ++opening) {
    auto world = MustOpen(options);
    if (opening == 0) CHECK(fails_with(*world, Pay("a", 60)) == FailureCode{});
    // 60 in all: with a at first, half of it with b in the end.
    const std::int64_t with_b = opening == 0 ? 0 : 30;
    CHECK(fails_with(*world, Pay("b", -with_b - 1)) == FailureCode::kInvariant);
    CHECK(fails_with(*world, Pay("b", 41)) == FailureCode::kInvariant);
    CHECK(fails_with(*world, Pay("b", 61 - with_b, "a")) ==
          FailureCode::kInvariant);
    // What one cell gets from another leaves the sum as it is.
    CHECK(fails_with(*world, Pay("b", 30 - with_b, "a")) == FailureCode{});
    REQUIRE_OK(world->Close());
  }
  const auto archive = Archive::Open(directory / "w");
  REQUIRE_OK(archive);
  std::vector<std::string> names;
  REQUIRE_OK((*archive)->ScanEntries(
      0, [&names](const BlockHeader&, const Entry& entry, BytesView) {
        if (const auto* failed = std::get_if<entry::StepFailed>(&entry)) {
          names.push_back(failed->detail);
        }
        return absl::OkStatus();
      }));
  CHECK(names == Notes{"no debts", "money", "no debts", "no debts", "money",
                       "no debts"});
  CheckReplays(options);
}

TEST_CASE(
    "an invariant that halts stops the world before the commit, at every "
    "opening",
    "[effects]") {
  TemporaryDirectory directory;
  WorldOptions options;
  options.path = directory / "w";
  options.modules.push_back(
      MakeModule("bank", "1", {std::make_shared<Account>(OnBreak::kHalt)})
          .value());
  EventId head;
  {
    auto world = MustOpen(options);
    MustSubmit(*world, Pay("a", 60));
    REQUIRE_OK(world->Run());
    head = world->durable();
    MustSubmit(*world, Pay("a", -61));
    const absl::Status halted = world->Run();
    CHECK(absl::IsFailedPrecondition(halted));
    CHECK(std::string(halted.message()).find("no debts") != std::string::npos);
  }
  auto world = MustOpen(options);
  CHECK(world->head() == head);
  REQUIRE_OK(world->Close());
}

// --- on disk -----------------------------------------------------------------

TEST_CASE("a listener's lock may be held by who asks the world something",
          "[effects]") {
  class Locked final : public EffectListener {
   public:
    void Open(const OpenEffect&) override {
      const std::lock_guard<std::mutex> lock(mutex);
      ++opened;
    }
    void Closed(const Digest&) override {}
    std::mutex mutex;
    std::uint64_t opened = 0;
  };
  Locked listener;
  TemporaryDirectory directory;
  WorldOptions options = Options(directory / "w");
  options.effects = &listener;
  options.workers = 2;
  auto world = MustOpen(options);
  REQUIRE_OK(world->Start());
  std::atomic<bool> stop{false};
  std::thread curious([&] {
    while (!stop) {
      const std::lock_guard<std::mutex> lock(listener.mutex);
      world->stats();
      world->Effects();
      world->Authority();
    }
  });
  std::vector<Submission> submissions;
  for (int i = 0; i < 200; ++i) {
    auto submission =
        world->Submit(Intending("c" + std::to_string(i % 10), {Wish("mail")}));
    if (submission.ok()) submissions.push_back(*std::move(submission));
  }
  for (const Submission& submission : submissions) {
    submission.WaitDurable().IgnoreError();
  }
  stop = true;
  curious.join();
  CHECK(submissions.size() == 200);
  REQUIRE_OK(world->Stop());
  REQUIRE_OK(world->Close());
  CHECK(listener.opened == 200);
}

TEST_CASE(
    "what was open is offered again, as often as the world is opened, and "
    "the history verifies",
    "[effects]") {
  TemporaryDirectory directory;
  const std::string path = directory / "w";
  std::vector<OpenEffect> open;
  {
    Listener listener;
    WorldOptions options = Options(path);
    options.effects = &listener;
    auto world = MustOpen(options);
    MustGrant(*world, Create("g", {{"calls", 10}}));
    MustSubmit(*world,
               Intending("a", {Costing("mail", 1), Costing("mail", 2)}));
    MustSubmit(*world, Intending("b", {Wish("timer")}));
    REQUIRE_OK(world->Run());
    open = listener.opened;
    REQUIRE(open.size() == 2);
    REQUIRE_OK(world->Close());
  }
  // Whether somebody has begun them, nobody knows from now on.
  for (OpenEffect& effect : open) {
    CHECK_FALSE(std::exchange(effect.begun, true));
  }
  for (int round = 0; round < 2; ++round) {
    Listener listener;
    WorldOptions options = Options(path);
    options.effects = &listener;
    auto world = MustOpen(options);
    REQUIRE_OK(world->Run());
    CHECK(listener.opened == open);
    CHECK(FreeOf(*world, "g") == 7);
    REQUIRE_OK(world->RequestSnapshot());
    REQUIRE_OK(world->Run());
    REQUIRE_OK(world->Close());
  }
  {
    Listener listener;
    WorldOptions options = Options(path);
    options.effects = &listener;
    auto world = MustOpen(options);
    CHECK(Send(*world, ReceiptFor(open[1])).ok());
    REQUIRE_OK(world->Close());
  }
  {
    Listener listener;
    WorldOptions options = Options(path);
    options.effects = &listener;
    auto world = MustOpen(options);
    REQUIRE_OK(world->Run());
    CHECK(listener.opened == std::vector<OpenEffect>{open[0]});
    CHECK(NotesOf(*world, "a") == Notes{"mail ok done"});
    REQUIRE_OK(world->Close());
  }
  VerifyOptions verify;
  verify.path = path;
  verify.modules = Options().modules;
  for (const bool from_snapshot : {false, true}) {
    verify.from_snapshot = from_snapshot;
    const auto report = Verify(verify);
    REQUIRE_OK(report);
    INFO(report->problem);
    CHECK(report->verdict == Verdict::kIdentical);
  }
}

TEST_CASE("a world that runs by itself takes receipts as they come",
          "[effects]") {
  TemporaryDirectory directory;
  // Answers from a thread of the world's, which is what it must not do in
  // earnest but to put something in line.
  class Echo final : public EffectListener {
   public:
    void Open(const OpenEffect& effect) override {
      // Catch2 is for the test's own thread.
      if (!world->SubmitReceipt(ReceiptFor(effect), nullptr).ok()) ++refused;
    }
    void Closed(const Digest&) override { ++closed; }
    World* world = nullptr;
    std::atomic<int> closed{0};
    std::atomic<int> refused{0};
  };
  Echo echo;
  WorldOptions options = Options(directory / "w");
  options.workers = 2;
  options.effects = &echo;
  auto world = MustOpen(options);
  echo.world = world.get();
  REQUIRE_OK(world->Start());
  std::vector<Submission> submissions;
  for (int i = 0; i < 200; ++i) {
    auto submission =
        world->Submit(Intending("c" + std::to_string(i % 10), {Wish("mail")}));
    REQUIRE_OK(submission);
    submissions.push_back(*std::move(submission));
  }
  for (const Submission& submission : submissions) {
    REQUIRE_OK(submission.WaitDurable());
  }
  while (echo.closed < 200 && echo.refused == 0) std::this_thread::yield();
  REQUIRE(echo.refused == 0);
  REQUIRE_OK(world->Stop());
  CHECK(world->Effects().empty());
  CHECK(NotesOf(*world, "c3").size() == 20);
  REQUIRE_OK(world->Close());
  VerifyOptions verify;
  verify.path = directory / "w";
  verify.modules = Options().modules;
  const auto report = Verify(verify);
  REQUIRE_OK(report);
  CHECK(report->verdict == Verdict::kIdentical);
}

}  // namespace
}  // namespace reenact
