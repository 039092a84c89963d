#include "tools/reenact/render.h"

#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace reenact::tools {
namespace {

constexpr EntryKind kKinds[] = {
    EntryKind::kGenesis,        EntryKind::kRoundOpened,
    EntryKind::kInputAdmitted,  EntryKind::kStepScheduled,
    EntryKind::kStepCommitted,  EntryKind::kStepFailed,
    EntryKind::kSnapshotTaken,  EntryKind::kModuleChanged,
    EntryKind::kConfigChanged,  EntryKind::kSnapshotRequested,
    EntryKind::kEffectQueued,   EntryKind::kReceiptAppended,
    EntryKind::kGrantChanged,   EntryKind::kPolicyChanged,
    EntryKind::kReceiptRefused, EntryKind::kEffectClosed,
    EntryKind::kEffectJudged,   EntryKind::kEffectsCancelled,
    EntryKind::kRolledBack,     EntryKind::kFailureOrdered,
    EntryKind::kReceiptShared};

std::string_view UpdateName(Update::Op op) {
  switch (op) {
    case Update::Op::kAdd:
      return "add";
    case Update::Op::kMax:
      return "max";
    case Update::Op::kMin:
      return "min";
    case Update::Op::kUnion:
      return "union";
    case Update::Op::kAppend:
      break;
  }
  return "append";
}

std::string_view ClockName(ClockKind clock) {
  switch (clock) {
    case ClockKind::kRounds:
      return "rounds";
    case ClockKind::kInput:
      return "input";
    case ClockKind::kWall:
      break;
  }
  return "wall";
}

Json Bytes16(BytesView bytes) { return {{"$bytes", ToHex(bytes)}}; }

// Turns each kind of entry into its fields.
class Fields {
 public:
  explicit Fields(const NameOf& name_of) : name_of_(name_of) {}

  Json operator()(const entry::Genesis& genesis) const {
    const WorldConfig& config = genesis.config;
    Json json;
    json["format"] = config.format_version;
    json["world"] = Bytes16(config.world_id);
    json["seed"] = Bytes16(config.seed.view());
    json["clock"] = ClockName(config.clock);
    json["scheduling"] = Of(config.scheduling);
    json["snapshot_every"] = config.snapshot_every;
    json["modules"] = Of(config.modules);
    json["reducers"] = config.reducers;
    return json;
  }
  Json operator()(const entry::RoundOpened& round) const {
    Json json = {{"round", round.round.value},
                 {"time", round.time.value},
                 {"first", round.first.value},
                 {"count", round.count}};
    if (round.source) json["source"] = Of(*round.source);
    return json;
  }
  Json operator()(const entry::InputAdmitted& input) const {
    Json json;
    json["input"] = input.input.value;
    json["cell"] = Cell(input.reducer, input.key);
    if (!input.schema.empty()) json["schema"] = input.schema;
    json["payload"] = ToJson(input.payload);
    if (!input.submission_id.empty()) json["id"] = Printable(input);
    if (input.priority != kPriorityDefault) json["priority"] = input.priority;
    if (input.time.value != 0) json["time"] = input.time.value;
    if (input.position != 0) json["position"] = input.position;
    return json;
  }
  Json operator()(const entry::StepScheduled& step) const {
    Json json;
    json["unit"] = UnitKindName(step.kind);
    if (step.subject) {
      json["cell"] = Cell(step.subject->reducer, step.subject->key);
    }
    json["cause"] = Of(step.cause);
    return json;
  }
  Json operator()(const entry::StepCommitted& step) const {
    Json json = Json::object();
    json["diffs"] = Json::array();
    for (const Diff& diff : step.diffs) json["diffs"].push_back(Of(diff));
    for (const RaisedEvent& event : step.events) {
      json["events"].push_back(Of(event));
    }
    for (const EffectIntent& effect : step.effects) {
      json["effects"].push_back(Of(effect));
    }
    return json;
  }
  Json operator()(const entry::StepFailed& step) const {
    Json json = {{"code", FailureName(step.code)}};
    if (!step.detail.empty()) json["detail"] = step.detail;
    return json;
  }
  Json operator()(const entry::SnapshotTaken& snapshot) const {
    return {{"round", snapshot.round.value}, {"at", snapshot.event_id.value}};
  }
  Json operator()(const entry::ModuleChanged& change) const {
    return {{"input", change.input.value},
            {"modules", Of(change.modules)},
            {"reducers", change.reducers}};
  }
  Json operator()(const entry::ConfigChanged& change) const {
    return {{"input", change.input.value},
            {"scheduling", Of(change.scheduling)},
            {"snapshot_every", change.snapshot_every}};
  }
  Json operator()(const entry::SnapshotRequested& request) const {
    return {{"input", request.input.value}};
  }
  Json operator()(const entry::EffectQueued& effect) const {
    Json json;
    json["index"] = effect.index;
    json["intent"] = effect.intent_hash.ToHex();
    json["key"] = effect.idempotency_key.ToHex();
    json["verdict"] = EffectVerdictName(effect.verdict);
    if (!effect.reserved.empty()) json["reserved"] = Of(effect.reserved);
    if (!effect.reason.empty()) json["reason"] = effect.reason;
    if (effect.answered_by.value != 0) {
      json["answered_by"] = effect.answered_by.value;
    }
    if (effect.joins) json["joins"] = effect.joins->ToHex();
    if (!effect.retry.empty()) json["retry"] = Of(effect.retry);
    return json;
  }
  Json operator()(const entry::ReceiptAppended& appended) const {
    const Receipt& receipt = appended.receipt;
    Json json;
    json["input"] = appended.input.value;
    json["intent"] = receipt.intent_hash.ToHex();
    json["status"] = ReceiptStatusName(receipt.status);
    json["payload"] = ToJson(receipt.payload);
    if (!receipt.usage.empty()) json["usage"] = Of(receipt.usage);
    if (!receipt.executor.empty()) json["executor"] = receipt.executor;
    if (receipt.lease_epoch != 0) json["lease"] = receipt.lease_epoch;
    for (const Evidence& evidence : receipt.evidence) {
      json["evidence"].push_back({{"name", evidence.name},
                                  {"digest", evidence.digest.ToHex()},
                                  {"size", evidence.size}});
    }
    if (!receipt.signature.empty()) json["signed"] = true;
    return json;
  }
  Json operator()(const entry::GrantChanged& changed) const {
    static constexpr std::string_view kOps[] = {"create", "add", "take",
                                                "amend", "revoke"};
    const GrantChange& change = changed.change;
    Json json;
    json["input"] = changed.input.value;
    json["change"] = kOps[static_cast<std::size_t>(change.op)];
    json["grant"] = change.grant.name;
    if (!change.grant.parent.empty()) json["parent"] = change.grant.parent;
    if (!change.grant.kinds.empty()) json["kinds"] = change.grant.kinds;
    for (const Predicate& predicate : change.grant.where) {
      json["where"].push_back(ToString(predicate));
    }
    if (change.grant.expires) json["expires"] = change.grant.expires->value;
    if (!change.grant.limit.empty()) json["limit"] = Of(change.grant.limit);
    return json;
  }
  Json operator()(const entry::PolicyChanged& change) const {
    return {{"input", change.input.value},
            {"policy", ToJson(change.document)},
            {"digest", Hash(change.document).ToHex()}};
  }
  Json operator()(const entry::ReceiptRefused& refused) const {
    Json json;
    json["input"] = refused.input.value;
    if (refused.intent_hash != Digest()) {
      json["intent"] = refused.intent_hash.ToHex();
    }
    if (!refused.executor.empty()) json["executor"] = refused.executor;
    json["reason"] = refused.reason;
    json["digest"] = refused.digest.ToHex();
    return json;
  }
  Json operator()(const entry::ReceiptShared& shared) const {
    Json json;
    json["intent"] = shared.intent_hash.ToHex();
    json["of"] = shared.receipt.intent_hash.ToHex();
    json["status"] = ReceiptStatusName(shared.receipt.status);
    return json;
  }
  Json operator()(const entry::EffectClosed& closed) const {
    Json json;
    json["intent"] = closed.intent_hash.ToHex();
    json["status"] = ReceiptStatusName(closed.status);
    if (!closed.reason.empty()) json["reason"] = closed.reason;
    return json;
  }
  Json operator()(const entry::EffectJudged& word) const {
    Json json;
    json["input"] = word.input.value;
    json["intent"] = word.intent_hash.ToHex();
    json["approved"] = word.approved;
    if (!word.by.empty()) json["by"] = word.by;
    if (!word.note.empty()) json["note"] = word.note;
    return json;
  }
  Json operator()(const entry::EffectsCancelled& cancel) const {
    Json json;
    json["input"] = cancel.input.value;
    if (cancel.intent_hash) json["intent"] = cancel.intent_hash->ToHex();
    if (cancel.cell)
      json["cell"] = Cell(cancel.cell->reducer, cancel.cell->key);
    if (!cancel.by.empty()) json["by"] = cancel.by;
    return json;
  }
  Json operator()(const entry::RolledBack& back) const {
    Json json;
    json["input"] = back.input.value;
    json["to"] = back.to.value;
    json["round"] = back.round.value;
    if (!back.by.empty()) json["by"] = back.by;
    if (!back.reason.empty()) json["reason"] = back.reason;
    for (const auto& [name, mark] : back.sources) {
      json["sources"].push_back(Of(SourceRead{name, mark}));
    }
    return json;
  }
  Json operator()(const entry::FailureOrdered& order) const {
    Json json;
    json["event_id"] = order.event_id.value;
    if (!order.by.empty()) json["by"] = order.by;
    json["reason"] = order.reason;
    return json;
  }

 private:
  static Json Printable(const entry::InputAdmitted& input) {
    if (cbor::IsUtf8(input.submission_id)) return input.submission_id;
    return Bytes16(input.submission_id);
  }

  std::string Cell(ReducerId reducer, std::string_view key) const {
    return CellName(name_of_(reducer), key);
  }

  static Json Of(const SourceRead& read) {
    return {{"name", read.name},
            {"position", read.mark.position},
            {"digest", read.mark.digest.ToHex()}};
  }

  Json Of(const Cause& cause) const {
    if (cause.is_input()) return {{"input", cause.input.value}};
    return {{"step", cause.parent.value}, {"index", cause.index}};
  }
  Json Of(const Diff& diff) const {
    Json json;
    json["cell"] = diff.cell ? Cell(diff.cell->reducer, diff.cell->key) : "own";
    if (diff.op == Diff::Op::kPut) json["state"] = ToJson(diff.state);
    if (diff.op == Diff::Op::kDelete) json["deleted"] = true;
    if (diff.op == Diff::Op::kUpdate) json["update"] = Of(diff.update);
    return json;
  }
  Json Of(const Update& update) const {
    Json json;
    if (!update.field.empty()) json["field"] = update.field;
    const std::string op(UpdateName(update.op));
    if (update.op == Update::Op::kUnion || update.op == Update::Op::kAppend) {
      json[op] = ToJson(update.item);
    } else {
      json[op] = update.number;
    }
    if (update.low != Update().low) json["low"] = update.low;
    if (update.high != Update().high) json["high"] = update.high;
    return json;
  }
  Json Of(const RaisedEvent& event) const {
    Json json;
    json["cell"] = Cell(event.reducer, event.key);
    if (!event.schema.empty()) json["schema"] = event.schema;
    json["payload"] = ToJson(event.payload);
    if (event.due) json["due"] = event.due->value;
    return json;
  }
  Json Of(const EffectIntent& effect) const {
    Json json;
    json["kind"] = effect.kind;
    if (!effect.capability.empty()) json["capability"] = effect.capability;
    json["params"] = ToJson(effect.params);
    if (!effect.idempotency.empty()) {
      json["idempotency"] = Bytes16(effect.idempotency);
    }
    if (!effect.reserve.empty()) json["reserve"] = Of(effect.reserve);
    if (effect.must_pass) json["must_pass"] = true;
    if (effect.deadline) json["deadline"] = effect.deadline->value;
    if (!effect.cache_scope.empty()) json["cache"] = effect.cache_scope;
    if (!effect.identity.empty()) json["identity"] = Bytes16(effect.identity);
    if (!effect.retry.empty()) json["retry"] = Of(effect.retry);
    return json;
  }
  static Json Of(const Amounts& amounts) { return AmountsJson(amounts); }
  static Json Of(const RetryRule& rule) {
    Json json = Json::object();
    if (rule.attempts) json["attempts"] = *rule.attempts;
    if (rule.first_ms) json["first_ms"] = *rule.first_ms;
    if (rule.longest_ms) json["longest_ms"] = *rule.longest_ms;
    if (rule.for_ms) json["for_ms"] = *rule.for_ms;
    return json;
  }
  Json Of(const std::vector<ModuleRecord>& modules) const {
    Json json = Json::array();
    for (const ModuleRecord& module : modules) {
      json.push_back({{"name", module.name},
                      {"version", module.version},
                      {"digest", Bytes16(module.digest.view())},
                      {"reducers", module.reducers}});
    }
    return json;
  }
  Json Of(const Scheduling& scheduling) const {
    return {{"round_limit", scheduling.round_limit},
            {"pipeline_depth", scheduling.pipeline_depth},
            {"entity_round_limit", scheduling.entity_round_limit},
            {"entity_quantum", scheduling.entity_quantum},
            {"class_quantum", scheduling.class_quantum},
            {"aging_tickets", scheduling.aging_tickets},
            {"backlog_limit", scheduling.backlog_limit},
            {"dedupe_horizon", scheduling.dedupe_horizon}};
  }

  const NameOf& name_of_;
};

}  // namespace

std::optional<EventId> TicketOf(const Entry& entry) {
  if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
    return step->event_id;
  }
  if (const auto* step = std::get_if<entry::StepCommitted>(&entry)) {
    return step->event_id;
  }
  if (const auto* step = std::get_if<entry::StepFailed>(&entry)) {
    return step->event_id;
  }
  if (const auto* effect = std::get_if<entry::EffectQueued>(&entry)) {
    return effect->event_id;
  }
  if (const auto* order = std::get_if<entry::FailureOrdered>(&entry)) {
    return order->event_id;
  }
  return std::nullopt;
}

Json AmountsJson(const Amounts& amounts) {
  Json json = Json::object();
  for (const Amounts::Item& item : amounts.items()) {
    json[item.dimension] = item.value;
  }
  return json;
}

Json EntryFields(const Entry& entry, const NameOf& name_of) {
  return std::visit(Fields(name_of), entry);
}

std::string EntryLine(const Entry& entry, const NameOf& name_of) {
  const auto ticket = TicketOf(entry);
  return absl::StrCat(ticket ? absl::StrCat(ticket->value) : "-", " ",
                      ToAbsl(EntryKindName(KindOf(entry))), " ",
                      ToDiagnostic(EntryFields(entry, name_of)));
}

Json EntryJson(std::uint64_t block, const Entry& entry, const NameOf& name_of) {
  Json json;
  json["block"] = block;
  if (const auto ticket = TicketOf(entry)) json["event_id"] = ticket->value;
  json["kind"] = EntryKindName(KindOf(entry));
  json.update(EntryFields(entry, name_of));
  return json;
}

std::string CellName(std::string_view reducer, std::string_view key) {
  return absl::StrCat(ToAbsl(reducer), "/", ToAbsl(key));
}

std::optional<EntryKind> FindEntryKind(std::string_view name) {
  for (const EntryKind kind : kKinds) {
    if (absl::EqualsIgnoreCase(ToAbsl(EntryKindName(kind)), ToAbsl(name))) {
      return kind;
    }
  }
  return std::nullopt;
}

std::string EntryKindNames() {
  std::string names;
  for (const EntryKind kind : kKinds) {
    absl::StrAppend(&names, names.empty() ? "" : ", ",
                    ToAbsl(EntryKindName(kind)));
  }
  return names;
}

}  // namespace reenact::tools
