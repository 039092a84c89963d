#include "reenact/executors/params.h"

#include "absl/strings/str_cat.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {

Params::Params(BytesView item) {
  absl::StatusOr<cbor::Value> value = cbor::Value::Parse(item);
  if (!value.ok()) {
    status_ = Annotate(value.status(), "the parameters");
  } else if (!value->IsMap()) {
    status_ = absl::InvalidArgumentError(
        absl::StrCat("the parameters must be a map, and are of type ",
                     ToAbsl(value->TypeName())));
  } else {
    map_ = *std::move(value);
  }
}

Params::Params(const cbor::Value& value, std::string place)
    : map_(value), place_(std::move(place)) {
  if (!map_.IsMap()) Fail("", "must be a map");
}

bool Params::Has(std::string_view field) const {
  return map_.Find(field) != nullptr;
}

const cbor::Value* Params::Find(std::string_view field) {
  asked_.emplace(field);
  return ok() ? map_.Find(field) : nullptr;
}

const cbor::Value* Params::Any(std::string_view field) { return Find(field); }

std::string Params::Text(std::string_view field) {
  if (ok() && !Has(field)) Fail(field, "is missing");
  return Text(field, "");
}

std::string Params::Text(std::string_view field, std::string_view otherwise) {
  const cbor::Value* value = Find(field);
  if (value == nullptr) return std::string(otherwise);
  if (value->IsText()) return std::string(*value->AsText());
  Fail(field, "must be a text");
  return std::string(otherwise);
}

std::int64_t Params::Integer(std::string_view field, std::int64_t otherwise,
                             std::int64_t min, std::int64_t max) {
  const cbor::Value* value = Find(field);
  if (value == nullptr) return otherwise;
  const absl::StatusOr<std::int64_t> integer = value->AsInteger();
  if (integer.ok() && *integer >= min && *integer <= max) return *integer;
  Fail(field, absl::StrCat("must be an integer from ", min, " to ", max));
  return otherwise;
}

bool Params::Bool(std::string_view field, bool otherwise) {
  const cbor::Value* value = Find(field);
  if (value == nullptr) return otherwise;
  if (value->IsBool()) return *value->AsBool();
  Fail(field, "must be true or false");
  return otherwise;
}

std::vector<std::string> Params::Texts(std::string_view field) {
  std::vector<std::string> texts;
  const cbor::Value* value = Find(field);
  if (value == nullptr) return texts;
  bool fits = value->IsArray();
  for (std::size_t i = 0; fits && i < value->size(); ++i) {
    const cbor::Value& item = value->items()[i];
    fits = item.IsText();
    if (fits) texts.emplace_back(*item.AsText());
  }
  if (!fits) Fail(field, "must be an array of texts");
  return texts;
}

std::vector<std::int64_t> Params::Integers(std::string_view field) {
  std::vector<std::int64_t> integers;
  const cbor::Value* value = Find(field);
  if (value == nullptr) return integers;
  bool fits = value->IsArray();
  for (std::size_t i = 0; fits && i < value->size(); ++i) {
    const absl::StatusOr<std::int64_t> integer = value->items()[i].AsInteger();
    fits = integer.ok();
    if (fits) integers.push_back(*integer);
  }
  if (!fits) Fail(field, "must be an array of integers");
  return integers;
}

std::vector<std::pair<std::string, std::string>> Params::TextMap(
    std::string_view field) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const cbor::Value* value = Find(field);
  if (value == nullptr) return pairs;
  bool fits = value->IsMap();
  for (std::size_t i = 0; fits && i < value->size(); ++i) {
    const auto& [name, text] = value->pairs()[i];
    fits = name.IsText() && text.IsText();
    if (fits) pairs.emplace_back(*name.AsText(), *text.AsText());
  }
  if (!fits) Fail(field, "must be a map from text to text");
  return pairs;
}

void Params::Fail(std::string_view field, std::string_view what) {
  if (!ok()) return;
  std::string name = place_ + std::string(field);
  if (!name.empty() && name.back() == '.') name.pop_back();
  status_ = absl::InvalidArgumentError(
      absl::StrCat("parameter \"", name, "\" ", ToAbsl(what)));
}

absl::Status Params::Finish() {
  if (!ok()) return status_;
  for (const auto& [name, value] : map_.pairs()) {
    if (name.IsText() && asked_.count(*name.AsText()) > 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("there is no parameter ", place_,
                     cbor::Diagnose(name.Encode()).substr(0, 100)));
  }
  return absl::OkStatus();
}

}  // namespace reenact
