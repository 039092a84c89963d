#include "reenact/harness/recorded_check.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/harness/journal_entries.h"
#include "reenact/harness/model_kernel.h"
#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/blocks.h"
#include "reenact/replay/report.h"
#include "reenact/replay/run.h"
#include "reenact/workers/slot.h"
#include "reenact/workers/step_run.h"
#include "reenact/world/forward.h"

namespace reenact::harness {

namespace {

// Blocks in memory as a replay wants them.
class BlockList final : public RecordedBlocks {
 public:
  explicit BlockList(const std::vector<Bytes>& blocks) : blocks_(blocks) {}
  std::uint64_t block_count() const override { return blocks_.size(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    if (index >= blocks_.size()) return absl::OutOfRangeError("no such block");
    return blocks_[index];
  }
  absl::Status Scan(std::uint64_t from, const Visit& visit) const override {
    for (std::uint64_t i = from; i < blocks_.size(); ++i) {
      REENACT_RETURN_IF_ERROR(visit(i, blocks_[i]));
    }
    return absl::OkStatus();
  }

 private:
  const std::vector<Bytes>& blocks_;
};

absl::StatusOr<Checkpoint> BeginningOf(const std::vector<Bytes>& blocks) {
  const BlockList list(blocks);
  return CheckpointAfterGenesis([&list](std::uint64_t from, const auto& visit) {
    return list.Scan(from, visit);
  });
}

Violation Unreadable(const absl::Status& status) {
  return {"journal is readable", std::string(status.message())};
}

std::vector<Bytes> EntriesOf(BytesView stored) {
  const auto block = DecodeBlock(stored);
  return block.ok() ? SplitEntries(block->entries) : std::vector<Bytes>();
}

std::vector<std::string> ReducersOf(const std::vector<Bytes>& blocks) {
  const auto beginning = BeginningOf(blocks);
  return beginning.ok() ? beginning->config.reducers
                        : std::vector<std::string>();
}

// In the columns of `reenact verify`.
std::string ToText(const Divergence& divergence, std::string_view first,
                   std::string_view second) {
  std::string text;
  const auto field = [&text](std::string_view name, std::string_view value) {
    constexpr std::size_t kColumn = 14;
    std::string label = absl::StrCat("  ", std::string(name), ":");
    label.resize(std::max(label.size() + 1, kColumn + 3), ' ');
    absl::StrAppend(&text, label, std::string(value), "\n");
  };
  if (divergence.event_id.value != 0) {
    field("event_id", std::to_string(divergence.event_id.value));
  }
  if (!divergence.reducer.empty()) {
    field("reducer", divergence.reducer);
    field("key", divergence.key);
  }
  field("field", divergence.field);
  field(first, divergence.recorded);
  field(second, divergence.recomputed);
  if (!divergence.cause_text.empty()) field("cause", divergence.cause_text);
  return text;
}

// Which entry of two blocks differs, and what of it.
std::string CompareBlocks(const std::vector<std::string>& reducers, BytesView a,
                          std::string_view a_name, BytesView b,
                          std::string_view b_name) {
  const std::vector<Bytes> xs = EntriesOf(a);
  const std::vector<Bytes> ys = EntriesOf(b);
  std::size_t i = 0;
  while (i < xs.size() && i < ys.size() && xs[i] == ys[i]) ++i;
  const Bytes x = i < xs.size() ? xs[i] : Bytes();
  const Bytes y = i < ys.size() ? ys[i] : Bytes();
  Divergence divergence;
  if (x.empty() && y.empty()) {
    divergence.field = "block header";
    return ToText(divergence, a_name, b_name);
  }
  // Once for the ticket, once more when its cell is known.
  DescribeDifference(reducers, x, y, &divergence);
  if (!FillFromSchedule(reducers, ys, &divergence)) {
    (void)FillFromSchedule(reducers, xs, &divergence);
  }
  DescribeDifference(reducers, x, y, &divergence);
  return ToText(divergence, a_name, b_name);
}

std::string CompareRuns(const std::vector<std::string>& reducers,
                        const WorldInternals::Impure& impure) {
  Divergence divergence;
  divergence.event_id = impure.event_id;
  divergence.reducer = impure.cell.reducer;
  divergence.key = impure.cell.key;
  if (impure.touched) {
    divergence.field = "two calls of Touch()";
    divergence.recorded = impure.touched->first;
    divergence.recomputed = impure.touched->second;
    return ToText(divergence, "first call", "second call");
  }
  const std::vector<Bytes> first = SplitEntries(impure.first);
  const std::vector<Bytes> second = SplitEntries(impure.second);
  if (first.size() == 2 && second.size() == 2) {
    DescribeDifference(reducers, first[1], second[1], &divergence);
  }
  return ToText(divergence, "first run", "second run");
}

}  // namespace

std::string DescribeDifferences(const std::vector<Bytes>& a,
                                std::string_view a_name,
                                const std::vector<Bytes>& b,
                                std::string_view b_name) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] != b[i]) {
      return CompareBlocks(ReducersOf(a), a[i], a_name, b[i], b_name);
    }
  }
  if (a.size() == b.size()) return "";
  return absl::StrCat("  ", std::string(a_name), " has ", a.size(), " blocks, ",
                      std::string(b_name), " ", b.size(), "\n");
}

std::string DescribeEvents(const std::vector<Bytes>& blocks) {
  const std::vector<std::string> reducers = ReducersOf(blocks);
  std::map<std::uint64_t, entry::InputAdmitted> inputs;
  std::map<std::uint64_t, std::vector<Bytes>> raised;  // payloads, by step
  std::string text;
  const auto given = [&](const Cause& cause) -> std::string {
    if (cause.is_input()) {
      const auto it = inputs.find(cause.input.value);
      if (it == inputs.end()) return "";
      return cbor::Diagnose(it->second.payload);
    }
    const auto it = raised.find(cause.parent.value);
    if (it == raised.end() || cause.index >= it->second.size()) return "";
    return cbor::Diagnose(it->second[cause.index]);
  };
  (void)ForEachEntry(blocks, [&](const Entry& entry) {
    if (const auto* input = std::get_if<entry::InputAdmitted>(&entry)) {
      inputs[input->input.value] = *input;
    } else if (const auto* done = std::get_if<entry::StepCommitted>(&entry)) {
      for (const auto& event : done->events) {
        raised[done->event_id.value].push_back(event.payload);
      }
    } else if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
      absl::StrAppend(&text, "  ", step->event_id.value, "  ");
      if (step->subject && step->subject->reducer < reducers.size()) {
        absl::StrAppend(&text, reducers[step->subject->reducer], "/",
                        step->subject->key, "  ");
      }
      absl::StrAppend(&text, given(step->cause), "  (",
                      DescribeCause(step->cause), ")\n");
    }
  });
  return text;
}

std::uint64_t LongestCell(const std::vector<Bytes>& blocks) {
  std::map<CellRef, std::uint64_t> tickets;
  std::uint64_t longest = 0;
  (void)ForEachEntry(blocks, [&](const Entry& entry) {
    const auto* step = std::get_if<entry::StepScheduled>(&entry);
    if (step == nullptr || !step->subject) return;
    longest = std::max(longest, ++tickets[*step->subject]);
  });
  return longest;
}

namespace {

using Observe =
    std::function<void(bool, int, std::string_view, std::string_view, EventId)>;

class Observer final : public StepObserver {
 public:
  explicit Observer(const Observe& observe) : observe_(observe) {}
  void Begin(int run, const Ticket& ticket) override {
    observe_(true, run, ticket.code->name(), ticket.event.key, ticket.event_id);
  }
  void End(int run, const Ticket& ticket, const StepResult&) override {
    observe_(false, run, ticket.code->name(), ticket.event.key,
             ticket.event_id);
  }

 private:
  const Observe& observe_;
};

}  // namespace

void TallySteps(const std::vector<Bytes>& blocks,
                const std::vector<std::string>& reducers,
                std::map<std::string, ReducerTally>* tallies) {
  std::map<std::uint64_t, ReducerTally*> by_ticket;
  Bytes bytes;
  (void)ForEachEntry(blocks, [&](const Entry& entry) {
    if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
      if (!step->subject || step->subject->reducer >= reducers.size()) return;
      ReducerTally* const tally = &(*tallies)[reducers[step->subject->reducer]];
      ++tally->steps;
      by_ticket[step->event_id.value] = tally;
    } else if (const auto* done = std::get_if<entry::StepCommitted>(&entry)) {
      const auto it = by_ticket.find(done->event_id.value);
      if (it == by_ticket.end()) return;
      bytes.clear();
      EncodeEntry(entry, &bytes);
      it->second->bytes += bytes.size();
    } else if (const auto* failed = std::get_if<entry::StepFailed>(&entry)) {
      const auto it = by_ticket.find(failed->event_id.value);
      if (it != by_ticket.end()) ++it->second->failed;
    }
  });
}

std::optional<Violation> CheckReplay(const std::vector<Bytes>& blocks,
                                     const std::vector<Module>& modules,
                                     std::uint64_t from,
                                     const Observe& observe) {
  const absl::StatusOr<Checkpoint> beginning = BeginningOf(blocks);
  if (!beginning.ok()) return Unreadable(beginning.status());
  const BlockList list(blocks);
  ReplayRun::Options options;
  options.blocks = &list;
  options.modules = modules;
  options.start.genesis = beginning->config;
  options.end = blocks.size();
  options.run_twice = true;
  if (from > 0) {
    options.begins_at = [from](const Checkpoint& place) {
      return place.block_count >= from;
    };
  }
  Observer observer(observe);
  if (observe) options.observer = &observer;
  auto run = ReplayRun::Open(std::move(options));
  if (!run.ok()) return Unreadable(run.status());
  const absl::Status status = (*run)->Run();
  if ((*run)->impure()) {
    const auto& impure = *(*run)->impure();
    return Violation{"a step gives the same twice",
                     CompareRuns(beginning->config.reducers, impure)};
  }
  const auto& findings = (*run)->findings();
  if (findings.mismatch) {
    return Violation{
        "serial replay gives the recorded bytes",
        CompareBlocks(beginning->config.reducers, blocks[*findings.mismatch],
                      "recorded", findings.recomputed, "replayed")};
  }
  if (!status.ok()) {
    return Violation{"serial replay gives the recorded bytes",
                     std::string(status.message())};
  }
  return std::nullopt;
}

StateMap StatesOf(const Store& store) {
  StateMap states;
  (void)store.View()->ScanAll([&states](ReducerId reducer, std::string_view key,
                                        EventId, BytesView state) {
    states[{reducer, std::string(key)}] = Bytes(state);
    return absl::OkStatus();
  });
  return states;
}

std::optional<Violation> CheckCells(const std::vector<Bytes>& blocks,
                                    const StateMap& cells) {
  absl::StatusOr<Checkpoint> place = BeginningOf(blocks);
  if (!place.ok()) return Unreadable(place.status());
  const std::unique_ptr<Store> applied = NewMemoryStore();
  CommitGroup group;
  group.blocks = blocks;
  (void)applied->CommitAndTake(&group, true);
  (void)applied->ClearCells();
  ForwardOptions forward;
  forward.read_ahead = false;
  forward.always_schedule = true;
  const absl::Status status =
      FastForward(applied.get(), blocks.size(), &*place, forward);
  if (!status.ok()) return Unreadable(status);
  const StateMap recorded = StatesOf(*applied);
  if (recorded == cells) return std::nullopt;
  for (const auto& [cell, state] : recorded) {
    const auto it = cells.find(cell);
    if (it != cells.end() && it->second == state) continue;
    return Violation{
        "cells are what the journal says",
        absl::StrCat("reducer ", cell.first, ", cell ", cell.second,
                     ": journal ", cbor::Diagnose(state), ", world ",
                     it == cells.end() ? "nothing" : cbor::Diagnose(it->second),
                     "\n")};
  }
  return Violation{"cells are what the journal says",
                   "the world has cells that the journal does not know\n"};
}

std::optional<Violation> CheckTold(const std::vector<Bytes>& blocks,
                                   const std::vector<std::string>& reducers,
                                   const std::vector<Told>& told) {
  std::map<std::uint64_t, const Told*> by_input;  // InputId
  std::map<std::string, const Told*> by_id;
  for (const Told& one : told) by_id[one.submission_id] = &one;
  std::map<std::string, EventId> ticket_of;  // submission id
  std::set<std::string> admitted;
  std::string problem;
  const auto visit = [&](const Entry& entry) {
    if (const auto* input = std::get_if<entry::InputAdmitted>(&entry)) {
      if (input->submission_id.empty()) return;
      const auto it = by_id.find(input->submission_id);
      if (it == by_id.end()) {
        problem = absl::StrCat("nobody submitted ", input->submission_id, "\n");
        return;
      }
      if (!admitted.insert(input->submission_id).second) {
        problem = absl::StrCat(input->submission_id, " was admitted twice\n");
      }
      const Event& event = it->second->event;
      if (input->key != event.key || input->payload != event.payload ||
          input->reducer >= reducers.size() ||
          reducers[input->reducer] != event.reducer) {
        problem = absl::StrCat(input->submission_id, " was changed\n");
      }
      by_input[input->input.value] = it->second;
    } else if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
      if (!step->cause.is_input()) return;
      const auto it = by_input.find(step->cause.input.value);
      if (it == by_input.end()) return;
      if (!ticket_of.try_emplace(it->second->submission_id, step->event_id)
               .second) {
        problem = absl::StrCat(it->second->submission_id, " has two tickets\n");
      }
    }
  };
  const absl::Status status = ForEachEntry(blocks, visit);
  if (!status.ok()) return Unreadable(status);
  if (!problem.empty())
    return Violation{"what was submitted is there", problem};
  for (const Told& one : told) {
    if (one.event_id.value == 0) continue;
    const auto it = ticket_of.find(one.submission_id);
    if (it == ticket_of.end()) {
      return Violation{
          "what was acknowledged is there",
          absl::StrCat(one.submission_id, " was durable as ticket ",
                       one.event_id.value, ", and is gone\n")};
    }
    if (it->second != one.event_id) {
      return Violation{
          "what was acknowledged is there",
          absl::StrCat(one.submission_id, " was durable as ticket ",
                       one.event_id.value, ", and is ticket ", it->second.value,
                       "\n")};
    }
  }
  return std::nullopt;
}

std::optional<Violation> CheckModel(const std::vector<Bytes>& blocks,
                                    const std::vector<Module>& modules,
                                    const std::vector<Input>& inputs,
                                    bool* applies) {
  *applies = modules.size() == 1;
  const absl::Status read = ForEachEntry(blocks, [&](const Entry& entry) {
    const auto kind = static_cast<int>(KindOf(entry));
    if (kind > static_cast<int>(EntryKind::kSnapshotTaken)) *applies = false;
    if (const auto* step = std::get_if<entry::StepCommitted>(&entry)) {
      if (!step->effects.empty()) *applies = false;
    } else if (const auto* failed = std::get_if<entry::StepFailed>(&entry)) {
      if (failed->code == FailureCode::kInvariant) *applies = false;
    }
  });
  if (!read.ok()) return Unreadable(read);
  if (!*applies) return std::nullopt;
  const absl::StatusOr<Checkpoint> beginning = BeginningOf(blocks);
  if (!beginning.ok()) return Unreadable(beginning.status());
  ModelKernel model(beginning->config, modules[0].reducers);
  model.Feed(inputs);
  const std::string difference =
      DescribeDifferences(blocks, "world", model.blocks(), "model");
  if (difference.empty()) return std::nullopt;
  return Violation{"the model gives the same bytes", difference};
}

}  // namespace reenact::harness
