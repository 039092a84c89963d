// `reenact effects`, and the words that people have on them: approve, reject,
// cancel, retry.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "reenact/journal/archive.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/effect_table.h"
#include "tools/reenact/json.h"
#include "tools/reenact/live_world.h"
#include "tools/reenact/render.h"

namespace reenact::tools {
namespace {

using Row = EffectTable::Row;
using State = EffectTable::State;

// --- effects -----------------------------------------------------------------

struct EffectsOptions {
  std::string world;
  std::map<State, bool> only;
  bool json = false;

  bool Wants(State state) const {
    const bool all = std::none_of(only.begin(), only.end(),
                                  [](const auto& each) { return each.second; });
    const auto it = only.find(state);
    return all || (it != only.end() && it->second);
  }
};

Json RowJson(const Row& row) {
  Json json;
  json["intent"] = row.intent_hash.ToHex();
  json["event_id"] = row.event_id.value;
  json["index"] = row.index;
  json["cell"] = row.cell;
  json["kind"] = row.kind;
  if (!row.capability.empty()) json["capability"] = row.capability;
  json["state"] = StateName(row.state);
  if (!row.status.empty()) json["status"] = row.status;
  if (!row.reason.empty()) json["reason"] = row.reason;
  if (!row.executor.empty()) json["executor"] = row.executor;
  if (!row.reserved.empty()) json["reserved"] = AmountsJson(row.reserved);
  if (!row.usage.empty()) json["usage"] = AmountsJson(row.usage);
  if (row.cached) json["cached"] = true;
  return json;
}

// "3f2a9c1b44d0  17.0  agent/ann  http.request  done ok  calls 1"
std::string RowText(const Row& row) {
  std::string text =
      absl::StrCat(row.intent_hash.ToHex().substr(0, 12), "  ",
                   row.event_id.value, ".", row.index, "  ", Dump(row.cell),
                   "  ", Dump(row.kind), "  ", ToAbsl(StateName(row.state)));
  if (!row.status.empty() && row.status != "ok") {
    absl::StrAppend(&text, " ", row.status);
  }
  if (row.cached) absl::StrAppend(&text, " (cached)");
  if (!row.reason.empty()) absl::StrAppend(&text, ": ", Dump(row.reason));
  if (!row.usage.empty()) {
    absl::StrAppend(&text, "  cost ", row.usage.ToString());
  }
  if (!row.reserved.empty()) {
    absl::StrAppend(&text, "  reserved ", row.reserved.ToString());
  }
  return text;
}

std::string Totals(const EffectTable& table) {
  std::map<State, std::uint64_t> counts;
  Amounts cost;
  for (const Row& row : table.rows()) {
    ++counts[row.state];
    cost.Add(row.usage);
  }
  return absl::StrCat(counts[State::kOpen], " open, ", counts[State::kHeld],
                      " held, ", counts[State::kDone], " done, ",
                      counts[State::kFailed], " failed; cost ", cost.ToString(),
                      "; ", table.refused(), " receipts refused");
}

ExitCode RunEffects(const EffectsOptions& options) {
  const auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  const auto table = EffectTable::Read(**archive);
  if (!table.ok()) return Complain(table.status());
  for (const Row& row : table->rows()) {
    if (!options.Wants(row.state)) continue;
    if (!PrintLine(options.json ? Dump(RowJson(row)) : RowText(row))) {
      return Complain(OutputError());
    }
  }
  if (!options.json) PrintLine(Totals(*table));
  return ExitCode::kOk;
}

// --- words on effects --------------------------------------------------------

// The effect that somebody means. The world is read before it is opened.
absl::StatusOr<Digest> FindIntent(const std::string& world,
                                  std::string_view hex) {
  REENACT_ASSIGN_OR_RETURN(const auto archive, Archive::Open(world));
  REENACT_ASSIGN_OR_RETURN(const EffectTable table,
                           EffectTable::Read(*archive));
  return table.FindIntent(hex);
}

struct JudgeOptions {
  LiveWorldOptions live;
  std::string intent;
  std::string note;
};

ExitCode RunJudge(const JudgeOptions& options, bool approve) {
  const auto intent = FindIntent(options.live.world, options.intent);
  if (!intent.ok()) return Complain(intent.status());
  return TellWorld(options.live, [&](World& world) {
    const std::string by = NameOr(options.live.by);
    return approve ? world.Approve(*intent, by, options.note)
                   : world.Reject(*intent, by, options.note);
  });
}

void AddJudgeCommand(CLI::App& app, Action* action, bool approve) {
  auto options = std::make_shared<JudgeOptions>();
  CLI::App* const command = app.add_subcommand(
      approve ? "approve" : "reject",
      approve ? "Lets out an effect that the policy has held.\n\n"
                "It waits for an executor from then on. Who approved it is on "
                "record."
              : "Ends an effect that the policy has held.\n\n"
                "Its cell gets an answer of status denied, and what was "
                "reserved is free again. Who rejected it is on record.");
  const std::string name = approve ? "approve" : "reject";
  command->footer(
      "Examples:\n"
      "  reenact effects w --held\n"
      "  reenact " +
      name + " w 3f2a9c1b44d0 --module shop" +
      (approve ? "" : " --note \"too dear\"") + "\n\n" + kLiveWorldExitCodes);
  AddLiveWorldOptions(*command, &options->live, true);
  command
      ->add_option("INTENT", options->intent,
                   "The intent's hash, or the first six digits or more")
      ->required();
  command->add_option("--note", options->note, "Why; recorded");
  command->callback([options, action, approve] {
    *action = [options, approve] { return RunJudge(*options, approve); };
  });
}

struct CancelOptions {
  LiveWorldOptions live;
  std::string intent;
  std::string cell;
};

ExitCode RunCancel(const CancelOptions& options) {
  if (options.intent.empty() == options.cell.empty()) {
    return Complain(ExitCode::kUsage, "name an INTENT, or a cell with --cell");
  }
  const std::string by = NameOr(options.live.by);
  if (!options.cell.empty()) {
    const std::size_t slash = options.cell.find('/');
    if (slash == std::string::npos) {
      return Complain(ExitCode::kUsage, "a cell is REDUCER/KEY");
    }
    return TellWorld(options.live, [&](World& world) {
      return world.CancelEffectsOf(options.cell.substr(0, slash),
                                   options.cell.substr(slash + 1), by);
    });
  }
  const auto intent = FindIntent(options.live.world, options.intent);
  if (!intent.ok()) return Complain(intent.status());
  return TellWorld(options.live, [&](World& world) {
    return world.CancelEffect(*intent, by);
  });
}

// --- rollback ----------------------------------------------------------------

struct RollbackOptions {
  LiveWorldOptions live;
  std::uint64_t to = 0;
  std::string reason;
};

ExitCode RunRollback(const RollbackOptions& options) {
  return TellWorld(options.live, [&](World& world) {
    return world.RollBack(EventId{options.to}, NameOr(options.live.by),
                          options.reason);
  });
}

// --- retry -------------------------------------------------------------------

struct RetryOptions {
  LiveWorldOptions live;
  std::vector<std::uint64_t> events;
  bool all = false;
};

// Events of failed steps, as inputs that are submitted once.
class FailedSteps {
 public:
  explicit FailedSteps(const Archive& archive) : archive_(archive) {}

  absl::Status Read() {
    return archive_.ScanEntries(
        0, [this](const BlockHeader&, const Entry& entry, BytesView) {
          Note(entry);
          return absl::OkStatus();
        });
  }

  const std::map<EventId, Input>& failed() const { return failed_; }

 private:
  void Note(const Entry& entry) {
    if (const auto* input = std::get_if<entry::InputAdmitted>(&entry)) {
      waiting_[{input->input.value, 0, 0}] =
          EventOf(input->reducer, input->key, input->schema, input->payload);
    } else if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
      event_.reset();
      const auto it =
          waiting_.find({step->cause.input.value, step->cause.parent.value,
                         step->cause.index});
      if (step->kind == UnitKind::kReceipt || it == waiting_.end()) return;
      event_ = std::move(it->second);
      waiting_.erase(it);
    } else if (const auto* done = std::get_if<entry::StepCommitted>(&entry)) {
      for (std::uint32_t i = 0; i < done->events.size(); ++i) {
        const RaisedEvent& raised = done->events[i];
        waiting_[{0, done->event_id.value, i}] =
            EventOf(raised.reducer, raised.key, raised.schema, raised.payload);
      }
    } else if (const auto* failure = std::get_if<entry::StepFailed>(&entry)) {
      if (!event_) return;
      Input again;
      again.event = *std::move(event_);
      again.submission_id = absl::StrCat("retry/", failure->event_id.value);
      failed_.emplace(failure->event_id, std::move(again));
    }
  }

  Event EventOf(ReducerId reducer, const std::string& key,
                const std::string& schema, const Bytes& payload) const {
    return {archive_.ReducerName(reducer), key, schema, payload};
  }

  const Archive& archive_;
  // What has no ticket yet, by its cause.
  std::map<std::tuple<std::uint64_t, std::uint64_t, std::uint32_t>, Event>
      waiting_;
  std::optional<Event> event_;  // of the step that is read
  std::map<EventId, Input> failed_;
};

absl::StatusOr<std::vector<Input>> FindFailed(const RetryOptions& options) {
  REENACT_ASSIGN_OR_RETURN(const auto archive,
                           Archive::Open(options.live.world));
  FailedSteps steps(*archive);
  REENACT_RETURN_IF_ERROR(steps.Read());
  std::vector<Input> inputs;
  if (options.all) {
    for (const auto& [event_id, input] : steps.failed()) {
      inputs.push_back(input);
    }
    return inputs;
  }
  for (const std::uint64_t event : options.events) {
    const auto it = steps.failed().find(EventId{event});
    if (it == steps.failed().end()) {
      return absl::NotFoundError(absl::StrCat(
          options.live.world, ": event ", event,
          " is no step that failed, or it was an answer to an effect"));
    }
    inputs.push_back(it->second);
  }
  return inputs;
}

ExitCode RunRetry(const RetryOptions& options) {
  if (options.all == !options.events.empty()) {
    return Complain(ExitCode::kUsage, "name EVENTs, or --all");
  }
  auto inputs = FindFailed(options);
  if (!inputs.ok()) return Complain(inputs.status());
  return TellWorldAll(
      options.live,
      [&inputs](World& world) -> absl::StatusOr<std::vector<Submission>> {
        std::vector<Submission> submissions;
        for (const Input& input : *inputs) {
          auto submission = world.Submit(input);
          if (absl::IsResourceExhausted(submission.status())) {
            REENACT_RETURN_IF_ERROR(world.Run());
            submission = world.Submit(input);
          }
          REENACT_RETURN_IF_ERROR(submission.status());
          submissions.push_back(*std::move(submission));
        }
        return submissions;
      });
}

}  // namespace

void AddEffectsCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<EffectsOptions>();
  CLI::App* const effects = app.add_subcommand(
      "effects",
      "Lists the effects of a world in the order of their intents: what is "
      "open, what is held for approval, what was done, what failed, and what "
      "it cost.\n\n"
      "Reads the journal; the world may be running.");
  effects->footer(
      "A line: the intent's hash, ticket and index, cell, kind, state.\n"
      "\n"
      "Examples:\n"
      "  reenact effects w\n"
      "  reenact effects w --held\n"
      "  reenact effects w --failed --json | jq -r .reason\n"
      "\n"
      "Exit codes: 0; 3 damaged world; 6 newer format; 8 no world there.");
  effects->add_option("DIR", options->world, "The world's directory")
      ->required();
  effects->add_flag("--open", options->only[State::kOpen], "Those that wait");
  effects->add_flag("--held", options->only[State::kHeld],
                    "Those that wait for an approval");
  effects->add_flag("--done", options->only[State::kDone], "Those that are ok");
  effects->add_flag("--failed", options->only[State::kFailed],
                    "Those that failed, timed out, or were denied or "
                    "cancelled");
  effects->add_flag("--json", options->json, "An object per line");
  effects->callback([options, action] {
    *action = [options] { return RunEffects(*options); };
  });
}

void AddJudgeCommands(CLI::App& app, Action* action) {
  AddJudgeCommand(app, action, true);
  AddJudgeCommand(app, action, false);
}

void AddCancelCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<CancelOptions>();
  CLI::App* const cancel = app.add_subcommand(
      "cancel",
      "Ends an effect that is open or held, or everything that a cell has "
      "open, its timers included.\n\n"
      "The cell gets an answer of status cancelled for each; executors are "
      "told to stop, and a receipt that comes all the same is refused.");
  cancel->footer(
      std::string("Examples:\n"
                  "  reenact cancel w 3f2a9c1b44d0 --module shop\n"
                  "  reenact cancel w --cell order/17 --module shop\n"
                  "\n") +
      kLiveWorldExitCodes);
  AddLiveWorldOptions(*cancel, &options->live, true);
  cancel->add_option("INTENT", options->intent,
                     "The intent's hash, or the first six digits or more");
  cancel->add_option("--cell", options->cell, "REDUCER/KEY: all that it has");
  cancel->callback([options, action] {
    *action = [options] { return RunCancel(*options); };
  });
}

void AddRollbackCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<RollbackOptions>();
  CLI::App* const rollback = app.add_subcommand(
      "rollback",
      "Puts every cell back to what it was at a snapshot, with what waited "
      "there.\n\n"
      "Nothing is taken out of history: the way back is recorded like any "
      "other "
      "step. What was done outside since stays done and paid for; effects that "
      "are open since then end, and their receipts are refused. Events that "
      "wait and have no ticket are dropped.\n\n"
      "Input files are taken in as far as they were at the snapshot: correct "
      "the file behind that row (`reenact log w --kind RolledBack` names it), "
      "and the `reenact run` that fed it feeds it from there on. Fed as it "
      "was, "
      "it does the same once more. A corrected row with an \"id\" needs "
      "another id.");
  rollback->footer(std::string("Examples:\n"
                               "  reenact log w --kind SnapshotTaken\n"
                               "  reenact rollback w --to 4096 --module shop "
                               "--reason \"bad import\"\n"
                               "\n") +
                   kLiveWorldExitCodes);
  AddLiveWorldOptions(*rollback, &options->live, true);
  rollback
      ->add_option("--to", options->to,
                   "The event_id of the snapshot: the last ticket before it")
      ->required();
  rollback->add_option("--reason", options->reason, "Why; recorded");
  rollback->callback([options, action] {
    *action = [options] { return RunRollback(*options); };
  });
}

void AddRetryCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<RetryOptions>();
  CLI::App* const retry = app.add_subcommand(
      "retry",
      "Submits the events of failed steps again, as new inputs.\n\n"
      "Each is retried once: its submission id is \"retry/EVENT\", so that the "
      "same command given twice changes nothing.");
  retry->footer(std::string("Examples:\n"
                            "  reenact log w --kind StepFailed\n"
                            "  reenact retry w 17 23 --module shop\n"
                            "  reenact retry w --all --module shop\n"
                            "\n") +
                kLiveWorldExitCodes);
  AddLiveWorldOptions(*retry, &options->live, false);
  retry->add_option("EVENT", options->events, "event_ids of failed steps");
  retry->add_flag("--all", options->all, "Every step that ever failed");
  retry->callback([options, action] {
    *action = [options] { return RunRetry(*options); };
  });
}

}  // namespace reenact::tools
