#include "reenact/kernel/authority/amounts.h"

#include <algorithm>

namespace reenact {
namespace {

// The order of their encodings as CBOR texts.
bool IsBefore(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// The first item that is not before `dimension`.
template <typename Items>
auto PlaceOf(Items& items, std::string_view dimension) {
  return std::lower_bound(items.begin(), items.end(), dimension,
                          [](const Amounts::Item& item, std::string_view name) {
                            return IsBefore(item.dimension, name);
                          });
}

}  // namespace

bool IsDimension(std::string_view name) {
  return !name.empty() && name.size() <= Amounts::kDimensionBytesMax &&
         cbor::IsUtf8(name);
}

Amounts::Amounts(std::initializer_list<Item> items) {
  for (const Item& item : items) Set(item.dimension, item.value);
}

std::uint64_t Amounts::Of(std::string_view dimension) const {
  const auto item = PlaceOf(items_, dimension);
  return item != items_.end() && item->dimension == dimension ? item->value : 0;
}

void Amounts::Set(std::string_view dimension, std::uint64_t value) {
  const auto item = PlaceOf(items_, dimension);
  const bool is_there = item != items_.end() && item->dimension == dimension;
  if (is_there && value == 0) {
    items_.erase(item);
  } else if (is_there) {
    item->value = value;
  } else if (value != 0) {
    items_.insert(item, {std::string(dimension), value});
  }
}

bool Amounts::FitIn(const Amounts& other) const {
  return std::all_of(items_.begin(), items_.end(), [&](const Item& item) {
    return item.value <= other.Of(item.dimension);
  });
}

bool Amounts::Add(const Amounts& other) {
  for (const Item& item : other.items_) {
    if (Of(item.dimension) > ~item.value) return false;
  }
  // By index and value: `other` may be this.
  for (std::size_t i = 0; i < other.items_.size(); ++i) {
    const Item item = other.items_[i];
    Set(item.dimension, Of(item.dimension) + item.value);
  }
  return true;
}

bool Amounts::Subtract(const Amounts& other) {
  if (!other.FitIn(*this)) return false;
  if (&other == this) {
    items_.clear();
    return true;
  }
  for (const Item& item : other.items_) {
    Set(item.dimension, Of(item.dimension) - item.value);
  }
  return true;
}

void Amounts::Encode(cbor::Encoder& encoder) const {
  encoder.Map(items_.size());
  for (const Item& item : items_) {
    encoder.Text(item.dimension);
    encoder.Unsigned(item.value);
  }
}

bool Amounts::IsWithinLimits() const {
  return items_.size() <= kDimensionsMax &&
         std::all_of(items_.begin(), items_.end(), [](const Item& item) {
           return IsDimension(item.dimension);
         });
}

bool Amounts::IsText() const {
  return std::all_of(items_.begin(), items_.end(), [](const Item& item) {
    return cbor::IsUtf8(item.dimension);
  });
}

Amounts Amounts::Decode(cbor::Reader& reader) { return Read(reader, true); }

Amounts Amounts::DecodeRecorded(cbor::Reader& reader) {
  return Read(reader, false);
}

Amounts Amounts::Read(cbor::Reader& reader, bool limited) {
  Amounts amounts;
  const std::uint64_t size = reader.Map();
  if (limited && size > kDimensionsMax) reader.Fail("too many dimensions");
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    const std::string_view dimension = reader.Text();
    const std::uint64_t value = reader.Unsigned();
    if (!reader.ok()) break;
    if (limited && !IsDimension(dimension)) {
      reader.Fail("a dimension's name of no or too many bytes");
    } else if (value == 0) {
      reader.Fail("an amount of 0 that is spelled out");
    } else if (i > 0 && !IsBefore(amounts.items_.back().dimension, dimension)) {
      reader.Fail("dimensions out of order");
    } else {
      amounts.items_.push_back({std::string(dimension), value});
    }
  }
  return reader.ok() ? amounts : Amounts();
}

std::string Amounts::ToString() const {
  if (items_.empty()) return "nothing";
  std::string text;
  for (const Item& item : items_) {
    if (!text.empty()) text += ", ";
    text += item.dimension + " " + std::to_string(item.value);
  }
  return text;
}

absl::StatusOr<Amounts> ParseAmounts(const cbor::Value& document) {
  if (!document.IsMap()) {
    return absl::InvalidArgumentError(
        "should be a map from dimension to amount, not " +
        std::string(document.TypeName()));
  }
  if (document.size() > Amounts::kDimensionsMax) {
    return absl::InvalidArgumentError(
        "has " + std::to_string(document.size()) + " dimensions; at most " +
        std::to_string(Amounts::kDimensionsMax) + " can be");
  }
  Amounts amounts;
  for (const auto& [key, value] : document.pairs()) {
    if (!key.IsText() || !IsDimension(*key.AsText())) {
      return absl::InvalidArgumentError(
          cbor::Diagnose(key.Encode()) +
          " should be a dimension: a text of 1 to " +
          std::to_string(Amounts::kDimensionBytesMax) + " bytes");
    }
    const Bytes encoded = value.Encode();
    cbor::Reader reader(encoded);
    const std::uint64_t amount = reader.Unsigned();
    if (!reader.ok()) {
      return absl::InvalidArgumentError(std::string(*key.AsText()) +
                                        " should be a whole number from 0 on");
    }
    amounts.Set(*key.AsText(), amount);
  }
  return amounts;
}

}  // namespace reenact
