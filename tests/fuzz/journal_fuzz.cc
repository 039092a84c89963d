// Any bytes as journal entries and as a block: what is accepted is what would
// be written, and all ways to read entries say the same of them.

#include <optional>
#include <utility>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/plain_entries.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/fuzz/targets.h"

namespace reenact {
namespace {

// What one way of reading makes of a sequence: its entries up to the first that
// is refused, and what is said of that one.
struct Read {
  std::vector<Entry> entries;
  absl::Status status;
};

Read ReadOwned(BytesView bytes) {
  Read read;
  cbor::Reader reader(bytes);
  while (!reader.AtEnd()) {
    const std::size_t begin = reader.offset();
    absl::StatusOr<Entry> entry = DecodeEntry(reader);
    read.status = entry.status();
    if (!entry.ok()) return read;
    Bytes again;
    EncodeEntry(*entry, &again);
    REENACT_CHECK(again == bytes.substr(begin, reader.offset() - begin));
    REENACT_CHECK(PeekEntryKind(again).value() == KindOf(*entry));
    read.entries.push_back(*std::move(entry));
  }
  return read;
}

entry::StepCommitted ReadStep(EntryReader& in, std::size_t items) {
  const entry::StepCommittedHead head = in.StepCommitted();
  entry::StepCommitted step{head.event_id, head.lane_id, {}, {}, {}};
  entry::DiffView diff;
  while (items > 0 && in.NextDiff(&diff)) {
    step.diffs.push_back(diff.Own());
    --items;
  }
  entry::RaisedEventView event;
  while (items > 0 && in.NextEvent(&event)) {
    step.events.push_back(event.Own());
    --items;
  }
  entry::EffectIntentView effect;
  while (items > 0 && in.NextEffect(&effect)) {
    step.effects.push_back(effect.Own());
    --items;
  }
  return step;
}

std::optional<Entry> ReadViewed(EntryReader& in, EntryKind kind,
                                std::size_t items) {
  switch (kind) {
    case EntryKind::kRoundOpened:
      return in.RoundOpened();
    case EntryKind::kInputAdmitted:
      return in.InputAdmitted().Own();
    case EntryKind::kStepScheduled:
      return in.StepScheduled().Own();
    case EntryKind::kStepFailed:
      return in.StepFailed();
    case EntryKind::kStepCommitted:
      return ReadStep(in, items);
    default: {
      absl::StatusOr<Entry> entry = in.Any();
      if (!entry.ok()) return std::nullopt;
      return *std::move(entry);
    }
  }
}

// In views, `items` of each step at most; the rest is passed over.
Read ReadInViews(BytesView bytes, std::size_t items) {
  Read read;
  cbor::Reader reader(bytes);
  EntryReader in(&reader);
  std::size_t end = 0;
  while (const auto kind = in.Next()) {
    std::optional<Entry> entry = ReadViewed(in, *kind, items);
    const BytesView whole = in.Finish();
    if (!in.status().ok()) break;
    REENACT_CHECK(whole.data() == bytes.data() + end);
    end += whole.size();
    read.entries.push_back(*std::move(entry));
  }
  read.status = in.status();
  return read;
}

absl::Status PassOver(BytesView bytes) {
  cbor::Reader reader(bytes);
  EntryReader in(&reader);
  while (in.Next()) {
  }
  return in.status();
}

// What is taken the short way is what a reader reads there.
void LookAtPlain(BytesView bytes, const std::vector<Entry>& entries) {
  cbor::Reader reader(bytes);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    cbor::Reader plain(reader.Rest());
    entry::InputAdmittedView input;
    PlainStep step;
    if (TakePlainInput(&plain, &input)) {
      REENACT_CHECK(entries[i] == Entry(input.Own()));
    } else if (REENACT_CHECK(plain.offset() == 0);
               TakePlainStep(&plain, &step)) {
      REENACT_CHECK(i + 1 < entries.size());
      const auto& scheduled = std::get<entry::StepScheduled>(entries[i]);
      const auto& committed = std::get<entry::StepCommitted>(entries[i + 1]);
      REENACT_CHECK(scheduled.event_id == step.event_id);
      REENACT_CHECK(scheduled.subject == step.cell.Own());
      REENACT_CHECK(scheduled.cause.input == step.cause);
      REENACT_CHECK(committed.event_id == step.event_id);
      REENACT_CHECK(committed.diffs.size() == 1);
      REENACT_CHECK(committed.events.empty() && committed.effects.empty());
      REENACT_CHECK(!committed.diffs[0].cell);
      REENACT_CHECK(committed.diffs[0].state == step.state);
    }
    REENACT_CHECK(DecodeEntry(reader).ok());
  }
  // Nor is anything taken that a reader refuses.
  entry::InputAdmittedView input;
  PlainStep step;
  cbor::Reader refused(reader.Rest());
  REENACT_CHECK(!TakePlainInput(&refused, &input));
  REENACT_CHECK(!TakePlainStep(&refused, &step) || !entries.empty());
}

void LookAtInputs(BytesView bytes, const std::vector<Entry>& entries) {
  const PlainInputs inputs = ReadPlainInputs(bytes);
  REENACT_CHECK(inputs.begin + inputs.size <= bytes.size());
  if (inputs.begin == 0) return;
  REENACT_CHECK(inputs.count < entries.size());
  std::size_t with_id = 0;
  for (std::uint64_t i = 0; i < inputs.count; ++i) {
    const auto& input = std::get<entry::InputAdmitted>(entries[1 + i]);
    REENACT_CHECK(input.input.value == inputs.first.value + i);
    if (input.submission_id.empty()) continue;
    REENACT_CHECK(inputs.submissions[with_id].first == input.submission_id);
    REENACT_CHECK(inputs.submissions[with_id++].second == input.input);
  }
  REENACT_CHECK(with_id == inputs.submissions.size());
}

void LookAtEntries(BytesView bytes) {
  const Read owned = ReadOwned(bytes);
  const Read viewed = ReadInViews(bytes, bytes.size());
  REENACT_CHECK(viewed.status == owned.status);
  REENACT_CHECK(viewed.entries == owned.entries);
  REENACT_CHECK(ReadInViews(bytes, 1).status == owned.status);
  REENACT_CHECK(PassOver(bytes) == owned.status);
  LookAtPlain(bytes, owned.entries);
  LookAtInputs(bytes, owned.entries);
}

// A block that is accepted is written again as it was.
std::optional<BlockView> LookAtBlock(BytesView stored) {
  const absl::StatusOr<BlockView> block = DecodeBlock(stored);
  if (!block.ok()) {
    REENACT_CHECK(absl::IsDataLoss(block.status()));
    return std::nullopt;
  }
  Digest hash;
  REENACT_CHECK(EncodeBlock(block->header, block->entries, &hash) == stored);
  REENACT_CHECK(hash == block->hash);
  return *block;
}

// The bytes as the map of a block, with the hash that belongs to them: a fuzzer
// does not guess one.
Bytes Hashed(BytesView map) {
  Bytes stored(map);
  stored.append(Hasher("reenact.block.v1").Add(map).Finish().view());
  return stored;
}

}  // namespace
}  // namespace reenact

extern "C" int JournalFuzzOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace reenact;
  const BytesView input(reinterpret_cast<const char*>(data), size);
  LookAtEntries(input);
  LookAtBlock(input);
  const Bytes stored = Hashed(input);
  if (const auto block = LookAtBlock(stored)) {
    LookAtEntries(block->entries);
    REENACT_CHECK(
        !CheckFollows(block->header, block->hash, block->header).ok());
  }
  return 0;
}
