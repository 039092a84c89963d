#include "reenact/journal/entry.h"

#include <catch2/catch.hpp>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "reenact/journal/plain_entries.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/journal/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

Bytes Encoded(const Entry& entry) {
  Bytes out;
  EncodeEntry(entry, &out);
  return out;
}

// Stored through the parts that the hot path uses.
Bytes EncodedInParts(const entry::StepCommitted& step) {
  Bytes out;
  EncodeStepCommittedHead(step.event_id, step.lane_id, step.diffs.size(),
                          step.events.size(), step.effects.size(), &out);
  BeginGroup(StepGroup::kDiffs, step.diffs.size(), &out);
  for (const Diff& diff : step.diffs) {
    const CellRef cell = diff.cell.value_or(CellRef{12345, "not looked at"});
    const bool own = !diff.cell.has_value();
    switch (diff.op) {
      case Diff::Op::kPut:
        EncodePut(own, cell.reducer, cell.key, diff.state, &out);
        break;
      case Diff::Op::kDelete:
        EncodeDelete(own, cell.reducer, cell.key, &out);
        break;
      case Diff::Op::kUpdate:
        EncodeUpdate(own, cell.reducer, cell.key, diff.update, &out);
        break;
    }
  }
  BeginGroup(StepGroup::kEvents, step.events.size(), &out);
  for (const RaisedEvent& event : step.events) EncodeRaised(event, &out);
  BeginGroup(StepGroup::kEffects, step.effects.size(), &out);
  for (const EffectIntent& effect : step.effects) EncodeEffect(effect, &out);
  return out;
}

// Random entries from one seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  Entry Any() {
    switch (Below(20)) {
      case 0:
        return entry::RoundOpened{Round{Big()}, Time(), EventId{Big()},
                                  Below(5000), MaybeSource()};
      case 1:
        return Input();
      case 2:
        return Scheduled();
      case 3:
        return entry::StepFailed{EventId{Big()}, Lane(),
                                 static_cast<FailureCode>(1 + Below(100)),
                                 Maybe(Text())};
      case 4:
        return entry::SnapshotTaken{Round{Big()}, EventId{Big()}};
      case 5:
        return entry::ConfigChanged{InputId{Big()}, Scheduling(), Below(3)};
      case 6:
        return entry::SnapshotRequested{InputId{Big()}};
      case 7:
        return Queued();
      case 8:
        return entry::ReceiptAppended{InputId{Big()}, AnyReceipt()};
      case 9:
        return Granted();
      case 10:
        return entry::PolicyChanged{InputId{Big()}, Item()};
      case 11:
        return entry::ReceiptRefused{InputId{Big()}, Maybe(AnyDigest()),
                                     Maybe(Text()), Text(), AnyDigest()};
      case 12:
        return entry::EffectClosed{AnyDigest(), AnyStatus(), Maybe(Text())};
      case 13:
        return entry::EffectJudged{InputId{Big()}, AnyDigest(), Below(2) == 0,
                                   Maybe(Text()), Maybe(Text())};
      case 14:
        return Cancelled();
      case 15:
        return entry::RolledBack{InputId{Big()}, EventId{Big()}, Round{Big()},
                                 Maybe(Text()),  Maybe(Text()),  Sources()};
      case 16:
        return entry::ReceiptShared{AnyDigest(), AnyReceipt()};
      case 17:
        return entry::FailureOrdered{EventId{Big()}, Maybe(Text()),
                                     "r" + Text()};
      default:
        return Committed();
    }
  }

  entry::StepCommitted Committed() {
    entry::StepCommitted step{EventId{Big()}, Lane(), {}, {}, {}};
    for (auto n = Below(4); n != 0; --n) step.diffs.push_back(AnyDiff());
    for (auto n = Below(3); n != 0; --n) step.events.push_back(Raised());
    for (auto n = Below(3); n != 0; --n) {
      step.effects.push_back({Text(), Text(), Item(), Text()});
      EffectIntent& effect = step.effects.back();
      effect.reserve = Maybe(AnyAmounts());
      effect.must_pass = Below(3) == 0;
      if (Below(3) == 0) effect.deadline = Time();
      effect.cache_scope = Maybe(Text());
      effect.identity = Maybe(Text());
      effect.retry = MaybeRule();
    }
    return step;
  }

  RetryRule MaybeRule() {
    RetryRule rule;
    if (Below(4) == 0) rule.attempts = 1 + Below(RetryRule::kAttemptsMax);
    for (auto* time : {&rule.first_ms, &rule.longest_ms, &rule.for_ms}) {
      if (Below(4) == 0) *time = 1 + Below(RetryRule::kMsMax);
    }
    return rule;
  }

  SourceMark Mark() { return {Big(), Maybe(AnyDigest())}; }
  std::optional<SourceRead> MaybeSource() {
    if (Below(2) == 0) return std::nullopt;
    return SourceRead{"s" + Text().substr(0, 254), Mark()};
  }
  SourceMarks Sources() {
    SourceMarks sources;
    for (auto n = Below(3); n != 0; --n) {
      sources.emplace("s" + std::to_string(n), Mark());
    }
    return sources;
  }

  entry::EffectQueued Queued() {
    entry::EffectQueued queued{EventId{Big()},
                               Lane(),
                               static_cast<std::uint32_t>(Below(1 << 20)),
                               AnyDigest(),
                               AnyDigest(),
                               static_cast<EffectVerdict>(Below(5)),
                               Maybe(AnyAmounts()),
                               Maybe(Text()),
                               InputId{Below(2) == 0 ? Big() : 0},
                               std::nullopt,
                               {}};
    if (queued.verdict == EffectVerdict::kJoined) queued.joins = AnyDigest();
    if (queued.verdict != EffectVerdict::kDenied &&
        queued.verdict != EffectVerdict::kAnswered) {
      queued.retry = MaybeRule();
    }
    return queued;
  }

  entry::GrantChanged Granted() {
    GrantChange change;
    change.grant.name = "g" + std::to_string(Below(1000));
    change.grant.limit = AnyAmounts();
    if (Below(2) == 0) change.grant.parent = "p";
    if (Below(2) == 0) change.grant.kinds = {"http.request", "blob.*"};
    if (Below(2) == 0) change.grant.expires = Time();
    return {InputId{Big()}, change};
  }

  entry::EffectsCancelled Cancelled() {
    entry::EffectsCancelled cancel{InputId{Big()}, {}, {}, Maybe(Text())};
    if (Below(2) == 0) {
      cancel.intent_hash = AnyDigest();
    } else {
      cancel.cell = Cell();
    }
    return cancel;
  }

  Receipt AnyReceipt() {
    Receipt receipt;
    receipt.intent_hash = AnyDigest();
    receipt.status = AnyStatus();
    receipt.payload = Maybe(Item());
    receipt.usage = Maybe(AnyAmounts());
    receipt.executor = Maybe(Text().substr(0, Receipt::kExecutorBytesMax));
    receipt.lease_epoch = Below(2) == 0 ? Big() : 0;
    for (auto n = Below(3); n != 0; --n) {
      receipt.evidence.push_back({"x" + Text(), AnyDigest(), Big()});
    }
    if (Below(3) == 0) receipt.signature = Bytes(64, 's');
    return receipt;
  }

  entry::StepScheduled Scheduled() {
    entry::StepScheduled step;
    step.event_id = EventId{Big()};
    step.lane_id = Lane();
    step.kind = static_cast<UnitKind>(Below(5));
    if (step.kind != UnitKind::kControl) step.subject = Cell();
    if (Below(2) == 0) {
      step.cause.input = InputId{Big()};
    } else {
      step.cause.parent = EventId{Big()};
      step.cause.index = static_cast<std::uint32_t>(Below(1 << 20));
    }
    return step;
  }

 private:
  // SplitMix64: what the seed says, on every machine.
  std::uint64_t Next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  std::uint64_t Below(std::uint64_t n) { return Next() % n; }
  // At least 1, of any length.
  std::uint64_t Big() { return (Next() >> Below(64)) | 1; }
  std::int64_t Any64() {
    return static_cast<std::int64_t>(Next()) >> Below(64);
  }
  LogicalTime Time() { return LogicalTime{Any64()}; }
  LaneId Lane() { return LaneId{static_cast<std::uint32_t>(Below(2))}; }
  ReducerId Reducer() { return static_cast<ReducerId>(Below(300)); }
  std::string Text() {
    return std::string(Below(3) == 0 ? Below(300) : Below(30), 'k');
  }
  CellRef Cell() { return CellRef{Reducer(), Text()}; }
  // It, or nothing.
  template <typename T>
  T Maybe(T value) {
    return Below(2) == 0 ? value : T();
  }
  Digest AnyDigest() {
    Digest digest;
    for (unsigned char& byte : digest.bytes) {
      byte = static_cast<unsigned char>(Next());
    }
    return digest;
  }
  ReceiptStatus AnyStatus() { return static_cast<ReceiptStatus>(Below(5)); }
  Amounts AnyAmounts() {
    Amounts amounts;
    for (auto n = 1 + Below(3); n != 0; --n) {
      amounts.Set("d" + std::to_string(Below(100)), Big());
    }
    return amounts;
  }
  Bytes Item() {
    return Below(2) == 0 ? cbor::EncodeInteger(Any64())
                         : cbor::EncodeText(Text());
  }
  RaisedEvent Raised() {
    RaisedEvent event{Reducer(), Text(), Text(), Item(), {}};
    if (Below(3) == 0) event.due = Time();
    return event;
  }
  Update AnyUpdate() {
    Update update;
    update.op = static_cast<Update::Op>(Below(5));
    update.field = Text();
    if (update.op == Update::Op::kUnion || update.op == Update::Op::kAppend) {
      update.item = Item();
      return update;
    }
    update.number = Any64();
    if (update.op == Update::Op::kAdd && Below(2) == 0) update.low = Any64();
    if (update.op == Update::Op::kAdd && Below(2) == 0) update.high = Any64();
    return update;
  }
  Diff AnyDiff() {
    Diff diff;
    diff.op = static_cast<Diff::Op>(Below(3));
    if (Below(2) == 0) diff.cell = Cell();
    if (diff.op == Diff::Op::kPut) diff.state = Item();
    if (diff.op == Diff::Op::kUpdate) diff.update = AnyUpdate();
    return diff;
  }
  entry::InputAdmitted Input() {
    return {InputId{Big()},
            Reducer(),
            Text(),
            Below(2) == 0 ? Text() : "",
            Item(),
            Below(2) == 0 ? Text().substr(0, kSubmissionIdBytesMax) : "",
            static_cast<std::uint8_t>(Below(kPriorities)),
            Below(2) == 0 ? Time() : LogicalTime{},
            Below(2) == 0 ? Big() : 0};
  }

  std::uint64_t state_;
};

TEST_CASE("a golden entry decodes and encodes to the same bytes",
          "[journal][golden]") {
  for (const Stanza& vector : ReadVectors("journal/entries.txt")) {
    CAPTURE(vector.at("kind"), vector.at("what"));
    const Bytes bytes = Unhex(vector.at("hex"));

    const absl::StatusOr<Entry> entry = DecodeEntry(bytes);

    REQUIRE_OK(entry);
    CHECK(EntryKindName(KindOf(*entry)) == vector.at("kind"));
    CHECK(ToHex(Encoded(*entry)) == vector.at("hex"));
    CHECK(cbor::Diagnose(bytes) == vector.at("diag"));
    CHECK(PeekEntryKind(bytes).value() == KindOf(*entry));
  }
}

TEST_CASE("every kind of entry has a golden vector", "[journal][golden]") {
  std::set<std::string> seen;
  for (const Stanza& vector : ReadVectors("journal/entries.txt")) {
    seen.insert(vector.at("kind"));
  }
  REQUIRE(seen.size() == std::variant_size_v<Entry>);
}

TEST_CASE("golden bytes mean what the specification says",
          "[journal][golden]") {
  const auto decode = [](const char* hex) {
    return DecodeEntry(Unhex(hex)).value();
  };

  CHECK(decode("a3000401070200") ==
        Entry(entry::StepCommitted{EventId{7}, LaneId{0}, {}, {}, {}}));
  CHECK(decode("a6000301070200030004820061610501") ==
        Entry(entry::StepScheduled{EventId{7}, LaneId{0}, UnitKind::kEvent,
                                   CellRef{0, "a"},
                                   Cause{InputId{1}, EventId{0}, 0}}));
  CHECK(decode("a6000301080200030104820163616c6c05820701") ==
        Entry(entry::StepScheduled{EventId{8}, LaneId{0}, UnitKind::kDerived,
                                   CellRef{1, "all"},
                                   Cause{InputId{0}, EventId{7}, 1}}));
  CHECK(decode("a50002010102000361610501") ==
        Entry(entry::InputAdmitted{InputId{1}, 0, "a", "", "\x01", "",
                                   kPriorityDefault, LogicalTime{0}, 0}));
}

TEST_CASE("what an entry leaves out has its default", "[journal]") {
  entry::InputAdmitted input;
  input.input = InputId{1};
  input.payload = "\xf6";
  const std::size_t plain = Encoded(input).size();
  input.schema = "s";
  input.submission_id = "i";
  input.priority = 0;
  input.time = LogicalTime{-1};
  input.position = 1;
  REQUIRE(Encoded(input).size() == plain + 3 + 3 + 2 + 2 + 2);
  REQUIRE(DecodeEntry(Encoded(input)).value() == Entry(input));
}

TEST_CASE("a submission id has 64 bytes at most", "[journal]") {
  entry::InputAdmitted input;
  input.input = InputId{1};
  input.payload = "\xf6";
  input.submission_id = std::string(kSubmissionIdBytesMax, 'i');
  REQUIRE(DecodeEntry(Encoded(input)).value() == Entry(input));
  input.submission_id += 'i';
  const absl::StatusOr<Entry> entry = DecodeEntry(Encoded(input));
  REQUIRE(absl::IsInvalidArgument(entry.status()));
  CHECK_THAT(std::string(entry.status().message()),
             Catch::Contains("more than 64 bytes"));
}

TEST_CASE("bytes that are no entry are refused, and why", "[journal]") {
  for (const Stanza& vector : ReadVectors("journal/refused.txt")) {
    CAPTURE(vector.at("what"), vector.at("hex"));
    const absl::StatusOr<Entry> entry = DecodeEntry(Unhex(vector.at("hex")));
    REQUIRE(absl::IsInvalidArgument(entry.status()));
    if (vector.at("says") == "-") continue;
    CHECK_THAT(std::string(entry.status().message()),
               Catch::Contains(vector.at("says")));
  }
}

TEST_CASE("a kind that this version does not know is refused as such",
          "[journal]") {
  const std::uint64_t kind = GENERATE(10, 15, 26, 255, 1U << 31);
  CAPTURE(kind);
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  encoder.Map(2);
  encoder.Unsigned(0);
  encoder.Unsigned(kind);
  encoder.Unsigned(1);
  encoder.Unsigned(1);

  const absl::StatusOr<Entry> entry = DecodeEntry(bytes);

  REQUIRE(absl::IsUnimplemented(entry.status()));
  CHECK_THAT(std::string(entry.status().message()),
             Catch::Contains("kind " + std::to_string(kind)));
  CHECK(absl::IsUnimplemented(PeekEntryKind(bytes).status()));
}

TEST_CASE("an entry that ends too soon is refused", "[journal]") {
  for (const Stanza& vector : ReadVectors("journal/entries.txt")) {
    const Bytes bytes = Unhex(vector.at("hex"));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(vector.at("what"), size);
      REQUIRE_FALSE(DecodeEntry(BytesView(bytes).substr(0, size)).ok());
    }
  }
}

TEST_CASE("an entry with one byte changed is refused or is another entry",
          "[journal]") {
  std::size_t accepted = 0;
  for (const Stanza& vector : ReadVectors("journal/entries.txt")) {
    const Bytes bytes = Unhex(vector.at("hex"));
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      Bytes changed = bytes;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
      const absl::StatusOr<Entry> entry = DecodeEntry(changed);
      if (!entry.ok()) continue;
      CAPTURE(vector.at("what"), bit);
      // One entry has one encoding.
      REQUIRE(ToHex(Encoded(*entry)) == ToHex(changed));
      ++accepted;
    }
  }
  REQUIRE(accepted > 0);
}

TEST_CASE("a random entry survives its bytes", "[journal]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 501));
  CAPTURE(seed);
  const Entry entry = Random(seed).Any();

  const Bytes bytes = Encoded(entry);

  REQUIRE_OK(cbor::Validate(bytes));
  CAPTURE(cbor::Diagnose(bytes));
  const absl::StatusOr<Entry> decoded = DecodeEntry(bytes);
  REQUIRE_OK(decoded);
  REQUIRE(*decoded == entry);
}

TEST_CASE("a step encoded in parts has the bytes of the whole", "[journal]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 201));
  CAPTURE(seed);
  Random random(seed);

  const entry::StepCommitted committed = random.Committed();
  REQUIRE(ToHex(EncodedInParts(committed)) == ToHex(Encoded(committed)));

  const entry::StepScheduled scheduled = random.Scheduled();
  Bytes parts;
  EncodeStepScheduled(
      scheduled.event_id, scheduled.lane_id, scheduled.kind,
      scheduled.subject ? scheduled.subject->reducer : kNoReducer,
      scheduled.subject ? scheduled.subject->key : "", scheduled.cause, &parts);
  REQUIRE(ToHex(parts) == ToHex(Encoded(scheduled)));
}

TEST_CASE("what most steps come to has the bytes of its two entries",
          "[journal]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 101));
  CAPTURE(seed);
  Random random(seed);
  const entry::StepScheduled scheduled = random.Scheduled();
  const Bytes state = seed % 2 == 0 ? cbor::EncodeText(Bytes(7 * seed, 's'))
                                    : cbor::EncodeInteger(1 - (1 << seed / 4));
  const entry::StepCommitted committed{scheduled.event_id,
                                       scheduled.lane_id,
                                       {Diff{Diff::Op::kPut, {}, state, {}}},
                                       {},
                                       {}};
  Bytes both;
  EntryWriter(&both).StepWithOnePut(
      scheduled.event_id, scheduled.lane_id, scheduled.kind,
      scheduled.subject ? scheduled.subject->reducer : kNoReducer,
      scheduled.subject ? scheduled.subject->key : "", scheduled.cause, state);
  REQUIRE(ToHex(both) == ToHex(Encoded(scheduled) + Encoded(committed)));
}

TEST_CASE("strings of any length are written whole", "[journal]") {
  // Short ones are copied here, longer ones elsewhere, and the longest do not
  // fit into the writer's buffer at all.
  for (std::size_t size = 0; size < 700; ++size) {
    CAPTURE(size);
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = static_cast<char>('a' + i % 26);
    }
    entry::InputAdmitted input{InputId{1},
                               70000,
                               text,
                               text,
                               cbor::EncodeText(text),
                               text.substr(0, kSubmissionIdBytesMax),
                               0,
                               LogicalTime{1},
                               1};
    if (size % 3 == 0) input.schema.clear();
    REQUIRE(DecodeEntry(Encoded(input)).value() == Entry(input));
    const entry::StepCommitted step{
        EventId{1},
        LaneId{0},
        {Diff{Diff::Op::kPut, CellRef{300, text}, cbor::EncodeText(text), {}}},
        {RaisedEvent{300, text, text, "\x01", LogicalTime{-300}}},
        {EffectIntent{text, text, "\xf6", text}}};
    REQUIRE(DecodeEntry(Encoded(step)).value() == Entry(step));
  }
}

TEST_CASE("entries written one after the other are those written alone",
          "[journal]") {
  Bytes alone;
  Bytes together = "what was there";
  {
    EntryWriter writer(&together);
    for (std::uint64_t seed = 1; seed < 301; ++seed) {
      const entry::StepScheduled step = Random(seed).Scheduled();
      alone += Encoded(step);
      writer.StepScheduled(step.event_id, step.lane_id, step.kind,
                           step.subject ? step.subject->reducer : kNoReducer,
                           step.subject ? step.subject->key : "", step.cause);
      if (seed % 50 == 0) writer.Flush();
    }
  }
  REQUIRE(ToHex(together) == ToHex("what was there" + alone));
}

TEST_CASE("a round and an input have one encoding", "[journal]") {
  const entry::RoundOpened round{Round{3}, LogicalTime{-1}, EventId{7}, 2};
  const entry::InputAdmitted input{
      InputId{9}, 1, "a", "", "\x01", "row 9", 0, LogicalTime{5}, 9};
  Bytes parts;
  EncodeRoundOpened(round, &parts);
  const Input data{{"", "a", "", "\x01"}, "row 9", 0, LogicalTime{5}, 9};
  EncodeInputAdmitted(InputId{9}, 1, data, &parts);
  REQUIRE(ToHex(parts) == ToHex(Encoded(round) + Encoded(input)));
}

TEST_CASE("entries are read one after the other from a sequence", "[journal]") {
  const Entry first = entry::SnapshotRequested{InputId{1}};
  const Entry second =
      entry::StepFailed{EventId{7}, LaneId{0}, FailureCode::kException};
  Bytes bytes;
  EncodeEntry(first, &bytes);
  EncodeEntry(second, &bytes);

  cbor::Reader reader(bytes);
  REQUIRE(DecodeEntry(reader).value() == first);
  REQUIRE(DecodeEntry(reader).value() == second);
  REQUIRE(reader.AtEnd());
  REQUIRE_FALSE(DecodeEntry(reader).ok());
}

// Reads one entry the way that allocates nothing, in views where there are
// any. `taken` items of a step are asked for; the rest is passed over.
absl::StatusOr<Entry> ReadInViews(BytesView bytes, std::size_t taken = 1000) {
  cbor::Reader reader(bytes);
  EntryReader entries(&reader);
  const std::optional<EntryKind> kind = entries.Next();
  if (!kind) {
    REENACT_RETURN_IF_ERROR(entries.status());
    return absl::NotFoundError("no entry");
  }
  Entry entry;
  switch (*kind) {
    case EntryKind::kRoundOpened:
      entry = entries.RoundOpened();
      break;
    case EntryKind::kInputAdmitted:
      entry = entries.InputAdmitted().Own();
      break;
    case EntryKind::kStepScheduled:
      entry = entries.StepScheduled().Own();
      break;
    case EntryKind::kStepFailed:
      entry = entries.StepFailed();
      break;
    case EntryKind::kStepCommitted: {
      const entry::StepCommittedHead head = entries.StepCommitted();
      entry::StepCommitted step{head.event_id, head.lane_id, {}, {}, {}};
      entry::DiffView diff;
      while (taken-- > 0 && entries.NextDiff(&diff)) {
        step.diffs.push_back(diff.Own());
      }
      entry::RaisedEventView event;
      while (taken-- > 0 && entries.NextEvent(&event)) {
        step.events.push_back(event.Own());
      }
      entry::EffectIntentView effect;
      while (taken-- > 0 && entries.NextEffect(&effect)) {
        step.effects.push_back(effect.Own());
      }
      entry = std::move(step);
      break;
    }
    default: {
      absl::StatusOr<Entry> any = entries.Any();
      REENACT_RETURN_IF_ERROR(any.status());
      entry = *std::move(any);
    }
  }
  const BytesView whole = entries.Finish();
  REENACT_RETURN_IF_ERROR(entries.status());
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(reader.status());
  REQUIRE(whole == bytes);
  return entry;
}

// Passes over one entry without reading any of it.
absl::Status PassOver(BytesView bytes) {
  cbor::Reader reader(bytes);
  EntryReader entries(&reader);
  if (entries.Next()) entries.Finish();
  REENACT_RETURN_IF_ERROR(entries.status());
  reader.ExpectEnd();
  return reader.status();
}

// DecodeEntry() and the reader of views say the same of `bytes`.
void RequireAgreement(BytesView bytes) {
  CAPTURE(ToHex(bytes));
  const absl::StatusOr<Entry> owned = DecodeEntry(bytes);
  const absl::StatusOr<Entry> viewed = ReadInViews(bytes);
  if (bytes.empty()) {  // no entry is none too few for a sequence
    REQUIRE_FALSE(owned.ok());
    REQUIRE(absl::IsNotFound(viewed.status()));
    return;
  }
  REQUIRE(owned.status() == viewed.status());
  REQUIRE(owned.status() == PassOver(bytes));
  if (owned.ok()) {
    REQUIRE(*owned == *viewed);
  } else {
    REQUIRE(ReadInViews(bytes, 0).status() == owned.status());
    REQUIRE(ReadInViews(bytes, 1).status() == owned.status());
  }
}

TEST_CASE("what is read without copying is what is read with it", "[journal]") {
  for (const Stanza& vector : ReadVectors("journal/entries.txt")) {
    CAPTURE(vector.at("what"));
    RequireAgreement(Unhex(vector.at("hex")));
  }
  for (std::uint64_t seed = 1; seed < 501; ++seed) {
    CAPTURE(seed);
    RequireAgreement(Encoded(Random(seed).Any()));
  }
}

TEST_CASE("reading without copying refuses the same, in the same words",
          "[journal]") {
  for (const Stanza& vector : ReadVectors("journal/refused.txt")) {
    CAPTURE(vector.at("what"));
    RequireAgreement(Unhex(vector.at("hex")));
  }
  for (const Stanza& vector : ReadVectors("journal/entries.txt")) {
    const Bytes bytes = Unhex(vector.at("hex"));
    CAPTURE(vector.at("what"));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      RequireAgreement(BytesView(bytes).substr(0, size));
    }
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      Bytes changed = bytes;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
      RequireAgreement(changed);
    }
  }
}

TEST_CASE("a round's steps are read in views, and the rest is passed over",
          "[journal]") {
  const entry::StepCommitted step{
      EventId{7},
      LaneId{0},
      {Diff{Diff::Op::kPut, {}, "\x01", {}},
       Diff{Diff::Op::kDelete, CellRef{1, "b"}, {}, {}}},
      {RaisedEvent{2, "c", "s", "\x02", {}}},
      {EffectIntent{"k", "", "\xf6", "i"}}};
  Bytes bytes;
  EncodeEntry(entry::SnapshotRequested{InputId{1}}, &bytes);
  const std::size_t begin = bytes.size();
  EncodeEntry(step, &bytes);
  const std::size_t end = bytes.size();
  EncodeEntry(step, &bytes);

  cbor::Reader reader(bytes);
  EntryReader entries(&reader);
  REQUIRE(entries.Next() == EntryKind::kSnapshotRequested);
  REQUIRE(entries.Next() == EntryKind::kStepCommitted);
  REQUIRE(entries.StepCommitted().event_id == EventId{7});
  entry::DiffView diff;
  REQUIRE(entries.NextDiff(&diff));
  REQUIRE(diff.Own() == step.diffs[0]);
  // To ask for an event passes over the second diff.
  entry::RaisedEventView event;
  REQUIRE(entries.NextEvent(&event));
  REQUIRE(event.Own() == step.events[0]);
  REQUIRE_FALSE(entries.NextDiff(&diff));
  REQUIRE_FALSE(entries.NextEvent(&event));
  entry::EffectIntentView effect;
  REQUIRE(entries.NextEffect(&effect));
  REQUIRE(effect.Own() == step.effects[0]);
  REQUIRE_FALSE(entries.NextEffect(&effect));
  REQUIRE(entries.Finish() == BytesView(bytes).substr(begin, end - begin));
  REQUIRE(entries.Next() == EntryKind::kStepCommitted);
  REQUIRE(entries.Finish() == BytesView(bytes).substr(end));
  REQUIRE(entries.Next() == std::nullopt);
  REQUIRE_OK(entries.status());
}

TEST_CASE("extreme numbers survive", "[journal]") {
  const auto number =
      GENERATE(std::numeric_limits<std::int64_t>::min(),
               std::numeric_limits<std::int64_t>::max(), std::int64_t{-1},
               std::int64_t{-25}, std::int64_t{23}, std::int64_t{24});
  Diff diff;
  diff.op = Diff::Op::kUpdate;
  diff.update.number = number;
  diff.update.low = number;
  diff.update.high = number;
  const Entry entry = entry::StepCommitted{
      EventId{std::numeric_limits<std::uint64_t>::max()},
      LaneId{std::numeric_limits<std::uint32_t>::max()},
      {diff},
      {RaisedEvent{kNoReducer - 1, "", "", "\x01", LogicalTime{number}}},
      {}};
  REQUIRE(DecodeEntry(Encoded(entry)).value() == entry);
}

TEST_CASE("what is taken as plain is what a reader reads", "[journal]") {
  Input input;
  input.event.key = "c123";
  input.event.payload = Bytes("\x82\x01\x18\x20", 4);
  input.submission_id = "abc";
  input.position = 7;
  Bytes bytes;
  {
    EntryWriter writer(&bytes);
    writer.StepWithOnePut(EventId{300}, LaneId{24}, UnitKind::kEvent, 2, "c123",
                          Cause{InputId{25}, EventId{0}, 0},
                          input.event.payload);
    writer.InputAdmitted(InputId{300}, 2, input);
  }
  PlainStep step;
  entry::InputAdmittedView view;
  cbor::Reader whole(bytes);
  REQUIRE(TakePlainStep(&whole, &step));
  REQUIRE(step.cell.key == "c123");
  REQUIRE(step.state == input.event.payload);
  REQUIRE(TakePlainInput(&whole, &view));
  REQUIRE(view.position == 7);
  REQUIRE(whole.AtEnd());
  // However a byte is changed: what is still taken, a reader does not refuse.
  int refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes changed = bytes;
      changed[at] = static_cast<char>(value);
      cbor::Reader reader(changed);
      if (!TakePlainStep(&reader, &step) || !TakePlainInput(&reader, &view)) {
        ++refused;
        continue;
      }
      cbor::Reader strict(BytesView(changed).substr(0, reader.offset()));
      EntryReader entries(&strict);
      while (entries.Next()) {
      }
      REQUIRE_OK(entries.status());
    }
  }
  REQUIRE(refused > 0);
}

}  // namespace
}  // namespace reenact
