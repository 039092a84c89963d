#include "reenact/replay/script.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "reenact/journal/plain_entries.h"
#include "reenact/journal/recorded_config.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

// What stands among a block's inputs and is none: what a receipt, or time,
// leads to.
bool IsAmongInputs(EntryKind kind) {
  return kind == EntryKind::kReceiptShared || kind == EntryKind::kEffectClosed;
}

// The inputs end here: what follows are consequences.
bool EndsInputs(EntryKind kind) {
  return kind == EntryKind::kStepScheduled ||
         kind == EntryKind::kStepCommitted || kind == EntryKind::kStepFailed ||
         kind == EntryKind::kSnapshotTaken || kind == EntryKind::kEffectQueued;
}

}  // namespace

BlockScript::BlockScript(std::unique_ptr<BlockStream> stream,
                         std::uint64_t first, const WorldConfig& config)
    : stream_(std::move(stream)),
      next_(first),
      end_(std::numeric_limits<std::uint64_t>::max()),
      config_(config) {}

absl::StatusOr<bool> BlockScript::Next(ScriptedRound* round) {
  if (next_ >= end_ || (may_play_ && !may_play_(next_))) return false;
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<KeptBlock> block, stream_->Next());
  if (block == nullptr) return false;
  ++next_;
  controls_ = false;
  REENACT_RETURN_IF_ERROR(Read(*block, round));
  played_.push_back(std::move(block));
  return true;
}

absl::Status BlockScript::Read(const KeptBlock& block, ScriptedRound* round) {
  round->round = block.header().round;
  // Each input takes bytes; what the header says is compared only later.
  round->inputs.reserve(std::min<std::uint64_t>(block.header().ticket_count,
                                                block.entries().size() / 8));
  cbor::Reader reader(block.entries());
  EntryReader entries(&reader);
  entry::InputAdmittedView plain;
  const std::uint64_t count = block.header().entry_count;
  for (std::uint64_t i = 0; i < count; ++i) {
    entries.Finish();
    for (; i < count && TakePlainInput(&reader, &plain); ++i) {
      const absl::Status status = TakeInput(plain, round);
      if (!status.ok()) return Unreadable(i, status);
    }
    if (i == count) break;
    const std::optional<EntryKind> kind = entries.Next();
    if (kind && EndsInputs(*kind)) break;
    absl::Status status = entries.status();
    if (kind && IsAmongInputs(*kind)) {
      entries.Finish();
    } else if (kind) {
      status = Take(*kind, &entries, round);
    }
    if (status.ok()) status = entries.status();
    if (status.ok() && !kind) status = absl::DataLossError("nothing is there");
    if (!status.ok()) return Unreadable(i, status);
  }
  return absl::OkStatus();
}

std::unique_ptr<KeptBlock> BlockScript::TakePlayed() {
  if (played_.empty()) return nullptr;
  std::unique_ptr<KeptBlock> block = std::move(played_.front());
  played_.pop_front();
  return block;
}

absl::Status BlockScript::Take(EntryKind kind, EntryReader* entries,
                               ScriptedRound* round) {
  switch (kind) {
    case EntryKind::kInputAdmitted:
      return TakeInput(entries->InputAdmitted(), round);
    case EntryKind::kRoundOpened: {
      entry::RoundOpened opened = entries->RoundOpened();
      round->time = opened.time;
      round->source = std::move(opened.source);
      return absl::OkStatus();
    }
    case EntryKind::kReceiptAppended:
    case EntryKind::kReceiptRefused: {
      REENACT_ASSIGN_OR_RETURN(Entry entry, entries->Any());
      round->receipts.push_back(std::move(entry));
      return absl::OkStatus();
    }
    case EntryKind::kFailureOrdered: {
      REENACT_ASSIGN_OR_RETURN(Entry entry, entries->Any());
      round->failures.push_back(
          std::get<entry::FailureOrdered>(std::move(entry)));
      return absl::OkStatus();
    }
    case EntryKind::kGenesis:
      return absl::DataLossError("a second genesis");
    default:
      return TakeControl(entries, round);
  }
}

absl::Status BlockScript::TakeInput(const entry::InputAdmittedView& input,
                                    ScriptedRound* round) const {
  if (input.reducer >= config_.reducers.size()) {
    return absl::DataLossError("input " + std::to_string(input.input.value) +
                               " names a reducer that is not there");
  }
  round->inputs.push_back(input);
  return absl::OkStatus();
}

absl::Status BlockScript::TakeControl(EntryReader* entries,
                                      ScriptedRound* round) {
  REENACT_ASSIGN_OR_RETURN(const Entry entry, entries->Any());
  REENACT_RETURN_IF_ERROR(ApplyConfigChange(entry, &config_));
  if (const auto* change = std::get_if<entry::ModuleChanged>(&entry)) {
    modules_.insert(modules_.end(), change->modules.begin(),
                    change->modules.end());
  }
  controls_ = true;
  round->controls.emplace_back();
  EncodeEntry(entry, &round->controls.back());
  return absl::OkStatus();
}

absl::Status BlockScript::Unreadable(std::uint64_t index,
                                     const absl::Status& status) {
  problem_ = "journal, block " + std::to_string(block()) + ", entry " +
             std::to_string(index) + ": " +
             std::string(ToStd(status.message()));
  return absl::DataLossError(problem_);
}

}  // namespace reenact
