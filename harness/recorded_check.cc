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
#include "reenact/journal/memory_store.h"
#include "reenact/kernel/cbor.h"
#include "reenact/kernel/forward.h"
#include "reenact/kernel/replay_run.h"
#include "reenact/workers/slot.h"
#include "reenact/workers/step_run.h"

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

absl::StatusOr<StartingPlace> BeginningOf(const std::vector<Bytes>& blocks) {
  const BlockList list(blocks);
  return PlaceAfterGenesis([&list](std::uint64_t from, const auto& visit) {
    return list.Scan(from, visit);
  });
}

Violation Unreadable(const absl::Status& status) {
  return {"journal is readable", std::string(status.message())};
}

std::vector<std::string> LinesOf(BytesView stored) {
  std::vector<std::string> lines;
  const auto block = DecodeBlock(stored);
  if (!block.ok()) return {block.status().ToString()};
  cbor::Reader reader(block->entries);
  while (!reader.AtEnd()) lines.push_back(cbor::Diagnose(reader.Item()));
  return lines;
}

std::string DiagnoseAll(BytesView entries) {
  std::string text;
  cbor::Reader reader(entries);
  while (!reader.AtEnd()) {
    absl::StrAppend(&text, text.empty() ? "" : " ",
                    cbor::Diagnose(reader.Item()));
  }
  return text;
}

std::size_t FirstByte(BytesView a, BytesView b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter),
                    b.begin())
          .first -
      a.begin());
}

std::string DescribeBlocks(BytesView a, std::string_view a_name, BytesView b,
                           std::string_view b_name, std::size_t index) {
  std::string text = absl::StrCat("block ", index, ", first at byte ",
                                  FirstByte(a, b), ":\n");
  const std::vector<std::string> left = LinesOf(a);
  const std::vector<std::string> right = LinesOf(b);
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const std::string one = i < left.size() ? left[i] : "nothing";
    const std::string other = i < right.size() ? right[i] : "nothing";
    if (one == other) continue;
    absl::StrAppend(&text, "  ", std::string(a_name), ": ", one, "\n  ",
                    std::string(b_name), ": ", other, "\n");
    break;
  }
  return text;
}

}  // namespace

std::string DescribeBlock(BytesView stored) {
  std::string text;
  for (const std::string& line : LinesOf(stored)) {
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

std::string FirstDifference(const std::vector<Bytes>& a,
                            std::string_view a_name,
                            const std::vector<Bytes>& b,
                            std::string_view b_name) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] != b[i]) return DescribeBlocks(a[i], a_name, b[i], b_name, i);
  }
  if (a.size() == b.size()) return "";
  return absl::StrCat(std::string(a_name), " has ", a.size(), " blocks, ",
                      std::string(b_name), " ", b.size(), "\n");
}

namespace {

using Observe = std::function<void(bool, int, std::string_view,
                                   std::string_view, EventId)>;

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
                                     const Observe& observe) {
  const absl::StatusOr<StartingPlace> beginning = BeginningOf(blocks);
  if (!beginning.ok()) return Unreadable(beginning.status());
  const BlockList list(blocks);
  ReplayRun::Options options;
  options.blocks = &list;
  options.modules = modules;
  options.start.genesis = beginning->config;
  options.end = blocks.size();
  options.run_twice = true;
  Observer observer(observe);
  if (observe) options.observer = &observer;
  auto run = ReplayRun::Open(std::move(options));
  if (!run.ok()) return Unreadable(run.status());
  const absl::Status status = (*run)->Run();
  if ((*run)->impure()) {
    const auto& impure = *(*run)->impure();
    return Violation{
        "a step gives the same twice",
        absl::StrCat("ticket ", impure.event_id.value, ", ",
                     impure.cell.reducer, "/", impure.cell.key,
                     ": two runs of one step on the same input differ, first "
                     "at byte ",
                     FirstByte(impure.first, impure.second), ":\n  ",
                     DiagnoseAll(impure.first), "\n  ",
                     DiagnoseAll(impure.second), "\n")};
  }
  const auto& findings = (*run)->findings();
  if (findings.mismatch) {
    const std::uint64_t index = *findings.mismatch;
    return Violation{"serial replay gives the recorded bytes",
                     DescribeBlocks(blocks[index], "recorded",
                                    findings.recomputed, "replayed", index)};
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
  absl::StatusOr<StartingPlace> place = BeginningOf(blocks);
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
                     it == cells.end() ? "nothing"
                                       : cbor::Diagnose(it->second),
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
        problem =
            absl::StrCat(it->second->submission_id, " has two tickets\n");
      }
    }
  };
  const absl::Status status = ForEachEntry(blocks, visit);
  if (!status.ok()) return Unreadable(status);
  if (!problem.empty()) return Violation{"what was submitted is there", problem};
  for (const Told& one : told) {
    if (one.event_id.value == 0) continue;
    const auto it = ticket_of.find(one.submission_id);
    if (it == ticket_of.end()) {
      return Violation{"what was acknowledged is there",
                       absl::StrCat(one.submission_id,
                                    " was durable as ticket ",
                                    one.event_id.value, ", and is gone\n")};
    }
    if (it->second != one.event_id) {
      return Violation{
          "what was acknowledged is there",
          absl::StrCat(one.submission_id, " was durable as ticket ",
                       one.event_id.value, ", and is ticket ",
                       it->second.value, "\n")};
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
  const absl::StatusOr<StartingPlace> beginning = BeginningOf(blocks);
  if (!beginning.ok()) return Unreadable(beginning.status());
  ModelKernel model(beginning->config, modules[0].reducers);
  model.Feed(inputs);
  const std::string difference =
      FirstDifference(blocks, "world", model.blocks(), "model");
  if (difference.empty()) return std::nullopt;
  return Violation{"the model gives the same bytes", difference};
}

}  // namespace reenact::harness
