// `reenact why`: where a ticket came from, and what came of it.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reenact/journal/archive.h"
#include "tools/reenact/command_line.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/json.h"
#include "tools/reenact/render.h"

namespace reenact::tools {
namespace {

constexpr const char* kWhyHelp =
    "Explains a ticket: the chain of causes back to the input that it goes "
    "back to, and the tree of steps that it raised, with its effects and what "
    "answered them. Both are recorded, not guessed.";

struct WhyOptions {
  std::string world;
  std::uint64_t event_id = 0;
  std::size_t depth = 64;
  bool json = false;
};

// A ticket as the journal has it.
struct Ticket {
  entry::StepScheduled scheduled;
  std::optional<entry::StepCommitted> committed;
  std::optional<entry::StepFailed> failed;
  std::size_t depth = 0;  // below the ticket that is asked about
  std::map<std::uint32_t, EventId> children;  // by index among what it raised
  std::vector<entry::EffectQueued> effects;
  std::map<std::uint32_t, EventId> answers;  // by index of the effect

  EventId event_id() const { return scheduled.event_id; }
  std::size_t raised() const {
    return committed ? committed->events.size() : 0;
  }
  std::size_t consequences() const { return raised() + effects.size(); }
  std::string Outcome() const {
    if (failed) return "failed: " + FailureName(failed->code);
    return "committed";
  }
};

absl::Status Enough() { return absl::CancelledError("enough"); }

class WhyGraph {
 public:
  // Consequences are followed `depth_max` levels down.
  WhyGraph(const Archive& archive, std::size_t depth_max)
      : archive_(archive), depth_max_(depth_max) {}

  absl::Status Build(EventId event_id) {
    REENACT_RETURN_IF_ERROR(BuildCauses(event_id));
    return BuildConsequences(event_id);
  }

  // From the first cause to the ticket itself.
  const std::vector<Ticket>& causes() const { return causes_; }
  const std::optional<Entry>& input() const { return input_; }
  // The receipt that a ticket among the causes has; null: it has none.
  const Entry* ReceiptOf(EventId event_id) const {
    const auto it = receipts_.find(event_id.value);
    return it == receipts_.end() ? nullptr : &it->second;
  }
  const Ticket& At(EventId event_id) const {
    return tickets_.at(event_id.value);
  }

 private:
  // One ticket, from its block.
  absl::StatusOr<Ticket> Load(EventId event_id, std::uint64_t block) const {
    std::optional<Ticket> ticket;
    REENACT_RETURN_IF_ERROR(archive_.ScanEntries(
        block, [&](const BlockHeader& header, const Entry& entry, BytesView) {
          if (header.index > block) return Enough();
          if (TicketOf(entry) == event_id) Note(entry, &ticket);
          return absl::OkStatus();
        }));
    if (ticket) return *std::move(ticket);
    return absl::DataLossError(
        absl::StrCat("block ", block, " should have event ", event_id.value));
  }

  static void Note(const Entry& entry, std::optional<Ticket>* ticket) {
    if (const auto* scheduled = std::get_if<entry::StepScheduled>(&entry)) {
      *ticket = Ticket{*scheduled, {}, {}, 0, {}, {}, {}};
    } else if (!*ticket) {
      return;
    } else if (const auto* step = std::get_if<entry::StepCommitted>(&entry)) {
      (*ticket)->committed = *step;
    } else if (const auto* failure = std::get_if<entry::StepFailed>(&entry)) {
      (*ticket)->failed = *failure;
    } else if (const auto* effect = std::get_if<entry::EffectQueued>(&entry)) {
      (*ticket)->effects.push_back(*effect);
    }
  }

  absl::Status BuildCauses(EventId event_id) {
    while (true) {
      REENACT_ASSIGN_OR_RETURN(const std::uint64_t block,
                               archive_.FindBlock(event_id));
      REENACT_ASSIGN_OR_RETURN(Ticket ticket, Load(event_id, block));
      Cause cause = ticket.scheduled.cause;
      const bool receipt = ticket.scheduled.kind == UnitKind::kReceipt;
      causes_.push_back(std::move(ticket));
      if (receipt && cause.is_input()) {
        // The input that brought it answers for a step before.
        REENACT_RETURN_IF_ERROR(FindInput(cause.input, block));
        REENACT_ASSIGN_OR_RETURN(cause.parent, FindIntent());
        receipts_.emplace(event_id.value, *std::exchange(input_, {}));
      } else if (cause.is_input()) {
        std::reverse(causes_.begin(), causes_.end());
        return FindInput(cause.input, block);
      }
      if (cause.parent >= event_id || cause.parent.value == 0) {
        return absl::DataLossError(absl::StrCat("event ", event_id.value,
                                                " has no cause before itself"));
      }
      event_id = cause.parent;
    }
  }

  // The entry of an input, in `block` or before it: an input may wait for some
  // rounds until it is ticketed.
  absl::Status FindInput(InputId input, std::uint64_t block) {
    for (bool passed = false; !passed && !input_; --block) {
      REENACT_RETURN_IF_ERROR(archive_.ScanEntries(
          block, [&](const BlockHeader& header, const Entry& entry, BytesView) {
            if (header.index > block) return Enough();
            const auto found = InputOf(entry);
            if (found == input) input_ = entry;
            passed = passed || (found && *found < input);
            return absl::OkStatus();
          }));
      if (block == 0) break;
    }
    return absl::OkStatus();
  }

  // The step that has the intent which the receipt in `input_` is for.
  absl::StatusOr<EventId> FindIntent() const {
    const auto* receipt =
        input_ ? std::get_if<entry::ReceiptAppended>(&*input_) : nullptr;
    std::optional<EventId> found;
    if (receipt != nullptr) {
      REENACT_RETURN_IF_ERROR(archive_.ScanEntries(
          0, [&](const BlockHeader&, const Entry& entry, BytesView) {
            const auto* queued = std::get_if<entry::EffectQueued>(&entry);
            if (queued == nullptr ||
                queued->intent_hash != receipt->receipt.intent_hash) {
              return absl::OkStatus();
            }
            found = queued->event_id;
            return Enough();
          }));
    }
    if (found) return *found;
    return absl::DataLossError("a receipt is for no intent of this world");
  }

  static std::optional<InputId> InputOf(const Entry& entry) {
    return std::visit(
        [](const auto& kind) -> std::optional<InputId> {
          if constexpr (requires { kind.input; }) return kind.input;
          return std::nullopt;
        },
        entry);
  }

  // One pass forward, until everything raised has been found.
  absl::Status BuildConsequences(EventId event_id) {
    REENACT_ASSIGN_OR_RETURN(const std::uint64_t block,
                             archive_.FindBlock(event_id));
    std::size_t missing = 1;
    return archive_.ScanEntries(block, [&](const BlockHeader&,
                                           const Entry& entry, BytesView) {
      const auto* scheduled = std::get_if<entry::StepScheduled>(&entry);
      if (const auto* receipt = std::get_if<entry::ReceiptAppended>(&entry)) {
        OnReceipt(*receipt);
      } else if (scheduled != nullptr) {
        missing -= OnScheduled(*scheduled, event_id) ? 1 : 0;
      } else if (const auto ticket = TicketOf(entry)) {
        missing += OnOutcome(*ticket, entry);
        if (missing == 0) return Enough();
      }
      return absl::OkStatus();
    });
  }

  bool OnScheduled(const entry::StepScheduled& step, EventId root) {
    std::size_t depth = 0;
    if (step.event_id != root) {
      const Cause cause = CauseOf(step);
      const auto parent = tickets_.find(cause.parent.value);
      if (cause.is_input() || parent == tickets_.end() ||
          parent->second.depth == depth_max_) {
        return false;
      }
      auto& children = step.kind == UnitKind::kReceipt
                           ? parent->second.answers
                           : parent->second.children;
      children[cause.index] = step.event_id;
      depth = parent->second.depth + 1;
    }
    tickets_[step.event_id.value] = Ticket{step, {}, {}, depth, {}, {}, {}};
    return true;
  }

  // A receipt's is the step that has the intent.
  Cause CauseOf(const entry::StepScheduled& step) const {
    if (step.kind != UnitKind::kReceipt) return step.cause;
    const auto it = answering_.find(step.cause.input);
    return it == answering_.end() ? step.cause : it->second;
  }

  void OnReceipt(const entry::ReceiptAppended& receipt) {
    const auto it = intents_.find(receipt.receipt.intent_hash);
    if (it == intents_.end()) return;
    answering_[receipt.input] = it->second;
  }

  // How many further tickets it promises.
  std::size_t OnOutcome(EventId event_id, const Entry& entry) {
    const auto known = tickets_.find(event_id.value);
    if (known == tickets_.end()) return 0;
    std::optional<Ticket> ticket = std::move(known->second);
    Note(entry, &ticket);
    known->second = *std::move(ticket);
    const bool followed = known->second.depth != depth_max_;
    if (const auto* queued = std::get_if<entry::EffectQueued>(&entry)) {
      intents_[queued->intent_hash] =
          Cause{InputId{0}, event_id, queued->index};
      return 0;
    }
    if (!followed || !std::holds_alternative<entry::StepCommitted>(entry)) {
      return 0;
    }
    // An effect that is cancelled by its cell has none, and an open one has
    // none yet: then all of history is read.
    return known->second.raised() +
           std::get<entry::StepCommitted>(entry).effects.size();
  }

  const Archive& archive_;
  const std::size_t depth_max_;
  std::vector<Ticket> causes_;
  std::optional<Entry> input_;
  std::map<std::uint64_t, Entry> receipts_;  // by the ticket that it has
  std::map<std::uint64_t, Ticket> tickets_;  // the ticket and what came of it
  std::map<Digest, Cause> intents_;          // of those tickets
  std::map<InputId, Cause> answering_;       // receipts for those
};

// Writes a graph down, both ways.
class WhyPrinter {
 public:
  WhyPrinter(const Archive& archive, const WhyGraph& graph,
             std::size_t depth_max)
      : graph_(graph),
        depth_max_(depth_max),
        name_of_([&archive](ReducerId id) { return archive.ReducerName(id); }) {
  }

  std::string Text(EventId event_id) const {
    std::string text;
    if (graph_.input()) {
      absl::StrAppend(&text, ToAbsl(EntryKindName(KindOf(*graph_.input()))),
                      " ", ToDiagnostic(EntryFields(*graph_.input(), name_of_)),
                      "\n");
    }
    std::size_t depth = 1;
    const std::size_t count = graph_.causes().size() - 1;
    const std::size_t hidden = count > depth_max_ ? count - depth_max_ : 0;
    if (hidden > 0) absl::StrAppend(&text, "  ... ", hidden, " steps\n");
    for (std::size_t i = hidden; i < count; ++i) {
      const Ticket& cause = graph_.causes()[i];
      AppendReceipt(cause.event_id(), depth, &text);
      AppendTicket(cause, depth++, "", &text);
    }
    AppendReceipt(event_id, depth, &text);
    AppendTree(graph_.At(event_id), depth, "   <-- this", &text);
    return text;
  }

  Json ToJsonObject(EventId event_id) const {
    Json json;
    json["event_id"] = event_id.value;
    if (graph_.input()) {
      json["input"] = EntryFields(*graph_.input(), name_of_);
    }
    json["causes"] = Json::array();
    for (const Ticket& cause : graph_.causes()) {
      if (cause.event_id() == event_id) break;
      json["causes"].push_back(TicketJson(cause));
    }
    json["step"] = TreeJson(graph_.At(event_id));
    return json;
  }

 private:
  std::string Cell(const Ticket& ticket) const {
    const auto& subject = ticket.scheduled.subject;
    if (!subject) return "(control)";
    return CellName(name_of_(subject->reducer), subject->key);
  }

  static std::string Indent(std::size_t depth) {
    return std::string(2 * depth, ' ');
  }

  void AppendTicket(const Ticket& ticket, std::size_t depth,
                    std::string_view mark, std::string* text) const {
    absl::StrAppend(text, Indent(depth), ticket.event_id().value, " ",
                    ToAbsl(UnitKindName(ticket.scheduled.kind)), " ",
                    Dump(Cell(ticket)), " ", ticket.Outcome(), ToAbsl(mark),
                    "\n");
  }

  void AppendReceipt(EventId event_id, std::size_t depth,
                     std::string* text) const {
    const Entry* const receipt = graph_.ReceiptOf(event_id);
    if (receipt == nullptr) return;
    absl::StrAppend(text, Indent(depth), "ReceiptAppended ",
                    ToDiagnostic(EntryFields(*receipt, name_of_)), "\n");
  }

  // "effect http.request 3f2a9c1b44d0 open"
  std::string EffectText(const Ticket& ticket,
                         const entry::EffectQueued& effect) const {
    std::string text = absl::StrCat(
        "effect ", Dump(ticket.committed->effects[effect.index].kind), " ",
        effect.intent_hash.ToHex().substr(0, 12), " ",
        ToAbsl(EffectVerdictName(effect.verdict)));
    if (!effect.reason.empty()) {
      absl::StrAppend(&text, ": ", Dump(effect.reason));
    }
    return text;
  }

  void AppendEffects(const Ticket& ticket, std::size_t depth,
                     std::string* text) const {
    for (const entry::EffectQueued& effect : ticket.effects) {
      absl::StrAppend(text, Indent(depth), EffectText(ticket, effect), "\n");
    }
    for (const auto& [index, answer] : ticket.answers) {
      AppendTree(graph_.At(answer), depth + 1, "", text);
    }
  }

  void AppendTree(const Ticket& ticket, std::size_t depth,
                  std::string_view mark, std::string* text) const {
    AppendTicket(ticket, depth, mark, text);
    if (ticket.depth == depth_max_ && ticket.consequences() > 0) {
      absl::StrAppend(text, Indent(depth + 1), "... --depth shows more\n");
      return;
    }
    for (std::uint32_t i = 0; i < ticket.raised(); ++i) {
      const auto child = ticket.children.find(i);
      if (child != ticket.children.end()) {
        AppendTree(graph_.At(child->second), depth + 1, "", text);
        continue;
      }
      const RaisedEvent& raised = ticket.committed->events[i];
      absl::StrAppend(
          text, Indent(depth + 1), "- ", raised.due ? "timer " : "event ",
          Dump(CellName(name_of_(raised.reducer), raised.key)), " waiting",
          raised.due ? absl::StrCat(" until ", raised.due->value)
                     : std::string(),
          "\n");
    }
    AppendEffects(ticket, depth + 1, text);
  }

  Json TicketJson(const Ticket& ticket) const {
    Json json;
    json["event_id"] = ticket.event_id().value;
    json["unit"] = UnitKindName(ticket.scheduled.kind);
    json["cell"] = Cell(ticket);
    json["outcome"] = ticket.failed ? FailureName(ticket.failed->code)
                                    : std::string("committed");
    return json;
  }

  Json TreeJson(const Ticket& ticket) const {
    Json json = TicketJson(ticket);
    json["consequences"] = Json::array();
    if (ticket.depth == depth_max_) {
      json["raised"] = ticket.raised();
      return json;
    }
    for (std::uint32_t i = 0; i < ticket.raised(); ++i) {
      const auto child = ticket.children.find(i);
      if (child != ticket.children.end()) {
        json["consequences"].push_back(TreeJson(graph_.At(child->second)));
        continue;
      }
      const RaisedEvent& raised = ticket.committed->events[i];
      Json waiting;
      waiting["cell"] = CellName(name_of_(raised.reducer), raised.key);
      waiting["outcome"] = "waiting";
      if (raised.due) waiting["due"] = raised.due->value;
      json["consequences"].push_back(std::move(waiting));
    }
    for (const entry::EffectQueued& effect : ticket.effects) {
      Json each = EntryFields(Entry(effect), name_of_);
      each["kind"] = ticket.committed->effects[effect.index].kind;
      json["effects"].push_back(std::move(each));
    }
    for (const auto& [index, answer] : ticket.answers) {
      json["answers"].push_back(TreeJson(graph_.At(answer)));
    }
    return json;
  }

  const WhyGraph& graph_;
  const std::size_t depth_max_;
  const NameOf name_of_;
};

ExitCode RunWhy(const WhyOptions& options) {
  const auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  const EventId event_id{options.event_id};
  if (event_id.value == 0 || event_id > (*archive)->head()) {
    return Complain(
        ExitCode::kUsage,
        absl::StrCat("no event ", event_id.value, " in ", options.world,
                     ": it has 1 to ", (*archive)->head().value));
  }
  WhyGraph graph(**archive, options.depth);
  const absl::Status built = graph.Build(event_id);
  if (!built.ok()) return Complain(built);
  const WhyPrinter printer(**archive, graph, options.depth);
  if (options.json) {
    PrintLine(Dump(printer.ToJsonObject(event_id)));
  } else {
    Print(printer.Text(event_id));
  }
  return ExitCode::kOk;
}

}  // namespace

void AddWhyCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<WhyOptions>();
  CLI::App* why = app.add_subcommand("why", kWhyHelp);
  why->footer(
      "Example:\n"
      "  reenact why w 3\n"
      "  InputAdmitted {\"input\": 1, \"cell\": \"order/17\", ...}\n"
      "    1 event \"order/17\" committed\n"
      "      3 derived \"stock/bolt\" committed   <-- this\n"
      "        5 derived \"order/17\" failed: out_of_range\n"
      "\n"
      "Exit codes: 0; 2 no such event; 3 damaged world; 6 newer format;\n"
      "8 no world there.");
  why->add_option("DIR", options->world, "The world's directory")->required();
  why->add_option("EVENT_ID", options->event_id, "The ticket")->required();
  why->add_option("--depth", options->depth,
                  "Follow so many levels, up and down")
      ->check(Whole(1, 1000))
      ->capture_default_str();
  why->add_flag("--json", options->json, "One JSON object");
  why->callback(
      [options, action] { *action = [options] { return RunWhy(*options); }; });
}

}  // namespace reenact::tools
