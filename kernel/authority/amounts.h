// How much of each dimension: what something may cost, costs, or has left.

#ifndef REENACT_KERNEL_AUTHORITY_AMOUNTS_H_
#define REENACT_KERNEL_AUTHORITY_AMOUNTS_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact {

// A vector over an open set of dimensions ("calls", "bytes", "cents" ...), each
// a whole number without sign. A dimension that is not named has 0, and 0 is
// never stored, so that equal amounts have equal bytes.
//
//   Amounts price{{"calls", 1}, {"bytes", 65536}};
//   price.Of("calls");  // 1
//   price.Of("cents");  // 0
//
// Thread safety: as for an int.
class Amounts {
 public:
  struct Item {
    std::string dimension;  // UTF-8, 1 to kDimensionBytesMax bytes
    std::uint64_t value;    // not 0

    friend bool operator==(const Item&, const Item&) = default;
  };
  static constexpr std::size_t kDimensionBytesMax = 64;
  static constexpr std::size_t kDimensionsMax = 64;

  Amounts() = default;
  // As Set() for one after the other.
  Amounts(std::initializer_list<Item> items);

  std::uint64_t Of(std::string_view dimension) const;
  void Set(std::string_view dimension, std::uint64_t value);
  bool empty() const { return items_.empty(); }
  const std::vector<Item>& items() const { return items_; }  // by dimension

  // Whether every dimension has at most what `other` has of it.
  bool FitIn(const Amounts& other) const;
  // Nothing changes and false, if a dimension would leave 64 bits or get below
  // 0.
  bool Add(const Amounts& other);
  bool Subtract(const Amounts& other);

  // What Decode() reads again: at most kDimensionsMax, each with the name of a
  // dimension.
  bool IsWithinLimits() const;
  // Whether all names are UTF-8, which DecodeRecorded() needs.
  bool IsText() const;

  // A CBOR map from dimension to amount, in canonical order of keys. Decode()
  // makes the reader fail on anything that Encode() does not write, and beyond
  // the limits. DecodeRecorded() knows no limits: steps of worlds of formats 1
  // and 2 were held to none.
  // REQUIRES of Encode(): IsWithinLimits(), or IsText() for DecodeRecorded().
  void Encode(cbor::Encoder& encoder) const;
  static Amounts Decode(cbor::Reader& reader);
  static Amounts DecodeRecorded(cbor::Reader& reader);

  // "bytes 65536, calls 1"; "nothing" if there is nothing.
  std::string ToString() const;

  friend bool operator==(const Amounts&, const Amounts&) = default;

 private:
  static Amounts Read(cbor::Reader& reader, bool limited);

  std::vector<Item> items_;  // ascending by the encodings of the dimensions
};

// Whether `name` may be a dimension: 1 to kDimensionBytesMax bytes of UTF-8.
bool IsDimension(std::string_view name);

// As people write them: {"calls": 10, "cents": 0}.
// InvalidArgument: what makes no sense, for a message that names the place.
absl::StatusOr<Amounts> ParseAmounts(const cbor::Value& document);

}  // namespace reenact

#endif  // REENACT_KERNEL_AUTHORITY_AMOUNTS_H_
