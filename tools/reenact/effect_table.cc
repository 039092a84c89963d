#include "tools/reenact/effect_table.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "tools/reenact/render.h"

namespace reenact::tools {

// Follows the journal entry by entry.
class EffectReader {
 public:
  EffectReader(const Archive& archive, EffectTable* table)
      : archive_(archive), table_(*table) {}

  absl::Status operator()(const Entry& entry) {
    if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
      cell_ = step->subject
                  ? CellName(archive_.ReducerName(step->subject->reducer),
                             step->subject->key)
                  : std::string();
      cause_ = step->cause.input;
    } else if (const auto* committed =
                   std::get_if<entry::StepCommitted>(&entry)) {
      effects_ = committed->effects;
      return ApplyControl();
    } else if (const auto* queued = std::get_if<entry::EffectQueued>(&entry)) {
      return OnQueued(*queued);
    } else if (const auto* receipt =
                   std::get_if<entry::ReceiptAppended>(&entry)) {
      return OnReceipt(receipt->receipt);
    } else if (const auto* shared = std::get_if<entry::ReceiptShared>(&entry)) {
      return OnShared(*shared);
    } else if (const auto* closed = std::get_if<entry::EffectClosed>(&entry)) {
      return End(closed->intent_hash, ReceiptStatusName(closed->status),
                 closed->status == ReceiptStatus::kOk, closed->reason,
                 Amounts());
    } else if (std::holds_alternative<entry::ReceiptRefused>(entry)) {
      ++table_.refused_;
    } else if (const auto* grant = std::get_if<entry::GrantChanged>(&entry)) {
      controls_.emplace(grant->input, entry);
    } else if (const auto* policy = std::get_if<entry::PolicyChanged>(&entry)) {
      controls_.emplace(policy->input, entry);
    } else if (const auto* word = std::get_if<entry::EffectJudged>(&entry)) {
      controls_.emplace(word->input, entry);
    }
    return absl::OkStatus();
  }

 private:
  // What a control command changes, it changes where its step committed.
  absl::Status ApplyControl() {
    const auto it = controls_.find(cause_);
    if (it == controls_.end()) return absl::OkStatus();
    const Entry entry = std::move(it->second);
    controls_.erase(it);
    if (const auto* grant = std::get_if<entry::GrantChanged>(&entry)) {
      return AsDataLossOf(table_.grants_.Apply(grant->change));
    }
    if (const auto* policy = std::get_if<entry::PolicyChanged>(&entry)) {
      table_.policy_ = policy->document;
      if (table_.policy_ == cbor::Value().Encode()) table_.policy_.clear();
      return absl::OkStatus();
    }
    const auto& word = std::get<entry::EffectJudged>(entry);
    if (EffectTable::Row* row = Find(word.intent_hash); row && word.approved) {
      row->state = EffectTable::State::kOpen;
      row->reason = word.by.empty() ? "approved" : "approved by " + word.by;
    }
    return absl::OkStatus();
  }

  static absl::Status AsDataLossOf(const absl::Status& status) {
    if (status.ok()) return status;
    return absl::DataLossError(
        absl::StrCat("a recorded change of grants: ", status.message()));
  }

  absl::Status OnQueued(const entry::EffectQueued& queued) {
    if (queued.index >= effects_.size()) {
      return absl::DataLossError(absl::StrCat("ticket ", queued.event_id.value,
                                              " has no intent ", queued.index));
    }
    const EffectIntent& intent = effects_[queued.index];
    EffectTable::Row row;
    row.intent_hash = queued.intent_hash;
    row.event_id = queued.event_id;
    row.index = queued.index;
    row.cell = cell_;
    row.kind = intent.kind;
    row.capability = intent.capability;
    row.reason = queued.reason;
    if (queued.joins) {
      row.reason = "waits with " + queued.joins->ToHex().substr(0, 12);
    }
    row.reserved = queued.reserved;
    Judge(queued.verdict, &row);
    const EffectTable::Row* const before = Find(row.intent_hash);
    const bool is_open = before != nullptr && !HasEnded(*before);
    if (is_open && !HasEnded(row)) {
      return absl::DataLossError("an effect begins that is open: " +
                                 row.intent_hash.ToHex());
    }
    REENACT_RETURN_IF_ERROR(Reserve(row));
    if (!is_open) table_.by_hash_[row.intent_hash] = table_.rows_.size();
    table_.rows_.push_back(std::move(row));
    return absl::OkStatus();
  }

  // What is on record is held to what the grants before it have free: a journal
  // may say anything.
  absl::Status Reserve(const EffectTable::Row& row) {
    if (row.reserved.empty()) return absl::OkStatus();
    if (HasEnded(row)) {
      return absl::DataLossError(absl::StrCat("an effect that is ", row.status,
                                              " reserves something"));
    }
    const auto& accounts = table_.grants_.accounts();
    const auto account = accounts.find(row.capability);
    if (account == accounts.end() ||
        !row.reserved.FitIn(account->second.free)) {
      return absl::DataLossError(absl::StrCat(
          "ticket ", row.event_id.value, " reserves ", row.reserved.ToString(),
          ", which grant ", Dump(row.capability), " does not have free"));
    }
    table_.grants_.Reserve(row.capability, row.reserved);
    return absl::OkStatus();
  }

  static bool HasEnded(const EffectTable::Row& row) {
    return row.state == EffectTable::State::kDone ||
           row.state == EffectTable::State::kFailed;
  }

  static void Judge(EffectVerdict verdict, EffectTable::Row* row) {
    switch (verdict) {
      case EffectVerdict::kOpen:
      case EffectVerdict::kJoined:
        row->state = EffectTable::State::kOpen;
        return;
      case EffectVerdict::kHeld:
        row->state = EffectTable::State::kHeld;
        return;
      case EffectVerdict::kDenied:
        row->state = EffectTable::State::kFailed;
        row->status = "denied";
        return;
      case EffectVerdict::kAnswered:
        row->state = EffectTable::State::kDone;
        row->status = "ok";
        row->cached = row->kind != "effect.cancel";
        return;
    }
  }

  absl::Status OnReceipt(const Receipt& receipt) {
    if (EffectTable::Row* row = Find(receipt.intent_hash)) {
      row->executor = receipt.executor;
    }
    return End(receipt.intent_hash, ReceiptStatusName(receipt.status),
               receipt.status == ReceiptStatus::kOk, "", receipt.usage);
  }

  absl::Status OnShared(const entry::ReceiptShared& shared) {
    const Receipt& receipt = shared.receipt;
    if (EffectTable::Row* row = Find(shared.intent_hash)) {
      row->executor = receipt.executor;
      row->cached = true;
      row->reason.clear();
    }
    return End(shared.intent_hash, ReceiptStatusName(receipt.status),
               receipt.status == ReceiptStatus::kOk, "", Amounts());
  }

  absl::Status End(const Digest& intent, std::string_view status, bool ok,
                   const std::string& reason, const Amounts& usage) {
    EffectTable::Row* const row = Find(intent);
    if (row == nullptr) {
      return absl::DataLossError("an effect ends that never began: " +
                                 intent.ToHex());
    }
    if (HasEnded(*row)) {
      return absl::DataLossError("an effect ends twice: " + intent.ToHex());
    }
    table_.grants_.Settle(row->capability, row->reserved, usage);
    row->state = ok ? EffectTable::State::kDone : EffectTable::State::kFailed;
    row->status = status;
    if (!reason.empty()) row->reason = reason;
    row->reserved = Amounts();
    row->usage = usage;
    return absl::OkStatus();
  }

  EffectTable::Row* Find(const Digest& intent) {
    const auto it = table_.by_hash_.find(intent);
    return it == table_.by_hash_.end() ? nullptr : &table_.rows_[it->second];
  }

  const Archive& archive_;
  EffectTable& table_;
  std::string cell_;  // of the step that is read
  InputId cause_;
  std::vector<EffectIntent> effects_;
  std::map<InputId, Entry> controls_;  // whose tickets have not been read
};

absl::StatusOr<EffectTable> EffectTable::Read(const Archive& archive) {
  EffectTable table;
  EffectReader reader(archive, &table);
  REENACT_RETURN_IF_ERROR(
      archive.ScanEntries(0, [&reader](const BlockHeader&, const Entry& entry,
                                       BytesView) { return reader(entry); }));
  return table;
}

absl::StatusOr<Digest> EffectTable::FindIntent(std::string_view hex) const {
  constexpr std::size_t kDigitsMin = 6;
  if (hex.size() < kDigitsMin || hex.size() > 2 * kDigestSize ||
      hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(hex.substr(0, 70)),
                     "\" is not six or more hexadecimal digits of an intent"));
  }
  std::optional<Digest> found;
  for (const auto& [hash, row] : by_hash_) {
    if (hash.ToHex().compare(0, hex.size(), hex) != 0) continue;
    if (found) {
      return absl::InvalidArgumentError(
          absl::StrCat("more than one intent begins with ", ToAbsl(hex)));
    }
    found = hash;
  }
  if (!found) {
    return absl::NotFoundError(
        absl::StrCat("no intent begins with ", ToAbsl(hex)));
  }
  return *found;
}

std::string_view StateName(EffectTable::State state) {
  switch (state) {
    case EffectTable::State::kOpen:
      return "open";
    case EffectTable::State::kHeld:
      return "held";
    case EffectTable::State::kDone:
      return "done";
    case EffectTable::State::kFailed:
      break;
  }
  return "failed";
}

}  // namespace reenact::tools
