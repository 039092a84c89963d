#include "tools/reenact/feed.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/kernel/authority/admission.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/workers/module_call.h"

namespace reenact::tools {
namespace {

constexpr std::string_view kEventFields[] = {
    "reducer", "key", "payload", "schema", "id", "priority", "time"};

absl::Status Refuse(std::string what) {
  return absl::InvalidArgumentError(std::move(what));
}

absl::StatusOr<std::string> TextField(const cbor::Value& row,
                                      std::string_view field) {
  const cbor::Value* value = row.Find(field);
  if (value == nullptr) {
    return Refuse(absl::StrCat("no field \"", ToAbsl(field), "\""));
  }
  if (!value->IsText()) {
    return Refuse(absl::StrCat("field \"", ToAbsl(field), "\" must be a text, ",
                               "and is of type ", ToAbsl(value->TypeName())));
  }
  return std::string(*value->AsText());
}

absl::StatusOr<std::string> OptionalTextField(const cbor::Value& row,
                                              std::string_view field) {
  if (row.Find(field) == nullptr) return std::string();
  return TextField(row, field);
}

absl::StatusOr<std::int64_t> OptionalIntegerField(const cbor::Value& row,
                                                  std::string_view field,
                                                  std::int64_t otherwise) {
  const cbor::Value* value = row.Find(field);
  if (value == nullptr) return otherwise;
  auto integer = value->AsInteger();
  if (!integer.ok()) {
    return Refuse(absl::StrCat("field \"", ToAbsl(field),
                               "\": ", integer.status().message()));
  }
  return *integer;
}

absl::Status CheckIsMap(const cbor::Value& row) {
  if (row.IsMap()) return absl::OkStatus();
  return Refuse(absl::StrCat("the row must be an object, and is of type ",
                             ToAbsl(row.TypeName())));
}

absl::Status CheckEventFields(const cbor::Value& row) {
  for (const auto& [name, value] : row.pairs()) {
    const auto text = name.AsText();
    if (text.ok() && std::count(std::begin(kEventFields),
                                std::end(kEventFields), *text) > 0) {
      continue;
    }
    return Refuse(absl::StrCat(
        "unknown field ", cbor::Diagnose(name.Encode()),
        " in an event; without a module's mapper and without --reducer and "
        "--key, every row is an event {reducer, key, payload, ...}"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Input>> EventOfRow(const cbor::Value& row) {
  REENACT_RETURN_IF_ERROR(CheckIsMap(row));
  REENACT_RETURN_IF_ERROR(CheckEventFields(row));
  std::vector<Input> inputs(1);
  Input& input = inputs.front();
  REENACT_ASSIGN_OR_RETURN(input.event.reducer, TextField(row, "reducer"));
  REENACT_ASSIGN_OR_RETURN(input.event.key, TextField(row, "key"));
  REENACT_ASSIGN_OR_RETURN(input.event.schema,
                           OptionalTextField(row, "schema"));
  REENACT_ASSIGN_OR_RETURN(input.submission_id, OptionalTextField(row, "id"));
  REENACT_ASSIGN_OR_RETURN(
      const std::int64_t priority,
      OptionalIntegerField(row, "priority", kPriorityDefault));
  if (priority < 0 || priority >= kPriorities) {
    return Refuse(
        absl::StrCat("field \"priority\" must be 0 to ", int{kPriorities} - 1));
  }
  input.priority = static_cast<std::uint8_t>(priority);
  REENACT_ASSIGN_OR_RETURN(input.time.value,
                           OptionalIntegerField(row, "time", 0));
  const cbor::Value* payload = row.Find("payload");
  if (payload == nullptr) return Refuse("no field \"payload\"");
  input.event.payload = payload->Encode();
  return inputs;
}

}  // namespace

InputMapper RowIsPayload(std::string reducer, std::string key) {
  return [reducer = std::move(reducer), key = std::move(key)](
             const cbor::Value& row) -> absl::StatusOr<std::vector<Input>> {
    REENACT_RETURN_IF_ERROR(CheckIsMap(row));
    std::vector<Input> inputs(1);
    Event& event = inputs.front().event;
    event.reducer = reducer;
    REENACT_ASSIGN_OR_RETURN(event.key, TextField(row, key));
    event.payload = row.Encode();
    return inputs;
  };
}

InputMapper RowIsEvent() { return EventOfRow; }

bool IsEventRow(const cbor::Value& row) {
  return row.IsMap() && row.Find("reducer") != nullptr &&
         row.Find("key") != nullptr && row.Find("payload") != nullptr &&
         CheckEventFields(row).ok();
}

absl::StatusOr<std::vector<Input>> MapRow(const InputMapper& mapper,
                                          const cbor::Value& row,
                                          std::uint64_t number) {
  const ModuleCall call(CallKind::kMapper, number, nullptr);
  try {
    return mapper(row);
  } catch (const std::exception& error) {
    return Refuse(absl::StrCat("the module's mapper threw: ", error.what()));
  } catch (...) {
    return Refuse("the module's mapper threw");
  }
}

absl::StatusOr<bool> BeginsWith(RowReader& rows, const SourceMark& taken) {
  while (rows.number() < taken.position) {
    REENACT_ASSIGN_OR_RETURN(const bool more, rows.Skip());
    if (!more) return false;
  }
  return taken.digest == Digest() ||
         Hasher(rows.content()).Finish() == taken.digest;
}

FeedSource::FeedSource(std::unique_ptr<RowReader> rows, Options options)
    : rows_(std::move(rows)), options_(std::move(options)) {}

absl::StatusOr<bool> FeedSource::Next(std::vector<Input>* row) {
  if (!status_.ok()) return status_;
  absl::StatusOr<bool> more = NextOrError(row);
  if (!more.ok()) status_ = more.status();
  return more;
}

// What a world without names knows is a number, of whichever file it was fed
// last, so there a file may be shorter.
absl::StatusOr<bool> FeedSource::SkipKnownRows() {
  if (compared_) return true;
  REENACT_ASSIGN_OR_RETURN(const bool same, BeginsWith(*rows_, options_.taken));
  skipped_ = rows_->number();
  if (!same && !options_.name.empty()) return Differs();
  compared_ = same;
  return same;
}

absl::Status FeedSource::Differs() {
  differs_ = true;
  const bool ends = rows_->number() < options_.taken.position;
  return absl::FailedPreconditionError(absl::StrCat(
      rows_->place(), ": ",
      ends ? absl::StrCat("the file ends here, and the world has taken in ",
                          options_.taken.position, " rows of \"")
           : "up to here, this is not what the world has taken in of \"",
      options_.name, "\"; ", ToAbsl(kOtherRows)));
}

absl::StatusOr<bool> FeedSource::NextOrError(std::vector<Input>* row) {
  if (options_.limit > 0 && delivered_ == options_.limit) return false;
  if (options_.on_row) {
    REENACT_RETURN_IF_ERROR(options_.on_row());
  }
  REENACT_ASSIGN_OR_RETURN(const bool more, SkipKnownRows());
  if (!more) return false;
  REENACT_ASSIGN_OR_RETURN(const auto value, rows_->Next());
  if (!value) return false;
  const absl::Status mapped = Map(*value, row);
  if (!mapped.ok()) {
    row->clear();
    return absl::InvalidArgumentError(
        absl::StrCat(rows_->place(), ": ", mapped.message()));
  }
  ++delivered_;
  content_ = rows_->content();
  return true;
}

absl::Status FeedSource::Map(const cbor::Value& value,
                             std::vector<Input>* row) {
  REENACT_ASSIGN_OR_RETURN(std::vector<Input> inputs,
                           MapRow(options_.mapper, value, rows_->number()));
  for (Input& input : inputs) {
    REENACT_RETURN_IF_ERROR(CheckAdmissible(input, options_.config));
    input.position = rows_->number();
    timed_ = timed_ || input.time.value != 0;
    row->push_back(std::move(input));
  }
  return absl::OkStatus();
}

}  // namespace reenact::tools
